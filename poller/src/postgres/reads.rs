//! Reading polls from rows.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::database::{Fault, Tx, params};
use super::shards::Known;
use super::writes::Names;
use super::{Inner, duration, or_zero, timestamp};
use crate::clock::Timestamp;
use crate::job::{PollSpec, StoredSpecs};
use crate::key::PollKey;
use crate::lock::lock;
use crate::outcome::Outcome;
use crate::store::{StoreError, StoredPoll, unreadable};

/// The columns of an open poll, of `poll.open o`.
pub(super) const OPEN: &str = "SELECT o.shard, o.scope, o.key, o.incarnation, o.created, o.spec, o.url, \
     greatest(s.run - o.run, 0), f.url, NULL::text, o.first_after \
     FROM poll.open o JOIN poll.shard s ON s.id = o.shard \
     LEFT JOIN poll.followed f ON f.shard = o.shard AND f.scope = o.scope AND f.key = o.key \
     AND f.incarnation = o.incarnation";

/// The same columns of a finished poll that is not removed, of `poll.done d`.
pub(super) const DONE: &str = "SELECT d.shard, d.scope, d.key, d.incarnation, d.created, d.spec, d.url, \
     d.restarts, NULL::text, d.outcome, 0::int8 \
     FROM poll.done d WHERE d.ended >= (SELECT horizon FROM poll.meta)";

/// A row before its spec and its outcome are read.
pub(super) struct Raw<'r> {
    pub(super) shard: i32,
    pub(super) key: PollKey,
    pub(super) incarnation: i64,
    pub(super) created_at: Timestamp,
    pub(super) first_after: Duration,
    pub(super) spec: i64,
    pub(super) url: Option<&'r str>,
    pub(super) restarts: u32,
    pub(super) followed: Option<Arc<str>>,
    pub(super) outcome: Option<&'r str>,
}

impl<'r> Raw<'r> {
    pub(super) fn new(row: &'r Row) -> Self {
        Self {
            shard: row.get(0),
            key: PollKey::new(row.get::<_, &str>(1), row.get::<_, &str>(2)),
            incarnation: row.get(3),
            created_at: timestamp(row.get(4)),
            first_after: duration(row.get(10)),
            spec: row.get(5),
            url: row.get(6),
            restarts: or_zero(row.get::<_, i32>(7)),
            followed: row.get::<_, Option<&str>>(8).map(Into::into),
            outcome: row.get(9),
        }
    }
}

/// Whether PostgreSQL can store this name.
pub(super) fn is_storable(key: &PollKey) -> bool {
    !key.scope().contains('\0') && !key.key().contains('\0')
}

/// Open polls with their shards, before this process has noted that it runs them.
#[derive(Debug, Default)]
pub(super) struct ReadPolls {
    pub(super) polls: Vec<(i32, Known, StoredPoll)>,
    pub(super) unreadable: Vec<(PollKey, Known, Outcome)>,
}

/// A page of open polls.
#[derive(Default)]
pub(super) struct Page {
    pub(super) polls: Vec<StoredPoll>,
    pub(super) unreadable: Vec<(PollKey, Known, Outcome)>,
}

/// The texts of specs, and URLs that stand beside them, by id.
pub(super) type Texts = HashMap<i64, (String, Option<String>)>;

impl Inner {
    /// The poll of that name.
    pub(super) async fn find(&self, tx: &Tx<Object>, key: &PollKey) -> Result<Option<StoredPoll>, Fault> {
        if !is_storable(key) {
            return Ok(None);
        }
        let (shard, scope, name) = (self.shard_of(key), key.scope(), key.key());
        let params = params![shard, scope, name];
        // In this order: a poll that ends between the two statements is found by the second.
        let open = format!("{OPEN} WHERE o.shard = $1 AND o.scope = $2 AND o.key = $3");
        let mut row = tx.first(&open, &params).await?;
        if row.is_none() {
            let done = format!("{DONE} AND d.shard = $1 AND d.scope = $2 AND d.key = $3 LIMIT 1");
            row = tx.first(&done, &params).await?;
        }
        let Some(row) = row else { return Ok(None) };
        let raw = Raw::new(&row);
        let texts = self.texts(tx, std::slice::from_ref(&raw)).await?;
        Ok(Some(self.poll(raw, &texts)?))
    }

    /// All polls, oldest first.
    pub(super) async fn all(&self, tx: &Tx<Object>) -> Result<Vec<StoredPoll>, Fault> {
        // Columns by position: 5 is created, 2 and 3 are the name.
        let rows = tx.query(&format!("{OPEN} UNION ALL {DONE} ORDER BY 5, 2, 3"), &[]).await?;
        let raws: Vec<Raw<'_>> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(tx, &raws).await?;
        raws.into_iter().map(|raw| Ok(self.poll(raw, &texts)?)).collect()
    }

