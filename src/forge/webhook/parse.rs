//! What a delivery says may have changed.

use http::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::config::ForgeKind;
use crate::forge::RepoName;
use crate::tree::ObjectId;

/// A verified delivery, read for its hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The forge's name for this delivery, at most 128 characters; `None` where the header is absent or odd. GitHub keeps
    /// it when a person sends the delivery again, Gitea and Forgejo make a new one: the same id is the same delivery, but
    /// two ids may tell the same.
    pub id: Option<String>,
    /// The event's name as the forge has it, at most 64 of `a-z0-9_`; empty where the header is absent or odd.
    pub event: String,
    /// Where it happened; `None` where the payload names no repository (some pings) or not readably.
    pub repository: Option<RepositoryRef>,
    /// What may have changed.
    pub hint: Hint,
}

/// A repository as a payload names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRef {
    /// Stays through renames, of which Gitea and Forgejo send no delivery.
    pub id: u64,
    /// As the payload names it: a rename may have made that untrue.
    pub full_name: RepoName,
    /// `None` where the payload does not say.
    pub private: Option<bool>,
}

/// What could have changed. None of it is believed; it says where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A branch (its name without `refs/heads/`) moved or appeared.
    Push {
        /// Without `refs/heads/`.
        branch: String,
        /// Zeros where the branch is new.
        before: ObjectId,
        /// Zeros where the branch was deleted.
        after: ObjectId,
    },
    /// A branch appeared or went.
    Branch {
        /// Without `refs/heads/`.
        branch: String,
        /// What happened to it.
        change: BranchChange,
    },
    /// A pull request opened, closed, merged, moved, was edited or got another base.
    PullRequest {
        /// Which one.
        number: u64,
        /// The forge's word: `opened`, `synchronized`, `closed`, …
        action: String,
    },
    /// Someone wrote a comment on a pull request or an issue, whose first line [is a command](is_command).
    Comment {
        /// The comment's own id: it is read again by it.
        id: u64,
        /// The number of what it stands on.
        issue: u64,
        /// It is a pull request.
        is_pull: bool,
    },
    /// The repository was made, renamed, transferred, archived, deleted, or changed its visibility.
    RepositoryChanged,
    /// Someone posted a status: our own come back too. `creator` is a login, for the comparison with our own.
    Status {
        /// The commit that it stands on.
        sha: ObjectId,
        /// Its name.
        context: String,
        /// Login of who posted it.
        creator: String,
    },
    /// GitHub's greeting to a new hook.
    Ping,
    /// Known, and no verdict depends on it; says why.
    Nothing(&'static str),
    /// An event that this version does not know.
    Unknown,
    /// JSON of another shape than the event should have: anything in the repository may have changed.
    Unparsed,
}

/// See [`Hint::Branch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchChange {
    /// It is new.
    Created,
    /// It is gone.
    Deleted,
}

/// A body that no forge sends.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Where in the body it stops being JSON.
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson {
        /// 1-based.
        line: usize,
        /// 1-based.
        column: usize,
    },
}

/// Whether a comment's first line is for drift-gate: its first word is `/drift-gate`, in any case.
pub fn is_command(comment: &str) -> bool {
    let first = comment.lines().next().unwrap_or_default();
    first.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("/drift-gate"))
}

