//! What issues and pull requests share: comments, reactions, labels, assignees. And workflows.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::told;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Access;
use crate::demo::rest::answer::Answer;
use crate::demo::rest::visit::Visit;

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let issue = visit.state.issue(repo.id, visit.number("number")?)?;
    let closed_by = issue.closed_by.map(|id| told::user(visit.state, id)).transpose()?;
    Ok(Answer::ok(json!({
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": if issue.is_open() { "open" } else { "closed" },
        "user": told::user(visit.state, issue.author)?,
        "closed_by": closed_by,
    })))
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    labels: Vec<String>,
}

/// A label that is none yet is made.
pub fn put_labels(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Labels>()?);
    let labels = visit.state.put_labels(repo, visit.number("number")?, &form.labels, true, doer)?;
    Ok(Answer::ok(labels.iter().map(|label| json!({ "name": label.name })).collect::<Vec<_>>().into()))
}

#[derive(Deserialize)]
struct Assignees {
    #[serde(default)]
    assignees: Vec<String>,
}

pub fn assign(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Assignees>()?);
    let number = visit.number("number")?;
    visit.state.assign(repo, number, &form.assignees, doer)?;
    Ok(Answer::created(json!({ "number": number })))
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    body: String,
}

pub fn comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Text>()?);
    let id = visit.state.comment(repo, visit.number("number")?, form.body, doer)?;
    one(visit, repo, id).map(Answer::created)
}

fn one(visit: &Visit<'_>, repo: u64, id: u64) -> Result<Value, Refusal> {
    let (issue, comment) = visit.state.comment_of(repo, id)?;
    told::comment(visit.state, visit.state.repo(repo)?, issue, comment)
}

pub fn get_comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id) = (visit.repo_id(Access::Read)?, visit.number("id")?);
    one(visit, repo, id).map(Answer::ok)
}

pub fn edit_comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<Text>()?);
    let id = visit.number("id")?;
    visit.state.edit_comment(repo, id, form.body, doer)?;
    one(visit, repo, id).map(Answer::ok)
}

/// Of one issue or pull request, in pages.
pub fn comments_of(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let issue = visit.state.issue(repo.id, visit.number("number")?)?;
    visit.page(issue.comments.iter().collect::<Vec<_>>(), |comment| told::comment(visit.state, repo, issue, comment))
}

/// Of all issues and pull requests; `since` is about when they were last changed.
pub fn comments(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let since = visit.query("since").and_then(|since| chrono::DateTime::parse_from_rfc3339(since).ok());
    let all = repo.issues.values().flat_map(|issue| issue.comments.iter().map(move |comment| (issue, comment)));
    let mut all: Vec<_> = all.filter(|(_, comment)| since.is_none_or(|since| comment.updated >= since)).collect();
    all.sort_by_key(|(_, comment)| comment.id);
    visit.page(all, |(issue, comment)| told::comment(visit.state, repo, issue, comment))
}

#[derive(Deserialize)]
struct Reaction {
    #[serde(default)]
    content: String,
}

pub fn react(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Reaction>()?);
    let (reaction, is_new) = visit.state.react(repo, visit.number("id")?, &form.content, doer)?;
    let told = json!({ "content": reaction.content, "user": told::user(visit.state, reaction.account)? });
    Ok(if is_new { Answer::created(told) } else { Answer::ok(told) })
}

#[derive(Deserialize)]
struct Dispatch {
    #[serde(rename = "ref", default)]
    reference: String,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
}

pub fn dispatch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, form) = (visit.living(Access::Write)?, visit.form::<Dispatch>()?);
    let workflow = visit.param("workflow").to_owned();
    visit.state.dispatch(repo, &workflow, &form.reference, form.inputs)?;
    Ok(Answer::nothing())
}
