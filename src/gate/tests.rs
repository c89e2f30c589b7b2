//! "How each head is judged", sentence by sentence, on trees in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::{Kind, Severity};
use super::verdict::{Report, Verdict};
use super::{Case, Relation, Revision, Side, World, judge};
use crate::config::{
    Bake, Binding, Check, Consumer, Format, Gate, Inherited, Level, PinAt, PinPath, PinStep, Place, Quote, Source,
    Stale,
};
use crate::tree::{Memory, ObjectId, Tree, TreeError};

mod absent;
mod kinds;
mod mirror;
mod pin;
mod values;

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

/// Commits of both sides, each with its tree and first parent.
#[derive(Default)]
struct Repositories {
    commits: BTreeMap<(Side, Revision), (Memory, Option<Revision>)>,
}

impl Repositories {
    fn add(&mut self, side: Side, name: char, parent: Option<&Revision>, tree: Memory) -> Revision {
        let revision = Revision::Commit(id(name));
        self.commits.insert((side, revision.clone()), (tree, parent.cloned()));
        revision
    }

    fn line(&self, side: Side, from: &Revision) -> Vec<Revision> {
        let mut line = vec![from.clone()];
        while let Some((_, Some(parent))) = line.last().and_then(|last| self.commits.get(&(side, last.clone()))) {
            line.push(parent.clone());
        }
        line
    }
}

impl World for Repositories {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        let found = self.commits.get(&(side, revision.clone()));
        Ok(found.map(|(tree, _)| Arc::new(tree.clone()) as Arc<dyn Tree>))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let position = |from, wanted| self.line(side, from).iter().position(|one| one == wanted);
        Ok(match (position(head, commit), position(commit, head)) {
            (Some(0), _) => Relation::Same,
            (Some(steps), _) => Relation::Behind(u32::try_from(steps).expect("few")),
            (None, Some(_)) => Relation::Ahead,
            (None, None) => Relation::Diverged,
        })
    }

    fn merge_base(&self, side: Side, one: &Revision, other: &Revision) -> Result<Option<Revision>, TreeError> {
        let others = self.line(side, other);
        Ok(self.line(side, one).into_iter().find(|revision| others.contains(revision)))
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
        consumer: Consumer { place: place("molecule/core"), branches: vec!["main".into()] },
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
        quote: Quote::Readers,
        checks: vec![Check::Bake(Bake {
            dockerfile: DOCKERFILE.into(),
            context: String::new(),
            source_dir: SOURCE_DIR.into(),
            destination: "/opt/t".into(),
            build_args: BTreeMap::new(),
        })],
        digest: "d".into(),
    }
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

/// Core's head `c` pins the template's head `a`, and this is what is said of it.
fn branch(core: Memory, template: Memory) -> Report {
    branch_of(&gate(), core, template)
}

fn branch_of(gate: &Gate, core: Memory, template: Memory) -> Report {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', None, template);
    let consumer = world.add(Side::Consumer, 'c', None, core);
    judge(gate, &Case::Branch { consumer, source }, &world).expect("everything is here")
}

/// What fails or is undecided, in the words of the contract.
fn said(report: &Report) -> Vec<String> {
    let kind = |kind: Kind| serde_json::to_value(kind).expect("a word").as_str().expect("a text").to_owned();
    let counted = report.findings.iter().filter(|finding| finding.severity == Severity::Error && !finding.inherited);
    let findings = counted.map(|finding| format!("{} {}", kind(finding.kind), finding.path));
    let undecided =
        report.undecided.iter().filter(|part| !part.inherited).map(|part| format!("undecided {}", part.path));
    findings.chain(undecided).collect()
}

fn with_line(line: &str) -> Memory {
    core('a').file(DOCKERFILE, format!("{BAKES}{line}\n"))
}

#[test]
fn what_is_baked_as_the_source_says_is_in_sync() {
    let report = branch(core('a'), template());
    assert_eq!((report.verdict, said(&report)), (Verdict::InSync, vec![]));
    assert_eq!((report.files_compared, report.binding.state.as_str()), (3, "current"));
    assert!(report.bytes_compared > 0);
    assert!(report.assumptions.iter().any(|one| one.text.contains("local/platform")), "{:?}", report.assumptions);
}

