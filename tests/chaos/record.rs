//! What happened in a story, told when it ends badly.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Lines with their time since the story began.
#[derive(Clone)]
pub struct Record(Arc<(Instant, Mutex<Lines>)>);

type Lines = Vec<(Duration, String)>;

impl Default for Record {
    fn default() -> Self {
        Self(Arc::new((Instant::now(), Mutex::default())))
    }
}

impl Record {
    pub fn add(&self, line: impl Into<String>) {
        self.0.1.lock().expect("lines").push((self.0.0.elapsed(), line.into()));
    }

    /// The last lines.
    pub fn tail(&self, most: usize) -> String {
        let lines = self.0.1.lock().expect("lines");
        let mut text = String::new();
        for (at, line) in &lines[lines.len().saturating_sub(most)..] {
            writeln!(text, "{:>7} ms  {line}", at.as_millis()).expect("text");
        }
        text
    }
}
