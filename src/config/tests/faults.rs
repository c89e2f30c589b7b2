//! Each fault with its place and what to write instead.

use super::*;

/// `(this, that, what is said)`: the good configuration with `this` replaced by `that`.
type Faults<'a> = &'a [(&'a str, &'a str, &'a str)];

/// All that is not as expected, at once.
#[track_caller]
fn each_is_said(faults: Faults<'_>) {
    let mut wrong = Vec::new();
    for (this, that, expected) in faults {
        let said = said(&with(this, that));
        if said != [*expected] {
            wrong.push(format!("`{that}`:\n  expected {expected}\n  said     {}", said.join("\n           ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    each_is_said(&[
        ("ignore = [", "ignored = [", ""),
        ("kind = \"gitea\"", "knid = \"gitea\"", ""),
        ("[server]\n", "[server]\nport = 80\n", ""),
        ("branches = [\"main\"] }", "branches = [\"main\"], brnaches = [] }", ""),
        ("destination = ", "advisory = true\ndestination = ", ""),
        ("[server]\n", "timeout = 3\n[server]\n", ""),
    ]);
}

#[test]
fn what_is_not_built_yet_is_refused_not_ignored() {
    each_is_said(&[
        ("[[gate]]", "[[repository]]\nforge = \"main\"\n[[gate]]", ""),
        ("branches = [\"main\"] }", "branches = [\"main\"], queue_branches = [\"mq/*\"] }", ""),
        ("ignore = [", "enforce_after = \"2027-01-01\"\nignore = [", ""),
        ("ignore = [", "watch = true\nignore = [", ""),
        ("ignore = [", "retired = true\nignore = [", ""),
        ("destination = ", "target = \"final\"\ndestination = ", ""),
        ("destination = ", "git_context = true\ndestination = ", ""),
        ("destination = ", "generated = [\"out/**\"]\ndestination = ", ""),
        ("kind = \"bake\"", "kind = \"mirror\"", ""),
        ("[forge.main]", "[store]\nurl = \"postgres://gate:pw@db/gate\"\n[forge.main]", ""),
    ]);
}

#[test]
fn a_wrong_type_is_named_with_what_to_write() {
    each_is_said(&[
        ("name = \"agent\"", "name = 7", ""),
        ("identity = [\"config.yaml\", \"prompts/**\"]", "identity = \"config.yaml\"", ""),
        ("ignore = [\"README.md\"]", "ignore = [\"README.md\", 3]", ""),
        ("ignore = [", "advisory = \"yes\"\nignore = [", ""),
        ("ignore = [", "grace = 0\nignore = [", ""),
        ("kind = \"gitea\"", "kind = \"gitlab\"", ""),
        ("kind = \"gitea\"", "kind = \"Gitea\"", ""),
        ("ignore = [", "unlisted = \"notices\"\nignore = [", ""),
        ("ignore = [", "stale = \"warn\"\nignore = [", ""),
        ("[[gate.check]]", "[gate.check]", ""),
        ("[forge.main]", "[forge]", ""),
        (
            "source = { forge = \"main\", repo = \"molecule/template\", branch = \"main\" }",
            "source = \"molecule/template\"",
            "",
        ),
        ("destination = ", "build_args = { LEVEL = 3 }\ndestination = ", ""),
        ("kind = \"bake\"", "kind = \"cook\"", ""),
    ]);
}

#[test]
fn a_missing_required_key_points_at_its_table() {
    each_is_said(&[
        ("name = \"agent\"\n", "", ""),
        ("identity = [\"config.yaml\", \"prompts/**\"]\n", "", ""),
        (", branch = \"main\" }", " }", ""),
        (", branches = [\"main\"] }", " }", ""),
        ("consumer = { forge = \"main\", repo = \"molecule/core\", branches = [\"main\"] }\n", "", ""),
        ("dockerfile = \"Dockerfile\"\n", "", ""),
        ("kind = \"gitea\"\n", "", ""),
        ("public_url = \"https://drift-gate.example.org/\"\n", "", ""),
        (&GOOD[GOOD.find("[[gate.check]]").unwrap_or(0)..], "", ""),
        (&GOOD[GOOD.find("[[gate]]").unwrap_or(0)..], "", ""),
    ]);
}

#[test]
fn names_and_contexts_that_forges_could_not_use_are_refused() {
    each_is_said(&[
        ("name = \"agent\"", "name = \"platform agent\"", ""),
        ("name = \"agent\"", "name = \"\"", ""),
        ("[forge.main]", "[forge.\"a/b\"]", ""),
        ("ignore = [", "context = \"drift-gate (push)\"\nignore = [", ""),
        ("ignore = [", "context = \"\"\nignore = [", ""),
        ("ignore = [", "context = \" drift-gate\"\nignore = [", ""),
    ]);
}

#[test]
fn a_repository_is_a_known_forge_and_owner_and_name() {
    each_is_said(&[
        ("{ forge = \"main\", repo = \"molecule/template\"", "{ forge = \"mian\", repo = \"molecule/template\"", ""),
        ("repo = \"molecule/template\"", "repo = \"template\"", ""),
        ("repo = \"molecule/template\"", "repo = \"https://git.example.org/molecule/template\"", ""),
        ("repo = \"molecule/template\"", "repo = \"molecule/template.git\"", ""),
        ("repo = \"molecule/template\"", "repo = \"molecule/core\"", ""),
        ("forge = \"main\", repo = \"molecule/template\"", "url = \"https://git.example.org/molecule/template\"", ""),
        ("repo = \"molecule/template\"", "repo = \"molecule/template\", url = \"https://x.example\"", ""),
        ("forge = \"main\", repo = \"molecule/core\", ", "", ""),
        ("branch = \"main\"", "branch = \"release/*\"", ""),
        ("branch = \"main\"", "branch = \"refs/heads/main\"", ""),
        ("branches = [\"main\"]", "branches = [\"refs/heads/main\"]", ""),
        ("branches = [\"main\"]", "branches = []", ""),
    ]);
}

#[test]
fn an_address_is_whole_and_without_credentials() {
    each_is_said(&[
        ("url = \"https://git.example.org/\"", "url = \"git.example.org\"", ""),
        ("url = \"https://git.example.org/\"", "url = \"ssh://git@git.example.org\"", ""),
        ("url = \"https://git.example.org/\"", "url = \"https://bot:hunter2@git.example.org\"", ""),
        ("url = \"https://git.example.org/\"", "url = \"https://git.example.org/?a=b\"", ""),
        (
            "kind = \"gitea\"\nurl = \"https://git.example.org/\"",
            "kind = \"github\"\nurl = \"https://api.github.com\"",
            "",
        ),
        (
            "kind = \"gitea\"\nurl = \"https://git.example.org/\"",
            "kind = \"github\"\nurl = \"https://ghe.example.org/api/v3\"",
            "",
        ),
        ("[server]\n", "[server]\nlisten = \":8080\"\n", ""),
        ("[server]\n", "[server]\nlisten = \"localhost:8080\"\n", ""),
        ("[forge.main]", "[store]\nurl = \"drift-gate.db\"\n[forge.main]", ""),
        ("[forge.main]", "[store]\nurl = \"sqlite://:memory:\"\n[forge.main]", ""),
    ]);
}

#[test]
fn a_path_stays_in_its_repository_and_a_destination_is_absolute() {
    each_is_said(&[
        ("dockerfile = \"Dockerfile\"", "dockerfile = \"/Dockerfile\"", ""),
        ("dockerfile = \"Dockerfile\"", "dockerfile = \"../Dockerfile\"", ""),
        ("dockerfile = \"Dockerfile\"", "dockerfile = \".\"", ""),
        ("dockerfile = \"Dockerfile\"", "dockerfile = 'build\\Dockerfile'", ""),
        ("source_dir = \".deps/template\"", "source_dir = \"a/../../b\"", ""),
        ("source_dir = \".deps/template\"", "source_dir = \"\"", ""),
        ("destination = \"/opt/agent\"", "context = \"/\"\ndestination = \"/opt/agent\"", ""),
        ("destination = \"/opt/agent\"", "destination = \"opt/agent\"", ""),
        ("destination = \"/opt/agent\"", "destination = \"/opt/../agent\"", ""),
        ("destination = \"/opt/agent\"", "destination = \"/\"", ""),
        ("pin = \"manifest.json\"", "pin = \"../manifest.json\"", ""),
        ("\"prompts/**\"", "\"/prompts/**\"", ""),
        ("\"prompts/**\"", "\"../prompts/**\"", ""),
    ]);
}

#[test]
fn a_glob_that_could_match_nothing_is_refused() {
    each_is_said(&[
        ("identity = [\"config.yaml\", \"prompts/**\"]", "identity = []", ""),
        ("\"prompts/**\"", "\"\"", ""),
        ("\"prompts/**\"", "\"prompts/\"", ""),
        ("\"prompts/**\"", "\"./prompts/**\"", ""),
        ("\"prompts/**\"", "\"prompts//x\"", ""),
        ("\"prompts/**\"", "\"!prompts/x\"", ""),
        ("\"prompts/**\"", "\"prompts/[ab\"", ""),
        ("\"prompts/**\"", "'prompts\\'", ""),
    ]);
}

#[test]
fn a_duration_has_numbers_and_units() {
    each_is_said(&[
        ("ignore = [", "grace = \"5 minutes\"\nignore = [", ""),
        ("ignore = [", "grace = \"\"\nignore = [", ""),
        ("ignore = [", "grace = \"30\"\nignore = [", ""),
        ("ignore = [", "grace = \"30m1h\"\nignore = [", ""),
        ("ignore = [", "unreadable_after = \"99999999999999999999d\"\nignore = [", ""),
        ("ignore = [", "unreadable_after = \"4000d\"\nignore = [", ""),
    ]);
}

#[test]
fn a_binding_pins_or_follows() {
    let binding = "binding = { pin = \"manifest.json\", at = \"templates[name=agent].ref\" }";
    each_is_said(&[
        (binding, "binding = {}", ""),
        (binding, "binding = { pin = \"manifest.json\" }", ""),
        (binding, "binding = { at = \"ref\" }", ""),
        (binding, "binding = { follow = false }", ""),
        (binding, "binding = { follow = true, pin = \"manifest.json\", at = \"ref\" }", ""),
        (binding, "binding = { follow = true, require = { repo = \"a/b\" } }", ""),
        ("templates[name=agent].ref", "templates[name=agent", ""),
        ("templates[name=agent].ref", "templates[name=agent]", ""),
        ("templates[name=agent].ref", "templates[agent].ref", ""),
        ("templates[name=agent].ref", "templates..ref", ""),
        ("templates[name=agent].ref", "", ""),
    ]);
}

#[test]
fn what_is_not_toml_is_pointed_at() {
    each_is_said(&[
        ("name = \"agent\"", "name = agent", ""),
        ("name = \"agent\"", "name = \"agent\"\nname = \"b\"", ""),
        ("[[gate]]", "[[gate]", ""),
    ]);
}
