//! A workflow that ends the drift of a gate.
//!
//! Nothing on the forge tells for which commit a workflow was started, so the row does. It is noted before the call that it is
//! about to be made: a workflow whose answer was lost is not started twice, and that it may not have been started is told.

use super::keeper::{Done, Keeper, Stop};
use super::state;
use super::want::Start;
use crate::forge::ForgeError;
use crate::tree::ObjectId;

impl Keeper<'_> {
    /// Starts it for a source commit, once; `due` is when its time comes (Unix milliseconds).
    pub(super) async fn start(&self, start: &Start, now_is_the_time: bool, due: i64) -> Result<Done, Stop> {
        let before = self.note();
        let started = before.source.as_deref() == Some(start.source.as_str());
        let (workflow, commit) = (&start.dispatch.workflow, &start.source);
        match before.state.as_str() {
            state::STARTED if started => {
                return Ok(self.done(state::STARTED, before.words, None));
            }
            state::STARTING if started => {
                let words = format!("{workflow} may have been started for {commit}: the forge's answer was lost");
                return Ok(self.done(state::STARTED, words, None));
            }
            state::STARTED | state::STARTING if !self.is_worth_it(&before.source, commit).await? => {
                return Ok(self.done(state::STARTED, before.words, None));
            }
            _ => {}
        }
        if !now_is_the_time {
            return Ok(self.done(state::WAITING, "the drift is younger than `after` says", Some(due)));
        }
        if self.api.is_dry() {
            let words = format!("would start {workflow} of {} on {}", self.repo, start.dispatch.reference);
            if words != before.words {
                tracing::info!(gate = self.slot, "dry run: {words}");
            }
            return Ok(self.done(state::DRY, words, None));
        }
        self.begin(|note| {
            note.state = state::STARTING.to_owned();
            note.source = Some(commit.to_string());
            note.written = Some(self.repo.to_string());
        })
        .await?;
        match self.api.dispatch(&self.name, &start.dispatch).await {
            Ok(()) => {
                tracing::info!(gate = self.slot, repo = %self.repo, workflow, source = %commit, "started a workflow");
                Ok(self.done(state::STARTED, format!("started {workflow} for {commit}"), None))
            }
            Err(ForgeError::NotFound { .. }) => {
                self.begin(|note| note.source = None).await?;
                Err(Stop::Blocked(format!(
                    "{} has no workflow {workflow} on {} that can be started",
                    self.name, start.dispatch.reference
                )))
            }
            // It may have been started all the same.
            Err(error) if matches!(error, ForgeError::Transient { .. }) => Err(self.stop(error)),
            Err(error) => {
                self.begin(|note| note.source = None).await?;
                Err(self.stop(error))
            }
        }
    }

    /// Whether the source changed in what the gate is about since a workflow was last started.
    async fn is_worth_it(&self, last: &Option<String>, now: &ObjectId) -> Result<bool, Stop> {
        let Some(last) = last.as_deref().and_then(ObjectId::parse) else { return Ok(true) };
        let (gate, now) = (self.gated()?.gate.clone(), now.clone());
        let matters = move |world: &_| crate::gate::repair::matters(&gate, world, &last, &now);
        Ok(self.me.ask(self.gated()?, move |world| matters(world)).await?.0)
    }
}