/// Reads a delivery that [`verify`](super::verify) let through.
///
/// # Errors
/// Only for a body that is not JSON. JSON of an unexpected shape is [`Hint::Unparsed`].
pub fn parse(kind: ForgeKind, headers: &HeaderMap, body: &[u8]) -> Result<Delivery, ParseError> {
    serde_json::from_slice::<IgnoredAny>(body)
        .map_err(|error| ParseError::NotJson { line: error.line(), column: error.column() })?;
    // Gitea and Forgejo send GitHub's headers too, and Forgejo sends Gitea's; the values agree. `Event-Type` is not read:
    // its `pull_request_comment` is a comment, while the `Event` of that name is a review.
    let prefixes: &[&str] = match kind {
        ForgeKind::GitHub => &["x-github"],
        ForgeKind::Gitea => &["x-forgejo", "x-gitea", "x-github"],
    };
    let header = |suffix: &str| {
        prefixes.iter().find_map(|prefix| headers.get(format!("{prefix}-{suffix}"))).and_then(|v| v.to_str().ok())
    };
    let id = header("delivery").filter(|id| (1..=128).contains(&id.len())).map(str::to_owned);
    let plain = |event: &&str| {
        event.len() <= 64 && event.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let event = header("event").filter(plain).unwrap_or_default().to_owned();
    let repository = read::<AnyPayload>(body).and_then(|payload| payload.repository);
    let repository = repository.and_then(|repo| {
        // Only the name must be there: in a payload of another shape the rest may be anything.
        let (id, private) = (repo.id.as_u64().unwrap_or_default(), repo.private.as_bool());
        Some(RepositoryRef { id, full_name: RepoName::parse(&repo.full_name)?, private })
    });
    let hint = match hint(&event, body) {
        // Every other hint needs a place to look.
        Some(hint @ (Hint::Ping | Hint::Nothing(_) | Hint::Unknown)) => hint,
        Some(hint) if repository.is_some() => hint,
        _ => Hint::Unparsed,
    };
    Ok(Delivery { id, event, repository, hint })
}

/// `None` where the payload has not the shape of its event.
fn hint(event: &str, body: &[u8]) -> Option<Hint> {
    match event {
        "push" => read(body).and_then(push),
        "create" => read(body).and_then(|payload| branch(payload, BranchChange::Created)),
        "delete" => read(body).and_then(|payload| branch(payload, BranchChange::Deleted)),
        "pull_request" => read(body).and_then(pull_request),
        "merge_group" => read(body).and_then(merge_group),
        "issue_comment" => read(body).and_then(comment),
        "status" => read(body).and_then(status),
        "repository" | "public" => Some(Hint::RepositoryChanged),
        "ping" => Some(Hint::Ping),
        // The `Event` of a review on Gitea and Forgejo; the bodies of line comments are never delivered.
        "pull_request_approved"
        | "pull_request_rejected"
        | "pull_request_comment"
        | "pull_request_review"
        | "pull_request_review_comment"
        | "pull_request_review_thread" => Some(Hint::Nothing("a review")),
        "issues" => Some(Hint::Nothing("an issue, which is no pull request")),
        "wiki" | "gollum" => Some(Hint::Nothing("the wiki")),
        "star" | "watch" | "fork" => Some(Hint::Nothing("somebody else's copy or interest")),
        "label" | "milestone" => Some(Hint::Nothing("labels and milestones")),
        "release" | "package" | "registry_package" => Some(Hint::Nothing("a release or package")),
        "check_run" | "check_suite" | "workflow_run" | "workflow_job" | "deployment" | "deployment_status" => {
            Some(Hint::Nothing("other checks"))
        }
        "commit_comment" => Some(Hint::Nothing("a comment on a commit")),
        _ => Some(Hint::Unknown),
    }
}

fn push(payload: PushPayload) -> Option<Hint> {
    let (before, after) = (ObjectId::parse(&payload.before)?, ObjectId::parse(&payload.after)?);
    if payload.name.starts_with("refs/tags/") {
        return Some(Hint::Nothing("a tag"));
    }
    let Some(branch) = payload.name.strip_prefix("refs/heads/").filter(|branch| !branch.is_empty()) else {
        return payload.name.starts_with("refs/").then_some(Hint::Nothing("a ref that is no branch"));
    };
    let branch = branch.to_owned();
    // GitHub says a deletion by a push as well.
    Some(match after.is_zero() {
        true => Hint::Branch { branch, change: BranchChange::Deleted },
        false => Hint::Push { branch, before, after },
    })
}

fn branch(payload: RefPayload, change: BranchChange) -> Option<Hint> {
    // Short, but in full from a hook of Forgejo's own type.
    let branch = payload.name.strip_prefix("refs/heads/").unwrap_or(&payload.name);
    match payload.kind.as_str() {
        "branch" if !branch.is_empty() => Some(Hint::Branch { branch: branch.to_owned(), change }),
        "tag" => Some(Hint::Nothing("a tag")),
        "repository" => Some(Hint::RepositoryChanged),
        _ => None,
    }
}

/// GitHub's queue made a branch of what merging would give, or gave it up.
fn merge_group(payload: QueuePayload) -> Option<Hint> {
    let branch = payload.merge_group.head_ref.strip_prefix("refs/heads/")?.to_owned();
    let change = if payload.action == "destroyed" { BranchChange::Deleted } else { BranchChange::Created };
    Some(Hint::Branch { branch, change })
}

fn pull_request(payload: PullPayload) -> Option<Hint> {
    let number = payload.number.or_else(|| payload.pull_request.map(|pull| pull.number))?;
    let why = match payload.action.as_str() {
        "labeled" | "unlabeled" | "label_updated" | "label_cleared" => "labels",
        "assigned" | "unassigned" | "milestoned" | "demilestoned" => "who does it, or when",
        "review_requested" | "review_request_removed" | "reviewed" => "a review",
        "locked" | "unlocked" | "auto_merge_enabled" | "auto_merge_disabled" | "enqueued" | "dequeued" => {
            "how it may be discussed or merged"
        }
        // Also a word of a later version: looking once too often does no harm.
        _ => return Some(Hint::PullRequest { number, action: payload.action.chars().take(64).collect() }),
    };
    Some(Hint::Nothing(why))
}

fn comment(payload: CommentPayload) -> Option<Hint> {
    if payload.action != "created" {
        return Some(Hint::Nothing("a comment that is not new: others than its author may have edited it"));
    }
    if !is_command(payload.comment.body.as_deref().unwrap_or_default()) {
        return Some(Hint::Nothing("a comment without a command in its first line"));
    }
    if let (Some(author), Some(sender)) = (&payload.comment.user, &payload.sender)
        && author.id != sender.id
    {
        return Some(Hint::Nothing("a comment that somebody else than its author sent"));
    }
    let is_pull = payload.is_pull || payload.issue.pull_request.is_some();
    Some(Hint::Comment { id: payload.comment.id, issue: payload.issue.number, is_pull })
}

fn status(payload: StatusPayload) -> Option<Hint> {
    let sha = ObjectId::parse(&payload.sha)?;
    Some(Hint::Status { sha, context: payload.context, creator: payload.sender.login })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

#[derive(Deserialize)]
struct AnyPayload {
    repository: Option<PayloadRepository>,
}

#[derive(Deserialize)]
struct PayloadRepository {
    #[serde(default)]
    id: serde_json::Value,
    full_name: String,
    #[serde(default)]
    private: serde_json::Value,
}

#[derive(Deserialize)]
struct PushPayload {
    #[serde(rename = "ref")]
    name: String,
    before: String,
    after: String,
}

#[derive(Deserialize)]
struct RefPayload {
    #[serde(rename = "ref", default, deserialize_with = "or_empty")]
    name: String,
    #[serde(rename = "ref_type")]
    kind: String,
}

#[derive(Deserialize)]
struct PullPayload {
    action: String,
    number: Option<u64>,
    /// Null where Gitea could not convert it.
    pull_request: Option<PayloadNumber>,
}

#[derive(Deserialize)]
struct QueuePayload {
    action: String,
    merge_group: PayloadGroup,
}

#[derive(Deserialize)]
struct PayloadGroup {
    head_ref: String,
}

#[derive(Deserialize)]
struct PayloadNumber {
    number: u64,
}

#[derive(Deserialize)]
struct CommentPayload {
    action: String,
    /// Gitea and Forgejo.
    #[serde(default)]
    is_pull: bool,
    issue: PayloadIssue,
    comment: PayloadComment,
    sender: Option<PayloadAccount>,
}

/// Whose number nobody tells is nobody's.
#[derive(Deserialize)]
struct PayloadAccount {
    #[serde(default)]
    id: i64,
}

#[derive(Deserialize)]
struct PayloadIssue {
    number: u64,
    /// Present and not null where the issue is a pull request.
    pull_request: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct PayloadComment {
    id: u64,
    body: Option<String>,
    user: Option<PayloadAccount>,
}

#[derive(Deserialize)]
struct StatusPayload {
    sha: String,
    context: String,
    sender: PayloadUser,
}

#[derive(Deserialize)]
struct PayloadUser {
    login: String,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
