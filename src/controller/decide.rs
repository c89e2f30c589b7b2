//! One target: asks every gate that has a say, makes one status of the answers, and keeps what an outage must not rewrite.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::judge::{Stored, Verdict};
use super::look::{Look, millis};
use super::pairing::Pairing;
use super::plan::{Ask, Gated, Question, RepoKey, Target, View};
use super::{Controller, Trouble, grace, keys, publish};
use crate::config::Quote;
use crate::forge::{State, Status};
use crate::gate::Revision;
use crate::gate::finding::Kind;
use crate::gate::policy::{self, Outcome, Paired, Role, Say};
use crate::gate::verdict::Verdict as Word;
use crate::gate::waiver::Waiver;
use crate::store::{Fenced, Judged, StoreError, WaiverRow, WantedRow};
use crate::tree::ObjectId;

/// What stands behind a status: kept with it, read by the report page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Judgement {
    /// The gate's id.
    pub gate: String,
    pub role: Role,
    /// Key of the report; absent where there is none.
    pub report: Option<String>,
    /// Why there is none.
    pub why: Option<String>,
}

/// The keys of the reports behind a status, as they are kept with it.
pub(super) fn report_keys(judgements: &str) -> Vec<String> {
    let judgements: Vec<Judgement> = serde_json::from_str(judgements).unwrap_or_default();
    judgements.into_iter().filter_map(|judgement| judgement.report).collect()
}

/// What became of a target.
pub(super) struct Decided {
    pub id: String,
    /// What must be written, where something is new.
    pub keep: Option<Judged>,
    /// Unix milliseconds at which it changes by itself.
    pub look_at: Option<i64>,
    /// It must be looked at again because something could not be read.
    pub unfinished: bool,
    /// Waivers that end, by their numbers, and why.
    pub ended: Vec<(i64, String)>,
}

/// The answer to one question.
pub(super) enum Answer {
    Verdict(Verdict),
    /// Of a pull request of the source alone, and together with one of the consumer.
    Together {
        alone: Verdict,
        both: Verdict,
    },
    Retired(String),
    Impossible(String),
    /// Something could not be read, since then (Unix milliseconds).
    Unreadable {
        why: String,
        since: i64,
        passing: bool,
        /// It is not tried again by itself.
        parked: bool,
    },
}

impl Answer {
    /// The verdict that people see the report of.
    fn shown(&self) -> Option<&Verdict> {
        match self {
            Self::Verdict(verdict) | Self::Together { both: verdict, .. } => Some(verdict),
            Self::Retired(_) | Self::Impossible(_) | Self::Unreadable { .. } => None,
        }
    }
}

/// A case that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Unix milliseconds.
    pub since: i64,
    /// Tries in a row that failed for a reason which does not pass.
    tries: u32,
    why: String,
}

impl Broken {
    /// Tries that fail for a reason which does not pass; then the case is parked: what made the evaluator fail is not tried
    /// again before its commits change or somebody asks for it.
    const TRIES: u32 = 5;

    pub(super) fn new(since: i64) -> Self {
        Self { since, tries: 0, why: String::new() }
    }

    /// One more try failed.
    fn failed(&mut self, why: &str, passing: bool) {
        self.tries = if passing { 0 } else { self.tries + 1 };
        why.clone_into(&mut self.why);
    }

    /// Why it is not tried any more.
    fn parked(&self) -> Option<String> {
        let given_up = || {
            let Self { why, tries, .. } = self;
            format!("{why}; given up after {tries} tries, comment `/drift-gate check` to try again")
        };
        (self.tries >= Self::TRIES).then(given_up)
    }
}

