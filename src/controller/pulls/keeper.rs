//! Makes one pull request what it should be: opened, brought up to date, replaced, closed, or left to a person.
//!
//! Races:
//! - *The answer to a call is lost*: the row notes what was about to be done, the next try reads what is there. A branch that
//!   holds what is wanted is used as it is; a pull request that exists is taken for ours if it is.
//! - *A head moves while we write, or is seen by another service first*: before anything is opened, committed or closed both sides'
//!   heads are read again, and a commit names what it replaces.
//! - *The repository is renamed meanwhile*: it is looked at, and the row is worked on again under the new name.
//! - *Two replicas*: the row is leased, and before each write the lease is renewed. One that stalls past it, and another
//!   service altogether, finds the branch there. Gitea checks that no pull request of it is open, and then opens one: of two that were
//!   opened at the same moment the newer stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::next::{Next, Ours, Wish, next};
use super::there::AtCommit;
use super::want::{Stood, Want, Wanted};
use super::{LEASE, state};
use crate::controller::look::millis;
use crate::controller::plan::{Gated, RepoKey};
use crate::controller::{Controller, Trouble};
use crate::forge::pulls::{FileChange, NewCommit, NewPull, Onto, PullEdit};
use crate::forge::{Forge, ForgeError, RepoName, Unwritten};
use crate::gate::Side;
use crate::report::markdown::prose;
use crate::store::{ClaimedPull, Fenced, Level, PullNote, StoreError};
use crate::tree::ObjectId;

/// Why nothing more is done now.
#[derive(Debug)]
pub(super) enum Stop {
    /// The store failed.
    Store(StoreError),
    /// Somebody else works on it by now.
    Lost,
    /// Again, soon or after so many milliseconds.
    Later { why: String, after: Option<i64> },
    /// A repository has another name by now: again, once that was read.
    Moved { repo: RepoKey, why: String },
    /// The forge does not let us; in words, for people.
    Blocked(String),
}

impl Stop {
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Trouble> for Stop {
    fn from(Trouble { why, passing }: Trouble) -> Self {
        if passing { Self::later(why) } else { Self::Blocked(why) }
    }
}

/// The work on one row.
pub(super) struct Keeper<'a> {
    pub me: &'a Controller,
    pub claimed: &'a ClaimedPull,
    /// The gate, or the first of its group; `None` where it stands in no file any more, and only what is open is closed.
    pub gated: Option<Arc<Gated>>,
    pub slot: String,
    /// What the marker in its text names.
    pub marker: String,
    pub api: &'a Arc<dyn Forge>,
    /// The repository that is written.
    pub repo: RepoKey,
    /// Its name now.
    pub name: RepoName,
    /// Our login there.
    pub us: String,
    /// The heads that what is wanted rests on.
    pub stood: Vec<Stood>,
    pub note: &'a std::sync::Mutex<PullNote>,
}

/// What came of it.
pub(super) struct Done {
    pub note: PullNote,
    /// Again at this time, Unix milliseconds.
    pub look_at: Option<i64>,
}

