//! A database of a story's own, and what is put into it.

use std::sync::Arc;

use drift_gate::store::{Arrival, Claim, Effect, Judged, Store};

use crate::postgres::Cluster;

/// An empty database and what keeps it alive.
pub struct Db {
    pub url: String,
    _folder: Option<tempfile::TempDir>,
    _cluster: Option<Arc<Cluster>>,
}

impl Db {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/drift-gate.db", folder.path().display());
        Self { url, _folder: Some(folder), _cluster: None }
    }

    pub async fn postgres() -> Self {
        // Starting a server takes a moment, and may wait for another story that starts it.
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.expect("a cluster");
        let url = cluster.database().await;
        Self { url, _folder: None, _cluster: Some(cluster) }
    }

    /// One more replica: two repositories are configured.
    pub async fn replica(&self) -> Store {
        let store = Store::open(&self.url).await.expect("a store");
        store.register(&[repo("core"), repo("template")]).await.expect("registered");
        store
    }
}

pub fn repo(name: &str) -> (String, String) {
    ("main".to_owned(), name.to_owned())
}

pub fn push(name: &str) -> Arrival {
    Arrival {
        forge: "main".into(),
        delivery: "1".into(),
        event: "push".into(),
        repository: format!("molecule/{name}"),
        outcome: "look".into(),
        received_at: 1_000,
        effect: Effect::Look { name: name.into() },
    }
}

pub fn comment(number: i64) -> Arrival {
    Arrival { effect: Effect::Comment { name: "core".into(), comment: number, pull: 3 }, ..push("core") }
}

/// A decision about a commit of `core`.
pub fn decision(state: &str, description: &str) -> Judged {
    Judged {
        id: "key".into(),
        forge: "main".into(),
        repository: "core".into(),
        forge_id: 1,
        sha: "c".repeat(40),
        context: "drift-gate".into(),
        state: state.into(),
        description: description.into(),
        url: "https://gate.example.org/r/key".into(),
        judgements: "[]".into(),
        decided_at: 5,
        is_new: true,
        reports: vec![("r1".into(), "{}".into())],
    }
}

/// The same about another commit.
pub fn decision_on(commit: u32, repository: &str, forge_id: i64) -> Judged {
    Judged {
        id: format!("key {repository} {commit}"),
        repository: repository.into(),
        forge_id,
        sha: format!("{commit:040x}"),
        ..decision("success", "in sync")
    }
}

/// A claim for ten seconds.
pub fn claim(holder: &str, now: i64) -> Claim<'_> {
    Claim { forge: "main", holder, now, until: now + 10_000, most: 10 }
}
