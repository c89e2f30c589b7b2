//! How a consumer tree names the source commit it uses: a pin in one of its files, a submodule, or the branch itself.
//!
//! A pin is the part that ships, so nothing about it is guessed: exactly one entry, text or default matches, no key that leads
//! to it or is required beside it is doubled, a file of data is that to its last byte, and sibling fields are as the gate
//! requires.

use std::collections::BTreeMap;

use super::data::{self, Lost};
use super::finding::{Cause, Finding, Kind};
use crate::config::{Binding, Format, Pattern, PinAt, PinPath};
use crate::dockerfile;
use crate::tree::{Led, Node, ObjectId, Tree, TreeError, follow};

/// What a consumer tree binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The head of the source's branch.
    Follow,
    /// This commit, named here.
    Pin {
        /// A full object name; whether the source has it is not asked yet.
        commit: ObjectId,
        /// File and line of the consumer where it is written.
        cause: Cause,
    },
    /// Nothing that can be used; the findings say why.
    Nothing(Vec<Finding>),
}

/// Reads the binding of a consumer tree.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again; anything else is a tree that cannot be read.
/// A pin that is missing or wrong is no error but [`Bound::Nothing`].
pub fn read(binding: &Binding, tree: &dyn Tree) -> Result<Bound, TreeError> {
    let Binding::Pin { file, at, require } = binding else { return Ok(Bound::Follow) };
    let found = match at {
        PinAt::Submodule => submodule(file, tree)?,
        at => match follow(tree, file)? {
            Led::File(path) => in_file(file, &path, at, require, tree)?,
            Led::Missing => Err(Nothing::absent(file)),
            Led::Dir(_) => Err(Nothing::new(Kind::PinInvalid, format!("{file} is a directory"))),
            Led::Outside => Err(Nothing::new(Kind::PinInvalid, format!("{file} is a link that leaves the repository"))),
            Led::Submodule(path) => Err(Nothing::new(Kind::PinInvalid, format!("{file} is in the submodule {path}"))),
        },
    };
    let commit = found.and_then(|(pin, line)| match ObjectId::parse(&pin) {
        Some(commit) => Ok(Bound::Pin { commit, cause: Cause { file: file.clone(), line } }),
        None => {
            let shown: String = pin.chars().take(60).collect();
            let message =
                format!("{file}: the pin `{shown}` is not a full commit SHA (40 lower-case hexadecimal digits)");
            Err(Nothing { line, ..Nothing::new(Kind::PinInvalid, message) })
        }
    });
    Ok(commit.unwrap_or_else(|nothing| {
        let fix = nothing.fix.unwrap_or_else(|| format!("write the source's commit {}", place(file, at)));
        let cause = Some(Cause { file: file.clone(), line: nothing.line });
        let finding = Finding::new(nothing.kind, file, &nothing.message, fix).at(cause).of(nothing.message);
        Bound::Nothing(vec![finding])
    }))
}

/// Where a pin belongs, for people.
pub(super) fn place(file: &str, at: &PinAt) -> String {
    match at {
        PinAt::Path { at, .. } => format!("at `{at}` of {file}"),
        PinAt::Whole => format!("into {file}, and nothing else"),
        PinAt::Argument(name) => format!("as the default of {name} in {file}"),
        PinAt::Regex(pattern) => format!("into {file} where `{}` finds it", pattern.regex().as_str()),
        PinAt::Submodule => format!("as the submodule {file}"),
    }
}

/// Why there is no pin.
struct Nothing {
    kind: Kind,
    line: Option<u32>,
    message: String,
    /// What to do, where it is not to write the pin.
    fix: Option<String>,
}

impl Nothing {
    fn new(kind: Kind, message: String) -> Self {
        Self { kind, line: None, message, fix: None }
    }

    fn absent(file: &str) -> Self {
        Self::new(Kind::PinMissing, format!("{file} does not exist: nothing is pinned"))
    }

    fn at(self, line: u32) -> Self {
        Self { line: Some(line), ..self }
    }

    fn fix(self, fix: &str) -> Self {
        Self { fix: Some(fix.to_owned()), ..self }
    }
}

/// What should be a commit, and its line.
type Pinned = Result<(String, Option<u32>), Nothing>;

fn submodule(file: &str, tree: &dyn Tree) -> Result<Pinned, TreeError> {
    Ok(match tree.node(file)? {
        Some(Node::Submodule { commit }) => Ok((commit.to_string(), None)),
        Some(_) => Err(Nothing::new(Kind::PinInvalid, format!("{file} is not a submodule"))),
        None => Err(Nothing::absent(file)),
    })
}

