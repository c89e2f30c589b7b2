//! The bodies of deliveries.

use git2::Oid;
use serde_json::{Value, json};

use super::commit::{brief, without_files};
use super::pull::Detail;
use super::repository::{as_seen, repository as told};
use super::{time, user};
use crate::demo::forge::bare::Bare;
use crate::demo::forge::model::{Access, AccountId, Kind, Repo, RepoId, Status};
use crate::demo::forge::refs::Moved;
use crate::demo::forge::{Refusal, State};

const ZEROS: &str = "0000000000000000000000000000000000000000";
/// No more commits are told in one delivery.
const COMMITS: usize = 5;

/// A branch or tag is new.
pub fn created(
    state: &State,
    repo: RepoId,
    name: &str,
    kind: &str,
    sha: Oid,
    doer: AccountId,
) -> Result<Value, Refusal> {
    Ok(json!({
        "sha": sha.to_string(),
        "ref": name,
        "ref_type": kind,
        "repository": told(state, state.repo(repo)?, Access::None)?,
        "sender": user(state, doer, None)?,
    }))
}

/// A branch or tag is gone.
pub fn deleted(state: &State, repo: RepoId, name: &str, kind: &str, doer: AccountId) -> Result<Value, Refusal> {
    Ok(json!({
        "ref": name,
        "ref_type": kind,
        "pusher_type": "user",
        "repository": told(state, state.repo(repo)?, Access::Owner)?,
        "sender": user(state, doer, None)?,
    }))
}

/// A branch or tag has moved. A hook's test is a push from a commit to itself.
pub fn push(state: &State, repo: RepoId, moved: &Moved, doer: AccountId) -> Result<Value, Refusal> {
    let repo = state.repo(repo)?;
    let bare = state.bare(repo.id)?;
    let is_test = moved.before == moved.after;
    let ids = commits(repo, &bare, moved)?;
    let tell = |id: Oid| match is_test {
        true => without_files(state, repo, &bare, id),
        false => brief(state, repo, &bare, id),
    };
    let zeros = |id: Option<Oid>| id.map_or_else(|| ZEROS.to_owned(), |id| id.to_string());
    let doer = user(state, doer, None)?;
    Ok(json!({
        "ref": moved.name,
        "before": zeros(moved.before),
        "after": zeros(moved.after),
        "compare_url": compare_url(state, repo, &bare, moved, &ids)?,
        "commits": ids.iter().take(COMMITS).map(|id| tell(*id)).collect::<Result<Vec<_>, _>>()?,
        "total_commits": ids.len(),
        "head_commit": moved.after.map(tell).transpose()?,
        "repository": told(state, repo, if is_test { Access::None } else { Access::Owner })?,
        "pusher": doer,
        "sender": doer,
    }))
}

/// The commits that a push brings: what was not there before, or on a new branch what the default branch has not.
fn commits(repo: &Repo, bare: &Bare, moved: &Moved) -> Result<Vec<Oid>, Refusal> {
    let (Some(branch), Some(after)) = (moved.name.strip_prefix("refs/heads/"), moved.after) else {
        return Ok(Vec::new());
    };
    if moved.before == moved.after {
        return Ok(vec![after]);
    }
    let default = || bare.branch(&repo.default_branch).filter(|_| branch != repo.default_branch);
    bare.since(moved.before.or_else(default), after)
}

fn compare_url(state: &State, repo: &Repo, bare: &Bare, moved: &Moved, commits: &[Oid]) -> Result<String, Refusal> {
    let Some(after) = moved.after else { return Ok(format!("{}/", state.base)) };
    let from = match moved.before {
        Some(before) => before.to_string(),
        None if moved.name.starts_with("refs/tags/") => ZEROS.to_owned(),
        None if commits.is_empty() => repo.default_branch.clone(),
        None => {
            let default = bare.branch(&repo.default_branch).and_then(|default| bare.merge_base(default, after));
            default.map_or_else(|| ZEROS.to_owned(), |base| base.to_string())
        }
    };
    Ok(format!("{}/{}/compare/{from}...{after}", state.base, state.full_name(repo)?))
}

