//! What is said on a pull request, and who may ask for what: comments of our own, rights, teams.
//!
//! The traps: Gitea answers a PATCH of what is no text with 204 and changes nothing; it gives all comments of an issue at once,
//! whatever page is asked for; the right of another user is told to administrators only (403), an unknown user is a 404; `write`
//! there may be the right to write *issues*, so only `admin` and `owner` say anything about a repository; members of a team are
//! told to members of that team; a fuzzy search must not find another team.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::gitea::Gitea;
use super::github::GitHub;
use super::wire::WireComment;
use super::{Comment, ForgeError, RepoName};

/// A team of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team<'a> {
    /// The organization's name.
    pub organization: &'a str,
    /// Gitea, Forgejo: its name. GitHub: its name in addresses.
    pub name: &'a str,
}

/// Comments, rights and teams. `what` in errors names method and URL without secrets.
#[async_trait]
pub trait Conversation: Send + Sync {
    /// Comments on an issue or pull request, once: whether to repeat it is for who calls. Answers the comment's id.
    async fn post_comment(&self, repo: &RepoName, issue: u64, body: &str) -> Result<u64, ForgeError>;
    /// Writes a comment anew; [`ForgeError::NotFound`] where it is gone.
    async fn edit_comment(&self, repo: &RepoName, id: u64, body: &str) -> Result<(), ForgeError>;
    /// All comments of an issue or pull request, oldest first.
    async fn comments_of(&self, repo: &RepoName, issue: u64) -> Result<Vec<Comment>, ForgeError>;
    /// Whether a user administers a repository now. [`ForgeError::Denied`] where our own user does not, and so may not ask.
    async fn administers(&self, repo: &RepoName, login: &str) -> Result<bool, ForgeError>;
    /// Whether a user is in a team now. [`ForgeError::NotFound`] where there is no such team, or our user may not see it.
    async fn is_member(&self, team: &Team<'_>, login: &str) -> Result<bool, ForgeError>;
}

#[derive(Serialize)]
struct NewComment<'a> {
    body: &'a str,
}

#[derive(Deserialize)]
struct WirePermission {
    #[serde(default)]
    permission: String,
}

async fn post(api: &Api, repo: &RepoName, issue: u64, body: &str) -> Result<u64, ForgeError> {
    #[derive(Deserialize)]
    struct Posted {
        id: u64,
    }
    let segments = ["issues", &issue.to_string(), "comments"];
    let answer = api.post(&api.repo(repo, &segments)?, &NewComment { body }).await?.success()?;
    Ok(answer.json::<Posted>()?.id)
}

async fn edit(api: &Api, repo: &RepoName, id: u64, body: &str) -> Result<(), ForgeError> {
    let segments = ["issues", "comments", &id.to_string()];
    let answer = api.patch(&api.repo(repo, &segments)?, &NewComment { body }).await?.success()?;
    if answer.status.as_u16() == 204 {
        // Gitea: the id is that of an event in the conversation, not of a text.
        return Err(ForgeError::NotFound { what: answer.what });
    }
    answer.json::<serde_json::Map<String, serde_json::Value>>().map(drop)
}

/// A forge that pages gives other comments on the next page, one that does not gives the same again.
async fn list(api: &Api, repo: &RepoName, issue: u64) -> Result<Vec<Comment>, ForgeError> {
    let number = issue.to_string();
    let segments = api.repo(repo, &["issues", &number, "comments"])?;
    let mut pages = api.pages(&segments, &[]);
    let (mut comments, mut known) = (Vec::new(), BTreeSet::new());
    while let Some(page) = pages.next::<WireComment>().await? {
        let before = known.len();
        let new = page.into_iter().filter_map(WireComment::into_comment).filter(|comment| known.insert(comment.id));
        comments.extend(new);
        if known.len() == before {
            break;
        }
    }
    comments.sort_by_key(|comment| comment.id);
    Ok(comments)
}

