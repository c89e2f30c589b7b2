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
fn a_link_out_of_the_source_says_no_more_than_its_target() {
    let away = |target: &str| template().link("prompts/concierge.md", target);
    for target in ["/etc/agent.md", "../../agent.md", "nothing.md"] {
        is_green(&branch(core('a'), away(target)));
    }
    // It is not followed into the consumer: nothing but the link itself is as the source says.
    let named =
        BAKES.replace("COPY ${DIR}/prompts/ /opt/t/prompts/", "COPY ${DIR}/prompts/concierge.md /opt/t/prompts/");
    let report = branch(bakes(&named).file(".deps/agent.md", "x"), away("../../agent.md"));
    is_red(&report, &["content-differs prompts/concierge.md"]);
}

#[test]
fn a_link_to_a_directory_of_the_source_shows_no_extra_files() {
    let current = template().file("prompts/v2/lead.md", "# Lead\n").link("prompts/current", "v2");
    is_green(&branch(core('a'), current));
}

#[test]
fn a_link_into_a_submodule_is_undecided() {
    let module = template().submodule("shared", id('e')).link("prompts/concierge.md", "../shared/concierge.md");
    let report = branch_of(&Gate { ignore: vec!["README.md".into(), "shared".into()], ..gate() }, core('a'), module);
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
    let circle = template().link("prompts/concierge.md", "other.md").link("prompts/other.md", "concierge.md");
    is_green(&branch(core('a'), circle));
}
