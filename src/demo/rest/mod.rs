//! The API below `/api/v1`, as a Gitea 1.26 speaks it, and below `/api/v3` as GitHub does ([`github`]): what drift-gate asks, and what a person with `curl` needs to tell a
//! story. What is not here answers 404.
//!
//! Every handler is a plain function of a [`Visit`]: it runs apart from the async threads, with the forge's lock held, so
//! what it sees does not change under it.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{self, FromRequestParts, Query, RawPathParams};
use axum::handler::Handler;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post, put};
use futures_util::future::BoxFuture;

use self::answer::Answer;
use self::visit::Visit;
use super::auth;
use super::forge::{Forge, Refusal, State, Viewer};

mod accounts;
mod answer;
mod contents;
mod github;
mod issues;
mod marks;
mod pulls;
mod repos;
mod statuses;
mod teams;
mod visit;

/// The largest body: a commit of a few megabytes of files.
const BODY: usize = 64 << 20;

/// Every address of the API.
pub fn router() -> Router<Forge> {
    let api = |path: &str| format!("/api/v1{path}");
    let repo = |path: &str| format!("/api/v1/repos/{{owner}}/{{repo}}{path}");
    Router::new()
        .route(&api("/version"), get(On(accounts::version)))
        .route(&api("/user"), get(On(accounts::me)))
        .route(&api("/user/repos"), post(On(repos::create_own)))
        .route(&api("/users/{user}"), get(On(accounts::user)))
        .route(&api("/orgs"), post(On(accounts::add_organization)))
        .route(&api("/orgs/{org}/repos"), post(On(repos::create_in)))
        .route(&api("/orgs/{org}/members/{user}"), get(On(accounts::member)))
        .route(&api("/orgs/{org}/teams"), post(On(teams::create)))
        .route(&api("/orgs/{org}/teams/search"), get(On(teams::search)))
        .route(&api("/teams/{id}/members/{user}"), get(On(teams::member)).put(On(teams::add_member)))
        .route(&api("/repositories/{id}"), get(On(repos::by_id)))
        .route(&repo(""), get(On(repos::get)).patch(On(repos::edit)).delete(On(repos::delete)))
        .route(&repo("/forks"), post(On(repos::fork)))
        .route(&repo("/collaborators/{user}"), put(On(repos::add_collaborator)))
        .route(&repo("/collaborators/{user}/permission"), get(On(repos::permission)))
        .route(&repo("/branch_protections"), post(On(repos::protect)).get(On(repos::protections)))
        .route(
            &repo("/branch_protections/{name}"),
            get(On(repos::protection)).patch(On(repos::edit_protection)).delete(On(repos::unprotect)),
        )
        .route(&repo("/hooks"), post(On(repos::add_hook)).get(On(repos::hooks)))
        .route(&repo("/hooks/{id}"), delete(On(repos::remove_hook)))
        .route(&repo("/hooks/{id}/tests"), post(On(repos::test_hook)))
        .route(&repo("/branches"), get(On(contents::branches)).post(On(contents::add_branch)))
        .route(&repo("/branches/{*branch}"), get(On(contents::branch)).delete(On(contents::delete_branch)))
        .route(&repo("/contents"), post(On(contents::change)))
        .route(&repo("/contents/{*path}"), get(On(contents::file)))
        .route(&repo("/git/commits/{sha}"), get(On(contents::commit)))
        .route(&repo("/statuses/{sha}"), get(On(statuses::list)).post(On(statuses::create)))
        .route(&repo("/commits/{sha}/statuses"), get(On(statuses::list)))
        .route(&repo("/commits/{sha}/status"), get(On(statuses::combined)))
        .route(&repo("/pulls"), get(On(pulls::list)).post(On(pulls::open)))
        .route(&repo("/pulls/{number}"), get(On(pulls::get)).patch(On(pulls::edit)))
        .route(&repo("/pulls/{number}/merge"), post(On(pulls::merge)))
        .route(&repo("/pulls/{number}/commits"), get(On(pulls::commits)))
        .route(&repo("/pulls/{number}/files"), get(On(pulls::files)))
        .route(&repo("/pulls/{number}/requested_reviewers"), post(On(marks::ask_reviewers)))
        .route(&repo("/labels"), get(On(marks::labels)).post(On(marks::add_label)))
        .route(&repo("/issues/{number}/labels"), post(On(marks::put_labels)))
        .route(&repo("/actions/workflows/{workflow}/dispatches"), post(On(marks::dispatch)))
        .route(&repo("/issues"), post(On(issues::open)))
        .route(&repo("/issues/{number}"), get(On(issues::get)).patch(On(marks::edit_issue)))
        .route(&repo("/issues/{number}/comments"), get(On(issues::comments)).post(On(issues::comment)))
        .route(&repo("/issues/comments"), get(On(issues::all_comments)))
        .route(
            &repo("/issues/comments/{id}"),
            get(On(issues::get_comment)).patch(On(issues::edit_comment)).delete(On(issues::delete_comment)),
        )
        .route(&repo("/issues/comments/{id}/reactions"), get(On(issues::reactions)).post(On(issues::react)))
        .route(&repo("/issues/{number}/timeline"), get(On(issues::timeline)))
        .route(&api("/{*rest}"), any(async || (StatusCode::NOT_FOUND, "404 page not found\n")))
        .merge(github::router())
}

