//! Requests of protocol version 2 over HTTP.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::pkt::{self, Answer, Bad, Capabilities};
use super::{GitError, Limits, Remote};
use crate::tree::ObjectId;

/// How many pieces of a pack may wait for the disk.
const QUEUE: usize = 16;

/// One repository, as this request sees it.
pub struct Wire<'a> {
    client: &'a Client,
    limits: &'a Limits,
    remote: &'a Remote,
    /// For people: without user name, password and query.
    url: String,
}

/// What is asked of `fetch`.
#[derive(Debug, Default)]
pub struct Wants<'a> {
    pub wants: &'a [ObjectId],
    /// Commits of which everything that this kind of fetch brings is here.
    pub haves: &'a [ObjectId],
    /// The commits with so many generations of their history, themselves included; all of it without.
    pub depth: Option<u32>,
    /// A filter, where the server can.
    pub filter: Option<&'static str>,
}

impl<'a> Wire<'a> {
    pub fn new(client: &'a Client, limits: &'a Limits, remote: &'a Remote) -> Self {
        Self { client, limits, remote, url: without_secrets(&remote.url) }
    }

    /// The address, as it may be shown to people.
    pub fn shown(&self) -> &str {
        &self.url
    }

    /// What the server can.
    pub async fn capabilities(&self) -> Result<Capabilities, GitError> {
        let request = self.client.get(self.address("info/refs?service=git-upload-pack"));
        let response = self.send(request, "application/x-git-upload-pack-advertisement").await?;
        let body = self.whole(response).await?;
        let found = pkt::capabilities(&body).map_err(|bad| self.bad(bad))?;
        if found.sha1 {
            Ok(found)
        } else {
            Err(self.refused("a repository with SHA-256 object names; only SHA-1 repositories can be read"))
        }
    }

    /// The refs whose names begin with one of `prefixes`; all, when there is none.
    pub async fn ls_refs(&self, prefixes: &[&str]) -> Result<Vec<(String, ObjectId)>, GitError> {
        let mut body = Vec::new();
        pkt::line("command=ls-refs", &mut body);
        pkt::delim(&mut body);
        for prefix in prefixes {
            pkt::line(&format!("ref-prefix {prefix}"), &mut body);
        }
        pkt::flush(&mut body);
        let response = self.post(body).await?;
        let answer = self.whole(response).await?;
        let refs = pkt::refs(&answer).map_err(|bad| self.bad(bad))?;
        // The server may send more than was asked for.
        let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
        Ok(refs.into_iter().filter(|(name, _)| wanted(name)).collect())
    }

    /// Brings a pack into the repository in the folder `into`; returns its size in bytes. What arrives is visible there when
    /// it is complete, and not at all otherwise.
    pub async fn fetch(&self, wants: &Wants<'_>, filter: bool, into: &Path) -> Result<u64, GitError> {
        let mut response = self.post(wants.body(filter)).await?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let folder = into.to_owned();
        let writer = tokio::task::spawn_blocking(move || write_pack(&folder, receiver));
        let received = self.receive(&mut response, sender).await;
        let written = writer.await.map_err(|error| self.storage(into, &error.to_string()))?;
        match (received, written) {
            // The writer stopped first, so it knows why.
            (Err(Stop::Writer) | Ok(_), Err(message)) => Err(self.unwritten(into, message)),
            (Err(Stop::Writer), Ok(())) => Err(self.storage(into, "the writer of the pack stopped early")),
            (Err(Stop::Wire(error)), _) => Err(error),
            (Ok(size), Ok(())) => Ok(size),
        }
    }

    async fn receive(&self, response: &mut Response, sender: mpsc::Sender<Piece>) -> Result<u64, Stop> {
        let mut answer = Answer::default();
        let mut size = 0u64;
        while let Some(bytes) = response.chunk().await.map_err(|error| Stop::Wire(self.transport(error)))? {
            let mut pack = Vec::with_capacity(bytes.len());
            answer.push(&bytes, &mut pack).map_err(|bad| Stop::Wire(self.bad(bad)))?;
            size += pack.len() as u64;
            if size > self.limits.pack {
                return Err(Stop::Wire(GitError::TooLarge { url: self.url.clone(), limit: self.limits.pack }));
            }
            if !pack.is_empty() {
                sender.send(Piece::Bytes(pack)).await.map_err(|_| Stop::Writer)?;
            }
        }
        answer.finish().map_err(|bad| Stop::Wire(self.bad(bad)))?;
        sender.send(Piece::End).await.map_err(|_| Stop::Writer)?;
        Ok(size)
    }

