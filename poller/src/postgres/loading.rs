//! Reading the open polls of shards that this process has taken.
//!
//! ```text
//!  unread shards ─► group ─► reader ─► channel ─┐
//!                ─► group ─► reader ─► channel ─┴─► load: one page at a time, in order ─► engine
//! ```
//!
//! After a take-over, half a million polls are read while their next requests are due, so several readers are at work while the
//! engine runs the polls of the page before. A page is a few shards, as an index-only scan without joins; what few polls have, and
//! what a shard has once, is read beside it. Joins of each row took as long as all the rest.
//!
//! Of many shards, the polls are read first whose tick has passed since their worker ended, or comes soon: a scan of the index
//! finds them in less time than it takes to run all others ([`Inner::read_due`]). They are read once more with the others of their
//! shards; the engine runs them already.
//!
//! What was read is noted when the engine gets it and not before: until then the shard may be lost, or the poll may end. So a
//! page from before shards were last taken is dropped and read again, and incarnations that end while a reader is at work are left out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{try_join, try_join5};
use tokio::sync::mpsc;
use tokio_postgres::Row;

use super::database::{Fault, params};
use super::reads::{Page, Raw, ReadPolls, Texts, spec_texts};
use super::shards::Shards;
use super::{Inner, duration, micros, or_zero, signed, timestamp};
use crate::clock::Clock as _;
use crate::key::PollKey;
use crate::lock::lock;

/// The number of open polls that a page has about.
const PAGE: usize = 4096;

/// The number that it has at most.
const MOST: usize = 4 * PAGE;

/// The number of readers. Of the connections of this process, others remain for outcomes and creations.
const READERS: usize = 3;

/// The number of shards that are read together at first, and at most: more while their polls are few, so that a takeover of
/// thousands of shards is a matter of some reads.
const FEW_SHARDS: usize = 16;
const MOST_SHARDS: usize = 1024;

/// Of more shards than this, due polls are read first.
const MANY_SHARDS: usize = 2 * FEW_SHARDS;

/// How far ahead a tick is soon: a million polls are read within this time.
const SOON: Duration = Duration::from_secs(10);

/// The number of polls whose specs are looked at for intervals.
const SAMPLE: i64 = 1000;

/// The most polls that are read first.
const MOST_DUE: i64 = 8 * PAGE as i64;

/// The readers, and what they have learned.
#[derive(Debug)]
pub(super) struct Loading {
    readers: VecDeque<Reader>,
    /// The number of shards of the next group.
    group: usize,
    /// When due polls were last looked for, as [`Shards::taken`](super::shards::Shards::taken) counts.
    looked: Option<u64>,
}

impl Default for Loading {
    fn default() -> Self {
        Self { readers: VecDeque::new(), group: FEW_SHARDS, looked: None }
    }
}

/// A task that reads a group of shards.
#[derive(Debug)]
struct Reader {
    /// Empty for the due polls of many shards.
    shards: Vec<i32>,
    /// When it began, as [`Shards::taken`](super::shards::Shards::taken) counts.
    taken: u64,
    pages: mpsc::Receiver<Result<ReadPage, Fault>>,
}

/// Open polls of some shards.
#[derive(Debug)]
struct ReadPage {
    polls: ReadPolls,
    /// The shards whose last polls these are.
    read: Vec<i32>,
    /// Whether the reader has no more.
    is_last: bool,
}

impl Inner {
    /// The next page of open polls of this process that the engine has not read, and whether it is the last. Never called twice at
    /// once.
    pub(super) async fn next_page(self: &Arc<Self>) -> Result<(Page, bool), Fault> {
        let mut loading = self.loading.lock().await;
        loop {
            self.start_readers(&mut loading);
            let Some(reader) = loading.readers.front_mut() else {
                return Ok((Page::default(), self.shards().all_read()));
            };
            let page = reader.pages.recv().await;
            let (taken, number) = (reader.taken, reader.shards.len());
            match page {
                Some(Ok(page)) if self.shards().taken() == taken => {
                    let is_last = page.is_last;
                    loading.learn(number, page.polls.polls.len());
                    let polls = self.note_read(page.polls);
                    let mut shards = self.shards();
                    shards.read(&page.read, taken);
                    let all_read = shards.all_read();
                    drop(shards);
                    if is_last {
                        loading.end_first(self);
                    }
                    return Ok((polls, all_read));
                }
                // Shards were taken, or are to be read again, since it began: what it reads may be older than that.
                Some(Ok(_)) | None => loading.end_first(self),
                Some(Err(fault)) => {
                    loading.end_first(self);
                    return Err(fault);
                }
            }
        }
    }

    /// Ends the readers: this process has no shards that are not read.
    pub(super) async fn end_readers(&self) {
        let mut loading = self.loading.lock().await;
        while !loading.readers.is_empty() {
            loading.end_first(self);
        }
    }

