//! The tables: creating and migrating them, partitions, and whether the database isolates as it must.
//!
//! Migrations run in one transaction under the lock of the row in `meta`, so that of two first starts one waits for the
//! other. There are no advisory locks: they belong to sessions, which a pooler shares.

use tokio_postgres::error::SqlState;

use super::database::{Connection, Database, Fault, Tx, params};
use crate::store::StoreError;

/// What a database must be, one step per version of the format.
const MIGRATIONS: [Migration; 3] = [
    Migration { sql: include_str!("../../migrations/postgres/0001_fleet.sql"), compatible: 1 },
    // A process of format 1 would end a poll without its webhook.
    Migration { sql: include_str!("../../migrations/postgres/0002_outbox.sql"), compatible: 2 },
    // A process of format 2 would judge leases by the database's clock alone, and take living workers over once it was set.
    Migration { sql: include_str!("../../migrations/postgres/0003_clock_and_lists.sql"), compatible: 3 },
];

/// A step to the next format. Processes of the old and the new version run side by side while a fleet is upgraded: the step
/// says the oldest version whose processes may go on, or start, on the new format. Columns and tables may be added without
/// raising it, if they have defaults.
#[derive(Clone, Copy)]
struct Migration {
    sql: &'static str,
    compatible: i32,
}

/// The steps that this process knows. With the variable, in builds with debug assertions only, one more: the tests of upgrades
/// run it beside processes without.
fn migrations() -> impl Iterator<Item = (i32, Migration)> {
    let next = std::env::var(NEXT_FORMAT).ok().filter(|_| cfg!(debug_assertions));
    let next = next.and_then(|compatible| compatible.parse().ok()).map(|compatible| Migration {
        sql: "ALTER TABLE poll.open ADD COLUMN next text NOT NULL DEFAULT ''; ALTER TABLE poll.done ADD COLUMN next text; \
              ALTER TABLE poll.worker ADD COLUMN next text; CREATE TABLE poll.next (id bigint)",
        compatible,
    });
    (1..).zip(MIGRATIONS.into_iter().chain(next))
}

/// The variable of the tests of upgrades: the oldest version that may use the format after the newest one.
const NEXT_FORMAT: &str = "POLLER_TEST_NEXT_FORMAT";

/// The newest format that this process knows.
fn newest() -> i32 {
    migrations().map(|(number, _)| number).max().unwrap_or(0)
}

/// The refusal of a database that this version may not use.
fn too_new(database: &Database, format: i32, newest: i32) -> Fault {
    unusable(format!(
        "{} has the format {format}, and this version knows formats up to {newest}: use a newer version",
        database.shown
    ))
}

fn unusable(message: String) -> Fault {
    Fault::Store(StoreError::unusable(message))
}

/// Fails if a newer version has migrated the tables meanwhile, and excludes this one.
pub(super) async fn check_format<C: Connection>(database: &Database, tx: &Tx<C>) -> Result<(), Fault> {
    let newest = newest();
    let row = tx.first("SELECT format FROM poll.meta WHERE compatible > $1", &params![newest]).await?;
    row.map_or(Ok(()), |row| Err(too_new(database, row.get(0), newest)))
}

/// The oldest server, as `server_version_num` says it.
const OLDEST: i32 = 140_000;

/// How often the creation of the first table is tried: another process may create it at the same moment.
const TRIES: u32 = 10;

/// The microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Creates or migrates the tables; returns the number of shards.
pub(super) async fn prepare(database: &Database, shards: u16) -> Result<i32, Fault> {
    check_server(database).await?;
    let newest = newest();
    let mut tries = 1;
    loop {
        match current(database).await? {
            Some(Meta { format, compatible, shards })
                if format == newest || format > newest && compatible <= newest =>
            {
                return Ok(shards);
            }
            Some(Meta { format, .. }) if format > newest => return Err(too_new(database, format, newest)),
            Some(_) => match migrate(database).await {
                Err(fault) if tries < TRIES && fault.is_conflict() => tries += 1,
                result => result?,
            },
            None => match create_meta(database, shards).await {
                Err(fault) if tries < TRIES && is_race(&fault) => tries += 1,
                result => result?,
            },
        }
    }
}

/// Another process has created the same object meanwhile.
fn is_race(fault: &Fault) -> bool {
    fault.is_conflict()
        || fault.has_code(&[
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_SCHEMA,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_OBJECT,
            SqlState::INTERNAL_ERROR,
        ])
}

