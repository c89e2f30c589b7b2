//! How a consumer tree names the source commit it uses: a pin at a path in a JSON file, or the branch itself.
//!
//! A pin is the part that ships, so nothing about it is guessed: exactly one entry matches, no key that leads to it or is
//! required beside it is doubled, the file is JSON to its last byte, and sibling fields are as the gate requires.

use std::collections::BTreeMap;

use super::finding::{Cause, Finding, Kind};
use super::json;
use crate::config::{Binding, PinPath, PinStep};
use crate::tree::{Led, ObjectId, Tree, TreeError, follow};

/// The largest file that a pin is read from, in bytes.
const LARGEST: u64 = 8 << 20;

/// What a consumer tree binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The head of the source's branch.
    Follow,
    /// This commit, named here.
    Pin { commit: ObjectId, cause: Cause },
    /// Nothing that can be used; the findings say why.
    Nothing(Vec<Finding>),
}

/// Reads the binding of a consumer tree.
pub fn read(binding: &Binding, tree: &dyn Tree) -> Result<Bound, TreeError> {
    let Binding::Pin { file, at, require } = binding else { return Ok(Bound::Follow) };
    let nothing = |kind, line, message: String, fix: String| {
        let cause = Some(Cause { file: file.clone(), line });
        let content = message.clone();
        Ok(Bound::Nothing(vec![Finding::new(kind, file, message, fix).at(cause).of(content)]))
    };
    let pin_here = format!("write the source's commit at `{at}` of {file}");
    let at_file = match follow(tree, file)? {
        Led::File(at) => at,
        Led::Missing => {
            return nothing(Kind::PinMissing, None, format!("{file} does not exist: nothing is pinned"), pin_here);
        }
        Led::Dir(_) => return nothing(Kind::PinInvalid, None, format!("{file} is a directory"), pin_here),
        Led::Outside => {
            return nothing(Kind::PinInvalid, None, format!("{file} is a link that leaves the repository"), pin_here);
        }
        Led::Submodule(at) => {
            return nothing(Kind::PinInvalid, None, format!("{file} is in the submodule {at}"), pin_here);
        }
    };
    tree.expect(&[at_file.as_str()])?;
    if tree.size(&at_file)? > LARGEST {
        let message = format!("{file} is larger than {} MiB", LARGEST >> 20);
        return nothing(Kind::PinInvalid, None, message, "keep pins in a file of their own".into());
    }
    let bytes = tree.read(&at_file)?;
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return nothing(Kind::PinInvalid, None, format!("{file} is not UTF-8"), "save it as UTF-8".into());
    };
    let root = match json::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let message = format!("{file} is not JSON: {error}");
            return nothing(Kind::PinInvalid, Some(error.line), message, "mend the file".into());
        }
    };
    let (value, siblings) = match find(&root, at) {
        Ok(found) => found,
        Err(Lost::Missing { line, what }) => {
            return nothing(Kind::PinMissing, Some(line), format!("{file} has no {what}"), pin_here);
        }
        Err(Lost::Ambiguous { line, what }) => {
            let fix = "keep one of them".to_owned();
            return nothing(Kind::PinAmbiguous, Some(line), format!("{file} has {what} more than once"), fix);
        }
    };
    if let Some((line, message)) = unfulfilled(siblings.unwrap_or_default(), require) {
        let fix = "pin the entry of this gate's source, or mend `require` in the gate".to_owned();
        return nothing(Kind::PinRequirement, Some(line), format!("{file}: {message}"), fix);
    }
    let json::Kind::Text(pin) = &value.kind else {
        return nothing(Kind::PinInvalid, Some(value.line), format!("{file}: `{at}` is not a text"), pin_here);
    };
    match ObjectId::parse(pin) {
        Some(commit) => Ok(Bound::Pin { commit, cause: Cause { file: file.clone(), line: Some(value.line) } }),
        None => {
            let shown: String = pin.chars().take(60).collect();
            let message =
                format!("{file}: the pin `{shown}` is not a full commit SHA (40 lower-case hexadecimal digits)");
            nothing(Kind::PinInvalid, Some(value.line), message, pin_here)
        }
    }
}