    /// The polls of open rows, unreadable ones included.
    pub(super) fn read<'r>(&self, raws: impl Iterator<Item = Raw<'r>>, texts: &Texts) -> ReadPolls {
        let mut read = ReadPolls { polls: Vec::with_capacity(raws.size_hint().0), ..ReadPolls::default() };
        // Only the thread of the store locks it, so no other thread waits while outcomes are read.
        let mut specs = lock(&self.stored_specs);
        for raw in raws {
            let Raw { shard, incarnation, created_at, restarts, .. } = raw;
            let key = raw.key.clone();
            // Attempts may have been stored by the process that ran it before.
            let known = Known { incarnation, has_extras: true, has_webhook: true };
            match poll_of(&mut specs, raw, texts) {
                Ok(poll) => {
                    let known = Known { has_webhook: poll.spec.outline().webhook, ..known };
                    read.polls.push((shard, known, poll));
                }
                Err(problem) => {
                    let outcome = unreadable(created_at, restarts, problem.to_string());
                    read.unreadable.push((key, known, outcome));
                }
            }
        }
        read
    }

    /// Notes the polls that this process runs, and returns them: a shard may have been given up since it was read.
    pub(super) fn note_read(&self, read: ReadPolls) -> Page {
        let mut shards = self.shards();
        let polls = read.polls.into_iter();
        let polls = polls
            .filter_map(|(shard, known, poll)| shards.add(shard, poll.key.clone(), known).then_some(poll));
        Page { polls: polls.collect(), unreadable: read.unreadable }
    }

    /// Open polls by their names and incarnations.
    pub(super) async fn open_of(&self, tx: &Tx<Object>, keys: &[(PollKey, i64)]) -> Result<Page, Fault> {
        let names: Names<'_> = keys.iter().map(|(key, _)| (self.shard_of(key), key)).collect();
        let incarnations: Vec<i64> = keys.iter().map(|(_, incarnation)| *incarnation).collect();
        let sql = format!(
            "{OPEN} JOIN unnest($1::int4[], $2::text[], $3::text[], $4::int8[]) AS n (shard, scope, key, incarnation) \
             ON o.shard = n.shard AND o.scope = n.scope AND o.key = n.key AND o.incarnation = n.incarnation"
        );
        let rows = tx.query(&sql, &names.with_incarnations(&incarnations)).await?;
        let raws: Vec<Raw<'_>> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(tx, &raws).await?;
        Ok(self.note_read(self.read(raws.into_iter(), &texts)))
    }

    /// The texts of the specs of these rows. Those of known specs too: a page of many kinds may push them out of the cache.
    pub(super) async fn texts(&self, tx: &Tx<Object>, raws: &[Raw<'_>]) -> Result<Texts, Fault> {
        spec_texts(tx, raws.iter().map(|raw| raw.spec).collect()).await
    }

    /// The poll of a row, or why it cannot be read.
    pub(super) fn poll(&self, raw: Raw<'_>, texts: &Texts) -> Result<StoredPoll, StoreError> {
        poll_of(&mut lock(&self.stored_specs), raw, texts)
    }
}

fn poll_of(specs: &mut StoredSpecs, raw: Raw<'_>, texts: &Texts) -> Result<StoredPoll, StoreError> {
    let problem = |what: &str, problem: &dyn fmt::Display| {
        StoreError::new(format!("the {what} of the poll {} cannot be read: {problem}", raw.key))
    };
    let spec = read_spec(specs, raw.spec, raw.url, texts).map_err(|error| problem("spec", &error))?;
    let outcome = raw.outcome.map(serde_json::from_str::<Outcome>).transpose();
    let outcome = outcome.map_err(|error| problem("outcome", &error))?.map(Arc::new);
    let Raw { key, created_at, first_after, restarts, followed, .. } = raw;
    Ok(StoredPoll { key, spec, created_at, first_after, restarts, followed, outcome })
}

/// The texts of specs by their ids.
pub(super) async fn spec_texts(tx: &Tx<Object>, mut ids: Vec<i64>) -> Result<Texts, Fault> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Texts::new());
    }
    let sql = "SELECT id, text, url FROM poll.specs WHERE id = ANY($1)";
    let rows = tx.query(sql, &params![ids]).await?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

/// The spec of a row.
pub(super) fn read_spec(
    specs: &mut StoredSpecs,
    id: i64,
    url: Option<&str>,
    texts: &Texts,
) -> Result<PollSpec, String> {
    if let Some(url) = url
        && let Some(known) = specs.get(id, url)
    {
        return known.map_err(|error| error.to_string());
    }
    let (text, own) = texts.get(&id).ok_or_else(|| "it is missing".to_owned())?;
    let url = url.or(own.as_deref()).ok_or_else(|| "its URL is missing".to_owned())?;
    match specs.get(id, url) {
        Some(known) => known,
        None => specs.read(id, url, text),
    }
    .map_err(|error| error.to_string())
}
