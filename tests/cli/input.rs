//! What people type wrong, and files that are not what they should be: one message, exit code 2, never a backtrace.

use crate::world::{GATE, World, type_in};

#[test]
fn a_place_that_is_not_there_or_not_a_folder_is_named() {
    let world = World::in_sync();
    let check = |words: &[&str]| type_in(&world.core.dir, &[&["check"], words].concat()).is(2);
    assert_eq!(check(&["--source", "../nowhere"]), "error: --source ../nowhere: no such folder\n");
    assert_eq!(
        check(&["--source", "../template/config.yaml"]),
        "error: --source ../template/config.yaml: not a folder\n"
    );
    assert_eq!(
        check(&["--source", "../template", "--consumer", "Dockerfile"]),
        "error: --consumer Dockerfile: not a folder\n"
    );
    world.plain_template();
    assert_eq!(
        check(&["--source", "../plain", "--source-rev", "main"]),
        "error: --source ../plain: not a git repository; give the folder that has `.git`, or a bare repository\n"
    );
}

#[test]
fn a_revision_that_is_not_there_is_named() {
    let world = World::in_sync();
    let said = "no commit `release/9`: no branch, tag or commit has that name\n";
    assert_eq!(world.check(&["--consumer-rev", "release/9"]).is(2), format!("error: --consumer .: {said}"));
    assert_eq!(world.check(&["--source-rev", "release/9"]).is(2), format!("error: --source ../template: {said}"));
    assert_eq!(world.check(&["--onto", "release/9"]).is(2), format!("error: --onto release/9: .: {said}"));
    assert_eq!(
        world.check(&["--source-onto", "release/9"]).is(2),
        format!("error: --source-onto release/9: ../template: {said}")
    );
}

#[test]
fn an_address_that_cannot_be_fetched_is_refused() {
    let world = World::in_sync();
    let said = "only http:// and https:// addresses can be fetched\n";
    let with_password = "ssh://bot:hunter2@git.example.org/molecule/template";
    // The address is not repeated: it holds a password.
    assert_eq!(world.check(&["--consumer", with_password]).is(2), format!("error: --consumer {said}"));
    for source in [with_password.to_owned(), format!("molecule/template={with_password}")] {
        let words = ["check", "--source", &source];
        assert_eq!(type_in(&world.core.dir, &words).is(2), format!("error: --source {said}"));
    }
}

#[test]
fn names_with_spaces_and_other_alphabets_are_names_like_any_other() {
    let world = World::in_sync();
    for name in ["a b", "köln", "模板", "a=b"] {
        let moved = world.path(name);
        std::fs::create_dir(&moved).expect("made");
        world.template.clone_bare(&moved.join("template"));
        let source = format!("../{name}/template");
        assert!(type_in(&world.core.dir, &["check", "--source", &source]).is(0).contains("in sync"), "{name}");
    }
    let gate = GATE.replace("\"config.yaml\"", "\"config.yaml\", \"prompts neu/你好 – ☃.md\"");
    world.configure(&gate);
    let said = world.check(&[]).is(1);
    assert!(said.contains("names prompts neu/你好 – ☃.md, the source does not have it"), "{said}");
}

#[test]
fn a_file_name_that_would_steer_the_terminal_is_shown_not_obeyed() {
    let world = World::in_sync();
    world.template.write("evil\u{1b}[31m\u{202e}.sh", "x\n");
    let said = world.check(&[]).is(1);
    assert!(said.contains("evil<U+001B>[31m<U+202E>.sh"), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said}");
}

