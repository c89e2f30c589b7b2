//! Commits and pull requests by drift-gate's own client, in both dialects: what a real forge refuses, the stand-in refuses.

use std::sync::Arc;

use drift_gate::forge::gitea::Gitea;
use drift_gate::forge::github::GitHub;
use drift_gate::forge::http::{Timeouts, client};
use drift_gate::forge::pulls::{FileChange, Find, NewCommit, NewPull, Onto, PullEdit};
use drift_gate::forge::{ForgeError, RepoName, State, Status, Unwritten};
use drift_gate::tree::{ObjectId, blob_id};
use serde_json::{Value, json};

use crate::forge::{BOT, CORE, Forge};

type Speaks = Arc<dyn drift_gate::forge::Forge>;

/// A forge, and our client for it in each dialect.
async fn both() -> Vec<(Forge, Speaks)> {
    let mut all: Vec<(Forge, Speaks)> = Vec::new();
    for github in [false, true] {
        let forge = Forge::start().await;
        let token = Some(forge.token(BOT).to_owned().into());
        let http = client(Timeouts::default()).expect("a client");
        let speaks: Speaks = match github {
            true => GitHub::new("main", forge.base(), token, http).expect("a forge"),
            false => Gitea::new("main", forge.base(), token, http).expect("a forge"),
        };
        all.push((forge, speaks));
    }
    all
}

fn core() -> RepoName {
    RepoName(CORE.to_owned())
}

const MANIFEST: &[u8] = b"{\"ref\": \"1\"}\n";

fn bump() -> FileChange {
    FileChange {
        path: "manifest.json".into(),
        content: Some(b"{\"ref\": \"2\"}\n".to_vec()),
        executable: false,
        was: Some(blob_id(MANIFEST)),
    }
}

async fn head(forge: &Forge, branch: &str) -> ObjectId {
    ObjectId::parse(&forge.head(CORE, branch).await.to_string()).expect("an id")
}

async fn commit(speaks: &Speaks, onto: Onto<'_>, parent: &ObjectId, file: FileChange) -> Result<ObjectId, ForgeError> {
    speaks.commit(&core(), &NewCommit { onto, parent, message: "Bump", files: &[file] }).await
}

const TOPIC: Onto<'static> = Onto::New { branch: "drift-gate/topic", from: "main" };

fn pull() -> NewPull<'static> {
    NewPull { head: "drift-gate/topic", base: "main", title: "Bump", body: "text", draft: false }
}

#[tokio::test]
async fn a_commit_becomes_a_branch_and_a_pull_request_that_is_found_again() {
    for (forge, speaks) in both().await {
        let main = head(&forge, "main").await;
        let made = commit(&speaks, TOPIC, &main, bump()).await.expect("a commit");
        assert_eq!(head(&forge, "drift-gate/topic").await, made);
        let number = speaks.open_pull(&core(), &pull()).await.expect("a pull request");
        let find = |open| Find { author: BOT, open, branch: "drift-gate/topic" };
        let found = speaks.find_pulls(&core(), &find(true)).await.expect("a list");
        assert_eq!((found.len(), found[0].pull.number, found[0].body.as_str()), (1, number, "text"));
        assert_eq!((&found[0].pull.head_sha, found[0].branch.as_str()), (&made, "drift-gate/topic"));
        let commits = speaks.commits_of_pull(&core(), number).await.expect("commits");
        assert_eq!(commits.iter().map(|one| (&one.sha, one.author.as_str())).collect::<Vec<_>>(), [(&made, BOT)]);
        assert_eq!(speaks.files_of_pull(&core(), number).await.expect("files"), ["manifest.json"]);

        let again = FileChange { was: Some(blob_id(b"{\"ref\": \"2\"}\n")), content: Some(b"{}\n".to_vec()), ..bump() };
        let onto = Onto::Existing("drift-gate/topic");
        let second = commit(&speaks, onto, &made, again).await.expect("a commit on top");
        assert_eq!(speaks.commits_of_pull(&core(), number).await.expect("commits").len(), 2);

        speaks.post_comment(&core(), number, "words").await.expect("said");
        let edit = PullEdit { title: Some("Bumped"), body: Some("other"), open: Some(false) };
        speaks.edit_pull(&core(), number, &edit).await.expect("closed");
        speaks.delete_branch(&core(), "drift-gate/topic").await.expect("deleted");
        speaks.delete_branch(&core(), "drift-gate/topic").await.expect("it is gone already");
        let closed = speaks.find_pulls(&core(), &find(false)).await.expect("a list");
        assert_eq!((closed[0].pull.title.as_str(), closed[0].body.as_str()), ("Bumped", "other"));
        assert_eq!((&closed[0].pull.head_sha, closed[0].branch.as_str()), (&second, "drift-gate/topic"));
        assert_eq!(speaks.closer(&core(), number).await.expect("who").as_deref(), Some(BOT));
    }
}

