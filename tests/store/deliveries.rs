//! What arrived is not lost, and waits to be looked at.

use std::collections::BTreeSet;

use drift_gate::store::{Fenced, Level, Store};

use crate::world::{Db, claim, comment, push, repo};

on_both!(
    an_accepted_delivery_is_still_there_after_a_restart,
    a_thousand_deliveries_at_once_are_one_repository_to_look_at,
    deliveries_of_many_repositories_at_once_lose_no_hint,
    a_hint_that_arrives_while_looking_makes_it_look_again,
    a_failed_look_waits_for_its_moment_and_a_planned_one_needs_no_hint,
    a_comment_is_a_command_once_however_often_it_is_delivered,
    a_comment_that_cannot_be_answered_yet_waits,
    what_a_delivery_says_may_hold_any_character,
);

async fn an_accepted_delivery_is_still_there_after_a_restart(db: Db) {
    let store = db.replica().await;
    assert_eq!(store.waiting().await.expect("counted").repositories, 0);
    store.accept(push("core")).await.expect("accepted");
    let waiting = store.waiting().await.expect("counted");
    assert_eq!((waiting.repositories, waiting.oldest_hint), (1, Some(push("core").received_at)));
    drop(store);
    let claimed = db.replica().await.claim(&claim("a", 1_000)).await.expect("claimed");
    assert_eq!(claimed.iter().map(|claimed| claimed.due.name.as_str()).collect::<Vec<_>>(), ["core"]);
}

async fn a_thousand_deliveries_at_once_are_one_repository_to_look_at(db: Db) {
    let store = db.replica().await;
    accept_all(&store, 1_000, |_| "core").await;
    assert_eq!(store.claim(&claim("a", 1_000)).await.expect("claimed").len(), 1);
}

async fn deliveries_of_many_repositories_at_once_lose_no_hint(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    tokio::join!(
        accept_all(&one, 500, |n| if n % 2 == 0 { "core" } else { "template" }),
        accept_all(&other, 500, |n| if n % 2 == 0 { "template" } else { "core" }),
    );
    let due: BTreeSet<String> =
        one.claim(&claim("a", 1_000)).await.expect("claimed").into_iter().map(|claimed| claimed.due.name).collect();
    assert_eq!(due, ["core".to_owned(), "template".to_owned()].into());
}

async fn accept_all(store: &Store, count: usize, name: impl Fn(usize) -> &'static str) {
    let deliveries = (0..count).map(|n| {
        let (store, arrival) = (store.clone(), push(name(n)));
        tokio::spawn(async move { store.accept(arrival).await })
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        delivery.await.expect("no panic").expect("accepted");
    }
}

async fn a_hint_that_arrives_while_looking_makes_it_look_again(db: Db) {
    let store = db.replica().await;
    store.accept(push("core")).await.expect("accepted");
    let looking = store.claim(&claim("a", 1_000)).await.expect("claimed").remove(0);
    store.accept(push("core")).await.expect("accepted");
    assert_eq!(store.settle_held(&looking, None).await.expect("settled"), Fenced::Done);
    let again = store.claim(&claim("a", 1_000)).await.expect("claimed");
    assert_eq!(again.len(), 1, "the second hint is not lost");
    assert_eq!(store.settle_held(&again[0], None).await.expect("settled"), Fenced::Done);
    assert!(store.claim(&claim("a", 1_000)).await.expect("claimed").is_empty());
    assert_eq!(store.next_due().await.expect("next"), None);
}

async fn a_failed_look_waits_for_its_moment_and_a_planned_one_needs_no_hint(db: Db) {
    let store = db.replica().await;
    store.hint(&[repo("core")], Level::Read, 900).await.expect("hinted");
    let looking = store.claim(&claim("a", 1_000)).await.expect("claimed").remove(0);
    assert_eq!(looking.due.hinted_at, Some(900));
    assert_eq!(store.postpone_held(&looking, 9_000).await.expect("postponed"), Fenced::Done);
    assert!(store.claim(&claim("a", 8_999)).await.expect("claimed").is_empty());
    assert_eq!(store.next_due().await.expect("next"), Some(9_000));
    let looking = store.claim(&claim("a", 9_000)).await.expect("claimed").remove(0);
    assert_eq!(looking.due.attempts, 1);
    assert_eq!(store.settle_held(&looking, Some(20_000)).await.expect("settled"), Fenced::Done);
    assert_eq!(store.next_due().await.expect("next"), Some(20_000));
    assert_eq!(store.claim(&claim("a", 20_000)).await.expect("claimed").len(), 1);
}

async fn a_comment_is_a_command_once_however_often_it_is_delivered(db: Db) {
    let store = db.replica().await;
    for _ in 0..3 {
        store.accept(comment(12)).await.expect("accepted");
    }
    let reading = store.claim_commands(&claim("a", 1_000)).await.expect("claimed");
    assert_eq!(reading.len(), 1);
    assert_eq!(store.acted_held(&reading[0], "check", 1_001).await.expect("acted"), Fenced::Done);
    store.accept(comment(12)).await.expect("accepted");
    assert!(store.claim_commands(&claim("a", 90_000)).await.expect("claimed").is_empty());
}

async fn a_comment_that_cannot_be_answered_yet_waits(db: Db) {
    let store = db.replica().await;
    store.accept(comment(12)).await.expect("accepted");
    let reading = store.claim_commands(&claim("a", 1_000)).await.expect("claimed").remove(0);
    assert_eq!(store.postpone_command_held(&reading, 5_000).await.expect("postponed"), Fenced::Done);
    assert!(store.claim_commands(&claim("a", 4_999)).await.expect("claimed").is_empty());
    let again = store.claim_commands(&claim("a", 5_000)).await.expect("claimed").remove(0);
    assert_eq!((again.command.attempts, again.lease.taken_over), (1, false));
}

async fn what_a_delivery_says_may_hold_any_character(db: Db) {
    let store = db.replica().await;
    for hostile in ["a\0b", "\u{1}\u{7f}", "'; DROP TABLE deliveries; --", "$1 \\u0000 {\"a\": [1]}", "\u{1F600}", ""] {
        let mut arrival = push("core");
        (arrival.delivery, arrival.repository) = (hostile.into(), hostile.into());
        store.accept(arrival).await.unwrap_or_else(|error| panic!("{hostile:?}: {error}"));
    }
    assert_eq!(store.waiting().await.expect("counted").repositories, 1);
}
