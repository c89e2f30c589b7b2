//! The real git against the stand-in: what people do with a forge, they can do here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use drift_gate::demo::smart_http::RefUpdate;
use git2::Oid;
use tempfile::TempDir;

use crate::smart::Served;

/// Somebody with a git of their own and a folder to work in.
struct Person {
    home: TempDir,
}

impl Person {
    fn new() -> Self {
        Self { home: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Runs git in the folder `name` of the person's home.
    async fn try_git(&self, name: &str, arguments: &[&str]) -> Output {
        let mut git = Command::new("git");
        for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("GIT_")) {
            git.env_remove(variable);
        }
        git.env("HOME", self.home.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .env("LC_ALL", "C")
            .env("no_proxy", "127.0.0.1")
            .current_dir(self.path(name))
            .args(["-c", "init.defaultBranch=main", "-c", "advice.detachedHead=false"])
            .args(arguments);
        tokio::task::spawn_blocking(move || git.output().expect("git is not installed")).await.unwrap()
    }

    /// What git says; it must succeed.
    async fn git(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.try_git(name, arguments).await;
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "git {}: {said}", arguments.join(" "));
        text(&output.stdout).trim_end().to_owned()
    }

    /// What git says when it is refused.
    async fn refused(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.try_git(name, arguments).await;
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(!output.status.success(), "git {} went through: {said}", arguments.join(" "));
        said
    }

    /// Commits a file in a clone.
    async fn commit(&self, name: &str, file: &str, content: &str) -> Oid {
        std::fs::write(self.path(name).join(file), content).unwrap();
        self.git(name, &["add", "-A"]).await;
        self.git(name, &["commit", "-q", "-m", &format!("Write {file}")]).await;
        self.head(name).await
    }

    async fn head(&self, name: &str) -> Oid {
        self.git(name, &["rev-parse", "HEAD"]).await.parse().unwrap()
    }

    async fn count(&self, name: &str, what: &str) -> usize {
        self.git(name, &["rev-list", "--count", what]).await.parse().unwrap()
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Five commits on `main`, one file that changes and one that stays.
async fn with_history() -> (Served, Person) {
    let served = Served::start().await;
    for at in 1..=5 {
        served.commit("main", &[("counter", &at.to_string()), ("docs/stays", "as it is")]);
    }
    (served, Person::new())
}

/// Files here that are not objects of a half-written pack.
fn packs(path: &Path) -> Vec<String> {
    let folder = std::fs::read_dir(path.join("objects/pack")).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_clone_has_everything_and_git_finds_nothing_wrong_with_it() {
    let (served, ada) = with_history().await;
    let tagged = served.at("refs/heads/main").unwrap();
    let tag = served.tag("v1", tagged);
    served.commit("feature/x", &[("counter", "x")]);
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    assert_eq!(ada.read("core/counter"), "5");
    assert_eq!(ada.read("core/docs/stays"), "as it is");
    assert_eq!(ada.count("core", "HEAD").await, 5);
    assert_eq!(ada.git("core", &["symbolic-ref", "HEAD"]).await, "refs/heads/main");
    assert_eq!(ada.git("core", &["rev-parse", "v1"]).await, tag.to_string());
    assert_eq!(ada.git("core", &["rev-parse", "v1^{}"]).await, tagged.to_string());
    ada.git("core", &["rev-parse", "origin/feature/x"]).await;
    ada.git("core", &["fsck", "--full", "--strict"]).await;
}

#[tokio::test]
#[ignore = "needs git"]
async fn an_empty_repository_is_cloned_and_filled_by_the_first_push() {
    let (served, ada) = (Served::start().await, Person::new());
    ada.git("", &["-c", "init.defaultBranch=other", "clone", "-q", &served.url, "core"]).await;
    assert_eq!(ada.git("core", &["symbolic-ref", "HEAD"]).await, "refs/heads/main", "the server's choice");
    let first = ada.commit("core", "a", "A").await;
    ada.git("core", &["push", "-q", "origin", "main"]).await;
    assert_eq!(served.at("refs/heads/main"), Some(first));
    let update = RefUpdate { name: "refs/heads/main".to_owned(), before: None, after: Some(first) };
    assert_eq!(served.updates(), [update]);
    ada.git("", &["clone", "-q", &served.url, "again"]).await;
    assert_eq!(ada.read("again/a"), "A");
}

#[tokio::test]
#[ignore = "needs git"]
async fn ls_remote_shows_branches_tags_and_what_they_name() {
    let (served, ada) = with_history().await;
    let head = served.at("refs/heads/main").unwrap();
    let tag = served.tag("v1", head);
    let listed = ada.git("", &["ls-remote", "--symref", &served.url]).await;
    let expected = [
        "ref: refs/heads/main\tHEAD".to_owned(),
        format!("{head}\tHEAD"),
        format!("{head}\trefs/heads/main"),
        format!("{tag}\trefs/tags/v1"),
        format!("{head}\trefs/tags/v1^{{}}"),
    ];
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_shallow_clone_is_deepened_step_by_step_and_then_whole() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", "--depth=1", &served.url, "core"]).await;
    assert_eq!(ada.count("core", "HEAD").await, 1);
    assert_eq!(ada.read("core/docs/stays"), "as it is");
    ada.git("core", &["fetch", "-q", "--depth=2"]).await;
    assert_eq!(ada.count("core", "HEAD").await, 2);
    ada.git("core", &["fetch", "-q", "--deepen=1"]).await;
    assert_eq!(ada.count("core", "HEAD").await, 3);
    ada.git("core", &["fsck", "--full", "--strict"]).await;
    ada.git("core", &["fetch", "-q", "--unshallow"]).await;
    assert_eq!(ada.count("core", "HEAD").await, 5);
    assert_eq!(ada.git("core", &["rev-parse", "--is-shallow-repository"]).await, "false");
    ada.git("core", &["fsck", "--full", "--strict"]).await;
    let brought: Vec<u32> = served.fetches().into_iter().map(|(_, count)| count).filter(|count| *count > 0).collect();
    assert_eq!(brought, [5, 3, 3, 6], "a commit is itself, its root directory and a file; the first also brings docs");
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_shallow_clone_follows_new_commits() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", "--depth=2", &served.url, "core"]).await;
    served.commit("main", &[("counter", "6"), ("docs/stays", "as it is")]);
    ada.git("core", &["pull", "-q"]).await;
    assert_eq!(ada.read("core/counter"), "6");
    assert_eq!(ada.count("core", "HEAD").await, 3);
    assert_eq!(served.fetches().last().unwrap().1, 3, "what was here did not come again");
    ada.git("core", &["fsck", "--full", "--strict"]).await;
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_shallow_clone_is_pushed_from() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", "--depth=1", &served.url, "core"]).await;
    let head = ada.commit("core", "new", "N").await;
    ada.git("core", &["push", "-q", "origin", "main"]).await;
    assert_eq!(served.at("refs/heads/main"), Some(head));
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_partial_clone_gets_files_when_it_checks_them_out() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", "--no-checkout", "--filter=blob:none", &served.url, "core"]).await;
    let missing = ada.git("core", &["rev-list", "--objects", "--missing=print", "HEAD"]).await;
    assert_eq!(missing.lines().filter(|line| line.starts_with('?')).count(), 6, "{missing}");
    ada.git("core", &["checkout", "-q", "HEAD"]).await;
    assert_eq!(ada.read("core/counter"), "5");
    let missing = ada.git("core", &["rev-list", "--objects", "--missing=print", "HEAD"]).await;
    assert_eq!(missing.lines().filter(|line| line.starts_with('?')).count(), 4, "{missing}");
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_clone_without_directories_gets_them_when_they_are_read() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", "--bare", "--filter=tree:0", &served.url, "core.git"]).await;
    assert_eq!(served.fetches()[0].1, 5, "five commits");
    assert_eq!(ada.git("core.git", &["show", "HEAD~3:docs/stays"]).await, "as it is");
}

#[tokio::test]
#[ignore = "needs git"]
async fn large_files_are_left_out_on_request() {
    let (served, ada) = (Served::start().await, Person::new());
    served.commit("main", &[("small", "s"), ("large", &"x".repeat(2_000))]);
    ada.git("", &["clone", "-q", "--bare", "--filter=blob:limit=1k", &served.url, "core.git"]).await;
    assert_eq!(served.fetches()[0].1, 3, "a commit, its directory, the small file");
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_filter_that_is_not_served_is_refused_in_words() {
    let (served, ada) = with_history().await;
    let said = ada.refused("", &["clone", "-q", "--filter=tree:3", &served.url, "core"]).await;
    assert!(said.contains("filter 'tree:3' is not supported here"), "{said}");
    let said = ada.refused("", &["clone", "-q", "--shallow-since=2001-01-01", &served.url, "core"]).await;
    assert!(said.contains("deepen-since is not supported here"), "{said}");
}

#[tokio::test]
#[ignore = "needs git"]
async fn an_older_protocol_is_refused_in_words() {
    let (served, ada) = with_history().await;
    let said = ada.refused("", &["-c", "protocol.version=0", "clone", "-q", &served.url, "core"]).await;
    assert!(said.contains("only protocol version 2 is served here"), "{said}");
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_commit_is_fetched_by_its_name_though_no_branch_leads_to_it() {
    let (served, ada) = with_history().await;
    let lost = served.commit("lost", &[("found", "again")]);
    served.repository().find_reference("refs/heads/lost").unwrap().delete().unwrap();
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    ada.git("core", &["fetch", "-q", "origin", &lost.to_string()]).await;
    assert_eq!(ada.git("core", &["show", "FETCH_HEAD:found"]).await, "again");
    let said = ada.refused("core", &["fetch", "-q", "origin", &"1".repeat(40)]).await;
    assert!(said.contains("not our ref 1111"), "{said}");
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_fetch_brings_what_is_new_and_no_more() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    let head = served.commit("main", &[("counter", "6"), ("docs/stays", "as it is")]);
    let tag = served.tag("v6", head);
    // The person has gone on as well: more to compare than one commit.
    for at in 0..40 {
        ada.commit("core", "mine", &at.to_string()).await;
    }
    ada.git("core", &["fetch", "-q"]).await;
    assert_eq!(ada.git("core", &["rev-parse", "origin/main", "v6"]).await, format!("{head}\n{tag}"));
    assert_eq!(
        served.fetches().last().unwrap().1,
        4,
        "a commit, its root directory, a file, and the tag that names it"
    );
    ada.git("core", &["fsck", "--full", "--strict"]).await;
    let asked = served.fetches().len();
    ada.git("core", &["fetch", "-q"]).await;
    assert_eq!(served.fetches().len(), asked, "nothing is new");
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_branch_is_pushed_forced_elsewhere_and_deleted() {
    let (served, ada) = with_history().await;
    let main = served.at("refs/heads/main").unwrap();
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    ada.git("core", &["checkout", "-q", "-b", "topic/one"]).await;
    let first = ada.commit("core", "a", "A").await;
    ada.git("core", &["push", "-q", "origin", "topic/one"]).await;
    assert_eq!(served.at("refs/heads/topic/one"), Some(first));

    ada.git("core", &["reset", "-q", "--hard", "HEAD~1"]).await;
    let second = ada.commit("core", "b", "B").await;
    let said = ada.refused("core", &["push", "-q", "origin", "topic/one"]).await;
    assert!(said.contains("non-fast-forward"), "{said}");
    ada.git("core", &["push", "-q", "--force-with-lease", "origin", "topic/one"]).await;
    assert_eq!(served.at("refs/heads/topic/one"), Some(second));

    ada.git("core", &["push", "-q", "origin", "--delete", "topic/one"]).await;
    assert_eq!(served.at("refs/heads/topic/one"), None);
    assert_eq!(served.at("refs/heads/main"), Some(main));
    let steps: Vec<_> = served.updates().into_iter().map(|update| (update.before, update.after)).collect();
    assert_eq!(steps, [(None, Some(first)), (Some(first), Some(second)), (Some(second), None)]);
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_branch_and_tags_at_commits_that_are_known_need_no_objects() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    ada.git("core", &["tag", "light", "HEAD~1"]).await;
    ada.git("core", &["push", "-q", "origin", "HEAD~2:refs/heads/older", "light"]).await;
    assert_eq!(served.at("refs/heads/older").unwrap().to_string(), ada.git("core", &["rev-parse", "HEAD~2"]).await);
    assert_eq!(served.at("refs/tags/light").unwrap().to_string(), ada.git("core", &["rev-parse", "HEAD~1"]).await);
    assert_eq!(served.updates().len(), 2);
}

#[tokio::test]
#[ignore = "needs git"]
async fn an_atomic_push_moves_all_branches_or_none() {
    let (served, ada) = with_history().await;
    let main = served.at("refs/heads/main");
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    let head = ada.commit("core", "a", "A").await;
    let refs = ["HEAD:refs/heads/main", "HEAD:refs/heads/other", "HEAD:refs/heads/other/below"];
    let said = ada.refused("core", &[&["push", "--atomic", "origin"], &refs[..]].concat()).await;
    assert!(said.contains("stands in the way") && said.contains("atomic push failure"), "{said}");
    assert_eq!((served.at("refs/heads/main"), served.at("refs/heads/other")), (main, None));
    assert_eq!(served.updates(), []);
    ada.git("core", &[&["push", "-q", "--atomic", "origin"], &refs[..2]].concat()).await;
    assert_eq!((served.at("refs/heads/main"), served.at("refs/heads/other")), (Some(head), Some(head)));
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_push_that_is_not_atomic_moves_what_it_can() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    let head = ada.commit("core", "a", "A").await;
    let push = ["push", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/main/below", "HEAD:refs/pull/1/head"];
    let said = ada.refused("core", &push).await;
    assert!(said.contains("deny updating a hidden ref"), "{said}");
    assert_eq!(served.at("refs/heads/main"), Some(head));
    assert_eq!(served.updates().len(), 1);
}

#[tokio::test]
#[ignore = "needs git"]
async fn the_current_branch_cannot_be_deleted() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    let said = ada.refused("core", &["push", "origin", "--delete", "main"]).await;
    assert!(said.contains("deletion of the current branch prohibited"), "{said}");
    assert!(served.at("refs/heads/main").is_some());
}

#[tokio::test]
#[ignore = "needs git"]
async fn a_push_of_megabytes_and_of_another_repositorys_commit_goes_through() {
    let (served, ada) = with_history().await;
    ada.git("", &["clone", "-q", &served.url, "core"]).await;
    // Noise that no compression makes small: more than git sends without asking first.
    let mut noise = vec![0; 3 << 20];
    getrandom::fill(&mut noise).unwrap();
    std::fs::write(ada.path("core/noise"), &noise).unwrap();
    let submodule = format!("160000,{},vendored", "3".repeat(40));
    ada.git("core", &["update-index", "--add", "--cacheinfo", &submodule]).await;
    ada.git("core", &["add", "noise"]).await;
    ada.git("core", &["commit", "-q", "-m", "Noise"]).await;
    ada.git("core", &["push", "-q", "origin", "main"]).await;
    ada.git("", &["clone", "-q", &served.url, "again"]).await;
    assert_eq!(std::fs::read(ada.path("again/noise")).unwrap(), noise);
    assert!(packs(&served.path).iter().all(|name| name.starts_with("pack-")), "nothing half-written is left");
}
