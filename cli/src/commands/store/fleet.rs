//! `poll fleet`: the workers of a database and their state, for people and for monitoring.

use std::time::Duration;

use poller::store::RunsUntil;
use poller::{Fleet, FleetWorker};
use serde::Serialize;

use super::super::{block_on, output};
use super::list::aligned;
use super::{open_database, plain, wait_until};
use crate::args::{FleetArgs, StoreLocation};
use crate::exit::Exit;
use crate::render::humanize::or_zero;
use crate::render::terminal::{Paint, Terminal};
use crate::render::{humanize, sanitize};

pub(in super::super) fn run(args: &FleetArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let StoreLocation::Database { url, .. } = &args.whole.file.path else {
        anyhow::bail!("poll fleet shows the workers of a database; a file has one runner: poll status");
    };
    block_on(async {
        let store = open_database(url, RunsUntil::Unknown, None).await?;
        let closed = store.closed();
        let fleet = store.fleet().await.map_err(plain);
        drop(store);
        wait_until(closed).await;
        let fleet = fleet?;
        if args.whole.json {
            output::json(&line(&fleet), terminal)?;
        } else {
            output::text(&describe(&fleet, terminal.stdout_paint))?;
        }
        let well = fleet.orphaned == 0 && alive(&fleet).next().is_some();
        Ok(if well { Exit::Success } else { Exit::Negative })
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'f> {
    workers: Vec<Worker<'f>>,
    shards: usize,
    orphaned_shards: usize,
    open: u64,
    lag_seconds: f64,
    clock_shift_seconds: f64,
    clock_steps: u64,
    oldest_xmin: Option<u64>,
    oldest_transaction_seconds: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker<'f> {
    host: &'f str,
    process: u32,
    alive: bool,
    age_seconds: f64,
    renewed_seconds_ago: f64,
    lease_left_seconds: Option<f64>,
    shards: usize,
    open: u64,
    lag_seconds: f64,
    takeovers: u64,
    clock_offset_seconds: f64,
}

fn line(fleet: &Fleet) -> Line<'_> {
    Line {
        workers: fleet.workers.iter().map(worker).collect(),
        shards: fleet.shards,
        orphaned_shards: fleet.orphaned,
        open: fleet.open,
        lag_seconds: lag(fleet).as_secs_f64(),
        clock_shift_seconds: seconds(fleet.clock_shift),
        clock_steps: fleet.clock_steps,
        oldest_xmin: fleet.oldest_xmin,
        oldest_transaction_seconds: fleet.oldest_transaction.map(|age| age.as_secs_f64()),
    }
}

fn worker(worker: &FleetWorker) -> Worker<'_> {
    Worker {
        host: &worker.host,
        process: worker.process,
        alive: worker.is_alive(),
        age_seconds: worker.age.as_secs_f64(),
        renewed_seconds_ago: worker.renewed.as_secs_f64(),
        lease_left_seconds: worker.lease_left.map(|left| left.as_secs_f64()),
        shards: worker.shards,
        open: worker.open,
        lag_seconds: worker.lag.as_secs_f64(),
        takeovers: worker.takeovers,
        clock_offset_seconds: seconds(worker.clock_offset),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a clock is not wrong by 285 years, to the microsecond")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn alive(fleet: &Fleet) -> impl Iterator<Item = &FleetWorker> {
    fleet.workers.iter().filter(|worker| worker.is_alive())
}

/// The longest lag of a worker with a lease.
fn lag(fleet: &Fleet) -> Duration {
    alive(fleet).map(|worker| worker.lag).max().unwrap_or_default()
}

/// The length of a column for names of machines: with it, a line has 80 columns.
const HOST: usize = 20;

fn describe(fleet: &Fleet, paint: Paint) -> String {
    let alive = alive(fleet).count();
    let (workers, shards) = (humanize::count(alive, "worker"), humanize::count(fleet.shards, "shard"));
    let transaction =
        fleet.oldest_transaction.map_or("none".to_owned(), |age| format!("{} old", or_zero(age)));
    let xmin = fleet.oldest_xmin.map_or("not known".to_owned(), |age| format!("{age} transactions back"));
    let mut lines = vec![
        format!("{workers}, {shards}, {} without a worker", fleet.orphaned),
        format!("{} open, the oldest due poll has waited {}", fleet.open, or_zero(lag(fleet))),
        format!("oldest transaction: {transaction}; oldest xmin: {xmin}"),
    ];
    if fleet.clock_steps > 0 {
        lines.push(format!(
            "the database's clock was set {}; the fleet's is now {} from it",
            humanize::count(fleet.clock_steps, "time"),
            offset(fleet.clock_shift)
        ));
    }
    if !fleet.workers.is_empty() {
        lines.extend([String::new(), table(&fleet.workers, paint)]);
    }
    lines.join("\n")
}

fn table(workers: &[FleetWorker], paint: Paint) -> String {
    let titles = ["HOST", "PROCESS", "LEASE", "SHARDS", "OPEN", "LAG", "TAKEN", "CLOCK"];
    let rows = workers.iter().map(|worker| {
        [
            sanitize::excerpt(&worker.host, HOST),
            worker.process.to_string(),
            worker.lease_left.map_or_else(|| paint.bad("ended").to_string(), or_zero),
            worker.shards.to_string(),
            worker.open.to_string(),
            or_zero(worker.lag),
            worker.takeovers.to_string(),
            offset(worker.clock_offset),
        ]
    });
    aligned(titles, rows, 1, paint)
}

/// `+0.2ms`, `-3600s`: how far the database's clock is ahead.
fn offset(micros: i64) -> String {
    let seconds = seconds(micros);
    if seconds.abs() < 1.0 { format!("{:+.1}ms", seconds * 1e3) } else { format!("{seconds:+.0}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_a_sign() {
        assert_eq!([0, 250, -3_600_000_000].map(offset), ["+0.0ms", "+0.2ms", "-3600s"]);
    }
}
