//! Commit statuses.

use serde::Deserialize;

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Access;
use crate::demo::forge::statuses::NewStatus;
use crate::demo::wire;

/// A commit that is not there has no statuses.
pub fn list(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let Some(commit) = visit.state.bare(repo.id)?.resolve(visit.param("sha")) else {
        return visit.page(Vec::<()>::new(), |()| Err(Refusal::not_found()));
    };
    let mut rows = visit.state.statuses(repo.id, commit)?;
    // So Gitea calls what puts the highest first.
    if visit.query("sort") == Some("leastindex") {
        rows.sort_by_key(|row| std::cmp::Reverse(row.index));
    }
    visit.page(rows, |row| wire::status(visit.state, repo, commit, &row))
}

pub fn combined(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let commit = visit.state.bare(repo.id)?.resolve(visit.param("sha")).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(wire::combined(visit.state, repo, commit, visit.viewer)?))
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    state: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    target_url: String,
}

pub fn create(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, doer, form) = (visit.repo_id(Access::Write)?, visit.doer()?, visit.form::<Create>()?);
    let sha = visit.param("sha").to_owned();
    let new = NewStatus {
        state: form.state,
        context: form.context,
        description: form.description,
        target_url: form.target_url,
    };
    let (commit, row) = visit.state.post_status(id, &sha, new, doer)?;
    Ok(Answer::created(wire::status(visit.state, visit.state.repo(id)?, commit, &row)?))
}