/// A pull request was opened, closed, reopened or edited; `from` is what was edited and how it was.
pub fn pull(
    state: &State,
    repo: RepoId,
    number: u64,
    action: &str,
    from: Option<(&str, &str)>,
    doer: AccountId,
) -> Result<Value, Refusal> {
    let repo = state.repo(repo)?;
    let (issue, pull) = state.pull(repo.id, number)?;
    // Gitea tells the rights of whoever opened it, and everything once it is merged.
    let access = if pull.merged.is_some() { Access::Owner } else { state.access(repo, Some(issue.author)) };
    let mut value = json!({
        "action": action,
        "number": number,
        "pull_request": super::pull(state, repo, number, Detail::Whole, Some(doer))?,
        "requested_reviewer": null,
        "repository": told(state, repo, access)?,
        "sender": user(state, doer, None)?,
        "commit_id": "",
        "review": null,
    });
    if let Some((what, from)) = from {
        value["changes"] = json!({ what: { "from": from }, "added_labels": null, "removed_labels": null });
    }
    Ok(value)
}

/// A pull request has a new head.
pub fn pull_synchronized(state: &State, repo: RepoId, number: u64, doer: AccountId) -> Result<Value, Refusal> {
    let mut value = pull(state, repo, number, "synchronized", None, doer)?;
    let repo = state.repo(repo)?;
    value["pull_request"] = super::pull(state, repo, number, Detail::Unchecked, Some(doer))?;
    value["repository"] = told(state, repo, Access::Owner)?;
    Ok(value)
}

/// A comment was written, or written anew where there is a text of `before`.
pub fn comment(state: &State, repo: RepoId, id: u64, before: Option<&str>, doer: AccountId) -> Result<Value, Refusal> {
    let repo = state.repo(repo)?;
    let (issue, comment) = state.comment_of(repo.id, id)?;
    let mut value = json!({
        "action": if before.is_some() { "edited" } else { "created" },
        "issue": super::issue(state, repo, issue.number, Some(doer))?,
        "comment": super::comment(state, repo, issue, comment)?,
        "repository": as_seen(state, repo, Some(doer))?,
        "sender": user(state, doer, None)?,
        "is_pull": issue.pull.is_some(),
    });
    if issue.pull.is_some() {
        value["pull_request"] = super::pull(state, repo, issue.number, Detail::Whole, Some(doer))?;
    }
    if let Some(before) = before {
        value["changes"] = json!({ "body": { "from": before }, "added_labels": null, "removed_labels": null });
    }
    Ok(value)
}

/// A status was posted. Its state is under `state` here, and its `id` is another one than the API's.
pub fn status(state: &State, repo: RepoId, commit: Oid, status: &Status) -> Result<Value, Refusal> {
    let repo = state.repo(repo)?;
    let target_url = match status.target_url.as_str() {
        "" => format!("{}/", state.base),
        url => url.to_owned(),
    };
    Ok(json!({
        "commit": brief(state, repo, &state.bare(repo.id)?, commit)?,
        "context": status.context,
        "created_at": time(status.created),
        "description": status.description,
        "id": status.id,
        "repository": told(state, repo, Access::Owner)?,
        "sender": user(state, status.creator, None)?,
        "sha": commit.to_string(),
        "state": status.state,
        "target_url": target_url,
        "updated_at": time(status.created),
    }))
}

/// Somebody has a copy.
pub fn fork(state: &State, original: RepoId, fork: RepoId, doer: AccountId) -> Result<Value, Refusal> {
    Ok(json!({
        "forkee": told(state, state.repo(original)?, Access::Owner)?,
        "repository": told(state, state.repo(fork)?, Access::Owner)?,
        "sender": user(state, doer, None)?,
    }))
}

/// A repository came or went.
pub fn repository(state: &State, repo: RepoId, action: &str, doer: AccountId) -> Result<Value, Refusal> {
    let repo = state.repo(repo)?;
    let owner = state.account(repo.owner)?;
    let organization = match owner.kind {
        Kind::Organization { .. } => user(state, owner.id, None)?,
        Kind::Person { .. } => Value::Null,
    };
    Ok(json!({
        "action": action,
        "repository": told(state, repo, Access::Owner)?,
        "organization": organization,
        "sender": user(state, doer, None)?,
    }))
}
