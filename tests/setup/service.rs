//! What doctor says of the service on this machine, its database, the forge's clock, and of what is configured by halves.

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use drift_gate::demo::scene::{CORE, TEMPLATE};
use serde_json::json;

use crate::host::{BOT, eventually};
use crate::world::{World, of};

#[tokio::test(flavor = "multi_thread")]
async fn the_database_and_the_service_are_told_before_and_after_the_first_start() {
    let mut world = World::configured().await;
    let findings = world.findings(&["--fix", "--protect"], 0);
    let missing = "sqlite://drift-gate.db is not there yet: the service makes it at its first start";
    assert_eq!(of(&findings, "service", "database"), [("note", missing)]);
    assert_eq!(of(&findings, "service", "running")[0].0, "note");
    world.serve().await;
    let head = world.admin.commit(CORE, "main", &[("notes.md", Some("x\n"))]).await;
    world.expect(CORE, &head, "success").await;
    let core = format!("main/{CORE}");
    let findings = eventually("the delivery is seen", async || {
        let findings = world.findings(&[], 0);
        match of(&findings, &core, "delivery").first() {
            Some((_, words)) if words.starts_with("the last delivery was ") => Ok(findings),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let whole = "sqlite://drift-gate.db can be read, its schema is this version's";
    assert_eq!(of(&findings, "service", "database"), [("ok", whole)]);
    let running = format!("it runs, at {}", world.url);
    assert_eq!(of(&findings, "service", "running"), [("ok", running.as_str())]);
    assert_eq!(of(&findings, "service", "public"), [("ok", format!("{} leads to it", world.url).as_str())]);
    // A forge where everybody may post, and a branch where everybody may push, are told and no fault.
    assert_eq!(of(&findings, &core, "others")[0].0, "note");
    let pushes = "whoever may write pushes to main without a pull request, and so past the check";
    assert_eq!(of(&findings, &core, "pushes"), [("note", pushes)]);

    // Something else is where the database should be.
    std::fs::write(world.path("other.db"), "not a database ".repeat(1_000)).expect("written");
    world.change("sqlite://drift-gate.db", "sqlite://other.db");
    let told = world.doctor(&["--format", "json"]);
    assert_ne!(told.code, 0, "{told:?}");
    let document: serde_json::Value = serde_json::from_str(&told.out).expect("JSON");
    let findings: Vec<serde_json::Value> = serde_json::from_value(document["findings"].clone()).expect("findings");
    let database = of(&findings, "service", "database");
    assert!(database[0].0 != "ok" && database[0].1.contains("sqlite://other.db"), "{database:?}");
    assert_eq!(std::fs::read(world.path("other.db")).expect("there").len(), 15_000, "it is left as it was");
}

/// A Gitea whose clock is late, and that knows nobody.
async fn late(uri: Uri) -> impl IntoResponse {
    let date = (chrono::Utc::now() - chrono::Duration::minutes(10)).to_rfc2822().replace("+0000", "GMT");
    let (status, body) = match uri.path() {
        "/api/v1/version" => (StatusCode::OK, json!({ "version": "1.26.0" })),
        _ => (StatusCode::UNAUTHORIZED, json!({ "message": "no such token" })),
    };
    (status, [("date", date), ("content-type", "application/json".to_owned())], body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_by_minutes_is_a_fault() {
    let world = World::configured().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let other = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(late)).await });
    let findings = world.findings(&[], 1);
    assert_eq!(of(&findings, "forge main", "clock"), [("ok", "its clock is ours")]);
    world.change(&format!("url = \"{}\"", world.host.base()), &format!("url = \"{other}\""));
    let findings = world.findings(&[], 1);
    let clock = of(&findings, "forge main", "clock");
    assert!(clock[0].0 == "problem" && clock[0].1.ends_with(" s behind ours"), "{clock:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_configured_by_halves_and_a_repository_that_is_archived_are_told() {
    let world = World::configured().await;
    let whole = world.config();
    world.change("webhook_secrets = [{ env = \"DRIFT_GATE_WEBHOOK_SECRET\" }]", "");
    let told = world.doctor(&["--fix"]).is(1);
    assert!(told.contains("problem no webhook secret is configured: all deliveries are refused"), "{told}");
    assert!(told.contains("fix: configure a webhook secret first: a hook needs one"), "{told}");
    assert_eq!(world.admin.get(&format!("/repos/{CORE}/hooks")).await, json!([]), "one without a secret is not made");
    world.change("token = { file = \"token\" }", "");
    let told = world.doctor(&[]).is(1);
    assert!(told.contains("problem no token is configured: only what is public is read"), "{told}");

    // Who may waive is asked with a scope of its own.
    std::fs::write(world.path("drift-gate.toml"), &whole).expect("written");
    world.change("binding = {", "commands = { teams = [\"molecule/leads\"] }\nbinding = {");
    let token = world.host.token(BOT, &["write:repository", "write:issue", "read:user"]);
    std::fs::write(world.path("token"), token).expect("written");
    let told = world.doctor(&[]).is(1);
    assert!(told.contains("problem it may not read who is in the teams that may waive"), "{told}");
    assert!(told.contains("the token needs `read:organization`"), "{told}");

    world.admin.call("PATCH", &format!("/repos/{TEMPLATE}"), json!({ "archived": true })).await;
    let findings = world.findings(&[], 1);
    let archived = of(&findings, &format!("main/{TEMPLATE}"), "repository");
    assert_eq!(archived, [("problem", "it is archived: no status can be posted")]);
}
