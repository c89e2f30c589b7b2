//! What stands in our pull requests: the text for people, which `report` writes, the marker by which one is known again, and the
//! one that says that we closed it.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::want::Part;
use crate::controller::Controller;
use crate::gate::Revision;
use crate::gate::finding::{Finding, Kind};
use crate::report::repair::{Commit, Proposal, body};
use crate::report::text::Texts;

/// Begins each of the first lines of the text of a pull request of ours.
const MARKER: &str = "<!-- drift-gate repair: ";
/// Begins what we add to its text when we close it.
const CLOSED: &str = "<!-- drift-gate closed -->";
/// What people see of that.
const CLOSED_BY: &str = "**Closed by drift-gate.**";
const END: &str = " -->";
/// Diffs that are looked up, of each gate.
const MOST_DIFFS: usize = 20;
/// Commits of the source that are listed, of each gate.
const MOST_COMMITS: usize = 50;

/// Several source commits as one text.
pub(super) fn joined(sources: &[String]) -> String {
    sources.join("+")
}

/// Stands for a text where an id is expected.
pub(super) fn digest(text: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(text));
    digest.truncate(40);
    digest
}

/// The source commits that a pull request adopts, if its text begins with markers of this slot. A discreet one has a digest for
/// the slot.
pub(super) fn adopted(body: &str, slot: &str) -> Option<String> {
    let hidden = hex::encode(&Sha256::digest(slot)[..8]);
    let marked = |line: &str| {
        let (of, source) = line.trim_end().strip_prefix(MARKER)?.strip_suffix(END)?.rsplit_once(' ')?;
        (of == slot || of == hidden).then(|| source.to_owned())
    };
    let sources: Vec<String> = body.trim_start().lines().map_while(marked).collect();
    (!sources.is_empty()).then(|| joined(&sources))
}

/// Whether we closed it.
pub(super) fn says_closed(body: &str) -> bool {
    body.lines().any(|line| line.trim() == CLOSED)
}

/// Why we closed it, if we did.
pub(super) fn why_closed(body: &str) -> Option<String> {
    let mut lines = body.lines().skip_while(|line| line.trim() != CLOSED).skip(1);
    Some(lines.next()?.trim().strip_prefix(CLOSED_BY)?.trim().to_owned())
}

/// Its text once we have closed it, with why.
pub(super) fn closed(body: &str, why: &str) -> String {
    if says_closed(body) {
        return body.to_owned();
    }
    format!("{}\n\n{CLOSED}\n{CLOSED_BY} {why}\n", body.trim_end())
}

/// The texts of the findings whose bytes differ.
#[derive(Default)]
struct Pairs(HashMap<(Kind, String), (String, String)>);

impl Texts for Pairs {
    fn consumer(&self, _path: &str) -> Option<String> {
        None
    }

    fn pair(&self, finding: &Finding) -> Option<(String, String)> {
        self.0.get(&(finding.kind, finding.path.clone())).cloned()
    }
}

impl Controller {
    /// The text of a pull request of these gates.
    pub(super) async fn pull_text(&self, marker: &str, parts: &[Part]) -> String {
        let mut told = Vec::with_capacity(parts.len());
        for part in parts {
            let texts = if part.discreet { Pairs::default() } else { self.pairs(part).await };
            told.push((texts, self.commits_since(part).await));
        }
        let proposals: Vec<Proposal<'_>> = parts
            .iter()
            .zip(&told)
            .map(|(part, (texts, (commits, more)))| Proposal {
                gate: &part.gated.gate,
                gate_id: marker,
                repair: &part.repair,
                commits,
                more_commits: *more,
                discreet: part.discreet,
                texts,
            })
            .collect();
        body(&proposals)
    }

    async fn pairs(&self, part: &Part) -> Pairs {
        let report = &part.repair.before;
        let mut pairs = HashMap::new();
        for finding in report.findings.iter().take(MOST_DIFFS) {
            let Some((old, new)) = self.pair(&part.gated, report, finding).await else { continue };
            let texts = (String::from_utf8(old.to_vec()), String::from_utf8(new.to_vec()));
            if let (Ok(old), Ok(new)) = texts {
                pairs.insert((finding.kind, finding.path.clone()), (old, new));
            }
        }
        Pairs(pairs)
    }

    /// What the source's people did since the commit that is bound, newest first, and how much more. What cannot be told is left
    /// out: it only helps who reads it.
    async fn commits_since(&self, part: &Part) -> (Vec<Commit>, u64) {
        let bound = part.repair.before.source.bound.clone();
        let (Some(Revision::Commit(bound)), Some(head)) = (bound, part.repair.source.clone()) else {
            return (Vec::new(), 0);
        };
        let (Ok(objects), Some(api)) = (self.objects(&part.gated.source), self.forge(&part.gated.source.forge)) else {
            return (Vec::new(), 0);
        };
        let listed = tokio::task::spawn_blocking(move || objects.objects().between(&bound, &head, MOST_COMMITS)).await;
        let Ok(Ok((listed, more))) = listed else { return (Vec::new(), 0) };
        let name = self.current_name(&part.gated.source);
        let commits = listed.into_iter().map(|commit| Commit {
            link: Some(api.commit_page(&name, &commit.id)),
            id: commit.id,
            subject: commit.subject,
            author: commit.author,
        });
        (commits.collect(), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: &str = "main/molecule/core:identity";

    fn marker(slot: &str, source: &str) -> String {
        format!("{MARKER}{slot} {source}{END}")
    }

    #[test]
    fn a_pull_request_is_known_by_its_first_lines() {
        let body = format!("{}\nThe pin moves.", marker(GATE, "abc"));
        assert_eq!(adopted(&body, GATE).as_deref(), Some("abc"));
        assert_eq!(adopted(&body.replace('\n', "\r\n"), GATE).as_deref(), Some("abc"), "a browser's line ends");
        assert_eq!(adopted(&body, "main/molecule/core:other"), None);
        assert_eq!(adopted(&format!("> quoted\n{body}"), GATE), None);
        let both = format!("{}\n{}\nBoth pins move.", marker(GATE, "abc"), marker(GATE, "def"));
        assert_eq!(adopted(&both, GATE).as_deref(), Some("abc+def"));
        let hidden = marker(&hex::encode(&Sha256::digest(GATE)[..8]), "abc");
        assert_eq!(adopted(&hidden, GATE).as_deref(), Some("abc"), "where its name would tell too much");
    }

    #[test]
    fn what_we_closed_says_so_once_and_why() {
        let body = marker(GATE, "abc");
        let done = closed(&body, "Replaced by #12.");
        assert!(says_closed(&done) && done.contains("Replaced by #12.") && !says_closed(&body));
        assert_eq!(why_closed(&done).as_deref(), Some("Replaced by #12."));
        assert_eq!(
            why_closed(&done.replace('\n', "\r\n")).as_deref(),
            Some("Replaced by #12."),
            "a browser's line ends"
        );
        assert_eq!(why_closed(&body), None);
        assert_eq!(closed(&done, "Again."), done);
        assert_eq!(adopted(&done, GATE).as_deref(), Some("abc"));
    }
}
