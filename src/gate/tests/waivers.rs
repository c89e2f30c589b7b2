//! What a waiver turns green, and what ends it.

use std::collections::BTreeSet;

use super::*;
use crate::gate::policy::{self, Outcome, Paired, Role, Say, State, decide};
use crate::gate::waiver::{self, Item, Waiver};

const DAY: i64 = 86_400_000;
/// 2026-12-24 12:00 UTC.
const NOW: i64 = 1_798_113_600_000;

fn pull(number: u64) -> Role {
    Role::ConsumerPull { number, base: "main".into() }
}

fn without(file: &str) -> Report {
    branch(bakes(&BAKES.replace(&format!("COPY ${{DIR}}/{file}"), "# COPY")), template())
}

fn drifting() -> Report {
    without("config")
}

fn guessed() -> Report {
    branch(with_line("RUN sed -i s/a/b/ /opt/t/config.yaml"), template())
}

fn items(reports: &[&Report]) -> BTreeSet<Item> {
    reports.iter().flat_map(|report| waiver::items(&gate(), report).expect("what a waiver can cover")).collect()
}

fn waiver(reports: &[&Report], until: Option<i64>) -> Waiver {
    Waiver {
        consumer: gate().consumer.place,
        gate: gate().name,
        by: "alice".into(),
        reason: "hot fix".into(),
        until,
        items: items(reports),
    }
}

/// The status of a commit that is all this to one gate.
fn status(roles: &[(Role, &Report)], waivers: &[Waiver], now: i64) -> (State, String, Option<i64>) {
    let gate = gate();
    let says: Vec<Say<'_>> = roles.iter().map(|(role, report)| say(&gate, role, Outcome::Judged(report))).collect();
    let decision = decide(&says, waivers, now);
    (decision.state, decision.description, decision.look_again)
}

fn say<'a>(gate: &'a Gate, role: &'a Role, outcome: Outcome<'a>) -> Say<'a> {
    Say { gate, role, outcome, stale_since: None, paired: Paired::No, discreet: false }
}

#[test]
fn a_waiver_makes_the_status_green_in_words_and_looks_again_at_its_end() {
    let report = drifting();
    let plain = status(&[(pull(7), &report)], &[waiver(&[&report], None)], NOW);
    assert_eq!(plain, (State::Success, "waived by alice: hot fix".into(), None));
    let until = Some(NOW + DAY);
    let (state, words, again) = status(&[(pull(7), &report)], &[waiver(&[&report], until)], NOW);
    assert_eq!((state, again), (State::Success, until));
    assert_eq!(words, "waived by alice until 2026-12-25 12:00 UTC: hot fix");
    assert_eq!(report.verdict, crate::gate::verdict::Verdict::Drift, "the verdict stays what it is");
}

#[test]
fn what_a_waiver_covers() {
    let (config, servers, guess) = (drifting(), without("mcp_servers"), guessed());
    let both = branch(bakes("FROM alpine\n"), template());
    let fine = branch(core('a'), template());
    // What was waived, what is found now, and whether it holds.
    for (waived, found, holds) in [
        (vec![&config], vec![&config], true),
        (vec![&config], vec![&fine], true),
        (vec![&config], vec![&servers], false),
        (vec![&config, &servers], vec![&config], true),
        (vec![&config], vec![&both], false),
        (vec![&config], vec![&config, &servers], false),
        (vec![&config, &servers], vec![&config, &servers], true),
        (vec![&guess], vec![&guess], true),
        (vec![&config], vec![&guess], false),
        (vec![&guess], vec![&config], false),
    ] {
        let roles: Vec<(Role, &Report)> = found.iter().zip(1..).map(|(report, n)| (pull(n), *report)).collect();
        let (state, words, _) = status(&roles, &[waiver(&waived, None)], NOW);
        let told = (said_all(&waived), said_all(&found));
        assert_eq!(state == State::Success, holds, "{told:?}: {words}");
    }
}

fn said_all(reports: &[&Report]) -> Vec<String> {
    reports.iter().flat_map(|report| said(report)).collect()
}

