//! Files that a consumer keeps a copy of.
//!
//! Equal bytes are found by git's names of them, without reading a file. Most equal files of two repositories are equal by
//! chance: licences, what editors and linters want, empty files. So what is tiny or huge is left out, what is called like such
//! files, what either side has many times; and a copy under another name is only told, never proposed. Of a huge repository only
//! a part is looked at, and how much was left out is told.

use std::collections::{BTreeMap, BTreeSet};

use super::{LOCKS, PASSED_OVER, bakes};
use crate::gate::glob;
use crate::tree::{Node, ObjectId, Tree, TreeError, join, split};

/// The most files of a side that are looked at.
const MOST_FILES: usize = 20_000;
/// Smaller ones say too little, in bytes.
const LEAST: u64 = 128;
/// Larger ones are no text that people copy, in bytes.
const LARGEST: u64 = 1 << 20;
/// What a consumer has so often is meant for each place and copied from none.
const MOST_COPIES: usize = 4;
/// Equal files whose size is looked at.
const MOST_EQUAL: usize = 300;
/// Files that each repository makes of the same template: names in lower case.
const USUAL: [&str; 10] = [
    "__init__.py",
    "package.json",
    "tsconfig.json",
    "go.mod",
    "go.sum",
    "cargo.lock",
    "requirements.txt",
    "setup.py",
    "setup.cfg",
    "dockerfile",
];

/// Files of the source, and where the consumer has the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMirror {
    /// What is copied.
    pub what: Copied,
    /// Where to: files, or folders.
    pub copies: Vec<String>,
}

/// What a consumer has a copy of. Paths are from the source's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Copied {
    /// One file.
    File(String),
    /// Some files of a folder (`.` is the root): globs from there. None: the folder and its copies are equal.
    Folder(String, Vec<String>),
}

