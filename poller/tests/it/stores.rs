//! The conformance suite: every store passes it.

use std::sync::Arc;

use poller::PollKey;
use poller::store::{Creation, Retention, Store, StoreAdmin, StoredPoll};
use poller::{Limits, MemoryStore, Outcome, PollSpec, SpecOptions, SqliteStore, Timestamp};
use tempfile::TempDir;

use crate::world::{Reply, World};

/// A store under test, with its folder.
struct Subject {
    name: &'static str,
    store: Arc<dyn StoreAdmin>,
    _folder: Option<TempDir>,
}

fn subjects() -> Vec<Subject> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("polls.db")).unwrap();
    vec![
        Subject { name: "memory", store: Arc::new(MemoryStore::new()), _folder: None },
        Subject { name: "sqlite", store: Arc::new(sqlite), _folder: Some(folder) },
    ]
}

pub(crate) fn key(name: &str) -> PollKey {
    PollKey::new("run-17", name)
}

pub(crate) fn poll(name: &str, second: u64) -> StoredPoll {
    let spec: PollSpec = r#"{"url": "https://example.com/job", "interval": 12.5, "retry": {
        "503": {"strategy": "backoff", "limit": 3}, "5xx": {"strategy": "headers", "resetHeader": "x-reset"}, "429": {"strategy": "backoff"}},
        "requestInit": {"method": "POST", "headers": {"x-key": {"$secret": "env:KEY"}}, "body": {"base64": "AAEC/w=="}}}"#
        .parse()
        .unwrap();
    StoredPoll::new(key(name), spec, Timestamp::from_micros(second * 1_000_000))
}