/// Brings a request before a handler.
#[derive(Clone, Copy)]
struct On<F>(F);

impl<F> Handler<(), Forge> for On<F>
where
    F: Fn(&mut Visit<'_>) -> Result<Answer, Refusal> + Copy + Send + Sync + 'static,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: extract::Request, forge: Forge) -> Self::Future {
        apart(request, move |request| answer(&forge, request, self.0))
    }
}

/// Answers a request, read to its end, apart from the async threads.
fn apart(
    request: extract::Request,
    answer: impl FnOnce(&Request) -> Response + Send + 'static,
) -> BoxFuture<'static, Response> {
    Box::pin(async move {
        let request = match Request::read(request).await {
            Ok(request) => request,
            Err(status) => return status.into_response(),
        };
        let done = tokio::task::spawn_blocking(move || answer(&request)).await;
        done.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    })
}

/// A request, read to its end.
struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    params: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    body: Bytes,
}

impl Request {
    fn visit<'a>(&'a self, state: &'a mut State, viewer: Viewer) -> Visit<'a> {
        Visit {
            state,
            viewer,
            params: &self.params,
            query: &self.query,
            uri: &self.uri,
            authorization: self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()),
            body: &self.body,
        }
    }

    async fn read(request: extract::Request) -> Result<Self, StatusCode> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, &()).await.map_err(|_| StatusCode::BAD_REQUEST)?;
        let params = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let query = Query::try_from_uri(&parts.uri).map_err(|_| StatusCode::BAD_REQUEST)?;
        let body = axum::body::to_bytes(body, BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        Ok(Self { method: parts.method, uri: parts.uri, headers: parts.headers, params, query: query.0, body })
    }
}

fn answer(forge: &Forge, request: &Request, handler: impl Fn(&mut Visit<'_>) -> Result<Answer, Refusal>) -> Response {
    let mut state = forge.lock();
    let token = auth::token(&state, &request.headers).and_then(|token| {
        token.map_or(Ok(()), |token| visit::check_scope(token, &request.method, request.uri.path()))?;
        Ok(token.map(|token| token.account))
    });
    let done = token.and_then(|viewer| handler(&mut request.visit(&mut state, viewer)));
    match done {
        Ok(answer) => answer.into_response(),
        Err(Refusal::Moved(to)) => answer::moved(request.method == Method::GET, &relocated(request, &to)),
        Err(refusal) if visit::is_github(request.uri.path()) => github::told::refused(&refusal),
        Err(refusal) => answer::refused(&state.base, &refusal),
    }
}

/// The address of a request after its repository got the name `to`.
fn relocated(request: &Request, to: &str) -> String {
    let param = |name: &str| request.params.get(name).map_or("", String::as_str);
    let before = format!("/repos/{}/{}", param("owner"), param("repo"));
    let path = request.uri.path_and_query().map_or("", |path| path.as_str());
    path.replacen(&before, &format!("/repos/{to}"), 1)
}
