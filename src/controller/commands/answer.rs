//! The one comment of ours on a pull request or an issue: what it says, and how it gets there.
//!
//! Level-triggered, as a status is: what it should say is made of what holds now and of what was asked last; the comment is
//! looked for by its number, else by its mark among our own, and only where there is none it is made. So a lost answer of the
//! forge, a restart, a store that was put back, or a person who deletes it leave one comment that says what holds.
//!
//! Traps handled here: others can write our mark, so only comments by our own user count; contents of a repository that readers
//! of the pull request cannot see stay out ([`discreet`]); all that is not ours is escaped; forges cut at 65,535 characters.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::super::decide::waivers_of;
use super::super::plan::{Ask, RepoKey, Target};
use super::super::subject::{self, Now, Subject};
use super::super::{Controller, Trouble, keys};
use crate::forge::{Comment, ForgeError};
use crate::gate::policy::{self, Outcome, State};
use crate::gate::waiver::{self, Waiver};
use crate::gate::{Report, Side};
use crate::report::markdown::{self, code, prose};
use crate::report::{Judged, discreet, findings, words};
use crate::store::{AnswerRow, StoreError};

/// Tells the comment from others of our own; nobody sees it.
pub(super) const MARK: &str = "<!-- drift-gate: answer -->";
/// What was asked, as far back as it is told.
const ENTRIES: usize = 5;
/// The longest comment, in bytes: forges take some more.
const LONGEST: usize = 60_000;

/// What was asked on a pull request, and what came of it: kept between commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// Somebody was told what there is to say.
    #[serde(default)]
    pub helped: bool,
    #[serde(default)]
    pub shows: Shows,
    /// Newest last.
    #[serde(default)]
    pub entries: Vec<Entry>,
}

/// What the answer shows beside the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shows {
    #[default]
    Verdict,
    Report,
    Help,
}

/// One command and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The forge's number for the comment: one that is read again says the same again.
    pub comment: i64,
    pub by: String,
    pub command: String,
    pub good: bool,
    pub words: String,
}

impl Said {
    pub(super) fn of(row: Option<&AnswerRow>) -> Self {
        row.and_then(|row| serde_json::from_str(&row.said).ok()).unwrap_or_default()
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.retain(|one| one.comment != entry.comment);
        self.entries.push(entry);
        let more = self.entries.len().saturating_sub(ENTRIES);
        self.entries.drain(..more);
    }
}

impl Controller {
    /// Makes the answer on a pull request or an issue say what it should; answers its number where it is known.
    pub(super) async fn write_answer(
        &self,
        repo: &RepoKey,
        row: &AnswerRow,
    ) -> Result<Result<Option<i64>, Trouble>, StoreError> {
        let number = u64::try_from(row.pull).unwrap_or_default();
        let now = match self.now_of(repo, number, row.afresh).await? {
            Ok(now) => now,
            Err(trouble) => return Ok(Err(trouble)),
        };
        if let (true, Some(now)) = (row.afresh, &now) {
            // The look that follows finds what was judged here.
            self.look_again(repo, now).await?;
        }
        let body = self.body(repo, &Said::of(Some(row)), now.as_ref()).await?;
        Ok(self.put(repo, number, row.comment, &body).await)
    }

    /// Finds the comment, or makes it.
    async fn put(&self, repo: &RepoKey, number: u64, known: Option<i64>, body: &str) -> Result<Option<i64>, Trouble> {
        let api = self.api(&repo.forge)?;
        let name = self.current_name(repo);
        let Some(us) = self.who_we_are(&repo.forge).await else {
            return Err(Trouble { why: "nobody says whose token it is".to_owned(), passing: true });
        };
        let is_ours = |comment: &Comment| comment.author_id == us.id && comment.issue == number;
        let mut there = None;
        if let Some(id) = known.and_then(|id| u64::try_from(id).ok()) {
            there = match api.comment(&name, id).await {
                Ok(comment) => Some(comment).filter(is_ours),
                Err(ForgeError::NotFound { .. } | ForgeError::Refused { .. }) => None,
                Err(error) => return Err(error.into()),
            };
        }
        if there.is_none() {
            let all = api.comments_of(&name, number).await?;
            there = all.into_iter().find(|comment| is_ours(comment) && comment.body.starts_with(MARK));
        }
        let id = match there {
            Some(comment) => {
                // Forges keep line ends and the last of them as they like.
                if comment.body.replace('\r', "").trim_end() != body.trim_end() {
                    api.edit_comment(&name, comment.id, body).await?;
                }
                comment.id
            }
            None => api.post_comment(&name, number, body).await?,
        };
        Ok(i64::try_from(id).ok().filter(|id| *id > 0))
    }

