//! Which heads are asked which question.

use std::sync::Arc;

use super::*;
use crate::config::Config;
use crate::forge::RepoName;

/// One gate of core with the template; `more` stands in the gate.
fn gated(branches: &str, more: &str) -> Vec<Arc<Gated>> {
    let text = format!(
        r#"
        [server]
        public_url = "https://gate.example.org"
        [forge.main]
        kind = "gitea"
        url = "https://git.example.org"
        [[gate]]
        name = "identity"
        source = {{ forge = "main", repo = "molecule/template", branch = "main" }}
        consumer = {{ forge = "main", repo = "molecule/core", branches = [{branches}] }}
        binding = {{ follow = true }}
        identity = ["config.yaml"]
        {more}
        [[gate.check]]
        kind = "bake"
        dockerfile = "Dockerfile"
        source_dir = ".deps/template"
        destination = "/opt/t"
        "#
    );
    let config = Config::parse(&text, "drift-gate.toml").expect("a configuration");
    config.gates.iter().filter_map(Gated::new).map(Arc::new).collect()
}

fn key(name: &str) -> RepoKey {
    RepoKey { forge: "main".into(), name: format!("molecule/{name}") }
}

fn id(name: char) -> ObjectId {
    ObjectId::parse(&name.to_string().repeat(40)).expect("an object name")
}

fn pull(number: u64, head: char, base: &str) -> Pull {
    Pull {
        number,
        title: "A change".into(),
        open: true,
        merged: false,
        draft: false,
        head_sha: id(head),
        head_ref: "topic".into(),
        head_repo: None,
        base_ref: base.into(),
        author: "somebody".into(),
        depends_on: Vec::new(),
    }
}

/// Where people see a pull request.
fn page(repo: &RepoKey, number: u64) -> Option<String> {
    Some(format!("https://git.example.org/{}/pulls/{number}", repo.name))
}

fn view(heads: &[(&str, char)], pulls: Vec<Pull>) -> Seen {
    let repository = Repository {
        id: 1,
        name: RepoName("molecule/any".into()),
        default_branch: "main".into(),
        private: false,
        archived: false,
        can_write: true,
    };
    let heads = heads.iter().map(|(name, head)| ((*name).to_owned(), id(*head))).collect();
    Seen::View(Arc::new(View { repository, heads, pulls }))
}

fn ask_all(gates: &[Arc<Gated>], core: Seen, template: Seen) -> Vec<Target> {
    let seen = BTreeMap::from([(key("core"), core), (key("template"), template)]);
    let known = Known { gates, seen: &seen, proposals: &Proposals::new(), trouble: None, page: &page };
    [key("core"), key("template")].iter().flat_map(|repo| targets(&known, repo)).collect()
}

/// Each target as repository, head, and its questions in a word each.
fn shown(targets: &[Target]) -> Vec<String> {
    let question = |ask: &Ask| match &ask.question {
        Question::Judge(Case::Branch { .. }) => "branch".to_owned(),
        Question::Judge(Case::ConsumerPull { .. } | Case::SourcePull { .. }) => "pull".to_owned(),
        Question::Judge(Case::PairedPull { .. }) => "pair".to_owned(),
        Question::Told(report) => format!("told: {}", report.findings[0].message),
        Question::Retired(reason) => format!("retired: {reason}"),
        Question::Impossible(why) => format!("impossible: {why}"),
        Question::Unreadable { why, .. } => format!("unreadable: {why}"),
    };
    let target = |target: &Target| {
        let asks: Vec<String> = target.asks.iter().map(question).collect();
        format!("{} {} {}", target.repo.name, &target.sha.as_str()[..1], asks.join(", "))
    };
    targets.iter().map(target).collect()
}

#[test]
fn every_head_and_every_open_pull_request_of_both_sides_is_asked() {
    let core = view(&[("main", 'c'), ("topic", 'e')], vec![pull(1, 'f', "main"), pull(2, '9', "topic")]);
    let template = view(&[("main", 'a'), ("topic", 'e')], vec![pull(3, 'b', "main")]);
    let found = ask_all(&gated("\"main\"", ""), core, template);
    assert_eq!(
        shown(&found),
        [
            "molecule/core 9 pull",
            "molecule/core c branch",
            "molecule/core f pull",
            "molecule/template a branch",
            "molecule/template b pull",
        ]
    );
}

