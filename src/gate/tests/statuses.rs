//! From reports to one status: which comes first, what softens it, and what the words may say.

use std::time::Duration;

use super::*;
use crate::gate::policy::{Decision, Outcome, Paired, Role, Say, State, decide};

const HOUR: i64 = 3_600_000;

fn head() -> Role {
    Role::ConsumerBranch { branch: "main".into() }
}

fn of_source() -> Role {
    Role::SourceBranch { consumer_branch: "main".into() }
}

fn pull() -> Role {
    Role::ConsumerPull { number: 7, base: "main".into() }
}

/// What a gate says about a report in a role, at a time.
fn status_at(gate: &Gate, role: &Role, report: &Report, since: Option<i64>, now: i64) -> Decision {
    decide(
        &[Say {
            gate,
            role,
            outcome: Outcome::Judged(report),
            stale_since: since,
            paired: Paired::No,
            discreet: false,
        }],
        &[],
        now,
    )
}

fn status(gate: &Gate, role: &Role, report: &Report) -> (State, String) {
    let decision = status_at(gate, role, report, None, 0);
    (decision.state, decision.description)
}

/// Core pins `a`, the template went on to `b` with another config.
fn stale() -> Report {
    stale_with(core('a'))
}

fn stale_with(core: Memory) -> Report {
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', &[], template());
    let newer = template().file("config.yaml", "name: Newer\n");
    let source = world.add(Side::Source, 'b', &[&first], newer);
    let consumer = world.add(Side::Consumer, 'c', &[], core);
    judge(&gate(), &Case::Branch { consumer, source }, &world).expect("everything is here")
}

