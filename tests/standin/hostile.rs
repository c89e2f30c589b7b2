//! Requests that no git sends: each gets an answer, none a panic, and no ref moves.

use std::io::Write as _;

use drift_gate::demo::smart_http::{Answer, info_refs, receive_pack, upload_pack};
use git2::{ObjectType, Oid, Repository};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

use crate::smart::who;

const V2: Option<&str> = Some("version=2");

struct World {
    folder: TempDir,
    repository: Repository,
    head: Oid,
}

impl World {
    /// A repository with a commit on `main`.
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        drift_gate::snapshot::prepare();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let head = commit(&repository, "file", 0o100644, repository.blob(b"content").unwrap());
        repository.reference("refs/heads/main", head, false, "").unwrap();
        Self { folder, repository, head }
    }

    fn ask(&self, body: impl AsRef<[u8]>) -> Answer {
        self.ask_in(V2, body.as_ref())
    }

    fn ask_in(&self, protocol: Option<&str>, body: &[u8]) -> Answer {
        upload_pack(self.folder.path(), protocol, body)
    }

    fn fetch(&self, arguments: &[&str]) -> Answer {
        let arguments: String = arguments.iter().map(|argument| line(argument)).collect();
        self.ask(format!("{}0001{arguments}0000", line("command=fetch")))
    }

    /// Pushes, and returns the report; no ref may have moved.
    fn push_in_vain(&self, commands: &str, pack: &[u8]) -> String {
        let body = [commands.as_bytes(), b"0000", pack].concat();
        let (answer, updates) = receive_pack(self.folder.path(), &body);
        assert_eq!(updates, []);
        assert_eq!(self.repository.references().unwrap().count(), 1);
        assert_eq!(self.repository.refname_to_id("refs/heads/main").unwrap(), self.head);
        text(&answer)
    }
}

/// A commit of a directory with one entry, which need not be here.
fn commit(repository: &Repository, name: &str, mode: u32, entry: Oid) -> Oid {
    let bytes = [format!("{mode:o} {name}\0").as_bytes(), entry.as_bytes()].concat();
    let tree = repository.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    repository.commit(None, &who(), &who(), "A change", &tree, &[]).unwrap()
}

fn line(text: &str) -> String {
    format!("{:04x}{text}\n", text.len() + 5)
}

