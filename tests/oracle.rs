//! What a real BuildKit made of 1,582 small builds, held against the evaluator.
//!
//! The cases are recordings: a build context, a Dockerfile and the tree (or the failure) that came out of it. No case may
//! come out wrong. A case without a RUN must be decided in full; where a RUN is, parts may be unknown, and that the
//! command itself fails need not be foreseen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use drift_gate::dockerfile::{BakedKind, Build, BuildError, Content, Image, evaluate, ignore_file};
use drift_gate::tree::{Node, ObjectId, Tree, TreeError, join, split};
use serde_json::Value;

#[derive(Default)]
struct Memory {
    nodes: BTreeMap<String, (Node, Arc<[u8]>)>,
}

impl Memory {
    fn read_from(files: &Value) -> Self {
        let mut tree = Self::default();
        for (path, file) in files.as_object().expect("files is an object") {
            let mut parent = split(path).0;
            while !parent.is_empty() {
                tree.nodes
                    .entry(parent.to_owned())
                    .or_insert_with(|| (Node::Dir { mode: 0o755 }, Arc::from(Vec::new())));
                parent = split(parent).0;
            }
            let mode = |default| file.get("mode").map_or(default, mode);
            let node = if file.get("dir").is_some() {
                Node::Dir { mode: mode(0o755) }
            } else if let Some(target) = file.get("link") {
                Node::Link { target: target.as_str().expect("link is text").to_owned() }
            } else {
                Node::File { mode: mode(0o644) }
            };
            tree.nodes.insert(path.clone(), (node, bytes(file).into()));
        }
        tree
    }
}

impl Tree for Memory {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        if path.is_empty() {
            return Ok(Some(Node::Dir { mode: 0o755 }));
        }
        Ok(self.nodes.get(path).map(|(node, _)| node.clone()))
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        let below = |(name, (node, _)): (&String, &(Node, Arc<[u8]>))| {
            let (dir, name) = split(name);
            (dir == path).then(|| (name.to_owned(), node.clone()))
        };
        Ok(self.nodes.iter().filter_map(below).collect())
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        Err(TreeError::Unfit { path: path.to_owned(), what: "no blob names here".to_owned() })
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        match self.nodes.get(path) {
            Some((Node::File { .. }, bytes)) => Ok(bytes.clone()),
            _ => Err(TreeError::Unfit { path: path.to_owned(), what: "no file".to_owned() }),
        }
    }
}

fn mode(value: &Value) -> u32 {
    let text = value.as_str().expect("a mode is text");
    u32::from_str_radix(text.trim_start_matches("0o"), 8).expect("a mode is octal")
}

fn bytes(file: &Value) -> Vec<u8> {
    if let Some(text) = file.get("c") {
        return text.as_str().expect("content is text").as_bytes().to_vec();
    }
    file.get("b64").map(|text| base64(text.as_str().expect("content is text"))).unwrap_or_default()
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'=' | b'\n')).map(digit).collect();
    let mut out = Vec::new();
    for chunk in digits.chunks(4) {
        let word = chunk.iter().enumerate().fold(0u32, |word, (at, d)| word | u32::from(*d) << (18 - 6 * at));
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    out
}

/// One path as text that tells everything that is compared.
type Listing = BTreeMap<String, String>;

fn describe(kind: &str, mode: Option<u32>, bytes: Option<&[u8]>) -> String {
    let mut text = kind.to_owned();
    if let Some(mode) = mode {
        write!(text, " {mode:04o}").expect("writing to a string");
    }
    if let Some(bytes) = bytes {
        write!(text, " {:?}", String::from_utf8_lossy(bytes)).expect("writing to a string");
    }
    text
}

fn expected(case: &Value) -> Listing {
    let tree = case["tree"].as_object().expect("a tree is an object");
    let entry = |file: &Value| {
        if let Some(target) = file.get("link") {
            return format!("link {target}");
        }
        if file.get("dir").is_some() {
            return describe("dir", Some(mode(&file["mode"])), None);
        }
        describe("file", Some(mode(&file["mode"])), Some(&bytes(file)))
    };
    tree.iter().map(|(path, file)| (path.clone(), entry(file))).collect()
}

fn found(image: &Image, context: &Memory) -> Listing {
    let entry = |kind: &BakedKind| match kind {
        BakedKind::Dir { mode } => describe("dir", Some(*mode), None),
        BakedKind::Link { target } => format!("link {}", Value::String(target.clone())),
        BakedKind::File { content: Content::Bytes(bytes), mode } => describe("file", Some(*mode), Some(bytes)),
        BakedKind::File { content: Content::Context(path), mode } => {
            describe("file", Some(*mode), Some(&context.read(path).expect("a baked file is in the context")))
        }
    };
    image.entries.iter().map(|(path, baked)| (path.clone(), entry(&baked.kind))).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Held,
    /// True as far as it goes.
    Partly(String),
    Wrong(String),
}

