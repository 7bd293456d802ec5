//! The changes of one transaction.
//!
//! What many changes of a batch need is found out once: the number of the run, and of each spec that polls share. How many
//! polls a spec has is counted up or down at the end, once for each spec, and those that nobody has any more go.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{PollKey, StoreError, StoredPoll};
use crate::clock::Timestamp;
use crate::outcome::Outcome;

/// The most finished polls that are removed in one transaction: some milliseconds, for which others wait.
const PURGE: usize = 500;

/// Which poll is meant.
#[derive(Debug)]
pub(super) enum Which {
    Named(PollKey),
    /// By the number of its row, which it has even where its name is damaged.
    Numbered(i64),
}

/// How a poll ended, as it is written.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) at: Timestamp,
    /// The name of the outcome.
    pub(super) name: &'static str,
    pub(super) requests: u32,
    pub(super) restarts: u32,
    /// The whole outcome as JSON.
    pub(super) text: String,
}

impl Ended {
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

/// A transaction that is being filled.
#[derive(Debug)]
pub(super) struct Batch<'c> {
    connection: &'c Connection,
    /// Whether a process runs the file now.
    is_run: bool,
    run: Option<i64>,
    /// The numbers of specs, by where their texts are: the changes of the batch keep those alive.
    specs: HashMap<*const u8, i64>,
    /// How many polls more, or fewer, each spec has.
    uses: HashMap<i64, i64>,
}

impl<'c> Batch<'c> {
    pub(super) fn new(connection: &'c Connection, is_run: bool) -> Self {
        Self { connection, is_run, run: None, specs: HashMap::new(), uses: HashMap::new() }
    }

    /// Whether it was new.
    pub(super) fn create(&mut self, poll: &StoredPoll, spec: &Arc<str>) -> rusqlite::Result<bool> {
        let (run, spec) = (self.run()?, self.spec(spec)?);
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO polls (scope, key, url, spec, created_at, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (scope, key) DO NOTHING",
        )?;
        let (scope, key, url) = (poll.key.scope(), poll.key.key(), poll.spec.url_text());
        let created = insert.execute(params![scope, key, url, spec, micros(poll.created_at), run])? > 0;
        *self.uses.entry(spec).or_default() += i64::from(created);
        Ok(created)
    }

    /// Whether it was open.
    pub(super) fn finish(&self, which: &Which, ended: &Ended) -> rusqlite::Result<bool> {
        const SET: &str =
            "UPDATE polls SET ended_at = ?1, ending = ?2, requests = ?3, restarts = ?4, cancelling = 0";
        let Ended { at, name, requests, restarts, text } = ended;
        let at = micros(*at);
        let number = |row: &Row<'_>| row.get::<_, i64>(0);
        let open = match which {
            Which::Named(key) => self
                .connection
                .prepare_cached(&format!(
                    "{SET} WHERE scope = ?5 AND key = ?6 AND ended_at IS NULL RETURNING id"
                ))?
                .query_row(params![at, name, requests, restarts, key.scope(), key.key()], number),
            Which::Numbered(id) => self
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
        let run = if self.is_run { begun } else { begun + 1 };
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