fn command(before: &str, after: &str, name: &str) -> String {
    line(&format!("{before} {after} {name}\0 report-status"))
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

const ZEROS: &str = "0000000000000000000000000000000000000000";
const ONES: &str = "1111111111111111111111111111111111111111";

#[test]
fn what_is_no_packet_is_a_bad_request() {
    let world = World::new();
    for body in
        ["", "x", "zzzz", "0003", "+0123", "ffffshort", "0012command=ls-refs", "0012command=ls-refs0001", "0002"]
    {
        let answer = world.ask(body);
        assert_eq!(
            (answer.status, answer.content_type),
            (400, "text/plain; charset=utf-8"),
            "{body}: {}",
            text(&answer)
        );
    }
    for body in ["", "x", "zzzz", "0003", "ffffshort", "0001", &command(ZEROS, ONES, "refs/heads/a")] {
        let (answer, updates) = receive_pack(world.folder.path(), body.as_bytes());
        assert_eq!((answer.status, updates), (400, Vec::new()), "{body}: {}", text(&answer));
    }
}

#[test]
fn git_that_asks_whether_it_may_ask_is_let_in() {
    let world = World::new();
    let (pushed, _) = receive_pack(world.folder.path(), b"0000");
    for answer in [world.ask("0000"), pushed] {
        assert_eq!((answer.status, answer.body), (200, Vec::new()));
    }
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    let world = World::new();
    let question = |capability: &str| format!("{}{}0000", line(capability), line("command=ls-refs"));
    for (answer, word) in [
        (world.ask(format!("{}0000", line("command=object-info"))), "object-info"),
        (world.ask(format!("{}0000", line("agent=me"))), "no command"),
        (world.ask(question("command=fetch")), "two commands"),
        (world.ask(question("colour=blue")), "colour=blue"),
        (world.ask(question("object-format=sha256")), "sha256"),
        (world.fetch(&["want 1234"]), "want 1234"),
        (world.fetch(&["want-ref refs/heads/main"]), "want-ref"),
        (world.fetch(&["done"]), "nothing is wanted"),
        (world.fetch(&["deepen 0"]), "deepen"),
        (world.fetch(&["deepen 99999999999"]), "deepen"),
        (world.fetch(&["filter blob:limit=99999999999g"]), "blob:limit"),
        (world.fetch(&["filter sparse:oid=main"]), "sparse:oid"),
        (upload_pack(world.folder.path(), None, b"0000"), "version 2"),
        (info_refs(world.folder.path(), "git-upload-pack", Some("version=1")), "version 2"),
    ] {
        assert_eq!(answer.status, 200);
        let text = text(&answer);
        assert!(text.contains("ERR ") && text.contains(word), "{word}: {text}");
    }
    assert_eq!(info_refs(world.folder.path(), "git-upload-archive", V2).status, 403);
    assert_eq!(info_refs(world.folder.path(), "", V2).status, 403);
}

#[test]
fn names_that_are_no_branches_names_are_refused_and_so_is_what_the_forge_owns() {
    let world = World::new();
    let head = world.head.to_string();
    for (name, why) in [
        ("refs/heads/../../config", "funny refname"),
        ("refs/heads/a..b", "funny refname"),
        ("refs/heads/a b", "funny refname"),
        ("refs/heads/main.lock", "funny refname"),
        ("/etc/passwd", "funny refname"),
        ("HEAD", "funny refname"),
        ("refs/pull/1/head", "hidden ref"),
        ("refs/heads/main/below", "ng refs/heads/main/below"),
    ] {
        let report = world.push_in_vain(&command(ZEROS, &head, name), EMPTY_PACK);
        assert!(report.contains(why), "{name}: {report}");
    }
    // Only the first command may have more behind a NUL.
    let second = line(&format!("{ZEROS} {head} refs/heads/b\0ad"));
    let report = world.push_in_vain(&format!("{}{second}", command(ZEROS, &head, "refs/heads/a")), EMPTY_PACK);
    assert!(report.contains("protocol error"), "{report}");
    let long = format!("refs/heads/{}", "x".repeat(60_000));
    assert!(world.push_in_vain(&command(ZEROS, &head, &long), EMPTY_PACK).contains("protocol error"));
}

/// No objects, and the SHA-1 of that.
const EMPTY_PACK: &[u8] =
    b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

#[test]
fn a_push_that_lacks_an_object_moves_no_branch() {
    let world = World::new();
    let lacking = Oid::from_str(ONES).unwrap();
    let without_file = commit(&world.repository, "file", 0o100644, lacking);
    let without_folder = commit(&world.repository, "folder", 0o040000, lacking);
    for head in [without_file, without_folder, lacking] {
        let report = world.push_in_vain(&command(ZEROS, &head.to_string(), "refs/heads/new"), EMPTY_PACK);
        assert!(report.contains("ng refs/heads/new missing necessary objects"), "{report}");
    }
    let blob = world.repository.blob(b"content").unwrap().to_string();
    let report = world.push_in_vain(&command(ZEROS, &blob, "refs/heads/new"), EMPTY_PACK);
    assert!(report.contains("a branch can only point to a commit"), "{report}");
}

#[test]
fn a_push_from_where_the_branch_no_longer_is_does_not_move_it() {
    let world = World::new();
    let (head, new) =
        (world.head.to_string(), commit(&world.repository, "b", 0o100644, world.repository.blob(b"B").unwrap()));
    for before in [ZEROS, ONES] {
        let report = world.push_in_vain(&command(before, &new.to_string(), "refs/heads/main"), EMPTY_PACK);
        assert!(report.contains("not where the push expected it"), "{report}");
    }
    let report = world.push_in_vain(&command(&head, &head, "refs/heads/main"), EMPTY_PACK);
    assert!(report.contains("ok refs/heads/main"), "{report}");
}

#[test]
fn of_eight_pushes_at_once_from_the_same_commit_one_goes_through() {
    let world = World::new();
    let pushes: Vec<String> = (0..8)
        .map(|at: u8| {
            let new = commit(&world.repository, "file", 0o100644, world.repository.blob(&[at]).unwrap());
            command(&world.head.to_string(), &new.to_string(), "refs/heads/main")
        })
        .collect();
    let changed: Vec<_> = std::thread::scope(|scope| {
        let push =
            |commands: &String| receive_pack(world.folder.path(), &[commands.as_bytes(), b"0000", EMPTY_PACK].concat());
        let running: Vec<_> = pushes.iter().map(|commands| scope.spawn(move || push(commands).1)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(world.repository.refname_to_id("refs/heads/main").ok(), changed[0].after);
}

#[test]
fn a_ref_that_stands_for_another_one_is_not_pushed_over() {
    let world = World::new();
    world.repository.reference_symbolic("refs/heads/alias", "refs/heads/main", false, "").unwrap();
    let head = world.head.to_string();
    for before in [ZEROS, &head] {
        let body = [command(before, ZEROS, "refs/heads/alias").as_bytes(), b"0000"].concat();
        let (answer, updates) = receive_pack(world.folder.path(), &body);
        assert!(text(&answer).contains("ng refs/heads/alias"), "{}", text(&answer));
        assert_eq!(updates, []);
    }
    assert_eq!(world.repository.references().unwrap().count(), 2);
}

#[test]
fn packs_that_lie_are_refused() {
    let world = World::new();
    let head = world.head.to_string();
    let huge = [b"PACK\0\0\0\x02\xff\xff\xff\xff".as_slice(), &[0; 100]].concat();
    let lying = [b"PACK\0\0\0\x02\0\0\0\x01".as_slice(), &[0xff; 100]].concat();
    for pack in [b"".as_slice(), b"PACK", b"JUNKJUNKJUNKJUNK", &huge, &lying] {
        let report = world.push_in_vain(&command(ZEROS, &head, "refs/heads/new"), pack);
        assert!(report.contains("ng refs/heads/new unpacker error") && !report.contains("unpack ok"), "{report}");
    }
}

#[test]
fn a_tree_of_ten_thousand_floors_is_served() {
    let world = World::new();
    // Built in memory: so many files would take their time.
    let builder = World::new();
    let odb = builder.repository.odb().unwrap();
    odb.add_new_mempack_backend(1_000).unwrap();
    let mut packer = builder.repository.packbuilder().unwrap();
    let mut tree = odb.write(ObjectType::Tree, b"").unwrap();
    for _ in 0..10_000 {
        packer.insert_object(tree, None).unwrap();
        tree = odb.write(ObjectType::Tree, &[b"40000 a\0".as_slice(), tree.as_bytes()].concat()).unwrap();
    }
    packer.insert_object(tree, None).unwrap();
    let mut pack = git2::Buf::new();
    packer.write_buf(&mut pack).unwrap();
    let odb = world.repository.odb().unwrap();
    let mut writer = odb.packwriter().unwrap();
    writer.write_all(&pack).unwrap();
    writer.commit().unwrap();
    let answer = world.fetch(&[&format!("want {tree}"), "done"]);
    assert!(answer.body.windows(4).any(|window| window == b"PACK"), "{}", text(&answer));
}

/// A push of a new branch, with objects that only the pusher has.
fn good_push() -> Vec<u8> {
    let pusher = World::new();
    let new = commit(&pusher.repository, "new", 0o100644, pusher.repository.blob(b"new content").unwrap());
    let mut builder = pusher.repository.packbuilder().unwrap();
    builder.insert_commit(new).unwrap();
    let mut pack = git2::Buf::new();
    builder.write_buf(&mut pack).unwrap();
    [command(ZEROS, &new.to_string(), "refs/heads/new").as_bytes(), b"0000", &pack].concat()
}

/// Packets that look like git's, in any order.
fn packets() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop_oneof![
        Just(line("command=fetch")),
        Just(line("command=ls-refs")),
        Just("0001".to_owned()),
        Just("0000".to_owned()),
        Just("0002".to_owned()),
        "(want|have|shallow) [0-9a-f]{38,42}".prop_map(|text| line(&text)),
        "(deepen|filter|ref-prefix|peel|done|deepen-relative)( [ -~]{0,12})?".prop_map(|text| line(&text)),
        "[0-9a-f]{40} [0-9a-f]{40} refs/[ -~]{0,20}(\0 (report-status|atomic|side-band-64k| ){1,4})?"
            .prop_map(|text| line(&text)),
        "[0-9a-f]{4}[ -~]{0,20}",
    ];
    prop::collection::vec(lines, 0..8).prop_map(|lines| lines.concat().into_bytes())
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })
}

#[test]
fn no_bytes_make_it_panic() {
    let world = World::new();
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    let cases = (packets(), bytes, "[a-z0-9=:]{0,12}");
    let outcome = runner().run(&cases, |(packets, bytes, protocol)| {
        let body = [packets, bytes].concat();
        for protocol in [V2, Some(protocol.as_str())] {
            prop_assert!(matches!(world.ask_in(protocol, &body).status, 200 | 400));
            info_refs(world.folder.path(), &String::from_utf8_lossy(&body), protocol);
        }
        let (answer, updates) = receive_pack(world.folder.path(), &body);
        prop_assert!(matches!(answer.status, 200 | 400));
        prop_assert_eq!(updates, []);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn no_spoilt_push_moves_a_branch_or_leaves_a_pack() {
    let (world, good) = (World::new(), good_push());
    let from = good.windows(4).position(|window| window == b"PACK").unwrap();
    let outcome = runner().run(&(from..good.len(), 1u8..=255, any::<bool>()), |(at, flip, cut)| {
        let mut push = good.clone();
        if cut {
            push.truncate(at);
        } else {
            push[at] ^= flip;
        }
        let (answer, updates) = receive_pack(world.folder.path(), &push);
        prop_assert_eq!(answer.status, 200);
        prop_assert_eq!(updates, []);
        prop_assert!(world.repository.refname_to_id("refs/heads/new").is_err());
        prop_assert_eq!(std::fs::read_dir(world.folder.path().join("objects/pack")).unwrap().count(), 0);
        Ok(())
    });
    outcome.unwrap();
    let (answer, updates) = receive_pack(world.folder.path(), &good);
    assert!(text(&answer).contains("ok refs/heads/new"), "{}", text(&answer));
    assert_eq!(updates.len(), 1);
}
