//! What people do on a forge, through its REST API, as their own tools do it: commit, open and merge pull requests, look at a
//! status. The demo's story and its buttons act as such a person; nothing here knows that the forge is a stand-in.

use std::fmt;

use base64::Engine;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A person with a token.
#[derive(Clone)]
pub struct Person {
    base: String,
    token: String,
    http: reqwest::Client,
}

/// One file of a commit: its path, and its new text or `None` to remove it.
pub type Edit<'a> = (&'a str, Option<&'a str>);

/// A commit status as people see it on the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `success`, `failure`, `error` or `pending`.
    pub state: String,
    /// The description.
    pub words: String,
    /// The address of the report page.
    pub url: String,
}

/// What the forge said instead of doing it.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// Another answer than 2xx.
    #[error("{what}: the forge answers {status}: {message}")]
    Refused {
        /// The request.
        what: String,
        /// The answer's status.
        status: StatusCode,
        /// The forge's words.
        message: String,
    },
    /// No answer, or half of one.
    #[error("{what}: {source}")]
    Unreachable {
        /// The request.
        what: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// An answer without the field that it should have.
    #[error("{what}: the answer has no `{field}`")]
    Unexpected {
        /// The request.
        what: String,
        /// The field.
        field: &'static str,
    },
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Person {
    /// Someone with this token on the forge at `base` (without a trailing slash).
    pub fn new(base: &str, token: &str) -> Self {
        Self { base: base.to_owned(), token: token.to_owned(), http: reqwest::Client::new() }
    }

    /// The head of a branch.
    ///
    /// # Errors
    /// There is no such branch, or the forge cannot be reached.
    pub async fn head(&self, repo: &str, branch: &str) -> Result<String, PersonError> {
        let what = format!("/repos/{repo}/branches/{branch}");
        let answer = self.ask(Method::GET, &what, None).await?;
        text(&answer["commit"]["id"], &what, "commit.id")
    }

    /// Commits edits onto `branch`, or onto a new branch made from it; the new commit.
    ///
    /// # Errors
    /// The forge refuses it (a protected branch, a branch that exists), or cannot be reached.
    pub async fn commit(
        &self,
        repo: &str,
        branch: &str,
        new_branch: Option<&str>,
        message: &str,
        edits: &[Edit<'_>],
    ) -> Result<String, PersonError> {
        let mut files = Vec::new();
        for (path, content) in edits {
            files.push(self.edit(repo, branch, path, *content).await?);
        }
        let mut body = json!({ "branch": branch, "message": message, "files": files });
        if let Some(new) = new_branch {
            body["new_branch"] = new.into();
        }
        let what = format!("/repos/{repo}/contents");
        let answer = self.ask(Method::POST, &what, Some(body)).await?;
        text(&answer["commit"]["sha"], &what, "commit.sha")
    }

    /// The forge wants to know which version of a file is replaced: nobody else's change is overwritten by mistake.
    async fn edit(&self, repo: &str, branch: &str, path: &str, content: Option<&str>) -> Result<Value, PersonError> {
        let there = self.ask(Method::GET, &format!("/repos/{repo}/contents/{path}?ref={branch}"), None).await;
        let sha = match there {
            Ok(file) => Some(file["sha"].clone()),
            Err(PersonError::Refused { status: StatusCode::NOT_FOUND, .. }) => None,
            Err(error) => return Err(error),
        };
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
        Ok(file)
    }

    /// Opens a pull request; its number.
    ///
    /// # Errors
    /// The forge refuses it (there is one already), or cannot be reached.
    pub async fn open_pull(&self, repo: &str, head: &str, base: &str, title: &str) -> Result<u64, PersonError> {
        let what = format!("/repos/{repo}/pulls");
        let answer = self.ask(Method::POST, &what, Some(json!({ "head": head, "base": base, "title": title }))).await?;
        answer["number"].as_u64().ok_or(PersonError::Unexpected { what, field: "number" })
    }

    /// Closes a pull request without merging it.
    ///
    /// # Errors
    /// It is merged already, or the forge cannot be reached.
    pub async fn close_pull(&self, repo: &str, number: u64) -> Result<(), PersonError> {
        let what = format!("/repos/{repo}/pulls/{number}");
        self.ask(Method::PATCH, &what, Some(json!({ "state": "closed" }))).await.map(drop)
    }

    /// Merges a pull request.
    ///
    /// # Errors
    /// The forge refuses it: 405 while a required status check is not green.
    pub async fn merge(&self, repo: &str, number: u64) -> Result<(), PersonError> {
        let what = format!("/repos/{repo}/pulls/{number}/merge");
        self.ask(Method::POST, &what, Some(json!({ "Do": "merge" }))).await.map(drop)
    }

    /// The newest status of `context` on a commit; `None` while there is none.
    ///
    /// # Errors
    /// There is no such commit, or the forge cannot be reached.
    pub async fn status(&self, repo: &str, sha: &str, context: &str) -> Result<Option<Said>, PersonError> {
        let all = self.ask(Method::GET, &format!("/repos/{repo}/statuses/{sha}?limit=50"), None).await?;
        let ours = all.as_array().into_iter().flatten().filter(|status| status["context"] == context);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(ours.max_by_key(|status| status["id"].as_u64()).map(|newest| Said {
            state: text(&newest["status"]),
            words: text(&newest["description"]),
            url: text(&newest["target_url"]),
        }))
    }

    /// Any other request: `path` below `/api/v1`; the answer's JSON, null where it has none.
    ///
    /// # Errors
    /// The forge answers with anything but 2xx, or cannot be reached.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, PersonError> {
        let what = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        request = request.header("authorization", format!("token {}", self.token));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let unreachable = |source| PersonError::Unreachable { what: what.clone(), source };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let answer = response.text().await.map_err(unreachable)?;
        let json = serde_json::from_str::<Value>(&answer).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let message = json["message"].as_str().map_or(answer, str::to_owned);
        Err(PersonError::Refused { what, status, message })
    }
}

fn text(value: &Value, what: &str, field: &'static str) -> Result<String, PersonError> {
    value.as_str().map(str::to_owned).ok_or_else(|| PersonError::Unexpected { what: what.to_owned(), field })
}
