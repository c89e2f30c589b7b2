//! Labels, assignees, reviewers, and workflows that somebody starts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Access;
use crate::demo::wire;

#[derive(Deserialize)]
struct NewLabel {
    #[serde(default)]
    name: String,
    #[serde(default)]
    color: String,
}

pub fn add_label(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, form) = (visit.repo_id(Access::Write)?, visit.form::<NewLabel>()?);
    let label = visit.state.add_label(repo, form.name, form.color.trim_start_matches('#').to_owned())?;
    Ok(Answer::created(wire::label(visit.state, visit.state.repo(repo)?, &label)?))
}

pub fn labels(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    visit.page(repo.labels.iter().collect(), |label| wire::label(visit.state, repo, label))
}

#[derive(Deserialize)]
struct Labels {
    #[serde(default)]
    labels: Vec<Value>,
}

/// By their names or by their numbers; what is unknown is passed over.
pub fn put_labels(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, doer, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<Labels>()?);
    let repo = visit.state.repo(id)?;
    let name = |label: &Value| match label.as_u64() {
        Some(number) => repo.labels.iter().find(|known| known.id == number).map(|known| known.name.clone()),
        None => label.as_str().map(str::to_owned),
    };
    let names: Vec<String> = form.labels.iter().filter_map(name).collect();
    let labels = visit.state.put_labels(id, visit.number("number")?, &names, false, doer)?;
    let repo = visit.state.repo(id)?;
    let told = labels.iter().map(|label| wire::label(visit.state, repo, label));
    Ok(Answer::ok(told.collect::<Result<Vec<_>, _>>()?.into()))
}

#[derive(Deserialize)]
struct EditIssue {
    assignees: Option<Vec<String>>,
}

pub fn edit_issue(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<EditIssue>()?);
    let number = visit.number("number")?;
    visit.state.issue(repo, number)?;
    if let Some(logins) = form.assignees {
        visit.state.assign(repo, number, &logins, doer)?;
    }
    Ok(Answer::created(wire::issue(visit.state, visit.state.repo(repo)?, number, visit.viewer)?))
}

#[derive(Deserialize)]
struct Reviewers {
    #[serde(default)]
    reviewers: Vec<String>,
}

pub fn ask_reviewers(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, _, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<Reviewers>()?);
    visit.state.ask_reviewers(repo, visit.number("number")?, &form.reviewers)?;
    Ok(Answer::created(json!([])))
}

#[derive(Deserialize)]
struct Dispatch {
    #[serde(rename = "ref", default)]
    reference: String,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
}

pub fn dispatch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, form) = (visit.repo_id(Access::Write)?, visit.form::<Dispatch>()?);
    let workflow = visit.param("workflow").to_owned();
    visit.state.dispatch(repo, &workflow, &form.reference, form.inputs)?;
    Ok(Answer::nothing())
}
