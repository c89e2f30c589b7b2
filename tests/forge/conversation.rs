//! Comments of our own, rights and teams, as both dialects have them: from their sources and documentation, where nothing was
//! recorded.

use std::sync::Arc;

use drift_gate::forge::gitea::Gitea;
use drift_gate::forge::github::GitHub;
use drift_gate::forge::{Conversation, Forge, ForgeError, RepoName, Team};
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server, TOKEN, patient_client};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Gitea,
    GitHub,
}

const BOTH: [Dialect; 2] = [Dialect::Gitea, Dialect::GitHub];

impl Dialect {
    async fn forge(self, answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> (Server, Arc<dyn Forge>) {
        let server = Server::start(answer).await;
        let token = Some(TOKEN.to_owned().into());
        let forge: Arc<dyn Forge> = match self {
            Self::Gitea => Gitea::new("main", &server.url, token, patient_client()).unwrap(),
            Self::GitHub => GitHub::new("main", &server.url, token, patient_client()).unwrap(),
        };
        (server, forge)
    }

    fn repo(self) -> &'static str {
        match self {
            Self::Gitea => "/api/v1/repos/molecule/core",
            Self::GitHub => "/api/v3/repos/molecule/core",
        }
    }
}

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

fn wire(id: u64) -> Value {
    json!({"id": id, "body": "hello", "user": {"id": 4, "login": "drift-gate-bot"},
        "issue_url": "https://git.example.org/api/repos/molecule/core/issues/12",
        "created_at": "2026-11-28T10:00:00Z", "updated_at": "2026-11-28T10:00:00Z"})
}

#[tokio::test]
async fn a_comment_is_posted_once_and_written_anew_in_place() {
    for dialect in BOTH {
        let (server, forge) =
            dialect.forge(|asked| Reply::json(if asked.method == "POST" { 201 } else { 200 }, &wire(9))).await;
        assert_eq!(forge.post_comment(&core(), 12, "hello").await.unwrap(), 9);
        forge.edit_comment(&core(), 9, "anew").await.unwrap();
        let seen: Vec<(String, String, Value)> =
            server.seen().into_iter().map(|asked| (asked.method, asked.path, asked.body)).collect();
        let repo = dialect.repo();
        assert_eq!(
            seen,
            [
                ("POST".into(), format!("{repo}/issues/12/comments"), json!({"body": "hello"})),
                ("PATCH".into(), format!("{repo}/issues/comments/9"), json!({"body": "anew"})),
            ]
        );
    }
}

#[tokio::test]
async fn a_comment_that_is_gone_or_is_no_text_is_not_found() {
    let (_server, forge) =
        Dialect::Gitea.forge(|_| Reply { status: 204, headers: Vec::new(), body: String::new() }).await;
    assert!(matches!(forge.edit_comment(&core(), 9, "x").await, Err(ForgeError::NotFound { .. })));
    for dialect in BOTH {
        let (_server, forge) = dialect.forge(|_| Reply::json(404, &json!({"message": "Not Found"}))).await;
        assert!(matches!(forge.edit_comment(&core(), 9, "x").await, Err(ForgeError::NotFound { .. })));
    }
}

#[tokio::test]
async fn a_locked_conversation_denies_and_a_broken_connection_may_have_posted() {
    for dialect in BOTH {
        let (_server, forge) = dialect.forge(|_| Reply::json(403, &json!({"message": "issue is locked"}))).await;
        assert!(matches!(forge.post_comment(&core(), 12, "x").await, Err(ForgeError::Denied { status: 403, .. })));
        let (server, forge) = dialect.forge(|_| Reply::text(502, "<html>Bad gateway</html>")).await;
        assert!(forge.post_comment(&core(), 12, "x").await.unwrap_err().is_transient());
        assert_eq!(server.seen().len(), 1, "sent once: to repeat it could make two");
    }
}

#[tokio::test]
async fn all_comments_come_whether_the_forge_pages_or_not() {
    // Gitea gives all of them whatever page is asked for, more than a page may hold.
    let all: Vec<Value> = (1..=120).map(wire).collect();
    let (server, forge) = Dialect::Gitea.forge(move |_| Reply::json(200, &json!(all))).await;
    assert_eq!(forge.comments_of(&core(), 12).await.unwrap().len(), 120);
    assert_eq!(server.seen().len(), 2, "the second page brings nothing new");
    let (_server, forge) = Dialect::GitHub
        .forge(|asked| {
            let second = asked.path.contains("page=2");
            let range = if second { 101..=103 } else { 1..=100 };
            Reply::json(200, &json!(range.map(wire).collect::<Vec<_>>()))
        })
        .await;
    assert_eq!(forge.comments_of(&core(), 12).await.unwrap().len(), 103);
}

