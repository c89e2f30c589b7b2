//! A forge with a template and the core that bakes it, and the program that serves them.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drift_gate::demo::StandIn;
use drift_gate::demo::page::Page;
use drift_gate::demo::person::Person;
use drift_gate::demo::scene::{self, CORE, TEMPLATE};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

pub const TOKEN: &str = "an-admin-token-of-32-characters-";
const SECRET: &str = "a-shared-secret-of-32-characters";
/// What the configuration reads its secrets from.
const ENV: [(&str, &str); 2] = [("SEEN_ADMIN_TOKEN", TOKEN), ("SEEN_WEBHOOK_SECRET", SECRET)];

pub struct World {
    _forge: StandIn,
    pub person: Person,
    pub url: String,
    pub http: reqwest::Client,
    service: Option<Child>,
    folder: TempDir,
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl World {
    /// Both sides on a forge, and a configuration; nobody serves yet. `server` is more of the table `[server]`.
    pub async fn new(server: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let forge = StandIn::start(listener, &folder.path().join("forge"), Page::default(), axum::Router::new());
        let forge = forge.expect("a forge");
        let person = Person::new(forge.base(), &forge.user("maintainer", true).expect("a user"));
        forge.organization("molecule", "maintainer").expect("an organization");
        let bot = forge.user("bot", false).expect("a user");
        for name in ["core", "platform-agent-template"] {
            forge.repository("molecule", name, false).expect("a repository");
        }
        scene::set(&person).await.expect("the scene");
        let listen = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let url = format!("http://{listen}");
        for repo in [CORE, TEMPLATE] {
            let write = Some(json!({ "permission": "write" }));
            person.ask(Method::PUT, &format!("/repos/{repo}/collaborators/bot"), write).await.expect("it may write");
            let hook = json!({
                "type": "gitea", "active": true, "events": ["push", "pull_request", "issue_comment"],
                "config": { "url": format!("{url}/hooks/demo"), "content_type": "json", "secret": SECRET },
            });
            person.ask(Method::POST, &format!("/repos/{repo}/hooks"), Some(hook)).await.expect("a hook");
        }
        std::fs::write(folder.path().join("token"), bot).expect("written");
        let config = format!(
            "[server]\nlisten = \"{listen}\"\npublic_url = \"{url}\"\n{server}\n\
             [store]\nurl = \"sqlite://drift-gate.db\"\n\n[forge.demo]\nkind = \"gitea\"\nurl = \"{}\"\n\
             token = {{ file = \"token\" }}\nwebhook_secrets = [{{ env = \"SEEN_WEBHOOK_SECRET\" }}]\n\n{}",
            forge.base(),
            scene::GATE
        );
        std::fs::write(folder.path().join("drift-gate.toml"), config).expect("written");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { _forge: forge, person, url, http, service: None, folder }
    }

    /// The same with an admin token, and a service that has said what both heads get.
    pub async fn served() -> Self {
        let mut world = Self::new("admin_token = { env = \"SEEN_ADMIN_TOKEN\" }").await;
        world.serve(&[]).await;
        world.judged().await;
        world
    }

    fn command(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("drift-gate"));
        command.current_dir(self.folder.path()).env_remove("RUST_LOG").env_remove("CLICOLOR_FORCE").envs(ENV);
        command
    }

    /// Starts the service and waits until it is ready.
    pub async fn serve(&mut self, words: &[&str]) {
        let log = File::create(self.path("log")).expect("a log");
        let mut command = self.command();
        command.arg("serve").args(words).stdout(Stdio::null()).stderr(log);
        self.service = Some(command.spawn().expect("it starts"));
        self.until("it is ready", async || {
            let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
            answer.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Waits until both heads have their status, and nothing is left to do.
    pub async fn judged(&self) {
        self.until("both heads have a status", async || {
            let mut all = true;
            for repo in [CORE, TEMPLATE] {
                let head = self.person.head(repo, "main").await.expect("a head");
                all &= self.person.status(repo, &head, "drift-gate").await.expect("an answer").is_some();
            }
            all
        })
        .await;
        self.until("nothing is left to do", async || {
            let told = self.get("/api/v1/status").await;
            ["dirty", "leased", "unsent"].iter().all(|kind| told[*kind]["count"] == 0)
        })
        .await;
    }

    /// Ends the service as a supervisor does, and waits for that.
    pub fn stop(&mut self) {
        let Some(mut service) = self.service.take() else { return };
        let killed = Command::new("kill").arg(service.id().to_string()).status().expect("kill");
        assert!(killed.success());
        assert!(service.wait().expect("it ends").success(), "{}", self.log());
    }

    pub async fn until(&self, what: &str, mut is: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !is().await {
            assert!(began.elapsed() < Duration::from_secs(90), "never: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the service logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Types `drift-gate` and these words.
    pub fn type_in(&self, words: &[&str]) -> Said {
        let output = self.command().args(words).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Said { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) }
    }

    /// What the operator reads at an address, as JSON.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Core's Dockerfile loses the COPY of the prompts; the commit.
    pub async fn break_core(&self) -> String {
        let broken = scene::bakes_no_prompts();
        let files = [(scene::DOCKERFILE, Some(broken.as_str()))];
        self.person.commit(CORE, "main", None, "Tidy up", &files).await.expect("a commit")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}
