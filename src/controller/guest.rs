//! Being a good guest on a forge: few calls at a time, none while it asks to wait, few while it does not answer. One write
//! at a time where it asks for that.
//!
//! Every call, of the API and of git, passes here. A forge that says "wait" is not asked until then. One that failed several
//! times in a row is asked again after a pause, by one call; only when that is answered do all go on. Both are said on
//! `/readyz`. What fails for another reason (a repository that is not there, a right that lacks) is an answer, and the
//! forge is well.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use super::lock;

/// Calls at a time, for each forge.
const AT_ONCE: usize = 16;
/// Failures in a row after which the forge is left alone for a while.
const FAILURES: u32 = 5;
/// How long at first; it doubles with each failure, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long others wait for the one call that tries.
const TRIAL: Duration = Duration::from_secs(5);
/// Between two writes, for a while after the forge refused one because they were too many: what GitHub asks for.
const BETWEEN: Duration = Duration::from_secs(1);
/// That while.
const SLOWLY: Duration = Duration::from_secs(10 * 60);
/// A forge that asks to wait for longer is asked after this all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The forge answered, whatever it said.
    Answer,
    /// It asks to wait.
    Wait(Duration),
    /// Nothing, half of something, or a 5xx; in words.
    Failure(String),
}

/// Why a call was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// The forge asked to wait so long still.
    Wait(Duration),
    /// It failed again and again; in words.
    Failing(String),
}

/// One forge's guest book.
pub(super) struct Guest {
    calls: Semaphore,
    /// Whose turn it is to write, where that is one's at a time.
    writes: Option<tokio::sync::Mutex<Writes>>,
    book: Mutex<Book>,
    well_again: Notify,
}

#[derive(Default)]
struct Writes {
    /// When the last one ended.
    last: Option<tokio::time::Instant>,
    /// With a pause between them until then.
    slowly: Option<tokio::time::Instant>,
}

#[derive(Default)]
struct Book {
    /// Failures in a row.
    failures: u32,
    /// The last one's words.
    why: String,
    /// Not asked before this moment.
    until: Option<Instant>,
    /// Because it asked to wait.
    asked_to_wait: bool,
}

impl Guest {
    /// One write at a time, or as many as calls.
    pub(super) fn new(one_write: bool) -> Self {
        let writes = one_write.then(Default::default);
        Self { calls: Semaphore::new(AT_ONCE), writes, book: Mutex::default(), well_again: Notify::new() }
    }

    /// As [`Guest::call`], for what writes.
    pub(super) async fn write<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        heard: impl FnOnce(&E) -> Heard,
    ) -> Result<Result<T, E>, NotNow> {
        let Some(writes) = &self.writes else { return self.call(call, heard).await };
        let mut writes = writes.lock().await;
        if let Some(last) = writes.last.filter(|last| writes.slowly.is_some_and(|until| until > *last)) {
            tokio::time::sleep_until(last + BETWEEN).await;
        }
        let mut too_many = false;
        let heard = |error: &E| {
            let heard = heard(error);
            too_many = matches!(heard, Heard::Wait(_));
            heard
        };
        let answer = self.call(call, heard).await;
        let now = tokio::time::Instant::now();
        writes.last = Some(now);
        if too_many {
            writes.slowly = Some(now + SLOWLY);
        }
        answer
    }

    /// Makes a call, if the forge is to be asked now.
    pub(super) async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        heard: impl FnOnce(&E) -> Heard,
    ) -> Result<Result<T, E>, NotNow> {
        // Never closed: acquiring does not fail.
        let _turn = self.calls.acquire().await.ok();
        lock(&self.book).enter(Instant::now())?;
        let answer = call.await;
        let heard = answer.as_ref().err().map_or(Heard::Answer, heard);
        let is_answer = heard == Heard::Answer;
        let was_ill = {
            let mut book = lock(&self.book);
            let was_ill = book.asked_to_wait || book.failures >= FAILURES;
            book.note(heard, Instant::now());
            was_ill
        };
        if is_answer && was_ill {
            self.well_again.notify_one();
        }
        Ok(answer)
    }

    /// Whether the forge is not to be asked now: what is due there waits, and loses nothing by it.
    pub(super) fn rests(&self) -> bool {
        lock(&self.book).until.is_some_and(|until| until > Instant::now())
    }

    /// Returns when the forge answers after it was left alone.
    pub(super) async fn well_again(&self) {
        self.well_again.notified().await;
    }

    /// What is wrong with the forge, in words for people, until it answers again.
    pub(super) fn trouble(&self) -> Option<String> {
        lock(&self.book).trouble(Instant::now())
    }
}

impl Book {
    fn enter(&mut self, now: Instant) -> Result<(), NotNow> {
        let Some(left) = self.until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
        else {
            if self.failures >= FAILURES {
                // This one tries; the others wait for what it hears.
                self.until = Some(now + TRIAL);
            }
            return Ok(());
        };
        if self.asked_to_wait {
            return Err(NotNow::Wait(left));
        }
        let (failures, why) = (self.failures, &self.why);
        Err(NotNow::Failing(format!("not asked: {failures} failures in a row, the last: {why}")))
    }

