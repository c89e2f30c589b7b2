//! Custom properties of CSS: `--name: value;` in the blocks that a gate names.
//!
//! Enough of the syntax to find declarations where they are, and no cascade: comments, strings, brackets, nested blocks. A
//! block is found by its at-rules and one selector of its list, from outside to inside; a declaration that comes later
//! overrides an earlier one, as in a browser. White space in values is normalised, everything else counts.

use std::collections::BTreeMap;

use crate::gate::data::Invalid;

/// How deep blocks may lie in each other.
const DEPTH: usize = 64;

/// Names, values and lines of the custom properties in the blocks that are called so, sorted by name.
pub fn properties(text: &str, block: &[String]) -> Result<Vec<(String, String, u32)>, Invalid> {
    let wanted: Vec<String> = block.iter().map(|name| normal(name)).collect();
    let mut reader = Reader { text, at: 0, line: 1, open: Vec::new(), found: BTreeMap::new() };
    reader.all(&wanted)?;
    Ok(reader.found.into_iter().map(|(name, (value, line))| (name, value, line)).collect())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    /// The selectors, or the at-rule, of each block that is open.
    open: Vec<Vec<String>>,
    found: BTreeMap<String, (String, u32)>,
}

impl<'a> Reader<'a> {
    fn all(&mut self, wanted: &[String]) -> Result<(), Invalid> {
        // What stands before the next `{`, `}` or `;`, comments left out, and the line where it begins.
        let mut part = String::new();
        let mut line = self.line;
        while let Some(c) = self.next()? {
            match c {
                "{" if !part.trim_start().starts_with("--") => {
                    self.open.push(selectors(&part));
                    part.clear();
                    if self.open.len() > DEPTH {
                        return Err(self.wrong("blocks lie too deep in each other"));
                    }
                }
                // A value in braces: it belongs to the property.
                "{" | "(" | "[" => self.bracket(c, &mut part)?,
                ";" | "}" => {
                    self.declaration(&part, line, wanted);
                    part.clear();
                    if c == "}" && self.open.pop().is_none() {
                        return Err(self.wrong("`}` closes nothing"));
                    }
                }
                other => {
                    if part.trim().is_empty() {
                        line = self.line;
                    }
                    part.push_str(other);
                }
            }
        }
        match self.open.is_empty() {
            true => Ok(()),
            false => Err(self.wrong("a block is not closed")),
        }
    }

    /// Takes everything up to the bracket that closes this one.
    fn bracket(&mut self, open: &str, part: &mut String) -> Result<(), Invalid> {
        let closing = |open: &str| match open {
            "(" => ")",
            "[" => "]",
            _ => "}",
        };
        part.push_str(open);
        let mut expected = vec![closing(open)];
        while let Some(last) = expected.last() {
            let Some(c) = self.next()? else { return Err(self.wrong(&format!("`{last}` is missing"))) };
            if c == *last {
                expected.pop();
            } else if matches!(c, "(" | "[" | "{") {
                expected.push(closing(c));
                if expected.len() > DEPTH {
                    return Err(self.wrong("brackets lie too deep in each other"));
                }
            }
            part.push_str(c);
        }
        Ok(())
    }

    fn declaration(&mut self, part: &str, line: u32, wanted: &[String]) {
        let here = self.open.len() == wanted.len()
            && self.open.iter().zip(wanted).all(|(names, wanted)| names.contains(wanted));
        let Some((name, value)) = part.split_once(':').filter(|_| here) else { return };
        let name = name.trim();
        if name.starts_with("--") {
            self.found.insert(name.to_owned(), (words(value), line));
        }
    }

