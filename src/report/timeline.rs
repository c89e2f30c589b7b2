//! A backtest as one HTML page that needs nothing else: no script, no font, no address.
//!
//! Time runs from left to right. The band on top is the verdict; below it stands one row for each finding, with its words
//! beside it, so that the page reads without colours and on a printer too.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::backtest::{Told, duration, moment, mover, name};
use super::safe;
use crate::backtest::{Backtest, Interval, What};
use crate::gate::verdict::Verdict;

const STYLE: &str = "\
:root{color-scheme:light dark;--ok:#2e7d32;--bad:#c62828;--dim:#8a8a8a;--what:#b26a00}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}\
h1{font-size:1.4rem}section{margin-bottom:3rem}\
.line{position:relative;height:1.1rem;background:color-mix(in srgb,currentColor 10%,transparent);border-radius:3px}\
.line i{position:absolute;top:0;bottom:0;min-width:2px;border-radius:2px}\
.in_sync{background:var(--ok)}.drift{background:var(--bad)}.undecided{background:var(--what)}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.4rem .6rem .4rem 0}\
td.when{white-space:nowrap}td.bar{width:30%;padding-top:.7rem}code{font-size:.9em}small{color:var(--dim)}\
tr{border-top:1px solid color-mix(in srgb,currentColor 15%,transparent)}";

/// One page over all gates.
pub fn document(all: &[Told<'_>]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "drift-gate: history" }
                style { (PreEscaped(STYLE)) }
            }
            body { @for told in all { (section(told)) } }
        }
    };
    page.into_string()
}

fn section(told: &Told<'_>) -> Markup {
    let backtest = told.backtest;
    let (consumer, source) = (&told.consumer, &told.source);
    html! {
        section {
            h1 { (safe::one_line(&backtest.gate)) }
            p {
                (consumer.repo) " " code { (safe::one_line(&consumer.branch)) } " with " (source.repo) " "
                code { (safe::one_line(&source.branch)) } ": " (consumer.commits) " and " (source.commits) " commits, "
                (backtest.moments) " moments, " (backtest.changes.len()) " changes of the verdict"
            }
            @match backtest.span {
                None => p { "There is no moment at which both repositories had a commit." },
                Some(span) => { (verdicts(backtest, span)) (findings(told, span)) }
            }
        }
    }
}

fn verdicts(backtest: &Backtest, span: (i64, i64)) -> Markup {
    let ends = backtest.changes.iter().skip(1).map(|change| change.at).chain([span.1]);
    let spent = backtest.spent;
    html! {
        div.line role="img" aria-label="the verdict over time" {
            @for (change, end) in backtest.changes.iter().zip(ends) {
                @let (class, word) = match change.verdict {
                    Verdict::InSync => ("in_sync", "in sync"),
                    Verdict::Drift => ("drift", "drift"),
                    Verdict::Undecided => ("undecided", "undecided"),
                };
                i class=(class) style=(place(change.at, end, span)) title={ (word) " from " (moment(change.at)) } {}
            }
        }
        p { small {
            (moment(span.0)) " – " (moment(span.1)) ": in sync " (duration(spent.in_sync)) ", drift "
            (duration(spent.drift)) ", undecided " (duration(spent.undecided))
        } }
    }
}

fn findings(told: &Told<'_>, span: (i64, i64)) -> Markup {
    html! {
        @if told.backtest.intervals.is_empty() { p { "Nothing ever drifted." } }
        @else {
            table {
                thead { tr { th { "what" } th { "when" } th { "how long" } th {} } }
                tbody { @for interval in &told.backtest.intervals { (row(told, interval, span)) } }
            }
        }
    }
}

fn row(told: &Told<'_>, interval: &Interval, span: (i64, i64)) -> Markup {
    let class = if matches!(interval.kind, What::Undecided(_)) { "undecided" } else { "drift" };
    html! {
        tr {
            td {
                b { (name(interval.kind)) } " " code { (safe::one_line(&interval.path)) }
                br; (safe::one_line(&interval.message))
                br; small { "began with " (mover(&interval.began, told.subject)) }
                @if let Some(ended) = &interval.ended { br; small { "ended with " (mover(ended, told.subject)) } }
            }
            td.when { (moment(interval.from)) br; @if let Some(to) = interval.to { (moment(to)) } @else { "now" } }
            td.when { (duration(interval.seconds)) }
            td.bar { div.line {
                i class=(class) style=(place(interval.from, interval.to.unwrap_or(span.1), span)) {}
            } }
        }
    }
}

/// Where a stretch of time stands on the line, in thousandths of it.
fn place(from: i64, to: i64, span: (i64, i64)) -> String {
    let whole = (span.1 - span.0).max(1);
    let share = |seconds: i64| seconds.max(0).saturating_mul(100_000) / whole;
    let percent = |share: i64| format!("{}.{:03}%", share / 1_000, share % 1_000);
    format!("left:{};width:{}", percent(share(from - span.0)), percent(share(to - from)))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_stretch_stands_where_it_was() {
        assert_eq!(place(150, 200, (100, 300)), "left:25.000%;width:25.000%");
        assert_eq!(place(100, 100, (100, 100)), "left:0.000%;width:0.000%", "one moment alone");
    }
}