enum Lost {
    Missing { line: u32, what: String },
    Ambiguous { line: u32, what: String },
}

type Members<'a> = &'a [(String, json::Value)];

/// The value at a path, and the object it stands in.
fn find<'a>(root: &'a json::Value, path: &PinPath) -> Result<(&'a json::Value, Option<Members<'a>>), Lost> {
    let mut value = root;
    let mut siblings = None;
    for step in path.steps() {
        let line = value.line;
        let missing = |what: String| Lost::Missing { line, what };
        match (step, &value.kind) {
            (PinStep::Key(key), json::Kind::Object(members)) => {
                let mut matching = members.iter().filter(|(name, _)| name == key);
                let (_, found) = matching.next().ok_or_else(|| missing(format!("key `{key}`")))?;
                if let Some((_, again)) = matching.next() {
                    return Err(Lost::Ambiguous { line: again.line, what: format!("key `{key}`") });
                }
                siblings = Some(members.as_slice());
                value = found;
            }
            (PinStep::Select { key, value: wanted }, json::Kind::List(items)) => {
                let mut matching = items.iter().filter(|item| has(item, key, wanted));
                let found = matching.next().ok_or_else(|| missing(format!("entry with `{key}` = `{wanted}`")))?;
                if let Some(again) = matching.next() {
                    let what = format!("an entry with `{key}` = `{wanted}`");
                    return Err(Lost::Ambiguous { line: again.line, what });
                }
                doubled(found, key)?;
                value = found;
            }
            (PinStep::Index(index), json::Kind::List(items)) => {
                value = items.get(*index).ok_or_else(|| missing(format!("item {index} in its list")))?;
            }
            (PinStep::Key(key), _) => return Err(missing(format!("key `{key}`"))),
            (PinStep::Select { .. } | PinStep::Index(_), _) => {
                return Err(missing("list where one is expected".into()));
            }
        }
    }
    Ok((value, siblings))
}

/// Whether an entry has this field with this text; with a doubled key, whether any says so.
fn has(item: &json::Value, key: &str, wanted: &str) -> bool {
    let json::Kind::Object(members) = &item.kind else { return false };
    members.iter().any(|(name, value)| name == key && matches!(&value.kind, json::Kind::Text(text) if text == wanted))
}

/// Of two fields of one name some readers take the first, others the last: which entry is meant would be a guess.
fn doubled(entry: &json::Value, key: &str) -> Result<(), Lost> {
    let json::Kind::Object(members) = &entry.kind else { return Ok(()) };
    match members.iter().filter(|(name, _)| name == key).nth(1) {
        Some((_, again)) => Err(Lost::Ambiguous { line: again.line, what: format!("key `{key}` of one entry") }),
        None => Ok(()),
    }
}

fn unfulfilled(siblings: Members<'_>, require: &BTreeMap<String, String>) -> Option<(u32, String)> {
    for (key, wanted) in require {
        let mut values = siblings.iter().filter(|(name, _)| name == key);
        let line = siblings.first().map_or(1, |(_, first)| first.line);
        let Some((_, value)) = values.next() else {
            return Some((line, format!("the pinned entry has no `{key}`, the gate requires `{wanted}`")));
        };
        if values.next().is_some() {
            return Some((value.line, format!("the pinned entry has `{key}` more than once")));
        }
        match &value.kind {
            json::Kind::Text(text) if text == wanted => {}
            json::Kind::Text(text) => {
                let shown: String = text.chars().take(60).collect();
                return Some((value.line, format!("`{key}` is `{shown}`, the gate requires `{wanted}`")));
            }
            _ => return Some((value.line, format!("`{key}` is not a text, the gate requires `{wanted}`"))),
        }
    }
    None
}
