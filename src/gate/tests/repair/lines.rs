//! COPY lines for files that no instruction takes.

use super::*;

#[test]
fn a_new_source_file_gets_its_copy_line_beside_its_siblings() {
    let gate = Gate { identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() };
    let story = Story::new(core('a'), template(), template().file("skills.yaml", "skills: []\n"));
    let repair = story.repair(&repaired(gate.clone()));
    let dockerfile = BAKES.replace(
        "COPY ${DIR}/mcp_servers.yaml /opt/t/\n",
        "COPY ${DIR}/mcp_servers.yaml /opt/t/\nCOPY ${DIR}/skills.yaml /opt/t/\n",
    );
    let pin = manifest(id('b').as_str());
    assert_eq!(texts(&repair.edits), [(DOCKERFILE, dockerfile.as_str()), ("manifest.json", pin.as_str())]);
    assert!(repair.quotes, "the Dockerfile names a file of the source");
    // Whoever does not want that says so, and is told what to write.
    let pull = PullRequest::default();
    let said = story.person(&with_rules(gate, vec![Rule::Pin { copy_lines: false, pull }]));
    assert!(said.contains("no instruction bakes skills.yaml") && said.contains("add to Dockerfile: COPY"), "{said}");
}

#[test]
fn a_copy_line_has_the_flags_and_line_ends_of_its_sibling_and_several_files_get_one_each() {
    let bakes = "\
FROM scratch\r
COPY --chmod=0644 .deps/template/config.yaml \\\r
     /opt/t/config.yaml\r
COPY .deps/template/mcp_servers.yaml /opt/t/mcp_servers.yaml\r
COPY .deps/template/prompts /opt/t/prompts\r
USER 1000\r
";
    let gate = Gate { identity: vec!["*.yaml".into(), "prompts/**".into(), "hooks/**".into()], ..gate() };
    let now = template().file("hooks/boot.sh", "#!/bin/sh\n").file("b.yaml", "b\n");
    let story = Story::new(core('a').file(DOCKERFILE, bakes), template(), now);
    let repair = story.repair(&repaired(gate));
    let after = bakes.replace(
        "COPY .deps/template/prompts /",
        "COPY .deps/template/hooks/boot.sh /opt/t/hooks/boot.sh\r\nCOPY .deps/template/b.yaml /opt/t/b.yaml\r\nCOPY .deps/template/prompts /",
    );
    let (_, written) = texts(&repair.edits)[0];
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(lines(written), lines(&after));
    assert_eq!(written.matches("\r\n").count(), written.matches('\n').count());
}

#[test]
fn new_files_that_say_the_same_get_a_line_each() {
    let gate = Gate { identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() };
    let same = "mcp_servers: []\n";
    let story = Story::new(core('a'), template(), template().file("n1.yaml", same).file("n2.yaml", same));
    let repair = story.repair(&repaired(gate));
    let (_, dockerfile) = texts(&repair.edits)[0];
    for file in ["n1.yaml", "n2.yaml"] {
        assert!(dockerfile.contains(&format!("COPY ${{DIR}}/{file} /opt/t/\n")), "{dockerfile}");
    }
}

#[test]
fn a_copy_line_that_would_not_bake_the_file_is_not_proposed() {
    let gate = repaired(Gate { identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() });
    let now = || template().file("skills.yaml", "skills: []\n");
    for (core, words) in [
        // The ignore file hides it.
        (core('a').file(".dockerignore", ".deps/template/skills.yaml\n"), "skills.yaml"),
        // What a later command does to it nobody knows.
        (bakes(&format!("{BAKES}RUN /opt/base/tool /opt/t\n")), "undecided"),
        // Its siblings come from another stage, which does not have it.
        (
            bakes(
                "FROM scratch AS files\nCOPY .deps/template/config.yaml .deps/template/mcp_servers.yaml /f/\nCOPY \
                 .deps/template/prompts /f/prompts\nFROM scratch\nCOPY --from=files /f/config.yaml /opt/t/config.yaml\nCOPY \
                 --from=files /f/mcp_servers.yaml /opt/t/\nCOPY --from=files /f/prompts /opt/t/prompts\n",
            ),
            "no instruction bakes skills.yaml",
        ),
    ] {
        let said = match Story::new(core, template(), now()).propose(&gate) {
            Proposed::Person(said) => said,
            other => panic!("{words}: {other:?}"),
        };
        assert!(said.contains(words) || words == "undecided", "{said}");
    }
}

#[test]
fn a_gate_that_follows_gets_copy_lines_too() {
    let gate = Gate { binding: Binding::Follow, identity: vec!["*.yaml".into(), "prompts/**".into()], ..gate() };
    let story = Story::new(core('a'), template(), template().file("skills.yaml", "skills: []\n"));
    let written = |repair: Repair| repair.edits.into_iter().map(|edit| edit.path).collect::<Vec<_>>();
    let repair = story.repair(&with_rules(gate.clone(), vec![stamp("{source_sha}\n")]));
    assert_eq!(written(repair), [DOCKERFILE, "STAMP"]);
    assert_eq!(written(story.repair(&repaired(gate))), [DOCKERFILE]);
}

#[test]
fn a_pattern_shows_the_manner_for_a_file_of_another_folder() {
    let story = Story::new(bakes("FROM scratch\nCOPY .deps/template/*.yaml /opt/t/\n"), template(), template());
    let gate = Gate { ignore: vec!["README.md".into()], ..gate() };
    let repair = story.repair(&repaired(gate));
    let (_, dockerfile) = texts(&repair.edits)[0];
    assert_eq!(
        dockerfile,
        "FROM scratch\nCOPY .deps/template/*.yaml /opt/t/\nCOPY .deps/template/prompts/concierge.md /opt/t/prompts/\n"
    );
}
