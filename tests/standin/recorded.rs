//! What a live Gitea 1.26 answered, the stand-in answers too.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use drift_gate::demo::smart_http::{Answer, info_refs, upload_pack};
use git2::{Oid, Repository};
use serde_json::Value;
use tempfile::TempDir;

const V2: Option<&str> = Some("version=2");

fn recorded(what: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/gitea-1.26/smart-http.json");
    let mut all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[what].take()
}

fn recorded_body(what: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(recorded(what)["body_base64"].as_str().unwrap()).unwrap()
}

fn empty() -> (TempDir, Repository) {
    let folder = TempDir::new().unwrap();
    drift_gate::snapshot::prepare();
    let repository = Repository::init_bare(folder.path()).unwrap();
    (folder, repository)
}

fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

/// A question in protocol version 2, with the recorded arguments.
fn ask(repository: &Path, command: &str, arguments: &[&str]) -> Answer {
    let arguments: String = arguments.iter().map(|argument| line(argument)).collect();
    let body = format!("{}0001{arguments}0000", line(&format!("command={command}")));
    upload_pack(repository, V2, body.as_bytes())
}

fn ask_as_recorded(repository: &Path, what: &str) -> Answer {
    let recorded = recorded(what);
    let arguments: Vec<&str> = recorded["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    ask(repository, "fetch", &arguments)
}

/// The lines of an advertisement.
fn lines(body: &str) -> BTreeSet<String> {
    body.lines().map(|line| line.trim_start_matches("0000")[4..].to_owned()).collect()
}

#[test]
fn it_offers_what_gitea_offers_but_the_sizes_of_objects() {
    let (folder, _) = empty();
    let answer = info_refs(folder.path(), "git-upload-pack", V2);
    assert_eq!((answer.status, answer.content_type), (200, "application/x-git-upload-pack-advertisement"));
    let without_agent = |body: &str| -> BTreeSet<String> {
        let body = body.strip_suffix("0000").unwrap();
        lines(body).into_iter().filter(|line| !line.starts_with("agent=")).collect()
    };
    let ours = without_agent(std::str::from_utf8(&answer.body).unwrap());
    let theirs = without_agent(recorded("capabilities").as_str().unwrap());
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    assert_eq!(missing, ["object-info"]);
    assert!(ours.is_subset(&theirs), "{ours:?}");
}

#[test]
fn the_same_refs_are_listed_byte_for_byte() {
    let (folder, _) = empty();
    let expected = recorded("ls-refs")["body"].as_str().unwrap().to_owned();
    let packed: String = lines(expected.strip_suffix("0000").unwrap()).iter().map(|line| format!("{line}\n")).collect();
    let others = format!("{packed}{} refs/tags/v1\n", "2".repeat(40));
    std::fs::write(folder.path().join("packed-refs"), others).unwrap();
    let answer = ask(folder.path(), "ls-refs", &["ref-prefix refs/heads/", "ref-prefix refs/pull/"]);
    assert_eq!((answer.status, answer.content_type), (200, "application/x-git-upload-pack-result"));
    assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
}

/// What comes before the pack, and the pack.
fn split(body: &[u8]) -> (String, Vec<u8>) {
    const BEFORE: &[u8] = b"packfile\n";
    let at = body.windows(BEFORE.len()).position(|window| window == BEFORE).unwrap() + BEFORE.len();
    let mut pack = Vec::new();
    let mut rest = &body[at..];
    while let length @ 4.. = usize::from_str_radix(std::str::from_utf8(&rest[..4]).unwrap(), 16).unwrap() {
        if rest[4] == 1 {
            pack.extend_from_slice(&rest[5..length]);
        }
        rest = &rest[length..];
    }
    (String::from_utf8(body[..at].to_vec()).unwrap(), pack)
}

/// The names of the objects in a pack.
fn names(pack: &[u8]) -> BTreeSet<Oid> {
    let (_folder, repository) = empty();
    store(&repository, pack);
    let mut ids = BTreeSet::new();
    repository.odb().unwrap().foreach(|id| ids.insert(*id)).unwrap();
    ids
}

fn store(repository: &Repository, pack: &[u8]) {
    let odb = repository.odb().unwrap();
    let mut writer = odb.packwriter().unwrap();
    writer.write_all(pack).unwrap();
    writer.commit().unwrap();
}

#[test]
fn a_commits_directories_come_in_the_same_words_and_objects() {
    let (words, pack) = split(&recorded_body("fetch-tree-only"));
    assert_eq!(names(&pack).len(), 3, "a commit and two directories");
    let (folder, repository) = empty();
    // The repository of the recording, as far as it is known: its files are not, and are not asked for.
    store(&repository, &pack);
    let answer = ask_as_recorded(folder.path(), "fetch-tree-only");
    assert_eq!(answer.status, 200);
    let (our_words, our_pack) = split(&answer.body);
    assert_eq!(our_words, words);
    assert_eq!(names(&our_pack), names(&pack));
}

#[test]
fn an_unknown_object_is_refused_byte_for_byte() {
    let (folder, _) = empty();
    let answer = ask_as_recorded(folder.path(), "fetch-unknown-sha");
    assert_eq!((answer.status, answer.content_type), (200, "application/x-git-upload-pack-result"));
    assert_eq!(answer.body, recorded_body("fetch-unknown-sha"));
}

#[test]
fn a_repository_that_is_not_there_is_not_found() {
    let folder = TempDir::new().unwrap();
    let answer = ask(&folder.path().join("none.git"), "ls-refs", &[]);
    let theirs = recorded("fetch-no-repo");
    assert_eq!(u64::from(answer.status), theirs["status"].as_u64().unwrap());
    assert_eq!(String::from_utf8(answer.body).unwrap().trim_end(), theirs["body"].as_str().unwrap().trim_end());
}
