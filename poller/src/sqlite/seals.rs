//! Sealing secrets anew: for the polls of a file of an earlier format, and when keys change.
//!
//! Up to format 4, a secret was sealed in the text of a spec and opened in any poll. A file is converted when it is opened with
//! the key, in one transaction, and never again: later such a secret could be one that was copied out of an old backup.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::SqliteStore;
use super::batch::Batch;
use crate::job::read_unbound;
use crate::key::PollKey;
use crate::seal::{Binding, SealKey, has_unbound, key_of};
use crate::secret::SecretError;
use crate::store::StoreError;

/// The polls whose secrets one transaction seals anew: other calls wait some milliseconds for it.
const PAGE: i64 = 500;

/// What [`SqliteStore::reseal`] has done.
///
/// ```
/// use poller::{SealKey, SqliteStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = std::env::temp_dir().join(format!("poller-doc-reseal-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// let (new, old) = (SealKey::parse(&"1".repeat(64))?, SealKey::parse(&"2".repeat(64))?);
/// let store = SqliteStore::open_sealed(folder.join("polls.db"), Some(new.with_old(old)))?;
/// let resealed = store.reseal().await?;
/// assert!(resealed.changed == 0 && resealed.other_keys.is_empty());
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resealed {
    /// Polls whose secrets were sealed with a former key and are now sealed with the present one.
    pub changed: usize,
    /// Polls whose secrets were sealed with the present key already.
    pub kept: usize,
    /// Polls whose secrets cannot be opened although their key is there: they are damaged, or those of another poll.
    pub broken: usize,
    /// The ids of other keys, and how many polls are sealed with each.
    pub other_keys: BTreeMap<String, usize>,
}

impl SqliteStore {
    /// Seals all secrets that a [former key](SealKey::with_old) has sealed with the present one; then the former one is needed no
    /// more. Works beside the process that runs the file. Takes time in proportion to the polls with secrets.
    ///
    /// # Errors
    /// If the store has no seal key, or cannot be written. What was sealed until then stays sealed with the present key, and the
    /// next call goes on.
    pub async fn reseal(&self) -> Result<Resealed, StoreError> {
        let Some(key) = self.inner.seal_key.clone() else {
            return Err(StoreError::new("there is no key to seal with; give the store its seal key"));
        };
        let (mut resealed, mut after) = (Resealed::default(), 0);
        loop {
            let (key, before) = (key.clone(), resealed);
            let page = self.inner.write(1, move |batch| batch.reseal(after, &key, before.clone())).await?;
            let last;
            (resealed, last) = page.map_err(|error| StoreError::new(error.to_string()))?;
            match last {
                Some(last) => after = last,
                None => return Ok(resealed),
            }
        }
    }
}

/// What was done so far, and the poll to go on after; `None` if this is the end.
type Page = (Resealed, Option<i64>);

impl Batch<'_> {
    /// Seals the secrets of some polls anew, from the one after `after` on.
    fn reseal(
        &self,
        after: i64,
        key: &SealKey,
        mut resealed: Resealed,
    ) -> rusqlite::Result<Result<Page, SecretError>> {
        let mut read = self.connection().prepare_cached(
            "SELECT seals.poll, sealed, scope, key, url, text FROM seals JOIN polls ON polls.id = seals.poll \
             JOIN specs ON specs.id = spec WHERE seals.poll > ?1 ORDER BY seals.poll LIMIT ?2",
        )?;
        let mut write = self.connection().prepare_cached("UPDATE seals SET sealed = ?2 WHERE poll = ?1")?;
        let mut last = None;
        let mut rows = read.query(params![after, PAGE])?;
        while let Some(row) = rows.next()? {
            let text = |column: usize| row.get_ref(column).map(|value| value.as_str().unwrap_or_default());
            let (poll, sealed) = (row.get(0)?, text(1)?);
            last = Some(poll);
            match key_of(Some(sealed), "") {
                None => resealed.broken += 1,
                Some(id) if id == key.id() => resealed.kept += 1,
                Some(id) if !key.has(id) => *resealed.other_keys.entry(id.to_owned()).or_default() += 1,
                Some(_) => {
                    let name = PollKey::new(text(2)?, text(3)?);
                    let to = Binding { poll: &name, url: text(4)?, text: text(5)? };
                    match key.open(sealed, to) {
                        Err(_) => resealed.broken += 1,
                        Ok(secrets) => match key.seal(&secrets, to) {
                            Err(error) => return Ok(Err(error)),
                            Ok(sealed) => {
                                write.execute(params![poll, sealed])?;
                                resealed.changed += 1;
                            }
                        },
                    }
                }
            }
        }
        Ok(Ok((resealed, last)))
    }
}

