//! `GET /`: what the service does, for its operator; and badges.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::api::Audited;
use super::html::{ago, counted, frame, link, minutes, plain, utc};
use super::page::{Waived, render_state};
use super::{Shared, html, line, unavailable};
use crate::controller::under_way::{Parked, Several};
use crate::forge::State as CommitState;
use crate::tree::ObjectId;

/// All gates and what is under way.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// In the order of the configuration.
    pub gates: Vec<GateRow>,
    /// Statuses that the forge does not say yet, the longest waiting first.
    pub unsent: Vec<Unsent>,
    /// The last change that the timer found and no delivery had told.
    pub last_gap: Option<Gap>,
    /// Repositories that wait for a look.
    pub waiting: usize,
    /// Statuses that are left as they are for now, the last decided first.
    pub parked: Several<Parked>,
    /// What the operator should hear of, newest first.
    pub alarms: Vec<Alarm>,
    /// What is let pass now, oldest first.
    pub waivers: Vec<WaivedRow>,
    /// Who did what by a comment, newest first.
    pub said: Vec<Audited>,
}

/// A pull request of which something is let pass.
#[derive(Clone, Debug)]
pub struct WaivedRow {
    /// `owner/name`.
    pub repo: String,
    /// Its number.
    pub pull: u64,
    /// Where people see it.
    pub address: String,
    /// What, and by whom.
    pub waived: Waived,
}

/// Something that the operator should hear of.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// When it was found.
    pub at: DateTime<Utc>,
    /// `owner/name`.
    pub repo: String,
    /// A sentence.
    pub words: String,
}

/// A gate and its branch heads.
#[derive(Clone, Debug)]
pub struct GateRow {
    /// The gate's name, unique in the configuration.
    pub name: String,
    /// The name of its status.
    pub context: String,
    /// `owner/name`.
    pub consumer: String,
    /// `owner/name` of the source.
    pub source: String,
    /// Both repositories can be read by everyone who reaches their forge: only then strangers get a badge.
    pub public: bool,
    /// The branch heads of both sides that were judged.
    pub heads: Vec<HeadRow>,
}

/// A branch head that a gate judges.
#[derive(Clone, Debug)]
pub struct HeadRow {
    /// `owner/name`.
    pub repo: String,
    /// Without `refs/heads/`.
    pub branch: String,
    /// The branch's head.
    pub sha: ObjectId,
    /// The id of its report page.
    pub page: String,
    /// What its status says.
    pub state: CommitState,
    /// The status's words.
    pub description: String,
    /// Since when it says so.
    pub decided_at: DateTime<Utc>,
}

/// A status that the forge does not say yet.
#[derive(Clone, Debug)]
pub struct Unsent {
    /// `owner/name`.
    pub repo: String,
    /// The commit that it stands on.
    pub sha: ObjectId,
    /// The id of its report page.
    pub page: String,
    /// What it should say.
    pub state: CommitState,
    /// Since when it should.
    pub decided_at: DateTime<Utc>,
    /// How often the forge was asked in vain.
    pub attempts: u32,
    /// The forge's last refusal.
    pub trouble: Option<String>,
}

/// Changes that the timer found.
#[derive(Clone, Debug)]
pub struct Gap {
    /// When the timer found them.
    pub found_at: DateTime<Utc>,
    /// Changes that no delivery told.
    pub missed: u64,
    /// Of those, how many were judged at once.
    pub repaired: u64,
    /// Deliveries that had not reached us and were sent again.
    pub redelivered: u64,
    /// How long at most the oldest of them was unknown.
    pub oldest: std::time::Duration,
}

