//! What good files mean.

use std::time::Duration;

use super::*;

/// The one gate of the good configuration with `this` replaced by `that`.
#[track_caller]
fn gate(this: &str, that: &str) -> Gate {
    let mut config = good(&with(this, that));
    assert_eq!(config.gates.len(), 1);
    config.gates.remove(0)
}

fn bake(gate: &Gate) -> &Bake {
    let [Check::Bake(bake)] = gate.checks.as_slice() else { panic!("one bake: {:?}", gate.checks) };
    bake
}

/// The good configuration with a line more in its gate.
#[track_caller]
fn gate_with(line: &str) -> Gate {
    gate("ignore = [", &format!("{line}\nignore = ["))
}

fn on_main(repo: &str) -> Place {
    Place::Forge { forge: "main".to_owned(), repo: repo.to_owned() }
}

#[test]
fn a_postgresql_database_is_named_by_its_address_without_its_password() {
    for url in ["postgres://gate@db.example.org/gate", "postgresql:///gate?host=/run/postgresql&sslmode=verify-full"] {
        let config = good(&with("[forge.main]", &format!("[store]\nurl = \"{url}\"\n[forge.main]")));
        assert_eq!(config.store.url, url);
    }
}

#[test]
fn a_short_file_means_the_defaults() {
    let config = good(GOOD);
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert!(config.server.admin_token.is_none() && config.server.link_secret.is_none());
    assert_eq!(config.store.url, "sqlite://drift-gate.db");
    let gate = &config.gates[0];
    let expected = Gate {
        name: "agent".to_owned(),
        context: "drift-gate".to_owned(),
        source: Source { place: on_main("molecule/template"), branch: "main".to_owned() },
        consumer: Consumer {
            place: on_main("molecule/core"),
            branches: vec!["main".to_owned()],
            queue_branches: Vec::new(),
        },
        binding: Binding::Pin {
            file: "manifest.json".to_owned(),
            at: PinAt::Path { format: Format::Json, at: PinPath::parse("templates[name=agent].ref").unwrap() },
            require: std::collections::BTreeMap::new(),
        },
        identity: vec!["config.yaml".to_owned(), "prompts/**".to_owned()],
        ignore: vec!["README.md".to_owned()],
        optional: Vec::new(),
        unlisted: Level::Drift,
        inherited: Inherited::Pass,
        stale: Stale::Fail,
        grace: Duration::ZERO,
        unreadable_after: Duration::from_secs(3600),
        advisory: false,
        strict_assumptions: false,
        enforce_after: None,
        watch: Vec::new(),
        retired: None,
        quote: Quote::Readers,
        commands: Commands::default(),
        issues: Vec::new(),
        checks: vec![Check::Bake(Bake {
            dockerfile: "Dockerfile".to_owned(),
            context: String::new(),
            source_dir: ".deps/template".to_owned(),
            destination: "/opt/agent".to_owned(),
            build_args: std::collections::BTreeMap::new(),
            target: None,
            git_context: false,
            generated: Vec::new(),
        })],
        repairs: Vec::new(),
        digest: gate.digest.clone(),
    };
    assert_eq!(*gate, expected);
}

#[test]
fn an_address_loses_its_last_slash() {
    let config = good(GOOD);
    assert_eq!(config.server.public_url, "https://drift-gate.example.org");
    assert_eq!(config.forges["main"].url, "https://git.example.org");
    let below = with("https://drift-gate.example.org/", "https://example.org/drift-gate/");
    assert_eq!(good(&below).server.public_url, "https://example.org/drift-gate");
}

#[test]
fn durations_are_sums_of_units() {
    let (minute, hour, day) = (60, 60 * 60, 24 * 60 * 60);
    for (text, seconds) in [
        ("0s", 0),
        ("90s", 90),
        ("5m", 5 * minute),
        ("24h", day),
        ("1h30m", hour + 30 * minute),
        ("1d2h3m4s", day + 2 * hour + 3 * minute + 4),
        ("7d", 7 * day),
        ("3650d", 3650 * day),
    ] {
        assert_eq!(gate_with(&format!("grace = \"{text}\"")).grace, Duration::from_secs(seconds), "{text}");
    }
}

