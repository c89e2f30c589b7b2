//! `drift-gate store`, and `serve` on a disk that takes no more, as programs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use drift_gate::store::Store;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::world::{Db, comment, decision, push, repo};

/// What the program said, and its exit code.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn type_in(folder: &Path, words: &[&str]) -> Said {
    let done = Command::new(env!("CARGO_BIN_EXE_drift-gate")).current_dir(folder).args(words).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: done.status.code().expect("a code"), out: text(done.stdout), err: text(done.stderr) }
}

/// A folder with a configuration.
fn configured(url: &str, listen: &str, forge: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        r#"
[server]
listen = "{listen}"
public_url = "http://gate.example.org"
[store]
url = "{url}"
[forge.main]
kind = "gitea"
url = "{forge}"
webhook_secrets = [{{ env = "GATE_TEST_SECRET" }}]
[[gate]]
name = "identity"
source = {{ forge = "main", repo = "molecule/template", branch = "main" }}
consumer = {{ forge = "main", repo = "molecule/core", branches = ["main"] }}
binding = {{ follow = true }}
identity = ["config.yaml"]
[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile"
context = "."
source_dir = ".deps/template"
destination = "/opt/template"
"#
    );
    std::fs::write(folder.path().join("drift-gate.toml"), text).expect("written");
    folder
}

async fn filled(url: &str) -> Store {
    let store = Store::open(url).await.expect("a store");
    store.register(&[repo("core"), repo("template")]).await.expect("registered");
    store.accept(push("core")).await.expect("accepted");
    store.accept(comment(12)).await.expect("accepted");
    let _ = store.decide_held(&[decision("failure", "config.yaml differs")], &[]).await.expect("decided");
    store
}

