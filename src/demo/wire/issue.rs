//! Issues, comments, reactions.

use serde_json::{Value, json};

use super::{labels, time, user, users};
use crate::demo::forge::model::{Comment, Issue, Reaction, Repo};
use crate::demo::forge::{Refusal, State, Viewer};

/// An issue, or a pull request told as one.
pub fn issue(state: &State, repo: &Repo, number: u64, viewer: Viewer) -> Result<Value, Refusal> {
    let issue = state.issue(repo.id, number)?;
    let full_name = state.full_name(repo)?;
    let page = page(state, repo, issue)?;
    let pull = issue.pull.as_ref().map(|pull| {
        json!({
            "merged": pull.merged.is_some(),
            "merged_at": pull.merged.as_ref().map(|merge| time(merge.at)),
            "draft": issue.is_draft(),
            "html_url": page,
        })
    });
    let assignees = users(state, &issue.assignees, viewer)?;
    Ok(json!({
        "id": issue.id,
        "url": format!("{}/api/v1/repos/{full_name}/issues/{number}", state.base),
        "html_url": page,
        "number": number,
        "user": user(state, issue.author, viewer)?,
        "original_author": "",
        "original_author_id": 0,
        "title": issue.title,
        "body": issue.body,
        "ref": "",
        "assets": [],
        "labels": labels(state, repo, number)?,
        "milestone": null,
        "assignee": assignees.first(),
        "assignees": if assignees.is_empty() { Value::Null } else { assignees.clone().into() },
        "state": if issue.is_open() { "open" } else { "closed" },
        "is_locked": false,
        "comments": issue.comments.len(),
        "created_at": time(issue.created),
        "updated_at": time(issue.updated),
        "closed_at": issue.closed.map(time),
        "due_date": null,
        "time_estimate": 0,
        "pull_request": pull,
        "repository": {
            "id": repo.id,
            "name": repo.name,
            "owner": state.account(repo.owner)?.login,
            "full_name": full_name,
        },
        "pin_order": 0,
    }))
}

fn page(state: &State, repo: &Repo, issue: &Issue) -> Result<String, Refusal> {
    let kind = if issue.pull.is_some() { "pulls" } else { "issues" };
    Ok(format!("{}/{}/{kind}/{}", state.base, state.full_name(repo)?, issue.number))
}

/// A comment; which of two addresses is empty tells what it stands on.
pub fn comment(state: &State, repo: &Repo, issue: &Issue, comment: &Comment) -> Result<Value, Refusal> {
    let page = page(state, repo, issue)?;
    let (on_pull, on_issue) = if issue.pull.is_some() { (page.as_str(), "") } else { ("", page.as_str()) };
    Ok(json!({
        "id": comment.id,
        "html_url": format!("{page}#issuecomment-{}", comment.id),
        "pull_request_url": on_pull,
        "issue_url": on_issue,
        "user": user(state, comment.author, None)?,
        "original_author": "",
        "original_author_id": 0,
        "body": comment.body,
        "assets": [],
        "created_at": time(comment.created),
        "updated_at": time(comment.updated),
    }))
}

/// A reaction.
pub fn reaction(state: &State, reaction: &Reaction, viewer: Viewer) -> Result<Value, Refusal> {
    Ok(json!({
        "user": user(state, reaction.account, viewer)?,
        "content": reaction.content,
        "created_at": time(reaction.created),
    }))
}
