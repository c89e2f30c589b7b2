//! Closes a pull request of ours: the last words and the state in one call, then a comment for those who follow it, then its
//! branch goes.
//!
//! Races: the answer to the first of these calls is lost, or the process dies behind it. The row says what was being closed,
//! with its branch, and its text says why: so whoever looks next does what is left of it, and says nothing twice.

use super::keeper::{Keeper, Stop};
use super::next::Ours;
use super::{state, text};
use crate::forge::pulls::{Find, PullEdit};

impl Keeper<'_> {
    /// Closes one, with why, and deletes its branch, unless the one that stays has it too: Gitea lets two be opened for one
    /// branch at the same moment.
    pub(super) async fn close(&self, one: &Ours, why: &str, stays: Option<&str>) -> Result<(), Stop> {
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
            self.delete(one.number, &one.branch).await;
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
            self.delete(number, &branch).await;
        }
        Ok(())
    }

    /// The words stand in its text; who follows it is told as well.
    async fn say_why(&self, number: u64, why: &str) {
        if let Err(error) = self.api.post_comment(&self.name, number, why).await {
            tracing::warn!(repo = %self.repo, number, %error, "closed without a comment");
        }
    }

    async fn delete(&self, number: u64, branch: &str) {
        if let Err(error) = self.api.delete_branch(&self.name, branch).await {
            tracing::warn!(repo = %self.repo, number, branch, %error, "a branch of ours is left behind");
        }
    }
}