#[test]
fn every_option_says_what_it_is_set_to() {
    assert_eq!(gate_with("context = \"drift-gate/agent\"").context, "drift-gate/agent");
    assert_eq!(gate_with("optional = [\"hooks/**\"]").optional, ["hooks/**"]);
    assert_eq!(gate_with("unlisted = \"notice\"").unlisted, Level::Notice);
    assert_eq!(gate_with("inherited = \"fail\"").inherited, Inherited::Fail);
    assert_eq!(gate_with("stale = \"notice\"").stale, Stale::Notice);
    assert_eq!(gate_with("unreadable_after = \"10m\"").unreadable_after, Duration::from_secs(600));
    assert!(gate_with("advisory = true").advisory);
    assert!(gate_with("strict_assumptions = true").strict_assumptions);
    assert_eq!(gate_with("quote = \"always\"").quote, Quote::Always);
    let follows = gate("{ pin = \"manifest.json\", at = \"templates[name=agent].ref\" }", "{ follow = true }");
    assert_eq!(follows.binding, Binding::Follow);
    let requires = gate(".ref\" }", ".ref\", require = { repo = \"molecule/template\" } }");
    let Binding::Pin { require, .. } = requires.binding else { panic!("a pin") };
    assert_eq!(require["repo"], "molecule/template");
    let gate = gate("destination = ", "build_args = { LEVEL = \"3\" }\ndestination = ");
    assert_eq!(bake(&gate).build_args["LEVEL"], "3");
}

#[test]
fn paths_are_written_many_ways_and_mean_one() {
    for (written, meant) in [(".deps/template", ".deps/template"), ("./.deps//template/", ".deps/template")] {
        let gate = gate("\".deps/template\"", &format!("\"{written}\""));
        assert_eq!(bake(&gate).source_dir, meant, "{written}");
    }
    for written in ["/opt/agent", "/opt/agent/", "//opt/./agent"] {
        let gate = gate("\"/opt/agent\"", &format!("\"{written}\""));
        assert_eq!(bake(&gate).destination, "/opt/agent", "{written}");
    }
    for (written, meant) in [(".", ""), ("./", ""), ("images/agent/", "images/agent")] {
        let more = format!("context = \"{written}\"\ndestination = ");
        let gate = gate("destination = ", &more);
        assert_eq!(bake(&gate).context, meant, "{written}");
    }
}

#[test]
fn several_forges_and_gates_stand_in_one_file_in_their_order() {
    let second = r#"
[forge.hub]
kind = "github"
url = "https://github.com"

[[gate]]
name = "agent"
source = { forge = "main", repo = "molecule/template", branch = "release/1" }
consumer = { forge = "hub", repo = "molecule/edge", branches = ["main", "release/*"] }
binding = { follow = true }
identity = ["config.yaml"]

[[gate.check]]
kind = "bake"
dockerfile = "a/Dockerfile"
source_dir = "template"
destination = "/a"

[[gate.check]]
kind = "bake"
dockerfile = "b/Dockerfile"
source_dir = "template"
destination = "/b"
"#;
    let config = good(&format!("{GOOD}{second}"));
    assert_eq!(config.forges.keys().collect::<Vec<_>>(), ["hub", "main"]);
    assert_eq!(config.forges["hub"].kind, ForgeKind::GitHub);
    assert!(config.forges["hub"].token.is_none() && config.forges["hub"].webhook_secrets.is_empty());
    // One name twice is fine: the consumers differ.
    assert_eq!(config.gates.iter().map(|gate| gate.name.as_str()).collect::<Vec<_>>(), ["agent", "agent"]);
    assert_eq!(config.gates[1].source.place, on_main("molecule/template"));
    assert_eq!(config.gates[1].consumer.branches, ["main", "release/*"]);
    assert_eq!(config.gates[1].checks.len(), 2);

    let same = format!("{GOOD}{second}")
        .replace("forge = \"hub\", repo = \"molecule/edge\"", "forge = \"main\", repo = \"molecule/core\"");
    assert_eq!(
        said(&same),
        [
            "29:8: a second gate is called `agent` for the same consumer => give it another name; the first is in line 11"
        ]
    );
}

