//! The service behind the pages: turns what the controller knows into what pages are made of.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::dashboard::{Alarm as AlarmRow, Gap as GapRow, GateRow, HeadRow, Overview, Unsent, WaivedRow};
use super::page::{Diff, Earlier, Judged, Judgement, Outcome, PageData, Repair, Repo, Role, Told, Waived, unified};
use super::{Accepted, Backend, Readiness, Unavailable, api};
use crate::config::Quote;
use crate::controller::plan::{Gated, RepoKey};
use crate::controller::under_way::{self, UnderWay};
use crate::controller::{Controller, Gap, Taken, pages, pulls};
use crate::forge::State;
use crate::forge::webhook::Delivery;
use crate::gate::finding::{Finding, Kind};
use crate::gate::policy::Role as GateRole;
use crate::gate::{Report, Side};
use crate::metrics::Queue;
use crate::store::{StoreError, WaiverRow, WantedRow};
use crate::tree::ObjectId;

/// Diffs on one page.
const MOST_DIFFS: usize = 12;
/// Alarms on the dashboard.
const ALARMS: i64 = 20;
/// Lines of the log of commands on the dashboard.
const SAID: usize = 20;

impl From<StoreError> for Unavailable {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait::async_trait]
impl Backend for Controller {
    async fn accept(&self, forge: &str, delivery: Delivery) -> Result<Accepted, Unavailable> {
        Ok(match self.take(forge, delivery).await? {
            Taken::Queued => Accepted::Queued,
            Taken::Ignored => Accepted::Ignored,
            Taken::UnknownRepository => Accepted::UnknownRepository,
        })
    }

    async fn page(&self, id: &str) -> Result<Option<PageData>, Unavailable> {
        let Some(page) = Controller::page(self, id).await? else { return Ok(None) };
        let key = RepoKey { forge: page.row.forge.clone(), name: page.row.repository.clone() };
        let Some(repo) = repo(self, &key) else { return Ok(None) };
        let Some(sha) = ObjectId::parse(&page.row.sha) else { return Ok(None) };
        let repairs = self.repairs().await?;
        let mut judgements = Vec::new();
        for told in &page.told {
            judgements.extend(judgement(self, &key, told, &repairs).await);
        }
        let earlier = page.history.iter().skip(1).map(|row| Earlier {
            at: time(row.decided_at),
            state: state(&row.state),
            description: row.description.clone(),
        });
        Ok(Some(PageData {
            repo,
            sha,
            context: page.row.context.clone(),
            state: state(&page.row.state),
            description: page.row.description.clone(),
            decided_at: time(page.row.decided_at),
            head: page.row.head,
            told: if page.row.is_told() { Told::Yes } else { Told::NotYet { trouble: page.row.trouble.clone() } },
            waivers: page.waivers.into_iter().map(waived).collect(),
            judgements,
            earlier: earlier.collect(),
        }))
    }

    async fn overview(&self) -> Result<Overview, Unavailable> {
        let wanted = self.heads_wanted().await?;
        let by_key = by_key(&wanted);
        let gates = Controller::gates(self).iter().map(|gated| gate_row(self, gated, &by_key)).collect();
        let unsent = wanted.iter().filter(|row| !row.is_told());
        let unsent = unsent.filter_map(|row| {
            Some(Unsent {
                repo: row.repository.clone(),
                sha: ObjectId::parse(&row.sha)?,
                page: row.id.clone(),
                state: state(&row.state),
                decided_at: time(row.decided_at),
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                trouble: row.trouble.clone(),
            })
        });
        let waiting = self.standings().await?.iter().filter(|repo| repo.waiting).count();
        let last_gap = self.last_gap().await?.map(|gap| gap_row(&gap));
        let alarms = self.alarms(ALARMS).await?.into_iter().map(|alarm| AlarmRow {
            at: time(alarm.at),
            repo: alarm.repository,
            words: alarm.words,
        });
        let parked = under_way::parked_now(&self.reader(), Utc::now().timestamp_millis()).await?;
        let waivers = self.waivers(None).await?.into_iter().filter_map(|row| waiver_row(self, row)).collect();
        let said = api::audit(&self.reader(), None, SAID).await?;
        let alarms = alarms.collect();
        Ok(Overview { gates, unsent: unsent.collect(), last_gap, waiting, parked, alarms, waivers, said })
    }

    async fn deliveries(&self, before: Option<i64>, most: usize) -> Result<Vec<api::Delivery>, Unavailable> {
        api::deliveries(&self.reader(), before, most).await
    }

    async fn targets(&self, after: Option<api::TargetCursor>, most: usize) -> Result<Vec<api::Target>, Unavailable> {
        let repairs = self.repairs().await?;
        api::targets(&self.reader(), &repairs, after, most, Utc::now().timestamp_millis()).await
    }