#[test]
fn one_commit_with_several_roles_is_one_target() {
    let core = view(&[("main", 'c'), ("release/1", 'c')], vec![pull(1, 'c', "main")]);
    let found = ask_all(&gated("\"main\", \"release/*\"", ""), core, view(&[("main", 'a')], vec![]));
    assert_eq!(shown(&found), ["molecule/core c branch, branch, pull", "molecule/template a branch, branch"]);
}

#[test]
fn equal_commits_of_two_repositories_are_two_targets() {
    let found = ask_all(&gated("\"main\"", ""), view(&[("main", 'a')], vec![]), view(&[("main", 'a')], vec![]));
    assert_eq!(shown(&found), ["molecule/core a branch", "molecule/template a branch"]);
}

#[test]
fn where_no_branch_matches_the_source_is_told_so_and_never_that_all_is_well() {
    let core = view(&[("trunk", 'c')], vec![pull(1, 'f', "trunk")]);
    let template = view(&[("main", 'a')], vec![pull(3, 'b', "main")]);
    let found = ask_all(&gated("\"release/*\"", ""), core, template);
    assert_eq!(
        shown(&found),
        [
            "molecule/core f pull",
            "molecule/template a impossible: molecule/core has no branch release/*",
            "molecule/template b impossible: molecule/core has no branch release/*",
        ]
    );
}

#[test]
fn a_source_without_its_branch_leaves_nothing_to_compare_also_where_the_gate_follows_it() {
    let core = view(&[("main", 'c')], vec![pull(1, 'f', "main")]);
    let found = ask_all(&gated("\"main\"", ""), core, view(&[("trunk", 'a')], vec![pull(3, 'b', "main")]));
    assert_eq!(
        shown(&found),
        [
            "molecule/core c impossible: molecule/template has no branch main",
            "molecule/core f impossible: molecule/template has no branch main",
            "molecule/template b impossible: its base branch main does not exist",
        ]
    );
}

#[test]
fn a_pull_request_onto_a_branch_that_is_gone_cannot_be_judged() {
    let core = view(&[("main", 'c')], vec![pull(1, 'f', "gone")]);
    let found = ask_all(&gated("\"main\"", ""), core, view(&[("main", 'a')], vec![]));
    assert_eq!(shown(&found)[1], "molecule/core f impossible: its base branch gone does not exist");
}

#[test]
fn repositories_without_a_head_have_no_target() {
    assert_eq!(shown(&ask_all(&gated("\"main\"", ""), view(&[], vec![]), view(&[], vec![]))), [""; 0]);
}

#[test]
fn a_side_that_cannot_be_read_is_no_side_that_is_fine() {
    let down = Seen::Unreadable { why: "502".into(), since: 7 };
    let found = ask_all(&gated("\"main\"", ""), view(&[("main", 'c')], vec![pull(1, 'f', "main")]), down);
    assert_eq!(
        shown(&found),
        [
            "molecule/core c unreadable: molecule/template cannot be read: 502",
            "molecule/core f unreadable: molecule/template cannot be read: 502",
        ]
    );
}

#[test]
fn a_gate_of_a_release_line_judges_no_head_of_the_source() {
    let core = view(&[("release/1", 'c')], vec![pull(1, 'f', "release/1")]);
    let template = view(&[("main", 'a')], vec![pull(3, 'b', "main")]);
    let found = ask_all(&gated("\"release/*\"", "stale = \"notice\""), core, template);
    assert_eq!(shown(&found), ["molecule/core c branch", "molecule/core f pull"]);
}

#[test]
fn gates_of_one_context_ask_about_one_target() {
    let mut gates = gated("\"main\"", "");
    gates.extend(gated("\"main\"", ""));
    Arc::make_mut(&mut gates[1]).gate.name = "second".into();
    let found = ask_all(&gates, view(&[("main", 'c')], vec![]), view(&[("main", 'a')], vec![]));
    assert_eq!(shown(&found), ["molecule/core c branch, branch", "molecule/template a branch, branch"]);
    Arc::make_mut(&mut gates[1]).gate.context = "drift-gate/second".into();
    let found = ask_all(&gates, view(&[("main", 'c')], vec![]), view(&[("main", 'a')], vec![]));
    assert_eq!(found.len(), 4);
}
