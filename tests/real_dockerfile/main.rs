//! The gate on Dockerfiles as they are in earnest: every way in which such a gate was wrong once, case by case
//! ([`history`]); each single change to a build that is in sync, and what becomes of it ([`mutations`]); and builds that
//! nobody would write ([`hostile`]).

mod history;
mod hostile;
mod mutations;

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use drift_gate::config::{Binding, Config, Gate};
use drift_gate::gate::finding::{Finding, Kind, Severity};
use drift_gate::gate::verdict::Verdict;
use drift_gate::gate::{Case, Relation, Report, Revision, Side, World, judge};
use drift_gate::tree::{Memory, ObjectId, Tree, TreeError};

const DOCKERFILE: &str = "server/Dockerfile.agent";
const SOURCE_DIR: &str = ".bundle/templates/concierge";
const DESTINATION: &str = "/opt/concierge-template";

/// The three states of the Dockerfile, the oldest first.
const STATES: [&str; 3] = ["Dockerfile.marker", "Dockerfile.run-chmod", "Dockerfile.copy-chmod"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agent-image")
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(fixtures().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The gate, with a pin.
fn pinned() -> Gate {
    static GATE: LazyLock<Gate> = LazyLock::new(|| {
        let config = Config::parse_laptop(&fixture("gate.toml"), "gate.toml").expect("a configuration");
        config.gates.into_iter().next().expect("a gate")
    });
    GATE.clone()
}

/// The gate, about the image alone.
fn gate() -> Gate {
    Gate { binding: Binding::Follow, ..pinned() }
}

/// The template as it is in the end.
fn template() -> Memory {
    let files = ["README.md", "config.yaml", "mcp_servers.yaml", "prompts/concierge.md"];
    let tree = files.iter().fold(Memory::new(), |tree, file| tree.file(file, fixture(&format!("template/{file}"))));
    tree.executable("fill-identity.sh", fixture("template/fill-identity.sh"))
}

/// The consumer with one of the fixture's Dockerfiles.
fn consumer(state: &str) -> Memory {
    with(&fixture(state))
}

/// The consumer with this Dockerfile.
fn with(dockerfile: &str) -> Memory {
    Memory::new().file("manifest.json", fixture("manifest.json")).file(DOCKERFILE, dockerfile)
}

/// One commit on each side.
struct Pair {
    consumer: Memory,
    source: Memory,
}

fn commit(name: char) -> Revision {
    Revision::Commit(ObjectId::parse(&name.to_string().repeat(40)).expect("an object name"))
}

impl World for Pair {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        Ok(match side {
            Side::Consumer => Some(Arc::new(self.consumer.clone())),
            Side::Source if *revision == commit('a') => Some(Arc::new(self.source.clone())),
            Side::Source => None,
        })
    }

    fn relation(&self, _: Side, one: &Revision, other: &Revision) -> Result<Relation, TreeError> {
        Ok(if one == other { Relation::Same } else { Relation::Diverged })
    }

    fn merge_bases(&self, _: Side, _: &Revision, _: &Revision) -> Result<Vec<Revision>, TreeError> {
        Ok(Vec::new())
    }
}

/// What the gate says of a consumer and a template.
fn judged(gate: &Gate, consumer: Memory, source: Memory) -> Report {
    let case = Case::Branch { consumer: commit('c'), source: commit('a') };
    judge(gate, &case, &Pair { consumer, source }).expect("everything is in memory")
}

fn errors(report: &Report) -> Vec<(Kind, String)> {
    let counts = |finding: &&Finding| finding.severity == Severity::Error;
    report.findings.iter().filter(counts).map(|finding| (finding.kind, finding.path.clone())).collect()
}

#[track_caller]
fn is_green(report: &Report, files: u64) {
    assert_eq!((report.verdict, errors(report), &report.undecided), (Verdict::InSync, vec![], &vec![]));
    assert_eq!(report.files_compared, files);
}

#[track_caller]
fn is_red(report: &Report, expected: &[(Kind, &str)]) {
    let expected: Vec<(Kind, String)> = expected.iter().map(|(kind, path)| (*kind, (*path).to_owned())).collect();
    assert_eq!((report.verdict, errors(report)), (Verdict::Drift, expected));
}
