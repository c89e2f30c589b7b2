//! The `absent` check: a path, a key, an entry or a text that must stay retired.
//!
//! The trap is the check that looks where nothing could be found any more: a file that is gone, a list that is called
//! otherwise now. That is undecided, not absent. A key is absent with the object around it, an entry only from a list that is
//! there.

use super::{Outcome, files_below};
use crate::config::{Absent, Format, Pattern, PinPath, PinStep, Retired};
use crate::gate::data::{self, Lost};
use crate::gate::finding::{Cause, Finding, Kind, Undecided};
use crate::gate::glob;
use crate::tree::{Led, Tree, TreeError, follow};

/// Judges one `absent` check.
pub fn check(absent: &Absent, consumer: &dyn Tree) -> Result<Outcome, TreeError> {
    match absent {
        Absent::Paths(globs) => paths(globs, consumer),
        Absent::InFile { file, what } => in_file(file, what, consumer),
    }
}

fn paths(globs: &[String], consumer: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut out = Outcome::default();
    if consumer.list("")?.is_empty() {
        undecided(&mut out, "", "the consumer has no files: nothing can be told of it".into());
        return Ok(out);
    }
    out.compared = true;
    out.files_compared = globs.len() as u64;
    let (literal, wild): (Vec<&String>, Vec<&String>) = globs.iter().partition(|name| glob::is_literal(name));
    let mut there: Vec<String> = Vec::new();
    for name in literal {
        if consumer.node(name)?.is_some() {
            there.push(name.clone());
        }
    }
    if !wild.is_empty() {
        let files = files_below(consumer, "")?.into_iter().map(|(path, _)| path);
        there.extend(files.filter(|path| wild.iter().any(|name| glob::matches(name, path))));
    }
    there.sort();
    there.dedup();
    for path in there {
        let message = format!("{path} exists again: the gate says that it stays retired");
        let fix = format!("remove {path}, or take it out of the check's `paths`");
        let cause = Some(Cause { file: path.clone(), line: None });
        out.findings.push(Finding::new(Kind::NotAbsent, path, message, fix).at(cause));
    }
    Ok(out)
}

fn in_file(file: &str, what: &Retired, consumer: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut out = Outcome::default();
    let at = match follow(consumer, file)? {
        Led::File(at) => at,
        led => {
            let what = match led {
                Led::Missing => "it does not exist",
                Led::Submodule(_) => "it is in a submodule",
                _ => "it is not a file of the repository",
            };
            undecided(&mut out, file, format!("{what}: whether something is absent from it cannot be told"));
            return Ok(out);
        }
    };
    consumer.expect(&[at.as_str()])?;
    let size = consumer.size(&at)?;
    if size > data::LARGEST {
        undecided(&mut out, file, format!("it is larger than {} MiB", data::LARGEST >> 20));
        return Ok(out);
    }
    let bytes = consumer.read(&at)?;
    let found = match std::str::from_utf8(&bytes) {
        Err(_) => Err((1, "it is not UTF-8".to_owned())),
        Ok(text) => match what {
            Retired::Path { format, at } => at_path(text, *format, at),
            Retired::Regex(pattern) => Ok(matched(text, pattern)),
        },
    };
    match found {
        Err((line, why)) => {
            let id = consumer.blob_id(&at)?;
            let cause = Some(Cause { file: file.to_owned(), line: Some(line) });
            let content = format!("{id} {why}");
            out.undecided.push(Undecided { path: file.to_owned(), cause, reason: why, inherited: false, content });
        }
        Ok(found) => {
            out.compared = true;
            out.files_compared = 1;
            out.bytes_compared = size;
            if let Some((line, what)) = found {
                let message = format!("{file} has {what} again: the gate says that it stays retired");
                let fix = format!("remove it from {file}, or take the check out of the gate");
                let cause = Some(Cause { file: file.to_owned(), line: Some(line) });
                out.findings.push(Finding::new(Kind::NotAbsent, file, message, fix).at(cause).of(what));
            }
        }
    }
    Ok(out)
}

/// What is there and where, or why it cannot be told.
type There = Result<Option<(u32, String)>, (u32, String)>;

fn at_path(text: &str, format: Format, at: &PinPath) -> There {
    let root = data::parse(format, text)
        .map_err(|error| (error.line, format!("it is not {}: {error}", data::name(format))))?;
    match data::walk(&root, at) {
        Ok(found) => Ok(found.first().map(|found| (found.value.line, format!("`{at}`")))),
        Err(Lost::Ambiguous { line, .. }) => Ok(Some((line, format!("`{at}`")))),
        Err(Lost::Missing { step, line, what }) => {
            let last = step + 1 == at.steps().len();
            let in_list = at.steps().iter().any(|step| !matches!(step, PinStep::Key(_)));
            // `list[name=x]`: the entry may be missing, the list may not.
            let retired = !in_list || (last && !what.starts_with("list"));
            if retired {
                Ok(None)
            } else {
                Err((line, format!("it has no {what}: there is nowhere to look for `{at}`")))
            }
        }
    }
}

fn matched(text: &str, pattern: &Pattern) -> Option<(u32, String)> {
    let found = pattern.regex().find(text)?;
    let line = 1 + u32::try_from(text[..found.start()].matches('\n').count()).unwrap_or(u32::MAX);
    Some((line, format!("`{}`", data::shortened(found.as_str()))))
}

fn undecided(out: &mut Outcome, path: &str, reason: String) {
    let content = reason.clone();
    out.undecided.push(Undecided { path: path.to_owned(), cause: None, reason, inherited: false, content });
}
