//! Every delivery that a real Gitea (1.26) was recorded to send.

use axum::http::{HeaderMap, HeaderName};
use drift_gate::config::ForgeKind;
use drift_gate::forge::webhook::{BranchChange, Delivery, Hint, Rejected, parse, verify};
use secrecy::SecretString;
use serde_json::Value;

struct Recorded {
    name: String,
    secret: String,
    headers: HeaderMap,
    body: String,
}

impl Recorded {
    fn secrets(&self) -> Vec<SecretString> {
        vec![self.secret.clone().into()]
    }

    fn verify(&self) -> Result<(), Rejected> {
        verify(ForgeKind::Gitea, &self.headers, self.body.as_bytes(), &self.secrets())
    }

    fn parse(&self) -> Delivery {
        parse(ForgeKind::Gitea, &self.headers, self.body.as_bytes()).unwrap()
    }
}

fn recorded() -> Vec<Recorded> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/gitea-1.26/deliveries");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let vector: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut headers = HeaderMap::new();
        for pair in vector["headers"].as_array().unwrap() {
            let name = HeaderName::try_from(pair[0].as_str().unwrap()).unwrap();
            headers.append(name, pair[1].as_str().unwrap().parse().unwrap());
        }
        Recorded {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            secret: vector["secret"].as_str().unwrap().to_owned(),
            headers,
            body: vector["body"].as_str().unwrap().to_owned(),
        }
    };
    paths.iter().map(read).collect()
}

/// A hint in short, as the table below writes it.
fn told(hint: &Hint) -> String {
    match hint {
        Hint::Push { branch, before, after } if before.is_zero() => format!("new {branch} {}", after.short()),
        Hint::Push { branch, before, after } => format!("push {branch} {} {}", before.short(), after.short()),
        Hint::Branch { branch, change: BranchChange::Created } => format!("created {branch}"),
        Hint::Branch { branch, change: BranchChange::Deleted } => format!("deleted {branch}"),
        Hint::PullRequest { number, action } => format!("pull {number} {action}"),
        Hint::Comment { id, issue, is_pull: true } => format!("comment {id} on pull {issue}"),
        Hint::Comment { id, issue, is_pull: false } => format!("comment {id} on issue {issue}"),
        Hint::RepositoryChanged => "repository".to_owned(),
        Hint::Status { sha, context, creator } => format!("status {context} {} {creator}", sha.short()),
        Hint::Ping => "ping".to_owned(),
        Hint::Nothing(why) => format!("nothing: {why}"),
        Hint::Unknown => "unknown".to_owned(),
        Hint::Unparsed => "unparsed".to_owned(),
    }
}

