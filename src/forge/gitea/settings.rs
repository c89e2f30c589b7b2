//! How a Gitea or Forgejo is set up.
//!
//! The traps: the scope of a token is asked before anything else, so a call about nothing tells whether it is there; events
//! that a server does not know are dropped without a word; `issue_comment` is about issues alone; names in a protection are
//! globs in which `*` crosses slashes, and an ill-formed one matches nothing; of several rules the first by priority counts,
//! and the branch itself says which one that is.

use async_trait::async_trait;
use regex::Regex;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gitea;
use crate::forge::answer::Answer;
use crate::forge::settings::{
    Changed, Demands, Fit, Hook, NewHook, Rights, SecretSame, Server, Settings, Use, WireRights, ahead, allowed,
    branches, hook_made, nowhere, probe, remove_hook, test_hook, text_file,
};
use crate::forge::{Forge, ForgeError, RepoName};

/// What drift-gate wants to hear of.
const EVENTS: [&str; 9] = [
    "push",
    "create",
    "delete",
    "pull_request",
    "pull_request_sync",
    "pull_request_comment",
    "issue_comment",
    "repository",
    "status",
];

#[derive(Deserialize)]
struct WireHook {
    id: u64,
    #[serde(default)]
    config: WireConfig,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    branch_filter: String,
    #[serde(default)]
    authorization_header: String,
    #[serde(default)]
    active: bool,
}

#[derive(Default, Deserialize)]
struct WireConfig {
    #[serde(default)]
    url: String,
    #[serde(default)]
    content_type: String,
}

#[derive(Deserialize)]
struct WireBranch {
    /// The rule that counts; older servers do not say it.
    #[serde(default)]
    effective_branch_protection_name: String,
}

#[derive(Deserialize)]
struct Protection {
    #[serde(default)]
    rule_name: String,
    #[serde(default)]
    branch_name: String,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    enable_push: bool,
    #[serde(default)]
    enable_push_whitelist: bool,
    #[serde(default)]
    enable_status_check: bool,
    #[serde(default)]
    status_check_contexts: Option<Vec<String>>,
    #[serde(default)]
    block_on_outdated_branch: bool,
}

impl Protection {
    fn rule(&self) -> &str {
        if self.rule_name.is_empty() { &self.branch_name } else { &self.rule_name }
    }

    fn contexts(&self) -> Vec<String> {
        self.status_check_contexts.clone().unwrap_or_default()
    }
}

/// What the answers of an address that is no forge have in common.
fn no_forge(answer: &Answer) -> ForgeError {
    ForgeError::Refused {
        what: answer.what.clone(),
        status: answer.status.as_u16(),
        message: "no Gitea and no Forgejo answers there: is it the server's root, as in https://git.example.org?"
            .to_owned(),
    }
}

/// A pattern as Gitea compiles it; `*` stays within a segment where `separated`. `None` for one that it refuses.
fn glob(pattern: &str, separated: bool) -> Option<Regex> {
    let any = if separated { "[^/]" } else { "." };
    let (mut regex, mut chars, mut open) = (String::from("(?s)^"), pattern.chars().peekable(), 0_u32);
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                regex.push_str(".*");
            }
            '*' => regex.push_str(&format!("{any}*")),
            '?' => regex.push_str(any),
            '[' => {
                let class: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let (not, class) = class.strip_prefix('!').map_or(("", class.as_str()), |class| ("^", class));
                regex.push_str(&format!("[{not}{}]", class.replace('\\', r"\\").replace('[', r"\[")));
            }
            '{' => {
                open += 1;
                regex.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                regex.push(')');
            }
            ',' if open > 0 => regex.push('|'),
            '\\' => regex.push_str(&regex::escape(&chars.next()?.to_string())),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    Regex::new(&format!("{regex}$")).ok()
}

/// Whether a rule's name is a pattern.
fn is_pattern(rule: &str) -> bool {
    rule.contains(['*', '?', '[', '{', '\\'])
}

impl Gitea {
    async fn protections(&self, repo: &RepoName) -> Result<Vec<Protection>, ForgeError> {
        self.api.read(&self.api.repo(repo, &["branch_protections"])?).await
    }