#[test]
fn on_github_contexts_that_differ_in_their_capitals_only_are_one() {
    let at = GOOD.find("[[gate]]").unwrap();
    let second = GOOD[at..]
        .replace("\"agent\"", "\"tokens\"")
        .replace("name = \"tokens\"", "name = \"tokens\"\ncontext = \"Drift-Gate\"");
    let both = format!("{GOOD}{second}");
    assert_eq!(good(&both).gates[1].context, "Drift-Gate", "elsewhere they are two");
    let hub = |text: &str| {
        text.replace("kind = \"gitea\"", "kind = \"github\"").replace("https://git.example.org/", "https://github.com")
    };
    let expected = "24:8: the context `Drift-Gate` differs from `drift-gate` in its capitals only, and GitHub takes both for \
         one => write it as the gate in line 11 does, or another one";
    assert_eq!(said(&hub(&both)), [expected]);
    // On other repositories nobody minds.
    let apart = second.replace("molecule/core", "molecule/edge").replace("molecule/template", "molecule/tokens");
    assert_eq!(good(&hub(&format!("{GOOD}{apart}"))).gates.len(), 2);
}

#[test]
fn a_repository_may_bring_a_file_that_names_the_source_by_its_address() {
    let text = r#"
[[gate]]
name = "agent"
source = { url = "https://git.example.org/molecule/template/", branch = "main" }
binding = { pin = "manifest.json", at = "ref" }
identity = ["config.yaml"]

[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile"
source_dir = ".deps/template"
destination = "/opt/agent"
"#;
    let config = Config::parse_laptop(text, ".drift-gate.toml").unwrap();
    assert_eq!(config.gates[0].source.place, Place::Url("https://git.example.org/molecule/template".to_owned()));
    assert_eq!(
        config.gates[0].consumer,
        Consumer { place: Place::Here, branches: Vec::new(), queue_branches: Vec::new() }
    );
    // The service needs more than that.
    assert_eq!(
        said(text),
        [
            "1:1: [server] has no `public_url`: statuses would link nowhere => write in [server]: `public_url = \"https://drift-gate.example.org\"`, where people reach the service",
            "2:1: [[gate]] has no `consumer` => add `consumer = { forge = \"main\", repo = \"molecule/core\", branches = [\"main\"] }`",
            "4:18: the service needs a source on one of its forges => write `forge` and `repo`; an address stands in a `.drift-gate.toml` only",
        ]
    );
}

#[test]
fn the_service_s_own_file_does_for_a_laptop_too() {
    let config = Config::parse_laptop(GOOD, "drift-gate.toml").unwrap();
    assert_eq!(config.gates, good(GOOD).gates);
    assert_eq!(
        said_on_a_laptop(&with("forge = \"main\", repo = \"molecule/template\", ", "")),
        [
            "12:10: the source is not named => write `url`: `{ url = \"https://git.example.org/molecule/template\", branch = \"main\" }`"
        ]
    );
}

#[test]
fn the_digest_knows_what_a_gate_says_not_how_it_is_written() {
    let digest = good(GOOD).gates[0].digest.clone();
    assert_eq!(digest.len(), 64);
    let otherwise = r#"# The same gate, by another hand.
[[gate]]
identity = ["config.yaml", "prompts/**"]   # what it is about
ignore = ["README.md"]
grace = "0m"
unreadable_after = "60m"
advisory = false
consumer = { branches = ["main"], repo = "molecule/core", forge = "main" }
check = [{ destination = "/opt/agent/", source_dir = "./.deps/template", dockerfile = "Dockerfile", kind = "bake" }]
name = "agent"

[gate.source]
branch = "main"
repo = "molecule/template"
forge = "main"

[gate.binding]
at = 'templates["name"=agent].ref'
pin = "manifest.json"

[server]
public_url = "https://elsewhere.example.org"

[forge.main]
url = "https://git.example.org"
kind = "gitea"
"#;
    assert_eq!(good(otherwise).gates[0].digest, digest);
    // Who may waive changes no verdict.
    assert_eq!(gate_with("commands = { users = [\"alice\"], teams = [\"molecule/leads\"] }").digest, digest);
}

#[test]
fn the_digest_changes_with_everything_that_a_gate_says() {
    let mut digests = vec![good(GOOD).gates[0].digest.clone()];
    for line in [
        "context = \"drift-gate/agent\"",
        "optional = [\"hooks/**\"]",
        "unlisted = \"notice\"",
        "inherited = \"fail\"",
        "stale = \"notice\"",
        "grace = \"1h\"",
        "unreadable_after = \"2h\"",
        "advisory = true",
        "strict_assumptions = true",
        "quote = \"always\"",
    ] {
        digests.push(gate_with(line).digest);
    }
    for (this, that) in [
        ("name = \"agent\"", "name = \"other\""),
        ("molecule/template", "molecule/other"),
        ("branch = \"main\"", "branch = \"next\""),
        ("molecule/core", "molecule/other"),
        ("branches = [\"main\"]", "branches = [\"main\", \"next\"]"),
        ("manifest.json", "other.json"),
        (".ref\"", ".sha\""),
        (".ref\" }", ".ref\", require = { repo = \"molecule/template\" } }"),
        ("\"config.yaml\", ", ""),
        ("\"README.md\"", "\"LICENSE\""),
        ("\"Dockerfile\"", "\"Dockerfile.agent\""),
        (".deps/template", ".deps/other"),
        ("/opt/agent", "/srv/agent"),
        ("destination = ", "context = \"a\"\ndestination = "),
        ("destination = ", "build_args = { A = \"1\" }\ndestination = "),
    ] {
        digests.push(gate(this, that).digest);
    }
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all, "two gates that differ have one digest");
}

