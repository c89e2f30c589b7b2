//! Takes verified deliveries: what they hint at is durable before the forge hears that they were accepted.

use super::plan::RepoKey;
use super::{Controller, lock};
use crate::forge::webhook::{Delivery, Hint, RepositoryRef};
use crate::store::{Arrival, Effect, StoreError};
use crate::tree::ObjectId;

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
        if let (Some(repo), Hint::Push { branch, before, after }) = (&repo, &delivery.hint)
            && self.shows_a_gap(repo, branch, before, after)
        {
            tracing::warn!(%repo, branch, "a delivery was lost: this one begins at a commit that none had told");
            self.gap_shown();
        }
        let (taken, effect, outcome) = match (&delivery.hint, repo) {
            (Hint::Nothing(why), _) => (Taken::Ignored, Effect::Nothing, format!("ignored: {why}")),
            (Hint::Ping, _) => (Taken::Ignored, Effect::Nothing, "ping".to_owned()),
            (Hint::Unknown, _) => (Taken::Ignored, Effect::Nothing, "unknown event".to_owned()),
            (_, None) => (Taken::UnknownRepository, Effect::Nothing, "unknown repository".to_owned()),
            // Ours come back.
            (Hint::Status { creator, .. }, Some(_)) if self.is_ours(forge, creator) => {
                (Taken::Ignored, Effect::Nothing, "a status of ours".to_owned())
            }
            // Under a context that is not ours nothing is found to be read back.
            (Hint::Status { sha, context, .. }, Some(repo)) => {
                let effect = Effect::Recheck { name: repo.name, sha: sha.to_string(), context: context.clone() };
                (Taken::Ignored, effect, "a status by somebody else".to_owned())
            }
            (Hint::Comment { issue, is_pull: false, .. }, Some(repo)) if self.naming(&repo, *issue).is_empty() => {
                (Taken::Ignored, Effect::Nothing, "ignored: a comment on an issue that no gate names".to_owned())
            }
            (Hint::Comment { id, issue, .. }, Some(repo)) => {
                let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                let effect = Effect::Comment { name: repo.name, comment: number(*id), pull: number(*issue) };
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
        let is_recheck = matches!(effect, Effect::Recheck { .. });
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
        if is_recheck {
            self.publish_wake.notify_one();
        }
        if is_comment {
            self.command_wake.notify_one();
        } else if taken == Taken::Queued {
            self.look_wake.notify_one();
        }
        Ok(taken)
    }

    /// Whether a push begins where neither a look nor a delivery had left the branch.
    fn shows_a_gap(&self, repo: &RepoKey, branch: &str, before: &ObjectId, after: &ObjectId) -> bool {
        let told = lock(&self.told).insert((repo.clone(), branch.to_owned()), after.clone());
        let Some(view) = self.view(repo) else { return false };
        let known = view.heads.get(branch);
        let is_known = |sha: &ObjectId| told.as_ref() == Some(sha) || known == Some(sha);
        known.is_some() && !before.is_zero() && !is_known(before) && !is_known(after)
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
        if let Some(repo) = self.by_forge_id(forge, named.id) {
            return Some(repo);
        }
        self.repositories
            .iter()
            .filter(of_forge)
            .find(|repo| repo.name.eq_ignore_ascii_case(&named.full_name.0))
            .cloned()
    }
}
