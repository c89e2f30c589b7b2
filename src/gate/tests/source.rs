//! What the source says before anything is built: identity, ignored, or drift; and what a checkout would change.

use super::*;

#[test]
fn a_file_that_no_copy_takes_is_drift_and_a_directory_copy_takes_what_is_in_it() {
    let grown = template().file("prompts/team/lead.md", "# Lead\n").file("hooks/boot.sh", "#!/bin/sh\n");
    is_red(&branch(core('a'), grown.clone()), &["unlisted hooks/boot.sh"]);
    let mut listed = gate();
    listed.identity.push("hooks/**".into());
    is_red(&branch_of(&listed, core('a'), grown.clone()), &["not-baked hooks/boot.sh"]);
    let soft = Gate { unlisted: Level::Notice, ..gate() };
    let report = branch_of(&soft, core('a'), grown);
    is_green(&report);
    assert_eq!(noted(&report), ["unlisted hooks/boot.sh"]);
}

#[test]
fn nothing_to_compare_is_never_in_sync() {
    let softest =
        Gate { unlisted: Level::Notice, ignore: vec!["**".into()], identity: vec!["persona/**".into()], ..gate() };
    for template in [Memory::new(), Memory::new().file("README.md", "only\n"), template()] {
        let report = branch_of(&softest, core('a'), template.clone());
        is_red(&report, &["missing-in-source identity"]);
        assert_eq!(report.files_compared, 0);
        // Also not where everything may be absent.
        let optional = Gate { optional: vec!["persona/**".into()], ..softest.clone() };
        is_red(&branch_of(&optional, core('a'), template), &["missing-in-source identity"]);
    }
}

#[test]
fn a_source_of_submodules_only_is_undecided() {
    let modules = Memory::new().submodule("prompts/more", id('e'));
    let only = Gate { identity: vec!["prompts/**".into()], ..gate() };
    let whole = bakes("FROM scratch\nCOPY manifest.json /opt/t/\n");
    is_undecided(&branch_of(&only, whole, modules), &[("prompts/more", "submodule")]);
}

#[test]
fn each_name_of_the_identity_is_required_or_optional() {
    is_red(&branch(core('a'), template().file("config.yaml", "")), &["empty config.yaml"]);
    let report = branch(core('a'), template().without("config.yaml"));
    assert!(said(&report).contains(&"missing-in-source config.yaml".to_owned()), "{:?}", said(&report));
    // Everything is copied, whatever it is: where the truth has no prompts any more the image needs none. It is told.
    let whole = || bakes("FROM scratch\nCOPY .deps/template /opt/t\n");
    let report = branch(whole(), template().without("prompts"));
    is_green(&report);
    assert_eq!(noted(&report), ["missing-in-source prompts/**"]);
    let optional = Gate { optional: vec!["prompts/**".into(), "*.yaml".into()], ..gate() };
    is_green(&branch_of(&optional, whole(), template().without("prompts")));
    is_green(&branch_of(&optional, whole(), template().without("mcp_servers.yaml")));
    let report = branch_of(&optional, whole(), Memory::new().file("README.md", "only\n"));
    is_red(&report, &["missing-in-source identity"]);
}

#[test]
fn an_optional_file_is_compared_where_it_is() {
    let optional = Gate { optional: vec!["extra.yaml".into()], ..gate() };
    is_green(&branch_of(&optional, core('a'), template()));
    let report = branch_of(&optional, core('a'), template().file("extra.yaml", "x"));
    is_red(&report, &["not-baked extra.yaml"]);
}

#[test]
fn an_empty_file_counts_only_where_its_name_is_spelled_out() {
    is_green(&branch(core('a'), template().file("prompts/empty.md", "")));
}

#[test]
fn a_name_that_is_a_directory_is_told_how_to_be_written() {
    let named = Gate { identity: vec!["config.yaml".into(), "mcp_servers.yaml".into(), "prompts".into()], ..gate() };
    let report = branch_of(&named, core('a'), template());
    is_red(&report, &["missing-in-source prompts", "unlisted prompts/concierge.md"]);
    assert!(report.findings.iter().any(|finding| finding.fix.contains("prompts/**")), "{:?}", report.findings);
}

#[test]
fn what_a_checkout_would_change_is_not_guessed() {
    for (attributes, word) in [
        ("*.md filter=lfs diff=lfs merge=lfs -text\n", "filter=lfs"),
        ("*.md eol=crlf\n", "eol=crlf"),
        ("*.md text=auto eol=crlf\n", "eol=crlf"),
        ("/prompts/** ident\n", "ident"),
        ("concierge.md working-tree-encoding=UTF-16LE\n", "working-tree-encoding=UTF-16LE"),
        ("[attr]stored filter=vault -diff\nprompts/* stored\n", "filter=vault"),
        ("\"prompts/*\" filter=lfs\n", "filter=lfs"),
        ("* -filter\n*.md filter=lfs\n", "filter=lfs"),
    ] {
        let gate = Gate { ignore: vec!["README.md".into(), ".gitattributes".into()], ..gate() };
        let template = template().file(".gitattributes", attributes);
        is_undecided(&branch_of(&gate, core('a'), template), &[("prompts/concierge.md", word)]);
    }
}

#[test]
fn attributes_that_change_no_byte_on_linux_are_nothing_to_wonder_about() {
    for attributes in [
        "* text=auto\n",
        "* text=auto eol=lf\n",
        "* text eol=lf\n",
        "* text=auto eol=crlf\n* binary\n",
        "* eol=crlf\n* -text\n",
        "* filter=lfs\n* -filter\n",
        "* filter=lfs\n* !filter\n",
        "* diff=markdown linguist-language=Markdown export-ignore\n",
        "* working-tree-encoding=utf-8\n",
        "# *.md filter=lfs\n",
        "prompts/ filter=lfs\n",
        "!*.md filter=lfs\n",
        "hooks/** filter=lfs\n",
    ] {
        let gate = Gate { ignore: vec!["README.md".into(), ".gitattributes".into()], ..gate() };
        is_green(&branch_of(&gate, core('a'), template().file(".gitattributes", attributes)));
    }
}

#[test]
fn attributes_of_a_subfolder_count_below_it_and_over_those_above() {
    let gate = Gate { ignore: vec!["README.md".into(), "**/.gitattributes".into()], ..gate() };
    let of = |root: &str, folder: &str| {
        let template = template().file(".gitattributes", root).file("prompts/.gitattributes", folder);
        branch_of(&gate, core('a'), template)
    };
    is_undecided(&of("", "*.md filter=lfs\n"), &[("prompts/concierge.md", "filter=lfs")]);
    is_undecided(&of("", "/concierge.md eol=crlf\n"), &[("prompts/concierge.md", "eol=crlf")]);
    is_green(&of("*.md filter=lfs\n", "*.md -filter\n"));
    is_green(&of("", "prompts/concierge.md filter=lfs\n"));
    // Macros are the root's alone.
    is_green(&of("", "[attr]stored filter=lfs\n*.md stored\n"));
    is_undecided(&of("[attr]stored filter=lfs\n", "*.md stored\n"), &[("prompts/concierge.md", "filter=lfs")]);
}

#[test]
fn a_submodule_that_matches_identity_is_undecided() {
    let module = template().submodule("prompts/more", id('e'));
    is_undecided(&branch(core('a'), module), &[("prompts/more", "submodule")]);
}
