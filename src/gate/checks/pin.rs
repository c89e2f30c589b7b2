//! The `pin` check: the pinned commit itself, for a consumer that fetches the source when it builds.
//!
//! That the pin is a commit of the source, on its branch, and how far behind, is the binding's and holds for every gate. This
//! check adds the files that the pinned commit must have, and counts the files that the gate is about: a pin to a commit
//! without any proves nothing.

use super::{Outcome, concerns, files_below};
use crate::config::{Gate, Pin};
use crate::gate::finding::{Finding, Kind};
use crate::tree::{Led, Tree, TreeError, follow};

/// Judges one `pin` check on the tree of the pinned commit.
pub fn check(gate: &Gate, pin: &Pin, source: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut out = Outcome::default();
    let files = files_below(source, "")?;
    let about = files.iter().filter(|(path, _)| concerns(gate, path)).count();
    out.files_compared = about as u64;
    out.compared = about > 0;
    if about == 0 {
        let message = "the pinned commit has no file that the gate is about: there is nothing to compare";
        let fix = "pin a commit that has files, or mend the gate's `ignore`";
        out.findings.push(Finding::new(Kind::MissingInSource, "identity", message, fix));
    }
    let mut required = Vec::new();
    for name in &pin.requires {
        required.push((name, follow(source, name)?));
    }
    let there = required.iter().filter_map(|(_, led)| if let Led::File(at) = led { Some(at.as_str()) } else { None });
    source.expect(&there.collect::<Vec<_>>())?;
    for (name, led) in &required {
        match led {
            Led::File(at) if source.size(at)? == 0 => {
                let message = format!("{name} of the pinned commit is empty");
                out.findings.push(Finding::new(Kind::Empty, *name, message, format!("restore the content of {name}")));
            }
            Led::File(at) => out.bytes_compared += source.size(at)?,
            _ => {
                let message = format!("the pinned commit has no file {name}");
                let fix = format!("restore {name} in the source, or pin a commit that has it");
                out.findings.push(Finding::new(Kind::MissingInSource, *name, message, fix));
            }
        }
    }
    Ok(out)
}
