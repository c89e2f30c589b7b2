//! Texts that mean nothing or the wrong thing: each with its place and what to write instead.

use super::*;

#[test]
fn names_and_contexts_that_forges_could_not_use_are_refused() {
    each_is_said(&[
        (
            "name = \"agent\"",
            "name = \"platform agent\"",
            "11:8: `name` cannot stand in an address => use letters, digits, `.`, `_` and `-`, at most 100: for example `platform-agent`",
        ),
        ("name = \"agent\"", "name = \"\"", "11:8: `name` is empty => write a name, for example `main`"),
        (
            "name = \"agent\"",
            "name = \"...\"",
            "11:8: `name` cannot stand in an address => use letters, digits, `.`, `_` and `-`, at most 100: for example `main`",
        ),
        (
            "[forge.main]",
            "[forge.\"a/b\"]\nkind = \"gitea\"\nurl = \"https://b.example.org\"\n[forge.main]",
            "4:8: `forge.a/b` cannot stand in an address => use letters, digits, `.`, `_` and `-`, at most 100: for example `a-b`",
        ),
        (
            "ignore = [",
            "context = \"drift-gate (push)\"\nignore = [",
            "16:11: `context` ends with `(push)`, as the statuses of a forge's own workflows do => write `drift-gate`: one status for every event",
        ),
        (
            "ignore = [",
            "context = \"\"\nignore = [",
            "16:11: `context` is empty => write `drift-gate`, or a name that begins with `drift-gate/`",
        ),
        (
            "ignore = [",
            "context = \" drift-gate\"\nignore = [",
            "16:11: `context` has white space around it or control characters in it => write it without them",
        ),
    ]);
}

#[test]
fn a_repository_is_a_known_forge_and_owner_and_name() {
    each_is_said(&[
        (
            "{ forge = \"main\", repo = \"molecule/template\"",
            "{ forge = \"mian\", repo = \"molecule/template\"",
            "12:20: no forge is called `mian` => write `main`, or add a `[forge.mian]`",
        ),
        (
            "repo = \"molecule/template\"",
            "repo = \"template\"",
            "12:35: `repo` is not `owner/name` => write owner and name with one slash, for example `molecule/core`",
        ),
        (
            "repo = \"molecule/template\"",
            "repo = \"https://git.example.org/molecule/template\"",
            "12:35: `repo` is an address, not a name => write `molecule/template`",
        ),
        (
            "repo = \"molecule/template\"",
            "repo = \"molecule/template.git\"",
            "12:35: `repo` ends with `.git`, as addresses do => write `molecule/template`",
        ),
        (
            "repo = \"molecule/template\"",
            "repo = \"molecule/core\"",
            "12:10: the source is the consumer itself => name two repositories: the one that is the truth, and the one that bakes it",
        ),
        (
            "forge = \"main\", repo = \"molecule/template\"",
            "url = \"https://git.example.org/molecule/template\"",
            "12:18: the service needs a source on one of its forges => write `forge` and `repo`; an address stands in a `.drift-gate.toml` only",
        ),
        (
            "repo = \"molecule/template\"",
            "repo = \"molecule/template\", url = \"https://x.example\"",
            "12:10: the source is named twice => keep one: `forge` and `repo`, or `url`",
        ),
        (
            "forge = \"main\", repo = \"molecule/core\", ",
            "",
            r#"13:12: the consumer needs both `forge` and `repo` => write `consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }`"#,
        ),
        (
            "branch = \"main\"",
            "branch = \"release/*\"",
            "12:65: `branch` is not the name of one branch => write a branch's name, for example `main`; globs stand in `consumer.branches`",
        ),
        (
            "branch = \"main\"",
            "branch = \"refs/heads/main\"",
            "12:65: `branch` names a ref => write the branch's name: `main`",
        ),
        (
            "branches = [\"main\"]",
            "branches = [\"refs/heads/main\"]",
            "13:66: `branches` names a ref => write the branch's name: `main`",
        ),
        (
            "branches = [\"main\"]",
            "branches = []",
            r#"13:65: `branches` is empty: nothing would be judged => name the branches to judge: `branches = ["main"]`"#,
        ),
    ]);
}

