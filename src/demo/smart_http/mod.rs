//! The server side of git's smart HTTP, for bare repositories on disk.
//!
//! The stand-in forge is cloned from and pushed to like a real one, by the service and by people's git; no git program is
//! needed for that, libgit2 reads and writes the objects. Fetching speaks protocol version 2, pushing version 0, as git
//! itself does. The functions block and know neither HTTP nor users: the caller routes, un-gzips, asks who it is, and adds
//! `Cache-Control: no-cache`. May use `git` (packets) and `snapshot` (libgit2's set-up).
//!
//! What is served: `ls-refs` and `fetch` with wants by any object name, negotiation, `deepen`, the filters `blob:none`,
//! `blob:limit` and `tree:0`; pushes of any kind, `atomic` included. What is not (older protocols for fetching,
//! `deepen-since`, `deepen-not`, other filters, signed pushes, SHA-256) is refused in words that git shows its user.
//! Sources: `gitprotocol-v2(5)`, `gitprotocol-pack(5)`, `gitprotocol-http(5)`.
//!
//! Traps and races handled here:
//! - **Requests are hostile until parsed**: lengths, counts and names are checked before libgit2 sees them; a tree a million
//!   directories deep does not end the stack, because nothing here calls itself.
//! - **Two pushes at once**: a ref is changed under its lock, and only when it is still where the pusher saw it.
//! - **A push that lacks something** changes no ref: everything new must be here, down to the last file.
//! - **What a client has** ends where its history is cut: beyond a shallow commit nothing is taken for granted.
//! - **Half an answer** does not exist: an answer is made whole before it is sent, or is an error as a whole.

use std::path::Path;

use git2::{Oid, Repository};

use crate::git::pkt;
use crate::snapshot::prepare;

mod fetch;
mod history;
mod receive;
mod refs;
mod request;
mod select;

/// Who answers, for people who look at the wire.
const AGENT: &str = concat!("agent=drift-gate/", env!("CARGO_PKG_VERSION"));

const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";

/// One answer of git's smart HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A ref that a push changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The whole name, such as `refs/heads/main`.
    pub name: String,
    /// Where it was; `None` where it is new.
    pub before: Option<Oid>,
    /// Where it is now; `None` where it was deleted.
    pub after: Option<Oid>,
}

/// Answers `GET /{repo}.git/info/refs?service=…`; `protocol` is the `Git-Protocol` header.
pub fn info_refs(repository: &Path, service: &str, protocol: Option<&str>) -> Answer {
    let content_type = match service {
        UPLOAD => "application/x-git-upload-pack-advertisement",
        RECEIVE => "application/x-git-receive-pack-advertisement",
        _ => return Answer::text(403, "only git's smart HTTP is served here: git-upload-pack and git-receive-pack"),
    };
    let Some(repository) = open(repository) else { return Answer::no_repository() };
    let offer = match service {
        RECEIVE => receive::offer(&repository),
        _ if speaks_version_2(protocol) => Ok(fetch::offer()),
        _ => Err(old_protocol()),
    };
    let mut body = Vec::new();
    pkt::line(&format!("# service={service}"), &mut body);
    pkt::flush(&mut body);
    Answer::after(body, content_type, offer)
}

/// Answers `POST /{repo}.git/git-upload-pack`; `body` is not compressed.
pub fn upload_pack(repository: &Path, protocol: Option<&str>, body: &[u8]) -> Answer {
    let Some(repository) = open(repository) else { return Answer::no_repository() };
    let answer = if speaks_version_2(protocol) { command(&repository, body) } else { Err(old_protocol()) };
    Answer::after(Vec::new(), "application/x-git-upload-pack-result", answer)
}

/// Answers `POST /{repo}.git/git-receive-pack`, `body` not compressed, and tells which refs changed, in the order of the
/// push.
pub fn receive_pack(repository: &Path, body: &[u8]) -> (Answer, Vec<RefUpdate>) {
    let Some(repository) = open(repository) else { return (Answer::no_repository(), Vec::new()) };
    let (answer, changed) = match receive::receive(&repository, body) {
        Ok((report, changed)) => (Ok(report), changed),
        Err(refusal) => (Err(refusal), Vec::new()),
    };
    (Answer::after(Vec::new(), "application/x-git-receive-pack-result", answer), changed)
}

fn command(repository: &Repository, body: &[u8]) -> Result<Vec<u8>, Refusal> {
    match request::command(body)? {
        // git asks so whether it may ask at all, before it sends much.
        None => Ok(Vec::new()),
        Some(command) => match command.name.as_str() {
            "ls-refs" => refs::ls_refs(repository, &command.arguments),
            "fetch" => fetch::fetch(repository, &command.arguments),
            other => Err(Refusal::no(format!("unknown command '{other}'"))),
        },
    }
}

/// Opened for each request: what other requests wrote is seen.
fn open(folder: &Path) -> Option<Repository> {
    prepare();
    Repository::open_bare(folder).ok()
}

fn speaks_version_2(protocol: Option<&str>) -> bool {
    protocol.is_some_and(|protocol| protocol.split(':').any(|word| word == "version=2"))
}

fn old_protocol() -> Refusal {
    Refusal::no(
        "only protocol version 2 is served here; git 2.26 and later speak it unless protocol.version says otherwise",
    )
}

/// Why a request is not answered as its sender wished.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It is no git.
    Malformed(String),
    /// It is git, and the answer is no. git shows the reason to its user.
    No(String),
}

impl Refusal {
    fn no(why: impl Into<String>) -> Self {
        Self::No(why.into())
    }
}

impl From<git2::Error> for Refusal {
    fn from(error: git2::Error) -> Self {
        Self::No(format!("the repository cannot be read: {}", error.message()))
    }
}

impl Answer {
    /// What git reads: `before`, then the answer or why there is none.
    fn after(before: Vec<u8>, content_type: &'static str, answer: Result<Vec<u8>, Refusal>) -> Self {
        let mut body = before;
        match answer {
            Ok(answer) => body.extend_from_slice(&answer),
            Err(Refusal::Malformed(why)) => return Self::text(400, &why),
            Err(Refusal::No(why)) => pkt::data(format!("ERR {}", pkt::text(why.as_bytes())).as_bytes(), &mut body),
        }
        Self { status: 200, content_type, body }
    }

    fn text(status: u16, text: &str) -> Self {
        let body = format!("{}\n", pkt::text(text.as_bytes())).into_bytes();
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }

    fn no_repository() -> Self {
        Self::text(404, "Repository not found")
    }
}
