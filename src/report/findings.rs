//! What each kind of finding means and what to do, at length: `docs/findings.md`, cut at its headings, so that the page and
//! what the program prints cannot say different things.

const FINDINGS: &str = include_str!("../../docs/findings.md");
const HEADING: &str = "\n## `";

/// Each kind, by its name in reports, with its text in Markdown.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    FINDINGS.split(HEADING).skip(1).filter_map(|part| part.split_once("`\n")).map(|(name, text)| (name, text.trim()))
}

/// The text of one kind; `None` where no finding has that name.
pub fn of(kind: &str) -> Option<&'static str> {
    all().find(|(name, _)| *name == kind).map(|(_, text)| text)
}
