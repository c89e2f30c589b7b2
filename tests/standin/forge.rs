//! A stand-in with the people and repositories of the recordings, and somebody who works on it with git.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use drift_gate::demo::StandIn;
use drift_gate::demo::page::Page;
use git2::{Oid, Repository, Signature};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc};

pub const SECRET: &str = "a-shared-secret-of-32-characters";
pub const CORE: &str = "molecule/core";
pub const TEMPLATE: &str = "molecule/platform-agent-template";
pub const BOT: &str = "drift-gate-bot";
pub const ZEROS: &str = "0000000000000000000000000000000000000000";

/// An answer of the API.
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answered {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The forge of the recordings.
pub struct Forge {
    pub stand_in: StandIn,
    tokens: BTreeMap<String, String>,
    http: reqwest::Client,
    /// Where `Maintainer` works.
    work: Repository,
    _folder: TempDir,
}

impl Forge {
    /// `maintainer` owns `molecule`; the bot administers both repositories, `contributor` writes and `reader` reads.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stand_in = StandIn::start(listener, &folder.path().join("forge"), Page::default(), Router::new());
        let stand_in = stand_in.expect("a stand-in");
        let user = |name: &str| (name.to_owned(), stand_in.user(name, name == "root").expect("a user"));
        let tokens = ["root", "maintainer", "contributor", BOT, "reader"].map(user).into();
        stand_in.organization("molecule", "maintainer").expect("an organization");
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        let work = Repository::init_bare(folder.path().join("work")).expect("a repository");
        let forge = Self { stand_in, tokens, http: http.expect("a client"), work, _folder: folder };
        let core = [
            ("README.md", "Core\n"),
            ("manifest.json", "{\"ref\": \"1\"}\n"),
            ("workspace-server/Dockerfile.platform-agent", "FROM scratch\n"),
        ];
        let template = [("config.yaml", "name: x\n"), ("README.md", "Template\n")];
        for (name, message, files) in
            [("core", "Bake the concierge identity", &core[..]), ("platform-agent-template", "The template", &template)]
        {
            forge.make("POST", "/orgs/molecule/repos", json!({ "name": name })).await;
            let first = forge.commit(&[], message, files);
            forge.push("maintainer", &format!("molecule/{name}"), "refs/heads/main", None, Some(first)).await;
            for (user, permission) in [(BOT, "admin"), ("contributor", "write"), ("reader", "read")] {
                let path = format!("/repos/molecule/{name}/collaborators/{user}");
                forge.make("PUT", &path, json!({ "permission": permission })).await;
            }
        }
        forge
    }

    pub fn base(&self) -> &str {
        self.stand_in.base()
    }

    /// A user's token.
    pub fn token(&self, user: &str) -> &str {
        &self.tokens[user]
    }

    /// Where git finds a repository as `user`.
    pub fn git_url(&self, user: &str, repo: &str) -> String {
        self.base().replace("http://", &format!("http://{user}:{}@", self.tokens[user])) + &format!("/{repo}.git")
    }

    /// A request as `user`, or as nobody where the name is empty.
    pub async fn call(&self, user: &str, method: &str, path: &str, body: &Value) -> Answered {
        let token = self.tokens.get(user).cloned();
        self.call_with(token.as_deref(), method, &format!("/api/v1{path}"), body).await
    }

    /// A request with whatever token.
    pub async fn call_with(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Answered {
        let mut request = self.http.request(method.parse().expect("a method"), format!("{}{path}", self.base()));
        if let Some(token) = token {
            request = request.header("authorization", format!("token {token}"));
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answered { status, headers, text: answer.text().await.expect("a body") }
    }

    /// What the maintainer does must succeed.
    pub async fn make(&self, method: &str, path: &str, body: Value) -> Value {
        self.make_as("maintainer", method, path, body).await
    }

    /// What somebody does must succeed.
    pub async fn make_as(&self, user: &str, method: &str, path: &str, body: Value) -> Value {
        let answer = self.call(user, method, path, &body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text);
        serde_json::from_str(&answer.text).unwrap_or_default()
    }

    /// The head of a branch.
    pub async fn head(&self, repo: &str, branch: &str) -> Oid {
        let branch = self.make("GET", &format!("/repos/{repo}/branches/{branch}"), Value::Null).await;
        branch["commit"]["id"].as_str().expect("a commit").parse().expect("a hash")
    }

    /// A commit of Maintainer's, not pushed anywhere; `files` are changed against the first parent.
    pub fn commit(&self, parents: &[Oid], message: &str, files: &[(&str, &str)]) -> Oid {
        let who = Signature::now("Maintainer", "maintainer@example.org").expect("a signature");
        let parents: Vec<_> = parents.iter().map(|id| self.work.find_commit(*id).expect("a commit")).collect();
        let before = match parents.first() {
            Some(parent) => parent.tree().expect("a tree"),
            None => {
                let empty = self.work.treebuilder(None).expect("a builder").write().expect("a tree");
                self.work.find_tree(empty).expect("a tree")
            }
        };
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, text) in files {
            update.upsert(*path, self.work.blob(text.as_bytes()).expect("a blob"), git2::FileMode::Blob);
        }
        let tree = self.work.find_tree(update.create_updated(&self.work, &before).expect("a tree")).expect("a tree");
        let parents: Vec<_> = parents.iter().collect();
        self.work.commit(None, &who, &who, &format!("{message}\n"), &tree, &parents).expect("a commit")
    }

    /// Pushes as git does, forced; whoever reads it must accept it.
    pub async fn push(&self, user: &str, repo: &str, reference: &str, before: Option<Oid>, after: Option<Oid>) {
        let name = |id: Option<Oid>| id.map_or_else(|| ZEROS.to_owned(), |id| id.to_string());
        let command = format!("{} {} {reference}\0report-status", name(before), name(after));
        let mut body = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
        if let Some(after) = after {
            let mut pack = self.work.packbuilder().expect("a pack");
            let mut walk = self.work.revwalk().expect("a walk");
            walk.push(after).expect("a commit");
            if let Some(before) = before {
                walk.hide(before).expect("a commit");
            }
            pack.insert_walk(&mut walk).expect("commits");
            let mut bytes = git2::Buf::new();
            pack.write_buf(&mut bytes).expect("a pack");
            body.extend_from_slice(&bytes);
        }
        let answer = self
            .http
            .post(format!("{}/{repo}.git/git-receive-pack", self.base()))
            .basic_auth(user, self.tokens.get(user))
            .header("content-type", "application/x-git-receive-pack-request")
            .body(body)
            .send()
            .await
            .expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success() && text.contains(&format!("ok {reference}")), "{status}: {text}");
    }

    /// Hears of everything in a repository; the secret may be empty.
    pub async fn hook(&self, repo: &str, secret: &str) -> Receiver {
        let receiver = Receiver::start().await;
        let hook = json!({
            "type": "gitea", "active": true,
            "events": ["push", "create", "delete", "pull_request", "issue_comment", "repository", "fork", "status"],
            "config": { "url": receiver.url, "content_type": "json", "secret": secret },
        });
        self.make("POST", &format!("/repos/{repo}/hooks"), hook).await;
        receiver
    }
}

/// A delivery as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Delivery {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Where deliveries come to.
pub struct Receiver {
    pub url: String,
    deliveries: Arc<Mutex<mpsc::UnboundedReceiver<Delivery>>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let (sender, deliveries) = mpsc::unbounded_channel();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let take = async |State(sender): State<mpsc::UnboundedSender<Delivery>>, headers: HeaderMap, body: Bytes| {
            let _ = sender.send(Delivery { headers, body });
            StatusCode::ACCEPTED
        };
        let router = Router::new().fallback(take).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, deliveries: Arc::new(Mutex::new(deliveries)) }
    }

    /// The next delivery.
    pub async fn next(&self) -> Delivery {
        let mut deliveries = self.deliveries.lock().await;
        let next = tokio::time::timeout(Duration::from_secs(20), deliveries.recv()).await;
        next.expect("a delivery comes in time").expect("the receiver runs")
    }

    /// The next deliveries, whose event types must be these.
    pub async fn these(&self, types: &[&str]) -> Vec<Delivery> {
        let mut all = Vec::new();
        for expected in types {
            let delivery = self.next().await;
            assert_eq!(delivery.header("x-gitea-event-type"), *expected, "after {} deliveries", all.len());
            all.push(delivery);
        }
        all
    }
}
