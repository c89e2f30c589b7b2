//! Values taken out of a file: at a path of data, by a pattern, or from a block of CSS.
//!
//! Whatever they come from, values are text afterwards: a list of JSON and an array of a script compare. What holds no text (a
//! list in a list) is its canonical JSON. Null says nothing and is refused, as is a file that cannot be read to its end: an
//! extraction is complete or it is none.

use std::collections::BTreeMap;

use super::css;
use crate::config::{Extract, Pattern, ValuesSide};
use crate::gate::data::{self, Kind, Lost, Value};
use crate::gate::glob;
use crate::tree::{Led, Tree, TreeError, follow};

/// The most values that one side may give.
pub const MOST: usize = 10_000;

/// What one side says, by name: of a set the values are the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// How large the file is.
    pub bytes: u64,
    /// Whether names have values.
    pub named: bool,
    pub entries: BTreeMap<String, Entry>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of a set it is the name again.
    pub value: String,
    /// Where it stands, 1-based.
    pub line: u32,
}

/// Why there are no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    pub line: Option<u32>,
    pub why: String,
}

impl Unusable {
    fn at(line: u32, why: impl Into<String>) -> Self {
        Self { line: Some(line), why: why.into() }
    }

    fn whole(why: impl Into<String>) -> Self {
        Self { line: None, why: why.into() }
    }
}

/// What a side says, of the names that count (all, where `only` is empty).
pub fn extract(tree: &dyn Tree, side: &ValuesSide, only: &[String]) -> Result<Result<Extracted, Unusable>, TreeError> {
    let file = &side.file;
    let at = match follow(tree, file)? {
        Led::File(at) => at,
        Led::Missing => return Ok(Err(Unusable::whole("it does not exist"))),
        Led::Dir(_) => return Ok(Err(Unusable::whole("it is a folder"))),
        Led::Submodule(_) => return Ok(Err(Unusable::whole("it is in a submodule"))),
        Led::Outside => return Ok(Err(Unusable::whole("it is a link that leaves the repository"))),
    };
    tree.expect(&[at.as_str()])?;
    if tree.size(&at)? > data::LARGEST {
        let what = format!("it is larger than {} MiB: no values are looked for in it", data::LARGEST >> 20);
        return Err(TreeError::Unfit { path: file.clone(), what });
    }
    let bytes = tree.read(&at)?;
    let Ok(text) = std::str::from_utf8(&bytes) else { return Ok(Err(Unusable::whole("it is not UTF-8"))) };
    let found = match &side.extract {
        Extract::Path { format, at } => data::parse(*format, text)
            .and_then(|root| data::unique_keys(&root).map(|()| root))
            .map_err(|error| Unusable::at(error.line, format!("it is not {}: {error}", data::name(*format))))
            .and_then(|root| at_path(&root, at)),
        Extract::Regex { pattern, within } => matches(text, pattern, within.as_ref()),
        Extract::Css(block) => css::properties(text, block)
            .map(|properties| {
                let entries = properties.into_iter().map(|(name, value, line)| (name, Entry { value, line }));
                Extracted { named: true, entries: entries.collect(), ..Extracted::default() }
            })
            .map_err(|error| Unusable::at(error.line, format!("it is not CSS: {error}"))),
    };
    let mut found = match found {
        Ok(found) => found,
        Err(unusable) => return Ok(Err(unusable)),
    };
    found.bytes = bytes.len() as u64;
    if !only.is_empty() {
        found.entries.retain(|name, _| glob::any(only, name));
    }
    if found.entries.len() > MOST {
        let what = format!("it gives {} values, at most {MOST} are compared", found.entries.len());
        return Err(TreeError::Unfit { path: file.clone(), what });
    }
    Ok(Ok(found))
}

fn at_path(root: &Value, at: &crate::config::PinPath) -> Result<Extracted, Unusable> {
    let places = data::walk(root, at).map_err(|lost| match lost {
        Lost::Missing { line, what, .. } => Unusable::at(line, format!("it has no {what}")),
        Lost::Ambiguous { line, what } => Unusable::at(line, format!("it has {what} more than once")),
    })?;
    let mut found = Extracted::default();
    for place in &places {
        match &place.value.kind {
            Kind::Object(members) => {
                found.named = true;
                for (name, value) in members {
                    let entry = Entry { value: text(value)?, line: value.line };
                    let line = entry.line;
                    if found.entries.insert(name.clone(), entry).is_some() {
                        return Err(Unusable::at(line, format!("`{name}` has a value twice at `{at}`")));
                    }
                }
            }
            Kind::List(items) => items.iter().try_for_each(|item| add(&mut found, item))?,
            _ => add(&mut found, place.value)?,
        }
    }
    if found.named && places.iter().any(|place| !matches!(place.value.kind, Kind::Object(_))) {
        return Err(Unusable::whole(format!("at `{at}` stand objects and other values: they do not make one set")));
    }
    Ok(found)
}

fn add(found: &mut Extracted, value: &Value) -> Result<(), Unusable> {
    let name = text(value)?;
    found.entries.entry(name.clone()).or_insert(Entry { value: name, line: value.line });
    Ok(())
}

fn text(value: &Value) -> Result<String, Unusable> {
    match &value.kind {
        Kind::Null => Err(Unusable::at(value.line, "a value is null, which says nothing")),
        _ => Ok(value.scalar().unwrap_or_else(|| data::canonical(value))),
    }
}

fn matches(text: &str, pattern: &Pattern, within: Option<&Pattern>) -> Result<Extracted, Unusable> {
    let (text, before) = match within {
        None => (text, 0),
        Some(within) => {
            let mut groups = within.regex().captures_iter(text).filter_map(|captures| captures.get(1));
            let shown = within.regex().as_str();
            let group = groups.next().ok_or_else(|| Unusable::whole(format!("`{shown}` matches nothing in it")))?;
            if let Some(again) = groups.next() {
                let line = 1 + newlines(&text[..again.start()]);
                return Err(Unusable::at(line, format!("`{shown}` matches more than once in it")));
            }
            (group.as_str(), newlines(&text[..group.start()]))
        }
    };
    let mut found = Extracted::default();
    let (mut line, mut counted) = (1 + before, 0);
    for group in pattern.regex().captures_iter(text).filter_map(|captures| captures.get(1)) {
        // Groups of later matches stand further behind.
        line += newlines(&text[counted..group.start()]);
        counted = group.start();
        let name = group.as_str().to_owned();
        found.entries.entry(name.clone()).or_insert(Entry { value: name, line });
    }
    Ok(found)
}

fn newlines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}
