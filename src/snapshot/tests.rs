use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use git2::{Oid, Repository, Signature};
use tempfile::TempDir;

use super::*;
use crate::tree::{Memory, Need, Node, ObjectId, Objects, Tree, TreeError, blob_id};

/// A repository written with libgit2, entry by entry, so that it can hold what no work tree would.
struct Written {
    dir: TempDir,
    repository: Repository,
}

impl Written {
    fn new() -> Self {
        prepare();
        let dir = TempDir::new().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        Self { dir, repository }
    }

    fn tree(&self, entries: &[(&[u8], i32, Oid)]) -> Oid {
        let mut tree = self.repository.treebuilder(None).unwrap();
        for (name, mode, id) in entries {
            tree.insert(*name, *id, *mode).unwrap();
        }
        tree.write().unwrap()
    }

    fn blob(&self, content: &str) -> Oid {
        self.repository.blob(content.as_bytes()).unwrap()
    }

    fn commit(&self, tree: Oid, parents: &[&ObjectId]) -> ObjectId {
        let who = Signature::new("a", "a@example.org", &git2::Time::new(1_700_000_000, 0)).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|parent| self.repository.find_commit(Oid::from_str(parent.as_str()).unwrap()).unwrap())
            .collect();
        let tree = self.repository.find_tree(tree).unwrap();
        let id = self.repository.commit(None, &who, &who, "m", &tree, &parents.iter().collect::<Vec<_>>()).unwrap();
        ObjectId::parse(&id.to_string()).unwrap()
    }

    /// A commit with one file, whose content makes it different from others.
    fn step(&self, content: &str, parents: &[&ObjectId]) -> ObjectId {
        self.commit(self.tree(&[(b"file", 0o100644, self.blob(content))]), parents)
    }

    fn objects(&self) -> Arc<ObjectDb> {
        Arc::new(ObjectDb::new(Repository::open_bare(self.dir.path()).unwrap(), "main/core"))
    }

    /// Removes a loose object: what a clone with a filter does not have.
    fn lose(&self, id: &str) {
        fs::remove_file(self.dir.path().join("objects").join(&id[..2]).join(&id[2..])).unwrap();
    }
}

fn need<T>(objects: Objects) -> Result<T, TreeError> {
    Err(TreeError::NotHere(Need { repository: "main/core".into(), objects }))
}

fn id(oid: Oid) -> ObjectId {
    ObjectId::parse(&oid.to_string()).unwrap()
}

#[test]
fn a_commits_tree_reads_like_the_files_that_were_committed() {
    let written = Written::new();
    let (conf, run) = (written.blob("name: x\n"), written.blob("#!/bin/sh\n"));
    let sub = Oid::from_str(&"7".repeat(40)).unwrap();
    let dir = written.tree(&[(b"config.yaml", 0o100644, conf), (b"caf\xe9", 0o100644, conf)]);
    let root = written.tree(&[
        (b"agent", 0o040000, dir),
        (b"agent-x", 0o100755, run),
        (b"latest", 0o120000, written.blob("agent/config.yaml")),
        (b"vendor", 0o160000, sub),
    ]);
    let commit = written.commit(root, &[]);
    let tree = GitTree::new(written.objects(), &commit).unwrap();
    let expected = [
        ("agent".to_owned(), Node::Dir { mode: 0o755 }),
        ("agent-x".to_owned(), Node::File { mode: 0o755 }),
        ("latest".to_owned(), Node::Link { target: "agent/config.yaml".to_owned() }),
        ("vendor".to_owned(), Node::Submodule { commit: id(sub) }),
    ];
    assert_eq!(tree.list("").unwrap(), expected);
    assert_eq!(tree.list("agent").unwrap()[0].0, "caf\\351");
    assert_eq!(&*tree.read("agent/caf\\351").unwrap(), b"name: x\n");
    assert_eq!(tree.blob_id("agent/config.yaml").unwrap(), blob_id(b"name: x\n"));
    assert_eq!(tree.size("agent/config.yaml").unwrap(), 8);
    assert_eq!(&*tree.read("latest").unwrap(), b"agent/config.yaml");
    assert_eq!(tree.dir_id("agent").unwrap(), Some(id(dir)));
    assert_eq!(tree.dir_id("").unwrap(), Some(id(root)));
    assert_eq!(tree.dir_id("agent-x").unwrap(), None);
    assert_eq!(tree.node("latest/config.yaml").unwrap(), None);
    assert_eq!(tree.node("vendor/x").unwrap(), None);
    assert!(matches!(tree.read("vendor"), Err(TreeError::Unfit { .. })));
    assert!(matches!(tree.read(""), Err(TreeError::Unfit { .. })));
}

