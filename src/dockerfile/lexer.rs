//! From the bytes of a Dockerfile to its statements, as BuildKit's `parser` package reads them.
//!
//! Knows lines, parser directives, continuations, comments and heredocs, and splits a statement into keyword, flags and
//! arguments; what a keyword means is for [`super::instructions`].
//!
//! Traps handled here: a continued line is joined without a space; comments and blank lines inside a continued line
//! vanish; a comment after an argument is an argument; directives end at the first line that is none; the body of a
//! heredoc keeps its line ends while its terminator is compared without them.

use std::sync::Arc;

use super::budget::{Budget, Failure};
use super::expansion::{Environment, Lexer, Quotes};
use super::{BuildError, MAX_DOCKERFILE, MAX_STATEMENTS};

/// BuildKit reads lines through a scanner of this many bytes and refuses a longer one.
const MAX_LINE: usize = 64 * 1024;

/// A Dockerfile, cut into statements.
#[derive(Debug)]
pub(super) struct Script {
    /// `\`, or the backtick after `# escape=`.
    pub escape: char,
    /// `# syntax=`: another frontend would read the file.
    pub syntax: Option<(u32, String)>,
    /// `# check=`: what the linter does.
    pub check: Option<String>,
    pub statements: Vec<Statement>,
    /// The lines of continued statements with a blank line inside, for the linter.
    pub blank_continuations: Vec<u32>,
}

/// One instruction as it is written.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// The first line, counted from 1.
    pub line: u32,
    /// The last one, with continuations and heredocs.
    pub end: u32,
    /// As written; instructions are compared without case.
    pub keyword: String,
    pub flags: Vec<String>,
    /// What follows keyword and flags.
    pub rest: String,
    pub heredocs: Vec<Heredoc>,
    /// The comment lines right above.
    pub comments: Vec<String>,
}

/// A heredoc with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heredoc {
    pub name: String,
    /// No part of the word was quoted.
    pub expand: bool,
    /// `<<-`: leading tabs go.
    pub chomp: bool,
    pub body: Arc<str>,
}

