//! Commands of a build that may touch what is baked: shown, undecided, or taken to leave it alone, and then that is told.

use super::*;

/// What is undecided of a build that ends with these lines; nothing else may be said of it.
#[track_caller]
fn undecided(lines: &str) -> Vec<String> {
    let report = branch(with_line(lines), template());
    assert_eq!(report.verdict, Verdict::Undecided, "{lines}: {report:?}");
    report.undecided.into_iter().map(|part| part.path).collect()
}

const ALL: [&str; 3] = ["config.yaml", "mcp_servers.yaml", "prompts/concierge.md"];

#[test]
fn a_command_that_runs_where_files_are_baked_makes_them_undecided() {
    for lines in [
        "WORKDIR /opt/t\nRUN make",
        "RUN cd /opt/t && make",
        "RUN cd /opt && cd t && make",
        "RUN (cd /opt/t; make)",
        "RUN cd / && cd /opt/t && cd / && cd - && make",
        "WORKDIR /opt/t\nRUN cd /tmp; make",
        "WORKDIR /opt/t\nRUN cd /tmp || true; rm config.yaml",
        "WORKDIR /opt/t\nRUN make || cd /tmp; rm -f config.yaml",
        "WORKDIR /opt/t\nRUN pushd /tmp; popd; rm config.yaml",
        "WORKDIR /opt/t\nRUN cd $SOMEWHERE && cd .. && rm config.yaml",
    ] {
        assert_eq!(undecided(lines), ALL, "{lines}");
    }
}

#[test]
fn where_a_script_goes_back_to_is_where_it_was() {
    let report = branch(with_line("WORKDIR /opt/t\nRUN cd /tmp && cd - && rm config.yaml"), template());
    is_red(&report, &["not-baked config.yaml"]);
    is_green(&branch(with_line("RUN cd /opt/t && cd /tmp && rm -f config.yaml"), template()));
}

#[test]
fn what_would_be_removed_is_not_shown_where_nobody_knows_the_directory() {
    // It may be another `opt`.
    assert_eq!(undecided("RUN cd $SOMEWHERE && rm -rf opt"), ALL);
    assert_eq!(undecided("RUN cd /srv/app; rm -rf opt"), ALL);
    is_red(&branch(with_line("RUN cd $SOMEWHERE && rm /opt/t/config.yaml"), template()), &["not-baked config.yaml"]);
}

#[test]
fn a_command_that_names_nothing_baked_is_taken_to_leave_it_alone_and_that_is_told() {
    for (line, told) in [
        ("RUN make", "`make` changes nothing that it does not name and that is not in its working directory"),
        (
            "RUN cd $SOMEWHERE && make",
            "`cd $SOMEWHERE` changes nothing that it does not name and that is not in its working directory; what it says \
             with `$` is elsewhere",
        ),
    ] {
        let report = branch(with_line(line), template());
        is_green(&report);
        let of_line = |one: &&crate::gate::finding::Assumption| one.line == Some(7);
        let texts: Vec<&str> = report.assumptions.iter().filter(of_line).map(|one| one.text.as_str()).collect();
        assert!(texts.contains(&told), "{texts:?}");
        let strict = Gate { strict_assumptions: true, ..gate() };
        let report = branch_of(&strict, with_line(line), template());
        let reasons: Vec<&str> = report.undecided.iter().map(|part| part.reason.as_str()).collect();
        assert_eq!(report.undecided.len(), report.assumptions.len(), "each assumption is undecided: {reasons:?}");
        assert!(reasons.contains(&format!("only assumed: {told}").as_str()), "{reasons:?}");
    }
}

#[test]
fn what_a_folder_holds_beside_what_is_known_may_replace_what_is_baked() {
    for copy in ["COPY --from=made /out /opt/t", "COPY --link --from=made /out /opt/t"] {
        let stages = format!("FROM local/tools AS made\nWORKDIR /out\nRUN make\n{BAKES}{copy}\n");
        let stages = stages.replace("ARG BASE=local/platform:latest\n", "").replace("${BASE}", "local/platform");
        let report = branch(bakes(&stages), template());
        let parts: Vec<&str> = report.undecided.iter().map(|part| part.path.as_str()).collect();
        assert_eq!((report.verdict, parts.as_slice()), (Verdict::Undecided, ALL.as_slice()), "{copy}: {report:?}");
        assert_eq!(report.undecided[0].cause.as_ref().and_then(|cause| cause.line), Some(9), "{report:?}");
    }
}

#[test]
fn what_may_be_an_extra_file_of_the_identity_is_undecided() {
    for line in ["ADD https://e.org/new.md /opt/t/prompts/", "RUN dd of=/opt/t/prompts/new.md"] {
        assert_eq!(undecided(line), ["prompts/new.md"], "{line}");
    }
    // It may be there, and does not look like the identity.
    is_green(&branch(with_line("ADD https://e.org/MARKER /opt/t/"), template()));
    let report = branch(with_line("RUN dd of=/opt/t/prompts/concierge.txt bs=1"), template());
    assert_ne!(report.verdict, Verdict::InSync, "prompts/** means any name: {report:?}");
}

#[test]
fn that_nothing_else_lies_beside_what_is_copied_over_the_unknown_is_told() {
    let stages = "FROM local/tools AS made\nWORKDIR /out\nRUN make\nFROM scratch\nCOPY --from=made /out /opt/t\nCOPY .deps/template /opt/t\n";
    let report = branch(bakes(stages), template());
    is_green(&report);
    let told = |report: &Report| -> Vec<String> {
        let of_extras = report.assumptions.iter().filter(|one| one.text.contains("looks like the identity"));
        of_extras.map(|one| format!("{} {}", one.line.unwrap_or_default(), one.text)).collect()
    };
    let at = |dir: &str| format!("5 /opt/t{dir} has no other file that looks like the identity");
    assert_eq!(told(&report), [at("/prompts")]);
    let any = Gate { identity: vec!["**".into()], ignore: Vec::new(), ..gate() };
    let report = branch_of(&any, bakes(stages), template());
    is_green(&report);
    assert_eq!(told(&report), [at(""), at("/prompts")]);
    let strict = Gate { strict_assumptions: true, ..any };
    assert_eq!(branch_of(&strict, bakes(stages), template()).verdict, Verdict::Undecided);
}

#[test]
fn a_pointer_of_git_lfs_is_not_the_file_it_stands_for() {
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "4d".repeat(32));
    let report = branch(core('a'), template().file("config.yaml", pointer));
    is_undecided(&report, &[("config.yaml", "Git LFS pointer")]);
}

#[test]
fn a_json_form_with_a_comma_missing_is_told_at_its_line() {
    let report = branch(bakes("FROM scratch\n\nCOPY [\".deps/template/config.yaml\" \"/opt/t/\"]\n"), template());
    is_red(&report, &["build-fails Dockerfile"]);
    assert_eq!(report.findings[0].cause.as_ref().and_then(|cause| cause.line), Some(3));
    assert!(report.findings[0].message.contains("syntax error in pattern"), "{:?}", report.findings[0]);
}
