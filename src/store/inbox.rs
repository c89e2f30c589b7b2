//! Deliveries, written in groups: one transaction, and so one `fsync`, serves all that arrived while the last one ran.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use tokio::sync::{mpsc, oneshot};

use super::database::{Database, Holds, json};
use super::queue::hint_statement;
use super::{Level, StoreError};

/// A delivery that was verified, and what it makes dirty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The forge's name in the configuration.
    pub forge: String,
    /// The forge's id of the delivery; a redelivery may have the same or another.
    pub delivery: String,
    /// The forge's name for what happened, from the delivery's header.
    pub event: String,
    /// The repository as the payload names it, or "".
    pub repository: String,
    /// In words, for people: what it was taken for.
    pub outcome: String,
    /// Unix milliseconds.
    pub received_at: i64,
    /// Written in the same transaction as the delivery.
    pub effect: Effect,
}

/// What a delivery makes dirty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: kept for people who ask what arrived.
    Nothing,
    /// A repository, by its configured name.
    Look {
        /// As configured, `owner/name`.
        name: String,
    },
    /// A status that somebody else posted: what stands there is read back, where we have one of that name.
    Recheck {
        /// As configured, `owner/name`.
        name: String,
        /// The commit, all hexadecimal digits.
        sha: String,
        /// The context of the status.
        context: String,
    },
    /// A repository's comment that may be a command.
    Comment {
        /// As configured, `owner/name`.
        name: String,
        /// The forge's number for the comment.
        comment: i64,
        /// The number of the pull request that it stands under.
        pull: i64,
    },
}

/// Deliveries in one transaction; also how many may wait before callers wait with them.
const MOST: usize = 1024;

struct Pending {
    arrival: Arrival,
    done: oneshot::Sender<Result<(), Arc<StoreError>>>,
}

/// The way in: hands arrivals to the one writer.
#[derive(Clone)]
pub(super) struct Inbox {
    sender: mpsc::Sender<Message>,
}

enum Message {
    Arrival(Box<Pending>),
    Finish(oneshot::Sender<()>),
}

impl Inbox {
    pub(super) fn start(db: Database) -> Self {
        let (sender, receiver) = mpsc::channel(MOST);
        tokio::spawn(write(db, receiver));
        Self { sender }
    }

    pub(super) async fn accept(&self, arrival: Arrival) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        let message = Message::Arrival(Box::new(Pending { arrival, done }));
        self.sender.send(message).await.map_err(|_| StoreError::Closed)?;
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StoreError::Unwritten(error)),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Waits until all that was handed in before is written.
    pub(super) async fn finish(&self) {
        let (done, finished) = oneshot::channel();
        if self.sender.send(Message::Finish(done)).await.is_ok() {
            // The writer may have ended already; then there is nothing left to wait for.
            let _ = finished.await;
        }
    }
}

async fn write(db: Database, mut receiver: mpsc::Receiver<Message>) {
    let statements = Statements::new(&db);
    let mut messages = Vec::with_capacity(MOST);
    while receiver.recv_many(&mut messages, MOST).await > 0 {
        let mut batch = Vec::with_capacity(messages.len());
        let mut finished = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Arrival(pending) => batch.push(*pending),
                Message::Finish(done) => finished.push(done),
            }
        }
        let outcome = commit(&db, &statements, &batch).await.map_err(Arc::new);
        for pending in batch {
            // A caller that went away (its connection broke) needs no answer; the delivery is written all the same.
            let _ = pending.done.send(outcome.clone());
        }
        for done in finished {
            let _ = done.send(());
        }
    }
}

/// What is said for each group; made once.
struct Statements {
    deliveries: String,
    comments: String,
    hints: String,
    rechecks: String,
}

impl Statements {
    fn new(db: &Database) -> Self {
        use Holds::{Number, Text};
        let deliveries = db.rows(
            1,
            &[
                ("forge", Text),
                ("delivery", Text),
                ("event", Text),
                ("repository", Text),
                ("outcome", Text),
                ("received_at", Number),
            ],
        );
        let comments = db.rows(
            1,
            &[("forge", Text), ("repository", Text), ("comment", Number), ("pull", Number), ("received_at", Number)],
        );
        Self {
            deliveries: format!(
                "INSERT INTO deliveries (forge, delivery, event, repository, outcome, received_at) \
                 SELECT forge, delivery, event, repository, outcome, received_at FROM {deliveries} AS arrived"
            ),
            comments: format!(
                "INSERT INTO comments (forge, repository, comment, pull, received_at) \
                 SELECT forge, repository, comment, pull, received_at FROM {comments} AS arrived WHERE true \
                 ON CONFLICT DO NOTHING"
            ),
            hints: hint_statement(db),
            rechecks: format!(
                "UPDATE wanted SET recheck_at = at FROM {} AS other WHERE wanted.forge = other.forge \
                 AND wanted.repository = other.name AND wanted.sha = other.sha AND wanted.context = other.context \
                 AND wanted.head = 1 AND wanted.parked_until IS NULL",
                db.rows(1, &[("forge", Text), ("name", Text), ("sha", Text), ("context", Text), ("at", Number)])
            ),
        }
    }
}

async fn commit(db: &Database, statements: &Statements, batch: &[Pending]) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut deliveries = Vec::with_capacity(batch.len());
    let mut comments = Vec::new();
    let mut rechecks = Vec::new();
    // When the first of them came, and which was the last.
    let mut hints: BTreeMap<(&str, &str), (i64, &str)> = BTreeMap::new();
    for Pending { arrival, .. } in batch {
        let Arrival { forge, delivery, event, repository, outcome, received_at, effect } = arrival;
        deliveries.push((forge, delivery, event, repository, outcome, received_at));
        let name = match effect {
            Effect::Nothing => continue,
            Effect::Recheck { name, sha, context } => {
                rechecks.push((forge, name, sha, context, received_at));
                continue;
            }
            Effect::Look { name } => name,
            Effect::Comment { name, comment, pull } => {
                comments.push((forge, name, comment, pull, received_at));
                name
            }
        };
        hints.entry((forge, name)).or_insert((*received_at, delivery)).1 = delivery;
    }
    let level = Level::ReadBoth.number();
    let hints: Vec<_> =
        hints.into_iter().map(|((forge, name), (at, delivery))| (forge, name, at, level, Some(delivery))).collect();
    let mut work = vec![(statements.deliveries.as_str(), json(&deliveries))];
    if !comments.is_empty() {
        work.push((statements.comments.as_str(), json(&comments)));
    }
    if !hints.is_empty() {
        work.push((statements.hints.as_str(), json(&hints)));
    }
    if !rechecks.is_empty() {
        work.push((statements.rechecks.as_str(), json(&rechecks)));
    }
    let mut connection = db.write().await?;
    let mut tx = connection.begin().await?;
    for (statement, rows) in work {
        sqlx::query(AssertSqlSafe(statement)).bind(rows).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}
