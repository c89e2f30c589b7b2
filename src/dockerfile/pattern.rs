//! The two kinds of patterns that a build knows.
//!
//! [`matches`] is Go's `filepath.Match`, for the sources of COPY. [`Patterns`] is moby's `patternmatcher`, for
//! `.dockerignore`, `--exclude` and `--parents`.
//!
//! Traps handled here: the two differ (`**`, dot files, classes); a pattern that is wrong is an error of the build;
//! patternmatcher forgets that a parent matched a pattern which an earlier one made superfluous, and that is visible
//! (`sub`, `!sub/a/f`, `sub/a` keeps `sub/a/f`), so its bookkeeping is kept here as it is there.

use std::cell::OnceCell;
use std::rc::Rc;

use regex::Regex;

use super::candidates::{Candidates, Inside};
use crate::tree::split;

/// The pattern is not one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPattern;

/// Go's `filepath.Match` of the whole `name`: `*` and `?` do not cross `/`, `[a-z]` and `[^a]` are classes, `\` escapes.
///
/// As in Go, a malformed pattern is only an error where the match gets that far; use [`check`] to be sure.
pub(super) fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    check_chars(&pattern)?;
    Ok(match_chunks(&pattern, &name))
}

/// Whether a pattern is well-formed.
pub(super) fn check(pattern: &str) -> Result<(), BadPattern> {
    check_chars(&pattern.chars().collect::<Vec<char>>())
}

/// Whether a source has wildcards; `\` takes the next character as it is.
pub(super) fn has_wildcards(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

fn check_chars(pattern: &[char]) -> Result<(), BadPattern> {
    let mut at = 0;
    while let Some(&c) = pattern.get(at) {
        match c {
            '\\' if at + 1 >= pattern.len() => return Err(BadPattern),
            '\\' => at += 2,
            '[' => at = class(pattern, at, '\0').ok_or(BadPattern)?.1,
            _ => at += 1,
        }
    }
    Ok(())
}

/// Whether `c` is in the class that opens at `at`, and where the class ends. `None` when it is malformed.
fn class(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let mut at = at + 1;
    let negated = pattern.get(at) == Some(&'^');
    if negated {
        at += 1;
    }
    let mut found = false;
    let mut ranges = 0;
    loop {
        if pattern.get(at) == Some(&']') && ranges > 0 {
            return Some((found != negated, at + 1));
        }
        let low = class_char(pattern, &mut at)?;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            at += 1;
            high = class_char(pattern, &mut at)?;
        }
        found = found || (low..=high).contains(&c);
        ranges += 1;
    }
}

fn class_char(pattern: &[char], at: &mut usize) -> Option<char> {
    let mut c = *pattern.get(*at)?;
    if matches!(c, '-' | ']') {
        return None;
    }
    *at += 1;
    if c == '\\' {
        c = *pattern.get(*at)?;
        *at += 1;
    }
    // A class must still be closed after each of its characters.
    pattern.get(*at).map(|_| c)
}

fn match_chunks(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on when a character does not fit: after the last `*`, one character further.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, n));
                Some((p + 1, n))
            }
            None if n == name.len() => return true,
            None => None,
            Some(&token) => name.get(n).and_then(|&c| {
                let (fits, next) = match token {
                    '?' => (c != '/', p + 1),
                    '[' => class(pattern, p, c)?,
                    '\\' => (pattern.get(p + 1) == Some(&c), p + 2),
                    literal => (literal == c, p + 1),
                };
                fits.then_some((next, n + 1))
            }),
        };
        match (step, retry) {
            (Some((next_p, next_n)), _) => (p, n) = (next_p, next_n),
            (None, Some((after, start))) if start < name.len() && name[start] != '/' => {
                retry = Some((after, start + 1));
                (p, n) = (after, start + 1);
            }
            (None, _) => return false,
        }
    }
}

/// A list of patterns where the last one that matches decides.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    list: Vec<Pattern>,
    candidates: Candidates,
    exceptions: bool,
}

/// Which patterns matched a directory, for its children.
#[derive(Clone, Debug)]
pub(super) struct ParentMatch {
    /// Their places in the list, in order.
    matched: Rc<[u32]>,
    /// Which could match a child, found out when one is asked for.
    inside: Rc<OnceCell<Inside>>,
}

impl PartialEq for ParentMatch {
    fn eq(&self, other: &Self) -> bool {
        self.matched == other.matched
    }
}

impl ParentMatch {
    fn new(matched: Vec<u32>) -> Self {
        Self { matched: matched.into(), inside: Rc::default() }
    }
}

#[derive(Debug)]
struct Pattern {
    exception: bool,
    text: String,
    /// How many slashes every match has, where that is always the same.
    slashes: Option<usize>,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Exact,
    /// `dir/**`: everything below, by the text before the stars.
    Prefix(String),
    /// `**/name` and `**name`.
    Suffix(String),
    Regex {
        source: String,
        /// What every match begins and ends with: cheap to look at first.
        prefix: String,
        suffix: String,
        compiled: OnceCell<Option<Regex>>,
    },
}