pub(super) async fn show(State(app): Shared, headers: HeaderMap) -> Response {
    if !app.is_operator(&headers) {
        let status =
            if headers.contains_key(header::AUTHORIZATION) { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
        return html::login(&app, status, None);
    }
    match app.ask(app.backend.overview()).await {
        Ok(overview) => render(&overview, &app.base, (app.settings.clock)(), app.settings.open).into_response(),
        Err(error) => {
            tracing::error!(%error, "the dashboard could not be read");
            unavailable("the dashboard cannot be read right now")
        }
    }
}

/// The dashboard as HTML; where it is open to everyone there is nothing to log out of.
fn render(overview: &Overview, base: &str, now: DateTime<Utc>, open: bool) -> Markup {
    let failing = overview.gates.iter().filter(|gate| worst(gate).is_some_and(|state| state != CommitState::Success));
    let right = html! {
        @if !open {
            form method="post" action={ (base) "/logout" } { button.quiet type="submit" { "Log out" } }
        }
    };
    let content = html! {
        section.strip {
            div { b { (overview.gates.len()) } span.soft.small { @if overview.gates.len() == 1 { "gate" } @else { "gates" } } }
            div { b { (failing.count()) } span.soft.small { "not in sync" } }
            div { b { (overview.unsent.len()) } span.soft.small { "statuses to send" } }
            div { b { (overview.waiting) } span.soft.small { "repositories to look at" } }
            div { b { (overview.parked.count) } span.soft.small { "statuses parked" } }
        }
        section { p.small {
            @if let Some(gap) = &overview.last_gap {
                b { "Last gap" } " " (ago(gap.found_at, now)) ": missed " (gap.missed) ", repaired " (gap.repaired)
                @if gap.redelivered > 0 { ", redelivered " (gap.redelivered) } ", oldest "
                (minutes(gap.oldest)) ". The timer found what no delivery had told; if this goes on, look at the forge's list of deliveries."
            } @else {
                b { "Last gap" } " none: deliveries told what changed."
            }
        } }
        @if !overview.alarms.is_empty() { (alarms(&overview.alarms, now)) }
        @if overview.parked.count > 0 { (parked(&overview.parked, base)) }
        @for gate in &overview.gates { (gate_section(gate, base, now)) }
        @if overview.gates.is_empty() { section { p { "No gate is configured." } } }
        @if !overview.waivers.is_empty() { (waivers(&overview.waivers, now)) }
        @if !overview.said.is_empty() { (said(&overview.said, now)) }
        @if !overview.unsent.is_empty() { (unsent(&overview.unsent, base, now)) }
    };
    frame(base, "Dashboard", &right, &content)
}

fn alarms(alarms: &[Alarm], now: DateTime<Utc>) -> Markup {
    html! {
        section {
            div.head { h2 { "Alarms" } }
            table.wide {
                thead { tr { th { "Found" } th { "Repository" } th { "What" } } }
                tbody {
                    @for alarm in alarms {
                        tr { td.time { (ago(alarm.at, now)) } td.name { (plain(&alarm.repo)) } td { (plain(&alarm.words)) } }
                    }
                }
            }
        }
    }
}

fn waivers(rows: &[WaivedRow], now: DateTime<Utc>) -> Markup {
    html! {
        section {
            div.head { h2 { "Waived" } span.soft.small { "green in spite of the verdict" } }
            table.wide {
                thead { tr { th { "Pull request" } th { "Gate" } th { "By" } th { "Until" } th { "Why" } } }
                tbody {
                    @for row in rows {
                        tr {
                            td { (plain(&row.repo)) " " (link(Some(&row.address), &html! { "#" (row.pull) })) }
                            td.name { (plain(&row.waived.gate)) }
                            td { (plain(&row.waived.by)) " " span.soft { (ago(row.waived.at, now)) } }
                            td.time { @match row.waived.until { Some(until) => (utc(until)), None => "other findings come" } }
                            td { (plain(&row.waived.reason)) }
                        }
                    }
                }
            }
        }
    }
}

fn said(lines: &[Audited], now: DateTime<Utc>) -> Markup {
    html! {
        section {
            div.head { h2 { "By comments" } span.soft.small { "who did what, and what ended by itself" } }
            table.wide {
                thead { tr { th { "When" } th { "Pull request" } th { "Who" } th { "What" } th { "Words" } } }
                tbody {
                    @for line in lines {
                        tr {
                            td.time { (ago(line.at, now)) }
                            td { (plain(&line.repository)) " #" (line.pull) }
                            td { (line.by.as_deref().map_or("".into(), plain)) }
                            td { (line.act) " " span.soft { (line.gate.as_deref().map_or("".into(), plain)) } }
                            td { (plain(&line.words)) }
                        }
                    }
                }
            }
        }
    }
}

fn gate_section(gate: &GateRow, base: &str, now: DateTime<Utc>) -> Markup {
    html! {
        section {
            div.head {
                h2 { (plain(&gate.name)) }
                span.soft.small { (plain(&gate.source)) " → " (plain(&gate.consumer)) " · " code { (plain(&gate.context)) } }
            }
            @if gate.heads.is_empty() {
                p.soft { "No branch head is judged yet." }
            } @else {
                table.wide {
                    thead { tr { th { "Branch" } th { "State" } th { "Said" } th { "Decided" } } }
                    tbody {
                        @for head in &gate.heads {
                            tr {
                                td { (plain(&head.repo)) " " b { (plain(&head.branch)) } " " a href={ (base) "/r/" (head.page) } { code { (head.sha.short()) } } }
                                td { (render_state(head.state)) }
                                td { (plain(&head.description)) }
                                td.time { (ago(head.decided_at, now)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn unsent(rows: &[Unsent], base: &str, now: DateTime<Utc>) -> Markup {
    html! {
        section {
            div.head { h2 { "To be sent" } }
            table.wide {
                thead { tr { th { "Commit" } th { "State" } th { "Decided" } th { "The forge's last answer" } } }
                tbody {
                    @for row in rows {
                        tr {
                            td { (plain(&row.repo)) " " a href={ (base) "/r/" (row.page) } { code { (row.sha.short()) } } }
                            td { (render_state(row.state)) }
                            td.time { (ago(row.decided_at, now)) }
                            td {
                                (row.trouble.as_deref().map_or("none yet".into(), plain))
                                @if row.attempts > 0 { span.soft { " (" (counted(row.attempts, "attempt")) ")" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn parked(parked: &Several<Parked>, base: &str) -> Markup {
    let more = parked.count.saturating_sub(parked.first.len() as u64);
    html! {
        section {
            div.head { h2 { "Parked" } span.soft.small { "left as they are for now" } }
            table.wide {
                thead { tr { th { "Commit" } th { "Status" } th { "Why" } th { "Tried again" } } }
                tbody {
                    @for row in &parked.first {
                        tr {
                            td { (plain(&row.repository)) " " a href={ (base) "/r/" (row.target) } { code { (plain(row.sha.get(..8).unwrap_or(&row.sha))) } } }
                            td.name { (plain(&row.context)) }
                            td { (plain(&row.parked.why)) }
                            td.time {
                                @match row.parked.until {
                                    Some(until) => time datetime=(until.to_rfc3339()) { (until.format("%H:%M UTC")) },
                                    None => "at the next look",
                                }
                            }
                        }
                    }
                }
            }
            @if more > 0 { p.soft.small { "and " (more) " more" } }
        }
    }
}

/// The state that counts of a gate: failure before error before pending before success.
fn worst(gate: &GateRow) -> Option<CommitState> {
    let order = [CommitState::Failure, CommitState::Error, CommitState::Pending, CommitState::Success];
    order.into_iter().find(|state| gate.heads.iter().any(|head| head.state == *state))
}

/// `GET /badge/{gate}.svg`. A gate with a private repository has one for the operator only; others get what they get
/// for a gate that is not there.
pub(super) async fn badge(State(app): Shared, Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(name) = file.strip_suffix(".svg") else {
        return line(StatusCode::NOT_FOUND, "a badge's address is /badge/GATE.svg");
    };
    let overview = match app.ask(app.backend.overview()).await {
        Ok(overview) => overview,
        Err(error) => {
            tracing::error!(%error, "a badge could not be read");
            return unavailable("the badge cannot be read right now");
        }
    };
    let may_see = |gate: &&GateRow| gate.name == name && (gate.public || app.is_operator(&headers));
    let (status, word, colour) = match overview.gates.iter().find(may_see).map(worst) {
        Some(Some(CommitState::Success)) => (StatusCode::OK, "in sync", "#17794a"),
        Some(Some(CommitState::Failure)) => (StatusCode::OK, "drift", "#bb2b45"),
        Some(Some(CommitState::Error)) => (StatusCode::OK, "undecided", "#8f5300"),
        Some(Some(CommitState::Pending) | None) => (StatusCode::OK, "not judged yet", "#5d636b"),
        None => (StatusCode::NOT_FOUND, "no such gate", "#5d636b"),
    };
    let mut response = (status, badge_svg(word, colour)).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-cache, max-age=0"),
        (header::VARY, "cookie, authorization"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Our own word on our own colour; no text from outside gets into it.
fn badge_svg(word: &str, colour: &str) -> String {
    const LABEL: usize = 68;
    let width = 14 + 7 * word.len();
    let (all, label_middle, word_middle) = (LABEL + width, LABEL / 2, LABEL + width / 2);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" role="img" aria-label="drift-gate: {word}"><title>drift-gate: {word}</title><clipPath id="r"><rect width="{all}" height="20" rx="4"/></clipPath><g clip-path="url(#r)"><rect width="{LABEL}" height="20" fill="#30343b"/><rect x="{LABEL}" width="{width}" height="20" fill="{colour}"/></g><g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="{label_middle}" y="14">drift-gate</text><text x="{word_middle}" y="14">{word}</text></g></svg>"##
    )
}
