//! How a GitHub, or a GitHub Enterprise Server, is set up.
//!
//! The traps: a branch may be protected by its own protection and by any number of rulesets, and only the rules as they apply to
//! the branch tell of those; a protection is written as a whole (PUT), in another shape than it is read; `contexts` pins a
//! required check to an App that posted it lately, so `checks` are written; a form is the default for a hook's deliveries.

use async_trait::async_trait;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::GitHub;
use crate::forge::answer::Answer;
use crate::forge::app_settings::AppSettings;
use crate::forge::settings::{
    Changed, Demands, Fit, Hook, LastAnswer, NewHook, Rights, Server, Settings, Use, WireRights, ahead, allowed,
    branches, hook_made, nowhere, probe, remove_hook, test_hook, text_file,
};
use crate::forge::{Forge, ForgeError, RepoName};

/// What drift-gate wants to hear of, and for what.
pub(super) const EVENTS: [(&str, &str); 8] = [
    ("push", "new commits"),
    ("create", "new branches"),
    ("delete", "branches that go"),
    ("pull_request", "pull requests"),
    ("issue_comment", "commands in comments"),
    ("merge_group", "candidates of a merge queue"),
    ("repository", "renames, and what becomes private"),
    ("status", "statuses that others write over ours"),
];

/// What every server knows of these: `merge_group` needs one with queues.
fn needed() -> impl Iterator<Item = &'static str> {
    EVENTS.into_iter().map(|(event, _)| event).filter(|event| *event != "merge_group")
}

#[derive(Deserialize)]
struct WireHook {
    id: u64,
    #[serde(default)]
    config: WireConfig,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    active: bool,
    last_response: Option<WireResponse>,
}

#[derive(Default, Deserialize)]
struct WireConfig {
    #[serde(default)]
    url: String,
    #[serde(default)]
    content_type: String,
}

