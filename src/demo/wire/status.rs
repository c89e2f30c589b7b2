//! Commit statuses.

use git2::Oid;
use serde_json::{Value, json};

use super::repository::as_seen;
use super::{time, user};
use crate::demo::forge::model::{Repo, Status};
use crate::demo::forge::{Refusal, State, Viewer};

/// One status. Its state is under `status` here, and its `id` counts the statuses of this commit.
pub fn status(state: &State, repo: &Repo, commit: Oid, status: &Status) -> Result<Value, Refusal> {
    Ok(json!({
        "id": status.index,
        "status": status.state,
        "target_url": status.target_url,
        "description": status.description,
        "url": format!("{}/api/v1/repos/{}/statuses/{commit}", state.base, state.full_name(repo)?),
        "context": status.context,
        "creator": user(state, status.creator, None)?,
        "created_at": time(status.created),
        "updated_at": time(status.created),
    }))
}

/// All contexts of a commit as one. Its state is under `state`, and is empty where nothing was posted.
pub fn combined(state: &State, repo: &Repo, commit: Oid, viewer: Viewer) -> Result<Value, Refusal> {
    let newest = state.newest_statuses(repo.id, commit)?;
    let has = |word: &str| newest.iter().any(|status| status.state == word);
    let word = match () {
        () if newest.is_empty() => "",
        () if has("error") || has("failure") => "failure",
        () if has("pending") => "pending",
        () => "success",
    };
    let full_name = state.full_name(repo)?;
    let rows = newest.iter().map(|row| status(state, repo, commit, row)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "state": word,
        "sha": commit.to_string(),
        "total_count": rows.len(),
        "statuses": if rows.is_empty() { Value::Null } else { rows.into() },
        "repository": as_seen(state, repo, viewer)?,
        "commit_url": format!("{}/api/v1/repos/{full_name}/commits/{commit}", state.base),
        "url": format!("{}/api/v1/repos/{full_name}/commits/{commit}/status", state.base),
    }))
}
