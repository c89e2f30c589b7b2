//! The program itself, as often as it is to run: killed, paused and started again, and one address before all of it.
//!
//! On SQLite it runs once; on a database that several may share it runs as often as that allows, and nothing here changes.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

/// As long as a forge waits for an answer to a delivery.
const TIMEOUT: Duration = Duration::from_secs(5);

/// From one look at a process to the next.
const GLANCE: Duration = Duration::from_millis(5);

/// Where deliveries arrive: those whom it forwards them to come and go.
#[derive(Clone)]
pub struct Front {
    http: reqwest::Client,
    /// Addresses of those who listen, by their number.
    replicas: Arc<Mutex<Vec<Option<String>>>>,
    /// Those that answer nothing for a while.
    paused: Arc<Mutex<BTreeSet<usize>>>,
    next: Arc<AtomicUsize>,
    /// Ids of the deliveries that were answered with 202.
    accepted: Arc<Mutex<Vec<String>>>,
    /// The last ones, as they came.
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    pub url: String,
}

impl Front {
    pub async fn start(replicas: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(TIMEOUT).build();
        let front = Self {
            http: http.expect("a client"),
            replicas: Arc::new(Mutex::new(vec![None; replicas])),
            paused: Arc::default(),
            next: Arc::default(),
            accepted: Arc::default(),
            seen: Arc::default(),
            url,
        };
        let router = Router::new().route("/", post(take)).with_state(front.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        front
    }

    /// The addresses of those who answer, as far as a health check would know. One that is alone is always asked.
    fn live(&self) -> Vec<String> {
        let (replicas, paused) = (self.replicas.lock().expect("replicas"), self.paused.lock().expect("replicas"));
        let is_asked = |replica: &usize| replicas.len() == 1 || !paused.contains(replica);
        let listening = replicas.iter().enumerate().filter(|(replica, _)| is_asked(replica));
        listening.filter_map(|(_, address)| address.clone()).collect()
    }

    /// The ids that were accepted since the last call.
    pub fn accepted(&self) -> Vec<String> {
        std::mem::take(&mut *self.accepted.lock().expect("ids"))
    }

    /// Delivers to one that listens; the answer's status, 503 where nobody does.
    async fn deliver(&self, headers: &HeaderMap, body: &Bytes) -> StatusCode {
        let replicas = self.live();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for turn in 0..replicas.len() {
            let address = &replicas[(first + turn) % replicas.len()];
            let mut request = self.http.post(format!("{address}/hooks/main")).body(body.clone());
            for (name, value) in headers {
                if name != "host" && name != "content-length" {
                    request = request.header(name, value);
                }
            }
            if let Ok(answer) = request.send().await {
                if answer.status() == StatusCode::ACCEPTED
                    && let Some(id) = headers.get("x-gitea-delivery").and_then(|id| id.to_str().ok())
                {
                    self.accepted.lock().expect("ids").push(id.to_owned());
                }
                return answer.status();
            }
        }
        StatusCode::SERVICE_UNAVAILABLE
    }

    /// Delivers again one of the last that came, under an id of its own.
    pub async fn again(&self, which: u64, id: &str) -> StatusCode {
        let (mut headers, body) = {
            let seen = self.seen.lock().expect("deliveries");
            let Some(index) = usize::try_from(which).unwrap_or(0).checked_rem(seen.len()) else {
                return StatusCode::SERVICE_UNAVAILABLE;
            };
            seen[index].clone()
        };
        for name in ["x-gitea-delivery", "x-github-delivery", "x-gogs-delivery"] {
            headers.insert(name, id.parse().expect("an id"));
        }
        self.deliver(&headers, &body).await
    }

    /// The queue's length and the number of unsent statuses, over all that answer; `None` while nobody does.
    pub async fn waiting(&self, token: &str) -> Option<u64> {
        let replicas = self.live();
        let mut waiting = None;
        for address in replicas {
            let answer = self.http.get(format!("{address}/metrics")).bearer_auth(token).send().await.ok()?;
            let text = answer.text().await.ok()?;
            let value = |name: &str| -> Option<u64> {
                text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            };
            let here = value("drift_gate_queue_length ")? + value("drift_gate_unsent_statuses ")?;
            waiting = Some(waiting.unwrap_or(0) + here);
        }
        waiting
    }
}

/// How many deliveries are kept to be delivered again.
const KEPT: usize = 32;

async fn take(State(front): State<Front>, headers: HeaderMap, body: Bytes) -> StatusCode {
    {
        let mut seen = front.seen.lock().expect("deliveries");
        if seen.len() >= KEPT {
            seen.remove(0);
        }
        seen.push((headers.clone(), body.clone()));
    }
    front.deliver(&headers, &body).await
}

/// The processes.
pub struct Fleet {
    config: PathBuf,
    /// Each has a folder of its own below, for its caches; their log lies beside.
    folder: PathBuf,
    front: Front,
    processes: Vec<Option<Child>>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            // It may have ended by itself; either way nothing must be left behind.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Fleet {
    /// Nothing runs yet; `folder` is theirs.
    pub fn new(config: &Path, folder: &Path, front: Front) -> Self {
        let processes = front.replicas.lock().expect("replicas").iter().map(|_| None).collect();
        Self { config: config.to_owned(), folder: folder.to_owned(), front, processes }
    }

