//! The deliveries of webhooks in the database. The worker that runs a shard delivers the webhooks of its polls; after a
//! takeover another one does, and what both have sent meanwhile has the same `webhook-id`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::Row;

use super::database::{Fault, params};
use super::reads::is_storable;
use super::{Inner, PostgresStore, micros, or_zero, timestamp};
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::outbox::{Delivery, DeliverySelection, DeliveryState, DueDeliveries, Outbox};
use crate::store::{StoreFuture, beneath, to_json};

/// How often a worker looks for the deliveries of shards that it has taken over.
const LOOK: Duration = Duration::from_secs(5);

const COLUMNS: &str =
    "SELECT place, scope, key, created, ended, receiver, state, due, tries, attempts FROM poll.outbox";

fn read(row: &Row) -> Delivery {
    let key = PollKey::new(row.get::<_, &str>(1), row.get::<_, &str>(2));
    let mut delivery =
        Delivery::new(key, timestamp(row.get(3)), timestamp(row.get(4)), row.get::<_, &str>(5));
    delivery.place = row.get(0);
    delivery.due = row.get::<_, Option<i64>>(7).map(timestamp);
    delivery.state = DeliveryState::stored(row.get(6), delivery.due);
    delivery.tries = or_zero(row.get::<_, i32>(8));
    delivery.attempts = serde_json::from_str(row.get(9)).unwrap_or_default();
    delivery
}

impl Inner {
    async fn due(&self, now: Timestamp, busy: &[Box<str>], most: usize) -> Result<DueDeliveries, Fault> {
        let ours = self.shards().ours();
        if ours.is_empty() {
            return Ok(DueDeliveries::default());
        }
        let busy: Vec<&str> = busy.iter().map(|receiver| &**receiver).collect();
        let (now, most) = (micros(now), i64::try_from(most).unwrap_or(i64::MAX));
        let tx = self.database.read().await?;
        let sql = format!(
            "{COLUMNS} WHERE due <= $1 AND shard = ANY($2) AND receiver <> ALL($3) ORDER BY due LIMIT $4"
        );
        let found = tx.query(&sql, &params![now, ours, busy, most]).await?;
        let sql = "SELECT min(due) FROM poll.outbox WHERE due > $1 AND shard = ANY($2)";
        let next = tx.first(sql, &params![now, ours]).await?;
        let next = next.and_then(|row| row.get::<_, Option<i64>>(0)).map(timestamp);
        Ok(DueDeliveries::new(found.iter().map(read).collect(), next))
    }

    async fn note(&self, delivery: &Delivery) -> Result<bool, Fault> {
        let attempts = to_json("the attempts of a webhook", &delivery.attempts)?;
        let (state, due) = (delivery.state.as_str(), delivery.due.map(micros));
        let tries = i32::try_from(delivery.tries).unwrap_or(i32::MAX);
        let tx = self.database.write().await?;
        let sql = "UPDATE poll.outbox SET state = $2, due = $3, tries = $4, attempts = $5 WHERE place = $1";
        let noted = tx.execute(sql, &params![delivery.place, state, due, tries, attempts]).await?;
        tx.commit().await?;
        Ok(noted > 0)
    }

    async fn delivery(&self, key: &PollKey) -> Result<Option<Delivery>, Fault> {
        if !is_storable(key) {
            return Ok(None);
        }
        let (shard, scope, name) = (self.shard_of(key), key.scope(), key.key());
        let sql =
            format!("{COLUMNS} WHERE shard = $1 AND scope = $2 AND key = $3 ORDER BY place DESC LIMIT 1");
        let row = self.database.read().await?.first(&sql, &params![shard, scope, name]).await?;
        Ok(row.as_ref().map(read))
    }

    async fn deliveries(&self, which: &DeliverySelection) -> Result<Vec<Delivery>, Fault> {
        let DeliverySelection { under, state, failing, before, limit } = which;
        // What `Delivery::is_failing` says. By the index of states, since most deliveries succeed.
        let failing = match failing {
            true => " AND state IN ('dead', 'pending') AND (state = 'dead' OR tries > 0)",
            false => "",
        };
        let inside = beneath(under);
        let (before, state) = (before.unwrap_or(i64::MAX), state.map(DeliveryState::as_str));
        let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
        let sql = format!(
            "{COLUMNS} WHERE place < $1 AND ($2::text IS NULL OR state = $2){failing} \
             AND ($3 = '' OR scope = $3 OR starts_with(scope, $4)) ORDER BY place DESC LIMIT $5"
        );
        let params = params![before, state, *under, inside, limit];
        let rows = self.database.read().await?.query(&sql, &params).await?;
        Ok(rows.iter().map(read).collect())
    }
}

impl Outbox for PostgresStore {
    fn due(&self, now: Timestamp, busy: Vec<Box<str>>, most: usize) -> StoreFuture<'_, DueDeliveries> {
        self.call("read webhooks", async move |inner| inner.due(now, &busy, most).await)
    }

    fn note(&self, delivery: Delivery) -> StoreFuture<'_, bool> {
        let noted = self.call("note a webhook", async move |inner| inner.note(&delivery).await);
        Box::pin(async move {
            let noted = noted.await;
            self.inner.added.notify_one();
            noted
        })
    }

    fn delivery(&self, key: PollKey) -> StoreFuture<'_, Option<Delivery>> {
        self.call("read a webhook", async move |inner| inner.delivery(&key).await)
    }

    fn deliveries(&self, which: DeliverySelection) -> StoreFuture<'_, Vec<Delivery>> {
        self.call("list webhooks", async move |inner| inner.deliveries(&which).await)
    }

    fn added(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.added)
    }

    fn look_every(&self) -> Option<Duration> {
        Some(LOOK)
    }
}
