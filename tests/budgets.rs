//! Dockerfiles that grow without end: whoever opens a pull request may write one, and the service reads it. Each is
//! answered quickly, with the line and what there is too much of, and never with a verdict.
//!
//! Most of these stories run within limits that are smaller than those of the service, to be told in less time.

use std::collections::BTreeMap;

use drift_gate::dockerfile::{
    Build, BuildError, Image, Limits, MAX_DEPTH, MAX_DOCKERFILE, MAX_IGNORE_FILE, MAX_STATEMENTS, evaluate_within,
};
use drift_gate::tree::Memory;

const SMALL: Limits = Limits { paths: 5_000, bytes: 16 << 20, steps: 500_000 };

fn context() -> Memory {
    Memory::new().file("a.txt", "A").file("big", vec![b'x'; 1 << 20])
}

/// Evaluates on a stack as small as that of the service's threads.
fn build(dockerfile: &str, context: Memory, ignore: Option<String>, limits: Limits) -> Result<Image, BuildError> {
    let dockerfile = dockerfile.to_owned();
    let run = move || {
        let build = Build {
            context: &context,
            dockerfile: dockerfile.as_bytes(),
            dockerfile_name: "Dockerfile",
            ignore: ignore.as_ref().map(|text| (text.as_bytes(), ".dockerignore")),
            build_args: &BTreeMap::new(),
            target: None,
            generated: None,
        };
        evaluate_within(&build, limits)
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("a thread");
    thread.join().expect("no panic")
}

#[track_caller]
fn undecided(dockerfile: &str, line: u32, words: &str) {
    undecided_within(SMALL, dockerfile, line, words);
}

#[track_caller]
fn undecided_within(limits: Limits, dockerfile: &str, line: u32, words: &str) {
    match build(dockerfile, context(), None, limits) {
        Err(BuildError::Undecided { line: at, message }) => {
            assert!(message.contains(words), "`{message}` does not say `{words}`");
            assert_eq!(at, line, "{message}");
        }
        Err(other) => panic!("not undecided: {other}"),
        Ok(_) => panic!("said to build, but it has too much of `{words}`"),
    }
}

fn builds(dockerfile: &str) -> Image {
    build(dockerfile, context(), None, Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_dockerfile_is_read_up_to_its_limit() {
    let comment = |bytes: usize| format!("FROM scratch\nCOPY a.txt /\n{}", "# x\n".repeat(bytes / 4));
    assert!(builds(&comment(MAX_DOCKERFILE - 100)).entries.contains_key("a.txt"));
    undecided(&comment(MAX_DOCKERFILE), 1, "larger than 1048576 bytes");
}

#[test]
fn instructions_are_counted_and_those_that_triggers_bring_too() {
    let script = |count: usize| format!("FROM scratch\n{}", "ENV A=a\n".repeat(count - 1));
    builds(&script(MAX_STATEMENTS));
    undecided(&script(MAX_STATEMENTS + 1), MAX_STATEMENTS as u32 + 1, "more than 10000 instructions");
    let triggers = "ONBUILD COPY a.txt /d/\n".repeat(4000);
    let children = "FROM base AS one\nFROM base AS two\nFROM scratch\nCOPY --from=one / /\nCOPY --from=two / /\n";
    undecided(&format!("FROM scratch AS base\n{triggers}{children}"), 4003, "with the triggers of its base");
}

#[test]
fn substitutions_nest_as_deep_as_anyone_would_write_them() {
    let nested = |depth: usize| format!("FROM scratch\nWORKDIR /{}x{}\n", "${A:-".repeat(depth), "}".repeat(depth));
    assert!(builds(&nested(60)).entries.contains_key("x"));
    undecided(&nested(65), 2, "nest more than 64 deep");
    let heredoc = format!("FROM scratch\nCOPY <<E {}x{} /d\nE\n", "${A:-".repeat(65), "}".repeat(65));
    undecided(&heredoc, 2, "nest more than 64 deep");
}

/// `line` forty times, upon a variable of sixteen letters.
fn forty_times(line: &str) -> String {
    format!("FROM scratch\nENV A=0123456789abcdef\n{}", format!("{line}\n").repeat(40))
}

#[test]
fn a_word_that_doubles_itself_stops_growing() {
    for line in ["ENV A=$A$A", "ENV A=\"$A$A\"", "ARG A=${X:-$A$A}", "ENV A=${A//?/xx}"] {
        undecided_within(Limits::default(), &forty_times(line), 21, "a word grows beyond 4 MiB");
    }
}

#[test]
fn a_variable_of_a_command_that_doubles_itself_stops_growing() {
    let doubling = vec!["A=$A$A"; 24].join(" && ");
    undecided(&format!("FROM scratch\nENV A=0123456789abcdef\nRUN {doubling}\n"), 3, "given more than 4 MiB");
    let looping = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do A=$A$A; done";
    undecided(&format!("FROM scratch\nENV A=0123456789abcdef\nRUN {looping}\n"), 3, "given more than 4 MiB");
}

#[test]
fn many_large_words_are_too_much_together() {
    let grown = format!("FROM scratch\nENV A=0123456789abcdef\n{}", "ENV A=$A$A\n".repeat(16));
    let words = "$A ".repeat(20_000);
    undecided(&format!("{grown}COPY {words}/d/\n"), 19, "16 MiB");
    undecided(&format!("{grown}EXPOSE {words}\n"), 19, "16 MiB");
    undecided(&format!("{grown}RUN echo {words}\n"), 19, "4 MiB");
    let printed = format!("{grown}RUN printf \"$A$A%s\" {} > /f\n", "x ".repeat(20_000));
    assert!(
        builds(&printed).unknown.iter().any(|part| part.path == "f"),
        "what is printed beyond all use is not known"
    );
}

#[test]
fn a_pattern_that_tries_everything_stops_trying() {
    let value = "a".repeat(60_000);
    let words = "${A//*b/x}".repeat(6000);
    undecided(&format!("FROM scratch\nENV A={value}\nLABEL a={words}\n"), 3, "more than 500000 steps");
}

#[test]
fn a_folder_that_is_copied_into_its_double_stops_growing() {
    let doubling = "cp -r /d /d2 && mv /d2 /d/x && mkdir /e && mv /d /e/d && mv /e /d".to_owned();
    let script = format!("FROM scratch\nCOPY a.txt /d/\nRUN {}\n", vec![doubling; 60].join(" && "));
    undecided(&script, 3, "more than 5000 paths");
    let stages = (0..40).fold("FROM scratch AS s\nCOPY a.txt /d/\n".to_owned(), |text, index| {
        let from = if index == 0 { "s".to_owned() } else { format!("s{index}") };
        text + &format!("FROM {from} AS s{}\nCOPY --from={from} /d /d/{index}/\n", index + 1)
    });
    undecided(&stages, 26, "more than 5000 paths");
}

#[test]
fn a_file_that_is_written_into_its_double_stops_growing() {
    let doubling = "cat /a /a > /b && cat /b /b > /a";
    let script = format!("FROM scratch\nCOPY big /a\nRUN {}\n", vec![doubling; 60].join(" && "));
    match build(&script, context(), None, SMALL) {
        // What a command prints beyond all use is not known.
        Ok(image) => assert!(image.unknown.iter().any(|part| part.path == "a"), "{:?}", image.unknown),
        Err(error) => panic!("{error}"),
    }
    let appending = "cat big >> f && ".repeat(3000);
    undecided(&format!("FROM scratch\nCOPY big /\nWORKDIR /\nRUN {appending}true\n"), 4, "16 MiB");
}

#[test]
fn heredocs_that_share_a_body_are_counted_each() {
    let body = format!("{}\n", "x".repeat(60_000)).repeat(10);
    let script = format!("FROM scratch\nCOPY {}/d/\n{}{body}A\n", "<<A ".repeat(500), "A\n".repeat(499));
    undecided(&script, 2, "16 MiB");
}

#[test]
fn paths_go_as_deep_as_a_folder_tree_does() {
    let deep = |names: usize| format!("FROM scratch\nWORKDIR /{}\nCOPY a.txt .\n", vec!["a"; names].join("/"));
    assert_eq!(builds(&deep(MAX_DEPTH - 1)).entries.len(), MAX_DEPTH);
    undecided(&deep(MAX_DEPTH + 1), 2, "lies in more than 256 directories");
    undecided(&deep(30_000), 2, "lies in more than 256 directories");
    undecided(&format!("FROM scratch\nCOPY a.txt /{}\n", "n".repeat(5000)), 2, "longer than 4096 bytes");
    let moved = "mkdir -p /b/b/b/b/b/b/b/b && mv /a /b/b/b/b/b/b/b/b/ && mv /b /a && ".repeat(200);
    let image = builds(&format!("FROM scratch\nRUN mkdir -p /a && {moved}true\n"));
    assert!(!image.unknown.is_empty(), "what lies too deep is not known");
}

#[test]
fn a_context_that_is_too_deep_is_not_walked_to_its_end() {
    let path = format!("{}f", "a/".repeat(5000));
    for copy in ["COPY . /", "COPY --exclude=a a* /", "COPY --parents **/f /", "COPY **/nothing /"] {
        let result =
            build(&format!("FROM scratch\n{copy}\n"), Memory::new().file(&path, "x"), Some("b\n!a/b/c".into()), SMALL);
        match result {
            Err(BuildError::Undecided { line, message }) => {
                assert_eq!(line, 2, "{copy}: {message}");
                assert!(message.contains("256 directories"), "{copy}: {message}");
            }
            Ok(image) => assert!(image.entries.len() < 10, "{copy}: {} paths", image.entries.len()),
            Err(error) => panic!("{copy}: {error}"),
        }
    }
}

#[test]
fn variables_of_thousands_of_stages_are_counted() {
    let many: String = (0..50_000).fold(String::new(), |text, index| text + &format!(" \\\nV{index}=x"));
    let script = format!("FROM scratch AS base\nENV Z=1{many}\n{}", "FROM base AS base\nENV Z=2\n".repeat(2000));
    match build(&script, context(), None, SMALL) {
        Err(BuildError::Undecided { message, .. }) => assert!(message.contains("16 MiB"), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_ignore_file_is_read_up_to_its_limit_and_named() {
    let large = "*.md\n".repeat(MAX_IGNORE_FILE / 5 + 1);
    match build("FROM scratch\nCOPY . /\n", context(), Some(large), SMALL) {
        Err(BuildError::Undecided { message, .. }) => {
            assert!(message.starts_with(".dockerignore is larger than 1048576 bytes"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_walk_that_takes_too_long_ends() {
    let files = (0..400).fold(Memory::new(), |tree, index| tree.file(&format!("d{}/f{index}", index % 40), "x"));
    let patterns: String = (0..500).fold(String::new(), |text, index| text + &format!("*a{index}*b\n"));
    let copies = "COPY d*/nothing /x/\n".repeat(3000);
    match build(&format!("FROM scratch\n{copies}"), files, Some(patterns), SMALL) {
        Err(BuildError::Undecided { message, .. }) => assert!(message.contains("steps"), "{message}"),
        other => panic!("{other:?}"),
    }
}
