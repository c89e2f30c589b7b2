//! A GitHub App: what its table says, and a key that is none.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const FORGE: &str = "kind = \"gitea\"\nurl = \"https://git.example.org/\"\ntoken = { env = \"DRIFT_GATE_TOKEN\" }";

fn hub(lines: &str) -> String {
    with(FORGE, &format!("kind = \"github\"\nurl = \"https://github.com\"\n{lines}"))
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

#[test]
fn an_app_stands_in_for_a_token() {
    let config = good(&hub("app = { id = 12345, key = { file = \"/run/secrets/app.pem\" } }\ncheck_runs = true"));
    let forge = &config.forges["main"];
    assert_eq!(forge.app, Some(App { id: 12345, key: Secret::File("/run/secrets/app.pem".into()) }));
    assert!(forge.check_runs && forge.token.is_none());
    assert!(!good(GOOD).forges["main"].check_runs);
}

#[test]
fn an_app_that_cannot_be_is_refused_with_its_place() {
    let said = |lines: &str| said(&hub(lines));
    let app = "app = { id = 12345, key = { env = \"KEY\" } }";
    assert_eq!(
        said(&format!("token = {{ env = \"A\" }}\n{app}")),
        ["8:7: both `app` and `token` are given => keep one of them"]
    );
    assert_eq!(
        said("app = { id = 0, key = { env = \"KEY\" } }"),
        ["7:14: `id` is 0 => write the \"App ID\" of the App's page of settings, for example `id = 12345`"]
    );
    assert_eq!(said("app = { key = { env = \"KEY\" } }"), ["7:7: `app` has no `id` => add `id = 12345`"]);
    assert_eq!(
        said("app = { id = 12345 }"),
        ["7:7: `app` has no `key` => add `key = { file = \"/run/secrets/drift-gate-app.pem\" }`"]
    );
    assert_eq!(
        said("check_runs = true"),
        [
            "7:14: `check_runs` needs an App => add `app = { id = 12345, key = { file = \"/path\" } }`, or take `check_runs` out: GitHub takes checks from Apps only"
        ]
    );
    let token = "token = { env = \"DRIFT_GATE_TOKEN\" }";
    each_is_said(&[(
        token,
        app,
        "7:7: `app` is GitHub's: this forge is `gitea` => take it out, and give a token: `token = { env = \"DRIFT_GATE_TOKEN\" }`",
    )]);
}

#[test]
fn a_key_that_was_written_into_the_file_is_not_shown() {
    for lines in [
        "app = \"-----BEGIN hunter2\"",
        "app = { id = 1, key = \"hunter2\" }",
        "app = { id = 1, key = '''\nhunter2\n''' }",
        "app = { id = 1, private_key = \"hunter2\" }",
        "app = [\"hunter2\"]",
    ] {
        let Err(error) = Config::parse(&hub(lines), "drift-gate.toml") else { panic!("taken: {lines}") };
        assert!(!format!("{error}\n{error:?}").contains("hunter2"), "`{lines}` says\n{error}");
    }
}

#[test]
fn a_key_is_read_as_github_and_as_other_tools_write_it() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let modern = pem("PRIVATE KEY", pkcs8.as_ref());
    // The inner key begins behind 26 bytes that say "RSA".
    let githubs = pem("RSA PRIVATE KEY", &pkcs8.as_ref()[26..]);
    for text in [&modern, &githubs, &githubs.replace('\n', "\\n")] {
        let signature = PrivateKey::from_pem(text).expect("a key").sign(b"text").unwrap();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
        key.verify(b"text", &signature).expect("signed by that key");
    }
    assert_eq!(format!("{:?}", PrivateKey::from_pem(&modern)), "Some(PrivateKey(…))");
}

#[test]
fn a_key_that_is_none_is_named_with_its_line_before_the_service_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.pem");
    for contents in
        ["hunter2", &pem("PRIVATE KEY", b"hunter2"), &pem("CERTIFICATE", b"hunter2"), &pem("PUBLIC KEY", b"x")]
    {
        std::fs::write(&file, contents).unwrap();
        let config = good(&with("env = \"DRIFT_GATE_WEBHOOK_SECRET\"", "env = \"PATH\"").replace(
            FORGE,
            &format!(
                "kind = \"github\"\nurl = \"https://github.com\"\napp = {{ id = 1, key = {{ file = \"{}\" }} }}",
                file.display()
            ),
        ));
        let Err(error) = config.check_secrets() else { panic!("taken: {contents}") };
        let told: Vec<String> = error.diagnostics().iter().map(line).collect();
        let expected = format!(
            "7:23: file {} holds no RSA private key in PEM => take the `.pem` file that the App's page gave when the key was made, from `-----BEGIN` to its end",
            file.display()
        );
        assert_eq!(told, [expected]);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
