//! What is to be done about the pull request of a gate (pure): from what is wanted and what the forge has to the next thing.
//!
//! The rules, each for a trap:
//! - *At most one is open*: a newer one replaces an older one, which is closed with a link.
//! - *What somebody else committed is never written over*: neither updated, nor replaced, nor its branch deleted; it is said
//!   once, on the pull request.
//! - *A person who closes one means it*: for that commit of the source none is opened again, unless somebody asks for it.
//! - *A person who opens one again that we closed means that too*: it is left as it is.
//! - *Nothing is wanted for the moment* (a person must do it, the drift is too young, nobody can tell) is not *nothing is needed*:
//!   only the latter closes what is open.

use crate::tree::ObjectId;

/// One pull request of ours, as the forge has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    pub number: u64,
    pub branch: String,
    pub head: ObjectId,
    /// The source commit that its text names.
    pub source: String,
    /// Its whole text.
    pub body: String,
    pub open: bool,
    pub merged: bool,
    /// Its text says that we closed it.
    pub closed_by_us: bool,
    /// Somebody else committed to its branch.
    pub foreign: bool,
    /// Its branch holds what is wanted now.
    pub fresh: bool,
}

/// What is wanted, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish<'a> {
    /// No drift is left that a repair could end.
    Nothing,
    /// There is drift, and nothing to open for it now.
    NotNow,
    /// This one; `now`: its time has come.
    Pull { source: &'a str, branch: &'a str, now: bool },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is open and nothing is to be opened.
    Rest,
    /// It is too early to open one.
    Wait,
    /// This one stays as it is; others are closed.
    Keep { number: u64, close: Vec<u64> },
    /// A commit on top of this one makes it what is wanted; others are closed.
    Refresh { number: u64, close: Vec<u64> },
    /// One is opened; then these are closed.
    Open { close: Vec<u64> },
    /// These are not needed any more.
    Close(Vec<u64>),
    /// It is out of date, and somebody else has committed to it: it is theirs.
    Theirs(u64),
    /// A person closed it.
    Refused(u64),
}

impl Next {
    /// Whether one stays as it is and no other is closed for it.
    pub(super) fn is_keep_alone(&self) -> bool {
        matches!(self, Self::Keep { close, .. } if close.is_empty())
    }
}

