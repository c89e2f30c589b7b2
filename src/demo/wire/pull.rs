//! Pull requests.

use serde_json::{Value, json};

use super::repository::as_seen;
use super::{labels, time, user, users};
use crate::demo::forge::bare::Bare;
use crate::demo::forge::model::{Issue, Pull, Repo};
use crate::demo::forge::{Refusal, State, Viewer};

/// Where a pull request is told; each place leaves out something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// By itself, with what it changes.
    Whole,
    /// As one of a list.
    Listed,
    /// In the delivery of a new head, before it is known whether it can be merged.
    Unchecked,
}

/// A pull request of `repo` as `viewer` sees it.
pub fn pull(state: &State, repo: &Repo, number: u64, detail: Detail, viewer: Viewer) -> Result<Value, Refusal> {
    let (issue, pull) = state.pull(repo.id, number)?;
    let bare = state.bare(repo.id)?;
    let head = bare.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
    let base = bare.branch(&pull.base);
    let merge_base = match &pull.merged {
        Some(merge) => merge.merge_base,
        None => base.and_then(|base| bare.merge_base(base, head)),
    };
    let page = format!("{}/{}/pulls/{number}", state.base, state.full_name(repo)?);
    // Lists have null where the single one has an empty list.
    let nobody = if detail == Detail::Listed { Value::Null } else { json!([]) };
    let (assignees, reviewers) = (users(state, &issue.assignees, viewer)?, users(state, &pull.reviewers, viewer)?);
    let somebody = |who: Vec<Value>| if who.is_empty() { nobody.clone() } else { who.into() };
    let mut value = json!({
        "id": pull.id,
        "url": page,
        "number": number,
        "user": user(state, issue.author, viewer)?,
        "title": issue.title,
        "body": issue.body,
        "labels": labels(state, repo, number)?,
        "milestone": null,
        "assignee": assignees.first(),
        "assignees": somebody(assignees.clone()),
        "requested_reviewers": somebody(reviewers),
        "requested_reviewers_teams": nobody,
        "state": if issue.is_open() { "open" } else { "closed" },
        "draft": issue.is_draft(),
        "is_locked": false,
        "comments": issue.comments.len(),
        "html_url": page,
        "diff_url": format!("{page}.diff"),
        "patch_url": format!("{page}.patch"),
        "mergeable": detail != Detail::Unchecked && mergeable(&bare, issue, pull, head)?,
        "merged": pull.merged.is_some(),
        "merged_at": pull.merged.as_ref().map(|merge| time(merge.at)),
        "merge_commit_sha": pull.merged.as_ref().map(|merge| merge.commit.to_string()),
        "merged_by": pull.merged.as_ref().map(|merge| user(state, merge.by, None)).transpose()?,
        "allow_maintainer_edit": true,
        "base": {
            "label": pull.base,
            "ref": pull.base,
            "sha": base.or(merge_base).map(|sha| sha.to_string()).unwrap_or_default(),
            "repo_id": repo.id,
            "repo": as_seen(state, repo, viewer)?,
        },
        "head": head_value(state, number, pull, head, viewer)?,
        "merge_base": merge_base.map(|sha| sha.to_string()).unwrap_or_default(),
        "due_date": null,
        "created_at": time(issue.created),
        "updated_at": time(issue.updated),
        "closed_at": issue.closed.map(time),
        "pin_order": 0,
    });
    if detail != Detail::Listed && pull.head_repo.is_some() {
        let changes = bare.changes(merge_base, head)?;
        value["additions"] = changes.additions.into();
        value["deletions"] = changes.deletions.into();
        value["changed_files"] = changes.files().into();
    }
    Ok(value)
}

/// Once its branch is gone, a head is known by the pull request's own reference.
fn head_value(state: &State, number: u64, pull: &Pull, sha: git2::Oid, viewer: Viewer) -> Result<Value, Refusal> {
    let repo = pull.head_repo.and_then(|id| state.repo(id).ok());
    let there = match repo {
        Some(repo) => state.bare(repo.id)?.branch(&pull.head).is_some(),
        None => false,
    };
    Ok(json!({
        "label": pull.head,
        "ref": if there { pull.head.clone() } else { format!("refs/pull/{number}/head") },
        "sha": sha.to_string(),
        "repo_id": repo.map_or(-1, |repo| i64::try_from(repo.id).unwrap_or(-1)),
        "repo": repo.map(|repo| as_seen(state, repo, viewer)).transpose()?,
    }))
}

fn mergeable(bare: &Bare, issue: &Issue, pull: &Pull, head: git2::Oid) -> Result<bool, Refusal> {
    if issue.is_draft() {
        return Ok(false);
    }
    match bare.branch(&pull.base) {
        Some(base) => bare.merges(base, head),
        None => Ok(false),
    }
}
