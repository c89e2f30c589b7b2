//! Gitea as it was recorded (1.26), and what older and newer ones and Forgejo do otherwise.

use drift_gate::forge::gitea::Gitea;
use drift_gate::forge::{Forge, ForgeError, RepoName, State, Status};
use drift_gate::tree::ObjectId;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::server::{Reply, Server, TOKEN, patient_client, recorded_reply, recording};

const HEAD: &str = "ac88dbea3816475debc1118a30b3bd327a2c757d";

fn gitea_at(url: &str) -> std::sync::Arc<Gitea> {
    Gitea::new("main", url, Some(TOKEN.to_owned().into()), patient_client()).unwrap()
}

async fn gitea(names: &[&str]) -> (Server, std::sync::Arc<Gitea>) {
    let server = Server::replay(names).await;
    let forge = gitea_at(&server.url);
    (server, forge)
}

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

fn sha(digits: &str) -> ObjectId {
    ObjectId::parse(digits).unwrap()
}

fn success(description: &str) -> Status {
    Status::new("drift-gate", State::Success, description, "https://gate.example.org/r/1")
}

/// An open pull request as the list has it.
fn listed(number: u64) -> Value {
    let mut pull = recording("pull-list")["response"]["body"][0].clone();
    pull["number"] = json!(number);
    pull
}

/// `page` and `limit` of a request.
fn page_of(path: &str) -> (usize, usize) {
    let query = |key: &str| {
        path.split(['?', '&']).find_map(|pair| pair.strip_prefix(key)).and_then(|value| value.parse().ok()).unwrap()
    };
    (query("page="), query("limit="))
}

#[tokio::test]
async fn the_token_says_who_we_are() {
    let (server, forge) = gitea(&["user"]).await;
    let user = forge.whoami().await.unwrap();
    assert_eq!((user.id, user.login.as_str()), (4, "drift-gate-bot"));
    let asked = &server.seen()[0];
    assert_eq!(asked.headers["authorization"], format!("token {TOKEN}"));
    let agents: Vec<_> = asked.headers.get_all("user-agent").iter().collect();
    assert_eq!(agents, [concat!("drift-gate/", env!("CARGO_PKG_VERSION"))]);
    assert_eq!(asked.headers["accept"], "application/json");
}

#[tokio::test]
async fn a_repository_is_described_as_it_is_now() {
    let (_server, forge) = gitea(&["repo-get"]).await;
    let core_now = forge.repository(&core()).await.unwrap();
    assert_eq!((core_now.id, core_now.name, core_now.default_branch.as_str()), (1, core(), "main"));
    assert!(core_now.can_write && !core_now.private && !core_now.archived);
}

#[tokio::test]
async fn a_repository_that_only_some_can_see_is_private_however_gitea_says_it() {
    for (key, value) in
        [("private", json!(true)), ("internal", json!(true)), ("owner", json!({"visibility": "limited"}))]
    {
        let server = Server::start(move |_| {
            let mut body = recording("repo-get")["response"]["body"].clone();
            body[key] = value.clone();
            Reply::json(200, &body)
        })
        .await;
        assert!(gitea_at(&server.url).repository(&core()).await.unwrap().private, "{key}");
    }
}

#[tokio::test]
async fn a_repository_without_permissions_in_the_answer_cannot_be_written() {
    let server = Server::start(|_| Reply::json(200, &json!({"id": 1, "full_name": "molecule/core"}))).await;
    assert!(!gitea_at(&server.url).repository(&core()).await.unwrap().can_write);
}

