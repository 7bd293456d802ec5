//! The statements of one write transaction.
//!
//! Facts that many changes of a batch share are read once: the number of the run, whether the file needs its log, and the ids
//! of shared specs. The use counts
//! of specs are updated once per spec at the end, and specs without polls are deleted.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Weak};

use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::packed;
use super::runner_lock::RunnerLock;
use crate::clock::Timestamp;
use crate::job::StoredSpec;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::{CallbackKey, StoreError, StoredPoll, to_json};

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
    /// The whole outcome as JSON, a long one packed.
    pub(super) text: String,
}

impl SavedOutcome {
    pub(super) fn new(outcome: &Outcome) -> Result<Self, StoreError> {
        let text = to_json("the outcome", outcome)?;
        Ok(Self {
            at: outcome.ended_at,
            name: outcome.name(),
            requests: outcome.attempts,
            restarts: outcome.restarts,
            text: packed::pack(text),
        })
    }
}

/// New polls and the texts of their specs.
#[derive(Debug, Default)]
pub(super) struct NewPolls {
    /// Each poll with the position of its text.
    polls: Vec<(StoredPoll, usize)>,
    /// The sealed secrets of polls, by the position of the poll; few have any.
    seals: HashMap<usize, String>,
    /// Neighbours that share a spec share a text. Otherwise a text may occur twice. Each with the receiver of its webhook.
    texts: Vec<(Arc<str>, Option<String>)>,
}

