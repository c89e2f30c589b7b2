//! The forge that the stories run on: the built-in stand-in, or a real Gitea that `DRIFT_GATE_FORGE_BIN` names. Both are
//! driven through the same REST API; only making users and repositories differs.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use drift_gate::demo::StandIn;
use drift_gate::demo::page::Page;
use serde_json::{Value, json};

use crate::relay::free_port;

/// Everything a story does on a forge as one user.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    pub token: String,
    http: reqwest::Client,
}

impl Api {
    pub fn new(base: &str, token: &str) -> Self {
        // Plain HTTP: reading the machine's certificates takes longer than a request.
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
        Self { base: base.to_owned(), token: token.to_owned(), http }
    }

    /// A request that must succeed; the answer's JSON (null where it has none).
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_call(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    pub async fn try_call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        request = request.header("authorization", format!("token {}", self.token));
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.expect("the forge answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null).await
    }

    /// The head of a branch.
    pub async fn head(&self, repo: &str, branch: &str) -> String {
        let branch = self.get(&format!("/repos/{repo}/branches/{branch}")).await;
        branch["commit"]["id"].as_str().expect("a commit").to_owned()
    }

    /// Commits changes onto `branch` (`None` removes a file); returns the new head.
    pub async fn commit(&self, repo: &str, branch: &str, changes: &[(&str, Option<&str>)]) -> String {
        self.commit_onto(repo, branch, None, changes).await
    }

    /// Commits changes made from `branch` onto a new branch; returns its head.
    pub async fn commit_new(&self, repo: &str, branch: &str, new: &str, changes: &[(&str, Option<&str>)]) -> String {
        self.commit_onto(repo, branch, Some((new, false)), changes).await
    }

    /// Makes `target` a commit of these changes on `branch`, whatever it was: a force-push.
    pub async fn force(&self, repo: &str, branch: &str, target: &str, changes: &[(&str, Option<&str>)]) -> String {
        self.commit_onto(repo, branch, Some((target, true)), changes).await
    }

    async fn commit_onto(
        &self,
        repo: &str,
        branch: &str,
        new: Option<(&str, bool)>,
        changes: &[(&str, Option<&str>)],
    ) -> String {
        let mut files = Vec::new();
        for (path, content) in changes {
            let (status, there) =
                self.try_call("GET", &format!("/repos/{repo}/contents/{path}?ref={branch}"), Value::Null).await;
            let sha = (status == 200).then(|| there["sha"].clone());
            let operation = match (content, &sha) {
                (None, _) => "delete",
                (Some(_), Some(_)) => "update",
                (Some(_), None) => "create",
            };
            let mut file = json!({ "operation": operation, "path": path });
            if let Some(content) = content {
                file["content"] = base64::engine::general_purpose::STANDARD.encode(content).into();
            }
            if let Some(sha) = sha {
                file["sha"] = sha;
            }
            files.push(file);
        }
        let mut body = json!({ "branch": branch, "message": "A change", "files": files });
        if let Some((new, force)) = new {
            body["new_branch"] = new.into();
            if force {
                body["force_push"] = true.into();
            }
        }
        let answer = self.call("POST", &format!("/repos/{repo}/contents"), body).await;
        answer["commit"]["sha"].as_str().expect("a commit").to_owned()
    }

    /// Opens a pull request; returns its number.
    pub async fn open_pull(&self, repo: &str, head: &str, base: &str) -> u64 {
        let body = json!({ "head": head, "base": base, "title": format!("{head} into {base}") });
        self.call("POST", &format!("/repos/{repo}/pulls"), body).await["number"].as_u64().expect("a number")
    }

    /// Merges a pull request; the forge may need a moment to work out that it can.
    pub async fn merge(&self, repo: &str, number: u64) {
        let path = format!("/repos/{repo}/pulls/{number}/merge");
        eventually("the pull request is merged", async || {
            let (status, answer) = self.try_call("POST", &path, json!({ "Do": "merge" })).await;
            if status == 200 { Ok(()) } else { Err(format!("{status} {answer}")) }
        })
        .await;
    }

    /// The newest status of `context` on a commit: state and description.
    pub async fn status(&self, repo: &str, sha: &str, context: &str) -> Option<(String, String, String)> {
        let all = self.get(&format!("/repos/{repo}/statuses/{sha}?limit=50")).await;
        let newest = all
            .as_array()?
            .iter()
            .filter(|status| status["context"] == context)
            .max_by_key(|status| status["id"].as_u64())?;
        let text = |key: &str| newest[key].as_str().unwrap_or_default().to_owned();
        Some((text("status"), text("description"), text("target_url")))
    }

    /// How many statuses of `context` were ever posted on a commit.
    pub async fn posted(&self, repo: &str, sha: &str, context: &str) -> usize {
        let all = self.get(&format!("/repos/{repo}/statuses/{sha}?limit=50")).await;
        all.as_array().map_or(0, |all| all.iter().filter(|status| status["context"] == context).count())
    }
}

/// How long a story waits for what must come; on a quiet machine everything comes within a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a real forge may take to start: that is no part of a story.
const START: Duration = Duration::from_secs(120);
const GLANCE: Duration = Duration::from_millis(25);

/// Asks again until the answer is `Ok`; fails with the last answer when patience ends.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    within(PATIENCE, what, ask).await
}

