//! What an operator sees: configurations that are taken, and what is said about those that are not.

use super::*;

mod app;
mod brought;
mod checks;
mod documents;
mod faults;
mod issues;
mod meaning;
mod repair;
mod secrets;
mod texts;

/// A configuration of the service, in which the tests break one thing at a time.
const GOOD: &str = r#"[server]
public_url = "https://drift-gate.example.org/"

[forge.main]
kind = "gitea"
url = "https://git.example.org/"
token = { env = "DRIFT_GATE_TOKEN" }
webhook_secrets = [{ env = "DRIFT_GATE_WEBHOOK_SECRET" }]

[[gate]]
name = "agent"
source = { forge = "main", repo = "molecule/template", branch = "main" }
consumer = { forge = "main", repo = "molecule/core", branches = ["main"] }
binding = { pin = "manifest.json", at = "templates[name=agent].ref" }
identity = ["config.yaml", "prompts/**"]
ignore = ["README.md"]

[[gate.check]]
kind = "bake"
dockerfile = "Dockerfile"
source_dir = ".deps/template"
destination = "/opt/agent"
"#;

/// The good configuration with one text replaced by another.
fn with(this: &str, that: &str) -> String {
    assert_eq!(GOOD.matches(this).count(), 1, "`{this}` must stand once in the good configuration");
    GOOD.replace(this, that)
}

fn good(text: &str) -> Config {
    Config::parse(text, "drift-gate.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with a text, a line each: `line:column: message => help`.
fn said(text: &str) -> Vec<String> {
    told(Config::parse(text, "drift-gate.toml"))
}

fn said_on_a_laptop(text: &str) -> Vec<String> {
    told(Config::parse_laptop(text, ".drift-gate.toml"))
}

fn told(read: Result<Config, ConfigError>) -> Vec<String> {
    let Err(error) = read else { panic!("this configuration was taken") };
    error.diagnostics().iter().map(line).collect()
}

fn line(one: &Diagnostic) -> String {
    format!("{}:{}: {} => {}", one.line, one.column, one.message, one.help)
}

/// `(this, that, what is said)`: the good configuration with `this` replaced by `that`.
type Faults<'a> = &'a [(&'a str, &'a str, &'a str)];

/// All that is not as expected, at once.
#[track_caller]
fn each_is_said(faults: Faults<'_>) {
    let mut wrong = Vec::new();
    for (this, that, expected) in faults {
        let said = said(&with(this, that));
        if said != [*expected] {
            wrong.push(format!("`{that}`:\n  expected {expected}\n  said     {}", said.join("\n           ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
