//! What is wrong with a configuration, said so that it can be mended: place, words, the line itself, what to write.
//!
//! The trap handled here: the line at fault may hold a secret that somebody wrote down as text. What stands where a secret
//! belongs is covered before any line is shown.

use std::ops::Range;

/// One thing that is wrong. Displays as `file:line:column: error: message`, the line with a caret, and the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the operator named it.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// The line at fault, secrets covered.
    pub excerpt: String,
    /// How many characters of the line are at fault; at least 1.
    pub width: usize,
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, column, message, help, excerpt, width } = self;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the caret stands under its character whatever their width.
        let indent: String = excerpt.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{file}:{line}:{column}: error: {message}")?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {excerpt}")?;
        writeln!(f, "{gutter} | {indent}{}", "^".repeat(*width))?;
        write!(f, "{gutter} = help: {help}")
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "{file}: error: cannot be read: {source}\n  = help: name the configuration; `drift-gate config example` prints one to begin with"
    )]
    Unreadable {
        /// As the operator named it.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says something that cannot be; in the order of the file, never empty.
    #[error("{}", listed(.0))]
    Invalid(Vec<Diagnostic>),
}

impl ConfigError {
    /// What is wrong, where it is about places in the file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid(diagnostics) => diagnostics,
        }
    }
}

fn listed(diagnostics: &[Diagnostic]) -> String {
    let each: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    each.join("\n\n")
}

/// A configuration's text, and how to point into it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    file: String,
    text: String,
    /// Byte ranges that are never shown.
    covered: Vec<Range<usize>>,
}

impl Document {
    pub(super) fn new(text: &str, file: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), covered: Vec::new() }
    }

    /// The line of a byte, 1-based.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + self.text[..floor(&self.text, at)].matches('\n').count()
    }

    /// The text at these bytes.
    pub(super) fn slice(&self, bytes: &Range<usize>) -> &str {
        self.text.get(bytes.clone()).unwrap_or_default()
    }

    /// Never shows these bytes.
    pub(super) fn cover(&mut self, bytes: Range<usize>) {
        self.covered.push(bytes);
    }

    /// Hides the values of lines that speak of secrets: for a text that could not be parsed, so that nobody knows what is what.
    pub(super) fn cover_what_may_be_secret(&mut self) {
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let lower = line.to_ascii_lowercase();
            let speaks = ["token", "secret", "password"].iter().any(|word| lower.contains(word)) || line.contains('@');
            if let Some(equals) = line.find('=').filter(|_| speaks) {
                self.covered.push(start + equals + 1..start + line.trim_end().len());
            }
            start += line.len();
        }
    }

    /// Turns problems into diagnostics, in the order of the file.
    pub(super) fn explain(&self, mut problems: Vec<Problem>) -> Vec<Diagnostic> {
        problems.sort_by_key(|problem| problem.at.start);
        problems.into_iter().map(|problem| self.diagnostic(problem)).collect()
    }

    fn diagnostic(&self, problem: Problem) -> Diagnostic {
        let Problem { at, message, help } = problem;
        let start = floor(&self.text, at.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[line_start..].find('\n').map_or(self.text.len(), |length| line_start + length);
        let end = floor(&self.text, at.end).clamp(start, line_end.max(start));
        Diagnostic {
            file: self.file.clone(),
            line: self.line(start),
            column: 1 + self.text[line_start..start].chars().count(),
            message,
            help,
            excerpt: self.shown(line_start..line_end),
            width: self.text[start..end].trim_end().chars().count().max(1),
        }
    }

    /// A line with what is covered replaced, one `*` for each character, so that carets still fit.
    fn shown(&self, line: Range<usize>) -> String {
        let hidden = |at: usize| self.covered.iter().any(|bytes| bytes.contains(&at));
        let characters = self.text[line.clone()].char_indices();
        let shown: String = characters.map(|(at, c)| if hidden(line.start + at) { '*' } else { c }).collect();
        shown.trim_end().to_owned()
    }
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// One thing that is wrong with a text, before it is turned into lines and columns.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Bytes of the text.
    pub at: Range<usize>,
    pub message: String,
    pub help: String,
}

impl Problem {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { at, message: message.into(), help: help.into() }
    }
}
