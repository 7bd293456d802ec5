//! The changes of one transaction.
//!
//! What many changes of a batch need is found out once: the number of the run, and of each spec that polls share. How many
//! polls a spec has is counted up or down at the end, once for each spec, and those that nobody has any more go.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::runner_lock::RunnerLock;
use super::threads::NewPolls;
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::{StoreError, StoredPoll};

/// The most finished polls that are removed in one transaction: some milliseconds, for which others wait.
const PURGE: usize = 500;

/// Target poll is meant.
#[derive(Debug)]
pub(super) enum Target {
    Named(PollKey),
    /// By the number of its row, which it has even where its name is damaged.
    Numbered(i64),
}

/// How a poll ended, as it is written.
#[derive(Debug)]
pub(super) struct SavedOutcome {
    pub(super) at: Timestamp,
    /// The name of the outcome.
    pub(super) name: &'static str,
    pub(super) requests: u32,
    pub(super) restarts: u32,
    /// The whole outcome as JSON.
    pub(super) text: String,
}

impl SavedOutcome {
    pub(super) fn new(outcome: &Outcome) -> Result<Self, StoreError> {
        let text = serde_json::to_string(outcome)
            .map_err(|error| StoreError::with_source("the outcome cannot be written as JSON", error))?;
        Ok(Self {
            at: outcome.ended_at,
            name: outcome.name(),
            requests: outcome.attempts,
            restarts: outcome.restarts,
            text,
        })
    }
}

/// How many new polls are kept by one statement, where there are so many.
const TOGETHER: usize = 32;

/// What such a statement is given of each poll.
const VALUES: usize = 5;

/// The statement that keeps so many.
static CREATE_TOGETHER: LazyLock<String> = LazyLock::new(|| {
    let rows: Vec<String> = (0..TOGETHER)
        .map(|row| {
            let values: Vec<String> =
                (0..VALUES).map(|value| format!("?{}", 2 + row * VALUES + value)).collect();
            format!("(?1, {})", values.join(", "))
        })
        .collect();
    format!("INSERT INTO polls (run, spec, scope, key, url, created_at) VALUES {}", rows.join(", "))
});

/// What came of new polls.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    /// Those that were there before: their positions and names.
    pub(super) present: Vec<(usize, PollKey)>,
    /// The numbers of the first and the last that were new. No other poll has one between them.
    pub(super) numbers: Option<(i64, i64)>,
}

impl Inserted {
    fn add(&mut self, first: i64, last: i64) {
        self.numbers = Some((self.numbers.map_or(first, |(before, _)| before), last));
    }
}

/// A transaction that is being filled.
#[derive(Debug)]
pub(super) struct Batch<'c> {
    connection: &'c Connection,
    runner_lock: &'c Weak<RunnerLock>,
    run: Option<i64>,
    /// The numbers of specs, by where their texts are: the changes of the batch keep those alive.
    specs: HashMap<*const u8, i64>,
    /// How many polls more, or fewer, each spec has.
    uses: HashMap<i64, i64>,
}

impl<'c> Batch<'c> {
    pub(super) fn new(connection: &'c Connection, runner_lock: &'c Weak<RunnerLock>) -> Self {
        Self { connection, runner_lock, run: None, specs: HashMap::new(), uses: HashMap::new() }
    }

