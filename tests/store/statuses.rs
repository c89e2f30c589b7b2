//! What each status should say, and what the forge was told.

use drift_gate::store::{Fenced, Judged, Outgoing, Store};

use crate::world::{Db, claim, decision, decision_on};

on_both!(
    what_the_forge_was_told_is_not_told_again_until_it_changes,
    a_doubt_that_comes_while_the_forge_is_being_told_is_not_lost,
    a_status_for_a_commit_that_is_no_head_any_more_is_not_sent,
    a_status_that_the_forge_refused_waits_and_says_why,
    what_was_not_noted_as_sent_is_in_doubt_after_a_restart,
    what_a_dead_replica_may_have_sent_is_put_right_though_what_was_told_is_wanted_again,
    a_new_address_of_the_same_status_replaces_the_old_one,
);

async fn decide(store: &Store, decision: Judged) {
    assert_eq!(store.decide_held(&[decision], &[]).await.expect("kept"), Fenced::Done);
}

async fn unsent(store: &Store, now: i64) -> Vec<Outgoing> {
    store.claim_unsent(&claim("one", now), 0).await.expect("claimed")
}

async fn what_the_forge_was_told_is_not_told_again_until_it_changes(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("failure", "config.yaml differs")).await;
    assert_eq!(store.waiting().await.expect("counted").unsent, 1);
    let sending = unsent(&store, 10).await.remove(0);
    assert_eq!(store.told_held(&sending, 17).await.expect("told"), Fenced::Done);
    assert!(unsent(&store, 20).await.is_empty());
    decide(&store, decision("failure", "config.yaml differs")).await;
    assert!(unsent(&store, 30).await.is_empty(), "nothing changed");
    decide(&store, decision("success", "in sync")).await;
    assert_eq!(unsent(&store, 40).await[0].row.state, "success");
    let states: Vec<String> =
        store.history("key", 10).await.expect("history").into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["success", "failure"]);
    assert_eq!(store.report("r1").await.expect("report").as_deref(), Some("{}"));
    let told = store.wanted("key").await.expect("read").expect("a row").told.expect("told");
    assert_eq!((told.state.as_str(), told.at), ("failure", 17));
}

async fn a_doubt_that_comes_while_the_forge_is_being_told_is_not_lost(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("failure", "config.yaml differs")).await;
    let sending = unsent(&store, 10).await.remove(0);
    store.doubt("main", 1, &sending.row.sha).await.expect("doubted");
    assert_eq!(store.told_held(&sending, 17).await.expect("told"), Fenced::Done);
    let again = unsent(&store, 20).await.remove(0);
    assert_ne!(again.row.doubt, 0, "what the forge has is read again");
    assert_eq!(store.told_held(&again, 28).await.expect("told"), Fenced::Done);
    assert!(unsent(&store, 30).await.is_empty());
}

async fn a_status_for_a_commit_that_is_no_head_any_more_is_not_sent(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("failure", "config.yaml differs")).await;
    decide(&store, decision_on(1, "core", 1)).await;
    decide(&store, decision_on(1, "template", 2)).await;
    let core = store.claim_named(&claim("one", 10), &["core"]).await.expect("claimed").remove(0);
    let heads = store.heads_held(&core.lease, &["key core 1".to_owned()], 10).await.expect("noted");
    assert_eq!(heads, Fenced::Done);
    let mut ids: Vec<String> = unsent(&store, 10).await.into_iter().map(|sending| sending.row.id).collect();
    ids.sort();
    assert_eq!(ids, ["key core 1", "key template 1"]);
    assert!(store.wanted("key").await.expect("row").is_some(), "its page stays");
    decide(&store, decision("failure", "config.yaml differs")).await;
    assert_eq!(unsent(&store, 20).await.len(), 1, "it is a head again");
}

async fn a_status_that_the_forge_refused_waits_and_says_why(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("failure", "config.yaml differs")).await;
    let sending = unsent(&store, 10).await.remove(0);
    assert_eq!(store.not_told_held(&sending, "403: no rights", 9_000).await.expect("noted"), Fenced::Done);
    assert!(unsent(&store, 8_999).await.is_empty());
    let again = unsent(&store, 9_000).await.remove(0);
    assert_eq!((again.row.attempts, again.row.trouble.as_deref()), (1, Some("403: no rights")));
    assert_ne!(again.row.doubt, 0, "it may have been taken all the same");
}

async fn what_was_not_noted_as_sent_is_in_doubt_after_a_restart(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("failure", "config.yaml differs")).await;
    let sending = unsent(&store, 10).await.remove(0);
    assert_eq!(sending.row.doubt, 0, "nobody can have said anything about a new head");
    drop(store);
    let again = db.replica().await;
    let sending = unsent(&again, 50_000).await.remove(0);
    assert_ne!(sending.row.doubt, 0, "it may have been sent and not noted");
}

async fn what_a_dead_replica_may_have_sent_is_put_right_though_what_was_told_is_wanted_again(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("success", "in sync")).await;
    let sending = unsent(&store, 10).await.remove(0);
    assert_eq!(store.told_held(&sending, 17).await.expect("told"), Fenced::Done);
    // It sends that it drifts, and is never heard of again; meanwhile that is over.
    decide(&store, decision("failure", "config.yaml differs")).await;
    assert_eq!(unsent(&store, 20).await.len(), 1);
    decide(&store, decision("success", "in sync")).await;
    let again = unsent(&store, 50_000).await;
    assert_eq!(again.len(), 1, "the forge may say that it drifts");
    assert_ne!(again[0].row.doubt, 0, "it is read first");
    assert_eq!((again[0].row.state.as_str(), again[0].row.is_told()), ("success", false));
}

async fn a_new_address_of_the_same_status_replaces_the_old_one(db: Db) {
    let store = db.replica().await;
    decide(&store, decision("failure", "config.yaml differs")).await;
    // The link secret was changed, and so every address.
    let url = "https://gate.example.org/r/new";
    decide(&store, Judged { id: "new".into(), url: url.into(), ..decision("failure", "config.yaml differs") }).await;
    assert!(store.wanted("key").await.expect("read").is_none());
    let row = store.wanted("new").await.expect("read").expect("a row");
    assert_eq!((row.url.as_str(), row.head), (url, true));
    assert_eq!(store.history("new", 10).await.expect("history").len(), 1, "what it said before comes along");
}

#[tokio::test]
async fn a_sqlite_database_forgets_at_a_start_what_was_told_before_the_last_try() {
    let db = Db::sqlite();
    let store = db.replica().await;
    decide(&store, decision("success", "in sync")).await;
    let sending = unsent(&store, 10).await.remove(0);
    assert_eq!(store.told_held(&sending, 17).await.expect("told"), Fenced::Done);
    decide(&store, decision("failure", "config.yaml differs")).await;
    // It was sent, and the power went: neither the lease nor that it was told had come to the disk.
    drop(store);
    let again = db.replica().await;
    again.recover(40_000).await.expect("recovered");
    decide(&again, decision("success", "in sync")).await;
    let sending = unsent(&again, 50_000).await;
    assert_eq!(sending.len(), 1, "the forge may say that it drifts");
    assert_ne!(sending[0].row.doubt, 0, "it is read first");
}
