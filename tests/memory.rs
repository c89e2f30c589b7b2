//! How much memory hostile bodies can take. A program of its own, because it measures its whole process.
#![cfg(target_os = "linux")]

use std::sync::Arc;

use drift_gate::config::ForgeKind;
use drift_gate::controller::under_way::UnderWay;
use drift_gate::forge::webhook::Delivery;
use drift_gate::metrics::{Metrics, Queue};
use drift_gate::web::dashboard::Overview;
use drift_gate::web::page::PageData;
use drift_gate::web::{Accepted, Backend, HookForge, Limits, Readiness, Settings, Unavailable, api, router, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Nothing that is told here gets through the door.
struct Nobody;

#[async_trait::async_trait]
impl Backend for Nobody {
    async fn accept(&self, _: &str, _: Delivery) -> Result<Accepted, Unavailable> {
        Err(Unavailable("nobody signed this".to_owned()))
    }

    async fn page(&self, _: &str) -> Result<Option<PageData>, Unavailable> {
        Ok(None)
    }

    async fn overview(&self) -> Result<Overview, Unavailable> {
        Ok(Overview::default())
    }

    async fn deliveries(&self, _: Option<i64>, _: usize) -> Result<Vec<api::Delivery>, Unavailable> {
        Ok(Vec::new())
    }

    async fn audit(&self, _: Option<i64>, _: usize) -> Result<Vec<api::Audited>, Unavailable> {
        Ok(Vec::new())
    }

    async fn targets(&self, _: Option<api::TargetCursor>, _: usize) -> Result<Vec<api::Target>, Unavailable> {
        Ok(Vec::new())
    }

    async fn gates(&self, _: Option<String>, _: usize) -> Result<Vec<api::Gate>, Unavailable> {
        Ok(Vec::new())
    }

    async fn report(&self, _: &str) -> Result<Option<api::Reports>, Unavailable> {
        Ok(None)
    }

    async fn under_way(&self) -> Result<UnderWay, Unavailable> {
        Ok(UnderWay::default())
    }

    async fn queue(&self) -> Result<Queue, Unavailable> {
        Ok(Queue::default())
    }

    async fn ready(&self) -> Vec<Readiness> {
        Vec::new()
    }
}

/// The most memory that this process ever held, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// 30 MB of a body whose length is not declared, with a signature that is none; the status line of the answer.
async fn flood(address: std::net::SocketAddr) -> String {
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut read, mut write) = stream.into_split();
    let answer = tokio::spawn(async move {
        let mut answer = vec![0; 12];
        match read.read_exact(&mut answer).await {
            Ok(_) => String::from_utf8_lossy(&answer).into_owned(),
            Err(error) => error.to_string(),
        }
    });
    let head =
        "POST /hooks/main HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let head = format!("{head}x-gitea-signature: {}\r\n\r\n", "0".repeat(64));
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
    let mut alive = write.write_all(head.as_bytes()).await.is_ok();
    for _ in 0..300 {
        // Hung up on: that is an answer too.
        alive = alive && write.write_all(chunk.as_bytes()).await.is_ok();
    }
    answer.await.expect("read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_megabytes_from_many_at_once_stay_under_64_mib() {
    let hook = HookForge { kind: ForgeKind::Gitea, secrets: vec!["secret".to_owned().into()] };
    let limits = Limits::default();
    let settings = Settings {
        public_url: "http://gate.example.org".to_owned(),
        forges: [("main".to_owned(), hook)].into(),
        admin_token: None,
        session_secret: "secret".to_owned().into(),
        open: false,
        limits,
        clock: chrono::Utc::now,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let shutdown = CancellationToken::new();
    let server =
        tokio::spawn(serve(listener, router(Arc::new(Nobody), settings, Metrics::new()), limits, shutdown.clone()));
    let floods: Vec<_> = (0..12).map(|_| tokio::spawn(flood(address))).collect();
    let mut refused = 0;
    for flood in floods {
        let answer = flood.await.expect("a flood ends");
        assert!(!answer.contains(" 2"), "{answer}");
        refused += usize::from(answer.ends_with("413"));
    }
    assert!(refused > 0, "none was read up to the cap, so nothing was measured");
    let peak = peak();
    assert!(peak <= 64 << 10, "{peak} KiB");
    eprintln!("peak {} MiB, {refused} of 12 refused with 413", peak >> 10);
    shutdown.cancel();
    server.await.expect("the server ends");
}
