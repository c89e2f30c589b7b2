use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::pkt::tests::body as recorded;
use super::*;
use crate::tree::{Node, Objects, Tree, TreeError, blob_id};

mod upstream;
use upstream::{Canned, Upstream};

fn limits() -> Limits {
    Limits { ask_again: Duration::from_millis(1), total: Duration::from_secs(20), ..Limits::default() }
}

fn cache_with(root: &Path, limits: Limits) -> Cache {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    Cache::new(root, client, limits).unwrap()
}

/// A forge, an empty cache of its repository, and the folder that must live as long as they.
async fn start() -> (Upstream, Repo, TempDir) {
    let dir = TempDir::new().unwrap();
    let repo = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    (Upstream::start(true).await, repo, dir)
}

/// Reads as the service does: what is not here is fetched, then the same is read again.
async fn read<T>(upstream: &Upstream, repo: &Repo, read: impl Fn() -> Result<T, TreeError>) -> T {
    for _ in 0..5 {
        match read() {
            Ok(found) => return found,
            Err(TreeError::NotHere(need)) => {
                assert_eq!(&need.repository, repo.label());
                repo.fetch(&upstream.remote(), &need.objects).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("fetching does not help");
}

fn files_in_pack_folder(dir: &TempDir) -> Vec<String> {
    let folder = dir.path().join("main/42.git/objects/pack");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn packs(dir: &TempDir) -> usize {
    files_in_pack_folder(dir).iter().filter(|name| name.ends_with(".pack")).count()
}

/// Waits for what other tasks do.
async fn until(done: impl Fn() -> bool) {
    let wait = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

fn unknown() -> ObjectId {
    ObjectId::parse(&"1".repeat(40)).unwrap()
}

fn not_our_ref() -> Canned {
    Canned::result(recorded("fetch-unknown-sha"))
}

#[tokio::test]
async fn a_folder_that_a_dying_process_left_half_made_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("main/42.git");
    std::fs::create_dir_all(folder.join("objects/pack")).unwrap();
    for left in ["config", "config.lock", "HEAD.lock"] {
        std::fs::write(folder.join(left), "").unwrap();
    }
    let repo = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    let upstream = Upstream::start(true).await;
    let commit = upstream.commit("main", &[("config.yaml", "name: x\n")], &[]);
    let tree = read(&upstream, &repo, || repo.tree(&commit)).await;
    assert_eq!(tree.blob_id("config.yaml").unwrap(), blob_id(b"name: x\n"));
    assert!(!folder.join("config.lock").exists());
}

#[tokio::test]
async fn one_request_brings_the_directories_and_one_more_the_files_that_are_read() {
    let (upstream, repo, _dir) = start().await;
    let files = [("config.yaml", "name: x\n"), ("prompts/a.md", "A"), ("prompts/b.md", "B"), ("other/big", "not read")];
    let commit = upstream.commit("main", &files, &[]);
    let tree = read(&upstream, &repo, || repo.tree(&commit)).await;
    assert_eq!(tree.list("prompts").unwrap()[0], ("a.md".to_owned(), Node::File { mode: 0o644 }));
    assert_eq!(tree.blob_id("other/big").unwrap(), blob_id(b"not read"));
    read(&upstream, &repo, || tree.expect(&["config.yaml", "prompts/a.md", "prompts/b.md"])).await;
    assert_eq!(&*tree.read("prompts/b.md").unwrap(), b"B");
    assert!(matches!(tree.read("other/big"), Err(TreeError::NotHere(_))));
    let fetches = upstream.fetches();
    assert_eq!(fetches.len(), 2, "{fetches:?}");
    assert!(fetches[0].contains("deepen 1") && fetches[0].contains("filter blob:none"), "{fetches:?}");
}

#[tokio::test]
async fn what_is_here_is_not_asked_for_again_not_even_after_a_restart() {
    let (upstream, repo, dir) = start().await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    repo.fetch_blobs(&upstream.remote(), &[blob_id(b"A")]).await.unwrap();
    repo.fetch_history(&upstream.remote(), std::slice::from_ref(&commit)).await.unwrap();
    let asked = upstream.requests();
    let restarted = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    for repo in [&repo, &restarted] {
        repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
        repo.fetch_blobs(&upstream.remote(), &[blob_id(b"A")]).await.unwrap();
        repo.fetch_history(&upstream.remote(), std::slice::from_ref(&commit)).await.unwrap();
    }
    assert_eq!(upstream.requests(), asked);
}

#[tokio::test]
async fn two_processes_see_each_others_packs() {
    let (upstream, repo, dir) = start().await;
    let other = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    assert!(matches!(other.tree(&commit), Err(TreeError::NotHere(_))));
    repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    // libgit2 has looked at the folder already, and does not look again for each question.
    assert!(matches!(other.tree(&commit), Err(TreeError::NotHere(_))));
    let asked = upstream.requests();
    assert_eq!(read(&upstream, &other, || other.tree(&commit)).await.blob_id("a").unwrap(), blob_id(b"A"));
    assert_eq!(upstream.requests(), asked);
}

#[tokio::test]
async fn ten_workers_that_want_the_same_commit_make_one_request() {
    let (upstream, repo, _dir) = start().await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    upstream.hold().await;
    let workers: Vec<_> = (0..10)
        .map(|_| {
            let (repo, remote, commit) = (repo.clone(), upstream.remote(), commit.clone());
            tokio::spawn(async move { repo.fetch_commit(&remote, &commit).await })
        })
        .collect();
    until(|| !upstream.fetches().is_empty()).await;
    upstream.go_on();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(upstream.fetches().len(), 1);
}

#[tokio::test]
async fn a_server_without_filters_is_fetched_from_all_the_same() {
    let dir = TempDir::new().unwrap();
    let repo = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    let upstream = Upstream::start(false).await;
    let root = upstream.commit("main", &[("a", "A"), ("d/b", "B")], &[]);
    let head = upstream.commit("main", &[("a", "A2")], &[&root]);
    let tree = read(&upstream, &repo, || repo.tree(&head)).await;
    assert_eq!(&*tree.read("a").unwrap(), b"A2");
    assert_eq!(upstream.fetches().len(), 1);
    let standing = read(&upstream, &repo, || repo.objects().standing(&root, &head)).await;
    assert_eq!(standing, Standing::Behind(1));
}

#[tokio::test]
async fn the_commit_graph_comes_by_itself_and_later_only_what_is_new() {
    let (upstream, repo, _dir) = start().await;
    let root = upstream.commit("main", &[("a", "1")], &[]);
    let bound = upstream.commit("main", &[("a", "2")], &[&root]);
    let head = upstream.commit("main", &[("a", "3")], &[&bound]);
    // Fetched for its files first: its parents are missing, which must not make it a root.
    repo.fetch_commit(&upstream.remote(), &head).await.unwrap();
    let db = repo.objects();
    assert!(matches!(db.standing(&bound, &head), Err(TreeError::NotHere(_))));
    assert_eq!(read(&upstream, &repo, || db.standing(&bound, &head)).await, Standing::Behind(1));
    let history = upstream.fetches().pop().unwrap();
    assert!(history.contains("filter tree:0") && !history.contains("deepen") && !history.contains("have "));

    let pull = upstream.commit("pull", &[("a", "4")], &[&bound]);
    assert_eq!(read(&upstream, &repo, || db.merge_bases(&pull, &head)).await, std::slice::from_ref(&bound));
    let history = upstream.fetches().pop().unwrap();
    assert!(history.contains(&format!("want {pull}")) && history.contains(&format!("have {head}")), "{history}");
    assert!(!history.contains(&format!("want {head}")), "{history}");
    // The graph is not the files: those of a commit that came with the history are still asked for.
    assert!(matches!(repo.tree(&bound), Err(TreeError::NotHere(_))));
}

/// A repository whose head was judged: its directories and its history are here.
async fn judged(upstream: &Upstream, repo: &Repo, commit: &ObjectId) {
    repo.fetch_commit(&upstream.remote(), commit).await.unwrap();
    repo.fetch_history(&upstream.remote(), std::slice::from_ref(commit)).await.unwrap();
}

#[tokio::test]
async fn a_push_costs_one_request_for_its_directories_and_its_history() {
    let (upstream, repo, dir) = start().await;
    let root = upstream.commit("main", &[("a", "0"), ("d/b", "B")], &[]);
    let bound = upstream.commit("main", &[("a", "1"), ("d/b", "B")], &[&root]);
    judged(&upstream, &repo, &bound).await;
    let before = upstream.fetches().len();

    let middle = upstream.commit("main", &[("a", "2"), ("d/b", "B")], &[&bound]);
    let head = upstream.commit("main", &[("a", "3"), ("d/b", "B")], &[&middle]);
    let tree = read(&upstream, &repo, || repo.tree(&head)).await;
    assert_eq!(tree.list("d").unwrap().len(), 1);
    assert_eq!(read(&upstream, &repo, || repo.objects().standing(&bound, &head)).await, Standing::Behind(2));
    let fetches = upstream.fetches().split_off(before);
    assert_eq!(fetches.len(), 1, "{fetches:?}");
    assert!(fetches[0].contains(&format!("have {bound}")) && fetches[0].contains("filter blob:none"), "{fetches:?}");

    // And the next one starts from there, after a restart too.
    let next = upstream.commit("main", &[("a", "4"), ("d/b", "B")], &[&head]);
    let restarted = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    read(&upstream, &restarted, || restarted.tree(&next)).await;
    let last = upstream.fetches().pop().unwrap();
    assert!(last.contains(&format!("have {head}")), "{last}");
}

#[tokio::test]
async fn a_directory_that_comes_back_from_an_older_commit_is_asked_for_by_itself() {
    let (upstream, repo, _dir) = start().await;
    let old = upstream.commit("main", &[("a", "0"), ("d/b", "old")], &[]);
    let bound = upstream.commit("main", &[("a", "1"), ("d/b", "new")], &[&old]);
    judged(&upstream, &repo, &bound).await;
    let revert = upstream.commit("main", &[("a", "2"), ("d/b", "old")], &[&bound]);
    let tree = read(&upstream, &repo, || repo.tree(&revert)).await;
    assert_eq!(tree.blob_id("d/b").unwrap(), blob_id(b"old"));
    assert!(upstream.fetches().pop().unwrap().contains("deepen 1\n"));
}

#[tokio::test]
async fn what_a_file_was_comes_with_one_request_and_later_as_the_difference() {
    let (upstream, repo, _dir) = start().await;
    let first = upstream.commit("main", &[("d/a", "one"), ("other", "x")], &[]);
    let second = upstream.commit("main", &[("d/a", "two"), ("other", "x")], &[&first]);
    read(&upstream, &repo, || repo.tree(&second)).await;
    repo.fetch_history(&upstream.remote(), std::slice::from_ref(&second)).await.unwrap();
    let asked = upstream.fetches().len();
    let past =
        |head: &ObjectId| repo.objects().past(head, "d/a", 1_000).map(|(versions, whole)| (versions.len(), whole));
    assert_eq!(read(&upstream, &repo, || past(&second)).await, (2, true));
    let fetches = upstream.fetches();
    assert_eq!(fetches.len(), asked + 1, "{fetches:?}");
    assert!(fetches[asked].contains("deepen 1000") && fetches[asked].contains("filter blob:none"), "{fetches:?}");
    assert!(!fetches[asked].contains("have "), "what is here are commits, and directories are wanted: {fetches:?}");
    let third = upstream.commit("main", &[("d/a", "three"), ("other", "x")], &[&second]);
    assert_eq!(read(&upstream, &repo, || past(&third)).await, (3, true));
    let fetches = upstream.fetches();
    assert!(fetches.len() == asked + 2 && !fetches[asked + 1].contains("deepen 1000"), "{fetches:?}");
}

#[tokio::test]
async fn of_a_long_push_the_near_history_comes_first_and_the_rest_when_it_is_read() {
    let (upstream, repo, _dir) = start().await;
    let bound = upstream.commit("main", &[("a", "0")], &[]);
    judged(&upstream, &repo, &bound).await;
    let mut head = bound.clone();
    for number in 1..=40 {
        head = upstream.commit("main", &[("a", &number.to_string())], &[&head]);
    }
    read(&upstream, &repo, || repo.tree(&head)).await;
    assert!(matches!(repo.objects().standing(&bound, &head), Err(TreeError::NotHere(_))));
    assert_eq!(read(&upstream, &repo, || repo.objects().standing(&bound, &head)).await, Standing::Behind(40));
}

#[tokio::test]
async fn a_hook_that_is_faster_than_the_forge_finds_the_commit_at_the_second_try() {
    let (upstream, repo, _dir) = start().await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    upstream.answer_with([not_our_ref()]);
    repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    assert_eq!(upstream.fetches().len(), 2);
}

#[tokio::test]
async fn a_commit_that_the_repository_does_not_have_is_believed_missing_at_the_second_no() {
    let (upstream, repo, _dir) = start().await;
    upstream.commit("main", &[("a", "A")], &[]);
    let error = repo.fetch_commit(&upstream.remote(), &unknown()).await.unwrap_err();
    assert!(matches!(&error, GitError::NotOurRef { id, .. } if *id == unknown()), "{error}");
    assert!(!error.is_transient() && !error.is_unreadable());
    assert_eq!(upstream.fetches().len(), 2);
}

#[tokio::test]
async fn every_head_of_a_repository_is_told_in_one_request() {
    let (upstream, repo, _dir) = start().await;
    let main = upstream.commit("main", &[("a", "A")], &[]);
    let feature = upstream.commit("feature/x", &[("a", "B")], &[&main]);
    let refs = repo.ls_refs(&upstream.remote(), &["refs/heads/", "refs/pull/"]).await.unwrap();
    assert_eq!(refs, [("refs/heads/feature/x".to_owned(), feature), ("refs/heads/main".to_owned(), main)]);
    assert_eq!(repo.ls_refs(&upstream.remote(), &["refs/heads/ma"]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_recorded_answer_becomes_a_readable_commit() {
    let (upstream, repo, _dir) = start().await;
    upstream.answer_with([Canned::result(recorded("fetch-tree-only"))]);
    let commit = ObjectId::parse("225c3303cae91c0f712b34dbfec2f5ccf4e90529").unwrap();
    repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    let tree = repo.tree(&commit).unwrap();
    let names: Vec<_> = tree.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"config.yaml".to_owned()), "{names:?}");
}

#[tokio::test]
async fn each_way_to_fail_has_its_name_and_leaves_nothing_behind() {
    let (upstream, repo, dir) = start().await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    let whole = recorded("fetch-tree-only");
    let mut broken = whole.clone();
    let middle = broken.len() - 60;
    broken[middle] ^= 0xff;
    let gave_up = b"000dpackfile\n0012\x03out of memory".to_vec();
    let moved = Canned {
        headers: vec![("location", upstream.remote().url.replace("core", "renamed"))],
        ..Canned::new(301, "text/html", "")
    };
    let html = "<html>Log in</html>";
    let cases: Vec<(&str, Canned, &str, bool)> = vec![
        ("denied", Canned::new(401, "text/plain", "Failed to authenticate user\n"), "access denied (401)", false),
        ("denied", Canned::new(403, "text/plain", "no scope"), "no scope", false),
        ("missing", Canned::new(404, "text/plain", "Repository not found"), "no such repository", false),
        ("moved", moved, "moved (301)", false),
        ("down", Canned::new(502, "text/html", html), "502 Bad Gateway: a web page", true),
        ("busy", Canned::new(429, "text/plain", "slow down"), "slow down", true),
        ("login page", Canned::new(200, "text/html", html), "login page", false),
        ("no git", Canned::result(html), "no git", false),
        ("half", Canned::result(&whole[..whole.len() / 2]), "stops before its end", true),
        ("empty", Canned::result(""), "stops before its end", true),
        ("gave up", Canned::result(gave_up), "gave up: out of memory", true),
        ("broken", Canned::result(broken), "broken pack", true),
        ("refuses", Canned::result("0019ERR repository closed"), "repository closed", false),
        ("another commit's pack", Canned::result(&whole), "came without it", false),
    ];
    for (name, canned, words, transient) in cases {
        upstream.answer_with([canned]);
        let error = repo.fetch_commit(&upstream.remote(), &commit).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words), "{name}: {text}");
        assert_eq!(error.is_transient(), transient, "{name}: {text}");
        assert_eq!(error.is_unreadable(), matches!(name, "denied" | "missing"), "{name}: {text}");
        assert!(text.contains("/molecule/core.git"), "{name}: {text}");
        assert!(!format!("{error:?} {:?}", upstream.remote()).contains("s3cr3t"), "{name}");
        if name != "another commit's pack" {
            assert_eq!(files_in_pack_folder(&dir), [""; 0], "{name}");
        }
    }
    repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    assert_eq!(repo.tree(&commit).unwrap().blob_id("a").unwrap(), blob_id(b"A"));
}

#[tokio::test]
async fn a_wrong_token_is_denied_before_anything_is_fetched() {
    let (upstream, repo, _dir) = start().await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    for authorization in [None, Some("token wrong".into())] {
        let remote = Remote { authorization, ..upstream.remote() };
        let error = repo.fetch_commit(&remote, &commit).await.unwrap_err();
        assert!(matches!(error, GitError::Denied { status: 401, .. }), "{error}");
    }
    let remote = Remote { authorization: Some("two\nlines".into()), ..upstream.remote() };
    let error = repo.fetch_commit(&remote, &commit).await.unwrap_err();
    assert!(matches!(error, GitError::Refused { .. }), "{error}");
    assert!(!error.to_string().contains("lines"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_is_not_there_may_do_so_later() {
    let dir = TempDir::new().unwrap();
    let upstream = Upstream::start(true).await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    let hasty = Limits { total: Duration::from_millis(100), ..limits() };
    let repo = cache_with(dir.path(), hasty).repo("main", 42).unwrap();
    upstream.hold().await;
    let error = repo.fetch_commit(&upstream.remote(), &commit).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("within 0.1 s"), "{error}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let remote = Remote { url: format!("http://user:s3cr3t@{nobody}/a.git"), authorization: None };
    let error = repo.fetch_commit(&remote, &commit).await.unwrap_err();
    assert!(error.is_transient() && !error.to_string().contains("s3cr3t"), "{error}");
}

#[tokio::test]
async fn answers_beyond_the_limits_are_cut_off() {
    let dir = TempDir::new().unwrap();
    let upstream = Upstream::start(true).await;
    let noise: String = (0..4_000u32).map(|i| format!("{:x}", i.wrapping_mul(2_654_435_761))).collect();
    let commit = upstream.commit("main", &[("a", &noise)], &[]);
    let small = Limits { pack: 2_000, refs: 20, ..limits() };
    let repo = cache_with(dir.path(), small).repo("main", 42).unwrap();
    let blobs = Objects::Blobs(vec![blob_id(noise.as_bytes())]);
    assert!(matches!(repo.ls_refs(&upstream.remote(), &[]).await.unwrap_err(), GitError::TooLarge { limit: 20, .. }));
    let roomy = cache_with(dir.path(), Limits { pack: 2_000, ..limits() }).repo("main", 42).unwrap();
    roomy.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    let error = roomy.fetch(&upstream.remote(), &blobs).await.unwrap_err();
    assert!(matches!(error, GitError::TooLarge { limit: 2_000, .. }), "{error}");
    assert_eq!(packs(&dir), 1);
}

#[tokio::test]
async fn small_packs_are_folded_into_one_while_the_cache_is_used() {
    let dir = TempDir::new().unwrap();
    let upstream = Upstream::start(true).await;
    let repo = cache_with(dir.path(), Limits { small_packs: 3, ..limits() }).repo("main", 42).unwrap();
    let mut commits = Vec::new();
    for number in 0..4 {
        let content = number.to_string();
        let commit = upstream.commit("main", &[("a", &content), ("d/b", "B")], &[]);
        repo.fetch_commit(&upstream.remote(), &commit).await.unwrap();
        commits.push(commit);
    }
    until(|| packs(&dir) == 1).await;
    let restarted = cache_with(dir.path(), limits()).repo("main", 42).unwrap();
    for (number, commit) in commits.iter().enumerate() {
        for repo in [&repo, &restarted] {
            let tree = read(&upstream, repo, || repo.tree(commit)).await;
            assert_eq!(tree.blob_id("a").unwrap(), blob_id(number.to_string().as_bytes()));
            assert_eq!(tree.list("d").unwrap().len(), 1);
        }
    }
    assert_eq!(upstream.fetches().len(), 4);
}

#[tokio::test]
async fn nobody_folds_while_somebody_writes() {
    let (upstream, repo, dir) = start().await;
    let folder = dir.path().join("main/42.git");
    let alone = fold::FolderLock::alone(&folder).unwrap().unwrap();
    assert!(fold::FolderLock::shared(&folder).unwrap().is_none());
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    let fetch = {
        let (repo, remote, commit) = (repo.clone(), upstream.remote(), commit.clone());
        tokio::spawn(async move { repo.fetch_commit(&remote, &commit).await })
    };
    until(|| upstream.requests() > 0).await;
    assert!(!fetch.is_finished());
    drop(alone);
    fetch.await.unwrap().unwrap();
    let writing = fold::FolderLock::shared(&folder).unwrap().unwrap();
    let more = fold::FolderLock::shared(&folder).unwrap();
    assert!(more.is_some(), "writers do not wait for each other");
    assert!(fold::FolderLock::alone(&folder).unwrap().is_none());
    drop((writing, more));
    assert!(fold::FolderLock::alone(&folder).unwrap().is_some());
}

#[tokio::test]
async fn caches_that_take_too_much_go_the_longest_unused_first_and_come_back_when_asked_for() {
    let (upstream, unused, dir) = start().await;
    let commit = upstream.commit("main", &[("a", "A")], &[]);
    unused.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    drop(unused);
    let cache = cache_with(dir.path(), limits());
    for id in [42, 43] {
        cache.repo("main", id).unwrap().fetch_commit(&upstream.remote(), &commit).await.unwrap();
    }
    let in_use = cache.repo("main", 44).unwrap();
    in_use.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    assert_eq!(cache.evict(u64::MAX).unwrap(), 0, "there is room");
    // Used last, and so kept.
    cache.repo("main", 42).unwrap();
    let all: u64 = crate::git::size::below(dir.path());
    let gone = cache.evict(all - 1).unwrap();
    assert!(gone > 0 && gone < all, "{gone} of {all}");
    assert!(matches!(cache.repo("main", 43).unwrap().tree(&commit), Err(TreeError::NotHere(_))), "gone");
    assert!(cache.repo("main", 42).unwrap().tree(&commit).is_ok(), "kept");
    cache.evict(0).unwrap();
    assert!(in_use.tree(&commit).is_ok(), "what is in use stays");
    let again = cache.repo("main", 42).unwrap();
    again.fetch_commit(&upstream.remote(), &commit).await.unwrap();
    assert!(again.tree(&commit).is_ok());
}
