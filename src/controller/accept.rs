//! Takes verified deliveries: what they hint at is durable before the forge hears that they were accepted.

use super::plan::RepoKey;
use super::{Controller, lock};
use crate::forge::webhook::{Delivery, Hint, RepositoryRef};
use crate::store::{Arrival, Effect, StoreError};

/// What a delivery was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Something will be looked at.
    Queued,
    /// No verdict can depend on it.
    Ignored,
    /// No gate names the repository.
    UnknownRepository,
}

impl Controller {
    /// Keeps a delivery and what it makes dirty; on disk when it returns.
    ///
    /// # Errors
    /// The store cannot write now: the forge must be told so, because it does not send again by itself.
    pub async fn take(&self, forge: &str, delivery: Delivery) -> Result<Taken, StoreError> {
        let repo = delivery.repository.as_ref().and_then(|named| self.gated_repository(forge, named));
        if let (Some(repo), Some(named)) = (&repo, &delivery.repository)
            && (matches!(delivery.hint, Hint::RepositoryChanged | Hint::Unparsed) || self.contradicts(repo, named))
        {
            self.doubt_facts(repo);
        }
        let (taken, effect, outcome) = match (&delivery.hint, repo) {
            (Hint::Nothing(why), _) => (Taken::Ignored, Effect::Nothing, format!("ignored: {why}")),
            (Hint::Ping, _) => (Taken::Ignored, Effect::Nothing, "ping".to_owned()),
            (Hint::Unknown, _) => (Taken::Ignored, Effect::Nothing, "unknown event".to_owned()),
            // Ours come back; what others post under our name is found when the status is read back.
            (Hint::Status { .. }, _) => (Taken::Ignored, Effect::Nothing, "a status".to_owned()),
            (_, None) => (Taken::UnknownRepository, Effect::Nothing, "unknown repository".to_owned()),
            (Hint::Comment { id, pull }, Some(repo)) => {
                let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                let effect = Effect::Comment { name: repo.name, comment: number(*id), pull: number(*pull) };
                (Taken::Queued, effect, "a comment".to_owned())
            }
            (
                Hint::Push { .. }
                | Hint::Branch { .. }
                | Hint::PullRequest { .. }
                | Hint::RepositoryChanged
                | Hint::Unparsed,
                Some(repo),
            ) => (Taken::Queued, Effect::Look { name: repo.name }, "look".to_owned()),
        };
        let is_comment = matches!(effect, Effect::Comment { .. });
        self.store
            .accept(Arrival {
                forge: forge.to_owned(),
                delivery: delivery.id.unwrap_or_default(),
                event: delivery.event,
                repository: delivery.repository.map(|named| named.full_name.0).unwrap_or_default(),
                outcome,
                received_at: self.now(),
                effect,
            })
            .await?;
        if is_comment {
            self.command_wake.notify_one();
        } else if taken == Taken::Queued {
            self.look_wake.notify_one();
        }
        Ok(taken)
    }

    /// Whether a payload tells of the repository other than was last read.
    fn contradicts(&self, repo: &RepoKey, named: &RepositoryRef) -> bool {
        self.known(repo).is_some_and(|known| {
            known.id != named.id
                || known.name != named.full_name
                || named.private.is_some_and(|private| private != known.private)
        })
    }

    /// The gated repository that a payload names: by its id, which survives a rename, else by its name.
    fn gated_repository(&self, forge: &str, named: &RepositoryRef) -> Option<RepoKey> {
        let of_forge = |repo: &&RepoKey| repo.forge == forge;
        let views = lock(&self.views);
        let by_id = views.iter().find(|(repo, view)| repo.forge == forge && view.repository.id == named.id);
        if let Some((repo, _)) = by_id {
            return Some(repo.clone());
        }
        self.repositories
            .iter()
            .filter(of_forge)
            .find(|repo| repo.name.eq_ignore_ascii_case(&named.full_name.0))
            .cloned()
    }
}
