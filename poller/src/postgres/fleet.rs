//! The state of a fleet: its workers, their leases, and what keeps the database from cleaning up.
//!
//! All of it is read from rows of workers and shards and from the server's own views, never by counting polls: a look costs
//! the same for a thousand polls and for a hundred million. The numbers of a worker are those of its last renewal.

use std::time::Duration;

use super::clock::NOW;
use super::database::Fault;
use super::{Inner, PostgresStore, duration, or_zero};
use crate::store::StoreFuture;

/// A fleet at one moment, from [`PostgresStore::fleet`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fleet {
    /// The workers, by host and process; those whose lease has ended too, until others have removed them.
    pub workers: Vec<FleetWorker>,
    /// The number of shards.
    pub shards: usize,
    /// The number of shards that no worker with a lease runs. Above zero for longer than a lease and a second, polls wait.
    pub orphaned: usize,
    /// The open polls of all workers with a lease, as they said at their last renewal.
    pub open: u64,
    /// What the fleet's time is ahead of the database's clock, in microseconds: that clock was set back by as much, or forward
    /// if this is negative, since the first worker started.
    pub clock_shift: i64,
    /// How often that clock was set, as far as workers noticed.
    pub clock_steps: u64,
    /// How old the oldest transaction is that keeps the database from removing dead rows, in transactions; `None` if there
    /// is none, or this role may not see those of others (`GRANT pg_read_all_stats`).
    pub oldest_xmin: Option<u64>,
    /// How long the oldest transaction has been running, among the transactions that this role may see.
    pub oldest_transaction: Option<Duration>,
}

/// A worker of a [`Fleet`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetWorker {
    /// The name of its machine.
    pub host: String,
    /// The number of its process.
    pub process: u32,
    /// How long it has been a worker.
    pub age: Duration,
    /// The time since it last renewed its lease.
    pub renewed: Duration,
    /// What is left of its lease; `None` if it has ended.
    pub lease_left: Option<Duration>,
    /// The number of its shards.
    pub shards: usize,
    /// The number of open polls that it runs.
    pub open: u64,
    /// How long its oldest due poll has been waiting for its request; zero if none waits.
    pub lag: Duration,
    /// The number of workers that it has taken over since it started.
    pub takeovers: u64,
    /// Microseconds by which the database's clock is ahead of its own.
    pub clock_offset: i64,
}

impl FleetWorker {
    /// Whether it has a lease.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        self.lease_left.is_some()
    }
}

impl PostgresStore {
    /// The state of the fleet. Takes time linear in the numbers of workers and shards, whatever the number of polls.
    ///
    /// ```no_run
    /// # async fn example(store: poller::PostgresStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let fleet = store.fleet().await?;
    /// let lag = fleet.workers.iter().map(|worker| worker.lag).max();
    /// println!("{} of {} shards without a worker, lag {lag:?}", fleet.orphaned, fleet.shards);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn fleet(&self) -> StoreFuture<'_, Fleet> {
        self.call("read the fleet", async move |inner| inner.fleet().await)
    }
}

const WORKERS: &str = "SELECT w.host, w.process, \
         (extract(epoch FROM f.now - w.started) * 1000000)::int8, (extract(epoch FROM f.now - w.renewed) * 1000000)::int8, \
         (extract(epoch FROM w.expires - f.now) * 1000000)::int8, \
         (SELECT count(*) FROM poll.shard s WHERE s.worker = w.id), w.open, w.lag, w.takeovers, w.clock_offset \
     FROM poll.worker w, (SELECT now() + shift * interval '1 microsecond' AS now FROM poll.clock) AS f \
     ORDER BY w.host, w.process, w.id";

fn shards() -> String {
    format!(
        "SELECT count(*), count(*) FILTER (WHERE w.id IS NULL) \
         FROM poll.shard s LEFT JOIN poll.worker w ON w.id = s.worker AND w.expires > {NOW}"
    )
}

/// The transactions of sessions, replication slots and prepared transactions. This session has one too.
const OLDEST: &str = "SELECT (SELECT max(age(xmin))::int8 FROM ( \
         SELECT backend_xmin AS xmin FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
         UNION ALL SELECT xmin FROM pg_replication_slots UNION ALL SELECT catalog_xmin FROM pg_replication_slots \
         UNION ALL SELECT transaction FROM pg_prepared_xacts) AS held), \
     (SELECT max((extract(epoch FROM now() - xact_start) * 1000000)::int8) FROM pg_stat_activity \
         WHERE pid <> pg_backend_pid() AND datname = current_database())";

impl Inner {
    async fn fleet(&self) -> Result<Fleet, Fault> {
        let tx = self.database.snapshot().await?;
        let rows = tx.query(WORKERS, &[]).await?;
        let workers: Vec<FleetWorker> = rows
            .iter()
            .map(|row| FleetWorker {
                host: row.get(0),
                process: or_zero(row.get::<_, i32>(1)),
                age: duration(row.get(2)),
                renewed: duration(row.get(3)),
                lease_left: Some(row.get::<_, i64>(4)).filter(|left| *left > 0).map(duration),
                shards: or_zero(row.get::<_, i64>(5)),
                open: or_zero(row.get::<_, i64>(6)),
                lag: duration(row.get(7)),
                takeovers: or_zero(row.get::<_, i64>(8)),
                clock_offset: row.get(9),
            })
            .collect();
        let open = workers.iter().filter(|worker| worker.is_alive()).map(|worker| worker.open).sum();
        let mut fleet = Fleet {
            workers,
            shards: 0,
            orphaned: 0,
            open,
            clock_shift: 0,
            clock_steps: 0,
            oldest_xmin: None,
            oldest_transaction: None,
        };
        if let Some(row) = tx.first("SELECT shift, steps FROM poll.clock", &[]).await? {
            fleet.clock_shift = row.get(0);
            fleet.clock_steps = or_zero(row.get::<_, i64>(1));
        }
        if let Some(row) = tx.first(&shards(), &[]).await? {
            [fleet.shards, fleet.orphaned] = [0, 1].map(|at| or_zero(row.get::<_, i64>(at)));
        }
        if let Some(row) = tx.first(OLDEST, &[]).await? {
            fleet.oldest_xmin = row.get::<_, Option<i64>>(0).and_then(|age| u64::try_from(age).ok());
            fleet.oldest_transaction = row.get::<_, Option<i64>>(1).map(duration);
        }
        tx.rollback().await?;
        Ok(fleet)
    }
}
