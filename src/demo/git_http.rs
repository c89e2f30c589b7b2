//! git over HTTP: who may fetch and push, and what a push sets off. The protocol itself is [`super::smart_http`]'s.

use std::io::Read as _;
use std::path::PathBuf;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::auth;
use super::forge::model::{Access, RepoId};
use super::forge::refs::Moved;
use super::forge::{Forge, Refusal, State, Viewer};
use super::smart_http::{self, Answer};

/// The largest body, packed or not.
const BODY: usize = 256 << 20;
const PUSH: &str = "git-receive-pack";

/// The addresses that git asks below a repository's.
pub fn router() -> Router<Forge> {
    Router::new()
        .route("/{owner}/{repo}/info/refs", get(info_refs))
        .route("/{owner}/{repo}/git-upload-pack", post(upload_pack))
        .route("/{owner}/{repo}/git-receive-pack", post(receive_pack))
        .layer(DefaultBodyLimit::max(BODY))
}

/// The repository that a path names, and the address that was asked.
struct Place {
    owner: String,
    repo: String,
    path: String,
}

impl Place {
    fn new(owner: String, repo: &str, uri: &Uri) -> Self {
        let path = uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
        Self { owner, repo: repo.strip_suffix(".git").unwrap_or(repo).to_owned(), path }
    }

    /// Where git finds a repository that got the name `to`.
    fn relocated(&self, to: &str) -> String {
        let rest = self.path.trim_start_matches('/').splitn(3, '/').nth(2).unwrap_or_default();
        format!("/{to}.git/{rest}")
    }
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    service: String,
}

async fn info_refs(
    Shared(forge): Shared<Forge>,
    Path((owner, repo)): Path<(String, String)>,
    Query(Service { service }): Query<Service>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let place = Place::new(owner, &repo, &uri);
    apart(move || {
        let path = match enter(&forge.lock(), &place, &service, &headers) {
            Ok((_, path, _)) => path,
            Err(refusal) => return refused(&refusal, &place),
        };
        told(smart_http::info_refs(&path, &service, protocol(&headers)))
    })
    .await
}

async fn upload_pack(
    Shared(forge): Shared<Forge>,
    Path((owner, repo)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let place = Place::new(owner, &repo, &uri);
    apart(move || {
        // The lock is not held while a pack is made.
        let path = match enter(&forge.lock(), &place, "git-upload-pack", &headers) {
            Ok((_, path, _)) => path,
            Err(refusal) => return refused(&refusal, &place),
        };
        match unpacked(&headers, &body) {
            Ok(body) => told(smart_http::upload_pack(&path, protocol(&headers), &body)),
            Err(status) => status.into_response(),
        }
    })
    .await
}

async fn receive_pack(
    Shared(forge): Shared<Forge>,
    Path((owner, repo)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let place = Place::new(owner, &repo, &uri);
    apart(move || {
        // Held until all is told, so that no other change comes between a push and its deliveries.
        let mut state = forge.lock();
        let (repo, path, doer) = match enter(&state, &place, PUSH, &headers) {
            Ok((repo, path, Some(doer))) => (repo, path, doer),
            Ok(_) => return refused(&Refusal::Unauthorized("a push needs a token"), &place),
            Err(refusal) => return refused(&refusal, &place),
        };
        let body = match unpacked(&headers, &body) {
            Ok(body) => body,
            Err(status) => return status.into_response(),
        };
        let (answer, updates) = smart_http::receive_pack(&path, &body);
        for update in updates {
            let moved = Moved { name: update.name, before: update.before, after: update.after };
            if let Err(error) = state.reference_moved(repo, &moved, doer) {
                tracing::warn!(%error, reference = moved.name, "a push was not told to everyone");
            }
        }
        told(answer)
    })
    .await
}

/// Git's work is done apart from the async threads.
async fn apart(work: impl FnOnce() -> Response + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Lets a request into a repository, or says why not.
fn enter(
    state: &State,
    place: &Place,
    service: &str,
    headers: &HeaderMap,
) -> Result<(RepoId, PathBuf, Viewer), Refusal> {
    let viewer = auth::token(state, headers)?.map(|token| token.account);
    let missing = || Refusal::NotFound("Repository not found".to_owned());
    let repo = match state.repo_named(&place.owner, &place.repo) {
        Err(Refusal::NotFound(_)) => Err(missing()),
        found => found,
    }?;
    let access = state.access(repo, viewer);
    let needed = if service == PUSH { Access::Write } else { Access::Read };
    match viewer {
        _ if access >= needed => Ok((repo.id, state.path(repo.id), viewer)),
        None => Err(Refusal::Unauthorized("Unauthorized")),
        Some(_) if access == Access::None => Err(missing()),
        Some(_) => Err(Refusal::Forbidden("User permission denied".to_owned())),
    }
}

fn protocol(headers: &HeaderMap) -> Option<&str> {
    headers.get("git-protocol").and_then(|value| value.to_str().ok())
}

/// git packs long requests.
fn unpacked(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, StatusCode> {
    if headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(body.clone());
    }
    let mut whole = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(&body[..]).take(BODY as u64 + 1);
    match reader.read_to_end(&mut whole) {
        Ok(length) if length <= BODY => Ok(whole.into()),
        Ok(_) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

fn told(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, answer.content_type), (CACHE_CONTROL, "no-cache")], answer.body).into_response()
}

fn refused(refusal: &Refusal, place: &Place) -> Response {
    match refusal {
        Refusal::Moved(to) => (StatusCode::MOVED_PERMANENTLY, [(LOCATION, place.relocated(to))]).into_response(),
        Refusal::Unauthorized(_) => {
            let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"Gitea\"")];
            (StatusCode::UNAUTHORIZED, challenge, "Failed to authenticate user\n").into_response()
        }
        other => {
            let status = StatusCode::from_u16(other.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, other.to_string()).into_response()
        }
    }
}
