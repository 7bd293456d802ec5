//! Creating polls, in batches.
//!
//! ```text
//! fence ─► INSERT INTO open ON CONFLICT DO NOTHING     then, in a second statement, look into done, and take back what is there
//! ```
//!
//! Rows are sorted by (shard, scope, key), because two batches in different orders deadlock. What polls share is done once for
//! all of them: the digest of a spec, and the look at a shard. A join for each poll, which the first version had, took a third of
//! the time of a creation, and for polls that another process runs, time that grew with the square of their number.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Object;
use futures_util::future::{try_join, try_join3};

use super::clock::NOW;
use super::database::{Fault, Tx, param, params};
use super::new_poll::NewPoll;
use super::shards::Known;
use super::specs::Kinds;
use super::writes::{Names, TRIES};
use super::{Inner, micros, signed};
use crate::clock::boot_time;
use crate::store::StoreError;

/// How often a creation is tried whose result is not known.
const UNKNOWN_TRIES: u32 = 3;

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

/// What the database says of a shard.
#[derive(Clone, Copy)]
struct Place {
    /// The run of a poll that is created now.
    run: i32,
    /// Whether it is assigned to this process.
    is_ours: bool,
}

impl Inner {
    /// Creates the polls whose names are new. Returns the positions of the others. With `for_engine`, the owner of a shard is
    /// not told of its own polls.
    pub(super) async fn create(
        &self,
        mut new: Vec<NewPoll<'_>>,
        for_engine: bool,
    ) -> Result<HashSet<usize>, Fault> {
        new.sort_unstable_by(|a, b| (a.shard, a.key, a.position).cmp(&(b.shard, b.key, b.position)));
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
        let kinds = Kinds::of(&new);
        let ids = self.spec_ids_of(&kinds).await?;
        let specs: Vec<i64> = kinds.numbers.iter().map(|number| ids[*number]).collect();
        let (mut tries, mut doubtful) = (1, false);
        loop {
            let own = self.owned(&new, for_engine);
            match self.try_create(&new, &specs, &own, for_engine, doubtful).await {
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
    fn owned(&self, new: &[NewPoll<'_>], for_engine: bool) -> Owned<'_> {
        let trusted = for_engine && self.is_trusted();
        let mut known = self.shards();
        let positions: Vec<bool> = new.iter().map(|poll| trusted && known.is_ours(poll.shard)).collect();
        let mut shards: Vec<i32> =
            new.iter().zip(&positions).filter(|(_, own)| **own).map(|(poll, _)| poll.shard).collect();
        shards.dedup();
        known.creating(&shards);
        Owned { inner: self, positions, shards }
    }

    /// What the database says of the shards of these polls, in their order, in a transaction that begins with it. With `fenced`, the
    /// transaction keeps those of this process from being taken over until it ends.
    async fn places(
        &self,
        tx: &Tx<Object>,
        new: &[NewPoll<'_>],
        fenced: bool,
    ) -> Result<HashMap<i32, Place>, Fault> {
        let mut shards: Vec<i32> = new.iter().map(|poll| poll.shard).collect();
        shards.dedup();
        let fence = async { if fenced { self.fence(tx).await.map(Some) } else { Ok(None) } };
        let sql = format!(
            "SELECT array_agg(s.id), array_agg(s.run + CASE WHEN s.worker = ANY (ARRAY( \
                 SELECT w.id FROM poll.worker w WHERE w.expires > {NOW})) THEN 0 ELSE 1 END), \
                 array_agg(coalesce(s.worker = $2, false)) \
             FROM poll.shard s WHERE s.id = ANY (ARRAY(SELECT unnest($1::int4[])))"
        );
        let id = self.worker().filter(|_| fenced).map(|worker| worker.id);
        let params = params![shards, id];
        // Sent together: each waits for those before it in the server.
        let ((), worker, row) = try_join3(tx.begin(), fence, tx.first(&sql, &params)).await?;
        debug_assert_eq!(
            id,
            worker.map(|worker| worker.id),
            "the lease of this process cannot change in between"
        );
        let columns = row.and_then(|row| {
            Some((
                row.get::<_, Option<Vec<i32>>>(0)?,
                row.get::<_, Option<Vec<i32>>>(1)?,
                row.get::<_, Option<Vec<bool>>>(2)?,
            ))
        });
        let (ids, runs, ours) = columns.unwrap_or_default();
        let places = ids.into_iter().zip(runs.into_iter().zip(ours));
        Ok(places.map(|(shard, (run, is_ours))| (shard, Place { run, is_ours })).collect())
    }

    /// With `again`, polls of these incarnations count as created if an earlier try has stored them.
    ///
    /// Whether this process runs a shard is asked of the database too: a fail-over may have undone the assignment, and then the
    /// owner has to be told of the poll.
    async fn try_create(
        &self,
        new: &[NewPoll<'_>],
        specs: &[i64],
        own: &Owned<'_>,
        for_engine: bool,
        again: bool,
    ) -> Result<Vec<usize>, Fault> {
        let tx = self.database.write_later().await?;
        let places = self.places(&tx, new, !own.shards.is_empty()).await?;
        let names: Names<'_> = new.iter().map(|poll| (poll.shard, poll.key)).collect();
        let (mut runs, mut told) = (Vec::with_capacity(new.len()), Vec::new());
        for (poll, own) in new.iter().zip(&own.positions) {
            let place = places.get(&poll.shard);
            let place = place.ok_or_else(|| StoreError::new(format!("there is no shard {}", poll.shard)))?;
            runs.push(place.run);
            if !(*own && place.is_ours) {
                told.push(poll.shard);
            }
        }
        told.dedup();
        let column = |value: fn(&NewPoll<'_>) -> i64| new.iter().map(value).collect::<Vec<_>>();
        let incarnations = column(|poll| poll.incarnation);
        let made = async {
            let (created, deadlines) =
                (column(|it| micros(it.poll.created_at)), column(|it| micros(it.poll.deadline())));
            let first_afters = column(|it| signed(it.poll.first_after));
            let urls: Vec<Option<&str>> = new.iter().map(NewPoll::url_in_row).collect();
            let mut params = names.with_incarnations(&incarnations).to_vec();
            params.extend(params![created, deadlines, first_afters, runs, specs, urls]);
            let sql = if told.is_empty() {
                format!("{MADE} {INCARNATIONS}")
            } else {
                params.push(param(&told));
                format!("{MADE} {TOLD} {INCARNATIONS}")
            };
            let row = tx.first(&sql, &params).await?;
            let mut made: Vec<i64> =
                row.and_then(|row| row.get::<_, Option<Vec<i64>>>(0)).unwrap_or_default();
            if again {
                made.extend(select(&tx, STORED, &names, &incarnations).await?);
            }
            Ok::<_, Fault>(made)
        };
        // A statement of its own: it sees a finish that has committed since the insert looked. It is sent before that is answered.
        let (made, finished) = try_join(made, select(&tx, FINISHED, &names, &incarnations)).await?;
        let mut made: HashSet<i64> = made.into_iter().collect();
        let back: Vec<i64> = finished.into_iter().filter(|incarnation| made.remove(incarnation)).collect();
        if !back.is_empty() {
            let undone = new.iter().filter(|poll| back.contains(&poll.incarnation));
            let names: Names<'_> = undone.map(|poll| (poll.shard, poll.key)).collect();
            tx.execute(
                "DELETE FROM poll.open o USING unnest($1::int4[], $2::text[], $3::text[]) AS n (shard, scope, key) \
                 WHERE o.shard = n.shard AND o.scope = n.scope AND o.key = n.key AND o.incarnation = ANY($4)",
                &names.with_incarnations(&back),
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
                // The engine runs it if the shard is still ours, whether or not its owner was told.
                let has_webhook = poll.webhook.is_some();
                let known = Known { incarnation: poll.incarnation, has_extras: false, has_webhook };
                shards.add(poll.shard, poll.key.clone(), known);
            }
        }
        Ok(present)
    }
}

/// Inserts polls whose names are new, in the order of the arrays, which is that of one scan of them.
const MADE: &str = "WITH made AS ( \
     INSERT INTO poll.open (shard, scope, key, incarnation, created, deadline, first_after, run, spec, url) \
     SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int4[], \
         $9::int8[], $10::text[]) \
     ON CONFLICT (shard, scope, key) DO NOTHING RETURNING shard, scope, key, incarnation)";

/// Tells the owners of those in some shards.
const TOLD: &str = ", told AS (INSERT INTO poll.inbox (shard, scope, key, incarnation, what) \
     SELECT shard, scope, key, incarnation, 'created' FROM made WHERE shard = ANY($11))";

/// One row for all: to read a row for each took a tenth of the time of a creation.
const INCARNATIONS: &str = "SELECT array_agg(incarnation) FROM made";

/// Which of these incarnations are open: an earlier try has stored them.
const STORED: &str = "SELECT o.incarnation FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[]) \
         AS n (shard, scope, key, incarnation) JOIN poll.open o ON o.shard = n.shard AND o.scope = n.scope \
         AND o.key = n.key AND o.incarnation = n.incarnation";

/// The incarnations whose names are those of finished polls.
const FINISHED: &str = "SELECT n.incarnation FROM unnest($1::int4[], $2::text[], $3::text[], $4::int8[]) \
         AS n (shard, scope, key, incarnation) \
     WHERE EXISTS (SELECT FROM poll.done d WHERE d.shard = n.shard AND d.scope = n.scope AND d.key = n.key \
         AND d.ended >= (SELECT horizon FROM poll.meta))";

/// The incarnations that a statement selects among these.
async fn select(
    tx: &Tx<Object>,
    sql: &str,
    names: &Names<'_>,
    incarnations: &Vec<i64>,
) -> Result<Vec<i64>, Fault> {
    let rows = tx.query(sql, &names.with_incarnations(incarnations)).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
