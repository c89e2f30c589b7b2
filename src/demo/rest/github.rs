//! The same forge in GitHub's dialect, below `/api/v3` as on an Enterprise Server: what drift-gate asks there, as a user with
//! a token or as a GitHub App.
//!
//! Repositories, pull requests and comments are told in Gitea's shape, which has GitHub's keys among others. What differs is
//! here: `state` and 422 for statuses, pages by `per_page`, the words of refusals, JWTs and tokens that end, an App's deliveries,
//! checks.

use axum::Router;
use axum::extract;
use axum::handler::Handler;
use axum::http::header::{LINK, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, patch, post};
use chrono::SecondsFormat;
use futures_util::future::BoxFuture;
use git2::Oid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::visit::{Dialect, Visit};
use super::{Request, accounts, apart, issues, pulls, repos};
use crate::demo::auth;
use crate::demo::forge::apps::{App, Check};
use crate::demo::forge::model::{Access, Repo, Status};
use crate::demo::forge::state::Numbered;
use crate::demo::forge::statuses::NewStatus;
use crate::demo::forge::{Forge, Refusal};
use crate::demo::hooks::Sent;
use crate::demo::wire;

/// Annotations that one request may bring.
const ANNOTATIONS: usize = 50;
/// Characters of a description.
const DESCRIPTION: usize = 140;
/// The longest message of an annotation, in bytes.
const MESSAGE: usize = 64 * 1024;

/// Every address of this dialect.
pub fn router() -> Router<Forge> {
    let api = |path: &str| format!("/api/v3{path}");
    let repo = |path: &str| format!("/api/v3/repos/{{owner}}/{{repo}}{path}");
    Router::new()
        .route(&api("/user"), get(Hub(accounts::me)))
        .route(&api("/users/{user}"), get(Hub(accounts::user)))
        .route(&api("/app"), get(Own(app)))
        .route(&api("/app/installations"), get(Own(installations)))
        .route(&api("/app/installations/{id}/access_tokens"), post(Own(mint)))
        .route(&api("/app/hook/deliveries"), get(Own(deliveries)))
        .route(&api("/app/hook/deliveries/{id}/attempts"), post(Own(redeliver)))
        .route(&api("/orgs/{owner}/installation"), get(Own(installation)))
        .route(&api("/repositories/{id}"), get(Hub(repos::by_id)))
        .route(&repo(""), get(Hub(repos::get)))
        .route(&repo("/installation"), get(Own(installation)))
        .route(&repo("/collaborators/{user}/permission"), get(Hub(permission)))
        .route(&repo("/statuses/{sha}"), post(Hub(post_status)))
        .route(&repo("/commits/{sha}/statuses"), get(Hub(statuses)))
        .route(&repo("/commits/{sha}/check-runs"), get(Hub(checks)))
        .route(&repo("/check-runs"), post(Hub(add_check)))
        .route(&repo("/check-runs/{id}"), patch(Hub(edit_check)))
        .route(&repo("/check-runs/{id}/annotations"), get(Hub(annotations)))
        .route(&repo("/pulls"), get(Hub(pulls::list)))
        .route(&repo("/pulls/{number}"), get(Hub(pulls::get)))
        .route(&repo("/issues/{number}/comments"), get(Hub(issues::comments)).post(Hub(issues::comment)))
        .route(&repo("/issues/comments"), get(Hub(issues::all_comments)))
        .route(&repo("/issues/comments/{id}"), get(Hub(issues::get_comment)).patch(Hub(issues::edit_comment)))
        .route(&repo("/issues/comments/{id}/reactions"), get(Hub(issues::reactions)).post(Hub(issues::react)))
        .route(&api("/{*rest}"), any(async || refused(&Refusal::not_found())))
}

/// Brings a request of whoever has a token before a handler.
#[derive(Clone, Copy)]
struct Hub<F>(F);

/// Brings a request before a handler that asks for an App's JWT itself.
#[derive(Clone, Copy)]
struct Own<F>(F);

