//! Whatever two repositories look like: what is proposed ends the drift.

use super::*;

/// Core with edits in it.
fn edited(core: &Memory, edits: &[Edit]) -> Memory {
    edits.iter().fold(core.clone(), |core, edit| {
        assert_eq!(core.blob_id(&edit.path).ok(), edit.was, "{}: of the file that is there", edit.path);
        match &edit.content {
            Some(content) => core.file_with_mode(&edit.path, if edit.executable { 0o755 } else { 0o644 }, content),
            None => core.without(&edit.path),
        }
    })
}

/// Instructions of a Dockerfile, of which some do not build.
fn instructions() -> impl Strategy<Value = Vec<&'static str>> {
    let one = prop::sample::select(vec![
        "COPY .deps/template/config.yaml /opt/t/config.yaml",
        "COPY --chmod=0644 ${DIR}/mcp_servers.yaml \\\n     /opt/t/",
        "copy [\"${DIR}/prompts\", \"/opt/t/prompts\"]",
        "COPY ${DIR}/*.yaml /opt/t/",
        "COPY .deps/template/prompts/concierge.md /opt/t/prompts/",
        "COPY own.yaml /opt/t/config.yaml",
        "WORKDIR /opt/t",
        "COPY .deps/template/config.yaml .",
        "RUN rm /opt/t/config.yaml",
        "RUN /usr/bin/tool",
        "COPY .deps/template/gone.yaml /opt/t/",
        "# COPY .deps/template/config.yaml /opt/t/",
        "FROM scratch AS last",
        "COPY <<EOF /opt/t/made.txt\nCOPY a b\nEOF",
    ]);
    prop::collection::vec(one, 0..6)
}

/// Files of the template, each there or not, in one of a few versions.
fn templates() -> impl Strategy<Value = Memory> {
    let names =
        ["config.yaml", "mcp_servers.yaml", "skills.yaml", "prompts/concierge.md", "prompts/new.md", "hooks/boot.sh"];
    prop::collection::vec(0..5_u8, names.len()).prop_map(move |versions| {
        let files = names.iter().zip(versions).filter(|(_, version)| *version > 0);
        files.fold(Memory::new().file("README.md", "x"), |tree, (name, version)| {
            // Some files say the same.
            let text = if version > 3 { "same\n".to_owned() } else { format!("{name} {}\n", version.min(2)) };
            tree.file(name, text)
        })
    })
}

/// A consumer that pins and mirrors, right or wrong, and two states of its template.
fn stories() -> impl Strategy<Value = (Memory, Memory, Memory)> {
    let pin = prop::sample::select(vec!['a', 'a', 'b', '9']);
    let copies = prop::collection::vec(any::<Option<bool>>(), 2);
    let of_template = (templates(), templates());
    (instructions(), any::<bool>(), pin, copies, of_template).prop_map(
        |(instructions, windows, pin, copies, (before, now))| {
            let end = if windows { "\r\n" } else { "\n" };
            let head = ["FROM scratch", "ARG DIR=.deps/template"];
            let dockerfile = head.into_iter().chain(instructions).collect::<Vec<_>>();
            let dockerfile = dockerfile.join("\n").replace('\n', end) + end;
            let mut core = core(pin).file(DOCKERFILE, dockerfile).file("own.yaml", "mine\n");
            for (place, copy) in ["copies/config.yaml", "copies/extra.yaml"].into_iter().zip(copies) {
                if let Some(right) = copy {
                    core = core.file(place, if right { "config.yaml 1\n" } else { "another\n" });
                }
            }
            (core, before, now)
        },
    )
}

#[test]
fn whatever_is_proposed_ends_the_drift_and_then_there_is_nothing_to_propose() {
    let mirror = "[[gate.check]]\nkind = \"mirror\"\nfolder = \".\"\ninclude = [\"*.yaml\"]\ncopies = [\"copies\"]\n";
    let checks = [gate().checks, written(mirror).checks].concat();
    let identity = vec!["*.yaml".into(), "prompts/**".into(), "hooks/**".into()];
    let gate = repaired(Gate { checks, identity, ..gate() });
    let (repairs, with_lines) = (Cell::new(0), Cell::new(0));
    let cases = ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() };
    let told = proptest::test_runner::TestRunner::new(cases).run(&stories(), |(core, before, now)| {
        let story = Story::new(core.clone(), before.clone(), now.clone());
        let Proposed::Repair(repair) = story.propose(&gate) else { return Ok(()) };
        prop_assert_eq!(repair.after.verdict, Verdict::InSync);
        prop_assert!(!repair.edits.is_empty() && repair.edits.is_sorted_by_key(|edit| &edit.path));
        let merged = Story::new(edited(&core, &repair.edits), before, now);
        let report = judge(&gate, &merged.case, &merged.world).expect("everything is here");
        prop_assert_eq!(report, repair.after);
        prop_assert_eq!(merged.propose(&gate), Proposed::Nothing);
        repairs.set(repairs.get() + 1);
        with_lines.set(with_lines.get() + u32::from(repair.edits.iter().any(|edit| edit.path == DOCKERFILE)));
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
    let (repairs, with_lines) = (repairs.get(), with_lines.get());
    assert!(repairs > 80 && with_lines > 30, "{repairs} repairs, {with_lines} with COPY lines");
}