#[tokio::test]
async fn a_renamed_repository_is_moved_for_reads_and_writes_and_found_by_its_id() {
    let (server, forge) = gitea(&["renamed-get-301", "renamed-status-post", "repo-by-id"]).await;
    let old = RepoName("molecule/platform-agent-template".to_owned());
    let read = forge.repository(&old).await.unwrap_err();
    assert!(matches!(read, ForgeError::Moved { .. }), "{read}");
    let head = sha("225c3303cae91c0f712b34dbfec2f5ccf4e90529");
    let write = forge.post_status(&old, &head, &success("")).await.unwrap_err();
    assert!(matches!(write, ForgeError::Moved { .. }), "{write}");
    assert_eq!(server.seen().len(), 2, "no redirect is followed");
    assert_eq!(forge.repository_by_id(2).await.unwrap().name.0, "molecule/template-renamed");
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_not_found_and_the_error_names_the_address() {
    let (server, forge) = gitea(&["repo-404"]).await;
    let error = forge.repository(&RepoName("molecule/nothing".to_owned())).await.unwrap_err();
    assert!(matches!(error, ForgeError::NotFound { .. }));
    assert_eq!(error.to_string(), format!("GET {}/api/v1/repos/molecule/nothing: not found", server.url));
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_never_asked_for() {
    let (server, forge) = gitea(&[]).await;
    for name in ["../admin", "molecule/..", "molecule", "molecule/core/hooks", "a/b?x=y"] {
        let error = forge.repository(&RepoName(name.to_owned())).await.unwrap_err();
        assert!(matches!(error, ForgeError::NotFound { .. }), "{name}: {error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_open_pull_requests_are_listed() {
    let (server, forge) = gitea(&["pull-list", "pull-list-page-2"]).await;
    let pulls = forge.open_pulls(&core()).await.unwrap();
    assert_eq!(pulls.len(), 1);
    let pull = &pulls[0];
    assert_eq!((pull.number, pull.title.as_str()), (1, "Bump the template"));
    assert_eq!((pull.head_ref.as_str(), pull.base_ref.as_str()), ("topic", "main"));
    assert_eq!(pull.head_repo, Some(core()));
    assert!(pull.open && !pull.merged && !pull.draft);
    assert_eq!(pull.author, "drift-gate-bot");
    assert_eq!(server.seen().len(), 1, "the total was reached: no second page is asked for");
}

#[tokio::test]
async fn pull_requests_of_many_pages_are_all_listed_by_counting_pages() {
    let server = Server::start(|asked| {
        let (page, limit) = page_of(&asked.path);
        let mut items: Vec<Value> = (1..=70).skip((page - 1) * limit).take(limit).map(listed).collect();
        if page == 1 {
            items[3] = Value::Null;
        }
        Reply::json(200, &json!(items))
            .with("x-total-count", 70)
            .with("link", "<https://elsewhere.example/api/v1/x?page=2>; rel=\"next\"")
    })
    .await;
    let numbers: Vec<u64> = gitea_at(&server.url).open_pulls(&core()).await.unwrap().iter().map(|p| p.number).collect();
    let expected: Vec<u64> = (1..=70).filter(|number| *number != 4).collect();
    assert_eq!(numbers, expected, "a null in the list is passed over");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_server_with_smaller_pages_than_asked_for_loses_nothing() {
    let server = Server::start(|asked| {
        let (page, _) = page_of(&asked.path);
        let items: Vec<Value> = (1..=45).skip((page - 1) * 20).take(20).map(listed).collect();
        Reply::json(200, &json!(items)).with("x-total-count", 45)
    })
    .await;
    assert_eq!(gitea_at(&server.url).open_pulls(&core()).await.unwrap().len(), 45);
}

#[tokio::test]
async fn a_list_that_never_ends_is_given_up() {
    let server = Server::start(|_| Reply::json(200, &json!([listed(1)])).with("x-total-count", 1_000_000)).await;
    let error = gitea_at(&server.url).open_pulls(&core()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
    assert_eq!(server.seen().len(), 200);
}

#[tokio::test]
async fn what_was_not_asked_for_is_filtered_out_and_one_bad_item_does_not_hide_the_others() {
    let server = Server::start(|_| {
        let mut closed = listed(2);
        closed["state"] = json!("closed");
        let mut headless = listed(3);
        headless["head"]["sha"] = json!("");
        Reply::json(200, &json!([listed(5), closed, headless, listed(1), listed(5)]))
    })
    .await;
    let numbers: Vec<u64> = gitea_at(&server.url).open_pulls(&core()).await.unwrap().iter().map(|p| p.number).collect();
    assert_eq!(numbers, [1, 5]);
}

#[tokio::test]
async fn an_empty_list_may_be_null() {
    let server = Server::start(|_| Reply::json(200, &Value::Null)).await;
    assert!(gitea_at(&server.url).open_pulls(&core()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_pull_request_whose_fork_is_gone_has_no_head_repository() {
    let (_server, forge) = gitea(&["pull-get", "pull-get-fork-gone", "pull-404"]).await;
    let here = forge.pull(&core(), 1).await.unwrap();
    assert_eq!((here.head_repo, here.open), (Some(core()), true));
    let gone = forge.pull(&core(), 5).await.unwrap();
    assert_eq!((gone.head_repo, gone.open, gone.merged), (None, false, false));
    assert_eq!(gone.head_ref, "refs/pull/5/head");
    assert_eq!(gone.head_sha, sha("198321b8c92da5abcba8ba6a47fc914bded63347"));
    let missing = forge.pull(&core(), 999).await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound { .. }));
}

#[tokio::test]
async fn of_several_statuses_in_one_second_the_highest_id_is_the_newest() {
    let (_server, forge) = gitea(&["status-list"]).await;
    let newest = forge.status(&core(), &sha(HEAD), "drift-gate").await.unwrap().unwrap();
    assert_eq!((newest.state.as_str(), newest.creator.as_str()), ("failure", "drift-gate-bot"));
    let odd = forge.status(&core(), &sha(HEAD), "other").await.unwrap().unwrap();
    assert_eq!(odd.state, "nonsense", "others may post words that we never would");
    assert_eq!(forge.status(&core(), &sha(HEAD), "Drift-Gate").await.unwrap(), None, "case counts on Gitea");
}

#[tokio::test]
async fn the_newest_status_is_found_on_whichever_page_it_is() {
    let server = Server::start(|asked| {
        let (page, limit) = page_of(&asked.path);
        let row = |id: usize| {
            let state = if id == 77 { "failure" } else { "success" };
            let context = if id > 77 { "ci" } else { "drift-gate" };
            json!({"id": id, "status": state, "context": context, "creator": null})
        };
        let rows: Vec<Value> = (1..=90).skip((page - 1) * limit).take(limit).map(row).collect();
        Reply::json(200, &json!(rows)).with("x-total-count", 90)
    })
    .await;
    let newest = gitea_at(&server.url).status(&core(), &sha(HEAD), "drift-gate").await.unwrap().unwrap();
    assert_eq!(newest.state, "failure");
}

#[tokio::test]
async fn the_newest_status_is_not_lost_between_two_pages_that_are_sorted_by_the_second() {
    let server = Server::start(|asked| {
        let (page, limit) = page_of(&asked.path);
        let row = |id: usize| {
            let state = if id == 120 { "failure" } else { "success" };
            json!({"id": id, "status": state, "context": "drift-gate", "creator": null})
        };
        // All in one second: without an order by number row 70 is told twice, and the newest never.
        let ids: Vec<usize> = match asked.path.contains("sort=leastindex") {
            true => (1..=120).rev().collect(),
            false => (1..=70).chain(70..=119).collect(),
        };
        let rows: Vec<Value> = ids.into_iter().skip((page - 1) * limit).take(limit).map(row).collect();
        Reply::json(200, &json!(rows)).with("x-total-count", 120)
    })
    .await;
    let newest = gitea_at(&server.url).status(&core(), &sha(HEAD), "drift-gate").await.unwrap().unwrap();
    assert_eq!(newest.state, "failure");
    assert_eq!(server.seen().len(), 1, "the first page says it");
}

#[tokio::test]
async fn a_status_is_posted_in_each_of_the_four_states() {
    let (server, forge) =
        gitea(&["status-post-pending", "status-post-success", "status-post-failure", "status-post-error"]).await;
    for state in [State::Pending, State::Success, State::Failure, State::Error] {
        let word = state.as_str();
        let status = Status::new("drift-gate", state, &format!("a {word} status"), "https://gate.example.org/r/1");
        forge.post_status(&core(), &sha(HEAD), &status).await.unwrap();
        let sent = server.seen().pop().unwrap();
        let expected = json!({"state": word, "context": "drift-gate", "description": format!("a {word} status"),
            "target_url": "https://gate.example.org/r/1"});
        assert_eq!(sent.body, expected);
        assert_eq!(sent.path, format!("/api/v1/repos/molecule/core/statuses/{HEAD}"));
    }
}

#[tokio::test]
async fn a_description_put_together_by_hand_is_cut_on_its_way() {
    let server = Server::start(|_| recorded_reply(&recording("status-post-success")["response"])).await;
    let mut status = success("");
    status.description = "long\n".repeat(100);
    gitea_at(&server.url).post_status(&core(), &sha(HEAD), &status).await.unwrap();
    let sent = server.seen()[0].body["description"].as_str().unwrap().to_owned();
    assert_eq!(sent.chars().count(), 140);
    assert!(!sent.contains('\n'));
}

#[tokio::test]
async fn a_token_without_the_right_is_denied_in_the_forges_own_words() {
    for (name, words) in [
        ("status-post-401", "401 invalid username, password or token"),
        ("status-post-403-reader", "403 user should have a permission to write to a repo"),
        ("status-post-403-scope", "403 token does not have at least one of required scope(s)"),
    ] {
        let (_server, forge) = gitea(&[name]).await;
        let error = forge.post_status(&core(), &sha(HEAD), &success("")).await.unwrap_err();
        assert!(matches!(error, ForgeError::Denied { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_500_for_a_commit_that_the_forge_does_not_have_is_an_unknown_commit() {
    let unknown = sha(&"1".repeat(40));
    let (server, forge) = gitea(&["status-post-unknown-sha", "commit-get-404"]).await;
    let error = forge.post_status(&core(), &unknown, &success("")).await.unwrap_err();
    assert!(matches!(&error, ForgeError::UnknownCommit { sha, .. } if *sha == unknown), "{error}");
    assert!(error.is_transient(), "it may come");
    let methods: Vec<_> = server.seen().iter().map(|seen| seen.method.clone()).collect();
    assert_eq!(methods, ["POST", "GET"], "posted once, then asked for the commit");
}

#[tokio::test]
async fn a_500_for_a_commit_that_the_forge_has_passes() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "POST" => Reply::json(500, &json!({"message": "", "url": "https://git.example.org/api/swagger"})),
        _ => recorded_reply(&recording("commit-get")["response"]),
    })
    .await;
    let error = gitea_at(&server.url).post_status(&core(), &sha(HEAD), &success("")).await.unwrap_err();
    assert!(matches!(error, ForgeError::Transient { .. }), "{error}");
    assert!(error.to_string().ends_with("500 Internal Server Error"), "{error}");
}

#[tokio::test]
async fn a_404_of_newer_forgejo_is_about_the_commit_while_the_repository_is_there() {
    let unknown = sha(&"1".repeat(40));
    let server = Server::start(|asked| match asked.path.as_str() {
        "/api/v1/repos/molecule/core" => recorded_reply(&recording("repo-get")["response"]),
        _ => Reply::json(404, &json!({"message": "not found"})),
    })
    .await;
    let forge = gitea_at(&server.url);
    let post = forge.post_status(&core(), &unknown, &success("")).await.unwrap_err();
    assert!(matches!(post, ForgeError::UnknownCommit { .. }), "{post}");
    let read = forge.status(&core(), &unknown, "drift-gate").await.unwrap_err();
    assert!(matches!(read, ForgeError::UnknownCommit { .. }), "{read}");
    let gone = RepoName("molecule/gone".to_owned());
    let missing = forge.post_status(&gone, &unknown, &success("")).await.unwrap_err();
    assert!(matches!(missing, ForgeError::NotFound { .. }), "{missing}");
}

#[tokio::test]
async fn a_comment_is_read_with_its_author_and_the_pull_request_it_stands_on() {
    let server = Server::start(|_| Reply::json(200, &recording("comment-create")["response"]["body"])).await;
    let comment = gitea_at(&server.url).comment(&core(), 7).await.unwrap();
    assert_eq!((comment.id, comment.issue), (7, 1));
    assert_eq!((comment.author.as_str(), comment.author_id), ("maintainer", 2));
    assert_eq!(comment.body, "/drift-gate check");
    assert_eq!(comment.created_at, comment.updated_at, "never edited");
    assert_eq!(server.seen()[0].path, "/api/v1/repos/molecule/core/issues/comments/7");
}

#[tokio::test]
async fn a_comment_on_an_issue_is_known_by_its_other_address_and_an_event_is_no_comment() {
    let server = Server::start(|asked| match asked.path.ends_with("/8") {
        true => Reply { status: 204, headers: Vec::new(), body: String::new() },
        false => Reply::json(
            200,
            &json!({"id": 9, "body": "x", "pull_request_url": "", "user": {"id": -1, "login": "Ghost"},
                "issue_url": "https://git.example.org/molecule/core/issues/2"}),
        ),
    })
    .await;
    let forge = gitea_at(&server.url);
    let comment = forge.comment(&core(), 9).await.unwrap();
    assert_eq!((comment.issue, comment.author_id), (2, 0));
    assert!(matches!(forge.comment(&core(), 8).await, Err(ForgeError::NotFound { .. })));
}

#[tokio::test]
async fn reacting_twice_is_reacting_once_and_a_reaction_that_is_not_allowed_is_denied() {
    for name in ["reaction-create", "reaction-create-again"] {
        let (server, forge) = gitea(&[name]).await;
        forge.react(&core(), 7, "eyes").await.unwrap();
        assert_eq!(server.seen()[0].body, json!({"content": "eyes"}));
    }
    let (_server, forge) = gitea(&["reaction-create-403"]).await;
    let error = forge.react(&core(), 7, "nonsense").await.unwrap_err();
    assert!(matches!(&error, ForgeError::Denied { status: 403, .. }), "{error}");
    assert!(error.to_string().contains("'nonsense' is not an allowed reaction"), "{error}");
}

#[tokio::test]
async fn a_forge_below_a_path_is_asked_below_that_path() {
    let server = Server::start(|_| recorded_reply(&recording("repo-get")["response"])).await;
    for base in ["/gitea", "/gitea/", "/repos", "/a/b"] {
        let forge = gitea_at(&format!("{}{base}", server.url));
        forge.repository(&RepoName("api/v1".to_owned())).await.unwrap();
        let base = base.trim_end_matches('/');
        assert_eq!(server.seen().pop().unwrap().path, format!("{base}/api/v1/repos/api/v1"));
        assert_eq!(forge.git_url(&core()), format!("{}{base}/molecule/core.git", server.url));
    }
}

#[tokio::test]
async fn people_are_sent_to_pages_of_the_configured_address() {
    let forge = gitea_at("https://git.example.org/gitea");
    let root = "https://git.example.org/gitea/molecule/core";
    assert_eq!(forge.git_url(&core()), format!("{root}.git"));
    assert_eq!(forge.commit_page(&core(), &sha(HEAD)), format!("{root}/commit/{HEAD}"));
    assert_eq!(forge.pull_page(&core(), 12), format!("{root}/pulls/12"));
    assert_eq!(
        forge.file_page(&core(), &sha(HEAD), "prompts/a b#1?.md", Some(7)),
        format!("{root}/src/commit/{HEAD}/prompts/a%20b%231%3F.md#L7")
    );
    assert_eq!(
        forge.file_page(&core(), &sha(HEAD), "Dockerfile", None),
        format!("{root}/src/commit/{HEAD}/Dockerfile")
    );
}

#[tokio::test]
async fn git_gets_the_token_as_a_password() {
    let forge = gitea_at("https://git.example.org");
    let header = forge.git_authorization(&core()).await.unwrap().unwrap();
    // base64 of drift-gate:s3cret-token-of-the-test
    assert_eq!(header.expose_secret(), "Basic ZHJpZnQtZ2F0ZTpzM2NyZXQtdG9rZW4tb2YtdGhlLXRlc3Q=");
    let anonymous = Gitea::new("main", "https://git.example.org", None, patient_client()).unwrap();
    assert!(anonymous.git_authorization(&core()).await.unwrap().is_none());
}
