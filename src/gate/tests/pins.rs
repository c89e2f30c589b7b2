//! The pin: exactly one entry, as required, a commit of the source's branch; and how it stands to the branch's head.

use proptest::prelude::*;

use super::*;

#[test]
fn a_broken_pin_is_drift_with_words_that_name_file_and_value() {
    let full = id('a').to_string();
    let doubled = manifest(&full).replace("\n]", ",\n  {\"name\": \"agent\", \"repo\": \"x\", \"ref\": \"y\"}\n]");
    for (text, kind, words) in [
        ("{\"templates\": []}".to_owned(), "pin-missing", "agent"),
        ("{}".to_owned(), "pin-missing", "templates"),
        ("[]".to_owned(), "pin-missing", "templates"),
        ("{\"templates\": {\"agent\": 1}}".to_owned(), "pin-missing", "list"),
        (manifest(&full).replace("\"ref\"", "\"commit\""), "pin-missing", "ref"),
        (doubled, "pin-ambiguous", "agent"),
        (manifest("main"), "pin-invalid", "main"),
        (manifest(""), "pin-invalid", "``"),
        (manifest(&full).replace(&format!("\"{full}\""), "7"), "pin-invalid", "not a text"),
        (manifest(&full[..39]), "pin-invalid", &full[..39]),
        (manifest(&format!("{full} ")), "pin-invalid", &full),
        (manifest(&full.to_uppercase().replace('A', "AB")[..41]), "pin-invalid", "ABAB"),
        (manifest(&full.to_uppercase()), "pin-invalid", "lower-case"),
        (manifest(&full).replace("molecule/template", "mallory/template"), "pin-requirement", "mallory/template"),
        (manifest(&full).replace("\"repo\": \"molecule/template\", ", ""), "pin-requirement", "molecule/template"),
        (manifest(&full).replace("\"molecule/template\"", "[]"), "pin-requirement", "not a text"),
        (manifest(&full).replace("\"repo\"", "\"repo\": \"molecule/template\", \"repo\""), "pin-requirement", "repo"),
        (manifest(id('9').as_str()), "pin-unreachable", "9999"),
        (format!("{}// a bot was here", manifest(&full)), "pin-invalid", "manifest.json"),
        (manifest(&full).replace('}', ",}"), "pin-invalid", "line 2"),
        (manifest(&full).replace("\"ref\"", "\"ref\": \"x\", \"ref\""), "pin-ambiguous", "ref"),
        (manifest(&full).replace("\"templates\"", "\"templates\": [], \"templates\""), "pin-ambiguous", "templates"),
        (manifest(&full).replace("\"repo\"", "\"name\": \"other\", \"repo\""), "pin-ambiguous", "name"),
    ] {
        let report = branch(core('a').file("manifest.json", &text), template());
        is_red(&report, &[&format!("{kind} manifest.json")]);
        assert!(report.findings[0].message.contains(words), "{}", report.findings[0].message);
        assert!(report.findings[0].message.contains("manifest.json"));
    }
    is_red(&branch(core('a').without("manifest.json"), template()), &["pin-missing manifest.json"]);
}

#[test]
fn keys_that_differ_in_their_escapes_only_are_one_key() {
    let doubled = manifest(id('a').as_str()).replace("\"ref\"", "\"r\\u0065f\": \"x\", \"ref\"");
    is_red(&branch(core('a').file("manifest.json", doubled), template()), &["pin-ambiguous manifest.json"]);
}

#[test]
fn a_key_that_is_doubled_where_nobody_looks_is_the_consumers_business() {
    let doubled =
        manifest(id('a').as_str()).replace("{\"templates\"", "{\"plugins\": 1, \"plugins\": 2, \"templates\"");
    is_green(&branch(core('a').file("manifest.json", doubled), template()));
}

#[test]
fn the_file_with_the_pin_may_be_a_link_in_the_repository() {
    let text = manifest(id('a').as_str());
    is_green(&branch(core('a').file("build/pins.json", &text).link("manifest.json", "build/pins.json"), template()));
    for (core, words) in [
        (core('a').link("manifest.json", "/etc/manifest.json"), "leaves the repository"),
        (core('a').submodule("manifest.json", id('e')), "submodule"),
        (core('a').file("manifest.json/x", "{}"), "directory"),
        (core('a').file("manifest.json", b"\xff\xfe{}"), "UTF-8"),
        (core('a').file("manifest.json", vec![b' '; 9 << 20]), "larger"),
    ] {
        let report = branch(core, template());
        is_red(&report, &["pin-invalid manifest.json"]);
        assert!(report.findings[0].message.contains(words), "{}", report.findings[0].message);
    }
}

