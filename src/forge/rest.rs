//! The calls whose address and answer are the same on every forge.

pub(super) mod pulls;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::answer::Answer;
use super::api::Api;
use super::http::below;
use super::wire::{NewReaction, NewStatus, WireComment, WirePull, WireRepository, WireStatus, WireUser};
use super::{Comment, ForgeError, Pull, RepoName, Repository, Status, User};
use crate::tree::ObjectId;

pub(super) async fn whoami(api: &Api) -> Result<User, ForgeError> {
    Ok(api.read::<WireUser>(&["user"]).await?.into())
}

pub(super) async fn repository(api: &Api, name: &RepoName) -> Result<Repository, ForgeError> {
    read_repository(api.get(&api.repo(name, &[])?, &[]).await?)
}

pub(super) async fn repository_by_id(api: &Api, id: u64) -> Result<Repository, ForgeError> {
    read_repository(api.get(&["repositories", &id.to_string()], &[]).await?)
}

fn read_repository(answer: Answer) -> Result<Repository, ForgeError> {
    let answer = answer.success()?;
    let wire: WireRepository = answer.json()?;
    wire.into_repository().ok_or_else(|| unexpected(&answer, "its name is not `owner/name`"))
}

/// All open pull requests, each once, lowest number first. One without a readable head is left out: nothing could be
/// judged or posted there, and the others must not wait for it.
pub(super) async fn open_pulls(api: &Api, repo: &RepoName) -> Result<Vec<Pull>, ForgeError> {
    let segments = api.repo(repo, &["pulls"])?;
    let wires: Vec<WirePull> = api.pages(&segments, &[("state", "open")]).all().await?;
    let mut pulls = Vec::with_capacity(wires.len());
    for wire in wires {
        let number = wire.number;
        match wire.into_pull() {
            // Unknown parameters are ignored by every forge: what was asked for is checked here too.
            Some(pull) if pull.open => pulls.push(pull),
            Some(_) => {}
            None => tracing::warn!(%repo, number, "the forge names no head commit for this pull request: not judged"),
        }
    }
    // One that moved to the next page while the list was read is there twice.
    pulls.sort_by_key(|pull| pull.number);
    pulls.dedup_by_key(|pull| pull.number);
    Ok(pulls)
}

pub(super) async fn pull(api: &Api, repo: &RepoName, number: u64) -> Result<Pull, ForgeError> {
    let answer = api.get(&api.repo(repo, &["pulls", &number.to_string()])?, &[]).await?.success()?;
    let wire: WirePull = answer.json()?;
    wire.into_pull().ok_or_else(|| ForgeError::Transient {
        what: answer.what.clone(),
        message: "the forge names no head commit for this pull request".to_owned(),
    })
}

/// Posts a status and hands back whatever was answered, for the dialect to judge.
pub(super) async fn send_status(
    api: &Api,
    repo: &RepoName,
    sha: &ObjectId,
    status: &Status,
) -> Result<Answer, ForgeError> {
    // Made again, so that one put together by hand fits as well.
    let status = Status::new(&*status.context, status.state, &status.description, &*status.target_url);
    api.post(&api.repo(repo, &["statuses", sha.as_str()])?, &NewStatus::from(&status)).await
}

/// A 2xx counts as posted only when it repeats the status: a login page in between answers 200 as well.
pub(super) fn accepted(answer: &Answer) -> Result<(), ForgeError> {
    match answer.json::<WireStatus>()?.word() {
        Some(_) => Ok(()),
        None => Err(unexpected(answer, "it repeats no status")),
    }
}

pub(super) async fn comment(api: &Api, repo: &RepoName, id: u64) -> Result<Comment, ForgeError> {
    let answer = api.get(&api.repo(repo, &["issues", "comments", &id.to_string()])?, &[]).await?.success()?;
    if answer.status.as_u16() == 204 {
        // Gitea: the id is that of an event in the conversation, not of a text.
        return Err(ForgeError::NotFound { what: answer.what });
    }
    let wire: WireComment = answer.json()?;
    wire.into_comment().ok_or_else(|| unexpected(&answer, "the comment stands on no issue or pull request"))
}

/// One that stands on no issue or pull request is left out.
pub(super) async fn comments_since(
    api: &Api,
    repo: &RepoName,
    since: DateTime<Utc>,
) -> Result<Vec<Comment>, ForgeError> {
    let segments = api.repo(repo, &["issues", "comments"])?;
    let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let wires: Vec<WireComment> = api.pages(&segments, &[("since", since.as_str())]).all().await?;
    let mut comments: Vec<Comment> = wires.into_iter().filter_map(WireComment::into_comment).collect();
    comments.sort_by_key(|comment| comment.id);
    comments.dedup_by_key(|comment| comment.id);
    Ok(comments)
}

/// 201 for a new reaction, 200 for one that is there already.
pub(super) async fn react(api: &Api, repo: &RepoName, comment: u64, reaction: &str) -> Result<(), ForgeError> {
    let segments = ["issues", "comments", &comment.to_string(), "reactions"];
    let answer = api.post(&api.repo(repo, &segments)?, &NewReaction { content: reaction }).await?.success()?;
    answer.json::<serde_json::Map<String, serde_json::Value>>().map(drop)
}

pub(super) fn unexpected(answer: &Answer, why: &str) -> ForgeError {
    ForgeError::Refused {
        what: answer.what.clone(),
        status: answer.status.as_u16(),
        message: format!("the answer has an unexpected shape: {why}"),
    }
}

/// `Basic` for git over HTTP: every forge takes its token as a password there.
pub fn basic(user: &str, token: Option<&SecretString>) -> Option<SecretString> {
    let pair = format!("{user}:{}", token?.expose_secret());
    Some(format!("Basic {}", STANDARD.encode(pair)).into())
}

/// A repository's address below a forge's root; `suffix` goes to the name.
pub(super) fn repository_url(root: &Url, repo: &RepoName, suffix: &str, rest: &[&str]) -> String {
    let (owner, name) = repo.0.split_once('/').unwrap_or((&repo.0, ""));
    let name = format!("{name}{suffix}");
    below(root, [owner, &name].into_iter().chain(rest.iter().copied())).into()
}

/// The page of the file at `path`; `kind` comes between repository and path.
pub(super) fn file_url(root: &Url, repo: &RepoName, kind: &[&str], path: &str, line: Option<u32>) -> String {
    let rest: Vec<&str> = kind.iter().copied().chain(path.split('/')).collect();
    let mut page = repository_url(root, repo, "", &rest);
    if let Some(line) = line {
        page.push_str(&format!("#L{line}"));
    }
    page
}