impl NewPolls {
    /// Adds a poll; `stored` returns the stored form of its spec.
    pub(super) fn push(
        &mut self,
        poll: StoredPoll,
        stored: impl FnOnce(&StoredPoll) -> Result<StoredSpec, StoreError>,
    ) -> Result<(), StoreError> {
        let shares_last = self.polls.last().is_some_and(|(last, _)| last.spec.shares_with(&poll.spec));
        // Secrets are sealed for each poll.
        let last_has_secrets =
            self.polls.len().checked_sub(1).is_some_and(|last| self.seals.contains_key(&last));
        if !shares_last || last_has_secrets {
            let StoredSpec { text, sealed, receiver } = stored(&poll)?;
            if !shares_last {
                self.texts.push((text, receiver));
            }
            self.seals.extend(sealed.map(|sealed| (self.polls.len(), sealed)));
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
const VALUES: usize = 6;

static INSERT_ROWS: LazyLock<String> = LazyLock::new(|| {
    let rows: Vec<String> = (0..ROWS)
        .map(|row| {
            let values: Vec<String> =
                (0..VALUES).map(|value| format!("?{}", 2 + row * VALUES + value)).collect();
            format!("(?1, {})", values.join(", "))
        })
        .collect();
    let columns = "run, spec, scope, key, url, created_at, first_after";
    format!("INSERT INTO polls ({columns}) VALUES {}", rows.join(", "))
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
    /// How often a process began to run the file.
    begun: i64,
    /// Whether this transaction notes that the file needs its log.
    noted: bool,
    /// The first run of polls that are created now; read once.
    run: Option<i64>,
    /// The ids of specs, by the addresses of their texts, which the changes of the batch keep alive.
    specs: HashMap<*const u8, i64>,
    /// By how many polls the use count of each spec changes.
    uses: HashMap<i64, i64>,
    /// The specs that this transaction inserted.
    new_specs: HashSet<i64>,
    /// The receivers of the webhooks of specs, as far as they were read.
    pub(super) receivers: HashMap<i64, Option<Arc<str>>>,
}

/// What became of a poll that was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finished {
    NotOpen,
    Silently,
    WithWebhook,
}

impl<'c> Batch<'c> {
    /// Begins the changes of a transaction. From its commit on, the file needs its log.
    pub(super) fn begin(
        connection: &'c Connection,
        runner_lock: &'c Weak<RunnerLock>,
    ) -> rusqlite::Result<Self> {
        let mut read = connection.prepare_cached("SELECT begun, needs_log FROM runs")?;
        let row = read.query_row([], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?))).optional()?;
        let (begun, needs_log) = match row {
            Some(row) => row,
            // A damaged file. A later number than any poll has keeps the count of restarts in order.
            None => (
                connection.query_row(
                    "INSERT INTO runs (begun) SELECT coalesce(max(run), 0) FROM polls RETURNING begun",
                    [],
                    |row| row.get(0),
                )?,
                false,
            ),
        };
        if !needs_log {
            connection.prepare_cached("UPDATE runs SET needs_log = 1")?.execute([])?;
        }
        Ok(Self {
            connection,
            runner_lock,
            begun,
            noted: !needs_log,
            run: None,
            specs: HashMap::new(),
            uses: HashMap::new(),
            new_specs: HashSet::new(),
            receivers: HashMap::new(),
        })
    }

    pub(super) const fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Executes a statement that is compiled once; returns how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// How often a process began to run the file.
    pub(super) const fn begun(&self) -> i64 {
        self.begun
    }

    /// Inserts the polls whose names are new.
    pub(super) fn create(&mut self, new: &NewPolls) -> rusqlite::Result<Inserted> {
        let run = self.run();
        let specs = new
            .texts
            .iter()
            .map(|(text, receiver)| self.spec(text, receiver.as_deref()))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let mut inserted = Inserted::default();
        for (polls, begin) in new.polls.chunks(ROWS).zip((0..).step_by(ROWS)) {
            if self.insert_rows(polls, &specs, run)? {
                let last = self.connection.last_insert_rowid();
                let first = last - (ROWS as i64 - 1);
                inserted.add(first, last);
                if !new.seals.is_empty() {
                    for (position, number) in (begin..begin + ROWS).zip(first..) {
                        self.seal(new, position, number)?;
                    }
                }
                continue;
            }
            for ((poll, text), position) in polls.iter().zip(begin..) {
                if self.insert_one(poll, specs[*text], run)? {
                    let number = self.connection.last_insert_rowid();
                    inserted.add(number, number);
                    self.seal(new, position, number)?;
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
            insert.raw_bind_parameter(first + 5, first_after(poll))?;
        }
        match insert.raw_execute() {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_extended_error_code() == Some(SQLITE_CONSTRAINT_UNIQUE) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores the sealed secrets of a new poll, if it has any.
    fn seal(&self, new: &NewPolls, position: usize, poll: i64) -> rusqlite::Result<()> {
        if let Some(sealed) = new.seals.get(&position) {
            self.execute("INSERT INTO seals (poll, sealed) VALUES (?1, ?2)", params![poll, sealed])?;
        }
        Ok(())
    }

    /// Returns whether the poll was new.
    fn insert_one(&self, poll: &StoredPoll, spec: i64, run: i64) -> rusqlite::Result<bool> {
        let sql = "INSERT INTO polls (run, spec, scope, key, url, created_at, first_after) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (scope, key) DO NOTHING";
        let (scope, key, url) = (poll.key.scope(), poll.key.key(), poll.spec.url_text());
        let (at, first_after) = (micros(poll.created_at), first_after(poll));
        Ok(self.execute(sql, params![run, spec, scope, key, url, at, first_after])? > 0)
    }

    /// Ends an open poll, and adds the delivery of its webhook if it has one.
    pub(super) fn finish(&mut self, target: &Target, outcome: &SavedOutcome) -> rusqlite::Result<Finished> {
        const SET: &str =
            "UPDATE polls SET ended_at = ?1, ending = ?2, requests = ?3, restarts = ?4, cancelling = 0";
        let SavedOutcome { at, name, requests, restarts, text } = outcome;
        let at = micros(*at);
        let ids = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let which = match target {
            Target::Key(_) => "scope = ?5 AND key = ?6",
            Target::Id(_) => "id = ?5",
        };
        let mut end = self
            .connection
            .prepare_cached(&format!("{SET} WHERE {which} AND ended_at IS NULL RETURNING id, spec"))?;
        let open = match target {
            Target::Key(key) => {
                end.query_row(params![at, name, requests, restarts, key.scope(), key.key()], ids)
            }
            Target::Id(row) => end.query_row(params![at, name, requests, restarts, row], ids),
        };
        let Some((poll, spec)) = open.optional()? else { return Ok(Finished::NotOpen) };
        // In a damaged or crafted file an open poll may have a row of an outcome; it must not keep the poll from ending.
        self.execute("INSERT OR REPLACE INTO outcomes (poll, outcome) VALUES (?1, ?2)", params![poll, text])?;
        self.execute("DELETE FROM attempts WHERE poll = ?1", [poll])?;
        self.execute("DELETE FROM followed WHERE poll = ?1", [poll])?;
        Ok(if self.deliver(poll, spec, at)? { Finished::WithWebhook } else { Finished::Silently })
    }

    /// The key of callbacks: `new` if there is none.
    pub(super) fn callback_key(&self, new: &CallbackKey) -> rusqlite::Result<CallbackKey> {
        self.execute("UPDATE runs SET callback_key = ?1 WHERE callback_key IS NULL", [new])?;
        self.connection.query_row("SELECT callback_key FROM runs", [], |row| row.get(0))
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
            self.delete_rest(poll, spec)?;
        }
        Ok(deleted.is_some())
    }

    fn delete_rest(&mut self, poll: i64, spec: i64) -> rusqlite::Result<()> {
        self.execute("DELETE FROM outcomes WHERE poll = ?1", [poll])?;
        self.execute("DELETE FROM seals WHERE poll = ?1", [poll])?;
        self.execute("DELETE FROM outbox WHERE poll = ?1", [poll])?;
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
             (SELECT id FROM polls WHERE ended_at IS NOT NULL AND ended_at < ?1 \
             AND NOT EXISTS (SELECT 1 FROM outbox WHERE poll = polls.id AND due IS NOT NULL) ORDER BY ended_at LIMIT ?2) \
             RETURNING id, spec",
        )?;
        let removed = delete
            .query_map(params![since, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for (poll, spec) in &removed {
            self.delete_rest(*poll, *spec)?;
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

    /// Keeps the URL that an open poll asks from now on. Returns whether the poll was open.
    pub(super) fn follow(&self, key: &PollKey, url: &str) -> rusqlite::Result<bool> {
        let sql = "INSERT OR REPLACE INTO followed (poll, url) \
             SELECT id, ?3 FROM polls WHERE scope = ?1 AND key = ?2 AND ended_at IS NULL";
        Ok(self.execute(sql, params![key.scope(), key.key(), url])? > 0)
    }

    /// Returns whether the poll was open.
    pub(super) fn request_cancel(&self, key: &PollKey) -> rusqlite::Result<bool> {
        let sql = "UPDATE polls SET cancelling = 1 WHERE scope = ?1 AND key = ?2 AND ended_at IS NULL";
        Ok(self.execute(sql, params![key.scope(), key.key()])? > 0)
    }

    /// Begins a run under this lock. Returns its number, and whether the last runner may be alive: it has not closed the
    /// file, and its lock was another one.
    pub(super) fn begin_run(&mut self, lock: &str) -> rusqlite::Result<(i64, bool)> {
        let before: Option<String> =
            self.connection.query_row("SELECT lock FROM runs", [], |row| row.get(0))?;
        self.connection.execute("UPDATE runs SET begun = begun + 1, lock = ?1", [lock])?;
        self.begun += 1;
        self.run = None;
        let unclosed = !self.noted;
        Ok((self.begun, unclosed && before.is_some_and(|before| before != lock)))
    }

    /// Updates the use counts of specs, the last step before the commit. Returns whether the file has not needed its log
    /// before.
    pub(super) fn complete(self) -> rusqlite::Result<bool> {
        let mut count = self
            .connection
            .prepare_cached("UPDATE specs SET polls = polls + ?2 WHERE id = ?1 RETURNING polls")?;
        for (spec, more) in self.uses {
            // Without a change, a transaction of polls that exist already writes nothing and needs no sync.
            if more == 0 && !self.new_specs.contains(&spec) {
                continue;
            }
            let polls: i64 = count.query_row([spec, more], |row| row.get(0))?;
            if polls == 0 {
                self.connection.prepare_cached("DELETE FROM specs WHERE id = ?1")?.execute([spec])?;
            }
        }
        Ok(self.noted)
    }

    /// The first run of a poll that is created now.
    fn run(&mut self) -> i64 {
        if let Some(run) = self.run {
            return run;
        }
        // If the lock cannot be read, the file counts as not run.
        let is_run = self.runner_lock.upgrade().is_some_and(|lock| matches!(lock.runner(), Ok(Some(_))));
        let run = if is_run { self.begun } else { self.begun + 1 };
        self.run = Some(run);
        run
    }

    /// The id of this spec, which is inserted if it is new.
    fn spec(&mut self, text: &Arc<str>, receiver: Option<&str>) -> rusqlite::Result<i64> {
        if let Some(number) = self.specs.get(&text.as_ptr()) {
            return Ok(*number);
        }
        let mut find = self.connection.prepare_cached("SELECT id FROM specs WHERE text = ?1")?;
        let number = match find.query_row([text], |row| row.get(0)).optional()? {
            Some(number) => number,
            None => {
                let mut insert = self
                    .connection
                    .prepare_cached("INSERT INTO specs (text, polls, webhook) VALUES (?1, 0, ?2)")?;
                let number = insert.insert(params![text, receiver])?;
                self.new_specs.insert(number);
                number
            }
        };
        self.specs.insert(text.as_ptr(), number);
        Ok(number)
    }
}

fn first_after(poll: &StoredPoll) -> i64 {
    i64::try_from(poll.first_after.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn micros(time: Timestamp) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