impl<F> Handler<(), Forge> for Hub<F>
where
    F: Fn(&mut Visit<'_>) -> Result<Answer, Refusal> + Copy + Send + Sync + 'static,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: extract::Request, forge: Forge) -> Self::Future {
        apart(request, move |request| {
            let mut state = forge.lock();
            let token = auth::token(&state, &request.headers).map(|token| token.map(|token| token.account));
            let token = token.map_err(|_| Refusal::Unauthorized("Bad credentials"));
            let done = token.and_then(|viewer| self.0(&mut request.visit(&mut state, viewer, Dialect::GitHub)));
            let base = state.base.clone();
            told(done, request, |name| {
                let (owner, repo) = name.split_once('/')?;
                Some(format!("{base}/api/v3/repositories/{}", state.repo_named(owner, repo).ok()?.id))
            })
        })
    }
}

impl<F> Handler<(), Forge> for Own<F>
where
    F: Fn(&mut Visit<'_>) -> Result<Answer, Refusal> + Copy + Send + Sync + 'static,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: extract::Request, forge: Forge) -> Self::Future {
        apart(request, move |request| {
            let mut state = forge.lock();
            let done = self.0(&mut request.visit(&mut state, None, Dialect::GitHub));
            told(done, request, |_| None)
        })
    }
}

/// An answer, or a refusal; `relocated` tells where a repository of this name is.
fn told(done: Result<Answer, Refusal>, request: &Request, relocated: impl Fn(&str) -> Option<String>) -> Response {
    match done {
        Ok(answer) => answer.into_response(),
        Err(Refusal::Moved(to)) => {
            let Some(to) = relocated(&to) else { return refused(&Refusal::not_found()) };
            let status = match request.method {
                Method::GET => StatusCode::MOVED_PERMANENTLY,
                _ => StatusCode::TEMPORARY_REDIRECT,
            };
            let body = json!({ "message": "Moved Permanently", "url": to });
            (status, [(LOCATION, to)], axum::Json(body)).into_response()
        }
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let message = match refusal {
        Refusal::NotFound { .. } => "Not Found".to_owned(),
        other => other.to_string(),
    };
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": refusal.status().to_string(),
    });
    (status, axum::Json(body)).into_response()
}

fn app(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let app = visit.state.app_of(visit.authorization)?;
    Ok(Answer::ok(json!({ "id": app.id, "slug": app.slug, "name": app.slug })))
}

fn installations(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let app = visit.state.app_of(visit.authorization)?;
    let ids: Vec<u64> = app.installations.iter().map(|one| one.id).collect();
    visit.page(ids, |id| Ok(json!({ "id": id, "app_id": app.id, "app_slug": app.slug })))
}

/// Of a repository, or of everything that an account has.
fn installation(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let app = visit.state.app_of(visit.authorization)?;
    let owner = visit.state.account_named(visit.param("owner")).ok_or_else(Refusal::not_found)?.id;
    let repo = match visit.param("repo") {
        "" => None,
        name => Some(visit.state.repo_named(visit.param("owner"), name)?.id),
    };
    let found = app.installations.iter().find(|one| match repo {
        Some(repo) => one.repos.contains(&repo),
        None => one.account == owner,
    });
    let found = found.ok_or_else(Refusal::not_found)?;
    Ok(Answer::ok(json!({ "id": found.id, "app_id": app.id, "app_slug": app.slug })))
}

fn mint(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (app, id) = (visit.state.app_of(visit.authorization)?, visit.number("id")?);
    let bot = app.bot;
    app.installations.iter().find(|one| one.id == id).ok_or_else(Refusal::not_found)?;
    let (token, ends) = visit.state.mint(bot, id)?;
    let ends = ends.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Answer::created(json!({ "token": token, "expires_at": ends, "repository_selection": "selected" })))
}

