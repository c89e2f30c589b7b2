//! A report page as HTML: the verdict in words first, then what it rests on.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::data::{Diff, DiffLine, Waived};
use super::visible::{Linked, Shown, ShownFinding, ShownJudgement, ShownReport, ShownSide};
use crate::forge::State;
use crate::gate::verdict::Verdict;
use crate::web::html::{ago, counted, frame, link, plain, size, utc};

/// The page; `base` is put before links to the service itself.
pub fn render(page: &Shown, base: &str, now: DateTime<Utc>) -> Markup {
    let (headline, class) = headline(page);
    let title = format!("{headline} · {} {}", page.repo, page.commit.text);
    let content = html! {
        (verdict(page, headline, class, now))
        @if !page.waivers.is_empty() { (waived(&page.waivers, now)) }
        @for judgement in &page.judgements { (gate(judgement)) }
        (rerun(page))
        (earlier(page, now))
        (foot(page))
    };
    frame(base, &plain(&title), &html! { code { (plain(&page.context)) } }, &content)
}

/// The verdict in a word, and the class of its colour.
fn headline(page: &Shown) -> (&'static str, &'static str) {
    match page.state {
        State::Success if page.clean => ("In sync", "good"),
        State::Success => ("Passes", "good"),
        State::Failure => ("Drift", "bad"),
        State::Error => ("Undecided", "open"),
        State::Pending => ("Being judged", ""),
    }
}

fn verdict(page: &Shown, headline: &str, class: &str, now: DateTime<Utc>) -> Markup {
    html! {
        section class={ "verdict " (class) } {
            h1 { (sign(page.state)) (headline) }
            p.said { (plain(&page.description)) }
            p.where {
                span { "Commit " (linked(&page.commit)) " of " b { (plain(&page.repo)) } }
                @for role in &page.roles { span { (linked(role)) } }
            }
            p.where { span { "Decided " (ago(page.decided_at, now)) } }
            @if !page.head {
                p.note { "This commit is no longer the head of a branch or of an open pull request: this is what held when it was." }
            }
            @if let Some(trouble) = &page.untold {
                p.note {
                    "The forge does not say this yet; it is told again until it does."
                    @if let Some(trouble) = trouble { " Its last answer: " code { (plain(trouble)) } }
                }
            }
        }
    }
}

/// Who lets pass what: beside the verdict, which stays what it is.
fn waived(waivers: &[Waived], now: DateTime<Utc>) -> Markup {
    html! {
        section {
            div.head { h2 { "Waived" } span.soft.small { "the verdict stays what it is" } }
            @for waiver in waivers {
                p {
                    "Waived by " b { (plain(&waiver.by)) } " " (ago(waiver.at, now))
                    @if let Some(until) = waiver.until { ", until " (utc(until)) }
                    ": " (plain(&waiver.reason)) " " span.soft { "· " (plain(&waiver.gate)) }
                }
            }
        }
    }
}

/// A sign that does not need its colour: a tick, a cross, a question, dots.
fn sign(state: State) -> Markup {
    let path = match state {
        State::Success => "M4 12.5l5.2 5.2L20 7",
        State::Failure => "M5.5 5.5l13 13m0-13l-13 13",
        State::Error => "M8 8.6C8 6 9.7 4.5 12 4.5s4 1.5 4 3.7c0 3.2-4 3.3-4 6.6M12 19.4v.1",
        State::Pending => "M5 12h.1M12 12h.1M19 12h.1",
    };
    html! {
        svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="3.4" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {
            path d=(path) {}
        }
    }
}

fn gate(judgement: &ShownJudgement) -> Markup {
    let pill = match &judgement.outcome {
        Ok(report) => match report.verdict {
            Verdict::InSync => ("good", "in sync"),
            Verdict::Drift => ("bad", "drift"),
            Verdict::Undecided => ("open", "undecided"),
        },
        Err(_) => ("open", "not judged"),
    };
    html! {
        section {
            div.head {
                h2 { (plain(&judgement.gate)) }
                span class={ "pill " (pill.0) } { (pill.1) }
                span.soft.small { "as " (plain(&judgement.role)) }
            }
            @match &judgement.outcome {
                Ok(report) => (judged(report)),
                Err(why) => p { (plain(why)) },
            }
            @if let Some(repair) = &judgement.repair {
                p.note {
                    (plain(&repair.sentence))
                    @if let Some(pull) = &repair.pull { " " (linked(pull)) }
                }
            }
        }
    }
}

fn judged(report: &ShownReport) -> Markup {
    let (inherited, own): (Vec<_>, Vec<_>) = report.findings.iter().partition(|finding| finding.inherited);
    let (notices, errors): (Vec<_>, Vec<_>) = own.into_iter().partition(|finding| finding.notice);
    html! {
        dl.facts {
            dt { "Consumer" } dd { (side(&report.consumer)) }
            dt { "Source" } dd { (side(&report.source)) }
            dt { "Binding" } dd { (plain(&report.binding)) }
            dt { "Compared" } dd { (compared(report)) }
        }
        @if report.withheld {
            p.note.soft {
                "A repository of this gate is private: what only its readers may know is not told here. The dashboard's login shows all."
            }
        }
        (findings("Findings", &errors, "bad"))
        (undecided(report))
        (findings("Notices", &notices, ""))
        (findings("Already so without this change", &inherited, ""))
        @if !report.assumptions.is_empty() {
            details {
                summary { (counted(report.assumptions.len() as u64, "assumption")) " taken for granted" }
                ul.lines {
                    @for (cause, text) in &report.assumptions {
                        li { (plain(text)) @if let Some(cause) = cause { " " span.soft { "· " (code(cause)) } } }
                    }
                }
            }
        }
    }
}

