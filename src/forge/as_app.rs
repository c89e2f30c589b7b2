//! What only a GitHub App may do: see which deliveries to it failed and have them sent again, and write checks.
//!
//! The rules are GitHub's REST API ("Webhooks for GitHub Apps", "Check runs"). The traps: the list of deliveries goes on by a
//! cursor that stands in `Link`, whose address is not followed; a delivery that was sent again is a new row with the same
//! `guid`; what was sent again and failed again is a person's to see to; a check run takes 50 annotations with a request and
//! *adds* those of a later one; a POST whose answer was lost may have made it, so it is looked for by its `external_id` first.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::gitea::Gitea;
use super::github::{GIT_USER, GitHub};
use super::{ForgeError, RepoName, State, rest};
use crate::tree::ObjectId;

/// Pages of deliveries that are read at a time, a hundred on each.
const PAGES: usize = 10;
/// Annotations with one request.
const AT_ONCE: usize = 50;
/// The longest message of an annotation, and the longest summary, in bytes.
const LONGEST: usize = 64 * 1024 - 1024;
/// The longest title of an annotation, in characters.
const LONGEST_TITLE: usize = 255;

/// A delivery that did not reach us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedDelivery {
    /// The number to send it again by.
    pub id: u64,
    /// `push` and the like.
    pub event: String,
    /// When it was tried.
    pub at: DateTime<Utc>,
}

/// A remark on a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// From the repository's root.
    pub path: String,
    /// Counted from 1.
    pub line: u32,
    /// `failure`, `warning` or `notice`.
    pub level: &'static str,
    /// A line for people.
    pub title: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What a status says, with remarks on lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRun {
    /// Another name than the status has: of one name, both would be required.
    pub name: String,
    /// Tells it from what was said earlier of the commit: the same again is not written twice.
    pub external_id: String,
    /// As the status.
    pub state: State,
    /// A line for people.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// The address of the report page.
    pub details_url: String,
    /// In the order of the report.
    pub annotations: Vec<Annotation>,
}

/// What only a GitHub App may do; other forges, and a token, do nothing.
#[async_trait]
pub trait AsApp: Send + Sync {
    /// Whether we are an App there.
    fn is_app(&self) -> bool {
        false
    }
    /// Deliveries to us since then that failed and were not sent again, oldest first.
    async fn failed_deliveries(&self, _since: DateTime<Utc>) -> Result<Vec<FailedDelivery>, ForgeError> {
        Ok(Vec::new())
    }
    /// Has a delivery sent again, with the id that it had.
    async fn redeliver(&self, _delivery: u64) -> Result<(), ForgeError> {
        Ok(())
    }
    /// Whether checks are wanted here, and can be written.
    fn takes_checks(&self) -> bool {
        false
    }
    /// Makes the commit have this check; twice is once.
    async fn put_check(&self, _repo: &RepoName, _sha: &ObjectId, _check: &CheckRun) -> Result<(), ForgeError> {
        Ok(())
    }
    /// Git refused this authorization, which was made for the repository: it is not given again.
    async fn git_refused(&self, _repo: &RepoName, _refused: &SecretString) {}
}

impl AsApp for Gitea {}

#[derive(Deserialize)]
struct WireDelivery {
    id: u64,
    guid: String,
    delivered_at: DateTime<Utc>,
    #[serde(default)]
    redelivery: bool,
    #[serde(default)]
    status_code: u16,
    #[serde(default)]
    event: String,
}

impl WireDelivery {
    fn arrived(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// Those of a list that are to be sent again: none that arrived, or that somebody sent again before.
fn failed(list: &[WireDelivery]) -> Vec<FailedDelivery> {
    let settled: BTreeSet<&str> =
        list.iter().filter(|one| one.redelivery || one.arrived()).map(|one| one.guid.as_str()).collect();
    let failed = list.iter().filter(|one| !settled.contains(one.guid.as_str()));
    let mut failed: Vec<FailedDelivery> =
        failed.map(|one| FailedDelivery { id: one.id, event: one.event.clone(), at: one.delivered_at }).collect();
    failed.sort_by_key(|one| (one.at, one.id));
    failed
}

/// The cursor of the next page. Of the address nothing else is used: it may name another host.
fn next_cursor(answer: &Answer) -> Option<String> {
    let links = answer.header("link")?.split(',');
    let next = links.filter(|link| link.contains("rel=\"next\"")).find_map(|link| {
        let address = link.split('<').nth(1)?.split('>').next()?;
        let query = address.split_once('?')?.1;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "cursor")
    });
    next.map(|(_, cursor)| cursor.into_owned())
}

#[derive(Serialize)]
struct WireOutput<'a> {
    title: &'a str,
    summary: &'a str,
    annotations: Vec<WireAnnotation<'a>>,
}

#[derive(Serialize)]
struct WireAnnotation<'a> {
    path: &'a str,
    start_line: u32,
    end_line: u32,
    annotation_level: &'a str,
    title: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct WireCheck<'a> {
    name: &'a str,
    head_sha: &'a str,
    external_id: &'a str,
    details_url: &'a str,
    status: &'static str,
    conclusion: &'static str,
    output: WireOutput<'a>,
}

#[derive(Serialize)]
struct WireMore<'a> {
    output: WireOutput<'a>,
}

#[derive(Deserialize)]
struct WireChecks {
    #[serde(default)]
    check_runs: Vec<WireFoundCheck>,
}

#[derive(Deserialize)]
struct WireFoundCheck {
    id: u64,
    external_id: Option<String>,
    output: Option<WireFoundOutput>,
}

