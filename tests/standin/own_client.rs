//! The service's own client reads what the stand-in serves.

use std::time::Duration;

use drift_gate::git::{Cache, GitError, Limits, Remote, Repo, Standing};
use drift_gate::tree::{ObjectId, Tree as _, TreeError, blob_id};
use git2::Oid;
use tempfile::TempDir;

use crate::smart::Served;

struct World {
    served: Served,
    cache: Cache,
    repo: Repo,
    remote: Remote,
    _folder: TempDir,
}

async fn start() -> World {
    let served = Served::start().await;
    let folder = TempDir::new().unwrap();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let limits = Limits { ask_again: Duration::from_millis(1), ..Limits::default() };
    let cache = Cache::new(folder.path(), client, limits).unwrap();
    let repo = cache.repo("main", 1).unwrap();
    let remote = Remote { url: served.url.clone(), authorization: None };
    World { served, cache, repo, remote, _folder: folder }
}

fn id(id: Oid) -> ObjectId {
    ObjectId::parse(&id.to_string()).unwrap()
}

#[tokio::test]
async fn every_head_of_a_repository_is_listed_pull_requests_included() {
    let world = start().await;
    let main = world.served.commit("main", &[("a", "A")]);
    let feature = world.served.commit("feature", &[("a", "B")]);
    world.served.repository().reference("refs/pull/1/head", feature, false, "").unwrap();
    world.served.tag("v1", main);
    let refs = world.cache.ls_refs(&world.remote, &["refs/heads/", "refs/pull/"]).await.unwrap();
    let expected = [("refs/heads/feature", feature), ("refs/heads/main", main), ("refs/pull/1/head", feature)];
    assert_eq!(refs, expected.map(|(name, at)| (name.to_owned(), id(at))));
    assert_eq!(world.cache.ls_refs(&world.remote, &[]).await.unwrap().len(), 5, "HEAD and the tag as well");
}

#[tokio::test]
async fn an_empty_repository_has_no_heads() {
    let world = start().await;
    assert_eq!(world.cache.ls_refs(&world.remote, &[]).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_commits_directories_come_first_and_files_when_they_are_read() {
    let world = start().await;
    world.served.commit("main", &[("old", "O")]);
    let head =
        world.served.commit("main", &[("config.yaml", "name: x\n"), ("prompts/deep/a.md", "A"), ("big", "not read")]);
    world.repo.fetch_commit(&world.remote, &id(head)).await.unwrap();
    let tree = world.repo.tree(&id(head)).unwrap();
    assert_eq!(tree.blob_id("prompts/deep/a.md").unwrap(), blob_id(b"A"));
    assert!(matches!(tree.read("config.yaml"), Err(TreeError::NotHere(_))));
    world.repo.fetch_blobs(&world.remote, &[blob_id(b"A"), blob_id(b"name: x\n")]).await.unwrap();
    assert_eq!(&*tree.read("prompts/deep/a.md").unwrap(), b"A");
    assert_eq!(&*tree.read("config.yaml").unwrap(), b"name: x\n");
    assert!(matches!(tree.read("big"), Err(TreeError::NotHere(_))));
    let brought: Vec<u32> = world.served.fetches().into_iter().map(|(_, count)| count).collect();
    assert_eq!(brought, [4, 2], "a commit and three directories, then two files");
}

#[tokio::test]
async fn history_comes_without_directories_and_then_only_what_is_new() {
    let world = start().await;
    let root = world.served.commit("main", &[("a", "1")]);
    world.served.commit("main", &[("a", "2")]);
    let first = world.served.commit("main", &[("a", "3")]);
    world.repo.fetch_history(&world.remote, &[id(first)]).await.unwrap();
    assert_eq!(world.repo.objects().standing(&id(root), &id(first)).unwrap(), Standing::Behind(2));
    world.served.commit("main", &[("a", "4")]);
    let second = world.served.commit("main", &[("a", "5")]);
    world.repo.fetch_history(&world.remote, &[id(second)]).await.unwrap();
    assert_eq!(world.repo.objects().standing(&id(root), &id(second)).unwrap(), Standing::Behind(4));
    let brought: Vec<u32> = world.served.fetches().into_iter().map(|(_, count)| count).collect();
    assert_eq!(brought, [3, 2], "three commits, then two");
}

#[tokio::test]
async fn a_commit_is_read_after_its_branch_is_gone() {
    let world = start().await;
    let head = world.served.commit("feature", &[("a", "A")]);
    world.served.repository().find_reference("refs/heads/feature").unwrap().delete().unwrap();
    world.repo.fetch_commit(&world.remote, &id(head)).await.unwrap();
    assert_eq!(world.repo.tree(&id(head)).unwrap().blob_id("a").unwrap(), blob_id(b"A"));
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_told_by_name() {
    let world = start().await;
    world.served.commit("main", &[("a", "A")]);
    let unknown = ObjectId::parse(&"1".repeat(40)).unwrap();
    let error = world.repo.fetch_commit(&world.remote, &unknown).await.unwrap_err();
    assert!(matches!(&error, GitError::NotOurRef { id, .. } if *id == unknown), "{error}");
}