#[tokio::test]
async fn only_who_administers_a_repository_counts() {
    for (dialect, word, admin) in [
        (Dialect::Gitea, "owner", true),
        (Dialect::Gitea, "admin", true),
        // A team that may write issues has it as well.
        (Dialect::Gitea, "write", false),
        (Dialect::Gitea, "read", false),
        (Dialect::Gitea, "none", false),
        (Dialect::Gitea, "", false),
        (Dialect::GitHub, "admin", true),
        (Dialect::GitHub, "write", false),
        (Dialect::GitHub, "owner", false),
        (Dialect::GitHub, "read", false),
    ] {
        let (server, forge) = dialect
            .forge(move |_| Reply::json(200, &json!({"permission": word, "role_name": word, "user": {"id": 7}})))
            .await;
        assert_eq!(forge.administers(&core(), "alice").await.unwrap(), admin, "{word}");
        assert_eq!(server.seen()[0].path, format!("{}/collaborators/alice/permission", dialect.repo()));
    }
}

#[tokio::test]
async fn an_unknown_user_administers_nothing_and_a_bot_without_rights_may_not_ask() {
    for dialect in BOTH {
        let (_server, forge) = dialect.forge(|_| Reply::json(404, &json!({"message": "user does not exist"}))).await;
        assert!(!forge.administers(&core(), "nobody").await.unwrap());
        let words = "Only admins can query all permissions";
        let (_server, forge) = dialect.forge(move |_| Reply::json(403, &json!({"message": words}))).await;
        let denied = forge.administers(&core(), "alice").await.unwrap_err();
        assert!(matches!(&denied, ForgeError::Denied { .. }) && denied.to_string().contains(words), "{denied}");
        let (server, forge) = dialect.forge(|_| Reply::json(200, &json!({"permission": "admin"}))).await;
        for login in ["", ".", "..", "a/b", "a\\b"] {
            assert!(forge.administers(&core(), login).await.is_err(), "{login}");
        }
        assert!(server.seen().is_empty(), "a name never leads elsewhere");
    }
}

const LEADS: Team<'static> = Team { organization: "molecule", name: "leads" };

#[tokio::test]
async fn on_gitea_a_team_is_searched_and_only_the_one_of_that_name_counts() {
    let answer = |asked: &Seen| match asked.path.as_str() {
        "/api/v1/teams/5/members/alice" => Reply::json(200, &json!({"id": 7, "login": "alice"})),
        path if path.starts_with("/api/v1/orgs/molecule/teams/search?q=leads&") => Reply::json(
            200,
            &json!({"ok": true, "data": [{"id": 4, "name": "leads-of-others"}, {"id": 5, "name": "Leads"}]}),
        ),
        _ => Reply::json(404, &json!({"message": "not found"})),
    };
    let (_server, forge) = Dialect::Gitea.forge(answer).await;
    assert!(forge.is_member(&LEADS, "alice").await.unwrap());
    assert!(!forge.is_member(&LEADS, "bob").await.unwrap());
    let other = Team { organization: "molecule", name: "lead" };
    assert!(matches!(forge.is_member(&other, "alice").await, Err(ForgeError::NotFound { .. })));
    // Members are told to members.
    let (_server, forge) = Dialect::Gitea
        .forge(move |asked| match asked.path.contains("/members/") {
            true => Reply::json(403, &json!({"message": "Must be a team member"})),
            false => answer(asked),
        })
        .await;
    assert!(matches!(forge.is_member(&LEADS, "alice").await, Err(ForgeError::Denied { .. })));
}

#[tokio::test]
async fn on_github_an_invitation_is_no_membership() {
    for (state, member) in [("active", true), ("pending", false)] {
        let (server, forge) =
            Dialect::GitHub.forge(move |_| Reply::json(200, &json!({"state": state, "role": "member"}))).await;
        assert_eq!(forge.is_member(&LEADS, "alice").await.unwrap(), member, "{state}");
        assert_eq!(server.seen()[0].path, "/api/v3/orgs/molecule/teams/leads/memberships/alice");
    }
    let (_server, forge) = Dialect::GitHub
        .forge(|asked| match asked.path.ends_with("/teams/leads") {
            true => Reply::json(200, &json!({"id": 5, "slug": "leads"})),
            false => Reply::json(404, &json!({"message": "Not Found"})),
        })
        .await;
    assert!(!forge.is_member(&LEADS, "bob").await.unwrap());
    let (_server, forge) = Dialect::GitHub.forge(|_| Reply::json(404, &json!({"message": "Not Found"}))).await;
    assert!(matches!(forge.is_member(&LEADS, "bob").await, Err(ForgeError::NotFound { .. })), "there is no such team");
}

#[tokio::test]
async fn a_thread_that_is_larger_than_memory_should_hold_is_refused_and_named() {
    let huge = "x".repeat(drift_gate::forge::http::ANSWER_LIMIT + 1);
    let server = Server::start(move |_| Reply::json(200, &json!([{ "id": 1, "body": huge }]))).await;
    let forge = Gitea::new("main", &server.url, Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    let error = forge.comments_of(&core(), 3).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("/issues/3/comments: 200 the answer is larger than 32 MiB"), "{error}");
}
