//! How a forge is set up, as both dialects tell it: from their sources and documentation, where nothing was recorded.

use std::sync::Arc;

use drift_gate::forge::gitea::Gitea;
use drift_gate::forge::github::GitHub;
use drift_gate::forge::settings::{Changed, Demands, Fit, NewHook, Use};
use drift_gate::forge::{ForgeError, RepoName, Settings};
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server, TOKEN, patient_client};

async fn gitea(answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> (Server, Arc<Gitea>) {
    let server = Server::start(answer).await;
    let forge = Gitea::new("main", &server.url, Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    (server, forge)
}

async fn github(answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> (Server, Arc<GitHub>) {
    let server = Server::start(answer).await;
    let forge = GitHub::new("main", &server.url, Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    (server, forge)
}

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

#[tokio::test]
async fn a_server_tells_what_it_is_and_what_time_it_has() {
    let late = (chrono::Utc::now() - chrono::Duration::minutes(10)).to_rfc2822();
    for (version, product) in [("1.26.0", "Gitea 1.26.0"), ("11.0.1+gitea-1.22.0", "Forgejo 11.0.1+gitea-1.22.0")] {
        let reply = Reply::json(200, &json!({ "version": version })).with("date", &late);
        let (_server, forge) = gitea(move |_| reply.clone()).await;
        let told = forge.server().await.unwrap();
        assert_eq!(told.product, product);
        let ahead = told.ahead.expect("a time");
        assert!((-610..-590).contains(&ahead), "{ahead}");
    }
    let reply = Reply::json(200, &json!({ "installed_version": "3.17.0" })).with("x-oauth-scopes", "repo, read:org");
    let (_server, forge) = github(move |_| reply.clone()).await;
    let told = forge.server().await.unwrap();
    assert_eq!(
        (told.product.as_str(), told.scopes.as_deref()),
        ("GitHub Enterprise Server 3.17.0", Some("repo, read:org"))
    );
}

#[tokio::test]
async fn what_is_no_forge_is_told_from_one_that_is_ill_and_from_a_wrong_token() {
    for (reply, is) in [
        (Reply::text(200, "<html>Welcome</html>"), "refused"),
        (Reply::text(404, "404 page not found"), "refused"),
        (Reply::json(401, &json!({ "message": "invalid username, password or token" })), "denied"),
        (Reply::text(502, "Bad Gateway"), "transient"),
    ] {
        let (_server, forge) = gitea({
            let reply = reply.clone();
            move |_| reply.clone()
        })
        .await;
        let (_other, other) = github({
            let reply = reply.clone();
            move |_| reply.clone()
        })
        .await;
        for error in [forge.server().await.unwrap_err(), other.server().await.unwrap_err()] {
            let told = match &error {
                ForgeError::Refused { message, .. } if message.starts_with("no Git") => "refused",
                ForgeError::Denied { status: 401, .. } => "denied",
                ForgeError::Transient { .. } => "transient",
                _ => "something else",
            };
            assert_eq!(told, is, "{reply:?}: {error}");
        }
    }
}

#[tokio::test]
async fn what_a_token_may_do_is_tried_on_what_there_is_not() {
    // A commit that nobody has: 500 on Gitea, and the probe for it 404.
    let (server, forge) = gitea(|asked| match asked.path.as_str() {
        path if path.contains("/statuses/") => Reply::json(500, &json!({ "message": "" })),
        _ => Reply::json(404, &json!({ "message": "not found" })),
    })
    .await;
    forge.may(&core(), Use::Statuses).await.unwrap();
    forge.may(&core(), Use::Comments).await.unwrap();
    let posted: Vec<String> =
        server.seen().into_iter().filter(|asked| asked.method == "POST").map(|asked| asked.path).collect();
    assert!(posted[0].starts_with("/api/v1/repos/molecule/core/statuses/"), "{posted:?}");
    assert_eq!(posted[1], "/api/v1/repos/molecule/core/issues/comments/0/reactions");

    let words = "token does not have at least one of required scope(s), required=[write:repository], token scope=read:repository";
    let (_server, forge) = gitea(move |_| Reply::json(403, &json!({ "message": words }))).await;
    for what in [Use::Statuses, Use::Comments, Use::Teams("molecule")] {
        let error = forge.may(&core(), what).await.unwrap_err();
        assert!(matches!(&error, ForgeError::Denied { message, .. } if message == words), "{error}");
    }
    // A forge that is ill says nothing about the token.
    let (_server, forge) = gitea(|_| Reply::text(503, "")).await;
    assert!(forge.may(&core(), Use::Statuses).await.unwrap_err().is_transient());

    let unknown = json!({ "message": "No commit found for SHA: d01f", "status": "422" });
    let (_server, forge) = github(move |_| Reply::json(422, &unknown)).await;
    forge.may(&core(), Use::Statuses).await.unwrap();
    let refused = json!({ "message": "Resource not accessible by personal access token" });
    let (_server, forge) = github(move |_| Reply::json(403, &refused)).await;
    for what in [Use::Statuses, Use::Repairs] {
        assert!(matches!(forge.may(&core(), what).await, Err(ForgeError::Denied { .. })));
    }
    // Who may not write to a public repository is told that it is not there.
    let (_server, forge) = github(|_| Reply::json(404, &json!({ "message": "Not Found" }))).await;
    for what in [Use::Statuses, Use::Repairs] {
        assert!(matches!(forge.may(&core(), what).await, Err(ForgeError::Denied { status: 404, .. })));
    }
}

#[tokio::test]
async fn on_github_rulesets_and_the_branchs_own_protection_count_together() {
    let (_server, forge) = github(|asked| match asked.path.split('?').next().unwrap_or_default() {
        "/api/v3/repos/molecule/core/branches/main" => Reply::json(200, &json!({ "name": "main" })),
        "/api/v3/repos/molecule/core/rules/branches/main" => Reply::json(
            200,
            &json!([
                { "type": "required_status_checks", "ruleset_id": 7, "parameters": {
                    "strict_required_status_checks_policy": false,
                    "required_status_checks": [{ "context": "drift-gate", "integration_id": 99 }] } },
                { "type": "merge_queue", "ruleset_id": 7, "parameters": { "merge_method": "MERGE" } },
                { "type": "deletion", "ruleset_id": 8 },
            ]),
        ),
        "/api/v3/repos/molecule/core/branches/main/protection" => Reply::json(
            200,
            &json!({ "required_status_checks": { "strict": true, "contexts": ["ci", "old"],
                "checks": [{ "context": "ci", "app_id": -1 }] }, "enforce_admins": { "enabled": false } }),
        ),
        path => Reply::text(418, path),
    })
    .await;
    let expected = Demands {
        rules: vec!["ruleset 7".to_owned(), "the protection of main".to_owned()],
        contexts: vec![("drift-gate".to_owned(), Some(99)), ("ci".to_owned(), None), ("old".to_owned(), None)],
        up_to_date: true,
        queue: true,
        pushes: false,
    };
    assert_eq!(forge.demands(&core(), "main").await.unwrap(), expected);
    assert_eq!(forge.fits("Drift-Gate", "drift-gate"), Fit::Exact, "names have no case there");
}

#[tokio::test]
async fn on_github_a_protection_that_we_may_not_see_is_not_called_none() {
    let [not_protected, not_found] = ["Branch not protected", "Not Found"];
    // Who is told that it is not protected may look; of a plain 404 only an administrator knows that it means so.
    for (admin, words, denied) in [
        (true, not_protected, false),
        (false, not_protected, false),
        (true, not_found, false),
        (false, not_found, true),
    ] {
        let (_server, forge) = github(move |asked| match asked.path.split('?').next().unwrap_or_default() {
            "/api/v3/repos/molecule/core" => {
                Reply::json(200, &json!({ "permissions": { "admin": admin, "push": true } }))
            }
            "/api/v3/repos/molecule/core/branches/main" => Reply::json(200, &json!({ "name": "main" })),
            "/api/v3/repos/molecule/core/rules/branches/main" => Reply::json(200, &json!([])),
            _ => Reply::json(404, &json!({ "message": words })),
        })
        .await;
        let told = forge.demands(&core(), "main").await;
        assert_eq!(matches!(told, Err(ForgeError::Denied { .. })), denied, "{told:?}");
    }
}

#[tokio::test]
async fn on_github_a_protection_with_a_part_that_could_not_be_written_back_is_left_to_a_person() {
    let (server, forge) = github(|asked| match asked.method.as_str() {
        "GET" => Reply::json(
            200,
            &json!({ "url": "https://api.github.com/x", "enforce_admins": { "url": "x", "enabled": true },
                "required_signatures": { "url": "x", "enabled": true }, "a_new_switch": { "enabled": true } }),
        ),
        _ => Reply::json(200, &json!({})),
    })
    .await;
    let Changed::Not(why) = forge.require(&core(), "main", "drift-gate", &[]).await.unwrap() else { panic!("written") };
    assert!(why.contains("`a_new_switch`"), "{why}");
    assert!(server.seen().iter().all(|asked| asked.method == "GET"));

    // One that is off is no loss.
    let (server, forge) = github(|asked| match asked.method.as_str() {
        "GET" => {
            Reply::json(200, &json!({ "enforce_admins": { "enabled": true }, "a_new_switch": { "enabled": false } }))
        }
        _ => Reply::json(200, &json!({})),
    })
    .await;
    assert_eq!(forge.require(&core(), "main", "drift-gate", &[]).await.unwrap(), Changed::Added);
    let put = server.seen().pop().unwrap();
    assert_eq!((put.method.as_str(), &put.body["enforce_admins"]), ("PUT", &json!(true)));
}

#[tokio::test]
async fn on_github_only_the_checks_are_changed_where_there_are_some() {
    let (server, forge) = github(|asked| match asked.method.as_str() {
        "GET" => Reply::json(
            200,
            &json!({ "required_status_checks": { "strict": false, "contexts": ["ci"],
                "checks": [{ "context": "ci", "app_id": 15368 }] } }),
        ),
        _ => Reply::json(200, &json!({})),
    })
    .await;
    assert_eq!(forge.require(&core(), "main", "drift-gate", &[]).await.unwrap(), Changed::Added);
    let written: Vec<Seen> = server.seen().into_iter().filter(|asked| asked.method != "GET").collect();
    assert_eq!(written.len(), 1);
    assert_eq!(written[0].path, "/api/v3/repos/molecule/core/branches/main/protection/required_status_checks");
    let checks = json!([{ "context": "ci", "app_id": 15368 }, { "context": "drift-gate", "app_id": -1 }]);
    assert_eq!(written[0].body, json!({ "strict": true, "checks": checks }));
}

#[tokio::test]
async fn an_older_gitea_does_not_say_which_rule_counts() {
    let rule = |name: &str, priority: i64, context: &str| json!({ "rule_name": name, "priority": priority, "enable_status_check": true, "status_check_contexts": [context] });
    let rules = json!([
        rule("rel*/**", 3, "late"),
        rule("release/*", 1, "first"),
        rule("main", 9, "exact"),
        rule("*", 2, "any")
    ]);
    let (_server, forge) = gitea(move |asked| match asked.path.contains("/branches/") {
        true => Reply::json(200, &json!({ "name": "x", "protected": true })),
        false => Reply::json(200, &rules),
    })
    .await;
    for (branch, context) in
        [("release/1", Some("first")), ("release/1/2", Some("late")), ("main", Some("exact")), ("x/y", None)]
    {
        let told = forge.demands(&core(), branch).await.unwrap();
        assert_eq!(told.contexts.first().map(|(context, _)| context.as_str()), context, "{branch}: {told:?}");
        assert_eq!(told.pushes, context.is_none(), "{branch}");
    }
    let nothing: Vec<Value> = Vec::new();
    let (_server, forge) = gitea(move |asked| match asked.path.contains("/branches/") {
        true => Reply::json(404, &json!({ "message": "branch does not exist" })),
        false => Reply::json(200, &json!(nothing)),
    })
    .await;
    assert!(matches!(forge.demands(&core(), "gone").await, Err(ForgeError::NotFound { .. })));
}

#[tokio::test]
async fn a_hook_of_github_is_asked_for_as_json_and_without_what_an_older_server_does_not_know() {
    let (server, forge) = github(|asked| {
        let knows = asked.body["events"].as_array().is_some_and(|all| !all.contains(&json!("merge_group")));
        let unknown = json!({ "message": "Validation Failed", "errors": ["invalid event: merge_group"] });
        if knows { Reply::json(201, &json!({ "id": 9 })) } else { Reply::json(422, &unknown) }
    })
    .await;
    let secret = secrecy::SecretString::from("a-secret");
    let hook = NewHook { url: "https://gate.example.org/hooks/hub", secret: &secret, like: None };
    assert_eq!(forge.add_hook(&core(), &hook).await.unwrap(), 9);
    let bodies: Vec<Value> = server.seen().into_iter().map(|asked| asked.body).collect();
    let events = ["create", "delete", "issue_comment", "pull_request", "push", "repository", "status"];
    let expected = json!({ "name": "web", "active": true, "events": events, "config": {
        "url": "https://gate.example.org/hooks/hub", "content_type": "json", "secret": "a-secret" } });
    assert_eq!(bodies[1], expected);
    let mut first = expected["events"].as_array().unwrap().clone();
    first.insert(3, json!("merge_group"));
    assert_eq!((bodies[0]["events"].as_array(), bodies.len()), (Some(&first), 2));
}
