//! Case by case what a gate once got wrong, and the verdict that was right. The first half is how the files really stood at
//! some time, the second half is one change to the newest state.

use super::*;

const NEWEST: &str = "Dockerfile.copy-chmod";
const ARGUMENT: &str = "ARG TEMPLATE_DIR=.bundle/templates/concierge\n";
const CONFIG: &str = "COPY ${TEMPLATE_DIR}/config.yaml /opt/concierge-template/config.yaml\n";
const SERVERS: &str = "COPY ${TEMPLATE_DIR}/mcp_servers.yaml /opt/concierge-template/mcp_servers.yaml\n";
const PROMPTS: &str = "COPY ${TEMPLATE_DIR}/prompts/ /opt/concierge-template/prompts/\n";

/// The line of the Dockerfile that a finding or an undecided part names.
fn line_of(report: &Report) -> Option<u32> {
    let causes = report.findings.iter().map(|finding| &finding.cause);
    causes.chain(report.undecided.iter().map(|part| &part.cause)).flatten().find_map(|cause| cause.line)
}

/// The newest Dockerfile with one piece of it exchanged.
fn exchanged(piece: &str, by: &str) -> String {
    let text = fixture(NEWEST);
    assert_eq!(text.matches(piece).count(), 1, "{piece}");
    text.replace(piece, by)
}

/// The newest Dockerfile with more at its end.
fn appended(more: &str) -> String {
    fixture(NEWEST) + more
}

/// The consumer with a copy of the template in a folder of its own.
fn vendored(dockerfile: &str) -> Memory {
    let copy = template();
    copy.paths()
        .fold(with(dockerfile), |tree, path| tree.file(&format!("vendored/{path}"), copy.read(path).expect("a file")))
}

fn last_line(text: &str) -> Option<u32> {
    u32::try_from(text.lines().count()).ok()
}

// The template was on its way: the files came one after the other.

#[test]
fn the_template_had_no_config_yet() {
    let report = judged(&gate(), consumer("Dockerfile.run-chmod"), template().without("config.yaml"));
    is_red(&report, &[(Kind::MissingInSource, "config.yaml"), (Kind::BuildFails, DOCKERFILE)]);
}

#[test]
fn the_manifest_named_a_branch_instead_of_a_commit() {
    let manifest = fixture("manifest.json").replace(&"a".repeat(40), "main");
    let report = judged(&pinned(), consumer("Dockerfile.run-chmod").file("manifest.json", manifest), template());
    is_red(&report, &[(Kind::PinInvalid, "manifest.json")]);
}

#[test]
fn the_manifest_had_no_entry_at_all() {
    let manifest = fixture("manifest.json").replace("\"concierge\"", "\"gardener\"");
    let report = judged(&pinned(), consumer("Dockerfile.run-chmod").file("manifest.json", manifest), template());
    is_red(&report, &[(Kind::PinMissing, "manifest.json")]);
}

#[test]
fn a_bot_wrote_a_line_below_the_manifest() {
    let manifest = fixture("manifest.json") + "// Triggered by a release\n";
    let report = judged(&pinned(), consumer(NEWEST).file("manifest.json", manifest), template());
    is_red(&report, &[(Kind::PinInvalid, "manifest.json")]);
    assert_eq!(report.findings[0].cause.as_ref().and_then(|cause| cause.line), Some(11));
}

#[test]
fn the_dockerfile_copied_a_script_that_the_template_did_not_have_yet() {
    let report = judged(&gate(), consumer("Dockerfile.run-chmod"), template().without("fill-identity.sh"));
    is_red(&report, &[(Kind::MissingInSource, "fill-identity.sh"), (Kind::BuildFails, DOCKERFILE)]);
}

#[test]
fn the_template_had_a_script_that_the_dockerfile_did_not_copy_yet() {
    let report = judged(&gate(), consumer("Dockerfile.marker"), template());
    is_red(&report, &[(Kind::NotBaked, "fill-identity.sh")]);
}

#[test]
fn a_script_made_executable_by_a_command_is_the_same_script() {
    is_green(&judged(&pinned(), consumer("Dockerfile.run-chmod"), template()), 4);
}

#[test]
fn a_copy_with_flags_is_a_copy() {
    is_green(&judged(&pinned(), consumer(NEWEST), template()), 4);
}

#[test]
fn a_script_in_a_heredoc_is_no_file_of_the_template() {
    let report = judged(&pinned(), consumer(NEWEST), template());
    is_green(&report, 4);
    assert_eq!(report.findings, []);
}

#[test]
fn a_comment_that_names_the_marker_bakes_nothing() {
    assert!(fixture(NEWEST).contains("> /opt/concierge-template/BAKED"));
    is_green(&judged(&pinned(), consumer(NEWEST), template()), 4);
}

