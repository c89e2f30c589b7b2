//! The issues that a gate names: each is of one of its sides, so that whoever writes the file makes nobody else's issues a place
//! for commands, and nothing about a gate is told where it has no reader.

use super::{Reading, each};
use crate::config::Scope;
use crate::config::model::{Issue, Place};
use crate::config::raw::{self, Text};
use crate::config::rules;

impl Reading<'_> {
    /// All issues of a gate. `sides` (consumer, source) is `None` where one of them is faulty itself.
    pub(super) fn issues(&mut self, gate: &raw::Gate, sides: Option<(&Place, &Place)>) -> Option<Vec<Issue>> {
        each(&gate.issues, |text| {
            let (named, number) = self.ruled("issues", text, rules::issue)?;
            let (consumer, source) = sides?;
            let place = match (is(consumer, &named), is(source, &named)) {
                (true, true) => return self.unclear(text, &named, number, [consumer, source]),
                (true, false) => consumer,
                (false, true) => {
                    self.fits_source(text, gate)?;
                    source
                }
                // A file that lies in its repository does not know what that is called.
                (false, false) if *consumer == Place::Here => consumer,
                (false, false) => return self.of_neither(text, &named, number, [consumer, source]),
            };
            Some(Issue { place: place.clone(), number })
        })
    }

    /// Whether an issue of the source may be named.
    fn fits_source(&mut self, at: &Text, gate: &raw::Gate) -> Option<()> {
        if matches!(self.scope, Scope::Brought(_)) {
            let help = "name one of this repository: others' issues stand in the service's own file";
            self.wrong(at.span(), "an issue of the source is not for a repository to name", help);
            return None;
        }
        if matches!(gate.stale, raw::Stale::Notice) {
            let help = "name one of the consumer: with `stale = \"notice\"` the gate judges no head of the source";
            self.wrong(at.span(), "an issue of the source, of which this gate judges nothing", help);
            return None;
        }
        Some(())
    }

    fn unclear<T>(&mut self, at: &Text, named: &str, number: u64, sides: [&Place; 2]) -> Option<T> {
        let message = format!("`issues` names {named}, and both sides of the gate are called so");
        let forge = |place: &Place| match place {
            Place::Forge { forge, repo } => format!("`{forge}/{repo}#{number}`"),
            Place::Url(_) | Place::Here => format!("`{named}#{number}`"),
        };
        self.wrong(at.span(), message, format!("write {}", sides.map(forge).join(" or ")));
        None
    }

    fn of_neither<T>(&mut self, at: &Text, named: &str, number: u64, sides: [&Place; 2]) -> Option<T> {
        let message = format!("`issues` names {named}, which is no side of this gate");
        let own = if matches!(self.scope, Scope::Brought(_)) { &sides[..1] } else { &sides[..] };
        let shown = own.iter().filter_map(|place| match place {
            Place::Forge { repo, .. } => Some(format!("`{repo}#{number}`")),
            Place::Url(_) | Place::Here => None,
        });
        let shown: Vec<String> = shown.collect();
        let help = match shown.is_empty() {
            true => "name an issue of the consumer or of the source".to_owned(),
            false => format!("name an issue of its own: {}", shown.join(" or ")),
        };
        self.wrong(at.span(), message, help);
        None
    }
}

/// Whether a repository is called so: `owner/name` in any case, perhaps with its forge in front.
fn is(place: &Place, named: &str) -> bool {
    match place {
        Place::Forge { forge, repo } => {
            let with_forge = named.strip_prefix(forge.as_str()).and_then(|rest| rest.strip_prefix('/'));
            named.eq_ignore_ascii_case(repo) || with_forge.is_some_and(|named| named.eq_ignore_ascii_case(repo))
        }
        Place::Url(url) => {
            let url = url.trim_end_matches(".git").to_ascii_lowercase();
            url.ends_with(&format!("/{}", named.to_ascii_lowercase()))
        }
        Place::Here => false,
    }
}