fn compared(report: &ShownReport) -> Markup {
    html! {
        @if report.files_compared == 0 {
            "nothing"
        } @else {
            (counted(report.files_compared, "file")) ", " (size(report.bytes_compared)) ", byte for byte"
        }
    }
}

fn side(side: &ShownSide) -> Markup {
    html! {
        span.part { (plain(&side.repo)) }
        @for (label, commit) in &side.commits {
            span.part { span.soft { (label) } " " (code(commit)) }
        }
    }
}

fn findings(title: &str, findings: &[&ShownFinding], class: &str) -> Markup {
    html! {
        @if !findings.is_empty() {
            h3 { (title) " " span.soft { "(" (findings.len()) ")" } }
            @for finding in findings {
                article class=(class) {
                    div.title {
                        code.path { (plain(&finding.path)) }
                        span.kind title=(finding.kind) { (finding.title) }
                    }
                    p { (plain(&finding.message)) }
                    @if let Some(fix) = &finding.fix { p.do { (plain(fix)) } }
                    @if let Some(cause) = &finding.cause { p.cause { "Because of " (code(cause)) } }
                    @if let Some(diff) = &finding.diff { (changes(diff)) }
                }
            }
        }
    }
}

fn undecided(report: &ShownReport) -> Markup {
    html! {
        @if !report.undecided.is_empty() {
            h3 { "Not decided " span.soft { "(" (report.undecided.len()) ")" } }
            @for part in &report.undecided {
                article.open {
                    div.title {
                        code.path { (plain(&part.path)) }
                        @if part.inherited { span.kind { "already so without this change" } }
                    }
                    p { (plain(&part.reason)) }
                    @if let Some(cause) = &part.cause { p.cause { "Because of " (code(cause)) } }
                }
            }
        }
    }
}

fn changes(diff: &Diff) -> Markup {
    html! {
        details open {
            summary { "− " (plain(&diff.old)) ", + " (plain(&diff.new)) }
            pre.diff tabindex="0" { code {
                @for line in &diff.lines {
                    @match line {
                        DiffLine::Hunk(text) => span.hunk { (plain(text)) "\n" },
                        DiffLine::Same(text) => span { " " (plain(text)) "\n" },
                        DiffLine::Removed(text) => span.del { "-" (plain(text)) "\n" },
                        DiffLine::Added(text) => span.add { "+" (plain(text)) "\n" },
                    }
                }
                @if diff.more > 0 { span.hunk { "… " (counted(diff.more as u64, "more line")) "\n" } }
            } }
        }
    }
}

fn rerun(page: &Shown) -> Markup {
    html! {
        section {
            h2 { "Run it again" }
            p.note {
                "Comment " code { "/drift-gate check" } " on "
                @match &page.pull {
                    Some(pull) => { "pull request " (linked(pull)) },
                    None => "an open pull request of either repository",
                }
                ". Any push to either repository does the same. " code { "/drift-gate help" } " tells what else there is to say."
            }
        }
    }
}

fn earlier(page: &Shown, now: DateTime<Utc>) -> Markup {
    html! {
        @if !page.earlier.is_empty() {
            section {
                div.head { h2 { "Before that" } }
                table.wide {
                    thead { tr { th { "Decided" } th { "State" } th { "Said" } } }
                    tbody {
                        @for verdict in &page.earlier {
                            tr {
                                td.time { (ago(verdict.at, now)) }
                                td { (state_pill(verdict.state)) }
                                td { (plain(&verdict.description)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn foot(page: &Shown) -> Markup {
    let reports: Vec<_> = page.judgements.iter().filter_map(|one| one.outcome.as_ref().ok()).collect();
    html! {
        footer {
            span { "Decided " (utc(page.decided_at)) }
            span { "Commit " code { (page.sha) } }
            @if let Some(report) = reports.first() {
                span { "drift-gate " (plain(&report.engine)) }
            }
            @for report in &reports {
                span { "configuration " code { (report.config_digest.get(..12).unwrap_or(&report.config_digest)) } }
            }
        }
    }
}

/// A state as the forge shows it.
pub(in crate::web) fn state_pill(state: State) -> Markup {
    let class = match state {
        State::Success => "good",
        State::Failure => "bad",
        State::Error => "open",
        State::Pending => "",
    };
    html! { span class={ "pill " (class) } { (state.as_str()) } }
}

fn linked(text: &Linked) -> Markup {
    link(text.address.as_deref(), &html! { (plain(&text.text)) })
}

fn code(text: &Linked) -> Markup {
    link(text.address.as_deref(), &html! { code { (plain(&text.text)) } })
}