    async fn gates(&self, after: Option<String>, most: usize) -> Result<Vec<api::Gate>, Unavailable> {
        let wanted = self.heads_wanted().await?;
        let by_key = by_key(&wanted);
        api::gates(self, after.as_deref(), most, |gated| gate_row(self, gated, &by_key)).await
    }

    async fn report(&self, id: &str) -> Result<Option<api::Reports>, Unavailable> {
        let repairs = self.repairs().await?;
        api::report(&self.reader(), &repairs, id, Utc::now().timestamp_millis()).await
    }

    async fn audit(&self, before: Option<i64>, most: usize) -> Result<Vec<api::Audited>, Unavailable> {
        api::audit(&self.reader(), before, most).await
    }

    async fn under_way(&self) -> Result<UnderWay, Unavailable> {
        Ok(under_way::read(&self.reader(), Utc::now().timestamp_millis()).await?)
    }

    async fn queue(&self) -> Result<Queue, Unavailable> {
        let (now, reader) = (Utc::now().timestamp_millis(), self.reader());
        let dirty = reader.dirty(1).await?;
        let hinted_at = dirty.rows.first().and_then(|oldest| oldest.hinted_at);
        let oldest = hinted_at.map_or(0, |at| now.saturating_sub(at));
        let [looks, sends, comments, pulls] = reader.lease_counts(now).await?;
        let parked = reader.parked_counts(now).await?;
        Ok(Queue {
            repositories: dirty.count,
            oldest: Duration::from_millis(u64::try_from(oldest).unwrap_or(0)),
            unsent: reader.unsent(1).await?.count,
            looks,
            sends,
            comments,
            pulls,
            overwritten: parked.overwritten,
            not_judged: parked.not_judged,
            cache_bytes: self.cache_bytes().await,
        })
    }

    async fn ready(&self) -> Vec<Readiness> {
        let mut all = Vec::new();
        let mut say = |name: String, trouble: Option<String>| all.push(Readiness { name, trouble });
        say("store".into(), self.check_store().await.err().map(|error| error.to_string()));
        for (forge, trouble) in self.forges_left_alone() {
            say(format!("forge {forge}"), trouble);
        }
        let denied = self.denied().await.unwrap_or_default();
        for standing in self.standings().await.unwrap_or_default() {
            let key = standing.repo;
            say(format!("read {key}"), standing.outage.map(|outage| outage.why));
            if let Some(trouble) = standing.brought {
                say(format!("gates of {key}"), Some(trouble));
            }
            let read_only = self.view(&key).and_then(|view| match &view.repository {
                repository if repository.archived => Some("it is archived: no status can be posted".to_owned()),
                repository if repository.can_write => None,
                _ => Some("the token may not write there: no status can be posted".to_owned()),
            });
            say(format!("write {key}"), denied.get(&key).cloned().or(read_only));
        }
        all
    }
}

fn repo(controller: &Controller, key: &RepoKey) -> Option<Repo> {
    let private = controller.view(key).is_none_or(|view| view.repository.private);
    Some(Repo::on(controller.forge(&key.forge)?, controller.name_now(key), private))
}

fn repair(controller: &Controller, standing: &pulls::Standing) -> Repair {
    let pull = standing.repo.as_ref().zip(standing.number);
    Repair {
        state: standing.row.note.state.clone(),
        words: standing.row.note.words.clone(),
        pull: pull.and_then(|(key, number)| Some((repo(controller, key)?, number))),
        trouble: standing.row.trouble.clone(),
    }
}

async fn judgement(
    controller: &Controller,
    key: &RepoKey,
    told: &pages::Told,
    repairs: &[pulls::Standing],
) -> Option<Judgement> {
    let gated = &told.gated;
    let (role, place) = match &told.role {
        GateRole::ConsumerBranch { branch } => (Role::Branch(branch.clone()), Side::Consumer),
        GateRole::ConsumerQueue { branch, .. } => (Role::Branch(branch.clone()), Side::Consumer),
        GateRole::SourceBranch { .. } => (Role::Branch(gated.gate.source.branch.clone()), Side::Source),
        GateRole::ConsumerPull { number, base } => (pull(controller, key, *number, base), Side::Consumer),
        GateRole::SourcePull { number, base, .. } => (pull(controller, key, *number, base), Side::Source),
    };
    let outcome = match &told.report {
        Ok(report) => {
            let diffs = diffs(controller, gated, report).await;
            Outcome::Judged(Box::new(Judged { report: report.clone(), diffs }))
        }
        Err(why) => Outcome::Unreadable(why.clone()),
    };
    Some(Judgement {
        gate: gated.gate.name.clone(),
        role,
        place,
        consumer: repo(controller, &gated.consumer)?,
        source: repo(controller, &gated.source)?,
        quote: gated.gate.quote == Quote::Always,
        outcome,
        repair: pulls::at(repairs, gated.id.as_str(), &told.role).map(|standing| repair(controller, standing)),
    })
}