async fn within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    let mut again = tokio::time::interval(GLANCE);
    loop {
        again.tick().await;
        match ask().await {
            Ok(answer) => return answer,
            Err(last) => assert!(began.elapsed() < patience, "waited in vain until {what}; last: {last}"),
        }
    }
}

/// The forge of one story.
pub enum Host {
    StandIn(BuiltIn),
    Gitea(Gitea),
}

pub const ADMIN: &str = "maintainer";
pub const BOT: &str = "drift-gate-bot";
pub const CONTRIBUTOR: &str = "contributor";
const ORGANIZATION: &str = "molecule";

impl Host {
    /// The stand-in, or the executable that `DRIFT_GATE_FORGE_BIN` names.
    pub async fn start(folder: &Path) -> Self {
        match std::env::var_os("DRIFT_GATE_FORGE_BIN") {
            Some(executable) => Self::Gitea(Gitea::start(&PathBuf::from(executable), folder).await),
            None => Self::StandIn(BuiltIn::start(folder).await),
        }
    }

    /// The stand-in, where it is one.
    pub fn stand_in(&self) -> Option<&StandIn> {
        match self {
            Self::StandIn(built_in) => Some(&built_in.forge),
            Self::Gitea(_) => None,
        }
    }

    pub fn base(&self) -> String {
        match self {
            Self::StandIn(built_in) => built_in.forge.base().to_owned(),
            Self::Gitea(gitea) => gitea.base.clone(),
        }
    }

    /// The forge as one of its users.
    pub fn api(&self, user: &str) -> Api {
        let tokens = match self {
            Self::StandIn(built_in) => &built_in.tokens,
            Self::Gitea(gitea) => &gitea.tokens,
        };
        Api::new(&self.base(), &tokens.iter().find(|(name, _)| name == user).expect("a user").1)
    }

    /// A further token of a user, for only these scopes.
    pub fn token(&self, user: &str, scopes: &[&str]) -> String {
        match self {
            Self::StandIn(built_in) => built_in.forge.token(user, scopes).expect("a user"),
            Self::Gitea(gitea) => gitea.token(user, scopes),
        }
    }

    /// Ends a real forge without a warning; the stand-in stays.
    pub fn kill(&self) {
        if let Self::Gitea(gitea) = self {
            gitea.kill();
        }
    }

    /// Starts it again where it was.
    pub async fn revive(&self) {
        if let Self::Gitea(gitea) = self {
            gitea.revive().await;
        }
    }

    /// Makes `molecule/<name>` with a README on `main`; the bot administers it, the contributor may read it.
    pub async fn make_repository(&self, name: &str, private: bool) {
        let admin = self.api(ADMIN);
        let body = json!({ "name": name, "private": private, "auto_init": true, "default_branch": "main" });
        admin.call("POST", &format!("/orgs/{ORGANIZATION}/repos"), body).await;
        let path = format!("/repos/{ORGANIZATION}/{name}/collaborators/{BOT}");
        admin.call("PUT", &path, json!({ "permission": "admin" })).await;
    }
}

/// The stand-in with its users.
pub struct BuiltIn {
    forge: StandIn,
    tokens: Vec<(String, String)>,
}

impl BuiltIn {
    async fn start(folder: &Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let page = Page::default();
        let forge = StandIn::start(listener, &folder.join("forge"), page, axum::Router::new()).expect("a stand-in");
        let user = |name: &str| (name.to_owned(), forge.user(name, name == ADMIN).expect("a user"));
        let tokens = [ADMIN, BOT, CONTRIBUTOR].map(user).to_vec();
        forge.organization(ORGANIZATION, ADMIN).expect("an organization");
        Self { forge, tokens }
    }
}

/// A real Gitea in a folder of its own; killed when dropped.
pub struct Gitea {
    base: String,
    tokens: Vec<(String, String)>,
    process: Mutex<Child>,
    executable: PathBuf,
    folder: PathBuf,
}

