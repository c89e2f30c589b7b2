//! The `values` check: a set or a map of values that both sides say.
//!
//! The trap is the extraction that finds nothing on both sides and calls it equal: each side must give `least` values, at
//! least one. Each value that differs is a finding of its own, so that a pull request answers for those it adds.

use super::Outcome;
use super::extract::{Extracted, Unusable, extract};
use crate::config::{Relation, Values};
use crate::gate::data::shortened;
use crate::gate::finding::{Cause, Finding, Kind};
use crate::tree::{Tree, TreeError};

/// Differences that are told one by one.
const MOST_TOLD: usize = 50;

/// Judges one `values` check.
pub fn check(values: &Values, consumer: &dyn Tree, source: &dyn Tree) -> Result<Outcome, TreeError> {
    let mut out = Outcome::default();
    let theirs = extract(source, &values.source, &values.only)?;
    let ours = extract(consumer, &values.consumer, &values.only)?;
    let theirs = enough(values, theirs, &values.source.file, " of the source", &mut out);
    let ours = enough(values, ours, &values.consumer.file, "", &mut out);
    let (Some(theirs), Some(ours)) = (theirs, ours) else { return Ok(out) };
    out.compared = true;
    out.files_compared = 1;
    out.bytes_compared = theirs.bytes;
    let mut found = differences(values, &theirs, &ours);
    if let Some(rest) = found.get(MOST_TOLD..).filter(|rest| !rest.is_empty()) {
        let content: Vec<&str> = rest.iter().map(|finding| finding.content.as_str()).collect();
        let message = format!("{} more values of {} differ", rest.len(), values.consumer.file);
        let fix = format!("compare {} with {} of the source", values.consumer.file, values.source.file);
        let more = Finding::new(Kind::ValuesDiffer, &values.consumer.file, message, fix).of(content.join("\n"));
        found.truncate(MOST_TOLD);
        found.push(more);
    }
    out.findings.append(&mut found);
    Ok(out)
}

/// What a side says, when it says enough.
fn enough(
    values: &Values,
    found: Result<Extracted, Unusable>,
    file: &str,
    whose: &str,
    out: &mut Outcome,
) -> Option<Extracted> {
    let (line, why) = match found {
        Ok(found) if found.entries.len() as u64 >= values.least => return Some(found),
        Ok(found) => (None, format!("{} were found, the gate wants at least {}", found.entries.len(), values.least)),
        Err(Unusable { line, why }) => (line, why),
    };
    let message = format!("{file}{whose} does not give the values that the gate compares: {why}");
    let fix = format!("restore them in {file}{whose}, or mend where the check looks for them");
    // Lines of the source's file are in the words: a cause is a place in the consumer.
    let cause = whose.is_empty().then(|| Cause { file: file.to_owned(), line });
    out.findings.push(Finding::new(Kind::ValuesTooFew, file, &message, fix).at(cause).of(message));
    None
}

fn differences(values: &Values, theirs: &Extracted, ours: &Extracted) -> Vec<Finding> {
    let (file, source) = (&values.consumer.file, &values.source.file);
    let both_named = theirs.named && ours.named;
    let find = |name: &str, line: Option<u32>, content: String, message: String, fix: String| {
        let cause = Some(Cause { file: file.clone(), line });
        let finding = Finding::new(Kind::ValuesDiffer, file, message, fix);
        finding.at(cause).of(format!("{name} {content}"))
    };
    let mut found = Vec::new();
    for (name, entry) in &theirs.entries {
        let shown = shortened(name);
        match ours.entries.get(name) {
            None if values.relation == Relation::Subset => {}
            None => {
                let message = format!("{file} lacks `{shown}`, which {source} of the source says");
                found.push(find(name, None, "is missing".into(), message, format!("add `{shown}` to {file}")));
            }
            Some(mine) if both_named && mine.value != entry.value => {
                let (is, wanted) = (shortened(&mine.value), shortened(&entry.value));
                let message = format!("{file} says `{shown}` is `{is}`, {source} of the source says `{wanted}`");
                let content = format!("{} {}", mine.value, entry.value);
                found.push(find(name, Some(mine.line), content, message, format!("write `{wanted}` for `{shown}`")));
            }
            Some(_) => {}
        }
    }
    for (name, mine) in ours.entries.iter().filter(|(name, _)| !theirs.entries.contains_key(*name)) {
        let shown = shortened(name);
        let message = format!("{file} says `{shown}`, {source} of the source does not");
        let fix = format!("remove `{shown}` from {file}, or add it to {source} of the source");
        found.push(find(name, Some(mine.line), "is extra".into(), message, fix));
    }
    found
}