#[test]
fn what_was_not_fetched_is_asked_for_and_never_taken_for_absent() {
    let written = Written::new();
    let (here, gone, link) = (written.blob("here"), written.blob("gone"), written.blob("target"));
    let other_link = written.blob("other target");
    let dir = written.tree(&[(b"l", 0o120000, other_link)]);
    let root =
        written.tree(&[(b"a", 0o100644, here), (b"b", 0o100644, gone), (b"d", 0o040000, dir), (b"l", 0o120000, link)]);
    let commit = written.commit(root, &[]);
    for lost in [gone, link, other_link] {
        written.lose(&lost.to_string());
    }
    let objects = written.objects();
    let tree = GitTree::new(objects.clone(), &commit).unwrap();
    let mut all = vec![id(gone), id(link)];
    all.sort();
    assert_eq!(tree.expect(&["a", "b", "l", "d", "none"]), need(Objects::Blobs(all)));
    assert_eq!(tree.expect(&["a"]), Ok(()));
    assert_eq!(tree.read("b"), need(Objects::Blobs(vec![id(gone)])));
    assert_eq!(tree.size("b"), need(Objects::Blobs(vec![id(gone)])));
    assert_eq!(tree.blob_id("b").unwrap(), id(gone));
    assert_eq!(tree.node("b").unwrap(), Some(Node::File { mode: 0o644 }));
    let mut links = vec![id(link), id(other_link)];
    links.sort();
    assert_eq!(tree.list(""), need(Objects::Blobs(links.clone())));
    assert_eq!(tree.node("d/l"), need(Objects::Blobs(links)));
    assert!(objects.has_trees(&commit).unwrap());

    written.lose(&dir.to_string());
    let fresh = written.objects();
    assert!(!fresh.has_trees(&commit).unwrap());
    assert_eq!(GitTree::new(fresh, &commit).unwrap().node("d/l"), need(Objects::Commit(commit)));
}

#[test]
fn a_commit_without_its_trees_is_asked_for() {
    let written = Written::new();
    let commit = written.step("1", &[]);
    let unknown = ObjectId::parse(&"1".repeat(40)).unwrap();
    let missing = |objects, commit| GitTree::new(objects, commit).map(drop);
    assert_eq!(missing(written.objects(), &unknown), need(Objects::Commit(unknown.clone())));
    let root = written.objects().root(&commit).unwrap();
    written.lose(&root.to_string());
    assert_eq!(missing(written.objects(), &commit), need(Objects::Commit(commit.clone())));
    let blob = id(written.blob("1"));
    assert!(matches!(missing(written.objects(), &blob), Err(TreeError::Unfit { .. })));
}

#[test]
fn a_pack_that_was_added_is_seen_after_a_refresh() {
    let written = Written::new();
    let commit = written.step("1", &[]);
    let cache = Written::new();
    let objects = cache.objects();
    assert!(!objects.has(&commit));
    let mut pack = git2::Buf::new();
    let mut builder = written.repository.packbuilder().unwrap();
    builder.insert_commit(Oid::from_str(commit.as_str()).unwrap()).unwrap();
    builder.write_buf(&mut pack).unwrap();
    let odb = cache.repository.odb().unwrap();
    let mut writer = odb.packwriter().unwrap();
    std::io::Write::write_all(&mut writer, &pack).unwrap();
    writer.commit().unwrap();
    assert!(!objects.has(&commit));
    objects.refresh().unwrap();
    assert!(objects.has(&commit));
    assert!(objects.has_trees(&commit).unwrap());
}