#[test]
fn every_way_to_write_the_same_bake_is_green() {
    for dockerfile in [
        "FROM scratch\ncopy [\".deps/template/config.yaml\", \".deps/template/mcp_servers.yaml\", \"/opt/t/\"]\nADD .deps/template/prompts /opt/t/prompts\n",
        "FROM scratch\nWORKDIR /opt\nCOPY .deps/template/*.yaml t/\nCOPY --chmod=0755 --chown=1:1 \\\n  # a comment\n  .deps/template/prompts/ t/prompts\n",
        "FROM scratch AS x\nCOPY .deps/template /opt/t\nFROM scratch\nCOPY --from=x /opt /opt\n",
        "FROM scratch\nENV D=.deps/template\nCOPY $D /opt/t\nCOPY <<E /etc/e\nCOPY nothing /opt/t\nE\n# COPY nothing /opt/t\n",
    ] {
        let report = branch(core('a').file(DOCKERFILE, dockerfile), template());
        assert_eq!((report.verdict, said(&report)), (Verdict::InSync, vec![]), "{dockerfile}");
    }
}

#[test]
fn every_way_to_bake_something_else_is_red() {
    for (from, to, expected) in [
        ("COPY ${DIR}/config.yaml", "# COPY ${DIR}/config.yaml", "not-baked config.yaml"),
        ("/opt/t/config.yaml", "/opt/u/config.yaml", "wrong-destination config.yaml"),
        ("ARG DIR=.deps/template\n", "", "build-fails Dockerfile"),
        ("ARG DIR=.deps/template", "ARG DIR=vendored", "vendored-copy config.yaml"),
        ("COPY ${DIR}/prompts/", "COPY --exclude=*.md ${DIR}/prompts/", "not-baked prompts/concierge.md"),
        ("FROM ${BASE}", "FROM ${BASE}\nRUN true", ""),
    ] {
        let dockerfile = BAKES.replace(from, to);
        let vendored = template();
        let core = vendored.paths().map(str::to_owned).collect::<Vec<_>>().iter().fold(core('a'), |core, path| {
            let bytes = template().read(path).expect("a file");
            core.file(&format!("vendored/{path}"), bytes)
        });
        let report = branch(core.file(DOCKERFILE, dockerfile), template());
        let first = said(&report).first().cloned().unwrap_or_default();
        assert_eq!(first, expected, "{from} -> {to}");
    }
}

#[test]
fn a_later_instruction_that_changes_a_baked_file_is_red_or_undecided_and_never_green() {
    let report = branch(with_line("COPY manifest.json /opt/t/config.yaml"), template());
    assert_eq!(said(&report), ["content-differs config.yaml"]);
    assert_eq!(report.findings[0].cause.as_ref().and_then(|cause| cause.line), Some(7));
    assert_eq!(report.findings[0].baked.as_deref(), Some("manifest.json"));
    let report = branch(with_line("RUN rm /opt/t/config.yaml"), template());
    assert_ne!(report.verdict, Verdict::InSync, "{:?}", said(&report));
    let report = branch(with_line("RUN sed -i s/a/b/ /opt/t/config.yaml"), template());
    assert_eq!((report.verdict, said(&report)), (Verdict::Undecided, vec!["undecided config.yaml".into()]));
    assert_eq!(report.undecided[0].cause.as_ref().and_then(|cause| cause.line), Some(7));
    let report = branch(with_line("FROM scratch"), template());
    assert_eq!(said(&report)[0], "not-baked config.yaml");
}

#[test]
fn a_file_that_no_copy_takes_is_drift_and_a_directory_copy_takes_what_is_in_it() {
    let grown = template().file("prompts/team/lead.md", "# Lead\n").file("hooks/boot.sh", "#!/bin/sh\n");
    assert_eq!(said(&branch(core('a'), grown.clone())), ["unlisted hooks/boot.sh"]);
    let mut listed = gate();
    listed.identity.push("hooks/**".into());
    assert_eq!(said(&branch_of(&listed, core('a'), grown.clone())), ["not-baked hooks/boot.sh"]);
    let mut soft = gate();
    soft.unlisted = Level::Notice;
    assert_eq!(branch_of(&soft, core('a'), grown).verdict, Verdict::InSync);
}