impl Controller {
    /// Decides one target of the repository that is looked at. `rows` is what is wanted so far.
    pub(super) async fn decide(
        &self,
        look: &Look<'_>,
        target: &Target,
        rows: &BTreeMap<String, WantedRow>,
    ) -> Result<Decided, StoreError> {
        let forge_id = look.view.repository.id;
        let id = self.target_id(look, target);
        let row = rows.get(&id);
        let is_new = row.is_none() && look.before.is_some_and(|before| !has_head(before, &target.sha));
        let make = |status: Status, judgements: String, reports| Judged {
            id: id.clone(),
            forge: target.repo.forge.clone(),
            repository: target.repo.name.clone(),
            forge_id: i64::try_from(forge_id).unwrap_or(i64::MAX),
            sha: target.sha.to_string(),
            context: target.context.clone(),
            state: publish::word(status.state).to_owned(),
            description: status.description,
            url: status.target_url,
            judgements,
            decided_at: self.now(),
            is_new,
            reports,
        };
        let url = format!("{}/r/{id}", self.public_url);
        let status = |state, words: &str| Status::new(target.context.clone(), state, words, url.clone());

        let stored = if row.is_some() { Stored::These(&look.reports) } else { Stored::Any };
        let answering = self.answer_all(target, stored);
        let answers = match tokio::time::timeout(self.options.moment, answering).await {
            Ok(answers) => answers?,
            Err(_) => {
                // It takes longer than a moment: say so where nothing final was said, and go on until the deadline. One that
                // was said before a restart counts on.
                let pending_since = row.filter(|row| row.state == "pending").map(|row| row.decided_at);
                if row.is_none() {
                    let pending = make(status(State::Pending, "comparing"), "[]".into(), Vec::new());
                    if self.store.decide_held(&[pending], &[look.lease]).await? == Fenced::Done {
                        self.publish_wake.notify_one();
                    }
                }
                let spent = pending_since.map_or(0, |since| self.now().saturating_sub(since));
                let left = self.options.deadline.saturating_sub(Duration::from_millis(spent.try_into().unwrap_or(0)));
                match tokio::time::timeout(left, self.answer_all(target, stored)).await {
                    Ok(answers) => answers?,
                    Err(_) => target.asks.iter().map(|ask| self.too_late(ask)).collect(),
                }
            }
        };

        let unreadable = answers.iter().find_map(|answer| match answer {
            Answer::Unreadable { why, since, passing, .. } => Some((why.as_str(), *since, *passing)),
            _ => None,
        });
        let unfinished = answers.iter().any(|answer| matches!(answer, Answer::Unreadable { parked: false, .. }));
        if let Some((why, since, passing)) = unreadable
            && !self.is_given_up(target, row, since, passing)
        {
            let delivery = look.delivery.unwrap_or_default();
            tracing::debug!(delivery, target = id, repo = %target.repo, sha = %target.sha, why, "not decided yet");
            return Ok(Decided { id, keep: None, look_at: None, unfinished: true, ended: Vec::new() });
        }

        let says = self.says(target, &answers).await?;
        let numbered = waivers_of(target, look.waivers);
        let waivers: Vec<Waiver> = numbered.iter().map(|(_, waiver)| waiver.clone()).collect();
        let (decision, ended) = (policy::decide(&says, &waivers, self.now()), ended(&says, &numbered, self.now()));
        let judgements = judgements(target, &answers);
        let state = match decision.state {
            policy::State::Success => State::Success,
            policy::State::Failure => State::Failure,
            policy::State::Error => State::Error,
        };
        let status = status(state, &decision.description);
        let same = row.is_some_and(|row| {
            row.state == publish::word(status.state)
                && row.description == status.description
                && row.url == status.target_url
                && row.judgements == judgements
        });
        let keep = (!same).then(|| {
            let reports = answers.iter().filter_map(Answer::shown).map(|verdict| {
                (verdict.key.clone(), serde_json::to_string(verdict.report.as_ref()).unwrap_or_default())
            });
            make(status, judgements, reports.collect())
        });
        if let Some(kept) = &keep {
            for (ask, answer) in target.asks.iter().zip(&answers) {
                tell(look, target, kept, ask, answer);
            }
        }
        Ok(Decided { id, keep, look_at: decision.look_again, unfinished, ended })
    }

    /// The id of what a target's status is kept as.
    pub(super) fn target_id(&self, look: &Look<'_>, target: &Target) -> String {
        let forge_id = look.view.repository.id;
        keys::wanted(&self.link_secret, &target.repo.forge, forge_id, &target.sha, &target.context)
    }

