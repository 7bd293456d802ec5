//! Creations of many polls and reads of many polls on one PostgreSQL server: who is told, and that pages have all polls.

use std::collections::HashMap;
use std::time::Duration;

use poller::store::{Creation, Store as _, StoredPoll};
use poller::{Limits, PostgresOptions, PostgresStore, SpecOptions, Timestamp};
use test_support::postgres::shared;

use crate::stores::{key, load, poll};

async fn store(url: &str, shards: u16) -> PostgresStore {
    let options =
        PostgresOptions::parse(url).unwrap().with_shards(shards).with_lease(Duration::from_secs(30));
    options.connect().await.unwrap()
}

async fn create(store: &PostgresStore, number: usize) {
    let polls = (0..number).map(|number| poll(&format!("p{number}"), 0)).collect();
    for created in store.create_all(polls).await {
        assert!(matches!(created.unwrap(), Creation::Created));
    }
}

/// A fail-over may have undone the assignment of shards: their owner is told of new polls, although this worker still takes them
/// for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_are_told_of_polls_in_shards_that_the_database_does_not_assign() {
    let Some(server) = shared("shards that are not assigned") else { return };
    let url = server.database();
    let worker = store(&url, 16).await;
    worker.begin_run().await.unwrap();
    load(&worker).await;
    let counts = || {
        let sql = "SELECT (SELECT count(*) FROM poll.inbox), (SELECT count(*) FROM poll.inbox WHERE shard % 2 = 1), \
                   (SELECT count(*) FROM poll.open WHERE shard % 2 = 1)";
        server.query(&url, sql)
    };
    create(&worker, 200).await;
    let other = counts().rsplit('|').next().unwrap().to_owned();
    assert_eq!(counts(), format!("0|0|{other}"), "its own");
    server.sql(
        &url,
        "DELETE FROM poll.open; INSERT INTO poll.worker (id, epoch, expires, host, process, runs_until) \
         VALUES (1, 1, now() + interval '1 hour', '', 0, ''); UPDATE poll.shard SET worker = 1 WHERE id % 2 = 1",
    );
    create(&worker, 200).await;
    assert_eq!(counts(), format!("{other}|{other}|{other}"));
    let runs = "SELECT count(*) FROM poll.open o JOIN poll.shard s ON s.id = o.shard WHERE o.run <> s.run";
    assert_eq!(server.query(&url, runs), "0", "no worker has to take them first");
}

/// More polls than one read may return, in one shard and in many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_have_all_polls_once() {
    const POLLS: usize = 20_000;
    let Some(server) = shared("pages of open polls") else { return };
    for shards in [1, 300] {
        let url = server.database();
        let first = store(&url, shards).await;
        first.begin_run().await.unwrap();
        load(&first).await;
        create(&first, POLLS).await;
        let followed = key("p77");
        first.follow(followed.clone(), "https://example.com/there".into()).await.unwrap();
        let closed = first.closed();
        drop(first);
        closed.await;
        let second = store(&url, shards).await;
        assert_eq!(second.begin_run().await.unwrap(), POLLS);
        let mut found = HashMap::new();
        loop {
            let page = second.load_open().await.unwrap();
            for poll in page.polls {
                assert_eq!(poll.restarts, 1);
                let before = found.insert(poll.key, poll.followed);
                assert!(before.is_none(), "no poll comes twice");
            }
            if page.last {
                break;
            }
        }
        assert_eq!(found.len(), POLLS, "{shards} shards");
        assert_eq!(found[&followed].as_deref(), Some("https://example.com/there"));
        assert_eq!(found.values().filter(|followed| followed.is_some()).count(), 1);
    }
}

/// Shards that a worker takes are read at once and not at its next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_looks_when_it_has_taken_shards() {
    let Some(server) = shared("shards that are taken") else { return };
    let url = server.database();
    let worker = store(&url, 16).await;
    let changed = worker.changed();
    worker.begin_run().await.unwrap();
    changed.await;
}

/// Of many shards, the polls whose tick comes soon are read first, and then all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_are_due_come_first() {
    let Some(server) = shared("due polls first") else { return };
    let url = server.database();
    let first = store(&url, 300).await;
    first.begin_run().await.unwrap();
    load(&first).await;
    let spec = r#"{"url": "https://example.com/job", "interval": 600, "timeout": 86400}"#;
    let spec = SpecOptions::new().limits(Limits::unbounded()).parse(spec).unwrap();
    let now = first.clock().unwrap().now().as_micros();
    // Ten intervals ago: a tick is in five seconds. Half an interval more: in five minutes.
    let at = |seconds: u64| Timestamp::from_micros(now - seconds * 1_000_000);
    let polls = (0..2000).map(|number| {
        let created = at(if number < 5 { 5995 } else { 6300 });
        StoredPoll::new(key(&format!("p{number}")), spec.clone(), created)
    });
    for created in first.create_all(polls.collect()).await {
        assert!(matches!(created.unwrap(), Creation::Created));
    }
    let closed = first.closed();
    drop(first);
    closed.await;
    let second = store(&url, 300).await;
    second.begin_run().await.unwrap();
    let page = second.load_open().await.unwrap();
    let mut due: Vec<_> = page.polls.into_iter().map(|poll| poll.key).collect();
    due.sort();
    assert_eq!(due, (0..5).map(|number| key(&format!("p{number}"))).collect::<Vec<_>>());
    assert!(!page.last);
    assert_eq!(load(&second).await.len(), 2000);
}
