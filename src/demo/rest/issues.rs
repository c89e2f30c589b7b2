//! Issues, comments and reactions.

use serde::Deserialize;
use serde_json::Value;

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Access;
use crate::demo::wire;

#[derive(Deserialize)]
struct Open {
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
}

pub fn open(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Open>()?);
    let number = visit.state.open_issue(repo, form.title, form.body, doer)?;
    Ok(Answer::created(wire::issue(visit.state, visit.state.repo(repo)?, number, visit.viewer)?))
}

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo(Access::Read)?, visit.number("number")?);
    Ok(Answer::ok(wire::issue(visit.state, repo, number, visit.viewer)?))
}

/// All of them: Gitea does not page these.
pub fn comments(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo(Access::Read)?, visit.number("number")?);
    let issue = visit.state.issue(repo.id, number)?;
    let all = issue.comments.iter().map(|comment| wire::comment(visit.state, repo, issue, comment));
    Ok(Answer::ok(all.collect::<Result<Vec<_>, _>>()?.into()))
}

/// Of all issues and pull requests; `since` is about when they were last changed.
pub fn all_comments(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let since = visit.query("since").and_then(|since| chrono::DateTime::parse_from_rfc3339(since).ok());
    let all = repo.issues.values().flat_map(|issue| issue.comments.iter().map(move |comment| (issue, comment)));
    let mut all: Vec<_> = all.filter(|(_, comment)| since.is_none_or(|since| comment.updated >= since)).collect();
    all.sort_by_key(|(_, comment)| comment.id);
    visit.page(all, |(issue, comment)| wire::comment(visit.state, repo, issue, comment))
}

/// Of all that happens to one: who closed it.
pub fn timeline(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let issue = visit.state.issue(repo.id, visit.number("number")?)?;
    let closed: Vec<_> = issue.closed_by.into_iter().collect();
    visit.page(closed, |who| {
        Ok(serde_json::json!({ "type": "close", "user": wire::user(visit.state, who, visit.viewer)? }))
    })
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    body: String,
}

pub fn comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Text>()?);
    let id = visit.state.comment(repo, visit.number("number")?, form.body, doer)?;
    told(visit, repo, id).map(Answer::created)
}

pub fn get_comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id) = (visit.repo_id(Access::Read)?, visit.number("id")?);
    told(visit, repo, id).map(Answer::ok)
}

pub fn edit_comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<Text>()?);
    let id = visit.number("id")?;
    visit.state.edit_comment(repo, id, form.body, doer)?;
    told(visit, repo, id).map(Answer::ok)
}

pub fn delete_comment(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, id) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.number("id")?);
    visit.state.delete_comment(repo, id, doer)?;
    Ok(Answer::nothing())
}

fn told(visit: &Visit<'_>, repo: u64, id: u64) -> Result<Value, Refusal> {
    let (issue, comment) = visit.state.comment_of(repo, id)?;
    wire::comment(visit.state, visit.state.repo(repo)?, issue, comment)
}

#[derive(Deserialize)]
struct Reaction {
    #[serde(default)]
    content: String,
}

/// 200 where it is there already.
pub fn react(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<Reaction>()?);
    let (reaction, is_new) = visit.state.react(repo, visit.number("id")?, &form.content, doer)?;
    let told = wire::reaction(visit.state, &reaction, visit.viewer)?;
    Ok(if is_new { Answer::created(told) } else { Answer::ok(told) })
}

/// Null where there is none, as on Gitea.
pub fn reactions(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id) = (visit.repo_id(Access::Read)?, visit.number("id")?);
    let (_, comment) = visit.state.comment_of(repo, id)?;
    let all = comment.reactions.iter().map(|reaction| wire::reaction(visit.state, reaction, visit.viewer));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::ok(if all.is_empty() { Value::Null } else { all.into() }))
}