/// An unknown user administers nothing.
async fn administers(api: &Api, repo: &RepoName, login: &str, words: &[&str]) -> Result<bool, ForgeError> {
    let answer = api.get(&api.repo(repo, &["collaborators", segment(login)?, "permission"])?, &[]).await?.success();
    match answer {
        Ok(answer) => Ok(words.contains(&answer.json::<WirePermission>()?.permission.as_str())),
        Err(ForgeError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A login as a part of an address; no forge allows one that would lead elsewhere.
fn segment(text: &str) -> Result<&str, ForgeError> {
    if matches!(text, "" | "." | "..") || text.contains(['/', '\\']) {
        return Err(ForgeError::NotFound { what: format!("`{}` is no name", text.escape_debug()) });
    }
    Ok(text)
}

#[async_trait]
impl Conversation for Gitea {
    async fn post_comment(&self, repo: &RepoName, issue: u64, body: &str) -> Result<u64, ForgeError> {
        post(&self.api, repo, issue, body).await
    }

    async fn edit_comment(&self, repo: &RepoName, id: u64, body: &str) -> Result<(), ForgeError> {
        edit(&self.api, repo, id, body).await
    }

    async fn comments_of(&self, repo: &RepoName, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        list(&self.api, repo, issue).await
    }

    /// Owners are the repository's, its organization's and the server's.
    async fn administers(&self, repo: &RepoName, login: &str) -> Result<bool, ForgeError> {
        administers(&self.api, repo, login, &["admin", "owner"]).await
    }

    async fn is_member(&self, team: &Team<'_>, login: &str) -> Result<bool, ForgeError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(default)]
            data: Vec<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            id: u64,
            name: String,
        }
        let (organization, login) = (segment(team.organization)?, segment(login)?);
        let asked = [("q", team.name), ("limit", "50"), ("include_desc", "false")];
        let answer = self.api.get(&["orgs", organization, "teams", "search"], &asked).await?.success()?;
        let what = answer.what.clone();
        // It finds what is alike; of that only the one of this name is meant.
        let found: Found = answer.json()?;
        let Some(id) = found.data.iter().find(|one| one.name.eq_ignore_ascii_case(team.name)).map(|one| one.id) else {
            return Err(ForgeError::NotFound { what: format!("{what} for {}", team.name) });
        };
        let answer = self.api.get(&["teams", &id.to_string(), "members", login], &[]).await?.success();
        match answer {
            Ok(_) => Ok(true),
            Err(ForgeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Conversation for GitHub {
    async fn post_comment(&self, repo: &RepoName, issue: u64, body: &str) -> Result<u64, ForgeError> {
        post(&self.api, repo, issue, body).await
    }

    async fn edit_comment(&self, repo: &RepoName, id: u64, body: &str) -> Result<(), ForgeError> {
        edit(&self.api, repo, id, body).await
    }

    async fn comments_of(&self, repo: &RepoName, issue: u64) -> Result<Vec<Comment>, ForgeError> {
        list(&self.api, repo, issue).await
    }

    async fn administers(&self, repo: &RepoName, login: &str) -> Result<bool, ForgeError> {
        administers(&self.api, repo, login, &["admin"]).await
    }

    /// An invitation that was not accepted is no membership.
    async fn is_member(&self, team: &Team<'_>, login: &str) -> Result<bool, ForgeError> {
        #[derive(Deserialize)]
        struct Membership {
            #[serde(default)]
            state: String,
        }
        let (organization, name, login) = (segment(team.organization)?, segment(team.name)?, segment(login)?);
        let team = ["orgs", organization, "teams", name];
        let answer = self.api.get(&[&team[..], &["memberships", login]].concat(), &[]).await?.success();
        match answer {
            Ok(answer) => Ok(answer.json::<Membership>()?.state == "active"),
            // The user is not in it, or there is no such team for us.
            Err(ForgeError::NotFound { .. }) => self.api.get(&team, &[]).await?.success().map(|_| false),
            Err(error) => Err(error),
        }
    }
}
