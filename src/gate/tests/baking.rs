//! What the image has, against what the source says.

use super::*;

#[test]
fn what_is_baked_as_the_source_says_is_in_sync() {
    let report = branch(core('a'), template());
    is_green(&report);
    assert_eq!((report.files_compared, report.binding.state.as_str()), (3, "current"));
    assert!(report.bytes_compared > 0);
    assert!(report.assumptions.iter().any(|one| one.text.contains("local/platform")), "{:?}", report.assumptions);
}

#[test]
fn every_way_to_write_the_same_bake_is_green() {
    for dockerfile in [
        "FROM scratch\ncopy [\".deps/template/config.yaml\", \".deps/template/mcp_servers.yaml\", \"/opt/t/\"]\nADD .deps/template/prompts /opt/t/prompts\n",
        "FROM scratch\nWORKDIR /opt\nCOPY .deps/template/*.yaml t/\nCOPY --chmod=0755 --chown=1:1 \\\n  # a comment\n  .deps/template/prompts/ t/prompts\n",
        "FROM scratch AS x\nCOPY .deps/template /opt/t\nFROM scratch\nCOPY --from=x /opt /opt\n",
        "FROM scratch\nENV D=.deps/template\nCOPY $D /opt/t\nCOPY <<E /etc/e\nCOPY nothing /opt/t\nE\n# COPY nothing /opt/t\n",
    ] {
        is_green(&branch(bakes(dockerfile), template()));
    }
}

#[test]
fn every_way_to_bake_something_else_is_red() {
    for (from, to, expected) in [
        ("COPY ${DIR}/config.yaml", "# COPY ${DIR}/config.yaml", "not-baked config.yaml"),
        ("/opt/t/config.yaml", "/opt/u/config.yaml", "wrong-destination config.yaml"),
        ("ARG DIR=.deps/template\n", "", "build-fails Dockerfile"),
        ("ARG DIR=.deps/template", "ARG DIR=vendored", "vendored-copy config.yaml"),
        ("COPY ${DIR}/prompts/", "COPY --exclude=*.md ${DIR}/prompts/", "not-baked prompts/concierge.md"),
    ] {
        let vendored = template();
        let core = vendored.paths().fold(bakes(&BAKES.replace(from, to)), |core, path| {
            core.file(&format!("vendored/{path}"), vendored.read(path).expect("a file"))
        });
        let report = branch(core, template());
        assert_eq!(said(&report).first().map(String::as_str), Some(expected), "{from} -> {to}");
    }
}

#[test]
fn a_later_instruction_that_changes_a_baked_file_is_red_or_undecided_and_never_green() {
    let report = branch(with_line("COPY manifest.json /opt/t/config.yaml"), template());
    is_red(&report, &["content-differs config.yaml"]);
    assert_eq!(report.findings[0].cause.as_ref().and_then(|cause| cause.line), Some(7));
    assert_eq!(report.findings[0].baked.as_deref(), Some("manifest.json"));
    let report = branch(with_line("RUN rm /opt/t/config.yaml"), template());
    assert_ne!(report.verdict, Verdict::InSync, "{:?}", said(&report));
    let report = branch(with_line("RUN sed -i s/a/b/ /opt/t/config.yaml"), template());
    is_undecided(&report, &[("config.yaml", "sed")]);
    assert_eq!(report.undecided[0].cause.as_ref().and_then(|cause| cause.line), Some(7));
    let report = branch(with_line("FROM scratch"), template());
    assert_eq!(said(&report)[0], "not-baked config.yaml");
}

#[test]
fn equal_bytes_that_the_dockerfile_holds_itself_are_a_copy() {
    let written = BAKES
        .replace("COPY ${DIR}/config.yaml /opt/t/config.yaml", "COPY <<END /opt/t/config.yaml\nname: Concierge\nEND");
    let report = branch(bakes(&written), template());
    is_red(&report, &["vendored-copy config.yaml"]);
    assert!(report.findings[0].message.contains("line 4"), "{}", report.findings[0].message);
    let report = branch(bakes(&written), template().file("config.yaml", "name: Other\n"));
    is_red(&report, &["content-differs config.yaml"]);
}

#[test]
fn permission_bits_are_not_content() {
    is_green(&branch(core('a'), template().executable("config.yaml", "name: Concierge\n")));
    is_green(&branch(bakes(&BAKES.replace("COPY", "COPY --chmod=0600")), template()));
}

#[test]
fn an_extra_file_at_the_destination_counts_only_when_it_looks_like_identity() {
    is_red(
        &branch(with_line("COPY manifest.json /opt/t/prompts/extra.md"), template()),
        &["extra-at-destination prompts/extra.md"],
    );
    let report = branch(with_line("COPY manifest.json /opt/t/MARKER"), template());
    is_green(&report);
    assert_eq!(noted(&report), ["extra-at-destination MARKER"]);
    // What the source has, and nobody asked for, may be baked.
    let report = branch(bakes("FROM scratch\nCOPY .deps/template /opt/t\n"), template());
    is_green(&report);
    assert_eq!(noted(&report), [""; 0]);
}

#[test]
fn names_that_differ_in_case_only_are_two_names() {
    let report = branch(bakes(&BAKES.replace("/opt/t/config.yaml", "/opt/t/Config.yaml")), template());
    is_red(&report, &["wrong-destination config.yaml"]);
    assert_eq!(report.findings[0].cause.as_ref().and_then(|cause| cause.line), Some(4));
    let renamed = template().without("config.yaml").file("Config.yaml", "name: Concierge\n");
    let report = branch(bakes(&BAKES.replace("/config.yaml", "/Config.yaml")), renamed);
    is_red(&report, &["unlisted Config.yaml", "missing-in-source config.yaml"]);
}

#[test]
fn file_names_may_hold_anything() {
    for name in ["prompts/a\nb.md", "prompts/ünïcode — “quoted”.md", "prompts/$HOME.md", "prompts/a b.md", "prompts/*"]
    {
        is_green(&branch(core('a'), template().file(name, "x")));
        let report = branch(with_line("RUN rm -rf /opt/t/prompts"), template().file(name, "x"));
        assert_ne!(report.verdict, Verdict::InSync);
    }
}

#[test]
fn strict_assumptions_turn_what_is_taken_for_granted_into_undecided() {
    let strict = Gate { strict_assumptions: true, ..gate() };
    assert_eq!(branch_of(&strict, core('a'), template()).verdict, Verdict::Undecided);
    // Where nothing is taken for granted there is nothing to be strict about.
    is_green(&branch_of(&strict, bakes("FROM scratch\nCOPY .deps/template /opt/t\n"), template()));
}

#[test]
fn each_check_of_a_gate_must_hold() {
    let elsewhere = Bake { destination: "/srv/t".into(), ..bake() };
    let both = Gate { checks: vec![Check::Bake(bake()), Check::Bake(elsewhere)], ..gate() };
    let report = branch_of(&both, core('a'), template());
    assert_eq!(said(&report)[0], "wrong-destination config.yaml");
    is_green(&branch_of(&both, with_line("COPY ${DIR} /srv/t"), template()));
}
