//! Taking steps of the database's clock out of the fleet's time: the part of [`clock`](super::clock) that asks the database.
//!
//! The database decides once for all workers: the worker that moves the shift counts the step, and workers that find a higher
//! count follow.

use tokio_postgres::Row;

use super::clock::{BACK, NOW, READING, Reading, is_too_far_ahead, unexplained};
use super::database::{Connection, Fault, Tx, params};
use super::sightings::is_doubtful;
use super::{Inner, signed};
use crate::clock::{Clock as _, Timestamp};
use crate::lock::lock;
use crate::store::StoreError;

impl Inner {
    /// The reading of the clock in the columns time, shift and steps of a row.
    pub(super) fn reading(&self, row: &Row, column: usize, before: Timestamp) -> Reading {
        let after = self.clock.own().now();
        let [time, shift, steps] = [0, 1, 2].map(|more| row.get(column + more));
        Reading { time, shift, steps, before, after }
    }

    /// Measures the offset to the fleet's time. It is not behind what a worker has noted: then the database's clock was set back
    /// while none ran, and the next one that registers takes the step out.
    pub(super) async fn measure(&self) -> Result<(), Fault> {
        let tx = self.database.read().await?;
        let before = self.clock.own().now();
        let sql = format!("SELECT greatest({READING}, {NOTED}), c.shift, c.steps FROM poll.clock c");
        if let Some(row) = tx.first(&sql, &[]).await? {
            self.clock.follow(&self.reading(&row, 0, before));
        }
        Ok(())
    }

    /// Whether this process cannot be certain of the fleet's time yet, because workers may live that do not agree with the
    /// database's clock. After a lease it is, whatever they do: their leases have ended.
    pub(super) async fn is_uncertain<C: Connection>(&self, tx: &Tx<C>, id: i64) -> Result<bool, Fault> {
        let sql = format!(
            "SELECT {READING}, {NOTED} FROM poll.clock c \
             WHERE EXISTS (SELECT FROM poll.shard s WHERE s.worker <> $1)"
        );
        let row = tx.first(&sql, &params![id]).await?;
        let mut uncertain_since = lock(&self.uncertain_since);
        if !row.is_some_and(|row| is_doubtful(row.get(0), row.get(1), self.lease)) {
            *uncertain_since = None;
            return Ok(false);
        }
        let now = self.clock.own().now();
        Ok(now.since(*uncertain_since.get_or_insert(now)) < self.lease)
    }

    /// Takes a step back out that nobody saw because no worker ran: none has renewed its lease by the present time.
    pub(super) async fn take_unseen_step<C: Connection>(&self, tx: &Tx<C>, id: i64) -> Result<(), Fault> {
        let sql = format!(
            "UPDATE poll.clock t SET shift = t.shift + s.back, steps = t.steps + 1 \
             FROM (SELECT {NOTED} - ({READING}) AS back, c.steps FROM poll.clock c) AS s \
             WHERE t.steps = s.steps AND s.back > $1 AND NOT EXISTS (SELECT FROM poll.worker w WHERE w.id <> $2 \
                 AND w.renewed <= {NOW} AND w.renewed > {NOW} - $3 * interval '1 microsecond')"
        );
        tx.execute(&sql, &params![signed(BACK), id, signed(self.lease / 2)]).await.map(drop)
    }

    /// Takes a step out that a reading of this worker shows, except what has really passed: its own clock may have stood still,
    /// while others have renewed their leases. Nor does it undo what another has decided, if those who renewed since agree.
    pub(super) async fn take_step<C: Connection>(
        &self,
        tx: Tx<C>,
        worker: i64,
        step: i64,
        reading: &Reading,
    ) -> Result<(), Fault> {
        let expected = reading.time.saturating_sub(step);
        let sql = "SELECT (extract(epoch FROM max(renewed)) * 1000000)::int8, \
                 (extract(epoch FROM max(renewed) FILTER \
                     (WHERE started <= 'epoch'::timestamptz + $2 * interval '1 microsecond')) * 1000000)::int8 \
             FROM poll.worker WHERE id <> $1";
        let row = tx.first(sql, &params![worker, expected]).await?;
        let [latest, before]: [Option<i64>; 2] = row.map_or([None; 2], |row| [row.get(0), row.get(1)]);
        let is_agreed = self.clock.is_decided(reading)
            && latest.is_some_and(|latest| !is_doubtful(reading.time, latest, self.lease));
        let Some(step) = unexplained(step, expected, before, self.lease).filter(|_| !is_agreed) else {
            self.clock.follow(reading);
            return tx.rollback().await;
        };
        let sql = "UPDATE poll.clock SET shift = shift - $1, steps = steps + 1 WHERE steps = $2";
        tx.execute(sql, &params![step, reading.steps]).await?;
        tx.commit().await
    }

    /// Notes the fleet's time with the end of a worker, whose row goes.
    pub(super) async fn note_time<C: Connection>(&self, tx: &Tx<C>) -> Result<(), Fault> {
        let sql = format!("UPDATE poll.clock c SET latest = greatest(c.latest, {READING})");
        tx.execute(&sql, &[]).await.map(drop)
    }

    /// Fails if the clock of this process is ahead of the fleet's, which it read before a step was taken out: it does not go
    /// back, so the polls here would wait for the fleet's.
    pub(super) fn check_clock(&self) -> Result<(), Fault> {
        let ahead = self.clock.ahead();
        if !is_too_far_ahead(ahead, self.lease) {
            return Ok(());
        }
        Err(Fault::Store(StoreError::unusable(format!(
            "the time of this process is {} s ahead of the fleet's: it started while the clock of {} was set, before a worker \
             had noticed; start it again",
            ahead.as_secs(),
            self.database.shown
        ))))
    }
}

/// The latest time that a worker has noted, in microseconds; of `poll.clock c`.
const NOTED: &str =
    "greatest(c.latest, (SELECT (extract(epoch FROM max(renewed)) * 1000000)::int8 FROM poll.worker))";
