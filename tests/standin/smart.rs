//! Repositories behind the stand-in's smart HTTP, and nothing else of a forge.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response, header};
use drift_gate::demo::smart_http::{Answer, RefUpdate, info_refs, receive_pack, upload_pack};
use git2::{Oid, Repository, RepositoryInitOptions, Signature};
use tempfile::TempDir;

/// A served repository, at first empty.
#[derive(Clone)]
pub struct Served {
    /// Its address.
    pub url: String,
    /// Its folder.
    pub path: PathBuf,
    seen: Arc<Mutex<Seen>>,
    _folder: Arc<TempDir>,
}

/// What the server was asked and answered.
#[derive(Default)]
struct Seen {
    /// The fetches as they came, and how many objects each answer brought.
    fetches: Vec<(String, u32)>,
    updates: Vec<RefUpdate>,
}

impl Served {
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("core.git");
        drift_gate::snapshot::prepare();
        Repository::init_opts(&path, RepositoryInitOptions::new().bare(true).initial_head("main")).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/molecule/core.git", listener.local_addr().unwrap());
        let served = Self { url, path, seen: Arc::default(), _folder: Arc::new(folder) };
        let answering = served.clone();
        let app = axum::Router::new().fallback(move |request| answer(answering.clone(), request));
        tokio::spawn(async move { axum::serve(listener, app).await });
        served
    }

    pub fn repository(&self) -> Repository {
        Repository::open_bare(&self.path).unwrap()
    }

    /// A commit with these files on a branch, and on top of it where there is one.
    pub fn commit(&self, branch: &str, files: &[(&str, &str)]) -> Oid {
        let repository = self.repository();
        let name = format!("refs/heads/{branch}");
        let parent = repository.find_reference(&name).ok().map(|found| found.peel_to_commit().unwrap());
        let tree = repository.find_tree(tree(&repository, files)).unwrap();
        let parents: Vec<_> = parent.iter().collect();
        repository.commit(Some(&name), &who(), &who(), "A change", &tree, &parents).unwrap()
    }

    /// An annotated tag.
    pub fn tag(&self, name: &str, target: Oid) -> Oid {
        let repository = self.repository();
        let object = repository.find_object(target, None).unwrap();
        repository.tag(name, &object, &who(), "A version", false).unwrap()
    }

    /// Where a ref points.
    pub fn at(&self, name: &str) -> Option<Oid> {
        self.repository().refname_to_id(name).ok()
    }

    pub fn fetches(&self) -> Vec<(String, u32)> {
        self.seen.lock().unwrap().fetches.clone()
    }

    /// What pushes changed.
    pub fn updates(&self) -> Vec<RefUpdate> {
        self.seen.lock().unwrap().updates.clone()
    }
}

pub fn who() -> Signature<'static> {
    Signature::new("Ada", "ada@example.org", &git2::Time::new(1_700_000_000, 0)).unwrap()
}

/// Writes a directory; the paths may have `/`.
fn tree(repository: &Repository, files: &[(&str, &str)]) -> Oid {
    let mut builder = repository.treebuilder(None).unwrap();
    let mut folders: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (path, content) in files {
        match path.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((rest, content)),
            None => drop(builder.insert(path, repository.blob(content.as_bytes()).unwrap(), 0o100644).unwrap()),
        }
    }
    for (name, files) in folders {
        builder.insert(name, tree(repository, &files), 0o040000).unwrap();
    }
    builder.write().unwrap()
}

async fn answer(served: Served, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = plain(&parts.headers, to_bytes(body, usize::MAX).await.unwrap().to_vec());
    let protocol = parts.headers.get("git-protocol").map(|value| value.to_str().unwrap().to_owned());
    let (rest, query) = (parts.uri.path().to_owned(), parts.uri.query().unwrap_or("").to_owned());
    let answer = tokio::task::spawn_blocking(move || {
        let (path, protocol) = (served.path.as_path(), protocol.as_deref());
        match rest.strip_prefix("/molecule/core.git/").unwrap() {
            "info/refs" => info_refs(path, query.strip_prefix("service=").unwrap_or(""), protocol),
            "git-upload-pack" => {
                let answer = upload_pack(path, protocol, &body);
                served.remember_fetch(&body, &answer);
                answer
            }
            "git-receive-pack" => {
                let (answer, updates) = receive_pack(path, &body);
                served.seen.lock().unwrap().updates.extend(updates);
                answer
            }
            other => panic!("no client asks for {other}"),
        }
    });
    let answer = answer.await.unwrap();
    Response::builder()
        .status(answer.status)
        .header(header::CONTENT_TYPE, answer.content_type)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(Body::from(answer.body))
        .unwrap()
}

impl Served {
    fn remember_fetch(&self, body: &[u8], answer: &Answer) {
        let asked = String::from_utf8_lossy(body).into_owned();
        if asked.contains("command=fetch") {
            let pack = answer.body.windows(4).position(|window| window == b"PACK");
            let count = pack.map_or(0, |at| u32::from_be_bytes(answer.body[at + 8..at + 12].try_into().unwrap()));
            self.seen.lock().unwrap().fetches.push((asked, count));
        }
    }
}

fn plain(headers: &HeaderMap, body: Vec<u8>) -> Vec<u8> {
    if headers.get(header::CONTENT_ENCODING).is_none_or(|value| value != "gzip") {
        return body;
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
    plain
}