impl Heredoc {
    /// The body as it is used: `<<-` takes the leading tabs of each line.
    pub fn content(&self) -> String {
        if !self.chomp {
            return self.body.to_string();
        }
        self.body.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// Reads a Dockerfile. A file that is not UTF-8 or too large is undecided; one that BuildKit's parser refuses fails.
pub(super) fn read(bytes: &[u8]) -> Result<Script, BuildError> {
    if bytes.len() > MAX_DOCKERFILE {
        return Err(undecided(
            1,
            format!("the Dockerfile is larger than {MAX_DOCKERFILE} bytes, which is all that is read"),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        undecided(line as u32, "the Dockerfile is not UTF-8 here".to_owned())
    })?;
    if text.is_empty() {
        return Err(fails(1, "the Dockerfile cannot be empty"));
    }
    read_text(text)
}

/// Reads the text of a Dockerfile or of an `ONBUILD` trigger.
pub(super) fn read_text(text: &str) -> Result<Script, BuildError> {
    let mut reader = Reader { lines: text.split_inclusive('\n'), number: 0 };
    let mut script =
        Script { escape: '\\', syntax: None, check: None, statements: Vec::new(), blank_continuations: Vec::new() };
    let mut directives = Directives { open: true, seen: Vec::new() };
    let mut comments = Vec::new();
    while let Some(raw) = reader.next()? {
        let raw = if reader.number == 1 { raw.strip_prefix('\u{feff}').unwrap_or(raw) } else { raw };
        let line = without_newline(raw).trim_start();
        let directive = directives.take(line, reader.number, &mut script)?;
        if let Some(comment) = line.strip_prefix('#') {
            note_comment(comment, directive, &mut comments);
            continue;
        }
        if line.is_empty() {
            continue;
        }
        let statement = read_statement(line, &mut reader, &mut script, std::mem::take(&mut comments))?;
        if script.statements.len() >= MAX_STATEMENTS {
            return Err(undecided(statement.line, format!("more than {MAX_STATEMENTS} instructions")));
        }
        script.statements.push(statement);
    }
    if script.statements.is_empty() {
        return Err(fails(reader.number.max(1), "file with no instructions"));
    }
    Ok(script)
}

fn note_comment(comment: &str, directive: bool, comments: &mut Vec<String>) {
    let comment = comment.trim();
    if comment.is_empty() {
        comments.clear();
    } else if !directive {
        comments.push(comment.to_owned());
    }
}

fn read_statement<'t>(
    first: &str,
    reader: &mut Reader<'t>,
    script: &mut Script,
    comments: Vec<String>,
) -> Result<Statement, BuildError> {
    let number = reader.number;
    let (part, mut continues) = cut_continuation(first, script.escape);
    let mut text = part.to_owned();
    let mut blank = false;
    while continues {
        let Some(raw) = reader.next()? else { break };
        let line = without_newline(raw);
        if line.trim_start().starts_with('#') {
            continue;
        }
        if line.trim_start().is_empty() {
            blank = true;
            continue;
        }
        let (part, more) = cut_continuation(line, script.escape);
        text.push_str(part);
        continues = more;
    }
    if blank {
        script.blank_continuations.push(reader.number);
    }
    let mut statement = split(&text, number, script.escape);
    statement.comments = comments;
    if statement.may_have_heredocs(script.escape) && text.contains("<<") {
        for mut heredoc in heredocs_of(&text).map_err(|why| why.at(number))? {
            heredoc.body = reader.heredoc_body(&heredoc, number)?.into();
            statement.heredocs.push(heredoc);
        }
    }
    statement.end = reader.number;
    Ok(statement)
}

/// Splits a joined statement into keyword, flags and the rest.
pub(super) fn split(text: &str, line: u32, escape: char) -> Statement {
    let trimmed = text.trim();
    let keyword_end = trimmed.find(is_separator).unwrap_or(trimmed.len());
    let (keyword, rest) = trimmed.split_at(keyword_end);
    let (flags, rest) = take_flags(rest.trim_start_matches(is_separator), escape);
    Statement {
        line,
        end: line,
        keyword: keyword.to_owned(),
        flags,
        rest: rest.trim().to_owned(),
        heredocs: Vec::new(),
        comments: Vec::new(),
    }
}

impl Statement {
    /// The keyword in upper case.
    pub fn name(&self) -> String {
        self.keyword.to_ascii_uppercase()
    }

    /// Only COPY, ADD and RUN, plain or below ONBUILD, and not in JSON form.
    fn may_have_heredocs(&self, escape: char) -> bool {
        match self.name().as_str() {
            "COPY" | "ADD" | "RUN" => json_strings(&self.rest).is_none(),
            "ONBUILD" => {
                let inner = split(&self.rest, self.line, escape);
                matches!(inner.name().as_str(), "COPY" | "ADD" | "RUN") && json_strings(&inner.rest).is_none()
            }
            _ => false,
        }
    }
}

/// The whitespace that separates words in BuildKit's parser: ASCII only, so a no-break space is part of a word.
pub(super) fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r')
}

/// The strings of a JSON array, when `text` is one; `Some(Err)` when it is an array of something else.
pub(super) fn json_strings(text: &str) -> Option<Result<Vec<String>, &'static str>> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return None;
    }
    let values: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err("when using JSON array syntax, arrays must be comprised of strings only"),
    });
    Some(strings.collect())
}

/// Reads a word as a heredoc (`<<EOF`, `3<<-"EOF"`), without its body.
pub(super) fn heredoc_word(word: &str) -> Result<Option<Heredoc>, Failure> {
    let Some((descriptor, rest)) = word.split_once("<<") else { return Ok(None) };
    if !descriptor.bytes().all(|b| b.is_ascii_digit()) || rest.contains('<') {
        return Ok(None);
    }
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
    if rest.is_empty() {
        return Ok(None);
    }
    let (environment, budget) = (Environment::default(), Budget::default());
    let words = Lexer::keeping('\\', Quotes::Removed, false, &budget).words(rest, &environment)?;
    let [name] = words.as_slice() else { return Ok(None) };
    let raw = Lexer::keeping('\\', Quotes::Kept, false, &budget).words(rest, &environment)?;
    let quotes = |text: &str| text.bytes().filter(|b| matches!(b, b'"' | b'\'')).count();
    let expand = raw.first().is_some_and(|raw| quotes(raw) == quotes(name));
    Ok(Some(Heredoc { name: name.clone(), expand, chomp, body: Arc::default() }))
}

