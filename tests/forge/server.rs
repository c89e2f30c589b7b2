//! A forge's REST API of a test: says what it is told to say, remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use drift_gate::forge::http::{Timeouts, client};
use serde_json::Value;
use tokio::net::TcpListener;

pub const TOKEN: &str = "s3cret-token-of-the-test";

/// What a server was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: HeaderMap,
    /// Null where there was none.
    pub body: Value,
}

/// What a server says.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), "text/html".to_owned())], body: body.to_owned() }
    }

    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

pub struct Server {
    /// Without trailing slash.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remember = Arc::clone(&seen);
        let app = axum::Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let asked = Seen {
                method: parts.method.to_string(),
                path: parts.uri.to_string(),
                headers: parts.headers,
                body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            };
            let reply = answer(&asked);
            remember.lock().unwrap().push(asked);
            let mut response = Response::builder().status(reply.status);
            for (name, value) in &reply.headers {
                response = response.header(name, value);
            }
            response.body(Body::from(reply.body)).unwrap()
        });
        Self { url: listen(app).await, seen }
    }

    /// What came, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The recorded answers of these names, each to the request that it was recorded for. A request that matches none
    /// gets an answer that no test expects.
    pub async fn replay(names: &[&str]) -> Self {
        let recordings: Vec<Value> = names.iter().map(|name| recording(name)).collect();
        Self::start(move |asked| {
            let best = recordings
                .iter()
                .filter_map(|recording| Some((likeness(&recording["request"], asked)?, recording)))
                .max_by_key(|(likeness, _)| *likeness);
            match best {
                Some((_, recording)) => recorded_reply(&recording["response"]),
                None => Reply::text(418, &format!("nothing was recorded for {} {}", asked.method, asked.path)),
            }
        })
        .await
    }
}

/// Serves `app` on loopback; the address without trailing slash.
pub async fn listen(app: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

pub fn recording(name: &str) -> Value {
    let path = format!("{}/tests/vectors/gitea-1.26/api/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

pub fn recorded_reply(response: &Value) -> Reply {
    let body = match &response["text"] {
        Value::String(text) => text.clone(),
        _ if response["body"].is_null() => String::new(),
        _ => response["body"].to_string(),
    };
    let headers = response["headers"].as_object().unwrap();
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    Reply { status: response["status"].as_u64().unwrap().try_into().unwrap(), headers, body }
}

/// How many fields of the recorded body are equal in the request; `None` where method, path or any field differs. A page
/// that was recorded without its number is the first, and a list that was recorded without an order may have any.
fn likeness(recorded: &Value, asked: &Seen) -> Option<usize> {
    let path = recorded["path"].as_str().unwrap();
    let asked_path = asked.path.replace("sort=leastindex&", "");
    let same_path = asked_path == path || asked_path == format!("{path}&page=1");
    if recorded["method"] != asked.method.as_str() || !same_path {
        return None;
    }
    let Some(fields) = recorded["body"].as_object() else { return Some(0) };
    fields.iter().all(|(key, value)| asked.body[key] == *value).then_some(fields.len())
}

/// The program's client, with time-outs that a test can wait for.
pub fn quick_client() -> reqwest::Client {
    client(Timeouts { connect: Duration::from_secs(2), total: Duration::from_millis(250) }).unwrap()
}

/// The program's client, patient enough for a busy machine.
pub fn patient_client() -> reqwest::Client {
    client(Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) }).unwrap()
}
