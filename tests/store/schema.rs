//! Databases of other versions, and databases that are none.

use std::borrow::Cow;

use drift_gate::store::{Fenced, Store, StoreError, Upkeep};
use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, Connection, Executor};

use crate::world::{Db, claim, push};

on_both!(
    a_database_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it,
    a_database_of_a_newer_version_is_refused_and_left_alone,
    replicas_that_start_at_once_make_one_schema,
    a_database_is_checked_beside_the_running_service,
    a_database_without_a_schema_is_said_to_be_none_of_ours,
);

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

async fn connect(db: &Db) -> AnyConnection {
    sqlx::any::install_default_drivers();
    let url = if db.url.starts_with("sqlite") { format!("{}?mode=rwc", db.url) } else { db.url.clone() };
    AnyConnection::connect(&url).await.expect("a connection")
}

async fn a_database_of_the_first_version_is_brought_up_to_date_with_all_that_is_in_it(db: Db) {
    let steps = if db.url.starts_with("sqlite") { &SQLITE } else { &POSTGRES };
    let first: Vec<_> = steps.iter().filter(|step| step.version == 1).cloned().collect();
    let mut connection = connect(&db).await;
    let old = Migrator { migrations: Cow::Owned(first), ..Migrator::DEFAULT };
    old.run(&mut connection).await.expect("the old schema");
    for row in [
        "INSERT INTO repositories (forge, name, hinted, hinted_at) VALUES ('main', 'core', 3, 700)",
        "INSERT INTO wanted (id, forge, repository, forge_id, sha, context, state, description, url, judgements, decided_at) \
         VALUES ('key', 'main', 'core', 1, 'abc', 'drift-gate', 'failure', 'drift', 'https://x', '[]', 5)",
        "INSERT INTO comments (forge, repository, comment, pull, received_at) VALUES ('main', 'core', 12, 3, 800)",
        "INSERT INTO meta (key, value) VALUES ('link_secret', 'abcd')",
    ] {
        connection.execute(row).await.expect("a row");
    }
    connection.close().await.expect("closed");

    let store = db.replica().await;
    assert_eq!(store.meta("link_secret").await.expect("read").as_deref(), Some("abcd"));
    let looking = store.claim(&claim("a", 1_000)).await.expect("claimed");
    assert_eq!((looking.len(), looking[0].due.hinted_at), (1, Some(700)));
    assert_eq!(store.claim_unsent(&claim("a", 1_000), 0).await.expect("claimed").len(), 1);
    assert_eq!(store.claim_commands(&claim("a", 1_000)).await.expect("claimed").len(), 1);
    assert_eq!(store.settle_held(&looking[0], None).await.expect("settled"), Fenced::Done);
}

async fn a_database_of_a_newer_version_is_refused_and_left_alone(db: Db) {
    db.replica().await.close().await;
    let mut connection = connect(&db).await;
    connection
        .execute("UPDATE _sqlx_migrations SET version = 9000, description = 'of tomorrow' WHERE version = 1")
        .await
        .expect("a newer one");
    let error = Store::open(&db.url).await.err().expect("refused");
    assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    let words = error.to_string();
    assert!(words.contains("9000") && words.contains("use the version of drift-gate that wrote it"), "{words}");
    let upkeep = Upkeep::open(&db.url).await.expect("opened");
    assert_eq!(upkeep.check().await.expect("checked").schema, 9000);
    let words = upkeep.prune(0, drift_gate::store::Keep::default()).await.expect_err("refused").to_string();
    assert!(words.contains("9000"), "{words}");
}

async fn replicas_that_start_at_once_make_one_schema(db: Db) {
    // On SQLite only one process uses a database: there the second start finds what the first one made.
    if db.url.starts_with("sqlite") {
        drop(db.replica().await);
    }
    let starting: Vec<_> = (0..3)
        .map(|_| {
            let url = db.url.clone();
            tokio::spawn(async move { Store::open(&url).await.map(drop) })
        })
        .collect();
    for started in starting {
        started.await.expect("no panic").expect("started");
    }
    db.replica().await.accept(push("core")).await.expect("accepted");
}

async fn a_database_is_checked_beside_the_running_service(db: Db) {
    let store = db.replica().await;
    store.accept(push("core")).await.expect("accepted");
    let checked = Upkeep::open(&db.url).await.expect("opened").check().await.expect("checked");
    assert_eq!(checked.schema, checked.current);
    assert_eq!(checked.damage, Vec::<String>::new());
    assert!(checked.rows.contains(&("deliveries", 1)) && checked.rows.contains(&("repositories", 2)), "{checked:?}");
    store.accept(push("core")).await.expect("accepted");
}

async fn a_database_without_a_schema_is_said_to_be_none_of_ours(db: Db) {
    connect(&db).await.execute("CREATE TABLE somebodys (thing BIGINT)").await.expect("made");
    let error = Upkeep::open(&db.url).await.expect("opened").check().await.expect_err("none of ours");
    assert!(matches!(error, StoreError::Empty), "{error:?}");
}

#[tokio::test]
async fn an_address_that_is_no_database_is_refused_by_name() {
    let error = Store::open("mysql://somewhere/db").await.err().expect("refused").to_string();
    assert!(error.contains("mysql://somewhere/db"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("nowhere");
    let error = Store::open(&format!("sqlite://{}/gate.db", missing.display())).await.err().expect("refused");
    let words = error.to_string();
    assert_eq!(words, format!("there is no folder {}: make it, writable for this user", missing.display()));
    let error = Upkeep::open(&format!("sqlite://{}/gate.db", folder.path().display())).await.err().expect("refused");
    assert_eq!(error.to_string(), format!("there is no file {}/gate.db", folder.path().display()));
    let error = Store::open(&format!("sqlite://{}", folder.path().display())).await.err().expect("a folder is no file");
    assert!(error.to_string().starts_with(&format!("{}: ", folder.path().display())), "{error}");
}
