//! Comments that are commands: `/drift-gate check`.
//!
//! The delivery only says that there is a comment. Its text and author are read from the forge by its id, each id acts
//! once (the store keeps that), and our own comments never do.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::look::millis;
use super::plan::RepoKey;
use super::{Controller, Trouble, backoff};
use crate::forge::ForgeError;
use crate::store::{Claim, ClaimedCommand, CommandRow, Fenced, StoreError};

/// Comments taken at a time, for each forge.
const AT_ONCE: i64 = 8;
/// How long they are leased: longer than reading and answering all of them may take.
const LEASE: Duration = Duration::from_secs(300);

/// What a comment asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Judge afresh.
    Check,
}

/// The command in a comment: its first line, words of any case, spaces forgiven. Anything else is `None`.
pub fn parse(body: &str) -> Option<Command> {
    let mut words = body.lines().next()?.split_whitespace();
    if !words.next()?.eq_ignore_ascii_case("/drift-gate") {
        return None;
    }
    let command = words.next()?;
    let alone = words.next().is_none();
    (alone && command.eq_ignore_ascii_case("check")).then_some(Command::Check)
}

impl Controller {
    /// Reads every waiting comment and does what it asks for, until told to stop.
    pub(super) async fn run_commands_always(self: Arc<Self>, shutdown: CancellationToken) {
        loop {
            let pause = match self.run_commands().await {
                Ok(()) => self.until_next_due().await,
                Err(error) => self.store_failed("commands", &error),
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.command_wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn run_commands(&self) -> Result<(), StoreError> {
        for forge in self.forges.keys() {
            let now = self.now();
            let claim = Claim { forge, holder: &self.holder, now, until: now + millis(LEASE), most: AT_ONCE };
            for claimed in self.store.claim_commands(&claim).await? {
                self.do_command(&claimed).await?;
            }
        }
        Ok(())
    }

    async fn do_command(&self, claimed: &ClaimedCommand) -> Result<(), StoreError> {
        let row = &claimed.command;
        let repo = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
        let fenced = match self.run_command(&repo, row).await? {
            Ok(outcome) => {
                tracing::info!(%repo, comment = row.comment, outcome, "read a comment");
                self.store.acted_held(claimed, outcome, self.now()).await?
            }
            Err(Trouble { why, passing: true }) => {
                tracing::warn!(%repo, comment = row.comment, why, "a comment cannot be read or answered yet");
                self.store.postpone_command_held(claimed, self.now() + backoff(row.attempts)).await?
            }
            Err(Trouble { why, passing: false }) => {
                tracing::warn!(%repo, comment = row.comment, why, "a comment was given up");
                self.store.acted_held(claimed, "given up", self.now()).await?
            }
        };
        if fenced == Fenced::Lost {
            tracing::warn!(%repo, comment = row.comment, "took too long: somebody else reads the comment now");
        }
        Ok(())
    }

    async fn run_command(&self, repo: &RepoKey, row: &CommandRow) -> Result<Result<&'static str, Trouble>, StoreError> {
        let Some(api) = self.forges.get(&repo.forge) else { return Ok(Ok("its forge is not configured")) };
        let name = self.current_name(repo);
        let id = u64::try_from(row.comment).unwrap_or_default();
        let comment = match api.comment(&name, id).await {
            Ok(comment) => comment,
            Err(ForgeError::NotFound { .. }) => return Ok(Ok("deleted")),
            Err(error) => return Ok(Err(error.into())),
        };
        if self.is_us(&repo.forge, comment.author_id).await {
            return Ok(Ok("our own"));
        }
        match parse(&comment.body) {
            None => Ok(Ok("no command")),
            Some(Command::Check) => {
                // The answer first: it costs one request, and the person sees that the command was heard.
                match api.react(&name, id, "eyes").await {
                    Ok(()) => {}
                    Err(error) if error.is_transient() => return Ok(Err(error.into())),
                    Err(error) => tracing::warn!(%repo, comment = row.comment, %error, "cannot react to a comment"),
                }
                self.afresh(repo, comment.issue).await?;
                Ok(Ok("check"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_first_line_of_a_comment_in_any_case() {
        for body in ["/drift-gate check", "  /Drift-Gate   CHECK  \r\nthanks", "/drift-gate check\n\nmore"] {
            assert_eq!(parse(body), Some(Command::Check), "{body:?}");
        }
    }

    #[test]
    fn quoted_later_or_other_text_is_no_command() {
        for body in [
            "",
            "> /drift-gate check",
            "please\n/drift-gate check",
            "/drift-gate",
            "/drift-gate checkout",
            "/drift-gate check now",
            "`/drift-gate check`",
        ] {
            assert_eq!(parse(body), None, "{body:?}");
        }
    }
}
