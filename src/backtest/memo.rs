//! Verdicts by content: what was asked, as a tree of questions with a branch for each answer and a verdict at its end.
//!
//! An evaluation is a function of the answers that it gets. So whoever follows the questions from the root and finds a branch
//! for each answer ends at the verdict that an evaluation would give.

use std::sync::Arc;

use super::ask::{Answer, Ask, Log};
use crate::gate::Report;
use crate::tree::TreeError;

/// A verdict and what it was made of.
pub(super) struct Known {
    pub report: Arc<Report>,
    pub log: Arc<Log>,
}

/// All verdicts so far.
pub(super) struct Memo {
    nodes: Vec<Fork>,
}

#[derive(Default)]
struct Fork {
    /// More than one only if an evaluation asks the same things in another order.
    asks: Vec<(Ask, Vec<(Answer, usize)>)>,
    end: Option<Arc<Known>>,
}

impl Memo {
    pub fn new() -> Self {
        Self { nodes: vec![Fork::default()] }
    }

    /// The verdict for what `answers` says.
    pub fn find(
        &self,
        mut answers: impl FnMut(&Ask) -> Result<Answer, TreeError>,
    ) -> Result<Option<Arc<Known>>, TreeError> {
        let mut open = vec![0];
        while let Some(fork) = open.pop().and_then(|index| self.nodes.get(index)) {
            if let Some(known) = &fork.end {
                return Ok(Some(known.clone()));
            }
            for (ask, branches) in &fork.asks {
                let answer = answers(ask)?;
                open.extend(branches.iter().filter(|(given, _)| *given == answer).map(|(_, next)| *next));
            }
        }
        Ok(None)
    }

    /// Keeps a verdict.
    pub fn keep(&mut self, report: Arc<Report>, log: Log) -> Arc<Known> {
        let mut at = 0;
        for (ask, answer) in &log {
            at = self.next(at, ask, answer);
        }
        let known = Arc::new(Known { report, log: Arc::new(log) });
        self.nodes[at].end = Some(known.clone());
        known
    }

    /// The fork behind an answer, made where there is none.
    fn next(&mut self, at: usize, ask: &Ask, answer: &Answer) -> usize {
        let new = self.nodes.len();
        let asks = &mut self.nodes[at].asks;
        let index = asks.iter().position(|(one, _)| one == ask).unwrap_or_else(|| {
            asks.push((ask.clone(), Vec::new()));
            asks.len() - 1
        });
        let branches = &mut asks[index].1;
        if let Some((_, next)) = branches.iter().find(|(given, _)| given == answer) {
            return *next;
        }
        branches.push((answer.clone(), new));
        self.nodes.push(Fork::default());
        new
    }
}
