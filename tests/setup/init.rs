//! What init proposes from what it finds.

use drift_gate::demo::scene::{CORE, DOCKERFILE, TEMPLATE};
use serde_json::{Value, json};

use crate::folders;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_is_not_overwritten_unasked() {
    let world = World::new().await;
    world.init(&[]).is(0);
    let before = world.config();
    let said = world.init(&[]).is(2);
    assert_eq!(
        said,
        "error: drift-gate.toml is there already: name another file with --output, or overwrite it with --force\n"
    );
    assert_eq!(world.config(), before);
    world.init(&["--output", "other.toml"]).is(0);
    assert_eq!(std::fs::read_to_string(world.path("other.toml")).expect("written"), before);
    std::fs::write(world.path("drift-gate.toml"), "# mine\n".repeat(1_000)).expect("written");
    world.init(&["--force"]).is(0);
    assert_eq!(world.config(), before, "nothing of the longer file is left");
    world.type_in(&["config", "check", "drift-gate.toml"]).is(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_of_now_is_shown_also_where_it_is_drift() {
    let world = World::new().await;
    world
        .admin
        .commit(TEMPLATE, "main", &[("skills/triage.md", Some("# Triage\n")), ("config.yaml", Some("name: x\n"))])
        .await;
    let said = world.init(&[]).is(0);
    assert!(said.contains("drift[stale]") && said.contains("config.yaml"), "{said}");
    // The pinned commit has no skills yet; at the head nobody said whether the image should have them.
    let check = world.type_in(&[
        "check",
        "--config",
        "drift-gate.toml",
        "--consumer",
        &format!("{}/{CORE}", world.host.base()),
        "--source",
        &format!("{}/{TEMPLATE}", world.host.base()),
        "--format",
        "json",
    ]);
    assert!(check.is(1).contains("\"stale\""), "the same verdict as check's");
}

#[test]
fn folders_are_read_without_asking_any_forge() {
    let world = folders::World::in_sync();
    let init = |source: &str| {
        let mut command = folders::command(world.folder.path());
        command.args(["init", "--forge-kind", "github", "--forge-url", "https://github.com"]);
        command.args(["--consumer", "molecule/core", "--source", "molecule/template", "--consumer-dir", "core"]);
        command.args(["--source-dir", source, "--public-url", "https://gate.example.org", "--force"]);
        folders::said(command.env_remove("DRIFT_GATE_TOKEN")).is(0)
    };
    let said = init("template");
    assert!(said.contains("in sync"), "{said}");
    let config = std::fs::read_to_string(world.path("drift-gate.toml")).expect("written");
    for line in [
        "kind = \"github\"\nurl = \"https://github.com\"",
        "token = { env = \"DRIFT_GATE_TOKEN\" }",
        "at = \"templates[name=agent].ref\", require = { \"repo\" = \"molecule/template\" }",
    ] {
        assert!(config.contains(line), "no `{line}` in\n{config}");
    }
    // A folder without a history has every commit and none: there only what names the source beside it is its pin.
    let other = "2".repeat(40);
    world.core.write("other.json", format!("{{\"plugin\": {{\"ref\": \"{other}\"}}}}\n"));
    world.plain_template();
    let said = init("plain");
    assert!(said.contains("templates[name=agent].ref"), "{said}");
    let config = std::fs::read_to_string(world.path("drift-gate.toml")).expect("written");
    assert!(!config.contains("other.json"), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_without_a_pin_follows_and_one_that_bakes_nothing_is_told_so() {
    let world = World::new().await;
    world.admin.commit(CORE, "main", &[("manifest.json", None)]).await;
    let said = world.init(&[]).is(0);
    assert!(said.contains("pins no commit of it: the head of main counts"), "{said}");
    assert!(world.config().contains("binding = { follow = true }"), "{}", world.config());
    world.admin.commit(CORE, "main", &[(DOCKERFILE, None)]).await;
    let said = world.init(&["--force"]).is(3);
    assert!(said.contains("nothing in molecule/core takes files of molecule/platform-agent-template"), "{said}");
}

/// Long enough to be no file that is equal by chance.
fn schema(name: &str) -> String {
    let fields: Vec<String> = (0..20).map(|n| format!("  \"{name}-{n}\": \"text\"")).collect();
    format!("{{\n{}\n}}\n", fields.join(",\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_files_are_proposed_in_a_gate_of_their_own_with_its_verdict() {
    let world = World::new().await;
    let [one, two, request, agent] = ["one", "two", "request", "agent"].map(schema);
    let licence = "Do as you like.\n".repeat(20);
    let template = [
        ("fixtures/one.json", Some(one.as_str())),
        ("fixtures/deep/two.json", Some(&two)),
        ("request.schema.json", Some(&request)),
        ("agent.schema.json", Some(&agent)),
        ("LICENSE", Some(&licence)),
    ];
    let head = world.admin.commit(TEMPLATE, "main", &template).await;
    let manifest = drift_gate::demo::scene::manifest(&head);
    let core = [
        ("manifest.json", Some(manifest.as_str())),
        ("tests/fixtures/one.json", Some(&one)),
        ("tests/fixtures/deep/two.json", Some(&two)),
        ("internal/request.schema.json", Some(&request)),
        ("canvas/request.schema.json", Some(&request)),
        ("internal/agent.json", Some(&agent)),
        ("LICENSE", Some(&licence)),
    ];
    world.admin.commit(CORE, "main", &core).await;
    let said = world.init(&[]).is(0);
    let (bake, copies) = said.split_once("molecule/core has copies of files of").expect("two gates");
    assert!(bake.contains("The gate `platform-agent-template` says now:"), "{said}");
    assert!(copies.contains("The gate `platform-agent-template-copies` says now:"), "{said}");
    assert!(copies.contains("in sync"), "{said}");
    let text = world.config();
    let config = toml_of(&text);
    let gate = &config["gate"][1];
    assert_eq!(gate["name"], "platform-agent-template-copies");
    assert_eq!(gate["binding"], config["gate"][0]["binding"], "they are of the pinned commit");
    assert_eq!(
        gate["check"],
        json!([
            { "kind": "mirror", "file": "request.schema.json",
              "copies": ["canvas/request.schema.json", "internal/request.schema.json"] },
            { "kind": "mirror", "folder": "fixtures", "copies": ["tests/fixtures"] },
        ])
    );
    // What has another name is for a person: the lines are there to be taken in.
    let unsure =
        "#[[gate.check]]\n#kind = \"mirror\"\n#file = \"agent.schema.json\"\n#copies = [\"internal/agent.json\"]\n";
    assert!(text.contains(unsure), "{text}");
    assert!(!text.contains("LICENSE\"]"), "what is equal everywhere is no copy: {text}");
    std::fs::write(
        world.path("drift-gate.toml"),
        text.replace("\n#[[gate", "\n[[gate")
            .replace("\n#kind", "\nkind")
            .replace("\n#file", "\nfile")
            .replace("\n#copies", "\ncopies"),
    )
    .expect("written");
    world.type_in(&["config", "check", "drift-gate.toml"]).is(0);

    // Someone edits a copy of the folder: what is equal still is proposed as such.
    world.admin.commit(CORE, "main", &[("tests/fixtures/one.json", Some(&schema("mine")))]).await;
    world.init(&["--force"]).is(0);
    let config = toml_of(&world.config());
    assert_eq!(
        config["gate"][1]["check"][0],
        json!({ "kind": "mirror", "file": "fixtures/deep/two.json", "copies": ["tests/fixtures/deep/two.json"] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_a_gate_where_nothing_else_is_bound_by_it() {
    let world = World::new().await;
    world.admin.commit(CORE, "main", &[(DOCKERFILE, None)]).await;
    let said = world.init(&[]).is(0);
    assert!(said.contains("molecule/core names a commit of molecule/platform-agent-template"), "{said}");
    assert!(said.contains("The gate `platform-agent-template-pin` says now:"), "{said}");
    assert!(said.contains("in sync"), "{said}");
    let config = toml_of(&world.config());
    assert_eq!(config["gate"][0]["check"], json!([{ "kind": "pin" }]));
    // The source moves on: the pin is behind, and the proposal says so.
    world.admin.commit(TEMPLATE, "main", &[("config.yaml", Some("name: x\n"))]).await;
    let said = world.init(&["--force"]).is(0);
    assert!(said.contains("drift[stale]"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumer_gets_its_own_file_by_a_pull_request_and_only_one() {
    let world = World::new().await;
    let said = world.init(&["--pull-request"]).is(0);
    assert!(said.contains("proposes .drift-gate.toml"), "{said}");
    assert!(said.contains("[[repository]]\nforge = \"main\"\nrepo = \"molecule/core\""), "{said}");
    assert!(!world.path("drift-gate.toml").exists());
    let pulls = world.admin.get(&format!("/repos/{CORE}/pulls?state=open")).await;
    assert_eq!(pulls.as_array().map(Vec::len), Some(1), "{pulls}");
    assert_eq!(pulls[0]["title"], "Gates for drift-gate");
    let file = world.admin.get(&format!("/repos/{CORE}/contents/.drift-gate.toml?ref=drift-gate/init")).await;
    let content = file["content"].as_str().expect("content").replace('\n', "");
    let text = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, content).expect("base64");
    let text = String::from_utf8(text).expect("text");
    assert!(
        text.contains(&format!("source = {{ url = \"{}/{TEMPLATE}\", branch = \"main\" }}", world.host.base())),
        "{text}"
    );
    assert!(!text.contains("consumer ="), "{text}");

    let said = world.init(&["--pull-request"]).is(0);
    assert!(said.contains("is open already"), "{said}");
    let number = pulls[0]["number"].clone();
    world.admin.merge(CORE, number.as_u64().expect("a number")).await;
    let said = world.init(&["--pull-request"]).is(2);
    assert!(said.contains("molecule/core has a .drift-gate.toml on main already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_private_source_are_not_named_in_a_public_consumer_unasked() {
    let world = World::new().await;
    world.admin.call("PATCH", &format!("/repos/{TEMPLATE}"), json!({ "private": true })).await;
    let said = world.init(&["--pull-request"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("molecule/platform-agent-template is private and molecule/core is not"), "{said:?}");
    assert_eq!(world.admin.get(&format!("/repos/{CORE}/pulls?state=all")).await, json!([]));
    world.init(&["--pull-request", "--force"]).is(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_stays_inside_its_string_and_its_comment() {
    let world = World::new().await;
    let evil = "evil\"\n[server]\u{202e}";
    let pin = json!({ evil: { "ref": world.template_head } }).to_string();
    world.admin.commit(CORE, "main", &[("manifest.json", None), ("pins.json", Some(&pin))]).await;
    let said = world.init(&[]).is(0);
    assert!(!said.contains('\u{202e}'), "{said}");
    let config: Value = toml_of(&world.config());
    let at = config["gate"][0]["binding"]["at"].as_str().expect("a path").to_owned();
    assert!(at.contains("evil"), "{at}");
    assert_eq!(config["server"]["public_url"].as_str(), Some(world.url.as_str()));
}

fn toml_of(text: &str) -> Value {
    let value: toml::Value = toml::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    serde_json::to_value(value).expect("JSON")
}