#[test]
fn a_marker_that_the_image_writes_beside_the_identity_is_told_and_is_no_drift() {
    let mut gate = gate();
    gate.identity.retain(|name| name != "fill-identity.sh");
    let report = judged(&gate, consumer("Dockerfile.marker"), template().without("fill-identity.sh"));
    is_green(&report, 3);
    let told: Vec<(Kind, &str)> = report.findings.iter().map(|one| (one.kind, one.path.as_str())).collect();
    assert_eq!(told, [(Kind::ExtraAtDestination, "BAKED")]);
}

#[test]
fn a_new_prompt_is_baked_by_the_copy_of_its_directory() {
    is_green(&judged(&pinned(), consumer(NEWEST), template().file("prompts/new.md", "# New\n")), 5);
    is_green(&judged(&pinned(), consumer(NEWEST), template().file("prompts/sub/deep.md", "# Deep\n")), 5);
}

#[test]
fn a_new_folder_is_drift_until_somebody_says_what_it_is() {
    let grown = template().file("hooks/boot.sh", "#!/bin/sh\n");
    is_red(&judged(&pinned(), consumer(NEWEST), grown.clone()), &[(Kind::Unlisted, "hooks/boot.sh")]);
    let mut listed = pinned();
    listed.identity.push("hooks/**".into());
    is_red(&judged(&listed, consumer(NEWEST), grown.clone()), &[(Kind::NotBaked, "hooks/boot.sh")]);
    let mut ignored = pinned();
    ignored.ignore.push("hooks/**".into());
    is_green(&judged(&ignored, consumer(NEWEST), grown), 4);
}

#[test]
fn the_template_moved_its_prompt_to_another_place() {
    let moved = template().without("prompts").file("system-prompt.md", fixture("template/prompts/concierge.md"));
    let report = judged(&gate(), consumer(NEWEST), moved.clone());
    is_red(&report, &[(Kind::BuildFails, DOCKERFILE), (Kind::Unlisted, "system-prompt.md")]);
    // Where the folder is still there, the build works, and what it leaves out is seen.
    let mut listed = gate();
    listed.identity.push("system-prompt.md".into());
    let report = judged(&listed, consumer(NEWEST), moved.file("prompts/other.md", "# Other\n"));
    is_red(&report, &[(Kind::NotBaked, "system-prompt.md")]);
}

#[test]
fn an_empty_config_is_no_config() {
    is_red(&judged(&pinned(), consumer(NEWEST), template().file("config.yaml", "")), &[(Kind::Empty, "config.yaml")]);
}

#[test]
fn a_dockerfile_that_was_deleted_is_drift_and_no_reason_to_skip() {
    let report = judged(&pinned(), consumer(NEWEST).without(DOCKERFILE), template());
    is_red(&report, &[(Kind::BuildFails, DOCKERFILE)]);
}

// One change to the newest state.

#[test]
fn an_argument_whose_default_is_a_folder_of_the_consumer() {
    let report = judged(&pinned(), vendored(&exchanged(ARGUMENT, "ARG TEMPLATE_DIR=vendored\n")), template());
    let files = ["config.yaml", "fill-identity.sh", "mcp_servers.yaml", "prompts/concierge.md"];
    is_red(&report, &files.map(|file| (Kind::VendoredCopy, file)));
    let old = vendored(&exchanged(ARGUMENT, "ARG TEMPLATE_DIR=vendored\n")).file("vendored/config.yaml", "name: Old\n");
    assert_eq!(errors(&judged(&pinned(), old, template()))[0], (Kind::ContentDiffers, "config.yaml".into()));
}

#[test]
fn a_later_copy_over_a_baked_file() {
    let text = appended("COPY vendored/README.md /opt/concierge-template/config.yaml\n");
    let report = judged(&pinned(), vendored(&text), template());
    // The bytes are the source's, of another file.
    is_red(&report, &[(Kind::VendoredCopy, "config.yaml")]);
    assert!(report.findings[0].message.contains("a copy of README.md of the source"), "{}", report.findings[0].message);
    assert_eq!(line_of(&report), last_line(&text));
    assert_eq!(report.findings[0].baked.as_deref(), Some("vendored/README.md"));
}

#[test]
fn a_later_rm_of_a_baked_file() {
    let report = judged(&pinned(), with(&appended("RUN rm /opt/concierge-template/config.yaml\n")), template());
    is_red(&report, &[(Kind::NotBaked, "config.yaml")]);
}

#[test]
fn a_later_sed_on_a_baked_file_is_undecided_with_its_line() {
    let text = appended("RUN sed -i 's/node/deno/' /opt/concierge-template/config.yaml\n");
    let report = judged(&pinned(), with(&text), template());
    assert_eq!((report.verdict, errors(&report)), (Verdict::Undecided, vec![]));
    assert_eq!(report.undecided.iter().map(|part| part.path.as_str()).collect::<Vec<_>>(), ["config.yaml"]);
    assert_eq!(line_of(&report), last_line(&text));
}

