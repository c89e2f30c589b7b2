//! One request to the API, and what its handler asks about it.

use std::collections::BTreeMap;

use axum::http::header::{HeaderName, LINK};
use axum::http::{Method, Uri};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::Answer;
use crate::demo::forge::model::{Access, AccountId, Repo, RepoId, Scopes, Token};
use crate::demo::forge::{Refusal, State, Viewer};

/// Gitea's default and largest page.
const PAGE: usize = 30;
const LARGEST_PAGE: usize = 50;
/// GitHub's largest.
const GITHUB_PAGE: usize = 100;

/// Whether an address is one of GitHub's dialect.
pub fn is_github(path: &str) -> bool {
    path.starts_with("/api/v3/") || path == "/api/graphql"
}

/// A request on its way through the forge, whose lock it holds.
pub struct Visit<'a> {
    pub state: &'a mut State,
    pub viewer: Viewer,
    pub params: &'a BTreeMap<String, String>,
    pub query: &'a BTreeMap<String, String>,
    pub uri: &'a Uri,
    /// The request's `Authorization`.
    pub authorization: Option<&'a str>,
    pub body: &'a [u8],
}

impl Visit<'_> {
    /// A part of the path.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// A part of the path that must be a number.
    pub fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.param(name).parse().map_err(|_| Refusal::not_found())
    }

    /// A parameter after the `?`; empty ones count as absent.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The body.
    pub fn form<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body = if self.body.is_empty() { b"{}" } else { self.body };
        serde_json::from_slice(body).map_err(|error| Refusal::Invalid(format!("[]: {error}")))
    }

    /// Who does it; a stranger is asked for a token.
    pub fn doer(&self) -> Result<AccountId, Refusal> {
        self.viewer.ok_or(Refusal::Unauthorized("token is required"))
    }

    /// The repository that the path names, if whoever asks has this much access. What they may not see is not there.
    pub fn repo(&self, needed: Access) -> Result<&Repo, Refusal> {
        let repo = self.state.repo_named(self.param("owner"), self.param("repo"))?;
        self.allowed(repo, needed).map(|()| repo)
    }

    /// The id of [`Visit::repo`].
    pub fn repo_id(&self, needed: Access) -> Result<RepoId, Refusal> {
        self.repo(needed).map(|repo| repo.id)
    }

    /// The id of [`Visit::repo`], which must not be archived.
    pub fn living(&self, needed: Access) -> Result<RepoId, Refusal> {
        let repo = self.repo(needed)?;
        match repo.archived {
            true => Err(Refusal::Locked(format!("{} is archived", self.state.full_name(repo)?))),
            false => Ok(repo.id),
        }
    }

    /// Whether whoever asks has this much access.
    pub fn allowed(&self, repo: &Repo, needed: Access) -> Result<(), Refusal> {
        let access = self.state.access(repo, self.viewer);
        if access == Access::None {
            return Err(Refusal::not_found());
        }
        if access >= needed {
            return Ok(());
        }
        self.doer()?;
        Err(Refusal::Forbidden(match needed {
            Access::None | Access::Read | Access::Write => {
                "user should have a permission to write to a repo".to_owned()
            }
            Access::Admin => "user should be an owner or a collaborator with admin write of a repository".to_owned(),
            Access::Owner => "user should be the owner of the repo".to_owned(),
        }))
    }

    /// One page of a list. Gitea tells the length of the whole, and the addresses of further pages below its own root.
    pub fn page<T>(&self, all: Vec<T>, tell: impl FnMut(T) -> Result<Value, Refusal>) -> Result<Answer, Refusal> {
        let number = |name: &str| self.query(name).and_then(|value| value.parse::<usize>().ok());
        let page = number("page").unwrap_or(1).max(1);
        let github = is_github(self.uri.path());
        let (key, largest) = if github { ("per_page", GITHUB_PAGE) } else { ("limit", LARGEST_PAGE) };
        let size = number(key).filter(|size| *size > 0).unwrap_or(PAGE).min(largest);
        let total = all.len();
        let items = all.into_iter().skip((page - 1).saturating_mul(size)).take(size).map(tell);
        let answer = Answer::ok(items.collect::<Result<Vec<_>, _>>()?.into());
        if github {
            return Ok(answer);
        }
        let answer = answer.with(HeaderName::from_static("x-total-count"), total.to_string());
        if page.saturating_mul(size) >= total {
            return Ok(answer);
        }
        let address = |page: usize| format!("<{}{}?limit={size}&page={page}>", self.state.base, self.uri.path());
        let links = format!("{}; rel=\"next\",{}; rel=\"last\"", address(page + 1), address(total.div_ceil(size)));
        Ok(answer.with(LINK, links))
    }
}

/// Refuses a token that may not do this.
pub fn check_scope(token: &Token, method: &Method, path: &str) -> Result<(), Refusal> {
    let scopes = match &token.scopes {
        Scopes::All => return Ok(()),
        Scopes::Only(scopes) => scopes,
        Scopes::Granted(granted) => return check_granted(granted, method, path),
    };
    let Some(category) = category(path) else { return Ok(()) };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let has = |verb: &str| scopes.iter().any(|scope| *scope == format!("{verb}:{category}"));
    if has("write") || (reads && has("read")) {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "token does not have at least one of required scope(s), required=[{}:{category}], token scope={}",
        if reads { "read" } else { "write" },
        scopes.join(",")
    )))
}

/// Refuses what an installation was not granted.
fn check_granted(granted: &BTreeMap<String, String>, method: &Method, path: &str) -> Result<(), Refusal> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let has = |name: &&str| granted.get(*name).is_some_and(|may| may == "write" || (reads && may == "read"));
    match permissions(path) {
        [] => Ok(()),
        any if any.iter().any(has) => Ok(()),
        _ => Err(Refusal::Forbidden("Resource not accessible by integration".to_owned())),
    }
}

/// The permissions of which one opens a path of GitHub's; none where each installation may.
fn permissions(path: &str) -> &'static [&'static str] {
    let parts: Vec<&str> = path.trim_start_matches("/api/v3/").split('/').collect();
    match *parts.as_slice() {
        ["repos", _, _, "branches", _, "protection", ..] => &["administration"],
        ["repos", _, _, "commits", _, "check-runs"] | ["repos", _, _, "check-runs", ..] => &["checks"],
        ["repos", _, _, "commits", _, "statuses" | "status"] | ["repos", _, _, "statuses", ..] => &["statuses"],
        ["repos", _, _, "branches" | "contents" | "git", ..] => &["contents"],
        ["repos", _, _, "pulls", ..] => &["pull_requests"],
        ["repos", _, _, "issues", ..] => &["issues", "pull_requests"],
        ["repos", _, _, "hooks", ..] => &["repository_hooks"],
        ["repos", _, _, "actions", ..] => &["actions"],
        ["orgs", _, "teams", ..] => &["members"],
        _ => &[],
    }
}

/// What a path is about, in the words of scopes.
fn category(path: &str) -> Option<&'static str> {
    let mut parts = path.trim_start_matches("/api/v1/").trim_start_matches("/api/v3/").split('/');
    match parts.next()? {
        "repos" if matches!(parts.nth(2), Some("issues" | "labels")) => Some("issue"),
        "repos" | "repositories" => Some("repository"),
        "user" | "users" => Some("user"),
        "orgs" | "teams" => Some("organization"),
        _ => None,
    }
}
