//! Markdown for a comment or a job's summary, in the dialect that GitHub, Gitea and Forgejo share.
//!
//! The trap: a file may be called `@everyone`, `![x](https://…)` or `<img …>`. Names stand in code spans, whose fence is
//! longer than any run of backticks in them; sentences are escaped character by character, and nothing in them mentions
//! somebody, refers to an issue or becomes a link.

use std::fmt::Write;

use super::{Item, Judged, Weight, safe};
use crate::gate::Revision;
use crate::gate::policy::State;

/// Findings of one gate that are listed; forges cut comments at some 65,000 characters.
const MOST: usize = 50;

/// Breaks what a forge would link, and is not seen.
const JOINER: char = '\u{2060}';

/// One document over all gates; ends with a line break.
pub fn document(all: &[Judged<'_>]) -> String {
    let mut out = String::new();
    for (index, judged) in all.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        section(&mut out, judged);
    }
    out
}

fn section(out: &mut String, judged: &Judged<'_>) {
    let items = judged.items();
    let softened = items.iter().any(|item| item.weight == Weight::Softened);
    let (mark, word) = match judged.decision.state {
        State::Success if softened => ("⚠️", "passes in spite of drift"),
        State::Success => ("✅", "passes"),
        State::Failure => ("❌", "drift"),
        State::Error => ("❔", "undecided"),
    };
    let _ = writeln!(out, "### {mark} {}: {word}\n", prose(&judged.gate.name));
    let _ = writeln!(out, "{}\n", prose(&judged.decision.description));
    for item in items.iter().take(MOST) {
        entry(out, item);
    }
    if items.len() > MOST {
        let _ = writeln!(out, "- … and {} more", items.len() - MOST);
    }
    if !items.is_empty() {
        out.push('\n');
    }
    assumptions(out, judged);
    let report = judged.report;
    let at = |revision: Option<&Revision>| match revision {
        Some(Revision::Commit(id)) => format!(" at {}", code(id.short())),
        Some(Revision::WorkTree) => " as on disk".to_owned(),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "{} files, {} bytes compared: {}{} with {}{}, binding {}.",
        report.files_compared,
        report.bytes_compared,
        code(&report.consumer.repo),
        at(report.consumer.commit.as_ref()),
        code(&report.source.repo),
        at(report.source.bound.as_ref().or(report.source.head.as_ref())),
        prose(&report.binding.state),
    );
}

fn entry(out: &mut String, item: &Item<'_>) {
    let note = match item.weight {
        Weight::Fails => "",
        Weight::Softened => " (passes)",
        Weight::Inherited => " (the base has it already)",
        Weight::Notice => " (notice)",
    };
    let _ = write!(out, "- **{}**{note} {}: {}", item.name, code(item.path), prose(item.message));
    if let Some(place) = item.place() {
        let _ = write!(out, " — {}", code(&place));
    }
    out.push('\n');
    if let Some(fix) = item.fix {
        let _ = writeln!(out, "  - fix: {}", prose(fix));
    }
}

fn assumptions(out: &mut String, judged: &Judged<'_>) {
    let all = &judged.report.assumptions;
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "<details><summary>Assumed: {}</summary>\n", all.len());
    for one in all.iter().take(MOST) {
        let line = one.line.map_or_else(String::new, |line| format!(":{line}"));
        let _ = writeln!(out, "- {} — {}", prose(&one.text), code(&format!("{}{line}", one.file)));
    }
    let _ = writeln!(out, "\n</details>\n");
}

/// A sentence that shows every character as it is.
pub fn prose(text: &str) -> String {
    let text = safe::one_line(text);
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.extend([c, JOINER]),
            // A reference to an issue or a pull request, or a heading.
            '#' | '!' => out.extend(['\\', c, JOINER]),
            // Only where an address could begin; elsewhere it is punctuation.
            ':' if rest.peek() == Some(&'/') => out.extend(['\\', c]),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '|' | '~' | '$' => {
                out.extend(['\\', c]);
            }
            // GitHub takes `GH-12` for the issue of that number.
            '-' if ends_in_gh(&out) && rest.peek().is_some_and(char::is_ascii_digit) => out.extend([c, JOINER]),
            '-' | '+' | '=' if out.is_empty() => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    // `www.` begins an address as well.
    out.replace("www.", "www\\.")
}

fn ends_in_gh(text: &str) -> bool {
    text.len().checked_sub(2).and_then(|at| text.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case("gh"))
}

/// A name as code. Nothing is active in it, whatever it holds.
pub fn code(text: &str) -> String {
    let text = safe::one_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let odd = |end: Option<char>| end.is_none_or(|c| c == '`' || c == ' ');
    let pad = if odd(text.chars().next()) || odd(text.chars().last()) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_mentions_nobody_and_links_nowhere() {
        assert_eq!(prose("ask @everyone"), "ask @\u{2060}everyone");
        assert_eq!(prose("fixes #12 <img src=x>"), "fixes \\#\u{2060}12 &lt;img src=x&gt;");
        assert_eq!(prose("closes gh-12 ö-1 -1"), "closes gh-\u{2060}12 ö-1 -1");
        assert_eq!(prose("[a](https://x.example) a|b"), "\\[a\\]\\(https\\://x.example\\) a\\|b");
        assert_eq!(prose("see www.example.org: it_is"), "see www\\.example.org: it\\_is");
        assert_eq!(prose("a\n# b\u{202e}"), "a&lt;U+000A&gt;\\#\u{2060} b&lt;U+202E&gt;");
    }

    #[test]
    fn no_backtick_ends_a_code_span() {
        assert_eq!(code("config.yaml"), "`config.yaml`");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`x`"), "`` `x` ``");
        assert_eq!(code(""), "`  `");
    }
}
