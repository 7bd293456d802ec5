//! Creating and finishing polls, in batches.
//!
//! ```text
//! create:  INSERT INTO open ON CONFLICT DO NOTHING     then, in a second statement, look into done, and take back what is there
//! finish:  fence ─► DELETE FROM open … incarnation ─► INSERT INTO done
//! ```
//!
//! Rows are sorted by (shard, scope, key), because two batches in different orders deadlock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deadpool_postgres::Object;
use ring::digest::{SHA256, digest};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::clock::NOW;
use super::database::{Fault, Tx};
use super::lease::Worker;
use super::shards::{Known, shard_of};
use super::{Inner, micros, schema};
use crate::clock::{Clock as _, boot_time};
use crate::job::OnOutcome;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::{StoreError, StoredPoll};

/// How often a transaction that lost against another is tried.
const TRIES: u32 = 10;

/// How often a creation is tried whose result is not known.
const UNKNOWN_TRIES: u32 = 3;

/// The longest scope and key together, in bytes: they stand in an index row, which PostgreSQL limits to 2704 bytes.
const LONGEST_NAME: usize = 2000;

/// The longest URL and name together that stand in one index row.
const LONGEST_ROW: usize = 2400;

/// A poll to create.
pub(super) struct NewPoll {
    /// Its position in the call.
    position: usize,
    shard: i32,
    key: PollKey,
    created: i64,
    deadline: i64,
    first_after: i64,
    text: Arc<str>,
    url: String,
    /// The receiver of its webhook.
    webhook: Option<String>,
    incarnation: i64,
}

impl NewPoll {
    /// The URL in the index row, unless it is too long.
    fn url_in_row(&self) -> Option<&str> {
        let fits = self.url.len() + self.key.scope().len() + self.key.key().len() <= LONGEST_ROW;
        fits.then_some(&self.url)
    }

    fn digest(&self) -> [u8; 32] {
        let url = if self.url_in_row().is_some() { "" } else { &self.url };
        let hash = digest(&SHA256, &[self.text.as_bytes(), b"\0", url.as_bytes()].concat());
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.as_ref());
        digest
    }
}

/// An outcome to store.
pub(super) struct Finish {
    pub(super) shard: i32,
    pub(super) key: PollKey,
    /// What this process knows of the poll, if it runs it.
    pub(super) known: Option<Known>,
    pub(super) ended: i64,
    pub(super) ending: &'static str,
    pub(super) requests: i32,
    pub(super) restarts: i32,
    pub(super) text: String,
}

impl Finish {
    pub(super) fn new(
        shard: i32,
        key: PollKey,
        known: Option<Known>,
        outcome: &Outcome,
    ) -> Result<Self, StoreError> {
        let text = serde_json::to_string(outcome)
            .map_err(|error| StoreError::with_source("the outcome cannot be written as JSON", error))?;
        Ok(Self {
            shard,
            key,
            known,
            ended: micros(outcome.ended_at),
            ending: outcome.name(),
            requests: i32::try_from(outcome.attempts).unwrap_or(i32::MAX),
            restarts: i32::try_from(outcome.restarts).unwrap_or(i32::MAX),
            text,
        })
    }
}

/// The polls of a creation that this process runs itself, by their positions, and their shards.
struct Owned<'i> {
    inner: &'i Inner,
    positions: Vec<bool>,
    shards: Vec<i32>,
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        self.inner.shards().created(&self.shards);
    }
}

/// Columns of names.
#[derive(Default)]
pub(super) struct Names<'k> {
    pub(super) shards: Vec<i32>,
    pub(super) scopes: Vec<&'k str>,
    pub(super) keys: Vec<&'k str>,
}

impl<'k> Names<'k> {
    pub(super) fn push(&mut self, shard: i32, key: &'k PollKey) {
        self.shards.push(shard);
        self.scopes.push(key.scope());
        self.keys.push(key.key());
    }
}

