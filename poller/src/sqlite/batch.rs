//! The statements of one write transaction.
//!
//! Facts that many changes of a batch share are read once: the number of the run and the ids of shared specs. The use counts
//! of specs are updated once per spec at the end, and specs without polls are deleted.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::runner_lock::RunnerLock;
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::{StoreError, StoredPoll};

/// The largest number of finished polls that one transaction removes: other calls wait some milliseconds for it.
const PURGE: usize = 500;

/// The poll to finish.
#[derive(Debug)]
pub(super) enum Target {
    Key(PollKey),
    /// The row id, which works also for a poll whose name is damaged.
    Id(i64),
}

/// An outcome as columns.
#[derive(Debug)]
pub(super) struct SavedOutcome {
    at: Timestamp,
    name: &'static str,
    requests: u32,
    restarts: u32,
    /// The whole outcome as JSON.
    text: String,
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

/// New polls and the texts of their specs.
#[derive(Debug, Default)]
pub(super) struct NewPolls {
    /// Each poll with the position of its text.
    polls: Vec<(StoredPoll, usize)>,
    /// Neighbours that share a spec share a text. Otherwise a text may occur twice.
    texts: Vec<Arc<str>>,
}

impl NewPolls {
    /// Adds a poll; `text` returns the stored text of a spec.
    pub(super) fn push(
        &mut self,
        poll: StoredPoll,
        text: impl FnOnce(&PollSpec) -> Result<Arc<str>, StoreError>,
    ) -> Result<(), StoreError> {
        if !self.polls.last().is_some_and(|(last, _)| last.spec.shares_with(&poll.spec)) {
            self.texts.push(text(&poll.spec)?);
        }
        self.polls.push((poll, self.texts.len() - 1));
        Ok(())
    }

    pub(super) const fn len(&self) -> usize {
        self.polls.len()
    }
}

/// The number of polls that one multi-row statement inserts.
const ROWS: usize = 32;

/// The parameters of each row, beside the run.
const VALUES: usize = 5;

static INSERT_ROWS: LazyLock<String> = LazyLock::new(|| {
    let rows: Vec<String> = (0..ROWS)
        .map(|row| {
            let values: Vec<String> =
                (0..VALUES).map(|value| format!("?{}", 2 + row * VALUES + value)).collect();
            format!("(?1, {})", values.join(", "))
        })
        .collect();
    format!("INSERT INTO polls (run, spec, scope, key, url, created_at) VALUES {}", rows.join(", "))
});

/// The result of inserting polls.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    /// The polls that existed before: positions and names.
    pub(super) present: Vec<(usize, PollKey)>,
    /// The first and the last new row id. No other poll has an id between them.
    pub(super) ids: Option<(i64, i64)>,
}

impl Inserted {
    fn add(&mut self, first: i64, last: i64) {
        self.ids = Some((self.ids.map_or(first, |(before, _)| before), last));
    }
}

/// An open write transaction.
#[derive(Debug)]
pub(super) struct Batch<'c> {
    connection: &'c Connection,
    runner_lock: &'c Weak<RunnerLock>,
    run: Option<i64>,
    /// The ids of specs, by the addresses of their texts, which the changes of the batch keep alive.
    specs: HashMap<*const u8, i64>,
    /// By how many polls the use count of each spec changes.
    uses: HashMap<i64, i64>,
}

impl<'c> Batch<'c> {
    pub(super) fn new(connection: &'c Connection, runner_lock: &'c Weak<RunnerLock>) -> Self {
        Self { connection, runner_lock, run: None, specs: HashMap::new(), uses: HashMap::new() }
    }

    /// Inserts the polls whose names are new.
    pub(super) fn create(&mut self, new: &NewPolls) -> rusqlite::Result<Inserted> {
        let run = self.run()?;
        let specs = new.texts.iter().map(|text| self.spec(text)).collect::<rusqlite::Result<Vec<_>>>()?;
        let mut inserted = Inserted::default();
        for (polls, begin) in new.polls.chunks(ROWS).zip((0..).step_by(ROWS)) {
            if self.insert_rows(polls, &specs, run)? {
                let last = self.connection.last_insert_rowid();
                inserted.add(last - (ROWS as i64 - 1), last);
                continue;
            }
            for ((poll, text), position) in polls.iter().zip(begin..) {
                if self.insert_one(poll, specs[*text], run)? {
                    let number = self.connection.last_insert_rowid();
                    inserted.add(number, number);
                } else {
                    inserted.present.push((position, poll.key.clone()));
                }
            }
        }
        let mut uses = vec![0; specs.len()];
        new.polls.iter().for_each(|(_, text)| uses[*text] += 1);
        inserted.present.iter().for_each(|(position, _)| uses[new.polls[*position].1] -= 1);
        for (spec, more) in specs.into_iter().zip(uses) {
            *self.uses.entry(spec).or_default() += more;
        }
        Ok(inserted)
    }