/// An outcome as the engine makes them, with this body.
pub(crate) async fn outcome(body: &'static [u8]) -> Arc<Outcome> {
    let world = World::new(move |number, _| match number {
        0 => Reply::json(503, "").header("retry-after-ms", "10"),
        _ => Reply::json(200, "").header("x-a", "b").with_body(body),
    });
    let spec = SpecOptions::new()
        .limits(Limits::unbounded())
        .parse(r#"{"url": "https://example.com/job", "interval": 0.02}"#)
        .unwrap();
    crate::world::run(&world, spec).await
}

#[tokio::test(start_paused = true)]
async fn a_key_is_created_once() {
    for Subject { name, store, .. } in subjects() {
        assert!(matches!(store.create(poll("a", 1)).await.unwrap(), Creation::Created), "{name}");
        let Creation::Exists(present) = store.create(poll("a", 2)).await.unwrap() else { panic!("{name}") };
        assert_eq!(present.created_at, Timestamp::from_micros(1_000_000), "{name}: the first stays");
        assert_eq!(present.spec.differences(&poll("a", 1).spec), Vec::<String>::new(), "{name}");
        let other_scope = StoredPoll::new(PollKey::new("", "a"), poll("a", 3).spec, Timestamp::default());
        assert!(matches!(store.create(other_scope).await.unwrap(), Creation::Created), "{name}");
    }
}

#[tokio::test]
async fn a_batch_creates_the_new_polls_and_reports_the_existing_ones() {
    for Subject { name, store, .. } in subjects() {
        for present in ["p00", "p40", "p99"] {
            store.create(poll(present, 1)).await.unwrap();
        }
        let other = poll("q", 2).spec.with_url("https://example.com/other").unwrap();
        let mut polls: Vec<_> = (0..100).rev().map(|number| poll(&format!("p{number:02}"), 2)).collect();
        polls.push(StoredPoll::new(key("p50"), other.clone(), Timestamp::from_micros(3_000_000)));
        polls.push(StoredPoll::new(key("q"), other.clone(), Timestamp::from_micros(3_000_000)));
        let keys: Vec<_> = polls.iter().map(|poll| poll.key.key().to_owned()).collect();
        let results = store.create_all(polls).await;
        assert_eq!(results.len(), 102, "{name}");
        let mut present = Vec::new();
        for (result, asked) in results.into_iter().zip(keys) {
            if let Creation::Exists(poll) = result.unwrap() {
                assert_eq!(poll.key.key(), asked, "{name}: in their order");
                present.push((asked, poll.created_at.as_micros() / 1_000_000));
            }
        }
        let expected = [("p99", 1), ("p40", 1), ("p00", 1), ("p50", 2)];
        assert_eq!(present, expected.map(|(key, second)| (key.to_owned(), second)), "{name}");
        assert_eq!(store.list().await.unwrap().len(), 101, "{name}");
        assert_eq!(store.get(key("q")).await.unwrap().unwrap().spec, other, "{name}");
    }
}

#[tokio::test]
async fn concurrent_creates_of_one_key_create_one_poll() {
    for Subject { name, store, .. } in subjects() {
        let tries = (0..100).map(|second| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                matches!(store.create(poll("a", second)).await.unwrap(), Creation::Created)
            })
        });
        let mut created = 0;
        for attempt in tries.collect::<Vec<_>>() {
            created += u32::from(attempt.await.unwrap());
        }
        assert_eq!(created, 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_kept_to_the_byte_and_never_changes() {
    for body in [&b"{\"n\": 1.0,\n\"n\":12345678901234567890123}"[..], b"<html>", b"\xff\xfe", b"", b"null"] {
        for Subject { name, store, .. } in subjects() {
            store.create(poll("a", 1)).await.unwrap();
            let first = outcome(body).await;
            assert_eq!(first.response().unwrap().body(), body);
            assert_eq!(store.finish(key("a"), Arc::clone(&first)).await.unwrap(), first, "{name}");
            let second = outcome(b"{\"another\":true}").await;
            assert_eq!(store.finish(key("a"), second).await.unwrap(), first, "{name}: the first stays");
            assert_eq!(store.get(key("a")).await.unwrap().unwrap().outcome.unwrap(), first, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_poll_is_reported() {
    for Subject { name, store, .. } in subjects() {
        assert!(store.get(key("a")).await.unwrap().is_none(), "{name}");
        assert!(!store.forget(key("a")).await.unwrap(), "{name}");
        let error = store.finish(key("a"), outcome(b"1").await).await.unwrap_err();
        assert_eq!(error.to_string(), "the poll run-17/a is not in the store", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn finished_polls_are_forgotten_and_open_ones_are_not() {
    for Subject { name, store, .. } in subjects() {
        store.create(poll("a", 1)).await.unwrap();
        assert!(!store.forget(key("a")).await.unwrap(), "{name}: it is open");
        store.finish(key("a"), outcome(b"1").await).await.unwrap();
        assert!(store.forget(key("a")).await.unwrap(), "{name}");
        assert!(
            matches!(store.create(poll("a", 2)).await.unwrap(), Creation::Created),
            "{name}: the key is free"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn open_polls_are_loaded_and_their_restarts_counted_from_the_first_run_that_runs_them() {
    for Subject { name, store, .. } in subjects() {
        for (second, name) in ["c", "a", "b"].into_iter().enumerate() {
            store.create(poll(name, second as u64)).await.unwrap();
        }
        store.finish(key("a"), outcome(b"1").await).await.unwrap();
        for restarts in 0..3 {
            assert_eq!(store.begin_run().await.unwrap(), 2, "{name}");
            let mut open = load(&*store).await;
            open.sort_by(|a, b| a.key.cmp(&b.key));
            let found: Vec<_> = open.iter().map(|poll| (poll.key.key(), poll.restarts)).collect();
            assert_eq!(found, [("b", restarts), ("c", restarts)], "{name}");
            assert_eq!(open[0].spec.differences(&poll("b", 0).spec), Vec::<String>::new(), "{name}");
            assert_eq!(store.get(key("b")).await.unwrap().unwrap().restarts, restarts, "{name}");
        }
        // This poll is created during a run.
        store.create(poll("d", 3)).await.unwrap();
        store.begin_run().await.unwrap();
        assert_eq!(store.get(key("d")).await.unwrap().unwrap().restarts, 1, "{name}");
        assert_eq!(store.get(key("a")).await.unwrap().unwrap().restarts, 0, "{name}: it has ended");
        let listed: Vec<_> =
            store.list().await.unwrap().iter().map(|poll| poll.key.key().to_owned()).collect();
        assert_eq!(listed, ["c", "a", "b", "d"], "{name}: oldest first");
    }
}

/// The same outcome, decided in another second.
fn at(outcome: &Outcome, second: u64) -> Arc<Outcome> {
    let mut outcome = outcome.clone();
    outcome.ended_at = Timestamp::from_micros(second * 1_000_000);
    Arc::new(outcome)
}

#[tokio::test(start_paused = true)]
async fn finished_polls_are_kept_by_age_and_by_number_and_open_ones_always() {
    for Subject { name, store, .. } in subjects() {
        let ended = outcome(b"1").await;
        for second in 1..=6 {
            let poll = poll(&format!("p{second}"), second);
            store.create(poll.clone()).await.unwrap();
            if second < 6 {
                store.finish(poll.key, at(&ended, second)).await.unwrap();
            }
        }
        let second = |second: u64| Timestamp::from_micros(second * 1_000_000);
        let left = async || {
            let polls = store.list().await.unwrap();
            polls.iter().map(|poll| poll.key.key().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(store.purge(Retention::new(second(1), 5)).await.unwrap(), 0, "{name}: all are kept");
        assert_eq!(store.purge(Retention::new(second(3), usize::MAX)).await.unwrap(), 2, "{name}: by age");
        assert_eq!(left().await, ["p3", "p4", "p5", "p6"], "{name}");
        assert_eq!(store.purge(Retention::new(second(3), 2)).await.unwrap(), 1, "{name}: by number");
        assert_eq!(left().await, ["p4", "p5", "p6"], "{name}");
        assert_eq!(store.purge(Retention::new(second(100), 0)).await.unwrap(), 2, "{name}");
        assert_eq!(left().await, ["p6"], "{name}: it is open");
        assert!(matches!(store.create(poll("p4", 9)).await.unwrap(), Creation::Created), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_of_open_polls_are_kept_until_they_end() {
    for Subject { name, store, .. } in subjects() {
        let attempts = async |name: &str| {
            store.show(key(name)).await.unwrap().map(|record| record.attempts).unwrap_or_default()
        };
        store.create(poll("a", 1)).await.unwrap();
        assert!(attempts("a").await.is_empty(), "{name}");
        let ended = outcome(b"1").await;
        assert_eq!(ended.history.len(), 2);
        for noted in [&ended.history[..1], &ended.history[..]] {
            let batch = vec![(key("a"), noted.to_vec()), (key("none"), noted.to_vec())];
            store.note_attempts(batch).await.unwrap();
            assert_eq!(attempts("a").await, noted, "{name}");
        }
        assert!(attempts("none").await.is_empty(), "{name}");
        store.finish(key("a"), Arc::clone(&ended)).await.unwrap();
        assert!(attempts("a").await.is_empty(), "{name}: they are in the outcome");
        store.note_attempts(vec![(key("a"), ended.history.clone())]).await.unwrap();
        assert!(attempts("a").await.is_empty(), "{name}: it has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn summaries_and_records_say_the_state_of_each_poll() {
    for Subject { name, store, .. } in subjects() {
        for (second, name) in ["ended", "open", "cancelling"].into_iter().enumerate() {
            store.create(poll(name, second as u64)).await.unwrap();
        }
        let ended = outcome(b"1").await;
        store.finish(key("ended"), Arc::clone(&ended)).await.unwrap();
        assert!(store.request_cancel(key("cancelling")).await.unwrap(), "{name}");
        for not_open in ["ended", "none"] {
            assert!(!store.request_cancel(key(not_open)).await.unwrap(), "{name}: {not_open}");
        }
        let all = store.summaries().await.unwrap();
        let states: Vec<_> =
            all.iter().map(|poll| (poll.key.key(), poll.cancelling, poll.ended.is_some())).collect();
        let expected = [("open", false, false), ("cancelling", true, false), ("ended", false, true)];
        assert_eq!(states, expected, "{name}: open polls first, each group in the order of creation");
        let ending = all[2].ended.as_ref().unwrap();
        assert_eq!((ending.at, &*ending.outcome, ending.attempts), (ended.ended_at, "matched", 2), "{name}");
        assert_eq!(store.count_open().await.unwrap(), 2, "{name}");
        for summary in &all {
            assert_eq!(store.summary(summary.key.clone()).await.unwrap().as_ref(), Some(summary), "{name}");
            let record = store.show(summary.key.clone()).await.unwrap().unwrap();
            assert_eq!(summary.deadline, Some(record.poll.deadline()), "{name}");
            assert_eq!(record.poll.spec, poll("a", 0).spec, "{name}");
            assert_eq!(record.poll.outcome.is_some(), summary.ended.is_some(), "{name}");
            assert_eq!((record.cancelling, record.runner), (summary.cancelling, None), "{name}");
        }
        assert_eq!(store.summary(key("none")).await.unwrap(), None, "{name}");
        assert!(store.show(key("none")).await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_poll_is_cancelled_by_the_runner_or_without_one() {
    let now = Timestamp::from_micros(5_000_000);
    for Subject { name, store, .. } in subjects() {
        store.create(poll("a", 1)).await.unwrap();
        store.create(poll("b", 1)).await.unwrap();
        assert_eq!(store.runner().await.unwrap(), None, "{name}");
        let cancelled = store.cancel_unrun(key("a"), now).await.unwrap().unwrap();
        assert_eq!((cancelled.name(), cancelled.elapsed().as_secs()), ("cancelled", 4), "{name}");
        let again = store.cancel_unrun(key("a"), Timestamp::from_micros(9_000_000)).await.unwrap();
        assert_eq!(again, Some(cancelled), "{name}: an outcome never changes");
        let error = store.cancel_unrun(key("none"), now).await.unwrap_err();
        assert_eq!(error.to_string(), "the poll run-17/none is not in the store", "{name}");

        store.begin_run().await.unwrap();
        let runner = store.runner().await.unwrap().and_then(|runner| runner.process);
        assert_eq!(runner, Some(std::process::id()), "{name}");
        load(&*store).await;
        assert_eq!(store.cancel_unrun(key("b"), now).await.unwrap(), None, "{name}: a process runs it");
        store.request_cancel(key("b")).await.unwrap();
        store.create(poll("c", 1)).await.unwrap();
        let changes = store.changes().await.unwrap();
        assert_eq!(changes.cancelling, [key("b")], "{name}");
        let new: Vec<_> = changes.open.polls.iter().map(|poll| poll.key.key()).collect();
        assert_eq!(new, ["c"], "{name}: a poll that was not created by the runner");
        store.finish(key("b"), outcome(b"1").await).await.unwrap();
        assert!(store.changes().await.unwrap().cancelling.is_empty(), "{name}: it has ended");
        assert!(store.changes_every().is_some(), "{name}: the runner looks for such requests");
    }
}

/// All open polls that this run has not loaded yet.
pub(crate) async fn load(store: &dyn Store) -> Vec<StoredPoll> {
    let mut polls = Vec::new();
    loop {
        let open = store.load_open().await.unwrap();
        polls.extend(open.polls);
        if open.last {
            return polls;
        }
    }
}
