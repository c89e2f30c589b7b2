//! Nonsense said to each command: one message that names it, an exit code that is not 0, never a backtrace, and nothing written.

use crate::world::type_in;

/// A configuration that can be used, of a forge that nobody runs.
const CONFIG: &str = "\
[server]
public_url = \"http://127.0.0.1:1\"
[forge.main]
kind = \"gitea\"
url = \"http://127.0.0.1:1\"
[[gate]]
name = \"g\"
source = { forge = \"main\", repo = \"m/t\", branch = \"main\" }
consumer = { forge = \"main\", repo = \"m/c\", branches = [\"main\"] }
binding = { pin = \"ref\", whole = true }
[[gate.check]]
kind = \"pin\"
";

/// The forge, the repositories and the address that `init` needs to come to its other arguments.
const SIDES: &str = "--forge-url http://127.0.0.1:1 --consumer a/b --source c/d --public-url http://x.example.org";

/// Words, the exit code, and what must be said.
#[rustfmt::skip]
const SAID: [(&str, i32, &str); 68] = [
    ("", 2, "Usage: drift-gate <COMMAND>"),
    ("nonsense", 2, "unrecognized subcommand 'nonsense'"),
    ("--format json", 2, "unexpected argument '--format'"),
    ("check --config good.toml", 2, "where is the source m/t of gate `g`?"),
    ("check --config good.toml --source", 2, "a value is required for '--source"),
    ("check --config good.toml --source nowhere", 2, "--source nowhere: no such folder"),
    ("check --config good.toml --source folder --consumer binary", 2, "--consumer binary: not a folder"),
    ("check --config good.toml --source folder --gate nope", 2, "no gate is called `nope`; there are: g"),
    ("check --config good.toml --source http://", 2, "--source no address"),
    ("check --config good.toml --source file:///etc", 2, "only http:// and https:// addresses"),
    ("check --config good.toml --source other/repo=folder", 2, "no gate has a source called other/repo"),
    ("check --config good.toml --source folder --format pdf", 2, "invalid value 'pdf'"),
    ("check --config good.toml --source folder --consumer folder --onto x", 2, "--consumer folder: not a git repository"),
    ("check --config good.toml --source folder --onto a --source-onto b", 2, "cannot be used with"),
    ("repair --config good.toml", 2, "where is the source m/t of gate `g`?"),
    ("repair --config good.toml --source nowhere", 2, "--source nowhere: no such folder"),
    ("repair --config good.toml --source folder --gate nope", 2, "no gate is called `nope`"),
    ("repair --config good.toml --source folder --write --consumer-rev x", 2, "cannot be used with"),
    ("repair --config good.toml --source folder --consumer http://127.0.0.1:1/x --write", 2, "--write needs a folder with files"),
    ("tree", 2, "--context <DIR>"),
    ("tree --context folder", 2, "--file <DOCKERFILE>"),
    ("tree --context nowhere --file binary", 2, "nowhere"),
    ("tree --context folder --file nowhere", 2, "--file nowhere: there is no such file"),
    ("tree --context folder --file binary", 3, "the Dockerfile is not UTF-8"),
    ("tree --context folder --file binary --build-arg =x", 2, "write it as NAME=VALUE"),
    ("tree --context folder --file binary --format yaml", 2, "invalid value 'yaml'"),
    ("tree --context folder --file binary --under ../..", 2, "a path of the image has no `..`"),
    ("backtest", 2, "--config <FILE>"),
    ("backtest --config nowhere --consumer folder --source folder", 2, "nowhere: error: cannot be read"),
    ("backtest --config good.toml --consumer folder --source folder", 2, "--consumer folder: not a git repository"),
    ("backtest --config good.toml --consumer folder --source folder --gate nope", 2, "no gate is called `nope`"),
    ("backtest --config good.toml --consumer folder --source folder --format pdf", 2, "invalid value 'pdf'"),
    ("explain nonsense", 2, "no finding is of the kind `nonsense`"),
    ("explain stale drift", 2, "unexpected argument 'drift'"),
    ("demo --exit=maybe", 2, "unexpected value 'maybe' for '--exit'"),
    ("demo --port 80", 2, "unexpected argument '--port'"),
    ("serve --config nowhere", 2, "nowhere: error: cannot be read"),
    ("serve --config folder", 2, "folder: error: cannot be read"),
    ("serve --config binary", 2, "binary:1:1: error: not UTF-8"),
    ("serve --config empty", 2, "empty:1:1: error: the file has no gate"),
    ("serve --config good.toml --log yaml", 2, "invalid value 'yaml'"),
    ("store", 2, "Usage: drift-gate store <COMMAND>"),
    ("store burn", 2, "unrecognized subcommand 'burn'"),
    ("store backup", 2, "<FILE>"),
    ("store backup folder --config good.toml", 3, "there is no file drift-gate.db"),
    ("store check --config binary", 2, "binary:1:1: error: not UTF-8"),
    ("store check --config good.toml", 3, "there is no file drift-gate.db"),
    ("store prune --config good.toml", 3, "there is no file drift-gate.db"),
    ("status --config nowhere", 2, "nowhere: error: cannot be read"),
    ("status --config good.toml --url no-address", 2, "--url is the address of a service"),
    ("status --config good.toml --url ftp://x", 2, "--url is the address of a service"),
    ("status --url http://127.0.0.1:1", 3, "no service answers at http://127.0.0.1:1"),
    ("status --url http://127.0.0.1:1 --token-env NOT_SET", 2, "environment variable NOT_SET is not set"),
    ("config", 2, "Usage: drift-gate config <COMMAND>"),
    ("config check nowhere", 2, "nowhere: error: cannot be read"),
    ("config check empty", 2, "the file has no gate"),
    ("config example good.toml", 2, "unexpected argument 'good.toml'"),
    ("doctor --config binary", 2, "binary:1:1: error: not UTF-8"),
    ("doctor --config good.toml --format yaml", 2, "invalid value 'yaml'"),
    ("doctor --config good.toml --fix=maybe", 2, "unexpected value 'maybe' for '--fix'"),
    ("init --app-id one", 2, "invalid value 'one' for '--app-id <NUMBER>'"),
    ("init --app-id 0", 2, "invalid value '0' for '--app-id <NUMBER>'"),
    ("init --app-id 1 --token-file binary", 2, "cannot be used with"),
    ("init --app-key-file binary", 2, "--app-id <NUMBER>"),
    ("init --forge-kind github {SIDES} --app-id 1", 2, "where is the App's private key? say --app-key-file FILE or --app-key-env VARIABLE"),
    ("init --forge-kind github {SIDES} --app-id 1 --app-key-file binary", 2, "the App's private key: file binary is not UTF-8 text"),
    ("init --forge-kind gitea {SIDES} --app-id 1 --app-key-file binary", 2, "--app-id is a GitHub App's"),
    ("init --forge-kind gitea {SIDES} --source a/b --token-file good.toml", 2, "a/b is named as consumer and as source"),
];

#[test]
fn nonsense_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("folder")).expect("a folder");
    for (file, bytes) in [("good.toml", CONFIG.as_bytes()), ("binary", b"\xff\xfe"), ("empty", b"")] {
        std::fs::write(folder.path().join(file), bytes).expect("written");
    }
    for (words, code, expected) in SAID {
        let words = words.replace("{SIDES}", SIDES);
        let said = type_in(folder.path(), &words.split_whitespace().collect::<Vec<_>>());
        let all = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, code, "{words}: {all}");
        assert!(all.contains(expected), "`{words}` does not say `{expected}`:\n{all}");
        assert!(!all.contains("panicked") && !all.contains("RUST_BACKTRACE"), "{words}: {all}");
    }
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["binary", "empty", "folder", "good.toml"]);
}
