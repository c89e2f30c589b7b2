//! `GET /api/v1/...`: what the service knows, as JSON, for its operator. Every field is in `docs/api.md`.
//!
//! Lists come in pages: at most `limit` rows, and `next`, which is the `after` of the page behind it. A cursor names the
//! last row that was shown, not a count of rows: what comes meanwhile is neither shown twice nor pushes a row over the
//! edge. A status that is decided again while somebody reads moves to the front, and is there for the next reading.
//!
//! Traps handled here: a parameter with a typing error would otherwise be a page of other rows, so what is not known is
//! refused; a program that asks gets JSON whatever happens, errors too.

mod made;
mod rows;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

pub(super) use made::{audit, deliveries, gates, report, targets};
pub use rows::{
    Audited, ConsumerSide, Delivery, Earlier, Gate, Head, Lease, Place, Reported, Reports, Said, SourceSide, Target,
    Told,
};

use super::{App, Shared, Unavailable};

/// Rows on a page unless `limit` says otherwise, and at most.
const USUAL: usize = 50;
const MOST: usize = 500;
/// The longest cursor that is read: an id of a gate holds three names.
const LONGEST: usize = 512;

/// Where a page of targets goes on: behind the one decided then (Unix milliseconds), of this id.
pub type TargetCursor = (i64, String);

/// What is asked of a list: a cursor and a number of rows.
struct Asked {
    after: Option<String>,
    limit: usize,
}

type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// `GET /api/v1/status`.
pub(super) async fn status(State(app): Shared, headers: HeaderMap, query: Parameters) -> Response {
    answer(&app, &headers, async {
        none(query)?;
        Ok(Json(app.ask(app.backend.under_way()).await?))
    })
    .await
}

/// `GET /api/v1/deliveries`.
pub(super) async fn list_deliveries(State(app): Shared, headers: HeaderMap, query: Parameters) -> Response {
    answer(&app, &headers, async {
        let asked = asked(query)?;
        let before = asked.after.as_deref().map(number).transpose()?;
        let rows = app.ask(app.backend.deliveries(before, asked.limit + 1)).await?;
        let (rows, next) = page(rows, asked.limit, |row| row.number.to_string());
        Ok(Json(DeliveriesPage { deliveries: rows, next }))
    })
    .await
}

/// `GET /api/v1/targets`.
pub(super) async fn list_targets(State(app): Shared, headers: HeaderMap, query: Parameters) -> Response {
    answer(&app, &headers, async {
        let asked = asked(query)?;
        let after = asked.after.as_deref().map(target_cursor).transpose()?;
        let rows = app.ask(app.backend.targets(after, asked.limit + 1)).await?;
        let (rows, next) = page(rows, asked.limit, |row| format!("{}-{}", row.decided_at.timestamp_millis(), row.id));
        Ok(Json(TargetsPage { targets: rows, next }))
    })
    .await
}

/// `GET /api/v1/gates`.
pub(super) async fn list_gates(State(app): Shared, headers: HeaderMap, query: Parameters) -> Response {
    answer(&app, &headers, async {
        let asked = asked(query)?;
        if asked.after.as_deref().is_some_and(|after| !after.contains(':')) {
            return Err(bad_cursor("a gate's id, FORGE/OWNER/NAME:GATE"));
        }
        let rows = app.ask(app.backend.gates(asked.after, asked.limit + 1)).await?;
        let (rows, next) = page(rows, asked.limit, |row| row.id.clone());
        Ok(Json(GatesPage { gates: rows, next }))
    })
    .await
}

/// `GET /api/v1/audit`.
pub(super) async fn list_audit(State(app): Shared, headers: HeaderMap, query: Parameters) -> Response {
    answer(&app, &headers, async {
        let asked = asked(query)?;
        let before = asked.after.as_deref().map(number).transpose()?;
        let rows = app.ask(app.backend.audit(before, asked.limit + 1)).await?;
        let (rows, next) = page(rows, asked.limit, |row| row.number.to_string());
        Ok(Json(AuditPage { audit: rows, next }))
    })
    .await
}

/// `GET /api/v1/reports/{id}`.
pub(super) async fn show_reports(
    State(app): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    query: Parameters,
) -> Response {
    answer(&app, &headers, async {
        none(query)?;
        match app.ask(app.backend.report(&id)).await? {
            Some(reports) => Ok(Json(reports)),
            None => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "there is no target with this id; `/api/v1/targets` lists them",
            )),
        }
    })
    .await
}

