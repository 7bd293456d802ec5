//! What is written beside the life of a poll: its last attempts while it is open, and its removal after it has ended.

use tokio_postgres::types::Type;

use super::database::Fault;
use super::lease::Role;
use super::shards::shard_of;
use super::{Inner, micros, schema, writes};
use crate::clock::Clock as _;
use crate::key::PollKey;
use crate::outcome::Attempt;
use crate::store::{Retention, StoreError};

impl Inner {
    pub(super) async fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> Result<(), Fault> {
        let mut attempts: Vec<_> = attempts
            .into_iter()
            .map(|(key, attempts)| (shard_of(&key, self.shard_count), key, attempts))
            .collect();
        attempts.sort_by(|(shard, key, _), (other, name, _)| (shard, key).cmp(&(other, name)));
        attempts.dedup_by(|(_, later, _), (_, first, _)| later == first);
        let mut names = writes::Names::default();
        let mut texts = Vec::with_capacity(attempts.len());
        for (shard, key, attempts) in &attempts {
            names.push(*shard, key);
            texts.push(serde_json::to_string(attempts).map_err(|error| {
                Fault::Store(StoreError::with_source("attempts cannot be written as JSON", error))
            })?);
        }
        let tx = self.database.write().await?;
        if self.role() != Role::Client {
            self.fence(&tx).await?;
        }
        tx.execute(
            "INSERT INTO poll.attempts AS a (shard, scope, key, incarnation, history) \
             SELECT o.shard, o.scope, o.key, o.incarnation, n.history \
             FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[]) AS n (shard, scope, key, history) \
             JOIN poll.open o ON o.shard = n.shard AND o.scope = n.scope AND o.key = n.key \
             ORDER BY o.shard, o.scope, o.key FOR KEY SHARE OF o \
             ON CONFLICT (shard, scope, key) DO UPDATE SET incarnation = excluded.incarnation, history = excluded.history",
            &[
                (&names.shards, Type::INT4_ARRAY),
                (&names.scopes, Type::TEXT_ARRAY),
                (&names.keys, Type::TEXT_ARRAY),
                (&texts, Type::TEXT_ARRAY),
            ],
        )
        .await?;
        for (shard, key, _) in &attempts {
            self.shards().mark_extras(*shard, key);
        }
        tx.commit().await
    }

    pub(super) async fn forget(&self, key: &PollKey) -> Result<bool, Fault> {
        let (shard, scope, name) = (shard_of(key, self.shard_count), key.scope(), key.key());
        let tx = self.database.write().await?;
        let rows = tx
            .query(
                "DELETE FROM poll.done WHERE shard = $1 AND scope = $2 AND key = $3 \
                 RETURNING ended >= (SELECT horizon FROM poll.meta)",
                &[(&shard, Type::INT4), (&scope, Type::TEXT), (&name, Type::TEXT)],
            )
            .await?;
        if !rows.is_empty() {
            tx.execute(
                "DELETE FROM poll.outbox WHERE shard = $1 AND scope = $2 AND key = $3",
                &[(&shard, Type::INT4), (&scope, Type::TEXT), (&name, Type::TEXT)],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(rows.iter().any(|row| row.get(0)))
    }

    /// Raises the time before which finished polls count as removed, and drops the days that are wholly before it.
    pub(super) async fn purge(&self, keep: Retention) -> Result<usize, Fault> {
        schema::sweep_specs(&self.database, schema::day_of(micros(self.clock.now()))).await?;
        let tx = self.database.write().await?;
        // One at a time, so that each poll is counted once.
        let row = tx.first("SELECT horizon FROM poll.meta FOR UPDATE", &[]).await?;
        let before: i64 = row.map_or(0, |row| row.get(0));
        let mut horizon = before.max(micros(keep.since));
        if let Ok(most) = i64::try_from(keep.most)
            && keep.most != usize::MAX
        {
            let excess = tx
                .first(
                    "SELECT ended FROM poll.done WHERE ended >= $1 ORDER BY ended DESC OFFSET $2 LIMIT 1",
                    &[(&horizon, Type::INT8), (&most, Type::INT8)],
                )
                .await?;
            if let Some(row) = excess {
                // Polls that ended in the same microsecond go together.
                horizon = horizon.max(row.get::<_, i64>(0).saturating_add(1));
            }
        }
        // An outcome stays until its webhook has been delivered or given up.
        let pending = tx.first("SELECT min(ended) FROM poll.outbox WHERE due IS NOT NULL", &[]).await?;
        if let Some(pending) = pending.and_then(|row| row.get::<_, Option<i64>>(0)) {
            horizon = horizon.min(pending).max(before);
        }
        if horizon == before {
            tx.rollback().await?;
            return Ok(0);
        }
        let row = tx
            .first(
                "SELECT count(*) FROM poll.done WHERE ended >= $1 AND ended < $2",
                &[(&before, Type::INT8), (&horizon, Type::INT8)],
            )
            .await?;
        tx.execute("UPDATE poll.meta SET horizon = $1", &[(&horizon, Type::INT8)]).await?;
        tx.execute("DELETE FROM poll.outbox WHERE ended < $1", &[(&horizon, Type::INT8)]).await?;
        tx.commit().await?;
        schema::drop_before(&self.database, horizon).await?;
        self.days().retain(|day| *day >= schema::day_of(horizon));
        Ok(row.map_or(0, |row| usize::try_from(row.get::<_, i64>(0)).unwrap_or(0)))
    }
}