#[test]
fn an_address_is_whole_and_without_credentials() {
    each_is_said(&[
        (
            "url = \"https://git.example.org/\"",
            "url = \"git.example.org\"",
            "6:7: `url` is no address => write the whole address, for example `https://git.example.org`",
        ),
        (
            "url = \"https://git.example.org/\"",
            "url = \"ssh://git@git.example.org\"",
            "6:7: `url` is not an address over HTTP => write the whole address, for example `https://git.example.org`",
        ),
        (
            "url = \"https://git.example.org/\"",
            "url = \"https://bot:hunter2@git.example.org\"",
            r#"6:7: `url` holds credentials => take them out of the address, and write `token = { env = "DRIFT_GATE_TOKEN" }`"#,
        ),
        (
            "url = \"https://git.example.org/\"",
            "url = \"https://git.example.org/?a=b\"",
            "6:7: `url` has a part behind `?` or `#` => write the address alone",
        ),
        (
            "kind = \"gitea\"\nurl = \"https://git.example.org/\"",
            "kind = \"github\"\nurl = \"https://api.github.com\"",
            "6:7: `url` is not GitHub's root => write `https://github.com`",
        ),
        (
            "kind = \"gitea\"\nurl = \"https://git.example.org/\"",
            "kind = \"github\"\nurl = \"https://ghe.example.org/api/v3\"",
            "6:7: `url` is the address of the API => write `https://ghe.example.org`",
        ),
        (
            "[server]\n",
            "[server]\nlisten = \":8080\"\n",
            "2:10: `listen` is not an IP address with a port => write `0.0.0.0:8080`",
        ),
        (
            "[server]\n",
            "[server]\nlisten = \"localhost:8080\"\n",
            "2:10: `listen` is not an IP address with a port => write `127.0.0.1:8080`",
        ),
        (
            "[forge.main]",
            "[store]\nurl = \"drift-gate.db\"\n[forge.main]",
            "5:7: `url` is no database => write `sqlite://` and a path, for example `sqlite:///var/lib/drift-gate/drift-gate.db`, or `postgres://USER@HOST/DATABASE`",
        ),
        (
            "[forge.main]",
            "[store]\nurl = \"postgres://db.example.org\"\n[forge.main]",
            "5:7: `url` names no database => write `postgres://USER@HOST/DATABASE`; `?host=/run/postgresql` behind it names a folder with a socket",
        ),
        (
            "[forge.main]",
            "[store]\nurl = \"sqlite://:memory:\"\n[forge.main]",
            "5:7: `url` is in memory, which a restart forgets => write `sqlite://` and a path, for example `sqlite:///var/lib/drift-gate/drift-gate.db`, or `postgres://USER@HOST/DATABASE`",
        ),
    ]);
}

#[test]
fn a_path_stays_in_its_repository_and_a_destination_is_absolute() {
    each_is_said(&[
        (
            "dockerfile = \"Dockerfile\"",
            "dockerfile = \"/Dockerfile\"",
            "20:14: `dockerfile` is absolute => write it from the repository's root: `Dockerfile`",
        ),
        (
            "dockerfile = \"Dockerfile\"",
            "dockerfile = \"../Dockerfile\"",
            "20:14: `dockerfile` leaves the repository by `..` => write a path below the repository's root, without `..`",
        ),
        (
            "dockerfile = \"Dockerfile\"",
            "dockerfile = \".\"",
            "20:14: `dockerfile` is the repository's root => name a file or folder in it",
        ),
        (
            "dockerfile = \"Dockerfile\"",
            "dockerfile = 'build\\Dockerfile'",
            r#"20:14: `dockerfile` has `\` in it => write `build/Dockerfile`"#,
        ),
        (
            "source_dir = \".deps/template\"",
            "source_dir = \"a/../../b\"",
            "21:14: `source_dir` leaves the repository by `..` => write a path below the repository's root, without `..`",
        ),
        (
            "source_dir = \".deps/template\"",
            "source_dir = \"\"",
            "21:14: `source_dir` is empty => write a path from the repository's root",
        ),
        (
            "destination = \"/opt/agent\"",
            "context = \"/\"\ndestination = \"/opt/agent\"",
            "22:11: `context` is absolute => write it from the repository's root: `.`",
        ),
        (
            "destination = \"/opt/agent\"",
            "destination = \"opt/agent\"",
            "22:15: `destination` is relative => write where it is in the image: `/opt/agent`",
        ),
        (
            "destination = \"/opt/agent\"",
            "destination = \"/opt/../agent\"",
            "22:15: `destination` goes up by `..` => write the folder's own path in the image",
        ),
        (
            "destination = \"/opt/agent\"",
            "destination = \"/\"",
            "22:15: `destination` is the image's root => name a folder in the image, for example `/opt/agent`",
        ),
        (
            "destination = \"/opt/agent\"",
            "destination = '/opt\\agent'",
            r#"22:15: `destination` has `\` in it => write `/opt/agent`"#,
        ),
        (
            "source_dir = \".deps/template\"",
            "source_dir = \"a\\nb\"",
            "21:14: `source_dir` has control characters in it => take them out",
        ),
        (
            "pin = \"manifest.json\"",
            "pin = \"../manifest.json\"",
            "14:19: `pin` leaves the repository by `..` => write a path below the repository's root, without `..`",
        ),
        (
            "\"prompts/**\"",
            "\"/prompts/**\"",
            "15:28: `identity` has the glob `/prompts/**`, which is absolute => globs count from the repository's root: write `prompts/**`",
        ),
        (
            "\"prompts/**\"",
            "\"../prompts/**\"",
            "15:28: `identity` has the glob `../prompts/**`, which leaves the repository by `..` => write a glob below the repository's root",
        ),
    ]);
}

