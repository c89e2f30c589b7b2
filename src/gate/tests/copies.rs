//! What the consumer keeps itself: copies of the source's files, and of which version they are.

use super::*;

/// The template was `9` with an old name, then `a`; core bakes what it keeps in `kept`.
fn kept(text: &str, looks_back: bool) -> Report {
    let mut world = Repositories { looks_back, ..Repositories::default() };
    let old = world.add(Side::Source, '9', &[], template().file("config.yaml", "name: Old\n"));
    let source = world.add(Side::Source, 'a', &[&old], template());
    let core = with_line("COPY kept/config.yaml /opt/t/config.yaml").file("kept/config.yaml", text);
    let consumer = world.add(Side::Consumer, 'c', &[], core);
    judge(&gate(), &Case::Branch { consumer, source }, &world).expect("everything is here")
}

#[track_caller]
fn says(report: &Report, shown: &str, message: &str) {
    is_red(report, &[shown]);
    assert_eq!(report.findings[0].message, message);
    assert_eq!(report.findings[0].baked.as_deref(), Some("kept/config.yaml"));
}

#[test]
fn an_old_copy_is_named_with_the_commit_that_it_is_from() {
    says(
        &kept("name: Old\n", true),
        "vendored-copy config.yaml",
        "config.yaml is baked from kept/config.yaml of the consumer, a copy of config.yaml of the source at commit 99999999",
    );
}

#[test]
fn what_the_source_never_had_is_no_copy_of_it() {
    says(
        &kept("name: Own\n", true),
        "content-differs config.yaml",
        "config.yaml is baked from kept/config.yaml of the consumer, which differs from the source",
    );
}

#[test]
fn without_the_history_it_is_said_that_nobody_looked() {
    says(
        &kept("name: Old\n", false),
        "content-differs config.yaml",
        "config.yaml is baked from kept/config.yaml of the consumer, which differs from the source; whether it is a copy \
         of an older version was not looked up",
    );
}

#[test]
fn a_copy_of_another_file_of_the_source_is_named_with_that_file() {
    for looks_back in [true, false] {
        says(
            &kept("# You are\n", looks_back),
            "vendored-copy config.yaml",
            "config.yaml is baked from kept/config.yaml of the consumer, a copy of prompts/concierge.md of the source, which \
             is another file",
        );
    }
}

#[test]
fn an_old_copy_that_the_dockerfile_writes_itself_is_named_too() {
    let mut world = Repositories { looks_back: true, ..Repositories::default() };
    let old = world.add(Side::Source, '9', &[], template().file("config.yaml", "name: Old\n"));
    let source = world.add(Side::Source, 'a', &[&old], template());
    let core = with_line("COPY <<END /opt/t/config.yaml\nname: Old\nEND");
    let consumer = world.add(Side::Consumer, 'c', &[], core);
    let report = judge(&gate(), &Case::Branch { consumer, source }, &world).expect("everything is here");
    is_red(&report, &["vendored-copy config.yaml"]);
    assert_eq!(
        report.findings[0].message,
        "config.yaml is written by line 7 itself, a copy of config.yaml of the source at commit 99999999"
    );
}
