//! What is written beside the life of a poll: its last attempts while it is open, and its removal after it has ended.

use super::database::{Fault, params};
use super::lease::Role;
use super::writes::Names;
use super::{Inner, micros, or_zero, schema};
use crate::clock::Clock as _;
use crate::key::PollKey;
use crate::lock::lock;
use crate::outcome::Attempt;
use crate::store::{Retention, to_json};

impl Inner {
    pub(super) async fn note_attempts(&self, attempts: Vec<(PollKey, Vec<Attempt>)>) -> Result<(), Fault> {
        let mut attempts: Vec<_> =
            attempts.into_iter().map(|(key, attempts)| (self.shard_of(&key), key, attempts)).collect();
        attempts.sort_by(|(shard, key, _), (other, name, _)| (shard, key).cmp(&(other, name)));
        attempts.dedup_by(|(_, later, _), (_, first, _)| later == first);
        let names: Names<'_> = attempts.iter().map(|(shard, key, _)| (*shard, key)).collect();
        let texts = attempts.iter().map(|(.., attempts)| to_json("attempts", attempts));
        let texts = texts.collect::<Result<Vec<String>, _>>()?;
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
            &params![names.shards, names.scopes, names.keys, texts],
        )
        .await?;
        for (shard, key, _) in &attempts {
            self.shards().mark_extras(*shard, key);
        }
        tx.commit().await
    }

    pub(super) async fn forget(&self, key: &PollKey) -> Result<bool, Fault> {
        let (shard, scope, name) = (self.shard_of(key), key.scope(), key.key());
        let params = params![shard, scope, name];
        let tx = self.database.write().await?;
        let sql = "DELETE FROM poll.done WHERE shard = $1 AND scope = $2 AND key = $3 \
             RETURNING ended >= (SELECT horizon FROM poll.meta)";
        let rows = tx.query(sql, &params).await?;
        if !rows.is_empty() {
            let sql = "DELETE FROM poll.outbox WHERE shard = $1 AND scope = $2 AND key = $3";
            tx.execute(sql, &params).await?;
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
            let sql = "SELECT ended FROM poll.done WHERE ended >= $1 ORDER BY ended DESC OFFSET $2 LIMIT 1";
            if let Some(row) = tx.first(sql, &params![horizon, most]).await? {
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
        let sql = "SELECT count(*) FROM poll.done WHERE ended >= $1 AND ended < $2";
        let row = tx.first(sql, &params![before, horizon]).await?;
        tx.execute("UPDATE poll.meta SET horizon = $1", &params![horizon]).await?;
        tx.execute("DELETE FROM poll.outbox WHERE ended < $1", &params![horizon]).await?;
        tx.commit().await?;
        schema::drop_before(&self.database, horizon).await?;
        lock(&self.days).retain(|day| *day >= schema::day_of(horizon));
        Ok(row.map_or(0, |row| or_zero(row.get::<_, i64>(0))))
    }
}
