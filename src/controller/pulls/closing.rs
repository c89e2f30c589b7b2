//! Closes a pull request of ours: the last words and the state in one call, then a comment for those who follow it, then its
//! branch goes.
//!
//! Races: the answer to the first of these calls is lost, or the process dies behind it. The row says what was being closed,
//! with its branch, and its text says why: so whoever looks next does what is left of it, and says nothing twice. Somebody
//! commits to its branch meanwhile, or after that: then it is theirs, and neither is it closed nor does its branch go.

use super::keeper::{Keeper, Stop};
use super::next::Ours;
use super::{state, text};
use crate::forge::pulls::{Find, PullEdit};
use crate::tree::ObjectId;

impl Keeper<'_> {
    /// Closes one, with why, and deletes its branch, unless the one that stays has it too: Gitea lets two be opened for one
    /// branch at the same moment.
    pub(super) async fn close(&self, one: &Ours, why: &str, stays: Option<&str>) -> Result<(), Stop> {
        if self.head_of(&one.branch).await?.is_some_and(|now| now != one.head) {
            return Err(Stop::later(format!("somebody has committed to {} meanwhile", one.branch)));
        }
        self.begin(|note| {
            note.state = state::CLOSING.to_owned();
            note.pull = i64::try_from(one.number).ok();
            note.head = Some(one.branch.clone());
        })
        .await?;
        let body = text::closed(&one.body, why);
        let edit = PullEdit { title: None, body: Some(&body), open: Some(false) };
        self.api.edit_pull(&self.name, one.number, &edit).await.map_err(|error| self.stop(error))?;
        self.say_why(one.number, why).await;
        if stays != Some(one.branch.as_str()) {
            self.delete(one.number, &one.branch, std::slice::from_ref(&one.head)).await?;
        }
        tracing::info!(gate = self.slot, repo = %self.repo, number = one.number, why, "closed a pull request of ours");
        Ok(())
    }

    /// What is left to do about one that was being closed when somebody last noted something, and is closed.
    pub(super) async fn end_closing(&self, number: u64, open: &[Ours]) -> Result<(), Stop> {
        let Some(branch) = self.note().head.filter(|_| !self.api.is_dry()) else { return Ok(()) };
        let find = Find { author: &self.us, open: false, branch: &branch };
        let closed = self.api.find_pulls(&self.name, &find).await.map_err(|error| self.stop(error))?;
        let closed = closed.into_iter().find(|one| one.pull.number == number && !one.pull.merged);
        // A person closed it, or merged it: then nothing is left to say.
        let Some((closed, why)) = closed.and_then(|one| text::why_closed(&one.body).map(|why| (one, why))) else {
            return Ok(());
        };
        if !self.has_said(number, &why).await? {
            self.say_why(number, &why).await;
        }
        if closed.branch == branch && open.iter().all(|one| one.branch != branch) {
            let commits = self.api.commits_of_pull(&self.name, number).await.map_err(|error| self.stop(error))?;
            if commits.iter().all(|commit| commit.author.eq_ignore_ascii_case(&self.us)) {
                let ours: Vec<ObjectId> = commits.into_iter().map(|commit| commit.sha).collect();
                self.delete(number, &branch, &ours).await?;
            }
        }
        Ok(())
    }

    /// The words stand in its text; who follows it is told as well.
    async fn say_why(&self, number: u64, why: &str) {
        if let Err(error) = self.api.post_comment(&self.name, number, why).await {
            tracing::warn!(repo = %self.repo, number, %error, "closed without a comment");
        }
    }

    /// Deletes its branch, if its head is one of these commits of ours.
    async fn delete(&self, number: u64, branch: &str, ours: &[ObjectId]) -> Result<(), Stop> {
        if self.head_of(branch).await?.is_none_or(|now| !ours.contains(&now)) {
            return Ok(());
        }
        if let Err(error) = self.api.delete_branch(&self.name, branch).await {
            tracing::warn!(repo = %self.repo, number, branch, %error, "a branch of ours is left behind");
        }
        Ok(())
    }
}
