//! The examples for a consumer's own CI: YAML that parses, and lines that do what they should when a shell runs them as written.

use std::path::Path;
use std::process::Command;

use drift_gate::demo::scene::{self, CORE, TEMPLATE};
use granit_parser::{Event, Parser};
use serde_json::{Map, Value};

use crate::folders::Repo;
use crate::world::World;

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
    run_without(&[], script, checkout, world)
}

/// The same where these variables are not set.
fn run_without(unset: &[&str], script: &str, checkout: &Path, world: &World) -> (i32, String) {
    let program = assert_cmd::cargo::cargo_bin!("drift-gate");
    let bin = program.parent().expect("a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("a PATH"));
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .current_dir(checkout)
        .env("PATH", path)
        .env("GITHUB_BASE_REF", "main")
        .env("CI_COMMIT_TARGET_BRANCH", "main")
        .env("TEMPLATE", format!("{}/{TEMPLATE}", world.host.base()))
        .env("DRIFT_GATE_TOKEN", &world.bot.token)
        .env("XDG_CACHE_HOME", world.path("cache"));
    for variable in unset {
        command.env_remove(variable);
    }
    let output = command.output().expect("a shell");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("no signal"), said)
}

fn document(name: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ci").join(name));
    yaml(&text.expect("the example"))
}

/// The script of an example.
fn example(name: &str) -> String {
    let script = script(&document(name));
    assert!(script.contains("drift-gate check --onto"), "{name}: {script}");
    script
}

/// A checkout of core with its own file of gates on `origin/main`; `change` is on the branch that is checked out.
async fn checkout(world: &World, name: &str, change: (&str, &str)) -> Repo {
    let file = format!("/repos/{CORE}/contents/.drift-gate.toml?ref=drift-gate/init");
    if world.admin.try_call("GET", &file, Value::Null).await.0 != 200 {
        world.init(&["--pull-request"]).is(0);
    }
    let content = world.admin.get(&file).await["content"].as_str().expect("content").replace('\n', "");
    let gates = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, content).expect("base64");
    let core = Repo::new(&world.path(name));
    core.write("manifest.json", scene::manifest(&world.template_head));
    core.write(scene::DOCKERFILE, scene::BAKES);
    core.write(".drift-gate.toml", gates);
    core.commit();
    let git = git2::Repository::open(&core.dir).expect("a repository");
    let main = git.refname_to_id("refs/heads/main").expect("main");
    git.reference("refs/remotes/origin/main", main, true, "fetched").expect("a reference");
    core.branch("change");
    core.write(change.0, change.1);
    core.commit();
    core
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_parse_and_their_lines_fail_on_drift_and_pass_without() {
    let world = World::new().await;
    let broken = scene::bakes_no_prompts();
    let drifts = checkout(&world, "drifts", (scene::DOCKERFILE, &broken)).await;
    let passes = checkout(&world, "passes", ("notes.md", "x\n")).await;
    for name in ["gitea-actions.yml", "github-actions.yml"] {
        let script = example(name);
        let (code, said) = run(&script, &drifts.dir, &world);
        assert_eq!(code, 1, "{name}: {said}");
        assert!(said.contains("::error file=workspace-server/Dockerfile.platform-agent"), "{name}: {said}");
        assert!(said.contains("prompts/concierge.md"), "{name}: {said}");
        let (code, said) = run(&script, &passes.dir, &world);
        assert_eq!(code, 0, "{name}: {said}");
    }
    // A candidate of GitHub's merge queue has no base branch in its environment.
    let (code, said) = run_without(&["GITHUB_BASE_REF"], &example("github-actions.yml"), &drifts.dir, &world);
    assert!(code == 1 && said.contains("prompts/concierge.md"), "{code}: {said}");
    // This one fetches the base branch itself, which another test does.
    example("woodpecker.yml");
}

#[test]
fn the_examples_run_for_pull_requests_on_a_whole_checkout() {
    for name in ["gitea-actions.yml", "github-actions.yml"] {
        let example = document(name);
        assert!(example["on"].get("pull_request").is_some(), "{name}: {example}");
        let checkout = &example["jobs"]["check"]["steps"][0];
        assert!(
            checkout["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@")),
            "{name}: {checkout}"
        );
        assert_eq!(checkout["with"]["fetch-depth"], "0", "{name}: the history is judged");
    }
    let github = document("github-actions.yml");
    assert!(github["on"].get("merge_group").is_some(), "a queue waits for each required job");
    assert_eq!(github["permissions"], serde_json::json!({ "contents": "read" }));
    let woodpecker = document("woodpecker.yml");
    assert_eq!(woodpecker["when"][0]["event"], "pull_request");
    assert_eq!(woodpecker["clone"]["git"]["settings"]["partial"], "false");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_a_private_source_is_undecided_and_never_green() {
    let world = World::new().await;
    let passes = checkout(&world, "passes", ("notes.md", "x\n")).await;
    world.admin.call("PATCH", &format!("/repos/{TEMPLATE}"), serde_json::json!({ "private": true })).await;
    let script = example("gitea-actions.yml");
    let (code, said) = run_without(&["DRIFT_GATE_TOKEN"], &script, &passes.dir, &world);
    assert_eq!(code, 3, "{said}");
    let (code, said) = run(&script, &passes.dir, &world);
    assert_eq!(code, 0, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs git"]
async fn the_example_that_fetches_the_base_branch_runs_in_a_clone() {
    let world = World::new().await;
    let script = example("woodpecker.yml");
    for (name, change, expected) in
        [("drifts", (scene::DOCKERFILE, scene::bakes_no_prompts()), 1), ("passes", ("notes.md", "x\n".to_owned()), 0)]
    {
        let origin = checkout(&world, name, (change.0, &change.1)).await;
        let clone = world.path(&format!("{name}-clone"));
        let mut git = Command::new("git");
        git.args(["clone", "--quiet", "--single-branch", "--branch", "change"]).arg(&origin.dir).arg(&clone);
        assert!(git.status().expect("git runs").success());
        let (code, said) = run(&script, &clone, &world);
        assert_eq!(code, expected, "{name}: {said}");
        assert_eq!(
            said.contains("drift[not-baked]: no instruction bakes prompts/concierge.md"),
            expected == 1,
            "{name}: {said}"
        );
    }
}