#[derive(Deserialize)]
struct WireResponse {
    code: Option<u16>,
    message: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Checks {
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    contexts: Vec<String>,
    #[serde(default)]
    checks: Vec<WireCheck>,
}

#[derive(Clone, Deserialize)]
struct WireCheck {
    context: String,
    app_id: Option<i64>,
}

impl Checks {
    /// Each with the App that alone may give it; -1 means anybody.
    fn all(&self) -> Vec<(String, Option<u64>)> {
        let pinned = |app: Option<i64>| app.and_then(|app| u64::try_from(app).ok());
        let mut all: Vec<(String, Option<u64>)> =
            self.checks.iter().map(|check| (check.context.clone(), pinned(check.app_id))).collect();
        for context in &self.contexts {
            if !all.iter().any(|(known, _)| known == context) {
                all.push((context.clone(), None));
            }
        }
        all
    }
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    parameters: Parameters,
    ruleset_id: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    strict_required_status_checks_policy: bool,
    #[serde(default)]
    required_status_checks: Vec<RuleCheck>,
}

#[derive(Deserialize)]
struct RuleCheck {
    context: String,
    integration_id: Option<u64>,
}

fn no_forge(answer: &Answer) -> ForgeError {
    ForgeError::Refused {
        what: answer.what.clone(),
        status: answer.status.as_u16(),
        message: "no GitHub answers there: is it https://github.com, or an Enterprise Server's root?".to_owned(),
    }
}

/// What a 404 says to who may know that a branch has no protection.
const UNPROTECTED: &str = "Branch not protected";

/// What is known of a branch's own protection.
enum Protection {
    /// All of it.
    Is(Value),
    /// There is none.
    None,
    /// There is none, or we may not look.
    Hidden,
}

/// A part of a protection that is on, and that writing it as a whole does not carry.
fn unknown_part(read: &Value) -> Option<&str> {
    // Addresses and names; signatures are switched by a call of their own.
    const ELSEWHERE: [&str; 6] = ["url", "name", "enabled", "protection_url", "required_signatures", "id"];
    let carried = written(read, &Value::Null);
    let is_on = |value: &Value| !(value.is_null() || value["enabled"] == false || *value == false);
    let parts = read.as_object()?.iter().filter(|(_, value)| is_on(value)).map(|(key, _)| key.as_str());
    parts.into_iter().find(|key| carried.get(key).is_none() && !ELSEWHERE.contains(key))
}

/// A protection as it is read, in the shape in which it is written: every part of it, `checks` put in.
fn written(read: &Value, checks: &Value) -> Value {
    let enabled = |key: &str| read[key]["enabled"].as_bool().unwrap_or(false);
    let names = |value: &Value, key: &str, field: &str| -> Vec<Value> {
        value[key].as_array().into_iter().flatten().map(|one| one[field].clone()).collect()
    };
    let people = |value: &Value| {
        json!({
            "users": names(value, "users", "login"),
            "teams": names(value, "teams", "slug"),
            "apps": names(value, "apps", "slug"),
        })
    };
    let reviews = &read["required_pull_request_reviews"];
    let mut required_reviews = Value::Null;
    if reviews.is_object() {
        required_reviews = json!({});
        for key in [
            "dismiss_stale_reviews",
            "require_code_owner_reviews",
            "required_approving_review_count",
            "require_last_push_approval",
        ] {
            if !reviews[key].is_null() {
                required_reviews[key] = reviews[key].clone();
            }
        }
        for key in ["dismissal_restrictions", "bypass_pull_request_allowances"] {
            if reviews[key].is_object() {
                required_reviews[key] = people(&reviews[key]);
            }
        }
    }
    let restrictions = &read["restrictions"];
    json!({
        "required_status_checks": checks,
        "enforce_admins": enabled("enforce_admins"),
        "required_pull_request_reviews": required_reviews,
        "restrictions": if restrictions.is_object() { people(restrictions) } else { Value::Null },
        "required_linear_history": enabled("required_linear_history"),
        "allow_force_pushes": enabled("allow_force_pushes"),
        "allow_deletions": enabled("allow_deletions"),
        "block_creations": enabled("block_creations"),
        "required_conversation_resolution": enabled("required_conversation_resolution"),
        "lock_branch": enabled("lock_branch"),
        "allow_fork_syncing": enabled("allow_fork_syncing"),
    })
}

/// Who may not write is answered as if there were nothing to write to; what is asked for is not there as well, but that is a 422.
fn hidden(tried: Result<(), ForgeError>) -> Result<(), ForgeError> {
    match tried {
        Ok(()) | Err(ForgeError::UnknownCommit { .. }) => Ok(()),
        Err(ForgeError::NotFound { what }) => {
            Err(ForgeError::Denied { what, status: 404, message: "as if it were not there".to_owned() })
        }
        Err(error) => Err(error),
    }
}

impl GitHub {
    /// Asks for what cannot be made, because what it would be made of is not there.
    async fn tried(&self, repo: &RepoName, segments: &[&str], body: &Value) -> Result<(), ForgeError> {
        let answer = self.api.post(&self.api.repo(repo, segments)?, body).await?;
        match answer.status.as_u16() {
            422 => Ok(()),
            _ => hidden(answer.success().map(drop)),
        }
    }

    /// A branch's own protection.
    async fn protection(&self, repo: &RepoName, branch: &str) -> Result<Protection, ForgeError> {
        let segments = self.api.repo(repo, &["branches", branch, "protection"])?;
        let answer = self.api.get(&segments, &[]).await?;
        match answer.status.as_u16() {
            404 if answer.message() == UNPROTECTED => Ok(Protection::None),
            404 => Ok(Protection::Hidden),
            _ => answer.success()?.json().map(Protection::Is),
        }
    }

