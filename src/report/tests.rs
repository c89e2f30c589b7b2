//! One story in every format: a pull request that changes what is baked, in a repository with a hostile file name; and a
//! gate that is only advisory. The golden documents lie in `snapshots/`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::{Judged, annotations, junit, markdown, sarif};
use crate::config::{Bake, Binding, Check, Consumer, Gate, Inherited, Level, Place, Quote, Source, Stale};
use crate::gate::Revision;
use crate::gate::finding::{Assumption, Cause, Finding, Kind, Undecided};
use crate::gate::policy::{self, Outcome, Paired, Role, Say};
use crate::gate::verdict::{BindingState, ConsumerSide, Report, SourceSide, Verdict};
use crate::tree::ObjectId;

const DOCKERFILE: &str = "build/Dockerfile";
const HOSTILE: &str = "prompts/`@everyone` a|b,c\u{202e}\n::error::x ##[add-mask]y.md";

fn gate(name: &str, advisory: bool) -> Gate {
    Gate {
        name: name.into(),
        context: "drift-gate".into(),
        source: Source { place: Place::Url("https://git.example.org/molecule/template".into()), branch: "main".into() },
        consumer: Consumer { place: Place::Here, branches: vec!["main".into()], queue_branches: Vec::new() },
        binding: Binding::Follow,
        identity: vec!["config.yaml".into()],
        ignore: Vec::new(),
        optional: Vec::new(),
        unlisted: Level::Drift,
        inherited: Inherited::Pass,
        stale: Stale::Fail,
        grace: Duration::ZERO,
        unreadable_after: Duration::from_secs(3600),
        advisory,
        strict_assumptions: false,
        enforce_after: None,
        watch: Vec::new(),
        retired: None,
        quote: Quote::Readers,
        commands: crate::config::Commands::default(),
        issues: Vec::new(),
        checks: vec![Check::Bake(Bake {
            dockerfile: DOCKERFILE.into(),
            context: String::new(),
            source_dir: ".deps/t".into(),
            destination: "/opt/t".into(),
            build_args: BTreeMap::new(),
            target: None,
            git_context: false,
            generated: Vec::new(),
        })],
        repairs: Vec::new(),
        digest: "d".into(),
    }
}

fn commit(digit: char) -> Option<Revision> {
    ObjectId::parse(&digit.to_string().repeat(40)).map(Revision::Commit)
}

fn report(gate: &Gate, verdict: Verdict, findings: Vec<Finding>, undecided: Vec<Undecided>) -> Report {
    Report {
        schema: 1,
        gate: gate.name.clone(),
        context: gate.context.clone(),
        verdict,
        findings,
        undecided,
        assumptions: vec![Assumption {
            file: DOCKERFILE.into(),
            line: Some(1),
            text: "the image `base:latest` has nothing at /opt/t".into(),
        }],
        consumer: ConsumerSide { repo: "this repository".into(), commit: commit('c'), base: commit('b') },
        source: SourceSide { repo: "molecule/template".into(), bound: commit('5'), head: commit('5'), base: None },
        binding: BindingState { kind: "follow".into(), state: "follow".into(), behind: None },
        files_compared: 3,
        bytes_compared: 120,
        engine: "0".into(),
        config_digest: "d".into(),
    }
}

fn at(line: u32) -> Option<Cause> {
    Some(Cause { file: DOCKERFILE.into(), line: Some(line) })
}

