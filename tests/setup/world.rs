//! A forge with a template and the core that bakes it, and a person who types commands in an empty folder.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use drift_gate::demo::scene::{self, CORE, TEMPLATE};
use tempfile::TempDir;

use crate::host::{ADMIN, Api, BOT, Host, eventually};
use crate::relay::free_port;

pub const SECRET: &str = "a-shared-secret-of-32-characters";
pub const ADMIN_TOKEN: &str = "an-admin-token-of-32-characters-";

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Ends as it should; what it said on the channel that counts then.
    #[track_caller]
    pub fn is(self, code: i32) -> String {
        let Self { code: actual, out, err } = self;
        assert_eq!(actual, code, "stdout:\n{out}\nstderr:\n{err}");
        if err.is_empty() { out } else { err }
    }
}

pub struct World {
    pub host: Host,
    pub admin: Api,
    pub bot: Api,
    pub template_head: String,
    /// Where the service listens.
    pub url: String,
    pub folder: TempDir,
    service: Option<Child>,
}

impl World {
    /// Core bakes the template's head. Nobody serves, and no configuration is there.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("forge-data");
        std::fs::create_dir(&place).expect("a folder");
        let host = Host::start(&place).await;
        for name in ["platform-agent-template", "core"] {
            host.make_repository(name, false).await;
        }
        let (admin, bot) = (host.api(ADMIN), host.api(BOT));
        let config = scene::config("sonnet");
        let files = [
            ("config.yaml", Some(config.as_str())),
            ("mcp_servers.yaml", Some("mcp_servers: []\n# one day\n")),
            ("prompts/concierge.md", Some("# You are\n")),
        ];
        let template_head = admin.commit(TEMPLATE, "main", &files).await;
        let manifest = scene::manifest(&template_head);
        let files = [("manifest.json", Some(manifest.as_str())), (scene::DOCKERFILE, Some(scene::BAKES))];
        admin.commit(CORE, "main", &files).await;
        std::fs::write(folder.path().join("token"), &bot.token).expect("a token's file");
        let url = format!("http://127.0.0.1:{}", free_port());
        Self { host, admin, bot, template_head, url, folder, service: None }
    }

    /// The same with the configuration that `init` writes.
    pub async fn configured() -> Self {
        let world = Self::new().await;
        world.init(&[]).is(0);
        world.listens();
        world
    }

    /// The configuration says where the service listens in this story.
    pub fn listens(&self) {
        let listen = format!("listen = \"{}\"", self.url.trim_start_matches("http://"));
        self.change("#listen = \"127.0.0.1:8080\"", &listen);
    }

    /// Another text in the configuration.
    #[track_caller]
    pub fn change(&self, from: &str, to: &str) {
        let text = self.config();
        assert!(text.contains(from), "no `{from}` in\n{text}");
        std::fs::write(self.path("drift-gate.toml"), text.replacen(from, to, 1)).expect("written");
    }

    pub fn config(&self) -> String {
        std::fs::read_to_string(self.path("drift-gate.toml")).expect("a configuration")
    }

    /// Its gate moves into a file of core's own, which the configuration only lists from now on; answers that file.
    pub fn brought(&self) -> String {
        let text = self.config();
        let (server, gates) = text.split_once("[[gate]]").expect("a gate");
        let listed = format!("[[repository]]\nforge = \"main\"\nrepo = \"{CORE}\"\nsources = [\"{TEMPLATE}\"]\n");
        std::fs::write(self.path("drift-gate.toml"), format!("{server}{listed}")).expect("written");
        let lines = format!("[[gate]]{gates}");
        let lines = lines.lines().filter(|line| !line.starts_with("consumer =")).map(|line| {
            match line.starts_with("source =") {
                true => format!("source = {{ url = \"{}/{TEMPLATE}\", branch = \"main\" }}\n", self.host.base()),
                false => format!("{line}\n"),
            }
        });
        lines.collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("drift-gate"));
        command
            .current_dir(self.folder.path())
            .env_remove("RUST_LOG")
            .env_remove("CLICOLOR_FORCE")
            .env_remove("DRIFT_GATE_TOKEN")
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("DRIFT_GATE_WEBHOOK_SECRET", SECRET)
            .env("DRIFT_GATE_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null());
        command
    }

    /// Types `drift-gate` and these words.
    pub fn type_in(&self, words: &[&str]) -> Said {
        let output = self.command().args(words).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let said =
            Said { code: output.status.code().expect("no signal"), out: text(output.stdout), err: text(output.stderr) };
        let key = std::fs::read_to_string(self.path("app.pem")).unwrap_or_default();
        let key = key.lines().nth(1).unwrap_or(SECRET);
        for secret in [&self.bot.token, &self.admin.token, SECRET, ADMIN_TOKEN, key] {
            assert!(!said.out.contains(secret) && !said.err.contains(secret), "a secret is printed: {said:?}");
        }
        assert!(!said.err.contains("panicked"), "{}", said.err);
        said
    }

    /// `drift-gate init` with all that it must know, and these words.
    pub fn init(&self, words: &[&str]) -> Said {
        let base = self.host.base();
        let usual = [
            "init",
            "--forge-kind",
            "gitea",
            "--forge-url",
            &base,
            "--consumer",
            CORE,
            "--source",
            TEMPLATE,
            "--token-file",
            "token",
        ];
        let public = if words.contains(&"--pull-request") { vec![] } else { vec!["--public-url", &self.url] };
        self.type_in(&[&usual, &public[..], words].concat())
    }

    /// `drift-gate init` as the GitHub App of this number, whose key is in `app.pem`, and with these words.
    pub fn init_as_app(&self, id: u64, words: &[&str]) -> Said {
        let (base, id) = (self.host.base(), id.to_string());
        let usual = ["init", "--forge-kind", "github", "--forge-url", &base, "--consumer", CORE, "--source", TEMPLATE];
        let login = ["--app-id", &id, "--app-key-file", "app.pem", "--public-url", &self.url];
        self.type_in(&[&usual[..], &login, words].concat())
    }

    pub fn doctor(&self, words: &[&str]) -> Said {
        self.type_in(&[&["doctor"], words].concat())
    }

    /// What doctor found, as JSON.
    #[track_caller]
    pub fn findings(&self, words: &[&str], code: i32) -> Vec<serde_json::Value> {
        let told = self.doctor(&[&["--format", "json"], words].concat()).is(code);
        let mut document: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        serde_json::from_value(document["findings"].take()).expect("findings")
    }

    /// What GitHub's dialect of the stand-in answers the maintainer.
    pub async fn v3(&self, method: &str, path: &str, body: serde_json::Value) -> (u16, serde_json::Value) {
        let method = method.parse().expect("a method");
        let request = reqwest::Client::new().request(method, format!("{}/api/v3{path}", self.host.base()));
        let answer = request.bearer_auth(&self.admin.token).body(body.to_string()).send().await.expect("an answer");
        let (status, text) = (answer.status().as_u16(), answer.text().await.expect("text"));
        (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text)))
    }

    /// Starts the service and waits until it is ready.
    pub async fn serve(&mut self) {
        let log = File::create(self.path("log")).expect("a log");
        let child = self.command().arg("serve").stdout(Stdio::null()).stderr(log).spawn().expect("it starts");
        self.service = Some(child);
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let ready = format!("{}/readyz", self.url);
        eventually("the service is ready", async || match http.get(&ready).send().await {
            Ok(answer) if answer.status() == 200 => Ok(()),
            other => Err(format!("{other:?}: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default())),
        })
        .await;
    }

    /// The status of a commit becomes this.
    pub async fn expect(&self, repo: &str, sha: &str, state: &str) {
        eventually(&format!("{repo} {sha} is {state}"), async || {
            match self.admin.status(repo, sha, "drift-gate").await {
                Some((is, _, _)) if is == state => Ok(()),
                other => Err(format!("{other:?}: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default())),
            }
        })
        .await;
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

/// Those of this check about this thing, their levels and messages.
pub fn of<'a>(findings: &'a [serde_json::Value], about: &str, check: &str) -> Vec<(&'a str, &'a str)> {
    let fitting = findings.iter().filter(|finding| finding["about"] == about && finding["check"] == check);
    let text = |value: &'a serde_json::Value| value.as_str().unwrap_or_default();
    fitting.map(|finding| (text(&finding["level"]), text(&finding["message"]))).collect()
}