    /// The rules of all rulesets that apply to a branch; none where the server knows no rulesets.
    async fn rules(&self, repo: &RepoName, branch: &str) -> Result<Vec<Rule>, ForgeError> {
        let segments = self.api.repo(repo, &["rules", "branches", branch])?;
        match self.api.pages(&segments, &[]).all().await {
            Err(ForgeError::NotFound { .. }) => Ok(Vec::new()),
            rules => rules,
        }
    }

    /// Why a 404 of a protection says nothing: it is one too where we may not look.
    async fn must_administer(&self, repo: &RepoName, branch: &str) -> Result<(), ForgeError> {
        if self.rights(repo).await?.admin && !self.api.is_app() {
            return Ok(());
        }
        let what = format!("GET the protection of {branch}");
        let message = "only administrators are told what protects a branch".to_owned();
        Err(ForgeError::Denied { what, status: 404, message })
    }
}

#[async_trait]
impl Settings for GitHub {
    async fn server(&self) -> Result<Server, ForgeError> {
        let answer = self.api.get(&["meta"], &[]).await?;
        let clock = ahead(answer.header("date"));
        let scopes = answer.header("x-oauth-scopes").map(str::to_owned);
        if !matches!(answer.status.as_u16(), 200 | 304) {
            return Err(if answer.status.as_u16() == 404 { no_forge(&answer) } else { answer.failure() });
        }
        let meta: serde_json::Map<String, Value> = answer.json().map_err(|_| no_forge(&answer))?;
        let product = match meta.get("installed_version").and_then(Value::as_str) {
            Some(version) => format!("GitHub Enterprise Server {version}"),
            None => "GitHub".to_owned(),
        };
        Ok(Server { product, ahead: clock, scopes })
    }

    async fn rights(&self, repo: &RepoName) -> Result<Rights, ForgeError> {
        self.api.read::<WireRights>(&self.api.repo(repo, &[])?).await.map(Rights::from)
    }

    async fn may(&self, repo: &RepoName, what: Use<'_>) -> Result<(), ForgeError> {
        match what {
            Use::Statuses => match nowhere() {
                Some(nowhere) => hidden(self.post_status(repo, &nowhere, &probe()).await),
                None => Ok(()),
            },
            Use::Repairs => {
                let nothing = nowhere().map(|nowhere| nowhere.to_string());
                let reference = json!({ "ref": "refs/heads/drift-gate/doctor", "sha": nothing });
                self.tried(repo, &["git", "refs"], &reference).await?;
                let pull =
                    json!({ "title": "drift-gate doctor", "head": "drift-gate/doctor", "base": "drift-gate/doctor" });
                self.tried(repo, &["pulls"], &pull).await
            }
            Use::Comments => allowed(self.react(repo, 0, "eyes").await),
            Use::Teams(organization) => {
                let answer = self.api.get(&["orgs", organization, "teams"], &[("per_page", "1")]).await?;
                answer.success().map(drop)
            }
        }
    }

    fn scope_for(&self, what: Use<'_>) -> &'static str {
        match what {
            Use::Statuses => "Commit statuses: write",
            Use::Repairs => "Contents: write, Pull requests: write",
            Use::Comments => "Issues: write",
            Use::Teams(_) => "Members: read",
        }
    }

    async fn text_file(&self, repo: &RepoName, path: &str, branch: &str) -> Result<String, ForgeError> {
        text_file(&self.api, repo, path, branch).await
    }

    async fn branches(&self, repo: &RepoName) -> Result<Vec<String>, ForgeError> {
        branches(&self.api, repo).await
    }

    async fn hooks(&self, repo: &RepoName) -> Result<Vec<Hook>, ForgeError> {
        let hooks: Vec<WireHook> = self.api.pages(&self.api.repo(repo, &["hooks"])?, &[]).all().await?;
        let last = |response: WireResponse| {
            Some(LastAnswer { code: response.code?, message: response.message.unwrap_or_default() })
        };
        let hook = |wire: WireHook| Hook {
            id: wire.id,
            url: wire.config.url,
            active: wire.active,
            json: wire.config.content_type == "json",
            events: wire.events,
            branch_filter: String::new(),
            authorization: None,
            last: wire.last_response.and_then(last),
        };
        Ok(hooks.into_iter().map(hook).collect())
    }

    fn missing_events(&self, hook: &Hook) -> Vec<&'static str> {
        let has = |name: &str| hook.events.iter().any(|event| event == name || event == "*");
        needed().filter(|event| !has(event)).collect()
    }

