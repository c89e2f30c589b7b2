//! A forge's git side in one process: enough of protocol version 2 to be fetched from, and able to misbehave.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use git2::{ObjectType, Oid, Repository, Signature};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::git::Remote;
use crate::snapshot::prepare;
use crate::tree::ObjectId;

pub const TOKEN: &str = "token s3cr3t";

/// An answer that stands in for the real one.
#[derive(Clone)]
pub struct Canned {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Canned {
    pub fn new(status: u16, kind: &str, body: impl AsRef<[u8]>) -> Self {
        Self { status, headers: vec![("content-type", kind.to_owned())], body: body.as_ref().to_vec() }
    }

    /// As git answers a fetch.
    pub fn result(body: impl AsRef<[u8]>) -> Self {
        Self::new(200, "application/x-git-upload-pack-result", body)
    }
}

#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    _dir: TempDir,
    repository: Mutex<Repository>,
    filter: bool,
    /// Requests as they came: path and body.
    seen: Mutex<Vec<String>>,
    /// What the next requests to `git-upload-pack` are answered, before the real answers.
    canned: Mutex<VecDeque<Canned>>,
    /// Each answered fetch takes one.
    turns: Semaphore,
    address: Mutex<String>,
}

impl Upstream {
    pub async fn start(filter: bool) -> Self {
        prepare();
        let dir = TempDir::new().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self(Arc::new(Inner {
            _dir: dir,
            repository: Mutex::new(repository),
            filter,
            seen: Mutex::default(),
            canned: Mutex::default(),
            turns: Semaphore::new(10_000),
            address: Mutex::new(format!("http://{}/molecule/core.git", listener.local_addr().unwrap())),
        }));
        let app = axum::Router::new().fallback(answer).with_state(upstream.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        upstream
    }

    pub fn remote(&self) -> Remote {
        Remote { url: self.0.address.lock().unwrap().clone(), authorization: Some(SecretString::from(TOKEN)) }
    }

    /// The next fetches are answered with these.
    pub fn answer_with(&self, canned: impl IntoIterator<Item = Canned>) {
        self.0.canned.lock().unwrap().extend(canned);
    }

    /// From now on fetches wait until [`Self::go_on`].
    pub async fn hold(&self) {
        self.0.turns.acquire_many(10_000).await.unwrap().forget();
    }

    pub fn go_on(&self) {
        self.0.turns.add_permits(10_000);
    }

    /// The fetches that were asked for, as text.
    pub fn fetches(&self) -> Vec<String> {
        let seen = self.0.seen.lock().unwrap();
        seen.iter().filter(|request| request.contains("command=fetch")).cloned().collect()
    }

    pub fn requests(&self) -> usize {
        self.0.seen.lock().unwrap().len()
    }

    /// A commit with these files (`dir/name`, one level), and the branch that names it.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)], parents: &[&ObjectId]) -> ObjectId {
        let repository = self.0.repository.lock().unwrap();
        let mut dirs: HashMap<&str, git2::TreeBuilder<'_>> = HashMap::new();
        for (path, content) in files {
            let (dir, name) = crate::tree::split(path);
            let blob = repository.blob(content.as_bytes()).unwrap();
            let dir = dirs.entry(dir).or_insert_with(|| repository.treebuilder(None).unwrap());
            dir.insert(name, blob, 0o100644).unwrap();
        }
        let mut root = dirs.remove("").unwrap_or_else(|| repository.treebuilder(None).unwrap());
        for (name, dir) in dirs {
            root.insert(name, dir.write().unwrap(), 0o040000).unwrap();
        }
        let tree = repository.find_tree(root.write().unwrap()).unwrap();
        let who = Signature::new("a", "a@example.org", &git2::Time::new(1_700_000_000, 0)).unwrap();
        let parents: Vec<_> = parents.iter().map(|parent| repository.find_commit(oid(parent)).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let id = repository.commit(None, &who, &who, branch, &tree, &parents).unwrap();
        repository.reference(&format!("refs/heads/{branch}"), id, true, "").unwrap();
        ObjectId::parse(&id.to_string()).unwrap()
    }

    fn real_answer(&self, body: &str) -> Result<Vec<u8>, String> {
        let repository = self.0.repository.lock().unwrap();
        let words = |word: &str| -> Vec<String> {
            let lines = body.lines().filter_map(|line| line.get(4..)?.strip_prefix(word)?.strip_prefix(' '));
            lines.map(str::to_owned).collect()
        };
        if body.contains("command=ls-refs") {
            let mut out = Vec::new();
            for reference in repository.references().unwrap() {
                let reference = reference.unwrap();
                line(&format!("{} {}\n", reference.target().unwrap(), reference.name().unwrap()), &mut out);
            }
            out.extend(b"0000");
            return Ok(out);
        }
        let filter = words("filter").pop();
        assert!(self.0.filter || filter.is_none(), "a filter was sent to a server that has none");
        let depth: Option<usize> = words("deepen").pop().map(|depth| depth.parse().unwrap());
        let mut pack = repository.packbuilder().unwrap();
        let mut commits = Vec::new();
        for want in words("want") {
            let id = Oid::from_str(&want).unwrap();
            let object = repository.find_object(id, None).map_err(|_| format!("upload-pack: not our ref {want}"))?;
            match object.kind() {
                Some(ObjectType::Blob) => pack.insert_object(id, None).unwrap(),
                _ => commits.push(id),
            }
        }
        let mut walk = repository.revwalk().unwrap();
        for id in &commits {
            walk.push(*id).unwrap();
        }
        let mut client_has = HashSet::new();
        for have in words("have") {
            let have = Oid::from_str(&have).unwrap();
            walk.hide(have).unwrap();
            let mut ancestors = repository.revwalk().unwrap();
            ancestors.push(have).unwrap();
            for commit in ancestors {
                trees(&repository, &repository.find_commit(commit.unwrap()).unwrap().tree().unwrap(), &mut client_has);
            }
        }
        // Histories here are lines, so a generation is one commit.
        let all: Vec<Oid> = walk.map(Result::unwrap).take(depth.unwrap_or(usize::MAX)).collect();
        for id in all {
            pack.insert_object(id, None).unwrap();
            let tree = repository.find_commit(id).unwrap().tree().unwrap();
            match filter.as_deref() {
                Some("tree:0") => {}
                Some("blob:none") => {
                    let mut all = HashSet::new();
                    trees(&repository, &tree, &mut all);
                    for tree in all.difference(&client_has) {
                        pack.insert_object(*tree, None).unwrap();
                    }
                }
                None => pack.insert_tree(tree.id()).unwrap(),
                Some(other) => panic!("filter {other}"),
            }
        }
        let mut bytes = git2::Buf::new();
        pack.write_buf(&mut bytes).unwrap();
        let mut out = Vec::new();
        if depth.is_some() {
            line("shallow-info", &mut out);
            out.extend(b"0001");
        }
        line("packfile\n", &mut out);
        for chunk in bytes.chunks(1000) {
            line("\u{2}Enumerating objects", &mut out);
            out.extend(format!("{:04x}\u{1}", chunk.len() + 5).as_bytes());
            out.extend(chunk);
        }
        out.extend(b"0000");
        Ok(out)
    }
}

/// The directories of a tree, itself included.
fn trees(repository: &Repository, tree: &git2::Tree<'_>, found: &mut HashSet<Oid>) {
    found.insert(tree.id());
    for entry in tree.iter().filter(|entry| entry.kind() == Some(ObjectType::Tree)) {
        trees(repository, &repository.find_tree(entry.id()).unwrap(), found);
    }
}

fn oid(id: &ObjectId) -> Oid {
    Oid::from_str(id.as_str()).unwrap()
}

fn line(text: &str, out: &mut Vec<u8>) {
    out.extend(format!("{:04x}{text}", text.len() + 4).as_bytes());
}

async fn answer(State(upstream): State<Upstream>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    upstream.0.seen.lock().unwrap().push(format!("{uri}\n{body}"));
    if headers.get("authorization").is_none_or(|value| value != TOKEN) {
        return (StatusCode::UNAUTHORIZED, "Failed to authenticate user\n").into_response();
    }
    assert_eq!(headers["git-protocol"], "version=2");
    if uri.path().ends_with("/info/refs") {
        let features = if upstream.0.filter { "fetch=shallow filter" } else { "fetch=shallow" };
        let mut out = Vec::new();
        line("# service=git-upload-pack\n", &mut out);
        out.extend(b"0000");
        for text in ["version 2\n", "ls-refs=unborn\n", features, "object-format=sha1\n"] {
            line(text, &mut out);
        }
        out.extend(b"0000");
        return ([("content-type", "application/x-git-upload-pack-advertisement")], out).into_response();
    }
    let _turn = upstream.0.turns.acquire().await.unwrap();
    let canned = upstream.0.canned.lock().unwrap().pop_front();
    let canned = canned.unwrap_or_else(|| match upstream.real_answer(&body) {
        Ok(out) => Canned::result(out),
        Err(message) => {
            let mut out = Vec::new();
            line(&format!("ERR {message}"), &mut out);
            Canned::result(out)
        }
    });
    let mut response = (StatusCode::from_u16(canned.status).unwrap(), canned.body).into_response();
    for (name, value) in canned.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
