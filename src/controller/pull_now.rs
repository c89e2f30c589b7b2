//! What holds for one pull request now, for who asks by a comment: read from the forge, judged, and not yet decided.
//!
//! A look decides statuses, under its lease; here nothing is written but what was seen, so it may be done beside a look. Both
//! share what was judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decide::Answer;
use super::judge::Stored;
use super::plan::{self, Known, RepoKey, Target, View};
use super::{Controller, Trouble};
use crate::forge::Pull;
use crate::store::StoreError;

/// An open pull request with what every gate says of it.
pub(super) struct PullNow {
    pub view: Arc<View>,
    pub pull: Pull,
    /// Each with the answers to its questions, in their order.
    pub targets: Vec<(Target, Vec<Answer>)>,
}

impl Controller {
    /// Reads a repository and judges one of its open pull requests, in all roles of its head; `None` where it is not open. `afresh`
    /// ignores what is remembered, and reads the other sides and the configuration in them as well.
    pub(super) async fn pull_now(
        &self,
        repo: &RepoKey,
        number: u64,
        afresh: bool,
    ) -> Result<Result<Option<PullNow>, Trouble>, StoreError> {
        self.sync().await?;
        if afresh {
            self.doubt_facts(repo);
        }
        let others = plan::partners(&self.gates_now(), repo);
        self.see(repo, None).await?;
        for other in others.iter().filter(|other| afresh || self.sight(other).is_none()) {
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
        let Some(pull) = view.pulls.iter().find(|pull| pull.number == number).cloned() else { return Ok(Ok(None)) };
        let proposals = self.proposals(repo, &view).await;
        let gates = self.gates_now();
        let mut needed: BTreeSet<RepoKey> = plan::partners(&gates, repo);
        needed.extend(plan::sources(&proposals));
        needed.insert(repo.clone());
        let seen = self.seen(&needed);
        let page = |repo: &RepoKey, number| self.pull_page(repo, number);
        let trouble = sight.brought.trouble.as_deref();
        let known = Known { gates: &gates, seen: &seen, proposals: &proposals, trouble, page: &page };
        let is_it = |target: &Target| target.asks.iter().any(|ask| ask.role.pull() == Some(number));
        let mut targets = Vec::new();
        for target in plan::targets(&known, repo).into_iter().filter(is_it) {
            let stored = if afresh { Stored::Ignored } else { Stored::Any };
            let answers = self.answer_all(&target, stored).await?;
            targets.push((target, answers));
        }
        Ok(Ok(Some(PullNow { view, pull, targets })))
    }
}