    async fn add_hook(&self, repo: &RepoName, hook: &NewHook<'_>) -> Result<u64, ForgeError> {
        let kept: Vec<&str> = hook.like.into_iter().flat_map(|like| like.events.iter().map(String::as_str)).collect();
        let make = async |wanted: &[&str]| {
            let mut events: Vec<&str> = wanted.iter().chain(&kept).copied().collect();
            events.sort_unstable();
            events.dedup();
            let secret = hook.secret.expose_secret();
            let config = json!({ "url": hook.url, "content_type": "json", "secret": secret });
            let body = json!({ "name": "web", "active": true, "events": events, "config": config });
            self.api.post(&self.api.repo(repo, &["hooks"])?, &body).await
        };
        let mut answer = make(&EVENTS.map(|(event, _)| event)).await?;
        if answer.status.as_u16() == 422 && answer.message().contains("merge_group") {
            answer = make(&needed().collect::<Vec<_>>()).await?;
        }
        hook_made(answer)
    }

    async fn remove_hook(&self, repo: &RepoName, id: u64) -> Result<(), ForgeError> {
        remove_hook(&self.api, repo, id).await
    }

    async fn test_hook(&self, repo: &RepoName, id: u64) -> Result<(), ForgeError> {
        test_hook(&self.api, repo, id).await
    }

    async fn demands(&self, repo: &RepoName, branch: &str) -> Result<Demands, ForgeError> {
        self.api.read::<IgnoredAny>(&self.api.repo(repo, &["branches", branch])?).await?;
        let mut demands = Demands { pushes: true, ..Demands::default() };
        for rule in self.rules(repo, branch).await? {
            let named = rule.ruleset_id.map_or_else(|| "a ruleset".to_owned(), |id| format!("ruleset {id}"));
            match rule.kind.as_str() {
                "required_status_checks" => {
                    let checks = rule.parameters.required_status_checks;
                    demands.contexts.extend(checks.into_iter().map(|check| (check.context, check.integration_id)));
                    demands.up_to_date |= rule.parameters.strict_required_status_checks_policy;
                    // Such a rule is asked of pushes too.
                    demands.pushes = false;
                }
                "merge_queue" => demands.queue = true,
                "pull_request" => demands.pushes = false,
                _ => continue,
            }
            if !demands.rules.contains(&named) {
                demands.rules.push(named);
            }
        }
        let protection = match self.protection(repo, branch).await {
            Ok(Protection::Is(protection)) => protection,
            Ok(Protection::None) => return Ok(demands),
            // What a ruleset demands is known all the same.
            Ok(Protection::Hidden) | Err(ForgeError::Denied { .. }) if !demands.rules.is_empty() => return Ok(demands),
            Ok(Protection::Hidden) => {
                self.must_administer(repo, branch).await?;
                return Ok(demands);
            }
            Err(error) => return Err(error),
        };
        demands.rules.push(format!("the protection of {branch}"));
        if let Ok(checks) = serde_json::from_value::<Checks>(protection["required_status_checks"].clone()) {
            demands.contexts.extend(checks.all());
            demands.up_to_date |= checks.strict;
            demands.pushes = false;
        }
        demands.pushes &= !protection["required_pull_request_reviews"].is_object();
        Ok(demands)
    }

    /// Names are compared without case.
    fn fits(&self, required: &str, context: &str) -> Fit {
        if required.eq_ignore_ascii_case(context) { Fit::Exact } else { Fit::None }
    }

