//! Goes from moment to moment and evaluates where nothing known will do.

use std::collections::HashMap;
use std::sync::Arc;

use super::ask::{Answer, Ask, Recorder, What, answer, relation};
use super::memo::{Known, Memo};
use super::moments::{Moment, moments};
use super::watch::Watch;
use super::{Backtest, Lines, intervals};
use crate::config::Gate;
use crate::gate::{Case, Revision, Side, World, judge};
use crate::tree::{ObjectId, Tree, TreeError};

/// Judges a gate at every moment of two histories, from `since` (Unix seconds) on where given. `progress` is told after
/// each moment how many are done, and of how many.
///
/// # Errors
/// [`TreeError::NotHere`] where a part of a history is missing; [`TreeError::Unfit`] where a line names what is no commit.
pub fn run(
    gate: &Gate,
    world: &dyn World,
    lines: &Lines,
    since: Option<i64>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Backtest, TreeError> {
    let moments = moments(lines, since);
    let mut engine = Engine { gate, world, memo: Memo::new(), now: None, evaluated: 0 };
    let mut verdicts = Vec::with_capacity(moments.len());
    for moment in &moments {
        verdicts.push(engine.verdict(moment)?.report.clone());
        progress(verdicts.len(), moments.len());
    }
    Ok(intervals::sum_up(gate, &moments, &verdicts, engine.evaluated))
}

struct Engine<'a> {
    gate: &'a Gate,
    world: &'a dyn World,
    memo: Memo,
    now: Option<Now>,
    evaluated: usize,
}

/// The pair of heads that was judged last.
struct Now {
    known: Arc<Known>,
    consumer: Head,
    source: Head,
    watch_consumer: Watch,
    watch_source: Watch,
}

/// A head with what it was asked already.
struct Head {
    commit: ObjectId,
    tree: Arc<dyn Tree>,
    answers: HashMap<Ask, Answer>,
}

impl Engine<'_> {
    fn verdict(&mut self, moment: &Moment) -> Result<Arc<Known>, TreeError> {
        if let Some(known) = self.still_holds(moment)? {
            return Ok(known);
        }
        let (mut consumer, mut source) = match self.now.take() {
            Some(now) => (now.consumer, now.source),
            None => (self.head(Side::Consumer, &moment.consumer)?, self.head(Side::Source, &moment.source)?),
        };
        if consumer.commit != moment.consumer {
            consumer = self.head(Side::Consumer, &moment.consumer)?;
        }
        if source.commit != moment.source {
            source = self.head(Side::Source, &moment.source)?;
        }
        let world = self.world;
        let found = self.memo.find(|ask| match ask.side {
            Side::Consumer => consumer.ask(world, ask),
            Side::Source => source.ask(world, ask),
        })?;
        let known = match found {
            Some(known) => known,
            None => self.evaluate(moment)?,
        };
        self.now = Some(Now {
            watch_consumer: Watch::new(&known.log, Side::Consumer, consumer.tree.as_ref())?,
            watch_source: Watch::new(&known.log, Side::Source, source.tree.as_ref())?,
            known: known.clone(),
            consumer,
            source,
        });
        Ok(known)
    }

    /// The last verdict, where what it was made of is the same in the head that moved.
    fn still_holds(&mut self, moment: &Moment) -> Result<Option<Arc<Known>>, TreeError> {
        let world = self.world;
        let Some(now) = &mut self.now else { return Ok(None) };
        let log = &now.known.log;
        if now.consumer.commit != moment.consumer {
            let head = Head::new(world, Side::Consumer, &moment.consumer)?;
            if !now.watch_consumer.holds(log, head.tree.as_ref())? {
                return Ok(None);
            }
            now.consumer = head;
        }
        if now.source.commit != moment.source {
            let mut head = Head::new(world, Side::Source, &moment.source)?;
            for (ask, answered) in log.iter().filter(|(ask, _)| ask.what == What::Relation) {
                if head.ask(world, ask)? != *answered {
                    return Ok(None);
                }
            }
            if !now.watch_source.holds(log, head.tree.as_ref())? {
                return Ok(None);
            }
            now.source = head;
        }
        Ok(Some(now.known.clone()))
    }

    fn evaluate(&mut self, moment: &Moment) -> Result<Arc<Known>, TreeError> {
        self.evaluated += 1;
        let recorder = Recorder::new(self.world, &moment.consumer, &moment.source);
        let revision = |id: &ObjectId| Revision::Commit(id.clone());
        let case = Case::Branch { consumer: revision(&moment.consumer), source: revision(&moment.source) };
        let report = judge(self.gate, &case, &recorder)?;
        Ok(self.memo.keep(Arc::new(report), recorder.log()))
    }

    fn head(&self, side: Side, commit: &ObjectId) -> Result<Head, TreeError> {
        Head::new(self.world, side, commit)
    }
}

impl Head {
    fn new(world: &dyn World, side: Side, commit: &ObjectId) -> Result<Self, TreeError> {
        let tree = world.tree(side, &Revision::Commit(commit.clone()))?;
        let gone = || TreeError::Unfit { path: commit.to_string(), what: "no such commit any more".into() };
        Ok(Self { commit: commit.clone(), tree: tree.ok_or_else(gone)?, answers: HashMap::new() })
    }

    fn ask(&mut self, world: &dyn World, ask: &Ask) -> Result<Answer, TreeError> {
        if let Some(answer) = self.answers.get(ask) {
            return Ok(answer.clone());
        }
        let given = match (&ask.what, ObjectId::parse(&ask.path)) {
            (What::Relation, Some(commit)) => {
                relation(world, &Revision::Commit(commit), &Revision::Commit(self.commit.clone()))?
            }
            _ => answer(self.tree.as_ref(), ask)?,
        };
        self.answers.insert(ask.clone(), given.clone());
        Ok(given)
    }
}
