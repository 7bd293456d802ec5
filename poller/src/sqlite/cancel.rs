//! Cancelling open polls of a file that no process runs, in one transaction: those that are named, and those that are selected.

use rusqlite::{CachedStatement, OptionalExtension as _, Row, params, params_from_iter};

use super::batch::{Batch, SavedOutcome, micros};
use super::conditions::Conditions;
use super::rows::{ending, lossy, restarts, timestamp};
use crate::clock::Timestamp;
use crate::key::{PollKey, PollKeys};
use crate::outcome::OutcomeKind;
use crate::store::{Ending, Selection, outcome_without_request};

/// How many polls are read before they are changed: a statement that reads what is changed meanwhile may miss some.
const PAGE: usize = 4096;

/// The name of the outcome.
const CANCELLED: &str = "cancelled";

/// What the outcome of an open poll follows from.
struct Open {
    id: i64,
    spec: i64,
    created_at: Timestamp,
    restarts: u32,
}

impl Open {
    /// The columns that [`read`](Self::read) reads.
    const COLUMNS: &str = "id, spec, created_at, run, restarts";

    fn read(row: &Row<'_>, begun: i64) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            spec: row.get(1)?,
            created_at: timestamp(row.get(2)?),
            restarts: restarts(row.get(4)?, row.get(3)?, begun, true),
        })
    }
}

impl Batch<'_> {
    /// Cancels the polls of these names; returns how each has ended, `None` for one that is not there.
    pub(super) fn cancel_named(
        &mut self,
        keys: &[PollKey],
        now: Timestamp,
    ) -> rusqlite::Result<Vec<Option<Ending>>> {
        let mut find = self.connection().prepare_cached(&format!(
            "SELECT {}, ended_at, ending, requests FROM polls WHERE scope = ?1 AND key = ?2",
            Open::COLUMNS
        ))?;
        let begun = self.begun();
        let read = |row: &Row<'_>| match ending(row, 5)? {
            Some(ending) => Ok(Ok(ending)),
            None => Open::read(row, begun).map(Err),
        };
        let mut cancelling = Cancelling::new(self, now)?;
        let mut endings = Vec::with_capacity(keys.len());
        for key in keys {
            let found = find.query_row(params![key.scope(), key.key()], read).optional()?;
            endings.push(match found {
                None => None,
                Some(Ok(ending)) => Some(ending),
                Some(Err(open)) => {
                    cancelling.end(self, &open)?;
                    Some(Ending::new(now, CANCELLED, 0))
                }
            });
        }
        Ok(endings)
    }

    /// Cancels the selected polls that are open; returns their names.
    pub(super) fn cancel_selected(
        &mut self,
        selection: &Selection,
        now: Timestamp,
    ) -> rusqlite::Result<PollKeys> {
        let begun = self.begun();
        let mut cancelling = Cancelling::new(self, now)?;
        let mut keys = PollKeys::new();
        let mut after = i64::MIN;
        loop {
            let mut conditions = Conditions::new(selection);
            conditions.add(after, |after| format!("id > {after}"));
            // By row id: by the index of names, each page would sort all polls of the scope.
            let mut select = self.connection().prepare_cached(&format!(
                "SELECT {}, scope, key FROM polls NOT INDEXED WHERE ended_at IS NULL AND {} ORDER BY id LIMIT {PAGE}",
                Open::COLUMNS,
                conditions.text()
            ))?;
            let read = |row: &Row<'_>| {
                keys.push(&PollKey::new(lossy(row, 5)?, lossy(row, 6)?));
                Open::read(row, begun)
            };
            let found = select.query_map(params_from_iter(conditions.values), read)?;
            let found: Vec<Open> = found.collect::<rusqlite::Result<_>>()?;
            for open in &found {
                cancelling.end(self, open)?;
            }
            match found.last() {
                Some(last) if found.len() == PAGE => after = last.id,
                _ => return Ok(keys),
            }
        }
    }
}

/// The statements that end a poll, prepared once for all.
struct Cancelling<'c> {
    now: Timestamp,
    update: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    /// What only open polls have.
    deletes: [CachedStatement<'c>; 2],
    /// The last outcome: polls that were submitted together have the same.
    last: Option<(Timestamp, u32, String)>,
}

impl<'c> Cancelling<'c> {
    fn new(batch: &Batch<'c>, now: Timestamp) -> rusqlite::Result<Self> {
        let prepare = |sql| batch.connection().prepare_cached(sql);
        Ok(Self {
            now,
            update: prepare(
                "UPDATE polls SET ended_at = ?2, ending = ?3, requests = 0, restarts = ?4, cancelling = 0 WHERE id = ?1",
            )?,
            // As for any end, a row that is there already must not keep the poll from ending.
            insert: prepare("INSERT OR REPLACE INTO outcomes (poll, outcome) VALUES (?1, ?2)")?,
            deletes: [
                prepare("DELETE FROM attempts WHERE poll = ?1")?,
                prepare("DELETE FROM followed WHERE poll = ?1")?,
            ],
            last: None,
        })
    }

    fn end(&mut self, batch: &mut Batch<'c>, open: &Open) -> rusqlite::Result<()> {
        let Open { id, spec, created_at, restarts } = *open;
        let text = match self.last.take() {
            Some((at, count, text)) if at == created_at && count == restarts => text,
            _ => {
                let outcome = outcome_without_request(OutcomeKind::Cancelled, created_at, self.now, restarts);
                let saved = SavedOutcome::new(&outcome);
                saved.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?.text
            }
        };
        let at = micros(self.now);
        self.update.execute(params![id, at, CANCELLED, restarts])?;
        self.insert.execute(params![id, text])?;
        for delete in &mut self.deletes {
            delete.execute([id])?;
        }
        batch.deliver(id, spec, at)?;
        self.last = Some((created_at, restarts, text));
        Ok(())
    }
}