#[test]
fn a_pin_path_may_begin_with_a_list_and_what_is_required_is_required_there_too() {
    let pinned = |require: &[(&str, &str)]| {
        let require = require.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let at = PinAt::Path { format: Format::Json, at: PinPath::new(vec![PinStep::Index(0)]) };
        Gate { binding: Binding::Pin { file: "pins.json".into(), at, require }, ..gate() }
    };
    let core = core('a').file("pins.json", format!("[\"{}\"]", id('a')));
    is_green(&branch_of(&pinned(&[]), core.clone(), template()));
    is_red(&branch_of(&pinned(&[("repo", "molecule/template")]), core, template()), &["pin-requirement pins.json"]);
}

#[test]
fn a_pin_that_names_something_else_than_a_commit_is_invalid() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template());
    let consumer = world.add(Side::Consumer, 'c', &[], core('7'));
    world.others.insert(Revision::Commit(id('7')));
    let report = judge(&gate(), &Case::Branch { consumer, source }, &world).expect("everything is here");
    is_red(&report, &["pin-invalid manifest.json"]);
    assert_eq!(report.binding.state, "invalid");
    assert!(report.findings[0].message.contains("not a commit"), "{}", report.findings[0].message);
}

/// A template that went on from `a` to `b`, with core pinning `a`.
fn went_on(gate: &Gate, newer: Memory) -> Report {
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', &[], template());
    let source = world.add(Side::Source, 'b', &[&first], newer);
    let consumer = world.add(Side::Consumer, 'c', &[], core('a'));
    judge(gate, &Case::Branch { consumer, source }, &world).expect("everything is here")
}

#[test]
fn a_pin_that_lags_behind_in_something_that_counts_is_stale_and_else_merely_behind() {
    let report = went_on(&gate(), template().file("config.yaml", "name: Other\n").without("mcp_servers.yaml"));
    is_red(&report, &["stale config.yaml", "stale mcp_servers.yaml"]);
    assert_eq!((report.binding.state.as_str(), report.binding.behind), ("stale", Some(1)));
    let report = went_on(&gate(), template().file("README.md", "Read me again\n"));
    is_green(&report);
    assert_eq!((report.binding.state.as_str(), report.binding.behind), ("behind", Some(1)));
    // Permission bits are not content.
    is_green(&went_on(&gate(), template().executable("config.yaml", "name: Concierge\n")));
    // A file in the place of a link of the same words, a new file that nobody listed, a submodule moved on.
    let other_kind = went_on(&gate(), template().link("config.yaml", "name: Concierge\n"));
    assert_eq!(said(&other_kind), ["stale config.yaml"]);
    assert_eq!(said(&went_on(&gate(), template().file("hooks/boot.sh", "x"))), ["stale hooks/boot.sh"]);
    assert_eq!(said(&went_on(&gate(), template().submodule("more", id('e')))), ["stale more"]);
}

#[test]
fn an_identity_file_that_a_pattern_of_ignore_matches_too_is_stale_when_it_changed() {
    let both = Gate { ignore: vec!["**/*.md".into()], ..gate() };
    let report = went_on(&both, template().file("prompts/concierge.md", "# You were\n"));
    is_red(&report, &["stale prompts/concierge.md"]);
    is_green(&went_on(&both, template().file("README.md", "Read me again\n")));
}

#[test]
fn a_pin_that_is_not_on_the_branch_is_never_the_truth() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template());
    world.add(Side::Source, 'b', &[&source], template());
    world.add(Side::Source, 'd', &[], template());
    for (pin, state) in [('b', "ahead"), ('d', "diverged")] {
        let consumer = world.add(Side::Consumer, 'c', &[], core(pin));
        let report = judge(&gate(), &Case::Branch { consumer, source: source.clone() }, &world).expect("here");
        is_red(&report, &["pin-unmerged manifest.json"]);
        assert_eq!(report.binding.state, state);
    }
}

