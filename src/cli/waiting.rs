//! What takes long says so on a terminal: one line on the standard error, which is gone when the work is done.

use std::io::{IsTerminal, Stderr, Write, stderr};
use std::time::{Duration, Instant};

/// What is done sooner is not told.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How long a line stands before the next takes its place.
const STANDS: Duration = Duration::from_millis(100);

const ERASE: &str = "\r\x1b[K";

/// A line for one piece of work; dropping it takes the line away.
pub struct Waiting<W: Write = Stderr> {
    /// Nothing is written where that is no terminal.
    screen: Option<W>,
    /// When the next line may be written.
    next: Instant,
    told: bool,
}

impl Waiting {
    /// For work that begins now.
    pub fn new() -> Self {
        let mut waiting = Self::long();
        waiting.next += PATIENCE;
        waiting
    }

    /// For work that takes long already.
    pub fn long() -> Self {
        Self { screen: Some(stderr()).filter(IsTerminal::is_terminal), next: Instant::now(), told: false }
    }
}

impl<W: Write> Waiting<W> {
    /// Says how far the work is, if it is time for that.
    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        self.tell_at(Instant::now(), words);
    }

    fn tell_at(&mut self, now: Instant, words: impl FnOnce() -> String) {
        let Some(screen) = self.screen.as_mut().filter(|_| now >= self.next) else { return };
        // What cannot be written to a terminal is not missed.
        let _ = write!(screen, "{ERASE}{}", words()).and_then(|()| screen.flush());
        self.next = now + STANDS;
        self.told = true;
    }
}

impl<W: Write> Drop for Waiting<W> {
    fn drop(&mut self) {
        if let Some(screen) = self.screen.as_mut().filter(|_| self.told) {
            let _ = write!(screen, "{ERASE}").and_then(|()| screen.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on the screen after the work, told of at these milliseconds.
    fn written(times: &[u64]) -> String {
        let mut screen = Vec::new();
        let begun = Instant::now();
        let mut waiting = Waiting { screen: Some(&mut screen), next: begun + PATIENCE, told: false };
        for time in times {
            waiting.tell_at(begun + Duration::from_millis(*time), || format!("after {time} ms"));
        }
        drop(waiting);
        String::from_utf8(screen).expect("text")
    }

    #[test]
    fn what_is_done_at_once_is_not_told() {
        assert_eq!(written(&[0, 500, 999]), "");
    }

    #[test]
    fn what_takes_long_is_told_now_and_then_and_leaves_nothing_behind() {
        assert_eq!(written(&[999, 1_000, 1_050, 1_100]), "\r\x1b[Kafter 1000 ms\r\x1b[Kafter 1100 ms\r\x1b[K");
    }
}
