//! What a checkout would change: `.gitattributes` of a tree, as far as they decide whether the bytes on disk are the bytes in
//! the object database.
//!
//! The trap: a template's file may be stored in one form and checked out in another (LFS pointers, line ends, keyword
//! expansion). What the build would then copy is not in the tree, so a comparison of blobs would compare the wrong thing.
//!
//! Read as git reads them: a deeper file over a higher one, a later line over an earlier one, a later word over an earlier
//! one; a macro (`[attr]name ...`, only in the root's file) stands for its words where it is set, and `binary` is one. A
//! pattern without a slash means the name in every directory below its file; one that ends with a slash means no file. Line
//! ends follow what a build on Linux gets: `text` and `text=auto` alone change nothing there, nor does `eol=lf`; `eol=crlf`
//! does, except on what is not text (`-text`, `binary`).

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::glob;
use crate::tree::{Node, Tree, TreeError, join, split};

/// A larger file of attributes is not read; that is said.
const LARGEST: u64 = 1 << 20;
/// What begins the definition of a macro.
const MACRO: &str = "[attr]";

/// What a line says of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Set,
    Unset,
    /// `!name`: as if no line had named it.
    Unspecified,
    Text(String),
}

type Words = Vec<(String, Value)>;

/// One `.gitattributes` file.
#[derive(Debug, Default)]
struct Rules {
    /// Pattern and words, in the order of the file.
    lines: Vec<(String, Words)>,
    macros: BTreeMap<String, Words>,
}

/// The attributes of a tree, each file read once.
pub struct Attributes<'a> {
    tree: &'a dyn Tree,
    files: HashMap<String, Result<Rc<Rules>, String>>,
}

impl<'a> Attributes<'a> {
    /// Of this tree; nothing is read yet.
    pub fn of(tree: &'a dyn Tree) -> Self {
        Self { tree, files: HashMap::new() }
    }

    /// Why the file at `path` may not be checked out as it is stored, in words; `None` where it is.
    pub fn changed_by_checkout(&mut self, path: &str) -> Result<Option<String>, TreeError> {
        let mut files = Vec::new();
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        for dir in std::iter::once("").chain(parents) {
            match self.rules(dir)? {
                Ok(rules) => files.push((dir, rules)),
                Err(why) => return Ok(Some(why)),
            }
        }
        let set = values(path, &files);
        Ok(change(&set).map(|words| format!("`.gitattributes` gives it `{words}`: a checkout may change its bytes")))
    }

    fn rules(&mut self, dir: &str) -> Result<Result<Rc<Rules>, String>, TreeError> {
        if let Some(known) = self.files.get(dir) {
            return Ok(known.clone());
        }
        let file = join(dir, ".gitattributes");
        let rules = match self.tree.node(&file)? {
            // Git follows no link here.
            Some(Node::File { .. }) => {
                self.tree.expect(&[file.as_str()])?;
                if self.tree.size(&file)? > LARGEST {
                    Err(format!("{file} is too large to be read"))
                } else {
                    let bytes = self.tree.read(&file)?;
                    Ok(Rc::new(Rules::read(&String::from_utf8_lossy(&bytes), dir.is_empty())))
                }
            }
            _ => Ok(Rc::default()),
        };
        self.files.insert(dir.to_owned(), rules.clone());
        Ok(rules)
    }
}

impl Rules {
    fn read(text: &str, is_root: bool) -> Self {
        let mut rules = Self::default();
        for line in text.lines() {
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (pattern, words) = first_word(line);
            let words = words.split([' ', '\t', '\r']).filter(|word| !word.is_empty()).map(word).collect();
            match pattern.strip_prefix(MACRO).filter(|name| !name.is_empty()) {
                Some(name) if is_root => drop(rules.macros.insert(name.to_owned(), words)),
                Some(_) => {}
                // Git takes no notice of negative patterns.
                None if pattern.starts_with('!') => {}
                None => rules.lines.push((pattern, words)),
            }
        }
        rules
    }
}

/// The pattern, which may be quoted as in C, and what follows it.
fn first_word(line: &str) -> (String, &str) {
    if let Some(quoted) = line.strip_prefix('"').and_then(unquote) {
        return quoted;
    }
    let end = line.find([' ', '\t', '\r']).unwrap_or(line.len());
    (line[..end].to_owned(), &line[end..])
}

