//! What is kept, and what makes room.

use std::time::Duration;

use drift_gate::store::{Fenced, Judged, Keep, Level, Pruned};

use crate::world::{Db, claim, comment, decision, push, repo};

on_both!(
    old_deliveries_go_and_new_ones_stay,
    a_report_that_a_status_names_is_never_removed,
    a_report_that_is_decided_by_again_is_new_again,
    a_status_stays_for_a_while_after_its_commit_was_a_head,
    what_was_said_before_is_kept_up_to_a_number,
    a_comment_that_has_not_acted_is_never_removed,
);

/// Everything goes that may.
const NOTHING: Keep = Keep {
    deliveries: Duration::ZERO,
    comments: Duration::ZERO,
    statuses: Duration::ZERO,
    reports: Duration::ZERO,
    history: 0,
    audit: Duration::ZERO,
};

async fn old_deliveries_go_and_new_ones_stay(db: Db) {
    let store = db.replica().await;
    for received_at in (0..1_200).chain([100_000]) {
        let mut arrival = push("core");
        arrival.received_at = received_at;
        store.accept(arrival).await.expect("accepted");
    }
    let keep = Keep { deliveries: Duration::from_millis(50_000), ..NOTHING };
    let pruned = store.prune(100_000, keep).await.expect("pruned");
    assert_eq!(pruned, Pruned { deliveries: 1_200, ..Pruned::default() });
    assert_eq!(store.prune(100_000, keep).await.expect("pruned"), Pruned::default());
    assert_eq!(store.waiting().await.expect("counted").repositories, 1, "what they hinted at is still to be done");
}

fn judged(id: &str, sha: char, report: &str, decided_at: i64) -> Judged {
    Judged {
        id: id.into(),
        sha: sha.to_string().repeat(40),
        judgements: format!("[{{\"gate\": \"g\", \"report\": \"{report}\", \"why\": null}}, {{\"report\": null}}]"),
        decided_at,
        reports: vec![(report.into(), "{}".into())],
        ..decision("failure", report)
    }
}

async fn a_report_that_a_status_names_is_never_removed(db: Db) {
    let store = db.replica().await;
    let decisions = [judged("a", 'a', "first", 1), judged("b", 'b', "other", 1)];
    assert_eq!(store.decide_held(&decisions, &[]).await.expect("decided"), Fenced::Done);
    assert_eq!(store.decide_held(&[judged("a", 'a', "second", 2)], &[]).await.expect("decided"), Fenced::Done);
    let pruned = store.prune(1_000_000, NOTHING).await.expect("pruned");
    assert_eq!(pruned.reports, 1);
    assert_eq!(store.report("first").await.expect("read"), None);
    assert!(store.report("second").await.expect("read").is_some());
    assert!(store.report("other").await.expect("read").is_some());
}

async fn a_report_that_is_decided_by_again_is_new_again(db: Db) {
    let store = db.replica().await;
    assert_eq!(store.decide_held(&[judged("a", 'a', "shared", 1)], &[]).await.expect("decided"), Fenced::Done);
    assert_eq!(store.decide_held(&[judged("b", 'b', "shared", 90_000)], &[]).await.expect("decided"), Fenced::Done);
    let later = [judged("a", 'a', "else", 90_001), judged("b", 'b', "else", 90_001)];
    assert_eq!(store.decide_held(&later, &[]).await.expect("decided"), Fenced::Done);
    let keep = Keep { reports: Duration::from_millis(50_000), ..NOTHING };
    assert_eq!(store.prune(100_000, keep).await.expect("pruned").reports, 0);
    assert!(store.report("shared").await.expect("read").is_some(), "it was decided by 10 seconds ago");
}

async fn a_status_stays_for_a_while_after_its_commit_was_a_head(db: Db) {
    let store = db.replica().await;
    store.accept(push("core")).await.expect("accepted");
    let looking = store.claim(&claim("a", 1_000)).await.expect("claimed").remove(0);
    let decisions = [judged("gone", 'a', "gone", 1), judged("head", 'b', "head", 1), judged("back", 'c', "back", 1)];
    assert_eq!(store.decide_held(&decisions, &[&looking.lease]).await.expect("decided"), Fenced::Done);
    let heads = store.heads_held(&looking.lease, &["head".to_owned()], 50_000).await.expect("noted");
    assert_eq!(heads, Fenced::Done);
    assert_eq!(store.decide_held(&[judged("back", 'c', "back", 2)], &[]).await.expect("decided"), Fenced::Done);
    let keep = Keep { statuses: Duration::from_millis(10_000), ..NOTHING };
    assert_eq!(store.prune(59_999, keep).await.expect("pruned").statuses, 0);
    assert!(store.wanted("gone").await.expect("read").is_some(), "its page stays for a while");
    let pruned = store.prune(60_001, keep).await.expect("pruned");
    assert_eq!((pruned.statuses, pruned.reports), (1, 1));
    assert!(store.wanted("gone").await.expect("read").is_none());
    assert!(store.history("gone", 9).await.expect("read").is_empty());
    for id in ["head", "back"] {
        assert!(store.wanted(id).await.expect("read").is_some(), "{id}");
        assert!(store.report(id).await.expect("read").is_some(), "{id}");
    }
}

async fn what_was_said_before_is_kept_up_to_a_number(db: Db) {
    let store = db.replica().await;
    for n in 0..30 {
        let said = decision("failure", &format!("{n} files differ"));
        assert_eq!(store.decide_held(&[said], &[]).await.expect("decided"), Fenced::Done);
    }
    let pruned = store.prune(100, Keep { history: 10, ..NOTHING }).await.expect("pruned");
    assert_eq!(pruned.history, 20);
    let said: Vec<String> =
        store.history("key", 99).await.expect("read").into_iter().map(|row| row.description).collect();
    assert_eq!((said.len(), said[0].as_str(), said[9].as_str()), (10, "29 files differ", "20 files differ"));
}

async fn a_comment_that_has_not_acted_is_never_removed(db: Db) {
    let store = db.replica().await;
    store.accept(comment(1)).await.expect("accepted");
    store.accept(comment(2)).await.expect("accepted");
    let reading = store.claim_commands(&claim("a", 1_000)).await.expect("claimed");
    assert_eq!(store.acted_held(&reading[0], "check", 2_000).await.expect("acted"), Fenced::Done);
    assert_eq!(store.prune(100_000, NOTHING).await.expect("pruned").comments, 1);
    let left = store.claim_commands(&claim("a", 100_000)).await.expect("claimed");
    assert_eq!(left.iter().map(|claimed| claimed.command.comment).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn the_log_beside_a_sqlite_file_stays_small_and_is_emptied() {
    let db = Db::sqlite();
    let store = db.replica().await;
    let log = format!("{}-wal", db.url.trim_start_matches("sqlite://"));
    let size = || std::fs::metadata(&log).expect("a log").len();
    for now in 0..3_000 {
        store.hint(&[repo("core")], Level::Read, now).await.expect("hinted");
    }
    // Each of them wrote pages of 4 KiB to the log.
    assert!(size() > 4_096 && size() < 8 << 20, "{} bytes", size());
    store.prune(0, Keep::default()).await.expect("pruned");
    assert_eq!(size(), 0);
}
