//! What a comment is about, and what holds for it now: an open pull request, or an issue that gates name. Read from the forge,
//! judged, and not yet decided.
//!
//! A look decides statuses, under its lease; here nothing is written but what was seen, so it may be done beside a look. Both
//! share what was judged.
//!
//! Traps: issues and pull requests count in one row of numbers, so a number that a gate names may be a pull request; one that
//! is open is taken for that. Everyone who can comment may ask for all of this afresh: of a repository with very many other sides
//! those are not read again for it. An issue's repository is where its answer is read: what is told there is told by that
//! repository's own heads, as their statuses tell it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decide::Answer;
use super::judge::Stored;
use super::look::OTHER_SIDES;
use super::plan::{self, Ask, Gated, Known, RepoKey, Target, View};
use super::{Controller, Trouble};
use crate::forge::Pull;
use crate::gate::policy::Role;
use crate::store::{Level, StoreError};
use crate::tree::ObjectId;

/// What comments stand on.
pub(super) enum Subject {
    /// An open pull request.
    Pull(Pull),
    /// An issue, with the gates that name it.
    Issue(Vec<Arc<Gated>>),
}

impl Subject {
    /// Whether it is about a gate's question: all of a pull request's head, and of an issue's gates those about branches.
    pub(super) fn is_about(&self, ask: &Ask) -> bool {
        match self {
            Self::Pull(pull) => ask.role.pull() == Some(pull.number),
            Self::Issue(gates) => branch(ask).is_some() && gates.iter().any(|gated| gated.id == ask.gated.id),
        }
    }
}

/// The branch whose head a question is about; `None` where it is about a pull request or what a queue would merge.
pub(super) fn branch(ask: &Ask) -> Option<&str> {
    match &ask.role {
        Role::ConsumerBranch { branch } => Some(branch),
        Role::SourceBranch { .. } => Some(&ask.gated.gate.source.branch),
        Role::ConsumerPull { .. } | Role::SourcePull { .. } | Role::ConsumerQueue { .. } => None,
    }
}

/// What every gate with a say says of it.
pub(super) struct Now {
    pub view: Arc<View>,
    pub subject: Subject,
    /// Each with the answers to all its questions, in their order.
    pub targets: Vec<(Target, Vec<Answer>)>,
}

impl Controller {
    /// The gates that name an issue of a repository.
    pub(super) fn naming(&self, repo: &RepoKey, issue: u64) -> Vec<Arc<Gated>> {
        self.gates_now().iter().filter(|gated| gated.names(repo, issue)).cloned().collect()
    }

    /// Reads a repository and judges what comments under this number are about; `None` where it is neither an open pull request
    /// nor an issue that a gate names. `afresh` ignores what is remembered, and reads the other sides and the configuration in
    /// them as well, where they are few.
    pub(super) async fn now_of(
        &self,
        repo: &RepoKey,
        number: u64,
        afresh: bool,
    ) -> Result<Result<Option<Now>, Trouble>, StoreError> {
        self.sync().await?;
        if afresh {
            self.doubt_facts(repo);
        }
        let others = plan::partners(&self.gates_now(), repo);
        self.see(repo, None).await?;
        let few = others.len() <= OTHER_SIDES;
        for other in others.iter().filter(|other| (afresh && few) || self.sight(other).is_none()) {
            self.see(other, None).await?;
        }
        let Some(sight) = self.sight(repo) else { return Ok(Ok(None)) };
        let view = match (&sight.view, &sight.outage) {
            (Some(view), None) => view.clone(),
            (_, outage) => {
                let why = outage.as_ref().map_or("it was not read yet", |outage| outage.why.as_str());
                return Ok(Err(Trouble { why: format!("{repo} cannot be read: {why}"), passing: true }));
            }
        };
        let subject = match view.pulls.iter().find(|pull| pull.number == number) {
            Some(pull) => Subject::Pull(pull.clone()),
            None => match self.naming(repo, number) {
                gates if gates.is_empty() => return Ok(Ok(None)),
                gates => Subject::Issue(gates),
            },
        };
        let proposals = self.proposals(repo, &view).await;
        let gates = self.gates_now();
        let mut needed: BTreeSet<RepoKey> = plan::partners(&gates, repo);
        needed.extend(plan::sources(&proposals));
        needed.insert(repo.clone());
        let seen = self.seen(&needed);
        let page = |repo: &RepoKey, number| self.pull_page(repo, number);
        let trouble = sight.brought.trouble.as_deref();
        let known = Known { gates: &gates, seen: &seen, proposals: &proposals, trouble, page: &page };
        let is_it = |target: &Target| target.asks.iter().any(|ask| subject.is_about(ask));
        let mut targets = Vec::new();
        for target in plan::targets(&known, repo).into_iter().filter(is_it) {
            let stored = if afresh { Stored::Ignored } else { Stored::Any };
            let answers = self.answer_all(&target, stored).await?;
            targets.push((target, answers));
        }
        Ok(Ok(Some(Now { view, subject, targets })))
    }

    /// Has what was just judged afresh decided, and its statuses read back: of an issue also those on the other sides, where
    /// they are few.
    pub(super) async fn look_again(&self, repo: &RepoKey, now: &Now) -> Result<(), StoreError> {
        match &now.subject {
            Subject::Pull(pull) => self.doubt(repo, &now.view, &pull.head_sha).await?,
            Subject::Issue(gates) => {
                for (target, _) in &now.targets {
                    self.doubt(repo, &now.view, &target.sha).await?;
                }
                let others = plan::partners(gates, repo);
                for other in others.iter().filter(|_| others.len() <= OTHER_SIDES) {
                    let Some(view) = self.view(other) else { continue };
                    for sha in plan::heads_for_others(gates, other, &view).values() {
                        self.doubt(other, &view, sha).await?;
                    }
                    self.hint(other, Level::Decide).await?;
                }
            }
        }
        self.hint(repo, Level::ReadBoth).await
    }

    async fn doubt(&self, repo: &RepoKey, view: &View, sha: &ObjectId) -> Result<(), StoreError> {
        let id = i64::try_from(view.repository.id).unwrap_or(i64::MAX);
        self.store.doubt(&repo.forge, id, sha.as_str()).await
    }
}
