//! Reading polls from rows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::database::{Fault, Tx};
use super::shards::{Known, shard_of};
use super::{Inner, timestamp};
use crate::clock::Timestamp;
use crate::job::{PollSpec, StoredSpecs};
use crate::key::PollKey;
use crate::outcome::{FailureReason, Outcome, OutcomeKind};
use crate::store::{StoreError, StoredPoll, outcome_without_request};

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
pub(super) struct Raw {
    shard: i32,
    key: PollKey,
    pub(super) incarnation: i64,
    created_at: Timestamp,
    first_after: Duration,
    spec: i64,
    url: Option<String>,
    restarts: u32,
    followed: Option<Arc<str>>,
    outcome: Option<String>,
}

impl Raw {
    pub(super) fn new(row: &Row) -> Self {
        Self {
            shard: row.get(0),
            key: PollKey::new(row.get::<_, &str>(1), row.get::<_, &str>(2)),
            incarnation: row.get(3),
            created_at: timestamp(row.get(4)),
            first_after: Duration::from_micros(u64::try_from(row.get::<_, i64>(10)).unwrap_or(0)),
            spec: row.get(5),
            url: row.get(6),
            restarts: u32::try_from(row.get::<_, i32>(7)).unwrap_or(0),
            followed: row.get::<_, Option<&str>>(8).map(Into::into),
            outcome: row.get(9),
        }
    }
}

/// The outcome of an open poll that cannot be read.
pub(super) fn unreadable(created_at: Timestamp, restarts: u32, explanation: String) -> Outcome {
    let kind = OutcomeKind::Failed { reason: FailureReason::Unreadable, response: None, explanation };
    outcome_without_request(kind, created_at, created_at, restarts)
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
        if key.scope().contains('\0') || key.key().contains('\0') {
            return Ok(None);
        }
        let shard = shard_of(key, self.shard_count);
        let (scope, name) = (key.scope(), key.key());
        let params = [(&shard as _, Type::INT4), (&scope as _, Type::TEXT), (&name as _, Type::TEXT)];
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
        self.poll(raw, &texts).map(Some).map_err(|(_, problem)| Fault::Store(StoreError::new(problem)))
    }

    /// All polls, oldest first.
    pub(super) async fn all(&self, tx: &Tx<Object>) -> Result<Vec<StoredPoll>, Fault> {
        // Columns by position: 5 is created, 2 and 3 are the name.
        let rows = tx.query(&format!("{OPEN} UNION ALL {DONE} ORDER BY 5, 2, 3"), &[]).await?;
        let raws: Vec<Raw> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(tx, &raws).await?;
        raws.into_iter()
            .map(|raw| self.poll(raw, &texts).map_err(|(_, problem)| Fault::Store(StoreError::new(problem))))
            .collect()
    }

    /// Polls that this process runs, unreadable ones included.
    fn page(&self, raws: Vec<Raw>, texts: &Texts) -> Page {
        let mut page = Page::default();
        for raw in raws {
            let (shard, key) = (raw.shard, raw.key.clone());
            // Attempts may have been stored by the process that ran it before.
            let known = Known { incarnation: raw.incarnation, has_extras: true, has_webhook: true };
            match self.poll(raw, texts) {
                // The shard may have been given up since it was read.
                Ok(poll) => {
                    let known = Known { has_webhook: poll.spec.on_outcome().is_some(), ..known };
                    if self.shards().add(shard, key, known) {
                        page.polls.push(poll);
                    }
                }
                Err((raw, problem)) => {
                    let outcome = unreadable(raw.created_at, raw.restarts, problem);
                    page.unreadable.push((key, known, outcome));
                }
            }
        }
        page
    }

    /// Open polls by their names and incarnations.
    pub(super) async fn open_of(&self, tx: &Tx<Object>, keys: &[(PollKey, i64)]) -> Result<Page, Fault> {
        let mut names = super::writes::Names::default();
        for (key, _) in keys {
            names.push(shard_of(key, self.shard_count), key);
        }
        let incarnations: Vec<i64> = keys.iter().map(|(_, incarnation)| *incarnation).collect();
        let sql = format!(
            "{OPEN} JOIN unnest($1::int4[], $2::text[], $3::text[], $4::int8[]) AS n (shard, scope, key, incarnation) \
             ON o.shard = n.shard AND o.scope = n.scope AND o.key = n.key AND o.incarnation = n.incarnation"
        );
        let rows = tx
            .query(
                &sql,
                &[
                    (&names.shards, Type::INT4_ARRAY),
                    (&names.scopes, Type::TEXT_ARRAY),
                    (&names.keys, Type::TEXT_ARRAY),
                    (&incarnations, Type::INT8_ARRAY),
                ],
            )
            .await?;
        let raws: Vec<Raw> = rows.iter().map(Raw::new).collect();
        let texts = self.texts(tx, &raws).await?;
        Ok(self.page(raws, &texts))
    }

    /// The texts of the specs of these rows. Those of known specs too: a page of many kinds may push them out of the cache.
    pub(super) async fn texts(&self, tx: &Tx<Object>, raws: &[Raw]) -> Result<Texts, Fault> {
        let mut ids: Vec<i64> = raws.iter().map(|raw| raw.spec).collect();
        ids.sort_unstable();
        ids.dedup();
        spec_texts(tx, &ids).await
    }

    pub(super) fn poll(&self, raw: Raw, texts: &Texts) -> Result<StoredPoll, (Box<Raw>, String)> {
        let spec = {
            let mut specs = self.stored_specs();
            read_spec(&mut specs, raw.spec, raw.url.as_deref(), texts)
        };
        let spec = match spec {
            Ok(spec) => spec,
            Err(problem) => {
                let problem = format!("the spec of the poll {} cannot be read: {problem}", raw.key);
                return Err((Box::new(raw), problem));
            }
        };
        let outcome = match raw.outcome.as_deref().map(serde_json::from_str::<Outcome>).transpose() {
            Ok(outcome) => outcome.map(Arc::new),
            Err(error) => {
                let problem = format!("the outcome of the poll {} cannot be read: {error}", raw.key);
                return Err((Box::new(raw), problem));
            }
        };
        let Raw { key, created_at, first_after, restarts, followed, .. } = raw;
        Ok(StoredPoll { key, spec, created_at, first_after, restarts, followed, outcome })
    }
}

/// The texts of specs by their ids.
pub(super) async fn spec_texts(tx: &Tx<Object>, ids: &[i64]) -> Result<Texts, Fault> {
    if ids.is_empty() {
        return Ok(Texts::new());
    }
    let sql = "SELECT id, text, url FROM poll.specs WHERE id = ANY($1)";
    let rows = tx.query(sql, &[(&ids, Type::INT8_ARRAY)]).await?;
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