    /// The answer where none came before the deadline.
    fn too_late(&self, ask: &Ask) -> Answer {
        let within = super::rounds::minutes(millis(self.options.deadline));
        match &ask.question {
            Question::Judge(case) => {
                self.failed(keys::report(&ask.gated, case), &format!("not compared within {within}"), false)
            }
            _ => Answer::Unreadable {
                why: format!("not compared within {within}; comment `/drift-gate check` to try again"),
                since: self.now(),
                passing: false,
                parked: false,
            },
        }
    }

    /// A case could not be judged, once more.
    fn failed(&self, key: String, why: &str, passing: bool) -> Answer {
        let mut all = super::lock(&self.broken);
        let broken = all.entry(key).or_insert_with(|| Broken::new(self.now()));
        broken.failed(why, passing);
        let parked = broken.parked();
        Answer::Unreadable {
            since: broken.since,
            passing,
            parked: parked.is_some(),
            why: match parked {
                Some(why) => why,
                None if passing => why.to_owned(),
                None => format!("{why}; comment `/drift-gate check` to try again"),
            },
        }
    }

    /// What every gate with a say answers.
    pub(super) async fn answer_all(&self, target: &Target, stored: Stored<'_>) -> Result<Vec<Answer>, StoreError> {
        let asking = target.asks.iter().map(|ask| async move {
            let answer = self.answer(&ask.gated, &ask.question, stored).await?;
            match (answer, &ask.pairing) {
                (Answer::Verdict(alone), Pairing::With { case, .. }) if alone.report.verdict != Word::InSync => {
                    let both = self.answer(&ask.gated, &Question::Judge(case.clone()), stored).await?;
                    Ok(if let Answer::Verdict(both) = both { Answer::Together { alone, both } } else { both })
                }
                (answer, _) => Ok(answer),
            }
        });
        futures_util::future::try_join_all(asking).await
    }

    async fn answer(&self, gated: &Gated, question: &Question, stored: Stored<'_>) -> Result<Answer, StoreError> {
        Ok(match question {
            Question::Impossible(why) => Answer::Impossible(why.clone()),
            Question::Retired(reason) => Answer::Retired(reason.clone()),
            Question::Told(report) => Answer::Verdict(Verdict { key: keys::told(report), report: report.clone() }),
            Question::Unreadable { why, since } => {
                Answer::Unreadable { why: why.clone(), since: *since, passing: true, parked: false }
            }
            Question::Judge(case) => {
                let key = keys::report(gated, case);
                let known = super::lock(&self.broken).get(&key).cloned();
                if let (Some(broken), false) = (known, matches!(stored, Stored::Ignored))
                    && let Some(why) = broken.parked()
                {
                    return Ok(Answer::Unreadable { why, since: broken.since, passing: false, parked: true });
                }
                match self.judge(gated, case, stored).await {
                    Ok(verdict) => {
                        super::lock(&self.broken).remove(&key);
                        Answer::Verdict(verdict)
                    }
                    Err(Trouble { why, passing }) => self.failed(key, &why, passing),
                }
            }
        })
    }

    /// Whether to say `error` now: a head that never had a verdict once retries end, a branch head once its gate's patience
    /// ends. Until then what was said stands.
    fn is_given_up(&self, target: &Target, row: Option<&WantedRow>, since: i64, passing: bool) -> bool {
        let now = self.now();
        let past = |patience: std::time::Duration| {
            let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
            since.saturating_add(patience) <= now
        };
        if !passing {
            return true;
        }
        match row {
            Some(row) if row.state != "pending" => {
                let patience = |ask: &Ask| ask.gated.gate.unreadable_after;
                let branches = target.asks.iter().filter(|ask| !ask.role.is_pull());
                branches.map(patience).min().is_some_and(past)
            }
            _ => past(self.options.first_verdict),
        }
    }