#[test]
fn nothing_to_compare_is_never_in_sync() {
    let report = branch(core('a'), Memory::new().file("README.md", "only\n"));
    assert_eq!((report.verdict, report.files_compared), (Verdict::Drift, 0));
    let mut globs = gate();
    globs.identity = vec!["persona/**".into()];
    globs.ignore = vec!["**".into()];
    let report = branch_of(&globs, core('a'), template());
    assert_eq!(said(&report), ["missing-in-source identity"]);
}

#[test]
fn a_named_identity_file_must_be_there_and_must_say_something() {
    let report = branch(core('a'), template().file("config.yaml", ""));
    assert_eq!(said(&report), ["empty config.yaml"]);
    let report = branch(core('a'), template().without("config.yaml"));
    assert!(said(&report).contains(&"missing-in-source config.yaml".to_owned()), "{:?}", said(&report));
    let mut optional = gate();
    optional.optional = vec!["extra.yaml".into()];
    optional.identity.push("extra.yaml".into());
    assert_eq!(branch_of(&optional, core('a'), template()).verdict, Verdict::InSync);
}

#[test]
fn what_a_checkout_would_change_is_not_guessed() {
    let report = branch(core('a'), template().file(".gitattributes", "*.md filter=lfs\n"));
    let parts = said(&report);
    assert!(parts.contains(&"undecided prompts/concierge.md".to_owned()), "{parts:?}");
    let module = template().submodule("prompts/more", id('e'));
    assert!(said(&branch(core('a'), module)).contains(&"undecided prompts/more".to_owned()));
}

#[test]
fn tracked_files_where_the_build_puts_the_source_are_drift() {
    let report = branch(core('a').file(".deps/template/config.yaml", "old\n"), template());
    assert_eq!(said(&report), [format!("source-dir-tracked {SOURCE_DIR}")]);
}

#[test]
fn an_extra_file_at_the_destination_counts_only_when_it_looks_like_identity() {
    let report = branch(with_line("COPY manifest.json /opt/t/prompts/extra.md"), template());
    assert_eq!(said(&report), ["extra-at-destination prompts/extra.md"]);
    let report = branch(with_line("COPY manifest.json /opt/t/MARKER"), template());
    assert_eq!(report.verdict, Verdict::InSync);
    assert!(report.findings.iter().any(|finding| finding.kind == Kind::ExtraAtDestination));
}

#[test]
fn a_dockerfile_that_is_absent_fails_and_one_that_cannot_be_read_is_undecided() {
    assert_eq!(said(&branch(core('a').without(DOCKERFILE), template())), ["build-fails Dockerfile"]);
    for unreadable in
        [b"FROM scratch\nCOPY \xff /\n".to_vec(), b"FROM scratch\nCONJURE x /opt\n".to_vec(), vec![b'#'; 2 << 20]]
    {
        let report = branch(core('a').file(DOCKERFILE, unreadable), template());
        assert_eq!((report.verdict, said(&report)), (Verdict::Undecided, vec!["undecided Dockerfile".into()]));
    }
}

#[test]
fn strict_assumptions_turn_what_is_taken_for_granted_into_undecided() {
    let mut strict = gate();
    strict.strict_assumptions = true;
    assert_eq!(branch_of(&strict, core('a'), template()).verdict, Verdict::Undecided);
}

