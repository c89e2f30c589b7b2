//! What people read of a database, while somebody works on it or when nobody does.

use drift_gate::store::{Fenced, Judged, ParkedCounts, Reader, Store, StoreError, Work};

use crate::world::{Db, claim, comment, decision, decision_on, push, repo};

on_both!(
    deliveries_are_read_page_by_page_newest_first,
    statuses_are_read_page_by_page_last_decided_first,
    what_is_dirty_leased_parked_and_unsent_is_counted_and_named,
    what_a_repository_left_behind_that_no_gate_names_is_not_told,
    a_database_that_is_read_cannot_be_written_and_must_be_of_this_version,
);

async fn decide(store: &Store, decisions: &[Judged]) {
    assert_eq!(store.decide_held(decisions, &[]).await.expect("kept"), Fenced::Done);
}

async fn deliveries_are_read_page_by_page_newest_first(db: Db) {
    let store = db.replica().await;
    for name in ["core", "template", "elsewhere"] {
        store.accept(push(name)).await.expect("accepted");
    }
    let reader = store.reader(&[repo("core")]);
    let names = async |before, most| {
        let rows = reader.deliveries(before, most).await.expect("read");
        rows.iter().map(|row| (row.number, row.repository.clone())).collect::<Vec<_>>()
    };
    let first = names(None, 2).await;
    assert_eq!([&*first[0].1, &*first[1].1], ["molecule/elsewhere", "molecule/template"], "also what no gate names");
    let second = names(Some(first[1].0), 2).await;
    assert_eq!((second.len(), &*second[0].1), (1, "molecule/core"));
    assert!(names(Some(second[0].0), 2).await.is_empty());
}

async fn statuses_are_read_page_by_page_last_decided_first(db: Db) {
    let store = db.replica().await;
    // Two of one moment.
    for (commit, decided_at) in [(1, 10), (2, 20), (3, 20), (4, 30)] {
        decide(&store, &[Judged { decided_at, ..decision_on(commit, "core", 1) }]).await;
    }
    let reader = store.reader(&[repo("core")]);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let cursor = after.as_ref().map(|(at, id): &(i64, String)| (*at, id.as_str()));
        let page = reader.targets(cursor, 1).await.expect("read");
        let Some(row) = page.first() else { break };
        after = Some((row.wanted.decided_at, row.wanted.id.clone()));
        seen.push(row.wanted.id.clone());
    }
    assert_eq!(seen, ["key core 4", "key core 3", "key core 2", "key core 1"]);
}

async fn what_is_dirty_leased_parked_and_unsent_is_counted_and_named(db: Db) {
    let store = db.replica().await;
    let reader = store.reader(&[repo("core"), repo("template")]);
    store.accept(push("core")).await.expect("accepted");
    store.accept(push("template")).await.expect("accepted");
    store.accept(comment(7)).await.expect("accepted");
    let dirty = reader.dirty(1).await.expect("read");
    assert_eq!((dirty.count, dirty.rows.len(), dirty.rows[0].hinted_at), (2, 1, Some(1_000)));

    let broken = r#"[{"gate":"g","role":{"role":"consumer_branch","branch":"main"},"report":null,"why":"no source"}]"#;
    let judged = r#"[{"gate":"g","role":{"role":"consumer_branch","branch":"main"},"report":"r1","why":null}]"#;
    let error = |commit, judgements: &str| Judged {
        state: "error".into(),
        judgements: judgements.into(),
        ..decision_on(commit, "core", 1)
    };
    decide(&store, &[error(1, broken), error(2, judged), decision("success", "in sync")]).await;
    store.park("key", 5_000).await.expect("parked");
    let parked = reader.parked(2_000, 10).await.expect("read");
    let ids: Vec<&str> = parked.rows.iter().map(|row| row.wanted.id.as_str()).collect();
    assert_eq!((parked.count, ids), (2, vec!["key core 1", "key"]), "an error that a report explains is not parked");
    assert_eq!(parked.rows[1].parked_until, Some(5_000));
    let counts = reader.parked_counts(2_000).await.expect("read");
    assert_eq!(counts, ParkedCounts { overwritten: 1, not_judged: 1 });
    assert_eq!(reader.parked_counts(5_000).await.expect("read").overwritten, 0, "for that long");
    assert_eq!(reader.unsent(1).await.expect("read").count, 3);

    assert_eq!(reader.lease_counts(2_000).await.expect("read"), [0, 0, 0, 0]);
    assert_eq!(store.claim(&claim("one", 2_000)).await.expect("claimed").len(), 2);
    assert_eq!(store.claim_unsent(&claim("one", 2_000), 99_000).await.expect("claimed").len(), 3);
    assert_eq!(store.claim_commands(&claim("two", 2_001)).await.expect("claimed").len(), 1);
    assert_eq!(reader.lease_counts(2_000).await.expect("read"), [2, 3, 1, 0]);
    let leases = reader.leases(2_000, 10).await.expect("read");
    assert_eq!((leases.count, leases.rows.len()), (6, 6));
    let last = leases.rows.last().expect("a row");
    assert_eq!((last.work, last.of.as_str(), last.holder.as_str(), last.until), (Work::Comment, "7", "two", 12_001));
    assert_eq!(reader.leases(12_000, 10).await.expect("read").count, 1, "the others have ended");
}

async fn what_a_repository_left_behind_that_no_gate_names_is_not_told(db: Db) {
    let store = db.replica().await;
    store.accept(push("template")).await.expect("accepted");
    decide(&store, &[decision_on(1, "template", 2)]).await;
    let reader = store.reader(&[repo("core")]);
    assert_eq!(reader.dirty(9).await.expect("read").count, 0);
    assert_eq!(reader.unsent(9).await.expect("read").count, 0);
    assert!(reader.targets(None, 9).await.expect("read").is_empty());
    assert_eq!(store.reader(&[]).parked_counts(0).await.expect("read"), ParkedCounts::default());
}

async fn a_database_that_is_read_cannot_be_written_and_must_be_of_this_version(db: Db) {
    let none = Reader::open(&db.url, &[]).await.err().expect("nothing is there");
    assert!(matches!(none, StoreError::Url(_) | StoreError::Empty), "{none}");
    let store = db.replica().await;
    decide(&store, &[decision("failure", "drift")]).await;
    let reader = Reader::open(&db.url, &[repo("core")]).await.expect("opened beside it");
    let (row, report) = (reader.target("key").await.expect("read"), reader.report("r1").await.expect("read"));
    assert_eq!(row.expect("the status").wanted.description, "drift");
    assert_eq!(report, Some(("{}".to_owned(), 5)));
    assert_eq!(reader.history("key", 9).await.expect("read").len(), 1);
    assert_eq!(reader.meta("nothing").await.expect("read"), None);
}