fn drifting() -> Report {
    branch(bakes(&BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config")), template())
}

fn guessed() -> Report {
    branch(with_line("RUN sed -i s/a/b/ /opt/t/config.yaml"), template())
}

#[test]
fn each_side_is_told_the_verdict_in_its_own_words() {
    let said = |role: &Role, report: &Report| status(&gate(), role, report);
    assert_eq!(said(&head(), &branch(core('a'), template())), (State::Success, "in sync".into()));
    assert_eq!(said(&of_source(), &branch(core('a'), template())), (State::Success, "in sync".into()));
    let (state, words) = said(&head(), &stale());
    assert_eq!((state, words.as_str()), (State::Failure, "config.yaml is stale: the pin lags behind the source"));
    let (state, words) = said(&of_source(), &stale());
    assert_eq!((state, words.as_str()), (State::Failure, "not shipped: core main still bakes the old config.yaml"));
    let (_, words) = said(&of_source(), &drifting());
    assert_eq!(words, "core main cannot bake config.yaml: no COPY takes it");
    let (state, words) = said(&head(), &guessed());
    assert_eq!(state, State::Error);
    assert!(words.starts_with("undecided: config.yaml: `sed"), "{words}");
}

#[test]
fn where_the_other_side_is_private_only_ones_own_names_are_told() {
    let said = |role: &Role, report: &Report| {
        let say = Say {
            gate: &gate(),
            role,
            outcome: Outcome::Judged(report),
            stale_since: None,
            paired: Paired::No,
            discreet: true,
        };
        decide(&[say], &[], 0).description
    };
    assert_eq!(said(&head(), &stale()), "The source has changed since the commit that the consumer binds");
    assert_eq!(
        said(&of_source(), &stale()),
        "config.yaml: The source has changed since the commit that the consumer binds"
    );
    let broken = branch(with_line("CONJURE x"), template());
    assert!(!said(&of_source(), &broken).contains("CONJURE"), "{}", said(&of_source(), &broken));
    assert_eq!(said(&head(), &guessed()), "undecided: a part of it cannot be known");
    assert_eq!(said(&head(), &branch(core('a'), template())), "in sync");
    let outage = Outcome::Not("molecule/secret-plans cannot be read");
    let outage =
        Say { gate: &gate(), role: &head(), outcome: outage, stale_since: None, paired: Paired::No, discreet: true };
    assert_eq!(decide(&[outage], &[], 0).description, "a repository of this gate cannot be read");
}

#[test]
fn a_failure_comes_before_an_error_and_an_error_before_success() {
    let (good, bad, unknown) = (branch(core('a'), template()), drifting(), guessed());
    let named = |name: &str| Gate { name: name.into(), ..gate() };
    let gates = [named("one"), named("two"), named("three")];
    let role = head();
    let say = |gate: usize, report| Say {
        gate: &gates[gate],
        role: &role,
        outcome: Outcome::Judged(report),
        stale_since: None,
        paired: Paired::No,
        discreet: false,
    };
    let said = |says: &[Say<'_>]| {
        let decision = decide(says, &[], 0);
        (decision.state, decision.description)
    };
    let (state, words) = said(&[say(0, &good), say(1, &unknown), say(2, &bad)]);
    assert_eq!(
        (state, words.as_str()),
        (State::Failure, "1 of 3 gates drift: three: config.yaml is not baked: no COPY takes it")
    );
    let (state, words) = said(&[say(0, &good), say(1, &unknown)]);
    assert_eq!(state, State::Error);
    assert!(words.starts_with("1 of 2 gates undecided: two: undecided: config.yaml"), "{words}");
    assert_eq!(said(&[say(0, &good), say(1, &good)]), (State::Success, "all 2 gates in sync".into()));
    // Two roles of one commit in one gate.
    assert_eq!(said(&[say(0, &good), say(0, &bad)]).0, State::Failure);
    assert!(!said(&[say(0, &good), say(0, &bad)]).1.contains("gates"));
    let outage = Say { outcome: Outcome::Not("molecule/template cannot be read"), ..say(1, &good) };
    assert_eq!(said(&[say(0, &good), outage]).0, State::Error);
    assert_eq!(said(&[]).0, State::Error, "what no gate judged is never green");
}

#[test]
fn gates_of_one_name_and_several_consumers_are_several_gates() {
    let (good, bad) = (branch(core('a'), template()), drifting());
    let canvas = Place::Forge { forge: "main".into(), repo: "molecule/canvas".into() };
    let other = Gate {
        consumer: Consumer { place: canvas, branches: vec!["main".into()], queue_branches: Vec::new() },
        ..gate()
    };
    let (one, role) = (gate(), of_source());
    let says = [(&one, &good), (&other, &bad)];
    let says = says.map(|(gate, report)| Say {
        gate,
        role: &role,
        outcome: Outcome::Judged(report),
        stale_since: None,
        paired: Paired::No,
        discreet: false,
    });
    let words = decide(&says, &[], 0).description;
    assert_eq!(words, "1 of 2 gates drift: identity: canvas main cannot bake config.yaml: no COPY takes it");
}

#[test]
fn shown_drift_is_a_failure_also_where_something_else_is_undecided() {
    let both = branch(
        with_line("COPY manifest.json /opt/t/mcp_servers.yaml\nRUN sed -i s/a/b/ /opt/t/config.yaml"),
        template(),
    );
    assert_eq!(both.verdict, Verdict::Drift);
    assert_eq!(status(&gate(), &head(), &both).0, State::Failure);
    let stale = stale_with(with_line("RUN sed -i s/a/b/ /opt/t/mcp_servers.yaml"));
    assert_eq!(said(&stale), ["stale config.yaml", "undecided mcp_servers.yaml"]);
    assert_eq!(status(&gate(), &head(), &stale).0, State::Failure);
    // Softened staleness hides no undecided part.
    let notice = Gate { stale: Stale::Notice, ..gate() };
    assert_eq!(status(&notice, &head(), &stale).0, State::Error);
    let patient = Gate { grace: Duration::from_secs(24 * 3600), ..gate() };
    assert_eq!(status_at(&patient, &head(), &stale, Some(0), HOUR).state, State::Error);
}

#[test]
fn what_softens_a_verdict_is_named_in_the_words() {
    let advisory = Gate { advisory: true, ..gate() };
    let (state, words) = status(&advisory, &head(), &drifting());
    assert_eq!((state, words.as_str()), (State::Success, "advisory: config.yaml is not baked: no COPY takes it"));
    assert_eq!(status(&advisory, &head(), &branch(core('a'), template())).1, "in sync");
    let notice = Gate { stale: Stale::Notice, ..gate() };
    let (state, words) = status(&notice, &head(), &stale());
    assert_eq!(state, State::Success);
    assert_eq!(words, "stale, as this gate allows: config.yaml is stale: the pin lags behind the source");
    // It allows staleness and nothing else.
    assert_eq!(status(&notice, &head(), &drifting()).0, State::Failure);
    // An outage is softened by nothing.
    let outage = Say {
        gate: &advisory,
        role: &head(),
        outcome: Outcome::Not("it cannot be read"),
        stale_since: None,
        paired: Paired::No,
        discreet: false,
    };
    assert_eq!(decide(&[outage], &[], 0).state, State::Error);
}

#[test]
fn a_gate_that_is_not_enforced_yet_is_green_with_words_until_its_moment() {
    let soon = Gate { enforce_after: chrono::DateTime::from_timestamp(HOUR / 1000, 0), ..gate() };
    let before = status_at(&soon, &head(), &drifting(), None, HOUR - 1);
    assert_eq!((before.state, before.look_again), (State::Success, Some(HOUR)));
    let words = "not enforced before 1970-01-01 01:00 UTC: config.yaml is not baked: no COPY takes it";
    assert_eq!(before.description, words);
    let then = status_at(&soon, &head(), &drifting(), None, HOUR);
    assert_eq!((then.state, then.look_again), (State::Failure, None));
    assert_eq!(status_at(&soon, &head(), &branch(core('a'), template()), None, 0).description, "in sync");
}

#[test]
fn a_retired_gate_compares_nothing_and_says_why() {
    let say = Say {
        gate: &gate(),
        role: &head(),
        outcome: Outcome::Retired("the image moved"),
        stale_since: None,
        paired: Paired::No,
        discreet: true,
    };
    let decision = decide(&[say], &[], 0);
    assert_eq!((decision.state, decision.description.as_str()), (State::Success, "retired: the image moved"));
}

#[test]
fn a_partner_turns_the_source_s_pull_request_green_and_never_the_consumer_s() {
    let (red, green) = (drifting(), branch(core('a'), template()));
    let role = Role::SourcePull { number: 7, base: "main".into(), consumer_branch: "main".into() };
    let said = |role: &Role, report, paired, discreet| {
        let gate = gate();
        let outcome = Outcome::Judged(report);
        let decision = decide(&[Say { gate: &gate, role, outcome, stale_since: None, paired, discreet }], &[], 0);
        (decision.state, decision.description)
    };
    let not_baked = "core cannot take it: config.yaml is not baked: no COPY takes it";
    let rows = [
        (
            &red,
            Paired::With("core#12", &green),
            State::Success,
            "bakes with core#12, which is merged after it".to_owned(),
        ),
        (&red, Paired::With("core#12", &red), State::Failure, format!("also with core#12: {not_baked}")),
        (&red, Paired::Not("core#12", "is not open"), State::Failure, format!("{not_baked}; core#12 is not open")),
        (&green, Paired::Not("core#12", "is not open"), State::Success, "in sync".to_owned()),
    ];
    for (report, paired, state, words) in rows {
        assert_eq!(said(&role, report, paired, false), (state, words), "{paired:?}");
    }
    let (state, words) = said(&role, &red, Paired::With("core#12", &green), true);
    assert_eq!((state, words.contains("core#12")), (State::Success, false), "{words}");
    let waits = said(&pull(), &red, Paired::Waits("template#7"), false);
    let words = "waits for template#7: merge that, then bump; config.yaml is not baked: no COPY takes it";
    assert_eq!(waits, (State::Failure, words.to_owned()));
}

#[test]
fn grace_counts_from_when_the_oldest_change_was_first_seen_and_then_ends() {
    let gate = Gate { grace: Duration::from_secs(24 * 3600), ..gate() };
    let within = status_at(&gate, &head(), &stale(), Some(0), 23 * HOUR);
    assert_eq!((within.state, within.look_again), (State::Success, Some(24 * HOUR)));
    assert!(
        within.description.starts_with("in grace until 1970-01-02 00:00 UTC: config.yaml is stale"),
        "{}",
        within.description
    );
    // The words do not count the hours.
    assert_eq!(within.description, status_at(&gate, &head(), &stale(), Some(0), HOUR).description);
    let after = status_at(&gate, &head(), &stale(), Some(0), 24 * HOUR);
    assert_eq!((after.state, after.look_again), (State::Failure, None));
    // Staleness only; and not when nobody knows since when.
    assert_eq!(status_at(&gate, &head(), &drifting(), Some(0), HOUR).state, State::Failure);
    assert_eq!(status_at(&gate, &head(), &stale(), None, HOUR).state, State::Failure);
}

#[test]
fn what_a_pull_request_inherits_passes_with_words_unless_the_gate_says_otherwise() {
    let moved = bakes(&BAKES.replace("/opt/t/config.yaml", "/opt/x"));
    let guess = with_line("RUN sed -i s/a/b/ /opt/t/config.yaml");
    for (base, how) in [(moved, "main already drifts"), (guess, "main is already undecided")] {
        let report = change(base.clone(), base.file("docs.md", "words\n"));
        let (state, words) = status(&gate(), &pull(), &report);
        assert_eq!((state, words.as_str()), (State::Success, format!("no new drift; {how}").as_str()));
        let strict = Gate { inherited: Inherited::Fail, ..gate() };
        assert_ne!(status(&strict, &pull(), &report).0, State::Success);
    }
}

#[test]
fn words_hold_no_head_of_the_other_side_and_no_distance() {
    let mut far = Repositories::default();
    let mut head_of_source = far.add(Side::Source, 'a', &[], template());
    for name in ['1', '2', '3', '4', 'b'] {
        head_of_source =
            far.add(Side::Source, name, &[&head_of_source], template().file("config.yaml", "name: Newer\n"));
    }
    let consumer = far.add(Side::Consumer, 'c', &[], core('a'));
    let far = judge(&gate(), &Case::Branch { consumer, source: head_of_source }, &far).expect("everything is here");
    assert_eq!(far.binding.behind, Some(5));
    let lost = Repositories::default();
    let (c, b) = (Revision::Commit(id('c')), Revision::Commit(id('b')));
    let lost = judge(&gate(), &Case::Branch { consumer: c, source: b }, &lost).expect("everything is here");
    for report in [far, lost, stale(), drifting(), guessed(), branch(core('9'), template())] {
        for role in [head(), of_source(), pull()] {
            let (_, words) = status(&gate(), &role, &report);
            for moving in ["bbbbbbbb", "cccccccc", "5"] {
                assert!(!words.contains(moving), "{words}");
            }
        }
    }
    assert_eq!(status(&gate(), &head(), &stale()).1, "config.yaml is stale: the pin lags behind the source");
}

#[test]
fn many_findings_are_one_line_and_a_number() {
    let report = branch(bakes("FROM scratch\nCOPY manifest.json /x\n"), template());
    assert_eq!(status(&gate(), &head(), &report).1, "config.yaml is not baked: no COPY takes it (and 2 more)");
}