impl Keeper<'_> {
    pub(super) fn gated(&self) -> Result<&Arc<Gated>, Stop> {
        let gone =
            || Stop::Blocked(format!("{} stands in no file any more; this is a defect of drift-gate", self.slot));
        self.gated.as_ref().ok_or_else(gone)
    }

    /// What is noted so far.
    pub(super) fn note(&self) -> PullNote {
        crate::controller::lock(self.note).clone()
    }

    fn change(&self, change: impl FnOnce(&mut PullNote)) -> PullNote {
        let mut note = crate::controller::lock(self.note);
        change(&mut note);
        note.clone()
    }

    /// Notes what is about to be done, and proves that it is still ours to do.
    pub(super) async fn begin(&self, change: impl FnOnce(&mut PullNote)) -> Result<(), Stop> {
        let note = self.change(change);
        let now = self.me.now();
        match self.me.store.note_pull_held(self.claimed, &note, now, now + millis(LEASE)).await? {
            Fenced::Done => Ok(()),
            Fenced::Lost => Err(Stop::Lost),
        }
    }

    pub(super) fn done(&self, word: &str, words: impl Into<String>, look_at: Option<i64>) -> Done {
        let words = words.into();
        let note = self.change(|note| {
            note.state = word.to_owned();
            note.words = words;
        });
        Done { note, look_at }
    }

    /// What an error of the forge about the repository that is written means for the work.
    pub(super) fn stop(&self, error: ForgeError) -> Stop {
        self.stop_at(&self.repo, error)
    }

    fn stop_at(&self, repo: &RepoKey, error: ForgeError) -> Stop {
        let is_archived = error.unwritten() == Some(Unwritten::Archived);
        if is_archived
            || matches!(error, ForgeError::Moved { .. } | ForgeError::NotFound { .. } | ForgeError::Denied { .. })
        {
            self.me.doubt_facts(repo);
        }
        match &error {
            ForgeError::RateLimited { after, .. } => {
                Stop::Later { why: error.to_string(), after: Some(millis(*after)) }
            }
            ForgeError::NotWritten { because, message, .. } => match because {
                Unwritten::PullExists | Unwritten::BranchExists | Unwritten::Stale | Unwritten::NotYet => {
                    Stop::later(error.to_string())
                }
                Unwritten::Protected => Stop::Blocked(format!(
                    "a branch protection of {} forbids it ({message}): let our user push to `drift-gate/**`",
                    self.name
                )),
                Unwritten::Archived => {
                    Stop::Blocked(format!("{} is archived: nothing can be written there", self.name))
                }
                Unwritten::MissingScope => Stop::Blocked(format!("our token lacks a right there: {message}")),
                Unwritten::NoCommits => Stop::Blocked(format!("the forge sees nothing to merge: {message}")),
                Unwritten::NotSupported => Stop::Blocked(message.clone()),
            },
            ForgeError::Moved { .. } => Stop::Moved { repo: repo.clone(), why: error.to_string() },
            ForgeError::NotFound { .. } => Stop::later(error.to_string()),
            error if error.is_transient() => Stop::later(error.to_string()),
            error => Stop::Blocked(error.to_string()),
        }
    }

    /// Does what is to be done.
    pub(super) async fn keep(&self, want: &Want, now_is_the_time: bool, wait_until: Option<i64>) -> Result<Done, Stop> {
        let (wish, wanted) = match want {
            Want::Nothing(_) | Want::Elsewhere => (Wish::Nothing, None),
            Want::Person(_) | Want::Start(_) => (Wish::NotNow, None),
            Want::Pull(wanted) => {
                let wish = Wish::Pull { source: &wanted.adopts, branch: &wanted.branch, now: now_is_the_time };
                (wish, Some(wanted.as_ref()))
            }
        };
        let before = self.note();
        let branch = wanted.map(|wanted| wanted.branch.clone()).or(before.head.clone()).unwrap_or_default();
        let mut pulls = self.find(true, &branch, wanted).await?;
        let closing = (before.state == state::CLOSING).then_some(before.pull).flatten();
        let closing = closing.and_then(|number| u64::try_from(number).ok());
        if let Some(number) = closing.filter(|number| pulls.iter().all(|one| one.number != *number)) {
            self.end_closing(number, &pulls).await?;
        }
        let forced = self.claimed.forced;
        let mut what = next(wish, &pulls, closing, forced);
        if matches!(what, Next::Open { .. } | Next::Wait) {
            // What was closed matters only now.
            pulls.extend(self.find(false, &branch, wanted).await?);
            what = next(wish, &pulls, closing, forced);
        }
        if self.api.is_dry() {
            return Ok(self.tell_only(&what, wanted));
        }
        if !matches!(&what, Next::Rest | Next::Wait | Next::Refused(_)) && !what.is_keep_alone() {
            self.still_stands().await?;
        }
        let of = |number: u64| pulls.iter().find(|one| one.number == number);
        match (what, want, wanted) {
            (Next::Rest, Want::Person(why), _) => Ok(self.done(state::PERSON, why.clone(), None)),
            (Next::Rest, ..) => {
                self.change(|note| *note = PullNote::default());
                Ok(self.done(state::NONE, "", None))
            }
            (Next::Wait, ..) => Ok(self.done(state::WAITING, "the drift is younger than `after` says", wait_until)),
            (Next::Refused(number), ..) => {
                let by = self.api.closer(&self.name, number).await.unwrap_or_default();
                let who = by.as_deref().map_or_else(|| "somebody".to_owned(), str::to_owned);
                self.change(|note| {
                    note.pull = i64::try_from(number).ok();
                    note.closed_by = by;
                });
                let same = match wanted.map(|wanted| wanted.side) {
                    Some(Side::Source) => "what it offers",
                    _ => "this commit of the source",
                };
                let words = format!(
                    "#{number} was closed by {who}: none is opened again for {same}; `/drift-gate rebuild` does"
                );
                Ok(self.done(state::REFUSED, words, None))
            }
            (Next::Close(numbers), Want::Nothing(_) | Want::Elsewhere, _) => {
                let why = match want {
                    Want::Nothing(why) => format!("The drift has ended otherwise: {}.", prose(why)),
                    _ => "What ends the drift now is proposed in the other repository.".to_owned(),
                };
                for one in numbers.into_iter().filter_map(of) {
                    self.close(one, &why, None).await?;
                }
                self.change(|note| *note = PullNote::default());
                Ok(self.done(state::NONE, "", None))
            }
            (Next::Theirs(number), ..) => self.leave_to_them(number, wanted).await,
            (Next::Keep { number, close }, _, Some(wanted)) => {
                let Some(one) = of(number) else { return Err(Stop::later("it is gone")) };
                self.finish(one.number, &one.head, wanted, close.into_iter().filter_map(of).collect()).await
            }
            (Next::Keep { number, .. }, Want::Person(why), _) => {
                self.change(|note| note.pull = i64::try_from(number).ok());
                Ok(self.done(state::OPEN, why.clone(), None))
            }
            (Next::Refresh { number, close }, _, Some(wanted)) => {
                let Some(one) = of(number) else { return Err(Stop::later("it is gone")) };
                let head = self.refresh(one, wanted).await?;
                self.finish(number, &head, wanted, close.into_iter().filter_map(of).collect()).await
            }
            (Next::Open { close }, _, Some(wanted)) => {
                let (number, head) = self.open(wanted).await?;
                self.finish(number, &head, wanted, close.into_iter().filter_map(of).collect()).await
            }
            (what, ..) => Err(Stop::Blocked(format!("nobody can do {what:?} here; this is a defect of drift-gate"))),
        }
    }

    /// Proves that the heads are those that what is wanted rests on: whoever saw a newer one may have done something about it.
    async fn still_stands(&self) -> Result<(), Stop> {
        let mut heads: BTreeMap<&RepoKey, BTreeMap<String, ObjectId>> = BTreeMap::new();
        for Stood { repo, branch, head } in &self.stood {
            if !heads.contains_key(repo) {
                let now = self.me.branch_heads(repo, &self.me.current_name(repo)).await;
                heads.insert(repo, now.map_err(|error| self.stop_at(repo, error))?);
            }
            if heads.get(repo).and_then(|heads| heads.get(branch)) != head.as_ref() {
                self.me.hint(repo, Level::Read).await?;
                return Err(Stop::later(format!("{branch} of {repo} has moved meanwhile")));
            }
        }
        Ok(())
    }

    /// The head of a branch of the repository that is written, as it is now; `None` where there is no such branch.
    pub(super) async fn head_of(&self, branch: &str) -> Result<Option<ObjectId>, Stop> {
        let heads = self.me.branch_heads(&self.repo, &self.name).await.map_err(|error| self.stop(error))?;
        Ok(heads.get(branch).cloned())
    }

    /// Of a dry run: says what would be done.
    fn tell_only(&self, what: &Next, wanted: Option<&Wanted>) -> Done {
        let repo = &self.repo;
        let words = match (what, wanted) {
            (Next::Open { .. }, Some(wanted)) => {
                let paths: Vec<&str> = wanted.files.iter().map(|file| file.path.as_str()).collect();
                let (title, base) = (&wanted.title, &wanted.base);
                format!("would open \"{title}\" on {repo}: {} onto {base}, with {}", wanted.branch, paths.join(", "))
            }
            (Next::Refresh { number, .. }, _) => format!("would bring {repo}#{number} up to date"),
            (Next::Close(numbers), _) => {
                let numbers: Vec<String> = numbers.iter().map(|number| format!("#{number}")).collect();
                format!("would close {} of {repo}", numbers.join(", "))
            }
            _ => String::new(),
        };
        if !words.is_empty() && words != self.note().words {
            tracing::info!(gate = self.slot, %repo, "dry run: {words}");
        }
        self.done(state::DRY, words, None)
    }

    /// Commits, and opens.
    async fn open(&self, wanted: &Wanted) -> Result<(u64, ObjectId), Stop> {
        let there = self.head_of(&wanted.branch).await?;
        self.begin(|note| {
            note.state = state::OPENING.to_owned();
            note.words = String::new();
            note.source = Some(wanted.adopts.clone());
            note.written = Some(self.repo.to_string());
            note.head = Some(wanted.branch.clone());
            note.pull = None;
            note.dressed = false;
            note.closed_by = None;
        })
        .await?;
        let head = match there {
            None => self.commit_new(wanted).await?,
            Some(there) => self.use_branch(&there, wanted).await?,
        };
        self.begin(|note| note.tip = Some(head.to_string())).await?;
        let pull = NewPull {
            head: &wanted.branch,
            base: &wanted.base,
            title: &wanted.title,
            body: &wanted.body,
            draft: wanted.how.draft,
        };
        let number = match self.api.open_pull(&self.name, &pull).await {
            Ok(number) => number,
            Err(error) if error.unwritten() == Some(Unwritten::PullExists) => {
                let ours = self.find(true, &wanted.branch, None).await?;
                match ours.into_iter().find(|one| one.branch == wanted.branch) {
                    Some(one) => one.number,
                    None => {
                        return Err(Stop::Blocked(format!(
                            "somebody else's pull request brings the branch {} already",
                            wanted.branch
                        )));
                    }
                }
            }
            Err(error) => return Err(self.stop(error)),
        };
        tracing::info!(gate = self.slot, repo = %self.repo, number, source = wanted.adopts, "opened a pull request that ends the drift");
        Ok((number, head))
    }

    async fn commit_new(&self, wanted: &Wanted) -> Result<ObjectId, Stop> {
        let commit = NewCommit {
            onto: Onto::New { branch: &wanted.branch, from: &wanted.base },
            parent: &wanted.base_head,
            message: &wanted.title,
            files: &wanted.files,
        };
        self.api.commit(&self.name, &commit).await.map_err(|error| self.stop(error))
    }

    /// A branch of the wanted name is there, and no pull request of ours is open for it: an answer was lost, or it was left
    /// behind.
    async fn use_branch(&self, there: &ObjectId, wanted: &Wanted) -> Result<ObjectId, Stop> {
        if self.is_ancestor(wanted.side, there, &wanted.base_head).await? {
            // Merged, or without a commit of its own: nothing is lost with it.
            self.api.delete_branch(&self.name, &wanted.branch).await.map_err(|error| self.stop(error))?;
            return self.commit_new(wanted).await;
        }
        if self.holds(there, wanted).await? {
            return Ok(there.clone());
        }
        let left_by_us = self.note().tip.as_deref() == Some(there.as_str());
        if !left_by_us {
            return Err(Stop::Blocked(format!(
                "the branch {} of {} is there already, with commits that are not ours: rename or delete it",
                wanted.branch, self.name
            )));
        }
        self.commit_onto(there, Vec::new(), wanted).await
    }

    /// Brings an open one up to date, by a commit on top: nothing is ever forced.
    async fn refresh(&self, one: &Ours, wanted: &Wanted) -> Result<ObjectId, Stop> {
        self.begin(|note| {
            note.source = Some(wanted.adopts.clone());
            note.written = Some(self.repo.to_string());
            note.head = Some(wanted.branch.clone());
            note.pull = i64::try_from(one.number).ok();
        })
        .await?;
        let mut head = one.head.clone();
        if !one.fresh {
            let changed = self.api.files_of_pull(&self.name, one.number).await.map_err(|error| self.stop(error))?;
            let left: Vec<String> =
                changed.into_iter().filter(|path| wanted.files.iter().all(|file| file.path != *path)).collect();
            head = self.commit_onto(&one.head, left, wanted).await?;
            self.begin(|note| note.tip = Some(head.to_string())).await?;
        }
        let edit = PullEdit { title: Some(&wanted.title), body: Some(&wanted.body), open: None };
        self.api.edit_pull(&self.name, one.number, &edit).await.map_err(|error| self.stop(error))?;
        tracing::info!(gate = self.slot, repo = %self.repo, number = one.number, "brought a pull request up to date");
        Ok(head)
    }

    /// A commit on top of a branch that makes the wanted files what they should be, and those that are not wanted any more what
    /// they are on the base.
    async fn commit_onto(&self, head: &ObjectId, restore: Vec<String>, wanted: &Wanted) -> Result<ObjectId, Stop> {
        let mut paths: Vec<String> = wanted.files.iter().map(|file| file.path.clone()).collect();
        paths.extend(restore.iter().cloned());
        let there = self.files_at(wanted.side, head, paths).await?;
        let on_base = self.files_at(wanted.side, &wanted.base_head, restore).await?;
        let target = |path: &str| -> Option<(Vec<u8>, bool)> {
            if let Some(file) = wanted.files.iter().find(|file| file.path == path) {
                return file.content.clone().map(|content| (content, file.executable));
            }
            let (_, file) = on_base.iter().find(|(at, _)| at == path)?;
            file.as_ref().map(|file| (file.bytes.clone(), file.executable))
        };
        let files: Vec<FileChange> =
            there.iter().filter_map(|(path, now)| change(path, now.as_ref(), target(path))).collect();
        if files.is_empty() {
            return Ok(head.clone());
        }
        let commit =
            NewCommit { onto: Onto::Existing(&wanted.branch), parent: head, message: &wanted.title, files: &files };
        self.api.commit(&self.name, &commit).await.map_err(|error| self.stop(error))
    }

    /// One is open and holds what is wanted: others are closed with a link, and once it gets its labels and people.
    async fn finish(&self, number: u64, head: &ObjectId, wanted: &Wanted, close: Vec<&Ours>) -> Result<Done, Stop> {
        let new = self.note();
        let is_known = new.pull == i64::try_from(number).ok();
        // One that we never noted, and did not just open, was dressed by whoever did. While older ones are closed, the row names
        // them, and says of the new one whether it is dressed.
        let dress = match new.state.as_str() {
            _ if is_known => !new.dressed,
            state::CLOSING => !new.dressed,
            word => word == state::OPENING,
        };
        self.begin(|note| {
            note.pull = i64::try_from(number).ok();
            note.source = Some(wanted.adopts.clone());
            note.written = Some(self.repo.to_string());
            note.head = Some(wanted.branch.clone());
            note.dressed = !dress;
            if note.tip.is_none() {
                note.tip = Some(head.to_string());
            }
        })
        .await?;
        for one in close {
            let why = match one.source == wanted.adopts {
                true => format!("Another one was opened at the same moment: #{number} stays."),
                false if wanted.side == Side::Source => {
                    format!("Replaced by #{number}, which offers what the copies say now.")
                }
                false => format!("Replaced by #{number}, which adopts the newer commit {}.", short(&wanted.adopts)),
            };
            self.close(one, &why, Some(&wanted.branch)).await?;
            self.begin(|note| {
                note.pull = i64::try_from(number).ok();
                note.state = state::OPENING.to_owned();
            })
            .await?;
        }
        let mut words = wanted.besides.clone();
        if dress {
            let lacks = self.dress(number, wanted).await?;
            words = [words, lacks].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(". ");
            self.change(|note| note.dressed = true);
        }
        let merging = wanted.how.auto_merge && !wanted.how.draft;
        let look_at = if merging { self.merge_when_green(number, head).await? } else { None };
        if words.is_empty() && is_known && new.state == state::OPEN {
            words = new.words;
        }
        Ok(self.done(state::OPEN, words, look_at))
    }

    /// Labels, reviewers and assignees. What the forge does not take is told, and the pull request stays.
    async fn dress(&self, number: u64, wanted: &Wanted) -> Result<String, Stop> {
        let mut trouble = Vec::new();
        if !wanted.how.labels.is_empty() {
            match self.api.add_labels(&self.name, number, &wanted.how.labels).await {
                Ok(there) => {
                    let lacking = wanted
                        .how
                        .labels
                        .iter()
                        .filter(|label| !there.iter().any(|one| one.eq_ignore_ascii_case(label)));
                    trouble.extend(lacking.map(|label| format!("{} has no label `{label}`", self.name)));
                }
                Err(error) => trouble.push(self.lacks("labels", error)?),
            }
        }
        if !wanted.how.reviewers.is_empty()
            && let Err(error) = self.api.request_reviewers(&self.name, number, &wanted.how.reviewers).await
        {
            trouble.push(self.lacks("reviewers", error)?);
        }
        if !wanted.how.assignees.is_empty()
            && let Err(error) = self.api.assign(&self.name, number, &wanted.how.assignees).await
        {
            trouble.push(self.lacks("assignees", error)?);
        }
        for one in &trouble {
            tracing::warn!(gate = self.slot, repo = %self.repo, number, why = one, "a pull request lacks something");
        }
        Ok(trouble.join("; "))
    }

    /// What a pull request lacks because the forge refused it; what may pass is tried again.
    fn lacks(&self, what: &str, error: ForgeError) -> Result<String, Stop> {
        if error.is_transient() { Err(self.stop(error)) } else { Ok(format!("{what}: {error}")) }
    }

    /// Asks the forge to merge it as soon as its own status is green: an unprotected branch would be merged at once. When to
    /// ask again.
    async fn merge_when_green(&self, number: u64, head: &ObjectId) -> Result<Option<i64>, Stop> {
        /// How often it is looked whether the status is green (ms).
        const AGAIN: i64 = 2_000;
        let rows = self.me.store.current(Some((&self.repo.forge, &self.repo.name))).await?;
        let green = rows.iter().any(|row| row.sha == head.as_str() && row.state == "success" && row.is_told());
        if !green {
            return Ok(Some(self.me.now() + AGAIN));
        }
        match self.api.auto_merge(&self.name, number, head).await {
            Ok(()) => Ok(None),
            Err(error) => Err(self.stop(error)),
        }
    }

    /// It holds somebody else's commits and is not what is wanted now: said once, on it.
    async fn leave_to_them(&self, number: u64, wanted: Option<&Wanted>) -> Result<Done, Stop> {
        let source = wanted.map(|wanted| wanted.adopts.clone());
        let before = self.note();
        // Once, and once more when the drift ends: not for every commit that comes while people work on it.
        let mark = if wanted.is_some() { "so drift-gate does not touch it" } else { "so drift-gate does not close it" };
        let noted = before.state == state::THEIRS
            && before.pull == i64::try_from(number).ok()
            && before.source.is_some() == source.is_some();
        let words = match wanted {
            Some(wanted) if wanted.side == Side::Source => format!(
                "The copies say something else by now, or the files that this changes do. Somebody else has committed here, {mark}: \
                 merge it or close it, and what is then missing is offered anew."
            ),
            Some(wanted) => format!(
                "The source has moved on to {}, or the files that this changes have. Somebody else has committed here, {mark}: merge it or close it, and what is then missing is proposed anew.",
                short(&wanted.adopts)
            ),
            None => format!("The drift that this was for has ended. Somebody else has committed here, {mark}."),
        };
        if !noted && !self.has_said(number, mark).await? {
            self.begin(|note| {
                note.state = state::THEIRS.to_owned();
                note.pull = i64::try_from(number).ok();
                note.source = source;
            })
            .await?;
            self.api.post_comment(&self.name, number, &words).await.map_err(|error| self.stop(error))?;
        }
        Ok(self.done(state::THEIRS, format!("#{number} holds commits of somebody else: it is left to them"), None))
    }

    /// Whether one of our comments on a pull request has these words.
    pub(super) async fn has_said(&self, number: u64, words: &str) -> Result<bool, Stop> {
        let said = self.api.comments_of(&self.name, number).await.map_err(|error| self.stop(error))?;
        Ok(said.iter().any(|one| one.author.eq_ignore_ascii_case(&self.us) && one.body.contains(words)))
    }
}

/// The change that makes a file what it should be; `None` where it is.
fn change(path: &str, now: Option<&AtCommit>, target: Option<(Vec<u8>, bool)>) -> Option<FileChange> {
    let (path, was) = (path.to_owned(), now.map(|now| now.blob.clone()));
    match (now, target) {
        (None, None) => None,
        (Some(now), Some((bytes, _))) if now.bytes == bytes => None,
        (Some(now), None) => Some(FileChange { path, content: None, executable: now.executable, was }),
        (_, Some((bytes, executable))) => Some(FileChange { path, content: Some(bytes), executable, was }),
    }
}

/// The first digits of a commit, or of each of several.
fn short(adopts: &str) -> String {
    adopts.split('+').map(|one| one.get(..8).unwrap_or(one)).collect::<Vec<_>>().join(" and ")
}