#[test]
fn a_commit_that_came_in_by_a_merge_is_on_the_branch_and_behind_counts_first_parents() {
    let mut world = Repositories::default();
    let root = world.add(Side::Source, '0', &[], template());
    let side = world.add(Side::Source, 'a', &[&root], template());
    let main = world.add(Side::Source, '1', &[&root], template());
    let merge = world.add(Side::Source, '2', &[&main, &side], template());
    let source = world.add(Side::Source, '3', &[&merge], template());
    let consumer = world.add(Side::Consumer, 'c', &[], core('a'));
    let report = judge(&gate(), &Case::Branch { consumer, source }, &world).expect("here");
    is_green(&report);
    // The head, the merge and what the main line had: none of it is in the side branch.
    assert_eq!((report.binding.state.as_str(), report.binding.behind), ("behind", Some(3)));
}

#[test]
fn a_gate_that_follows_compares_with_the_branch_itself() {
    let follows = Gate { binding: Binding::Follow, ..gate() };
    let report = branch_of(&follows, core('a').without("manifest.json"), template());
    is_green(&report);
    assert_eq!((report.binding.kind.as_str(), report.binding.state.as_str()), ("follow", "follow"));
    assert_eq!(report.source.bound, report.source.head);
    is_red(&branch_of(&follows, core('a'), template().file("prompts2/new.md", "x")), &["unlisted prompts2/new.md"]);
}

#[test]
fn one_commit_may_be_a_head_of_both_sides() {
    let mut world = Repositories::default();
    let both = template().file(DOCKERFILE, BAKES);
    let source = world.add(Side::Source, 'c', &[], both.clone());
    let consumer = world.add(Side::Consumer, 'c', &[], both);
    let gate = Gate { binding: Binding::Follow, ignore: vec!["README.md".into(), DOCKERFILE.into()], ..gate() };
    is_green(&judge(&gate, &Case::Branch { consumer, source }, &world).expect("here"));
}

#[test]
fn a_head_that_is_not_there_is_undecided() {
    let mut world = Repositories::default();
    let there = world.add(Side::Source, 'a', &[], template());
    let here = world.add(Side::Consumer, 'c', &[], core('a'));
    let lost = Revision::Commit(id('9'));
    for case in [
        Case::Branch { consumer: here.clone(), source: lost.clone() },
        Case::Branch { consumer: lost.clone(), source: there.clone() },
        Case::ConsumerPull { head: lost.clone(), base: here.clone(), source: there.clone() },
        Case::ConsumerPull { head: here.clone(), base: here.clone(), source: lost.clone() },
        Case::SourcePull { head: there.clone(), base: lost.clone(), consumer: here.clone() },
        Case::SourcePull { head: there.clone(), base: there.clone(), consumer: lost },
    ] {
        let report = judge(&gate(), &case, &world).expect("everything is here");
        assert_eq!((report.verdict, report.files_compared), (Verdict::Undecided, 0), "{case:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a manifest: it binds the commit that it names, or it is drift with words.
    #[test]
    fn a_manifest_with_something_in_it_somewhere_binds_what_it_says_or_nothing(
        at in any::<prop::sample::Index>(),
        taken in 0..3usize,
        put in prop::sample::select(vec!["", "{", "}", "\"", ",", "[", "]", ":", "a", "0", "//", "\n", "\\", "\"ref\": \"x\",", "\u{0}"]),
    ) {
        let whole = manifest(id('a').as_str());
        let at = at.index(whole.len());
        let end = (at + taken).min(whole.len());
        let changed = format!("{}{put}{}", &whole[..at], &whole[end..]);
        let report = branch(core('a').file("manifest.json", &changed), template());
        let json = serde_json::from_str::<serde_json::Value>(&changed);
        if report.verdict == Verdict::InSync {
            let json = json.expect("green is JSON");
            let pinned = id('a').to_string();
            prop_assert_eq!(json["templates"][0]["ref"].as_str(), Some(pinned.as_str()));
            prop_assert_eq!(json["templates"][0]["repo"].as_str(), Some("molecule/template"));
        } else {
            prop_assert_eq!(report.verdict, Verdict::Drift);
            prop_assert!(report.findings[0].message.contains("manifest.json"));
        }
    }
}