impl FoundMirror {
    /// Globs of the source's files that are copied, from its root.
    #[must_use]
    pub fn originals(&self) -> Vec<String> {
        match &self.what {
            Copied::File(path) => vec![bakes::glob_of(path, false)],
            Copied::Folder(dir, names) if dir == "." => names.clone(),
            Copied::Folder(dir, names) if names.is_empty() => vec![bakes::glob_of(dir, true)],
            Copied::Folder(dir, names) => {
                let dir = bakes::glob_of(dir, false);
                names.iter().map(|name| format!("{dir}/{name}")).collect()
            }
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundMirrors {
    /// Copies that have their name.
    pub same_name: Vec<FoundMirror>,
    /// Equal files that are called otherwise.
    pub renamed: Vec<FoundMirror>,
    /// What was not looked at because there is too much.
    pub left_out: LeftOut,
}

/// How many files were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Of the consumer.
    pub consumer: usize,
    /// Of the source.
    pub source: usize,
    /// Of the source, although the consumer has equal ones.
    pub equal: usize,
}

/// A side's files by their paths.
type Files = BTreeMap<String, ObjectId>;

/// Files of the source of which the consumer has equal ones; `taken` are globs of those that are about something else.
///
/// # Errors
/// [`TreeError::NotHere`] names what to fetch before asking again; anything else is a tree that cannot be read.
pub fn mirrors(consumer: &dyn Tree, source: &dyn Tree, taken: &[String]) -> Result<FoundMirrors, TreeError> {
    mirrors_of(consumer, source, taken, MOST_FILES)
}

fn mirrors_of(
    consumer: &dyn Tree,
    source: &dyn Tree,
    taken: &[String],
    most_files: usize,
) -> Result<FoundMirrors, TreeError> {
    let ((theirs, of_source), (ours, of_consumer)) = (files(source, most_files)?, files(consumer, most_files)?);
    let mut by_bytes: BTreeMap<&ObjectId, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for (path, id) in &theirs {
        by_bytes.entry(id).or_default().0.push(path);
    }
    for (path, id) in &ours {
        if let Some((_, copies)) = by_bytes.get_mut(id) {
            copies.push(path);
        }
    }
    let mut equal: Vec<(&str, Vec<&str>)> = Vec::new();
    for (originals, copies) in by_bytes.values() {
        let ([original], 1..=MOST_COPIES) = (originals.as_slice(), copies.len()) else { continue };
        let copies: Vec<&str> = copies.iter().copied().filter(|path| is_meant(path)).collect();
        if is_meant(original) && !glob::any(taken, original) && !copies.is_empty() {
            equal.push((original, copies));
        }
    }
    equal.sort();
    let left_out = LeftOut { consumer: of_consumer, source: of_source, equal: equal.len().saturating_sub(MOST_EQUAL) };
    equal.truncate(MOST_EQUAL);
    let originals: Vec<&str> = equal.iter().map(|(original, _)| *original).collect();
    source.expect(&originals)?;
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut found = FoundMirrors { left_out, ..FoundMirrors::default() };
    for (original, copies) in equal {
        if !(LEAST..=LARGEST).contains(&source.size(original)?) {
            continue;
        }
        let is_same = |copy: &&str| split(copy).1 == split(original).1;
        pairs.extend(copies.iter().copied().filter(is_same).map(|copy| (original, copy)));
        let renamed: Vec<String> = copies.iter().filter(|copy| !is_same(copy)).map(|copy| (*copy).to_owned()).collect();
        // Of two copies the one that has the name is the one that is meant.
        if renamed.len() == copies.len() {
            found.renamed.push(FoundMirror { what: Copied::File(original.to_owned()), copies: renamed });
        }
    }
    found.same_name = grouped(&pairs, &ours, &theirs);
    Ok(found)
}

/// The files of a side, but those that others wrote, and how many more than `most` there are.
fn files(tree: &dyn Tree, most: usize) -> Result<(Files, usize), TreeError> {
    let (mut files, mut left_out, mut dirs) = (Files::new(), 0, vec![String::new()]);
    while let Some(dir) = dirs.pop() {
        for (name, node) in tree.list(&dir)? {
            let path = join(&dir, &name);
            match node {
                Node::Dir { .. } if !PASSED_OVER.contains(&name.as_str()) => dirs.push(path),
                Node::File { .. } if files.len() < most => drop(files.insert(path.clone(), tree.blob_id(&path)?)),
                Node::File { .. } => left_out += 1,
                Node::Dir { .. } | Node::Link { .. } | Node::Submodule { .. } => {}
            }
        }
    }
    Ok((files, left_out))
}

/// Whether a file may be one that people copy.
fn is_meant(path: &str) -> bool {
    let (dir, name) = split(path);
    let lower = name.to_lowercase();
    let is_usual = USUAL.contains(&lower.as_str()) || LOCKS.contains(&lower.as_str());
    // No configuration names such a file.
    let is_odd = path.contains(|c: char| c.is_control() || c == '\\');
    !is_odd && !is_usual && !bakes::is_aside(name, false) && !dir.split('/').any(|dir| dir.starts_with('.'))
}

/// Single files, and folders where there are several of one.
fn grouped(pairs: &[(&str, &str)], ours: &Files, theirs: &Files) -> Vec<FoundMirror> {
    let mut left: BTreeSet<(&str, &str)> = pairs.iter().copied().collect();
    let mut found: BTreeMap<Copied, Vec<String>> = BTreeMap::new();
    // Folders that are equal as a whole, the outermost first.
    let mut folders: BTreeSet<(usize, &str, &str)> = BTreeSet::new();
    for (original, copy) in pairs {
        let (mut from, mut to) = (split(original).0, split(copy).0);
        while !from.is_empty() && !to.is_empty() {
            folders.insert((from.matches('/').count(), from, to));
            if split(from).1 != split(to).1 {
                break;
            }
            (from, to) = (split(from).0, split(to).0);
        }
    }
    for (_, from, to) in folders {
        let covered = |(original, copy): &&(&str, &str)| {
            let inside = |path: &str, dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
            inside(original, from) && inside(copy, to)
        };
        if left.iter().filter(covered).count() > 1 && below(theirs, from) == below(ours, to) {
            left.retain(|pair| !covered(&pair));
            found.entry(Copied::Folder(from.to_owned(), Vec::new())).or_default().push(to.to_owned());
        }
    }
    let mut beside: BTreeMap<(&str, &str), Vec<(&str, &str)>> = BTreeMap::new();
    for (original, copy) in left {
        beside.entry((split(original).0, split(copy).0)).or_default().push((original, copy));
    }
    for ((from, to), pairs) in beside {
        match pairs.as_slice() {
            [(original, copy)] => {
                found.entry(Copied::File((*original).to_owned())).or_default().push((*copy).to_owned());
            }
            // The consumer's root holds more than copies: no check may call it a folder of them.
            several if to.is_empty() => {
                for (original, copy) in several {
                    found.entry(Copied::File((*original).to_owned())).or_default().push((*copy).to_owned());
                }
            }
            several => {
                let dir = |dir: &str| if dir.is_empty() { ".".to_owned() } else { dir.to_owned() };
                let names = several.iter().map(|(original, _)| bakes::glob_of(split(original).1, false)).collect();
                found.entry(Copied::Folder(dir(from), names)).or_default().push(dir(to));
            }
        }
    }
    found.into_iter().map(|(what, copies)| FoundMirror { what, copies }).collect()
}

/// The files of a folder, by their paths from there.
fn below<'a>(files: &'a Files, dir: &str) -> Vec<(&'a str, &'a ObjectId)> {
    let prefix = format!("{dir}/");
    // What begins alike stands together.
    let inside = files.range(prefix.clone()..).map_while(|(path, id)| Some((path.strip_prefix(&prefix)?, id)));
    inside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Memory;

    fn tree(files: &[(&str, &str)]) -> Memory {
        files.iter().fold(Memory::new(), |tree, (path, text)| tree.file(path, text))
    }

    /// A text of more than the least size that says this.
    fn long(word: &str) -> String {
        format!("{word}\n").repeat(200)
    }

    fn folder(from: &str, globs: &[&str], to: &[&str]) -> FoundMirror {
        let globs = globs.iter().map(|glob| (*glob).to_owned()).collect();
        let copies = to.iter().map(|copy| (*copy).to_owned()).collect();
        FoundMirror { what: Copied::Folder(from.to_owned(), globs), copies }
    }

    fn file(from: &str, to: &[&str]) -> FoundMirror {
        let copies = to.iter().map(|copy| (*copy).to_owned()).collect();
        FoundMirror { what: Copied::File(from.to_owned()), copies }
    }

    #[test]
    fn copies_are_found_one_by_one_by_the_folder_and_some_of_a_folder() {
        let [a, b, c, d, e, f] = ["a", "b", "c", "d", "e", "f"].map(long);
        let source = tree(&[
            ("request.schema.json", &a),
            ("fixtures/one.json", &b),
            ("fixtures/deep/two.json", &c),
            ("proto/x.proto", &d),
            ("proto/y.proto", &e),
            ("proto/only-here.proto", &f),
        ]);
        let consumer = tree(&[
            ("internal/request.schema.json", &a),
            ("canvas/request.schema.json", &a),
            ("tests/fixtures/one.json", &b),
            ("tests/fixtures/deep/two.json", &c),
            ("api/x.proto", &d),
            ("api/y.proto", &e),
            ("api/mine.proto", &long("mine")),
        ]);
        let found = mirrors(&consumer, &source, &[]).expect("copies");
        assert_eq!(
            found.same_name,
            [
                file("request.schema.json", &["canvas/request.schema.json", "internal/request.schema.json"]),
                folder("fixtures", &[], &["tests/fixtures"]),
                folder("proto", &["x.proto", "y.proto"], &["api"]),
            ]
        );
        assert_eq!(found.renamed, []);
        let found = mirrors(&consumer, &source, &["*.schema.json".to_owned(), "proto/**".to_owned()]).expect("copies");
        assert_eq!(found.same_name, [folder("fixtures", &[], &["tests/fixtures"])], "what a COPY takes is no copy");
    }

    #[test]
    fn what_is_equal_by_chance_is_not_proposed() {
        let (a, b) = (long("a"), long("b"));
        let source = tree(&[
            ("LICENSE", &a),
            ("empty.json", ""),
            ("tiny.json", "{}\n"),
            (".editorconfig", &long("root")),
            (".github/workflows/ci.yml", &long("on")),
            ("twice/one.txt", &b),
            ("twice/two.txt", &b),
            ("often.txt", &long("often")),
            ("huge.bin", &"x".repeat(2 << 20)),
            ("schema.json", &long("schema")),
        ]);
        let often: Vec<(String, String)> = (0..5).map(|n| (format!("at/{n}/often.txt"), long("often"))).collect();
        let mut files = vec![("LICENSE", a.as_str()), ("empty.json", ""), ("tiny.json", "{}\n"), ("twice/one.txt", &b)];
        let (root, on, huge, schema) = (long("root"), long("on"), "x".repeat(2 << 20), long("schema"));
        files.extend([(".editorconfig", root.as_str()), (".github/workflows/ci.yml", &on), ("huge.bin", &huge)]);
        files.push(("vendor/schema.json", &schema));
        files.push(("internal/agent.json", &schema));
        files.extend(often.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let found = mirrors(&tree(&files), &source, &[]).expect("copies");
        assert_eq!(found.same_name, []);
        assert_eq!(found.renamed, [file("schema.json", &["internal/agent.json"])], "told, and not proposed");
    }

    #[test]
    fn copies_at_the_root_of_the_consumer_are_named_one_by_one_and_odd_names_are_passed_over() {
        let [a, b, c] = ["a", "b", "c"].map(long);
        let files = [("a.json", a.as_str()), ("!b.json", &b), ("c\\303.json", &c), ("d\n.json", "")];
        let found = mirrors(&tree(&files), &tree(&files), &[]).expect("copies");
        assert_eq!(found.same_name, [file("!b.json", &["!b.json"]), file("a.json", &["a.json"])]);
        assert_eq!(found.same_name[0].originals(), ["\\!b.json"], "no glob begins with an exclamation mark");
    }

    #[test]
    fn what_is_copied_is_named_by_globs_of_the_source() {
        let found = [
            file("a [1].json", &["x/a [1].json"]),
            folder("fixtures", &[], &["tests/fixtures"]),
            folder("proto", &["x.proto", "y.proto"], &["api"]),
            folder(".", &["top.json", "top.yaml"], &["."]),
        ];
        let globs: Vec<String> = found.iter().flat_map(FoundMirror::originals).collect();
        assert_eq!(globs, ["a \\[1].json", "fixtures/**", "proto/x.proto", "proto/y.proto", "top.json", "top.yaml"]);
    }

    #[test]
    fn of_a_huge_repository_it_is_told_how_much_was_left_out() {
        let [a, b, c] = ["a", "b", "c"].map(long);
        let source = tree(&[("a.json", &a), ("b.json", &b), ("c.json", &c)]);
        let consumer = tree(&[("x/a.json", &a), ("x/c.json", &c)]);
        let found = mirrors_of(&consumer, &source, &[], 2).expect("copies");
        assert_eq!(found.same_name, [file("a.json", &["x/a.json"])], "the third is not looked at");
        assert_eq!(found.left_out, LeftOut { consumer: 0, source: 1, equal: 0 });
    }
}
