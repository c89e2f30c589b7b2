//! Files that hold data: JSON, YAML and TOML as one kind of value, with line numbers and without forgiveness.
//!
//! Pins, extracted values and canonical comparison all need what a common value tree does not keep: the line of a value,
//! doubled keys (an error here: two readers may take different ones) and numbers exactly as they are. So each format has a
//! reader into [`Value`], under budgets of depth and size. Numbers are kept as normalised decimal text: `1.50` is `1.5` and
//! nothing is ever rounded to a float.

mod json;
mod number;
mod path;
mod toml;
mod yaml;

use std::ops::Range;

use crate::config::Format;

pub use path::{Lost, walk};

/// The largest file that is read as data, in bytes.
pub const LARGEST: u64 = 8 << 20;
/// How deep lists and objects may lie in each other.
const DEPTH: u32 = 128;
/// How many values a file may hold, aliases spelled out.
const MOST_VALUES: usize = 1_000_000;

/// A value, the line (1-based) where it begins, and the bytes of the file that it is written in, quotes and all.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub line: u32,
    /// Of a value that an alias stands for, the alias. Empty where nobody can tell.
    pub span: Range<usize>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Null,
    Bool(bool),
    /// Any number of JSON, an integer of YAML and TOML: normalised decimal text.
    Number(String),
    /// A number of YAML or TOML that is written as a float: there `1` and `1.0` are not the same.
    Float(String),
    /// A date or time of TOML, as written.
    Date(String),
    Text(String),
    List(Vec<Value>),
    /// In the order of the file, doubled keys and all.
    Object(Vec<(String, Value)>),
}

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Invalid {
    pub line: u32,
    pub what: String,
}

/// The name of a format, for people.
pub fn name(format: Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Yaml => "YAML",
        Format::Toml => "TOML",
    }
}

/// Reads one value and nothing after it.
pub fn parse(format: Format, text: &str) -> Result<Value, Invalid> {
    match format {
        Format::Json => json::parse(text),
        Format::Toml => toml::parse(text),
        Format::Yaml => {
            let mut documents = yaml::parse(text)?;
            match (documents.pop(), documents.is_empty()) {
                (Some(only), true) => Ok(only),
                (None, _) => Ok(Value { line: 1, span: 0..0, kind: Kind::Null }),
                (Some(second), false) => {
                    Err(Invalid { line: second.line, what: "a second document begins; keep one in the file".into() })
                }
            }
        }
    }
}

/// Reads all that a file holds: of YAML every document, else the one value. No key is doubled in it.
pub fn parse_all(format: Format, text: &str) -> Result<Vec<Value>, Invalid> {
    let documents = match format {
        Format::Yaml => yaml::parse(text)?,
        Format::Json | Format::Toml => vec![parse(format, text)?],
    };
    documents.iter().try_for_each(unique_keys)?;
    Ok(documents)
}

/// Refuses a value in which an object has a key twice.
pub fn unique_keys(value: &Value) -> Result<(), Invalid> {
    match &value.kind {
        Kind::List(items) => items.iter().try_for_each(unique_keys),
        Kind::Object(members) => {
            let mut seen = std::collections::HashSet::new();
            for (key, value) in members {
                if !seen.insert(key.as_str()) {
                    let what = format!("the key `{key}` stands there twice; keep one");
                    return Err(Invalid { line: value.line, what });
                }
                unique_keys(value)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Value {
    /// The text of a value that is neither list nor object; `None` for those, and for null, which says nothing.
    pub fn scalar(&self) -> Option<String> {
        match &self.kind {
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Number(text) | Kind::Float(text) | Kind::Date(text) | Kind::Text(text) => Some(text.clone()),
            Kind::Null | Kind::List(_) | Kind::Object(_) => None,
        }
    }

    /// Whether there is nothing in it: null, or a list or object without entries.
    pub fn is_nothing(&self) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::List(items) => items.is_empty(),
            Kind::Object(members) => members.is_empty(),
            _ => false,
        }
    }

    /// What it is, in a few words for a message.
    pub fn words(&self) -> String {
        match &self.kind {
            Kind::Null => "null".into(),
            Kind::Text(text) => shortened(&format!("{text:?}")),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Object(members) => format!("an object of {}", members.len()),
            Kind::Bool(_) | Kind::Number(_) | Kind::Float(_) | Kind::Date(_) => {
                shortened(&self.scalar().unwrap_or_default())
            }
        }
    }
}

/// One spelling of a value: JSON without white space, keys sorted.
pub fn canonical(value: &Value) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match &value.kind {
        Kind::Null => "null".into(),
        Kind::Text(text) => quoted(text),
        Kind::List(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Kind::Object(members) => {
            let mut members: Vec<String> =
                members.iter().map(|(key, value)| format!("{}:{}", quoted(key), canonical(value))).collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        Kind::Bool(_) | Kind::Number(_) | Kind::Float(_) | Kind::Date(_) => value.scalar().unwrap_or_default(),
    }
}

/// At most sixty characters of a text that others wrote.
pub fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The first place where two values are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `a.b[0]`; empty for the whole.
    pub path: String,
    /// Where the copy says it, 1-based.
    pub line: u32,
    /// Follows the path in a message.
    pub words: String,
}

/// Compares as data: the order of keys, spaces and comments do not count, the order of lists does.
pub fn difference(source: &[Value], copy: &[Value]) -> Option<Difference> {
    if source.len() != copy.len() {
        let words = format!("{} documents, the source has {}", copy.len(), source.len());
        return Some(Difference { path: String::new(), line: copy.last().map_or(1, |last| last.line), words });
    }
    source.iter().zip(copy).find_map(|(source, copy)| differs(source, copy, &mut Vec::new()))
}

fn differs(source: &Value, copy: &Value, path: &mut Vec<String>) -> Option<Difference> {
    let found = |path: &[String], line, words| Some(Difference { path: path.concat(), line, words });
    match (&source.kind, &copy.kind) {
        (Kind::List(wanted), Kind::List(items)) => {
            for (index, (wanted, item)) in wanted.iter().zip(items).enumerate() {
                path.push(format!("[{index}]"));
                let inside = differs(wanted, item, path);
                path.pop();
                if inside.is_some() {
                    return inside;
                }
            }
            let same = wanted.len() == items.len();
            let words = || format!("has {} entries, the source has {}", items.len(), wanted.len());
            if same { None } else { found(path, copy.line, words()) }
        }
        (Kind::Object(wanted), Kind::Object(members)) => {
            for (key, wanted) in wanted {
                path.push(if path.is_empty() { key.clone() } else { format!(".{key}") });
                let inside = match members.iter().find(|(name, _)| name == key) {
                    Some((_, member)) => differs(wanted, member, path),
                    None => found(path, copy.line, "is missing".into()),
                };
                path.pop();
                if inside.is_some() {
                    return inside;
                }
            }
            let extra = members.iter().find(|(name, _)| !wanted.iter().any(|(key, _)| key == name));
            let (key, value) = extra?;
            path.push(if path.is_empty() { key.clone() } else { format!(".{key}") });
            let difference = found(path, value.line, "is not in the source".into());
            path.pop();
            difference
        }
        (wanted, is) if wanted == is => None,
        _ => found(path, copy.line, format!("is {}, the source says {}", copy.words(), source.words())),
    }
}

#[cfg(test)]
mod tests;
