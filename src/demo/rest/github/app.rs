//! GitHub Apps: who it is, where it is installed, the tokens of that, its deliveries; and checks, which only Apps write.

use axum::extract;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use futures_util::future::BoxFuture;
use git2::Oid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::told;
use crate::demo::forge::apps::{App, Check};
use crate::demo::forge::model::{Access, Kind, Repo};
use crate::demo::forge::state::Numbered;
use crate::demo::forge::{Forge, Refusal};
use crate::demo::hooks::{AppHook, Sent};
use crate::demo::rest::answer::Answer;
use crate::demo::rest::apart;
use crate::demo::rest::visit::Visit;

/// Annotations that one request may bring.
const ANNOTATIONS: usize = 50;
/// The longest message of an annotation, in bytes.
const MESSAGE: usize = 64 * 1024;

/// Brings a request before a handler that asks for an App's JWT itself.
#[derive(Clone, Copy)]
pub(super) struct Own<F>(pub(super) F);

impl<F> Handler<(), Forge> for Own<F>
where
    F: Fn(&mut Visit<'_>) -> Result<Answer, Refusal> + Copy + Send + Sync + 'static,
{
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: extract::Request, forge: Forge) -> Self::Future {
        apart(request, move |request| {
            let mut state = forge.lock();
            match self.0(&mut request.visit(&mut state, None)) {
                Ok(answer) => answer.into_response(),
                // Of a JWT it is said what is wrong with it.
                Err(Refusal::Unauthorized(words)) => said(StatusCode::UNAUTHORIZED, words),
                Err(Refusal::Missing(words)) => said(StatusCode::NOT_FOUND, &words),
                // A place that was renamed: the way there is told by its other addresses.
                Err(Refusal::Moved(_)) => told::refused(&Refusal::not_found()),
                Err(refusal) => told::refused(&refusal),
            }
        })
    }
}

fn said(status: StatusCode, words: &str) -> Response {
    let body =
        json!({ "message": words, "documentation_url": "https://docs.github.com/rest", "status": status.as_str() });
    (status, axum::Json(body)).into_response()
}

/// A user, an App's own among them.
pub fn user(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let id = visit.state.account_named(visit.param("user")).ok_or_else(Refusal::not_found)?.id;
    Ok(Answer::ok(told::user(visit.state, id)?))
}

pub fn app(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let app = visit.state.app_of(visit.authorization)?;
    // Where it is installed is whose it is: an App of one's own.
    let owner = app.installations.first().map_or(app.bot, |one| one.account);
    let owner = visit.state.account(owner)?;
    let kind = if matches!(owner.kind, Kind::Organization { .. }) { "Organization" } else { "User" };
    Ok(Answer::ok(json!({
        "id": app.id,
        "slug": app.slug,
        "name": app.slug,
        "owner": { "id": owner.id, "login": owner.login, "type": kind },
        "html_url": format!("{}/apps/{}", visit.state.base, app.slug),
        "permissions": app.permissions,
        "events": app.events,
        "installations_count": app.installations.len(),
    })))
}

/// The App's hook; of its secret only whether there is one.
fn told_hook(hook: &AppHook) -> Value {
    let mut value = json!({
        "content_type": if hook.json { "json" } else { "form" },
        "insecure_ssl": if hook.insecure { "1" } else { "0" },
        "url": hook.url,
    });
    if !hook.secret.is_empty() {
        value["secret"] = "********".into();
    }
    value
}

pub fn hook(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::ok(told_hook(&visit.state.app_of(visit.authorization)?.hook)))
}

/// What a change of the hook may say; what it does not say stays.
#[derive(Deserialize)]
struct EditHook {
    url: Option<String>,
    content_type: Option<String>,
    secret: Option<String>,
    insecure_ssl: Option<Value>,
}

pub fn edit_hook(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (id, form) = (visit.state.app_of(visit.authorization)?.id, visit.form::<EditHook>()?);
    if form.url.as_deref().is_some_and(|url| url::Url::parse(url).is_err()) {
        return Err(Refusal::Invalid("url is not a valid URL".to_owned()));
    }
    let mut told = Value::Null;
    visit.state.change_app(id, |app| {
        let hook = &mut app.hook;
        hook.url = form.url.unwrap_or_else(|| hook.url.clone());
        hook.secret = form.secret.unwrap_or_else(|| hook.secret.clone());
        hook.json = form.content_type.map_or(hook.json, |kind| kind == "json");
        hook.insecure = form.insecure_ssl.map_or(hook.insecure, |says| says == "1" || says == 1);
        told = told_hook(hook);
    })?;
    Ok(Answer::ok(told))
}

pub fn installations(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let app = visit.state.app_of(visit.authorization)?;
    let ids: Vec<u64> = app.installations.iter().map(|one| one.id).collect();
    visit.page(ids, |id| Ok(json!({ "id": id, "app_id": app.id, "app_slug": app.slug })))
}

/// Of a repository, or of everything that an account has.
pub fn installation(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
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
    let page =
        format!("{}/organizations/{}/settings/installations/{}", visit.state.base, visit.param("owner"), found.id);
    Ok(Answer::ok(json!({
        "id": found.id,
        "app_id": app.id,
        "app_slug": app.slug,
        "html_url": page,
        "permissions": found.permissions,
        "suspended_at": found.suspended.then_some("2026-11-22T20:00:00Z"),
    })))
}

pub fn mint(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (app, id) = (visit.state.app_of(visit.authorization)?, visit.number("id")?);
    let bot = app.bot;
    if app.installations.iter().find(|one| one.id == id).ok_or_else(Refusal::not_found)?.suspended {
        return Err(Refusal::Forbidden("This installation has been suspended".to_owned()));
    }
    let (token, ends) = visit.state.mint(bot, id)?;
    let ends = ends.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Answer::created(json!({ "token": token, "expires_at": ends, "repository_selection": "selected" })))
}

fn all_sent(app: &App) -> Vec<Sent> {
    app.hook.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// The newest first, and on by a cursor.
pub fn deliveries(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
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

pub fn redeliver(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (app, id) = (visit.state.app_of(visit.authorization)?, visit.number("id")?);
    let sent = all_sent(app).into_iter().find(|one| one.id == id).ok_or_else(Refusal::not_found)?;
    let hook = app.hook.clone();
    visit.state.redeliver(&hook, &sent);
    Ok(Answer::accepted(json!({})))
}

/// A full SHA of a commit that is there.
fn commit(visit: &Visit<'_>, repo: &Repo, sha: &str) -> Result<Oid, Refusal> {
    let unknown = || Refusal::Invalid(format!("No commit found for SHA: {sha}"));
    let full = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = full.then(|| visit.state.bare(repo.id).ok()?.resolve(sha)).flatten();
    found.ok_or_else(unknown)
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

pub fn checks(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
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

pub fn add_check(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
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
pub fn edit_check(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
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

pub fn annotations(visit: &mut Visit<'_>) -> Result<Answer, Refusal> {
    let (repo, id) = (visit.repo(Access::Read)?.id, visit.number("id")?);
    let found = visit.state.checks.iter().find(|one| one.repo == repo && one.id == id);
    let annotations = found.ok_or_else(Refusal::not_found)?.annotations.clone();
    visit.page(annotations, Ok)
}
