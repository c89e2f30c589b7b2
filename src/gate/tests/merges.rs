//! The merge is judged, not the head: made in memory, path by path.

use super::*;

#[test]
fn the_merge_is_judged_and_not_the_head() {
    // The base went on and lost a line; the head alone would still bake it.
    let lost = core('a').file(DOCKERFILE, BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config"));
    let report = consumer_pull(core('a'), lost, core('a').file("docs.md", "words\n"));
    is_green(&report);
    assert_eq!(noted(&report), ["not-baked config.yaml"]);
}

#[test]
fn two_changes_each_of_them_good_can_be_bad_together() {
    let renamed = core('a').file(DOCKERFILE, BAKES.replace("ARG DIR=.deps/template", "ARG DIR=deps"));
    let renamed = renamed.link("deps", ".deps/template");
    is_green(&change(core('a'), renamed.clone()));
    let tidied = core('a').file(".dockerignore", "deps\n");
    is_green(&change(core('a'), tidied.clone()));
    assert_eq!(said(&consumer_pull(core('a'), tidied, renamed)), ["build-fails Dockerfile"]);
}

#[test]
fn changes_in_different_places_of_a_file_are_judged_together() {
    // The base has a comment more at the end of its Dockerfile, the pull request loses a COPY at its front.
    let base = || core('a').file(DOCKERFILE, format!("{BAKES}# words\n"));
    let fine = core('a').file(DOCKERFILE, format!("# The image\n{BAKES}"));
    is_green(&consumer_pull(core('a'), base(), fine));
    let lost = bakes(&BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config"));
    is_red(&consumer_pull(core('a'), base(), lost), &["not-baked config.yaml"]);
}

#[test]
fn a_pin_that_moves_while_the_base_changes_its_neighbour_is_read_from_the_merge() {
    let around = |pin: char, before: &str, after: &str| {
        let pinned = manifest(id(pin).as_str());
        let pinned = pinned.replacen('{', &format!("{{\n\"a\": \"{before}\",\n\"b\": 1,\n"), 1);
        let end = pinned.rfind('}').expect("an object");
        let text = format!("{},\n\"y\": 1,\n\"z\": \"{after}\"\n{}", pinned[..end].trim_end(), &pinned[end..]);
        core(pin).file("manifest.json", text)
    };
    is_green(&consumer_pull(around('a', "1", "1"), around('a', "2", "1"), around('a', "1", "2")));
    let broken = consumer_pull(around('a', "1", "1"), around('a', "2", "1"), around('e', "1", "1"));
    assert_eq!(said(&broken), ["pin-unreachable manifest.json"]);
}

#[test]
fn a_path_that_both_sides_changed_is_undecided_where_a_check_reads_it_and_nowhere_else() {
    let one = core('a').file(DOCKERFILE, format!("{BAKES}# one\n"));
    let other = core('a').file(DOCKERFILE, format!("{BAKES}# other\n"));
    is_undecided(&consumer_pull(core('a'), one, other), &[(DOCKERFILE, "both sides")]);
    let pin = |name: char| core('a').file("manifest.json", format!("{}{name}", manifest(id('a').as_str())));
    is_undecided(&consumer_pull(core('a'), pin('\n'), pin('\t')), &[("manifest.json", "both sides")]);
    let docs = |words: &str| core('a').file("docs.md", words);
    is_green(&consumer_pull(docs("old"), docs("one"), docs("other")));
    // Changed alike is no conflict.
    let both = core('a').file(DOCKERFILE, format!("{BAKES}# both\n"));
    is_green(&consumer_pull(core('a'), both.clone(), both));
}

#[test]
fn a_conflict_hides_no_drift_that_was_found_before() {
    let mut world = Repositories::default();
    let root = world.add(Side::Source, '0', &[], template());
    let base = world.add(Side::Source, 'a', &[&root], template().file("config.yaml", "name: One\n"));
    let head = template().file("config.yaml", "name: Other\n").file("hooks/boot.sh", "x");
    let head = world.add(Side::Source, 'f', &[&root], head);
    let consumer = world.add(Side::Consumer, 'c', &[], core('a'));
    let report = judge(&gate(), &Case::SourcePull { head, base, consumer }, &world).expect("here");
    is_red(&report, &["unlisted hooks/boot.sh", "undecided config.yaml"]);
}

#[test]
fn a_file_in_the_place_of_a_directory_is_a_conflict() {
    let dir = core('a').file(".dockerignore/x", "");
    let report = consumer_pull(core('a'), dir, core('a').file(".dockerignore", "deps\n"));
    is_undecided(&report, &[(".dockerignore", "both sides")]);
}

#[test]
fn permission_bits_alone_change_no_verdict_and_make_no_conflict() {
    let executable = core('a').executable(DOCKERFILE, BAKES);
    is_green(&consumer_pull(core('a'), executable, core('a').file(DOCKERFILE, format!("{BAKES}# a comment\n"))));
    let report = source_pull(core('a'), template(), template().executable("config.yaml", "name: Concierge\n"));
    is_green(&report);
}

#[test]
fn histories_without_a_common_ancestor_are_undecided() {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template());
    let base = world.add(Side::Consumer, 'c', &[], core('a'));
    let head = world.add(Side::Consumer, 'f', &[], core('a'));
    let report = judge(&gate(), &Case::ConsumerPull { head, base, source }, &world).expect("here");
    is_undecided(&report, &[("molecule/core", "no common history")]);
}

/// Two lines that were merged crosswise, each with what the other had at that time, and went on from there.
fn crossed(root: Memory, one: Memory, other: Memory, merged: Memory, base: Memory, head: Memory) -> Report {
    let mut world = Repositories::default();
    let source = world.add(Side::Source, 'a', &[], template());
    let root = world.add(Side::Consumer, '0', &[], root);
    let one = world.add(Side::Consumer, '1', &[&root], one);
    let other = world.add(Side::Consumer, '2', &[&root], other);
    let ours = world.add(Side::Consumer, '3', &[&one, &other], merged.clone());
    let theirs = world.add(Side::Consumer, '4', &[&other, &one], merged);
    let base = world.add(Side::Consumer, 'c', &[&ours], base);
    let head = world.add(Side::Consumer, 'f', &[&theirs], head);
    judge(&gate(), &Case::ConsumerPull { head, base, source }, &world).expect("here")
}

#[test]
fn histories_that_were_merged_crosswise_start_from_all_their_common_ancestors() {
    let lost = || bakes(&BAKES.replace("COPY ${DIR}/config", "# COPY ${DIR}/config"));
    let docs = |core: Memory| core.file("docs.md", "words\n");
    // One line lost the COPY and the other did not; both took the loss over, and the pull request brings it back. Seen from
    // the line that had it all the time nothing would have been brought back.
    let report = crossed(core('a'), lost(), core('a'), lost(), docs(lost()), core('a'));
    is_green(&report);
    assert_eq!(noted(&report), [""; 0]);
    // And the other way round: seen from the line that had lost it, the loss would be the base's.
    let report = crossed(lost(), core('a'), lost(), core('a'), docs(core('a')), lost());
    is_red(&report, &["not-baked config.yaml"]);
}

#[test]
fn where_the_common_ancestors_contradict_each_other_only_what_both_sides_have_alike_is_known() {
    let named = |name: &str| core('a').file(DOCKERFILE, format!("{BAKES}# {name}\n"));
    let same = crossed(core('a'), named("one"), named("other"), named("both"), named("both"), named("both"));
    is_green(&same);
    let torn = crossed(core('a'), named("one"), named("other"), named("both"), named("both"), named("more"));
    is_undecided(&torn, &[(DOCKERFILE, "both sides")]);
}
