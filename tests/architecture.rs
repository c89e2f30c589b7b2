//! Who may know whom: the table in `src/lib.rs` and `docs/design.md`, held by reading the `crate::` paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The rooms that each room may name.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let engine = ["config", "dockerfile", "tree", "gate"];
    let service = ["config", "dockerfile", "tree", "gate", "report", "snapshot", "git", "forge", "store", "metrics"];
    let with = |rooms: &[&'static str], more: &[&'static str]| rooms.iter().chain(more).copied().collect();
    BTreeMap::from([
        ("config", BTreeSet::new()),
        ("tree", BTreeSet::new()),
        ("store", BTreeSet::new()),
        ("metrics", BTreeSet::new()),
        ("dockerfile", with(&["tree"], &[])),
        ("gate", with(&["config", "dockerfile", "tree"], &[])),
        ("backtest", with(&["config", "gate", "tree"], &[])),
        ("report", with(&engine, &["backtest"])),
        ("snapshot", with(&["tree"], &[])),
        ("git", with(&["snapshot", "tree"], &[])),
        ("forge", with(&["config", "tree"], &[])),
        ("controller", with(&service, &[])),
        ("web", with(&service, &["controller"])),
        ("demo", with(&["git", "snapshot", "tree"], &[])),
        ("cli", with(&service, &["backtest", "controller", "web", "demo"])),
    ])
}

#[test]
fn no_room_knows_a_room_above_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = allowed();
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).expect("inside src");
        let room = inside.iter().next().expect("a name").to_str().expect("UTF-8").trim_end_matches(".rs").to_owned();
        if room == "lib" || room == "main" {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable");
        let may = allowed.get(room.as_str()).unwrap_or_else(|| panic!("room `{room}` is not in the table"));
        for used in rooms_used(&text) {
            if used != room && !may.contains(used.as_str()) {
                wrong.push(format!("{} uses crate::{used}", inside.display()));
            }
        }
        found.insert(room);
    }
    assert!(wrong.is_empty(), "the flow of knowledge turned round:\n{}", wrong.join("\n"));
    let named: BTreeSet<String> = allowed.keys().map(|room| (*room).to_owned()).collect();
    assert_eq!(found, named, "the table names what is not there, or misses a room");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The first names after `crate::`, also of `crate::{a, b::c}`. Comments and tests count too: what a test needs from
/// above belongs into `tests/`.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(list) => used.extend(list.split(',').map(|item| name(item.trim()))),
                None => drop(used.insert(name(rest))),
            }
        }
    }
    // `crate::name!` of a macro and re-exports of the root have no room.
    used.retain(|room| !room.is_empty() && room.chars().all(|c| c.is_lowercase() || c == '_'));
    used
}
