//! Commits, branches and pull requests in both dialects: what is sent, and what each refusal is told as.

use std::sync::Arc;

use drift_gate::forge::gitea::Gitea;
use drift_gate::forge::github::GitHub;
use drift_gate::forge::pulls::{Dispatch, FileChange, Find, NewCommit, NewPull, Onto, PullEdit};
use drift_gate::forge::{Forge, ForgeError, RepoName, Unwritten};
use drift_gate::tree::ObjectId;
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server, TOKEN, patient_client, recorded_reply, recording};

fn core() -> RepoName {
    RepoName("molecule/core".to_owned())
}

fn sha(digit: char) -> ObjectId {
    ObjectId::parse(&digit.to_string().repeat(40)).unwrap()
}

async fn gitea(answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> (Server, Arc<dyn Forge>) {
    let server = Server::start(answer).await;
    let forge = Gitea::new("main", &server.url, Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    (server, forge)
}

async fn github(answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> (Server, Arc<dyn Forge>) {
    let server = Server::start(answer).await;
    let forge = GitHub::new("hub", &server.url, Some(TOKEN.to_owned().into()), patient_client()).unwrap();
    (server, forge)
}

async fn recorded(name: &'static str) -> (Server, Arc<dyn Forge>) {
    gitea(move |_| recorded_reply(&recording(name)["response"])).await
}

fn files() -> Vec<FileChange> {
    let file = |path: &str, content: Option<&str>, was: Option<char>| FileChange {
        path: path.to_owned(),
        content: content.map(|content| content.as_bytes().to_vec()),
        executable: false,
        was: was.map(sha),
    };
    vec![
        file("manifest.json", Some("{}\n"), Some('e')),
        file("new.txt", Some("new\n"), None),
        file("old.txt", None, Some('d')),
    ]
}

async fn commit(forge: &Arc<dyn Forge>, onto: Onto<'_>, files: &[FileChange]) -> Result<ObjectId, ForgeError> {
    let commit = NewCommit { onto, parent: &sha('a'), message: "Adopt 2bb9e7ed", files };
    forge.commit(&core(), &commit).await
}

const NEW: Onto<'static> = Onto::New { branch: "drift-gate/identity/2bb9e7ed", from: "main" };

#[tokio::test]
async fn gitea_makes_one_commit_of_all_files_on_a_new_branch() {
    let (server, forge) = recorded("contents-change-new-branch").await;
    let made = commit(&forge, NEW, &files()).await.unwrap();
    assert_eq!(made.as_str(), recording("contents-change-new-branch")["response"]["body"]["commit"]["sha"]);
    let sent = &server.seen()[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/api/v1/repos/molecule/core/contents"));
    let expected = json!({
        "branch": "main", "new_branch": "drift-gate/identity/2bb9e7ed", "message": "Adopt 2bb9e7ed",
        "files": [
            { "operation": "update", "path": "manifest.json", "content": "e30K", "sha": "e".repeat(40) },
            { "operation": "create", "path": "new.txt", "content": "bmV3Cg==" },
            { "operation": "delete", "path": "old.txt", "sha": "d".repeat(40) },
        ],
    });
    assert_eq!(sent.body, expected);
}

#[tokio::test]
async fn what_gitea_cannot_do_is_not_asked_of_it() {
    let (server, forge) = recorded("contents-change-new-branch").await;
    let run = FileChange { executable: true, ..files().remove(1) };
    let error = commit(&forge, NEW, &[run]).await.unwrap_err();
    assert_eq!(error.unwritten(), Some(Unwritten::NotSupported), "{error}");
    let long = "x".repeat(101);
    let error = commit(&forge, Onto::New { branch: &long, from: "main" }, &files()).await.unwrap_err();
    assert_eq!(error.unwritten(), Some(Unwritten::NotSupported), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn each_of_giteas_refusals_is_told_apart() {
    for (name, because) in [
        ("contents-change-branch-exists", Unwritten::BranchExists),
        ("contents-change-stale-sha", Unwritten::Stale),
        ("contents-change-404-branch", Unwritten::Stale),
        ("contents-change-protected", Unwritten::Protected),
        ("pull-create-409", Unwritten::PullExists),
        ("status-post-403-scope", Unwritten::MissingScope),
    ] {
        let (_server, forge) = recorded(name).await;
        let error = commit(&forge, NEW, &files()).await.unwrap_err();
        assert_eq!(error.unwritten(), Some(because), "{name}: {error}");
        assert!(!error.is_transient(), "{name}");
    }
    let body = |message: &str| json!({ "message": message, "url": "https://git.example.org/api/swagger" });
    for (status, message, because) in [
        (423, "molecule/core is archived", Unwritten::Archived),
        // Forgejo's code for a blob that is another one by now.
        (409, "sha does not match [given: 1, expected: 2]", Unwritten::Stale),
        (403, "Not allowed to push to protected branch drift-gate/x", Unwritten::Protected),
        (422, "Invalid PullRequest: There are no changes between the head and the base", Unwritten::NoCommits),
        (405, "Please try again later", Unwritten::NotYet),
        (412, "cannot change state of this pull request, it was already merged", Unwritten::Stale),
    ] {
        let reply = Reply::json(status, &body(message));
        let (_server, forge) = gitea(move |_| reply.clone()).await;
        let error = forge.auto_merge(&core(), 3, &sha('a')).await.unwrap_err();
        assert_eq!(error.unwritten(), Some(because), "{error}");
    }
    // What is about our rights as a whole stays what it is everywhere.
    let (_server, forge) = recorded("status-post-401").await;
    let error = commit(&forge, NEW, &files()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Denied { status: 401, .. }), "{error}");
}

#[tokio::test]
async fn no_redirect_is_followed_by_what_writes() {
    let (server, forge) = recorded("renamed-status-post").await;
    let error = commit(&forge, NEW, &files()).await.unwrap_err();
    assert!(matches!(error, ForgeError::Moved { .. }), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_draft_is_a_title_on_gitea_and_a_field_on_github() {
    let pull = NewPull { head: "topic", base: "main", title: "Adopt", body: "text", draft: true };
    let (server, forge) = recorded("pull-create-bot").await;
    assert_eq!(forge.open_pull(&core(), &pull).await.unwrap(), 3);
    let expected = json!({ "head": "topic", "base": "main", "title": "WIP: Adopt", "body": "text" });
    assert_eq!(server.seen()[0].body, expected);
    let (server, forge) = github(|_| Reply::json(201, &json!({ "number": 7 }))).await;
    assert_eq!(forge.open_pull(&core(), &pull).await.unwrap(), 7);
    let expected = json!({ "head": "topic", "base": "main", "title": "Adopt", "body": "text", "draft": true });
    assert_eq!(server.seen()[0].body, expected);
}

#[tokio::test]
async fn a_pull_request_is_closed_with_its_last_words_in_one_call() {
    let (server, forge) = recorded("pull-close").await;
    let edit = PullEdit { title: None, body: Some("closed"), open: Some(false) };
    forge.edit_pull(&core(), 5, &edit).await.unwrap();
    let sent = &server.seen()[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("PATCH", "/api/v1/repos/molecule/core/pulls/5"));
    assert_eq!(sent.body, json!({ "body": "closed", "state": "closed" }));
}

/// A pull request as a list has it.
fn listed(number: u64, author: &str, state: &str, repo: &str) -> Value {
    let mut pull = recording("pull-list")["response"]["body"][0].clone();
    pull["number"] = json!(number);
    pull["user"]["login"] = json!(author);
    pull["state"] = json!(state);
    pull["head"]["repo"]["full_name"] = json!(repo);
    pull
}

#[tokio::test]
async fn pull_requests_are_found_among_what_a_forge_that_ignores_the_question_lists() {
    let (server, forge) = gitea(|_| {
        let mut gone = listed(9, "drift-gate-bot", "open", "molecule/core");
        gone["head"]["ref"] = json!("refs/pull/9/head");
        let all = json!([
            listed(4, "drift-gate-bot", "open", "molecule/core"),
            Value::Null,
            listed(5, "maintainer", "open", "molecule/core"),
            listed(6, "drift-gate-bot", "closed", "molecule/core"),
            listed(7, "drift-gate-bot", "open", "drift-gate-bot/core"),
            gone,
        ]);
        Reply::json(200, &all)
    })
    .await;
    let find = Find { author: "drift-gate-bot", open: true, branch: "topic" };
    let found = forge.find_pulls(&core(), &find).await.unwrap();
    assert_eq!(found.iter().map(|one| one.pull.number).collect::<Vec<_>>(), [9, 4], "newest first");
    assert!(found.iter().all(|one| one.branch == "topic"), "by its label, also after its deletion");
    assert_eq!(found[1].body, "Brings `config.yaml`.");
    assert!(server.seen()[0].path.starts_with("/api/v1/repos/molecule/core/pulls?state=open&poster=drift-gate-bot&"));
}

#[tokio::test]
async fn closed_ones_are_looked_for_on_a_few_pages_only() {
    let (server, forge) = gitea(|_| {
        let page: Vec<Value> = (1..=50).map(|number| listed(number, "somebody", "closed", "molecule/core")).collect();
        Reply::json(200, &json!(page)).with("x-total-count", 10_000)
    })
    .await;
    let find = Find { author: "drift-gate-bot", open: false, branch: "topic" };
    assert!(forge.find_pulls(&core(), &find).await.unwrap().is_empty());
    assert_eq!(server.seen().len(), 4);
    let (server, forge) = github(|_| Reply::json(200, &json!([]))).await;
    forge.find_pulls(&core(), &find).await.unwrap();
    let path = "/api/v3/repos/molecule/core/pulls?state=closed&head=molecule%3Atopic&";
    assert!(server.seen()[0].path.starts_with(path), "GitHub filters by the branch: {}", server.seen()[0].path);
}

/// GitHub's git data, as documented; `refuse` answers some calls otherwise.
async fn git_data(refuse: impl Fn(&Seen) -> Option<Reply> + Clone + Send + Sync + 'static) -> (Server, Arc<dyn Forge>) {
    github(move |asked| {
        if let Some(reply) = refuse(asked) {
            return reply;
        }
        let id = |digit: char| json!({ "sha": digit.to_string().repeat(40) });
        match asked.path.trim_start_matches("/api/v3/repos/molecule/core/git/") {
            "blobs" => Reply::json(201, &id('b')),
            "trees" => Reply::json(201, &id('c')),
            "commits" => Reply::json(201, &id('9')),
            path if path.starts_with("commits/") => {
                Reply::json(200, &json!({ "sha": "a".repeat(40), "tree": { "sha": "7".repeat(40) } }))
            }
            _ => Reply::json(201, &json!({ "ref": "refs/heads/x", "object": id('9') })),
        }
    })
    .await
}

#[tokio::test]
async fn github_gets_a_tree_a_commit_and_a_branch_that_is_never_forced() {
    let (server, forge) = git_data(|_| None).await;
    let mut changes = files();
    changes.push(FileChange { path: "run.bin".into(), content: Some(vec![0, 255]), executable: true, was: None });
    assert_eq!(commit(&forge, NEW, &changes).await.unwrap(), sha('9'));
    assert_eq!(commit(&forge, Onto::Existing("drift-gate/x"), &files()).await.unwrap(), sha('9'));
    let seen = server.seen();
    let body = |end: &str| seen.iter().find(|one| one.path.ends_with(end) && one.method != "GET").unwrap().body.clone();
    assert_eq!(body("/git/blobs"), json!({ "content": "AP8=", "encoding": "base64" }));
    let tree = json!({ "base_tree": "7".repeat(40), "tree": [
        { "path": "manifest.json", "mode": "100644", "type": "blob", "content": "{}\n" },
        { "path": "new.txt", "mode": "100644", "type": "blob", "content": "new\n" },
        { "path": "old.txt", "mode": "100644", "type": "blob", "sha": null },
        { "path": "run.bin", "mode": "100755", "type": "blob", "sha": "b".repeat(40) },
    ] });
    assert_eq!(body("/git/trees"), tree);
    let made = json!({ "message": "Adopt 2bb9e7ed", "tree": "c".repeat(40), "parents": ["a".repeat(40)] });
    assert_eq!(body("/git/commits"), made, "without an author, or GitHub does not sign it");
    let branch = json!({ "ref": "refs/heads/drift-gate/identity/2bb9e7ed", "sha": "9".repeat(40) });
    assert_eq!(body("/git/refs"), branch);
    assert_eq!(body("/git/refs/heads/drift-gate/x"), json!({ "sha": "9".repeat(40), "force": false }));
    assert_eq!(seen.last().unwrap().method, "PATCH");
}

const WORKFLOW: &str = "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without \
    `workflows` permission";

#[tokio::test]
async fn a_workflow_that_may_not_be_written_is_told_though_github_says_not_found() {
    let not_found = |end: &'static str| {
        move |asked: &Seen| {
            let is_it = asked.method == "POST" && asked.path.ends_with(end);
            is_it.then(|| Reply::json(404, &json!({ "message": "Not Found" })))
        }
    };
    let workflow = FileChange { path: ".github/workflows/ci.yml".into(), ..files().remove(0) };
    for end in ["/git/trees", "/git/refs"] {
        let (_server, forge) = git_data(not_found(end)).await;
        let error = commit(&forge, NEW, std::slice::from_ref(&workflow)).await.unwrap_err();
        assert_eq!(error.unwritten(), Some(Unwritten::MissingScope), "{error}");
        assert!(error.to_string().contains(".github/workflows/ci.yml is a workflow"), "{error}");
        let other = commit(&forge, NEW, &files()).await.unwrap_err();
        assert!(matches!(other, ForgeError::NotFound { .. }), "of another file it means what it says: {other}");
    }
}

#[tokio::test]
async fn each_of_githubs_refusals_is_told_apart() {
    let invalid = |message: &str| {
        let error = json!({ "resource": "PullRequest", "code": "custom", "message": message });
        Reply::json(422, &json!({ "message": "Validation Failed", "errors": [error] }))
    };
    let plain = |status: u16, message: &str| Reply::json(status, &json!({ "message": message }));
    let field = |name: &str| {
        let error = json!({ "resource": "PullRequest", "field": name, "code": "invalid" });
        Reply::json(422, &json!({ "message": "Validation Failed", "errors": [error] }))
    };
    for (reply, because) in [
        (plain(422, "Reference already exists"), Unwritten::BranchExists),
        (plain(422, "Update is not a fast forward"), Unwritten::Stale),
        (invalid("A pull request already exists for molecule:topic."), Unwritten::PullExists),
        (invalid("No commits between main and topic"), Unwritten::NoCommits),
        (plain(403, "Repository was archived so is read-only."), Unwritten::Archived),
        (plain(422, "Repository rule violations found"), Unwritten::Protected),
        (plain(403, "Resource not accessible by personal access token"), Unwritten::MissingScope),
        (plain(403, WORKFLOW), Unwritten::MissingScope),
        (plain(422, WORKFLOW), Unwritten::MissingScope),
        (plain(409, "Head branch was modified. Review and try the merge again."), Unwritten::Stale),
        (field("head"), Unwritten::Stale),
        (field("base"), Unwritten::Stale),
    ] {
        let told = reply.body.clone();
        let (_server, forge) = git_data(move |asked| (asked.method == "POST").then(|| reply.clone())).await;
        let pull = NewPull { head: "topic", base: "main", title: "Adopt", body: "", draft: false };
        let error = forge.open_pull(&core(), &pull).await.unwrap_err();
        assert_eq!(error.unwritten(), Some(because), "{told}: {error}");
    }
    let lacks =
        plain(403, "Resource not accessible by integration").with("x-accepted-github-permissions", "contents=write");
    let (_server, forge) = github(move |_| lacks.clone()).await;
    let error = forge.assign(&core(), 3, &["maintainer".to_owned()]).await.unwrap_err();
    assert!(error.to_string().contains("contents=write"), "the words name what lacks: {error}");
    let wait = plain(403, "You have exceeded a secondary rate limit.").with("retry-after", 42);
    let (_server, forge) = github(move |_| wait.clone()).await;
    let error = forge.assign(&core(), 3, &["maintainer".to_owned()]).await.unwrap_err();
    assert!(matches!(error, ForgeError::RateLimited { .. }), "a limit is no refusal: {error}");
}

#[tokio::test]
async fn github_merges_later_by_graphql_and_at_once_what_waits_for_nothing() {
    let answer = |clean: bool| {
        move |asked: &Seen| match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", _) => Reply::json(200, &json!({ "number": 3, "node_id": "PR_x" })),
            ("POST", "/api/graphql") if clean => {
                let error = json!({ "message": "Pull request Pull request is in clean status" });
                Reply::json(200, &json!({ "data": null, "errors": [error] }))
            }
            ("POST", "/api/graphql") => Reply::json(200, &json!({ "data": {} })),
            ("PUT", _) => Reply::json(200, &json!({ "merged": true })),
            _ => Reply::text(418, "unexpected"),
        }
    };
    let (server, forge) = github(answer(false)).await;
    forge.auto_merge(&core(), 3, &sha('a')).await.unwrap();
    let variables = server.seen()[1].body["variables"].clone();
    assert_eq!(variables, json!({ "pull": "PR_x", "head": "a".repeat(40) }));
    let (server, forge) = github(answer(true)).await;
    forge.auto_merge(&core(), 3, &sha('a')).await.unwrap();
    let last = server.seen().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path.as_str()), ("PUT", "/api/v3/repos/molecule/core/pulls/3/merge"));
    assert_eq!(last.body, json!({ "sha": "a".repeat(40) }), "not a head that nobody has judged");
}

#[tokio::test]
async fn what_graphql_refuses_with_200_is_told_apart_and_what_waits_is_not_asked_again() {
    let said = |kind: &'static str, words: &'static str| {
        move |asked: &Seen| match asked.method.as_str() {
            "GET" => Reply::json(200, &json!({ "number": 3, "node_id": "PR_x", "auto_merge": null })),
            _ => {
                let error = json!({ "type": kind, "message": words });
                Reply::json(200, &json!({ "data": null, "errors": [error] }))
            }
        }
    };
    for (kind, words, because) in [
        ("UNPROCESSABLE", "Head branch was modified. Review and try the merge again.", Unwritten::Stale),
        ("FORBIDDEN", "Resource not accessible by integration", Unwritten::MissingScope),
        ("UNPROCESSABLE", "Auto merge is not allowed for this repository", Unwritten::NotSupported),
    ] {
        let (_server, forge) = github(said(kind, words)).await;
        let error = forge.auto_merge(&core(), 3, &sha('a')).await.unwrap_err();
        assert_eq!(error.unwritten(), Some(because), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let (_server, forge) = github(said("RATE_LIMITED", "API rate limit exceeded")).await;
    let error = forge.auto_merge(&core(), 3, &sha('a')).await.unwrap_err();
    assert!(matches!(error, ForgeError::RateLimited { .. }), "{error}");
    let waits = json!({ "number": 3, "node_id": "PR_x", "auto_merge": { "merge_method": "merge" } });
    let (server, forge) = github(move |_| Reply::json(200, &waits)).await;
    forge.auto_merge(&core(), 3, &sha('a')).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_branch_that_is_gone_already_is_deleted_and_a_name_cannot_lead_elsewhere() {
    let gone = Reply::json(404, &json!({ "message": "not found" }));
    let (server, forge) = gitea(move |_| gone.clone()).await;
    forge.delete_branch(&core(), "drift-gate/x").await.unwrap();
    assert_eq!(server.seen()[0].path, "/api/v1/repos/molecule/core/branches/drift-gate/x");
    for name in ["../../x", "a//b", "", "a/./b"] {
        assert!(matches!(forge.delete_branch(&core(), name).await, Err(ForgeError::NotFound { .. })), "{name}");
    }
    let gone = Reply::json(422, &json!({ "message": "Reference does not exist" }));
    let (server, forge) = github(move |_| gone.clone()).await;
    forge.delete_branch(&core(), "drift-gate/x").await.unwrap();
    assert_eq!(server.seen()[0].path, "/api/v3/repos/molecule/core/git/refs/heads/drift-gate/x");
}

#[tokio::test]
async fn labels_people_and_workflows_are_asked_for() {
    let (server, forge) = gitea(|asked| match asked.path.rsplit('/').next() {
        Some("labels") => Reply::json(200, &json!([{ "name": "drift" }])),
        Some("dispatches") => Reply { status: 204, headers: Vec::new(), body: String::new() },
        _ => Reply::json(201, &json!([])),
    })
    .await;
    let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(forge.add_labels(&core(), 3, &names(&["drift", "unknown"])).await.unwrap(), ["drift"]);
    forge.request_reviewers(&core(), 3, &names(&["maintainer", "team:platform"])).await.unwrap();
    forge.assign(&core(), 3, &names(&["maintainer"])).await.unwrap();
    let dispatch = Dispatch {
        workflow: "build.yml".into(),
        reference: "main".into(),
        inputs: [("source".to_owned(), "2bb9e7ed".to_owned())].into(),
    };
    forge.dispatch(&core(), &dispatch).await.unwrap();
    let seen = server.seen();
    let reviewers = json!({ "reviewers": ["maintainer"], "team_reviewers": ["platform"] });
    assert_eq!(
        (seen[1].path.as_str(), &seen[1].body),
        ("/api/v1/repos/molecule/core/pulls/3/requested_reviewers", &reviewers)
    );
    assert_eq!((seen[2].method.as_str(), seen[2].path.as_str()), ("PATCH", "/api/v1/repos/molecule/core/issues/3"));
    assert_eq!(seen[3].path, "/api/v1/repos/molecule/core/actions/workflows/build.yml/dispatches");
    assert_eq!(seen[3].body, json!({ "ref": "main", "inputs": { "source": "2bb9e7ed" } }));
}

#[tokio::test]
async fn who_closed_one_is_told_by_its_timeline_or_by_itself() {
    let (_server, forge) = gitea(|asked| match asked.path.contains("timeline") {
        true => Reply::json(
            200,
            &json!([
                { "type": "close", "user": { "id": 1, "login": "first" } },
                { "type": "reopen", "user": { "id": 1, "login": "first" } },
                { "type": "close", "user": { "id": 2, "login": "maintainer" } },
                { "type": "delete_branch", "user": { "id": 3, "login": "other" } },
            ]),
        ),
        false => Reply::json(200, &json!({ "number": 3 })),
    })
    .await;
    assert_eq!(forge.closer(&core(), 3).await.unwrap().as_deref(), Some("maintainer"));
    let (server, forge) =
        github(|_| Reply::json(200, &json!({ "closed_by": { "id": 2, "login": "maintainer" } }))).await;
    assert_eq!(forge.closer(&core(), 3).await.unwrap().as_deref(), Some("maintainer"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_author_of_a_commit_is_a_login_or_the_name_in_it() {
    let (_server, forge) = gitea(|_| {
        Reply::json(200, &json!([
            { "sha": "a".repeat(40), "author": { "id": 4, "login": "drift-gate-bot" }, "commit": { "author": { "name": "x" } } },
            { "sha": "b".repeat(40), "author": null, "commit": { "author": { "name": "A Stranger" } } },
        ]))
    })
    .await;
    let commits = forge.commits_of_pull(&core(), 3).await.unwrap();
    let authors: Vec<&str> = commits.iter().map(|commit| commit.author.as_str()).collect();
    assert_eq!(authors, ["drift-gate-bot", "A Stranger"]);
}
