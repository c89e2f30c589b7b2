//! What people see of the stand-in: an overview, and the pages that reports and statuses link to.
//!
//! Everything is plain HTML, shown as to a stranger: private repositories are not there. The buttons of the overview are
//! forms of whoever started the stand-in ([`Action`]), who serves their addresses too.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::Markup;
use serde::Deserialize;

use super::forge::model::{Access, Repo};
use super::forge::{Forge, Refusal, State};

mod code;
mod frame;
mod overview;
mod parts;
mod pull;

/// A button on the overview.
#[derive(Clone, Debug)]
pub struct Action {
    /// What the button says.
    pub label: String,
    /// What it does, in a sentence beside it.
    pub words: String,
    /// Where its form is posted to.
    pub address: String,
}

/// What the overview says besides the repositories.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// A paragraph at the top.
    pub intro: String,
    /// Other places, as words and addresses.
    pub links: Vec<(String, String)>,
    /// The buttons, from top to bottom; without any, their section is left out.
    pub actions: Vec<Action>,
    /// Look again after this many seconds.
    pub refresh: Option<u32>,
}

impl Page {
    /// The addresses of all pages.
    pub fn router(self) -> Router<Forge> {
        let page = Arc::new(self);
        let overview = move |forge: Shared<Forge>, query: Query<Said>| overview(forge, Arc::clone(&page), query);
        Router::new()
            .route("/", get(overview))
            .route("/style.css", get(style))
            .route("/{owner}/{repo}", get(repository))
            .route("/{owner}/{repo}/pulls/{number}", get(pull_request))
            .route("/{owner}/{repo}/commit/{sha}", get(commit))
            .route("/{owner}/{repo}/src/commit/{sha}", get(root))
            .route("/{owner}/{repo}/src/commit/{sha}/{*path}", get(file))
    }
}

/// What an action left to say, for the overview that it sends back to.
#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    said: String,
}

async fn overview(Shared(forge): Shared<Forge>, page: Arc<Page>, Query(said): Query<Said>) -> Response {
    show(forge, move |state| overview::overview(state, &page, &said.said)).await
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

async fn repository(Shared(forge): Shared<Forge>, Path((owner, name)): Path<(String, String)>) -> Response {
    let name = name.trim_end_matches(".git").to_owned();
    show_of(forge, owner, name, overview::repository).await
}

async fn pull_request(
    Shared(forge): Shared<Forge>,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Response {
    show_of(forge, owner, name, move |state, repo| pull::pull(state, repo, number)).await
}

async fn commit(Shared(forge): Shared<Forge>, Path((owner, name, sha)): Path<(String, String, String)>) -> Response {
    show_of(forge, owner, name, move |state, repo| code::commit(state, repo, &sha)).await
}

async fn root(Shared(forge): Shared<Forge>, Path((owner, name, sha)): Path<(String, String, String)>) -> Response {
    show_of(forge, owner, name, move |state, repo| code::file(state, repo, &sha, "")).await
}

async fn file(
    Shared(forge): Shared<Forge>,
    Path((owner, name, sha, path)): Path<(String, String, String, String)>,
) -> Response {
    show_of(forge, owner, name, move |state, repo| code::file(state, repo, &sha, &path)).await
}

/// Makes a page of one repository, if a stranger may see that.
async fn show_of(
    forge: Forge,
    owner: String,
    name: String,
    make: impl FnOnce(&State, &Repo) -> Result<Markup, Refusal> + Send + 'static,
) -> Response {
    let make = move |state: &State| {
        let repo = state.repo_named(&owner, &name)?;
        if state.access(repo, None) < Access::Read { Err(Refusal::not_found()) } else { make(state, repo) }
    };
    show(forge, make).await
}

/// Makes a page apart from the async threads, with the forge held still.
async fn show(forge: Forge, make: impl FnOnce(&State) -> Result<Markup, Refusal> + Send + 'static) -> Response {
    let made = tokio::task::spawn_blocking(move || match make(&forge.lock()) {
        Ok(page) => page.into_response(),
        Err(refusal) => refused(&refusal),
    });
    made.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match refusal {
        Refusal::Moved(to) => (StatusCode::FOUND, [(header::LOCATION, format!("/{to}"))]).into_response(),
        _ => (status, frame::message(status, &refusal.to_string())).into_response(),
    }
}