impl Drop for Gitea {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Gitea {
    async fn start(executable: &Path, folder: &Path) -> Self {
        std::fs::write(folder.join("app.ini"), Self::settings(folder, 0)).expect("app.ini");
        let run = |arguments: &[&str]| {
            let output =
                Self::command(executable, folder).args(arguments).output().expect("the forge's executable runs");
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        run(&["migrate"]);
        let mut tokens = Vec::new();
        for user in [ADMIN, BOT, CONTRIBUTOR] {
            let mail = format!("{user}@example.org");
            let mut create =
                vec!["admin", "user", "create", "--username", user, "--password", "a-Password-of-20-chars"];
            create.extend(["--email", &mail, "--must-change-password=false"]);
            if user == ADMIN {
                create.push("--admin");
            }
            run(&create);
            let mut token = vec!["admin", "user", "generate-access-token", "--username", user];
            token.extend(["--token-name", "t", "--scopes", "all", "--raw"]);
            let token = run(&token);
            tokens.push((user.to_owned(), token.lines().last().unwrap_or_default().trim().to_owned()));
        }
        let gitea = Self::serve(executable, folder, tokens).await;
        let admin = Api::new(&gitea.base, &gitea.tokens[0].1);
        admin.call("POST", "/orgs", json!({ "username": ORGANIZATION })).await;
        gitea
    }

    fn command(executable: &Path, folder: &Path) -> Command {
        let mut command = Command::new(executable);
        command.arg("--config").arg(folder.join("app.ini")).env("USER", "root");
        command
    }

    /// Serves on a port that was free a moment ago. Another story's forge may have taken it meanwhile: then ours ends, and
    /// what answers there does not know our tokens. Either way another port is tried.
    async fn serve(executable: &Path, folder: &Path, tokens: Vec<(String, String)>) -> Self {
        for _ in 0..5 {
            let port = free_port();
            std::fs::write(folder.join("app.ini"), Self::settings(folder, port)).expect("app.ini");
            let gitea = Self {
                base: format!("http://127.0.0.1:{port}"),
                tokens: tokens.clone(),
                process: Mutex::new(Self::spawn(executable, folder)),
                executable: executable.to_owned(),
                folder: folder.to_owned(),
            };
            if gitea.answers_us().await {
                return gitea;
            }
        }
        panic!("no port stayed free: {}", std::fs::read_to_string(folder.join("forge.log")).unwrap_or_default());
    }

    fn token(&self, user: &str, scopes: &[&str]) -> String {
        let (scopes, name) = (scopes.join(","), scopes.join("-").replace(':', "-"));
        let output = Self::command(&self.executable, &self.folder)
            .args(["admin", "user", "generate-access-token", "--username", user, "--token-name", &name])
            .args(["--scopes", &scopes, "--raw"])
            .output()
            .expect("the forge's executable runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().trim().to_owned()
    }

    fn spawn(executable: &Path, folder: &Path) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(folder.join("forge.log")).expect("a log");
        Self::command(executable, folder)
            .arg("web")
            .stdout(Stdio::from(log.try_clone().expect("a log")))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("the forge starts")
    }

    fn kill(&self) {
        let mut process = self.process.lock().expect("a process");
        // It may have ended by itself; either way nothing must be left behind.
        let _ = process.kill();
        let _ = process.wait();
    }

    async fn revive(&self) {
        *self.process.lock().expect("a process") = Self::spawn(&self.executable, &self.folder);
        assert!(self.answers_us().await, "the forge's port was taken while it was down");
    }

    /// Waits until something answers at our address, and says whether that is us.
    async fn answers_us(&self) -> bool {
        let api = Api::new(&self.base, &self.tokens[0].1);
        let user = format!("{}/api/v1/user", self.base);
        within(START, "the forge answers", async || {
            let ended = self.process.lock().expect("a process").try_wait();
            if ended.expect("the forge's state").is_some() {
                return Ok(false);
            }
            let request = api.http.get(&user).header("authorization", format!("token {}", api.token));
            match request.send().await.map(|answer| answer.status().as_u16()) {
                Ok(200) => Ok(true),
                Ok(401) => Ok(false),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    fn settings(folder: &Path, port: u16) -> String {
        let folder = folder.display();
        // A build without embedded assets finds them beside its executable's source.
        let assets = match std::env::var("DRIFT_GATE_FORGE_ASSETS") {
            Ok(assets) => format!("STATIC_ROOT_PATH = {assets}"),
            Err(_) => String::new(),
        };
        format!(
            "RUN_MODE = prod\nRUN_USER = root\nI_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true\nWORK_PATH = {folder}\n\
             [server]\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {port}\nROOT_URL = http://127.0.0.1:{port}/\n\
             OFFLINE_MODE = true\nDISABLE_SSH = true\n{assets}\n\
             [database]\nDB_TYPE = sqlite3\nPATH = {folder}/forge.db\n[security]\nINSTALL_LOCK = true\n\
             SECRET_KEY = a-key\n[webhook]\nALLOWED_HOST_LIST = *\n[log]\nLEVEL = warn\nMODE = console\n\
             [repository]\nROOT = {folder}/repositories\n[actions]\nENABLED = false\n[queue]\nTYPE = channel\n[indexer]\nISSUE_INDEXER_TYPE = db\n"
        )
    }
}
