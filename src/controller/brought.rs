//! Gates that a repository brings along, in the `.drift-gate.toml` at the root of its default branch (pure): what the file
//! says to the service, and what a pull request that changes it is asked.
//!
//! The rules, from `docs/design.md`, "How each head is judged": the file on the default branch judges. A pull request that changes it
//! is judged by the old file and the new one, by the new one on its own status only; what the new one loosens is a finding of
//! its own. A file that cannot be used is an error on the default branch, and the last valid one judges on: the trap is a
//! broken file that would switch its own gates off.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::{self, Before, Found, Gated, Known, Question, RepoKey, View};
use crate::config::{self, Bringer, Config, Place};
use crate::forge::Pull;
use crate::gate::own_file::{self, FILE, Invalid};
use crate::gate::policy::Role;
use crate::gate::{Report, Revision, weakened};

/// The context of what is said where no gate has one.
const CONTEXT: &str = "drift-gate";

/// What is known of a repository's own file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// The last text that could be used; `None` where there is no file.
    pub valid: Option<String>,
    /// Why the text on the default branch cannot be used, in words for people.
    pub trouble: Option<String>,
}

impl Brought {
    /// What is known once the file was read: the text that judges from now on.
    pub fn read(&self, bytes: Option<&[u8]>, bringer: &Bringer<'_>) -> Self {
        match gates(bytes, bringer) {
            Ok(_) => Self { valid: bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()), trouble: None },
            Err(invalid) => Self { valid: self.valid.clone(), trouble: Some(invalid.to_string()) },
        }
    }

    /// The gates that judge.
    pub fn gates(&self, bringer: &Bringer<'_>) -> Vec<Arc<Gated>> {
        // Valid once, it can become invalid only where the service's own file changed: then these gates are off.
        gates(self.valid.as_deref().map(str::as_bytes), bringer).unwrap_or_default()
    }
}

/// What a pull request makes of its repository's own file of gates.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// The gates of the file as it would be; none where it would be gone.
    Gates(Vec<Arc<Gated>>),
    /// The file as it would be cannot be used.
    Invalid(Invalid),
    /// What a merge would make of it cannot be told, in words for people.
    Unknown(String),
    /// It could not be read, since then (Unix milliseconds).
    Unreadable {
        /// In words, for people.
        why: String,
        /// Unix milliseconds since when.
        since: i64,
    },
}

/// The gates of a file's bytes; a file that is not there has none.
///
/// # Errors
/// The first fault of the file.
pub fn gates(bytes: Option<&[u8]>, bringer: &Bringer<'_>) -> Result<Vec<Arc<Gated>>, Invalid> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let Ok(text) = std::str::from_utf8(bytes) else { return Err(Invalid::not_text()) };
    let gates = Config::parse_brought(text, FILE, bringer).map_err(|error| Invalid::from(&error))?;
    let brought = |gate: &config::Gate| Some(Arc::new(Gated { brought: true, ..Gated::new(gate)? }));
    Ok(gates.iter().filter_map(brought).collect())
}

/// What the file of gates itself has to say of its repository's heads, and what gates ask that only a pull request has.
pub(super) fn of_file(known: &Known<'_>, repo: &RepoKey, view: &View) -> Vec<(Arc<Gated>, Found)> {
    let old: Vec<&Arc<Gated>> = known.gates.iter().filter(|gated| gated.brought && gated.consumer == *repo).collect();
    let mut contexts: BTreeSet<&str> = old.iter().map(|gated| gated.gate.context.as_str()).collect();
    if contexts.is_empty() {
        contexts.insert(CONTEXT);
    }
    let file = |context: &str| Arc::new(file_gate(repo, context, &view.repository.default_branch));
    let mut found = Vec::new();
    let default = &view.repository.default_branch;
    if let (Some(why), Some(head)) = (known.trouble, view.heads.get(default)) {
        for context in &contexts {
            let role = Role::ConsumerBranch { branch: default.clone() };
            found.push((file(context), (head.clone(), role, Question::Impossible(why.to_owned()))));
        }
    }
    for pull in &view.pulls {
        let Some(proposal) = known.proposals.get(&pull.number) else { continue };
        if let Proposal::Gates(new) = proposal {
            for gated in new.iter().filter(|new| !old.iter().any(|old| old.gate.digest == new.gate.digest)) {
                let source = known.seen.get(&gated.source);
                let replaced = old.iter().find(|old| old.id == gated.id);
                let before = replaced.map_or(Before::Nothing, |old| Before::Other(Box::new(old.gate.clone())));
                let proposed = Arc::new(Gated { before, ..Gated::clone(gated) });
                found.push((proposed, plan::of_proposal(gated, view, pull, source)));
            }
        }
        for context in &contexts {
            let gate = file(context);
            if let Some(question) = of_proposed_file(proposal, &old, &gate, view, pull) {
                let role = Role::ConsumerPull { number: pull.number, base: pull.base_ref.clone() };
                found.push((gate, (pull.head_sha.clone(), role, question)));
            }
        }
    }
    found
}

/// What is to be said of the file itself, as a pull request would make it, under the context of `gate`.
fn of_proposed_file(
    proposal: &Proposal,
    old: &[&Arc<Gated>],
    gate: &Gated,
    view: &View,
    pull: &Pull,
) -> Option<Question> {
    let findings = match proposal {
        Proposal::Gates(new) => {
            let under = |gated: &&&Arc<Gated>| gated.gate.context == gate.gate.context;
            let old: Vec<config::Gate> = old.iter().filter(under).map(|gated| gated.gate.clone()).collect();
            let new: Vec<config::Gate> = new.iter().map(|gated| gated.gate.clone()).collect();
            weakened(&old, &new, FILE)
        }
        Proposal::Invalid(invalid) => vec![invalid.finding()],
        Proposal::Unknown(why) => return Some(Question::Impossible(format!("{FILE}: {why}"))),
        Proposal::Unreadable { why, since } => {
            return Some(Question::Unreadable { why: format!("{FILE} cannot be read: {why}"), since: *since });
        }
    };
    if findings.is_empty() {
        return None;
    }
    let base = view.heads.get(&pull.base_ref).cloned().map(Revision::Commit);
    let report = Report::of_configuration(&gate.gate, Revision::Commit(pull.head_sha.clone()), base, findings);
    Some(Question::Told(Arc::new(report)))
}

/// The gate in whose name the file itself is spoken of.
fn file_gate(repo: &RepoKey, context: &str, branch: &str) -> Gated {
    let place = Place::Forge { forge: repo.forge.clone(), repo: repo.name.clone() };
    let gate = own_file::file_gate(place, context, branch);
    Gated { id: file_id(repo), gate, consumer: repo.clone(), source: repo.clone(), brought: true, before: Before::This }
}

/// The id under which the file itself is spoken of.
fn file_id(repo: &RepoKey) -> String {
    format!("{repo}:{FILE}")
}

/// The gate with this id, among those that judge or as the file itself. Where a pull request changes a gate there are two, and
/// the digest of what they say tells them apart.
pub(super) fn by_id(
    gates: &[Arc<Gated>],
    repo: &RepoKey,
    id: &str,
    context: &str,
    digest: Option<&str>,
) -> Option<Arc<Gated>> {
    let mut found = gates.iter().filter(|gated| gated.id == id);
    let found = found.clone().find(|gated| digest == Some(&gated.gate.digest)).or_else(|| found.next()).cloned();
    found.or_else(|| (id == file_id(repo)).then(|| Arc::new(file_gate(repo, context, ""))))
}
