//! "How each head is judged", sentence by sentence, on trees in memory. One template, one core that bakes it, and histories
//! of both; each file tells one part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::finding::{Kind, Severity};
use super::verdict::{Report, Verdict};
use super::{Case, Past, Relation, Revision, Side, Version, World, judge};
use crate::config::{
    Bake, Binding, Check, Consumer, Format, Gate, Inherited, Level, PinAt, PinPath, PinStep, Place, Quote, Source,
    Stale,
};
use crate::tree::{Memory, ObjectId, Tree, TreeError};

mod absent;
mod baking;
mod commands;
mod concerns;
mod copies;
mod dockerfiles;
mod generated;
mod kinds;
mod links;
mod merges;
mod mirror;
mod pin_places;
mod pins;
mod pulls;
mod repair;
mod source;
mod statuses;
mod values;
mod waivers;
mod weakened;

const DOCKERFILE: &str = "Dockerfile";
const SOURCE_DIR: &str = ".deps/template";
const BAKES: &str = "\
ARG BASE=local/platform:latest
FROM ${BASE}
ARG DIR=.deps/template
COPY ${DIR}/config.yaml /opt/t/config.yaml
COPY ${DIR}/mcp_servers.yaml /opt/t/
COPY ${DIR}/prompts/ /opt/t/prompts/
";

/// Commits of both sides, each with its tree and its parents, the first parent first.
#[derive(Default)]
struct Repositories {
    commits: BTreeMap<(Side, Revision), (Memory, Vec<Revision>)>,
    /// What has a name in the source and is no commit.
    others: BTreeSet<Revision>,
    /// The source's history is at hand.
    looks_back: bool,
}

impl Repositories {
    fn add(&mut self, side: Side, name: char, parents: &[&Revision], tree: Memory) -> Revision {
        let revision = Revision::Commit(id(name));
        let parents = parents.iter().map(|parent| (*parent).clone()).collect();
        self.commits.insert((side, revision.clone()), (tree, parents));
        revision
    }

    fn parents(&self, side: Side, of: &Revision) -> &[Revision] {
        self.commits.get(&(side, of.clone())).map_or(&[], |(_, parents)| parents)
    }

    /// The revision and all its ancestors.
    fn ancestors(&self, side: Side, of: &Revision) -> BTreeSet<Revision> {
        let mut found = BTreeSet::new();
        let mut todo = vec![of.clone()];
        while let Some(one) = todo.pop() {
            todo.extend(self.parents(side, &one).iter().cloned());
            found.insert(one);
        }
        found
    }
}

impl World for Repositories {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        if let Revision::Commit(id) = revision
            && self.others.contains(revision)
        {
            return Err(TreeError::Unfit { path: id.to_string(), what: "not a commit".into() });
        }
        let found = self.commits.get(&(side, revision.clone()));
        Ok(found.map(|(tree, _)| Arc::new(tree.clone()) as Arc<dyn Tree>))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let of_commit = self.ancestors(side, commit);
        let line = std::iter::successors(Some(head), |one| self.parents(side, one).first());
        let behind = line.filter(|one| !of_commit.contains(*one)).count();
        Ok(match (self.ancestors(side, head).contains(commit), of_commit.contains(head)) {
            (true, true) => Relation::Same,
            (true, false) => Relation::Behind(u32::try_from(behind).expect("few")),
            (false, true) => Relation::Ahead,
            (false, false) => Relation::Diverged,
        })
    }

    fn merge_bases(&self, side: Side, one: &Revision, other: &Revision) -> Result<Vec<Revision>, TreeError> {
        let (ours, theirs) = (self.ancestors(side, one), self.ancestors(side, other));
        let common: Vec<Revision> = ours.intersection(&theirs).cloned().collect();
        let is_best = |base: &&Revision| {
            !common.iter().any(|other| other != *base && self.ancestors(side, other).contains(*base))
        };
        Ok(common.iter().filter(is_best).cloned().collect())
    }

    fn version(&self, head: &Revision, path: &str, blob: &ObjectId) -> Version {
        if !self.looks_back {
            return Version::NotLookedUp;
        }
        let mut line = std::iter::successors(Some(head), |one| self.parents(Side::Source, one).first());
        let has = |one: &&Revision| {
            let tree = self.commits.get(&(Side::Source, (*one).clone())).map(|(tree, _)| tree);
            tree.is_some_and(|tree| tree.blob_id(path).is_ok_and(|id| id == *blob))
        };
        match line.find(has) {
            Some(Revision::Commit(commit)) => Version::Of { commit: commit.clone(), path: path.to_owned() },
            _ => Version::Never,
        }
    }

    fn past(&self, side: Side, head: &Revision, path: &str) -> Result<Past, TreeError> {
        let mut past = Past { versions: Vec::new(), whole: self.looks_back };
        if !self.looks_back {
            return Ok(past);
        }
        for one in std::iter::successors(Some(head), |one| self.parents(side, one).first()) {
            let Some((tree, _)) = self.commits.get(&(side, one.clone())) else { continue };
            if let (Ok(blob), Revision::Commit(commit)) = (tree.blob_id(path), one)
                && past.versions.last().is_none_or(|(_, last)| *last != blob)
            {
                past.versions.push((commit.clone(), blob));
            }
        }
        Ok(past)
    }
}

