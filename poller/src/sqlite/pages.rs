//! The list of polls in pages, each read in a snapshot of its own: a reader that is slow keeps no log from being written back.
//!
//! ```text
//! open polls ──► finished polls, without those that were open when their page was read
//! ```
//!
//! Both walks go by row id, which never changes, so a poll is missed by neither because others change.

use futures_core::Stream;
use futures_util::stream::try_unfold;
use rusqlite::{Connection, params_from_iter};

use super::SqliteStore;
use super::admin::{place_of, read_with_id, statement_with};
use super::conditions::Conditions;
use super::rows::ReadError;
use crate::job::StoredSpecs;
use crate::store::{Selection, StoreError, Summary};

/// The number of polls in a page.
const PAGE: usize = 4096;

/// Where a walk through the list is.
struct Walk {
    selection: Selection,
    /// Whether the open polls are done.
    finished: bool,
    /// The last row.
    after: i64,
    /// The rows of the open polls, in their order: one that has ended meanwhile is not listed again.
    open: Vec<i64>,
    /// The number of these that the walk through the finished ones has passed.
    passed: usize,
}

impl SqliteStore {
    /// The selected polls in pages.
    pub(super) fn walk(
        &self,
        selection: Selection,
    ) -> impl Stream<Item = Result<Vec<Summary>, StoreError>> + Send + '_ {
        let walk = Walk { selection, finished: false, after: i64::MIN, open: Vec::new(), passed: 0 };
        try_unfold(walk, move |mut walk| async move {
            if let Some(after) = walk.selection.after.take() {
                let key = after.clone();
                let place = self.inner.reader.run(move |file| Ok(place_of(file.connection, &key)?)).await?;
                (walk.finished, walk.after) = place.ok_or_else(|| StoreError::not_found(&after))?;
            }
            if walk.selection.limit == 0 {
                return Ok(None);
            }
            let next = self.inner.reader.run(move |file| {
                let page = walk.next(file.connection)?;
                Ok(page.map(|page| (page, walk)))
            });
            next.await
        })
    }
}

impl Walk {
    /// The next page; `None` at the end.
    fn next(&mut self, connection: &Connection) -> Result<Option<Vec<Summary>>, ReadError> {
        while self.selection.limit > 0 {
            let most = self.selection.limit.min(PAGE);
            let mut found = self.rows(connection, most)?;
            let is_last = found.len() < most;
            if let Some((_, last)) = found.last() {
                self.after = *last;
            }
            if self.finished {
                found.retain(|(_, id)| !self.was_open(*id));
            } else {
                self.open.extend(found.iter().map(|(_, id)| *id));
            }
            self.selection.limit -= found.len();
            match (is_last, self.finished) {
                (false, _) => {}
                (true, true) => self.selection.limit = 0,
                (true, false) => (self.finished, self.after) = (true, i64::MIN),
            }
            if !found.is_empty() {
                return Ok(Some(found.into_iter().map(|(poll, _)| poll).collect()));
            }
        }
        Ok(None)
    }

    /// Whether the poll of this row was listed among the open ones. Asked in the order of rows.
    fn was_open(&mut self, id: i64) -> bool {
        self.passed += self.open[self.passed..].iter().take_while(|open| **open < id).count();
        self.open.get(self.passed) == Some(&id)
    }

    fn rows(&self, connection: &Connection, most: usize) -> Result<Vec<(Summary, i64)>, ReadError> {
        let mut conditions = Conditions::new(&self.selection);
        conditions.add(self.after, |after| format!("polls.id > {after}"));
        // By row id: by the index of names, each page would sort all polls of the scope. An index may be damaged, too.
        let is = if self.finished { "IS NOT" } else { "IS" };
        let mut statement = connection.prepare_cached(&format!(
            "{} WHERE {} AND ended_at {is} NULL ORDER BY polls.id LIMIT {most}",
            statement_with(connection, ", polls.id", "polls NOT INDEXED")?,
            conditions.text()
        ))?;
        let mut specs = StoredSpecs::without_key();
        let found =
            statement.query_map(params_from_iter(conditions.values), |row| read_with_id(row, &mut specs))?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }
}
