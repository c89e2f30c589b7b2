//! What a configuration wants of each repository (no I/O).

use std::collections::BTreeMap;

use crate::config::{Config, Gate, Place, Repair, Stale, To};
use crate::forge::RepoName;

/// A repository that a gate has to do with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The forge's name in the configuration.
    pub forge: String,
    pub repo: RepoName,
    /// Branches whose heads are judged, and under which name.
    pub gated: Vec<Gated>,
    /// Organizations of teams that may waive there.
    pub organizations: Vec<String>,
    /// Pull requests that end drift are opened there.
    pub repaired: bool,
    /// Workflows are started there.
    pub dispatches: bool,
    /// It may bring gates of its own.
    pub brings: bool,
}

/// Branches under one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gated {
    /// A name, or a glob.
    pub branches: String,
    pub context: String,
    /// The status only tells: nobody need require it.
    pub advisory: bool,
    /// The gate names branches of a merge queue.
    pub queue: bool,
    /// It is the consumer's: a source's queue is not judged.
    pub consumes: bool,
}

impl Subject {
    fn add(&mut self, gated: Gated) {
        let same = |one: &&mut Gated| one.branches == gated.branches && one.context == gated.context;
        match self.gated.iter_mut().find(same) {
            // Required as soon as one of its gates is.
            Some(known) => {
                known.advisory &= gated.advisory;
                known.queue |= gated.queue;
                known.consumes |= gated.consumes;
            }
            None => self.gated.push(gated),
        }
    }

    /// A gate that this repository is the consumer of.
    pub fn consumes(&mut self, gate: &Gate) {
        if gate.retired.is_some() {
            return;
        }
        for branches in &gate.consumer.branches {
            self.add(Gated {
                branches: branches.clone(),
                context: gate.context.clone(),
                advisory: gate.advisory,
                queue: !gate.consumer.queue_branches.is_empty(),
                consumes: true,
            });
        }
        self.repaired |= gate.repairs.iter().any(Repair::writes_consumer);
        self.dispatches |= gate.repairs.iter().any(|repair| matches!(repair, Repair::Dispatch { .. }));
        self.organizations_of(&gate.commands.teams);
    }

    /// A gate that this repository is the source of. One that only notices staleness judges no head of it.
    fn provides(&mut self, gate: &Gate) {
        if gate.retired.is_none() && gate.stale == Stale::Fail {
            let (branches, context) = (gate.source.branch.clone(), gate.context.clone());
            self.add(Gated { branches, context, advisory: gate.advisory, queue: false, consumes: false });
        }
        self.repaired |= gate.repairs.iter().any(|repair| matches!(repair, Repair::Mirror { to: To::Source, .. }));
        self.organizations_of(&gate.commands.teams);
    }

    fn organizations_of(&mut self, teams: &[String]) {
        for (organization, _) in teams.iter().filter_map(|team| team.split_once('/')) {
            if !self.organizations.iter().any(|known| known == organization) {
                self.organizations.push(organization.to_owned());
            }
        }
    }
}

/// All repositories of a configuration, by forge and name.
pub(super) fn subjects(config: &Config) -> Vec<Subject> {
    let mut all: BTreeMap<(String, String), Subject> = BTreeMap::new();
    let mut of = |forge: &str, repo: &str, change: &mut dyn FnMut(&mut Subject)| {
        let subject = all.entry((forge.to_owned(), repo.to_owned())).or_insert_with(|| Subject {
            forge: forge.to_owned(),
            repo: RepoName(repo.to_owned()),
            gated: Vec::new(),
            organizations: Vec::new(),
            repaired: false,
            dispatches: false,
            brings: false,
        });
        change(subject);
    };
    for gate in &config.gates {
        if let Place::Forge { forge, repo } = &gate.consumer.place {
            of(forge, repo, &mut |subject| subject.consumes(gate));
        }
        if let Place::Forge { forge, repo } = &gate.source.place {
            of(forge, repo, &mut |subject| subject.provides(gate));
        }
    }
    for listed in &config.repositories {
        of(&listed.forge, &listed.repo, &mut |subject| {
            subject.brings = true;
            subject.organizations_of(&listed.commands.teams);
        });
        for source in &listed.sources {
            of(&listed.forge, source, &mut |_| {});
        }
    }
    all.into_values().collect()
}
