//! Comments that are commands: `/drift-gate check | explain | rebuild | waive | unwaive | help` on pull requests, and on issues
//! that gates name. What a comment stands on says what it is about: a pull request's head, or the branches of those gates.
//!
//! The delivery only says that there is a comment. Its text and author are read from the forge by its id, each id acts
//! once (the store keeps that), and our own comments never do.
//!
//! | part | what it is |
//! |---|---|
//! | [`parse`] | what the first line asks for (pure) |
//! | `rights` | who may, asked of the forge for each command |
//! | `waive` | what is let pass, and taken back |
//! | `answer` | the one comment of ours, and what it says |
//!
//! Races:
//! - *Several commands on one pull request*: the store hands them out one after another, in their order, whichever replica reads
//!   them; a waiver is never taken back by a command that was said before it.
//! - *A comment that is not what its author wrote*: whoever may write to a repository may edit anybody's comment, before we read
//!   it, or long ago. So one that was edited gives no command.
//! - *A flood*: each comment costs two requests; judging and answering happen once for all that wait, with a pause between
//!   (see the store's `answers`).
//! - *The process dies in between*: everything that a command does can be done twice, and then it has acted.

mod answer;
mod parse;
mod rights;
mod waive;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::answer::{Entry, Said, Shows};
use self::parse::Command;
use self::rights::Rights;
use self::waive::Outcome;
use super::plan::{Gated, RepoKey};
use super::workers::Workers;
use super::{Controller, Trouble, backoff};
use crate::forge::{Comment, ForgeError, RepoName};
use crate::store::{Ask, By, ClaimedAnswer, ClaimedCommand, CommandRow, Fenced, StoreError};

/// Comments and answers that are worked on at a time, for each forge.
const AT_ONCE: usize = 8;
/// How long they are leased: longer than working on one may take.
const LEASE: Duration = Duration::from_secs(300);
/// An answer waits so long at most for comments that came with the one it is for (ms).
const GATHERED: i64 = 5_000;
/// After an answer the pull request's next one waits so long (ms).
const PAUSE: i64 = 2_000;
/// A comment that is older does nothing (ms): that it acted may be forgotten by then.
const OLDEST: i64 = 80 * 24 * 60 * 60 * 1000;
/// A forge's clock may be behind ours by so much (ms).
const SKEW: i64 = 2 * 60_000;
/// Commands that are under way may end within this when the service stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a comment stands on.
enum On {
    /// A pull request.
    Pull,
    /// An issue, with the gates that name it.
    Issue(Vec<Arc<Gated>>),
}

impl Controller {
    /// Reads every waiting comment, does what it asks for and answers, until told to stop.
    pub(super) async fn run_commands_always(self: Arc<Self>, shutdown: CancellationToken) {
        let mut workers = Workers::new("a command");
        while !shutdown.is_cancelled() {
            let pause = match self.begin_commands(&mut workers).await {
                Ok(()) => self.until_next_due().await,
                Err(error) => self.store_failed("commands", &error),
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.command_wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = workers.ended() => {}
            }
        }
        // What is dropped is taken up again: each step can be repeated.
        let _ = tokio::time::timeout(FAREWELL, workers.all_ended()).await;
    }