fn id(name: char) -> ObjectId {
    ObjectId::parse(&name.to_string().repeat(40)).expect("an id")
}

fn gate() -> Gate {
    let place = |repo: &str| Place::Forge { forge: "main".into(), repo: repo.into() };
    let key = |name: &str| PinStep::Key(name.into());
    let select = PinStep::Select { key: "name".into(), value: "agent".into() };
    Gate {
        name: "identity".into(),
        context: "drift-gate".into(),
        source: Source { place: place("molecule/template"), branch: "main".into() },
        consumer: Consumer { place: place("molecule/core"), branches: vec!["main".into()], queue_branches: Vec::new() },
        binding: Binding::Pin {
            file: "manifest.json".into(),
            at: PinAt::Path { format: Format::Json, at: PinPath::new(vec![key("templates"), select, key("ref")]) },
            require: BTreeMap::from([("repo".into(), "molecule/template".into())]),
        },
        identity: vec!["config.yaml".into(), "mcp_servers.yaml".into(), "prompts/**".into()],
        ignore: vec!["README.md".into()],
        optional: Vec::new(),
        unlisted: Level::Drift,
        inherited: Inherited::Pass,
        stale: Stale::Fail,
        grace: std::time::Duration::ZERO,
        unreadable_after: std::time::Duration::from_secs(3600),
        advisory: false,
        strict_assumptions: false,
        enforce_after: None,
        watch: Vec::new(),
        retired: None,
        quote: Quote::Readers,
        commands: crate::config::Commands::default(),
        issues: Vec::new(),
        checks: vec![Check::Bake(bake())],
        repairs: Vec::new(),
        digest: "d".into(),
    }
}

fn bake() -> Bake {
    Bake {
        dockerfile: DOCKERFILE.into(),
        context: String::new(),
        source_dir: SOURCE_DIR.into(),
        destination: "/opt/t".into(),
        build_args: BTreeMap::new(),
        target: None,
        git_context: false,
        generated: Vec::new(),
    }
}

fn gate_with(check: Bake) -> Gate {
    Gate { checks: vec![Check::Bake(check)], ..gate() }
}

fn template() -> Memory {
    Memory::new()
        .file("README.md", "Read me\n")
        .file("config.yaml", "name: Concierge\n")
        .file("mcp_servers.yaml", "mcp_servers: []\n")
        .file("prompts/concierge.md", "# You are\n")
}

fn manifest(pin: &str) -> String {
    format!("{{\"templates\": [\n  {{\"name\": \"agent\", \"repo\": \"molecule/template\", \"ref\": \"{pin}\"}}\n]}}\n")
}

fn core(pin: char) -> Memory {
    Memory::new().file("manifest.json", manifest(id(pin).as_str())).file(DOCKERFILE, BAKES)
}

/// Core with another Dockerfile.
fn bakes(dockerfile: &str) -> Memory {
    core('a').file(DOCKERFILE, dockerfile)
}

/// Core with one more line in its Dockerfile.
fn with_line(line: &str) -> Memory {
    bakes(&format!("{BAKES}{line}\n"))
}

/// Core's head `c` pins the template's head `a`, and this is what is said of it.
fn branch(core: Memory, template: Memory) -> Report {
    branch_of(&gate(), core, template)
}