    fn trouble(&self, now: Instant) -> Option<String> {
        let left = self.until.and_then(|until| until.checked_duration_since(now));
        match left {
            Some(left) if self.asked_to_wait => Some(format!("it asks to wait: {} s more", left.as_secs() + 1)),
            _ if self.failures >= FAILURES => {
                Some(format!("asked rarely: {} failures in a row, the last: {}", self.failures, self.why))
            }
            _ => None,
        }
    }

    fn note(&mut self, heard: Heard, now: Instant) {
        match heard {
            Heard::Answer => *self = Self::default(),
            Heard::Wait(wait) => {
                self.until = Some(now + wait.min(LONGEST_WAIT));
                self.asked_to_wait = true;
            }
            Heard::Failure(why) => {
                self.failures = self.failures.saturating_add(1);
                self.why = why;
                if self.failures >= FAILURES && !self.asked_to_wait {
                    let doubled = FIRST_PAUSE.saturating_mul(1 << (self.failures - FAILURES).min(10));
                    self.until = Some(now + doubled.min(LONGEST_PAUSE));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Heard {
        Heard::Failure("502 Bad Gateway".into())
    }

    #[test]
    fn a_forge_that_fails_again_and_again_is_left_alone_and_tried_by_one_call() {
        let (mut book, start) = (Book::default(), Instant::now());
        for _ in 0..FAILURES {
            book.enter(start).expect("asked");
            book.note(failure(), start);
        }
        let said = book.enter(start).expect_err("not asked");
        assert_eq!(said, NotNow::Failing("not asked: 5 failures in a row, the last: 502 Bad Gateway".into()));
        let later = start + FIRST_PAUSE + Duration::from_millis(1);
        assert!(book.trouble(later).is_some_and(|words| words.contains("5 failures in a row")), "until it answers");
        book.enter(later).expect("one tries");
        book.enter(later).expect_err("the others wait for it");
        book.note(failure(), later);
        book.enter(later + FIRST_PAUSE + Duration::from_millis(1)).expect_err("twice as long");
        book.note(Heard::Answer, later);
        assert_eq!(book.trouble(later), None);
        for _ in 0..3 {
            book.enter(later).expect("all go on");
        }
    }

    #[test]
    fn a_forge_that_asks_to_wait_is_not_asked_until_then() {
        let (mut book, start) = (Book::default(), Instant::now());
        book.note(Heard::Wait(Duration::from_secs(60)), start);
        // What was under way when it asked changes nothing.
        book.note(failure(), start);
        let in_a_while = start + Duration::from_secs(20);
        assert_eq!(book.enter(in_a_while), Err(NotNow::Wait(Duration::from_secs(40))));
        book.enter(start + Duration::from_secs(61)).expect("asked again");
    }

    /// Writes of which each says when it begins, and takes a while.
    async fn begun(guest: &Guest, answers: &[Result<(), Heard>]) -> Vec<Duration> {
        let (start, begun) = (tokio::time::Instant::now(), Mutex::new(Vec::new()));
        let writes = answers.iter().map(|answer| {
            let write = async {
                lock(&begun).push(start.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
                answer.clone()
            };
            guest.write(write, Heard::clone)
        });
        futures_util::future::join_all(writes).await;
        begun.into_inner().expect("when they began")
    }

    #[tokio::test(start_paused = true)]
    async fn writes_are_made_one_after_the_other_where_the_forge_asks_for_that() {
        let all = begun(&Guest::new(false), &[Ok(()), Ok(()), Ok(())]).await;
        assert!(all.iter().all(|at| at.is_zero()), "{all:?}");
        let one_by_one = begun(&Guest::new(true), &[Ok(()), Ok(()), Ok(())]).await;
        assert_eq!(one_by_one, [0, 100, 200].map(Duration::from_millis));
    }

    #[tokio::test(start_paused = true)]
    async fn after_too_many_writes_there_is_a_pause_between_them_for_a_while() {
        let guest = Guest::new(true);
        begun(&guest, &[Err(Heard::Wait(Duration::ZERO))]).await;
        let slowly = begun(&guest, &[Ok(()), Ok(()), Ok(())]).await;
        assert_eq!(slowly, [1_000, 2_100, 3_200].map(Duration::from_millis));
        tokio::time::advance(SLOWLY).await;
        let first = begun(&guest, &[Ok(())]).await;
        assert_eq!(first, [Duration::ZERO]);
        let again = begun(&guest, &[Ok(()), Ok(())]).await;
        assert_eq!(again, [0, 100].map(Duration::from_millis), "all is forgiven");
    }

    #[test]
    fn an_answer_that_refuses_is_an_answer() {
        let (mut book, now) = (Book::default(), Instant::now());
        for _ in 0..4 {
            book.note(failure(), now);
        }
        book.note(Heard::Answer, now);
        book.note(failure(), now);
        book.enter(now).expect("asked");
    }
}
