//! A database that is locked, gone or full: nothing is acknowledged that is not kept, and all goes on by itself after.

use std::time::{Duration, Instant};

use drift_gate::store::{Store, StoreError};
use sqlx::{AnyConnection, Connection, Executor};

use crate::postgres::Cluster;
use crate::world::{Db, push, repo};

/// How long a forge waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

async fn refused(store: &Store) -> StoreError {
    let began = Instant::now();
    let error = store.accept(push("core")).await.expect_err("it cannot be kept");
    assert!(began.elapsed() < PATIENCE, "the forge has hung up");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_another_process_holds_the_database_nothing_is_accepted() {
    let db = Db::sqlite();
    let store = db.replica().await;
    let mut other = AnyConnection::connect(&db.url).await.expect("a connection");
    other.execute("BEGIN EXCLUSIVE").await.expect("the lock");
    let refusals = tokio::join!(refused(&store), refused(&store), refused(&store));
    assert!(refusals.0.to_string().contains("locked"), "{:?}", refusals.0);
    assert!(store.check().await.is_err(), "and the service says that it is not ready");
    other.execute("ROLLBACK").await.expect("given back");
    store.accept(push("core")).await.expect("accepted");
    store.check().await.expect("ready");
}

#[tokio::test]
async fn a_database_that_was_moved_away_takes_nothing_until_it_is_back() {
    let db = Db::sqlite();
    let store = db.replica().await;
    store.accept(push("core")).await.expect("accepted");
    let file = db.url.trim_start_matches("sqlite://");
    std::fs::rename(file, format!("{file}.away")).expect("moved");
    let words = refused(&store).await.to_string();
    assert!(words.contains(&format!("the database {file} is gone")), "{words}");
    assert!(store.check().await.is_err());
    assert!(!std::path::Path::new(file).exists(), "no empty one is made in its place");
    std::fs::rename(format!("{file}.away"), file).expect("back");
    store.accept(push("template")).await.expect("accepted");
    assert_eq!(store.waiting().await.expect("counted").repositories, 2);
}

#[tokio::test]
async fn another_file_in_the_databases_place_takes_nothing() {
    let db = Db::sqlite();
    let store = db.replica().await;
    let file = db.url.trim_start_matches("sqlite://");
    std::fs::copy(file, format!("{file}.copy")).expect("copied");
    std::fs::rename(format!("{file}.copy"), file).expect("replaced");
    let words = refused(&store).await.to_string();
    assert!(words.contains(&format!("the database {file} was replaced")) && words.contains("start again"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL's programs"]
async fn a_server_that_is_down_is_waited_for_and_found_again() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.expect("a cluster");
    let store = Store::open(&cluster.database().await).await.expect("a store");
    store.register(&[repo("core"), repo("template")]).await.expect("registered");
    store.accept(push("core")).await.expect("accepted");
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.halt();
        cluster
    });
    let cluster = cluster.await.expect("halted");
    let refusals = tokio::join!(refused(&store), refused(&store));
    assert!(!refusals.0.to_string().is_empty());
    assert!(store.check().await.is_err());
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.run();
        cluster
    });
    let _cluster = cluster.await.expect("runs again");
    store.accept(push("template")).await.expect("accepted");
    assert_eq!(store.waiting().await.expect("counted").repositories, 2, "what was accepted before is there too");
}