fn heredocs_of(text: &str) -> Result<Vec<Heredoc>, Failure> {
    let budget = Budget::default();
    let lexer = Lexer::keeping('\\', Quotes::Kept, true, &budget);
    let words = match lexer.words(text, &Environment::default()) {
        // A line whose quotes do not close has no heredocs; what uses the line says what is wrong with it.
        Err(Failure::Wrong(_)) => Vec::new(),
        words => words?,
    };
    let mut found = Vec::new();
    for word in words {
        found.extend(heredoc_word(&word)?);
    }
    Ok(found)
}

struct Reader<'t> {
    lines: std::str::SplitInclusive<'t, char>,
    number: u32,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<&'t str>, BuildError> {
        let Some(line) = self.lines.next() else { return Ok(None) };
        self.number += 1;
        if line.len() > MAX_LINE {
            return Err(fails(self.number, "dockerfile line greater than max allowed size of 65535"));
        }
        Ok(Some(line))
    }

    fn heredoc_body(&mut self, heredoc: &Heredoc, statement: u32) -> Result<String, BuildError> {
        let mut body = String::new();
        while let Some(raw) = self.next()? {
            let mut line = without_newline(raw);
            if heredoc.chomp {
                line = line.trim_start_matches('\t');
            }
            if line == heredoc.name {
                return Ok(body);
            }
            body.push_str(raw);
        }
        Err(fails(statement, format!("unterminated heredoc: no line `{}`", heredoc.name)))
    }
}

struct Directives {
    open: bool,
    seen: Vec<String>,
}

impl Directives {
    /// Whether the line was a directive.
    fn take(&mut self, line: &str, number: u32, script: &mut Script) -> Result<bool, BuildError> {
        if !self.open {
            return Ok(false);
        }
        let Some((name, value)) = directive(line) else {
            self.open = false;
            return Ok(false);
        };
        if self.seen.contains(&name) {
            return Err(fails(number, format!("only one {name} parser directive can be used")));
        }
        match name.as_str() {
            "escape" => {
                script.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    _ => return Err(fails(number, format!("invalid escape token '{value}' does not match ` or \\"))),
                }
            }
            "syntax" => script.syntax = Some((number, value.to_owned())),
            _ => script.check = Some(value.to_owned()),
        }
        self.seen.push(name);
        Ok(true)
    }
}

fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let name = name.to_ascii_lowercase();
    let known = matches!(name.as_str(), "escape" | "syntax" | "check");
    (plain && known && !value.is_empty()).then_some((name, value))
}

fn without_newline(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

/// Cuts the escape that continues a line; two of them in a row do not.
fn cut_continuation(line: &str, escape: char) -> (&str, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

/// Takes the leading `--flags`. Quotes group and are dropped; the escape takes the next byte as it is.
fn take_flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (word, quoted, after) = flag_word(rest, escape);
        if word == "--" {
            // At the very end of the statement too, `--` only ends the flags.
            return (flags, after);
        }
        if quoted || !word.is_empty() {
            flags.push(word);
        }
        rest = after.trim_start();
    }
    (flags, rest)
}

fn flag_word(text: &str, escape: char) -> (String, bool, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut quoted = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, quoted, &text[at..]),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                quoted = true;
            }
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(chars.next().map(|(_, c)| c)),
            _ => word.push(c),
        }
    }
    (word, quoted, "")
}

fn fails(line: u32, message: impl Into<String>) -> BuildError {
    BuildError::Fails { line, message: message.into() }
}

fn undecided(line: u32, message: String) -> BuildError {
    BuildError::Undecided { line, message }
}