#[test]
fn a_glob_that_could_match_nothing_is_refused() {
    each_is_said(&[
        (
            "identity = [\"config.yaml\", \"prompts/**\"]",
            "identity = []",
            r#"15:12: `identity` is empty: the gate would compare nothing => name the files that the gate is about: `identity = ["config.yaml", "prompts/**"]`"#,
        ),
        (
            "\"prompts/**\"",
            "\"\"",
            "15:28: `identity` has an empty glob, which matches nothing => write a path or a glob, or take the entry out",
        ),
        (
            "\"prompts/**\"",
            "\"prompts/\"",
            "15:28: `identity` has the glob `prompts/`, which matches no file => write `prompts/**` for everything in the folder",
        ),
        (
            "\"prompts/**\"",
            "\"./prompts/**\"",
            "15:28: `identity` has the glob `./prompts/**`, which begins with `./` => globs count from the repository's root: write `prompts/**`",
        ),
        (
            "\"prompts/**\"",
            "\"prompts//x\"",
            "15:28: `identity` has the glob `prompts//x`, which matches no path => write single slashes between names, without `.`",
        ),
        (
            "\"prompts/**\"",
            "\"!prompts/x\"",
            r#"15:28: `identity` has the glob `!prompts/x`, which begins with `!` => there is no "not" here: list what is meant; `\!` is the character itself"#,
        ),
        (
            "\"prompts/**\"",
            "\"prompts/[ab\"",
            r#"15:28: `identity` has the glob `prompts/[ab`, which has a `[` that is not closed => close it with `]`; `\[` is the character itself"#,
        ),
        (
            "\"prompts/**\"",
            "'prompts\\'",
            r#"15:28: `identity` has the glob `prompts\`, which ends with `\` => write what it stands before, or take it away; `\\` is the character itself"#,
        ),
    ]);
}

#[test]
fn a_duration_has_numbers_and_units() {
    each_is_said(&[
        (
            "ignore = [",
            "grace = \"5 minutes\"\nignore = [",
            "16:9: `grace` is `5 minutes`, which is no duration => write numbers with units from `d`, `h`, `m`, `s`, the largest first: `24h`, `1h30m`, `7d`, `0s`",
        ),
        (
            "ignore = [",
            "grace = \"\"\nignore = [",
            "16:9: `grace` is empty => write numbers with units from `d`, `h`, `m`, `s`, the largest first: `24h`, `1h30m`, `7d`, `0s`",
        ),
        (
            "ignore = [",
            "grace = \"30\"\nignore = [",
            "16:9: `grace` is `30`, which is no duration => write numbers with units from `d`, `h`, `m`, `s`, the largest first: `24h`, `1h30m`, `7d`, `0s`",
        ),
        (
            "ignore = [",
            "grace = \"30m1h\"\nignore = [",
            "16:9: `grace` is `30m1h`, which is no duration => write numbers with units from `d`, `h`, `m`, `s`, the largest first: `24h`, `1h30m`, `7d`, `0s`",
        ),
        (
            "ignore = [",
            "unreadable_after = \"99999999999999999999d\"\nignore = [",
            "16:20: `unreadable_after` is longer than ten years => write at most `3650d`",
        ),
        (
            "ignore = [",
            "unreadable_after = \"4000d\"\nignore = [",
            "16:20: `unreadable_after` is longer than ten years => write at most `3650d`",
        ),
        (
            "ignore = [",
            "grace = \"h\"\nignore = [",
            "16:9: `grace` is `h`, which is no duration => write numbers with units from `d`, `h`, `m`, `s`, the largest first: `24h`, `1h30m`, `7d`, `0s`",
        ),
    ]);
}