    /// Keeps those that are new.
    pub(super) fn create(&mut self, new: &NewPolls) -> rusqlite::Result<Inserted> {
        let run = self.run()?;
        let specs = new.texts().iter().map(|text| self.spec(text)).collect::<rusqlite::Result<Vec<_>>>()?;
        let mut kept = Inserted::default();
        for (polls, begin) in new.polls().chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
            if self.create_together(polls, &specs, run)? {
                let last = self.connection.last_insert_rowid();
                kept.add(last - (TOGETHER as i64 - 1), last);
                continue;
            }
            for ((poll, text), position) in polls.iter().zip(begin..) {
                if self.create_one(poll, specs[*text], run)? {
                    let number = self.connection.last_insert_rowid();
                    kept.add(number, number);
                } else {
                    kept.present.push((position, poll.key.clone()));
                }
            }
        }
        let mut uses = vec![0; specs.len()];
        new.polls().iter().for_each(|(_, text)| uses[*text] += 1);
        kept.present.iter().for_each(|(position, _)| uses[new.polls()[*position].1] -= 1);
        for (spec, more) in specs.into_iter().zip(uses) {
            *self.uses.entry(spec).or_default() += more;
        }
        Ok(kept)
    }

    /// Keeps polls by one statement, which opens each index once and takes numbers for all of them at once. Whether it
    /// did: where they are not [so many](TOGETHER), or one of them is there already, nothing has happened.
    fn create_together(
        &self,
        polls: &[(StoredPoll, usize)],
        specs: &[i64],
        run: i64,
    ) -> rusqlite::Result<bool> {
        if polls.len() != TOGETHER {
            return Ok(false);
        }
        let mut insert = self.connection.prepare_cached(&CREATE_TOGETHER)?;
        insert.raw_bind_parameter(1, run)?;
        for ((poll, text), first) in polls.iter().zip((2..).step_by(VALUES)) {
            insert.raw_bind_parameter(first, specs[*text])?;
            insert.raw_bind_parameter(first + 1, poll.key.scope())?;
            insert.raw_bind_parameter(first + 2, poll.key.key())?;
            insert.raw_bind_parameter(first + 3, poll.spec.url_text())?;
            insert.raw_bind_parameter(first + 4, micros(poll.created_at))?;
        }
        match insert.raw_execute() {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_extended_error_code() == Some(SQLITE_CONSTRAINT_UNIQUE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether it was new.
    fn create_one(&self, poll: &StoredPoll, spec: i64, run: i64) -> rusqlite::Result<bool> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO polls (run, spec, scope, key, url, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (scope, key) DO NOTHING",
        )?;
        let (scope, key, url) = (poll.key.scope(), poll.key.key(), poll.spec.url_text());
        Ok(insert.execute(params![run, spec, scope, key, url, micros(poll.created_at)])? > 0)
    }

    /// Whether it was open.
    pub(super) fn finish(&self, which: &Target, ended: &SavedOutcome) -> rusqlite::Result<bool> {
        const SET: &str =
            "UPDATE polls SET ended_at = ?1, ending = ?2, requests = ?3, restarts = ?4, cancelling = 0";
        let SavedOutcome { at, name, requests, restarts, text } = ended;
        let at = micros(*at);
        let number = |row: &Row<'_>| row.get::<_, i64>(0);
        let open = match which {
            Target::Named(key) => self
                .connection
                .prepare_cached(&format!(
                    "{SET} WHERE scope = ?5 AND key = ?6 AND ended_at IS NULL RETURNING id"
                ))?
                .query_row(params![at, name, requests, restarts, key.scope(), key.key()], number),
            Target::Numbered(id) => self
                .connection
                .prepare_cached(&format!("{SET} WHERE id = ?5 AND ended_at IS NULL RETURNING id"))?
                .query_row(params![at, name, requests, restarts, id], number),
        };
        let Some(poll) = open.optional()? else { return Ok(false) };
        self.connection
            .prepare_cached("INSERT INTO outcomes (poll, outcome) VALUES (?1, ?2)")?
            .execute(params![poll, text])?;
        self.connection.prepare_cached("DELETE FROM attempts WHERE poll = ?1")?.execute([poll])?;
        Ok(true)
    }

    /// Whether it was finished.
    pub(super) fn forget(&mut self, key: &PollKey) -> rusqlite::Result<bool> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM polls WHERE scope = ?1 AND key = ?2 AND ended_at IS NOT NULL RETURNING id, spec",
        )?;
        let deleted = delete
            .query_row(params![key.scope(), key.key()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((poll, spec)) = deleted {
            self.forgotten(poll, spec)?;
        }
        Ok(deleted.is_some())
    }

    fn forgotten(&mut self, poll: i64, spec: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM outcomes WHERE poll = ?1")?.execute([poll])?;
        *self.uses.entry(spec).or_default() -= 1;
        Ok(())
    }

    /// Removes finished polls: some of those that ended before `since`, or else some of the `excess` that ended first.
    pub(super) fn purge(&mut self, since: Timestamp, excess: usize) -> rusqlite::Result<usize> {
        let mut removed = self.remove_before(micros(since), PURGE)?;
        if removed == 0 && excess > 0 {
            removed = self.remove_before(i64::MAX, excess.min(PURGE))?;
        }
        Ok(removed)
    }

    fn remove_before(&mut self, since: i64, most: usize) -> rusqlite::Result<usize> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM polls WHERE id IN \
             (SELECT id FROM polls WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2) \
             RETURNING id, spec",
        )?;
        let removed = delete
            .query_map(params![since, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for (poll, spec) in &removed {
            self.forgotten(*poll, *spec)?;
        }
        Ok(removed.len())
    }

    /// Replaces the attempts of those polls that are open.
    pub(super) fn note(&self, attempts: &[(PollKey, String)]) -> rusqlite::Result<usize> {
        let mut replace = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO attempts (poll, history) \
             SELECT id, ?3 FROM polls WHERE scope = ?1 AND key = ?2 AND ended_at IS NULL",
        )?;
        let mut noted = 0;
        for (key, history) in attempts {
            noted += replace.execute(params![key.scope(), key.key(), history])?;
        }
        Ok(noted)
    }

    /// Whether it was open.
    pub(super) fn ask_to_cancel(&self, key: &PollKey) -> rusqlite::Result<bool> {
        let mut update = self.connection.prepare_cached(
            "UPDATE polls SET cancelling = 1 WHERE scope = ?1 AND key = ?2 AND ended_at IS NULL",
        )?;
        Ok(update.execute(params![key.scope(), key.key()])? > 0)
    }

    /// Counts one run more.
    pub(super) fn begin_run(&mut self) -> rusqlite::Result<()> {
        self.run = None;
        self.connection.execute("UPDATE runs SET begun = begun + 1", []).map(drop)
    }

    /// Completes what can be said only at the end.
    pub(super) fn complete(self) -> rusqlite::Result<()> {
        let mut count = self
            .connection
            .prepare_cached("UPDATE specs SET polls = polls + ?2 WHERE id = ?1 RETURNING polls")?;
        for (spec, more) in self.uses {
            let polls: i64 = count.query_row([spec, more], |row| row.get(0))?;
            if polls == 0 {
                self.connection.prepare_cached("DELETE FROM specs WHERE id = ?1")?.execute([spec])?;
            }
        }
        Ok(())
    }

    /// The run in which a poll that is created now is run first.
    fn run(&mut self) -> rusqlite::Result<i64> {
        if let Some(run) = self.run {
            return Ok(run);
        }
        let begun: i64 =
            self.connection.prepare_cached("SELECT begun FROM runs")?.query_row([], |row| row.get(0))?;
        // Whether a process runs the file now.
        let is_run = self.runner_lock.upgrade().is_some_and(|runner_lock| runner_lock.is_taken());
        let run = if is_run { begun } else { begun + 1 };
        self.run = Some(run);
        Ok(run)
    }

    /// The number of this spec, which it gets if it is new.
    fn spec(&mut self, text: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(number) = self.specs.get(&text.as_ptr()) {
            return Ok(*number);
        }
        let mut find = self.connection.prepare_cached("SELECT id FROM specs WHERE text = ?1")?;
        let number = match find.query_row([text], |row| row.get(0)).optional()? {
            Some(number) => number,
            None => {
                let mut insert =
                    self.connection.prepare_cached("INSERT INTO specs (text, polls) VALUES (?1, 0)")?;
                insert.insert([text])?
            }
        };
        self.specs.insert(text.as_ptr(), number);
        Ok(number)
    }
}

fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
