//! Statuses that nobody decides any more: of commits that ceased to be heads while they were judged, and of gates that ended.
//!
//! A required check that is never said again blocks for ever. So what is still `pending` becomes an `error`, and where the head
//! stands and no gate asks for it any more, its status becomes `success` with the words "no longer gated", once.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Judgement;
use super::look::Look;
use super::plan::View;
use super::{Controller, keys};
use crate::gate::policy::Role;
use crate::store::{Judged, StoreError, WantedRow};
use crate::tree::ObjectId;

/// What is said of a commit that was `pending` and is no head any more.
const SUPERSEDED: &str = "not judged: no head of a branch or open pull request any more";
/// What is said where a gate was taken out of the configuration.
const NO_LONGER_GATED: &str = "no longer gated";

impl Controller {
    /// Says the last word where no target is any more; `heads` are the keys that still are. Answers whom the forge has still to
    /// be told of.
    pub(super) async fn say_the_last_word(
        &self,
        look: &Look<'_>,
        heads: &[String],
        rows: &BTreeMap<String, WantedRow>,
    ) -> Result<Vec<String>, StoreError> {
        let heads: BTreeSet<&str> = heads.iter().map(String::as_str).collect();
        let (mut ended, mut unsent) = (Vec::new(), Vec::new());
        for row in rows.values().filter(|row| !heads.contains(row.id.as_str())) {
            let is_said = [SUPERSEDED, NO_LONGER_GATED].contains(&row.description.as_str());
            if is_said && !row.is_told() {
                unsent.push(row.id.clone());
            } else if row.state == "pending" {
                ended.push(last_word(row, "error", SUPERSEDED, self.now()));
            } else if !is_said && stands(row, look.view) && self.is_address(row, look.view) {
                tracing::info!(target = row.id, sha = %row.sha, context = %row.context, "no longer gated");
                ended.push(last_word(row, "success", NO_LONGER_GATED, self.now()));
            }
        }
        if !ended.is_empty() {
            // Where it is lost, whoever looks now finds them as well.
            let _ = self.store.decide_held(&ended, &[look.lease]).await?;
        }
        Ok(unsent.into_iter().chain(ended.into_iter().map(|ended| ended.id)).collect())
    }

    /// Whether a status is kept under its present address: where the secret of links changed, it was decided under another.
    fn is_address(&self, row: &WantedRow, view: &View) -> bool {
        let sha = ObjectId::parse(&row.sha);
        let id = |sha| keys::wanted(&self.link_secret, &row.forge, view.repository.id, &sha, &row.context);
        sha.map(id).as_ref() == Some(&row.id)
    }

    /// The same for repositories that no gate has to do with any more: nobody looks at them.
    pub(super) async fn leave_repositories(&self) -> Result<(), StoreError> {
        let mut left = Vec::new();
        for forge in self.forges.keys() {
            left.extend(self.store.left_over(forge).await?);
        }
        let (said, open): (Vec<WantedRow>, _) = left.into_iter().partition(|row| row.description == NO_LONGER_GATED);
        let ended: Vec<Judged> =
            open.iter().map(|row| last_word(row, "success", NO_LONGER_GATED, self.now())).collect();
        if !ended.is_empty() {
            tracing::info!(statuses = ended.len(), "repositories are not gated any more: their statuses say so");
            let _ = self.store.decide_held(&ended, &[]).await?;
            self.publish_wake.notify_one();
        }
        let told: Vec<String> = said.into_iter().filter(WantedRow::is_told).map(|row| row.id).collect();
        self.store.leave(&told, self.now()).await
    }
}

/// Whether the commit is still what it was judged as.
fn stands(row: &WantedRow, view: &View) -> bool {
    let judgements: Vec<Judgement> = serde_json::from_str(&row.judgements).unwrap_or_default();
    judgements.iter().any(|judgement| match &judgement.role {
        Role::ConsumerBranch { branch } | Role::ConsumerQueue { branch, .. } => {
            view.heads.get(branch).is_some_and(|head| head.as_str() == row.sha)
        }
        Role::SourceBranch { .. } => view.heads.values().any(|head| head.as_str() == row.sha),
        Role::ConsumerPull { number, .. } | Role::SourcePull { number, .. } => {
            view.pulls.iter().any(|pull| pull.number == *number && pull.head_sha.as_str() == row.sha)
        }
    })
}

fn last_word(row: &WantedRow, state: &str, description: &str, now: i64) -> Judged {
    Judged {
        id: row.id.clone(),
        forge: row.forge.clone(),
        repository: row.repository.clone(),
        forge_id: row.forge_id,
        sha: row.sha.clone(),
        context: row.context.clone(),
        state: state.to_owned(),
        description: description.to_owned(),
        url: row.url.clone(),
        judgements: "[]".to_owned(),
        decided_at: now,
        is_new: false,
        reports: Vec::new(),
    }
}
