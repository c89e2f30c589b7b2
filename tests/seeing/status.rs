//! `drift-gate status`, of a service that runs and of one that does not.

use drift_gate::store::{Arrival, Claim, Effect, Store};
use serde_json::Value;

use crate::world::World;

/// The answer as JSON, from a command that ended with 0.
fn json(world: &World, words: &[&str]) -> Value {
    let said = world.type_in(&[&["status", "--format", "json"], words].concat());
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    serde_json::from_str(&said.out).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_service_says_that_nothing_is_left_to_do() {
    let world = World::served().await;
    let said = world.type_in(&["status"]);
    let wanted =
        format!("the service at {} says\ndirty    0\nleased   0\nparked   0\nunsent   0\nlast gap none\n", world.url);
    assert_eq!((said.code, said.out, said.err), (0, wanted, String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_may_come_from_another_variable_and_the_address_from_the_command_line() {
    let world = World::served().await;
    let told = json(&world, &["--url", &format!("{}/", world.url), "--token-env", "SEEN_ADMIN_TOKEN"]);
    assert_eq!(told["from"]["url"], world.url);
    let wrong = world.type_in(&["status", "--url", &world.url, "--token-env", "SEEN_WEBHOOK_SECRET"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("does not take this admin token"), "{}", wrong.err);
    let unset = world.type_in(&["status", "--url", &world.url, "--token-env", "SEEN_NOWHERE"]);
    assert_eq!(unset.code, 2);
    assert!(unset.err.contains("environment variable SEEN_NOWHERE is not set"), "{}", unset.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_does_not_run_is_read_from_its_database_which_stays_as_it_is() {
    let mut world = World::served().await;
    world.stop();
    let database = world.path("drift-gate.db");
    {
        // What a process leaves that dies at its work.
        let store = Store::open(&format!("sqlite://{}", database.display())).await.expect("the store");
        store.register(&[("demo".into(), "molecule/core".into())]).await.expect("registered");
        let name = "molecule/core".to_owned();
        let arrival = Arrival {
            forge: "demo".into(),
            delivery: "d1".into(),
            event: "push".into(),
            repository: name.clone(),
            outcome: "look".into(),
            received_at: chrono::Utc::now().timestamp_millis() - 300_000,
            effect: Effect::Look { name },
        };
        store.accept(arrival).await.expect("accepted");
        let now = chrono::Utc::now().timestamp_millis();
        let claim = Claim { forge: "demo", holder: "4711-dead", now, until: now + 600_000, most: 1 };
        let claimed = store.claim(&claim).await.expect("claimed");
        assert_eq!(claimed[0].due.delivery.as_deref(), Some("d1"));
        store.close().await;
    }
    // A store that was closed takes a moment to put its log into the file.
    world.until("the log is put away", async || !world.path("drift-gate.db-wal").exists()).await;
    let before = std::fs::read(&database).expect("the database");
    let said = world.type_in(&["status"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], format!("the database sqlite://drift-gate.db says; no service answers at {}", world.url));
    assert_eq!(
        &lines[1..5],
        ["dirty    1, the oldest for 5 min", "  demo/molecule/core  5 min", "leased   1", lines[4],]
    );
    assert!(
        lines[4].starts_with("  look  demo/molecule/core    ") && lines[4].ends_with(" left, by 4711-dead"),
        "{lines:?}"
    );
    assert_eq!(json(&world, &[])["leased"]["first"][0]["by"], "4711-dead", "the lease is still there");
    assert!(before == std::fs::read(&database).expect("the database"), "no byte of it changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_service_that_lets_nobody_in_the_database_is_read() {
    let mut world = World::new("").await;
    world.serve(&[]).await;
    let told = json(&world, &[]);
    assert_eq!(told["from"]["kind"], "database");
    assert!(told["from"]["because"].as_str().expect("words").ends_with("is closed: it has no server.admin_token"));
    let asked = world.type_in(&["status", "--url", &world.url]);
    assert_eq!(asked.code, 2, "{}", asked.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_say_it_the_exit_code_says_so() {
    let world = World::new("").await;
    let neither = world.type_in(&["status"]);
    assert_eq!((neither.code, neither.out.as_str()), (3, ""));
    assert!(
        neither.err.contains("no service answers at") && neither.err.contains("there is no file"),
        "{}",
        neither.err
    );
    assert!(!world.path("drift-gate.db").exists(), "none is made");
    std::fs::write(world.path("drift-gate.db"), "").expect("written");
    assert!(world.type_in(&["status"]).err.contains("this is no database of drift-gate"));
    let nobody = world.type_in(&["status", "--url", &world.url]);
    assert_eq!(nobody.code, 3);
    for (words, part) in [
        (["status", "--config", "nowhere.toml"], "nowhere.toml"),
        (["status", "--url", "core"], "--url is the address of a service"),
        (["status", "--url", "http://me:secret@127.0.0.1"], "--url is the address alone"),
    ] {
        let wrong = world.type_in(&words);
        assert_eq!(wrong.code, 2, "{words:?}: {}", wrong.err);
        assert!(wrong.err.contains(part) && !wrong.err.contains("secret"), "{}", wrong.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_at_the_address_never_sees_the_token() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::new("admin_token = { env = \"SEEN_ADMIN_TOKEN\" }").await;
    let other = tokio::net::TcpListener::bind(world.url.trim_start_matches("http://")).await.expect("the port");
    let heard = tokio::spawn(async move {
        let mut heard = String::new();
        let (mut stream, _) = other.accept().await.expect("a caller");
        let mut bytes = [0; 4096];
        while !heard.ends_with("\r\n\r\n") {
            let read = stream.read(&mut bytes).await.expect("a request");
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let asks =
            "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(asks.as_bytes()).await.expect("answered");
        drop(stream);
        heard
    });
    let said = world.type_in(&["status", "--url", &world.url]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(!heard.await.expect("it listened").to_lowercase().contains("authorization"));
}
