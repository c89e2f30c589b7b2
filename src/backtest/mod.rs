//! What the verdict would have been at every moment of two histories (pure): when drift began, which commit began it, which
//! ended it.
//!
//! It may use `gate`, `config` and `tree`; the repositories come in as a [`World`] and two [`Step`] lines. It judges with the
//! function that judges everything else ([`crate::gate::judge`]), so what it says of the past is what the service would have
//! said.
//!
//! **Time.** A repository's history is its branch's first-parent line: what the branch's head was, one after the other. A
//! commit becomes the head at its committer's time, and never before the one that it follows: clocks that run wrong cannot
//! turn the line round. At each moment there is a pair of heads; a *moment* is when one of them moves. Of two heads that move
//! in the same second the source's is first, because a pin names what is there already.
//!
//! **Speed.** An evaluation reads through a tree that writes down every question and its answer ([`ask`]). Where all answers
//! still hold, the verdict does: most commits differ only in directories that nobody asked about, which is seen from their
//! object names ([`watch`]). Answers that were given before, such as after a revert, are found again ([`memo`]).
//!
//! Traps handled here: a history of which a part is missing is an error, never an early end; grace and other options do not
//! count, because they never change a verdict.

use crate::gate::Side;
use crate::tree::ObjectId;

mod ask;
mod engine;
mod intervals;
mod memo;
mod moments;
#[cfg(test)]
mod tests;
mod watch;

pub use engine::run;
pub use intervals::{Change, Interval, Spent, What};

/// One commit of a first-parent line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The commit.
    pub commit: ObjectId,
    /// When it was committed, Unix seconds.
    pub time: i64,
}

/// The first-parent lines of both branches, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// Of the gated branch of the consumer.
    pub consumer: Vec<Step>,
    /// Of the source's branch.
    pub source: Vec<Step>,
}

/// A head that moved.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Mover {
    /// Whose head.
    pub side: Side,
    /// To which commit.
    pub commit: ObjectId,
}

/// All verdicts of a gate over two histories.
#[derive(Clone, Debug)]
pub struct Backtest {
    /// The gate's name.
    pub gate: String,
    /// Unix seconds of the first and of the last moment; equal where there is but one, `None` where there is none.
    pub span: Option<(i64, i64)>,
    /// How often one of the heads moved.
    pub moments: usize,
    /// How many of them had to be evaluated.
    pub evaluated: usize,
    /// Each moment at which the verdict or a finding changed; the first moment is one.
    pub changes: Vec<Change>,
    /// Each finding that failed the gate, from its begin to its end.
    pub intervals: Vec<Interval>,
    /// Seconds under each verdict.
    pub spent: Spent,
}
