//! Pull requests.

use serde::Deserialize;

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::Access;
use crate::demo::forge::pulls::{Edit, MergeWish, NewPull};
use crate::demo::wire::{self, Detail};

/// The newest first. Of all filters only `state`, `base_branch` and `poster` do anything; the others are not seen, as on Gitea.
pub fn list(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let (state, base) = (visit.query("state").unwrap_or("open"), visit.query("base_branch"));
    let wanted = |open: bool| match state {
        "all" => true,
        "closed" => !open,
        _ => open,
    };
    let unknown = |login: &str| Refusal::Bad(format!("user does not exist [uid: 0, name: {login}]"));
    let poster = visit.query("poster");
    let poster = poster.map(|login| visit.state.account_named(login).ok_or_else(|| unknown(login))).transpose()?;
    let pulls = repo.issues.values().rev().filter(|issue| {
        issue.pull.as_ref().is_some_and(|pull| base.is_none_or(|base| base == pull.base))
            && wanted(issue.is_open())
            && poster.is_none_or(|poster| poster.id == issue.author)
    });
    let numbers = pulls.map(|issue| issue.number).collect();
    visit.page(numbers, |number| wire::pull(visit.state, repo, number, Detail::Listed, visit.viewer))
}

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo_id(Access::Read)?, visit.number("number")?);
    told(visit, repo, number).map(Answer::ok)
}

fn told(visit: &Visit<'_>, repo: u64, number: u64) -> Result<serde_json::Value, Refusal> {
    wire::pull(visit.state, visit.state.repo(repo)?, number, Detail::Whole, visit.viewer)
}

#[derive(Deserialize)]
struct Open {
    #[serde(default)]
    head: String,
    #[serde(default)]
    base: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    body: String,
}

pub fn open(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Open>()?);
    let new = NewPull { head: form.head, base: form.base, title: form.title, body: form.body, draft: false };
    let number = visit.state.open_pull(repo, new, doer)?;
    told(visit, repo, number).map(Answer::created)
}

#[derive(Deserialize)]
struct Change {
    title: Option<String>,
    body: Option<String>,
    base: Option<String>,
    state: Option<String>,
}

/// Answers 201, as Gitea does.
pub fn edit(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.repo_id(Access::Read)?, visit.doer()?, visit.form::<Change>()?);
    let number = visit.number("number")?;
    let open = form.state.map(|state| state == "open");
    let edit = Edit { title: form.title, body: form.body, base: form.base, open };
    visit.state.edit_pull(repo, number, edit, doer)?;
    told(visit, repo, number).map(Answer::created)
}

#[derive(Deserialize)]
struct Merge {
    #[serde(rename = "Do", default)]
    style: String,
    #[serde(rename = "MergeTitleField", default)]
    title: Option<String>,
    #[serde(default)]
    head_commit_id: Option<String>,
    #[serde(default)]
    delete_branch_after_merge: bool,
    #[serde(default)]
    merge_when_checks_succeed: bool,
}

/// The commits that a pull request brings, newest first.
pub fn commits(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo(Access::Read)?, visit.number("number")?);
    let brought = visit.state.brought(repo.id, number)?;
    visit.page(brought, |commit| wire::full(visit.state, repo, commit))
}

/// The files that a pull request changes.
pub fn files(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo(Access::Read)?, visit.number("number")?);
    let changed = visit.state.changed_by(repo.id, number)?;
    visit.page(changed, |(path, status)| Ok(serde_json::json!({ "filename": path, "status": status })))
}

pub fn merge(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Merge>()?);
    let number = visit.number("number")?;
    if !["merge", "rebase", "rebase-merge", "squash", "fast-forward-only", "manually-merged"].contains(&&*form.style) {
        return Err(Refusal::Invalid("[Do]: In".to_owned()));
    }
    // As in a repository that allows merge commits alone.
    if form.style != "merge" {
        return Err(Refusal::NotAllowed(format!(
            "{} is not allowed an allowed merge style for this repository",
            form.style
        )));
    }
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let wish = MergeWish {
        title: given(form.title),
        head: given(form.head_commit_id),
        delete_branch: form.delete_branch_after_merge,
    };
    if form.merge_when_checks_succeed {
        visit.state.merge_when_green(repo, number, wish, doer)?;
        return Ok(Answer::made());
    }
    visit.state.merge_pull(repo, number, &wish, doer)?;
    Ok(Answer::empty())
}