#[tokio::test]
async fn what_is_there_what_is_stale_and_what_may_not_be_is_refused_alike() {
    for (forge, speaks) in both().await {
        let main = head(&forge, "main").await;
        let made = commit(&speaks, TOPIC, &main, bump()).await.expect("a commit");
        let because = |error: ForgeError| error.unwritten().unwrap_or_else(|| panic!("{error}"));
        let exists = commit(&speaks, TOPIC, &main, bump()).await.expect_err("there");
        assert_eq!(because(exists), Unwritten::BranchExists);
        speaks.open_pull(&core(), &pull()).await.expect("a pull request");
        let twice = speaks.open_pull(&core(), &pull()).await.expect_err("there");
        assert_eq!(because(twice), Unwritten::PullExists);
        // Somebody else was faster: the branch has moved on, and so has the file.
        let path = format!("/repos/{CORE}/contents");
        let files = json!([{ "operation": "update", "path": "manifest.json", "content": "e30K" }]);
        forge.make("POST", &path, json!({ "branch": "drift-gate/topic", "message": "x", "files": files })).await;
        let late = commit(&speaks, Onto::Existing("drift-gate/topic"), &made, bump()).await.expect_err("stale");
        assert_eq!(because(late), Unwritten::Stale);
        let rule = json!({ "rule_name": "drift-gate/**", "enable_push": false });
        forge.make("POST", &format!("/repos/{CORE}/branch_protections"), rule).await;
        let new = Onto::New { branch: "drift-gate/other", from: "main" };
        let protected = commit(&speaks, new, &main, bump()).await.expect_err("protected");
        assert_eq!(because(protected), Unwritten::Protected);
        forge.make("PATCH", &format!("/repos/{CORE}"), json!({ "archived": true })).await;
        let new = Onto::New { branch: "topic", from: "main" };
        let archived = commit(&speaks, new, &main, bump()).await.expect_err("archived");
        assert_eq!(because(archived), Unwritten::Archived);
    }
}

#[tokio::test]
async fn a_pull_request_without_commits_is_opened_by_gitea_and_refused_by_github() {
    for (at, (forge, speaks)) in both().await.into_iter().enumerate() {
        forge.make("POST", &format!("/repos/{CORE}/branches"), json!({ "new_branch_name": "drift-gate/topic" })).await;
        let opened = speaks.open_pull(&core(), &pull()).await;
        match at {
            0 => assert!(opened.is_ok()),
            _ => assert_eq!(opened.expect_err("refused").unwritten(), Some(Unwritten::NoCommits)),
        }
    }
}

#[tokio::test]
async fn deleting_the_branch_closes_its_pull_request() {
    for (forge, speaks) in both().await {
        let main = head(&forge, "main").await;
        commit(&speaks, TOPIC, &main, bump()).await.expect("a commit");
        let number = speaks.open_pull(&core(), &pull()).await.expect("a pull request");
        speaks.delete_branch(&core(), "drift-gate/topic").await.expect("deleted");
        assert!(!speaks.pull(&core(), number).await.expect("a pull request").open);
    }
}

#[tokio::test]
async fn a_merge_waits_for_the_required_check_and_for_that_head() {
    for (forge, speaks) in both().await {
        let rule = json!({ "rule_name": "main", "enable_push": true, "enable_status_check": true,
            "status_check_contexts": ["drift-gate"] });
        forge.make("POST", &format!("/repos/{CORE}/branch_protections"), rule).await;
        let main = head(&forge, "main").await;
        let made = commit(&speaks, TOPIC, &main, bump()).await.expect("a commit");
        let number = speaks.open_pull(&core(), &pull()).await.expect("a pull request");
        speaks.auto_merge(&core(), number, &made).await.expect("it waits");
        speaks.auto_merge(&core(), number, &made).await.expect("it waits already");
        assert!(!speaks.pull(&core(), number).await.expect("a pull request").merged);
        let green = Status::new("drift-gate", State::Success, "in sync", "");
        speaks.post_status(&core(), &made, &green).await.expect("posted");
        assert!(speaks.pull(&core(), number).await.expect("a pull request").merged);
        // Whoever wanted to close it looks again, and finds it merged.
        let close = PullEdit { open: Some(false), ..PullEdit::default() };
        let late = speaks.edit_pull(&core(), number, &close).await.expect_err("merged");
        assert_eq!(late.unwritten(), Some(Unwritten::Stale), "{late}");
    }
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_so() {
    for (at, (forge, _)) in both().await.into_iter().enumerate() {
        let token = forge.stand_in.token(BOT, &["read:repository", "read:user"]).expect("a token");
        let http = client(Timeouts::default()).expect("a client");
        let speaks: Speaks = match at {
            0 => Gitea::new("main", forge.base(), Some(token.into()), http).expect("a forge"),
            _ => GitHub::new("main", forge.base(), Some(token.into()), http).expect("a forge"),
        };
        let main = head(&forge, "main").await;
        let error = commit(&speaks, TOPIC, &main, bump()).await.expect_err("refused");
        assert_eq!(error.unwritten(), Some(Unwritten::MissingScope), "{error}");
    }
}

#[tokio::test]
async fn labels_are_passed_over_by_gitea_and_made_by_github() {
    for (at, (forge, speaks)) in both().await.into_iter().enumerate() {
        let main = head(&forge, "main").await;
        commit(&speaks, TOPIC, &main, bump()).await.expect("a commit");
        let number = speaks.open_pull(&core(), &pull()).await.expect("a pull request");
        let there = speaks.add_labels(&core(), number, &["drift".to_owned()]).await.expect("labels");
        assert_eq!(there.len(), at, "{there:?}");
        speaks.request_reviewers(&core(), number, &["maintainer".to_owned()]).await.expect("asked");
        speaks.assign(&core(), number, &["maintainer".to_owned()]).await.expect("assigned");
        let told = forge.make("GET", &format!("/repos/{CORE}/pulls/{number}"), Value::Null).await;
        assert_eq!(
            (&told["requested_reviewers"][0]["login"], &told["assignee"]["login"]),
            (&json!("maintainer"), &json!("maintainer"))
        );
    }
}
