//! A build that is not `docker build` in the consumer's folder and nothing else: another stage, a context that the builder
//! clones, files that are made before.

use super::*;

fn making(globs: &[&str]) -> Gate {
    gate_with(Bake { generated: globs.iter().map(|glob| (*glob).to_owned()).collect(), ..bake() })
}

#[track_caller]
fn assumes(report: &Report, line: u32, words: &str) {
    let found = report.assumptions.iter().any(|one| one.line == Some(line) && one.text.contains(words));
    assert!(found, "{:?}", report.assumptions);
}

#[test]
fn a_stage_that_is_not_the_last_can_be_the_one_that_ships() {
    let stages = format!(
        "{}FROM scratch AS tests\nCOPY manifest.json /opt/t/config.yaml\n",
        BAKES.replace("${BASE}", "${BASE} AS Runtime")
    );
    let of = |target: Option<&str>| gate_with(Bake { target: target.map(str::to_owned), ..bake() });
    is_green(&branch_of(&of(Some("runtime")), bakes(&stages), template()));
    assert_eq!(said(&branch_of(&of(None), bakes(&stages), template()))[0], "content-differs config.yaml");
    let report = branch_of(&of(Some("release")), bakes(&stages), template());
    is_red(&report, &["build-fails Dockerfile"]);
    assert!(report.findings[0].message.contains("target stage \"release\" could not be found"), "{report:?}");
}

#[test]
fn a_builder_that_clones_its_context_applies_no_ignore_file() {
    let of = |git_context| gate_with(Bake { git_context, ..bake() });
    let core = || core('a').file(".dockerignore", ".deps/template/config.yaml\n");
    is_red(&branch_of(&of(false), core(), template()), &["build-fails Dockerfile"]);
    let report = branch_of(&of(true), core(), template());
    is_green(&report);
    assert!(report.assumptions.iter().any(|one| one.text.contains("the builder clones")), "{:?}", report.assumptions);
    let strict = Gate { strict_assumptions: true, ..of(true) };
    let plain = bakes("FROM scratch\nCOPY .deps/template /opt/t\n");
    is_undecided(&branch_of(&strict, plain, template()), &[("Dockerfile", "only assumed: what the builder clones")]);
}

#[test]
fn a_submodule_that_is_the_pin_may_be_where_the_source_is() {
    let pinned = |file: &str| Binding::Pin { file: file.into(), at: PinAt::Submodule, require: BTreeMap::new() };
    let git = gate_with(Bake { git_context: true, ..bake() });
    let core = || bakes("FROM scratch\nCOPY .deps/template /opt/t\n").submodule(SOURCE_DIR, id('a'));
    let report = branch_of(&Gate { binding: pinned(SOURCE_DIR), ..git.clone() }, core(), template());
    is_green(&report);
    assert_eq!(report.assumptions, [], "the clone has the submodule");
    let elsewhere = Gate { binding: pinned("vendor/t"), ..git };
    let report = branch_of(&elsewhere, core().submodule("vendor/t", id('a')), template());
    is_red(&report, &["source-dir-tracked .deps/template"]);
}

#[test]
fn what_is_made_before_the_build_is_not_missing() {
    let core = || with_line("COPY canvas/out /srv/canvas\nCOPY canvas/version.txt /srv/");
    is_red(&branch(core(), template()), &["build-fails Dockerfile"]);
    let report = branch_of(&making(&["canvas/out/**", "canvas/version.txt"]), core(), template());
    is_green(&report);
    assumes(&report, 7, "canvas/out is there when docker build runs");
    assumes(&report, 8, "canvas/version.txt is there when docker build runs");
    // Only what is named is taken to be there.
    let report = branch_of(&making(&["canvas/out/**"]), core(), template());
    is_red(&report, &["build-fails Dockerfile"]);
    assert_eq!(report.findings[0].cause.as_ref().and_then(|cause| cause.line), Some(8));
}

#[test]
fn what_is_made_before_the_build_and_lands_on_an_identity_path_is_undecided() {
    for (line, paths) in [
        ("COPY canvas/out /opt/t/prompts", vec!["prompts/concierge.md"]),
        ("COPY canvas/out /opt/t", vec!["config.yaml", "mcp_servers.yaml", "prompts/concierge.md"]),
        ("COPY canvas/out/config.yaml /opt/t/config.yaml", vec!["config.yaml"]),
        ("COPY canvas/out/*.md /opt/t/prompts/", vec!["prompts/concierge.md"]),
        ("COPY --link canvas/out/ /opt/t/prompts/", vec!["prompts/concierge.md"]),
        // An extra file of the identity, for all that anybody knows.
        ("COPY canvas /opt/t/prompts", vec!["prompts/out"]),
    ] {
        let report = branch_of(&making(&["canvas/out/**"]), with_line(line), template());
        let words: Vec<(&str, &str)> = paths.iter().map(|path| (*path, "before docker build runs")).collect();
        is_undecided(&report, &words);
        assert_eq!(report.undecided[0].cause.as_ref().and_then(|cause| cause.line), Some(7), "{line}");
    }
}

#[test]
fn a_file_of_the_source_that_the_build_makes_anew_is_undecided() {
    let report = branch_of(&making(&[".deps/template/config.yaml"]), core('a'), template());
    is_undecided(&report, &[("config.yaml", ".deps/template/config.yaml is made before docker build runs")]);
    let anywhere = branch_of(&making(&["**/config.yaml"]), core('a'), template());
    assert_eq!(said(&anywhere), ["undecided config.yaml", "undecided prompts/config.yaml"]);
}

#[test]
fn an_ignore_file_hides_what_is_made_as_well() {
    let core = with_line("COPY canvas/out /srv/canvas").file(".dockerignore", "canvas\n");
    is_red(&branch_of(&making(&["canvas/out/**"]), core, template()), &["build-fails Dockerfile"]);
}

#[test]
fn a_pull_request_that_changes_anything_is_not_excused_by_what_its_base_makes() {
    let gate = making(&["canvas/out/**"]);
    let base = || with_line("COPY canvas/out /opt/t/prompts").file("canvas/page.ts", "1");
    let same = consumer_pull_of(&gate, base(), base(), base());
    assert_eq!((same.verdict, noted(&same).len()), (Verdict::InSync, 1), "{same:?}");
    let changed = consumer_pull_of(&gate, base(), base(), base().file("canvas/page.ts", "2"));
    is_undecided(&changed, &[("prompts/concierge.md", "canvas/out")]);
}
