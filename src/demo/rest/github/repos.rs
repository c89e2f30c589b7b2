//! Who asks, repositories, and statuses.

use serde::Deserialize;
use serde_json::json;

use super::told;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Access;
use crate::demo::forge::statuses::NewStatus;
use crate::demo::rest::answer::Answer;
use crate::demo::rest::visit::Visit;

/// The longest description that is taken.
const DESCRIPTION: usize = 140;

pub fn me(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let me = visit.doer()?;
    Ok(Answer::ok(told::user(visit.state, me)?))
}

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    Ok(Answer::ok(told::repository(visit.state, repo, visit.viewer)?))
}

pub fn by_id(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.state.repo(visit.number("id")?)?;
    visit.allowed(repo, Access::Read)?;
    Ok(Answer::ok(told::repository(visit.state, repo, visit.viewer)?))
}

/// `admin` is the highest word here. Whoever may write may ask.
pub fn permission(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Write)?;
    let user = visit.state.account_named(visit.param("user")).ok_or_else(Refusal::not_found)?;
    let access = visit.state.access(repo, Some(user.id)).min(Access::Admin);
    let told = told::user(visit.state, user.id)?;
    Ok(Answer::ok(json!({ "permission": access.as_str(), "role_name": access.as_str(), "user": told })))
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    state: String,
    #[serde(default = "default")]
    context: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    target_url: String,
}

fn default() -> String {
    "default".to_owned()
}

/// Four states and no other, full ids and no other, and no long description.
pub fn post_status(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, doer, form) = (visit.living(Access::Write)?, visit.doer()?, visit.form::<Create>()?);
    let sha = visit.param("sha").to_owned();
    let known = visit.state.bare(id)?.resolve(&sha).filter(|known| known.to_string() == sha);
    if known.is_none() {
        return Err(Refusal::Invalid(format!("No commit found for SHA: {sha}")));
    }
    if !["error", "failure", "pending", "success"].contains(&form.state.as_str()) {
        return Err(Refusal::Invalid(format!("State {} is not included in the list", form.state)));
    }
    if form.description.chars().count() > DESCRIPTION {
        return Err(Refusal::Invalid(format!("description is too long (maximum is {DESCRIPTION} characters)")));
    }
    let new = NewStatus {
        state: form.state,
        context: form.context,
        description: form.description,
        target_url: form.target_url,
    };
    let (_, row) = visit.state.post_status(id, &sha, new, doer)?;
    Ok(Answer::created(told::status(visit.state, &row)?))
}

/// The newest first.
pub fn statuses(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let sha = visit.param("sha");
    let unknown = || Refusal::Invalid(format!("No commit found for SHA: {sha}"));
    let commit = visit.state.bare(repo.id)?.resolve(sha).ok_or_else(unknown)?;
    let mut rows = visit.state.statuses(repo.id, commit)?;
    rows.sort_by_key(|status| std::cmp::Reverse(status.id));
    visit.page(rows, |row| told::status(visit.state, &row))
}
