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
        let (excerpt, before) = part(excerpt, *column);
        // Tabs stay tabs, so that the caret stands under its character whatever their width.
        let indent: String = excerpt.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let width = (*width).min(SHOWN);
        writeln!(f, "{file}:{line}:{column}: error: {message}")?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {excerpt}")?;
        writeln!(f, "{gutter} | {indent}{}", "^".repeat(width))?;
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

/// Characters that are shown on either side of where something begins to be wrong.
const SHOWN: usize = 160;

/// A line around its fault, and how many characters of that stand before it: a file that is none may be one endless line.
fn part(line: &str, column: usize) -> (String, usize) {
    let left_out = (column - 1).saturating_sub(SHOWN);
    let before = column - 1 - left_out;
    (line.chars().skip(left_out).take(before + SHOWN).collect(), before)
}

/// A character as a terminal may have it: what it would obey, or what turns the text around it, becomes one that only
/// stands there. The file may be a stranger's.
fn harmless(c: char) -> char {
    match c {
        '\t' | '\n' => c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

fn listed(diagnostics: &[Diagnostic]) -> String {
    let each: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
    each.join("\n\n")
}

/// A configuration's text, and how to point into it.
#[derive(Clone)]
pub(super) struct Document {
    file: String,
    text: String,
    /// Byte ranges that are never shown.
    covered: Vec<Range<usize>>,
}

/// Names the file only: nobody knows what stands in its comments.
impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Document").field(&self.file).finish()
    }
}

impl Document {
    pub(super) fn new(text: &str, file: &str) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), covered: credentials(text) }
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

    /// Hides what stands behind keys that speak of secrets: for a text that could not be parsed, so that nobody knows what is
    /// what. A line without a key of its own goes with the one above it.
    pub(super) fn cover_what_may_be_secret(&mut self) {
        let (mut start, mut speaks) = (0, false);
        for line in self.text.split_inclusive('\n') {
            let lower = line.to_ascii_lowercase();
            let speaks_itself = ["token", "secret", "password"].iter().any(|word| lower.contains(word));
            if begins_something(line) || speaks_itself {
                speaks = speaks_itself;
            }
            if speaks || line.contains('@') {
                let key = if speaks_itself { behind_key(line) } else { 0 };
                self.covered.push(start + key..start + line.len());
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
            message: message.chars().map(harmless).collect(),
            help: help.chars().map(harmless).collect(),
            excerpt: self.shown(line_start..line_end),
            width: self.text[start..end].trim_end().chars().count().max(1),
        }
    }

    /// A line with what is covered replaced, one `*` for each character, so that carets still fit.
    fn shown(&self, line: Range<usize>) -> String {
        let hidden = |at: usize| self.covered.iter().any(|bytes| bytes.contains(&at));
        let characters = self.text[line.clone()].char_indices();
        let shown = characters.map(|(at, c)| match c {
            _ if hidden(line.start + at) => '*',
            c => harmless(c),
        });
        let shown: String = shown.collect();
        shown.trim_end().to_owned()
    }
}

/// Where addresses hold a name and a password: between `://` and `@`.
fn credentials(text: &str) -> Vec<Range<usize>> {
    let behind_scheme = text.match_indices("://").map(|(at, scheme)| at + scheme.len());
    let held = behind_scheme.filter_map(|start| {
        let host = text[start..].split(['/', '"', '\'', '\n']).next()?;
        Some(start..start + host.rfind('@')?)
    });
    held.collect()
}

/// Whether a line has a key or a heading, or is none of anything.
fn begins_something(line: &str) -> bool {
    let line = line.trim();
    let is_key = |key: &str| !key.is_empty() && !key.contains(char::is_whitespace);
    line.split_once('=').is_some_and(|(key, _)| is_key(key.trim())) || (line.starts_with('[') && !line.contains('"'))
}

/// Where in a line the value begins, whatever parts it from its key.
fn behind_key(line: &str) -> usize {
    let in_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let rest = line.trim_start().trim_start_matches(in_key);
    let value = rest.trim_start_matches([' ', '\t', '=', ':']);
    line.len() - value.len()
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