fn all_sent(app: &App) -> Vec<Sent> {
    app.hook.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// The newest first, and on by a cursor.
fn deliveries(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let app = visit.state.app_of(visit.authorization)?;
    let before = visit.query("cursor").and_then(|cursor| cursor.strip_prefix("v1_")?.parse::<u64>().ok());
    let size = visit.query("per_page").and_then(|size| size.parse::<usize>().ok()).unwrap_or(30).clamp(1, 100);
    let mut rest: Vec<Sent> = all_sent(app).into_iter().filter(|one| before.is_none_or(|id| one.id < id)).collect();
    rest.reverse();
    let more = rest.len() > size;
    rest.truncate(size);
    let last = rest.last().map_or(0, |one| one.id);
    let row = |one: &Sent| {
        json!({
            "id": one.id,
            "guid": one.guid,
            "delivered_at": one.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "redelivery": one.redelivery,
            "duration": 0.1,
            "status": if (200..300).contains(&one.status) { "OK" } else { "failed to connect to host" },
            "status_code": one.status,
            "event": one.event,
            "action": null,
            "installation_id": one.installation,
            "repository_id": one.repo,
        })
    };
    let answer = Answer::ok(rest.iter().map(row).collect::<Vec<_>>().into());
    if !more {
        return Ok(answer);
    }
    let address = format!("{}/api/v3/app/hook/deliveries?per_page={size}&cursor=v1_{last}", visit.state.base);
    Ok(answer.with(LINK, format!("<{address}>; rel=\"next\"")))
}

fn redeliver(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (app, id) = (visit.state.app_of(visit.authorization)?, visit.number("id")?);
    let sent = all_sent(app).into_iter().find(|one| one.id == id).ok_or_else(Refusal::not_found)?;
    visit.state.redeliver(&sent);
    Ok(Answer::accepted(json!({})))
}

/// Everyone who may read may ask, and nobody is an owner.
fn permission(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let user = visit.state.account_named(visit.param("user")).ok_or_else(Refusal::not_found)?;
    let word = visit.state.access(repo, Some(user.id)).min(Access::Admin).as_str();
    let user = wire::user(visit.state, user.id, None)?;
    Ok(Answer::ok(json!({ "permission": word, "role_name": word, "user": user })))
}

/// A full SHA of a commit that is there.
fn commit(visit: &Visit<'_>, repo: &Repo, sha: &str) -> Result<Oid, Refusal> {
    let unknown = || Refusal::Invalid(format!("No commit found for SHA: {sha}"));
    let full = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = full.then(|| visit.state.bare(repo.id).ok()?.resolve(sha)).flatten();
    found.ok_or_else(unknown)
}

/// The state is under `state`, and the id counts over the whole forge.
fn status(visit: &Visit<'_>, row: &Status) -> Result<Value, Refusal> {
    Ok(json!({
        "id": row.id,
        "state": row.state,
        "context": row.context,
        "description": row.description,
        "target_url": row.target_url,
        "creator": wire::user(visit.state, row.creator, None)?,
    }))
}

fn statuses(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let mut rows = visit.state.statuses(repo.id, commit(visit, repo, visit.param("sha"))?)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    visit.page(rows, |row| status(visit, &row))
}

#[derive(Deserialize)]
struct Create {
    #[serde(default)]
    state: String,
    #[serde(default)]
    context: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    target_url: String,
}

fn post_status(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, form) = (writable(visit)?, visit.form::<Create>()?);
    let doer = visit.doer()?;
    let commit = commit(visit, repo, visit.param("sha"))?;
    let id = repo.id;
    if !["error", "failure", "pending", "success"].contains(&form.state.as_str()) {
        return Err(Refusal::Invalid("Validation Failed: State is not included in the list".to_owned()));
    }
    if form.description.chars().count() > DESCRIPTION {
        return Err(Refusal::Invalid(
            "Validation Failed: Description is too long (maximum is 140 characters)".to_owned(),
        ));
    }
    let new = NewStatus {
        state: form.state,
        context: form.context,
        description: form.description,
        target_url: form.target_url,
    };
    let (_, row) = visit.state.post_status(id, &commit.to_string(), new, doer)?;
    status(visit, &row).map(Answer::created)
}

