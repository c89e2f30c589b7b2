//! SARIF 2.1.0, for code scanning and editors: one log, a run for each gate.
//!
//! A gate is a run of its own (told apart by `automationDetails`), because that is how results of the same tool stay apart
//! where they are collected. What is undecided is a result too: a log without results is shown as green. Every result says
//! whether it is suppressed: softened and inherited ones are, with the words of the status.
//!
//! Places are relative: to `%SRCROOT%` in the consumer (where the workflow that uploads the log runs), to `SOURCE` in the
//! source.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Item, Judged, Weight, findings, safe, words};
use crate::config::Place;
use crate::gate::policy::State;
use crate::gate::{Revision, Side};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
const CONSUMER: &str = "%SRCROOT%";
const SOURCE: &str = "SOURCE";

/// One log over all gates, indented; ends with a line break.
pub fn document(all: &[Judged<'_>]) -> String {
    let log = Log { schema: SCHEMA, version: "2.1.0", runs: all.iter().map(run).collect() };
    // Nothing in it is a map with other keys than text.
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

#[derive(Serialize)]
struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<Run>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    automation_details: AutomationDetails,
    invocations: Vec<Invocation>,
    original_uri_base_ids: BTreeMap<&'static str, BaseId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    version_control_provenance: Vec<VersionControl>,
    column_kind: &'static str,
    results: Vec<SarifResult>,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: String,
    short_description: Text,
    full_description: Text,
    help: Help,
    default_configuration: Configuration,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

/// A text, and the same at length where readers know Markdown.
#[derive(Serialize)]
struct Help {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<&'static str>,
}

#[derive(Serialize)]
struct AutomationDetails {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    /// The tool ran to its end: what it found is in the results.
    execution_successful: bool,
    exit_code: u8,
    exit_code_description: String,
}

#[derive(Serialize)]
struct BaseId {
    description: Text,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionControl {
    repository_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision_id: Option<String>,
    mapped_to: MappedTo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MappedTo {
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult {
    rule_id: String,
    rule_index: usize,
    level: &'static str,
    message: Text,
    locations: Vec<Location>,
    partial_fingerprints: BTreeMap<&'static str, String>,
    suppressions: Vec<Suppression>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
struct Suppression {
    kind: &'static str,
    status: &'static str,
    justification: String,
}

fn run(judged: &Judged<'_>) -> Run {
    let items = judged.items();
    let mut rules: Vec<Rule> = Vec::new();
    let mut results = Vec::new();
    for item in &items {
        let index = rules.iter().position(|rule| rule.id == item.name).unwrap_or_else(|| {
            rules.push(rule(item));
            rules.len() - 1
        });
        results.push(result(judged, item, index));
    }
    let version = env!("CARGO_PKG_VERSION");
    let exit_code = match judged.decision.state {
        State::Success => 0,
        State::Failure => 1,
        State::Error => 3,
    };
    let (consumer, source) = (&judged.report.consumer.repo, &judged.report.source.repo);
    let base = |repo: &str| BaseId { description: text(repo) };
    Run {
        tool: Tool { driver: Driver { name: "drift-gate", version, semantic_version: version, rules } },
        // What stands behind the last slash would tell runs of one gate apart.
        automation_details: AutomationDetails { id: format!("drift-gate/{}/", judged.gate.name) },
        invocations: vec![Invocation {
            execution_successful: true,
            exit_code,
            exit_code_description: safe::one_line(&judged.decision.description).into_owned(),
        }],
        original_uri_base_ids: BTreeMap::from([(CONSUMER, base(consumer)), (SOURCE, base(source))]),
        version_control_provenance: provenance(judged),
        column_kind: "unicodeCodePoints",
        results,
    }
}

/// The commits that were compared, of repositories whose address is known.
fn provenance(judged: &Judged<'_>) -> Vec<VersionControl> {
    let (consumer, source) = (&judged.report.consumer, &judged.report.source);
    let sides = [
        (&judged.gate.consumer.place, consumer.commit.as_ref(), CONSUMER),
        (&judged.gate.source.place, source.bound.as_ref().or(source.head.as_ref()), SOURCE),
    ];
    let known = sides.into_iter().filter_map(|(place, revision, uri_base_id)| {
        let Place::Url(url) = place else { return None };
        let revision_id = match revision {
            Some(Revision::Commit(id)) => Some(id.to_string()),
            _ => None,
        };
        Some(VersionControl { repository_uri: url.clone(), revision_id, mapped_to: MappedTo { uri_base_id } })
    });
    known.collect()
}

fn rule(item: &Item<'_>) -> Rule {
    let (short, full, help) = match item.kind {
        Some(kind) => (words::title(kind), words::in_general(kind), words::to_do(kind)),
        None => (
            "undecided",
            "Neither drift nor its absence could be proven.",
            "Look at the reason; what nobody can know is never green.",
        ),
    };
    Rule {
        id: item.name.clone(),
        short_description: text(short),
        full_description: text(full),
        help: Help { text: text(help).text, markdown: findings::of(&item.name) },
        default_configuration: Configuration { level: "error" },
    }
}

fn result(judged: &Judged<'_>, item: &Item<'_>, rule_index: usize) -> SarifResult {
    let suppress = |why: &str| {
        vec![Suppression { kind: "external", status: "accepted", justification: safe::one_line(why).into_owned() }]
    };
    let (level, suppressions) = match item.weight {
        Weight::Fails => ("error", Vec::new()),
        Weight::Softened => ("warning", suppress(&judged.decision.description)),
        Weight::Inherited => ("note", suppress("the base of the pull request has it already")),
        Weight::Notice => ("note", Vec::new()),
    };
    let is_pull = judged.report.consumer.base.is_some() || judged.report.source.base.is_some();
    let baseline = if item.weight == Weight::Inherited { "unchanged" } else { "new" };
    let fix = item.fix.map_or_else(String::new, |fix| format!("\nFix: {fix}"));
    SarifResult {
        rule_id: item.name.clone(),
        rule_index,
        level,
        message: text(&format!("{}{fix}", item.message)),
        locations: vec![location(item)],
        partial_fingerprints: BTreeMap::from([("driftGate/v1", fingerprint(judged, item))]),
        suppressions,
        baseline_state: is_pull.then_some(baseline),
    }
}

/// The line to look at; else the path that it is about, in the repository that it is of; else the configuration,
/// because a result without a place is not shown.
fn location(item: &Item<'_>) -> Location {
    let at = |path: &str, uri_base_id, line: Option<u32>| Location {
        physical_location: PhysicalLocation {
            artifact_location: ArtifactLocation { uri: uri(path), uri_base_id },
            region: line.map(|start_line| Region { start_line: start_line.max(1) }),
        },
    };
    match (item.cause, item.side) {
        (Some(cause), _) => at(&cause.file, CONSUMER, cause.line),
        (None, Some(Side::Source)) => at(item.path, SOURCE, None),
        (None, _) if !item.path.is_empty() => at(item.path, CONSUMER, None),
        (None, _) => at("drift-gate.toml", CONSUMER, None),
    }
}

/// What stays when lines move and bytes change: gate, kind and path.
fn fingerprint(judged: &Judged<'_>, item: &Item<'_>) -> String {
    let mut hash = Sha256::new();
    for part in [&judged.gate.name, &item.name, item.path] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// A path as a relative URI: no name in it is taken for a scheme, a host or a query.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A plain message, in which `[text](target)` would be a link.
fn text(text: &str) -> Text {
    let text = safe::visible(text);
    Text { text: if text.contains("](") { text.replace('[', "\\[").replace(']', "\\]") } else { text.into_owned() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_never_an_address() {
        assert_eq!(uri("prompts/a b#1?.md"), "prompts/a%20b%231%3F.md");
        assert_eq!(uri("https://x"), "https%3A//x");
        assert_eq!(uri("//host/ü"), "host/%C3%BC");
    }
}