    /// What each gate has to say, as the policy takes it.
    pub(super) async fn says<'a>(&self, target: &'a Target, answers: &'a [Answer]) -> Result<Vec<Say<'a>>, StoreError> {
        let now = self.now();
        let mut says = Vec::new();
        for (ask, answer) in target.asks.iter().zip(answers) {
            let gated = &ask.gated;
            let (outcome, stale_since) = match answer {
                Answer::Verdict(verdict) => {
                    (Outcome::Judged(&verdict.report), self.stale_since(gated, &ask.role, verdict, now).await?)
                }
                Answer::Together { alone, .. } => (Outcome::Judged(&alone.report), None),
                Answer::Retired(reason) => (Outcome::Retired(reason), None),
                Answer::Impossible(why) | Answer::Unreadable { why, .. } => (Outcome::Not(why), None),
            };
            let paired = match (&ask.pairing, answer) {
                (Pairing::With { name, .. }, Answer::Together { both, .. }) => Paired::With(name, &both.report),
                (Pairing::Not { name, why }, _) => Paired::Not(name, why),
                (Pairing::Waits { name }, _) => Paired::Waits(name),
                (Pairing::No | Pairing::With { .. }, _) => Paired::No,
            };
            let discreet = self.is_discreet(&target.repo, gated);
            says.push(Say { gate: &gated.gate, role: &ask.role, outcome, stale_since, paired, discreet });
        }
        Ok(says)
    }

    /// Whether a gate's other repository may be closed to those who read a status on this one. One that was never seen is.
    pub(super) fn is_discreet(&self, repo: &RepoKey, gated: &Gated) -> bool {
        let other = if *repo == gated.consumer { &gated.source } else { &gated.consumer };
        other != repo && gated.gate.quote == Quote::Readers && self.known(other).is_none_or(|other| other.private)
    }

    /// Since when the oldest change of the source that a consumer branch has not adopted is known: see [`grace`].
    async fn stale_since(
        &self,
        gated: &Gated,
        role: &Role,
        verdict: &Verdict,
        now: i64,
    ) -> Result<Option<i64>, StoreError> {
        let report = verdict.report.as_ref();
        let stale = report.findings.iter().any(|finding| finding.kind == Kind::Stale);
        let (Some(Revision::Commit(bound)), Some(Revision::Commit(head))) = (&report.source.bound, &report.source.head)
        else {
            return Ok(None);
        };
        let branch = match role {
            Role::ConsumerBranch { branch } | Role::SourceBranch { consumer_branch: branch } => branch,
            Role::ConsumerPull { .. } | Role::SourcePull { .. } | Role::ConsumerQueue { .. } => return Ok(None),
        };
        if !stale || gated.gate.grace.is_zero() {
            return Ok(None);
        }
        let key = format!("stale {} {branch}", gated.id);
        let stored = self.store.meta(&key).await?;
        let mut lag: grace::Lag =
            stored.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let Ok(source) = self.objects(&gated.source) else { return Ok(None) };
        let (bound, head) = (bound.clone(), head.clone());
        let seen = tokio::task::spawn_blocking(move || {
            let graph = source.objects();
            let since = lag.see(&head, now, graph.commit_time(&head).ok(), |one| {
                // What cannot be told counts on: grace is not won by a cache that lost its history.
                graph.is_ancestor(one, &bound).unwrap_or(false) || !graph.is_ancestor(one, &head).unwrap_or(true)
            });
            (since, lag)
        });
        let Ok((since, lag)) = seen.await else { return Ok(None) };
        let json = serde_json::to_string(&lag).unwrap_or_default();
        if stored.as_deref() != Some(json.as_str()) {
            self.store.set_meta(&key, &json).await?;
        }
        Ok(Some(since))
    }
}

/// The waivers that the pull requests of a target have for its gates, each with its number.
pub(super) fn waivers_of(target: &Target, rows: &[WaiverRow]) -> Vec<(i64, Waiver)> {
    let of = |row: &WaiverRow| {
        let is_role = |role: &Role| role.waived_with().is_some_and(|number| i64::try_from(number) == Ok(row.pull));
        target.asks.iter().find(|ask| is_role(&ask.role))?;
        let gate = &target.asks.iter().find(|ask| ask.gated.id == row.gate)?.gated.gate;
        let waiver = Waiver {
            consumer: gate.consumer.place.clone(),
            gate: gate.name.clone(),
            by: row.login.clone(),
            reason: row.reason.clone(),
            until: row.until,
            // What cannot be read covers nothing.
            items: serde_json::from_str(&row.items).unwrap_or_default(),
        };
        Some((row.number, waiver))
    };
    rows.iter().filter_map(of).collect()
}