impl Patterns {
    /// Reads patterns; blank ones are passed over.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, String> {
        let mut list = Self::default();
        for pattern in patterns {
            let pattern = pattern.trim();
            if pattern.is_empty() {
                continue;
            }
            let pattern = clean(pattern);
            let (exception, text) = match pattern.strip_prefix('!') {
                Some("") => return Err("illegal exclusion pattern: \"!\"".to_owned()),
                Some(text) => (true, text.to_owned()),
                None => (false, pattern),
            };
            check(&text).map_err(|BadPattern| format!("syntax error in pattern `{text}`"))?;
            list.exceptions |= exception;
            // A class may match a slash.
            let slashes = (!text.contains("**") && !text.contains(['[', '\\'])).then(|| slashes(&text));
            list.list.push(Pattern { exception, slashes, shape: shape(&text), text });
        }
        list.candidates = Candidates::new(list.list.iter().map(Pattern::ends));
        Ok(list)
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether there are `!` patterns.
    pub fn has_exceptions(&self) -> bool {
        self.exceptions
    }

    /// Whether `path` matches, given what its parent matched (`None` for a path of the root, or when nothing is known:
    /// then the parents are looked at).
    pub fn matches(&self, path: &str, parent: Option<&ParentMatch>) -> Result<bool, String> {
        self.walk(path, parent, |_| {})
    }

    /// Like [`Self::matches`], and what the children of this directory need.
    pub fn matches_dir(&self, path: &str, parent: Option<&ParentMatch>) -> Result<(bool, ParentMatch), String> {
        let mut own = Vec::new();
        let matched = self.walk(path, parent, |place| own.push(place))?;
        Ok((matched, ParentMatch::new(own)))
    }

    /// All patterns that match the directory or, as `parent` says, one above: with them [`Self::matches`] says of a child what
    /// it says when it looks at the parents itself.
    pub fn all_matches(&self, path: &str, parent: Option<&ParentMatch>) -> Result<ParentMatch, String> {
        let mut found = Vec::new();
        self.candidates_for(path, parent, &mut found);
        let depth = slashes(path);
        let mut all = parent.map_or_else(Vec::new, |parent| parent.matched.to_vec());
        for place in found {
            if let Some(pattern) = self.list.get(place as usize)
                && pattern.matches(path, depth)?
            {
                all.push(place);
            }
        }
        all.sort_unstable();
        all.dedup();
        Ok(ParentMatch::new(all))
    }

    fn candidates_for(&self, path: &str, parent: Option<&ParentMatch>, found: &mut Vec<u32>) {
        match parent {
            Some(parent) => {
                let inside = parent.inside.get_or_init(|| self.candidates.inside(split(path).0));
                self.candidates.find_inside(inside, path, found);
            }
            None => self.candidates.find(path, found),
        }
    }

    /// Tells the patterns that match, as moby takes account of them, and whether the path matches in the end.
    fn walk(&self, path: &str, parent: Option<&ParentMatch>, mut note: impl FnMut(u32)) -> Result<bool, String> {
        let inherited = parent.map_or(&[][..], |parent| &parent.matched);
        let mut places = inherited.to_vec();
        self.candidates_for(path, parent, &mut places);
        if parent.is_none() {
            path.match_indices('/').for_each(|(at, _)| self.candidates.find(&path[..at], &mut places));
        }
        places.sort_unstable();
        places.dedup();
        let depth = slashes(path);
        let mut matched = false;
        for place in places {
            let Some(pattern) = self.list.get(place as usize) else { continue };
            if inherited.binary_search(&place).is_err() {
                if pattern.exception != matched {
                    continue;
                }
                let mut hit = pattern.matches(path, depth)?;
                if parent.is_none() {
                    for (depth, (at, _)) in path.match_indices('/').enumerate() {
                        hit = hit || pattern.matches(&path[..at], depth)?;
                    }
                }
                if !hit {
                    continue;
                }
            }
            note(place);
            matched = !pattern.exception;
        }
        Ok(matched)
    }

    /// Whether a pattern (an exception when `exceptions`) could match something below `dir`; `true` when in doubt.
    pub fn reaches_below(&self, dir: &str, exceptions: bool) -> bool {
        self.list.iter().filter(|pattern| pattern.exception == exceptions).any(|pattern| pattern.reaches_below(dir))
    }
}

fn slashes(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'/').count()
}

impl Pattern {
    /// `slashes` are those of the path.
    fn matches(&self, path: &str, slashes: usize) -> Result<bool, String> {
        if self.slashes.is_some_and(|own| own != slashes) {
            return Ok(false);
        }
        Ok(match &self.shape {
            Shape::Exact => path == self.text,
            Shape::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Shape::Suffix(suffix) => path.ends_with(suffix.as_str()) || suffix.strip_prefix('/') == Some(path),
            Shape::Regex { source, prefix, suffix, compiled } => {
                if !path.starts_with(prefix.as_str()) || !path.ends_with(suffix.as_str()) {
                    return Ok(false);
                }
                let compile = || regex::RegexBuilder::new(source).size_limit(1 << 20).build().ok();
                match compiled.get_or_init(compile) {
                    Some(regex) => regex.is_match(path),
                    None => return Err(format!("syntax error in pattern `{}`", self.text)),
                }
            }
        })
    }

