//! A pull request answers for what its merge adds, and for nothing else.

use super::*;

fn docs(tree: Memory) -> Memory {
    tree.file("docs.md", "words\n")
}

/// Core with a line that nobody can follow.
fn guessed() -> Memory {
    with_line("RUN sed -i s/a/b/ /opt/t/config.yaml")
}

#[test]
fn a_pull_request_answers_for_what_its_merge_adds_and_not_for_staleness() {
    is_green(&change(core('a'), docs(core('a'))));
    let broken = |core: Memory| core.file(DOCKERFILE, BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config"));
    is_red(&change(core('a'), broken(core('a'))), &["not-baked config.yaml"]);
    let report = change(broken(core('a')), docs(broken(core('a'))));
    is_green(&report);
    assert_eq!(noted(&report), ["not-baked config.yaml"]);
    // A repair is green, whatever the base has.
    let report = change(broken(core('a')), core('a'));
    is_green(&report);
    assert_eq!(noted(&report), [""; 0]);
}

#[test]
fn findings_are_the_same_by_kind_path_and_content() {
    let vendored = |words: &str| {
        let line = "COPY vendored.yaml /opt/t/config.yaml\nCOPY vendored.yaml /opt/t/prompts/extra.md";
        with_line(line).file("vendored.yaml", words)
    };
    let report = change(vendored("one\n"), docs(vendored("one\n")));
    is_green(&report);
    assert_eq!(noted(&report), ["content-differs config.yaml", "extra-at-destination prompts/extra.md"]);
    // The same kind at the same path, with other bytes in it.
    let report = change(vendored("one\n"), vendored("two\n"));
    is_red(&report, &["content-differs config.yaml", "extra-at-destination prompts/extra.md"]);

    let moved = |place: &str| bakes(&BAKES.replace("/opt/t/config.yaml", place));
    is_green(&change(moved("/opt/x"), docs(moved("/opt/x"))));
    is_red(&change(moved("/opt/x"), moved("/opt/y")), &["wrong-destination config.yaml"]);

    let tracked = core('a').file(".deps/template/.gitkeep", "");
    is_green(&change(tracked.clone(), docs(tracked.clone())));
    let more = tracked.clone().file(".deps/template/config.yaml", "name: Mine\n");
    is_red(&change(tracked, more), &["source-dir-tracked .deps/template"]);

    // Lines that move, and comments, change nothing of it.
    let above = bakes(&format!("# a comment\n\n{}", BAKES.replace("/opt/t/config.yaml", "/opt/x")));
    is_green(&change(moved("/opt/x"), above));
}

#[test]
fn an_unlisted_file_that_a_pull_request_changes_is_new() {
    let grown = template().file("hooks/boot.sh", "#!/bin/sh\n");
    is_red(&source_pull(core('a'), template(), grown.clone()), &["unlisted hooks/boot.sh"]);
    is_green(&source_pull(core('a'), grown.clone(), grown.clone().file("README.md", "words\n")));
    is_red(
        &source_pull(core('a'), grown.clone(), grown.file("hooks/boot.sh", "rm -rf /\n")),
        &["unlisted hooks/boot.sh"],
    );
}

#[test]
fn a_pull_request_that_moves_the_pin_back_is_drift_and_forward_is_not() {
    is_red(&change(core('b'), core('a')), &["pin-backwards manifest.json"]);
    is_green(&change(core('a'), core('b')));
}

#[test]
fn only_the_pull_request_itself_moves_the_pin_back() {
    // The base went on to the newer commit after the branch was made.
    is_green(&consumer_pull(core('a'), core('b'), docs(core('a'))));
    // Nothing outside of what is ignored differs between the two.
    let mut world = Repositories::default();
    let first = world.add(Side::Source, 'a', &[], template());
    let source = world.add(Side::Source, 'b', &[&first], template().file("README.md", "Read me again\n"));
    let base = world.add(Side::Consumer, 'c', &[], core('b'));
    let head = world.add(Side::Consumer, 'f', &[&base], core('a'));
    is_green(&judge(&gate(), &Case::ConsumerPull { head, base, source }, &world).expect("here"));
}

#[test]
fn away_from_a_commit_that_was_never_merged_every_pin_of_the_branch_goes_forward() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template());
    world.add(Side::Source, 'd', &[&source], template().file("config.yaml", "name: Unmerged\n"));
    let base = world.add(Side::Consumer, 'c', &[], core('d'));
    let head = world.add(Side::Consumer, 'f', &[&base], core('a'));
    is_green(&judge(&gate(), &Case::ConsumerPull { head, base, source }, &world).expect("here"));
}

#[test]
fn a_pin_of_a_pull_request_must_be_on_the_branch_as_any_other() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template());
    world.add(Side::Source, 'd', &[], template());
    let root = world.add(Side::Consumer, '0', &[], core('a'));
    let base = world.add(Side::Consumer, 'c', &[&root], core('a'));
    let head = world.add(Side::Consumer, 'f', &[&root], core('d'));
    let ask = |head: &Revision, base: &Revision| {
        let case = Case::ConsumerPull { head: head.clone(), base: base.clone(), source: source.clone() };
        judge(&gate(), &case, &world).expect("everything is here")
    };
    let report = ask(&head, &base);
    is_red(&report, &["pin-unmerged manifest.json"]);
    assert_eq!(report.binding.state, "diverged");
    // A base that has it already passes it on, like any other finding.
    let report = ask(&head, &head);
    is_green(&report);
    assert_eq!(noted(&report), ["pin-unmerged manifest.json"]);
}