    /// Starts readers for shards that none reads.
    fn start_readers(self: &Arc<Self>, loading: &mut Loading) {
        let mut shards = self.shards();
        let taken = shards.taken();
        if loading.looked != Some(taken) && shards.unread().len() > MANY_SHARDS {
            loading.looked = Some(taken);
            let sender = loading.begin(Vec::new(), &mut shards);
            let (inner, its) = (Arc::clone(self), shards.unread().iter().copied().collect());
            tokio::spawn(async move {
                // If it fails, they come with the others.
                if let Ok(page) = inner.read_due(its).await {
                    let _ = sender.send(Ok(page)).await;
                }
            });
        }
        while loading.readers.len() < READERS {
            let busy: HashSet<i32> =
                loading.readers.iter().flat_map(|reader| reader.shards.iter().copied()).collect();
            let group = shards.next_unread(loading.group, &busy);
            if group.is_empty() {
                return;
            }
            let sender = loading.begin(group.clone(), &mut shards);
            let inner = Arc::clone(self);
            tokio::spawn(async move {
                if let Err(fault) = inner.read_group(group, &sender).await {
                    // The channel is closed if the reader was ended.
                    let _ = sender.send(Err(fault)).await;
                }
            });
        }
    }

    /// The polls of these shards whose first tick was within the last two leases, or whose next tick comes soon, if their interval
    /// is long: polls of short intervals are all due soon, in whatever order they are read.
    async fn read_due(&self, shards: Vec<i32>) -> Result<ReadPage, Fault> {
        let tx = self.database.write_later().await?;
        let params = params![shards, SAMPLE];
        let ((), (), sample, runs, followed) = try_join5(
            tx.begin(),
            // Few specs, many polls: a join of each poll with all specs would take too long.
            tx.batch("SET LOCAL enable_hashjoin = on"),
            tx.query(
                "SELECT s.id, s.text FROM poll.specs s WHERE s.url IS NULL AND s.id = ANY (ARRAY( \
                 SELECT o.spec FROM poll.open o WHERE o.shard = ANY($1) LIMIT $2))",
                &params,
            ),
            tx.query(RUNS, &params[..1]),
            tx.query(FOLLOWED_OF_SHARDS, &params[..1]),
        )
        .await?;
        let (specs, intervals) = self.long_intervals(&sample);
        let now = micros(self.clock.now());
        let since = now.saturating_sub(signed(self.lease * 2));
        let until = now.saturating_add(signed(SOON));
        let sql = format!(
            "{COLUMNS} JOIN unnest($2::int8[], $3::int8[]) AS k (spec, every) ON k.spec = o.spec \
             WHERE o.shard = ANY($1) AND (o.created + o.first_after BETWEEN $4 AND $6 \
             OR o.created + o.first_after < $5 AND ($5 - o.created - o.first_after) % k.every >= k.every - ($6 - $5)) \
             LIMIT $7"
        );
        let params = params![shards, specs, intervals, since, now, until, MOST_DUE];
        let rows = if specs.is_empty() { Vec::new() } else { tx.query(&sql, &params).await? };
        tx.rollback().await?;
        let mut page = self.decoded(&rows, &Beside::new(&runs, &followed), Vec::new()).await?;
        // Unreadable specs are reported with their shard.
        page.polls.unreadable.clear();
        Ok(ReadPage { is_last: true, ..page })
    }

    /// The specs of a sample whose ticks are far apart, and the microseconds between their ticks.
    fn long_intervals(&self, sample: &[Row]) -> (Vec<i64>, Vec<i64>) {
        let mut specs = lock(&self.stored_specs);
        let interval = |row: &Row| {
            let id = row.get(0);
            if specs.interval(id).is_none() {
                // The URL is that of no poll. An unreadable spec is reported with its polls.
                let _ = specs.read(id, "https://localhost/", row.get(1));
            }
            let interval = specs.interval(id).filter(|interval| interval.factor().is_none())?;
            (interval.first() > 2 * SOON).then(|| (id, signed(interval.first())))
        };
        sample.iter().filter_map(interval).unzip()
    }

