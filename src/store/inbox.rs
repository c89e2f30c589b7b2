//! Deliveries, written in groups: one transaction, and so one `fsync`, serves all that arrived while the last one ran.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::{AnyPool, AssertSqlSafe};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;

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

/// Rows in one statement: few distinct statements, so each is prepared once.
const GROUPS: [usize; 3] = [64, 8, 1];
/// Deliveries in one transaction; also how many may wait before callers wait with them.
const MOST: usize = 1024;

struct Pending {
    arrival: Arrival,
    done: oneshot::Sender<Result<(), Arc<sqlx::Error>>>,
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
    pub(super) fn start(pool: AnyPool) -> Self {
        let (sender, receiver) = mpsc::channel(MOST);
        tokio::spawn(write(pool, receiver));
        Self { sender }
    }

    pub(super) async fn accept(&self, arrival: Arrival) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        let message = Message::Arrival(Box::new(Pending { arrival, done }));
        self.sender.send(message).await.map_err(|_| StoreError::Closed)?;
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(StoreError::Database(sqlx::Error::Protocol(error.to_string()))),
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

async fn write(pool: AnyPool, mut receiver: mpsc::Receiver<Message>) {
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
        let outcome = commit(&pool, &batch).await.map_err(Arc::new);
        for pending in batch {
            // A caller that went away (its connection broke) needs no answer; the delivery is written all the same.
            let _ = pending.done.send(outcome.clone());
        }
        for done in finished {
            let _ = done.send(());
        }
    }
}

async fn commit(pool: &AnyPool, batch: &[Pending]) -> Result<(), sqlx::Error> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let mut rest = batch;
    for size in GROUPS {
        while rest.len() >= size {
            let (now, later) = rest.split_at(size);
            rest = later;
            let statement = insert(size);
            let mut query = sqlx::query(AssertSqlSafe(statement));
            for Pending { arrival, .. } in now {
                query = query
                    .bind(arrival.forge.as_str())
                    .bind(arrival.delivery.as_str())
                    .bind(arrival.event.as_str())
                    .bind(arrival.repository.as_str())
                    .bind(arrival.outcome.as_str())
                    .bind(arrival.received_at);
            }
            query.execute(&mut *tx).await?;
        }
    }
    let mut looks: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for Pending { arrival, .. } in batch {
        match &arrival.effect {
            Effect::Nothing => {}
            Effect::Look { name } => {
                looks.entry((&arrival.forge, name)).or_insert(arrival.received_at);
            }
            Effect::Comment { name, comment, pull } => {
                looks.entry((&arrival.forge, name)).or_insert(arrival.received_at);
                sqlx::query(
                    "INSERT INTO comments (forge, repository, comment, pull, received_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT DO NOTHING",
                )
                .bind(arrival.forge.as_str())
                .bind(name.as_str())
                .bind(*comment)
                .bind(*pull)
                .bind(arrival.received_at)
                .execute(&mut *tx)
                .await?;
            }
        }
    }
    for ((forge, name), received_at) in looks {
        sqlx::query(
            "UPDATE repositories SET hinted = hinted + 1, hinted_at = COALESCE(hinted_at, $3) WHERE forge = $1 AND name = $2",
        )
        .bind(forge)
        .bind(name)
        .bind(received_at)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

fn insert(rows: usize) -> String {
    let mut sql =
        String::from("INSERT INTO deliveries (forge, delivery, event, repository, outcome, received_at) VALUES ");
    for row in 0..rows {
        let first = row * 6 + 1;
        let marks: Vec<String> = (first..first + 6).map(|n| format!("${n}")).collect();
        sql.push_str(if row == 0 { "(" } else { ", (" });
        sql.push_str(&marks.join(", "));
        sql.push(')');
    }
    sql
}
