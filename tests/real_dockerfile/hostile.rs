//! Builds that nobody would write: whatever arrives, the engine answers, answers the same again, and does not break.

use std::collections::BTreeMap;

use drift_gate::dockerfile::{Build, evaluate, ignore_file};
use proptest::prelude::*;

use super::*;

/// Words that a Dockerfile is made of, and some that it is not.
fn word() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b/c",
        "dir",
        "dir/",
        "/d",
        "/d/",
        ".",
        "..",
        "../x",
        "/",
        "//",
        "*",
        "**",
        "*.md",
        "?",
        "[a-z]",
        "[",
        "[^",
        "$A",
        "${A}",
        "${A:-x}",
        "${A:+y}",
        "${A:?}",
        "${A#*/}",
        "${A//a/b}",
        "${A",
        "$",
        "\\",
        "\\\\",
        "\"",
        "'",
        "\"x y\"",
        "'x'",
        "=",
        "A=1",
        "#",
        "é",
        "\u{feff}",
        "\u{202e}",
        "\0",
        "\t",
        "link",
        "sub",
        ".deps/t/config.yaml",
        "x.tar",
    ]);
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn flag() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "--from=0",
        "--from=s",
        "--from=1",
        "--from=alpine",
        "--from=$A",
        "--chmod=755",
        "--chmod=u+x",
        "--chmod=9",
        "--chown=1:1",
        "--chown=$A",
        "--link",
        "--link=x",
        "--parents",
        "--exclude=*.md",
        "--exclude=[",
        "--keep",
        "--",
        "--mount=type=bind,target=/m",
        "--mount=type=tmpfs,target=/d",
        "--mount=type=cache",
        "--platform=linux/arm64",
        "--unpack",
        "--checksum=x",
        "--=",
    ])
    .prop_map(str::to_owned)
}

fn command() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "rm -rf /d",
        "rm -rf /",
        "cp -a /d/. /e",
        "mv /d /e",
        "ln -s /d /d",
        "ln -sf . /d/x",
        "mkdir -p /d/e/f",
        "chmod -R u=rwX,go-w /d",
        "touch /d",
        "echo x > /d/a",
        "printf '%s' x >> /d",
        "cd /d && rm *",
        "set -e; false; rm /d",
        "if true; then rm /d; fi",
        "for f in a b; do touch /$f; done",
        "for f in; do",
        "a && b || c; d &",
        "$(rm /d)",
        "`x`",
        "eval \"rm $A\"",
        "while :; do :; done",
        "case x in *) ;; esac",
        "{ rm /d; }",
        "(cd / && rm d)",
        "x | y",
        "[ -e /d ] && rm /d",
        "\"",
        "'",
        "<<E cat",
        "sh -c 'rm /d'",
    ])
    .prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = String> {
    let words = || prop::collection::vec(word(), 0..4).prop_map(|words| words.join(" "));
    let flags = || prop::collection::vec(flag(), 0..3).prop_map(|flags| flags.join(" "));
    let keyword = || {
        prop::sample::select(vec![
            "FROM",
            "COPY",
            "ADD",
            "RUN",
            "ARG",
            "ENV",
            "WORKDIR",
            "USER",
            "SHELL",
            "ONBUILD",
            "LABEL",
            "CMD",
            "VOLUME",
            "EXPOSE",
            "HEALTHCHECK",
            "STOPSIGNAL",
            "MAINTAINER",
            "ENTRYPOINT",
            "copy",
            "ONBUILD COPY",
            "ONBUILD ONBUILD",
            "CONJURE",
            "",
        ])
    };
    prop_oneof![
        4 => (keyword(), flags(), words()).prop_map(|(keyword, flags, words)| format!("{keyword} {flags} {words}")),
        2 => (flags(), command()).prop_map(|(flags, command)| format!("RUN {flags} {command}")),
        1 => words().prop_map(|words| format!("FROM {words} AS s")),
        1 => Just("FROM scratch AS s".to_owned()),
        1 => (keyword(), word()).prop_map(|(keyword, word)| format!("{keyword} <<E /d\n{word}\nE")),
        1 => (keyword(), word()).prop_map(|(keyword, word)| format!("{keyword} <<-'E' <<F /d/\n\t{word}\n\tE\nF")),
        1 => word().prop_map(|word| format!("COPY [\"{word}\", \"/d/\"]")),
        1 => (keyword(), words()).prop_map(|(keyword, words)| format!("{keyword} \\\n# comment\n\n {words} \\")),
        1 => word().prop_map(|word| format!("# {word}")),
        1 => prop::sample::select(vec!["# syntax=docker/dockerfile:1", "# escape=`", "# check=error=true", "# syntax=x"]).prop_map(str::to_owned),
    ]
}

