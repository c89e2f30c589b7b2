use serde_json::{Value, json};

use super::*;

const A: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
const B: &str = "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2";
const ZERO: &str = "0000000000000000000000000000000000000000";

fn id(digits: &str) -> ObjectId {
    ObjectId::parse(digits).unwrap()
}

fn headers(prefix: &str, event: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (suffix, value) in [("event", event), ("delivery", "5f0c7a30-1111-2222-3333-444455556666")] {
        let name = http::HeaderName::try_from(format!("{prefix}-{suffix}")).unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    headers
}

/// A payload with the repository that every event has.
fn in_core(mut payload: Value) -> Value {
    payload["repository"] = json!({"id": 7, "full_name": "molecule/core", "clone_url": "https://evil.example/x.git"});
    payload["sender"] = json!({"id": 2, "login": "maintainer"});
    payload
}

fn github(event: &str, payload: Value) -> Hint {
    let body = in_core(payload).to_string();
    parse(ForgeKind::GitHub, &headers("x-github", event), body.as_bytes()).unwrap().hint
}

fn gitea(event: &str, payload: Value) -> Hint {
    let body = in_core(payload).to_string();
    parse(ForgeKind::Gitea, &headers("x-gitea", event), body.as_bytes()).unwrap().hint
}

#[test]
fn a_delivery_says_its_id_event_and_repository() {
    let body = in_core(json!({"zen": "Keep it simple."})).to_string();
    let delivery = parse(ForgeKind::GitHub, &headers("x-github", "ping"), body.as_bytes()).unwrap();
    assert_eq!(delivery.id.as_deref(), Some("5f0c7a30-1111-2222-3333-444455556666"));
    assert_eq!(delivery.event, "ping");
    let repository = RepositoryRef { id: 7, full_name: RepoName("molecule/core".to_owned()), private: None };
    assert_eq!(delivery.repository, Some(repository));
    assert_eq!(delivery.hint, Hint::Ping);
}

#[test]
fn the_ping_of_an_app_names_no_repository_and_is_a_ping_all_the_same() {
    let delivery = parse(ForgeKind::GitHub, &headers("x-github", "ping"), b"{\"zen\": \"x\", \"hook_id\": 1}").unwrap();
    assert_eq!((delivery.repository, delivery.hint), (None, Hint::Ping));
}

#[test]
fn a_push_names_its_branch_slashes_and_all() {
    let hint = github("push", json!({"ref": "refs/heads/feature/x", "before": A, "after": B, "deleted": false}));
    assert_eq!(hint, Hint::Push { branch: "feature/x".to_owned(), before: id(A), after: id(B) });
}

#[test]
fn a_new_branch_is_a_push_from_zeros_in_sha1_and_sha256_repositories() {
    let (zero, after) = ("0".repeat(64), "c".repeat(64));
    let hint = gitea("push", json!({"ref": "refs/heads/main", "before": zero, "after": after}));
    assert_eq!(hint, Hint::Push { branch: "main".to_owned(), before: id(&zero), after: id(&after) });
}

#[test]
fn a_deleted_branch_is_said_by_githubs_push_and_by_everyones_delete() {
    let gone = Hint::Branch { branch: "topic".to_owned(), change: BranchChange::Deleted };
    let push = json!({"ref": "refs/heads/topic", "before": A, "after": ZERO, "deleted": true, "head_commit": null});
    assert_eq!(github("push", push), gone);
    assert_eq!(gitea("delete", json!({"ref": "topic", "ref_type": "branch", "pusher_type": "user"})), gone);
}

#[test]
fn a_full_ref_in_a_create_delivery_is_the_same_branch_as_a_short_one() {
    let created = Hint::Branch { branch: "feature/x".to_owned(), change: BranchChange::Created };
    for name in ["feature/x", "refs/heads/feature/x"] {
        assert_eq!(gitea("create", json!({"ref": name, "ref_type": "branch", "sha": A})), created);
    }
}

#[test]
fn tags_and_other_refs_change_no_verdict() {
    for (event, payload) in [
        ("push", json!({"ref": "refs/tags/v1", "before": ZERO, "after": A})),
        ("push", json!({"ref": "refs/tags/v1", "before": A, "after": ZERO})),
        ("push", json!({"ref": "refs/notes/commits", "before": A, "after": B})),
        ("create", json!({"ref": "v1", "ref_type": "tag"})),
        ("delete", json!({"ref": "v1", "ref_type": "tag"})),
    ] {
        assert!(matches!(github(event, payload.clone()), Hint::Nothing(_)), "{event} {payload}");
    }
}

#[test]
fn a_pull_request_is_named_by_its_number_even_when_the_rest_is_null() {
    for (event, payload) in [
        ("synchronize", json!({"action": "synchronize", "number": 12, "pull_request": {"number": 12}})),
        ("synchronized", json!({"action": "synchronized", "number": 12, "pull_request": null})),
        ("opened", json!({"action": "opened", "pull_request": {"number": 12}})),
        ("a later word", json!({"action": "a later word", "number": 12})),
    ] {
        let expected = Hint::PullRequest { number: 12, action: event.to_owned() };
        assert_eq!(gitea("pull_request", payload.clone()), expected);
        assert_eq!(github("pull_request", payload), expected);
    }
}

#[test]
fn labels_assignees_and_reviews_of_a_pull_request_change_no_verdict() {
    for action in ["labeled", "label_updated", "assigned", "reviewed", "review_requested", "milestoned", "locked"] {
        let hint = gitea("pull_request", json!({"action": action, "number": 12, "pull_request": null}));
        assert!(matches!(hint, Hint::Nothing(_)), "{action}");
    }
}

fn comment_on(action: &str, body: &str, issue: Value, is_pull: Value) -> Value {
    json!({"action": action, "issue": issue, "comment": {"id": 99, "body": body, "user": {"id": 2}}, "is_pull": is_pull})
}

#[test]
fn a_command_under_a_pull_request_is_a_comment_to_read_again() {
    let expected = Hint::Comment { id: 99, issue: 12, is_pull: true };
    let on_github = json!({"number": 12, "pull_request": {"url": "https://evil.example/"}});
    let mut payload = comment_on("created", "/drift-gate check", on_github, Value::Null);
    payload.as_object_mut().unwrap().remove("is_pull");
    assert_eq!(github("issue_comment", payload), expected);
    let on_gitea = comment_on("created", "/drift-gate check\r\nplease", json!({"number": 12}), json!(true));
    assert_eq!(gitea("issue_comment", on_gitea), expected);
}

#[test]
fn a_command_on_an_issue_is_one_too_and_whether_a_gate_names_it_is_for_others_to_say() {
    let expected = Hint::Comment { id: 99, issue: 12, is_pull: false };
    for issue in [json!({"number": 12}), json!({"number": 12, "pull_request": null})] {
        let payload = comment_on("created", "/drift-gate check", issue, json!(false));
        assert_eq!(gitea("issue_comment", payload.clone()), expected);
        assert_eq!(github("issue_comment", payload), expected);
    }
}

#[test]
fn other_comments_change_no_verdict() {
    let pull = json!({"number": 12, "pull_request": {}});
    for (why, payload) in [
        ("edited", comment_on("edited", "/drift-gate check", pull.clone(), json!(true))),
        ("deleted", comment_on("deleted", "/drift-gate check", pull.clone(), json!(true))),
        ("on an issue", comment_on("created", "looks good", json!({"number": 12}), json!(false))),
        ("no command", comment_on("created", "looks good\n/drift-gate check", pull.clone(), json!(true))),
        ("of another", {
            let mut payload = comment_on("created", "/drift-gate waive x", pull, json!(true));
            payload["comment"]["user"]["id"] = json!(3);
            payload
        }),
    ] {
        assert!(matches!(gitea("issue_comment", payload), Hint::Nothing(_)), "{why}");
    }
}

#[test]
fn on_gitea_the_event_pull_request_comment_is_a_review_whatever_the_event_type_says() {
    let mut headers = headers("x-gitea", "pull_request_comment");
    headers.insert("x-gitea-event-type", "pull_request_review_comment".parse().unwrap());
    let body = in_core(json!({"action": "reviewed", "number": 12, "review": {"content": "/drift-gate check"}}));
    let delivery = parse(ForgeKind::Gitea, &headers, body.to_string().as_bytes()).unwrap();
    assert_eq!(delivery.hint, Hint::Nothing("a review"));
}

#[test]
fn a_command_is_the_first_word_of_the_first_line() {
    for yes in
        ["/drift-gate", "/drift-gate check", " /drift-gate\tcheck", "/drift-gate\r\ncheck", "/Drift-Gate explain\nwhy"]
    {
        assert!(is_command(yes), "{yes:?}");
    }
    for no in ["", "\n/drift-gate check", "> /drift-gate check", "/drift-gates", "/drift-gate-x", "drift-gate check"] {
        assert!(!is_command(no), "{no:?}");
    }
}

#[test]
fn a_renamed_or_transferred_repository_is_a_changed_one() {
    let renamed = json!({"action": "renamed", "changes": {"repository": {"name": {"from": "old"}}}});
    assert_eq!(github("repository", renamed), Hint::RepositoryChanged);
    assert_eq!(gitea("repository", json!({"action": "deleted"})), Hint::RepositoryChanged);
}

#[test]
fn a_status_says_who_posted_it_under_which_context() {
    let hint = github("status", json!({"id": 1, "sha": A, "context": "drift-gate", "state": "success"}));
    assert_eq!(hint, Hint::Status { sha: id(A), context: "drift-gate".to_owned(), creator: "maintainer".to_owned() });
}

#[test]
fn a_merge_queues_branch_appears_and_goes() {
    let queue = |action: &str, head: &str| {
        let group = json!({"head_sha": B, "head_ref": head, "base_sha": A, "base_ref": "refs/heads/main"});
        github("merge_group", json!({"action": action, "merge_group": group}))
    };
    let branch = "gh-readonly-queue/main/pr-7-0123";
    for (action, change) in [("checks_requested", BranchChange::Created), ("destroyed", BranchChange::Deleted)] {
        let hint = queue(action, &format!("refs/heads/{branch}"));
        assert_eq!(hint, Hint::Branch { branch: branch.to_owned(), change });
    }
    assert_eq!(queue("checks_requested", branch), Hint::Unparsed, "that may be any ref");
}

#[test]
fn stars_wikis_and_issues_change_no_verdict() {
    for event in ["star", "watch", "fork", "wiki", "gollum", "issues", "release", "label", "check_run", "workflow_job"]
    {
        assert!(matches!(github(event, json!({"action": "created"})), Hint::Nothing(_)), "{event}");
    }
}

#[test]
fn an_event_of_tomorrow_is_unknown() {
    assert_eq!(gitea("quantum_merge", json!({})), Hint::Unknown);
    let body = in_core(json!({})).to_string();
    for odd in ["Push", "push\"}", &"x".repeat(65)] {
        let delivery = parse(ForgeKind::Gitea, &headers("x-gitea", odd), body.as_bytes()).unwrap();
        assert_eq!((delivery.event.as_str(), delivery.hint), ("", Hint::Unknown), "{odd}: no label for a metric");
    }
    let delivery = parse(ForgeKind::Gitea, &HeaderMap::new(), body.as_bytes()).unwrap();
    assert_eq!((delivery.id, delivery.hint), (None, Hint::Unknown));
}

#[test]
fn json_of_another_shape_makes_its_whole_repository_dirty() {
    for (event, payload) in [
        ("push", json!({})),
        ("push", json!({"ref": "refs/heads/main", "before": A, "after": "main"})),
        ("push", json!({"ref": "main", "before": A, "after": B})),
        ("push", json!({"ref": ["refs/heads/main"], "before": A, "after": B})),
        ("create", json!({"ref": "main"})),
        ("delete", json!({"ref": null, "ref_type": "branch"})),
        ("pull_request", json!({"action": "opened", "number": "12"})),
        ("pull_request", json!({"action": "opened", "pull_request": null})),
        ("issue_comment", json!({"action": "created", "is_pull": true, "comment": null, "issue": null})),
        ("status", json!({"sha": "main", "context": "x"})),
    ] {
        let body = in_core(payload.clone()).to_string();
        let delivery = parse(ForgeKind::Gitea, &headers("x-gitea", event), body.as_bytes()).unwrap();
        assert_eq!(delivery.hint, Hint::Unparsed, "{event} {payload}");
        assert_eq!(delivery.repository.map(|repo| repo.id), Some(7));
    }
}

#[test]
fn without_a_readable_repository_there_is_no_place_to_look() {
    let push = json!({"ref": "refs/heads/main", "before": A, "after": B});
    for repository in [json!(null), json!("core"), json!({"id": 7, "full_name": "../b"})] {
        let mut payload = push.clone();
        payload["repository"] = repository;
        let delivery = parse(ForgeKind::GitHub, &headers("x-github", "push"), payload.to_string().as_bytes()).unwrap();
        assert_eq!((delivery.repository, delivery.hint), (None, Hint::Unparsed));
    }
    let list = parse(ForgeKind::GitHub, &headers("x-github", "push"), b"[1, 2]").unwrap();
    assert_eq!((list.repository, list.hint), (None, Hint::Unparsed));
}

#[test]
fn what_is_not_json_is_an_error_that_says_where() {
    for body in ["", "payload=%7B%7D", "{\"ref\": ", "{} trailing", "<html>"] {
        let error = parse(ForgeKind::GitHub, &headers("x-github", "push"), body.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("the body is not JSON (line "), "{body}: {error}");
    }
}

#[test]
fn a_payload_of_ten_thousand_brackets_ends_without_harm() {
    let deep = format!("{{\"ref\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let delivery = parse(ForgeKind::GitHub, &headers("x-github", "push"), deep.as_bytes()).unwrap();
    assert_eq!(delivery.hint, Hint::Unparsed);
}

#[test]
fn each_forge_is_known_by_its_own_headers() {
    let body = in_core(json!({"ref": "refs/heads/main", "before": A, "after": B})).to_string();
    let push = Hint::Push { branch: "main".to_owned(), before: id(A), after: id(B) };
    for (kind, prefix) in
        [(ForgeKind::Gitea, "x-forgejo"), (ForgeKind::Gitea, "x-gitea"), (ForgeKind::GitHub, "x-github")]
    {
        assert_eq!(parse(kind, &headers(prefix, "push"), body.as_bytes()).unwrap().hint, push, "{prefix}");
    }
    let other = parse(ForgeKind::GitHub, &headers("x-gitea", "push"), body.as_bytes()).unwrap();
    assert_eq!(other.hint, Hint::Unknown);
}

#[test]
fn of_a_payload_of_another_shape_the_repositorys_name_is_enough() {
    for body in [
        r#"{"repository": {"full_name": "molecule/core"}}"#,
        r#"{"repository": {"full_name": "molecule/core", "id": "7", "private": "no"}}"#,
    ] {
        let delivery = parse(ForgeKind::Gitea, &headers("x-gitea", "push"), body.as_bytes()).unwrap();
        let repository = delivery.repository.expect("a repository");
        assert_eq!((repository.full_name.0.as_str(), repository.private), ("molecule/core", None));
        assert_eq!(delivery.hint, Hint::Unparsed);
    }
}