#[derive(Deserialize)]
struct WireFoundOutput {
    #[serde(default)]
    annotations_count: usize,
}

/// The beginning of a text, whole characters of it.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl CheckRun {
    fn conclusion(&self) -> &'static str {
        match self.state {
            State::Success => "success",
            // Never `neutral`, which passes where a check is required.
            State::Failure | State::Error | State::Pending => "failure",
        }
    }

    /// What is written with those annotations.
    fn output<'a>(&'a self, annotations: &'a [Annotation]) -> WireOutput<'a> {
        let wire = |one: &'a Annotation| WireAnnotation {
            path: &one.path,
            start_line: one.line,
            end_line: one.line,
            annotation_level: one.level,
            title: one.title.char_indices().nth(LONGEST_TITLE).map_or(&*one.title, |(end, _)| &one.title[..end]),
            message: cut(&one.message, LONGEST),
        };
        WireOutput {
            title: &self.title,
            summary: cut(&self.summary, LONGEST),
            annotations: annotations.iter().map(wire).collect(),
        }
    }
}

impl GitHub {
    /// The check of this id on a commit, if it is there: its number, and how many annotations it has.
    async fn check_there(
        &self,
        repo: &RepoName,
        sha: &ObjectId,
        check: &CheckRun,
    ) -> Result<Option<(u64, usize)>, ForgeError> {
        let segments = self.api.repo(repo, &["commits", sha.as_str(), "check-runs"])?;
        // All, not only the latest: one that was written twice must be found whichever came last.
        let query = [("check_name", check.name.as_str()), ("filter", "all"), ("per_page", "100")];
        let found: WireChecks = self.api.get(&segments, &query).await?.success()?.json()?;
        let newest = found.check_runs.into_iter().max_by_key(|one| one.id);
        let same = newest.filter(|one| one.external_id.as_deref() == Some(check.external_id.as_str()));
        Ok(same.map(|one| (one.id, one.output.map_or(0, |output| output.annotations_count))))
    }
}

#[async_trait]
impl AsApp for GitHub {
    fn is_app(&self) -> bool {
        self.api.is_app()
    }

    async fn failed_deliveries(&self, since: DateTime<Utc>) -> Result<Vec<FailedDelivery>, ForgeError> {
        if !self.api.is_app() {
            return Ok(Vec::new());
        }
        let mut list: Vec<WireDelivery> = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let mut query = vec![("per_page", "100")];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let answer = self.api.get(&["app", "hook", "deliveries"], &query).await?.success()?;
            let page: Vec<WireDelivery> = answer.json()?;
            let before = list.len();
            let ends = page.is_empty() || page.iter().any(|one| one.delivered_at < since);
            list.extend(page.into_iter().filter(|one| one.delivered_at >= since));
            cursor = next_cursor(&answer);
            if ends || cursor.is_none() || list.len() == before {
                break;
            }
        }
        Ok(failed(&list))
    }

    async fn redeliver(&self, delivery: u64) -> Result<(), ForgeError> {
        let segments = ["app", "hook", "deliveries", &delivery.to_string(), "attempts"];
        self.api.post(&segments, &serde_json::Map::new()).await?.success().map(drop)
    }

    fn takes_checks(&self) -> bool {
        self.check_runs && self.api.is_app()
    }

    async fn put_check(&self, repo: &RepoName, sha: &ObjectId, check: &CheckRun) -> Result<(), ForgeError> {
        let there = self.check_there(repo, sha, check).await?;
        let (id, mut written) = match there {
            Some(there) => there,
            None => {
                let first = &check.annotations[..check.annotations.len().min(AT_ONCE)];
                let new = WireCheck {
                    name: &check.name,
                    head_sha: sha.as_str(),
                    external_id: &check.external_id,
                    details_url: &check.details_url,
                    status: "completed",
                    conclusion: check.conclusion(),
                    output: check.output(first),
                };
                let answer = self.api.post(&self.api.repo(repo, &["check-runs"])?, &new).await?.success()?;
                (answer.json::<WireFoundCheck>()?.id, first.len())
            }
        };
        while let Some(rest) = check.annotations.get(written..).filter(|rest| !rest.is_empty()) {
            let next = &rest[..rest.len().min(AT_ONCE)];
            let more = WireMore { output: check.output(next) };
            let segments = ["check-runs", &id.to_string()];
            self.api.patch(&self.api.repo(repo, &segments)?, &more).await?.success()?;
            written += next.len();
        }
        Ok(())
    }

    async fn git_refused(&self, repo: &RepoName, refused: &SecretString) {
        let of = |token: &SecretString| rest::basic(GIT_USER, Some(token));
        let is_it =
            |token: &SecretString| of(token).is_some_and(|made| made.expose_secret() == refused.expose_secret());
        self.api.token_refused(repo, is_it).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, guid: &str, redelivery: bool, status_code: u16) -> WireDelivery {
        let delivered_at = DateTime::from_timestamp(i64::try_from(id).unwrap(), 0).unwrap();
        WireDelivery { id, guid: guid.to_owned(), delivered_at, redelivery, status_code, event: "push".to_owned() }
    }

    #[test]
    fn what_failed_is_sent_again_once() {
        let list = [
            row(6, "fails twice", true, 502),
            row(5, "was helped by a person", true, 200),
            row(4, "never arrived", false, 0),
            row(3, "was helped by a person", false, 502),
            row(2, "fails twice", false, 502),
            row(1, "arrived", false, 202),
        ];
        assert_eq!(failed(&list).iter().map(|one| one.id).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aä", 2), "a");
        assert_eq!(cut("aä", 3), "aä");
    }
}