fn dockerfile() -> impl Strategy<Value = String> {
    (any::<bool>(), prop::collection::vec(line(), 0..12)).prop_map(|(begins, lines)| {
        let first = if begins { "ARG A=a\nFROM scratch\nARG A\n" } else { "" };
        first.to_owned() + &lines.join("\n")
    })
}

fn tree() -> impl Strategy<Value = Memory> {
    let path = prop::sample::select(vec![
        "a",
        "b/c",
        "dir/a.md",
        "dir/sub/b.md",
        "x.tar",
        "dir/é",
        ".dockerignore",
        "link",
        "sub",
        "dir/link",
        "Dockerfile",
        "Dockerfile.dockerignore",
        "config.yaml",
        ".gitattributes",
        "dir/.gitattributes",
        ".deps",
        ".deps/t/x",
    ]);
    let content = prop_oneof![
        word(),
        prop::collection::vec(word(), 0..4).prop_map(|words| words.join("\n")),
        Just("*\n!dir\n!/b/**\n".to_owned()),
        Just("* filter=lfs\n[attr]m text eol=crlf\n*.md m\n".to_owned()),
    ];
    let kind = 0..10u8;
    prop::collection::vec((path, kind, content), 0..8).prop_map(|entries| {
        entries.into_iter().fold(Memory::new(), |tree, (path, kind, content)| match kind {
            0 | 1 => tree.link(path, &content),
            2 => tree.submodule(path, ObjectId::parse(&"e".repeat(40)).expect("an object name")),
            3 => tree.executable(path, content),
            _ => tree.file(path, content),
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_dockerfile_in_any_context_is_evaluated_to_the_same_end(text in dockerfile(), context in tree(), argument in word()) {
        let build_args = BTreeMap::from([("A".to_owned(), argument)]);
        let Ok(ignore) = ignore_file(&context, "Dockerfile", "") else { return Ok(()) };
        let build = Build {
            context: &context,
            dockerfile: text.as_bytes(),
            dockerfile_name: "Dockerfile",
            ignore: ignore.as_ref().map(|(bytes, name)| (&**bytes, name.as_str())),
            build_args: &build_args,
            target: None,
            generated: None,
        };
        let lines = u32::try_from(text.split('\n').count()).expect("few lines");
        let (one, again) = (evaluate(&build), evaluate(&build));
        prop_assert_eq!(format!("{one:?}"), format!("{again:?}"));
        if let Ok(image) = one {
            for (path, baked) in &image.entries {
                prop_assert!(!path.starts_with('/') && !path.split('/').any(|name| matches!(name, "" | "." | "..")), "{path:?}");
                prop_assert!(baked.line <= lines, "{path} at line {}", baked.line);
            }
        }
    }

    #[test]
    fn any_two_trees_are_judged_and_green_only_after_a_comparison(text in dockerfile(), consumer in tree(), source in tree(), copied: bool) {
        let mut gate = gate();
        gate.identity = vec!["config.yaml".into(), "dir/**".into()];
        gate.ignore = vec!["**".into()];
        gate.optional = vec!["dir/**".into()];
        let drift_gate::config::Check::Bake(bake) = &mut gate.checks[0] else { panic!("a bake") };
        (bake.dockerfile, bake.source_dir, bake.destination) = ("Dockerfile".into(), ".deps/t".into(), "/d".into());
        let text = if copied { format!("{text}\nFROM scratch\nCOPY .deps/t/ /d/\n") } else { text };
        let report = judged(&gate, consumer.file("Dockerfile", text), source.clone());
        let again = serde_json::to_string(&report).expect("JSON");
        prop_assert!(!again.is_empty());
        if report.verdict == Verdict::InSync {
            prop_assert!(report.files_compared > 0);
            prop_assert!(source.paths().any(|path| path == "config.yaml"));
        }
    }
}

#[test]
fn a_word_that_doubles_with_every_line_ends() {
    let mut text = "FROM scratch\nARG A=aaaaaaaaaaaaaaaa\n".to_owned();
    for _ in 0..60 {
        text += "ENV A=$A$A\n";
    }
    text += "COPY .bundle/templates/concierge /opt/concierge-template\n";
    assert_ne!(judged(&gate(), with(&text), template()).verdict, Verdict::InSync);
}
