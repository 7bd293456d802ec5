//! The deliveries of webhooks in the file.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio::sync::Notify;

use super::SqliteStore;
use super::batch::{Batch, micros};
use super::rows::{ReadError, timestamp};
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::outbox::{Delivery, DeliverySelection, DeliveryState, DueDeliveries, Outbox};
use crate::store::{StoreFuture, beneath, to_json};

/// The columns of a delivery.
const COLUMNS: &str = "o.poll, scope, key, created_at, ended_at, receiver, state, due, tries, attempts \
     FROM outbox o JOIN polls p ON p.id = o.poll";

/// What [`Delivery::is_failing`] says. By the index of states, since most deliveries succeed.
const FAILING: &str = " AND state IN ('dead', 'pending') AND (state = 'dead' OR tries > 0)";

impl Batch<'_> {
    /// Adds the delivery of an outcome, if the spec of the poll names a receiver. Returns whether it does.
    pub(super) fn deliver(&mut self, poll: i64, spec: i64, ended_at: i64) -> rusqlite::Result<bool> {
        let receiver = match self.receivers.get(&spec) {
            Some(known) => known.clone(),
            None => {
                let mut find = self.connection().prepare_cached("SELECT webhook FROM specs WHERE id = ?1")?;
                let found =
                    find.query_row([spec], |row| row.get::<_, Option<String>>(0)).optional()?.flatten();
                let found: Option<Arc<str>> = found.map(Into::into);
                self.receivers.insert(spec, found.clone());
                found
            }
        };
        let Some(receiver) = receiver else { return Ok(false) };
        let sql = "INSERT OR REPLACE INTO outbox (poll, receiver, state, due) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![poll, receiver, DeliveryState::Pending.as_str(), ended_at])?;
        Ok(true)
    }

    fn note_delivery(&self, delivery: &Delivery, attempts: &str) -> rusqlite::Result<bool> {
        let sql = "UPDATE outbox SET state = ?2, due = ?3, tries = ?4, attempts = ?5 WHERE poll = ?1 \
             AND EXISTS (SELECT 1 FROM polls WHERE id = ?1 AND scope = ?6 AND key = ?7)";
        let (scope, key) = (delivery.key.scope(), delivery.key.key());
        let due = delivery.due.map(micros);
        let state = delivery.state.as_str();
        Ok(self.execute(sql, params![delivery.place, state, due, delivery.tries, attempts, scope, key])? > 0)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let key = PollKey::new(row.get::<_, String>(1)?, row.get::<_, String>(2)?);
    let (created_at, ended_at) = (timestamp(row.get(3)?), timestamp(row.get(4)?));
    let mut delivery = Delivery::new(key, created_at, ended_at, row.get::<_, String>(5)?);
    delivery.place = row.get(0)?;
    delivery.due = row.get::<_, Option<i64>>(7)?.map(timestamp);
    delivery.state = DeliveryState::stored(&row.get::<_, String>(6)?, delivery.due);
    delivery.tries = row.get(8)?;
    delivery.attempts = serde_json::from_str(&row.get::<_, String>(9)?).unwrap_or_default();
    Ok(delivery)
}

fn due(connection: &Connection, now: Timestamp, busy: &str, most: usize) -> Result<DueDeliveries, ReadError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE o.due <= ?1 AND receiver NOT IN (SELECT value FROM json_each(?2)) ORDER BY o.due LIMIT ?3"
    ))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let found = statement.query_map(params![micros(now), busy, most], read)?;
    let deliveries = found.collect::<rusqlite::Result<_>>()?;
    let mut next = connection.prepare_cached("SELECT min(due) FROM outbox WHERE due > ?1")?;
    let next: Option<i64> = next.query_row([micros(now)], |row| row.get(0))?;
    Ok(DueDeliveries::new(deliveries, next.map(timestamp)))
}

impl Outbox for SqliteStore {
    fn due(&self, now: Timestamp, busy: Vec<Box<str>>, most: usize) -> StoreFuture<'_, DueDeliveries> {
        let busy = serde_json::Value::from_iter(busy.iter().map(|receiver| &**receiver)).to_string();
        Box::pin(self.inner.reader.run(move |file| due(file.connection, now, &busy, most)))
    }

    fn note(&self, delivery: Delivery) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let attempts = to_json("the attempts of a webhook", &delivery.attempts)?;
            let noted = self.inner.write(1, move |batch| batch.note_delivery(&delivery, &attempts)).await?;
            self.inner.added.notify_one();
            Ok(noted)
        })
    }

    fn delivery(&self, key: PollKey) -> StoreFuture<'_, Option<Delivery>> {
        Box::pin(self.inner.reader.run(move |file| {
            let mut find = file
                .connection
                .prepare_cached(&format!("SELECT {COLUMNS} WHERE p.scope = ?1 AND p.key = ?2"))?;
            Ok(find.query_row(params![key.scope(), key.key()], read).optional()?)
        }))
    }

    fn deliveries(&self, which: DeliverySelection) -> StoreFuture<'_, Vec<Delivery>> {
        Box::pin(self.inner.reader.run(move |file| {
            let DeliverySelection { under, state, failing, before, limit } = which;
            let inside = beneath(&under);
            let mut list = file.connection.prepare_cached(&format!(
                "SELECT {COLUMNS} WHERE o.poll < ?1 AND (?2 IS NULL OR state = ?2){} \
                 AND (?3 = '' OR scope = ?3 OR substr(scope, 1, length(?4)) = ?4) ORDER BY o.poll DESC LIMIT ?5",
                if failing { FAILING } else { "" }
            ))?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let (before, state) = (before.unwrap_or(i64::MAX), state.map(DeliveryState::as_str));
            let found = list.query_map(params![before, state, under, inside, limit], read)?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        }))
    }

    fn added(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.added)
    }
}
