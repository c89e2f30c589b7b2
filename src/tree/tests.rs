use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;

fn file(mode: u32) -> Node {
    Node::File { mode }
}

const DIR: Node = Node::Dir { mode: 0o755 };

fn names(tree: &dyn Tree, path: &str) -> Vec<String> {
    tree.list(path).unwrap().into_iter().map(|(name, _)| name).collect()
}

fn text(tree: &dyn Tree, path: &str) -> String {
    String::from_utf8(tree.read(path).unwrap().to_vec()).unwrap()
}

fn arc(tree: Memory) -> Arc<dyn Tree> {
    Arc::new(tree)
}

fn merged(base: Memory, ours: Memory, theirs: Memory) -> Merged {
    Merged::new(Some(arc(base)), arc(ours), arc(theirs))
}

fn conflict<T>(path: &str) -> Result<T, TreeError> {
    Err(TreeError::Conflict { path: path.to_owned() })
}

/// Memory trees with directory names, which remember which directories were listed.
struct Named {
    tree: Memory,
    listed: Arc<Mutex<Vec<String>>>,
}

impl Tree for Named {
    fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
        self.tree.node(path)
    }

    fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
        self.listed.lock().unwrap().push(path.to_owned());
        self.tree.list(path)
    }

    fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
        self.tree.blob_id(path)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
        self.tree.read(path)
    }

    fn dir_id(&self, path: &str) -> Result<Option<ObjectId>, TreeError> {
        if !matches!(self.tree.node(path)?, Some(Node::Dir { .. })) {
            return Ok(None);
        }
        let mut all = String::new();
        for (name, node) in self.tree.list(path)? {
            let child = join(path, &name);
            let id = match node {
                Node::Dir { .. } => self.dir_id(&child)?,
                _ => Some(self.tree.blob_id(&child)?),
            };
            all.push_str(&format!("{name} {node:?} {id:?}\n"));
        }
        Ok(Some(blob_id(all.as_bytes())))
    }
}

