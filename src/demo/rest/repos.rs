//! Repositories and what is set up in them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::visit::Visit;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::{Access, AccountId, Kind, Protection, RepoId, now};
use crate::demo::forge::repos::NewRepo;
use crate::demo::forge::subscriptions::NewHook;
use crate::demo::wire;

pub fn get(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let id = visit.repo_id(Access::Read)?;
    told(visit, id).map(Answer::ok)
}

pub fn by_id(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let id = visit.number("id")?;
    visit.allowed(visit.state.repo(id)?, Access::Read)?;
    told(visit, id).map(Answer::ok)
}

fn told(visit: &Visit<'_>, id: RepoId) -> Result<Value, Refusal> {
    let repo = visit.state.repo(id)?;
    wire::repository(visit.state, repo, visit.state.access(repo, visit.viewer))
}

#[derive(Deserialize)]
struct Create {
    name: String,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    auto_init: bool,
    #[serde(default = "main")]
    default_branch: String,
}

fn main() -> String {
    "main".to_owned()
}

pub fn create_own(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let owner = visit.doer()?;
    create(visit, owner)
}

pub fn create_in(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let doer = visit.doer()?;
    let organization = visit.state.account_named(visit.param("org")).ok_or_else(Refusal::not_found)?;
    let Kind::Organization { owners } = &organization.kind else { return Err(Refusal::not_found()) };
    if !owners.contains(&doer) && !visit.state.account(doer)?.is_site_admin() {
        let words = "Given user is not allowed to create repository in organization.";
        return Err(Refusal::Forbidden(words.to_owned()));
    }
    create(visit, organization.id)
}

fn create(visit: &mut Visit<'_>, owner: AccountId) -> Result<Answer, Refusal> {
    let (doer, form) = (visit.doer()?, visit.form::<Create>()?);
    let new = NewRepo {
        owner,
        name: &form.name,
        private: form.private,
        default_branch: &form.default_branch,
        readme: form.auto_init,
    };
    let id = visit.state.add_repo(&new, doer)?;
    told(visit, id).map(Answer::created)
}

#[derive(Deserialize)]
struct Edit {
    name: Option<String>,
    private: Option<bool>,
    archived: Option<bool>,
    default_branch: Option<String>,
}

pub fn edit(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.repo_id(Access::Admin)?, visit.form::<Edit>()?);
    if let Some(name) = form.name {
        visit.state.rename(id, &name)?;
    }
    if let Some(private) = form.private {
        visit.state.set_private(id, private)?;
    }
    if let Some(archived) = form.archived {
        visit.state.set_archived(id, archived)?;
    }
    if let Some(branch) = form.default_branch {
        visit.state.set_default_branch(id, &branch)?;
    }
    told(visit, id).map(Answer::ok)
}

pub fn delete(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, doer) = (visit.repo_id(Access::Owner)?, visit.doer()?);
    visit.state.delete_repo(id, doer)?;
    Ok(Answer::nothing())
}

pub fn fork(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, doer) = (visit.repo_id(Access::Read)?, visit.doer()?);
    let fork = visit.state.fork(id, doer, doer)?;
    told(visit, fork).map(Answer::accepted)
}

#[derive(Deserialize)]
struct Collaborator {
    #[serde(default)]
    permission: String,
}

pub fn add_collaborator(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.repo_id(Access::Admin)?, visit.form::<Collaborator>()?);
    let unknown = || Refusal::Invalid(format!("user does not exist [name: {}]", visit.param("user")));
    let user = visit.state.account_named(visit.param("user")).ok_or_else(unknown)?.id;
    visit.state.add_collaborator(id, user, Access::parse(&form.permission).unwrap_or(Access::Write))?;
    Ok(Answer::nothing())
}

/// Only those may ask who administer the repository, or ask for themselves.
pub fn permission(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let user = visit.state.account_named(visit.param("user"));
    let own = user.is_some_and(|user| visit.viewer == Some(user.id));
    if !own && visit.state.access(repo, visit.viewer) < Access::Admin {
        let words = "Only admins can query all permissions, repo admins can query all repo permissions, collaborators \
                     can query only their own";
        return Err(Refusal::Forbidden(words.to_owned()));
    }
    let unknown = || Refusal::Missing(format!("user does not exist [uid: 0, name: {}]", visit.param("user")));
    let user = user.ok_or_else(unknown)?;
    let word = visit.state.access(repo, Some(user.id)).as_str();
    let user = wire::user(visit.state, user.id, visit.viewer)?;
    Ok(Answer::ok(json!({ "permission": word, "role_name": word, "user": user })))
}

