//! A report as the readers of one of its repositories may see it, where the other one is closed to them.
//!
//! Sentences may quote anything, so each becomes the general one of its kind; a path stays where it is of their own repository.
//! The verdict, the kinds and commit ids stay. What a page shows of a report is the same, by `web::page::visible`.

use super::words;
use crate::gate::finding::{Cause, Finding, Kind, Undecided};
use crate::gate::{Report, Side};

/// What stands for a name that is withheld.
const WITHHELD: &str = "(not told here)";

/// What of a report may be told to readers of `own`.
pub fn report(report: &Report, own: Side) -> Report {
    let mut told = report.clone();
    told.findings.iter_mut().for_each(|one| finding(one, own));
    told.undecided.iter_mut().for_each(|part| undecided(part, own));
    // Each of them is a sentence about either side.
    told.assumptions.clear();
    match own {
        Side::Consumer => told.source.repo = PRIVATE.to_owned(),
        Side::Source => told.consumer.repo = PRIVATE.to_owned(),
    }
    told
}

const PRIVATE: &str = "a private repository";

fn finding(finding: &mut Finding, own: Side) {
    let side = words::path_side(finding.kind);
    finding.cause = finding.cause.take().filter(|cause| shows(cause, finding.kind, &finding.path, own));
    if side != Some(own) {
        finding.path = WITHHELD.to_owned();
    }
    finding.message = words::in_general(finding.kind).to_owned();
    finding.fix = words::to_do(finding.kind).to_owned();
    finding.baked = None;
    finding.content.clear();
}

/// A cause is a place in the consumer, unless it is the finding's own file of the source.
fn shows(cause: &Cause, kind: Kind, path: &str, own: Side) -> bool {
    let of_source = cause.file == path && words::path_side(kind) == Some(Side::Source);
    match own {
        Side::Consumer => !of_source,
        Side::Source => of_source,
    }
}

fn undecided(part: &mut Undecided, own: Side) {
    // Nobody can tell an image's path from a source's.
    part.cause = part.cause.take().filter(|cause| own == Side::Consumer && cause.file != part.path);
    part.path = WITHHELD.to_owned();
    part.reason = "this part cannot be decided".to_owned();
    part.content.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::verdict::{BindingState, ConsumerSide, SourceSide, Verdict};

    /// Names, sentences and contents of a source that nobody is told of.
    const SECRET: &str = "payroll";

    fn full() -> Report {
        let at = |file: &str| Some(Cause { file: file.into(), line: Some(7) });
        let words = |what: &str| format!("{what} {SECRET}");
        let kinds = [Kind::NotBaked, Kind::ContentDiffers, Kind::WrongDestination, Kind::BuildFails, Kind::Stale];
        let mut findings: Vec<Finding> = kinds
            .into_iter()
            .map(|kind| {
                let path =
                    if kind == Kind::BuildFails { "build/Containerfile".to_owned() } else { format!("{SECRET}.yaml") };
                Finding::new(kind, path, words("says"), words("do")).at(at("build/Containerfile")).of(SECRET)
            })
            .collect();
        findings[1].baked = Some(SECRET.into());
        findings[4].cause = at(&format!("{SECRET}.yaml"));
        Report {
            schema: 1,
            gate: "agent".into(),
            context: "drift-gate".into(),
            verdict: Verdict::Drift,
            findings,
            undecided: vec![Undecided {
                path: format!("/opt/{SECRET}"),
                cause: at("build/Containerfile"),
                reason: words("why"),
                inherited: false,
                content: SECRET.into(),
            }],
            assumptions: vec![crate::gate::finding::Assumption {
                file: SECRET.into(),
                line: None,
                text: words("taken"),
            }],
            consumer: ConsumerSide { repo: "molecule/core".into(), commit: None, base: None },
            source: SourceSide { repo: format!("molecule/{SECRET}"), bound: None, head: None, base: None },
            binding: BindingState { kind: "pin".into(), state: "stale".into(), behind: None },
            files_compared: 1,
            bytes_compared: 1,
            engine: "1".into(),
            config_digest: "d".into(),
        }
    }

    #[test]
    fn readers_of_the_consumer_are_told_nothing_that_only_the_source_has() {
        let told = serde_json::to_string(&report(&full(), Side::Consumer)).unwrap();
        assert!(!told.contains(SECRET), "{told}");
        assert!(
            told.contains("build/Containerfile") && told.contains("molecule/core") && told.contains("not-baked"),
            "{told}"
        );
    }

    #[test]
    fn readers_of_the_source_are_told_nothing_that_only_the_consumer_has() {
        let told = serde_json::to_string(&report(&full(), Side::Source)).unwrap();
        assert!(told.contains("payroll.yaml") && told.contains("molecule/payroll"), "{told}");
        for consumers in ["build/Containerfile", "molecule/core", "says payroll", "do payroll", "why payroll"] {
            assert!(!told.contains(consumers), "{consumers}: {told}");
        }
    }
}
