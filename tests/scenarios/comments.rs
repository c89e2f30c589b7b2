//! Commands in comments: what a person says on a pull request, and what comes of it.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::host::{ADMIN, BOT, CONTRIBUTOR, eventually};
use crate::inputs::signed;
use crate::relay::Post;
use crate::talk::{MARK, answered, answers, comment, log, reacted, reactions, write_over};
use crate::world::{BAKES, CORE, FILE, Setting, TEMPLATE, World};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";

fn without(file: &str) -> String {
    BAKES.replace(&format!("COPY ${{PLATFORM_AGENT_TEMPLATE_DIR}}/{file}"), "#")
}

/// A pull request of core on which `mcp_servers.yaml` is not baked: its number and head.
async fn red(world: &World) -> (u64, String) {
    let head = world.admin.commit_new(CORE, "main", "red", &[(DOCKERFILE, Some(&without("mcp_servers")))]).await;
    let number = world.admin.open_pull(CORE, "red", "main").await;
    world.expect(CORE, &head, "failure", "").await;
    (number, head)
}

/// A pull request that nothing stands against.
async fn green(world: &World, repo: &str) -> (u64, String) {
    let head = world.admin.commit_new(repo, "main", "docs", &[("README.md", Some("Hello\n"))]).await;
    let number = world.admin.open_pull(repo, "docs", "main").await;
    world.expect(repo, &head, "success", "").await;
    (number, head)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_runs_the_gate_afresh_on_both_sides_and_anybody_may_ask() {
    let world = World::in_sync().await;
    for repo in [CORE, TEMPLATE] {
        let (number, head) = green(&world, repo).await;
        // Someone with write access overwrote the status, and nobody told: the gate afresh puts it back.
        write_over(&world, repo, &head).await;
        let before = world.metric("drift_gate_verdicts_total").await;
        let comment = comment(&world.contributor, repo, number, "/drift-gate check\n\nplease").await;
        reacted(&world, repo, comment, "eyes").await;
        reacted(&world, repo, comment, "+1").await;
        world.expect(repo, &head, "success", "").await;
        let (_, body) = answered(&world, repo, number, "judged afresh").await;
        assert!(body.starts_with(MARK) && body.contains(&head[..8]) && body.contains("success"), "{body}");
        assert!(world.metric("drift_gate_verdicts_total").await > before, "nothing was judged anew");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_reads_the_repositorys_own_file_of_gates_again() {
    let world = World::with(Setting { brings: true, ..Setting::default() }).await;
    let (number, head) = red(&world).await;
    world.post(Post::Drop);
    world.admin.commit(CORE, "main", &[(FILE, Some(&world.file("advisory = true")))]).await;
    world.post(Post::Deliver);
    comment(&world.contributor, CORE, number, "/drift-gate check").await;
    world.expect(CORE, &head, "success", "mcp_servers.yaml").await;
    answered(&world, CORE, number, "judged afresh").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_delivery_says_of_author_text_and_place_is_read_again() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    let (other, _) = green(&world, CORE).await;
    world.post(Post::Hold);
    let id = comment(&world.contributor, CORE, number, "/drift-gate help").await;
    eventually("the comment's delivery is there", async || {
        if world.relay.held("issue_comment") > 0 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    let held = world.relay.take();
    let delivery = held.iter().find(|delivery| delivery.event() == "issue_comment").expect("a comment's delivery");
    let mut body: Value = serde_json::from_slice(&delivery.body).expect("JSON");
    // It says that the administrator waives, and elsewhere.
    let admin = world.admin.get("/user").await;
    (body["comment"]["user"], body["sender"]) = (admin.clone(), admin);
    body["comment"]["body"] = "/drift-gate waive as the delivery says".into();
    body["issue"]["number"] = other.into();
    let lie = signed(&world, "issue_comment", &body.to_string()).send().await.expect("an answer");
    assert_eq!(lie.status().as_u16(), 202);
    world.post(Post::Deliver);
    reacted(&world, CORE, id, "+1").await;
    let (_, body) = answered(&world, CORE, number, "| who may |").await;
    assert!(body.contains("`help` by `contributor`"), "{body}");
    world.settled().await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    assert_eq!((log(&world).await, answers(&world, CORE, other).await), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reaction_comes_at_once_and_the_answer_when_the_forge_takes_it() {
    let world = World::in_sync().await;
    let (number, _) = green(&world, CORE).await;
    let path = format!("/issues/{number}/comments");
    world.proxy.refuse_next(Method::POST, &path, 503, 2);
    let id = comment(&world.contributor, CORE, number, "/drift-gate explain").await;
    reacted(&world, CORE, id, "eyes").await;
    answered(&world, CORE, number, "told below").await;
    assert_eq!(world.proxy.count(&Method::POST, &path), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_of_64_kib_is_read_by_its_first_line_and_nothing_unseen_comes_of_it() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    let long = "x\u{202e}@everyone \u{200b}".repeat(4_000);
    let asked = comment(&world.contributor, CORE, number, &format!("/drift-gate explain\n{}", &long[..60_000])).await;
    reacted(&world, CORE, asked, "+1").await;
    let (_, body) = answered(&world, CORE, number, "What not-baked means").await;
    assert!(!body.contains("xx") && !body.contains("@everyone"), "{body}");
    let refused = comment(&world.admin, CORE, number, &format!("/drift-gate waive {}", "x".repeat(60_000))).await;
    reacted(&world, CORE, refused, "confused").await;
    answered(&world, CORE, number, "the line is too long").await;
    // A word that only looks like a command gives none.
    let hidden = comment(&world.admin, CORE, number, "/drift-gate wai\u{200b}ve it").await;
    reacted(&world, CORE, hidden, "confused").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    comment(&world.admin, CORE, number, "/drift-gate waive \u{202e}the\u{2066} release \u{7}now").await;
    let words = world.expect(CORE, &head, "success", "waived by maintainer: the release now").await;
    let (_, body) = answered(&world, CORE, number, "the release now").await;
    let unseen = ['\u{202e}', '\u{2066}', '\u{7}'];
    assert!(!words.contains(unseen) && !body.contains(unseen), "{words}\n{body}");
    assert_eq!(log(&world).await, [("waive".to_owned(), "the release now".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_acts_once_however_often_it_is_delivered() {
    let world = World::in_sync().await;
    let (number, _) = green(&world, CORE).await;
    world.post(Post::Hold);
    let id = comment(&world.contributor, CORE, number, "/drift-gate check").await;
    eventually("the comment's delivery is there", async || {
        if world.relay.held("issue_comment") > 0 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    let held = world.relay.take();
    let delivery = held.iter().find(|delivery| delivery.event() == "issue_comment").expect("a comment's delivery");
    for _ in 0..3 {
        assert_eq!(world.relay.deliver(delivery).await, 202);
    }
    world.post(Post::Deliver);
    reacted(&world, CORE, id, "+1").await;
    answered(&world, CORE, number, "judged afresh").await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, "/reactions"), 2, "eyes at once, then whether it was done");
    assert_eq!(world.proxy.count(&Method::POST, &format!("/issues/{number}/comments")), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_looks_like_a_command_is_let_be_and_an_unknown_one_gets_help_once() {
    let world = World::in_sync().await;
    let (number, _) = green(&world, CORE).await;
    for body in [
        "> /drift-gate check",
        "I would say\n/drift-gate check",
        "```\n/drift-gate check\n```",
        "    /drift-gate check",
    ] {
        comment(&world.contributor, CORE, number, body).await;
    }
    // Our own user is nobody to obey.
    comment(&world.bot, CORE, number, "/drift-gate check").await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, "/reactions"), 0);
    let first = comment(&world.contributor, CORE, number, "/drift-gate dance").await;
    reacted(&world, CORE, first, "confused").await;
    eventually("help is given", async || {
        let all = answers(&world, CORE, number).await;
        match all.iter().find(|(_, body)| body.starts_with(MARK)) {
            Some((_, body)) if body.contains("/drift-gate waive [--gate NAME]") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let second = comment(&world.contributor, CORE, number, "/drift-gate sing").await;
    reacted(&world, CORE, second, "confused").await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, &format!("/issues/{number}/comments")), 1);
    assert_eq!(world.proxy.count(&Method::PATCH, "/comments"), 0, "help is given once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_administrator_waives_is_green_in_words_until_other_findings_come() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    let id = comment(&world.admin, CORE, number, "/drift-gate waive hot fix for @everyone until 3d").await;
    reacted(&world, CORE, id, "+1").await;
    let words = world.expect(CORE, &head, "success", "waived by maintainer until 20").await;
    assert!(words.contains(" UTC: hot fix for @everyone"), "{words}");
    let (_, body) = answered(&world, CORE, number, "waived until").await;
    assert!(body.contains("not-baked mcp\\_servers.yaml"), "the answer says what is covered: {body}");
    assert!(body.contains("the verdict stays what it is") && !body.contains("@everyone"), "{body}");

    // The page, the dashboard and the API know who let what pass.
    let status = world.admin.status(CORE, &head, "drift-gate").await.expect("a status");
    let id = status.2.rsplit('/').next().expect("an id").to_owned();
    let page = reqwest::get(format!("{}/r/{id}", world.gate_url())).await.expect("a page").text().await.expect("text");
    assert!(page.contains("Waived by <b>maintainer</b>") && page.contains("mcp_servers.yaml"), "{page}");
    assert!(page.contains(">drift<"), "the verdict stays what it is: {page}");
    let dashboard = world.dashboard().await;
    assert!(dashboard.contains(">Waived<") && dashboard.contains("hot fix for @everyone"), "{dashboard}");
    assert_eq!(log(&world).await, [("waive".to_owned(), "hot fix for @everyone".to_owned())]);

    // The same findings on a new head: it holds on.
    let readme = world.admin.commit(CORE, "red", &[("README.md", Some("More\n"))]).await;
    world.expect(CORE, &readme, "success", "waived by maintainer").await;
    // Another one: it ends, and stays ended when that goes again.
    let two = without("mcp_servers").replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/config", "#");
    let worse = world.admin.commit(CORE, "red", &[(DOCKERFILE, Some(&two))]).await;
    world.expect(CORE, &worse, "failure", "").await;
    let again = world.admin.commit(CORE, "red", &[(DOCKERFILE, Some(&without("mcp_servers")))]).await;
    world.expect(CORE, &again, "failure", "mcp_servers.yaml").await;
    assert_eq!(log(&world).await[0], ("ended".to_owned(), "other findings came".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_that_nobody_could_have_seen_is_not_waived() {
    let world = World::in_sync().await;
    world.post(Post::Hold);
    let head = world.admin.commit_new(CORE, "main", "red", &[(DOCKERFILE, Some(&without("mcp_servers")))]).await;
    let number = world.admin.open_pull(CORE, "red", "main").await;
    let id = comment(&world.admin, CORE, number, "/drift-gate waive whatever it is").await;
    eventually("the comment's delivery is there", async || {
        if world.relay.held("issue_comment") > 0 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    // It comes before all that it is about.
    let held = world.relay.take();
    let delivery = held.iter().find(|delivery| delivery.event() == "issue_comment").expect("a comment's delivery");
    assert_eq!(world.relay.deliver(delivery).await, 202);
    world.post(Post::Deliver);
    reacted(&world, CORE, id, "confused").await;
    answered(&world, CORE, number, "this head had no verdict yet").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    comment(&world.admin, CORE, number, "/drift-gate waive now I have seen it").await;
    world.expect(CORE, &head, "success", "waived by maintainer: now I have seen it").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiver_ends_at_its_time_without_anybody_doing_anything() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    comment(&world.admin, CORE, number, "/drift-gate waive the release for 6 seconds").await;
    world.expect(CORE, &head, "success", "waived by maintainer until").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    eventually("the log has its end", async || {
        let log = log(&world).await;
        if log[0] == ("ended".to_owned(), "its time is over".to_owned()) { Ok(()) } else { Err(format!("{log:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiver_is_taken_back_and_ends_with_its_pull_request() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    comment(&world.admin, CORE, number, "/drift-gate waive --gate platform-agent-identity hot fix").await;
    world.expect(CORE, &head, "success", "waived by maintainer: hot fix").await;
    comment(&world.admin, CORE, number, "/drift-gate unwaive").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    answered(&world, CORE, number, "taken back").await;
    let id = comment(&world.admin, CORE, number, "/drift-gate waive --gate another hot fix").await;
    reacted(&world, CORE, id, "confused").await;
    answered(&world, CORE, number, "no gate here is called another").await;
    comment(&world.admin, CORE, number, "/drift-gate waive hot fix").await;
    world.expect(CORE, &head, "success", "waived by maintainer: hot fix").await;
    world.admin.call("PATCH", &format!("/repos/{CORE}/pulls/{number}"), json!({ "state": "closed" })).await;
    eventually("the log has its end", async || {
        let log = log(&world).await;
        if log[0].1 == "the pull request is closed" { Ok(()) } else { Err(format!("{log:?}")) }
    })
    .await;
    assert!(!world.dashboard().await.contains(">Waived<"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_a_reader_nor_a_writer_waives_and_the_refusal_says_who_may() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    for right in ["read", "write"] {
        let path = format!("/repos/{CORE}/collaborators/{CONTRIBUTOR}");
        world.admin.call("PUT", &path, json!({ "permission": right })).await;
        for command in ["waive I know better", "unwaive", "rebuild"] {
            let id = comment(&world.contributor, CORE, number, &format!("/drift-gate {command}")).await;
            reacted(&world, CORE, id, "confused").await;
        }
    }
    let (_, body) = answered(&world, CORE, number, "refused: that is for administrators of molecule/core").await;
    assert!(!body.contains("waived by"), "{body}");
    assert_eq!(log(&world).await.iter().filter(|(act, _)| act == "refused").count(), 6);
    world.settled().await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    world
        .admin
        .call("PUT", &format!("/repos/{CORE}/collaborators/{CONTRIBUTOR}"), json!({ "permission": "admin" }))
        .await;
    comment(&world.contributor, CORE, number, "/drift-gate waive I know better").await;
    world.expect(CORE, &head, "success", "waived by contributor: I know better").await;
    // Who loses the right has lost it with the next command.
    let path = format!("/repos/{CORE}/collaborators/{CONTRIBUTOR}");
    world.admin.call("PUT", &path, json!({ "permission": "write" })).await;
    let id = comment(&world.contributor, CORE, number, "/drift-gate unwaive").await;
    reacted(&world, CORE, id, "confused").await;
    world.settled().await;
    world.expect(CORE, &head, "success", "waived by contributor: I know better").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_gate_names_and_who_is_in_a_team_that_it_names_may_waive() {
    let behind = "[gate.commands]\nusers = [\"Nobody\"]\nteams = [\"molecule/leads\", \"molecule/gone\"]\n";
    let world = World::with(Setting { behind, ..Setting::default() }).await;
    let (number, head) = red(&world).await;
    let team = json!({ "name": "leads", "permission": "read", "units_map": { "repo.issues": "read" } });
    let team = world.admin.call("POST", "/orgs/molecule/teams", team).await["id"].as_u64().expect("a team");
    // A name that a search finds as well.
    let other = json!({ "name": "leads-of-others", "permission": "read", "units_map": { "repo.issues": "read" } });
    let other = world.admin.call("POST", "/orgs/molecule/teams", other).await["id"].as_u64().expect("a team");
    world.admin.call("PUT", &format!("/teams/{other}/members/{CONTRIBUTOR}"), Value::Null).await;
    let id = comment(&world.contributor, CORE, number, "/drift-gate waive as a lead").await;
    reacted(&world, CORE, id, "confused").await;
    let words = "administrators of molecule/core, Nobody, the team molecule/leads, the team molecule/gone";
    let (_, body) = answered(&world, CORE, number, words).await;
    assert!(body.contains("user cannot see who is in molecule/leads"), "{body}");
    for user in [BOT, CONTRIBUTOR] {
        world.admin.call("PUT", &format!("/teams/{team}/members/{user}"), Value::Null).await;
    }
    comment(&world.contributor, CORE, number, "/drift-gate waive as a lead").await;
    world.expect(CORE, &head, "success", "waived by contributor: as a lead").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_a_waiver_is_refused_to_a_reader_and_given_by_who_may() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return;
    }
    let behind = "[gate.commands]\nteams = [\"molecule/leads\"]\n";
    let world = World::with(Setting { github: true, behind, ..Setting::default() }).await;
    let (number, head) = red(&world).await;
    let id = comment(&world.contributor, CORE, number, "/drift-gate waive I know better").await;
    reacted(&world, CORE, id, "confused").await;
    let words = "administrators of molecule/core, the team molecule/leads";
    let (answer, body) = answered(&world, CORE, number, words).await;
    assert!(body.contains("user cannot see who is in molecule/leads"), "{body}");
    world.expect(CORE, &head, "failure", "").await;

    comment(&world.admin, CORE, number, "/drift-gate waive hot fix").await;
    world.expect(CORE, &head, "success", "waived by maintainer: hot fix").await;
    comment(&world.admin, CORE, number, "/drift-gate unwaive").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;

    let team = world.admin.call("POST", "/orgs/molecule/teams", json!({ "name": "leads" })).await["id"].clone();
    world.admin.call("PUT", &format!("/teams/{team}/members/{BOT}"), Value::Null).await;
    let id = comment(&world.contributor, CORE, number, "/drift-gate waive as a lead").await;
    reacted(&world, CORE, id, "confused").await;
    world.admin.call("PUT", &format!("/teams/{team}/members/{CONTRIBUTOR}"), Value::Null).await;
    comment(&world.contributor, CORE, number, "/drift-gate waive as a lead").await;
    world.expect(CORE, &head, "success", "waived by contributor: as a lead").await;

    // All the time one comment of ours was written anew, and what we wrote was no command.
    assert_eq!(answered(&world, CORE, number, "as a lead").await.0, answer);
    assert_eq!(world.proxy.count(&Method::POST, &format!("/issues/{number}/comments")), 1);
    assert!(world.proxy.count(&Method::PATCH, "/issues/comments/") >= 1);
    assert_eq!(world.proxy.count(&Method::GET, "/api/v1/"), 0, "in GitHub's dialect");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_that_was_edited_into_a_command_is_none() {
    let usual = Setting::default();
    let options = drift_gate::controller::Options { reconcile: Duration::from_millis(400), ..usual.options };
    let world = World::with(Setting { options, ..usual }).await;
    let (number, head) = red(&world).await;
    let path = format!("/repos/{CORE}/collaborators/{CONTRIBUTOR}");
    world.admin.call("PUT", &path, json!({ "permission": "write" })).await;
    let id = comment(&world.admin, CORE, number, "Looks good to me").await;
    // Forges tell whole seconds: an edit within the first two is not told from none.
    let written = std::time::Instant::now();
    eventually("the comment is older than two seconds", async || {
        if written.elapsed() > Duration::from_millis(2_100) { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    // A writer puts a command into the administrator's mouth; neither the delivery nor the timer obeys.
    let edit = json!({ "body": "/drift-gate waive as the administrator said" });
    world.contributor.call("PATCH", &format!("/repos/{CORE}/issues/comments/{id}"), edit).await;
    let after = comment(&world.contributor, CORE, number, "/drift-gate help").await;
    reacted(&world, CORE, after, "+1").await;
    world.settled().await;
    let rounds = world.metric("drift_gate_forge_calls_total").await;
    eventually("the timer listed comments a few times", async || {
        let now = world.metric("drift_gate_forge_calls_total").await;
        if now > rounds + 20.0 { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
    assert_eq!(reactions(&world, CORE, id).await, Vec::<String>::new());
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_tells_the_report_with_what_its_findings_mean() {
    let world = World::in_sync().await;
    let (number, _) = red(&world).await;
    comment(&world.contributor, CORE, number, "/Drift-Gate   EXPLAIN").await;
    let (_, body) = answered(&world, CORE, number, "What not-baked means").await;
    assert!(body.contains("**not-baked** `mcp_servers.yaml`"), "{body}");
    assert!(body.contains("**What to do.** Add the COPY that the finding shows"), "{body}");
    assert!(body.contains("platform-agent-identity: drift"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_public_pull_request_nothing_is_told_that_only_the_private_template_has() {
    let world = World::with(Setting { private_template: true, ..Setting::default() }).await;
    let head = world.admin.commit_new(CORE, "main", "red", &[(DOCKERFILE, Some("FROM alpine\n"))]).await;
    let number = world.admin.open_pull(CORE, "red", "main").await;
    world.expect(CORE, &head, "failure", "").await;
    comment(&world.contributor, CORE, number, "/drift-gate explain").await;
    answered(&world, CORE, number, "What not-baked means").await;
    comment(&world.admin, CORE, number, "/drift-gate waive hot fix").await;
    world.expect(CORE, &head, "success", "waived by maintainer: hot fix").await;
    let (_, body) = answered(&world, CORE, number, "3 findings \\(not-baked\\)").await;
    assert!(body.contains("a private repository") && body.contains("**not-baked**"), "{body}");
    // What findings mean is told with examples of its own.
    let body = body.split("<details>").next().expect("a part");
    for private in [TEMPLATE, "mcp_servers", "concierge", "config.yaml"] {
        assert!(!body.contains(private) && !body.contains(&private.replace('_', "\\_")), "{private}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_comments_costs_one_evaluation_and_one_answer() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    world.settled().await;
    world.post(Post::Hold);
    let mut last = 0;
    for _ in 0..20 {
        last = comment(&world.contributor, CORE, number, "/drift-gate check").await;
    }
    eventually("all deliveries are there", async || {
        let held = world.relay.held("issue_comment");
        if held == 20 { Ok(()) } else { Err(held.to_string()) }
    })
    .await;
    let before = world.metric("drift_gate_verdicts_total").await;
    let held = world.relay.take();
    let delivering = held.iter().filter(|delivery| delivery.event() == "issue_comment");
    let began = std::time::Instant::now();
    let delivered = futures_util::future::join_all(delivering.map(|delivery| world.relay.deliver(delivery))).await;
    assert!(delivered.iter().all(|status| *status == 202), "{delivered:?}");
    world.post(Post::Deliver);
    reacted(&world, CORE, last, "+1").await;
    answered(&world, CORE, number, "judged afresh").await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    let evaluated = world.metric("drift_gate_verdicts_total").await - before;
    // An answer waits five seconds at most for what comes with it: on a machine that is slow enough there is another.
    let more = began.elapsed().as_secs() / 5;
    assert!(evaluated <= 1.0 + more as f64, "{evaluated} evaluations of one pull request of one gate");
    assert_eq!(world.proxy.count(&Method::POST, &format!("/issues/{number}/comments")), 1);
    assert!(world.proxy.count(&Method::PATCH, "/comments") as u64 <= more);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_a_lost_store_and_a_deletion_leave_one_comment_of_ours() {
    let mut world = World::in_sync().await;
    let (number, _) = red(&world).await;
    // The forge takes the comment, nobody hears its answer.
    world.proxy.lose_next_answer(Method::POST, &format!("/issues/{number}/comments"));
    comment(&world.contributor, CORE, number, "/drift-gate check").await;
    let (first, _) = answered(&world, CORE, number, "judged afresh").await;
    comment(&world.contributor, CORE, number, "/drift-gate explain").await;
    assert_eq!(answered(&world, CORE, number, "told below").await.0, first);
    // Nothing is known any more.
    world.stop().await;
    world.forget();
    world.start().await;
    comment(&world.contributor, CORE, number, "/drift-gate help").await;
    assert_eq!(answered(&world, CORE, number, "| who may |").await.0, first);
    // Somebody deletes it.
    world.admin.call("DELETE", &format!("/repos/{CORE}/issues/comments/{first}"), Value::Null).await;
    comment(&world.contributor, CORE, number, "/drift-gate check").await;
    let (second, _) = answered(&world, CORE, number, "judged afresh").await;
    assert_ne!(second, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_obeyed_where_reactions_are_not_allowed() {
    let world = World::in_sync().await;
    let (number, _) = green(&world, CORE).await;
    world.proxy.refuse("/reactions", 403);
    comment(&world.contributor, CORE, number, "/drift-gate check").await;
    answered(&world, CORE, number, "judged afresh").await;
    world.settled().await;
    assert_eq!(world.proxy.count(&Method::POST, &format!("/issues/{number}/comments")), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_we_may_not_ask_who_administers_only_whom_the_gate_names_waives_and_that_is_said() {
    let behind = "[gate.commands]\nusers = [\"contributor\"]\n";
    let world = World::with(Setting { behind, ..Setting::default() }).await;
    let (number, head) = red(&world).await;
    let path = format!("/repos/{CORE}/collaborators/{BOT}");
    world.admin.call("PUT", &path, json!({ "permission": "write" })).await;
    let id = comment(&world.admin, CORE, number, "/drift-gate waive hot fix").await;
    reacted(&world, CORE, id, "confused").await;
    answered(&world, CORE, number, "told to its administrators only, and drift-gate's user is none").await;
    comment(&world.contributor, CORE, number, "/drift-gate waive hot fix").await;
    world.expect(CORE, &head, "success", "waived by contributor: hot fix").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_comment_with_our_mark_is_not_ours() {
    let world = World::in_sync().await;
    let (number, _) = red(&world).await;
    let theirs = comment(&world.contributor, CORE, number, &format!("{MARK}\nAll is well")).await;
    comment(&world.contributor, CORE, number, "/drift-gate check").await;
    let (ours, _) = answered(&world, CORE, number, "judged afresh").await;
    assert_ne!(ours, theirs);
    let still = world.admin.get(&format!("/repos/{CORE}/issues/comments/{theirs}")).await;
    assert!(still["body"].as_str().expect("a text").contains("All is well"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_not_waived_and_ends_no_waiver() {
    let world = World::in_sync().await;
    let (number, head) = red(&world).await;
    comment(&world.admin, CORE, number, "/drift-gate waive hot fix").await;
    world.expect(CORE, &head, "success", "waived by maintainer").await;
    world.proxy.refuse("molecule/platform-agent-template", 502);
    let readme = world.admin.commit(CORE, "red", &[("README.md", Some("More\n"))]).await;
    world.proxy.mend();
    world.expect(CORE, &readme, "success", "waived by maintainer").await;
    assert_eq!(log(&world).await.len(), 1, "it never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_weakens_cores_own_gate_is_waived_by_its_administrators_only() {
    let world = World::with(Setting { brings: true, ..Setting::default() }).await;
    let softer = world.file("advisory = true");
    let head = world.admin.commit_new(CORE, "main", "soften", &[(FILE, Some(&softer))]).await;
    let number = world.admin.open_pull(CORE, "soften", "main").await;
    world.expect(CORE, &head, "failure", "advisory").await;
    // A repository's own file cannot say who may waive.
    let mine = world.file(&format!("commands = {{ users = [\"{CONTRIBUTOR}\"] }}"));
    let refused = world.admin.commit_new(CORE, "main", "mine", &[(FILE, Some(&mine))]).await;
    world.admin.open_pull(CORE, "mine", "main").await;
    world.expect(CORE, &refused, "failure", "who may waive is not for a repository to say").await;
    let id = comment(&world.contributor, CORE, number, "/drift-gate waive we want that").await;
    reacted(&world, CORE, id, "confused").await;
    comment(&world.admin, CORE, number, "/drift-gate waive we want that").await;
    world.expect(CORE, &head, "success", &format!("waived by {ADMIN}: we want that")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_source_pull_request_a_hostile_name_is_told_and_nothing_of_it_acts() {
    let world = World::in_sync().await;
    let name = "hooks/@everyone <!-- x --> [a](javascript:x)\u{202e}.md";
    let shown = "hooks/@everyone <!-- x --> [a](javascript:x)<U+202E>.md";
    let file = json!({ "operation": "create", "path": name, "content": "aGk=" });
    let body = json!({ "branch": "main", "new_branch": "hooks", "message": "Hooks", "files": [file] });
    let made = world.admin.call("POST", &format!("/repos/{TEMPLATE}/contents"), body).await;
    let head = made["commit"]["sha"].as_str().expect("a commit").to_owned();
    let number = world.admin.open_pull(TEMPLATE, "hooks", "main").await;
    let words = world.expect(TEMPLATE, &head, "failure", "core cannot take it").await;
    assert!(!words.contains('\u{202e}'), "{words}");
    comment(&world.contributor, TEMPLATE, number, "/drift-gate explain").await;
    answered(&world, TEMPLATE, number, "What unlisted means").await;
    comment(&world.admin, TEMPLATE, number, "/drift-gate waive [b](https://evil.example) `@everyone` until 3d").await;
    world.expect(TEMPLATE, &head, "success", "waived by maintainer until").await;
    let (_, body) = answered(&world, TEMPLATE, number, "waived until").await;
    // Neither name nor reason has a run of backticks: what stands between two of them is code.
    let prose: String = body.replace("\\`", "").split('`').step_by(2).collect();
    assert!(prose.contains("everyone") && body.contains(&format!("`{shown}`")), "it is told: {body}");
    for acting in ["@everyone", "<!-- x", "](javascript", "](https://evil", "\u{202e}"] {
        assert!(!prose.contains(acting), "{acting}: {body}");
    }
}
