//! What a real Gitea said and what the stand-in says, made comparable: numbers, hashes, times and hosts of one run are
//! masked; keys, words, states, rights and everything else must be the same.

use std::path::PathBuf;

use regex::Regex;
use serde_json::{Map, Value};

/// Values that belong to one run, or to what the stand-in does not count.
const MASKED: [&str; 11] = [
    "id",
    "number",
    "avatar_url",
    // Nothing is counted that drift-gate does not read.
    "size",
    "ssh_url", // no SSH
    // Counts of the whole long story that was recorded, of which a test tells a part.
    "branch_count",
    "open_pr_counter",
    "open_issues_count",
    "forks_count",
    "watchers_count",
    "updated_at",
];

/// A recorded answer or delivery.
pub fn recording(folder: &str, name: &str) -> Value {
    let path = format!("{}/tests/vectors/gitea-1.26/{folder}/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect("JSON")
}

/// The names of the recorded deliveries that hold a text, in the order of their arrival.
pub fn recorded_deliveries(name: &str) -> Vec<String> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/vectors/gitea-1.26/deliveries"].iter().collect();
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .expect("the recordings")
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .filter(|file| file.contains(name))
        .collect();
    names.sort();
    names
}

/// Fails with the differing places where `ours` is not like `recorded`.
pub fn assert_like(what: &str, recorded: &Value, ours: &Value, base: &str) {
    let mask = Mask::new();
    let recorded = mask.value("", recorded, "https://git.example.org");
    let ours = mask.value("", ours, base);
    let mut differences = Vec::new();
    compare("", &recorded, &ours, &mut differences);
    assert!(differences.is_empty(), "{what} is not like the recording:\n{}", differences.join("\n"));
}

struct Mask {
    hash: Regex,
    time: Regex,
    number: Regex,
    noreply: Regex,
}

impl Mask {
    fn new() -> Self {
        let regex = |text: &str| Regex::new(text).expect("a regular expression");
        Self {
            hash: regex("[0-9a-f]{40}"),
            time: regex(r"^2\d\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$"),
            noreply: regex(r"^\d+(\+.*@noreply\.).*$"),
            number: regex(r"(pulls?/|issues/|issuecomment-|\(#)\d+"),
        }
    }

    fn value(&self, key: &str, value: &Value, base: &str) -> Value {
        match value {
            Value::Object(object) => {
                let masked = object.iter().map(|(key, value)| (key.clone(), self.value(key, value, base)));
                Value::Object(masked.collect::<Map<_, _>>())
            }
            Value::Array(items) => items.iter().map(|item| self.value(key, item, base)).collect(),
            Value::String(_) | Value::Number(_) if MASKED.contains(&key) => "<masked>".into(),
            // A number of a repository, or that there is none.
            Value::Number(number) if key == "repo_id" => (number.as_i64() == Some(-1)).into(),
            Value::String(text) => self.text(text, base).into(),
            other => other.clone(),
        }
    }

    fn text(&self, text: &str, base: &str) -> String {
        let zeros = "0".repeat(40);
        let text = text.replace(base, "<forge>").replace(&zeros, "<zeros>");
        let text = self.hash.replace_all(&text, "<hash>");
        let text = self.time.replace(&text, "<time>");
        let text = self.noreply.replace(&text, "<id>${1}<host>");
        self.number.replace_all(&text, "${1}<number>").into_owned()
    }
}

fn compare(at: &str, recorded: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            for (key, value) in recorded {
                match ours.get(key) {
                    Some(other) => compare(&format!("{at}/{key}"), value, other, differences),
                    None => differences.push(format!("{at}/{key} is missing")),
                }
            }
            differences.extend(
                ours.keys().filter(|key| !recorded.contains_key(*key)).map(|key| format!("{at}/{key} is more")),
            );
        }
        (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => {
            for (index, (recorded, ours)) in recorded.iter().zip(ours).enumerate() {
                compare(&format!("{at}/{index}"), recorded, ours, differences);
            }
        }
        _ if recorded == ours => {}
        _ => differences.push(format!("{at}: recorded {recorded}, ours {ours}")),
    }
}
