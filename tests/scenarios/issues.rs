//! Commands in comments on issues that a gate names: about its branches.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use crate::host::eventually;
use crate::ours;
use crate::relay::Post;
use crate::talk::{MARK, answered, answers, comment, log, reacted, reactions, write_over};
use crate::world::{BAKES, CONFIG, CORE, FILE, HERMES, Setting, TEMPLATE, World};

const DOCKERFILE: &str = "workspace-server/Dockerfile.platform-agent";
/// The first issue of each repository.
const NAMED: &str = "issues = [\"molecule/core#1\", \"molecule/platform-agent-template#1\"]\n";

/// A world whose gate names the first issue of both repositories, which are there.
async fn world(setting: Setting) -> World {
    let world = World::with(setting).await;
    for repo in [CORE, TEMPLATE] {
        assert_eq!(open_issue(&world, repo).await, 1, "the first one of a new repository");
    }
    world
}

async fn open_issue(world: &World, repo: &str) -> u64 {
    let issue = json!({ "title": "Drift of the platform agent" });
    world.admin.call("POST", &format!("/repos/{repo}/issues"), issue).await["number"].as_u64().expect("a number")
}

fn named() -> Setting {
    Setting { gate: NAMED, ..Setting::default() }
}

/// The timer looks at everything every moment.
fn impatient(setting: Setting) -> Setting {
    let options = drift_gate::controller::Options { reconcile: Duration::from_millis(400), ..setting.options };
    Setting { options, ..setting }
}