const EXPECTED: &[(&str, &str)] = &[
    ("001-hook-test-core", "push main 9474fe1e 9474fe1e"),
    ("002-push-main-platform-agent-template", "push main 2d921418 225c3303"),
    ("003-push-20-commits-platform-agent-template", "push main 225c3303 2bb9e7ed"),
    ("004-push-new-branch-core", "created topic"),
    ("005-push-new-branch-core", "new topic ac88dbea"),
    ("006-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("007-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("008-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("009-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("010-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("011-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("012-statuses-core", "status other ac88dbea drift-gate-bot"),
    ("013-statuses-core", "status drift-gate ac88dbea drift-gate-bot"),
    ("014-statuses-core", "status short ac88dbea drift-gate-bot"),
    ("015-statuses-core", "status by-branch 9474fe1e drift-gate-bot"),
    ("016-pr-opened-core", "pull 1 opened"),
    ("017-pr-synchronized-core", "push topic ac88dbea 699da719"),
    ("018-pr-synchronized-core", "pull 1 synchronized"),
    ("019-pr-force-pushed-core", "push topic 699da719 f03ab58a"),
    ("020-pr-force-pushed-core", "pull 1 synchronized"),
    ("021-pr-edited-core", "pull 1 edited"),
    ("022-pr-edited-core", "pull 1 edited"),
    ("023-pr-ready-core", "pull 1 edited"),
    ("024-pr-comment-created-core", "comment 7 on pull 1"),
    ("025-pr-comment-edited-core", "nothing: a comment that is not new: others than its author may have edited it"),
    ("026-pr-comment-by-contributor-core", "comment 8 on pull 1"),
    ("027-issue-comment-created-core", "comment 9 on issue 2"),
    ("028-contents-new-branch-core", "status drift-gate f03ab58a drift-gate-bot"),
    ("029-contents-new-branch-core", "created drift-gate/2bb9e7ed23b7"),
    ("030-contents-new-branch-core", "new drift-gate/2bb9e7ed23b7 f1d1ef8a"),
    ("031-contents-on-branch-core", "push drift-gate/2bb9e7ed23b7 f1d1ef8a 84b16ab1"),
    ("032-contents-force-core", "push drift-gate/2bb9e7ed23b7 84b16ab1 5344ea4b"),
    ("033-bot-pr-opened-core", "pull 3 opened"),
    ("034-zero-commit-pr-core", "pull 4 opened"),
    ("035-zero-commit-pr-core", "created empty"),
    ("036-zero-commit-pr-core", "new empty 9474fe1e"),
    ("037-fork-pr-opened-core", "pull 5 opened"),
    ("038-fork-pr-synchronized-core", "status drift-gate 0db2435e drift-gate-bot"),
    ("039-fork-pr-synchronized-core", "pull 5 synchronized"),
    ("040-pr-closed-core", "pull 5 closed"),
    ("041-pr-reopened-core", "pull 5 reopened"),
    ("042-branch-created-by-api-core", "created release"),
    ("043-branch-created-by-api-core", "new release 9474fe1e"),
    ("044-pr-retargeted-core", "pull 5 edited"),
    ("045-fork-deleted-core", "pull 5 closed"),
    ("046-pr-merged-core", "status drift-gate f03ab58a drift-gate-bot"),
    ("047-pr-merged-core", "pull 1 closed"),
    ("048-pr-merged-core", "push main 9474fe1e 6c99b98a"),
    ("049-pr-merged-core", "deleted topic"),
    ("050-tag-created-core", "nothing: a tag"),
    ("051-tag-created-core", "nothing: a tag"),
    ("052-tag-deleted-core", "nothing: a tag"),
    ("053-tag-deleted-core", "nothing: a tag"),
    ("054-branch-deleted-core", "deleted drift-gate/2bb9e7ed23b7"),
    ("055-branch-deleted-core", "pull 3 closed"),
    ("056-push-unsigned-platform-agent-template", "push main 2bb9e7ed 34654281"),
    ("057-push-unsigned-platform-agent-template", "push main 2bb9e7ed 34654281"),
    ("058-push-after-rename-platform-agent-template", "push main 34654281 2e17d498"),
];

#[test]
fn every_recorded_delivery_is_genuine_and_says_what_its_name_says() {
    let recorded = recorded();
    assert_eq!(recorded.len(), EXPECTED.len());
    for (delivery, (name, expected)) in recorded.iter().zip(EXPECTED) {
        assert!(delivery.name.starts_with(name), "{} is not {name}", delivery.name);
        if !delivery.secret.is_empty() {
            assert_eq!(delivery.verify(), Ok(()), "{name}");
        }
        let read = delivery.parse();
        assert_eq!(told(&read.hint), *expected, "{name}");
        assert_eq!(read.id.map(|id| id.len()), Some(36), "{name}");
        let repository = read.repository.unwrap();
        let id_of = |full_name: &str| if full_name == "molecule/core" { 1 } else { 2 };
        assert_eq!(repository.id, id_of(&repository.full_name.0), "{name}: the id stays through a rename");
    }
}

#[test]
fn a_hook_without_a_secret_sends_empty_signatures_and_is_refused() {
    let unsigned: Vec<_> = recorded().into_iter().filter(|delivery| delivery.secret.is_empty()).collect();
    assert_eq!(unsigned.len(), 1);
    for delivery in unsigned {
        let configured: Vec<SecretString> = vec!["a-shared-secret-of-32-characters".to_owned().into()];
        for secrets in [&configured, &delivery.secrets(), &vec![]] {
            let result = verify(ForgeKind::Gitea, &delivery.headers, delivery.body.as_bytes(), secrets);
            assert_eq!(result, Err(Rejected::Unsigned), "{}", delivery.name);
        }
    }
}

#[test]
fn one_altered_byte_anywhere_makes_a_delivery_a_forgery() {
    for delivery in recorded().into_iter().filter(|delivery| !delivery.secret.is_empty()) {
        let body = delivery.body.as_bytes();
        for at in [0, body.len() / 2, body.len() - 1] {
            let mut altered = body.to_vec();
            altered[at] ^= 1;
            let result = verify(ForgeKind::Gitea, &delivery.headers, &altered, &delivery.secrets());
            assert_eq!(result, Err(Rejected::WrongSignature), "{} byte {at}", delivery.name);
        }
        let other: Vec<SecretString> = vec!["a-shared-secret-of-32-characterz".to_owned().into()];
        let result = verify(ForgeKind::Gitea, &delivery.headers, body, &other);
        assert_eq!(result, Err(Rejected::WrongSignature), "{}", delivery.name);
    }
}

#[test]
fn a_genuine_delivery_is_read_the_same_by_its_github_headers() {
    for delivery in recorded().into_iter().filter(|delivery| !delivery.secret.is_empty()) {
        let body = delivery.body.as_bytes();
        assert_eq!(
            verify(ForgeKind::GitHub, &delivery.headers, body, &delivery.secrets()),
            Ok(()),
            "{}",
            delivery.name
        );
        assert_eq!(parse(ForgeKind::GitHub, &delivery.headers, body).unwrap(), delivery.parse(), "{}", delivery.name);
    }
}