    /// The rule that counts for a branch, as the branch itself says, or else by its name, its priority and its pattern.
    async fn protection(&self, repo: &RepoName, branch: &str) -> Result<Option<Protection>, ForgeError> {
        let seen: WireBranch = self.api.read(&self.api.repo(repo, &["branches", branch])?).await?;
        let mut all = self.protections(repo).await?;
        let effective = seen.effective_branch_protection_name;
        if let Some(at) = all.iter().position(|one| !effective.is_empty() && one.rule() == effective) {
            return Ok(Some(all.swap_remove(at)));
        }
        let fits = |one: &Protection| {
            one.rule().eq_ignore_ascii_case(branch)
                || (is_pattern(one.rule()) && glob(one.rule(), true).is_some_and(|glob| glob.is_match(branch)))
        };
        Ok(all.into_iter().filter(fits).min_by_key(|one| (is_pattern(one.rule()), one.priority)))
    }
}

#[async_trait]
impl Settings for Gitea {
    async fn server(&self) -> Result<Server, ForgeError> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let answer = self.api.get(&["version"], &[]).await?;
        let clock = ahead(answer.header("date"));
        let version = match answer.status.as_u16() {
            200 => answer.json::<Version>().map_err(|_| no_forge(&answer))?.version,
            404 | 405 => return Err(no_forge(&answer)),
            _ => return Err(answer.failure()),
        };
        let name = if version.contains("+gitea-") { "Forgejo" } else { "Gitea" };
        Ok(Server { product: format!("{name} {version}"), ahead: clock, scopes: None })
    }

    async fn rights(&self, repo: &RepoName) -> Result<Rights, ForgeError> {
        self.api.read::<WireRights>(&self.api.repo(repo, &[])?).await.map(Rights::from)
    }

    async fn may(&self, repo: &RepoName, what: Use<'_>) -> Result<(), ForgeError> {
        match what {
            Use::Statuses => match nowhere() {
                Some(nowhere) => allowed(self.post_status(repo, &nowhere, &probe()).await),
                None => Ok(()),
            },
            // The same scope and right.
            Use::Repairs => self.may(repo, Use::Statuses).await,
            // No comment has this number.
            Use::Comments => allowed(self.react(repo, 0, "eyes").await),
            Use::Teams(organization) => {
                let asked = [("q", "owners"), ("limit", "1")];
                let answer = self.api.get(&["orgs", organization, "teams", "search"], &asked).await?;
                allowed(answer.success().map(drop))
            }
        }
    }

    fn scope_for(&self, what: Use<'_>) -> &'static str {
        match what {
            Use::Statuses | Use::Repairs => "write:repository",
            Use::Comments => "write:issue",
            Use::Teams(_) => "read:organization",
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
        let hook = |wire: WireHook| Hook {
            id: wire.id,
            url: wire.config.url,
            active: wire.active,
            json: wire.config.content_type == "json",
            events: wire.events,
            branch_filter: wire.branch_filter,
            authorization: Some(wire.authorization_header)
                .filter(|header| !header.is_empty())
                .map(|header| SecretSame(header.into())),
            last: None,
        };
        Ok(hooks.into_iter().map(hook).collect())
    }

    /// `pull_request` brings what is about pull requests, their comments too.
    fn missing_events(&self, hook: &Hook) -> Vec<&'static str> {
        let has = |name: &str| hook.events.iter().any(|event| event == name);
        let brought = |event: &str| event.starts_with("pull_request") && has("pull_request");
        EVENTS.into_iter().filter(|event| !has(event) && !brought(event)).collect()
    }

    async fn add_hook(&self, repo: &RepoName, hook: &NewHook<'_>) -> Result<u64, ForgeError> {
        let mut events: Vec<&str> = EVENTS.to_vec();
        events.extend(hook.like.into_iter().flat_map(|like| like.events.iter().map(String::as_str)));
        events.sort_unstable();
        events.dedup();
        let mut body = json!({
            "type": "gitea",
            "active": true,
            "events": events,
            "config": { "url": hook.url, "content_type": "json", "secret": hook.secret.expose_secret() },
        });
        if let Some(SecretSame(header)) = hook.like.and_then(|like| like.authorization.as_ref()) {
            body["authorization_header"] = header.expose_secret().into();
        }
        hook_made(self.api.post(&self.api.repo(repo, &["hooks"])?, &body).await?)
    }

    async fn remove_hook(&self, repo: &RepoName, id: u64) -> Result<(), ForgeError> {
        remove_hook(&self.api, repo, id).await
    }

    async fn test_hook(&self, repo: &RepoName, id: u64) -> Result<(), ForgeError> {
        test_hook(&self.api, repo, id).await
    }

    async fn demands(&self, repo: &RepoName, branch: &str) -> Result<Demands, ForgeError> {
        let Some(rule) = self.protection(repo, branch).await? else {
            return Ok(Demands { pushes: true, ..Demands::default() });
        };
        let contexts = if rule.enable_status_check { rule.contexts() } else { Vec::new() };
        Ok(Demands {
            rules: vec![rule.rule().to_owned()],
            contexts: contexts.into_iter().map(|context| (context, None)).collect(),
            up_to_date: rule.block_on_outdated_branch,
            queue: false,
            pushes: rule.enable_push && !rule.enable_push_whitelist,
        })
    }

    fn fits(&self, required: &str, context: &str) -> Fit {
        match glob(required, false) {
            _ if required == context => Fit::Exact,
            Some(glob) if glob.is_match(context) => Fit::Pattern,
            _ => Fit::None,
        }
    }

    /// Gitea changes the fields that a PATCH of a protection names, and no other. A new rule lets push who could before.
    async fn require(
        &self,
        repo: &RepoName,
        branch: &str,
        context: &str,
        patterns: &[String],
    ) -> Result<Changed, ForgeError> {
        let Some(rule) = self.protection(repo, branch).await? else {
            let body = json!({
                "rule_name": branch,
                "enable_push": true,
                "enable_status_check": true,
                "status_check_contexts": [context],
                "block_on_outdated_branch": true,
            });
            self.api.post(&self.api.repo(repo, &["branch_protections"])?, &body).await?.success()?;
            return Ok(Changed::Made);
        };
        let name = rule.rule().to_owned();
        if !name.eq_ignore_ascii_case(branch) && !patterns.contains(&name) {
            return Ok(Changed::Not(format!(
                "the rule `{name}` protects {branch} and other branches as well, where no status may ever come: make a rule \
                 for {branch} alone that demands the same and `{context}`"
            )));
        }
        // What was listed and switched off comes back only as far as it is ours.
        let mut contexts = if rule.enable_status_check { rule.contexts() } else { Vec::new() };
        if !contexts.iter().any(|required| self.fits(required, context) != Fit::None) {
            contexts.push(context.to_owned());
        }
        let body: Value = json!({
            "enable_status_check": true,
            "status_check_contexts": contexts,
            "block_on_outdated_branch": true,
        });
        let segments = self.api.repo(repo, &["branch_protections", &name])?;
        self.api.write(Method::PATCH, &segments, &body).await?.success()?;
        Ok(Changed::Added)
    }

    fn statuses_are_everyones(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_on_the_server() {
        for (pattern, fits, not) in [
            ("drift-gate*", &["drift-gate", "drift-gate/edge"][..], &["ci/drift-gate"][..]),
            ("*", &["drift-gate", "a/b"], &[]),
            ("drift-{gate,door}", &["drift-gate", "drift-door"], &["drift-{gate,door}"]),
            ("drift?gate", &["drift-gate"], &["driftgate"]),
            ("[!a-c]x", &["dx"], &["ax"]),
        ] {
            let glob = glob(pattern, false).expect("a pattern");
            assert!(fits.iter().all(|text| glob.is_match(text)), "{pattern}");
            assert!(!not.iter().any(|text| glob.is_match(text)), "{pattern}");
        }
        let branches = glob("release/*", true).expect("a pattern");
        assert!(branches.is_match("release/1") && !branches.is_match("release/1/2"));
        assert!(glob("{a", false).is_none(), "an ill-formed one fits nothing");
    }
}