/// What each format makes of the story.
fn told(document: impl Fn(&[Judged<'_>]) -> String) -> String {
    let (enforced, advisory) = (gate("identity", false), gate("soon", true));
    let differs = Finding::new(
        Kind::ContentDiffers,
        "config.yaml",
        "what is baked at /opt/t/config.yaml is not config.yaml of the source: 100% other",
        "let line 5 of build/Dockerfile copy .deps/t/config.yaml",
    );
    let mut inherited = Finding::new(Kind::NotBaked, HOSTILE, format!("no instruction bakes {HOSTILE}"), "add a COPY");
    inherited.inherited = true;
    let extra =
        Finding::new(Kind::ExtraAtDestination, "x.txt", "/opt/t/x.txt is baked, the source has no x.txt", "remove it");
    let unknown = Undecided {
        path: "mcp.yaml".into(),
        cause: at(9),
        reason: "RUN sed: what it does to /opt/t/mcp.yaml is not known".into(),
        inherited: false,
        content: String::new(),
    };
    let findings = vec![differs.clone().at(at(5)), inherited.at(at(7)), extra.at(at(8)).notice()];
    let unlisted =
        Finding::new(Kind::Unlisted, "new file.yaml", "new file.yaml of the source matches neither", "list it");
    let one = report(&enforced, Verdict::Drift, findings, vec![unknown]);
    let two = report(&advisory, Verdict::Drift, vec![unlisted], Vec::new());
    let role = Role::ConsumerPull { number: 0, base: "main".into() };
    let decide = |gate, report| {
        policy::decide(
            &[Say {
                gate,
                role: &role,
                outcome: Outcome::Judged(report),
                stale_since: None,
                paired: Paired::No,
                discreet: false,
            }],
            &[],
            0,
        )
    };
    let decisions = [decide(&enforced, &one), decide(&advisory, &two)];
    document(&[
        Judged { gate: &enforced, report: &one, decision: &decisions[0] },
        Judged { gate: &advisory, report: &two, decision: &decisions[1] },
    ])
}

#[test]
fn annotations_stand_at_the_lines_and_nothing_else_is_a_command() {
    let text = told(annotations::document);
    insta::assert_snapshot!("annotations", text);
    let commands: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("::")).collect();
    assert_eq!(commands.len(), 5, "four items and the advisory one: {text}");
    assert!(text.lines().all(|line| line.starts_with("::") || !line.contains("##[")), "{text}");
}

#[test]
fn junit_fails_where_the_status_fails_and_skips_nothing() {
    let text = told(junit::document);
    insta::assert_snapshot!("junit", text);
    assert!(text.contains(r#"<testsuites name="drift-gate" tests="7" skipped="0" failures="2" errors="1">"#), "{text}");
}

#[test]
fn markdown_mentions_nobody() {
    let text = told(markdown::document);
    insta::assert_snapshot!("markdown", text);
    assert!(!text.contains('\u{202e}') && !text.lines().any(|line| line.starts_with("::")), "{text}");
}

#[test]
fn sarif_has_what_its_schema_requires() {
    let text = told(sarif::document);
    // What docs/findings.md says is not repeated here.
    let without_help: Vec<&str> =
        text.lines().map(|line| if line.contains("\"markdown\": ") { "MARKDOWN" } else { line }).collect();
    insta::assert_snapshot!("sarif", without_help.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    let log: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let runs = log["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 2, "a run for each gate");
    for run in runs {
        assert!(run["tool"]["driver"]["name"].is_string());
        assert!(run["invocations"][0]["executionSuccessful"].is_boolean(), "required of an invocation");
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for rule in rules {
            let help = rule["help"]["markdown"].as_str();
            assert_eq!(help.is_some(), rule["id"] != "undecided", "{rule}");
            assert!(help.is_none_or(|help| help.contains("**What to do.**")), "{rule}");
        }
        for result in run["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(result["ruleId"], rules[index]["id"], "the index names the rule");
            assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
            assert!(["error", "warning", "note"].contains(&result["level"].as_str().expect("a level")));
            let place = &result["locations"][0]["physicalLocation"]["artifactLocation"];
            let base = place["uriBaseId"].as_str().expect("a base");
            assert!(run["originalUriBaseIds"][base].is_object(), "{base} is declared");
            assert!(place["uri"].as_str().is_some_and(|uri| !uri.contains([' ', '|', '`', '\n'])), "{place}");
            for suppression in result["suppressions"].as_array().expect("all results say whether they are suppressed") {
                assert!(["inSource", "external"].contains(&suppression["kind"].as_str().expect("a kind")));
            }
        }
    }
    let suppressed =
        |run: usize, result: usize| !runs[run]["results"][result]["suppressions"].as_array().unwrap().is_empty();
    assert!(!suppressed(0, 0) && suppressed(0, 1), "what is inherited is suppressed, what is new is not");
    assert!(suppressed(1, 0), "advisory");
    assert_eq!(runs[0]["results"][1]["baselineState"], "unchanged");
}