#[test]
fn how_commits_stand_to_each_other() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let a = w.step("a", &[&root]);
    let side = w.step("side", &[&a]);
    let merge = w.step("merge", &[&a, &side]);
    let head = w.step("head", &[&merge]);
    let fork = w.step("fork", &[&a]);
    let stranger = w.step("stranger", &[]);
    let objects = w.objects();
    assert_eq!(objects.standing(&head, &head).unwrap(), Standing::Same);
    assert_eq!(objects.standing(&root, &head).unwrap(), Standing::Behind(3));
    assert_eq!(objects.standing(&a, &head).unwrap(), Standing::Behind(2));
    // Came in by the merge: the merge and what follows are not in it.
    assert_eq!(objects.standing(&side, &head).unwrap(), Standing::Behind(2));
    assert_eq!(objects.standing(&head, &a).unwrap(), Standing::Ahead);
    assert_eq!(objects.standing(&fork, &head).unwrap(), Standing::Diverged);
    assert_eq!(objects.behind_first_parent(&fork, &head).unwrap(), None);
    assert_eq!(objects.merge_bases(&fork, &head).unwrap(), std::slice::from_ref(&a));
    assert_eq!(objects.merge_bases(&side, &head).unwrap(), [side]);
    assert_eq!(objects.merge_bases(&stranger, &head).unwrap(), []);
    assert!(!objects.is_ancestor(&stranger, &head).unwrap());
    assert_eq!(objects.commit_time(&head).unwrap(), 1_700_000_000);
    assert!(objects.has_history(&head, &[]).unwrap());
}

#[test]
fn histories_that_were_merged_crosswise_have_two_best_ancestors() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let (one, other) = (w.step("one", &[&root]), w.step("other", &[&root]));
    let (ours, theirs) = (w.step("ours", &[&one, &other]), w.step("theirs", &[&other, &one]));
    let mut found = w.objects().merge_bases(&ours, &theirs).unwrap();
    found.sort();
    let mut wanted = [one, other];
    wanted.sort();
    assert_eq!(found, wanted);
}

#[test]
fn a_line_says_of_every_pair_what_a_walk_says() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let stranger = w.step("stranger", &[]);
    let a = w.step("a", &[&root]);
    let side = w.step("side", &[&root]);
    // Took the main line in before it came back by a merge.
    let crossed = w.step("crossed", &[&side, &a]);
    let b = w.step("b", &[&a]);
    let merge = w.step("merge", &[&b, &crossed]);
    let late = w.step("late", &[&merge, &side]);
    let unrelated = w.step("unrelated", &[&late, &stranger]);
    let head = w.step("head", &[&unrelated]);
    let fork = w.step("fork", &[&b]);
    let objects = w.objects();
    let line = Line::new(&objects, &head).unwrap();
    let on_line = [&root, &a, &b, &merge, &late, &unrelated, &head];
    for commit in on_line.into_iter().chain([&stranger, &side, &crossed]) {
        for head in on_line {
            assert_eq!(line.standing(commit, head), Some(objects.standing(commit, head).unwrap()), "{commit} {head}");
        }
    }
    assert_eq!(line.standing(&fork, &head), None, "not in the history");
    assert_eq!(line.standing(&root, &side), None, "not a head of the branch");
}

#[test]
fn how_far_behind_counts_first_parents_also_when_the_main_line_was_merged_into_the_bound_commit() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let main = w.step("main", &[&root]);
    // A side branch that took the main line in, was bound, and came back by a merge.
    let side = w.step("side", &[&root]);
    let bound = w.step("bound", &[&side, &main]);
    let merge = w.step("merge", &[&main, &bound]);
    let head = w.step("head", &[&merge]);
    assert_eq!(w.objects().standing(&bound, &head).unwrap(), Standing::Behind(2));
}