#[derive(Deserialize)]
struct Protect {
    #[serde(default)]
    rule_name: String,
    #[serde(default)]
    branch_name: String,
    #[serde(flatten)]
    edit: EditProtection,
}

/// What is not named stays as it is.
#[derive(Deserialize)]
struct EditProtection {
    enable_push: Option<bool>,
    enable_status_check: Option<bool>,
    status_check_contexts: Option<Vec<String>>,
    block_on_outdated_branch: Option<bool>,
    #[serde(flatten)]
    more: serde_json::Map<String, Value>,
}

impl EditProtection {
    fn apply(self, rule: &mut Protection) {
        rule.push = self.enable_push.unwrap_or(rule.push);
        rule.status_check = self.enable_status_check.unwrap_or(rule.status_check);
        rule.up_to_date = self.block_on_outdated_branch.unwrap_or(rule.up_to_date);
        if let Some(contexts) = self.status_check_contexts {
            rule.contexts = contexts;
        }
        let known = |key: &String| wire::PROTECTION.iter().any(|(known, _)| known == key);
        rule.more.extend(self.more.into_iter().filter(|(key, value)| known(key) && !value.is_null()));
    }
}

pub fn protect(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.repo_id(Access::Admin)?, visit.form::<Protect>()?);
    let rule = if form.rule_name.is_empty() { form.branch_name } else { form.rule_name };
    let mut protection = Protection::new(rule, now());
    form.edit.apply(&mut protection);
    visit.state.protect(id, protection.clone())?;
    Ok(Answer::created(wire::protection(&protection)))
}

pub fn edit_protection(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.repo_id(Access::Admin)?, visit.form::<EditProtection>()?);
    let name = visit.param("name").to_owned();
    let rule = visit.state.rule_mut(id, &name)?;
    form.apply(rule);
    let told = wire::protection(rule);
    Ok(Answer::ok(told))
}

pub fn protection(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let name = visit.param("name").to_owned();
    let repo = visit.repo(Access::Admin)?;
    let rule = repo.protections.iter().find(|one| one.rule == name).ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(wire::protection(rule)))
}

pub fn unprotect(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let id = visit.repo_id(Access::Admin)?;
    let rule = visit.param("name").to_owned();
    visit.state.unprotect(id, &rule)?;
    Ok(Answer::nothing())
}

pub fn protections(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Admin)?;
    Ok(Answer::ok(repo.protections.iter().map(wire::protection).collect::<Vec<_>>().into()))
}

#[derive(Deserialize)]
struct Hook {
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    branch_filter: String,
    #[serde(default)]
    authorization_header: String,
    #[serde(default)]
    active: bool,
}

pub fn add_hook(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, mut form) = (visit.repo_id(Access::Admin)?, visit.form::<Hook>()?);
    let mut config = |key: &str| form.config.remove(key);
    let (url, content_type) = (config("url"), config("content_type"));
    if content_type.as_deref() != Some("json") {
        return Err(Refusal::Invalid("Invalid content type".to_owned()));
    }
    let new = NewHook {
        url: url.ok_or_else(|| Refusal::Invalid("Missing config option: url".to_owned()))?,
        secret: config("secret").unwrap_or_default(),
        events: form.events,
        branch_filter: form.branch_filter,
        authorization: form.authorization_header,
        active: form.active,
    };
    let hook = visit.state.add_hook(id, new)?;
    Ok(Answer::created(wire::hook(&hook)))
}

pub fn hooks(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let hooks = visit.repo(Access::Admin)?.hooks.iter().collect();
    visit.page(hooks, |hook| Ok(wire::hook(hook)))
}

pub fn remove_hook(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id) = (visit.repo_id(Access::Admin)?, visit.number("id")?);
    visit.state.remove_hook(repo, id)?;
    Ok(Answer::nothing())
}

pub fn test_hook(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id, doer) = (visit.repo_id(Access::Admin)?, visit.number("id")?, visit.doer()?);
    visit.state.test_hook(repo, id, doer)?;
    Ok(Answer::nothing())
}