#[test]
fn a_configuration_that_would_steer_the_terminal_is_shown_not_obeyed() {
    let world = World::in_sync();
    for text in ["x = \"\u{1b}[31m\u{202e}\"\n".to_owned(), "\"\\u001b[31m\" = 1\n".to_owned(), "\u{7}".repeat(100_000)]
    {
        world.core.write(".drift-gate.toml", text);
        let said = world.check(&[]).is(2);
        assert!(!said.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{said}");
        assert!(said.lines().all(|line| line.chars().count() < 400), "one endless line");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let world = World::in_sync();
    let help = "  = help: name the configuration; `drift-gate config example` prints one to begin with\n";
    for (file, why) in
        [("nowhere.toml", "No such file or directory (os error 2)"), ("..", "Is a directory (os error 21)")]
    {
        let expected = format!("{file}: error: cannot be read: {why}\n{help}");
        assert_eq!(world.check(&["--config", file]).is(2), expected);
        assert_eq!(type_in(&world.core.dir, &["config", "check", file]).is(2), expected);
    }
    std::fs::remove_file(world.core.dir.join(".drift-gate.toml")).expect("removed");
    std::fs::create_dir(world.core.dir.join(".drift-gate.toml")).expect("made");
    assert!(world.check(&[]).is(2).starts_with(".drift-gate.toml: error: cannot be read: Is a directory"));
}

#[test]
fn a_configuration_that_is_not_text_is_pointed_at() {
    let world = World::in_sync();
    let mut bytes = b"[[gate]]\nname = \"caf".to_vec();
    bytes.extend([0xe9, b'"', b'\n']);
    world.core.write(".drift-gate.toml", bytes);
    assert_eq!(
        world.check(&[]).is(2),
        "\
.drift-gate.toml:2:12: error: not UTF-8
  |
2 | name = \"caf\u{fffd}\"
  |            ^
  = help: save the file as UTF-8
"
    );
    world.core.write(".drift-gate.toml", vec![b'#'; (4 << 20) + 1]);
    assert!(world.check(&[]).is(2).starts_with(".drift-gate.toml: error: cannot be read: larger than 4 MiB\n"));
    world.core.write(".drift-gate.toml", "");
    assert!(
        world
            .check(&[])
            .is(2)
            .starts_with(".drift-gate.toml:1:1: error: the file has no gate: nothing would be compared\n")
    );
}

#[test]
fn every_fault_of_a_configuration_is_shown_with_its_line() {
    let world = World::in_sync();
    world.core.write(".drift-gate.toml", GATE.replace("ignore", "ignroe").replace("\"Dockerfile\"", "\"/Dockerfile\""));
    let expected = "\
.drift-gate.toml:6:1: error: unknown key `ignroe` in [[gate]]
  |
6 | ignroe = [\"README.md\"]
  | ^^^^^^
  = help: did you mean `ignore`?

.drift-gate.toml:10:14: error: `dockerfile` is absolute
   |
10 | dockerfile = \"/Dockerfile\"
   |              ^^^^^^^^^^^^^
   = help: write it from the repository's root: `Dockerfile`
";
    assert_eq!(world.check(&[]).is(2), expected);
    assert_eq!(type_in(&world.core.dir, &["config", "check"]).is(2), expected);
}

#[test]
fn files_of_another_system_are_read_all_the_same() {
    let world = World::in_sync();
    world.configure(&format!("\u{feff}{}", GATE.replace('\n', "\r\n")));
    world.core.write("Dockerfile", crate::world::DOCKERFILE.replace('\n', "\r\n"));
    assert!(world.check(&[]).is(0).contains("in sync"));
}

#[test]
fn a_command_or_option_that_does_not_exist_is_named() {
    let world = World::in_sync();
    for (words, said) in [
        (vec!["chekc"], "unrecognized subcommand 'chekc'"),
        (vec!["check", "--sauce", "x"], "unexpected argument '--sauce'"),
        (vec!["check", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>'"),
        (vec!["config", "exmaple"], "unrecognized subcommand 'exmaple'"),
    ] {
        assert!(type_in(&world.core.dir, &words).is(2).contains(said), "{words:?}");
    }
    let help = type_in(&world.core.dir, &["--help"]).is(0);
    assert!(
        help.contains(
            "Exit codes: 0 in sync or done, 1 drift, 2 usage or configuration, 3 undecided or could not run."
        )
    );
    assert_eq!(type_in(&world.core.dir, &["--version"]).is(0), format!("drift-gate {}\n", env!("CARGO_PKG_VERSION")));
}