/// `pulls` are newest first, so that all who look choose the same. `closing` is one that we were about to close when we last noted something; `forced`: a person asked for it now.
pub(super) fn next(wish: Wish<'_>, pulls: &[Ours], closing: Option<u64>, forced: bool) -> Next {
    let reopened = |one: &Ours| one.closed_by_us && closing != Some(one.number);
    let open: Vec<&Ours> = pulls.iter().filter(|one| one.open).collect();
    let Wish::Pull { source, branch, now } = wish else {
        if wish == Wish::NotNow {
            return open.first().map_or(Next::Rest, |one| Next::Keep { number: one.number, close: Vec::new() });
        }
        let close: Vec<u64> = open.iter().filter(|one| !one.foreign && !reopened(one)).map(|one| one.number).collect();
        return match open.iter().find(|one| one.foreign && !reopened(one)) {
            _ if !close.is_empty() => Next::Close(close),
            Some(theirs) => Next::Theirs(theirs.number),
            None => Next::Rest,
        };
    };
    let ours = |but: u64| -> Vec<u64> {
        let others = open.iter().filter(|one| one.number != but && !one.foreign && !reopened(one));
        others.map(|one| one.number).collect()
    };
    let is_it = |one: &&&Ours| one.branch == branch;
    if let Some(it) = open.iter().find(is_it) {
        let number = it.number;
        return match (it.fresh && it.source == source, it.foreign) {
            (true, _) => Next::Keep { number, close: ours(number) },
            (false, false) => Next::Refresh { number, close: ours(number) },
            (false, true) => Next::Theirs(number),
        };
    }
    if let Some(theirs) = open.iter().find(|one| one.foreign) {
        return Next::Theirs(theirs.number);
    }
    let refused = pulls.iter().find(|one| !one.open && !one.merged && !one.closed_by_us && one.source == source);
    if let Some(refused) = refused.filter(|_| !forced) {
        return Next::Refused(refused.number);
    }
    if !now && !forced && open.is_empty() {
        return Next::Wait;
    }
    Next::Open { close: ours(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "aaaa";
    const OLDER: &str = "bbbb";
    const WISH: Wish<'_> = Wish::Pull { source: SOURCE, branch: "drift-gate/aaaa", now: true };

    /// One that adopts a source commit, open and as it was made.
    fn pull(number: u64, source: &str) -> Ours {
        Ours {
            number,
            branch: format!("drift-gate/{source}"),
            head: ObjectId::parse(&"1".repeat(40)).expect("an id"),
            source: source.to_owned(),
            body: String::new(),
            open: true,
            merged: false,
            closed_by_us: false,
            foreign: false,
            fresh: source == SOURCE,
        }
    }

    fn closed(number: u64, source: &str) -> Ours {
        Ours { open: false, ..pull(number, source) }
    }

    #[test]
    fn drift_opens_one_and_what_is_open_already_stays() {
        assert_eq!(next(WISH, &[], None, false), Next::Open { close: vec![] });
        assert_eq!(next(WISH, &[pull(3, SOURCE)], None, false), Next::Keep { number: 3, close: vec![] });
    }

    #[test]
    fn the_source_moves_on_and_the_newer_replaces_the_older() {
        assert_eq!(next(WISH, &[pull(3, OLDER)], None, false), Next::Open { close: vec![3] });
        let both = [pull(4, SOURCE), pull(3, OLDER)];
        assert_eq!(next(WISH, &both, None, false), Next::Keep { number: 4, close: vec![3] }, "a crash came between");
    }

    #[test]
    fn of_two_that_were_opened_at_the_same_moment_the_newer_stays() {
        let both = [pull(4, SOURCE), pull(3, SOURCE)];
        assert_eq!(next(WISH, &both, None, false), Next::Keep { number: 4, close: vec![3] });
    }

    #[test]
    fn what_the_branch_holds_is_brought_up_to_date() {
        let stale = Ours { fresh: false, ..pull(3, SOURCE) };
        assert_eq!(next(WISH, &[stale], None, false), Next::Refresh { number: 3, close: vec![] });
        let same_branch = Ours { branch: "drift-gate/aaaa".into(), ..pull(3, OLDER) };
        assert_eq!(next(WISH, &[same_branch], None, false), Next::Refresh { number: 3, close: vec![] });
    }

    #[test]
    fn nothing_is_written_over_the_commits_of_somebody_else() {
        let theirs = Ours { foreign: true, ..pull(3, OLDER) };
        assert_eq!(next(WISH, std::slice::from_ref(&theirs), None, false), Next::Theirs(3), "none is opened beside it");
        assert_eq!(next(Wish::Nothing, &[theirs], None, false), Next::Theirs(3));
        let stale = Ours { foreign: true, fresh: false, ..pull(3, SOURCE) };
        assert_eq!(next(WISH, &[stale], None, false), Next::Theirs(3));
        let good = Ours { foreign: true, ..pull(3, SOURCE) };
        assert_eq!(next(WISH, &[good], None, false), Next::Keep { number: 3, close: vec![] });
    }

    #[test]
    fn one_that_a_person_closed_is_not_opened_again_for_that_commit() {
        assert_eq!(next(WISH, &[closed(3, SOURCE)], None, false), Next::Refused(3));
        assert_eq!(next(WISH, &[closed(3, SOURCE)], None, true), Next::Open { close: vec![] }, "unless asked");
        assert_eq!(next(WISH, &[closed(3, OLDER)], None, false), Next::Open { close: vec![] }, "another commit");
        let by_us = Ours { closed_by_us: true, ..closed(3, SOURCE) };
        assert_eq!(next(WISH, &[by_us], None, false), Next::Open { close: vec![] });
        let merged = Ours { merged: true, ..closed(3, SOURCE) };
        assert_eq!(next(WISH, &[merged], None, false), Next::Open { close: vec![] }, "merged and taken back");
    }

    #[test]
    fn drift_that_ended_otherwise_closes_it() {
        assert_eq!(next(Wish::Nothing, &[pull(3, SOURCE)], None, false), Next::Close(vec![3]));
        assert_eq!(next(Wish::Nothing, &[closed(3, SOURCE)], None, false), Next::Rest);
    }

    #[test]
    fn one_that_a_person_opened_again_is_left_alone() {
        let again = Ours { closed_by_us: true, ..pull(3, SOURCE) };
        assert_eq!(next(Wish::Nothing, std::slice::from_ref(&again), None, false), Next::Rest);
        assert_eq!(next(Wish::Nothing, &[again], Some(3), false), Next::Close(vec![3]), "that was us, half way");
    }

    #[test]
    fn young_drift_waits_but_an_open_one_is_not_left_behind() {
        let young = Wish::Pull { source: SOURCE, branch: "drift-gate/aaaa", now: false };
        assert_eq!(next(young, &[], None, false), Next::Wait);
        assert_eq!(next(young, &[], None, true), Next::Open { close: vec![] });
        assert_eq!(next(young, &[pull(3, OLDER)], None, false), Next::Open { close: vec![3] });
    }

    #[test]
    fn what_nobody_can_propose_leaves_what_is_open() {
        assert_eq!(next(Wish::NotNow, &[], None, false), Next::Rest);
        assert_eq!(next(Wish::NotNow, &[pull(3, OLDER)], None, false), Next::Keep { number: 3, close: vec![] });
    }
}
