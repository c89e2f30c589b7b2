//! Deliveries: signed like Gitea's, sent one after the other for each repository, each once.
//!
//! A repository's letters wait in a queue of their own, so their order is that of the events, and one slow receiver does not
//! hold up another repository. What cannot be delivered within the time-out is lost, as on a real forge.
//!
//! A GitHub App's deliveries go the same way with GitHub's headers alone, and what became of each is written down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::forge::model::{Hook, RepoId, now};

/// Gitea's time-out, reading the answer included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What happened, in the words of two headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The broad name, for `X-Gitea-Event`: an edit and a new head of a pull request are both `pull_request`.
    pub name: &'static str,
    /// The same in detail; what hooks subscribe to.
    pub detail: &'static str,
}

impl Event {
    /// A branch or tag has moved, or is new; a tag that is gone is one too. Also a hook's test.
    pub const PUSH: Self = Self::plain("push");
    /// A branch or tag is new; its push is told as well.
    pub const CREATE: Self = Self::plain("create");
    /// A branch or tag is gone. For a branch there is no push besides.
    pub const DELETE: Self = Self::plain("delete");
    /// Somebody has copied the repository; hooks of the original hear it.
    pub const FORK: Self = Self::plain("fork");
    /// The repository is about to be deleted. A rename tells nobody.
    pub const REPOSITORY: Self = Self::plain("repository");
    /// A status was posted on a commit.
    pub const STATUS: Self = Self::plain("status");
    /// A comment on an issue was written or edited.
    pub const ISSUE_COMMENT: Self = Self::plain("issue_comment");
    /// A pull request was opened, edited, closed, merged or reopened.
    pub const PULL_REQUEST: Self = Self::plain("pull_request");
    /// A pull request has a new head: somebody pushed to its branch.
    pub const PULL_REQUEST_SYNC: Self = Self { name: "pull_request", detail: "pull_request_sync" };
    /// A comment on a pull request was written or edited. Its broad name is that of comments on issues.
    pub const PULL_REQUEST_COMMENT: Self = Self { name: "issue_comment", detail: "pull_request_comment" };

    const fn plain(name: &'static str) -> Self {
        Self { name, detail: name }
    }
}

/// One delivery to be.
#[derive(Clone, Debug)]
pub struct Letter {
    url: String,
    secret: String,
    authorization: String,
    event: Event,
    body: Vec<u8>,
    content_type: &'static str,
    /// Where a hook's last answer is written down.
    answer: Option<Arc<Mutex<Option<u16>>>>,
    /// Where it is to an App.
    app: Option<ToApp>,
}

/// Where an App's deliveries go, and what became of them.
#[derive(Clone, Debug)]
pub struct AppHook {
    /// Where they are posted to.
    pub url: String,
    /// The key of the signatures; empty for none.
    pub secret: String,
    /// Whether deliveries are JSON; else a form with the JSON in `payload`.
    pub json: bool,
    /// Whether the receiver's certificate is left unchecked. It is told again and has no effect here.
    pub insecure: bool,
    /// Oldest first.
    pub sent: Arc<Mutex<Vec<Sent>>>,
}

/// What a letter to an App brings with it.
#[derive(Clone, Debug)]
struct ToApp {
    installation: u64,
    repo: RepoId,
    sent: Arc<Mutex<Vec<Sent>>>,
    payload: String,
    /// Of a letter that is sent again: the id that it had.
    guid: Option<String>,
}

/// A delivery to an App as it went.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Counted for the App.
    pub id: u64,
    /// The same for a delivery that was sent again.
    pub guid: String,
    /// When it was tried.
    pub at: DateTime<Utc>,
    /// Sent again.
    pub redelivery: bool,
    /// What the receiver answered; 0 for nothing.
    pub status: u16,
    /// GitHub's name of the event.
    pub event: &'static str,
    /// The installation that it is about.
    pub installation: u64,
    /// The repository that it is about.
    pub repo: RepoId,
    /// To send it again.
    pub letter: Letter,
}

impl Letter {
    /// What an App is told of a repository that it is installed on.
    pub fn to_app(hook: &AppHook, installation: u64, repo: RepoId, event: Event, payload: &Value) -> Self {
        let mut payload = payload.clone();
        payload["installation"] = serde_json::json!({ "id": installation });
        if payload["action"] == "synchronized" {
            payload["action"] = "synchronize".into();
        }
        let app = ToApp { installation, repo, sent: hook.sent.clone(), payload: payload.to_string(), guid: None };
        Self::of_app(hook, event, app)
    }

