//! The texts of a `[[gate.repair]]`: templates, and the names of people, labels and workflows.

use super::{Ruled, branch, wrong};
use crate::config::model::{Template, Words};

/// The longest title that forges keep.
const LONGEST_TITLE: usize = 200;
/// The most words of inputs, and the longest stamp, in bytes.
const LONGEST: usize = 10_000;

/// A text in which words in braces stand for what a repair is about.
pub(in crate::config) fn template(text: &str) -> Ruled<String> {
    if text.len() > LONGEST {
        return wrong(format!("is longer than {LONGEST} bytes"), "write a shorter one");
    }
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once('{') {
        let length = behind.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let word = &behind[..length];
        if length > 0 && behind[length..].starts_with('}') && !Template::WORDS.contains(&word) {
            let known: Vec<String> = Template::WORDS.iter().map(|word| format!("`{{{word}}}`")).collect();
            return wrong(
                format!("has `{{{word}}}` in it, which stands for nothing"),
                format!("use {}", known.join(", ")),
            );
        }
        rest = behind;
    }
    Ok(text.to_owned())
}

/// The title of a pull request.
pub(in crate::config) fn title(text: &str) -> Ruled<String> {
    if text.trim().is_empty() {
        return wrong("is empty", "write for example `{gate}: adopt {source_short}`");
    }
    if text.chars().any(char::is_control) {
        return wrong("has control characters in it", "a title is one line: write it without them");
    }
    if text.chars().count() > LONGEST_TITLE {
        return wrong(format!("is longer than {LONGEST_TITLE} characters"), "forges cut it: write a shorter one");
    }
    template(text)
}

/// The branch of a repair.
pub(in crate::config) fn repair_branch(text: &str) -> Ruled<String> {
    let text = template(text)?;
    if !text.contains("{source_sha}") && !text.contains("{source_short}") {
        let help = "add `{source_short}`: each source commit has a branch of its own";
        return wrong("does not say which source commit it is for", help);
    }
    let words = Words { gate: "gate", source: &"0".repeat(40), consumer_branch: "main" };
    branch(&Template::new(&text).fill(&words)).map(|_| text).map_err(|mut wrong| {
        wrong.help = "write for example `drift-gate/{gate}/{source_short}`".to_owned();
        wrong
    })
}

/// What a stamp says.
pub(in crate::config) fn stamp(text: &str) -> Ruled<String> {
    let text = template(text)?;
    if text.matches("{source_sha}").count() != 1 {
        return wrong("does not have `{source_sha}` in it once", "write where the commit stands: `{source_sha}\\n`");
    }
    if text.contains("{consumer_branch}") {
        let help = "take it out: a merge would carry one branch's name into another";
        return wrong("has `{consumer_branch}` in it", help);
    }
    Ok(text)
}

/// A label.
pub(in crate::config) fn label(text: &str) -> Ruled<String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) || text.chars().count() > 100 {
        return wrong("has a name in it that no label has", "write labels as the forge shows them");
    }
    Ok(text.to_owned())
}

/// A login, or `team:NAME`.
pub(in crate::config) fn reviewer(text: &str) -> Ruled<String> {
    super::login(text.strip_prefix("team:").unwrap_or(text)).map(|_| text.to_owned()).map_err(|mut wrong| {
        wrong.help = "write logins alone, without `@`, and teams as `team:NAME`".to_owned();
        wrong
    })
}

/// The file name of a workflow.
pub(in crate::config) fn workflow(text: &str) -> Ruled<String> {
    if let Some((_, name)) = text.rsplit_once('/').filter(|(_, name)| !name.is_empty()) {
        return wrong("is a path", format!("write the file's name alone: `{name}`"));
    }
    let stem = text.strip_suffix(".yml").or_else(|| text.strip_suffix(".yaml")).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if stem.is_empty() || !stem.chars().all(plain) {
        return wrong("is not the file name of a workflow", "write for example `build.yml`");
    }
    Ok(text.to_owned())
}

/// The name of an input of a workflow.
pub(in crate::config) fn input(text: &str) -> Ruled<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if text.is_empty() || !text.chars().all(plain) {
        return wrong(format!("has `{text}` in it, which is no name of an input"), "use letters, digits, `_` and `-`");
    }
    Ok(text.to_owned())
}