    /// What all its matches begin and end with.
    fn ends(&self) -> (&str, &str) {
        match &self.shape {
            Shape::Exact => (&self.text, &self.text),
            Shape::Prefix(prefix) => (prefix, ""),
            Shape::Suffix(suffix) => ("", suffix.strip_prefix('/').unwrap_or(suffix)),
            Shape::Regex { prefix, suffix, .. } => (prefix, suffix),
        }
    }

    fn reaches_below(&self, dir: &str) -> bool {
        if dir.is_empty() {
            return true;
        }
        let mut parts = self.text.split('/');
        for name in dir.split('/') {
            match parts.next() {
                None => return false,
                Some(part) if part.contains("**") => return true,
                Some(part) if part.contains(['*', '?', '[', '\\']) => {
                    if !matches(part, name).unwrap_or(true) {
                        return false;
                    }
                }
                Some(part) if part != name => return false,
                Some(_) => {}
            }
        }
        parts.next().is_some()
    }
}

/// What patternmatcher makes of a pattern. It writes a regular expression, but keeps three cheap shapes.
fn shape(pattern: &str) -> Shape {
    let mut source = String::from("^");
    let mut shape = Shape::Exact;
    let mut regex = false;
    let mut chars = pattern.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                // `**/` is `**`.
                chars.next_if_eq(&'/');
                if chars.peek().is_none() {
                    if regex || !matches!(shape, Shape::Exact) {
                        source.push_str(".*");
                        regex = true;
                    } else {
                        shape = Shape::Prefix(pattern.strip_suffix("**").unwrap_or(pattern).to_owned());
                    }
                } else {
                    source.push_str("(.*/)?");
                    regex = true;
                }
                if first {
                    shape = Shape::Suffix(pattern.strip_prefix("**").unwrap_or(pattern).to_owned());
                    regex = false;
                }
            }
            '*' => {
                source.push_str("[^/]*");
                regex = true;
            }
            '?' => {
                source.push_str("[^/]");
                regex = true;
            }
            '.' | '+' | '(' | ')' | '|' | '{' | '}' | '$' => source.extend(['\\', c]),
            '\\' => {
                source.push('\\');
                if let Some(next) = chars.next() {
                    source.push(next);
                    regex = true;
                } else {
                    source.push('\\');
                }
            }
            '[' | ']' => {
                source.push(c);
                regex = true;
            }
            c => source.push(c),
        }
        first = false;
    }
    if !regex {
        return shape;
    }
    source.push('$');
    let plain = |c: char| !matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    let prefix: String = pattern.chars().take_while(|c| plain(*c)).collect();
    let tail: Vec<char> = pattern.chars().rev().take_while(|c| plain(*c)).collect();
    // After `**`, a `/` may stand for nothing.
    let suffix: String = tail.iter().rev().collect();
    let suffix = suffix.strip_prefix('/').unwrap_or(&suffix).to_owned();
    let suffix = if pattern.contains('\\') { String::new() } else { suffix };
    Shape::Regex { source: rust_classes(&source), prefix, suffix, compiled: OnceCell::new() }
}

/// Go's classes know no `[`, `&`, `~` operators; Rust's do, so they are escaped.
fn rust_classes(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    let mut open = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                // An escaped letter is that letter in a pattern, a class or boundary in an expression: as in Go.
                out.extend(chars.next());
                continue;
            }
            '[' if open => out.push('\\'),
            '&' | '~' if open => out.push('\\'),
            ']' if open => open = false,
            '[' => {
                open = true;
                out.push('[');
                if let Some(negation) = chars.next_if_eq(&'^') {
                    out.push(negation);
                }
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// Go's `path.Clean`: the shortest equal path; `""` becomes `"."`.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What the directories above matched is as good as looking at them again.
        #[test]
        fn what_is_remembered_of_the_parents_changes_nothing(
            patterns in proptest::collection::vec("!?(\\*\\*/)?[ab*?]{1,2}(/[ab*]{1,2}){0,2}(/\\*\\*)?", 0..8),
            path in "[ab]{1,2}(/[ab]{1,2}){0,3}",
        ) {
            let patterns = Patterns::new(patterns.iter().map(String::as_str)).expect("patterns");
            let mut all = None;
            for (at, _) in path.match_indices('/') {
                all = Some(patterns.all_matches(&path[..at], all.as_ref()).expect("patterns"));
            }
            prop_assert_eq!(patterns.matches(&path, all.as_ref()), patterns.matches(&path, None));
        }
    }
}