    /// Sends the open polls of these shards in pages.
    async fn read_group(
        &self,
        group: Vec<i32>,
        pages: &mpsc::Sender<Result<ReadPage, Fault>>,
    ) -> Result<(), Fault> {
        let tx = self.database.write_later().await?;
        let sql = format!("{COLUMNS} WHERE o.shard = ANY($1) LIMIT {MOST}");
        let params = params![group];
        // Sent together: each waits for those before it in the server.
        let ((), rows, runs, followed, ()) = try_join5(
            tx.begin(),
            tx.query(&sql, &params),
            tx.query(RUNS, &params),
            tx.query(FOLLOWED_OF_SHARDS, &params),
            tx.batch("ROLLBACK"),
        )
        .await?;
        tx.ended();
        let beside = Beside::new(&runs, &followed);
        if rows.len() < MOST {
            let page = self.decoded(&rows, &beside, group).await?;
            let _ = pages.send(Ok(ReadPage { is_last: true, ..page })).await;
            return Ok(());
        }
        for (number, shard) in (1..).zip(&group) {
            let mut after = (String::new(), String::new());
            loop {
                let (mut page, last) = self.read_shard(*shard, &after).await?;
                page.is_last = last.is_none() && number == group.len();
                if pages.send(Ok(page)).await.is_err() {
                    return Ok(());
                }
                match last {
                    Some(last) => after = last,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// A page of a shard of many polls, after this scope and key, and its last scope and key if there may be more.
    async fn read_shard(
        &self,
        shard: i32,
        after: &(String, String),
    ) -> Result<(ReadPage, Option<(String, String)>), Fault> {
        let tx = self.database.write().await?;
        let sql = format!(
            "{COLUMNS} WHERE o.shard = $1 AND (o.scope, o.key) > ($2, $3) ORDER BY o.scope, o.key LIMIT {PAGE}"
        );
        let rows = tx.query(&sql, &params![shard, after.0, after.1]).await?;
        let last = rows.last().map(|row| (row.get::<_, String>(1), row.get::<_, String>(2)));
        let to = last.clone().unwrap_or_default();
        let params = params![shard, after.0, after.1, to.0, to.1];
        let followed =
            format!("{FOLLOWED} WHERE shard = $1 AND (scope, key) > ($2, $3) AND (scope, key) <= ($4, $5)");
        let shards = vec![shard];
        let shards = params![shards];
        let (runs, followed) = try_join(tx.query(RUNS, &shards), tx.query(&followed, &params)).await?;
        tx.rollback().await?;
        let last = last.filter(|_| rows.len() >= PAGE);
        let read = if last.is_none() { vec![shard] } else { Vec::new() };
        Ok((self.decoded(&rows, &Beside::new(&runs, &followed), read).await?, last))
    }

    /// The polls of these rows.
    async fn decoded(&self, rows: &[Row], beside: &Beside, read: Vec<i32>) -> Result<ReadPage, Fault> {
        let ids: Vec<i64> = rows.iter().map(|row| row.get(5)).collect();
        let have_urls = rows.iter().all(|row| row.get::<_, Option<&str>>(6).is_some());
        // No task of this thread pushes them out between this look and their use.
        if have_urls && lock(&self.stored_specs).has_all(&ids) {
            return Ok(self.page_of(rows, beside, read, &Texts::new()));
        }
        let tx = self.database.read().await?;
        let texts = spec_texts(&tx, ids).await?;
        drop(tx);
        Ok(self.page_of(rows, beside, read, &texts))
    }

    fn page_of(&self, rows: &[Row], beside: &Beside, read: Vec<i32>, texts: &Texts) -> ReadPage {
        let raws = rows.iter().map(|row| {
            let (shard, incarnation, run): (i32, i64, i32) = (row.get(0), row.get(3), row.get(7));
            Raw {
                shard,
                key: PollKey::new(row.get::<_, &str>(1), row.get::<_, &str>(2)),
                incarnation,
                created_at: timestamp(row.get(4)),
                first_after: duration(row.get(8)),
                spec: row.get(5),
                url: row.get(6),
                restarts: beside.runs.get(&shard).map_or(0, |of_shard| or_zero(of_shard.saturating_sub(run))),
                followed: beside.followed.get(&incarnation).cloned(),
                outcome: None,
            }
        });
        ReadPage { polls: self.read(raws, texts), read, is_last: false }
    }
}

impl Loading {
    /// Another reader of these shards begins, which sends what it reads.
    fn begin(&mut self, its: Vec<i32>, shards: &mut Shards) -> mpsc::Sender<Result<ReadPage, Fault>> {
        shards.begin_read();
        let (sender, pages) = mpsc::channel(1);
        self.readers.push_back(Reader { shards: its, taken: shards.taken(), pages });
        sender
    }

    /// The first reader is done, or is of no use any more.
    fn end_first(&mut self, inner: &Inner) {
        if self.readers.pop_front().is_some() {
            inner.shards().end_read();
        }
    }

    /// A group of this number of shards had a page of this number of polls.
    fn learn(&mut self, shards: usize, polls: usize) {
        if polls < PAGE / 4 && shards >= self.group {
            self.group = (self.group * 2).min(MOST_SHARDS);
        } else if shards > 0 && polls > 2 * PAGE {
            self.group = 1.max(self.group / 2);
        }
    }
}

/// The columns of open polls that are in their index.
const COLUMNS: &str = "SELECT o.shard, o.scope, o.key, o.incarnation, o.created, o.spec, o.url, o.run, o.first_after FROM poll.open o";

const RUNS: &str = "SELECT id, run FROM poll.shard WHERE id = ANY($1)";

const FOLLOWED: &str = "SELECT incarnation, url FROM poll.followed";
const FOLLOWED_OF_SHARDS: &str = "SELECT incarnation, url FROM poll.followed WHERE shard = ANY($1)";

/// What is read beside the open polls of some shards.
#[derive(Debug)]
struct Beside {
    /// How often each shard was taken.
    runs: HashMap<i32, i32>,
    /// By incarnation, the URL that a poll asks instead of its own.
    followed: HashMap<i64, Arc<str>>,
}

impl Beside {
    fn new(runs: &[Row], followed: &[Row]) -> Self {
        Self {
            runs: runs.iter().map(|row| (row.get(0), row.get(1))).collect(),
            followed: followed.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())).collect(),
        }
    }
}
