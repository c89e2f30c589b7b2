//! Substitution of variables in words, as BuildKit's `shell` package does it: not a shell's, but close.
//!
//! Knows `$v`, `${v}` and `${v` with `-` `:-` `+` `:+` `?` `:?` `#` `##` `%` `%%` `/` `//`, single and double quotes and
//! the escape character of the Dockerfile; everything else between braces is an error that fails the build. Patterns
//! have only `*` and `?`.
//!
//! Traps handled here: a hostile word nests braces without end, grows by what it puts in, or makes a pattern try for ever;
//! depth, length and steps are bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::budget::{Budget, Failure};

/// How deep `${a:-${b:-...}}` may nest.
const MAX_DEPTH: u32 = 64;
/// No word grows beyond this by substitution.
const MAX_WORD: usize = 4 << 20;

/// The variables that a word is read with.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(Arc<BTreeMap<String, String>>);

impl Environment {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn set(&mut self, name: &str, value: &str) {
        Arc::make_mut(&mut self.0).insert(name.to_owned(), value.to_owned());
    }

    /// How many there are, and their bytes.
    pub fn weight(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().map(|(name, value)| name.len() + value.len()).sum())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What happens to quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// They group and go.
    Removed,
    /// They group and stay.
    Kept,
    /// They are characters like others (the body of a heredoc).
    Plain,
}

/// A reader of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'b> {
    budget: &'b Budget,
    escape: char,
    quotes: Quotes,
    raw_escapes: bool,
    keep_unset: bool,
}

/// A word after substitution.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub text: String,
    /// The names that were asked for and are not set.
    pub unset: Vec<String>,
}

impl<'b> Lexer<'b> {
    /// The reader of arguments.
    pub fn new(escape: char, budget: &'b Budget) -> Self {
        Self { budget, escape, quotes: Quotes::Removed, raw_escapes: false, keep_unset: false }
    }

    /// The reader of heredoc bodies.
    pub fn raw(budget: &'b Budget) -> Self {
        Self { budget, escape: '\\', quotes: Quotes::Plain, raw_escapes: false, keep_unset: false }
    }

    /// A reader that substitutes nothing, for splitting a line.
    pub fn keeping(escape: char, quotes: Quotes, raw_escapes: bool, budget: &'b Budget) -> Self {
        Self { budget, escape, quotes, raw_escapes, keep_unset: true }
    }

    /// Substitutes in one word; spaces do not split it.
    pub fn word(&self, word: &str, environment: &Environment) -> Result<Expanded, Failure> {
        if !word.contains(['$', '\'', '"', self.escape]) {
            // Most words have nothing to substitute. A `<` stands for itself as well.
            return Ok(Expanded { text: word.to_owned(), unset: Vec::new() });
        }
        let mut run = Run::new(self, word, environment);
        let text = run.until(None, self.raw_escapes).map_err(|why| match why {
            Failure::Wrong(why) => Failure::Wrong(format!("failed to process {word:?}: {why}")),
            beyond => beyond,
        })?;
        self.budget.take_bytes(text.len());
        if let Some(why) = self.budget.exceeded() {
            return Err(Failure::Beyond(why));
        }
        Ok(Expanded { text, unset: run.unset })
    }

    /// Substitutes and splits at spaces outside of quotes.
    pub fn words(&self, line: &str, environment: &Environment) -> Result<Vec<String>, Failure> {
        let mut run = Run::new(self, line, environment);
        run.words = Some(Words::default());
        run.until(None, self.raw_escapes)?;
        Ok(run.words.map(Words::finish).unwrap_or_default())
    }
}

#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
}

impl Words {
    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.word.push(c);
        } else if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

struct Run<'a> {
    lexer: &'a Lexer<'a>,
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    environment: &'a Environment,
    unset: Vec<String>,
    words: Option<Words>,
    raw_escapes: bool,
    depth: u32,
}

impl<'a> Run<'a> {
    fn new(lexer: &'a Lexer<'a>, text: &'a str, environment: &'a Environment) -> Self {
        let chars = text.chars().peekable();
        Self { lexer, chars, environment, unset: Vec::new(), words: None, raw_escapes: false, depth: 0 }
    }