#[test]
fn a_binding_pins_or_follows() {
    let binding = "binding = { pin = \"manifest.json\", at = \"templates[name=agent].ref\" }";
    each_is_said(&[
        (
            binding,
            "binding = {}",
            r#"14:11: `binding` binds nothing => write `{ pin = "manifest.json", at = "templates[name=agent].ref" }` or `{ follow = true }`"#,
        ),
        (
            binding,
            "binding = { pin = \"manifest.json\" }",
            r#"14:11: the binding has `pin` and no `at`, which says where in the file => write `{ pin = "manifest.json", at = "templates[name=agent].ref" }` or `{ follow = true }`"#,
        ),
        (
            binding,
            "binding = { at = \"ref\" }",
            r#"14:11: the binding has `at` and no `pin`, which says in which file => write `{ pin = "manifest.json", at = "templates[name=agent].ref" }` or `{ follow = true }`"#,
        ),
        (
            binding,
            "binding = { follow = false }",
            r#"14:22: `follow = false` binds nothing => write `{ pin = "manifest.json", at = "templates[name=agent].ref" }` or `{ follow = true }`"#,
        ),
        (
            binding,
            "binding = { follow = true, pin = \"manifest.json\", at = \"ref\" }",
            r#"14:11: a gate either pins or follows, not both => write `{ pin = "manifest.json", at = "templates[name=agent].ref" }` or `{ follow = true }`"#,
        ),
        (
            binding,
            "binding = { follow = true, require = { repo = \"a/b\" } }",
            "14:38: `require` needs a pin: nothing stands beside a branch => remove it",
        ),
        (
            "templates[name=agent].ref",
            "templates[name=agent",
            "14:41: `at` is no path to a value: expected `]` behind `templates[name=agent` => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
        ),
        (
            "templates[name=agent].ref",
            "templates[name=agent]",
            "14:41: `at` is no path to a value: the path ends at an entry, not at a value of it => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
        ),
        (
            "templates[name=agent].ref",
            "templates[agent].ref",
            "14:41: `at` is no path to a value: expected `=` and the field's value behind `templates[agent` => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
        ),
        (
            "templates[name=agent].ref",
            "templates..ref",
            "14:41: `at` is no path to a value: expected a key behind `templates.` => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
        ),
        (
            "templates[name=agent].ref",
            "",
            "14:41: `at` is no path to a value: the path is empty => write keys joined by dots, `[field=value]` for an entry and `[0]` for an index: `templates[name=agent].ref`; quote what holds `. [ ] =`",
        ),
    ]);
}

#[test]
fn a_round_is_neither_a_flood_nor_a_day_late() {
    for (text, words) in [("9s", "not between"), ("25h", "not between"), ("0s", "not between"), ("soon", "no duration")]
    {
        let config = GOOD.replace("[forge.main]", &format!("reconcile = \"{text}\"\n[forge.main]"));
        let said = Config::parse(&config, "drift-gate.toml").expect_err(text).to_string();
        assert!(said.contains(words), "{said}");
    }
    let config = GOOD.replace("[forge.main]", "reconcile = \"30s\"\n[forge.main]");
    let config = Config::parse(&config, "drift-gate.toml").expect("a configuration");
    assert_eq!(config.server.reconcile, std::time::Duration::from_secs(30));
}

#[test]
fn a_size_on_disk_has_a_unit_and_is_no_trifle() {
    for (text, words) in [("10", "is no size"), ("1GiB", "is no size"), ("99MB", "less than"), ("-1GB", "is no size")] {
        let config = GOOD.replace("[forge.main]", &format!("[store]\ncache_limit = \"{text}\"\n[forge.main]"));
        let said = Config::parse(&config, "drift-gate.toml").expect_err(text).to_string();
        assert!(said.contains(words), "{said}");
    }
    let config = GOOD.replace("[forge.main]", "[store]\ncache_limit = \"500MB\"\n[forge.main]");
    assert_eq!(Config::parse(&config, "drift-gate.toml").expect("a configuration").store.cache_limit, 500_000_000);
}

#[test]
fn a_day_and_a_reason_are_what_people_write() {
    let day = "write a day, `2026-12-01` (from midnight UTC), or a moment, `2026-12-01T08:00:00+01:00`";
    each_is_said(&[
        (
            "ignore = [",
            "enforce_after = \"next week\"\nignore = [",
            &format!("16:17: `enforce_after` is `next week`, which is no day => {day}"),
        ),
        (
            "ignore = [",
            "enforce_after = \"2026-02-30\"\nignore = [",
            &format!("16:17: `enforce_after` is `2026-02-30`, which is no day => {day}"),
        ),
        (
            "ignore = [",
            "retired = \" \"\nignore = [",
            "16:11: `retired` is not a line of words => write why, in a few words: statuses show it",
        ),
        (
            "branches = [\"main\"] }",
            "branches = [\"main\"], queue_branches = [\"refs/heads/mq/*\"] }",
            "13:93: `queue_branches` names a ref => write the branch's name: `mq/*`",
        ),
    ]);
}
