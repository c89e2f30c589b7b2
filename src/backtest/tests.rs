//! Histories in memory, and what the backtest says of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::moments::{Moment, moments};
use super::{Backtest, Lines, Mover, Step, What, run};
use crate::config::{
    Bake, Binding, Check, Consumer, Format, Gate, Inherited, Level, PinAt, PinPath, PinStep, Place, Quote, Source,
    Stale,
};
use crate::gate::finding::Kind;
use crate::gate::verdict::{Report, Verdict};
use crate::gate::{Case, Relation, Revision, Side, World, judge};
use crate::tree::{Memory, Need, ObjectId, Objects, Tree, TreeError};

const GOOD: &str = "FROM base\nCOPY .deps/t/config.yaml /opt/t/config.yaml\n";
const CHMOD: &str = "FROM base\nCOPY --chmod=0755 .deps/t/config.yaml /opt/t/config.yaml\n";
const ELSEWHERE: &str = "FROM base\nCOPY .deps/t/config.yaml /opt/wrong/config.yaml\n";

fn gate(binding: Binding) -> Gate {
    let place = |repo: &str| Place::Forge { forge: "main".into(), repo: repo.into() };
    Gate {
        name: "identity".into(),
        context: "drift-gate".into(),
        source: Source { place: place("molecule/template"), branch: "main".into() },
        consumer: Consumer { place: place("molecule/core"), branches: vec!["main".into()], queue_branches: Vec::new() },
        binding,
        identity: vec!["config.yaml".into()],
        ignore: vec!["README.md".into()],
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
        commands: crate::config::Commands::default(),
        issues: Vec::new(),
        checks: vec![Check::Bake(Bake {
            dockerfile: "Dockerfile".into(),
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

fn pinned() -> Gate {
    let at = PinPath::new(vec![PinStep::Key("ref".into())]);
    gate(Binding::Pin {
        file: "pin.json".into(),
        at: PinAt::Path { format: Format::Json, at },
        require: BTreeMap::new(),
    })
}

/// Two lines of commits; a commit's name tells side and place.
#[derive(Default)]
struct Histories {
    consumer: Vec<(Memory, i64)>,
    source: Vec<(Memory, i64)>,
    missing: Option<ObjectId>,
}

fn id(side: Side, index: usize) -> ObjectId {
    let digit = if side == Side::Consumer { 'c' } else { '5' };
    ObjectId::parse(&format!("{digit}{index:039x}")).expect("an id")
}

impl Histories {
    fn source(mut self, time: i64, config: &str) -> Self {
        self.source.push((Memory::new().file("config.yaml", config), time));
        self
    }

    fn consumer(mut self, time: i64, dockerfile: &str, pin: usize) -> Self {
        let pin = format!("{{\"ref\": \"{}\"}}\n", id(Side::Source, pin));
        let tree = Memory::new().file("Dockerfile", dockerfile).file("pin.json", pin);
        self.consumer.push((tree.file("src/main.rs", format!("{time}")), time));
        self
    }

    fn side(&self, side: Side) -> &[(Memory, i64)] {
        if side == Side::Consumer { &self.consumer } else { &self.source }
    }

    fn position(&self, side: Side, revision: &Revision) -> Option<usize> {
        (0..self.side(side).len()).find(|index| Revision::Commit(id(side, *index)) == *revision)
    }

    fn lines(&self) -> Lines {
        let line = |side| {
            let steps = self.side(side).iter().enumerate();
            steps.map(|(index, (_, time))| Step { commit: id(side, index), time: *time }).collect()
        };
        Lines { consumer: line(Side::Consumer), source: line(Side::Source) }
    }

    fn told(&self, gate: &Gate) -> Backtest {
        run(gate, self, &self.lines(), None, &mut |_, _| {}).expect("whole histories")
    }
}

impl World for Histories {
    fn tree(&self, side: Side, revision: &Revision) -> Result<Option<Arc<dyn Tree>>, TreeError> {
        if let Some(missing) = self.missing.as_ref().filter(|id| Revision::Commit((*id).clone()) == *revision) {
            return Err(TreeError::NotHere(Need {
                repository: "core".into(),
                objects: Objects::Commit(missing.clone()),
            }));
        }
        let found = self.position(side, revision).map(|index| self.side(side)[index].0.clone());
        Ok(found.map(|tree| Arc::new(tree) as Arc<dyn Tree>))
    }

    fn relation(&self, side: Side, commit: &Revision, head: &Revision) -> Result<Relation, TreeError> {
        let at = |revision| self.position(side, revision).expect("a commit of the line");
        let (one, other) = (at(commit), at(head));
        Ok(match one.cmp(&other) {
            std::cmp::Ordering::Equal => Relation::Same,
            std::cmp::Ordering::Less => Relation::Behind(u32::try_from(other - one).expect("few")),
            std::cmp::Ordering::Greater => Relation::Ahead,
        })
    }

    fn merge_bases(&self, _: Side, _: &Revision, _: &Revision) -> Result<Vec<Revision>, TreeError> {
        Ok(Vec::new())
    }
}

fn moved(side: Side, index: usize) -> Mover {
    Mover { side, commit: id(side, index) }
}

#[test]
fn drift_has_a_begin_an_end_and_a_commit_for_each() {
    let history = Histories::default()
        .source(100, "name: one\n")
        .consumer(200, GOOD, 0)
        .consumer(300, ELSEWHERE, 0)
        .consumer(450, ELSEWHERE, 0)
        .consumer(500, CHMOD, 0);
    let told = history.told(&pinned());
    assert_eq!(told.span, Some((200, 500)));
    let [interval] = told.intervals.as_slice() else { panic!("one interval: {:?}", told.intervals) };
    assert_eq!((interval.kind, interval.path.as_str()), (What::Finding(Kind::WrongDestination), "config.yaml"));
    assert_eq!((interval.from, interval.to, interval.seconds), (300, Some(500), 200));
    assert_eq!(interval.began, moved(Side::Consumer, 1));
    assert_eq!(interval.ended, Some(moved(Side::Consumer, 3)));
    assert_eq!((told.spent.in_sync, told.spent.drift, told.spent.undecided), (100, 200, 0));
    assert_eq!((told.moments, told.evaluated), (4, 3), "450 changed nothing that was read");
}

#[test]
fn a_change_of_the_source_begins_staleness_and_a_bump_ends_it() {
    let history = Histories::default()
        .source(100, "name: one\n")
        .consumer(200, GOOD, 0)
        .source(300, "name: two\n")
        .consumer(400, GOOD, 1)
        .source(500, "name: three\n");
    let told = history.told(&pinned());
    let stale: Vec<_> = told.intervals.iter().map(|one| (one.kind, one.from, one.to)).collect();
    let kind = What::Finding(Kind::Stale);
    assert_eq!(stale, [(kind, 300, Some(400)), (kind, 500, None)]);
    assert_eq!(told.intervals[0].began, moved(Side::Source, 1));
    assert_eq!(told.intervals[0].ended, Some(moved(Side::Consumer, 1)));
    assert_eq!(told.changes.last().map(|change| change.verdict), Some(Verdict::Drift));
}

#[test]
fn a_revert_is_not_evaluated_again() {
    let follow = gate(Binding::Follow);
    let mut history = Histories::default().source(1, "name: one\n");
    for time in 0..40 {
        let dockerfile = if time % 2 == 0 { GOOD } else { ELSEWHERE };
        history = history.consumer(10 + time, dockerfile, 0);
    }
    let told = history.told(&follow);
    assert_eq!((told.moments, told.evaluated, told.changes.len()), (40, 2, 40));
}

#[test]
fn a_clock_that_runs_wrong_does_not_turn_the_line_round() {
    let step = |side, index, time| Step { commit: id(side, index), time };
    let lines = Lines {
        consumer: vec![step(Side::Consumer, 0, 50), step(Side::Consumer, 1, 10), step(Side::Consumer, 2, 60)],
        source: vec![step(Side::Source, 0, 50)],
    };
    let all = moments(&lines, None);
    let told: Vec<(i64, ObjectId)> = all.iter().map(|moment| (moment.at, moment.consumer.clone())).collect();
    let consumer = |index| id(Side::Consumer, index);
    assert_eq!(told, [(50, consumer(0)), (50, consumer(1)), (60, consumer(2))]);
    assert_eq!(moments(&lines, Some(55)).iter().map(|one| one.at).collect::<Vec<_>>(), [55, 60], "since");
    assert_eq!(moments(&lines, Some(55))[0].consumer, consumer(1), "what held then");
}

#[test]
fn before_both_exist_there_is_nothing_to_judge() {
    let history = Histories::default().consumer(100, GOOD, 0).consumer(200, GOOD, 0).source(300, "name: one\n");
    assert_eq!(history.told(&pinned()).span, Some((300, 300)));
    assert_eq!(Histories::default().consumer(1, GOOD, 0).told(&pinned()).span, None);
}

#[test]
fn a_history_of_which_a_part_is_missing_is_an_error() {
    let mut history =
        Histories::default().source(1, "name: one\n").consumer(2, GOOD, 0).consumer(3, CHMOD, 0).consumer(4, GOOD, 0);
    history.missing = Some(id(Side::Consumer, 1));
    let told = run(&pinned(), &history, &history.lines(), None, &mut |_, _| {});
    assert!(matches!(told, Err(TreeError::NotHere(_))), "{told:?}");
}

/// What judging every moment by itself says.
fn slowly(gate: &Gate, world: &Histories, all: &[Moment]) -> Vec<Report> {
    let revision = |id: &ObjectId| Revision::Commit(id.clone());
    let case = |one: &Moment| Case::Branch { consumer: revision(&one.consumer), source: revision(&one.source) };
    all.iter().map(|one| judge(gate, &case(one), world).expect("here")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, fork: false, ..ProptestConfig::default() })]

    /// Whatever is remembered and skipped: the changes are those that judging every moment finds.
    #[test]
    fn nothing_that_is_remembered_is_untrue(
        steps in proptest::collection::vec((any::<bool>(), 0..4usize, 0..3usize, 0..3i64), 1..25),
        follow in any::<bool>(),
    ) {
        let gate = if follow { gate(Binding::Follow) } else { pinned() };
        let mut history = Histories::default().source(0, "name: one\n");
        let mut time = 0;
        for (consumer, what, pin, later) in steps {
            time += later;
            history = if consumer {
                history.consumer(time, [GOOD, CHMOD, ELSEWHERE, "FROM base\nCOPY . /opt/t\n"][what], pin)
            } else {
                history.source(time, ["name: one\n", "name: two\n", "", "name: three\n"][what])
            };
        }
        let all = moments(&history.lines(), None);
        let said = slowly(&gate, &history, &all);
        let mut wanted = Vec::new();
        for (one, report) in all.iter().zip(&said) {
            let now = (report.verdict, report.findings.clone(), report.undecided.clone());
            if wanted.last().is_none_or(|(_, last)| *last != now) {
                wanted.push((one.moved.clone(), now));
            }
        }
        let told = history.told(&gate);
        let found: Vec<_> =
            told.changes.into_iter().map(|one| (one.moved, (one.verdict, one.findings, one.undecided))).collect();
        prop_assert_eq!(found, wanted);
    }
}
