//! Where a pin is in a file: `workspace_templates[name=platform-agent].ref`.
//!
//! Keys are joined by dots; `[field=value]` selects the one entry of a list whose field has that text; `[0]` counts from
//! zero, and `[*]` is every entry where several values are meant. What holds one of `. [ ] = "` or white space is quoted: `plugins."my.plugin"[name="a b"].ref`; in quotes `\"` and
//! `\\` are the characters themselves.

use serde::{Serialize, Serializer};

/// A path in a file of data; at least one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinPath {
    steps: Vec<PinStep>,
}

/// One step of a [`PinPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinStep {
    /// The member of an object.
    Key(String),
    /// The one entry of a list whose member `key` is the text `value`.
    Select {
        /// A member of the list's entries.
        key: String,
        /// Its text.
        value: String,
    },
    /// The entry of a list, from zero.
    Index(usize),
    /// Every entry of a list.
    Each,
}

/// Why a text is no pin path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PinPathError {
    /// Bytes from the start of the text; 0 where the whole of it is meant.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
}

impl PinPath {
    /// A path of these steps.
    pub fn new(steps: Vec<PinStep>) -> Self {
        Self { steps }
    }

    /// Reads the path of a pin: to one value.
    ///
    /// # Errors
    /// The text is no path, ends at an entry instead of a value, or means several values.
    pub fn parse(text: &str) -> Result<Self, PinPathError> {
        let path = Self::parse_place(text)?;
        let wrong = |message: &str| Err(PinPathError { at: 0, message: message.to_owned() });
        match path.steps.last() {
            Some(PinStep::Select { .. }) => wrong("the path ends at an entry, not at a value of it"),
            _ if path.steps.contains(&PinStep::Each) => wrong("`[*]` means several values, a pin is one"),
            _ => Ok(path),
        }
    }

    /// Reads a path to anything: a value, an entry, or with `[*]` several of them.
    ///
    /// # Errors
    /// The text is no path.
    pub fn parse_place(text: &str) -> Result<Self, PinPathError> {
        let mut reader = Reader { text, at: 0 };
        let mut steps = Vec::new();
        while !reader.rest().is_empty() {
            if reader.takes('[') {
                steps.push(reader.bracket()?);
            } else {
                if !steps.is_empty() && !reader.takes('.') {
                    return Err(reader.wrong("expected `.` or `[`"));
                }
                steps.push(PinStep::Key(reader.word("a key")?));
            }
        }
        match steps.is_empty() {
            true => Err(PinPathError { at: 0, message: "the path is empty".to_owned() }),
            false => Ok(Self { steps }),
        }
    }

    /// From the file's root to the value.
    pub fn steps(&self) -> &[PinStep] {
        &self.steps
    }
}

impl std::fmt::Display for PinPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            match step {
                PinStep::Key(key) if index == 0 => write!(f, "{}", quoted(key))?,
                PinStep::Key(key) => write!(f, ".{}", quoted(key))?,
                PinStep::Select { key, value } => write!(f, "[{}={}]", quoted(key), quoted(value))?,
                PinStep::Index(at) => write!(f, "[{at}]")?,
                PinStep::Each => write!(f, "[*]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for PinPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '[' | ']' | '=' | '"' | '\\')
}

fn quoted(word: &str) -> String {
    if !word.is_empty() && word.chars().all(is_bare) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn takes(&mut self, c: char) -> bool {
        let there = self.rest().starts_with(c);
        self.at += if there { c.len_utf8() } else { 0 };
        there
    }

    fn wrong(&self, message: impl Into<String>) -> PinPathError {
        PinPathError { at: self.at, message: message.into() }
    }

    /// What stands behind a `[`.
    fn bracket(&mut self) -> Result<PinStep, PinPathError> {
        if self.rest().starts_with("*]") {
            self.at += 2;
            return Ok(PinStep::Each);
        }
        let digits = self.rest().chars().take_while(char::is_ascii_digit).count();
        let step = if digits > 0 && self.rest()[digits..].starts_with(']') {
            let index = self.rest()[..digits].parse().map_err(|_| self.wrong("the index is too large"))?;
            self.at += digits;
            PinStep::Index(index)
        } else {
            let key = self.word("a field or an index")?;
            if !self.takes('=') {
                return Err(self.wrong("expected `=` and the field's value"));
            }
            // A version such as 1.2 may stand in brackets without quotes: dots part keys only outside of them.
            let bare = self.rest().chars().take_while(|c| is_bare(*c) || *c == '.').map(char::len_utf8).sum::<usize>();
            let value = if self.rest().starts_with('"') || bare == 0 {
                self.word("the field's value")?
            } else {
                let value = self.rest()[..bare].to_owned();
                self.at += bare;
                value
            };
            PinStep::Select { key, value }
        };
        if self.takes(']') { Ok(step) } else { Err(self.wrong("expected `]`")) }
    }

    /// A bare or quoted word.
    fn word(&mut self, what: &str) -> Result<String, PinPathError> {
        if self.takes('"') {
            return self.rest_of_quoted();
        }
        let length: usize = self.rest().chars().take_while(|c| is_bare(*c)).map(char::len_utf8).sum();
        if length == 0 {
            return Err(self.wrong(format!("expected {what}")));
        }
        let word = self.rest()[..length].to_owned();
        self.at += length;
        Ok(word)
    }

    fn rest_of_quoted(&mut self) -> Result<String, PinPathError> {
        let (mut word, mut escaped) = (String::new(), false);
        for (at, c) in self.rest().char_indices() {
            match c {
                '"' | '\\' if escaped => {
                    word.push(c);
                    escaped = false;
                }
                _ if escaped => {
                    return Err(PinPathError { at: self.at + at, message: format!("unknown escape `\\{c}`") });
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += at + 1;
                    return Ok(word);
                }
                c => word.push(c),
            }
        }
        self.at = self.text.len();
        Err(self.wrong("the quote is not closed"))
    }
}