#[test]
fn a_file_in_memory_has_the_name_that_git_gives_it() {
    let tree = Memory::new().file("config.yaml", "hello\n").file("empty", "");
    assert_eq!(tree.blob_id("config.yaml").unwrap().as_str(), "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_eq!(tree.blob_id("empty").unwrap().as_str(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

#[test]
fn directories_appear_because_of_their_files_and_are_listed_by_name_bytes() {
    let tree: Memory = [("a/b/c", "1"), ("a-b", "2"), ("a.b", "3"), ("a/z", "4"), ("Z", "5")].into_iter().collect();
    assert_eq!(names(&tree, ""), ["Z", "a", "a-b", "a.b"]);
    assert_eq!(tree.list("a").unwrap(), [("b".to_owned(), DIR), ("z".to_owned(), file(0o644))]);
    assert_eq!(tree.node("").unwrap(), Some(DIR));
    assert_eq!(tree.node("a/b").unwrap(), Some(DIR));
    assert_eq!(tree.node("a/b/c/d").unwrap(), None);
    assert!(tree.list("nowhere").unwrap().is_empty());
    assert!(matches!(tree.read("a"), Err(TreeError::Unfit { .. })));
    assert!(matches!(tree.read("a/none"), Err(TreeError::Unfit { .. })));
}

#[test]
fn what_is_put_in_memory_later_takes_the_place_of_what_was_there() {
    let tree = Memory::new().file("a", "file").file("a/b", "now a directory").link("l", "a/b").executable("run", "x");
    assert_eq!(tree.node("a").unwrap(), Some(DIR));
    assert_eq!(tree.node("run").unwrap(), Some(file(0o755)));
    assert_eq!(tree.node("l").unwrap(), Some(Node::Link { target: "a/b".to_owned() }));
    let tree = tree.file("/a/", "a file again").without("l");
    assert_eq!(tree.paths().collect::<Vec<_>>(), ["a", "run"]);
}

#[test]
fn a_directory_seen_as_a_tree_has_only_its_own_files() {
    let of = arc(Memory::new().file("svc/Dockerfile", "FROM scratch").file("svc/conf/a", "a").file("other", "o"));
    let tree = Subtree { of: of.clone(), at: "svc".to_owned() };
    assert_eq!(names(&tree, ""), ["Dockerfile", "conf"]);
    assert_eq!(text(&tree, "conf/a"), "a");
    assert_eq!(tree.node("other").unwrap(), None);
    assert_eq!(tree.node("").unwrap(), Some(DIR));
    assert_eq!(names(&Subtree { of, at: String::new() }, ""), ["other", "svc"]);
}

#[test]
fn the_sources_tree_hides_what_the_consumer_has_in_its_place() {
    let base =
        Memory::new().file("deps/agent/stale", "old").file("deps/agent/config.yaml", "old").file("deps/keep", "k");
    let source = Memory::new().file("config.yaml", "new").file("prompts/a.md", "p");
    let tree = Mounted { base: arc(base), at: "deps/agent".to_owned(), mounted: arc(source) };
    assert_eq!(names(&tree, "deps"), ["agent", "keep"]);
    assert_eq!(names(&tree, "deps/agent"), ["config.yaml", "prompts"]);
    assert_eq!(text(&tree, "deps/agent/config.yaml"), "new");
    assert_eq!(text(&tree, "deps/keep"), "k");
    assert_eq!(tree.node("deps/agent/stale").unwrap(), None);
    assert_eq!(tree.node("deps/agentless").unwrap(), None);
}

#[test]
fn parents_of_the_place_are_directories_even_where_the_consumer_has_none() {
    let base = arc(Memory::new().file("deps", "a file in the way").file("z", "z"));
    let tree =
        Mounted { base: base.clone(), at: "deps/x/agent".to_owned(), mounted: arc(Memory::new().file("f", "f")) };
    assert_eq!(tree.list("").unwrap(), [("deps".to_owned(), DIR), ("z".to_owned(), file(0o644))]);
    assert_eq!(tree.list("deps").unwrap(), [("x".to_owned(), DIR)]);
    assert_eq!(tree.list("deps/x").unwrap(), [("agent".to_owned(), DIR)]);
    assert_eq!(tree.node("deps/x").unwrap(), Some(DIR));
    assert!(matches!(tree.read("deps"), Err(TreeError::Unfit { .. })));
    let whole = Mounted { base, at: String::new(), mounted: arc(Memory::new().file("f", "f")) };
    assert_eq!(names(&whole, ""), ["f"]);
}

#[test]
fn a_merge_takes_each_change_from_the_side_that_made_it() {
    let base = Memory::new().file("a", "1").file("b", "1").file("gone", "1").file("dir/x", "1");
    let ours = base.clone().file("a", "ours").without("gone").file("added", "ours");
    let theirs = base.clone().file("b", "theirs").file("dir/y", "theirs").file("added", "ours");
    let tree = merged(base, ours, theirs);
    assert_eq!(names(&tree, ""), ["a", "added", "b", "dir"]);
    assert_eq!((text(&tree, "a"), text(&tree, "b")), ("ours".to_owned(), "theirs".to_owned()));
    assert_eq!(names(&tree, "dir"), ["x", "y"]);
    assert_eq!(tree.node("gone").unwrap(), None);
}

#[test]
fn a_path_that_both_sides_changed_fails_whoever_touches_it_and_nobody_else() {
    let base = Memory::new().file("dir/manifest.json", "1").file("dir/other", "1");
    let tree = merged(
        base.clone(),
        base.clone().file("dir/manifest.json", "2").file("dir/other", "2"),
        base.clone().file("dir/manifest.json", "3"),
    );
    assert_eq!(tree.read("dir/manifest.json"), conflict("dir/manifest.json"));
    assert_eq!(tree.size("dir/manifest.json"), conflict("dir/manifest.json"));
    assert_eq!(tree.blob_id("dir/manifest.json"), conflict("dir/manifest.json"));
    assert_eq!(names(&tree, "dir"), ["manifest.json", "other"]);
    assert_eq!(text(&tree, "dir/other"), "2");
    assert_eq!(tree.expect(&["dir/manifest.json", "dir/other", "dir", "none"]), Ok(()));
}

#[test]
fn deleting_a_file_that_the_other_side_changed_is_a_conflict() {
    let base = Memory::new().file("dir/a", "1").file("dir/b", "1");
    let tree = merged(base.clone(), base.clone().without("dir"), base.clone().file("dir/a", "2"));
    assert_eq!(tree.node("dir/a"), conflict("dir/a"));
    assert_eq!(tree.node("dir/b").unwrap(), None);
    assert_eq!(names(&tree, "dir"), ["a"]);
}

#[test]
fn permission_bits_and_bytes_merge_apart() {
    let base = Memory::new().file("run", "1");
    let tree = merged(base.clone(), base.clone().executable("run", "1"), base.file("run", "2"));
    assert_eq!(tree.node("run").unwrap(), Some(file(0o755)));
    assert_eq!(tree.list("").unwrap(), [("run".to_owned(), file(0o755))]);
    assert_eq!(text(&tree, "run"), "2");
}

#[test]
fn a_file_in_the_place_of_a_directory_is_a_conflict_only_if_something_would_be_left_in_the_directory() {
    let base = Memory::new().file("conf/a", "1");
    let flat = base.clone().file("conf", "now a file");
    let clean = merged(base.clone(), flat.clone(), base.clone().file("elsewhere", "x"));
    assert_eq!(text(&clean, "conf"), "now a file");
    assert_eq!(clean.node("conf/a").unwrap(), None);
    let torn = merged(base.clone(), flat, base.file("conf/new", "x"));
    assert_eq!(torn.node("conf"), conflict("conf"));
    assert_eq!(torn.node("conf/new"), conflict("conf"));
    assert_eq!(names(&torn, ""), ["conf"]);
}

#[test]
fn a_file_that_both_sides_changed_has_both_changes_where_they_are_apart() {
    let base = Memory::new().file("Dockerfile", "FROM a\nRUN b\nRUN c\n");
    let ours = base.clone().file("Dockerfile", "FROM A\nRUN b\nRUN c\n");
    let theirs = base.clone().executable("Dockerfile", "FROM a\nRUN b\nRUN C\n");
    let both = "FROM A\nRUN b\nRUN C\n";
    let tree = merged(base.clone(), ours.clone(), theirs);
    assert_eq!(text(&tree, "Dockerfile"), both);
    assert_eq!(tree.blob_id("Dockerfile"), Ok(blob_id(both.as_bytes())));
    assert_eq!(tree.size("Dockerfile"), Ok(both.len() as u64));
    assert_eq!(tree.node("Dockerfile"), Ok(Some(file(0o755))));
    let torn = merged(base.clone(), ours, base.file("Dockerfile", "FROM x\nRUN b\nRUN c\n"));
    assert_eq!(torn.read("Dockerfile"), conflict("Dockerfile"));
    assert_eq!(torn.blob_id("Dockerfile"), conflict("Dockerfile"));
    assert_eq!(names(&torn, ""), ["Dockerfile"]);
}

#[test]
fn the_common_ancestor_of_crossed_histories_is_merged_by_lines_too() {
    let of = |text: &str| Memory::new().file("f", text.replace(' ', "\n"));
    let crossed = merged(of("a b c d e "), of("A b c d e "), of("a b c d E "));
    let tree = Merged::new(Some(Arc::new(crossed)), arc(of("A b c X d E ")), arc(of("A b c E ")));
    assert_eq!(tree.read("f"), conflict("f"));
    let crossed = merged(of("a b c d e "), of("A b c d e "), of("a b c d E "));
    let tree = Merged::new(Some(Arc::new(crossed)), arc(of("A X b c d E ")), arc(of("A b c E ")));
    assert_eq!(text(&tree, "f"), "A\nX\nb\nc\nE\n");
}

#[test]
fn unrelated_histories_conflict_wherever_they_differ() {
    let ours = arc(Memory::new().file("same", "1").file("differs", "1").file("only-ours", "1"));
    let theirs = arc(Memory::new().file("same", "1").file("differs", "2"));
    let tree = Merged::new(None, ours, theirs);
    assert_eq!(text(&tree, "same"), "1");
    assert_eq!(text(&tree, "only-ours"), "1");
    assert_eq!(tree.read("differs"), conflict("differs"));
}

#[test]
fn links_and_submodules_merge_like_files() {
    let commit = |digit: &str| ObjectId::parse(&digit.repeat(40)).unwrap();
    let base = Memory::new().link("l", "a").submodule("sub", commit("1")).file("f", "x");
    let ours = base.clone().submodule("sub", commit("2")).link("f", "x");
    let theirs = base.clone().link("l", "b").executable("f", "x");
    let tree = merged(base, ours, theirs);
    assert_eq!(tree.node("l").unwrap(), Some(Node::Link { target: "b".to_owned() }));
    assert_eq!(tree.node("sub").unwrap(), Some(Node::Submodule { commit: commit("2") }));
    assert_eq!(tree.node("f"), conflict("f"));
}

#[test]
fn a_directory_that_only_one_side_changed_is_not_looked_into() {
    let listed = Arc::new(Mutex::new(Vec::new()));
    let named = |tree: Memory| -> Arc<dyn Tree> { Arc::new(Named { tree, listed: listed.clone() }) };
    let base = Memory::new().file("big/deep/a", "1").file("big/deep/b", "1").file("small/c", "1");
    let ours = base.clone().file("small/c", "2");
    let theirs = base.clone().file("big/deep/a", "2").file("small/d", "1");
    let tree = Merged::new(Some(named(base)), named(ours), named(theirs));
    assert_eq!(text(&tree, "big/deep/a"), "2");
    assert_eq!(names(&tree, "small"), ["c", "d"]);
    let listed = listed.lock().unwrap();
    assert!(!listed.iter().any(|path| path.starts_with("big/deep")), "{listed:?}");
}

#[test]
fn what_both_sides_miss_is_asked_for_at_once() {
    struct Missing(Memory);
    impl Tree for Missing {
        fn node(&self, path: &str) -> Result<Option<Node>, TreeError> {
            self.0.node(path)
        }
        fn list(&self, path: &str) -> Result<Vec<(String, Node)>, TreeError> {
            self.0.list(path)
        }
        fn blob_id(&self, path: &str) -> Result<ObjectId, TreeError> {
            self.0.blob_id(path)
        }
        fn read(&self, path: &str) -> Result<Arc<[u8]>, TreeError> {
            self.expect(&[path])?;
            self.0.read(path)
        }
        fn expect(&self, paths: &[&str]) -> Result<(), TreeError> {
            let blobs: Vec<_> = paths.iter().map(|path| self.0.blob_id(path).unwrap()).collect();
            let need = Need { repository: "core".into(), objects: Objects::Blobs(blobs.clone()) };
            if blobs.is_empty() { Ok(()) } else { Err(TreeError::NotHere(need)) }
        }
    }
    let base = Memory::new().file("a", "1").file("b", "1");
    let ours = Missing(base.clone().file("a", "2"));
    let theirs = Missing(base.clone().file("b", "3"));
    let mut wanted = vec![blob_id(b"2"), blob_id(b"3")];
    wanted.sort();
    let tree = Merged::new(Some(arc(base)), Arc::new(ours), Arc::new(theirs));
    let need = Need { repository: "core".into(), objects: Objects::Blobs(wanted) };
    assert_eq!(tree.expect(&["a", "b"]), Err(TreeError::NotHere(need)));
    // And what a merge of contents takes.
    let side = |text: &str| -> Arc<dyn Tree> { Arc::new(Missing(Memory::new().file("a", text))) };
    let tree = Merged::new(Some(side("1")), side("2"), side("3"));
    let mut wanted = vec![blob_id(b"1"), blob_id(b"2"), blob_id(b"3")];
    wanted.sort();
    let need = Need { repository: "core".into(), objects: Objects::Blobs(wanted) };
    assert_eq!(tree.expect(&["a"]), Err(TreeError::NotHere(need.clone())));
    assert_eq!(tree.read("a"), Err(TreeError::NotHere(need.clone())));
    assert_eq!(tree.blob_id("a"), Err(TreeError::NotHere(need)));
    assert_eq!(tree.node("a"), Ok(Some(file(0o644))), "what it is, is known without its contents");
}

type Files = BTreeMap<String, u8>;

/// Trees over few names and contents, so that the sides meet often.
fn files() -> impl Strategy<Value = Files> {
    let path =
        prop::collection::vec(prop::sample::select(vec!["a", "a-b", "b"]), 1..4).prop_map(|names| names.join("/"));
    // Through `Memory`, so that no file stands where a directory is.
    prop::collection::btree_map(path, 0u8..3, 0..8).prop_map(|files| {
        let tree = files.iter().fold(Memory::new(), |tree, (path, content)| tree.file(path, [*content]));
        tree.paths().map(|path| (path.to_owned(), tree.read(path).unwrap()[0])).collect()
    })
}

fn memory(files: &Files) -> Memory {
    files.iter().map(|(path, content)| (path, [*content])).collect()
}

/// What a merge is, said the slow way: every path by itself, then files that stand where others need a directory.
fn model(base: &Files, ours: &Files, theirs: &Files) -> BTreeMap<String, Result<u8, String>> {
    let paths: BTreeSet<&String> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let mut result: BTreeMap<String, Result<u8, String>> = BTreeMap::new();
    for path in paths {
        let (b, o, t) = (base.get(path), ours.get(path), theirs.get(path));
        let outcome = if o == t || b == t {
            o.map(|content| Ok(*content))
        } else if b == o {
            t.map(|content| Ok(*content))
        } else {
            Some(Err(path.clone()))
        };
        if let Some(outcome) = outcome {
            result.insert(path.clone(), outcome);
        }
    }
    let present: Vec<String> = result.keys().cloned().collect();
    for path in &present {
        let prefix = format!("{path}/");
        let below: Vec<&String> = present.iter().filter(|other| other.starts_with(&prefix)).collect();
        if !below.is_empty() {
            for torn in below.into_iter().chain([path]) {
                let nearer = matches!(&result[torn], Err(at) if torn.starts_with(&format!("{at}/")));
                if !nearer {
                    result.insert(torn.clone(), Err(path.clone()));
                }
            }
        }
    }
    result
}

proptest! {
    #[test]
    fn a_merge_is_what_merging_each_path_by_itself_gives(base in files(), ours in files(), theirs in files(), named: bool) {
        let wanted = model(&base, &ours, &theirs);
        let tree = |files: &Files| -> Arc<dyn Tree> {
            if named { Arc::new(Named { tree: memory(files), listed: Arc::default() }) } else { arc(memory(files)) }
        };
        let merge = Merged::new(Some(tree(&base)), tree(&ours), tree(&theirs));
        for path in base.keys().chain(ours.keys()).chain(theirs.keys()) {
            match wanted.get(path) {
                Some(Ok(content)) => {
                    prop_assert_eq!(&*merge.read(path).unwrap(), &[*content][..], "{}", path);
                    prop_assert_eq!(merge.node(path).unwrap(), Some(file(0o644)));
                }
                Some(Err(at)) => prop_assert_eq!(merge.read(path), conflict(at)),
                // Nothing, or a directory that the other paths prove.
                None => prop_assert!(!matches!(merge.node(path), Ok(Some(Node::File { .. }))), "{}", path),
            }
        }
        // Listings show every path of the result, conflicts included, and no more.
        let mut seen = BTreeSet::new();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            let Ok(found) = merge.list(&dir) else { continue };
            for (name, _) in found {
                let path = join(&dir, &name);
                match merge.node(&path) {
                    Ok(Some(Node::Dir { .. })) => dirs.push(path),
                    Ok(None) => prop_assert!(false, "{} is listed but not there", path),
                    _ => { seen.insert(path); }
                }
            }
        }
        let torn = |path: &String| matches!(&wanted[path], Err(at) if at != path);
        let wanted: BTreeSet<String> = wanted.keys().filter(|path| !torn(path)).cloned().collect();
        prop_assert_eq!(seen, wanted);
    }

    #[test]
    fn a_mounted_tree_is_the_base_with_one_place_exchanged(base in files(), mounted in files()) {
        let at = "a/b";
        let tree = Mounted { base: arc(memory(&base)), at: at.to_owned(), mounted: arc(memory(&mounted)) };
        for (path, content) in &mounted {
            prop_assert_eq!(&*tree.read(&join(at, path)).unwrap(), &[*content][..]);
        }
        for (path, content) in &base {
            if path == "a" || path == at || path.starts_with("a/b/") {
                continue;
            }
            prop_assert_eq!(&*tree.read(path).unwrap(), &[*content][..]);
        }
        prop_assert_eq!(names(&tree, at), names(&memory(&mounted), ""));
    }
}

#[test]
fn links_are_followed_within_the_tree_and_not_out_of_it() {
    let commit = ObjectId::parse(&"e".repeat(40)).unwrap();
    let tree = Memory::new()
        .file("real/dir/file", "x")
        .link("real/dir/beside", "file")
        .link("real/up", "../top")
        .link("top", "real/dir/beside")
        .link("dir", "real/./dir/")
        .link("absolute", "/real/dir/file")
        .link("above", "../outside")
        .link("dangling", "nothing")
        .link("round", "round")
        .link("into", "module/x")
        .submodule("module", commit);
    for (path, led) in [
        ("", Led::Dir(String::new())),
        ("real", Led::Dir("real".to_owned())),
        ("real/dir/file", Led::File("real/dir/file".to_owned())),
        ("real/up", Led::File("real/dir/file".to_owned())),
        ("dir/beside", Led::File("real/dir/file".to_owned())),
        ("dir", Led::Dir("real/dir".to_owned())),
        ("real/dir/file/more", Led::Missing),
        ("dangling", Led::Missing),
        ("nothing/at/all", Led::Missing),
        ("absolute", Led::Outside),
        ("above", Led::Outside),
        ("round", Led::Outside),
        ("into", Led::Submodule("module".to_owned())),
        ("module/x/y", Led::Submodule("module".to_owned())),
    ] {
        assert_eq!(follow(&tree, path), Ok(led), "{path}");
    }
}

#[test]
fn a_base_that_is_a_torn_merge_itself_leaves_what_both_sides_have_alike() {
    let root = Memory::new().file("a", "0").file("b", "0");
    let torn: Arc<dyn Tree> = Arc::new(merged(root.clone(), root.clone().file("a", "1"), root.clone().file("a", "2")));
    let merge = |ours: &str, theirs: &str| {
        let theirs = root.clone().file("a", theirs).file("b", "new");
        Merged::new(Some(torn.clone()), arc(root.clone().file("a", ours)), arc(theirs))
    };
    assert_eq!(text(&merge("3", "3"), "a"), "3");
    assert_eq!(merge("3", "4").read("a"), conflict("a"));
    assert_eq!(text(&merge("3", "4"), "b"), "new");
    assert_eq!(names(&merge("3", "4"), ""), ["a", "b"]);
}