/// Which waivers end now, and why: their time is over, or they do not cover what is found. An outage ends none.
fn ended(says: &[Say<'_>], waivers: &[(i64, Waiver)], now: i64) -> Vec<(i64, String)> {
    let why = |waiver: &Waiver| {
        if waiver.is_over(now) {
            return Some("its time is over");
        }
        // What a queue would merge holds others' changes too: that they are not covered ends nothing.
        if !says.iter().any(|say| say.role.pull().is_some()) {
            return None;
        }
        let mut own = says.iter().filter(|say| waiver.is_of(say.gate));
        let is_known = own.all(|say| policy::is_known(say, now));
        (is_known && !policy::covers(waiver, says, now)).then_some("other findings came")
    };
    waivers.iter().filter_map(|(number, waiver)| Some((*number, why(waiver)?.to_owned()))).collect()
}

/// What stands behind a status, as it is kept with it.
pub(super) fn judgements(target: &Target, answers: &[Answer]) -> String {
    let judgements: Vec<Judgement> =
        target.asks.iter().zip(answers).map(|(ask, answer)| judgement(ask, answer)).collect();
    serde_json::to_string(&judgements).unwrap_or_default()
}

fn judgement(ask: &Ask, answer: &Answer) -> Judgement {
    let (report, why) = match answer {
        Answer::Verdict(verdict) | Answer::Together { both: verdict, .. } => (Some(verdict.key.clone()), None),
        Answer::Retired(reason) => (None, Some(format!("retired: {reason}"))),
        Answer::Impossible(why) | Answer::Unreadable { why, .. } => (None, Some(why.clone())),
    };
    Judgement { gate: ask.gated.id.clone(), role: ask.role.clone(), report, why }
}

/// One line of the log for each gate that has a say in a new decision: what it is about, what the gate said, what is wanted.
fn tell(look: &Look<'_>, target: &Target, kept: &Judged, ask: &Ask, answer: &Answer) {
    let report = answer.shown().map(|verdict| verdict.report.as_ref());
    let commit = |revision: Option<&Revision>| match revision {
        Some(Revision::Commit(id)) => id.to_string(),
        Some(Revision::WorkTree) | None => String::new(),
    };
    let verdict = match report.map(|report| report.verdict) {
        Some(Word::InSync) => "in_sync",
        Some(Word::Drift) => "drift",
        Some(Word::Undecided) => "undecided",
        None => "none",
    };
    tracing::info!(
        delivery = look.delivery.unwrap_or_default(),
        target = kept.id,
        repo = %target.repo,
        sha = %target.sha,
        context = target.context,
        gate = ask.gated.id,
        consumer = commit(report.and_then(|report| report.consumer.commit.as_ref())),
        source = commit(report.and_then(|report| report.source.bound.as_ref().or(report.source.head.as_ref()))),
        verdict,
        state = kept.state,
        description = kept.description,
        "decided"
    );
}

fn has_head(view: &View, sha: &ObjectId) -> bool {
    view.heads.values().any(|head| head == sha) || view.pulls.iter().any(|pull| pull.head_sha == *sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_the_evaluator_fail_is_parked_after_five_tries_and_an_outage_never() {
        let mut broken = Broken::new(7);
        for _ in 0..4 {
            broken.failed("the evaluation broke", false);
            assert_eq!(broken.parked(), None);
        }
        broken.failed("the forge does not answer", true);
        for _ in 0..4 {
            broken.failed("the evaluation broke", false);
            assert_eq!(broken.parked(), None, "they must follow each other");
        }
        broken.failed("the evaluation broke", false);
        let why = "the evaluation broke; given up after 5 tries, comment `/drift-gate check` to try again";
        assert_eq!(broken.parked().as_deref(), Some(why));
        assert_eq!(broken.since, 7);
    }
}
