//! From what the controller and the store know to what the API answers.

use serde_json::{Value, json};

use super::rows::{
    Audited, ConsumerSide, Delivery, Earlier, Gate, Head, Lease, Place, Repair, Reported, Reports, Said, SourceSide,
    Target, Told,
};
use super::{TargetCursor, Unavailable};
use crate::config::{Binding, Format, PinAt};
use crate::controller::Controller;
use crate::controller::plan::Gated;
use crate::controller::pulls::{self, Standing};
use crate::controller::under_way::{self, parking, time};
use crate::gate::Report;
use crate::gate::own_file::FILE;
use crate::report;
use crate::store::{Reader, TargetRow};
use crate::web::dashboard::GateRow;

/// Earlier statuses that are told.
const EARLIER: i64 = 100;

pub(in crate::web) async fn deliveries(
    reader: &Reader,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<Delivery>, Unavailable> {
    let rows = reader.deliveries(before, rows(most)).await?;
    let delivery = |row: crate::store::DeliveryRow| Delivery {
        number: row.number,
        forge: row.forge,
        delivery: row.delivery,
        event: row.event,
        repository: row.repository,
        outcome: row.outcome,
        received_at: time(row.received_at),
    };
    Ok(rows.into_iter().map(delivery).collect())
}

pub(in crate::web) async fn targets(
    reader: &Reader,
    repairs: &[Standing],
    after: Option<TargetCursor>,
    most: usize,
    now: i64,
) -> Result<Vec<Target>, Unavailable> {
    let after = after.as_ref().map(|(at, id)| (*at, id.as_str()));
    let rows = reader.targets(after, rows(most)).await?;
    Ok(rows.into_iter().map(|row| target(row, repairs, now)).collect())
}

fn target(row: TargetRow, repairs: &[Standing], now: i64) -> Target {
    let (parked, roles) = (parking(&row, now), said(&row, repairs));
    let leased = row.leased.filter(|(_, until)| *until > now);
    let row = row.wanted;
    Target {
        sent: row.is_told(),
        id: row.id,
        forge: row.forge,
        repository: row.repository,
        sha: row.sha,
        context: row.context,
        state: row.state,
        description: row.description,
        decided_at: time(row.decided_at),
        head: row.head,
        roles,
        told: row.told.map(|told| Told { state: told.state, description: told.description, at: time(told.at) }),
        attempts: row.attempts,
        trouble: row.trouble,
        parked,
        leased: leased.map(|(by, until)| Lease { by, until: time(until) }),
        page: row.url,
    }
}

fn said(row: &TargetRow, repairs: &[Standing]) -> Vec<Said> {
    let said = |one: under_way::Said| Said {
        repair: pulls::at(repairs, &one.gate, &one.role).map(repair),
        gate: one.gate,
        role: one.role,
        report: one.report,
        why: one.why,
    };
    under_way::said(row).into_iter().map(said).collect()
}

fn repair(standing: &Standing) -> Repair {
    let (row, note) = (&standing.row, &standing.row.note);
    Repair {
        state: note.state.clone(),
        words: note.words.clone(),
        repository: standing.repo.as_ref().map(|repo| repo.name.clone()),
        number: standing.number,
        source: note.source.clone(),
        since: note.since.map(time),
        closed_by: note.closed_by.clone(),
        attempts: row.attempts,
        trouble: row.trouble.clone(),
    }
}

/// Gates by their ids: those behind one, or the first.
pub(in crate::web) async fn gates(
    controller: &Controller,
    after: Option<&str>,
    most: usize,
    row: impl Fn(&Gated) -> GateRow,
) -> Result<Vec<Gate>, Unavailable> {
    let all = controller.gates();
    let mut behind: Vec<&Gated> =
        all.iter().map(AsRef::as_ref).filter(|gated| after.is_none_or(|after| gated.id.as_str() > after)).collect();
    behind.sort_by(|one, other| one.id.cmp(&other.id));
    behind.truncate(most);
    let standings = controller.standings().await?;
    let gate = |gated: &&Gated| {
        let standing = standings.iter().find(|standing| standing.repo == gated.consumer);
        gate(gated, standing.and_then(|standing| standing.brought.clone()), row(gated))
    };
    Ok(behind.iter().map(gate).collect())
}

fn gate(gated: &Gated, trouble: Option<String>, row: GateRow) -> Gate {
    let gate = &gated.gate;
    let head = |head: crate::web::dashboard::HeadRow| Head {
        repository: head.repo,
        branch: head.branch,
        sha: head.sha.to_string(),
        target: head.page,
        state: head.state.as_str().to_owned(),
        description: head.description,
        decided_at: head.decided_at,
    };
    Gate {
        id: gated.id.clone(),
        name: gate.name.clone(),
        context: gate.context.clone(),
        source: SourceSide {
            forge: gated.source.forge.clone(),
            repository: gated.source.name.clone(),
            branch: gate.source.branch.clone(),
        },
        consumer: ConsumerSide {
            forge: gated.consumer.forge.clone(),
            repository: gated.consumer.name.clone(),
            branches: gate.consumer.branches.clone(),
        },
        binding: binding(&gate.binding),
        stands_in: if gated.brought { Place::Consumer { file: FILE.to_owned(), trouble } } else { Place::Service },
        config_digest: gate.digest.clone(),
        heads: row.heads.into_iter().map(head).collect(),
    }
}

/// By the keys of the configuration.
fn binding(binding: &Binding) -> Value {
    let Binding::Pin { file, at, require } = binding else { return json!({ "follow": true }) };
    match at {
        PinAt::Path { format, at } => {
            let format = match format {
                Format::Json => "json",
                Format::Yaml => "yaml",
                Format::Toml => "toml",
            };
            json!({ "pin": file, "at": at, "format": format, "require": require })
        }
        PinAt::Whole => json!({ "pin": file, "whole": true }),
        PinAt::Argument(name) => json!({ "pin": file, "argument": name }),
        PinAt::Regex(pattern) => json!({ "pin": file, "regex": pattern }),
        PinAt::Submodule => json!({ "submodule": file }),
    }
}

pub(in crate::web) async fn report(
    reader: &Reader,
    repairs: &[Standing],
    id: &str,
    now: i64,
) -> Result<Option<Reports>, Unavailable> {
    let Some(row) = reader.target(id).await? else { return Ok(None) };
    let mut reports = Vec::new();
    for said in said(&row, repairs) {
        let kept = match &said.report {
            Some(key) => reader.report(key).await?,
            None => None,
        };
        let report = kept.as_ref().and_then(|(json, _)| serde_json::from_str::<Report>(json).ok());
        let why = match (&said.why, &said.report, &report) {
            (None, Some(_), None) => Some("the report is not kept any more".to_owned()),
            _ => said.why,
        };
        reports.push(Reported {
            gate: said.gate,
            role: said.role,
            digest: said.report,
            kept_at: kept.map(|(_, at)| time(at)),
            report: report.and_then(|report| serde_json::from_str(&report::json(&report)).ok()),
            why,
        });
    }
    let history = reader.history(id, EARLIER).await?;
    let earlier = history.into_iter().skip(1).map(|row| Earlier {
        state: row.state,
        description: row.description,
        decided_at: time(row.decided_at),
    });
    Ok(Some(Reports { target: target(row, repairs, now), reports, earlier: earlier.collect() }))
}

pub(in crate::web) async fn audit(
    reader: &Reader,
    before: Option<i64>,
    most: usize,
) -> Result<Vec<Audited>, Unavailable> {
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    let line = |row: crate::store::AuditRow| Audited {
        number: row.number,
        at: time(row.at),
        forge: row.forge,
        repository: row.repository,
        pull: row.pull,
        comment: row.comment,
        by: filled(row.login),
        act: row.act,
        gate: filled(row.gate),
        words: row.words,
    };
    Ok(reader.audit(before, rows(most)).await?.into_iter().map(line).collect())
}

fn rows(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