async fn check_server(database: &Database) -> Result<(), Fault> {
    let sql = "SELECT current_setting('server_version_num')::int4, current_setting('server_encoding')";
    let row = database.read().await?.first(sql, &[]).await?;
    let Some(row) = row else { return Ok(()) };
    let (version, encoding): (i32, &str) = (row.get(0), row.get(1));
    let shown = &database.shown;
    if version < OLDEST {
        let found = version / 10_000;
        return Err(unusable(format!("{shown} is PostgreSQL {found}; expected 14 or newer")));
    }
    if encoding != "UTF8" {
        return Err(unusable(format!(
            "{shown} has the encoding {encoding}; expected UTF8 (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0)"
        )));
    }
    Ok(())
}

/// The row of `meta`.
struct Meta {
    format: i32,
    /// The oldest version that may use this format.
    compatible: i32,
    shards: i32,
}

/// What `meta` says, if there is a store.
async fn current(database: &Database) -> Result<Option<Meta>, Fault> {
    let tx = database.read().await?;
    let there = tx.first("SELECT to_regclass('poll.meta') IS NOT NULL", &[]).await?;
    if !there.is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let row = tx.first("SELECT format, compatible, shards FROM poll.meta", &[]).await?;
    Ok(row.map(|row| Meta { format: row.get(0), compatible: row.get(1), shards: row.get(2) }))
}

async fn create_meta(database: &Database, shards: u16) -> Result<(), Fault> {
    let tx = database.migrate().await?;
    tx.batch(
        "CREATE SCHEMA IF NOT EXISTS poll; \
         CREATE TABLE IF NOT EXISTS poll.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), \
         format integer NOT NULL, compatible integer NOT NULL DEFAULT 1, shards integer NOT NULL, \
         horizon bigint NOT NULL DEFAULT 0, swept bigint NOT NULL DEFAULT 0)",
    )
    .await?;
    let sql = "INSERT INTO poll.meta (format, shards) VALUES (0, $1) ON CONFLICT DO NOTHING";
    tx.execute(sql, &params![i32::from(shards)]).await?;
    tx.commit().await
}

async fn migrate(database: &Database) -> Result<(), Fault> {
    let tx = database.migrate().await?;
    let workers = tx.first("SELECT to_regclass('poll.worker') IS NOT NULL", &[]).await?;
    if workers.is_some_and(|row| row.get(0)) {
        // First, as batches do: they hold their worker's row while they read the other tables. None is under way from here on.
        tx.query("SELECT 1 FROM poll.worker ORDER BY id FOR UPDATE", &[]).await?;
    }
    // Whoever comes second waits here, and then finds nothing to do. The table is locked before its row: a step may alter it,
    // and would wait for holders of a weaker lock on it while they wait for the row.
    tx.batch("LOCK TABLE poll.meta IN ACCESS EXCLUSIVE MODE").await?;
    let row = tx.first("SELECT format, compatible FROM poll.meta FOR UPDATE", &[]).await?;
    let (format, before): (i32, i32) = row.map_or((0, 0), |row| (row.get(0), row.get(1)));
    let mut compatible = before;
    for (number, step) in migrations().filter(|(number, _)| *number > format) {
        tx.batch(step.sql).await?;
        let sql = "UPDATE poll.meta SET format = $1, compatible = $2";
        tx.execute(sql, &params![number, step.compatible]).await?;
        compatible = step.compatible;
    }
    if compatible > before && format > 0 {
        // Workers of versions that are excluded from here on write nothing more; they learn why when they register again.
        tx.batch("UPDATE poll.worker SET epoch = epoch + 1; UPDATE poll.shard SET worker = NULL WHERE worker IS NOT NULL")
            .await?;
    }
    tx.commit().await
}

