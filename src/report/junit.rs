//! JUnit's XML, for whatever collects tests: a suite for each gate, in it a case for the verdict and one for each finding.
//!
//! Drift is a failure, undecided is an error. What passes in spite of a finding is a passed case whose output says why: a
//! skipped test looks like nobody looked.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Item, Judged, Weight, safe};
use crate::gate::policy::State;

/// One document over all gates; ends with a line break.
pub fn document(all: &[Judged<'_>]) -> String {
    let mut document = quick_junit::Report::new("drift-gate");
    for judged in all {
        let mut suite = TestSuite::new(text(&judged.gate.name));
        suite.add_test_case(verdict(judged));
        suite.add_test_cases(judged.items().iter().map(|item| case(judged, item)));
        document.add_test_suite(suite);
    }
    // Writing to memory does not fail.
    document.to_string().unwrap_or_default()
}

/// The case that is always there: a suite without cases would pass everywhere.
fn verdict(judged: &Judged<'_>) -> TestCase {
    let status = match judged.decision.state {
        State::Success => TestCaseStatus::success(),
        State::Failure => TestCaseStatus::non_success(NonSuccessKind::Failure),
        State::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    let passed = judged.decision.state == State::Success;
    let mut case = named("verdict", judged, told(status, &judged.gate.context, &judged.decision.description, None));
    if passed {
        case.set_system_out(text(&judged.decision.description));
    }
    case
}

fn case(judged: &Judged<'_>, item: &Item<'_>) -> TestCase {
    let mut words = item.message.to_owned();
    if let Some(place) = item.place() {
        words.push_str(&format!("\nat {place}"));
    }
    if let Some(fix) = item.fix {
        words.push_str(&format!("\nfix: {fix}"));
    }
    let name = format!("{} {}", item.name, item.path);
    let passed = |why: &str| {
        named(&name, judged, TestCaseStatus::success()).set_system_out(text(&format!("{why}: {words}"))).clone()
    };
    match item.weight {
        Weight::Fails => {
            let kind = if item.kind.is_some() { NonSuccessKind::Failure } else { NonSuccessKind::Error };
            named(&name, judged, told(TestCaseStatus::non_success(kind), &item.name, item.message, Some(&words)))
        }
        Weight::Softened => passed(&judged.decision.description),
        Weight::Inherited => passed("the base has it already"),
        Weight::Notice => passed("notice"),
    }
}

fn named(name: &str, judged: &Judged<'_>, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(safe::one_line(name), status);
    case.set_classname(format!("drift-gate.{}", text(&judged.gate.name)));
    case
}

/// A status with its words; a passed one has none.
fn told(mut status: TestCaseStatus, kind: &str, message: &str, words: Option<&str>) -> TestCaseStatus {
    if matches!(status, TestCaseStatus::NonSuccess { .. }) {
        status.set_type(text(kind)).set_message(text(message));
        if let Some(words) = words {
            status.set_description(text(words));
        }
    }
    status
}

fn text(text: &str) -> String {
    safe::visible(text).into_owned()
}
