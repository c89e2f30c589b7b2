//! Commits that stand in a consumer's files.

use super::Candidates;
use crate::config::{Format, PinPath, PinStep};
use crate::dockerfile;
use crate::gate::data::{self, Kind, Value};
use crate::tree::{ObjectId, Tree, TreeError};

/// What tells the entries of a list apart, the best first.
const NAMES: [&str; 6] = ["name", "id", "key", "repo", "repository", "path"];
/// A file with a commit and nothing else is not longer, in bytes.
const LONGEST_WHOLE: usize = 200;

/// A commit that a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPin {
    /// From the consumer's root; of a submodule its place.
    pub file: String,
    /// Where in it, 1-based.
    pub line: u32,
    /// How it is found there.
    pub place: PinPlace,
    /// Whose commit it is, is not asked yet.
    pub commit: ObjectId,
    /// Texts that stand beside it in its entry.
    pub siblings: Vec<(String, String)>,
}

/// How a pin is found in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinPlace {
    /// At this path of its data.
    Path(PinPath),
    /// The file is the pin.
    Whole,
    /// As what the Dockerfile gives to this name.
    Argument(String),
    /// The file is a submodule.
    Submodule,
}

/// All commits that the candidates name, in their order.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again; anything else is a tree that cannot be read. A file that is
/// not what its name says holds nothing.
pub fn pins(tree: &dyn Tree, candidates: &Candidates) -> Result<Vec<FoundPin>, TreeError> {
    let Candidates { dockerfiles, data, whole, submodules, .. } = candidates;
    let all: Vec<&str> = data.iter().chain(whole).chain(dockerfiles).map(String::as_str).collect();
    tree.expect(&all)?;
    let mut found = Vec::new();
    for file in data {
        if let Some(text) = text(tree, file)? {
            in_data(file, &text, &mut found);
        }
    }
    for file in whole {
        if let Some(text) = text(tree, file)?.filter(|text| text.len() <= LONGEST_WHOLE)
            && let Some(commit) = ObjectId::parse(text.trim())
        {
            found.push(FoundPin { file: file.clone(), line: 1, place: PinPlace::Whole, commit, siblings: Vec::new() });
        }
    }
    for file in dockerfiles {
        let declared = dockerfile::declarations(&tree.read(file)?).unwrap_or_default();
        found.extend(declared.into_iter().filter_map(|(line, name, value)| {
            let (commit, place) = (ObjectId::parse(&value)?, PinPlace::Argument(name));
            Some(FoundPin { file: file.clone(), line, place, commit, siblings: Vec::new() })
        }));
    }
    found.extend(submodules.iter().map(|(file, commit)| FoundPin {
        file: file.clone(),
        line: 1,
        place: PinPlace::Submodule,
        commit: commit.clone(),
        siblings: Vec::new(),
    }));
    Ok(found)
}

fn text(tree: &dyn Tree, file: &str) -> Result<Option<String>, TreeError> {
    if tree.size(file)? > data::LARGEST {
        return Ok(None);
    }
    Ok(String::from_utf8(tree.read(file)?.to_vec()).ok())
}

fn in_data(file: &str, text: &str, found: &mut Vec<FoundPin>) {
    let format = match file.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).as_deref() {
        Some("yaml" | "yml") => Format::Yaml,
        Some("toml") => Format::Toml,
        _ => Format::Json,
    };
    // Most files of data name no commit.
    if !text.split(|c: char| !c.is_ascii_hexdigit()).any(|word| matches!(word.len(), 40 | 64)) {
        return;
    }
    if let Ok(root) = data::parse(format, text) {
        walk(file, &root, &[], &mut Vec::new(), found);
    }
}

fn walk(file: &str, value: &Value, beside: &[(String, Value)], steps: &mut Vec<PinStep>, found: &mut Vec<FoundPin>) {
    match &value.kind {
        Kind::Object(members) => {
            for (key, value) in members {
                steps.push(PinStep::Key(key.clone()));
                walk(file, value, members, steps, found);
                steps.pop();
            }
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                steps.push(selector(items, item).unwrap_or(PinStep::Index(index)));
                walk(file, item, &[], steps, found);
                steps.pop();
            }
        }
        Kind::Text(text) => {
            let Some(commit) = ObjectId::parse(text).filter(|_| !steps.is_empty()) else { return };
            let siblings = beside.iter().filter_map(|(key, value)| match &value.kind {
                Kind::Text(other) if other != text => Some((key.clone(), other.clone())),
                _ => None,
            });
            let (siblings, place) = (siblings.collect(), PinPlace::Path(PinPath::new(steps.clone())));
            found.push(FoundPin { file: file.to_owned(), line: value.line, place, commit, siblings });
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Float(_) | Kind::Date(_) => {}
    }
}

/// A field that tells an entry from all others of its list.
fn selector(items: &[Value], item: &Value) -> Option<PinStep> {
    let field = |item: &Value, key: &str| -> Option<String> {
        let Kind::Object(members) = &item.kind else { return None };
        members.iter().find(|(name, _)| name == key).and_then(|(_, value)| match &value.kind {
            Kind::Text(text) => Some(text.clone()),
            _ => None,
        })
    };
    NAMES.iter().find_map(|key| {
        let value = field(item, key)?;
        let alone = items.iter().filter(|other| field(other, key).as_deref() == Some(value.as_str())).count() == 1;
        alone.then(|| PinStep::Select { key: (*key).to_owned(), value })
    })
}