#[test]
fn a_commit_whose_parents_were_not_fetched_is_no_root() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let a = w.step("a", &[&root]);
    let (one, other) = (w.step("one", &[&a]), w.step("other", &[&a]));
    w.lose(a.as_str());
    let objects = w.objects();
    assert_eq!(objects.merge_bases(&one, &other), need(Objects::History(vec![one.clone(), other.clone()])));
    assert_eq!(objects.is_ancestor(&one, &other), need(Objects::History(vec![one.clone(), other.clone()])));
    assert_eq!(objects.standing(&root, &one), need(Objects::History(vec![root, one.clone()])));
    assert!(!objects.has_history(&one, &[]).unwrap());
    // Known to be complete by someone who knows better: the walk does not go there.
    assert!(objects.has_history(&one, std::slice::from_ref(&one)).unwrap());
}

#[test]
fn a_shallow_clone_says_what_to_do_instead_of_calling_histories_unrelated() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let a = w.step("a", &[&root]);
    let (one, other) = (w.step("one", &[&a]), w.step("other", &[&a]));
    fs::write(w.dir.path().join("shallow"), format!("{one}\n{other}\n")).unwrap();
    let local = Local::open(w.dir.path()).unwrap();
    for answer in [local.objects().merge_bases(&one, &other).map(drop), local.objects().standing(&a, &one).map(drop)] {
        let Err(TreeError::Unfit { what, .. }) = answer else { panic!("{answer:?}") };
        assert!(what.contains("git fetch --unshallow"), "{what}");
    }
    assert!(!local.objects().has_history(&one, &[]).unwrap());
}

#[test]
fn revisions_are_read_as_git_reads_them() {
    let w = Written::new();
    let root = w.step("root", &[]);
    let head = w.step("head", &[&root]);
    let object = w.repository.find_object(Oid::from_str(head.as_str()).unwrap(), None).unwrap();
    let who = Signature::now("a", "a@example.org").unwrap();
    w.repository.tag("v1", &object, &who, "annotated", false).unwrap();
    w.repository.reference("refs/heads/feature/x", object.id(), false, "").unwrap();
    w.repository.set_head("refs/heads/feature/x").unwrap();
    let local = Local::open(w.dir.path()).unwrap();
    for rev in ["HEAD", "v1", "feature/x", head.as_str(), &head.as_str()[..10]] {
        assert_eq!(local.resolve(rev).unwrap(), head, "{rev}");
    }
    assert_eq!(local.resolve("HEAD~1").unwrap(), root);
    assert_eq!(local.head().unwrap(), Some(head.clone()));
    assert_eq!(&*local.tree(&head).unwrap().read("file").unwrap(), b"head");
    let error = local.resolve("nowhere").unwrap_err().to_string();
    assert!(error.contains("no commit `nowhere`"), "{error}");
}

#[test]
fn a_repository_without_commits_says_so() {
    let w = Written::new();
    let local = Local::open(w.dir.path()).unwrap();
    assert_eq!(local.head().unwrap(), None);
    assert_eq!(local.resolve("HEAD"), Err(OpenError::NoCommits(w.dir.path().to_owned())));
}

#[test]
fn a_folder_that_is_no_repository_and_one_of_sha256_say_so() {
    prepare();
    let dir = TempDir::new().unwrap();
    assert_eq!(Local::open(dir.path()).map(drop), Err(OpenError::NotARepository(dir.path().to_owned())));
    assert!(!Local::is_repository(dir.path()));
    let below = dir.path().join("repo/below");
    fs::create_dir_all(&below).unwrap();
    Repository::init(dir.path().join("repo")).unwrap();
    assert!(!Local::is_repository(&below), "the repository around a folder is not the folder's");
    let config = dir.path().join("repo/.git/config");
    fs::write(&config, "[core]\nrepositoryformatversion = 1\n[extensions]\nobjectformat = sha256\n").unwrap();
    assert_eq!(Local::open(&dir.path().join("repo")).map(drop), Err(OpenError::Sha256(dir.path().join("repo"))));
}

