//! What a repository's own file may say to the service.

use super::super::model::{Binding, Bringer, Place, Repository};
use super::super::{Config, ConfigError, Gate};

const GATE: &str = r#"
[[gate]]
name = "tokens"
source = { url = "https://git.example.org/molecule/design-tokens", branch = "main" }
binding = { follow = true }
identity = ["tokens.css"]
[[gate.check]]
kind = "mirror"
file = "tokens.css"
copies = ["canvas/tokens.css"]
"#;

fn gates(text: &str) -> Result<Vec<Gate>, ConfigError> {
    gates_on(false, text)
}

fn gates_on(is_github: bool, text: &str) -> Result<Vec<Gate>, ConfigError> {
    let repository = Repository {
        forge: "main".into(),
        repo: "molecule/canvas".into(),
        sources: vec!["molecule/brand".into(), "molecule/design-tokens".into()],
        commands: crate::config::Commands::default(),
        is_github,
    };
    let bringer = Bringer {
        repository: &repository,
        forge_url: "https://git.example.org",
        default_branch: "trunk",
        taken: &["platform".into()],
    };
    Config::parse_brought(text, ".drift-gate.toml", &bringer)
}

fn fault(text: &str) -> String {
    let error = gates(text).expect_err("a fault");
    let faults: Vec<String> =
        error.diagnostics().iter().map(|one| format!("{}: {} => {}", one.line, one.message, one.help)).collect();
    faults.join("; ")
}

#[test]
fn a_gate_of_a_repository_is_between_that_repository_and_a_listed_source() {
    let found = gates(GATE).expect("gates");
    let on_forge = |repo: &str| Place::Forge { forge: "main".into(), repo: repo.into() };
    assert_eq!(found[0].consumer.place, on_forge("molecule/canvas"));
    assert_eq!(found[0].consumer.branches, ["trunk"], "the default branch, where the file names none");
    assert_eq!(found[0].source.place, on_forge("molecule/design-tokens"));
    assert_eq!((found[0].context.as_str(), &found[0].binding), ("drift-gate", &Binding::Follow));
}

#[test]
fn contexts_that_differ_in_capitals_only_are_a_fault_where_github_takes_them_for_one() {
    let gate = |name: &str, context: &str| {
        GATE.replace("name = \"tokens\"", &format!("name = \"{name}\"\ncontext = \"drift-gate/{context}\""))
    };
    let both = format!("{}{}", gate("tokens", "Tokens"), gate("others", "tokens"));
    assert_eq!(gates_on(false, &both).expect("gates").len(), 2);
    let fault = gates_on(true, &both).expect_err("a fault").to_string();
    assert!(fault.contains("differs from `drift-gate/Tokens` in its capitals only"), "{fault}");
}

#[test]
fn a_repository_repairs_itself_and_no_other() {
    let repair = |to: &str| gates(&format!("{GATE}[gate.repair]\nkind = \"mirror\"\n{to}"));
    assert_eq!(repair("").expect("a gate")[0].repairs.len(), 1);
    let fault = repair("to = \"source\"\n").expect_err("a fault").to_string();
    assert!(fault.contains("`to = \"source\"` is not for a repository to say"), "{fault}");
}

#[test]
fn an_address_is_the_same_in_another_spelling() {
    for spelling in
        ["https://git.example.org/Molecule/Design-Tokens.git", "https://git.example.org/molecule/design-tokens/"]
    {
        let text = GATE.replace("https://git.example.org/molecule/design-tokens", spelling);
        assert!(gates(&text).is_ok(), "{spelling}");
    }
}

#[test]
fn a_source_that_the_server_does_not_list_is_refused_and_no_other_is_named() {
    let text = GATE.replace("molecule/design-tokens", "molecule/payroll");
    let said = fault(&text);
    assert!(said.contains("4: the service does not list https://git.example.org/molecule/payroll"), "{said}");
    assert!(!said.contains("brand"), "the listed ones may be private: {said}");
    let elsewhere = GATE.replace("git.example.org", "evil.example.org");
    assert!(fault(&elsewhere).contains("does not list https://evil.example.org"), "{}", fault(&elsewhere));
}

#[test]
fn a_repository_cannot_take_a_name_or_an_option_that_is_not_its_own() {
    let with = |line: &str| GATE.replacen("binding", &format!("{line}\nbinding"), 1);
    for (text, words) in [
        (with("context = \"ci/build\""), "`context` is not one that a repository's own gate may have"),
        (with("context = \"drift-gates\""), "`context` is not one that a repository's own gate may have"),
        (with("quote = \"always\""), "`quote = \"always\"` is not for a repository to say"),
        (with("commands = { users = [\"mallory\"] }"), "who may waive is not for a repository to say"),
        (GATE.replace("\"tokens\"", "\"platform\""), "a gate is called `platform` already"),
        (
            with("consumer = { forge = \"main\", repo = \"molecule/core\", branches = [\"main\"] }"),
            "a repository's own gate cannot name its consumer",
        ),
        (
            GATE.replace(
                "url = \"https://git.example.org/molecule/design-tokens\"",
                "forge = \"main\", repo = \"molecule/brand\"",
            ),
            "a repository's own gate names its source by address",
        ),
    ] {
        assert!(fault(&text).contains(words), "{words}: {}", fault(&text));
    }
    assert!(gates(&with("context = \"drift-gate/tokens\"")).is_ok());
}

#[test]
fn forges_secrets_and_the_server_are_not_a_repositorys_to_name() {
    for table in [
        "[server]\npublic_url = \"https://x.example.org\"\n",
        "[store]\nurl = \"sqlite://x.db\"\n",
        "[forge.main]\nkind = \"gitea\"\nurl = \"https://x.example.org\"\ntoken = { env = \"HOME\" }\n",
        "[[repository]]\nforge = \"main\"\nrepo = \"molecule/x\"\nsources = [\"molecule/y\"]\n",
    ] {
        let said = fault(&format!("{table}{GATE}"));
        assert!(said.contains("stands in the service's own file only"), "{table}: {said}");
    }
}

#[test]
fn the_service_lists_each_repository_once_and_needs_no_gate_of_its_own() {
    let text = "[server]\npublic_url = \"https://gate.example.org\"\n[forge.main]\nkind = \"gitea\"\n\
        url = \"https://git.example.org\"\n[[repository]]\nforge = \"main\"\nrepo = \"molecule/canvas\"\n\
        sources = [\"molecule/design-tokens\"]\n";
    let config = Config::parse(text, "drift-gate.toml").expect("a configuration");
    assert_eq!(config.repositories[0].sources, ["molecule/design-tokens"]);
    let twice = format!("{text}[[repository]]\nforge = \"main\"\nrepo = \"molecule/canvas\"\nsources = [\"a/b\"]\n");
    let error = Config::parse(&twice, "drift-gate.toml").expect_err("twice").to_string();
    assert!(error.contains("a second [[repository]] is molecule/canvas"), "{error}");
    let nowhere = text.replace("forge = \"main\"\nrepo", "forge = \"other\"\nrepo");
    let error = Config::parse(&nowhere, "drift-gate.toml").expect_err("no forge").to_string();
    assert!(error.contains("no forge is called `other`"), "{error}");
}