#[test]
fn a_last_stage_that_begins_again() {
    let report = judged(&pinned(), with(&appended("FROM scratch\n")), template());
    let files = ["config.yaml", "fill-identity.sh", "mcp_servers.yaml", "prompts/concierge.md"];
    is_red(&report, &files.map(|file| (Kind::NotBaked, file)));
}

#[test]
fn an_argument_before_from_is_not_seen_behind_it() {
    let text = exchanged(ARGUMENT, "").replace("ARG BASE_IMAGE", &format!("{ARGUMENT}ARG BASE_IMAGE"));
    is_red(&judged(&pinned(), with(&text), template()), &[(Kind::BuildFails, DOCKERFILE)]);
    // Declared again, bare, it is.
    let text = text.replace(CONFIG, &format!("ARG TEMPLATE_DIR\n{CONFIG}"));
    is_green(&judged(&pinned(), with(&text), template()), 4);
}

#[test]
fn every_other_way_to_write_the_same_copy() {
    for (what, text) in [
        ("as JSON", exchanged(CONFIG, "COPY [\"${TEMPLATE_DIR}/config.yaml\", \"/opt/concierge-template/config.yaml\"]\n")),
        ("over several lines", exchanged(CONFIG, "COPY \\\n  # here\n\n  ${TEMPLATE_DIR}/config.yaml \\\n  /opt/concierge-template/config.yaml\n")),
        ("in lower case", exchanged(CONFIG, &CONFIG.replace("COPY", "copy"))),
        ("with a bare variable", exchanged(CONFIG, &CONFIG.replace("${TEMPLATE_DIR}", "$TEMPLATE_DIR"))),
        ("with a default", exchanged(CONFIG, &CONFIG.replace("${TEMPLATE_DIR}", "${TEMPLATE_DIR:-elsewhere}"))),
        ("as ADD", exchanged(CONFIG, &CONFIG.replace("COPY", "ADD"))),
        ("with a pattern", exchanged(&format!("{CONFIG}{SERVERS}"), "COPY ${TEMPLATE_DIR}/*.yaml /opt/concierge-template/\n")),
        ("two files at once", exchanged(&format!("{CONFIG}{SERVERS}"), "COPY ${TEMPLATE_DIR}/config.yaml ${TEMPLATE_DIR}/mcp_servers.yaml /opt/concierge-template/\n")),
        ("into the working directory", exchanged(CONFIG, "WORKDIR /opt/concierge-template\nCOPY ${TEMPLATE_DIR}/config.yaml .\n")),
        ("the whole folder", exchanged(&format!("{CONFIG}{SERVERS}{PROMPTS}"), "COPY ${TEMPLATE_DIR} /opt/concierge-template\n")),
        ("through another stage", exchanged("FROM ${BASE_IMAGE}\n", "FROM scratch AS identity\nARG TEMPLATE_DIR=.bundle/templates/concierge\nCOPY ${TEMPLATE_DIR}/config.yaml /in/\nFROM ${BASE_IMAGE}\n").replace(CONFIG, "COPY --from=identity /in/config.yaml /opt/concierge-template/\n")),
    ] {
        let report = judged(&pinned(), with(&text), template());
        assert_eq!((report.verdict, errors(&report)), (Verdict::InSync, vec![]), "{what}");
        assert_eq!(report.files_compared, 4, "{what}");
    }
}

#[test]
fn what_only_looks_like_a_copy() {
    for (what, text, expected) in [
        ("a comment", exchanged(CONFIG, &format!("# {CONFIG}")), (Kind::NotBaked, "config.yaml")),
        ("another place", exchanged(CONFIG, &CONFIG.replace("template/config", "template/conf")), (Kind::WrongDestination, "config.yaml")),
        ("all but", exchanged(PROMPTS, &PROMPTS.replace("COPY", "COPY --exclude=*.md")), (Kind::NotBaked, "prompts/concierge.md")),
        ("in a heredoc", exchanged(CONFIG, "").replace("#!/bin/sh\n", &format!("#!/bin/sh\n{CONFIG}")), (Kind::NotBaked, "config.yaml")),
        ("a stage that nobody needs", exchanged("FROM ${BASE_IMAGE}\n", "FROM scratch AS identity\nCOPY .bundle/templates/concierge /opt/concierge-template\nFROM ${BASE_IMAGE}\n").replace(CONFIG, ""), (Kind::NotBaked, "config.yaml")),
        ("JSON that is none", exchanged(CONFIG, "COPY [\"${TEMPLATE_DIR}/config.yaml\",\"/opt/concierge-template/\"] /x\n"), (Kind::NotBaked, "config.yaml")),
    ] {
        let report = judged(&pinned(), with(&text), template());
        assert_eq!(errors(&report).first(), Some(&(expected.0, expected.1.to_owned())), "{what}");
        assert_eq!(report.verdict, Verdict::Drift, "{what}");
    }
}