    async fn require(&self, repo: &RepoName, branch: &str, context: &str, _: &[String]) -> Result<Changed, ForgeError> {
        let read = match self.protection(repo, branch).await? {
            Protection::Is(protection) => Some(protection),
            Protection::None => None,
            Protection::Hidden => {
                self.must_administer(repo, branch).await?;
                None
            }
        };
        let before = read.clone().unwrap_or(Value::Null);
        let mut checks = serde_json::from_value::<Checks>(before["required_status_checks"].clone())
            .map(|checks| checks.all())
            .unwrap_or_default();
        let ours = self.api.app_id();
        match checks.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(context)) {
            Some((_, pin @ None)) => *pin = ours,
            Some((_, Some(other))) if Some(*other) != ours => {
                return Ok(Changed::Not(format!(
                    "`{context}` is required of App {other} alone: choose by hand on {branch} who may give it"
                )));
            }
            Some(_) => {}
            None => checks.push((context.to_owned(), ours)),
        }
        let checks: Vec<Value> = checks
            .into_iter()
            .map(|(context, app)| match app {
                Some(app) => json!({ "context": context, "app_id": app }),
                None => json!({ "context": context, "app_id": -1 }),
            })
            .collect();
        let checks = json!({ "strict": true, "checks": checks });
        if before["required_status_checks"].is_object() {
            // This part of it can be changed alone.
            let segments = self.api.repo(repo, &["branches", branch, "protection", "required_status_checks"])?;
            self.api.patch(&segments, &checks).await?.success()?;
            return Ok(Changed::Added);
        }
        if let Some(part) = unknown_part(&before) {
            return Ok(Changed::Not(format!(
                "require it by hand on {branch}: its protection says `{part}`, which would be lost when it is written as a whole"
            )));
        }
        let segments = self.api.repo(repo, &["branches", branch, "protection"])?;
        self.api.write(Method::PUT, &segments, &written(&before, &checks)).await?.success()?;
        Ok(if read.is_some() { Changed::Added } else { Changed::Made })
    }

    fn statuses_are_everyones(&self) -> bool {
        false
    }

    fn app(&self) -> Option<&dyn AppSettings> {
        self.api.is_app().then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protection_is_written_back_with_all_that_it_said() {
        let read = json!({
            "url": "https://api.github.com/x",
            "enforce_admins": { "url": "x", "enabled": true },
            "required_pull_request_reviews": {
                "url": "x", "dismiss_stale_reviews": true, "require_code_owner_reviews": false,
                "required_approving_review_count": 2, "require_last_push_approval": true,
                "dismissal_restrictions": { "users": [{ "login": "alice" }], "teams": [{ "slug": "leads" }], "apps": [] },
            },
            "restrictions": { "users": [], "teams": [{ "slug": "core" }], "apps": [{ "slug": "bot" }] },
            "required_linear_history": { "enabled": true },
            "allow_force_pushes": { "enabled": false },
            "required_conversation_resolution": { "enabled": true },
        });
        let checks = json!({ "strict": true, "checks": [{ "context": "drift-gate", "app_id": -1 }] });
        let expected = json!({
            "required_status_checks": checks,
            "enforce_admins": true,
            "required_pull_request_reviews": {
                "dismiss_stale_reviews": true, "require_code_owner_reviews": false, "required_approving_review_count": 2,
                "require_last_push_approval": true,
                "dismissal_restrictions": { "users": ["alice"], "teams": ["leads"], "apps": [] },
            },
            "restrictions": { "users": [], "teams": ["core"], "apps": ["bot"] },
            "required_linear_history": true,
            "allow_force_pushes": false,
            "allow_deletions": false,
            "block_creations": false,
            "required_conversation_resolution": true,
            "lock_branch": false,
            "allow_fork_syncing": false,
        });
        assert_eq!(written(&read, &checks), expected);
    }
}