/// Core's main does not bake a file any more.
async fn red_main(world: &World) -> String {
    let broken = BAKES.replace("COPY ${PLATFORM_AGENT_TEMPLATE_DIR}/mcp_servers", "#");
    let head = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some(&broken))]).await;
    world.expect(CORE, &head, "failure", "").await;
    head
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_judges_the_gates_branches_afresh_and_reads_both_statuses_back() {
    let world = world(named()).await;
    for repo in [CORE, TEMPLATE] {
        write_over(&world, CORE, &world.core_head).await;
        write_over(&world, TEMPLATE, &world.template_head).await;
        let before = world.metric("drift_gate_verdicts_total").await;
        let asked = comment(&world.contributor, repo, 1, "/drift-gate check\n\nis it mended?").await;
        reacted(&world, repo, asked, "eyes").await;
        reacted(&world, repo, asked, "+1").await;
        world.expect(CORE, &world.core_head, "success", "in sync").await;
        world.expect(TEMPLATE, &world.template_head, "success", "").await;
        let (_, body) = answered(&world, repo, 1, "judged afresh").await;
        let own = if repo == CORE { &world.core_head } else { &world.template_head };
        assert!(body.starts_with(MARK), "{body}");
        let line = format!("- ✅ `drift-gate` on `main` (`{}`) success: ", &own[..8]);
        assert!(body.contains(&line) && body.contains("([report](http://gate.example.org/r/"), "{body}");
        assert!(world.metric("drift_gate_verdicts_total").await > before, "nothing was judged anew");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_tells_the_report_of_the_branch_and_one_answer_is_edited_in_place() {
    let world = world(named()).await;
    let head = red_main(&world).await;
    comment(&world.contributor, CORE, 1, "/drift-gate explain").await;
    let (first, body) = answered(&world, CORE, 1, "What not-baked means").await;
    assert!(body.contains("**not-baked** `mcp_servers.yaml`"), "{body}");
    assert!(body.contains(&format!("- ❌ `drift-gate` on `main` (`{}`) failure: ", &head[..8])), "{body}");
    assert!(body.contains("platform-agent-identity: drift"), "{body}");
    comment(&world.contributor, CORE, 1, "/drift-gate help").await;
    let (second, body) = answered(&world, CORE, 1, "| who may |").await;
    assert_eq!(second, first);
    assert!(body.contains("/drift-gate rebuild") && !body.contains("/drift-gate waive"), "{body}");
    // The template's issue tells the same from the other side.
    comment(&world.contributor, TEMPLATE, 1, "/drift-gate explain").await;
    let (_, body) = answered(&world, TEMPLATE, 1, "What not-baked means").await;
    assert!(body.contains(&format!("on `main` (`{}`) failure: ", &world.template_head[..8])), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_is_not_waived_and_the_answer_says_what_is_to_be_done_instead() {
    let world = world(named()).await;
    let head = red_main(&world).await;
    for command in ["waive the release until 3d", "waive", "waive x until friday", "unwaive"] {
        let asked = comment(&world.admin, CORE, 1, &format!("/drift-gate {command}")).await;
        reacted(&world, CORE, asked, "confused").await;
    }
    let (_, body) = answered(&world, CORE, 1, "a branch is not waived, it is mended").await;
    assert!(body.contains("say it on the pull request that is held up") && body.contains("grace"), "{body}");
    world.settled().await;
    world.expect(CORE, &head, "failure", "mcp_servers.yaml").await;
    assert_eq!(log(&world).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_issue_that_no_gate_names_nothing_is_said_and_nothing_is_read() {
    let world = world(impatient(Setting { gate: "issues = [\"molecule/core#1\"]\n", ..Setting::default() })).await;
    let other = open_issue(&world, CORE).await;
    let mut asked = Vec::new();
    for (repo, number) in [(CORE, other), (TEMPLATE, 1)] {
        for command in ["check", "help", "dance", "waive it for 3d"] {
            asked.push((repo, comment(&world.admin, repo, number, &format!("/drift-gate {command}")).await));
        }
    }
    // What is said after them where it counts is heard, by the timer as well.
    world.post(Post::Drop);
    let heard = comment(&world.admin, CORE, 1, "/drift-gate check").await;
    reacted(&world, CORE, heard, "+1").await;
    for (repo, id) in asked {
        assert_eq!(reactions(&world, repo, id).await, Vec::<String>::new());
        assert_eq!(world.proxy.count(&Method::GET, &format!("/{repo}/issues/comments/{id}")), 0);
    }
    for (repo, number) in [(CORE, other), (TEMPLATE, 1)] {
        assert_eq!(answers(&world, repo, number).await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_on_an_issue_acts_once_whether_delivered_thrice_or_found_by_the_timer() {
    let world = world(impatient(named())).await;
    world.post(Post::Hold);
    let asked = comment(&world.contributor, CORE, 1, "/drift-gate check").await;
    eventually("its delivery is there", async || {
        if world.relay.held("issue_comment") > 0 { Ok(()) } else { Err("none".to_owned()) }
    })
    .await;
    // No delivery brought it: the timer found it.
    reacted(&world, CORE, asked, "+1").await;
    answered(&world, CORE, 1, "judged afresh").await;
    let held = world.relay.take();
    let delivery = held.iter().find(|delivery| delivery.event() == "issue_comment").expect("a comment's delivery");
    for _ in 0..3 {
        assert_eq!(world.relay.deliver(delivery).await, 202);
    }
    world.post(Post::Deliver);
    world.settled().await;
    assert_eq!(
        world.proxy.count(&Method::POST, &format!("/comments/{asked}/reactions")),
        2,
        "eyes, and that it was done"
    );
    assert_eq!(world.proxy.count(&Method::POST, "/issues/1/comments"), 1);
    assert!(world.metric("drift_gate_missed_total").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuild_opens_the_repair_before_its_time_for_those_who_may() {
    let gate = "issues = [\"molecule/core#1\"]\n[[gate.repair]]\nkind = \"pin\"\nafter = \"1d\"\n";
    let world = world(Setting { gate, behind: "[gate.commands]\nusers = [\"Nobody\"]\n", ..Setting::default() }).await;
    let opened = async || ours::of_bot(&world, CORE, "open").await.len();
    world.push_template(&[("config.yaml", Some(&format!("{CONFIG}model: opus\n")))]).await;
    world.expect(CORE, &world.core_head, "failure", "config.yaml").await;
    let refused = comment(&world.contributor, CORE, 1, "/drift-gate rebuild").await;
    reacted(&world, CORE, refused, "confused").await;
    answered(&world, CORE, 1, "refused: that is for administrators of molecule/core, Nobody").await;
    assert_eq!((opened().await, log(&world).await[0].0.as_str()), (0, "refused"));
    let asked = comment(&world.admin, CORE, 1, "/drift-gate rebuild").await;
    reacted(&world, CORE, asked, "+1").await;
    eventually("the repair is open", async || if opened().await == 1 { Ok(()) } else { Err("none".to_owned()) }).await;
    answered(&world, CORE, 1, "is opened or brought up to date").await;
    assert_eq!(log(&world).await[0].0, "rebuild");
}

/// A second gate of core, which names the same issue.
fn hermes() -> String {
    HERMES.replace("[[gate.check]]", "issues = [\"molecule/core#1\"]\n[[gate.check]]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_that_name_one_issue_are_told_in_one_answer_and_others_are_not() {
    let both = format!("{}{}", hermes(), HERMES.replace("hermes", "apollo"));
    let behind: &'static str = both.leak();
    let mut world = World::before_the_first_look(Setting { behind, ..named() }).await;
    for (name, file) in [("hermes", "hermes.yaml"), ("apollo", "apollo.yaml")] {
        world.make_repository(name).await;
        world.admin.commit(&format!("molecule/{name}"), "main", &[(file, Some("name: x\n"))]).await;
    }
    open_issue(&world, CORE).await;
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "in sync").await;
    comment(&world.contributor, CORE, 1, "/drift-gate explain").await;
    let (_, body) = answered(&world, CORE, 1, "What copy-missing means").await;
    let at = format!("on `main` (`{}`)", &world.core_head[..8]);
    assert!(body.contains(&format!("- ✅ `drift-gate` {at} success")), "{body}");
    assert!(body.contains(&format!("- ❌ `drift-gate/hermes` {at} failure")), "{body}");
    assert!(body.contains("### ✅ platform-agent-identity") && body.contains("### ❌ hermes"), "{body}");
    assert!(!body.contains("apollo"), "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_does_not_have_a_whole_fleet_read_again() {
    let names: Vec<String> = (0..17).map(|number| format!("fleet-{number}")).collect();
    let behind: String = names.iter().map(|name| hermes().replace("hermes", name)).collect();
    let mut world = World::before_the_first_look(Setting { behind: behind.leak(), ..named() }).await;
    for name in &names {
        world.make_repository(name).await;
        world.admin.commit(&format!("molecule/{name}"), "main", &[(&format!("{name}.yaml"), Some("name: x\n"))]).await;
    }
    open_issue(&world, CORE).await;
    world.start().await;
    world.expect(CORE, &world.core_head, "success", "in sync").await;
    eventually("all statuses stand", async || {
        let told = world.told("/status").await;
        let left = (&told["dirty"]["count"], &told["unsent"]["count"], &told["leased"]["count"]);
        if left == (&json!(0), &json!(0), &json!(0)) { Ok(()) } else { Err(told.to_string()) }
    })
    .await;
    let before = world.proxy.count(&Method::GET, "/repos/molecule/fleet-");
    let judged = world.metric("drift_gate_verdicts_total").await;
    let asked = comment(&world.contributor, CORE, 1, "/drift-gate check").await;
    reacted(&world, CORE, asked, "+1").await;
    answered(&world, CORE, 1, "judged afresh").await;
    world.idle().await;
    assert!(world.metric("drift_gate_verdicts_total").await > judged, "nothing was judged anew");
    assert_eq!(world.proxy.count(&Method::GET, "/repos/molecule/fleet-"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_public_issue_nothing_is_told_that_only_the_private_template_has() {
    let world = world(Setting { private_template: true, ..named() }).await;
    let head = world.admin.commit(CORE, "main", &[(DOCKERFILE, Some("FROM alpine\n"))]).await;
    world.expect(CORE, &head, "failure", "").await;
    comment(&world.contributor, CORE, 1, "/drift-gate explain").await;
    let (_, body) = answered(&world, CORE, 1, "What not-baked means").await;
    assert!(body.contains("a private repository") && body.contains("**not-baked**"), "{body}");
    // What findings mean is told with examples of its own.
    let body = body.split("<details>").next().expect("a part");
    for private in [TEMPLATE, "mcp_servers", "concierge", "config.yaml"] {
        assert!(!body.contains(private) && !body.contains(&private.replace('_', "\\_")), "{private}: {body}");
    }
    // On its own issue the template is told of as it is.
    comment(&world.admin, TEMPLATE, 1, "/drift-gate explain").await;
    answered(&world, TEMPLATE, 1, "**not-baked** `mcp_servers.yaml`").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cores_own_file_names_an_issue_of_core_once_it_is_merged() {
    let world = world(Setting { brings: true, ..Setting::default() }).await;
    let file = world.file("issues = [\"molecule/core#1\"]");
    let head = world.admin.commit_new(CORE, "main", "issue", &[(FILE, Some(&file))]).await;
    let number = world.admin.open_pull(CORE, "issue", "main").await;
    world.expect(CORE, &head, "success", "in sync").await;
    let early = comment(&world.contributor, CORE, 1, "/drift-gate check").await;
    world.settled().await;
    assert_eq!(reactions(&world, CORE, early).await, Vec::<String>::new(), "a pull request makes no such place");
    world.admin.merge(CORE, number).await;
    let merged = world.admin.head(CORE, "main").await;
    world.expect(CORE, &merged, "success", "in sync").await;
    let asked = comment(&world.contributor, CORE, 1, "/drift-gate check").await;
    reacted(&world, CORE, asked, "+1").await;
    // It cannot name one of the template.
    let theirs = world.file("issues = [\"molecule/platform-agent-template#1\"]");
    let head = world.admin.commit_new(CORE, "main", "theirs", &[(FILE, Some(&theirs))]).await;
    world.admin.open_pull(CORE, "theirs", "main").await;
    world.expect(CORE, &head, "failure", "an issue of the source is not for a repository to name").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_and_a_lost_store_leave_one_comment_of_ours_on_the_issue() {
    let mut world = world(named()).await;
    world.proxy.lose_next_answer(Method::POST, "/issues/1/comments");
    comment(&world.contributor, CORE, 1, "/drift-gate check").await;
    let (first, _) = answered(&world, CORE, 1, "judged afresh").await;
    world.stop().await;
    world.forget();
    world.start().await;
    comment(&world.contributor, CORE, 1, "/drift-gate help").await;
    assert_eq!(answered(&world, CORE, 1, "| who may |").await.0, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_github_an_issue_is_answered_as_well() {
    if std::env::var_os("DRIFT_GATE_FORGE_BIN").is_some() {
        return;
    }
    let world = world(Setting { github: true, ..named() }).await;
    let head = red_main(&world).await;
    let asked = comment(&world.contributor, CORE, 1, "/drift-gate explain").await;
    reacted(&world, CORE, asked, "+1").await;
    let (first, body) = answered(&world, CORE, 1, "What not-baked means").await;
    assert!(body.contains(&head[..8]), "{body}");
    for (by, with) in [(&world.contributor, "confused"), (&world.admin, "+1")] {
        let asked = comment(by, CORE, 1, "/drift-gate rebuild").await;
        reacted(&world, CORE, asked, with).await;
    }
    // No answer is known any more: it is found among the issue's comments.
    let (again, _) = answered(&world, CORE, 1, "no gate here has a").await;
    assert_eq!(again, first);
    let asked = comment(&world.admin, CORE, open_issue(&world, CORE).await, "/drift-gate check").await;
    world.settled().await;
    assert_eq!(reactions(&world, CORE, asked).await, Vec::<String>::new());
}