impl Inner {
    /// Why a poll of this name cannot be stored, if so.
    fn check_name(key: &PollKey) -> Result<(), StoreError> {
        let length = key.scope().len() + key.key().len();
        if key.scope().contains('\0') || key.key().contains('\0') {
            return Err(StoreError::new(
                "the key or its scope has a NUL character, which PostgreSQL cannot store",
            ));
        }
        if length > LONGEST_NAME {
            return Err(StoreError::new(format!(
                "the key and its scope have {length} bytes; expected at most {LONGEST_NAME}"
            )));
        }
        Ok(())
    }

    /// A poll as it is stored.
    pub(super) fn new_poll(&self, position: usize, poll: &StoredPoll) -> Result<NewPoll, StoreError> {
        Self::check_name(&poll.key)?;
        Ok(NewPoll {
            position,
            shard: shard_of(&poll.key, self.shard_count),
            key: poll.key.clone(),
            created: micros(poll.created_at),
            deadline: micros(poll.deadline()),
            first_after: i64::try_from(poll.first_after.as_micros()).unwrap_or(i64::MAX),
            text: Self::stored_text(&poll.key, &poll.spec)?,
            url: poll.spec.url_text().to_owned(),
            webhook: poll.spec.on_outcome().map(OnOutcome::receiver),
            incarnation: self.random(),
        })
    }

    /// Creates the polls whose names are new. Returns the positions of the others. With `for_engine`, the owner of a shard is
    /// not told of its own polls.
    pub(super) async fn create(
        &self,
        mut new: Vec<NewPoll>,
        for_engine: bool,
    ) -> Result<HashSet<usize>, Fault> {
        new.sort_by(|a, b| (a.shard, &a.key, a.position).cmp(&(b.shard, &b.key, b.position)));
        let mut present = HashSet::new();
        new.dedup_by(|later, first| {
            let same = later.key == first.key;
            if same {
                present.insert(later.position);
            }
            same
        });
        if new.is_empty() {
            return Ok(present);
        }
        let specs = self.specs_of(&new).await?;
        let (mut tries, mut doubtful) = (1, false);
        loop {
            let own = self.owned(&new, for_engine);
            match self.try_create(&new, &specs, &own.positions, for_engine, doubtful).await {
                Ok(others) => {
                    if own.positions.contains(&false) {
                        self.telling.tell();
                    }
                    present.extend(others);
                    return Ok(present);
                }
                Err(fault) if fault.is_conflict() && tries < TRIES => tries += 1,
                // The lease has ended, so the owner of the shards must be told.
                Err(Fault::Deposed) if tries < TRIES => {
                    tries += 1;
                    self.suspect();
                }
                // Maybe it was committed. The unique index waits for what is under way, so the next try tells.
                Err(fault) if fault.is_unknown() && tries < UNKNOWN_TRIES => {
                    tries += 1;
                    doubtful = true;
                }
                Err(fault) => {
                    if doubtful || fault.is_unknown() {
                        let at = boot_time() + self.database.limit() * 2;
                        self.shards().doubt(own.shards.iter().copied(), at);
                    }
                    return Err(fault);
                }
            }
        }
    }

