//! Pull requests of both sides that belong together (pure): `Depends-On:` in a pull request of the source.
//!
//! The rules, from `docs/design.md`, "How each head is judged": it may turn the source's pull request green, never the
//! consumer's, which says what it waits for. A partner counts when it is open, of this gate's consumer, onto the branch that is asked
//! about, and not from a fork. What is named beyond that is told and never fetched. Nothing is followed from a partner any further, so
//! two that name each other are no circle: the source's is merged first, then the consumer's.

use super::plan::{Gated, Known, Question, Seen, View};
use crate::forge::depends::{named, number_of_address};
use crate::gate::policy::Role;
use crate::gate::{Case, Revision};

/// What a pull request has to do with one of the other side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// Nothing.
    No,
    /// Of the source: it is judged together with this one of the consumer as well.
    With {
        /// For people: `core#12`.
        name: String,
        /// Both merged.
        case: Case,
    },
    /// Of the source: it names one that does not count.
    Not {
        /// As it is named.
        name: String,
        /// In words, for people.
        why: String,
    },
    /// Of the consumer: this one of the source names it.
    Waits {
        /// For people: `platform-agent-template#7`.
        name: String,
    },
}

/// What the pull request of a role has to do with others. `view` is of the repository that it is in.
pub(super) fn of(known: &Known<'_>, view: &View, gated: &Gated, role: &Role, question: &Question) -> Pairing {
    match role {
        Role::SourcePull { number, consumer_branch, .. } => {
            let Some(pull) = view.pulls.iter().find(|pull| pull.number == *number) else { return Pairing::No };
            of_source(known, gated, &pull.depends_on, consumer_branch, question)
        }
        Role::ConsumerPull { number, .. } => {
            let Some(Seen::View(source)) = known.seen.get(&gated.source) else { return Pairing::No };
            let names = |reference: &String| number_here(known, gated, view, reference) == Some(*number);
            let waits = source.pulls.iter().find(|pull| pull.depends_on.iter().any(names));
            waits.map_or(Pairing::No, |pull| Pairing::Waits { name: short(&source.repository.name.0, pull.number) })
        }
        Role::ConsumerBranch { .. } | Role::SourceBranch { .. } | Role::ConsumerQueue { .. } => Pairing::No,
    }
}

fn of_source(known: &Known<'_>, gated: &Gated, references: &[String], branch: &str, question: &Question) -> Pairing {
    let Some(Seen::View(consumer)) = known.seen.get(&gated.consumer) else { return Pairing::No };
    let Question::Judge(Case::SourcePull { head, base, consumer: onto }) = question else { return Pairing::No };
    let not = |name: String, why: &str| Pairing::Not { name, why: why.to_owned() };
    let mut partners = Vec::new();
    for reference in references {
        match number_here(known, gated, consumer, reference) {
            Some(number) => partners.push(number),
            None if is_of_another(known, gated, reference) => {}
            None => return not(reference.clone(), "is of no repository that a gate compares with this one"),
        }
    }
    let number = match partners.as_slice() {
        [] => return Pairing::No,
        [number] => *number,
        [first, ..] => {
            return not(
                short(&consumer.repository.name.0, *first),
                "is not the only one of that repository that is named",
            );
        }
    };
    let name = short(&consumer.repository.name.0, number);
    let Some(partner) = consumer.pulls.iter().find(|pull| pull.number == number) else {
        return not(name, "is not open");
    };
    if partner.head_repo.as_ref() != Some(&consumer.repository.name) {
        return not(name, "comes from a fork");
    }
    if !gated.gates_branch(&partner.base_ref) {
        return not(name, "is not onto a gated branch");
    }
    if partner.base_ref != *branch {
        return Pairing::No;
    }
    let (head, base, onto) = (head.clone(), base.clone(), onto.clone());
    let partner = Revision::Commit(partner.head_sha.clone());
    Pairing::With { name, case: Case::PairedPull { head, base, partner, onto } }
}

/// The number of a pull request of this gate's consumer that a reference names.
fn number_here(known: &Known<'_>, gated: &Gated, consumer: &View, reference: &str) -> Option<u64> {
    if let Some((repo, number)) = named(reference) {
        let names = [gated.consumer.name.as_str(), consumer.repository.name.0.as_str()];
        return names.iter().any(|name| name.eq_ignore_ascii_case(repo)).then_some(number);
    }
    let number = number_of_address(reference)?;
    let page = (known.page)(&gated.consumer, number)?;
    (page == reference.trim_end_matches('/')).then_some(number)
}

/// Whether another gate of the same source has what a reference names as its consumer.
fn is_of_another(known: &Known<'_>, gated: &Gated, reference: &str) -> bool {
    let others = known.gates.iter().filter(|other| other.source == gated.source && other.consumer != gated.consumer);
    others.into_iter().any(|other| match (named(reference), number_of_address(reference)) {
        (Some((repo, _)), _) => other.consumer.name.eq_ignore_ascii_case(repo),
        (None, Some(number)) => {
            (known.page)(&other.consumer, number).is_some_and(|page| page == reference.trim_end_matches('/'))
        }
        (None, None) => false,
    })
}

fn short(repo: &str, number: u64) -> String {
    format!("{}#{number}", repo.rsplit('/').next().unwrap_or(repo))
}
