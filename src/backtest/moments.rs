//! Two lines of commits as one line of moments; see the time axis in the room's first lines.

use super::{Lines, Mover, Step};
use crate::gate::Side;
use crate::tree::ObjectId;

/// A moment at which a head moved, with both heads as they are from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Unix seconds.
    pub at: i64,
    pub moved: Mover,
    pub consumer: ObjectId,
    pub source: ObjectId,
}

/// All moments from when both repositories have a head. What was before `since` becomes one moment, at `since`.
pub(super) fn moments(lines: &Lines, since: Option<i64>) -> Vec<Moment> {
    let mut events: Vec<(i64, Side, &ObjectId)> = placed(&lines.source, Side::Source).collect();
    events.extend(placed(&lines.consumer, Side::Consumer));
    // Stable, so the source stays first, and each line in its order.
    events.sort_by_key(|(at, _, _)| *at);
    let (mut consumer, mut source) = (None, None);
    let mut moments: Vec<Moment> = Vec::new();
    for (at, side, commit) in events {
        match side {
            Side::Consumer => consumer = Some(commit),
            Side::Source => source = Some(commit),
        }
        let (Some(consumer), Some(source)) = (consumer, source) else { continue };
        let moved = Mover { side, commit: commit.clone() };
        let moment = Moment { at, moved, consumer: consumer.clone(), source: source.clone() };
        match (since, moments.last_mut()) {
            (Some(since), Some(first)) if at <= since => *first = Moment { at: since, ..moment },
            (Some(since), None) if at <= since => moments.push(Moment { at: since, ..moment }),
            _ => moments.push(moment),
        }
    }
    moments
}

/// Steps at the time at which they became the head: their own, unless the line was further already.
fn placed(line: &[Step], side: Side) -> impl Iterator<Item = (i64, Side, &ObjectId)> {
    line.iter().scan(i64::MIN, move |latest, step| {
        *latest = step.time.max(*latest);
        Some((*latest, side, &step.commit))
    })
}