/// Any other address below `/api/`.
pub(super) async fn missing() -> Response {
    const THERE_IS: &str = "there is nothing at this address; there are /api/v1/status, /api/v1/deliveries, \
        /api/v1/targets, /api/v1/gates, /api/v1/audit and /api/v1/reports/ID";
    Refusal::new(StatusCode::NOT_FOUND, THERE_IS).into_response()
}

/// Another method than GET.
pub(super) fn not_allowed() -> Response {
    let mut response = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "the API is read with GET").into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

#[derive(Serialize)]
struct DeliveriesPage {
    deliveries: Vec<Delivery>,
    next: Option<String>,
}

#[derive(Serialize)]
struct TargetsPage {
    targets: Vec<Target>,
    next: Option<String>,
}

#[derive(Serialize)]
struct GatesPage {
    gates: Vec<Gate>,
    next: Option<String>,
}

#[derive(Serialize)]
struct AuditPage {
    audit: Vec<Audited>,
    next: Option<String>,
}

/// An error as the API tells it.
struct Refusal {
    status: StatusCode,
    error: String,
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl From<Unavailable> for Refusal {
    fn from(error: Unavailable) -> Self {
        tracing::error!(%error, "the API could not be answered");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "this cannot be read right now; try again")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Error { error: &self.error })).into_response();
        let header = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"drift-gate\"")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "10")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Answers the operator; nothing is asked of the backend for anyone else.
async fn answer<T: IntoResponse>(
    app: &App,
    headers: &HeaderMap,
    making: impl Future<Output = Result<T, Refusal>>,
) -> Response {
    if !app.is_operator(headers) {
        let refusal = match &app.keys {
            Some(_) => {
                Refusal::new(StatusCode::UNAUTHORIZED, "this needs the admin token: send `Authorization: Bearer TOKEN`")
            }
            None => Refusal::new(
                StatusCode::FORBIDDEN,
                "the API is closed: set `[server] admin_token` in the configuration and start the service again",
            ),
        };
        return refusal.into_response();
    }
    making.await.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
}

/// Both parameters of a list; none twice, and no other.
fn asked(query: Parameters) -> Result<Asked, Refusal> {
    let (mut after, mut limit) = (None, None);
    for (name, value) in parameters(query)? {
        let place = match name.as_str() {
            "after" => &mut after,
            "limit" => &mut limit,
            _ => return Err(unknown(&name, "there are `limit` and `after`")),
        };
        if place.replace(value).is_some() {
            return Err(bad(format!("`{name}` is given twice")));
        }
    }
    if after.as_ref().is_some_and(|after| after.len() > LONGEST) {
        return Err(bad_cursor("not that long"));
    }
    let limit = match limit {
        None => USUAL,
        Some(text) => match text.parse() {
            Ok(limit @ 1..=MOST) => limit,
            _ => return Err(bad(format!("`limit` is a number from 1 to {MOST}"))),
        },
    };
    Ok(Asked { after, limit })
}

fn none(query: Parameters) -> Result<(), Refusal> {
    match parameters(query)?.first() {
        Some((name, _)) => Err(unknown(name, "there is none here")),
        None => Ok(()),
    }
}

fn parameters(query: Parameters) -> Result<Vec<(String, String)>, Refusal> {
    query.map(|Query(pairs)| pairs).map_err(|_| bad("the address cannot be read from `?` on".to_owned()))
}

fn unknown(name: &str, there_is: &str) -> Refusal {
    let name: String = name.chars().take(40).collect();
    bad(format!("`{name}` is no parameter; {there_is}"))
}

fn number(cursor: &str) -> Result<i64, Refusal> {
    cursor.parse().ok().filter(|number| *number > 0).ok_or_else(|| bad_cursor("a number"))
}

fn target_cursor(cursor: &str) -> Result<TargetCursor, Refusal> {
    let is_id = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts =
        cursor.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, is_id(&id).then(|| id.to_owned())?)));
    parts.ok_or_else(|| bad_cursor("TIME-ID"))
}

fn bad(error: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, error)
}

fn bad_cursor(is: &str) -> Refusal {
    bad(format!("`after` is the `next` of the page before ({is}), or left out for the first page"))
}

/// The rows of a page of which one more was asked for, and the cursor behind it where there are more.
fn page<T>(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(cursor) } else { None };
    (rows, next)
}
