//! The examples for a consumer's own CI: YAML that parses, and lines that do what they should when a shell runs them as written.

use std::path::Path;
use std::process::Command;

use drift_gate::demo::scene::{self, CORE, TEMPLATE};
use granit_parser::{Event, Parser};
use serde_json::{Map, Value};

use crate::world::World;

const EXAMPLES: [&str; 3] = ["gitea-actions.yml", "github-actions.yml", "woodpecker.yml"];

/// A document of YAML, all scalars as texts.
fn yaml(text: &str) -> Value {
    enum Open {
        List(Vec<Value>),
        Object(Map<String, Value>, Option<String>),
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    for next in Parser::new_from_str(text) {
        let (event, _) = next.expect("YAML");
        let done = match event {
            Event::Scalar(text, ..) => Value::String(text.to_string()),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Object(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().expect("something open") {
                Open::List(items) => Value::Array(items),
                Open::Object(members, _) => Value::Object(members),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => root = done,
            Some(Open::List(items)) => items.push(done),
            Some(Open::Object(members, key)) => match key.take() {
                None => *key = Some(done.as_str().expect("a key").to_owned()),
                Some(name) => assert!(members.insert(name.clone(), done).is_none(), "`{name}` stands there twice"),
            },
        }
    }
    root
}

/// What the shell is given: the `run` of the last step, or the commands.
fn script(example: &Value) -> String {
    let steps = example["jobs"]["check"]["steps"].as_array().or(example["steps"].as_array()).expect("steps");
    let step = steps.last().expect("a step");
    match &step["commands"] {
        Value::Array(commands) => commands.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        _ => step["run"].as_str().expect("a line").to_owned(),
    }
}

/// Runs a script as a runner does: in the checkout, and it ends at the first command that fails.
fn run(script: &str, checkout: &Path, world: &World) -> (i32, String) {
    let program = assert_cmd::cargo::cargo_bin!("drift-gate");
    let bin = program.parent().expect("a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("a PATH"));
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(checkout)
        .env("PATH", path)
        .env("GITHUB_BASE_REF", "main")
        .env("CI_COMMIT_TARGET_BRANCH", "main")
        .env("TEMPLATE", format!("{}/{TEMPLATE}", world.host.base()))
        .env("DRIFT_GATE_TOKEN", &world.bot.token)
        .env("XDG_CACHE_HOME", world.path("cache"))
        .output()
        .expect("a shell");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("no signal"), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_parse_and_their_lines_fail_on_drift_and_pass_without() {
    let world = World::new().await;
    world.init(&["--pull-request"]).is(0);
    let pulls = world.admin.get(&format!("/repos/{CORE}/pulls?state=open")).await;
    world.admin.merge(CORE, pulls[0]["number"].as_u64().expect("a number")).await;
    let broken = scene::bakes_no_prompts();
    world.admin.commit_new(CORE, "main", "tidy", &[(scene::DOCKERFILE, Some(&broken))]).await;
    world.admin.commit_new(CORE, "main", "notes", &[("notes.md", Some("x\n"))]).await;
    let checkout = world.path("checkout");
    let url = format!("{}/{CORE}.git", world.host.base());
    let git = |words: &[&str]| {
        let done = Command::new("git").arg("-C").arg(&checkout).args(words).status().expect("git runs");
        assert!(done.success(), "{words:?}");
    };
    std::fs::create_dir(&checkout).expect("a folder");
    git(&["clone", "--quiet", &url, "."]);
    for name in EXAMPLES {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ci").join(name));
        let script = script(&yaml(&text.expect("the example")));
        assert!(script.contains("drift-gate check --onto"), "{name}: {script}");
        git(&["checkout", "--quiet", "--detach", "origin/tidy"]);
        let (code, said) = run(&script, &checkout, &world);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains("prompts/concierge.md"), "{name}: {said}");
        if script.contains("annotations") {
            assert!(said.contains("::error file=workspace-server/Dockerfile.platform-agent"), "{name}: {said}");
        }
        git(&["checkout", "--quiet", "--detach", "origin/notes"]);
        let (code, said) = run(&script, &checkout, &world);
        assert_eq!(code, 0, "{name}: {said}");
    }
}
