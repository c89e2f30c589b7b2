//! Waivers, the log, and the one answer on each pull request.

use drift_gate::store::{Ask, By, Fenced, Keep, NewWaiver, Store};

use crate::world::{Db, claim, comment, push, repo};

on_both!(
    a_waiver_is_kept_until_another_takes_its_place_or_it_is_taken_back,
    a_comment_that_is_read_again_waives_once,
    a_waiver_that_ends_by_itself_is_ended_by_who_holds_the_repository,
    waivers_in_force_stay_and_what_ended_goes_after_its_time,
    comments_of_one_pull_request_are_read_in_their_order,
    an_answer_waits_for_the_comments_that_came_with_it,
    what_is_asked_while_an_answer_is_written_is_answered_next,
    two_replicas_write_one_answer,
);

fn by(comment: i64) -> By<'static> {
    By { forge: "main", repository: "core", pull: 3, comment, login: "alice", at: 1_000 + comment }
}

fn of(gate: &str) -> NewWaiver {
    NewWaiver { gate: gate.into(), sha: "a".repeat(40), items: "[]".into() }
}

async fn in_force(store: &Store) -> Vec<(String, String)> {
    let rows = store.waivers(Some(("main", "core"))).await.expect("read");
    rows.into_iter().map(|row| (row.gate, row.reason)).collect()
}

async fn log(store: &Store) -> Vec<String> {
    let rows = store.reader(&[repo("core")]).audit(None, 100).await.expect("read");
    rows.iter().map(|row| format!("{} {} {} {}", row.login, row.act, row.gate, row.words)).collect()
}

async fn a_waiver_is_kept_until_another_takes_its_place_or_it_is_taken_back(db: Db) {
    let store = db.replica().await;
    store.waive(&by(1), "hot\0fix", Some(9_000), &[of("g"), of("h")]).await.expect("kept");
    let row = store.waivers(None).await.expect("read").remove(0);
    assert_eq!((row.pull, row.login.as_str(), row.until, row.made_at), (3, "alice", Some(9_000), 1_001));
    assert_eq!(
        in_force(&store).await,
        [("g".into(), "hot\u{fffd}fix".into()), ("h".into(), "hot\u{fffd}fix".to_owned())]
    );
    store.waive(&by(2), "longer", None, &[of("g")]).await.expect("kept");
    assert_eq!(in_force(&store).await, [("h".into(), "hot\u{fffd}fix".into()), ("g".into(), "longer".to_owned())]);
    assert_eq!(store.unwaive(&by(3), &["g".into(), "none".into()]).await.expect("kept"), 1);
    assert_eq!(in_force(&store).await.len(), 1);
    assert_eq!(store.unwaive(&by(4), &["g".into()]).await.expect("kept"), 0);
    assert_eq!(
        log(&store).await,
        [
            "alice unwaive g taken back",
            "alice waive g longer",
            "alice waive h hot\u{fffd}fix",
            "alice waive g hot\u{fffd}fix"
        ]
    );
}

async fn a_comment_that_is_read_again_waives_once(db: Db) {
    let store = db.replica().await;
    for _ in 0..2 {
        store.waive(&by(1), "fix", None, &[of("g")]).await.expect("kept");
        store.log(&by(9), "refused", "", "waive").await.expect("kept");
    }
    store.unwaive(&by(2), &["g".into()]).await.expect("kept");
    store.waive(&by(1), "fix", None, &[of("g")]).await.expect("kept");
    assert!(in_force(&store).await.is_empty(), "what was taken back stays so");
    assert_eq!(log(&store).await.len(), 3);
}

async fn a_waiver_that_ends_by_itself_is_ended_by_who_holds_the_repository(db: Db) {
    let store = db.replica().await;
    store.waive(&by(1), "fix", None, &[of("g")]).await.expect("kept");
    let number = store.waivers(None).await.expect("read")[0].number;
    store.accept(push("core")).await.expect("accepted");
    let stalled = store.claim(&claim("a", 1_000)).await.expect("claimed").remove(0);
    let holding = store.claim(&claim("b", 20_000)).await.expect("claimed").remove(0);
    let over = [(number, "its time is over".to_owned())];
    assert_eq!(store.end_waivers_held(&stalled.lease, &over, 21_000).await.expect("asked"), Fenced::Lost);
    assert_eq!(in_force(&store).await.len(), 1);
    for _ in 0..2 {
        assert_eq!(store.end_waivers_held(&holding.lease, &over, 21_000).await.expect("ended"), Fenced::Done);
    }
    assert!(in_force(&store).await.is_empty());
    assert_eq!(log(&store).await, [" ended g its time is over", "alice waive g fix"]);
}

async fn waivers_in_force_stay_and_what_ended_goes_after_its_time(db: Db) {
    let store = db.replica().await;
    store.waive(&by(1), "fix", Some(5), &[of("g"), of("h")]).await.expect("kept");
    store.unwaive(&by(2), &["g".into()]).await.expect("kept");
    let keep = Keep { audit: std::time::Duration::from_millis(10_000), ..Keep::default() };
    assert_eq!(store.prune(10_000, keep).await.expect("pruned").audit, 0);
    // The waiver that has ended, and three lines.
    assert_eq!(store.prune(20_000, keep).await.expect("pruned").audit, 4);
    assert_eq!(in_force(&store).await.len(), 1);
}