    /// Reads to `stop` (which is taken), or to the end.
    fn until(&mut self, stop: Option<char>, raw_escapes: bool) -> Result<String, Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Failure::Beyond(format!("substitutions nest more than {MAX_DEPTH} deep")));
        }
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        // Only the outermost text is split; BuildKit resets its words in nested ones.
        let words = if stop.is_some() { self.words.take() } else { None };
        let result = self.read(stop);
        if stop.is_some() {
            self.words = words;
        }
        self.raw_escapes = outer;
        self.depth -= 1;
        result
    }

    fn read(&mut self, stop: Option<char>) -> Result<String, Failure> {
        let mut out = String::new();
        while let Some(&c) = self.chars.peek() {
            if stop == Some(c) {
                self.chars.next();
                return Ok(out);
            }
            fits(&out)?;
            let special = match c {
                '$' => Some(self.dollar()?),
                '<' => Some(self.angle()),
                '\'' if self.lexer.quotes != Quotes::Plain => Some(self.single_quoted()?),
                '"' if self.lexer.quotes != Quotes::Plain => Some(self.double_quoted()?),
                _ => None,
            };
            if let Some(text) = special {
                out.push_str(&text);
                self.add_words(&text, c == '$');
                continue;
            }
            self.chars.next();
            self.plain(c, &mut out);
        }
        match stop {
            None => Ok(out),
            Some(stop) => Err(Failure::Wrong(format!("unexpected end of statement while looking for matching {stop}"))),
        }
    }

    fn plain(&mut self, c: char, out: &mut String) {
        if c != self.lexer.escape {
            if let Some(words) = &mut self.words {
                words.push(c);
            }
            out.push(c);
            return;
        }
        let kept = self.raw_escapes.then_some(c);
        for c in kept.into_iter().chain(self.chars.next()) {
            if let Some(words) = &mut self.words {
                words.word.push(c);
            }
            out.push(c);
        }
    }

    fn add_words(&mut self, text: &str, splits: bool) {
        let Some(words) = &mut self.words else { return };
        if splits {
            text.chars().for_each(|c| words.push(c));
        } else {
            words.word.push_str(text);
        }
    }

    fn angle(&mut self) -> String {
        self.chars.next();
        if self.chars.next_if_eq(&'<').is_none() {
            return "<".to_owned();
        }
        let mut out = "<<".to_owned();
        while let Some(space) = self.chars.next_if(|c| matches!(c, ' ' | '\t' | '\r')) {
            out.push(space);
        }
        out
    }

    fn single_quoted(&mut self) -> Result<String, Failure> {
        let mut out = String::new();
        let keep = self.lexer.quotes == Quotes::Kept;
        out.extend(self.chars.next().filter(|_| keep));
        loop {
            match self.chars.next() {
                None => return Err(open("single-quote")),
                Some('\'') => {
                    out.extend(keep.then_some('\''));
                    return Ok(out);
                }
                Some(c) => out.push(c),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, Failure> {
        let mut out = String::new();
        let keep = self.lexer.quotes == Quotes::Kept;
        out.extend(self.chars.next().filter(|_| keep));
        loop {
            fits(&out)?;
            match self.chars.peek().copied() {
                None => return Err(open("double-quote")),
                Some('"') => {
                    self.chars.next();
                    out.extend(keep.then_some('"'));
                    return Ok(out);
                }
                Some('$') => out.push_str(&self.dollar()?),
                Some(c) => {
                    self.chars.next();
                    self.quoted_char(c, &mut out);
                }
            }
        }
    }

    /// Inside double quotes the escape takes only `"`, `$` and itself; otherwise it stays.
    fn quoted_char(&mut self, c: char, out: &mut String) {
        if c != self.lexer.escape {
            out.push(c);
            return;
        }
        out.extend(self.raw_escapes.then_some(c));
        match self.chars.peek().copied() {
            None => {}
            Some(next) if matches!(next, '"' | '$') || next == self.lexer.escape => {
                self.chars.next();
                out.push(next);
            }
            Some(_) => out.push(c),
        }
    }

    fn dollar(&mut self) -> Result<String, Failure> {
        self.chars.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.lookup(&name) {
                None if self.lexer.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.chars.next();
        match self.chars.peek() {
            None => return Err("syntax error: missing '}'".to_owned().into()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".to_owned().into()),
            Some(_) => {}
        }
        let name = self.name();
        match self.chars.next() {
            Some('}') => Ok(match self.lookup(&name) {
                None if self.lexer.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some(':') => {
                let operator = self.chars.next();
                match operator {
                    Some(operator @ ('+' | '-' | '?')) => self.conditional(&name, operator, true),
                    other => Err(unsupported(&format!(":{}", other.map(String::from).unwrap_or_default()))),
                }
            }
            Some(operator @ ('+' | '-' | '?')) => self.conditional(&name, operator, false),
            Some(operator @ ('#' | '%')) => self.trimmed(&name, operator),
            Some('/') => self.replaced(&name),
            other => Err(unsupported(&other.map(String::from).unwrap_or_default())),
        }
    }

    fn conditional(&mut self, name: &str, operator: char, null_is_unset: bool) -> Result<String, Failure> {
        let word = self.braced('}', false)?;
        let value = self.lookup(name);
        if self.lexer.keep_unset && value.is_none() {
            let colon = if null_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{operator}{word}}}"));
        }
        let missing = value.as_deref().is_none_or(|value| null_is_unset && value.is_empty());
        match operator {
            '-' if missing => Ok(word),
            '+' => Ok(if missing { String::new() } else { word }),
            '?' if missing => {
                let state = if value.is_none() { "unset" } else { "empty" };
                let why = if word.is_empty() { format!("is not allowed to be {state}") } else { word };
                Err(Failure::Wrong(format!("{name}: {why}")))
            }
            _ => Ok(value.unwrap_or_default()),
        }
    }

    fn trimmed(&mut self, name: &str, operator: char) -> Result<String, Failure> {
        let word = self.braced('}', true)?;
        let value = self.lookup(name);
        if self.lexer.keep_unset && value.is_none() {
            return Ok(format!("${{{name}{operator}{word}}}"));
        }
        let (pattern, greedy) = match word.strip_prefix(operator) {
            Some(pattern) => (pattern, true),
            None => (word.as_str(), false),
        };
        let pattern = Pattern::read(pattern, self.lexer.budget)?;
        let value: Vec<char> = value.unwrap_or_default().chars().collect();
        let kept = if operator == '#' {
            let cut = pattern.prefix(&value, greedy)?.unwrap_or(0);
            &value[cut..]
        } else {
            let cut = pattern.suffix(&value, greedy)?.unwrap_or(value.len());
            &value[..cut]
        };
        Ok(kept.iter().collect())
    }

    fn replaced(&mut self, name: &str) -> Result<String, Failure> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.braced('/', true)?;
        let replacement = self.braced('}', true)?;
        let value = self.lookup(name);
        if self.lexer.keep_unset && value.is_none() {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let pattern = Pattern::read(&pattern, self.lexer.budget)?;
        let value: Vec<char> = value.unwrap_or_default().chars().collect();
        pattern.replace(&value, &replacement, all)
    }

    fn braced(&mut self, stop: char, raw_escapes: bool) -> Result<String, Failure> {
        self.until(Some(stop), raw_escapes).map_err(|why| match why {
            Failure::Wrong(_) if self.chars.peek().is_none() => {
                Failure::Wrong(format!("syntax error: missing '{stop}'"))
            }
            why => why,
        })
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek().copied() {
            Some(c) if c.is_numeric() => {
                while let Some(c) = self.chars.next_if(|c| c.is_numeric()) {
                    name.push(c);
                }
            }
            Some(c) if matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.chars.next();
                name.push(c);
            }
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    fn lookup(&mut self, name: &str) -> Option<String> {
        let value = self.environment.get(name).map(str::to_owned);
        if value.is_none() {
            self.unset.push(name.to_owned());
        }
        value
    }
}

fn unsupported(modifier: &str) -> Failure {
    Failure::Wrong(format!("unsupported modifier ({modifier}) in substitution"))
}

fn open(quote: &str) -> Failure {
    Failure::Wrong(format!("unexpected end of statement while looking for matching {quote}"))
}

fn fits(word: &str) -> Result<(), Failure> {
    if word.len() > MAX_WORD {
        return Err(Failure::Beyond(format!("a word grows beyond {} MiB", MAX_WORD >> 20)));
    }
    Ok(())
}

/// A pattern of `${v#...}`: `*`, `?` and characters.
struct Pattern<'b> {
    tokens: Vec<Token>,
    budget: &'b Budget,
}

#[derive(Clone, Copy)]
enum Token {
    Any,
    One,
    Char(char),
}

impl<'b> Pattern<'b> {
    fn read(text: &str, budget: &'b Budget) -> Result<Self, Failure> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' if matches!(chars.peek(), Some('}' | '/')) => continue,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\')) => Token::Char(c),
                    other => {
                        let other = other.map(String::from).unwrap_or_default();
                        let why = format!("invalid pattern ({text}) in substitution: invalid escape '\\{other}'");
                        return Err(Failure::Wrong(why));
                    }
                },
                c => Token::Char(c),
            });
        }
        Ok(Self { tokens, budget })
    }

    /// The lengths of the beginnings of `value` that match.
    fn prefixes(&self, value: &[char]) -> Result<Vec<usize>, Failure> {
        let mut ends = vec![0];
        for token in &self.tokens {
            self.budget.take_steps(if matches!(token, Token::Any) { value.len() } else { ends.len() });
            if let Some(why) = self.budget.exceeded() {
                return Err(Failure::Beyond(why));
            }
            ends = match token {
                Token::Any => {
                    let first = ends.first().copied().unwrap_or(value.len() + 1);
                    // `.` does not match a newline.
                    let mut reached = Vec::new();
                    let mut open = false;
                    for at in first..=value.len() {
                        open = open || ends.binary_search(&at).is_ok();
                        if open {
                            reached.push(at);
                        }
                        open = open && value.get(at) != Some(&'\n');
                    }
                    reached
                }
                Token::One => {
                    ends.iter().filter(|at| value.get(**at).is_some_and(|c| *c != '\n')).map(|at| at + 1).collect()
                }
                Token::Char(c) => ends.iter().filter(|at| value.get(**at) == Some(c)).map(|at| at + 1).collect(),
            };
            if ends.is_empty() {
                break;
            }
        }
        Ok(ends)
    }

    fn prefix(&self, value: &[char], greedy: bool) -> Result<Option<usize>, Failure> {
        let ends = self.prefixes(value)?;
        Ok(if greedy { ends.last().copied() } else { ends.first().copied() })
    }

    /// Where the matching end of `value` begins.
    fn suffix(&self, value: &[char], greedy: bool) -> Result<Option<usize>, Failure> {
        let reversed = Self { tokens: self.tokens.iter().rev().copied().collect(), budget: self.budget };
        let value: Vec<char> = value.iter().rev().copied().collect();
        Ok(reversed.prefix(&value, greedy)?.map(|length| value.len() - length))
    }

    fn replace(&self, value: &[char], replacement: &str, all: bool) -> Result<String, Failure> {
        let mut out = String::new();
        let mut at = 0;
        let mut previous_end = None;
        while at <= value.len() {
            fits(&out)?;
            let found = self.prefix(&value[at..], true)?;
            // An empty match right after a match is none, as in Go's regexp.
            let found = found.filter(|length| *length > 0 || previous_end != Some(at));
            if let Some(length) = found {
                out.push_str(replacement);
                at += length;
                previous_end = Some(at);
                if !all {
                    break;
                }
                if length > 0 {
                    continue;
                }
            }
            out.extend(value.get(at));
            at += 1;
        }
        out.extend(value.get(at..).unwrap_or_default());
        Ok(out)
    }
}