#[test]
fn another_content_at_the_same_path_is_another_finding() {
    let baked = |line: &str| branch(with_line(line), template());
    let (one, other) = (baked("RUN echo a > /opt/t/config.yaml"), baked("RUN echo b > /opt/t/config.yaml"));
    let paths = |report: &Report| items(&[report]).into_iter().map(|item| (item.kind, item.path)).collect::<Vec<_>>();
    assert_eq!(paths(&one), paths(&other), "the same kind and path");
    assert_eq!(status(&[(pull(7), &one)], &[waiver(&[&one], None)], NOW).0, State::Success);
    assert_ne!(status(&[(pull(7), &other)], &[waiver(&[&one], None)], NOW).0, State::Success);
}

#[test]
fn a_waiver_is_over_at_its_time_and_not_before() {
    let report = drifting();
    let at = |now: i64| status(&[(pull(7), &report)], &[waiver(&[&report], Some(NOW))], now).0;
    assert_eq!((at(NOW - 1), at(NOW), at(NOW + 1)), (State::Success, State::Failure, State::Failure));
}

#[test]
fn an_outage_is_never_waived_and_ends_nothing() {
    let (gate, role) = (gate(), pull(7));
    let report = drifting();
    let waiver = waiver(&[&report], None);
    for why in ["molecule/template cannot be read: 502", "its base branch main does not exist"] {
        let outage = say(&gate, &role, Outcome::Not(why));
        assert_eq!(decide(std::slice::from_ref(&outage), std::slice::from_ref(&waiver), NOW).state, State::Error);
        assert!(!policy::is_known(&outage, NOW), "nobody knows what stands against it");
        // Beside a role that it covers it covers nothing.
        let both = [say(&gate, &role, Outcome::Judged(&report)), outage];
        assert_eq!(decide(&both, std::slice::from_ref(&waiver), NOW).state, State::Failure);
    }
}

#[test]
fn what_could_not_be_read_is_not_for_a_person_to_accept() {
    let mut report = drifting();
    let error = TreeError::Io { path: "config.yaml".into(), why: "input/output error".into() };
    report.undecided.push(crate::gate::finding::Undecided::unreadable(&error));
    assert!(waiver::items(&gate(), &report).expect_err("no waiver").contains("config.yaml"));
    assert_eq!(status(&[(pull(7), &report)], &[waiver(&[&drifting()], None)], NOW).0, State::Failure);
}

#[test]
fn a_waiver_is_of_one_gate_and_not_of_another() {
    let report = drifting();
    let mut of_another = waiver(&[&report], None);
    of_another.gate = "another".into();
    assert_eq!(status(&[(pull(7), &report)], &[of_another], NOW).0, State::Failure);
    let mut elsewhere = waiver(&[&report], None);
    elsewhere.consumer = Place::Here;
    assert_eq!(status(&[(pull(7), &report)], &[elsewhere], NOW).0, State::Failure);
}

#[test]
fn beside_another_gate_that_drifts_a_waiver_turns_nothing_green() {
    let (one, role, report) = (gate(), pull(7), drifting());
    let other = Gate { name: "other".into(), ..gate() };
    let says = [say(&one, &role, Outcome::Judged(&report)), say(&other, &role, Outcome::Judged(&report))];
    let waiver = waiver(&[&report], None);
    let decision = decide(&says, std::slice::from_ref(&waiver), NOW);
    assert_eq!(decision.state, State::Failure);
    assert!(decision.description.starts_with("1 of 2 gates drift: other: "), "{}", decision.description);
    let fine = branch(core('a'), template());
    let says = [say(&one, &role, Outcome::Judged(&report)), say(&other, &role, Outcome::Judged(&fine))];
    let decision = decide(&says, std::slice::from_ref(&waiver), NOW);
    assert_eq!((decision.state, decision.description.as_str()), (State::Success, "identity: waived by alice: hot fix"));
}

#[test]
fn what_the_base_has_already_needs_no_waiver() {
    let mut report = drifting();
    report.findings.iter_mut().for_each(|finding| finding.inherited = true);
    assert_eq!(items(&[&report]), BTreeSet::new());
    let strict = Gate { inherited: Inherited::Fail, ..gate() };
    assert!(!waiver::items(&strict, &report).expect("items").is_empty());
}

#[test]
fn a_report_keeps_what_tells_its_findings_apart() {
    for report in [drifting(), guessed()] {
        let kept: Report = serde_json::from_str(&serde_json::to_string(&report).expect("JSON")).expect("a report");
        assert_eq!(items(&[&kept]), items(&[&report]));
    }
}
