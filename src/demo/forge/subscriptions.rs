//! Who hears of what.

use std::sync::Arc;

use serde_json::Value;

use super::glob::matches;
use super::model::{AccountId, Hook, RepoId, now};
use super::refs::Moved;
use super::refusal::Refusal;
use super::state::{Numbered, State};
use crate::demo::hooks::{Event, Letter};
use crate::demo::wire;

/// A hook to make; it gets JSON.
#[derive(Clone, Debug)]
pub struct NewHook {
    /// Where its deliveries go; refused where it is no URL.
    pub url: String,
    /// The key of the signatures; empty for none.
    pub secret: String,
    /// Gitea's names of events; `pull_request` brings everything about pull requests.
    pub events: Vec<String>,
    /// A glob for the short names of branches and tags; empty lets all through.
    pub branch_filter: String,
    /// What deliveries say in `Authorization`; empty for nothing.
    pub authorization: String,
    /// Whether it hears of events at once. Gitea makes a silent hook where a request does not say.
    pub active: bool,
}

/// The names that Gitea knows; others are dropped without a word.
const KNOWN: [&str; 10] = [
    "push",
    "create",
    "delete",
    "fork",
    "repository",
    "status",
    "issue_comment",
    "pull_request",
    "pull_request_sync",
    "pull_request_comment",
];

impl State {
    /// Makes a hook; without any known event it is one for pushes.
    pub fn add_hook(&mut self, repo: RepoId, new: NewHook) -> Result<Hook, Refusal> {
        if url::Url::parse(&new.url).is_err() {
            return Err(Refusal::Invalid("Invalid url".to_owned()));
        }
        let id = self.number(Numbered::Hook);
        let mut events: Vec<String> = new.events.into_iter().filter(|event| KNOWN.contains(&event.as_str())).collect();
        if events.is_empty() {
            events.push("push".to_owned());
        }
        let hook = Hook {
            id,
            url: new.url,
            secret: new.secret,
            active: new.active,
            events,
            branch_filter: new.branch_filter,
            authorization: new.authorization,
            created: now(),
            last: Arc::default(),
        };
        self.repo_mut(repo)?.hooks.push(hook.clone());
        Ok(hook)
    }

    /// Takes a hook away.
    pub fn remove_hook(&mut self, repo: RepoId, id: u64) -> Result<(), Refusal> {
        let hooks = &mut self.repo_mut(repo)?.hooks;
        let before = hooks.len();
        hooks.retain(|hook| hook.id != id);
        if hooks.len() == before { Err(Refusal::not_found()) } else { Ok(()) }
    }

    /// A push that never was, for one hook that hears of pushes.
    pub fn test_hook(&mut self, repo: RepoId, id: u64, doer: AccountId) -> Result<(), Refusal> {
        let hook = self.repo(repo)?.hooks.iter().find(|hook| hook.id == id).cloned().ok_or_else(Refusal::not_found)?;
        let branch = self.repo(repo)?.default_branch.clone();
        let head = self.bare(repo)?.branch(&branch).ok_or_else(Refusal::not_found)?;
        let moved = Moved { name: format!("refs/heads/{branch}"), before: Some(head), after: Some(head) };
        let payload = wire::event::push(self, repo, &moved, doer)?;
        if wants(&hook, Event::PUSH) {
            self.post.send(repo, Letter::new(&hook, Event::PUSH, &payload));
        }
        Ok(())
    }

    /// Tells every hook of a repository that wants to hear it. `reference` is the short name of what moved.
    pub(super) fn tell(
        &mut self,
        repo: RepoId,
        event: Event,
        reference: Option<&str>,
        payload: &Value,
    ) -> Result<(), Refusal> {
        let hooks = self.repo(repo)?.hooks.iter().filter(|hook| hook.active && wants(hook, event));
        let filtered = |hook: &&Hook| match reference {
            Some(name) if !hook.branch_filter.is_empty() => matches(&hook.branch_filter, name),
            _ => true,
        };
        let letters: Vec<Letter> = hooks.filter(filtered).map(|hook| Letter::new(hook, event, payload)).collect();
        for letter in letters {
            self.post.send(repo, letter);
        }
        self.tell_apps(repo, event, payload);
        Ok(())
    }
}

/// `pull_request` brings everything about pull requests, comments on them included; `issue_comment` is about issues alone.
fn wants(hook: &Hook, event: Event) -> bool {
    let named = |name: &str| hook.events.iter().any(|wanted| wanted == name);
    named(event.detail) || (event.detail.starts_with("pull_request") && named("pull_request"))
}