fn pull(controller: &Controller, key: &RepoKey, number: u64, base: &str) -> Role {
    let view = controller.view(key);
    let open = view.as_ref().and_then(|view| view.pulls.iter().find(|pull| pull.number == number));
    Role::Pull { number, title: open.map(|pull| pull.title.clone()).unwrap_or_default(), onto: base.to_owned() }
}

async fn diffs(controller: &Controller, gated: &Gated, report: &Report) -> BTreeMap<usize, Diff> {
    let mut diffs = BTreeMap::new();
    for (index, finding) in report.findings.iter().enumerate() {
        if diffs.len() == MOST_DIFFS {
            break;
        }
        if let Some(diff) = diff(controller, gated, report, finding).await {
            diffs.insert(index, diff);
        }
    }
    diffs
}

async fn diff(controller: &Controller, gated: &Gated, report: &Report, finding: &Finding) -> Option<Diff> {
    let (old, new) = controller.pair(gated, report, finding).await?;
    let (is, wanted) = match finding.kind {
        Kind::Stale => ("at the pin", "at the source's head"),
        Kind::CopyDiffers => ("in the copy", "in the source"),
        _ => ("in the image", "in the source"),
    };
    unified((is, &old), (wanted, &new))
}

/// Statuses by forge, repository, commit and context.
type ByKey<'a> = HashMap<(&'a str, &'a str, &'a str, &'a str), &'a WantedRow>;

fn by_key(wanted: &[WantedRow]) -> ByKey<'_> {
    wanted.iter().map(|row| ((&*row.forge, &*row.repository, &*row.sha, &*row.context), row)).collect()
}

fn gate_row(controller: &Controller, gated: &Gated, wanted: &ByKey<'_>) -> GateRow {
    let is_public = |key| controller.view(key).is_some_and(|view| !view.repository.private);
    let mut heads = Vec::new();
    for key in [&gated.consumer, &gated.source] {
        let Some(view) = controller.view(key) else { continue };
        for (branch, sha) in &view.heads {
            let gated_branch =
                if *key == gated.consumer { gated.gates_branch(branch) } else { *branch == gated.gate.source.branch };
            let key = (&*key.forge, &*key.name, sha.as_str(), &*gated.gate.context);
            let Some(row) = wanted.get(&key).filter(|_| gated_branch) else { continue };
            heads.push(HeadRow {
                repo: view.repository.name.0.clone(),
                branch: branch.clone(),
                sha: sha.clone(),
                page: row.id.clone(),
                state: state(&row.state),
                description: row.description.clone(),
                decided_at: time(row.decided_at),
            });
        }
    }
    GateRow {
        name: gated.gate.name.clone(),
        context: gated.gate.context.clone(),
        consumer: gated.consumer.name.clone(),
        source: gated.source.name.clone(),
        public: is_public(&gated.consumer) && is_public(&gated.source),
        heads,
    }
}

fn waived(row: WaiverRow) -> Waived {
    let gate = gate_name(&row.gate).to_owned();
    Waived { gate, by: row.login, reason: row.reason, at: time(row.made_at), until: row.until.map(time) }
}

/// The name at the end of a gate's id.
fn gate_name(id: &str) -> &str {
    id.rsplit_once(':').map_or(id, |(_, name)| name)
}

fn waiver_row(controller: &Controller, row: WaiverRow) -> Option<WaivedRow> {
    let key = RepoKey { forge: row.forge.clone(), name: row.repository.clone() };
    let number = u64::try_from(row.pull).ok()?;
    let address = controller.forge(&key.forge)?.pull_page(&controller.name_now(&key), number);
    let repo = row.repository.clone();
    Some(WaivedRow { repo, pull: number, address, waived: waived(row) })
}

fn gap_row(gap: &Gap) -> GapRow {
    let oldest = Duration::from_millis(u64::try_from(gap.oldest).unwrap_or(0));
    let (missed, repaired, redelivered) = (gap.missed, gap.repaired, gap.redelivered);
    GapRow { found_at: time(gap.at), missed, repaired, redelivered, oldest }
}

fn state(word: &str) -> State {
    match word {
        "success" => State::Success,
        "failure" => State::Failure,
        "pending" => State::Pending,
        _ => State::Error,
    }
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}