    /// Inserts polls by one statement, which opens each index once and takes consecutive ids. Returns whether it inserted
    /// them: if there are fewer than [`ROWS`], or one of them exists, it changes nothing.
    fn insert_rows(&self, polls: &[(StoredPoll, usize)], specs: &[i64], run: i64) -> rusqlite::Result<bool> {
        if polls.len() != ROWS {
            return Ok(false);
        }
        let mut insert = self.connection.prepare_cached(&INSERT_ROWS)?;
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

    /// Returns whether the poll was new.
    fn insert_one(&self, poll: &StoredPoll, spec: i64, run: i64) -> rusqlite::Result<bool> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO polls (run, spec, scope, key, url, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (scope, key) DO NOTHING",
        )?;
        let (scope, key, url) = (poll.key.scope(), poll.key.key(), poll.spec.url_text());
        Ok(insert.execute(params![run, spec, scope, key, url, micros(poll.created_at)])? > 0)
    }

    /// Returns whether the poll was open.
    pub(super) fn finish(&self, target: &Target, outcome: &SavedOutcome) -> rusqlite::Result<bool> {
        const SET: &str =
            "UPDATE polls SET ended_at = ?1, ending = ?2, requests = ?3, restarts = ?4, cancelling = 0";
        let SavedOutcome { at, name, requests, restarts, text } = outcome;
        let at = micros(*at);
        let id = |row: &Row<'_>| row.get::<_, i64>(0);
        let open = match target {
            Target::Key(key) => self
                .connection
                .prepare_cached(&format!(
                    "{SET} WHERE scope = ?5 AND key = ?6 AND ended_at IS NULL RETURNING id"
                ))?
                .query_row(params![at, name, requests, restarts, key.scope(), key.key()], id),
            Target::Id(row) => self
                .connection
                .prepare_cached(&format!("{SET} WHERE id = ?5 AND ended_at IS NULL RETURNING id"))?
                .query_row(params![at, name, requests, restarts, row], id),
        };
        let Some(poll) = open.optional()? else { return Ok(false) };
        self.connection
            .prepare_cached("INSERT INTO outcomes (poll, outcome) VALUES (?1, ?2)")?
            .execute(params![poll, text])?;
        self.connection.prepare_cached("DELETE FROM attempts WHERE poll = ?1")?.execute([poll])?;
        Ok(true)
    }

    /// Returns whether the poll was finished and is removed.
    pub(super) fn forget(&mut self, key: &PollKey) -> rusqlite::Result<bool> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM polls WHERE scope = ?1 AND key = ?2 AND ended_at IS NOT NULL RETURNING id, spec",
        )?;
        let deleted = delete
            .query_row(params![key.scope(), key.key()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((poll, spec)) = deleted {
            self.delete_outcome(poll, spec)?;
        }
        Ok(deleted.is_some())
    }

    fn delete_outcome(&mut self, poll: i64, spec: i64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM outcomes WHERE poll = ?1")?.execute([poll])?;
        *self.uses.entry(spec).or_default() -= 1;
        Ok(())
    }

    /// Removes some finished polls that ended before `since`, or else some of the first `excess` endings. Returns their
    /// number.
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
            self.delete_outcome(*poll, *spec)?;
        }
        Ok(removed.len())
    }

    /// Replaces the stored attempts of open polls.
    pub(super) fn note(&self, attempts: &[(PollKey, String)]) -> rusqlite::Result<()> {
        let mut replace = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO attempts (poll, history) \
             SELECT id, ?3 FROM polls WHERE scope = ?1 AND key = ?2 AND ended_at IS NULL",
        )?;
        for (key, history) in attempts {
            replace.execute(params![key.scope(), key.key(), history])?;
        }
        Ok(())
    }

    /// Returns whether the poll was open.
    pub(super) fn request_cancel(&self, key: &PollKey) -> rusqlite::Result<bool> {
        let mut update = self.connection.prepare_cached(
            "UPDATE polls SET cancelling = 1 WHERE scope = ?1 AND key = ?2 AND ended_at IS NULL",
        )?;
        Ok(update.execute(params![key.scope(), key.key()])? > 0)
    }

    /// Increments the number of runs.
    pub(super) fn begin_run(&mut self) -> rusqlite::Result<()> {
        self.run = None;
        self.connection.execute("UPDATE runs SET begun = begun + 1", []).map(drop)
    }

    /// Updates the use counts of specs, the last step before the commit.
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

    /// The first run of a poll that is created now.
    fn run(&mut self) -> rusqlite::Result<i64> {
        if let Some(run) = self.run {
            return Ok(run);
        }
        let begun: i64 =
            self.connection.prepare_cached("SELECT begun FROM runs")?.query_row([], |row| row.get(0))?;
        // If the lock cannot be read, the file counts as not run.
        let is_run = self.runner_lock.upgrade().is_some_and(|lock| matches!(lock.runner(), Ok(Some(_))));
        let run = if is_run { begun } else { begun + 1 };
        self.run = Some(run);
        Ok(run)
    }

    /// The id of this spec, which is inserted if it is new.
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
