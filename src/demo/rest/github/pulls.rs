//! Pull requests, and what GraphQL alone can do with them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::told;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::{Access, RepoId};
use crate::demo::forge::pulls::{Edit, MergeWish, NewPull};
use crate::demo::rest::answer::Answer;
use crate::demo::rest::visit::Visit;

/// The newest first; `state`, `head` (`owner:branch`) and `base` narrow it.
pub fn list(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let (state, head, base) = (visit.query("state").unwrap_or("open"), visit.query("head"), visit.query("base"));
    let mut numbers = Vec::new();
    for issue in repo.issues.values().rev() {
        let Some(pull) = &issue.pull else { continue };
        let told = told::pull(visit.state, repo, issue.number, false)?;
        let of_state = match state {
            "all" => true,
            "closed" => !issue.is_open(),
            _ => issue.is_open(),
        };
        if of_state
            && head.is_none_or(|head| told["head"]["label"] == head)
            && base.is_none_or(|base| pull.base == base)
        {
            numbers.push(issue.number);
        }
    }
    visit.page(numbers, |number| told::pull(visit.state, repo, number, false))
}

fn whole(visit: &Visit<'_>, repo: RepoId, number: u64) -> Result<Value, Refusal> {
    told::pull(visit.state, visit.state.repo(repo)?, number, true)
}

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo_id(Access::Read)?, visit.number("number")?);
    whole(visit, repo, number).map(Answer::ok)
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
    body: Option<String>,
    #[serde(default)]
    draft: bool,
}

/// One that would bring no commit is refused, and one that is there is 422.
pub fn open(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Open>()?);
    let bare = visit.state.bare(repo)?;
    let branch = form.head.split_once(':').map_or(form.head.as_str(), |(_, branch)| branch);
    if let (Some(head), Some(base)) = (bare.branch(branch), bare.branch(&form.base))
        && bare.since(Some(base), head)?.is_empty()
    {
        return Err(Refusal::Invalid(format!("No commits between {} and {branch}", form.base)));
    }
    let owner = visit.state.account(visit.state.repo(repo)?.owner)?.login.clone();
    let new = NewPull {
        head: branch.to_owned(),
        base: form.base,
        title: form.title,
        body: form.body.unwrap_or_default(),
        draft: form.draft,
    };
    let opened = visit.state.open_pull(repo, new, doer).map_err(|refusal| match refusal {
        Refusal::Conflict(_) => Refusal::Conflict(format!("A pull request already exists for {owner}:{branch}.")),
        Refusal::NotFound { .. } => Refusal::Invalid("Validation Failed: head invalid".to_owned()),
        other => other,
    });
    whole(visit, repo, opened?).map(Answer::created)
}

#[derive(Deserialize)]
struct Change {
    title: Option<String>,
    body: Option<String>,
    state: Option<String>,
}

pub fn edit(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Change>()?);
    let number = visit.number("number")?;
    let open = form.state.map(|state| state == "open");
    let edit = Edit { title: form.title, body: form.body, base: None, open };
    visit.state.edit_pull(repo, number, edit, doer)?;
    whole(visit, repo, number).map(Answer::ok)
}

#[derive(Deserialize, Default)]
struct Merge {
    sha: Option<String>,
}

pub fn merge(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, doer, form) = (visit.living(Access::Read)?, visit.doer()?, visit.form::<Merge>()?);
    let wish = MergeWish { title: None, head: form.sha, delete_branch: false };
    visit.state.merge_pull(repo, visit.number("number")?, &wish, doer)?;
    Ok(Answer::ok(json!({ "merged": true, "message": "Pull Request successfully merged" })))
}

/// Oldest first.
pub fn commits(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo(Access::Read)?, visit.number("number")?);
    let mut brought = visit.state.brought(repo.id, number)?;
    brought.reverse();
    visit.page(brought, |commit| told::commit(visit.state, repo, commit))
}

pub fn files(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, number) = (visit.repo(Access::Read)?, visit.number("number")?);
    let changed = visit.state.changed_by(repo.id, number)?;
    visit.page(changed, |(path, _)| Ok(json!({ "filename": path })))
}

#[derive(Deserialize)]
struct Reviewers {
    #[serde(default)]
    reviewers: Vec<String>,
}

pub fn ask_reviewers(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, _, form) = (visit.living(Access::Write)?, visit.doer()?, visit.form::<Reviewers>()?);
    let number = visit.number("number")?;
    visit.state.ask_reviewers(repo, number, &form.reviewers)?;
    whole(visit, repo, number).map(Answer::created)
}

#[derive(Deserialize)]
struct Query {
    #[serde(default)]
    query: String,
    #[serde(default)]
    variables: Value,
}

/// Auto-merge, and nothing else. Errors come with 200.
pub fn graphql(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (doer, form) = (visit.doer()?, visit.form::<Query>()?);
    let wrong = |message: &str| Ok(Answer::ok(json!({ "data": null, "errors": [{ "message": message }] })));
    if !form.query.contains("enablePullRequestAutoMerge") {
        return wrong("the stand-in knows enablePullRequestAutoMerge alone");
    }
    let node = form.variables["pull"].as_str().and_then(|id| id.strip_prefix("PR_")?.split_once('_'));
    let node = node.and_then(|(repo, number)| Some((repo.parse::<RepoId>().ok()?, number.parse::<u64>().ok()?)));
    let Some((repo, number)) = node else { return wrong("Could not resolve to a node") };
    visit.allowed(visit.state.repo(repo)?, Access::Write)?;
    let (_, pull) = visit.state.pull(repo, number)?;
    let head = visit.state.bare(repo)?.tip(&format!("refs/pull/{number}/head")).ok_or_else(Refusal::not_found)?;
    if visit.state.has_required_statuses(repo, &pull.base, head)? {
        return wrong("Pull request Pull request is in clean status");
    }
    let head = form.variables["head"].as_str().map(str::to_owned);
    visit.state.merge_when_green(repo, number, MergeWish { title: None, head, delete_branch: false }, doer)?;
    Ok(Answer::ok(json!({ "data": { "enablePullRequestAutoMerge": { "clientMutationId": null } } })))
}