#[tokio::test]
async fn a_backup_is_the_database_of_that_moment_and_the_service_goes_on() {
    let folder = configured("sqlite://gate.db", "127.0.0.1:0", "http://127.0.0.1:9");
    let store = filled(&format!("sqlite://{}", folder.path().join("gate.db").display())).await;
    let said = type_in(folder.path(), &["store", "backup", "copy.db"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "copy.db: written\n", ""));
    store.accept(push("template")).await.expect("accepted");

    let copy = Store::open(&format!("sqlite://{}", folder.path().join("copy.db").display())).await.expect("opened");
    assert_eq!(copy.waiting().await.expect("counted").repositories, 1, "what came later is not in it");
    assert_eq!(copy.wanted("key").await.expect("read").expect("a row").description, "config.yaml differs");
    let said = type_in(folder.path(), &["store", "backup", "copy.db"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("copy.db is there already: name a file that is not"), "{}", said.err);
    let said = type_in(folder.path(), &["store", "backup", "nowhere/copy.db"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("nowhere/copy.db: No such file or directory"), "{}", said.err);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert!(!left.iter().any(|name| name.starts_with(".tmp")), "{left:?}");
}

#[tokio::test]
async fn a_check_says_what_is_in_it_and_where_it_is_damaged() {
    let folder = configured("sqlite://gate.db", "127.0.0.1:0", "http://127.0.0.1:9");
    let said = type_in(folder.path(), &["store", "check"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("error: store.url sqlite://gate.db: there is no file gate.db"), "{}", said.err);
    let store = filled(&format!("sqlite://{}", folder.path().join("gate.db").display())).await;
    let said = type_in(folder.path(), &["store", "check"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            0,
            "sqlite://gate.db: whole, can be written\nschema 9\n        2 deliveries\n        2 repositories\n        \
             1 comments\n        1 wanted\n        1 history\n        1 reports\n        0 waivers\n        0 audit\n        \
             0 pulls\n"
        ),
        "{}",
        said.err
    );
    for n in 0..2_000 {
        let mut arrival = push("core");
        arrival.delivery = format!("{n:064}");
        store.accept(arrival).await.expect("accepted");
    }
    store.close().await;
    drop(store);
    let file = folder.path().join("gate.db");
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&file, bytes).expect("written");
    let said = type_in(folder.path(), &["store", "check"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.out.contains("damaged in") || said.err.contains("malformed"), "{}{}", said.out, said.err);
}

#[tokio::test]
async fn pruning_says_what_went() {
    let folder = configured("sqlite://gate.db", "127.0.0.1:0", "http://127.0.0.1:9");
    // The story's deliveries are of 1970.
    drop(filled(&format!("sqlite://{}", folder.path().join("gate.db").display())).await);
    let said = type_in(folder.path(), &["store", "prune"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let words =
        "removed 2 deliveries, 0 comments, 0 statuses, 1 reports, 0 earlier statuses, 0 waivers and lines of the log\n";
    assert_eq!(said.out, words);
}

#[tokio::test]
#[ignore = "needs PostgreSQL's programs"]
async fn on_postgresql_a_check_works_and_a_backup_says_who_makes_it() {
    let db = Db::postgres().await;
    let folder = configured(&db.url, "127.0.0.1:0", "http://127.0.0.1:9");
    drop(filled(&db.url).await);
    let said = type_in(folder.path(), &["store", "check"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("whole, can be written\nschema 9\n        2 deliveries\n"), "{}", said.out);
    let said = type_in(folder.path(), &["store", "backup", "copy.db"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("pg_dump --format=custom --file=copy.db"), "{}", said.err);
    assert_eq!(type_in(folder.path(), &["store", "prune"]).code, 0);
}

/// A running `drift-gate serve`; killed at the end of the story.
struct Service {
    program: Child,
    port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Service {
    fn start(folder: &Path, port: u16) -> Self {
        // A file that may not grow is a signal first, which ends a program that does not ignore it.
        let program = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" serve", env!("CARGO_BIN_EXE_drift-gate")])
            .current_dir(folder)
            .env("GATE_TEST_SECRET", SECRET)
            .stderr(Stdio::from(std::fs::File::create(folder.join("log")).expect("a log")))
            .spawn()
            .expect("it runs");
        let service = Self { program, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        service
    }

    /// How large the files may grow that the service writes.
    fn limit(&self, bytes: &str) {
        let pid = self.program.id().to_string();
        let fsize = format!("--fsize={bytes}:unlimited");
        assert!(Command::new("prlimit").args(["--pid", &pid, &fsize]).status().expect("prlimit runs").success());
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    /// A signed push to the template.
    fn push(&self) -> String {
        let body = r#"{"ref": "refs/heads/main", "after": "1111111111111111111111111111111111111111", "repository": {"id": 7, "full_name": "molecule/template", "private": false}}"#;
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
        mac.update(body.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        self.ask(&format!(
            "POST /hooks/main HTTP/1.1\r\nHost: gate.example.org\r\nConnection: close\r\nContent-Type: application/json\r\n\
             X-Gitea-Event: push\r\nX-Gitea-Delivery: d\r\nX-Gitea-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

const SECRET: &str = "a-shared-secret-of-32-characters";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_takes_no_more_deliveries_are_refused_and_none_that_was_accepted_is_lost() {
    let port = free_port();
    let folder = configured("sqlite://gate.db", &format!("127.0.0.1:{port}"), "http://127.0.0.1:9");
    let service = Service::start(folder.path(), port);
    let answer = service.push();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");

    // The log, too, cannot be written any more.
    service.limit("1");
    for _ in 0..3 {
        let answer = service.push();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
    }
    let ready = service.ask("GET /readyz HTTP/1.1\r\nHost: gate.example.org\r\nConnection: close\r\n\r\n");
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");

    service.limit("unlimited");
    for _ in 0..2 {
        let answer = service.push();
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    drop(service);
    let said = type_in(folder.path(), &["store", "check"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("        3 deliveries\n"), "{}", said.out);
}