    async fn post(&self, body: Vec<u8>) -> Result<Response, GitError> {
        let request = self
            .client
            .post(self.address("git-upload-pack"))
            .header(CONTENT_TYPE, "application/x-git-upload-pack-request")
            .body(body);
        self.send(request, "application/x-git-upload-pack-result").await
    }

    async fn send(&self, request: RequestBuilder, answer: &'static str) -> Result<Response, GitError> {
        let mut request = request
            .timeout(self.limits.total)
            .header(ACCEPT, HeaderValue::from_static(answer))
            .header("Git-Protocol", HeaderValue::from_static("version=2"));
        if let Some(secret) = &self.remote.authorization {
            let value = HeaderValue::from_str(secret.expose_secret());
            let mut value =
                value.map_err(|_| self.refused("the token has characters that no HTTP header can carry"))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| self.transport(error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.unwelcome(status, response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("nothing named");
        if kind.split(';').next().map(str::trim) == Some(answer) {
            return Ok(response);
        }
        let kind: String = kind.chars().take(80).collect();
        Err(self.refused(&format!(
            "answered with {kind} instead of git's {answer}: is this a git server's address, and no login page before it?"
        )))
    }

    /// The answer that is no answer.
    async fn unwelcome(&self, status: StatusCode, response: Response) -> GitError {
        let (url, code) = (self.url.clone(), status.as_u16());
        let message = quote(response).await;
        match code {
            300..=399 => GitError::Moved { url, status: code },
            401 | 403 => GitError::Denied { url, status: code, message },
            404 | 410 => GitError::NotFound { url },
            408 | 425 | 429 | 500..=599 => GitError::Transient { url, message: format!("{status}: {message}") },
            _ => GitError::Refused { url, message: format!("{status}: {message}") },
        }
    }

    async fn whole(&self, mut response: Response) -> Result<Vec<u8>, GitError> {
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.transport(error))? {
            if (body.len() + bytes.len()) as u64 > self.limits.refs {
                return Err(GitError::TooLarge { url: self.url.clone(), limit: self.limits.refs });
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    fn address(&self, rest: &str) -> String {
        format!("{}/{rest}", self.remote.url.trim_end_matches('/'))
    }

    fn bad(&self, bad: Bad) -> GitError {
        let url = self.url.clone();
        match bad {
            Bad::NotOurRef(id) => GitError::NotOurRef { url, id },
            Bad::Err(message) => GitError::Refused { url, message: format!("the server refuses: {message}") },
            Bad::Malformed(message) => GitError::Refused { url, message: format!("no git: {message}") },
            Bad::Fatal(message) => GitError::Transient { url, message: format!("the server gave up: {message}") },
            Bad::Cut => GitError::Transient { url, message: "the answer stops before its end".to_owned() },
        }
    }

    fn refused(&self, message: &str) -> GitError {
        GitError::Refused { url: self.url.clone(), message: message.to_owned() }
    }

    /// reqwest's own words name the URL, which may have a password in it.
    fn transport(&self, error: reqwest::Error) -> GitError {
        let error = error.without_url();
        let mut message = if error.is_timeout() {
            format!("no whole answer within {} s", self.limits.total.as_secs_f32())
        } else {
            error.to_string()
        };
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        if error.is_builder() {
            return self.refused(&message);
        }
        GitError::Transient { url: self.url.clone(), message }
    }

    fn storage(&self, path: &Path, message: &str) -> GitError {
        GitError::Storage { path: path.display().to_string(), message: message.to_owned() }
    }

    fn unwritten(&self, into: &Path, failure: Unwritten) -> GitError {
        match failure {
            Unwritten::Disk(message) => self.storage(into, &message),
            Unwritten::Pack(message) => {
                GitError::Transient { url: self.url.clone(), message: format!("a broken pack: {message}") }
            }
        }
    }
}

impl Wants<'_> {
    fn body(&self, filter: bool) -> Vec<u8> {
        let mut body = Vec::with_capacity(64 + 50 * (self.wants.len() + self.haves.len()));
        pkt::line("command=fetch", &mut body);
        pkt::delim(&mut body);
        pkt::line("no-progress", &mut body);
        pkt::line("ofs-delta", &mut body);
        for id in self.wants {
            pkt::line(&format!("want {id}"), &mut body);
        }
        for id in self.haves {
            pkt::line(&format!("have {id}"), &mut body);
        }
        if let Some(depth) = self.depth {
            pkt::line(&format!("deepen {depth}"), &mut body);
        }
        if let Some(filter) = self.filter.filter(|_| filter) {
            pkt::line(&format!("filter {filter}"), &mut body);
        }
        pkt::line("done", &mut body);
        pkt::flush(&mut body);
        body
    }
}

/// Why no more was received.
enum Stop {
    Wire(GitError),
    Writer,
}

enum Piece {
    Bytes(Vec<u8>),
    End,
}

enum Unwritten {
    Disk(String),
    Pack(String),
}

/// Writes pieces of a pack until its end. Without an end nothing stays: libgit2 removes the file that it began.
fn write_pack(folder: &PathBuf, mut pieces: mpsc::Receiver<Piece>) -> Result<(), Unwritten> {
    let disk = |error: git2::Error| Unwritten::Disk(error.message().to_owned());
    // A repository of its own, so that readers of the shared one do not wait for the network.
    let repository = git2::Repository::open_bare(folder).map_err(disk)?;
    let odb = repository.odb().map_err(disk)?;
    let mut writer = odb.packwriter().map_err(disk)?;
    let mut head = Vec::new();
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Bytes(bytes) => {
                if head.len() < HEADER {
                    head.extend_from_slice(&bytes[..bytes.len().min(HEADER - head.len())]);
                }
                writer.write_all(&bytes).map_err(|error| Unwritten::Pack(error.to_string()))?;
            }
            // No objects: everything was here. libgit2 makes no pack of that.
            Piece::End if head.ends_with(&[0; 4]) && head.len() == HEADER => return Ok(()),
            Piece::End => {
                return writer.commit().map(drop).map_err(|error| match error.class() {
                    git2::ErrorClass::Os | git2::ErrorClass::Filesystem => disk(error),
                    _ => Unwritten::Pack(error.message().to_owned()),
                });
            }
        }
    }
    Ok(())
}

/// `PACK`, the version and the number of objects.
const HEADER: usize = 12;

/// The first words of an answer's body, for people.
async fn quote(mut response: Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return "a web page".to_owned();
    }
    let mut body = Vec::new();
    while body.len() < 1_024
        && let Ok(Some(bytes)) = response.chunk().await
    {
        body.extend_from_slice(&bytes);
    }
    pkt::text(&body)
}

/// An address as it may be shown.
fn without_secrets(url: &str) -> String {
    let Ok(mut parsed) = reqwest::Url::parse(url) else { return "an address that is no URL".to_owned() };
    // Fails for addresses that cannot have one.
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    parsed.set_query(None);
    parsed.set_fragment(None);
    parsed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_is_wanted_and_filters_only_where_the_server_can() {
        let id = |digit: &str| ObjectId::parse(&digit.repeat(40)).unwrap();
        let (want, have) = ([id("1")], [id("2")]);
        let wants = Wants { wants: &want, haves: &have, depth: Some(1), filter: Some("blob:none") };
        let text = |filter| String::from_utf8(wants.body(filter)).unwrap();
        let one = "1".repeat(40);
        let two = "2".repeat(40);
        assert_eq!(
            text(true),
            format!(
                "0012command=fetch\n00010010no-progress\n000eofs-delta\n0032want {one}\n0032have {two}\n000ddeepen 1\n\
                 0015filter blob:none\n0009done\n0000"
            )
        );
        assert!(!text(false).contains("filter"));
    }

    #[test]
    fn addresses_are_shown_without_what_opens_them() {
        assert_eq!(without_secrets("https://me:pw@h.example/a/b.git?token=x#y"), "https://h.example/a/b.git");
        assert_eq!(without_secrets("not a url pw"), "an address that is no URL");
    }
}