async fn comments_of_one_pull_request_are_read_in_their_order(db: Db) {
    let store = db.replica().await;
    for number in [12, 7, 9] {
        store.accept(comment(number)).await.expect("accepted");
    }
    for number in [7, 9, 12] {
        let reading = store.claim_commands(&claim("a", 1_000)).await.expect("claimed");
        let numbers: Vec<i64> = reading.iter().map(|one| one.command.comment).collect();
        assert_eq!(numbers, [number]);
        assert!(store.claim_commands(&claim("b", 1_000)).await.expect("claimed").is_empty(), "nobody overtakes it");
        assert_eq!(store.acted_held(&reading[0], "check", 1_000).await.expect("acted"), Fenced::Done);
    }
}

fn ask(said: &str, afresh: bool) -> Ask<'_> {
    Ask { forge: "main", repository: "core", pull: 3, said, afresh }
}

async fn an_answer_waits_for_the_comments_that_came_with_it(db: Db) {
    let store = db.replica().await;
    store.accept(comment(1)).await.expect("accepted");
    store.accept(comment(2)).await.expect("accepted");
    let first = store.claim_commands(&claim("a", 1_000)).await.expect("claimed").remove(0);
    store.ask(&ask("one", true), 1_000).await.expect("asked");
    assert_eq!(store.acted_held(&first, "check", 1_000).await.expect("acted"), Fenced::Done);
    assert!(store.claim_answers(&claim("a", 1_000), 0).await.expect("claimed").is_empty(), "another is not read yet");
    assert_eq!(store.next_due().await.expect("read"), Some(0));
    let second = store.claim_commands(&claim("a", 1_000)).await.expect("claimed").remove(0);
    store.ask(&ask("both", false), 1_100).await.expect("asked");
    assert_eq!(store.acted_held(&second, "explain", 1_000).await.expect("acted"), Fenced::Done);
    let answer = store.claim_answers(&claim("a", 1_200), 0).await.expect("claimed").remove(0);
    assert_eq!((answer.answer.said.as_str(), answer.answer.afresh, answer.answer.comment), ("both", true, None));
    assert_eq!(store.answered_held(&answer, Some(77), 3_000, 1_300).await.expect("kept"), Fenced::Done);
    assert_eq!(store.next_due().await.expect("read"), None);
    // A comment that is never read holds up nothing for long.
    store.accept(comment(3)).await.expect("accepted");
    store.ask(&ask("more", false), 4_000).await.expect("asked");
    assert!(store.claim_answers(&claim("a", 4_000), 3_999).await.expect("claimed").is_empty());
    let answer = store.claim_answers(&claim("a", 9_000), 4_000).await.expect("claimed").remove(0);
    assert_eq!((answer.answer.afresh, answer.answer.comment), (false, Some(77)), "it was judged afresh before");
}

async fn what_is_asked_while_an_answer_is_written_is_answered_next(db: Db) {
    let store = db.replica().await;
    store.ask(&ask("one", false), 1_000).await.expect("asked");
    let writing = store.claim_answers(&claim("a", 1_000), 0).await.expect("claimed").remove(0);
    store.ask(&ask("two", true), 1_100).await.expect("asked");
    assert_eq!(store.answered_held(&writing, Some(5), 3_000, 1_200).await.expect("kept"), Fenced::Done);
    assert!(store.claim_answers(&claim("a", 2_999), 0).await.expect("claimed").is_empty(), "a pause lies between");
    let next = store.claim_answers(&claim("a", 3_000), 0).await.expect("claimed").remove(0);
    assert_eq!((next.answer.said.as_str(), next.answer.afresh), ("two", true));
    assert_eq!(store.postpone_answer_held(&next, 5_000).await.expect("kept"), Fenced::Done);
    let again = store.claim_answers(&claim("a", 5_000), 0).await.expect("claimed").remove(0);
    assert_eq!((again.answer.attempts, again.answer.comment, again.answer.afresh), (1, Some(5), true));
}

async fn two_replicas_write_one_answer(db: Db) {
    let store = db.replica().await;
    store.ask(&ask("one", false), 1_000).await.expect("asked");
    let stalled = store.claim_answers(&claim("a", 1_000), 0).await.expect("claimed").remove(0);
    assert!(store.claim_answers(&claim("b", 1_000), 0).await.expect("claimed").is_empty());
    let taken = store.claim_answers(&claim("b", 20_000), 0).await.expect("claimed").remove(0);
    assert!(taken.lease.taken_over);
    assert_eq!(store.answered_held(&stalled, Some(1), 0, 20_000).await.expect("asked"), Fenced::Lost);
    assert_eq!(store.answered_held(&taken, Some(2), 0, 20_000).await.expect("kept"), Fenced::Done);
    assert_eq!(store.answer("main", "core", 3).await.expect("read").expect("a row").comment, Some(2));
}
