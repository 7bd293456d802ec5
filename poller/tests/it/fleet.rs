//! Workers of a fleet on one PostgreSQL server: leases, hand-over, fencing, refusals.
//!
//! Each test has a database of its own. Leases are short, and every wait ends with an event of the fleet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use poller::store::{Changes, Creation, Store as _, StoreAdmin as _};
use poller::{Clock as _, Limits, Poller, PostgresOptions, PostgresStore};
use test_support::postgres::{Postgres, shared};

use crate::stores::{key, load, outcome, poll};

async fn store(url: &str) -> PostgresStore {
    options(url).connect().await.unwrap()
}

fn options(url: &str) -> PostgresOptions {
    PostgresOptions::parse(url).unwrap().with_shards(16).with_lease(Duration::from_secs(5))
}

/// Calls until the answer is there; each call is a round trip to the database, so this does not spin.
async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
    }
}

/// Waits for this number of shards without an owner.
async fn shards(server: &Postgres, url: &str, of: &str, expected: usize) {
    let sql = format!("SELECT count(*) FROM poll.shard WHERE {of}");
    until(async || (server.query(url, &sql) == expected.to_string()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_starts_at_once_make_one_store() {
    let Some(server) = shared("two first starts") else { return };
    let url = server.database();
    let opened = futures_util::future::join_all((0..6).map(|_| options(&url).connect())).await;
    for store in opened {
        assert_eq!(store.unwrap().count_open().await.unwrap(), 0);
    }
    assert_eq!(server.query(&url, "SELECT format, shards FROM poll.meta"), "3|16");
    assert_eq!(server.query(&url, "SELECT count(*) FROM poll.shard"), "16");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_format_and_another_encoding_are_refused() {
    let Some(server) = shared("refusals of a database") else { return };
    let url = server.database();
    drop(store(&url).await);
    server.sql(&url, "UPDATE poll.meta SET format = 99, compatible = 99");
    let error = options(&url).connect().await.unwrap_err();
    assert!(error.is_unusable() && error.to_string().contains("use a newer version"), "{error}");
    server.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0");
    let error = options(&server.url("latin")).connect().await.unwrap_err();
    assert!(error.to_string().contains("LATIN1"), "{error}");
    let error = options(&server.url("none")).connect().await.unwrap_err().to_string();
    assert!(error.contains("database \"none\" does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serializable_default_changes_nothing() {
    let Some(server) = shared("a serializable default") else { return };
    let url = server.database();
    let name = url.rsplit('/').next().unwrap();
    server.sql(
        "postgres",
        &format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"),
    );
    let (one, two) = (store(&url).await, store(&url).await);
    one.begin_run().await.unwrap();
    let tries = (0..40).map(|second| {
        let store = if second % 2 == 0 { one.clone() } else { two.clone() };
        async move { matches!(store.create(poll("a", second)).await.unwrap(), Creation::Created) }
    });
    let created = futures_util::future::join_all(tries).await;
    assert_eq!(created.into_iter().filter(|created| *created).count(), 1);
    load(&one).await;
    one.finish(key("a"), outcome(b"1").await).await.unwrap();
    assert!(matches!(two.create(poll("a", 99)).await.unwrap(), Creation::Exists(_)), "it has ended");
}

/// The race that the second statement of a creation is for: finishes and creations of one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_ends_while_it_is_created_again_lives_once() {
    let Some(server) = shared("the race of finish and create") else { return };
    let url = server.database();
    let (one, two) = (store(&url).await, store(&url).await);
    let ended = outcome(b"1").await;
    for round in 0..100 {
        let name = format!("p{round}");
        one.create(poll(&name, 1)).await.unwrap();
        let (finished, again) =
            tokio::join!(one.finish(key(&name), Arc::clone(&ended)), two.create(poll(&name, 2)));
        finished.unwrap();
        assert!(matches!(again.unwrap(), Creation::Exists(_)), "{name}");
    }
    assert_eq!(server.query(&url, "SELECT count(*) FROM poll.open"), "0");
    assert_eq!(server.query(&url, "SELECT count(*), count(DISTINCT key) FROM poll.done"), "100|100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_worker_gets_its_share_and_a_resigned_one_leaves_all() {
    let Some(server) = shared("the balance of workers") else { return };
    let url = server.database();
    let first = Poller::builder().store(store(&url).await).build().await.unwrap();
    shards(server, &url, "worker IS NOT NULL", 16).await;
    let second = Poller::builder().store(store(&url).await).build().await.unwrap();
    until(async || {
        let counts =
            server.query(&url, "SELECT count(*) FROM poll.shard WHERE worker IS NOT NULL GROUP BY worker");
        // A sixteenth more than the share is not worth a move.
        matches!(&*counts, "8\n8" | "9\n7" | "7\n9").then_some(())
    })
    .await;
    first.shutdown().await;
    drop(first);
    until(async || {
        let workers = server.query(&url, "SELECT count(DISTINCT worker), count(worker) FROM poll.shard");
        (workers == "1|16").then_some(())
    })
    .await;
    drop(second);
    shards(server, &url, "worker IS NULL", 16).await;
    assert_eq!(server.query(&url, "SELECT count(*) FROM poll.worker"), "0", "it has resigned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_worker_writes_nothing_drops_its_polls_and_joins_again() {
    let Some(server) = shared("a deposed worker") else { return };
    let url = server.database();
    let (sleeper, client) = (store(&url).await, store(&url).await);
    for name in ["a", "b"] {
        client.create(poll(name, 1)).await.unwrap();
    }
    sleeper.begin_run().await.unwrap();
    assert_eq!(load(&sleeper).await.len(), 2);
    assert!(sleeper.may_ask() && sleeper.runs(&key("a")));
    // What another worker does that takes over.
    server.sql(&url, "UPDATE poll.worker SET epoch = epoch + 1; UPDATE poll.shard SET worker = NULL");
    let error = sleeper.finish(key("a"), outcome(b"late").await).await.unwrap_err();
    assert!(error.to_string().contains("lease"), "{error}");
    let asks = sleeper.may_ask() && (sleeper.runs(&key("a")) || sleeper.runs(&key("b")));
    // By itself it joins again, and may have done so by now.
    let taken = server.query(&url, "SELECT count(worker) FROM poll.shard");
    assert!(!asks || taken != "0", "no request from here on");
    assert_eq!(server.query(&url, "SELECT count(*) FROM poll.open"), "2", "nothing was written");
    let mut released = Vec::new();
    let mut again = Vec::new();
    until(async || {
        // Until it has joined again, a look is refused like any other call.
        let Changes { released: more, open, .. } = match sleeper.changes().await {
            Ok(changes) => changes,
            Err(error) => {
                assert!(error.to_string().contains("lease"), "{error}");
                return None;
            }
        };
        assert!(again.is_empty() || more.is_empty(), "they are dropped before they come again");
        released.extend(more);
        again.extend(open.polls.into_iter().map(|poll| (poll.key.clone(), poll.restarts)));
        (again.len() == 2).then_some(())
    })
    .await;
    released.sort();
    again.sort();
    assert_eq!(released, [key("a"), key("b")]);
    assert_eq!(again, [(key("a"), 1), (key("b"), 1)], "as polls that were taken over");
    sleeper.finish(key("a"), outcome(b"in time").await).await.unwrap();
}

/// A worker that slept while a poll ended, was forgotten and was created anew must not end the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_ends_only_the_incarnation_that_it_is_of() {
    let Some(server) = shared("incarnations") else { return };
    let url = server.database();
    let (worker, client) = (store(&url).await, store(&url).await);
    client.create(poll("a", 1)).await.unwrap();
    worker.begin_run().await.unwrap();
    load(&worker).await;
    server.sql(&url, "UPDATE poll.open SET incarnation = incarnation # 1");
    let error = worker.finish(key("a"), outcome(b"old").await).await.unwrap_err();
    assert_eq!(error.to_string(), "the poll run-17/a is not in the store");
    assert_eq!(server.query(&url, "SELECT count(*) FROM poll.open"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_workers_polls_go_on_within_lease_and_two_seconds() {
    let Some(server) = shared("a hand-over") else { return };
    let url = server.database();
    let requests = test_support::Script::from_fn(|_, _| test_support::Reply::json(r#"{"status":"RUNNING"}"#));
    let web = test_support::Server::start(requests).await;
    let worker = async |seconds: u64| {
        let store = options(&url).with_lease(Duration::from_secs(seconds)).connect().await.unwrap();
        let guard = poller::http::Guard::local();
        let builder = Poller::builder().store(store).guard(guard).limits(Limits::unbounded());
        builder.build().await.unwrap()
    };
    let first = worker(5).await;
    let spec = serde_json::json!({"url": web.url("/job"), "interval": 0.2, "timeout": 600,
        "responseFilter": {"body": {"status": ["SUCCESS"]}}});
    for number in 0..20 {
        let spec = poller::SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap();
        first.submit(format!("job-{number}"), spec).await.unwrap();
    }
    web.arrived(40).await;
    let second = worker(5).await;
    // The first worker's row is taken away as if it had died with its lease; its polls are run by one worker again.
    server.sql(&url, "UPDATE poll.worker SET expires = now() - interval '1 second' WHERE started = (SELECT min(started) FROM poll.worker)");
    until(async || {
        let open = second.stats().open + first.stats().open;
        let both = server.query(&url, "SELECT sum(open) FROM poll.worker WHERE expires > now()");
        (open == 20 && both == "20").then_some(())
    })
    .await;
    first.shutdown().await;
    drop(first);
    until(async || (second.stats().open == 20).then_some(())).await;
}

/// Three rows in the life of a poll: its creation, the end of its open row, its outcome.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_costs_three_rows() {
    let Some(server) = Postgres::own("the rows of a poll's life", &["autovacuum=off"]) else { return };
    let url = server.database();
    let worker = store(&url).await;
    worker.begin_run().await.unwrap();
    load(&worker).await;
    let written = || -> HashMap<String, i64> {
        let sql = "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables \
                   WHERE relname IN ('open', 'inbox', 'attempts', 'followed') OR relname LIKE 'done_%'";
        let rows = server.query(&url, sql);
        rows.lines()
            .filter_map(|row| Some((row.split('|').next()?.to_owned(), row.split('|').nth(1)?.parse().ok()?)))
            .collect()
    };
    let polls: Vec<_> = (0..500).map(|number| poll(&format!("p{number}"), number)).collect();
    for created in worker.create_all(polls.clone()).await {
        assert!(matches!(created.unwrap(), Creation::Created));
    }
    let ended = outcome(b"1").await;
    let finishes = polls.into_iter().map(|poll| worker.finish(poll.key, Arc::clone(&ended)));
    futures_util::future::try_join_all(finishes).await.unwrap();
    // The statistics of a session are told a second later, or when it ends.
    drop(worker);
    let total = until(async || {
        let total: i64 = written().values().sum();
        (total >= 1500).then_some(total)
    })
    .await;
    assert_eq!(total, 1500, "{:?}", written());
}

/// The queries and the rights of docs/fleet.md: the rights suffice to submit, read and cancel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_few_rights_submits_reads_and_cancels() {
    let Some(server) = shared("least privilege") else { return };
    let url = server.database();
    drop(store(&url).await);
    let grants = include_str!("../../../docs/fleet.md").lines().filter(|line| line.starts_with("    GRANT"));
    server.sql(&url, &format!("CREATE ROLE submitter LOGIN;{}", grants.collect::<Vec<_>>().join("\n")));
    for query in include_str!("../../../docs/fleet.md").lines().filter(|line| line.starts_with("    SELECT"))
    {
        server.sql(&url, query);
    }
    let client = store(&url.replace("//poll@", "//submitter@")).await;
    assert!(matches!(client.create(poll("a", 1)).await.unwrap(), Creation::Created));
    assert!(matches!(client.create(poll("a", 1)).await.unwrap(), Creation::Exists(_)));
    assert_eq!(client.summaries().await.unwrap().len(), 1);
    assert!(client.request_cancel(key("a")).await.unwrap());
    let error = client.begin_run().await.unwrap_err().to_string();
    assert!(error.contains("permission denied"), "{error}");
}

/// While a fleet is upgraded, processes of both versions run: the new one has added columns, and says that the old one may go
/// on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_version_goes_on_and_starts_beside_a_newer_one_that_allows_it() {
    let Some(server) = shared("an upgrade") else { return };
    let url = server.database();
    let before = store(&url).await;
    before.begin_run().await.unwrap();
    load(&before).await;
    before.create(poll("a", 1)).await.unwrap();
    server.sql(
        &url,
        "BEGIN; ALTER TABLE poll.open ADD more text NOT NULL DEFAULT 'x'; ALTER TABLE poll.done ADD more text; \
         ALTER TABLE poll.worker ADD more bigint NOT NULL DEFAULT 0; ALTER TABLE poll.inbox ADD more text; \
         CREATE TABLE poll.newer (id bigint); UPDATE poll.meta SET format = 99; COMMIT",
    );
    let after = store(&url).await;
    after.begin_run().await.unwrap();
    assert!(matches!(before.create(poll("b", 2)).await.unwrap(), Creation::Created));
    assert!(matches!(after.create(poll("b", 2)).await.unwrap(), Creation::Exists(_)));
    let ended = outcome(b"1").await;
    for name in ["a", "b"] {
        let one = before.finish(key(name), Arc::clone(&ended)).await;
        let other = after.finish(key(name), Arc::clone(&ended)).await;
        assert!(one.is_ok() || other.is_ok(), "{name}: {one:?} {other:?}");
    }
    assert_eq!(server.query(&url, "SELECT count(*) FROM poll.done"), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn specs_that_no_poll_needs_are_removed() {
    let Some(server) = shared("unused specs") else { return };
    let url = server.database();
    let worker = store(&url).await;
    worker.begin_run().await.unwrap();
    load(&worker).await;
    let other = |name: &str, interval: u32| {
        let spec = format!(r#"{{"url": "https://example.com/job", "interval": {interval}}}"#);
        poller::store::StoredPoll::new(key(name), spec.parse().unwrap(), poller::Timestamp::from_micros(1))
    };
    for (name, interval) in [("open", 10), ("ended", 20), ("gone", 30)] {
        worker.create(other(name, interval)).await.unwrap();
    }
    let ended = outcome(b"1").await;
    for name in ["ended", "gone"] {
        worker.finish(key(name), Arc::clone(&ended)).await.unwrap();
    }
    worker.forget(key("gone")).await.unwrap();
    let keep = || poller::store::Retention::new(poller::Timestamp::default(), usize::MAX);
    let specs = || server.query(&url, "SELECT count(*) FROM poll.specs");
    worker.purge(keep()).await.unwrap();
    assert_eq!(specs(), "3", "it was needed today");
    server.sql(&url, "UPDATE poll.specs SET used = used - 3; UPDATE poll.meta SET swept = swept - 1");
    worker.purge(keep()).await.unwrap();
    assert_eq!(specs(), "2");
    worker.purge(keep()).await.unwrap();
    assert!(
        worker.get(key("open")).await.unwrap().is_some() && worker.get(key("ended")).await.unwrap().is_some()
    );
    server.sql(&url, "UPDATE poll.specs SET used = used - 3");
    let again = store(&url).await;
    again.create(other("gone", 30)).await.unwrap();
    assert!(again.get(key("gone")).await.unwrap().is_some());
}

/// What `poll fleet` shows: a worker that has everything, then nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_says_who_runs_what() {
    let Some(server) = shared("the state of a fleet") else { return };
    let url = server.database();
    let client = store(&url).await;
    let fleet = client.fleet().await.unwrap();
    assert_eq!((fleet.workers.len(), fleet.shards, fleet.orphaned, fleet.open), (0, 16, 16, 0));
    let web = test_support::Server::start(test_support::Script::from_fn(|_, _| {
        test_support::Reply::json("{}").stall_after(0)
    }))
    .await;
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin) = (1, 1);
    let guard = poller::http::Guard::local();
    let builder = Poller::builder().store(store(&url).await).guard(guard).limits(limits);
    let worker = builder.build().await.unwrap();
    for number in 0..3 {
        let spec = format!(r#"{{"url": "{}", "interval": 10, "timeout": 600}}"#, web.url("/job"));
        worker.submit(format!("job-{number}"), spec.parse::<poller::PollSpec>().unwrap()).await.unwrap();
    }
    // One request hangs, and the two other polls wait for it.
    let found = until(async || {
        let fleet = client.fleet().await.unwrap();
        let worker = fleet.workers.first()?.clone();
        (worker.open == 3 && !worker.lag.is_zero()).then_some((fleet, worker))
    })
    .await;
    assert_eq!((found.0.orphaned, found.0.open, found.1.shards, found.1.takeovers), (0, 3, 16, 0));
    assert!(found.1.is_alive() && found.1.process == std::process::id(), "{found:?}");
    worker.shutdown().await;
    drop(worker);
    until(async || (client.fleet().await.unwrap().orphaned == 16).then_some(())).await;
}

/// Those who wait for polls of other processes all look at once, each second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_the_same_moment_share_a_statement() {
    let Some(server) = Postgres::own("calls that share a statement", &["autovacuum=off"]) else { return };
    let url = server.database();
    let client = store(&url).await;
    for result in client.create_all((0..500).map(|number| poll(&format!("p{number}"), 1)).collect()).await {
        result.unwrap();
    }
    drop(client);
    let count = || -> i64 {
        let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        server.query(&url, sql).parse().unwrap()
    };
    let client = store(&url).await;
    let before = count();
    let gets = (0..500).map(|number| client.get(key(&format!("p{number}"))));
    let found = futures_util::future::try_join_all(gets).await.unwrap();
    assert!(found.iter().all(Option::is_some));
    let closed = client.closed();
    drop(client);
    closed.await;
    // The statistics of a session are complete when it has ended. The looks here count too.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poll'";
    until(async || (server.query(&url, sessions) == "0").then_some(())).await;
    assert!(count() - before < 250, "{} transactions for 500 calls", count() - before);
}

/// To workers, the database's clock and the shift of the fleet's time are one sum: moving the shift without counting a step is
/// what a clock that is set looks like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_by_hours_moves_no_poll() {
    let Some(server) = shared("a database whose clock is set") else { return };
    let url = server.database();
    let requests = test_support::Script::from_fn(|_, _| test_support::Reply::json(r#"{"status":"RUNNING"}"#));
    let web = test_support::Server::start(requests).await;
    let guard = poller::http::Guard::local();
    let builder = Poller::builder().store(store(&url).await).guard(guard).limits(Limits::unbounded());
    let worker = builder.build().await.unwrap();
    let spec = serde_json::json!({"url": web.url("/job"), "interval": 0.2, "timeout": 600,
        "responseFilter": {"body": {"status": ["SUCCESS"]}}});
    let spec = poller::SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap();
    let poll = worker.submit("job", spec).await.unwrap();
    web.arrived(3).await;
    for (steps, by) in [(1, -3600), (2, 7200)] {
        let asked = web.requests().len();
        server.sql(&url, &format!("UPDATE poll.clock SET shift = shift + 1000000::int8 * ({by})"));
        until(async || {
            (server.query(&url, "SELECT steps FROM poll.clock") == steps.to_string()).then_some(())
        })
        .await;
        web.arrived(asked + 5).await;
        let shift = server.query(&url, "SELECT round(shift / 1e6) FROM poll.clock");
        assert_eq!(shift, "0", "{by}");
    }
    assert_eq!(server.query(&url, "SELECT sum(takeovers), count(*) FROM poll.worker"), "0|1");
    assert_eq!(worker.stats().open, 1, "it has not timed out");
    let outcome = poll.cancel().await.unwrap();
    let lived = outcome.ended_at.since(outcome.started_at);
    assert!(lived < Duration::from_secs(600), "{lived:?}");
}

/// Set back while no worker ran: what the last one noted tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_while_no_worker_ran_holds_none_up() {
    let Some(server) = shared("a clock that was set back meanwhile") else { return };
    let url = server.database();
    for noted in ["latest", "renewed"] {
        let before = store(&url).await;
        before.begin_run().await.unwrap();
        let closed = before.closed();
        drop(before);
        closed.await;
        if noted == "renewed" {
            // One that was killed.
            server.sql(
                &url,
                "INSERT INTO poll.worker (id, epoch, expires, renewed, host, process, runs_until) SELECT 1, 1, now() + shift * i, \
                     now() + shift * i, 'x', 1, 'unknown' FROM poll.clock, (SELECT interval '1 microsecond' AS i) AS one; \
                 UPDATE poll.clock SET latest = 0",
            );
        }
        server.sql(&url, "UPDATE poll.clock SET shift = shift - 7200000000, steps = 0");
        let client = store(&url).await;
        let clock = client.clock().unwrap();
        let behind = poller::SystemClock::new().now().since(clock.now());
        assert!(
            behind < Duration::from_secs(60),
            "{noted}: a client reads what the worker noted: {behind:?}"
        );
        let after = store(&url).await;
        after.begin_run().await.unwrap();
        assert_eq!(server.query(&url, "SELECT steps, round(shift / 60e6) FROM poll.clock"), "1|0", "{noted}");
    }
    // Back to the database's clock, as the documentation says, which lets no worker take a step out.
    server.sql(&url, "UPDATE poll.clock SET shift = 7200000000, latest = 1");
    let reset = include_str!("../../../docs/fleet.md").lines().find(|line| line.contains("SET shift = 0"));
    server.sql(&url, reset.unwrap());
    store(&url).await.begin_run().await.unwrap();
    assert_eq!(server.query(&url, "SELECT shift FROM poll.clock"), "0");
}

/// The connections that listen, by the last statement of each.
const LISTENING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
     AND query IN ('SELECT pg_backend_pid()', 'NOTIFY poll')";

/// Told at once where both have notifications on, also after the connections were cut; never, where they are off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_told_by_notify() {
    let Some(server) = shared("NOTIFY") else { return };
    let url = server.database();
    let on = async || options(&url).with_notify(true).connect().await.unwrap();
    let (one, other, silent) = (on().await, on().await, store(&url).await);
    let both = async || until(async || (server.query(&url, LISTENING) == "2").then_some(())).await;
    both().await;
    let mut off = silent.changed();
    for (round, name) in ["a", "b", "c"].into_iter().enumerate() {
        let changed = other.changed();
        one.create(poll(name, 1)).await.unwrap();
        changed.await;
        let changed = other.changed();
        assert!(one.request_cancel(key(name)).await.unwrap());
        changed.await;
        let changed = one.changed();
        other.finish(key(name), outcome(b"1").await).await.unwrap();
        changed.await;
        if round == 1 {
            let changed = other.changed();
            server.sql(
                &url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
            // Something may have been missed, so a new connection begins with a look.
            changed.await;
            both().await;
        }
    }
    assert!((&mut off).now_or_never().is_none(), "off by default");
}

/// A thousand changes are a few notifications.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_are_coalesced() {
    let Some(server) = shared("coalesced NOTIFY") else { return };
    let url = server.database();
    let on = async || options(&url).with_notify(true).connect().await.unwrap();
    let (one, other) = (on().await, on().await);
    until(async || (server.query(&url, LISTENING) == "2").then_some(())).await;
    let clock = poller::SystemClock::new();
    let began = clock.now();
    let counted = tokio::spawn({
        let other = other.clone();
        async move {
            let mut heard = 0_u32;
            loop {
                let changed = other.changed();
                if other.get(key("last")).await.unwrap().is_some() {
                    return heard;
                }
                changed.await;
                heard += 1;
            }
        }
    });
    for number in 0..300 {
        one.create(poll(&format!("p{number}"), 1)).await.unwrap();
    }
    one.create(poll("last", 1)).await.unwrap();
    let heard = counted.await.unwrap();
    let windows = clock.now().since(began).as_millis() / 20 + 2;
    assert!(u128::from(heard) <= windows, "{heard} notifications in {windows} windows of 20 ms");
}

/// What is wrong, and what to do, without the words of the system's libraries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_cannot_be_used_is_explained_in_plain_words() {
    let Some(server) = shared("errors of connecting") else { return };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = server.database();
    let missing = format!("{url}_missing");
    for (url, expected) in [
        (format!("postgres://poll@{closed}/polls"), "nothing accepts connections there; start PostgreSQL"),
        ("postgres://poll@%2Fnone%2Fthere/polls".to_owned(), "there is no socket of a server in this folder"),
        ("postgres://poll@none.invalid/polls?sslmode=disable".to_owned(), "correct its name"),
        (missing, "(3D000); make it (CREATE DATABASE"),
    ] {
        let error = options(&url).connect().await.unwrap_err().to_string();
        assert!(error.starts_with("cannot open the store in postgres://"), "{error}");
        assert!(error.contains(expected) && !error.contains("os error"), "{url}: {error}");
    }
}