fn judge(case: &Value) -> Verdict {
    let context = Memory::read_from(&case["files"]);
    let name = case["dockerfile_name"].as_str().expect("a Dockerfile has a name");
    let dockerfile = case["dockerfile"].as_str().expect("a Dockerfile is text");
    let build_args: BTreeMap<String, String> = case["build_args"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| pair.as_str()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut files = context;
    // The recordings keep the Dockerfile apart from the files; it lies in the context when it was built.
    if !name.contains("..") {
        let node = (Node::File { mode: 0o644 }, Arc::from(dockerfile.as_bytes()));
        files.nodes.entry(name.to_owned()).or_insert(node);
    }
    let ignore = ignore_file(&files, name, "").expect("memory can be read");
    let build = Build {
        context: &files,
        dockerfile: dockerfile.as_bytes(),
        dockerfile_name: name,
        ignore: ignore.as_ref().map(|(bytes, name)| (&**bytes, name.as_str())),
        build_args: &build_args,
        target: case.get("target").and_then(Value::as_str),
        generated: None,
    };
    let outcome = evaluate(&build);
    let runs = dockerfile.lines().any(|line| line.trim_start().to_ascii_uppercase().contains("RUN "));
    match (outcome, case.get("error")) {
        (Err(BuildError::Fails { .. }), Some(_)) => Verdict::Held,
        (Err(error @ BuildError::Fails { .. }), None) => Verdict::Wrong(format!("said to fail: {error}")),
        (Err(error), _) if runs => Verdict::Partly(error.to_string()),
        (Err(error), _) => Verdict::Wrong(format!("undecided: {error}")),
        (Ok(_), Some(_)) if runs => Verdict::Partly("a failure that is not foreseen".to_owned()),
        (Ok(_), Some(error)) => Verdict::Wrong(format!("said to build, but: {error}")),
        (Ok(image), None) => compare(case, &image, &files, runs),
    }
}

fn compare(case: &Value, image: &Image, context: &Memory, runs: bool) -> Verdict {
    let under: Option<BTreeSet<&str>> =
        case.get("under").and_then(Value::as_array).map(|names| names.iter().filter_map(Value::as_str).collect());
    let covered =
        |path: &str| under.as_ref().is_none_or(|under| under.contains(path.split('/').next().unwrap_or_default()));
    let (wanted, got) = (expected(case), found(image, context));
    let unknown: BTreeSet<&str> = image.unknown.iter().map(|unknown| unknown.path.as_str()).collect();
    let is_unknown = |path: &str| {
        let mut path = path;
        loop {
            if unknown.contains(path) {
                return true;
            }
            if path.is_empty() {
                return false;
            }
            path = split(path).0;
        }
    };
    let mut difference = String::new();
    let mut open = BTreeSet::new();
    for path in wanted.keys().chain(got.keys()).collect::<BTreeSet<_>>() {
        if !covered(path) {
            continue;
        }
        match (wanted.get(path), got.get(path)) {
            (Some(wanted), Some(got)) if wanted == got => {}
            (wanted, None) if is_unknown(path) => {
                open.insert(format!("{path}: {wanted:?}"));
            }
            (wanted, got) => {
                writeln!(difference, "  {path}\n    BuildKit:  {wanted:?}\n    evaluated: {got:?}")
                    .expect("writing to a string");
            }
        }
    }
    if !difference.is_empty() {
        return Verdict::Wrong(difference);
    }
    let in_sight: Vec<&str> = unknown.into_iter().filter(|path| path.is_empty() || covered(path)).collect();
    if open.is_empty() && in_sight.is_empty() {
        return Verdict::Held;
    }
    let text = format!("unknown: {in_sight:?}");
    if runs { Verdict::Partly(text) } else { Verdict::Wrong(text) }
}

fn hold(recording: &str) {
    let path = join(&join(env!("CARGO_MANIFEST_DIR"), "tests/oracle"), recording);
    let text = std::fs::read_to_string(&path).expect("the recording is there");
    let mut families: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut wrong = String::new();
    let verbose = std::env::var_os("ORACLE_VERBOSE").is_some();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let id = case["id"].as_str().expect("a case has an id");
        let counts = families.entry(id.split(':').next().unwrap_or_default().to_owned()).or_default();
        match judge(&case) {
            Verdict::Held => counts[0] += 1,
            Verdict::Partly(why) => {
                counts[1] += 1;
                if verbose {
                    println!("partly  {id}: {why}");
                }
            }
            Verdict::Wrong(difference) => {
                counts[2] += 1;
                let dockerfile = case["dockerfile"].as_str().unwrap_or_default();
                writeln!(wrong, "== {id}\n{dockerfile}\n--\n{difference}").expect("writing to a string");
            }
        }
    }
    println!("{recording}: family, held, partly unknown, wrong");
    for (family, [held, partly, wrong]) in &families {
        println!("{family:10} {held:5} {partly:5} {wrong:5}");
    }
    let count: usize = families.values().map(|counts| counts.iter().sum::<usize>()).sum();
    assert!(count > 500, "{recording} holds only {count} cases");
    assert!(wrong.is_empty(), "these came out wrong:\n{wrong}");
}

#[test]
fn every_recorded_copy_comes_out_as_buildkit_made_it() {
    hold("buildkit-copy.jsonl");
}

#[test]
fn every_other_recorded_build_comes_out_as_buildkit_made_it() {
    hold("buildkit-more.jsonl");
}
