//! Where a value stands: the steps of a path, taken one by one.

use super::{Kind, Value};
use crate::config::{PinPath, PinStep};

/// Members of an object.
pub type Members<'a> = &'a [(String, Value)];

/// A value, and the members of the object that it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub value: &'a Value,
    pub siblings: Option<Members<'a>>,
}

/// Why a path leads nowhere, or to more than one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// `step` counts from zero.
    Missing {
        step: usize,
        line: u32,
        what: String,
    },
    Ambiguous {
        line: u32,
        what: String,
    },
}

/// The values at a path: one, or with `[*]` steps one for each entry of their lists.
pub fn walk<'a>(root: &'a Value, path: &PinPath) -> Result<Vec<Found<'a>>, Lost> {
    let mut places = vec![Found { value: root, siblings: None }];
    for (step, one) in path.steps().iter().enumerate() {
        let mut next = Vec::new();
        for place in places {
            take(step, one, place, &mut next)?;
        }
        places = next;
    }
    Ok(places)
}

fn take<'a>(step: usize, one: &PinStep, place: Found<'a>, next: &mut Vec<Found<'a>>) -> Result<(), Lost> {
    let line = place.value.line;
    let missing = |what: String| Lost::Missing { step, line, what };
    match (one, &place.value.kind) {
        (PinStep::Key(key), Kind::Object(members)) => {
            let mut matching = members.iter().filter(|(name, _)| name == key);
            let (_, value) = matching.next().ok_or_else(|| missing(format!("key `{key}`")))?;
            if let Some((_, again)) = matching.next() {
                return Err(Lost::Ambiguous { line: again.line, what: format!("key `{key}`") });
            }
            next.push(Found { value, siblings: Some(members.as_slice()) });
        }
        (PinStep::Select { key, value: wanted }, Kind::List(items)) => {
            let mut matching = items.iter().filter(|item| has(item, key, wanted));
            let value = matching.next().ok_or_else(|| missing(format!("entry with `{key}` = `{wanted}`")))?;
            if let Some(again) = matching.next() {
                let what = format!("an entry with `{key}` = `{wanted}`");
                return Err(Lost::Ambiguous { line: again.line, what });
            }
            doubled(value, key)?;
            next.push(Found { value, siblings: place.siblings });
        }
        (PinStep::Index(index), Kind::List(items)) => {
            let value = items.get(*index).ok_or_else(|| missing(format!("item {index} in its list")))?;
            next.push(Found { value, siblings: place.siblings });
        }
        (PinStep::Each, Kind::List(items)) => {
            next.extend(items.iter().map(|value| Found { value, siblings: place.siblings }));
        }
        (PinStep::Key(key), _) => return Err(missing(format!("key `{key}`"))),
        (PinStep::Select { .. } | PinStep::Index(_) | PinStep::Each, _) => {
            return Err(missing("list where one is expected".into()));
        }
    }
    Ok(())
}

/// Whether an entry has this field with this text; with a doubled key, whether any says so.
fn has(item: &Value, key: &str, wanted: &str) -> bool {
    let Kind::Object(members) = &item.kind else { return false };
    members.iter().any(|(name, value)| name == key && matches!(&value.kind, Kind::Text(text) if text == wanted))
}

/// Of two fields of one name some readers take the first, others the last: which entry is meant would be a guess.
fn doubled(entry: &Value, key: &str) -> Result<(), Lost> {
    let Kind::Object(members) = &entry.kind else { return Ok(()) };
    match members.iter().filter(|(name, _)| name == key).nth(1) {
        Some((_, again)) => Err(Lost::Ambiguous { line: again.line, what: format!("key `{key}` of one entry") }),
        None => Ok(()),
    }
}