fn branch_of(gate: &Gate, core: Memory, template: Memory) -> Report {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template);
    let consumer = world.add(Side::Consumer, 'c', &[], core);
    judge(gate, &Case::Branch { consumer, source }, &world).expect("everything is here")
}

/// A pull request of core: base `c` and head `f`, both from `0`; the template has `a`, then `b`.
fn consumer_pull(ancestor: Memory, base: Memory, head: Memory) -> Report {
    consumer_pull_of(&gate(), ancestor, base, head)
}

fn consumer_pull_of(gate: &Gate, ancestor: Memory, base: Memory, head: Memory) -> Report {
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', &[], template());
    let source = world.add(Side::Source, 'b', &[&first], template().file("config.yaml", "name: Newer\n"));
    let root = world.add(Side::Consumer, '0', &[], ancestor);
    let base = world.add(Side::Consumer, 'c', &[&root], base);
    let head = world.add(Side::Consumer, 'f', &[&root], head);
    judge(gate, &Case::ConsumerPull { head, base, source }, &world).expect("everything is here")
}

/// A pull request of core that changes `base` into `head`.
fn change(base: Memory, head: Memory) -> Report {
    consumer_pull(base.clone(), base, head)
}

/// A pull request of the template that changes `base` into `head`, judged with this core.
fn source_pull(core: Memory, base: Memory, head: Memory) -> Report {
    let mut world = Repositories::default();
    let root = world.add(Side::Source, '0', &[], base.clone());
    let base = world.add(Side::Source, 'a', &[&root], base);
    let head = world.add(Side::Source, 'f', &[&root], head);
    let consumer = world.add(Side::Consumer, 'c', &[], core);
    judge(&gate(), &Case::SourcePull { head, base, consumer }, &world).expect("everything is here")
}

/// What fails or is undecided, in the words of the contract.
fn said(report: &Report) -> Vec<String> {
    let counted = report.findings.iter().filter(|finding| finding.severity == Severity::Error && !finding.inherited);
    let findings = counted.map(|finding| format!("{} {}", kind(finding.kind), finding.path));
    let undecided =
        report.undecided.iter().filter(|part| !part.inherited).map(|part| format!("undecided {}", part.path));
    findings.chain(undecided).collect()
}

/// What does not count: notices and what the base has already.
fn noted(report: &Report) -> Vec<String> {
    let notices = report.findings.iter().filter(|finding| finding.severity == Severity::Notice || finding.inherited);
    let undecided = report.undecided.iter().filter(|part| part.inherited);
    let notices = notices.map(|finding| format!("{} {}", kind(finding.kind), finding.path));
    notices.chain(undecided.map(|part| format!("undecided {}", part.path))).collect()
}

fn kind(kind: Kind) -> String {
    serde_json::to_value(kind).expect("a word").as_str().expect("a text").to_owned()
}

/// In sync, nothing to say, and something was compared.
#[track_caller]
fn is_green(report: &Report) {
    assert_eq!((report.verdict, said(report)), (Verdict::InSync, vec![]));
    assert!(report.files_compared > 0, "green without a comparison");
}

/// Drift, and this is what is shown.
#[track_caller]
fn is_red(report: &Report, shown: &[&str]) {
    assert_eq!((report.verdict, said(report)), (Verdict::Drift, shown.iter().map(|one| (*one).to_owned()).collect()));
}

/// Undecided at these paths, with reasons that have these words in them.
#[track_caller]
fn is_undecided(report: &Report, parts: &[(&str, &str)]) {
    let paths: Vec<String> = parts.iter().map(|(path, _)| format!("undecided {path}")).collect();
    assert_eq!((report.verdict, said(report)), (Verdict::Undecided, paths));
    for (part, (_, words)) in report.undecided.iter().zip(parts) {
        assert!(part.reason.contains(words), "{}: {}", part.path, part.reason);
    }
}

#[test]
fn equal_inputs_give_an_equal_report_byte_for_byte() {
    let text = |report: &Report| serde_json::to_string(report).expect("JSON");
    let grown = || template().file("hooks/b.sh", "x").file("hooks/a.sh", "x").file("prompts/z.md", "");
    assert_eq!(text(&branch(core('a'), grown())), text(&branch(core('a'), grown())));
}
