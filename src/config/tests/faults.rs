//! What has not the shape of a configuration: each fault with its place and what to write instead.

use super::*;

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    each_is_said(&[
        ("ignore = [", "ignored = [", "16:1: unknown key `ignored` in [[gate]] => did you mean `ignore`?"),
        ("kind = \"gitea\"", "knid = \"gitea\"", "5:1: unknown key `knid` in [forge.main] => did you mean `kind`?"),
        (
            "[server]\n",
            "[server]\nport = 80\n",
            "2:1: unknown key `port` in [server] => [server] knows `admin_token`, `link_secret`, `listen`, `public_url`, `reconcile`",
        ),
        (
            "branches = [\"main\"] }",
            "branches = [\"main\"], brnaches = [] }",
            "13:75: unknown key `brnaches` in `consumer` => did you mean `branches`?",
        ),
        (
            "destination = ",
            "advisory = true\ndestination = ",
            "22:1: unknown key `advisory` in [[gate.check]] => it belongs to [[gate]]: write it above the heading of [[gate.check]]",
        ),
        (
            "[server]\n",
            "timeout = 3\n[server]\n",
            "1:1: unknown key `timeout` in the file => the file knows `forge`, `gate`, `repository`, `server`, `store`",
        ),
    ]);
}

#[test]
fn what_is_not_built_yet_is_refused_not_ignored() {
    each_is_said(&[
        (
            "[[gate.check]]",
            "[gate.repair]\nbranch = \"mend\"\n[[gate.check]]",
            r#"18:1: [[gate.repair]] has no `kind` => add `kind = "pin"` or `"mirror"` or `"stamp"` or `"dispatch"`"#,
        ),
        (
            "kind = \"bake\"",
            "kind = \"image\"",
            r#"19:8: checks of kind `image` are not built yet => write `kind = "bake"` or `"mirror"` or `"values"` or `"pin"` or `"absent"`, or remove this [[gate.check]]"#,
        ),
    ]);
}

