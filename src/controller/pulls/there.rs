//! What the forge has of a gate's pull requests, read when it is needed.
//!
//! One of ours is known by who opened it and by the marker in its text, so that an answer that was lost, a database that was
//! lost, or another replica's work changes nothing. Lists are short: open ones of our user, and closed ones only where one is
//! about to be opened.

use super::keeper::{Keeper, Stop};
use super::next::Ours;
use super::text;
use super::want::Wanted;
use crate::forge::pulls::{Find, Written};
use crate::gate::{Revision, Side, World};
use crate::tree::{Node, ObjectId, TreeError, blob_id};

impl Keeper<'_> {
    /// Open pull requests of ours for this gate, or closed ones; `wanted`: what they are compared with.
    pub(super) async fn find(&self, open: bool, branch: &str, wanted: Option<&Wanted>) -> Result<Vec<Ours>, Stop> {
        let find = Find { author: &self.us, open, branch };
        let found = self.api.find_pulls(&self.name, &find).await.map_err(|error| self.stop(error))?;
        let mut ours = Vec::new();
        for written in found {
            let Some(source) = text::adopted(&written.body, &self.marker) else { continue };
            let is_it = wanted.is_some_and(|wanted| wanted.branch == written.branch);
            let (mut foreign, mut fresh) = (false, false);
            if open {
                foreign = self.is_foreign(&written).await?;
                if let Some(wanted) = wanted.filter(|_| is_it) {
                    fresh = self.holds(&written.pull.head_sha, wanted).await?;
                }
            }
            ours.push(Ours {
                number: written.pull.number,
                branch: written.branch,
                head: written.pull.head_sha,
                source,
                open: written.pull.open,
                merged: written.pull.merged,
                closed_by_us: text::says_closed(&written.body),
                body: written.body,
                foreign,
                fresh,
            });
        }
        Ok(ours)
    }

    /// Whether somebody else has committed to a pull request: its head is not the commit that we made, and not all of its
    /// commits are ours.
    async fn is_foreign(&self, written: &Written) -> Result<bool, Stop> {
        if self.note().tip.as_deref() == Some(written.pull.head_sha.as_str()) {
            return Ok(false);
        }
        let commits = self.api.commits_of_pull(&self.name, written.pull.number).await;
        let commits = commits.map_err(|error| self.stop(error))?;
        Ok(commits.iter().any(|commit| !commit.author.eq_ignore_ascii_case(&self.us)))
    }

    /// Whether a commit has every file as it is wanted.
    pub(super) async fn holds(&self, commit: &ObjectId, wanted: &Wanted) -> Result<bool, Stop> {
        let (side, commit) = (wanted.side, Revision::Commit(commit.clone()));
        let files: Vec<(String, Option<ObjectId>)> =
            wanted.files.iter().map(|file| (file.path.clone(), file.content.as_deref().map(blob_id))).collect();
        let ask = move |world: &dyn World| {
            let Some(tree) = world.tree(side, &commit)? else { return Ok(None) };
            for (path, blob) in &files {
                let there = matches!(tree.node(path)?, Some(Node::File { .. }));
                let same = match blob {
                    Some(blob) => there && tree.is_blob_of(path, blob)?,
                    None => !there,
                };
                if !same {
                    return Ok(Some(false));
                }
            }
            Ok(Some(true))
        };
        self.answered(ask).await
    }

    /// The files of a commit by their paths: the blob that each is, and its bytes; `None` where there is none.
    pub(super) async fn files_at(
        &self,
        side: Side,
        commit: &ObjectId,
        paths: Vec<String>,
    ) -> Result<Vec<(String, Option<AtCommit>)>, Stop> {
        let commit = Revision::Commit(commit.clone());
        let ask = move |world: &dyn World| {
            let Some(tree) = world.tree(side, &commit)? else { return Ok(None) };
            let mut files = Vec::with_capacity(paths.len());
            for path in &paths {
                let file = match tree.node(path)? {
                    Some(Node::File { mode }) => Some(AtCommit {
                        blob: tree.blob_id(path)?,
                        bytes: tree.read(path)?.to_vec(),
                        executable: mode & 0o111 != 0,
                    }),
                    _ => None,
                };
                files.push((path.clone(), file));
            }
            Ok(Some(files))
        };
        self.answered(ask).await
    }

    /// Whether a commit of the repository that is written is in the history of another.
    pub(super) async fn is_ancestor(&self, side: Side, commit: &ObjectId, of: &ObjectId) -> Result<bool, Stop> {
        use crate::gate::Relation;
        let (commit, of) = (Revision::Commit(commit.clone()), Revision::Commit(of.clone()));
        let ask = move |world: &dyn World| {
            let relation = world.relation(side, &commit, &of)?;
            Ok(Some(matches!(relation, Relation::Same | Relation::Behind(_))))
        };
        self.answered(ask).await
    }

    /// What the objects say; a commit that the forge named but does not serve yet is asked for again soon.
    async fn answered<T: Send + 'static>(
        &self,
        ask: impl Fn(&dyn World) -> Result<Option<T>, TreeError> + Send + Sync + 'static,
    ) -> Result<T, Stop> {
        let (answer, _) = self.me.ask(self.gated()?, move |world| ask(world)).await?;
        answer.ok_or_else(|| Stop::later(format!("{} does not serve the pull request's commit yet", self.repo)))
    }
}

/// A file of a commit.
pub(super) struct AtCommit {
    pub blob: ObjectId,
    pub bytes: Vec<u8>,
    pub executable: bool,
}
