//! Secrets are read where they are, and shown nowhere.

use std::path::Path;

use secrecy::ExposeSecret;

use super::*;

/// What no message may show.
const PASSWORD: &str = "hunter2";

fn read_file(contents: &[u8]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, contents).unwrap();
    let read = Secret::File(file).read();
    let said = read.map(|value| value.expose_secret().to_owned()).map_err(|error| error.to_string());
    said.map_err(|said| said.replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn a_secret_is_what_the_variable_says() {
    // Every process of the tests has this one; it is no secret.
    let value = Secret::Env("PATH".to_owned()).read().unwrap();
    assert_eq!(value.expose_secret(), std::env::var("PATH").unwrap());
    let missing = Secret::Env("DRIFT_GATE_NO_SUCH_VARIABLE".to_owned()).read().unwrap_err();
    assert_eq!(missing.to_string(), "environment variable DRIFT_GATE_NO_SUCH_VARIABLE is not set");
}

#[test]
fn a_secret_is_what_the_file_says_without_the_line_end_that_editors_leave() {
    for contents in ["hunter2", "hunter2\n", "hunter2\r\n"] {
        assert_eq!(read_file(contents.as_bytes()).as_deref(), Ok(PASSWORD));
    }
    assert_eq!(read_file(b" two words \n").as_deref(), Ok(" two words "));
    // A limit that is met is no limit that is passed.
    assert_eq!(read_file(&[b'x'; 64 << 10]).unwrap().len(), 64 << 10);
}

#[test]
fn a_file_that_holds_no_secret_is_refused() {
    let refused = |contents: &[u8]| read_file(contents).unwrap_err();
    assert_eq!(refused(b""), "file token is empty");
    assert_eq!(refused(b"\n"), "file token is empty");
    assert_eq!(refused(b" \t\r\n"), "file token is empty");
    assert_eq!(refused(b"hunter2\xff"), "file token is not UTF-8 text");
    assert_eq!(refused(&[b'x'; (64 << 10) + 1]), "file token is larger than 64 KiB: is it the right file?");
    let folder = tempfile::tempdir().unwrap();
    let said = |file: &Path| Secret::File(file.to_owned()).read().unwrap_err().to_string();
    let (absent, directory) = (folder.path().join("absent"), folder.path());
    assert!(said(&absent).starts_with(&format!("file {} cannot be read: No such file", absent.display())));
    assert!(said(directory).starts_with(&format!("file {} cannot be read: Is a directory", directory.display())));
}

#[test]
fn every_secret_that_is_missing_is_named_with_its_line() {
    let text = with("[server]\n", "[server]\nadmin_token = { file = \"/no/such/token\" }\n")
        .replace("env = \"DRIFT_GATE_TOKEN\"", "env = \"PATH\"");
    let Err(error) = good(&text).check_secrets() else { panic!("a secret is missing") };
    let told: Vec<String> = error.diagnostics().iter().map(line).collect();
    assert_eq!(
        told,
        [
            "2:15: file /no/such/token cannot be read: No such file or directory (os error 2) => write the secret into that file, readable for the service, or name another place",
            "9:20: environment variable DRIFT_GATE_WEBHOOK_SECRET is not set => set DRIFT_GATE_WEBHOOK_SECRET in the environment of the service, or name another place",
        ]
    );
    let present = with("DRIFT_GATE_TOKEN", "PATH").replace("DRIFT_GATE_WEBHOOK_SECRET", "PATH");
    assert!(good(&present).check_secrets().is_ok());
}

#[test]
fn a_secret_names_one_place() {
    let token = "token = { env = \"DRIFT_GATE_TOKEN\" }";
    each_is_said(&[
        (
            token,
            "token = {}",
            r#"7:9: `token` must name either a variable or a file => write `token = { env = "VARIABLE" }` or `token = { file = "/path" }`"#,
        ),
        (
            token,
            "token = { env = \"A\", file = \"/a\" }",
            r#"7:9: `token` must name either a variable or a file => write `token = { env = "VARIABLE" }` or `token = { file = "/path" }`"#,
        ),
        (
            token,
            "token = { file = \"\" }",
            r#"7:9: `token` must name either a variable or a file => write `token = { env = "VARIABLE" }` or `token = { file = "/path" }`"#,
        ),
        (
            token,
            "token = \"hunter2\"",
            r#"7:9: `token` says where a secret is, not the secret itself => write `token = { env = "VARIABLE" }` or `token = { file = "/path" }`; if a secret stands here, replace it where it came from"#,
        ),
        (
            token,
            "token = { env = \"hunter2!\" }",
            "7:17: `env` is not the name of an environment variable => write the variable's name, for example `DRIFT_GATE_TOKEN`; its value stays out of this file",
        ),
        (
            "[{ env = \"DRIFT_GATE_WEBHOOK_SECRET\" }]",
            "[\"hunter2\"]",
            r#"8:20: `webhook_secrets` says where a secret is, not the secret itself => write `webhook_secrets = [{ env = "VARIABLE" }]` or `webhook_secrets = [{ file = "/path" }]`; if a secret stands here, replace it where it came from"#,
        ),
    ]);
}

/// Ways to write a secret into the file itself, right or wrong, in TOML or not.
#[test]
fn no_message_shows_a_secret_that_was_written_into_the_file() {
    let token = "token = { env = \"DRIFT_GATE_TOKEN\" }";
    let secrets = "webhook_secrets = [{ env = \"DRIFT_GATE_WEBHOOK_SECRET\" }]";
    let url = "url = \"https://git.example.org/\"";
    for (this, that) in [
        (token, "token = \"hunter2\""),
        (token, "token = 'hunter2'"),
        (token, "token = \"hunter2"),
        (token, "token = hunter2"),
        (token, "token = {hunter2}"),
        (token, "token: hunter2"),
        (token, "token hunter2"),
        (token, "token = \"\"\"\nhunter2\n\"\"\""),
        (token, "token = \"\"\"\nhunter2\n"),
        (token, "token = [\"hunter2\"]"),
        (token, "token = { env = \"hunter2 \" }"),
        (token, "token = { env = [\"hunter2\"] }"),
        (token, "token = { value = \"hunter2\" }"),
        (token, "token = { env = \"A\", value = { is = [\"hunter2\"] } }"),
        (token, "tokne = \"hunter2\""),
        (token, "password = \"hunter2\""),
        (token, "pass = \"hunter2\"\noops"),
        (secrets, "webhook_secrets = \"hunter2\""),
        (secrets, "webhook_secrets = { value = \"hunter2\" }"),
        (secrets, "webhook_secrets = [[\"hunter2\"]]"),
        (secrets, "webhook_secrets = [\n  \"hunter2\",\n]"),
        (secrets, "webhook_secrets = [\n  \"hunter2,\n]"),
        (secrets, "webhook_secrets = [\n  hunter2,\n]"),
        (secrets, "webhook_secret = { env = \"hunter2\" }"),
        (url, "url = \"https://bot:hunter2@git.example.org\""),
        (url, "url = \"https://hunter2@git.example.org\""),
        (url, "url = \"https://git.example.org/?token=hunter2\""),
        (url, "url = \"https://bot:hunter2@git.example.org"),
        ("[forge.main]\nkind", "[forge]\ntoken = \"hunter2\"\nkind"),
        ("[forge.main]", "[store]\nurl = \"postgres://gate:hunter2@db/gate\"\n[forge.main]"),
        ("[forge.main]", "[store]\nurl = \"postgresql://db/gate?user=gate&password=hunter2\"\n[forge.main]"),
        ("[forge.main]", "[store]\nurl = \"postgres://gate:hunter2@[db/gate\"\n[forge.main]"),
        ("[forge.main]", "[store]\nurl = \"mysql://gate:hunter2@db/gate\"\n[forge.main]"),
        ("[forge.main]", "[store]\npassword = \"hunter2\"\n[forge.main]"),
        ("[server]\n", "[server]\nadmin_token = \"hunter2\"\n"),
        ("[server]\n", "[server]\nlink_secret = { file = 5, key = \"hunter2\" }\n"),
        ("[server]\n", "admin_token = \"hunter2\"\n[server]\n"),
        ("repo = \"molecule/template\"", "url = \"https://bot:hunter2@git.example.org/molecule/template\""),
    ] {
        let text = with(this, that);
        let Err(error) = Config::parse(&text, "drift-gate.toml") else { panic!("taken: {that}") };
        let shown = format!("{error}\n{error:?}");
        assert!(!shown.contains(PASSWORD), "`{that}` says\n{error}");
    }
}

#[test]
fn no_debug_print_shows_the_file_or_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, PASSWORD).unwrap();
    let text = with("env = \"DRIFT_GATE_TOKEN\"", &format!("file = \"{}\"", file.display()));
    let config = good(&format!("# once it was hunter2\n{text}"));
    let value = config.forges["main"].token.as_ref().unwrap().read().unwrap();
    assert_eq!(value.expose_secret(), PASSWORD);
    let shown = format!("{config:?} {value:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
}
