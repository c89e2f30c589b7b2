//! Since when a consumer branch lags behind (pure): what `grace` counts from.
//!
//! The oldest change that is not adopted counts, from when it was first seen or committed, the earlier. The trap: neither a
//! push to the source nor a bump of the pin that still leaves something behind may begin the count anew, so every head of
//! the source that was seen while the branch lagged is kept until the branch has it.

use serde::{Deserialize, Serialize};

use crate::tree::ObjectId;

/// How many heads are kept: the oldest are those that count.
const MOST: usize = 256;

/// Heads of the source that a consumer branch did not have when they were seen, the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Lag(Vec<(ObjectId, i64)>);

impl Lag {
    /// Notes that the branch lags behind this head now, and answers since when it lags behind anything (Unix
    /// milliseconds). `committed` is the head's commit time in seconds, where it is known; `is_over` says of an earlier head
    /// that the branch has it by now, or that it is no part of the source's branch any more.
    pub fn see(
        &mut self,
        head: &ObjectId,
        now: i64,
        committed: Option<i64>,
        is_over: impl Fn(&ObjectId) -> bool,
    ) -> i64 {
        self.0.retain(|(one, _)| one == head || !is_over(one));
        if !self.0.iter().any(|(one, _)| one == head) && self.0.len() < MOST {
            let committed = committed.map_or(now, |seconds| seconds.saturating_mul(1000));
            self.0.push((head.clone(), now.min(committed)));
        }
        self.0.iter().map(|(_, since)| *since).min().unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: char) -> ObjectId {
        ObjectId::parse(&name.to_string().repeat(40)).expect("an object name")
    }

    /// The branch has everything up to `bound`, in the order of the alphabet.
    fn see(lag: &mut Lag, bound: char, head: char, now: i64) -> i64 {
        lag.see(&id(head), now, None, |one| *one <= id(bound))
    }

    #[test]
    fn pushing_again_does_not_renew_it() {
        let mut lag = Lag::default();
        assert_eq!(see(&mut lag, 'a', 'b', 1_000), 1_000);
        assert_eq!(see(&mut lag, 'a', 'b', 2_000), 1_000);
        assert_eq!(see(&mut lag, 'a', 'c', 3_000), 1_000);
    }

    #[test]
    fn a_bump_that_leaves_something_behind_counts_from_what_it_leaves() {
        let mut lag = Lag::default();
        see(&mut lag, 'a', 'b', 1_000);
        see(&mut lag, 'a', 'c', 2_000);
        assert_eq!(see(&mut lag, 'b', 'd', 3_000), 2_000);
        assert_eq!(see(&mut lag, 'c', 'd', 4_000), 3_000);
    }

    #[test]
    fn a_bump_that_is_taken_back_won_no_time() {
        let mut lag = Lag::default();
        see(&mut lag, 'a', 'b', 1_000);
        // At `b` nothing is stale and nobody asks; then the pin is at `a` again.
        assert_eq!(see(&mut lag, 'a', 'b', 9_000), 1_000);
    }

    #[test]
    fn a_commit_older_than_its_push_counts_from_its_own_time_and_one_from_the_future_does_not() {
        let mut lag = Lag::default();
        assert_eq!(lag.see(&id('b'), 9_000, Some(4), |_| false), 4_000);
        assert_eq!(Lag::default().see(&id('b'), 9_000, Some(i64::MAX), |_| false), 9_000);
    }

    #[test]
    fn a_head_that_was_forced_away_counts_no_more() {
        let mut lag = Lag::default();
        see(&mut lag, 'a', 'b', 1_000);
        assert_eq!(lag.see(&id('c'), 2_000, None, |one| *one == id('b')), 2_000);
    }

    #[test]
    fn it_is_kept_as_a_list_of_commits() {
        let mut lag = Lag::default();
        see(&mut lag, 'a', 'b', 1_000);
        let json = serde_json::to_string(&lag).expect("JSON");
        assert_eq!(json, format!("[[\"{}\",1000]]", id('b')));
        assert_eq!(serde_json::from_str::<Lag>(&json).expect("a list"), lag);
    }
}
