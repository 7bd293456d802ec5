//! The lease of a worker: registering, renewing, stepping down, and the balance of shards between workers.
//!
//! ```text
//!  begin_run ─► register ─► take a fair share ─► renew each third of the lease ─► leave
//!                  ▲                                   │ no row: others have taken over
//!                  └── the engine has dropped all ◄─ deposed
//! ```
//!
//! - A worker trusts its lease until *before the renewal was sent + lease − margin*, by the clock that runs on while the
//!   machine sleeps. A renewal whose result is not known does not extend it. After that no request begins and nothing is
//!   written, until a renewal succeeds with the same epoch: then no other worker has taken over, and all goes on.
//! - A takeover raises the worker's epoch, under a lock that waits for the worker's transactions. The epoch fences
//!   all that the worker writes.
//! - There is no leader: at each renewal a worker compares its shards with its share ([`balance`](super::balance)), and takes
//!   those of workers whose leases have ended, by the database's time and by its own ([`sightings`](super::sightings)).
//!
//! Whose a shard is, the database decides: each renewal compares. A commit that was not confirmed may have assigned a shard,
//! and a fail-over to a standby that was behind may have undone an assignment. After the connection of the lease was lost,
//! all open polls are read again for the same reason: an outcome may be undone.
//!
//! Leases are renewed on a connection of their own: a pool that is exhausted must not cost the lease. The thread of the
//! store does nothing that takes long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_postgres::{Client, Row};

use super::balance::{Balance, Move};
use super::clock::{NOW, READING};
use super::database::{Connection, Fault, Tx, params};
use super::sightings::Other;
use super::{Inner, duration, or_zero, signed};
use crate::clock::{Clock as _, boot_time, micros};
use crate::lock::lock;
use crate::store::RunsUntil;

/// The delay before a failed renewal is repeated: at random between a half and the whole.
const AGAIN: Duration = Duration::from_millis(300);

/// How soon a worker that has fewer shards than its share looks again.
const SHORT: Duration = Duration::from_secs(1);

/// After the lease of another worker has ended, others look for its shards within this time, at random.
const AFTER: Duration = Duration::from_millis(200);

/// A registered worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worker {
    pub(super) id: i64,
    pub(super) epoch: i64,
}

/// What this process is to the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs no polls: it submits, lists and the like.
    Client,
    Worker(Worker),
    /// Another worker has taken its shards. It registers again once the engine has been told to drop all polls, and has
    /// called again since.
    Deposed {
        id: i64,
        told: bool,
    },
}

/// The lease's connection and what the balance remembers.
#[derive(Default)]
struct Renewer {
    client: Option<Client>,
    /// Whether there was a connection before this one.
    was_connected: bool,
    balance: Balance,
}

