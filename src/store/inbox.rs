//! Deliveries, written in groups: one transaction, and so one `fsync`, serves all that arrived while the last one ran.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::database::{BUSY, Database, Holds, Kind, json};
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
        /// The context of the status; GitHub's have no case.
        context: String,
    },
    /// A repository's comment that may be a command.
    Comment {
        /// As configured, `owner/name`.
        name: String,
        /// The forge's number for the comment.
        comment: i64,
        /// The number of the pull request or issue that it stands under.
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
    /// Starts the writer, on a thread of its own: on those that answer requests each of its steps would wait for a turn.
    pub(super) fn start(db: Database) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(MOST);
        let callers = Handle::current();
        let started = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
            let thread = std::thread::Builder::new().name("store-inbox".to_owned());
            thread.spawn(move || runtime.block_on(write(db, receiver, &callers)))
        });
        started.map_err(sqlx::Error::Io)?;
        Ok(Self { sender })
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

async fn write(db: Database, mut receiver: mpsc::Receiver<Message>, callers: &Handle) {
    let mut writer = Writer { statements: statements(&db), together: HashMap::new(), connection: None, db };
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
        let outcome = writer.commit(&batch).await.map_err(Arc::new);
        // From among the callers: to wake each of them from here would cost a change of thread for each.
        callers.spawn(async move {
            for pending in batch {
                // A caller that went away (its connection broke) needs no answer; the delivery is written all the same.
                let _ = pending.done.send(outcome.clone());
            }
        });
        for done in finished {
            let _ = done.send(());
        }
    }
}

/// What is said for a group of deliveries: statement `n` takes its rows from parameter `n + 1`.
fn statements(db: &Database) -> [String; KINDS] {
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
        2,
        &[("forge", Text), ("repository", Text), ("comment", Number), ("pull", Number), ("received_at", Number)],
    );
    let rechecks = db.rows(4, &[("forge", Text), ("name", Text), ("sha", Text), ("context", Text), ("at", Number)]);
    [
        format!(
            "INSERT INTO deliveries (forge, delivery, event, repository, outcome, received_at) \
             SELECT forge, delivery, event, repository, outcome, received_at FROM {deliveries} AS arrived"
        ),
        format!(
            "INSERT INTO comments (forge, repository, comment, pull, received_at) \
             SELECT forge, repository, comment, pull, received_at FROM {comments} AS arrived WHERE true \
             ON CONFLICT DO NOTHING"
        ),
        hint_statement(db, 3),
        format!(
            "UPDATE wanted SET recheck_at = at FROM {rechecks} AS other WHERE wanted.forge = other.forge \
             AND wanted.repository = other.name AND wanted.sha = other.sha AND lower(wanted.context) = lower(other.context) \
             AND wanted.head = 1 AND wanted.parked_until IS NULL"
        ),
    ]
}

const KINDS: usize = 4;

/// A group's rows for each of the statements, as JSON; `None` where there are none.
fn rows(batch: &[Pending]) -> [Option<String>; KINDS] {
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
            // What it asks for is done by whoever reads it.
            Effect::Comment { name, comment, pull } => {
                comments.push((forge, name, comment, pull, received_at));
                continue;
            }
        };
        hints.entry((forge, name)).or_insert((*received_at, delivery)).1 = delivery;
    }
    let level = Level::ReadBoth.number();
    let hints: Vec<_> =
        hints.into_iter().map(|((forge, name), (at, delivery))| (forge, name, at, level, Some(delivery))).collect();
    [
        (!deliveries.is_empty()).then(|| json(&deliveries)),
        (!comments.is_empty()).then(|| json(&comments)),
        (!hints.is_empty()).then(|| json(&hints)),
        (!rechecks.is_empty()).then(|| json(&rechecks)),
    ]
}

struct Writer {
    db: Database,
    statements: [String; KINDS],
    /// SQLite's whole transaction as one text, by which of the statements it has.
    together: HashMap<[bool; KINDS], String>,
    /// PostgreSQL's, kept from group to group.
    connection: Option<AnyConnection>,
}

impl Writer {
    async fn commit(&mut self, batch: &[Pending]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let rows = rows(batch);
        match self.db.kind() {
            Kind::Sqlite => self.at_once(&rows).await,
            Kind::Postgres => {
                let kept = self.connection.is_some();
                let writing = async {
                    match self.in_turn(&rows).await {
                        // The server may have ended a connection that nobody used: that says nothing about the next one.
                        Err(StoreError::Database(error)) if kept && !matches!(error, sqlx::Error::Database(_)) => {
                            self.in_turn(&rows).await
                        }
                        outcome => outcome,
                    }
                };
                // A server that is paused, or behind a network that is gone, never answers.
                tokio::time::timeout(BUSY, writing).await.unwrap_or(Err(StoreError::Silent))
            }
        }
    }

    /// The transaction as one text: each step by itself would cost two changes of thread.
    async fn at_once(&mut self, rows: &[Option<String>; KINDS]) -> Result<(), StoreError> {
        let which = rows.each_ref().map(Option::is_some);
        let text = self.together.entry(which).or_insert_with(|| {
            let work: Vec<&str> = self
                .statements
                .iter()
                .zip(which)
                .filter(|(_, is)| *is)
                .map(|(statement, _)| statement.as_str())
                .collect();
            format!("BEGIN IMMEDIATE; {}; COMMIT", work.join("; "))
        });
        let mut connection = self.db.write().await?;
        let mut query = sqlx::query(AssertSqlSafe(text.as_str()));
        for rows in rows {
            query = query.bind(rows.as_deref());
        }
        if let Err(error) = query.execute(&mut *connection).await {
            // It may have ended the transaction by itself; then there is none.
            let _ = connection.execute("ROLLBACK").await;
            return Err(error.into());
        }
        Ok(())
    }

    /// A statement after the other, on a connection that is kept unless it breaks.
    async fn in_turn(&mut self, rows: &[Option<String>; KINDS]) -> Result<(), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.db.connect().await?,
        };
        let mut tx = connection.begin().await?;
        for (at, (statement, rows)) in self.statements.iter().zip(rows).enumerate() {
            if let Some(rows) = rows {
                let statement = statement.replace(&format!("${}", at + 1), "$1");
                sqlx::query(AssertSqlSafe(statement)).bind(rows.as_str()).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        self.connection = Some(connection);
        Ok(())
    }
}