    /// How many there are at most.
    pub fn size(&self) -> usize {
        self.processes.len()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("drift-gate.log")
    }

    /// Starts a process unless it runs; it is not waited for until it listens.
    pub fn start(&mut self, replica: usize) {
        if self.processes[replica].is_some() {
            return;
        }
        let folder = self.folder.join(format!("replica-{replica}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_drift-gate"));
        command.arg("serve").arg("--config").arg(&self.config).current_dir(folder);
        command.env("RUST_LOG", "drift_gate=info").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let said = BufReader::new(process.stderr.take().expect("its log"));
        let mut log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log");
        let front = self.front.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                writeln!(log, "{replica}: {line}").expect("the log takes it");
                if let Some((_, address)) = line.split_once("listening on ") {
                    front.replicas.lock().expect("replicas")[replica] = Some(address.trim().to_owned());
                }
            }
            front.replicas.lock().expect("replicas")[replica] = None;
        });
        self.processes[replica] = Some(process);
    }

    /// Waits until a process listens, or has ended.
    pub async fn listens(&mut self, replica: usize) {
        let is_there = |fleet: &Self| fleet.front.replicas.lock().expect("replicas")[replica].is_some();
        while !is_there(self) {
            let ended = self.processes[replica].as_mut().map(Child::try_wait);
            if !matches!(ended, Some(Ok(None))) {
                return;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// SIGKILL, at once. `false` where the process had ended by itself before.
    pub async fn kill(&mut self, replica: usize) -> bool {
        let Some(mut process) = self.processes[replica].take() else { return false };
        let ran = process.try_wait().expect("its state").is_none();
        process.kill().expect("killed");
        process.wait().expect("its end");
        // Its last words are read to their end before another one takes its place.
        while self.front.replicas.lock().expect("replicas")[replica].is_some() {
            tokio::task::yield_now().await;
        }
        ran
    }

    /// SIGSTOP: it stands still until it is to go on.
    pub fn pause(&self, replica: usize) {
        self.front.paused.lock().expect("replicas").insert(replica);
        self.signal(replica, "STOP");
    }

    /// SIGCONT.
    pub fn go_on(&self, replica: usize) {
        self.signal(replica, "CONT");
        self.front.paused.lock().expect("replicas").remove(&replica);
    }

    fn signal(&self, replica: usize, name: &str) {
        if let Some(process) = &self.processes[replica] {
            let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status();
            assert!(sent.expect("kill runs").success(), "SIG{name} reaches the process");
        }
    }

    /// What the processes said, the last lines.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}