/// Reads to the closing quote; `None` where there is none, or where an escape is none.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut out = Vec::new();
    let mut rest = text.bytes().enumerate();
    while let Some((at, byte)) = rest.next() {
        match byte {
            b'"' => return Some((String::from_utf8_lossy(&out).into_owned(), &text[at + 1..])),
            b'\\' => out.push(match rest.next()?.1 {
                plain @ (b'"' | b'\\') => plain,
                b'a' => 0x07,
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 0x0b,
                first @ b'0'..=b'3' => {
                    let mut digit = || rest.next().map(|(_, byte)| byte).filter(|byte| (b'0'..=b'7').contains(byte));
                    let (second, third) = (digit()?, digit()?);
                    (first - b'0') << 6 | (second - b'0') << 3 | (third - b'0')
                }
                _ => return None,
            }),
            byte => out.push(byte),
        }
    }
    None
}

fn word(text: &str) -> (String, Value) {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Value::Text(value.to_owned())),
        None => (text, Value::Set),
    };
    match (name.strip_prefix('-'), name.strip_prefix('!')) {
        (Some(name), _) => (name.to_owned(), Value::Unset),
        (_, Some(name)) => (name.to_owned(), Value::Unspecified),
        _ => (name.to_owned(), value),
    }
}

/// What the files from the root down to the path's directory say of it. What speaks last is heard first, and the first that
/// is heard stays.
fn values(path: &str, files: &[(&str, Rc<Rules>)]) -> BTreeMap<String, Value> {
    let no_macros = BTreeMap::new();
    let macros = files.first().map_or(&no_macros, |(_, root)| &root.macros);
    let mut set = BTreeMap::new();
    for (dir, rules) in files.iter().rev() {
        let below = if dir.is_empty() { path } else { &path[dir.len() + 1..] };
        for (pattern, words) in rules.lines.iter().rev() {
            if matches(pattern, below) {
                fill(words, macros, &mut set);
            }
        }
    }
    set
}

fn fill(words: &[(String, Value)], macros: &BTreeMap<String, Words>, set: &mut BTreeMap<String, Value>) {
    for (name, value) in words.iter().rev() {
        if set.contains_key(name) {
            continue;
        }
        set.insert(name.clone(), value.clone());
        if *value == Value::Set {
            match macros.get(name) {
                Some(words) => fill(words, macros, set),
                None if name == "binary" => drop(set.entry("text".to_owned()).or_insert(Value::Unset)),
                None => {}
            }
        }
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_prefix('/') {
        _ if pattern.ends_with('/') => false,
        Some(anchored) => glob::matches(anchored, path),
        None if pattern.contains('/') => glob::matches(pattern, path),
        None => glob::matches(pattern, split(path).1),
    }
}

/// The attribute that makes a checkout on Linux write other bytes than are stored.
fn change(set: &BTreeMap<String, Value>) -> Option<String> {
    let named = |name: &str| match set.get(name) {
        Some(Value::Text(value)) => Some((name.to_owned(), value.as_str())),
        _ => None,
    };
    if let Some((name, value)) = named("filter").filter(|(_, driver)| !driver.is_empty()) {
        return Some(format!("{name}={value}"));
    }
    if set.get("ident") == Some(&Value::Set) {
        return Some("ident".to_owned());
    }
    match set.get("working-tree-encoding") {
        Some(Value::Text(encoding)) if encoding.replace('-', "").eq_ignore_ascii_case("utf8") => {}
        Some(Value::Text(encoding)) => return Some(format!("working-tree-encoding={encoding}")),
        // Git refuses to check such a file out.
        Some(Value::Set | Value::Unset) => return Some("working-tree-encoding without an encoding".to_owned()),
        Some(Value::Unspecified) | None => {}
    }
    // `crlf` is the old name of `text`.
    let text = set.get("text").filter(|value| **value != Value::Unspecified).or_else(|| set.get("crlf"));
    let is_binary = text == Some(&Value::Unset);
    let (name, value) = named("eol").filter(|(_, eol)| *eol == "crlf" && !is_binary)?;
    Some(format!("{name}={value}"))
}
