//! Taking steps of the database's clock out of the fleet's time: the part of [`clock`](super::clock) that asks the database.
//!
//! The database decides once for all workers: the one that moves the shift counts the step, and those that find a higher
//! count follow.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Inner;
use super::clock::{BACK, READING, Reading, is_too_far_ahead};
use super::database::{Connection, Fault, Tx};
use super::lease::Worker;
use crate::clock::{Clock as _, Timestamp, micros};
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
        let row = tx
            .first(&format!("SELECT greatest({READING}, {NOTED}), c.shift, c.steps FROM poll.clock c"), &[])
            .await?;
        if let Some(row) = row {
            self.clock.follow(&self.reading(&row, 0, before));
        }
        Ok(())
    }

    /// Takes a step back out that nobody saw because no worker ran.
    pub(super) async fn take_unseen_step<C: Connection>(&self, tx: &Tx<C>) -> Result<(), Fault> {
        tx.execute(
            &format!(
                "UPDATE poll.clock t SET shift = t.shift + s.back, steps = t.steps + 1 \
                 FROM (SELECT {NOTED} - ({READING}) AS back, c.steps FROM poll.clock c) AS s \
                 WHERE t.steps = s.steps AND s.back > $1"
            ),
            &[(&signed(BACK), Type::INT8)],
        )
        .await?;
        Ok(())
    }

    /// Takes a step out that a reading of this worker shows, unless time has really passed: then its own clock stood still,
    /// and others have renewed their leases meanwhile.
    pub(super) async fn take_step<C: Connection>(
        &self,
        tx: Tx<C>,
        worker: Worker,
        step: i64,
        reading: &Reading,
    ) -> Result<(), Fault> {
        let expected = reading.time.saturating_sub(step);
        if step > 0 {
            let others = tx
                .first(
                    "SELECT 1 FROM poll.worker WHERE id <> $1 AND started <= 'epoch'::timestamptz + $2 * interval '1 microsecond' \
                     AND renewed > 'epoch'::timestamptz + ($2 + $3) * interval '1 microsecond' LIMIT 1",
                    &[
                        (&worker.id, Type::INT8),
                        (&expected, Type::INT8),
                        (&signed(self.lease), Type::INT8),
                    ],
                )
                .await?;
            if others.is_some() {
                self.clock.follow(reading);
                return tx.rollback().await;
            }
        }
        tx.execute(
            "UPDATE poll.clock SET shift = shift - $1, steps = steps + 1 WHERE steps = $2",
            &[(&step, Type::INT8), (&reading.steps, Type::INT8)],
        )
        .await?;
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

fn signed(duration: Duration) -> i64 {
    i64::try_from(micros(duration)).unwrap_or(i64::MAX)
}
