//! Symbolic links, in the source and in the image: what counts is what a reader finds.

use super::*;

/// Two files of the same words, one of them a link.
fn linked() -> Memory {
    template().file("prompts/base.md", "# You are\n").link("prompts/concierge.md", "base.md")
}

#[test]
fn a_linked_identity_file_is_what_it_leads_to() {
    // The directory is copied with its links.
    is_green(&branch(core('a'), linked()));
    // A link that is named is followed: its bytes are baked.
    let named = BAKES.replace(
        "COPY ${DIR}/prompts/ /opt/t/prompts/",
        "COPY ${DIR}/prompts/concierge.md ${DIR}/prompts/base.md /opt/t/prompts/",
    );
    is_green(&branch(bakes(&named), linked()));
}

#[test]
fn a_link_whose_file_is_not_baked_leads_nowhere() {
    let outside = template().file("README.md", "# You are\n").link("prompts/concierge.md", "../README.md");
    let report = branch(core('a'), outside.clone());
    is_red(&report, &["content-differs prompts/concierge.md"]);
    assert!(report.findings[0].message.contains("leads nowhere"), "{}", report.findings[0].message);
    let report = branch(with_line("COPY manifest.json /opt/t/README.md"), outside.clone());
    is_red(&report, &["content-differs prompts/concierge.md"]);
    is_green(&branch(with_line("COPY ${DIR}/README.md /opt/t/"), outside));
}

#[test]
fn a_link_out_of_the_source_leads_to_what_is_not_the_sources() {
    let away = |target: &str| template().link("prompts/concierge.md", target);
    for (target, words) in [
        ("/etc/agent.md", "out of the source"),
        ("../../agent.md", "out of the source"),
        ("concierge.md", "out of the source"),
        ("nothing.md", "does not have"),
    ] {
        is_undecided(&branch(core('a'), away(target)), &[("prompts/concierge.md", words)]);
        // Neither is a file of the consumer that it leads to.
        let served = with_line("COPY agent.md /etc/agent.md").file("agent.md", "x");
        assert_ne!(branch(served, away(target)).verdict, Verdict::InSync);
    }
}

#[test]
fn a_link_to_a_directory_is_all_that_is_in_it() {
    let ignoring = Gate { ignore: vec!["README.md".into(), "shared/**".into()], ..gate() };
    let shared = |words: &str| template().without("prompts").file("shared/lead.md", words).link("prompts", "shared");
    let named = Gate { identity: vec!["config.yaml".into(), "mcp_servers.yaml".into(), "prompts".into()], ..ignoring };
    let report = branch_of(&named, core('a'), shared("# Lead\n"));
    is_green(&report);
    assert_eq!(report.files_compared, 3);
    // As a link in the image it leads to nothing unless the directory is baked, too.
    let files = "FROM scratch\nCOPY .deps/template/*.yaml /opt/t/\nCOPY links /opt/t/\n";
    let linked = bakes(files).link("links/prompts", "shared");
    is_red(&branch_of(&named, linked.clone(), shared("# Lead\n")), &["not-baked prompts/lead.md"]);
    let beside = linked.file(DOCKERFILE, format!("{files}COPY .deps/template/shared /opt/t/shared\n"));
    is_green(&branch_of(&named, beside.clone(), shared("# Lead\n")));
    let stale = beside.file(DOCKERFILE, format!("{files}COPY old /opt/t/shared\n")).file("old/lead.md", "# Old\n");
    is_red(&branch_of(&named, stale, shared("# Lead\n")), &["content-differs prompts/lead.md"]);
}

#[test]
fn a_link_into_a_submodule_is_undecided() {
    let module = template().submodule("common", id('e')).link("prompts/concierge.md", "../common/concierge.md");
    let report = branch_of(&Gate { ignore: vec!["README.md".into(), "common".into()], ..gate() }, core('a'), module);
    is_undecided(&report, &[("prompts/concierge.md", "submodule")]);
}

#[test]
fn a_named_link_to_an_empty_file_says_nothing() {
    let empty = template().file("prompts/nothing.md", "").link("config.yaml", "prompts/nothing.md");
    assert!(said(&branch(core('a'), empty)).contains(&"empty config.yaml".to_owned()));
}

/// A core that puts a link in the image where the template's files belong.
fn destination_is_a_link(target: &str, copies: &str) -> Memory {
    let dockerfile = format!("FROM scratch\nCOPY links/ /opt/\n{copies}\n");
    bakes(&dockerfile).link("links/t", target)
}

#[test]
fn a_destination_that_is_a_link_is_followed() {
    for (target, copies) in
        [("/srv/agent", "COPY .deps/template/ /opt/t/"), ("../srv/agent", "COPY .deps/template/ /srv/agent/")]
    {
        is_green(&branch(destination_is_a_link(target, copies), template()));
    }
    let report = branch(destination_is_a_link("/srv/agent", "COPY .deps/template/ /srv/other/"), template());
    assert_eq!(said(&report)[0], "wrong-destination config.yaml");
    // What the link shows counts as being there.
    let copies = "COPY .deps/template/ /opt/t/\nCOPY manifest.json /srv/agent/prompts/extra.md";
    let report = branch(destination_is_a_link("/srv/agent", copies), template());
    is_red(&report, &["extra-at-destination prompts/extra.md"]);
}

#[test]
fn links_in_circles_end() {
    let report = branch(destination_is_a_link("t", "COPY .deps/template/ /srv/agent/"), template());
    assert_eq!(report.verdict, Verdict::Drift);
}