/// Reads the file that lies at `path`, which is called `file` in the gate.
fn in_file(
    file: &str,
    path: &str,
    at: &PinAt,
    require: &BTreeMap<String, String>,
    tree: &dyn Tree,
) -> Result<Pinned, TreeError> {
    tree.expect(&[path])?;
    if tree.size(path)? > data::LARGEST {
        let message = format!("{file} is larger than {} MiB", data::LARGEST >> 20);
        return Ok(Err(Nothing::new(Kind::PinInvalid, message).fix("keep pins in a file of their own")));
    }
    let bytes = tree.read(path)?;
    if let PinAt::Argument(name) = at {
        return Ok(argument(file, name, &bytes));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        let message = format!("{file} is not UTF-8");
        return Ok(Err(Nothing::new(Kind::PinInvalid, message).fix("save it as UTF-8")));
    };
    Ok(match at {
        PinAt::Path { format, at } => at_path(file, *format, at, require, text),
        PinAt::Regex(pattern) => matched(file, pattern, text),
        _ => Ok((text.trim().to_owned(), Some(1))),
    })
}

fn argument(file: &str, name: &str, bytes: &[u8]) -> Pinned {
    let found = dockerfile::declared(bytes, name).map_err(|error| {
        Nothing::new(Kind::PinInvalid, format!("{file} cannot be read as a Dockerfile: {error}")).fix("mend the file")
    })?;
    only(
        found,
        || Nothing::new(Kind::PinMissing, format!("{file} gives {name} no default")),
        |line| Nothing::new(Kind::PinAmbiguous, format!("{file} gives {name} more than one default")).at(line),
    )
}

fn matched(file: &str, pattern: &Pattern, text: &str) -> Pinned {
    let line = |at: usize| 1 + u32::try_from(text[..at].matches('\n').count()).unwrap_or(u32::MAX);
    let groups = pattern.regex().captures_iter(text).filter_map(|captures| captures.get(1)).take(2);
    let found = groups.map(|group| (line(group.start()), group.as_str().to_owned())).collect();
    let pattern = pattern.regex().as_str();
    only(
        found,
        || Nothing::new(Kind::PinMissing, format!("`{pattern}` matches nothing in {file}")),
        |line| Nothing::new(Kind::PinAmbiguous, format!("`{pattern}` matches more than once in {file}")).at(line),
    )
}

/// The one of several; their second is one too many.
fn only(found: Vec<(u32, String)>, none: impl Fn() -> Nothing, more: impl Fn(u32) -> Nothing) -> Pinned {
    match found.get(1) {
        Some((line, _)) => Err(more(*line).fix("keep one of them")),
        None => found.into_iter().next().map(|(line, pin)| (pin, Some(line))).ok_or_else(none),
    }
}

fn at_path(file: &str, format: Format, at: &PinPath, require: &BTreeMap<String, String>, text: &str) -> Pinned {
    let root = data::parse(format, text).map_err(|error| {
        let message = format!("{file} is not {}: {error}", data::name(format));
        Nothing::new(Kind::PinInvalid, message).at(error.line).fix("mend the file")
    })?;
    let mut places = data::walk(&root, at).map_err(|lost| match lost {
        Lost::Missing { line, what, .. } => Nothing::new(Kind::PinMissing, format!("{file} has no {what}")).at(line),
        Lost::Ambiguous { line, what } => {
            let message = format!("{file} has {what} more than once");
            Nothing::new(Kind::PinAmbiguous, message).at(line).fix("keep one of them")
        }
    })?;
    // A pin's path has no step that means several.
    let Some(found) = places.pop() else {
        return Err(Nothing::new(Kind::PinMissing, format!("{file} has nothing at `{at}`")));
    };
    if let Some((line, message)) = unfulfilled(found.siblings.unwrap_or_default(), require) {
        let fix = "pin the entry of this gate's source, or mend `require` in the gate";
        return Err(Nothing::new(Kind::PinRequirement, format!("{file}: {message}")).at(line).fix(fix));
    }
    let line = found.value.line;
    match &found.value.kind {
        data::Kind::Text(pin) => Ok((pin.clone(), Some(line))),
        // Forty digits without a letter are a number to YAML; as a number they are not the text that was written.
        _ => Err(Nothing::new(Kind::PinInvalid, format!("{file}: `{at}` is not a text")).at(line)),
    }
}

fn unfulfilled(siblings: &[(String, data::Value)], require: &BTreeMap<String, String>) -> Option<(u32, String)> {
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
            data::Kind::Text(text) if text == wanted => {}
            data::Kind::Text(text) => {
                let shown: String = text.chars().take(60).collect();
                return Some((value.line, format!("`{key}` is `{shown}`, the gate requires `{wanted}`")));
            }
            _ => return Some((value.line, format!("`{key}` is not a text, the gate requires `{wanted}`"))),
        }
    }
    None
}
