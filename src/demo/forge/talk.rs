//! Issues, comments on them and on pull requests, and reactions.

use super::model::{Access, AccountId, Comment, Issue, Reaction, RepoId, now};
use super::refusal::Refusal;
use super::state::{Numbered, State};
use crate::demo::hooks::Event;
use crate::demo::wire;

/// The reactions that Gitea allows as it comes.
const REACTIONS: [&str; 8] = ["+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"];

impl State {
    /// Opens an issue; returns its number.
    pub fn open_issue(&mut self, repo: RepoId, title: String, body: String, doer: AccountId) -> Result<u64, Refusal> {
        self.add_issue(repo, title, body, None, doer)
    }

    /// Comments on an issue or pull request; returns the comment's id.
    pub fn comment(&mut self, repo: RepoId, number: u64, body: String, doer: AccountId) -> Result<u64, Refusal> {
        if body.trim().is_empty() {
            return Err(Refusal::Invalid("[Body]: Required".to_owned()));
        }
        self.issue(repo, number)?;
        let (id, at) = (self.number(Numbered::Comment), now());
        // One moment: a comment of two moments is one that was edited.
        let comment = Comment { id, author: doer, body, created: at, updated: at, reactions: Vec::new() };
        let issue = self.issue_mut(repo, number)?;
        issue.comments.push(comment);
        issue.updated = now();
        self.tell_comment(repo, number, id, None, doer)?;
        Ok(id)
    }

    /// Writes a comment anew; whoever may write to the repository may do that to anyone's.
    pub fn edit_comment(&mut self, repo: RepoId, id: u64, body: String, doer: AccountId) -> Result<(), Refusal> {
        let access = self.access(self.repo(repo)?, Some(doer));
        let (issue, comment) = self.comment_of(repo, id)?;
        if comment.author != doer && access < Access::Write {
            return Err(Refusal::Forbidden(String::new()));
        }
        let number = issue.number;
        let comment = self.comment_mut(repo, id)?;
        let before = std::mem::replace(&mut comment.body, body);
        comment.updated = now();
        self.tell_comment(repo, number, id, Some(&before), doer)
    }

    /// Deletes a comment; whoever may write to the repository may do that to anyone's.
    pub fn delete_comment(&mut self, repo: RepoId, id: u64, doer: AccountId) -> Result<(), Refusal> {
        let access = self.access(self.repo(repo)?, Some(doer));
        let (issue, comment) = self.comment_of(repo, id)?;
        if comment.author != doer && access < Access::Write {
            return Err(Refusal::Forbidden(String::new()));
        }
        let (number, is_pull) = (issue.number, issue.pull.is_some());
        let mut payload = wire::event::comment(self, repo, id, None, doer)?;
        payload["action"] = "deleted".into();
        self.issue_mut(repo, number)?.comments.retain(|comment| comment.id != id);
        self.tell(repo, if is_pull { Event::PULL_REQUEST_COMMENT } else { Event::ISSUE_COMMENT }, None, &payload)
    }

    /// A comment and what it stands on.
    pub fn comment_of(&self, repo: RepoId, id: u64) -> Result<(&Issue, &Comment), Refusal> {
        let mut all = self.repo(repo)?.issues.values().flat_map(|issue| issue.comments.iter().map(move |c| (issue, c)));
        all.find(|(_, comment)| comment.id == id).ok_or_else(|| no_comment(id))
    }

    fn comment_mut(&mut self, repo: RepoId, id: u64) -> Result<&mut Comment, Refusal> {
        let mut all = self.repo_mut(repo)?.issues.values_mut().flat_map(|issue| issue.comments.iter_mut());
        all.find(|comment| comment.id == id).ok_or_else(|| no_comment(id))
    }

    /// Reacts to a comment; says whether the reaction is new.
    pub fn react(
        &mut self,
        repo: RepoId,
        comment: u64,
        content: &str,
        doer: AccountId,
    ) -> Result<(Reaction, bool), Refusal> {
        if !REACTIONS.contains(&content) {
            return Err(Refusal::Forbidden(format!("'{content}' is not an allowed reaction")));
        }
        let reactions = &mut self.comment_mut(repo, comment)?.reactions;
        if let Some(there) = reactions.iter().find(|there| there.account == doer && there.content == content) {
            return Ok((there.clone(), false));
        }
        let reaction = Reaction { account: doer, content: content.to_owned(), created: now() };
        reactions.push(reaction.clone());
        Ok((reaction, true))
    }

    fn tell_comment(
        &mut self,
        repo: RepoId,
        number: u64,
        id: u64,
        before: Option<&str>,
        doer: AccountId,
    ) -> Result<(), Refusal> {
        let payload = wire::event::comment(self, repo, id, before, doer)?;
        let is_pull = self.issue(repo, number)?.pull.is_some();
        self.tell(repo, if is_pull { Event::PULL_REQUEST_COMMENT } else { Event::ISSUE_COMMENT }, None, &payload)
    }
}

fn no_comment(id: u64) -> Refusal {
    Refusal::no_such(format!("comment does not exist [id: {id}, issue_id: 0]"))
}