#[test]
fn a_broken_pin_is_drift_with_words_that_name_file_and_value() {
    let full = id('a').to_string();
    let doubled = manifest(&full).replace("\n]", ",\n  {\"name\": \"agent\", \"repo\": \"x\", \"ref\": \"y\"}\n]");
    for (text, kind, words) in [
        ("{\"templates\": []}".to_owned(), "pin-missing", "agent"),
        (doubled, "pin-ambiguous", "agent"),
        (manifest("main"), "pin-invalid", "main"),
        (manifest(&full[..39]), "pin-invalid", &full[..39]),
        (manifest(&full.to_uppercase().replace('A', "AB")[..41]), "pin-invalid", "ABAB"),
        (manifest(&full).replace("molecule/template", "mallory/template"), "pin-requirement", "mallory/template"),
        (manifest(id('9').as_str()), "pin-unreachable", "9999"),
        (format!("{}// a bot was here", manifest(&full)), "pin-invalid", "manifest.json"),
        (manifest(&full).replace("\"ref\"", "\"ref\": \"x\", \"ref\""), "pin-ambiguous", "ref"),
    ] {
        let report = branch(core('a').file("manifest.json", &text), template());
        assert_eq!(said(&report), [format!("{kind} manifest.json")], "{text}");
        assert!(report.findings[0].message.contains(words), "{}", report.findings[0].message);
        assert!(report.findings[0].message.contains("manifest.json"));
    }
    assert_eq!(said(&branch(core('a').without("manifest.json"), template())), ["pin-missing manifest.json"]);
}

/// A template that went on from `a` to `b`, with core pinning `a`.
fn went_on(newer: Memory) -> Report {
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', None, template());
    let source = world.add(Side::Source, 'b', Some(&first), newer);
    let consumer = world.add(Side::Consumer, 'c', None, core('a'));
    judge(&gate(), &Case::Branch { consumer, source }, &world).expect("everything is here")
}

#[test]
fn a_pin_that_lags_behind_in_something_that_counts_is_stale_and_else_merely_behind() {
    let report = went_on(template().file("config.yaml", "name: Other\n").without("mcp_servers.yaml"));
    assert_eq!(said(&report), ["stale config.yaml", "stale mcp_servers.yaml"]);
    assert_eq!((report.binding.state.as_str(), report.binding.behind), ("stale", Some(1)));
    let report = went_on(template().file("README.md", "Read me again\n"));
    assert_eq!((report.verdict, report.binding.state.as_str()), (Verdict::InSync, "behind"));
}

#[test]
fn a_pin_that_is_not_on_the_branch_is_never_the_truth() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', None, template());
    let ahead = world.add(Side::Source, 'b', Some(&source), template());
    world.add(Side::Source, 'd', None, template());
    for (pin, state) in [('b', "ahead"), ('d', "diverged")] {
        let consumer = world.add(Side::Consumer, 'c', None, core(pin));
        let report = judge(&gate(), &Case::Branch { consumer, source: source.clone() }, &world).expect("here");
        assert_eq!((said(&report), report.binding.state.as_str()), (vec!["pin-unmerged manifest.json".into()], state));
    }
    assert_ne!(ahead, source);
}

/// A pull request of core: base `c` and head `p`, both from `c`'s parent `0`; the template has `a`, then `b`.
fn consumer_pull(ancestor: Memory, base: Memory, head: Memory) -> Report {
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', None, template());
    let source = world.add(Side::Source, 'b', Some(&first), template().file("config.yaml", "name: Newer\n"));
    let root = world.add(Side::Consumer, '0', None, ancestor);
    let base = world.add(Side::Consumer, 'c', Some(&root), base);
    let head = world.add(Side::Consumer, 'f', Some(&root), head);
    judge(&gate(), &Case::ConsumerPull { head, base, source }, &world).expect("everything is here")
}

