//! Hooks and what protects branches, in this dialect. Rulesets are told, and have no effect.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde::Deserialize;
use serde_json::{Value, json};

use super::told::UNPROTECTED;
use crate::demo::forge::Refusal;
use crate::demo::forge::model::{Access, Hook, Protection, now};
use crate::demo::forge::subscriptions::NewHook;
use crate::demo::rest::answer::Answer;
use crate::demo::rest::visit::Visit;

/// What is kept of a protection besides its checks, under this key of [`Protection::more`].
const WHOLE: &str = "github";

pub fn meta(_: &mut Visit<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::ok(json!({ "installed_version": "3.17.0", "verifiable_password_authentication": false })))
}

pub fn branches(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let all = visit.state.bare(repo.id)?.branches()?;
    visit.page(all, |(name, sha)| Ok(json!({ "name": name, "commit": { "sha": sha.to_string() } })))
}

pub fn branch(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let name = visit.param("branch");
    let sha = visit.state.bare(repo.id)?.branch(name).ok_or_else(Refusal::not_found)?;
    let protected = visit.state.protection(repo.id, name)?.is_some();
    Ok(Answer::ok(json!({ "name": name, "commit": { "sha": sha.to_string() }, "protected": protected })))
}

pub fn rules(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let rules = visit.repo(Access::Read)?.rules.clone();
    visit.page(rules, Ok)
}

#[derive(Deserialize)]
struct Checks {
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct Check {
    context: String,
    app_id: Option<i64>,
}

fn told(rule: &Protection) -> Value {
    let mut whole = rule.more.get(WHOLE).cloned().unwrap_or_else(|| json!({}));
    if rule.status_check {
        let check = |context: &String| json!({ "context": context, "app_id": rule.pinned.get(context) });
        let checks: Vec<Value> = rule.contexts.iter().map(check).collect();
        whole["required_status_checks"] =
            json!({ "strict": rule.up_to_date, "contexts": rule.contexts, "checks": checks });
    }
    whole
}

/// Whoever may not look is told that there is none.
pub fn protection(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    visit.allowed(repo, Access::Admin).map_err(|_| Refusal::not_found())?;
    let unprotected = || Refusal::Missing(UNPROTECTED.to_owned());
    let rule = visit.state.protection(repo.id, visit.param("branch"))?.ok_or_else(unprotected)?;
    Ok(Answer::ok(told(rule)))
}

/// Names are written as texts, and read as objects.
fn people(written: &Value) -> Value {
    let named = |key: &str, field: &str| -> Vec<Value> {
        written[key].as_array().into_iter().flatten().map(|name| json!({ field: name })).collect()
    };
    json!({ "users": named("users", "login"), "teams": named("teams", "slug"), "apps": named("apps", "slug") })
}

/// Every switch is written as it is, and read as an object. What is not named is off.
fn read_again(written: &Value) -> Value {
    let mut read = json!({});
    for key in [
        "enforce_admins",
        "required_linear_history",
        "allow_force_pushes",
        "allow_deletions",
        "block_creations",
        "required_conversation_resolution",
        "lock_branch",
        "allow_fork_syncing",
    ] {
        read[key] = json!({ "enabled": written[key].as_bool().unwrap_or(false) });
    }
    let reviews = &written["required_pull_request_reviews"];
    if reviews.is_object() {
        let mut told = reviews.clone();
        for key in ["dismissal_restrictions", "bypass_pull_request_allowances"] {
            if reviews[key].is_object() {
                told[key] = people(&reviews[key]);
            }
        }
        read["required_pull_request_reviews"] = told;
    }
    if written["restrictions"].is_object() {
        read["restrictions"] = people(&written["restrictions"]);
    }
    read
}

pub fn protect(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.repo_id(Access::Admin)?, visit.form::<Value>()?);
    for key in ["required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions"] {
        if form.get(key).is_none() {
            return Err(Refusal::Invalid(format!("Invalid request.\n\n\"{key}\" wasn't supplied.")));
        }
    }
    let branch = visit.param("branch").to_owned();
    if visit.state.rule_mut(id, &branch).is_err() {
        let mut rule = Protection::new(branch.clone(), now());
        rule.push = true;
        visit.state.protect(id, rule)?;
    }
    let rule = visit.state.rule_mut(id, &branch)?;
    rule.more.insert(WHOLE.to_owned(), read_again(&form));
    let checks = serde_json::from_value::<Checks>(form["required_status_checks"].clone());
    rule.status_check = checks.is_ok();
    if let Ok(checks) = checks {
        apply(rule, checks);
    }
    let told = told(rule);
    Ok(Answer::ok(told))
}

pub fn require(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.repo_id(Access::Admin)?, visit.form::<Checks>()?);
    let branch = visit.param("branch").to_owned();
    let rule = visit.state.rule_mut(id, &branch)?;
    if !rule.status_check {
        return Err(Refusal::not_found());
    }
    apply(rule, form);
    let told = told(rule)["required_status_checks"].clone();
    Ok(Answer::ok(told))
}

fn apply(rule: &mut Protection, checks: Checks) {
    rule.up_to_date = checks.strict;
    let pinned = |check: &Check| Some((check.context.clone(), u64::try_from(check.app_id?).ok()?));
    rule.pinned = checks.checks.iter().filter_map(pinned).collect();
    rule.contexts = checks.checks.into_iter().map(|check| check.context).collect();
}

#[derive(Deserialize)]
struct Make {
    #[serde(default = "web")]
    name: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default = "yes")]
    active: bool,
}

fn yes() -> bool {
    true
}

fn web() -> String {
    "web".to_owned()
}

fn hook(hook: &Hook) -> Value {
    let code = *hook.last.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, message) = match code {
        None => ("unused", None),
        Some(200..300) => ("active", Some("OK".to_owned())),
        Some(0) => ("failed to connect to host", None),
        Some(code) => ("misconfigured", Some(format!("Invalid HTTP Response: {code}"))),
    };
    json!({
        "id": hook.id,
        "type": "Repository",
        "name": "web",
        "active": hook.active,
        "events": hook.events,
        "config": { "url": hook.url, "content_type": "json", "secret": "********", "insecure_ssl": "0" },
        "last_response": { "code": code, "status": status, "message": message },
    })
}

pub fn hooks(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    visit.allowed(repo, Access::Admin).map_err(|_| Refusal::not_found())?;
    let hooks = repo.hooks.iter().collect();
    visit.page(hooks, |one| Ok(hook(one)))
}

/// A server without merge queues: it does not know their event. Deliveries are forms here unless `content_type` says otherwise, and
/// the stand-in writes none: such a hook is refused.
pub fn add_hook(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, mut form) = (visit.repo_id(Access::Admin)?, visit.form::<Make>()?);
    if let Some(unknown) = form.events.iter().find(|event| *event == "merge_group") {
        return Err(Refusal::Invalid(format!("The following events are invalid: {unknown}")));
    }
    if form.name != "web" {
        return Err(Refusal::Invalid(format!("Hook with the name \"{}\" is not supported", form.name)));
    }
    if form.config.get("content_type").map(String::as_str) != Some("json") {
        return Err(Refusal::Invalid("the stand-in delivers JSON alone, and `content_type` is `form`".to_owned()));
    }
    let new = NewHook {
        url: form.config.remove("url").ok_or_else(|| Refusal::Invalid("url is missing".to_owned()))?,
        secret: form.config.remove("secret").unwrap_or_default(),
        events: form.events,
        branch_filter: String::new(),
        authorization: String::new(),
        active: form.active,
    };
    let made = visit.state.add_hook(id, new)?;
    Ok(Answer::created(hook(&made)))
}