    /// The next character, or a whole string; a comment is a blank.
    fn next(&mut self) -> Result<Option<&'a str>, Invalid> {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return Ok(None) };
        if rest.starts_with("/*") {
            let Some(end) = rest.find("*/") else { return Err(self.wrong("a comment is not closed")) };
            self.pass(&rest[..end + 2]);
            return Ok(Some(" "));
        }
        let length = match first {
            '"' | '\'' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, c)| {
                    let ends = !escaped && (*c == first || *c == '\n');
                    escaped = !escaped && *c == '\\';
                    ends
                });
                match end {
                    Some((at, c)) if c == first => at + 1,
                    _ => return Err(self.wrong("a string is not closed")),
                }
            }
            '\\' => rest.chars().take(2).map(char::len_utf8).sum(),
            other => other.len_utf8(),
        };
        let token = &rest[..length];
        self.pass(token);
        Ok(Some(token))
    }

    fn pass(&mut self, token: &str) {
        self.at += token.len();
        self.line += u32::try_from(token.matches('\n').count()).unwrap_or(u32::MAX);
    }

    fn wrong(&self, what: &str) -> Invalid {
        Invalid { line: self.line, what: what.to_owned() }
    }
}

/// What a block is called: its at-rule, or each selector of its list.
fn selectors(part: &str) -> Vec<String> {
    let part = part.trim();
    if part.starts_with('@') {
        return vec![normal(part)];
    }
    let (mut names, mut name, mut depth, mut quote) = (Vec::new(), String::new(), 0u32, None);
    for c in part.chars() {
        match (c, quote) {
            (',', None) if depth == 0 => {
                names.push(normal(&name));
                name.clear();
                continue;
            }
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth = depth.saturating_sub(1),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        name.push(c);
    }
    names.push(normal(&name));
    names
}

/// One spelling of a selector or at-rule: single blanks, none inside of brackets' edges, no quotes around attribute values.
fn normal(name: &str) -> String {
    let mut out = String::new();
    let (mut attribute, mut round) = (false, 0u32);
    for c in name.trim().chars() {
        match c {
            '[' => attribute = true,
            ']' => attribute = false,
            '(' => round += 1,
            ')' => round = round.saturating_sub(1),
            '"' | '\'' if attribute => continue,
            _ => {}
        }
        let glued = attribute || out.ends_with([' ', '(']) || (round > 0 && out.ends_with([':', ',']));
        if c.is_whitespace() {
            if !glued {
                out.push(' ');
            }
            continue;
        }
        if matches!(c, ')' | ',') && out.ends_with(' ') {
            out.pop();
        }
        out.push(c);
    }
    out.trim_end().to_owned()
}

/// A value with single blanks, strings as they are.
fn words(value: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for c in value.trim().chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '"' | '\'') => quote = Some(c),
            None if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: &str = r#"@import "x;y.css";
/* :root { --bg: red } */
:root, [data-theme="light"] {
  --bg: #fff; --fg : rgb(0,
     0, 0);
  color: var(--bg);
  --icon: url(data:image/svg+xml;base64,AA==);
  --odd: { a: b; };
  &.wide { --bg: no }
  --last: "a  ; }"
}
@media (prefers-color-scheme:  dark) { :root { --bg: #000 } }
:root { --bg: #fefefe; }
"#;

    fn of(block: &[&str]) -> Vec<String> {
        let block: Vec<String> = block.iter().map(|name| (*name).to_owned()).collect();
        let found = properties(SHEET, &block).expect("CSS");
        found.into_iter().map(|(name, value, line)| format!("{line} {name}={value}")).collect()
    }

    #[test]
    fn properties_are_found_in_the_block_that_is_named_and_only_there() {
        let root = [
            "13 --bg=#fefefe",
            "4 --fg=rgb(0, 0, 0)",
            "7 --icon=url(data:image/svg+xml;base64,AA==)",
            "10 --last=\"a  ; }\"",
            "8 --odd={ a: b; }",
        ];
        assert_eq!(of(&[":root"]), root);
        assert_eq!(of(&["[data-theme=light]"])[0], "4 --bg=#fff");
        assert_eq!(of(&["@media (prefers-color-scheme: dark)", ":root"]), ["12 --bg=#000"]);
        assert_eq!(of(&[".none"]), [""; 0]);
    }

    #[test]
    fn what_is_not_css_is_refused_with_its_line() {
        for (text, line) in
            [(":root {\n--a: b", 2), ("}\n", 1), ("/* open", 1), ("a { b: \"open\n }", 1), ("a {\n--b: (c;\n}", 3)]
        {
            assert_eq!(properties(text, &["a".into()]).expect_err(text).line, line, "{text}");
        }
        assert!(properties(&"a{".repeat(100_000), &["a".into()]).is_err());
    }
}