#[test]
fn a_pull_request_answers_for_what_its_merge_adds_and_not_for_staleness() {
    let docs = |core: Memory| core.file("docs.md", "words\n");
    assert_eq!(consumer_pull(core('a'), core('a'), docs(core('a'))).verdict, Verdict::InSync);
    let broken = |core: Memory| core.file(DOCKERFILE, BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config"));
    let report = consumer_pull(core('a'), core('a'), broken(core('a')));
    assert_eq!(said(&report), ["not-baked config.yaml"]);
    let report = consumer_pull(broken(core('a')), broken(core('a')), docs(broken(core('a'))));
    assert_eq!(report.verdict, Verdict::InSync);
    assert!(report.findings[0].inherited);
}

#[test]
fn the_merge_is_judged_and_not_the_head() {
    // The base went on and lost a line; the head alone would still bake it.
    let lost = core('a').file(DOCKERFILE, BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config"));
    let report = consumer_pull(core('a'), lost, core('a').file("docs.md", "words\n"));
    assert_eq!(report.verdict, Verdict::InSync);
    assert!(report.findings.iter().any(|finding| finding.inherited), "what the merge lacks is the base's loss");
    // Both sides changed the Dockerfile: what the merge gives is not guessed.
    let one = core('a').file(DOCKERFILE, format!("{BAKES}# one\n"));
    let other = core('a').file(DOCKERFILE, format!("{BAKES}# other\n"));
    assert_eq!(said(&consumer_pull(core('a'), one, other)), ["undecided Dockerfile"]);
}

#[test]
fn a_pull_request_that_moves_the_pin_back_is_drift_and_forward_is_not() {
    assert_eq!(said(&consumer_pull(core('b'), core('b'), core('a'))), ["pin-backwards manifest.json"]);
    assert_eq!(consumer_pull(core('a'), core('a'), core('b')).verdict, Verdict::InSync);
}

#[test]
fn where_nothing_was_compared_nothing_is_inherited() {
    let nothing = core('a').without("manifest.json");
    let report = consumer_pull(nothing.clone(), nothing.clone(), nothing.file("docs.md", "words\n"));
    assert_eq!(said(&report), ["pin-missing manifest.json"]);
    let undecided = with_line("RUN sed -i s/a/b/ /opt/t/config.yaml");
    let same = consumer_pull(undecided.clone(), undecided.clone(), undecided.clone().file("docs.md", "words\n"));
    assert_eq!(same.verdict, Verdict::InSync, "the inputs that make it undecided are those of the base");
    let changed = with_line("RUN sed -i s/a/c/ /opt/t/config.yaml");
    assert_eq!(consumer_pull(undecided.clone(), undecided, changed).verdict, Verdict::Undecided);
}

#[test]
fn a_pull_request_of_the_source_is_judged_by_what_the_consumer_would_bake() {
    let pull = |base: Memory, head: Memory| {
        let mut world = Repositories::default();
        let root = world.add(Side::Source, '0', None, base.clone());
        let base = world.add(Side::Source, 'a', Some(&root), base);
        let head = world.add(Side::Source, 'f', Some(&root), head);
        let consumer = world.add(Side::Consumer, 'c', None, core('a'));
        judge(&gate(), &Case::SourcePull { head, base, consumer }, &world).expect("everything is here")
    };
    let edited = template().file("config.yaml", "name: Other\n");
    assert_eq!(pull(template(), edited).verdict, Verdict::InSync, "an edited file is baked as any other");
    let grown = template().file("hooks/boot.sh", "#!/bin/sh\n");
    assert_eq!(said(&pull(template(), grown.clone())), ["unlisted hooks/boot.sh"]);
    let docs = grown.clone().file("README.md", "words\n");
    assert_eq!(pull(grown, docs).verdict, Verdict::InSync, "the base has that already");
}

#[test]
fn histories_without_a_common_ancestor_are_undecided() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', None, template());
    let base = world.add(Side::Consumer, 'c', None, core('a'));
    let head = world.add(Side::Consumer, 'f', None, core('a'));
    let report = judge(&gate(), &Case::ConsumerPull { head, base, source }, &world).expect("here");
    assert_eq!(report.verdict, Verdict::Undecided);
}

#[test]
fn a_gate_that_follows_compares_with_the_branch_itself() {
    let mut follows = gate();
    follows.binding = Binding::Follow;
    let report = branch_of(&follows, core('a').without("manifest.json"), template());
    assert_eq!((report.verdict, report.binding.state.as_str()), (Verdict::InSync, "follow"));
}

#[test]
fn equal_inputs_give_an_equal_report_byte_for_byte() {
    let text = |report: &Report| serde_json::to_string(report).expect("JSON");
    let grown = || template().file("hooks/b.sh", "x").file("hooks/a.sh", "x").file("prompts/z.md", "");
    assert_eq!(text(&branch(core('a'), grown())), text(&branch(core('a'), grown())));
}
