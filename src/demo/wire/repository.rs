//! Repositories, and what is set up in them.

use serde_json::{Value, json};

use super::account::owner;
use super::{EPOCH, NEVER, time};
use crate::demo::forge::model::{Access, Hook, Label, Protection, Repo};
use crate::demo::forge::{Refusal, State, Viewer};

/// A repository with the rights that `access` means.
pub fn repository(state: &State, repo: &Repo, access: Access) -> Result<Value, Refusal> {
    let mut value = plain(state, repo, access)?;
    if let Some(original) = repo.fork_of.and_then(|id| state.repo(id).ok()) {
        value["parent"] = plain(state, original, access)?;
    }
    Ok(value)
}

fn plain(state: &State, repo: &Repo, access: Access) -> Result<Value, Refusal> {
    let full_name = state.full_name(repo)?;
    let base = &state.base;
    let branches = state.bare(repo.id)?.branches()?.len();
    let open = |pulls: bool| repo.issues.values().filter(|i| i.is_open() && i.pull.is_some() == pulls).count();
    let mut value = json!({
        "id": repo.id,
        "owner": owner(state, repo.owner, access)?,
        "name": repo.name,
        "full_name": full_name,
        "description": "",
        "empty": branches == 0,
        "private": repo.private,
        "fork": repo.fork_of.is_some(),
        "template": false,
        "mirror": false,
        "size": 0,
        "language": "",
        "languages_url": format!("{base}/api/v1/repos/{full_name}/languages"),
        "html_url": format!("{base}/{full_name}"),
        "url": format!("{base}/api/v1/repos/{full_name}"),
        "link": "",
        "ssh_url": "",
        "clone_url": format!("{base}/{full_name}.git"),
        "original_url": "",
        "website": "",
        "stars_count": 0,
        "forks_count": state.repos().filter(|fork| fork.fork_of == Some(repo.id)).count(),
        "watchers_count": 1,
        "branch_count": branches,
        "open_issues_count": open(false),
        "open_pr_counter": open(true),
        "release_counter": 0,
        "default_branch": repo.default_branch,
        "archived": repo.archived,
        "created_at": time(repo.created),
        "updated_at": time(repo.updated),
        "archived_at": EPOCH,
        "permissions": {
            "admin": access >= Access::Admin,
            "push": access >= Access::Write,
            "pull": access >= Access::Read,
        },
    });
    if let (Some(value), Value::Object(settings)) = (value.as_object_mut(), settings(repo.fork_of.is_some())) {
        value.extend(settings);
    }
    Ok(value)
}

/// What nobody changes here. Forks have only code and pull requests.
fn settings(is_fork: bool) -> Value {
    let mut value = json!({
        "has_code": true,
        "has_issues": !is_fork,
        "has_wiki": !is_fork,
        "has_pull_requests": true,
        "has_projects": !is_fork,
        "projects_mode": "all",
        "has_releases": !is_fork,
        "has_packages": !is_fork,
        "has_actions": false,
        "ignore_whitespace_conflicts": false,
        "allow_merge_commits": true,
        "allow_rebase": true,
        "allow_rebase_explicit": true,
        "allow_squash_merge": true,
        "allow_fast_forward_only_merge": true,
        "allow_rebase_update": true,
        "allow_manual_merge": false,
        "autodetect_manual_merge": false,
        "default_delete_branch_after_merge": false,
        "default_merge_style": "merge",
        "default_allow_maintainer_edit": true,
        "avatar_url": "",
        "internal": false,
        "mirror_interval": "",
        "object_format_name": "sha1",
        "mirror_updated": NEVER,
        "topics": [],
        "licenses": [],
    });
    if !is_fork {
        value["internal_tracker"] = json!({
            "enable_time_tracker": true,
            "allow_only_contributors_to_track_time": true,
            "enable_issue_dependencies": true,
        });
    }
    value
}

/// A hook; its secret is never told.
pub fn hook(hook: &Hook) -> Value {
    json!({
        "id": hook.id,
        "type": "gitea",
        "branch_filter": hook.branch_filter,
        "config": { "content_type": "json", "url": hook.url },
        "events": hook.events,
        "authorization_header": hook.authorization,
        "active": hook.active,
        "created_at": time(hook.created),
        "updated_at": time(hook.created),
    })
}

/// A label of a repository.
pub fn label(state: &State, repo: &Repo, label: &Label) -> Result<Value, Refusal> {
    Ok(json!({
        "id": label.id,
        "name": label.name,
        "exclusive": false,
        "is_archived": false,
        "color": label.color,
        "description": "",
        "url": format!("{}/api/v1/repos/{}/labels/{}", state.base, state.full_name(repo)?, label.id),
    }))
}

/// What else a rule can say, and what it says where nobody said it.
pub const PROTECTION: [(&str, Unsaid); 25] = {
    use Unsaid::{List, No, Number, Text};
    [
        ("priority", Number),
        ("enable_push_whitelist", No),
        ("push_whitelist_usernames", List),
        ("push_whitelist_teams", List),
        ("push_whitelist_deploy_keys", No),
        ("enable_force_push", No),
        ("enable_force_push_allowlist", No),
        ("force_push_allowlist_usernames", List),
        ("force_push_allowlist_teams", List),
        ("force_push_allowlist_deploy_keys", No),
        ("enable_merge_whitelist", No),
        ("merge_whitelist_usernames", List),
        ("merge_whitelist_teams", List),
        ("required_approvals", Number),
        ("enable_approvals_whitelist", No),
        ("approvals_whitelist_username", List),
        ("approvals_whitelist_teams", List),
        ("block_on_rejected_reviews", No),
        ("block_on_official_review_requests", No),
        ("dismiss_stale_approvals", No),
        ("ignore_stale_approvals", No),
        ("require_signed_commits", No),
        ("protected_file_patterns", Text),
        ("unprotected_file_patterns", Text),
        ("block_admin_merge_override", No),
    ]
};

/// What a key of a rule holds at first.
#[derive(Clone, Copy, Debug)]
pub enum Unsaid {
    /// `false`.
    No,
    /// 0.
    Number,
    /// "".
    Text,
    /// An empty list.
    List,
}

impl Unsaid {
    fn value(self) -> Value {
        match self {
            Self::No => false.into(),
            Self::Number => 0.into(),
            Self::Text => "".into(),
            Self::List => json!([]),
        }
    }
}

/// What a branch demands.
pub fn protection(protection: &Protection) -> Value {
    let mut value = json!({
        "branch_name": protection.rule,
        "rule_name": protection.rule,
        "enable_push": protection.push,
        "enable_status_check": protection.status_check,
        "status_check_contexts": protection.contexts,
        "block_on_outdated_branch": protection.up_to_date,
        "created_at": time(protection.created),
        "updated_at": time(protection.created),
    });
    for (key, default) in PROTECTION {
        value[key] = protection.more.get(key).cloned().unwrap_or_else(|| default.value());
    }
    value
}

/// A repository with the rights that `viewer` has.
pub(super) fn as_seen(state: &State, repo: &Repo, viewer: Viewer) -> Result<Value, Refusal> {
    repository(state, repo, state.access(repo, viewer))
}
