use super::*;

async fn fresh() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&address(&folder)).await.expect("a store");
    store.register(&[repo("core"), repo("template")]).await.expect("registered");
    (folder, store)
}

fn address(folder: &tempfile::TempDir) -> String {
    format!("sqlite://{}/drift-gate.db", folder.path().display())
}

fn repo(name: &str) -> (String, String) {
    ("main".to_owned(), name.to_owned())
}

fn push(name: &str) -> Arrival {
    Arrival {
        forge: "main".into(),
        delivery: "1".into(),
        event: "push".into(),
        repository: format!("molecule/{name}"),
        outcome: "look".into(),
        received_at: 1_000,
        effect: Effect::Look { name: name.into() },
    }
}

fn decision(state: &str, description: &str) -> Judged {
    Judged {
        id: "key".into(),
        forge: "main".into(),
        repository: "core".into(),
        forge_id: 1,
        sha: "c".repeat(40),
        context: "drift-gate".into(),
        state: state.into(),
        description: description.into(),
        url: "https://gate.example.org/r/key".into(),
        judgements: "[]".into(),
        decided_at: 5,
        is_new: false,
        reports: vec![("r1".into(), "{}".into())],
    }
}

#[tokio::test]
async fn an_accepted_delivery_is_still_there_after_a_restart() {
    let (folder, store) = fresh().await;
    assert_eq!(store.waiting().await.expect("counted").repositories, 0);
    store.accept(push("core")).await.expect("accepted");
    let waiting = store.waiting().await.expect("counted");
    assert_eq!((waiting.repositories, waiting.oldest_hint), (1, Some(push("core").received_at)));
    drop(store);
    let again = Store::open(&address(&folder)).await.expect("a store");
    let due = again.due(1_000).await.expect("due");
    assert_eq!(due.iter().map(|due| due.name.as_str()).collect::<Vec<_>>(), ["core"]);
}

#[tokio::test]
async fn a_thousand_deliveries_at_once_are_one_repository_to_look_at() {
    let (_folder, store) = fresh().await;
    let deliveries = (0..1_000).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.accept(push("core")).await })
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        delivery.await.expect("no panic").expect("accepted");
    }
    assert_eq!(store.due(1_000).await.expect("due").len(), 1);
}

#[tokio::test]
async fn a_hint_that_arrives_while_looking_makes_it_look_again() {
    let (_folder, store) = fresh().await;
    store.accept(push("core")).await.expect("accepted");
    let due = store.due(1_000).await.expect("due").remove(0);
    store.accept(push("core")).await.expect("accepted");
    store.settle(&due, None).await.expect("settled");
    let due = store.due(1_000).await.expect("due");
    assert_eq!(due.len(), 1, "the second hint is not lost");
    store.settle(&due[0], None).await.expect("settled");
    assert!(store.due(1_000).await.expect("due").is_empty());
}

#[tokio::test]
async fn a_failed_look_waits_for_its_moment_and_a_planned_one_needs_no_hint() {
    let (_folder, store) = fresh().await;
    store.accept(push("core")).await.expect("accepted");
    let due = store.due(1_000).await.expect("due").remove(0);
    store.postpone(&due, 9_000).await.expect("postponed");
    assert!(store.due(8_999).await.expect("due").is_empty());
    assert_eq!(store.next_due().await.expect("next"), Some(9_000));
    let due = store.due(9_000).await.expect("due").remove(0);
    assert_eq!(due.attempts, 1);
    store.settle(&due, Some(20_000)).await.expect("settled");
    assert_eq!(store.next_due().await.expect("next"), Some(20_000));
    assert_eq!(store.due(20_000).await.expect("due").len(), 1);
}

#[tokio::test]
async fn what_the_forge_was_told_is_not_told_again_until_it_changes() {
    let (_folder, store) = fresh().await;
    store.decide(&[decision("failure", "config.yaml differs")]).await.expect("kept");
    assert_eq!(store.waiting().await.expect("counted").unsent, 1);
    assert_eq!(store.unsent(0, 10).await.expect("unsent").len(), 1);
    let row = store.wanted("key").await.expect("read").expect("a row");
    store.told(&row, 7).await.expect("told");
    assert!(store.unsent(0, 10).await.expect("unsent").is_empty());
    store.decide(&[decision("failure", "config.yaml differs")]).await.expect("kept");
    assert!(store.unsent(0, 10).await.expect("unsent").is_empty(), "nothing changed");
    store.decide(&[decision("success", "in sync")]).await.expect("kept");
    assert_eq!(store.unsent(0, 10).await.expect("unsent")[0].state, "success");
    let states: Vec<String> =
        store.history("key", 10).await.expect("history").into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["success", "failure"]);
    assert_eq!(store.report("r1").await.expect("report").as_deref(), Some("{}"));
}

#[tokio::test]
async fn a_doubt_that_comes_while_the_forge_is_being_told_is_not_lost() {
    let (_folder, store) = fresh().await;
    store.decide(&[decision("failure", "config.yaml differs")]).await.expect("kept");
    let sending = store.unsent(0, 10).await.expect("unsent").remove(0);
    store.doubt(&sending.forge, sending.forge_id, &sending.sha).await.expect("doubted");
    store.told(&sending, 7).await.expect("told");
    let again = store.unsent(0, 10).await.expect("unsent").remove(0);
    assert_ne!(again.doubt, 0, "what the forge has is read again");
    store.told(&again, 8).await.expect("told");
    assert!(store.unsent(0, 10).await.expect("unsent").is_empty());
}

#[tokio::test]
async fn a_status_for_a_commit_that_is_no_head_any_more_is_not_sent() {
    let (_folder, store) = fresh().await;
    store.decide(&[decision("failure", "config.yaml differs")]).await.expect("kept");
    store.heads("main", "core", &[]).await.expect("no heads");
    assert!(store.unsent(0, 10).await.expect("unsent").is_empty());
    assert!(store.wanted("key").await.expect("row").is_some(), "its page stays");
}

#[tokio::test]
async fn a_comment_is_a_command_once_however_often_it_is_delivered() {
    let (_folder, store) = fresh().await;
    for _ in 0..3 {
        let effect = Effect::Comment { name: "core".into(), comment: 12, pull: 3 };
        store.accept(Arrival { effect, ..push("core") }).await.expect("accepted");
    }
    let commands = store.commands(1_000).await.expect("commands");
    assert_eq!(commands.len(), 1);
    store.acted(&commands[0], "check", 1_001).await.expect("acted");
    let effect = Effect::Comment { name: "core".into(), comment: 12, pull: 3 };
    store.accept(Arrival { effect, ..push("core") }).await.expect("accepted");
    assert!(store.commands(2_000).await.expect("commands").is_empty());
}

#[tokio::test]
async fn an_address_that_is_no_database_is_refused_by_name() {
    let error = Store::open("mysql://somewhere/db").await.err().expect("refused").to_string();
    assert!(error.contains("mysql://somewhere/db"), "{error}");
}

#[tokio::test]
async fn what_was_not_noted_as_sent_is_in_doubt_after_a_restart() {
    let (folder, store) = fresh().await;
    let new = Judged { is_new: true, ..decision("failure", "config.yaml differs") };
    store.decide(&[new]).await.expect("kept");
    assert_eq!(store.unsent(10, 9).await.expect("rows")[0].doubt, 0, "nobody can have said anything about a new head");
    drop(store);
    let again = Store::open(&address(&folder)).await.expect("a store");
    assert_ne!(again.unsent(10, 9).await.expect("rows")[0].doubt, 0, "it may have been sent and not noted");
}
