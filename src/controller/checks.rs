//! A check with remarks on lines, beside the status of a consumer's head, on forges that take checks from us.
//!
//! It hangs on the status: written right after it stands, with what was decided then, and the status counts as told only when
//! both stand. So no list of its own says what is to be written. The races: an answer that was lost (the check is found again
//! by its id, which is made of what it says); a check that cannot be written for now (the status is read before it is written
//! again, so it is not posted twice); one that is refused for good (the status does not wait for it).

use sha2::{Digest, Sha256};

use super::plan::RepoKey;
use super::publish::state;
use super::{Controller, Trouble};
use crate::forge::{Annotation, CheckRun, State};
use crate::gate::policy::{self, Decision};
use crate::gate::{Report, Side};
use crate::report::{Judged, annotations, discreet, markdown};
use crate::store::{StoreError, WantedRow};
use crate::tree::ObjectId;

/// Remarks of one check; the others are on the report page.
const MOST: usize = 500;

impl Controller {
    /// Writes the check that belongs to a status, where there is one; what goes wrong for now is told.
    pub(super) async fn write_check(&self, repo: &RepoKey, row: &WantedRow) -> Result<Option<Trouble>, StoreError> {
        let Some(api) = self.forges.get(&repo.forge).filter(|api| api.takes_checks()) else { return Ok(None) };
        let (Some(sha), Some(check)) = (ObjectId::parse(&row.sha), self.check(repo, row).await?) else {
            return Ok(None);
        };
        match api.put_check(&self.current_name(repo), &sha, &check).await {
            Ok(()) => Ok(None),
            Err(error) if error.is_transient() => Ok(Some(error.into())),
            Err(error) => {
                tracing::warn!(target = row.id, %repo, sha = %row.sha, name = check.name, %error, "the forge did not take a check; the status stands");
                Ok(None)
            }
        }
    }

    /// What is to be said; `None` where the commit is no consumer's, or nothing is decided yet.
    async fn check(&self, repo: &RepoKey, row: &WantedRow) -> Result<Option<CheckRun>, StoreError> {
        let (state, says) = match state(&row.state) {
            Some(state @ State::Success) => (state, policy::State::Success),
            Some(state @ State::Failure) => (state, policy::State::Failure),
            Some(state @ State::Error) => (state, policy::State::Error),
            Some(State::Pending) | None => return Ok(None),
        };
        let told = self.told(row).await?;
        let mut of_consumer =
            told.iter().filter(|one| one.gated.consumer == *repo && one.role.side() == Side::Consumer);
        let decision = Decision { state: says, description: row.description.clone(), look_again: None };
        let (mut remarks, mut any) = (Vec::new(), false);
        for one in of_consumer.by_ref() {
            any = true;
            let Ok(report) = &one.report else { continue };
            let discreetly = self.is_discreet(repo, &one.gated);
            let shown: Report = if discreetly { discreet::report(report, Side::Consumer) } else { report.clone() };
            let judged = Judged { gate: &one.gated.gate, report: &shown, decision: &decision };
            remarks.extend(annotations::remarks(&judged));
        }
        if !any {
            return Ok(None);
        }
        let mut summary = format!("{}\n\n[The whole report]({})", markdown::prose(&row.description), row.url);
        if remarks.len() > MOST {
            summary.push_str(&format!("\n\n{} of {} remarks are shown here.", MOST, remarks.len()));
            remarks.truncate(MOST);
        }
        let annotations: Vec<Annotation> = remarks
            .into_iter()
            .map(|one| Annotation {
                path: one.path,
                line: one.line,
                level: one.level,
                title: one.title,
                message: one.message,
            })
            .collect();
        let title = match state {
            State::Success => "passes",
            State::Failure => "drift",
            State::Error | State::Pending => "not decided",
        };
        let said = format!("{:?}", (&row.context, state, &summary, &annotations));
        Ok(Some(CheckRun {
            name: format!("{} annotations", row.context),
            external_id: hex::encode(&Sha256::digest(said)[..20]),
            state,
            title: title.to_owned(),
            summary,
            details_url: row.url.clone(),
            annotations,
        }))
    }
}
