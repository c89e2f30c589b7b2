//! `drift-gate config`, and how `serve` begins.

use crate::world::{GATE, Said, World, command, said, type_in};

#[test]
fn the_example_is_a_configuration_to_begin_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = type_in(folder.path(), &["config", "example"]).is(0);
    std::fs::write(folder.path().join("drift-gate.toml"), &example).expect("written");
    assert_eq!(
        type_in(folder.path(), &["config", "check", "drift-gate.toml"]).is(0),
        "drift-gate.toml: ok, 1 gate: platform-agent-identity\n"
    );
    assert_eq!(
        type_in(folder.path(), &["config", "check"]).is(0),
        "drift-gate.toml: ok, 1 gate: platform-agent-identity\n"
    );
}

#[test]
fn the_schema_is_json_for_editors() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema: serde_json::Value =
        serde_json::from_str(&type_in(folder.path(), &["config", "schema"]).is(0)).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_file_of_a_repository_needs_no_service() {
    let world = World::in_sync();
    assert_eq!(type_in(&world.core.dir, &["config", "check"]).is(0), ".drift-gate.toml: ok, 1 gate: identity\n");
    // The same text as the service's own says what is missing for that.
    world.core.write("drift-gate.toml", GATE);
    let words = type_in(&world.core.dir, &["config", "check", "drift-gate.toml"]).is(2);
    assert!(
        words.starts_with("drift-gate.toml:1:1: error: [server] has no `public_url`: statuses would link nowhere\n"),
        "{words}"
    );
    assert!(words.contains("drift-gate.toml:1:1: error: [[gate]] has no `consumer`\n"), "{words}");
    assert!(
        words.contains("drift-gate.toml:3:18: error: the service needs a source on one of its forges\n"),
        "{words}"
    );
}

#[test]
fn nobody_needs_the_secrets_to_check_a_configuration_but_the_service_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = type_in(folder.path(), &["config", "example"]).is(0);
    let file = folder.path().join("drift-gate.toml");
    std::fs::write(&file, &example).expect("written");
    let line = |text: &str| 1 + example.lines().position(|line| line.contains(text)).expect("a line");
    let serve = |token: Option<&str>, secret: Option<&str>| {
        let mut serve = command(folder.path());
        serve.arg("serve").env_remove("DRIFT_GATE_TOKEN").env_remove("DRIFT_GATE_WEBHOOK_SECRET");
        token.map(|value| serve.env("DRIFT_GATE_TOKEN", value));
        secret.map(|value| serve.env("DRIFT_GATE_WEBHOOK_SECRET", value));
        said(&mut serve).is(2)
    };
    let words = serve(None, None);
    let expected = format!(
        "\
drift-gate.toml:{line}:9: error: environment variable DRIFT_GATE_TOKEN is not set
   |
{line} | token = {{ env = \"DRIFT_GATE_TOKEN\" }}
   |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
   = help: set DRIFT_GATE_TOKEN in the environment of the service, or name another place
",
        line = line("token = { env = \"DRIFT_GATE_TOKEN\" }")
    );
    assert!(words.starts_with(&expected), "{words}");
    let second = format!(
        "drift-gate.toml:{}:20: error: environment variable DRIFT_GATE_WEBHOOK_SECRET is not set\n",
        line("webhook_secrets = ")
    );
    assert!(words.contains(&second), "{words}");
    // An empty one signs nothing; the one that is there is not shown.
    let words = serve(Some("hunter2"), Some(""));
    assert!(words.contains("environment variable DRIFT_GATE_WEBHOOK_SECRET is empty"), "{words}");
    assert!(!words.contains("hunter2") && !words.contains("DRIFT_GATE_TOKEN is"), "{words}");
}

#[test]
fn a_service_without_a_configuration_says_how_to_begin() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = type_in(folder.path(), &["serve"]).is(2);
    assert_eq!(
        words,
        "drift-gate.toml: error: cannot be read: No such file or directory (os error 2)\n  = help: name the configuration; `drift-gate config example` prints one to begin with\n"
    );
}

#[test]
fn a_database_that_is_none_is_said_at_once_and_once_and_without_colours() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = type_in(folder.path(), &["config", "example"]).is(0);
    std::fs::write(folder.path().join("drift-gate.toml"), example).expect("written");
    std::fs::write(folder.path().join("drift-gate.db"), "this is a letter\n".repeat(500)).expect("written");
    let mut serve = command(folder.path());
    serve.arg("serve").env("DRIFT_GATE_TOKEN", "hunter2").env("DRIFT_GATE_WEBHOOK_SECRET", "hunter3");
    let Said { code, err: words, .. } = said(&mut serve);
    assert_eq!(code, 3, "{words}");
    assert_eq!(words.matches("file is not a database").count(), 1, "{words}");
    assert!(words.contains("error: store.url sqlite://drift-gate.db: ") && !words.contains('\u{1b}'), "{words}");
}

#[test]
fn what_the_service_does_not_take_from_a_repository_is_told_though_a_laptop_takes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = |more: &str| {
        let text = format!(
            "[[gate]]\nname = \"copies\"\nsource = {{ url = \"https://git.example.org/m/source\", branch = \"main\" }}\n\
             binding = {{ follow = true }}\n{more}[[gate.check]]\nkind = \"mirror\"\nfile = \"a.json\"\ncopies = [\"b.json\"]\n"
        );
        std::fs::write(folder.path().join(".drift-gate.toml"), text).expect("written");
        type_in(folder.path(), &["config", "check"]).is(0)
    };
    assert_eq!(gate(""), ".drift-gate.toml: ok, 1 gate: copies\n");
    for (more, why) in [
        ("quote = \"always\"\n", "`quote = \"always\"` is not for a repository to say"),
        ("context = \"mine\"\n", "`context` is not one that a repository's own gate may have"),
        ("[[gate.repair]]\nkind = \"mirror\"\nto = \"source\"\n", "`to = \"source\"` is not for a repository to say"),
    ] {
        let said = gate(more);
        assert!(said.contains("note: a laptop takes it, the service does not take it from a repository:\n"), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