    async fn begin_commands(self: &Arc<Self>, workers: &mut Workers) -> Result<(), StoreError> {
        for forge in self.forges.keys() {
            if self.guests.get(forge).is_some_and(|guest| guest.rests()) {
                continue;
            }
            let free = workers.free(forge, AT_ONCE);
            if free == 0 {
                continue;
            }
            for claimed in self.store.claim_commands(&self.claim(forge, LEASE, free)).await? {
                let me = self.clone();
                workers.begin(forge, async move { me.do_command(&claimed).await });
            }
            let free = workers.free(forge, AT_ONCE);
            if free == 0 {
                continue;
            }
            let claim = self.claim(forge, LEASE, free);
            for claimed in self.store.claim_answers(&claim, claim.now - GATHERED).await? {
                let me = self.clone();
                workers.begin(forge, async move { me.do_answer(&claimed).await });
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
                tracing::warn!(%repo, comment = row.comment, why, "a comment cannot be read or obeyed yet");
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

    async fn do_answer(&self, claimed: &ClaimedAnswer) -> Result<(), StoreError> {
        let row = &claimed.answer;
        let repo = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
        let fenced = match self.write_answer(&repo, row).await? {
            Ok(comment) => {
                let now = self.now();
                self.store.answered_held(claimed, comment, now + PAUSE, now).await?
            }
            Err(Trouble { why, passing: true }) => {
                tracing::warn!(%repo, pull = row.pull, why, "comments cannot be answered yet");
                self.store.postpone_answer_held(claimed, self.now() + backoff(row.attempts)).await?
            }
            Err(Trouble { why, passing: false }) => {
                tracing::warn!(%repo, pull = row.pull, why, "comments are not answered");
                let now = self.now();
                self.store.answered_held(claimed, row.comment, now + PAUSE, now).await?
            }
        };
        if fenced == Fenced::Lost {
            tracing::warn!(%repo, pull = row.pull, "took too long: somebody else answers now");
        }
        Ok(())
    }

    /// What a comment stands on; `None` for an issue that no gate names, where nobody gives commands.
    async fn stands_on(&self, repo: &RepoKey, name: &RepoName, number: u64) -> Result<Option<On>, Trouble> {
        if self.view(repo).is_some_and(|view| view.pulls.iter().any(|pull| pull.number == number)) {
            return Ok(Some(On::Pull));
        }
        let gates = self.naming(repo, number);
        if !gates.is_empty() {
            return Ok(Some(On::Issue(gates)));
        }
        // A pull request that is closed, or was not seen yet; or a gate named the issue when the comment came, and does no more.
        match self.api(&repo.forge)?.pull(name, number).await {
            Ok(_) => Ok(Some(On::Pull)),
            Err(ForgeError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a comment and does what it asks for; answers what it was taken for.
    async fn run_command(&self, repo: &RepoKey, row: &CommandRow) -> Result<Result<&'static str, Trouble>, StoreError> {
        let Some(api) = self.forges.get(&repo.forge) else { return Ok(Ok("its forge is not configured")) };
        let name = self.current_name(repo);
        let id = u64::try_from(row.comment).unwrap_or_default();
        let comment = match api.comment(&name, id).await {
            Ok(comment) => comment,
            Err(ForgeError::NotFound { .. }) => return Ok(Ok("deleted")),
            Err(error) => return Ok(Err(error.into())),
        };
        // Where nobody can tell whose it is, it may be ours.
        if self.who_we_are(&repo.forge).await.is_none() {
            return Ok(Err(Trouble { why: "nobody says whose token it is".to_owned(), passing: true }));
        }
        if self.is_us(&repo.forge, comment.author_id).await {
            return Ok(Ok("our own"));
        }
        let Some(written) = written(&comment, self.now()) else { return Ok(Ok("edited, or too old")) };
        let said = parse::parse(&comment.body, written);
        if said == parse::Said::Nothing {
            return Ok(Ok("no command"));
        }
        let on = match self.stands_on(repo, &name, comment.issue).await {
            Ok(Some(on)) => on,
            Ok(None) => return Ok(Ok("on an issue that no gate names")),
            Err(trouble) => return Ok(Err(trouble)),
        };
        // At once: it costs one request, and the person sees that the command was heard.
        if let Err(trouble) = self.react(repo, &name, id, "eyes").await {
            return Ok(Err(trouble));
        }
        let pull = i64::try_from(comment.issue).unwrap_or(i64::MAX);
        let by = By {
            forge: &repo.forge,
            repository: &repo.name,
            pull,
            comment: row.comment,
            login: &comment.author,
            at: self.now(),
        };
        let mut kept = Said::of(self.store.answer(&repo.forge, &repo.name, pull).await?.as_ref());
        let heard = row.received_at.min(written.saturating_add(SKEW));
        let (outcome, command, afresh) = match self.obey(repo, &by, (said, &on), heard, &mut kept).await? {
            Ok(Some(obeyed)) => obeyed,
            // Help was given before.
            Ok(None) => return Ok(self.react(repo, &name, id, "confused").await.map(|()| "no command of ours")),
            Err(trouble) => return Ok(Err(trouble)),
        };
        let good = outcome.good;
        let entry = Entry {
            comment: row.comment,
            by: comment.author.clone(),
            command: command.to_owned(),
            good,
            words: outcome.words,
        };
        kept.add(entry);
        let said = serde_json::to_string(&kept).unwrap_or_default();
        let ask = Ask { forge: &repo.forge, repository: &repo.name, pull, said: &said, afresh };
        self.store.ask(&ask, self.now()).await?;
        Ok(self.react(repo, &name, id, if good { "+1" } else { "confused" }).await.map(|()| command))
    }

    /// Does what was said; answers what came of it, the command's name, and whether it is to be judged afresh. `None`: nothing to
    /// answer.
    async fn obey(
        &self,
        repo: &RepoKey,
        by: &By<'_>,
        (said, on): (parse::Said, &On),
        heard: i64,
        kept: &mut Said,
    ) -> Result<Result<Option<(Outcome, &'static str, bool)>, Trouble>, StoreError> {
        let command = match said {
            parse::Said::Nothing => return Ok(Ok(None)),
            parse::Said::Unknown if kept.helped => return Ok(Ok(None)),
            parse::Said::Unknown => {
                (kept.helped, kept.shows) = (true, Shows::Help);
                return Ok(Ok(Some((Outcome::not("this is no command; the table below has them all"), "?", false))));
            }
            parse::Said::Wrong { command, .. } if matches!(on, On::Issue(_)) => {
                return Ok(Ok(Some((Outcome::not(waive::NOT_HERE), command, false))));
            }
            parse::Said::Wrong { command, why } => return Ok(Ok(Some((Outcome::not(why), command, false)))),
            parse::Said::Command(command) => command,
        };
        let (shows, done) = match command {
            Command::Check => (Shows::Verdict, (Outcome::done("judged afresh"), "check", true)),
            Command::Explain => (Shows::Report, (Outcome::done("told below"), "explain", false)),
            Command::Help => {
                kept.helped = true;
                (Shows::Help, (Outcome::done("told below"), "help", false))
            }
            Command::Rebuild => match self.may_rebuild(repo, by, on).await? {
                Ok(None) => {
                    let begun = match on {
                        On::Pull => self.rebuild(repo, u64::try_from(by.pull).unwrap_or_default()).await?,
                        On::Issue(gates) => self.rebuild_of(repo, gates).await?,
                    };
                    self.store.log(by, "rebuild", "", begun).await?;
                    (Shows::Verdict, (Outcome::done(begun), "rebuild", true))
                }
                Ok(Some(refused)) => (kept.shows, (Outcome::not(refused), "rebuild", false)),
                Err(trouble) => return Ok(Err(trouble)),
            },
            Command::Waive(_) if matches!(on, On::Issue(_)) => {
                (kept.shows, (Outcome::not(waive::NOT_HERE), "waive", false))
            }
            Command::Unwaive { .. } if matches!(on, On::Issue(_)) => {
                (kept.shows, (Outcome::not(waive::NOT_HERE), "unwaive", false))
            }
            Command::Waive(ask) => match self.waive(repo, by, &ask, heard).await? {
                Ok(outcome) => (kept.shows, (outcome, "waive", false)),
                Err(trouble) => return Ok(Err(trouble)),
            },
            Command::Unwaive { gate } => match self.unwaive(repo, by, gate.as_deref()).await? {
                Ok(outcome) => (kept.shows, (outcome, "unwaive", false)),
                Err(trouble) => return Ok(Err(trouble)),
            },
        };
        kept.shows = shows;
        Ok(Ok(Some(done)))
    }

    /// Why somebody may not have it rebuilt; `None` where they may.
    async fn may_rebuild(
        &self,
        repo: &RepoKey,
        by: &By<'_>,
        on: &On,
    ) -> Result<Result<Option<String>, Trouble>, StoreError> {
        let name = self.current_name(repo);
        let all = self.gates_now();
        let gates = if let On::Issue(gates) = on { gates } else { all.as_ref() };
        let own = || gates.iter().map(AsRef::as_ref).filter(|gated: &&Gated| gated.touches(repo));
        let may = async {
            let mut rights = Rights::of(self, repo, &name, by.login).await?;
            let may = rights.may_any(own()).await?;
            Ok((!may).then(|| rights.refusal(own())))
        };
        let may = may.await;
        if let Ok(Some(_)) = &may {
            self.store.log(by, "refused", "", "rebuild").await?;
        }
        Ok(may)
    }

    /// Reacts to a comment; that a forge does not take it is no reason not to obey.
    async fn react(&self, repo: &RepoKey, name: &RepoName, comment: u64, reaction: &str) -> Result<(), Trouble> {
        match self.api(&repo.forge)?.react(name, comment, reaction).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(%repo, comment, %error, "cannot react to a comment");
                Ok(())
            }
        }
    }
}

/// When a comment was written (Unix milliseconds); `None` for one that somebody edited since, or that is too old. Forges tell
/// whole seconds, and a server may look at its clock twice.
fn written(comment: &Comment, now: i64) -> Option<i64> {
    let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis());
    let (created, updated) = (time(&comment.created_at)?, time(&comment.updated_at)?);
    (updated - created <= 1_000 && now - created <= OLDEST).then_some(created)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(created: &str, updated: &str) -> Comment {
        Comment {
            id: 1,
            author: "alice".into(),
            author_id: 7,
            body: "/drift-gate check".into(),
            issue: 3,
            created_at: created.into(),
            updated_at: updated.into(),
        }
    }

    #[test]
    fn a_comment_that_was_edited_or_is_old_gives_no_command() {
        let now = chrono::DateTime::parse_from_rfc3339("2026-12-24T12:00:00Z").unwrap().timestamp_millis();
        let at = |created: &str, updated: &str| written(&comment(created, updated), now);
        assert_eq!(at("2026-12-24T12:00:00Z", "2026-12-24T12:00:00Z"), Some(now));
        assert_eq!(at("2026-12-24T13:00:00+01:00", "2026-12-24T12:00:01Z"), Some(now));
        assert_eq!(at("2026-12-24T11:00:00Z", "2026-12-24T11:00:02Z"), None);
        assert_eq!(at("2026-09-01T11:00:00Z", "2026-09-01T11:00:00Z"), None);
        assert_eq!(at("", ""), None, "a forge that does not say when cannot say whether");
    }
}