#[test]
fn partial_clones_and_linked_work_trees_open() {
    prepare();
    let dir = TempDir::new().unwrap();
    let repository = Repository::init(dir.path().join("repo")).unwrap();
    let config = dir.path().join("repo/.git/config");
    fs::write(
        &config,
        "[core]\nrepositoryformatversion = 1\n[extensions]\npartialClone = origin\nworktreeConfig = true\n",
    )
    .unwrap();
    let who = Signature::now("a", "a@example.org").unwrap();
    let tree = repository.find_tree(repository.treebuilder(None).unwrap().write().unwrap()).unwrap();
    let head = repository.commit(Some("HEAD"), &who, &who, "m", &tree, &[]).unwrap();
    repository.worktree("linked", &dir.path().join("linked"), None).unwrap();
    for folder in ["repo", "linked"] {
        let local = Local::open(&dir.path().join(folder)).unwrap();
        assert_eq!(local.head().unwrap(), Some(id(head)), "{folder}");
        assert_eq!(local.tree(&id(head)).unwrap().list("").unwrap(), [], "{folder}");
    }
}

fn write(root: &Path, path: &str, content: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_folder_reads_as_it_is_on_disk() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "conf/config.yaml", "name: x\n", 0o600);
    write(dir.path(), "conf-run", "#!/bin/sh\n", 0o775);
    write(dir.path(), ".git/config", "", 0o644);
    write(dir.path(), "vendor/.git", "gitdir: elsewhere", 0o644);
    fs::set_permissions(dir.path().join("conf"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("conf/config.yaml", dir.path().join("link")).unwrap();
    let folder = Folder::new(dir.path()).unwrap();
    let names: Vec<_> = folder.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["conf", "conf-run", "link", "vendor"]);
    assert_eq!(folder.list("conf").unwrap(), [("config.yaml".to_owned(), Node::File { mode: 0o600 })]);
    assert_eq!(folder.node("conf").unwrap(), Some(Node::Dir { mode: 0o750 }));
    assert_eq!(folder.node("conf-run").unwrap(), Some(Node::File { mode: 0o775 }));
    assert_eq!(folder.node("link").unwrap(), Some(Node::Link { target: "conf/config.yaml".to_owned() }));
    assert_eq!(folder.node(".git/config").unwrap(), None);
    assert_eq!(folder.list("vendor").unwrap(), []);
    let same = Memory::new().file("conf/config.yaml", "name: x\n").link("link", "conf/config.yaml");
    for path in ["conf/config.yaml", "link"] {
        assert_eq!(folder.blob_id(path).unwrap(), same.blob_id(path).unwrap());
        assert_eq!(folder.read(path).unwrap(), same.read(path).unwrap());
        assert_eq!(folder.size(path).unwrap(), same.size(path).unwrap());
    }
    assert!(matches!(folder.read("conf"), Err(TreeError::Unfit { .. })));
    assert!(matches!(folder.read("none"), Err(TreeError::Unfit { .. })));
}

#[test]
fn nothing_outside_a_folder_is_ever_read() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "outside/secret", "s", 0o644);
    write(dir.path(), "root/file", "f", 0o644);
    symlink("../outside", dir.path().join("root/out")).unwrap();
    symlink(dir.path().join("outside/secret"), dir.path().join("root/secret")).unwrap();
    let folder = Folder::new(&dir.path().join("root")).unwrap();
    for path in ["out/secret", "../outside/secret", "/etc/passwd", "file/..", "./file", "file/x"] {
        assert_eq!(folder.node(path).unwrap(), None, "{path}");
        assert!(matches!(folder.read(path), Err(TreeError::Unfit { .. })), "{path}");
        assert!(folder.list(path).unwrap().is_empty(), "{path}");
    }
    assert!(folder.list("out").unwrap().is_empty());
    let target = dir.path().join("outside/secret").display().to_string();
    assert_eq!(&*folder.read("secret").unwrap(), target.as_bytes());
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_shown_as_git_prints_them_and_found_again() {
    use std::os::unix::ffi::OsStrExt;
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    write(dir.path(), "back\\slash", "y", 0o644);
    let folder = Folder::new(dir.path()).unwrap();
    let names: Vec<_> = folder.list("").unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["back\\slash", "caf\\351"]);
    assert_eq!(&*folder.read("caf\\351").unwrap(), b"x");
    assert_eq!(&*folder.read("back\\slash").unwrap(), b"y");
    assert_eq!(folder.node("no\\ne").unwrap(), None);
}