/// Renews the lease until the store is closed, then gives it back.
pub(super) async fn keep(inner: Arc<Inner>, mut closed: oneshot::Receiver<()>) {
    let own = inner.clock.own();
    let mut renewer = Renewer::default();
    let mut next = None;
    loop {
        let wait = async {
            match next {
                Some(at) => own.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = &mut closed => break,
            () = inner.wake.notified() => {}
            () = wait => {}
        }
        let _alone = inner.balancing.lock().await;
        next = match inner.role() {
            Role::Worker(worker) => {
                let delay = inner.renew(&mut renewer, worker).await.unwrap_or_else(|_| {
                    // Whatever it was, the connection may be in any state.
                    renewer.client = None;
                    AGAIN.mul_f64(0.5 + 0.5 * inner.fraction())
                });
                Some(own.now() + delay)
            }
            Role::Client | Role::Deposed { .. } => None,
        };
    }
    let limit = own.sleep_until(own.now() + Duration::from_secs(2));
    tokio::select! {
        _ = inner.resign() => {}
        () = limit => {}
    }
}

impl Inner {
    /// Makes this process a worker with a fair share of the shards; returns whether it is one. It is to be called again soon
    /// while it is not certain of the fleet's time, for a lease at most.
    pub(super) async fn register(&self) -> Result<bool, Fault> {
        let _alone = self.balancing.lock().await;
        let sent = boot_time();
        let (id, is_known) = match self.role() {
            Role::Deposed { id, .. } | Role::Worker(Worker { id, .. }) => (id, true),
            Role::Client => (self.random(), false),
        };
        let tx = self.database.write().await?;
        super::schema::check_format(&self.database, &tx).await?;
        if !is_known {
            if self.is_uncertain(&tx, id).await? {
                tx.rollback().await?;
                return Ok(false);
            }
            self.take_unseen_step(&tx, id).await?;
        }
        let process: i32 = or_zero(std::process::id());
        let until = until_text(*lock(&self.runs_until));
        let sql = format!(
            "INSERT INTO poll.worker AS w (id, epoch, expires, started, renewed, host, process, runs_until) \
             VALUES ($1, 1, {NOW} + $2 * interval '1 microsecond', {NOW}, {NOW}, $3, $4, $5) \
             ON CONFLICT (id) DO UPDATE SET epoch = w.epoch + 1, expires = excluded.expires, \
                 started = excluded.started, renewed = excluded.renewed \
             RETURNING epoch, (SELECT {READING} FROM poll.clock c), (SELECT shift FROM poll.clock), \
                 (SELECT steps FROM poll.clock)"
        );
        let before = self.clock.own().now();
        let row = tx.first(&sql, &params![id, signed(self.lease), self.host, process, until]).await?;
        let worker = Worker { id, epoch: row.as_ref().map_or(0, |row| row.get(0)) };
        let reading = row.map(|row| self.reading(&row, 1, before));
        // It has kept the fleet's time, whatever has become of its lease.
        if let Some(reading) = reading.filter(|_| is_known)
            && let Some(step) = self.clock.step(&reading, self.lease)
        {
            tx.rollback().await?;
            self.take_step(self.database.write().await?, id, step, &reading).await?;
            return Ok(false);
        }
        // Those of an earlier run of this process: their runs are counted anew.
        tx.execute(FREE, &params![id]).await?;
        tx.commit().await?;
        if let Some(reading) = reading {
            self.clock.follow(&reading);
        }
        self.shards().clear();
        self.set_role(Role::Worker(worker));
        self.trust(sent);
        let tx = self.database.write().await?;
        let balanced = self.balance(tx, worker, &mut Balance::default()).await;
        // At once, if the shards could not be taken in time: the lease stands, and each renewal balances.
        self.wake.notify_one();
        match balanced {
            Err(fault) if !matches!(fault, Fault::Late(_)) => Err(fault),
            _ => Ok(true),
        }
    }

    /// Renews the lease; returns when to do so again.
    async fn renew(&self, renewer: &mut Renewer, worker: Worker) -> Result<Duration, Fault> {
        if renewer.client.as_ref().is_none_or(Client::is_closed) {
            renewer.client = Some(self.database.connect().await?);
            if std::mem::replace(&mut renewer.was_connected, true) {
                self.shards().read_again();
            }
        }
        let Some(client) = &renewer.client else { return Err(Fault::Deposed) };
        let sent = boot_time();
        let tx = self.database.write_on(client).await?;
        let sql = format!(
            "UPDATE poll.worker SET expires = now() + c.shift * interval '1 microsecond' + $3 * interval '1 microsecond', \
                 renewed = now() + c.shift * interval '1 microsecond', open = $4, shards = $5, takeovers = $6, \
                 clock_offset = $7, lag = $8 \
             FROM poll.clock c WHERE id = $1 AND epoch = $2 RETURNING {READING}, c.shift, c.steps"
        );
        let before = self.clock.own().now();
        let (open, shards) = {
            let shards = self.shards();
            (
                i64::try_from(shards.open()).unwrap_or(i64::MAX),
                i32::try_from(shards.len()).unwrap_or(i32::MAX),
            )
        };
        let (takeovers, lag) = (self.takeovers.load(Ordering::Relaxed), self.lag.load(Ordering::Relaxed));
        let (lease, offset) = (signed(self.lease), self.clock.database_offset());
        let params = params![worker.id, worker.epoch, lease, open, shards, takeovers, offset, lag];
        let Some(row) = tx.first(&sql, &params).await? else {
            // Known for certain, unlike an error: others run the polls of this process.
            tx.rollback().await?;
            self.depose(worker);
            return Ok(self.lease);
        };
        let reading = self.reading(&row, 0, before);
        if let Some(step) = self.clock.step(&reading, self.lease) {
            // What was just written is by the wrong time.
            tx.rollback().await?;
            self.take_step(self.database.write_on(client).await?, worker.id, step, &reading).await?;
            return Ok(Duration::ZERO);
        }
        self.clock.follow(&reading);
        tx.commit().await?;
        self.trust(sent);
        let tx = self.database.write_on(client).await?;
        self.balance(tx, worker, &mut renewer.balance).await
    }

    /// Takes or gives back shards, in this transaction; returns when to renew again.
    async fn balance<C: Connection>(
        &self,
        tx: Tx<C>,
        worker: Worker,
        balance: &mut Balance,
    ) -> Result<Duration, Fault> {
        let sql = format!(
            "SELECT {READING}, c.shift, c.steps, w.id, (extract(epoch FROM w.renewed) * 1000000)::int8, \
                 greatest(0, extract(epoch FROM w.expires - {NOW}) * 1000000)::int8, \
                 EXISTS (SELECT FROM poll.shard s WHERE s.worker = w.id) \
             FROM poll.clock c LEFT JOIN poll.worker w ON w.id <> $1"
        );
        let looked = self.clock.own().now();
        let rows = tx.query(&sql, &params![worker.id]).await?;
        let reading = rows.first().map(|row| self.reading(row, 0, looked));
        if reading.is_some_and(|reading| self.clock.step(&reading, self.lease).is_some()) {
            // No lease is judged by the wrong time; the renewal takes the step out.
            tx.rollback().await?;
            return Ok(Duration::ZERO);
        }
        let given = self.shards().given();
        let assigned = tx.query("SELECT id FROM poll.shard WHERE worker = $1", &params![worker.id]).await?;
        if self.role() == Role::Worker(worker) {
            let assigned: Vec<i32> = assigned.iter().map(|row| row.get(0)).collect();
            self.shards().agree(&assigned, given);
        }
        let mut living = 1_usize;
        let mut dead = Vec::new();
        let mut next = self.lease / 3;
        let (others, have_shards): (Vec<Other>, Vec<bool>) =
            rows.iter().filter_map(|row| Some((other(row)?, row.get::<_, bool>(6)))).unzip();
        let left = lock(&self.sightings).look(&others, looked, self.lease);
        for ((other, has_shards), left) in others.iter().zip(have_shards).zip(left) {
            if !left.is_zero() {
                living += 1;
                next = next.min(left + AFTER.mul_f64(0.1 + 0.9 * self.fraction()));
            } else if has_shards {
                dead.push(other.id);
            }
        }
        let total = usize::try_from(self.shard_count).unwrap_or(1);
        let held = self.shards().len();
        let step = balance.decide(total, living, held);
        if let Move::Take(missing) = step {
            for id in dead {
                self.take_over(&tx, id).await?;
            }
            let number = i64::try_from(missing).unwrap_or(i64::MAX);
            let sql = format!(
                "UPDATE poll.shard s SET worker = $1, run = s.run + 1 \
                 FROM (SELECT id FROM poll.shard f WHERE f.worker IS NULL \
                     ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED) AS free \
                 WHERE s.id = free.id \
                 AND EXISTS (SELECT FROM poll.worker w WHERE w.id = $1 AND w.epoch = $2 AND w.expires > {NOW}) \
                 RETURNING s.id"
            );
            let taken = tx.query(&sql, &params![worker.id, worker.epoch, number]).await?;
            // Shards of workers that are long gone, and their rows.
            let sql = format!(
                "DELETE FROM poll.worker w WHERE w.expires < {NOW} - interval '1 hour' \
                 AND NOT EXISTS (SELECT FROM poll.shard s WHERE s.worker = w.id)"
            );
            tx.execute(&sql, &[]).await?;
            tx.commit().await?;
            let taken: Vec<i32> = taken.iter().map(|row| row.get(0)).collect();
            if taken.len() < missing {
                next = next.min(SHORT);
            }
            if self.role() == Role::Worker(worker) && !taken.is_empty() {
                self.shards().take(taken);
                // The engine reads their polls now and not at its next look: some are due.
                self.telling.hear();
            }
        } else {
            tx.rollback().await?;
            if let Move::Leave(number) = step {
                self.shards().leave(number);
                next = next.min(SHORT);
            }
        }
        Ok(next)
    }

    /// Frees the shards of a worker whose lease has ended.
    async fn take_over<C: Connection>(&self, tx: &Tx<C>, id: i64) -> Result<(), Fault> {
        // Its transactions hold a lock on its row; while one does, it is left for the next look. The time limits of a
        // transaction are shorter than a lease, so that is soon.
        let sql =
            format!("SELECT 1 FROM poll.worker WHERE id = $1 AND expires <= {NOW} FOR UPDATE SKIP LOCKED");
        if tx.first(&sql, &params![id]).await?.is_none() {
            return Ok(());
        }
        tx.execute("UPDATE poll.worker SET epoch = epoch + 1 WHERE id = $1", &params![id]).await?;
        tx.execute(FREE, &params![id]).await?;
        self.takeovers.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back shards whose polls the engine has dropped.
    pub(super) async fn give_back(&self) -> Result<(), Fault> {
        let vacated = self.shards().vacated();
        let Role::Worker(worker) = self.role() else { return Ok(()) };
        if vacated.is_empty() {
            return Ok(());
        }
        let tx = self.database.write().await?;
        self.fence(&tx).await?;
        tx.execute(
            "UPDATE poll.shard SET worker = NULL WHERE id = ANY($1) AND worker = $2",
            &params![vacated, worker.id],
        )
        .await?;
        tx.commit().await?;
        self.shards().given_back(&vacated);
        Ok(())
    }

    /// Gives everything back: this process ends, and others need not wait for its lease to end.
    async fn resign(&self) -> Result<(), Fault> {
        let Role::Worker(worker) = self.role() else { return Ok(()) };
        self.trusted_until.store(0, Ordering::Relaxed);
        let tx = self.database.write().await?;
        let sql = "SELECT 1 FROM poll.worker WHERE id = $1 AND epoch = $2 FOR UPDATE";
        if tx.first(sql, &params![worker.id, worker.epoch]).await?.is_some() {
            tx.execute(FREE, &params![worker.id]).await?;
            tx.execute("DELETE FROM poll.worker WHERE id = $1", &params![worker.id]).await?;
            self.note_time(&tx).await?;
        }
        tx.commit().await
    }

    /// Notes that others have taken over. No request begins from here on.
    fn depose(&self, worker: Worker) {
        self.trusted_until.store(0, Ordering::Relaxed);
        self.shards().lose_all();
        self.set_role(Role::Deposed { id: worker.id, told: false });
    }

    /// A fenced transaction was refused: the lease has ended by the clock of the database. A renewal tells the rest.
    pub(super) fn suspect(&self) {
        self.suspected.store(micros(boot_time()), Ordering::Relaxed);
        self.trusted_until.store(0, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Trusts the lease that was renewed by a transaction that began to be sent at `sent`, unless a transaction was refused
    /// since then.
    fn trust(&self, sent: Duration) {
        if sent.as_micros() <= u128::from(self.suspected.load(Ordering::Relaxed)) {
            return;
        }
        self.trusted_until.store(micros(trusted_until(sent, self.lease)), Ordering::Relaxed);
    }

    /// Whether the lease is certain.
    pub(super) fn is_trusted(&self) -> bool {
        boot_time().as_micros() < u128::from(self.trusted_until.load(Ordering::Relaxed))
    }
}

/// The lease of another worker in a row, if it has one.
fn other(row: &Row) -> Option<Other> {
    let id = row.get::<_, Option<i64>>(3)?;
    Some(Other { id, renewed: row.get(4), left: duration(row.get(5)) })
}

/// Until when a lease is trusted that was asked for at `sent`, by the boot-time clock: the database counted it from a later
/// moment. The margin is for clocks that run at different speeds.
pub(super) fn trusted_until(sent: Duration, lease: Duration) -> Duration {
    (sent + lease).saturating_sub(lease / 10)
}

/// How the table `worker` says it.
fn until_text(until: RunsUntil) -> &'static str {
    match until {
        RunsUntil::Unknown => "unknown",
        RunsUntil::Stopped => "stopped",
        RunsUntil::NoneOpen => "none open",
        RunsUntil::OwnEnded => "own ended",
    }
}

/// The reverse.
pub(super) fn until_of(said: &str) -> RunsUntil {
    let known = [RunsUntil::Stopped, RunsUntil::NoneOpen, RunsUntil::OwnEnded];
    known.into_iter().find(|until| until_text(*until) == said).unwrap_or(RunsUntil::Unknown)
}

/// Frees the shards of a worker.
const FREE: &str = "UPDATE poll.shard SET worker = NULL WHERE worker = $1";