    fn of_app(hook: &AppHook, event: Event, app: ToApp) -> Self {
        let (content_type, body) = match hook.json {
            true => ("application/json", app.payload.clone()),
            false => {
                let form =
                    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &app.payload).finish();
                ("application/x-www-form-urlencoded", form)
            }
        };
        let (url, secret, authorization) = (hook.url.clone(), hook.secret.clone(), String::new());
        Self { url, secret, authorization, event, body: body.into_bytes(), content_type, answer: None, app: Some(app) }
    }

    /// The same delivery to an App once more, as its hook is now.
    pub fn again(&self, hook: &AppHook) -> Self {
        self.app.clone().map_or_else(|| self.clone(), |app| Self::of_app(hook, self.event, app))
    }

    /// What a hook is told.
    pub fn new(hook: &Hook, event: Event, payload: &Value) -> Self {
        let body = format!("{payload:#}").into_bytes();
        Self {
            url: hook.url.clone(),
            secret: hook.secret.clone(),
            authorization: hook.authorization.clone(),
            event,
            body,
            content_type: "application/json",
            answer: Some(hook.last.clone()),
            app: None,
        }
    }

    /// Gitea's headers, GitHub's and Gogs's among them; without a secret the signatures are there and empty.
    fn headers(&self, id: &str) -> Vec<(&'static str, String)> {
        let (sha256, sha1) = if self.secret.is_empty() {
            (String::new(), String::new())
        } else {
            (sign::<Hmac<sha2::Sha256>>(&self.secret, &self.body), sign::<Hmac<sha1::Sha1>>(&self.secret, &self.body))
        };
        let (name, detail, target) = (self.event.name, self.event.detail, "repository");
        if self.app.is_some() {
            let mut headers = vec![
                ("Content-Type", self.content_type.to_owned()),
                ("X-GitHub-Delivery", id.to_owned()),
                ("X-GitHub-Event", name.to_owned()),
                ("X-GitHub-Hook-Installation-Target-Type", "integration".to_owned()),
            ];
            // Without a secret GitHub signs nothing.
            headers.extend((!self.secret.is_empty()).then(|| ("X-Hub-Signature-256", format!("sha256={sha256}"))));
            return headers;
        }
        vec![
            ("Content-Type", self.content_type.to_owned()),
            ("X-GitHub-Delivery", id.to_owned()),
            ("X-GitHub-Event", name.to_owned()),
            ("X-GitHub-Event-Type", detail.to_owned()),
            ("X-GitHub-Hook-Installation-Target-Type", target.to_owned()),
            ("X-Gitea-Delivery", id.to_owned()),
            ("X-Gitea-Event", name.to_owned()),
            ("X-Gitea-Event-Type", detail.to_owned()),
            ("X-Gitea-Hook-Installation-Target-Type", target.to_owned()),
            ("X-Gitea-Signature", sha256.clone()),
            ("X-Gogs-Delivery", id.to_owned()),
            ("X-Gogs-Event", name.to_owned()),
            ("X-Gogs-Event-Type", detail.to_owned()),
            ("X-Gogs-Signature", sha256.clone()),
            ("X-Hub-Signature", format!("sha1={sha1}")),
            ("X-Hub-Signature-256", format!("sha256={sha256}")),
        ]
    }

    async fn deliver(self, client: &reqwest::Client) {
        let known = self.app.as_ref().and_then(|app| app.guid.clone());
        let id = match known.map_or_else(delivery_id, Ok) {
            Ok(id) => id,
            Err(error) => return tracing::warn!(%error, "no id for a delivery"),
        };
        let mut request = client.post(&self.url).timeout(TIMEOUT);
        for (name, value) in self.headers(&id) {
            request = request.header(name, value);
        }
        if !self.authorization.is_empty() {
            request = request.header("Authorization", &self.authorization);
        }
        let sent = async {
            let answer = request.body(self.body.clone()).send().await?;
            let status = answer.status().as_u16();
            answer.bytes().await.map(|_| status)
        };
        let status = match sent.await {
            Ok(status) => status,
            Err(error) => {
                tracing::warn!(error = %error.without_url(), event = self.event.detail, "a delivery got lost");
                0
            }
        };
        self.write_down(id, status);
    }

    /// What became of a letter.
    fn write_down(mut self, guid: String, status: u16) {
        if let Some(answer) = &self.answer {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
        }
        let Some(app) = &mut self.app else { return };
        let redelivery = app.guid.replace(guid.clone()).is_some();
        let (installation, repo, all) = (app.installation, app.repo, app.sent.clone());
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, event, at) = (all.len() as u64 + 1, self.event.name, now());
        all.push(Sent { id, guid, at, redelivery, status, event, installation, repo, letter: self });
    }
}

/// A random UUID (version 4).
fn delivery_id() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    Ok([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
}

fn sign<M: Mac + KeyInit>(secret: &str, body: &[u8]) -> String {
    match <M as KeyInit>::new_from_slice(secret.as_bytes()) {
        Ok(mut mac) => {
            Mac::update(&mut mac, body);
            hex::encode(mac.finalize().into_bytes())
        }
        // An HMAC takes a key of any length.
        Err(_) => String::new(),
    }
}

/// Everybody's letters on their way.
pub struct Post {
    runtime: Handle,
    client: reqwest::Client,
    shutdown: CancellationToken,
    queues: HashMap<RepoId, mpsc::UnboundedSender<Letter>>,
}

impl Post {
    /// Letters are sent on `runtime` until `shutdown`; those that still wait then are lost.
    pub fn new(runtime: Handle, client: reqwest::Client, shutdown: CancellationToken) -> Self {
        Self { runtime, client, shutdown, queues: HashMap::new() }
    }

    /// Puts a letter into a repository's queue.
    pub fn send(&mut self, repo: RepoId, letter: Letter) {
        let queue = self.queues.entry(repo).or_insert_with(|| {
            let (queue, letters) = mpsc::unbounded_channel();
            self.runtime.spawn(postman(letters, self.client.clone(), self.shutdown.clone()));
            queue
        });
        if queue.send(letter).is_err() {
            tracing::debug!("a delivery after the end");
        }
    }
}

async fn postman(mut letters: mpsc::UnboundedReceiver<Letter>, client: reqwest::Client, shutdown: CancellationToken) {
    let all = async {
        while let Some(letter) = letters.recv().await {
            letter.deliver(&client).await;
        }
    };
    tokio::select! {
        () = all => {}
        () = shutdown.cancelled() => {}
    }
}