#[test]
fn line_ends_and_a_byte_order_mark_of_another_system_change_nothing() {
    let windows = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    assert_eq!(good(&windows).gates, good(GOOD).gates);
    assert_eq!(
        said(&windows.replace("kind = \"gitea\"", "knid = \"gitea\"")),
        ["5:1: unknown key `knid` in [forge.main] => did you mean `kind`?"]
    );
    // A fault in the first line is still counted from the first character that shows.
    assert_eq!(
        said(&format!("\u{feff}timeout = 3\n{GOOD}")),
        ["1:1: unknown key `timeout` in the file => the file knows `forge`, `gate`, `repository`, `server`, `store`"]
    );
}

#[test]
fn every_fault_of_a_file_is_told_at_once_in_its_order() {
    let text = with("kind = \"gitea\"", "kind = \"gitlab\"")
        .replace("name = \"agent\"\n", "name = \"a b\"\n")
        .replace("dockerfile = \"Dockerfile\"", "dockerfile = \"/Dockerfile\"")
        .replace("ignore = ", "ignored = ");
    assert_eq!(
        said(&text),
        [
            "5:8: `kind` cannot be `gitlab` => write `kind = \"gitea\"` or `\"github\"`",
            "11:8: `name` cannot stand in an address => use letters, digits, `.`, `_` and `-`, at most 100: for example `a-b`",
            "16:1: unknown key `ignored` in [[gate]] => did you mean `ignore`?",
            "20:14: `dockerfile` is absolute => write it from the repository's root: `Dockerfile`",
        ]
    );
}

#[test]
fn a_fault_reads_like_a_compiler_s() {
    let Err(error) = Config::parse(&with("kind = \"gitea\"", "kind = \"gitlab\""), "etc/drift-gate.toml") else {
        panic!("it was taken")
    };
    assert_eq!(
        error.to_string(),
        "\
etc/drift-gate.toml:5:8: error: `kind` cannot be `gitlab`
  |
5 | kind = \"gitlab\"
  |        ^^^^^^^^
  = help: write `kind = \"gitea\"` or `\"github\"`"
    );
}

#[test]
fn a_gate_can_begin_later_and_end() {
    let moment =
        |text: &str| gate_with(&format!("enforce_after = \"{text}\"")).enforce_after.expect("a moment").timestamp();
    assert_eq!(moment("2026-12-01"), 1_796_083_200);
    assert_eq!(moment("2026-12-01T01:00:00+01:00"), 1_796_083_200);
    let gate = gate_with("watch = [\"scripts/*.sh\"]\nretired = \"it moved\"");
    assert_eq!((gate.watch, gate.retired.as_deref()), (vec!["scripts/*.sh".to_owned()], Some("it moved")));
}

#[test]
fn what_a_gate_does_not_say_is_not_in_its_digest() {
    assert_ne!(gate_with("").digest, gate_with("retired = \"it moved\"").digest);
    assert_eq!(gate_with("").digest, gate_with("watch = []").digest);
}