    /// What the answer should say.
    async fn body(&self, repo: &RepoKey, said: &Said, now: Option<&Now>) -> Result<String, StoreError> {
        let mut out = format!("{MARK}\n");
        let mut explained = String::new();
        match now {
            None => out.push_str("This is no open pull request, and no issue that a gate names: nothing is judged.\n"),
            Some(now) => self.verdicts_of(repo, now, &mut out, &mut explained).await?,
        }
        out.push_str("\nAsked last:\n\n");
        for entry in &said.entries {
            let mark = if entry.good { "" } else { "⚠️ " };
            let _ = writeln!(out, "- {} by {}: {mark}{}", code(&entry.command), code(&entry.by), prose(&entry.words));
        }
        match said.shows {
            Shows::Verdict => {}
            Shows::Report => {
                out.push('\n');
                out.push_str(&explained);
            }
            Shows::Help => {
                let is_issue = now.is_some_and(|now| matches!(now.subject, Subject::Issue(_)));
                out.push('\n');
                out.push_str(&help(is_issue));
            }
        }
        Ok(cut(out))
    }

    /// The status of each context in a line, the waivers, and the reports at length.
    async fn verdicts_of(
        &self,
        repo: &RepoKey,
        now: &Now,
        out: &mut String,
        explained: &mut String,
    ) -> Result<(), StoreError> {
        let rows = self.store.waivers(Some((&repo.forge, &repo.name))).await?;
        let at = self.now();
        match &now.subject {
            Subject::Pull(pull) => {
                let _ = writeln!(out, "**drift-gate** on {}:\n", code(pull.head_sha.short()));
            }
            Subject::Issue(_) => out.push_str("**drift-gate** on the branches of the gates that name this issue:\n\n"),
        }
        if now.targets.is_empty() {
            out.push_str(match now.subject {
                Subject::Pull(_) => "- no gate judges this pull request\n",
                Subject::Issue(_) => "- no branch that they judge is there\n",
            });
        }
        let (mut told, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        for (target, answers) in &now.targets {
            let says = self.says(target, answers).await?;
            let waivers: Vec<Waiver> = waivers_of(target, &rows).into_iter().map(|(_, waiver)| waiver).collect();
            let decision = policy::decide(&says, &waivers, at);
            let id = keys::wanted(
                &self.link_secret,
                &target.repo.forge,
                now.view.repository.id,
                &target.sha,
                &target.context,
            );
            let (mark, word) = match decision.state {
                State::Success => ("✅", "success"),
                State::Failure => ("❌", "failure"),
                State::Error => ("❔", "error"),
            };
            let _ = writeln!(
                out,
                "- {mark} {}{} {word}: {} ([report]({}/r/{id}))",
                code(&target.context),
                on_branches(now, target),
                prose(&decision.description),
                self.public_url
            );
            for waiver in waivers.iter().filter(|waiver| !waiver.is_over(at)) {
                let words = format!(
                    "{} is waived by {}{}: {}",
                    waiver.gate,
                    waiver.by,
                    waiver::until(waiver.until),
                    waiver.reason
                );
                told.insert(format!("- ⚠️ {}; the verdict stays what it is\n", prose(&words)));
            }
            let is_told = |ask: &Ask| match now.subject {
                // Of whatever else the commit is, its status tells.
                Subject::Issue(_) => now.subject.is_about(ask),
                Subject::Pull(_) => true,
            };
            for (ask, say) in target.asks.iter().zip(&says).filter(|(ask, _)| is_told(ask)) {
                let Outcome::Judged(report) = say.outcome else {
                    let why = match say.outcome {
                        Outcome::Not(why) if !say.discreet => why,
                        _ => "a repository of this gate cannot be read",
                    };
                    let _ =
                        writeln!(explained, "### ❔ {}: not judged\n\n{}\n", prose(&ask.gated.gate.name), prose(why));
                    continue;
                };
                let own = if *repo == ask.gated.consumer { Side::Consumer } else { Side::Source };
                let shown: Report = if say.discreet { discreet::report(report, own) } else { (*report).clone() };
                let decision = policy::decide(std::slice::from_ref(say), &waivers, at);
                let judged = Judged { gate: &ask.gated.gate, report: &shown, decision: &decision };
                explained.push_str(&markdown::document(&[judged]));
                explained.push('\n');
                kinds.extend(report.findings.iter().map(|finding| words::name(finding.kind)));
            }
        }
        told.iter().for_each(|line| out.push_str(line));
        for kind in kinds {
            if let Some(text) = findings::of(&kind) {
                let _ = write!(explained, "<details><summary>What {kind} means</summary>\n\n{text}\n\n</details>\n");
            }
        }
        Ok(())
    }
}

/// Of an issue: which branches' head a status stands on.
fn on_branches(now: &Now, target: &Target) -> String {
    if matches!(now.subject, Subject::Pull(_)) {
        return String::new();
    }
    let about = target.asks.iter().filter(|ask| now.subject.is_about(ask));
    let branches: BTreeSet<String> = about.filter_map(subject::branch).map(code).collect();
    let branches: Vec<String> = branches.into_iter().collect();
    format!(" on {} ({})", branches.join(", "), code(target.sha.short()))
}

/// What there is to say, and who may; on an issue without what is said on pull requests only.
fn help(is_issue: bool) -> String {
    let here = |line: &&str| !is_issue || !PULLS_ONLY.iter().any(|word| line.contains(word));
    HELP.split_inclusive('\n').filter(here).collect()
}

/// Of the lines of [`HELP`] those that an issue has nothing of.
const PULLS_ONLY: [&str; 3] = ["/drift-gate waive", "/drift-gate unwaive", "Dates are"];

const HELP: &str = "\
| command, in the first line of a new comment | what it does | who may |
|---|---|---|
| `/drift-gate check` | judges afresh, and reads the repository's own file of gates again | everyone |
| `/drift-gate explain` | tells the report here, with what each finding means | everyone |
| `/drift-gate rebuild` | opens the pull request that ends the drift, or brings it up to date, whatever spoke against it | administrators, and whom the gate names |
| `/drift-gate waive [--gate NAME] <reason> [until <date or duration>]` | lets pass what is found now; ends at its time, when other findings come, or by `unwaive` | administrators, and whom the gate names |
| `/drift-gate unwaive [--gate NAME]` | takes that back | the same |
| `/drift-gate help` | shows this | everyone |

Dates are `2026-12-24` (its last minute, UTC) or as RFC 3339 has them, durations `3d`, `12h`, `1h30m`.
";

/// Forges refuse what is too long: the end goes, at a line.
fn cut(mut body: String) -> String {
    if body.len() > LONGEST {
        let mut end = LONGEST;
        while !body.is_char_boundary(end) {
            end -= 1;
        }
        let end = body[..end].rfind('\n').unwrap_or(end);
        body.truncate(end);
        // What was open is closed: nothing behind it is hidden.
        body.push_str("\n\n</details>\n\n… cut here: the report's page has all of it.\n");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(comment: i64) -> Entry {
        Entry { comment, by: "alice".into(), command: "check".into(), good: true, words: "judged afresh".into() }
    }

    #[test]
    fn an_answer_tells_the_last_few_commands_and_each_once() {
        let mut said = Said::default();
        for comment in (0..9).chain([8, 7]) {
            said.add(entry(comment));
        }
        let comments: Vec<i64> = said.entries.iter().map(|entry| entry.comment).collect();
        assert_eq!(comments, [4, 5, 6, 8, 7]);
    }

    #[test]
    fn an_answer_that_is_too_long_is_cut_at_a_line() {
        let body = cut(format!("{MARK}\n{}", "äöü: one line\n".repeat(10_000)));
        assert!(body.len() < 65_000 && body.starts_with(MARK) && body.contains("… cut here"), "{}", body.len());
        assert!(body.contains("äöü: one line\n\n</details>"), "{}", &body[body.len() - 200..]);
        assert_eq!(cut("short".into()), "short");
    }
}