#[test]
fn where_nothing_was_compared_nothing_is_inherited() {
    for (nothing, shown) in [
        (core('a').without("manifest.json"), "pin-missing manifest.json"),
        (core('9'), "pin-unreachable manifest.json"),
        (core('a').without(DOCKERFILE), "build-fails Dockerfile"),
        (with_line("COPY nothing /opt"), "build-fails Dockerfile"),
    ] {
        is_red(&change(nothing.clone(), docs(nothing)), &[shown]);
    }
    for nothing in [with_line("CONJURE x"), core('a').file(DOCKERFILE, vec![b'#'; 2 << 20])] {
        assert_eq!(change(nothing.clone(), docs(nothing)).verdict, Verdict::Undecided);
    }
    let gone = Memory::new().file("README.md", "only\n");
    let report = source_pull(core('a'), gone.clone(), gone.file("README.md", "more\n"));
    assert_eq!(said(&report), ["missing-in-source config.yaml", "missing-in-source mcp_servers.yaml"]);
}

#[test]
fn a_pull_request_that_brings_the_first_pin_is_judged_by_it_alone() {
    is_green(&change(core('a').without("manifest.json"), core('a')));
}

#[test]
fn an_undecided_part_passes_only_when_everything_that_has_a_say_in_it_is_as_in_the_base() {
    let report = change(guessed(), docs(guessed()));
    assert_eq!((report.verdict, noted(&report)), (Verdict::InSync, vec!["undecided config.yaml".into()]));
    // The command itself.
    is_undecided(&change(guessed(), with_line("RUN sed -i s/a/c/ /opt/t/config.yaml")), &[("config.yaml", "sed")]);
    // The file that it works on.
    is_undecided(
        &change(guessed(), guessed().file("manifest.json", manifest(id('b').as_str()))),
        &[("config.yaml", "sed")],
    );
    // It was known, and is a guess now.
    is_undecided(&change(core('a'), guessed()), &[("config.yaml", "sed")]);
}

#[test]
fn a_script_that_writes_there_has_a_say_in_it() {
    let scripted = |script: &str| {
        with_line("COPY fix.sh run.sh /\nRUN sh /run.sh /opt/t/config.yaml")
            .file("fix.sh", script)
            .file("run.sh", ". /fix.sh\n")
    };
    let one = scripted("sed -i s/a/b/ /opt/t/config.yaml\n");
    assert_eq!(change(one.clone(), docs(one.clone())).verdict, Verdict::InSync);
    is_undecided(&change(one, scripted("echo x > /opt/t/config.yaml\n")), &[("config.yaml", "run.sh")]);

    let mounted = |script: &str| {
        with_line("RUN --mount=type=bind,source=tools,target=/tools /tools/fix /opt/t/config.yaml")
            .file("tools/fix", script)
    };
    let one = mounted("one");
    assert_eq!(change(one.clone(), docs(one.clone())).verdict, Verdict::InSync);
    assert_eq!(change(one, mounted("two")).verdict, Verdict::Undecided);

    let linked = |target: &str| {
        with_line("COPY tools/ /tools/\nRUN sh /tools/now /opt/t/config.yaml")
            .file("tools/a", "a")
            .file("tools/b", "b")
            .link("tools/now", target)
    };
    assert_eq!(change(linked("a"), docs(linked("a"))).verdict, Verdict::InSync);
    assert_eq!(change(linked("a"), linked("b")).verdict, Verdict::Undecided);
}

#[test]
fn what_the_source_adds_to_an_undecided_place_is_not_in_the_base() {
    let core = with_line("RUN /setup /opt/t");
    let edited = template().file("prompts/new.md", "x");
    is_undecided(&source_pull(core.clone(), template(), edited), &[("prompts/new.md", "setup")]);
    assert_eq!(source_pull(core, template(), template().file("README.md", "words\n")).verdict, Verdict::InSync);
}

#[test]
fn drift_that_hides_behind_what_the_base_could_not_decide_is_new() {
    is_red(
        &change(guessed(), bakes(&BAKES.replace("/opt/t/config.yaml", "/opt/x"))),
        &["wrong-destination config.yaml"],
    );
}

#[test]
fn a_pull_request_of_the_source_is_judged_by_what_the_consumer_would_bake() {
    let edited = template().file("config.yaml", "name: Other\n");
    is_green(&source_pull(core('a'), template(), edited));
    is_green(&source_pull(core('a'), template(), template().file("prompts/team/lead.md", "# Lead\n")));
    // The build itself breaks when the file that it names is gone.
    let report = source_pull(core('a'), template(), template().without("mcp_servers.yaml"));
    is_red(&report, &["build-fails Dockerfile", "missing-in-source mcp_servers.yaml"]);
    // The pin of the consumer has no say in it.
    is_green(&source_pull(core('9'), template(), template().file("config.yaml", "name: Other\n")));
}

#[test]
fn a_source_that_the_consumer_cannot_bake_at_all_is_red_for_every_pull_request() {
    let report = source_pull(core('a').without(DOCKERFILE), template(), template().file("README.md", "words\n"));
    is_red(&report, &["build-fails Dockerfile"]);
}
