//! What people type wrong: one message that names it, the right exit code, never a backtrace, never a secret.

use drift_gate::demo::scene::{CORE, TEMPLATE};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn init_without_a_terminal_names_every_flag_that_is_missing() {
    let world = World::new().await;
    let said = world.type_in(&["init"]).is(2);
    assert_eq!(
        said,
        "error: there is nobody to ask: say --forge-kind, --forge-url, --consumer, --source, --public-url as well; `drift-gate \
         init --help` tells what they are\n"
    );
    let said =
        world.type_in(&["init", "--pull-request", "--forge-kind", "gitea", "--forge-url", "http://127.0.0.1:1"]).is(2);
    assert!(said.contains("say --consumer, --source as well"), "a pull request needs no address of a service: {said}");
    assert!(!world.path("drift-gate.toml").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn init_says_which_answer_is_wrong() {
    let world = World::new().await;
    let base = world.host.base();
    let with = |changes: &[(&str, &str)]| {
        let mut words = vec!["init"];
        for (flag, usual) in [
            ("--forge-kind", "gitea"),
            ("--forge-url", base.as_str()),
            ("--consumer", CORE),
            ("--source", TEMPLATE),
            ("--public-url", "http://gate.example.org"),
            ("--token-file", "token"),
        ] {
            let value = changes.iter().find(|(changed, _)| *changed == flag).map_or(usual, |(_, value)| value);
            words.extend([flag, value]);
        }
        world.type_in(&words)
    };
    for (flag, value, code, said) in [
        ("--forge-kind", "bitbucket", 2, "invalid value 'bitbucket' for '--forge-kind <KIND>'"),
        ("--forge-url", "git.example.org", 2, "--forge-url is an address"),
        ("--forge-url", "ftp://git.example.org", 2, "--forge-url is an address"),
        ("--consumer", "core", 2, "--consumer is a repository as owner/name, and not `core`"),
        ("--consumer", "a/b/c\u{202e}", 2, "and not `a/b/c\\u{202e}`"),
        ("--consumer", "molecule/gone", 2, "--consumer molecule/gone: GET "),
        ("--source", "molecule/gone", 2, "not found"),
        ("--public-url", "gate", 2, "--public-url is an address"),
        ("--token-file", "nowhere", 2, "the token: file nowhere cannot be read"),
        ("--forge-url", "http://127.0.0.1:1", 3, "no connection"),
    ] {
        let told = with(&[(flag, value)]).is(code);
        assert!(told.contains(said), "{flag} {value}: {told}");
    }
    let with_password = base.replace("http://", "http://me:hunter2@");
    let told = with(&[("--forge-url", &with_password)]).is(2);
    assert!(told.contains("no login in it") && !told.contains("hunter2"), "{told}");
    // Another program answers there, or the other dialect.
    let told = with(&[("--forge-url", &format!("{base}/nowhere"))]).is(2);
    assert!(told.contains("no Gitea and no Forgejo answers there"), "{told}");
    std::fs::write(world.path("wrong"), "0123456789012345678901234567890123456789\n").expect("written");
    let told = with(&[("--token-file", "wrong")]).is(2);
    assert!(told.contains("401"), "{told}");
    assert!(!told.contains("01234567890"), "{told}");
    assert!(!world.path("drift-gate.toml").exists(), "nothing is written where something is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_never_an_argument() {
    let world = World::new().await;
    let words = [
        "init",
        "--forge-kind",
        "gitea",
        "--forge-url",
        "http://127.0.0.1:1",
        "--consumer",
        CORE,
        "--source",
        TEMPLATE,
    ];
    let said = world.type_in(&[&words[..], &["--public-url", "http://gate.example.org"]].concat()).is(2);
    assert!(said.contains("set DRIFT_GATE_TOKEN, or say --token-env VARIABLE or --token-file FILE"), "{said}");
    let said = world.type_in(&["init", "--token", "abc"]).is(2);
    assert!(said.contains("unexpected argument '--token'"), "{said}");
    let said = world.type_in(&["init", "--token-env", "NOT_SET", "--token-file", "token"]).is(2);
    assert!(said.contains("cannot be used with"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_with_how_it_was_asked() {
    let world = World::configured().await;
    let said = world.doctor(&["--config", "nowhere.toml"]).is(2);
    assert!(said.starts_with("nowhere.toml: error: cannot be read"), "{said}");
    let said = world.doctor(&["--protect"]).is(2);
    assert!(said.contains("--fix"), "{said}");
    let said = world.doctor(&["--format", "xml"]).is(2);
    assert!(said.contains("invalid value 'xml'"), "{said}");
    let mut command = world.command();
    let output = command.arg("doctor").env_remove("DRIFT_GATE_WEBHOOK_SECRET").output().expect("it runs");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("environment variable DRIFT_GATE_WEBHOOK_SECRET is not set"), "{said}");
    std::fs::write(world.path("drift-gate.toml"), "[[gate]]\n").expect("written");
    world.doctor(&[]).is(2);
}