#[test]
fn a_folder_that_is_not_there_or_none_says_so() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "file", "", 0o644);
    for (name, words) in [("none", "no such folder"), ("file", "not a folder")] {
        let Err(TreeError::Unfit { what, .. }) = Folder::new(&dir.path().join(name)) else { panic!("{name}") };
        assert_eq!(what, words);
    }
}

#[test]
fn a_copy_is_known_by_the_newest_commit_that_has_its_bytes() {
    let w = Written::new();
    let inside = |name: &str, content: &str| w.tree(&[(name.as_bytes(), 0o100644, w.blob(content))]);
    let root = |file: &str, dir: Oid| w.tree(&[(b"d", 0o040000, dir), (b"file", 0o100644, w.blob(file))]);
    let first = w.commit(root("old", inside("x", "moved")), &[]);
    let second = w.commit(root("old", inside("y", "moved")), &[&first]);
    // A branch that was merged is not on the first-parent line.
    let side = w.commit(root("side", inside("y", "z")), &[&second]);
    let third = w.commit(root("new", inside("y", "z")), &[&second, &side]);
    let version = |content: &str| w.objects().version(&third, "file", &blob_id(content.as_bytes()), 10).unwrap();
    assert_eq!(version("new"), Some((third.clone(), "file".into())));
    assert_eq!(version("old"), Some((second.clone(), "file".into())), "the newest that has it");
    assert_eq!(version("moved"), Some((second.clone(), "d/y".into())), "another path, where it was last");
    assert_eq!((version("side"), version("nowhere")), (None, None));
    let objects = w.objects();
    let line_is_longer = objects.version(&third, "file", &blob_id(b"old"), 2);
    assert!(matches!(line_is_longer, Err(TreeError::Unfit { .. })), "{line_is_longer:?}");
}

#[test]
fn a_partial_clone_knows_versions_by_its_directories_alone() {
    let w = Written::new();
    let old = w.step("old", &[]);
    let new = w.step("new", &[&old]);
    w.lose(blob_id(b"old").as_str());
    fs::create_dir_all(w.dir.path().join("objects/pack")).unwrap();
    fs::write(w.dir.path().join("objects/pack/pack-1.promisor"), "").unwrap();
    assert_eq!(w.objects().version(&new, "file", &blob_id(b"old"), 10).unwrap(), Some((old, "file".into())));
}

#[test]
fn what_a_file_was_is_told_as_far_as_it_was_looked_for() {
    let w = Written::new();
    let first = w.step("one", &[]);
    let second = w.step("two", &[&first]);
    let same = w.step("two", &[&second]);
    let gone = w.commit(w.tree(&[(b"other", 0o100644, w.blob("x"))]), &[&same]);
    let side = w.step("side", &[&gone]);
    let third = w.step("two", &[&gone, &side]);
    let head = w.step("one", &[&third]);
    let blob = |text: &str| blob_id(text.as_bytes());
    let versions = [(head.clone(), blob("one")), (third, blob("two")), (first.clone(), blob("one"))];
    assert_eq!(w.objects().past(&head, "file", 10).unwrap(), (versions.to_vec(), true));
    assert_eq!(w.objects().past(&head, "file", 2).unwrap(), (versions[..2].to_vec(), false), "there is more");
    assert_eq!(w.objects().past(&head, "nowhere", 10).unwrap(), (vec![], true));
    assert!(w.objects().has_line(&head, 10).unwrap());
    // A commit that was not fetched is no end of the line.
    w.lose(first.as_str());
    assert!(!w.objects().has_line(&head, 10).unwrap() && w.objects().has_line(&head, 5).unwrap());
    assert_eq!(w.objects().past(&head, "file", 10).map(drop), need(Objects::Line(head.clone())));
    fs::write(w.dir.path().join("shallow"), format!("{second}\n")).unwrap();
    assert_eq!(w.objects().past(&head, "file", 10).unwrap(), (versions[..2].to_vec(), false), "it is cut off there");
}
