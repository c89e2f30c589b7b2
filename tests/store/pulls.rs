//! The rows of pull requests that end drift: hinted at, held by one, and noted step by step.

use drift_gate::store::{Claim, ClaimedPull, Fenced, PullNote, PullSlot, Store};

use crate::world::{Db, claim};

on_both!(
    a_row_is_kept_by_one_replica_at_a_time_and_due_again_when_hinted,
    what_is_noted_is_there_for_whoever_takes_over,
    a_replica_that_stalled_cannot_note_or_settle,
    what_failed_is_tried_later_and_what_a_person_asks_for_at_once,
    a_row_of_another_configuration_is_left_to_others,
    a_time_to_look_again_makes_a_row_due,
    what_no_gate_asks_for_any_more_is_ended_by_whoever_finds_it,
);

fn slot(gate: &str, repository: &str) -> PullSlot {
    PullSlot { slot: gate.into(), branch: "main".into(), forge: "main".into(), repository: repository.into() }
}

fn open(pull: i64) -> PullNote {
    PullNote { state: "open".into(), pull: Some(pull), tip: Some("a".repeat(40)), ..PullNote::default() }
}

async fn hint(store: &Store) {
    store.hint_pulls(&[slot("gate", "core")], false).await.expect("hinted");
}

async fn take(store: &Store, claim: Claim<'_>) -> Option<ClaimedPull> {
    store.claim_pulls(&claim, "ending").await.expect("claimed").into_iter().next()
}

async fn a_row_is_kept_by_one_replica_at_a_time_and_due_again_when_hinted(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    hint(&one).await;
    let held = take(&one, claim("one", 1_000)).await.expect("due");
    assert!(take(&other, claim("other", 1_000)).await.is_none());
    assert_eq!(other.next_due().await.expect("next"), Some(11_000), "when the lease ends");
    hint(&other).await;
    assert_eq!(one.settle_pull_held(&held, &open(3), 1_500, None).await.expect("settled"), Fenced::Done);
    let again = take(&other, claim("other", 2_000)).await.expect("the hint that came meanwhile");
    assert_eq!(again.row.note, open(3));
    assert_eq!(other.settle_pull_held(&again, &open(3), 2_500, None).await.expect("settled"), Fenced::Done);
    assert!(take(&one, claim("one", 3_000)).await.is_none(), "nothing is left to do");
    let rows = one.pulls().await.expect("read");
    assert_eq!((rows.len(), rows[0].changed_at), (1, 1_500), "the second time nothing changed");
}

async fn what_is_noted_is_there_for_whoever_takes_over(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    hint(&one).await;
    let held = take(&one, claim("one", 1_000)).await.expect("due");
    let opening = PullNote { state: "opening".into(), head: Some("drift-gate/x".into()), ..PullNote::default() };
    assert_eq!(one.note_pull_held(&held, &opening, 2_000, 12_000).await.expect("noted"), Fenced::Done);
    assert!(take(&other, claim("other", 11_500)).await.is_none(), "noting renewed the lease");
    let taken = take(&other, claim("other", 12_000)).await.expect("due");
    assert!(taken.lease.taken_over);
    assert_eq!(taken.row.note, opening);
}

async fn a_replica_that_stalled_cannot_note_or_settle(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    hint(&one).await;
    let stalled = take(&one, claim("one", 1_000)).await.expect("due");
    let taken = take(&other, claim("other", 20_000)).await.expect("due");
    assert_eq!(one.note_pull_held(&stalled, &open(9), 20_100, 30_000).await.expect("asked"), Fenced::Lost);
    assert_eq!(one.settle_pull_held(&stalled, &open(9), 20_100, None).await.expect("asked"), Fenced::Lost);
    let postponed = one.postpone_pull_held(&stalled, &open(9), "why", 20_100, 30_000).await;
    assert_eq!(postponed.expect("asked"), Fenced::Lost);
    assert_eq!(other.settle_pull_held(&taken, &open(3), 20_200, None).await.expect("settled"), Fenced::Done);
    assert_eq!(one.pulls().await.expect("read")[0].note.pull, Some(3));
}

async fn what_failed_is_tried_later_and_what_a_person_asks_for_at_once(db: Db) {
    let store = db.replica().await;
    hint(&store).await;
    let held = take(&store, claim("one", 1_000)).await.expect("due");
    assert!(!held.forced);
    let postponed = store.postpone_pull_held(&held, &PullNote::default(), "502 Bad Gateway", 1_100, 60_000).await;
    assert_eq!(postponed.expect("postponed"), Fenced::Done);
    hint(&store).await;
    assert!(take(&store, claim("one", 2_000)).await.is_none(), "a hint does not shorten the wait");
    assert_eq!(store.next_due().await.expect("next"), Some(60_000));
    let row = store.pulls().await.expect("read").remove(0);
    assert_eq!((row.attempts, row.trouble.as_deref()), (1, Some("502 Bad Gateway")));
    store.hint_pulls(&[slot("gate", "core")], true).await.expect("hinted");
    let held = take(&store, claim("one", 2_001)).await.expect("due");
    assert!(held.forced);
    assert_eq!(store.settle_pull_held(&held, &open(3), 2_100, None).await.expect("settled"), Fenced::Done);
    hint(&store).await;
    assert!(!take(&store, claim("one", 3_000)).await.expect("due").forced, "that was once");
}

async fn a_row_of_another_configuration_is_left_to_others(db: Db) {
    let store = db.replica().await;
    store.hint_pulls(&[slot("gate", "elsewhere")], false).await.expect("hinted");
    assert!(take(&store, claim("one", 1_000)).await.is_none());
}

async fn a_time_to_look_again_makes_a_row_due(db: Db) {
    let store = db.replica().await;
    hint(&store).await;
    let held = take(&store, claim("one", 1_000)).await.expect("due");
    assert_eq!(store.settle_pull_held(&held, &open(3), 1_100, Some(5_000)).await.expect("settled"), Fenced::Done);
    assert!(take(&store, claim("one", 4_999)).await.is_none());
    assert!(take(&store, claim("one", 5_000)).await.is_some());
}

async fn what_no_gate_asks_for_any_more_is_ended_by_whoever_finds_it(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    let gone = [slot("gone", "not-configured")];
    one.hint_pulls(&gone, false).await.expect("hinted");
    assert!(take(&one, claim("one", 1_000)).await.is_none(), "its consumer is no business of ours");
    one.mark_pulls(&gone, "ending", 1_000).await.expect("marked");
    let held = take(&other, claim("other", 1_000)).await.expect("anybody's");
    assert_eq!(held.row.note.state, "ending");
    one.mark_pulls(&gone, "other", 1_500).await.expect("let be");
    assert_eq!(one.pulls().await.expect("read")[0].note.state, "ending", "somebody works on it");
    assert_eq!(other.settle_pull_held(&held, &PullNote::default(), 2_000, None).await.expect("settled"), Fenced::Done);
    assert!(take(&one, claim("one", 3_000)).await.is_none(), "nothing is left to do");
}