    /// Which of these polls this process runs. Their shards are not given back before the result is dropped: the next owner
    /// would not learn of a poll that is stored after it has read the shard.
    fn owned(&self, new: &[NewPoll], for_engine: bool) -> Owned<'_> {
        let trusted = for_engine && self.is_trusted();
        let mut known = self.shards();
        let positions: Vec<bool> = new.iter().map(|poll| trusted && known.is_ours(poll.shard)).collect();
        let mut shards: Vec<i32> =
            new.iter().zip(&positions).filter(|(_, own)| **own).map(|(poll, _)| poll.shard).collect();
        shards.dedup();
        known.creating(&shards);
        Owned { inner: self, positions, shards }
    }

    /// With `again`, polls of these incarnations count as created if an earlier try has stored them.
    ///
    /// Whether this process runs a shard is asked of the database too: a fail-over may have undone the assignment, and then the
    /// owner has to be told of the poll.
    async fn try_create(
        &self,
        new: &[NewPoll],
        specs: &HashMap<[u8; 32], i64>,
        own: &[bool],
        for_engine: bool,
        again: bool,
    ) -> Result<Vec<usize>, Fault> {
        let mut names = Names::default();
        let (mut incarnations, mut created, mut deadlines) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first_afters, mut spec_ids, mut urls) = (Vec::new(), Vec::new(), Vec::new());
        for poll in new {
            names.push(poll.shard, &poll.key);
            incarnations.push(poll.incarnation);
            created.push(poll.created);
            deadlines.push(poll.deadline);
            first_afters.push(poll.first_after);
            spec_ids.push(specs.get(&poll.digest()).copied().unwrap_or_default());
            urls.push(poll.url_in_row());
        }
        let tx = self.database.write().await?;
        let worker = if own.contains(&true) { Some(self.fence(&tx).await?.id) } else { None };
        let made = tx
            .query(
                &format!("WITH new AS (SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], \
                     $7::int8[], $8::text[], $9::bool[], $10::int8[]) \
                     AS n (shard, scope, key, incarnation, created, deadline, spec, url, own, first_after)), \
                 made AS (INSERT INTO poll.open (shard, scope, key, incarnation, created, deadline, spec, url, first_after, run) \
                     SELECT n.shard, n.scope, n.key, n.incarnation, n.created, n.deadline, n.spec, n.url, n.first_after, \
                         s.run + CASE WHEN w.id IS NULL THEN 1 ELSE 0 END \
                     FROM new n JOIN poll.shard s ON s.id = n.shard \
                     LEFT JOIN poll.worker w ON w.id = s.worker AND w.expires > {NOW} \
                     ORDER BY n.shard, n.scope, n.key \
                     ON CONFLICT (shard, scope, key) DO NOTHING RETURNING incarnation), \
                 told AS (INSERT INTO poll.inbox (shard, scope, key, incarnation, what) \
                     SELECT n.shard, n.scope, n.key, n.incarnation, 'created' FROM new n JOIN made USING (incarnation) \
                     JOIN poll.shard s ON s.id = n.shard WHERE NOT n.own OR s.worker IS DISTINCT FROM $11) \
                 SELECT incarnation FROM made"),
                &[
                    (&names.shards, Type::INT4_ARRAY),
                    (&names.scopes, Type::TEXT_ARRAY),
                    (&names.keys, Type::TEXT_ARRAY),
                    (&incarnations, Type::INT8_ARRAY),
                    (&created, Type::INT8_ARRAY),
                    (&deadlines, Type::INT8_ARRAY),
                    (&spec_ids, Type::INT8_ARRAY),
                    (&urls, Type::TEXT_ARRAY),
                    (&own.to_vec(), Type::BOOL_ARRAY),
                    (&first_afters, Type::INT8_ARRAY),
                    (&worker, Type::INT8),
                ],
            )
            .await?;
        let mut made: HashSet<i64> = made.iter().map(|row| row.get(0)).collect();
        if again {
            let stored = tx
                .query(
                    "SELECT o.incarnation FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[]) \
                         AS n (shard, scope, key, incarnation) JOIN poll.open o ON o.shard = n.shard AND o.scope = n.scope \
                         AND o.key = n.key AND o.incarnation = n.incarnation",
                    &[
                        (&names.shards, Type::INT4_ARRAY),
                        (&names.scopes, Type::TEXT_ARRAY),
                        (&names.keys, Type::TEXT_ARRAY),
                        (&incarnations, Type::INT8_ARRAY),
                    ],
                )
                .await?;
            made.extend(stored.iter().map(|row| row.get::<_, i64>(0)));
        }
        // A statement of its own: it sees a finish that has committed since the insert looked.
        let finished = tx
            .query(
                "SELECT n.incarnation FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[]) \
                     AS n (shard, scope, key, incarnation) \
                 WHERE EXISTS (SELECT FROM poll.done d WHERE d.shard = n.shard AND d.scope = n.scope AND d.key = n.key \
                     AND d.ended >= (SELECT horizon FROM poll.meta))",
                &[
                    (&names.shards, Type::INT4_ARRAY),
                    (&names.scopes, Type::TEXT_ARRAY),
                    (&names.keys, Type::TEXT_ARRAY),
                    (&incarnations, Type::INT8_ARRAY),
                ],
            )
            .await?;
        let back: Vec<i64> =
            finished.iter().map(|row| row.get(0)).filter(|incarnation| made.remove(incarnation)).collect();
        if !back.is_empty() {
            let mut names = Names::default();
            for poll in new.iter().filter(|poll| back.contains(&poll.incarnation)) {
                names.push(poll.shard, &poll.key);
            }
            tx.execute(
                "DELETE FROM poll.open o USING unnest($1::int4[], $2::text[], $3::text[]) AS n (shard, scope, key) \
                 WHERE o.shard = n.shard AND o.scope = n.scope AND o.key = n.key AND o.incarnation = ANY($4)",
                &[
                    (&names.shards, Type::INT4_ARRAY),
                    (&names.scopes, Type::TEXT_ARRAY),
                    (&names.keys, Type::TEXT_ARRAY),
                    (&back, Type::INT8_ARRAY),
                ],
            )
            .await?;
        }
        tx.commit().await?;
        let mut shards = self.shards();
        let mut present = Vec::new();
        for poll in new {
            if !made.contains(&poll.incarnation) {
                present.push(poll.position);
            } else if for_engine {
                // The engine runs it if the shard is still ours, whoever was told.
                let known = Known { incarnation: poll.incarnation, has_extras: false };
                shards.add(poll.shard, poll.key.clone(), known);
            }
        }
        Ok(present)
    }

    /// The ids of the specs of these polls; specs that are new are stored.
    async fn specs_of(&self, new: &[NewPoll]) -> Result<HashMap<[u8; 32], i64>, Fault> {
        let day = schema::day_of(micros(self.clock.now()));
        let mut ids = HashMap::new();
        let mut missing: HashMap<[u8; 32], &NewPoll> = HashMap::new();
        {
            let known = self.spec_ids();
            for poll in new {
                let digest = poll.digest();
                match known.get(&digest) {
                    Some((id, seen)) if *seen == day => drop(ids.insert(digest, *id)),
                    _ => drop(missing.insert(digest, poll)),
                }
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_by_key(|(digest, _)| *digest);
        let digests: Vec<&[u8]> = missing.iter().map(|(digest, _)| &digest[..]).collect();
        let texts: Vec<&str> = missing.iter().map(|(_, poll)| &*poll.text).collect();
        let urls: Vec<Option<&str>> = missing
            .iter()
            .map(|(_, poll)| if poll.url_in_row().is_some() { None } else { Some(&*poll.url) })
            .collect();
        let webhooks: Vec<Option<&str>> = missing.iter().map(|(_, poll)| poll.webhook.as_deref()).collect();
        let mut tries = 1;
        let rows = loop {
            let tx = self.database.write().await?;
            let insert = tx
                .execute(
                    "INSERT INTO poll.specs AS s (digest, text, url, webhook, used) \
                     SELECT n.*, $5 FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[]) AS n \
                     ON CONFLICT (digest) DO UPDATE SET used = excluded.used WHERE s.used < excluded.used",
                    &[
                        (&digests, Type::BYTEA_ARRAY),
                        (&texts, Type::TEXT_ARRAY),
                        (&urls, Type::TEXT_ARRAY),
                        (&webhooks, Type::TEXT_ARRAY),
                        (&day, Type::INT8),
                    ],
                )
                .await;
            match insert {
                Err(fault) if fault.is_conflict() && tries < TRIES => tries += 1,
                Err(fault) => return Err(fault),
                Ok(_) => {
                    let sql = "SELECT digest, id FROM poll.specs WHERE digest = ANY($1)";
                    let rows = tx.query(sql, &[(&digests, Type::BYTEA_ARRAY)]).await?;
                    tx.commit().await?;
                    break rows;
                }
            }
        };
        let mut known = self.spec_ids();
        if known.len() + rows.len() > super::KNOWN_SPECS {
            known.clear();
        }
        for row in &rows {
            let bytes: &[u8] = row.get(0);
            if let Ok(digest) = <[u8; 32]>::try_from(bytes) {
                known.insert(digest, (row.get(1), day));
                ids.insert(digest, row.get(1));
            }
        }
        if let Some((_, poll)) = missing.iter().find(|(digest, _)| !ids.contains_key(digest)) {
            let message =
                format!("the spec of the poll {} is not in the database after it was stored", poll.key);
            return Err(Fault::Store(StoreError::new(message)));
        }
        Ok(ids)
    }

    /// Ends open polls; returns for each whether it was open in this incarnation.
    pub(super) async fn finish_all(&self, finishes: &[Finish], fenced: bool) -> Result<Vec<bool>, Fault> {
        let mut order: Vec<usize> = (0..finishes.len()).collect();
        order.sort_by(|a, b| {
            let place = |number: &usize| (finishes[*number].shard, &finishes[*number].key);
            place(a).cmp(&place(b))
        });
        let mut tries = 1;
        loop {
            for day in finishes.iter().map(|finish| schema::day_of(finish.ended)).collect::<HashSet<_>>() {
                if !self.days().contains(&day) {
                    schema::ensure_day(&self.database, day).await?;
                    self.days().insert(day);
                }
            }
            match self.try_finish(finishes, &order, fenced).await {
                Err(fault) if fault.is_conflict() && tries < TRIES => tries += 1,
                // The partition of that day was dropped meanwhile: its polls are all older than the retention.
                Err(fault) if fault.has_code(&[SqlState::CHECK_VIOLATION]) && tries < TRIES => {
                    tries += 1;
                    self.days().clear();
                }
                Err(Fault::Deposed) => {
                    self.suspect();
                    return Err(Fault::Deposed);
                }
                result => return result,
            }
        }
    }

    async fn try_finish(
        &self,
        finishes: &[Finish],
        order: &[usize],
        fenced: bool,
    ) -> Result<Vec<bool>, Fault> {
        let sorted: Vec<&Finish> = order.iter().map(|number| &finishes[*number]).collect();
        let mut names = Names::default();
        for finish in &sorted {
            names.push(finish.shard, &finish.key);
        }
        let incarnations: Vec<Option<i64>> =
            sorted.iter().map(|finish| finish.known.map(|known| known.incarnation)).collect();
        let ended: Vec<i64> = sorted.iter().map(|finish| finish.ended).collect();
        let restarts: Vec<i32> = sorted.iter().map(|finish| finish.restarts).collect();
        let requests: Vec<i32> = sorted.iter().map(|finish| finish.requests).collect();
        let endings: Vec<&str> = sorted.iter().map(|finish| finish.ending).collect();
        let texts: Vec<&str> = sorted.iter().map(|finish| &*finish.text).collect();
        let numbers: Vec<i32> = (0..).take(sorted.len()).collect();
        let tx = self.database.write().await?;
        if fenced {
            self.fence(&tx).await?;
        }
        let rows = tx
            .query(
                "WITH n AS (SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int4[], \
                     $7::int4[], $8::text[], $9::text[], $10::int4[]) \
                     AS n (shard, scope, key, incarnation, ended, restarts, requests, ending, outcome, number)), \
                 gone AS (DELETE FROM poll.open o USING n \
                     WHERE o.shard = n.shard AND o.scope = n.scope AND o.key = n.key \
                     AND o.incarnation = coalesce(n.incarnation, o.incarnation) \
                     RETURNING o.*, n.ended, n.restarts, n.requests, n.ending, n.outcome, n.number), \
                 kept AS (INSERT INTO poll.done (shard, scope, key, incarnation, created, ended, restarts, requests, spec, url, \
                     ending, outcome) \
                     SELECT shard, scope, key, incarnation, created, ended, restarts, requests, spec, url, ending, outcome \
                     FROM gone), \
                 hooks AS (INSERT INTO poll.outbox (shard, scope, key, incarnation, created, ended, receiver, state, due) \
                     SELECT g.shard, g.scope, g.key, g.incarnation, g.created, g.ended, s.webhook, 'pending', g.ended \
                     FROM gone g JOIN poll.specs s ON s.id = g.spec WHERE s.webhook IS NOT NULL RETURNING 1) \
                 SELECT number, (SELECT count(*) FROM hooks) > 0 FROM gone",
                &[
                    (&names.shards, Type::INT4_ARRAY),
                    (&names.scopes, Type::TEXT_ARRAY),
                    (&names.keys, Type::TEXT_ARRAY),
                    (&incarnations, Type::INT8_ARRAY),
                    (&ended, Type::INT8_ARRAY),
                    (&restarts, Type::INT4_ARRAY),
                    (&requests, Type::INT4_ARRAY),
                    (&endings, Type::TEXT_ARRAY),
                    (&texts, Type::TEXT_ARRAY),
                    (&numbers, Type::INT4_ARRAY),
                ],
            )
            .await?;
        let mut results = vec![false; finishes.len()];
        let mut extras = Names::default();
        for row in &rows {
            let number: i32 = row.get(0);
            let position = order[usize::try_from(number).unwrap_or(0)];
            results[position] = true;
            let finish = &finishes[position];
            if finish.known.is_none_or(|known| known.has_extras) {
                extras.push(finish.shard, &finish.key);
            }
        }
        remove_extras(&tx, &extras).await?;
        tx.commit().await?;
        self.telling.tell();
        if rows.iter().any(|row| row.get(1)) {
            self.added.notify_one();
        }
        let mut shards = self.shards();
        for finish in finishes {
            shards.remove(finish.shard, &finish.key);
        }
        Ok(results)
    }

    /// Fails unless this process has its lease, and keeps it from being taken over until the transaction ends. The lock does
    /// not wait for renewals, nor they for it.
    pub(super) async fn fence(&self, tx: &Tx<Object>) -> Result<Worker, Fault> {
        let Some(worker) = self.worker() else { return Err(Fault::Deposed) };
        let held = tx
            .first(
                &format!(
                    "SELECT 1 FROM poll.worker WHERE id = $1 AND epoch = $2 AND expires > {NOW} FOR KEY SHARE"
                ),
                &[(&worker.id, Type::INT8), (&worker.epoch, Type::INT8)],
            )
            .await?;
        if held.is_some() { Ok(worker) } else { Err(Fault::Deposed) }
    }
}

/// Removes what other tables have of polls that have ended.
async fn remove_extras(tx: &Tx<Object>, names: &Names<'_>) -> Result<(), Fault> {
    if names.shards.is_empty() {
        return Ok(());
    }
    for table in ["followed", "attempts"] {
        tx.execute(
            &format!(
                "DELETE FROM poll.{table} t USING unnest($1::int4[], $2::text[], $3::text[]) AS n (shard, scope, key) \
                 WHERE t.shard = n.shard AND t.scope = n.scope AND t.key = n.key"
            ),
            &[
                (&names.shards, Type::INT4_ARRAY),
                (&names.scopes, Type::TEXT_ARRAY),
                (&names.keys, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    }
    Ok(())
}