/// Acts out the race that creating a poll relies on: a second statement of a transaction must see what another connection
/// has committed since the first. Under snapshot isolation it would not, and one key could live twice.
pub(super) async fn probe(database: &Database, id: i64) -> Result<(), Fault> {
    let seen = "SELECT count(*) FROM poll.probe WHERE id = $1";
    let creator = database.write().await?;
    creator.query(seen, &params![id]).await?;
    let other = database.write().await?;
    other.execute("INSERT INTO poll.probe (id) VALUES ($1)", &params![id]).await?;
    other.commit().await?;
    let count: i64 = creator.first(seen, &params![id]).await?.map_or(0, |row| row.get(0));
    creator.rollback().await?;
    let other = database.write().await?;
    other.execute("DELETE FROM poll.probe WHERE id = $1", &params![id]).await?;
    other.commit().await?;
    if count == 1 {
        return Ok(());
    }
    Err(unusable(format!(
        "{} runs READ COMMITTED transactions on one snapshot, so a poll could be created twice; expected a new snapshot for \
         each statement, as PostgreSQL takes it (YugabyteDB before 2025.2 does not, unless \
         yb_enable_read_committed_isolation is on)",
        database.shown
    )))
}

/// The day of a time, and the name of its partition.
pub(super) fn day_of(ended: i64) -> i64 {
    ended.div_euclid(DAY)
}

/// Creates the partition of a day, unless it is there.
pub(super) async fn ensure_day(database: &Database, day: i64) -> Result<(), Fault> {
    let name = partition(day);
    let tx = database.migrate().await?;
    // Two that create the same one wait for each other.
    tx.query("SELECT format FROM poll.meta FOR UPDATE", &[]).await?;
    let there = tx.first("SELECT to_regclass($1) IS NOT NULL", &params![format!("poll.{name}")]).await?;
    if there.is_some_and(|row| row.get(0)) {
        return tx.rollback().await;
    }
    let (from, to) = (day.saturating_mul(DAY), day.saturating_add(1).saturating_mul(DAY));
    // Attaching takes a weaker lock than creating a partition in place: finishes of other days go on.
    tx.batch(&format!(
        "CREATE TABLE poll.{name} (LIKE poll.done INCLUDING DEFAULTS INCLUDING CONSTRAINTS); \
         ALTER TABLE poll.{name} ADD CHECK (ended >= {from} AND ended < {to}); \
         ALTER TABLE poll.done ATTACH PARTITION poll.{name} FOR VALUES FROM ({from}) TO ({to})"
    ))
    .await?;
    tx.commit().await
}

/// Drops the partitions whose polls all ended before `horizon`.
pub(super) async fn drop_before(database: &Database, horizon: i64) -> Result<(), Fault> {
    let sql = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'poll.done'::regclass";
    for row in database.read().await?.query(sql, &[]).await? {
        let name: &str = row.get(0);
        let day = name.strip_prefix("done_").and_then(|day| day.parse::<i64>().ok());
        if day.is_some_and(|day| day.saturating_add(1).saturating_mul(DAY) <= horizon) {
            let tx = database.migrate().await?;
            tx.batch(&format!("DROP TABLE IF EXISTS poll.{name}")).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// For how many days a spec stays that no poll refers to. A process keeps the ids of specs that it has seen today, so a poll
/// may be created with one until midnight.
const UNUSED: i64 = 2;

/// The most specs that are removed at once.
const SWEPT: i64 = 10_000;

/// Removes specs that no poll refers to any more, once a day in a fleet; `day` is today.
pub(super) async fn sweep_specs(database: &Database, day: i64) -> Result<u64, Fault> {
    let tx = database.migrate().await?;
    let first = tx.execute("UPDATE poll.meta SET swept = $1 WHERE swept < $1", &params![day]).await?;
    if first == 0 {
        tx.rollback().await?;
        return Ok(0);
    }
    let before = day - UNUSED;
    let any = tx.first("SELECT 1 FROM poll.specs WHERE used < $1 LIMIT 1", &params![before]).await?;
    tx.commit().await?;
    if any.is_none() {
        return Ok(0);
    }
    // Reads all polls, so it holds no lock meanwhile that others wait for.
    let tx = database.migrate().await?;
    let removed = tx
        .execute(
            "WITH unused AS MATERIALIZED (SELECT id FROM poll.specs WHERE used < $1 ORDER BY used LIMIT $2) \
             DELETE FROM poll.specs s USING (SELECT id FROM unused \
                 EXCEPT SELECT spec FROM poll.open EXCEPT SELECT spec FROM poll.done) AS gone \
             WHERE s.id = gone.id AND s.used < $1",
            &params![before, SWEPT],
        )
        .await?;
    tx.commit().await?;
    Ok(removed)
}

/// `done_20786`: the number of days since 1970-01-01.
fn partition(day: i64) -> String {
    format!("done_{}", day.max(0))
}
