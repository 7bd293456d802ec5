//! What lists read of a database: counted by its own statistics.

use std::sync::Arc;
use std::time::Duration;

use poller::store::{Selection, Store as _, StoreAdmin as _, StoredPoll};
use poller::{PollKey, PostgresOptions, PostgresStore, Timestamp};
use test_support::postgres::Postgres;

use crate::stores::{load, outcome, poll};

/// Polls with odd numbers have ended.
const POLLS: usize = 3000;

/// Older polls than these.
const OLD: usize = 60_000;

/// The most rows of each table that a page looks at.
const MOST: i64 = 20_000;

struct Lists {
    server: Postgres,
    url: String,
}

impl Lists {
    async fn new(test: &str) -> Option<Self> {
        let server = Postgres::own(test, &["autovacuum=off"])?;
        let url = server.database();
        let this = Self { server, url };
        let store = this.store().await;
        store.begin_run().await.unwrap();
        load(&store).await;
        for result in store.create_all((0..POLLS).map(numbered).collect()).await {
            result.unwrap();
        }
        let ended = outcome(b"1").await;
        let finishes =
            (1..POLLS).step_by(2).map(|number| store.finish(numbered(number).key, Arc::clone(&ended)));
        futures_util::future::try_join_all(finishes).await.unwrap();
        this.close(store).await;
        this.server.sql(
            &this.url,
            &format!(
                "INSERT INTO poll.open (shard, scope, key, incarnation, created, deadline, first_after, run, spec, url) \
                 SELECT 0, 'old', 'old-' || n, n, n, 1, 0, 1, spec, url FROM generate_series(1, {OLD}) AS n, \
                 (SELECT spec, url FROM poll.open LIMIT 1) AS one"
            ),
        );
        // Index entries of rows that are gone would count.
        this.server.sql(&this.url, "VACUUM");
        Some(this)
    }

    async fn store(&self) -> PostgresStore {
        let options = PostgresOptions::parse(&self.url).unwrap().with_shards(16);
        options.with_lease(Duration::from_secs(5)).connect().await.unwrap()
    }

    /// Closes a store, and waits until the server has the statistics of its sessions.
    async fn close(&self, store: PostgresStore) {
        let closed = store.closed();
        drop(store);
        closed.await;
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poll'";
        while self.server.query(&self.url, sessions) != "0" {}
    }

    /// The rows of polls, or entries of their indexes, that were read since the beginning.
    fn read(&self) -> i64 {
        let of = "schemaname = 'poll' AND (relname = 'open' OR relname LIKE 'done%')";
        let sql = format!(
            "SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables WHERE {of}) \
                 + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE {of})"
        );
        self.server.query(&self.url, &sql).parse().unwrap()
    }

    /// The answer of a call, and the rows that it read.
    async fn cost<T>(&self, call: impl AsyncFnOnce(&PostgresStore) -> T) -> (T, i64) {
        let store = self.store().await;
        let before = self.read();
        let answer = call(&store).await;
        self.close(store).await;
        (answer, self.read() - before)
    }
}

/// A poll that was created in this second, in one of ten scopes.
fn numbered(number: usize) -> StoredPoll {
    let spec = poll("x", 1).spec;
    let host = if number.is_multiple_of(10) { "rare" } else { "common" };
    let spec = spec.with_url(&format!("https://{host}.example/{number}")).unwrap();
    let key = PollKey::new(format!("s/{}", number % 10), format!("k{}-{number}", number % 100));
    StoredPoll::new(key, spec, at(number))
}

fn at(number: usize) -> Timestamp {
    Timestamp::from_micros(1_000_000_000 + number as u64 * 1_000_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reads_as_many_rows_as_it_shows_and_a_bounded_number_for_what_is_rare() {
    let Some(lists) = Lists::new("the rows that a page reads").await else { return };
    let ten = || Selection::all().with_limit(10);
    for (selection, most) in [
        (ten(), 30),
        (ten().with_state("open"), 12),
        (ten().with_state("cancelling").with_state("open"), 12),
        (ten().with_state("matched"), 12),
        (ten().with_since(at(POLLS - 5)), 12),
        (ten().with_under("s"), 30),
        (ten().with_prefix("k"), 30),
        (ten().with_origin("https://common.example"), 120),
        // One in ten: windows of 11, 44 and 176 rows of both tables.
        (ten().with_scope("s/3"), 470),
        (ten().with_under("s/3"), 470),
        (ten().with_prefix("k3-"), 7000),
        (ten().with_origin("https://rare.example"), 470),
    ] {
        let (first, read) =
            lists.cost(async |store| store.page(selection.clone(), None).await.unwrap()).await;
        let since = selection.since.is_some();
        assert_eq!(
            (first.polls.len(), first.next.is_some()),
            (if since { 5 } else { 10 }, !since),
            "{selection:?}"
        );
        assert!(read <= most, "{selection:?}: {read} rows");
        let Some(next) = first.next else { continue };
        let (second, read) =
            lists.cost(async |store| store.page(selection.clone(), Some(next)).await.unwrap()).await;
        assert!(read <= most, "{selection:?}: {read} rows for the second page");
        let (last, next) = (&first.polls[9], &second.polls[0]);
        assert!((next.created_at, &next.key) < (last.created_at, &last.key), "{selection:?}");
    }
    // Nothing is selected: a page of nothing, and where the next one begins.
    for selection in
        [ten().with_scope("none"), ten().with_state("failed"), ten().with_origin("https://none.example")]
    {
        let (page, read) = lists.cost(async |store| store.page(selection.clone(), None).await.unwrap()).await;
        assert!(page.polls.is_empty(), "{selection:?}");
        assert!(read <= MOST + POLLS as i64, "{selection:?}: {read} rows");
    }
    let (pages, _) = lists
        .cost(async |store| {
            let (mut cursor, mut pages, mut polls) = (None, 0, 0);
            loop {
                let page = store.page(Selection::all().with_scope("s/3"), cursor).await.unwrap();
                (pages, polls) = (pages + 1, polls + page.polls.len());
                cursor = page.next;
                if cursor.is_none() {
                    return (pages, polls);
                }
            }
        })
        .await;
    assert_eq!(pages, (4, POLLS / 10), "all rows in windows of {MOST}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_with_a_limit_reads_until_it_is_reached() {
    let Some(lists) = Lists::new("the rows that a list reads").await else { return };
    let ten = || Selection::all().with_limit(10);
    let middle = numbered(POLLS / 2).key;
    for (selection, first, most) in [
        (ten(), "old/old-1", 12),
        (ten().with_state("matched"), "s/1/k1-1", 12),
        (ten().with_state("open").with_after(middle.clone()), "s/2/k2-1502", 15),
        (ten().with_since(at(0)), "s/0/k0-0", 12),
        (ten().with_since(at(0)).with_under("s"), "s/0/k0-0", 12),
        // One in ten.
        (ten().with_after(middle.clone()).with_scope("s/4"), "s/4/k4-1504", 60),
        (ten().with_after(middle.clone()).with_origin("https://rare.example"), "s/0/k10-1510", 60),
        (ten().with_after(middle).with_prefix("k10-"), "s/0/k10-1510", 520),
    ] {
        let (found, read) = lists.cost(async |store| store.select(selection.clone()).await.unwrap()).await;
        assert_eq!((found.len(), found[0].key.to_string().as_str()), (10, first), "{selection:?}");
        assert!(read <= most, "{selection:?}: {read} rows");
    }
}