/// The repository, for an App that is installed on it or a user who may write.
fn writable<'v>(visit: &'v Visit<'_>) -> Result<&'v Repo, Refusal> {
    let repo = visit.repo(Access::Read)?;
    if visit.state.access(repo, visit.viewer) >= Access::Write {
        return Ok(repo);
    }
    visit.doer()?;
    Err(Refusal::Forbidden("Resource not accessible by integration".to_owned()))
}

fn check(check: &Check) -> Value {
    let mut value = check.said.clone();
    value["id"] = check.id.into();
    value["output"]["annotations_count"] = check.annotations.len().into();
    value
}

fn checks(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let repo = visit.repo(Access::Read)?;
    let commit = commit(visit, repo, visit.param("sha"))?;
    let name = visit.query("check_name");
    let fits =
        |one: &&Check| one.repo == repo.id && one.commit == commit && name.is_none_or(|name| one.said["name"] == name);
    let rows: Vec<Value> = visit.state.checks.iter().rev().filter(fits).map(check).collect();
    Ok(Answer::ok(json!({ "total_count": rows.len(), "check_runs": rows })))
}

/// Only Apps write checks.
fn as_app(visit: &Visit<'_>) -> Result<u64, Refusal> {
    let repo = writable(visit)?;
    match visit.state.apps.iter().any(|app| Some(app.bot) == visit.viewer) {
        true => Ok(repo.id),
        false => Err(Refusal::Forbidden("You must authenticate via a GitHub App.".to_owned())),
    }
}

/// Takes the annotations out of what was sent.
fn take_annotations(said: &mut Value) -> Result<Vec<Value>, Refusal> {
    let invalid = |why: String| Err(Refusal::Invalid(format!("Invalid request.\n\n{why}")));
    let taken = said["output"]["annotations"].take();
    let annotations: Vec<Value> = taken.as_array().cloned().unwrap_or_default();
    if annotations.len() > ANNOTATIONS {
        let count = annotations.len();
        return invalid(format!("No more than {ANNOTATIONS} items are allowed; {count} were supplied."));
    }
    let level = |one: &Value| ["notice", "warning", "failure"].iter().any(|level| one["annotation_level"] == *level);
    let fits = |one: &Value| {
        one["path"].is_string()
            && one["start_line"].as_u64().is_some_and(|line| line > 0)
            && one["end_line"].is_u64()
            && level(one)
            && one["message"].as_str().is_some_and(|text| !text.is_empty() && text.len() <= MESSAGE)
    };
    match annotations.iter().find(|one| !fits(one)) {
        Some(one) => invalid(format!("{one} is no annotation.")),
        None => Ok(annotations),
    }
}

fn add_check(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, mut said) = (as_app(visit)?, visit.form::<Value>()?);
    let commit = commit(visit, visit.state.repo(repo)?, said["head_sha"].as_str().unwrap_or_default())?;
    let annotations = take_annotations(&mut said)?;
    let id = visit.state.number(Numbered::Check);
    let new = Check { id, repo, commit, said, annotations };
    let answer = check(&new);
    visit.state.checks.push(new);
    Ok(Answer::created(answer))
}

/// What is said is replaced, annotations are added.
fn edit_check(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id, mut said) = (as_app(visit)?, visit.number("id")?, visit.form::<Value>()?);
    let annotations = take_annotations(&mut said)?;
    let found = visit.state.checks.iter_mut().find(|one| one.repo == repo && one.id == id);
    let found = found.ok_or_else(Refusal::not_found)?;
    if let (Some(all), Some(new)) = (found.said.as_object_mut(), said.as_object()) {
        all.extend(new.clone());
    }
    found.annotations.extend(annotations);
    Ok(Answer::ok(check(found)))
}

fn annotations(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id) = (visit.repo(Access::Read)?.id, visit.number("id")?);
    let found = visit.state.checks.iter().find(|one| one.repo == repo && one.id == id);
    let annotations = found.ok_or_else(Refusal::not_found)?.annotations.clone();
    visit.page(annotations, Ok)
}