#[test]
fn a_wrong_type_is_named_with_what_to_write() {
    each_is_said(&[
        (
            "name = \"agent\"",
            "name = 7",
            r#"11:8: `name` must be a string, found an integer => write `name = "platform-agent-identity"`"#,
        ),
        (
            "identity = [\"config.yaml\", \"prompts/**\"]",
            "identity = \"config.yaml\"",
            r#"15:12: `identity` must be an array, found a string => write `identity = ["config.yaml"]`"#,
        ),
        (
            "ignore = [\"README.md\"]",
            "ignore = [\"README.md\", 3]",
            r#"16:24: `ignore` must hold strings, found an integer => write `"3"`"#,
        ),
        (
            "ignore = [\"README.md\"]",
            "ignore = [[\"README.md\"]]",
            r#"16:11: `ignore` must hold strings, found an array => write `ignore = ["..."]`"#,
        ),
        (
            "webhook_secrets = [{ env = \"DRIFT_GATE_WEBHOOK_SECRET\" }]",
            "webhook_secrets = { env = \"A\" }",
            r#"8:19: `webhook_secrets` must be an array, found a table => write `webhook_secrets = [{ env = "DRIFT_GATE_WEBHOOK_SECRET" }]`"#,
        ),
        (
            "[server]\n",
            "store = 3\n[server]\n",
            "1:9: `store` must be a table, found an integer => write it as a table that begins with `[store]`",
        ),
        (
            "ignore = [",
            "advisory = \"yes\"\nignore = [",
            "16:12: `advisory` must be a boolean, found a string => write `advisory = true` or `false`",
        ),
        (
            "ignore = [",
            "grace = 0\nignore = [",
            r#"16:9: `grace` must be a string, found an integer => write `grace = "0s"`"#,
        ),
        (
            "kind = \"gitea\"",
            "kind = \"gitlab\"",
            r#"5:8: `kind` cannot be `gitlab` => write `kind = "gitea"` or `"github"`"#,
        ),
        ("kind = \"gitea\"", "kind = \"Gitea\"", r#"5:8: `kind` cannot be `Gitea` => write `kind = "gitea"`"#),
        (
            "ignore = [",
            "unlisted = \"notices\"\nignore = [",
            r#"16:12: `unlisted` cannot be `notices` => write `unlisted = "notice"`"#,
        ),
        (
            "ignore = [",
            "stale = \"warn\"\nignore = [",
            r#"16:9: `stale` cannot be `warn` => write `stale = "fail"` or `"notice"`"#,
        ),
        (
            "[[gate.check]]",
            "[gate.check]",
            "18:1: `check` must be an array, found a table => write `[[gate.check]]`, with two brackets",
        ),
        (
            "[forge.main]",
            "[forge]",
            "5:1: `kind` stands in [forge], which holds forges by their names => name the forge in its heading: `[forge.main]`",
        ),
        (
            "source = { forge = \"main\", repo = \"molecule/template\", branch = \"main\" }",
            "source = \"molecule/template\"",
            r#"12:10: `source` must be a table, found a string => write `source = { branch = "main", forge = "main", repo = "molecule/platform-agent-template" }`"#,
        ),
        (
            "destination = ",
            "build_args = { LEVEL = 3 }\ndestination = ",
            r#"22:24: `LEVEL` must be a string, found an integer => write `LEVEL = "3"`"#,
        ),
        (
            "kind = \"bake\"",
            "kind = \"cook\"",
            r#"19:8: `kind` cannot be `cook` => write `kind = "bake"` or `"mirror"` or `"values"` or `"pin"` or `"absent"`"#,
        ),
        ("kind = \"bake\"", "kind = \"baked\"", r#"19:8: `kind` cannot be `baked` => write `kind = "bake"`"#),
        (
            "kind = \"bake\"",
            "kind = 1",
            r#"19:8: `kind` must be a string, found an integer => write `kind = "bake"` or `"mirror"` or `"values"` or `"pin"` or `"absent"`"#,
        ),
        ("kind = \"bake\"", "kin = \"bake\"", "19:1: unknown key `kin` in [[gate.check]] => did you mean `kind`?"),
        (
            "kind = \"bake\"\n",
            "",
            r#"18:1: [[gate.check]] has no `kind` => add `kind = "bake"` or `"mirror"` or `"values"` or `"pin"` or `"absent"`"#,
        ),
    ]);
}

#[test]
fn a_missing_required_key_points_at_its_table() {
    each_is_said(&[
        ("name = \"agent\"\n", "", r#"10:1: [[gate]] has no `name` => add `name = "platform-agent-identity"`"#),
        (
            "identity = [\"config.yaml\", \"prompts/**\"]\n",
            "",
            r#"10:1: [[gate]] has no `identity` => add `identity = ["config.yaml", "prompts/**"]`"#,
        ),
        (", branch = \"main\" }", " }", r#"12:10: `source` has no `branch` => add `branch = "main"`"#),
        (
            ", branches = [\"main\"] }",
            " }",
            r#"13:12: the consumer has no `branches` => write `consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }`"#,
        ),
        (
            "consumer = { forge = \"main\", repo = \"molecule/core\", branches = [\"main\"] }\n",
            "",
            r#"10:1: [[gate]] has no `consumer` => add `consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }`"#,
        ),
        (
            "dockerfile = \"Dockerfile\"\n",
            "",
            r#"18:1: [[gate.check]] has no `dockerfile` => add `dockerfile = "Dockerfile"`"#,
        ),
        ("kind = \"gitea\"\n", "", r#"4:1: [forge.main] has no `kind` => add `kind = "gitea"` or `"github"`"#),
        (
            "public_url = \"https://drift-gate.example.org/\"\n",
            "",
            r#"1:1: [server] has no `public_url`: statuses would link nowhere => write in [server]: `public_url = "https://drift-gate.example.org"`, where people reach the service"#,
        ),
        (
            &GOOD[GOOD.find("[[gate.check]]").unwrap_or(0)..],
            "",
            "10:1: [[gate]] has no `check` => add `[[gate.check]]`",
        ),
        (
            &GOOD[GOOD.find("[[gate]]").unwrap_or(0)..],
            "",
            "1:1: the file has no gate: nothing would be compared => add a `[[gate]]`",
        ),
    ]);
}

#[test]
fn what_is_not_toml_is_pointed_at() {
    each_is_said(&[
        (
            "name = \"agent\"",
            "name = agent",
            r#"11:8: string values must be quoted, expected literal string => mend the TOML here: `key = "text"`, `key = ["a", "b"]`, `[table]`, `[[list.of.tables]]`"#,
        ),
        (
            "name = \"agent\"",
            "name = \"agent\"\nname = \"b\"",
            "12:1: duplicate key => keep one of them; each further gate begins with its own `[[gate]]`",
        ),
        (
            "[[gate]]",
            "[[gate]",
            r#"10:8: unclosed array table, expected `]` => mend the TOML here: `key = "text"`, `key = ["a", "b"]`, `[table]`, `[[list.of.tables]]`"#,
        ),
    ]);
}