/// Seals the secrets that an earlier format has sealed in specs for each poll that has them, as far as they can be opened. Does
/// nothing to a file that has none.
pub(super) fn bind(connection: &mut Connection, key: &SealKey) -> rusqlite::Result<()> {
    let is_unbound = |connection: &Connection| {
        connection.query_row("SELECT max(unbound) FROM runs", [], |row| row.get::<_, Option<bool>>(0))
    };
    // A damaged file may have no such table; its readers say so.
    if !matches!(is_unbound(connection), Ok(Some(true))) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it meanwhile.
    if is_unbound(&transaction)? != Some(true) {
        return Ok(());
    }
    let mut left = false;
    let specs: Vec<(i64, String)> = transaction
        .prepare("SELECT id, text FROM specs WHERE instr(text, '\"$sealed\":\"v1.')")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (spec, text) in specs.into_iter().filter(|(_, text)| has_unbound(text)) {
        if !key_of(None, &text).is_some_and(|id| key.has(id)) {
            left = true;
            continue;
        }
        bind_spec(&transaction, spec, &text, key)?;
    }
    transaction.execute("UPDATE runs SET unbound = ?1", [left])?;
    transaction.commit()
}

fn bind_spec(connection: &Connection, spec: i64, text: &str, key: &SealKey) -> rusqlite::Result<()> {
    let mut of_spec = connection.prepare("SELECT id, scope, key, url FROM polls WHERE spec = ?1")?;
    let mut polls = of_spec.query([spec])?;
    while let Some(row) = polls.next()? {
        let column = |column: usize| row.get_ref(column).map(|value| value.as_str().unwrap_or_default());
        let (poll, name, url): (i64, _, _) = (row.get(0)?, PollKey::new(column(1)?, column(2)?), column(3)?);
        // What cannot be read stays as it is: the next read of the poll reports it.
        let Ok(stored) = read_unbound(url, text, key).and_then(|read| {
            read.to_stored(&name, Some(key))
                .map_err(|error| vec![filter::Diagnostic::error(error.to_string())].into())
        }) else {
            continue;
        };
        let known = connection
            .query_row("SELECT id FROM specs WHERE text = ?1", [&stored.text], |row| row.get(0))
            .optional()?;
        let new: i64 = match known {
            Some(id) => id,
            None => {
                connection.execute("INSERT INTO specs (text, polls) VALUES (?1, 0)", [&stored.text])?;
                connection.last_insert_rowid()
            }
        };
        connection.execute("UPDATE polls SET spec = ?2 WHERE id = ?1", params![poll, new])?;
        connection.execute(
            "INSERT OR REPLACE INTO seals (poll, sealed) VALUES (?1, ?2)",
            params![poll, stored.sealed.unwrap_or_default()],
        )?;
        connection.execute("UPDATE specs SET polls = polls + 1 WHERE id = ?1", [new])?;
        connection.execute("UPDATE specs SET polls = polls - 1 WHERE id = ?1", [spec])?;
    }
    connection.execute("DELETE FROM specs WHERE id = ?1 AND polls <= 0", [spec])?;
    Ok(())
}
