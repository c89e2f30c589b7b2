//! Work trees as they are on disk, folders without history, bare repositories.

use crate::world::{ASSUMED, DOCKERFILE, Repo, World, short, type_in};

#[test]
fn a_folder_without_commits_counts_as_the_bound_tree_and_the_report_says_so() {
    let world = World::in_sync();
    world.plain_template();
    let pin = world.template.head();
    let said = type_in(&world.core.dir, &["check", "--source", "../plain"]).is(0);
    let expected = format!(
        "assumed: the files at hand are those of the pinned commit {pin} of molecule/template (no history at hand) \
         (manifest.json:2)\nassumed: {pin} is on branch main of molecule/template, and nothing newer is (no history at hand) \
         (manifest.json:2)\n{ASSUMED}identity: in sync\n  compared 2 files (26 bytes) of molecule/template at {pin} with this repository at its \
         work tree; how the pin stands is not known\n",
        pin = short(&pin)
    );
    assert_eq!(said, expected);
    // A repository in which nothing was committed is no better.
    let unborn = Repo::new(&world.path("plain"));
    assert_eq!(type_in(&world.core.dir, &["check", "--source", "../plain"]).is(0), expected);
    drop(unborn);
}

#[test]
fn a_gate_that_allows_no_assumptions_is_undecided_there() {
    let world = World::with("strict_assumptions = true");
    world.plain_template();
    let said = type_in(&world.core.dir, &["check", "--source", "../plain"]).is(3);
    assert!(
        said.contains("undecided: manifest.json: only assumed: the files at hand are those of the pinned commit"),
        "{said}"
    );
}

#[test]
fn an_empty_source_is_never_in_sync() {
    let world = World::in_sync();
    std::fs::create_dir(world.path("empty")).expect("made");
    let said = type_in(&world.core.dir, &["check", "--source", "../empty"]).is(1);
    assert!(said.contains("drift[missing-in-source]: no file of the source matches `identity`"), "{said}");
}

#[test]
fn changes_that_are_not_committed_or_not_even_added_count() {
    let world = World::in_sync();
    world.template.write("prompts/concierge.md", "# You were\n");
    let said = world.check(&[]).is(1);
    assert!(said.starts_with("drift[stale]: prompts/concierge.md at the pinned commit"), "{said}");
    assert!(said.contains("  | -# You are\n  | +# You were\n"), "{said}");
    world.template.write("prompts/concierge.md", "# You are\n");
    assert!(world.check(&[]).is(0).contains("the pin is current"));
    world.template.write("new.yaml", "a: b\n");
    assert!(world.check(&[]).is(1).starts_with("drift[stale]: new.yaml"));
}

#[test]
fn what_git_ignores_does_not_count_for_no_clone_has_it() {
    let world = World::in_sync();
    world.template.write(".git/info/exclude", "*.pyc\nnode_modules/\n");
    world.template.write("prompts/cache.pyc", "x");
    world.template.write("node_modules/a/index.js", "x");
    assert!(world.check(&[]).is(0).contains("2 files"));

    // The build's own copy of the template, where the build puts it.
    world.core.write(".gitignore", "/.deps/\n");
    world.core.commit();
    world.core.write(".deps/template/config.yaml", "name: From last week\n");
    assert!(world.check(&[]).is(0).contains("in sync"));
    // Where git does not ignore it, it will be committed one day, and the build may see it instead.
    world.core.write(".gitignore", "");
    assert!(world.check(&[]).is(1).contains("drift[source-dir-tracked]"));
}

#[test]
fn a_tracked_file_counts_although_an_ignore_file_names_it() {
    let world = World::in_sync();
    world.template.write(".git/info/exclude", "config.yaml\n");
    world.template.write("config.yaml", "name: Caretaker\n");
    assert!(world.check(&[]).is(1).starts_with("drift[stale]: config.yaml"));
}

#[test]
fn a_bare_repository_is_judged_at_its_head() {
    let world = World::in_sync();
    let (core, pin) = (world.core.head(), world.template.head());
    world.core.clone_bare(&world.path("core.git"));
    world.template.clone_bare(&world.path("template.git"));
    world.core.write("Dockerfile", "FROM scratch\n");
    let words = ["check", "--consumer", "../core.git", "--source", "../template.git"];
    let said = type_in(&world.core.dir, &words).is(0);
    let what = format!("{} with this repository at {}; the pin is current", short(&pin), short(&core));
    assert!(said.contains(&what), "{said}");
}

#[test]
fn a_repository_without_commits_has_no_revision_to_judge() {
    let world = World::in_sync();
    let empty = Repo::new(&world.path("empty"));
    let check = |words: &[&str]| type_in(&world.core.dir, &[&["check"], words].concat()).is(2);
    let said = "no commits yet; commit something, or leave the revision out to use the files as they are\n";
    assert_eq!(
        check(&["--source", "../template", "--consumer", "../empty", "--consumer-rev", "HEAD"]),
        format!("error: --consumer ../empty: {said}")
    );
    assert_eq!(check(&["--source", "../empty", "--source-rev", "main"]), format!("error: --source ../empty: {said}"));
    assert_eq!(
        check(&["--source", "../template", "--consumer", "../empty", "--onto", "main"]),
        format!("error: --consumer ../empty: {said}")
    );
    // Its files on disk can be judged.
    empty.write("Dockerfile", DOCKERFILE);
    empty.write("manifest.json", crate::world::manifest(&world.template.head()));
    assert!(
        type_in(&world.core.dir, &["check", "--source", "../template", "--consumer", "../empty"])
            .is(0)
            .contains("in sync")
    );
}

#[test]
fn a_linked_work_tree_is_a_work_tree() {
    let world = World::in_sync();
    let core = git2::Repository::open(&world.core.dir).expect("core");
    core.worktree("second", &world.path("second"), None).expect("a work tree");
    std::fs::write(world.path("second/Dockerfile"), "FROM scratch\n").expect("written");
    let words = ["check", "--source", "../template", "--consumer", "../second"];
    assert!(type_in(&world.core.dir, &words).is(1).contains("drift[not-baked]"));
    assert!(type_in(&world.core.dir, &[&words[..], &["--consumer-rev", "main"]].concat()).is(0).contains("in sync"));
}
