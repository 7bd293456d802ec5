//! The conformance suite: every store passes it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use poller::PollKey;
use poller::store::{Creation, Cursor, FoundOutcome, Retention, Selection, Store, StoreAdmin, StoredPoll};
use poller::{Limits, MemoryStore, Outcome, PollSpec, SpecOptions, SqliteStore, Timestamp};
use tempfile::TempDir;

use crate::world::{Reply, World};

/// A store under test, with its folder.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<dyn StoreAdmin>,
    _folder: Option<TempDir>,
}

/// All stores. Those that need a server are in it if this machine has one.
pub(crate) async fn subjects() -> Vec<Subject> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("polls.db")).unwrap();
    #[cfg_attr(not(feature = "postgres"), expect(unused_mut, reason = "the others come with a feature"))]
    let mut subjects = vec![
        Subject { name: "memory", store: Arc::new(MemoryStore::new()), _folder: None },
        Subject { name: "sqlite", store: Arc::new(sqlite), _folder: Some(folder) },
    ];
    #[cfg(feature = "postgres")]
    if let Some(server) = test_support::postgres::shared("the conformance suite on PostgreSQL") {
        for (name, shards) in [("postgres", 4096), ("postgres, one shard", 1)] {
            let options = poller::PostgresOptions::parse(&server.database()).unwrap().with_shards(shards);
            subjects.push(Subject { name, store: Arc::new(options.connect().await.unwrap()), _folder: None });
        }
    }
    subjects
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
    for Subject { name, store, .. } in subjects().await {
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
    for Subject { name, store, .. } in subjects().await {
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
    for Subject { name, store, .. } in subjects().await {
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
        for Subject { name, store, .. } in subjects().await {
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
    for Subject { name, store, .. } in subjects().await {
        assert!(store.get(key("a")).await.unwrap().is_none(), "{name}");
        assert!(!store.forget(key("a")).await.unwrap(), "{name}");
        let error = store.finish(key("a"), outcome(b"1").await).await.unwrap_err();
        assert_eq!(error.to_string(), "the poll run-17/a is not in the store", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_url_that_an_open_poll_follows_is_kept() {
    for Subject { name, store, .. } in subjects().await {
        for other in ["a", "b"] {
            store.create(poll(other, 1)).await.unwrap();
        }
        assert!(store.follow(key("missing"), "https://a.test/1".into()).await.is_err(), "{name}");
        store.follow(key("a"), "https://a.test/1".into()).await.unwrap();
        store.follow(key("a"), "https://a.test/2".into()).await.unwrap();
        let followed = |poll: StoredPoll| poll.followed.as_deref().map(str::to_owned);
        let a = store.get(key("a")).await.unwrap().unwrap();
        assert_eq!(followed(a), Some("https://a.test/2".to_owned()), "{name}: the last one");
        store.begin_run().await.unwrap();
        let mut open: Vec<_> =
            load(&*store).await.into_iter().map(|poll| (poll.key.clone(), followed(poll))).collect();
        open.sort();
        assert_eq!(open, [(key("a"), Some("https://a.test/2".to_owned())), (key("b"), None)], "{name}");
        let Creation::Exists(present) = store.create(poll("a", 2)).await.unwrap() else { panic!("{name}") };
        assert_eq!(followed(*present), Some("https://a.test/2".to_owned()), "{name}");
        store.finish(key("a"), outcome(b"{}").await).await.unwrap();
        assert!(store.follow(key("a"), "https://a.test/3".into()).await.is_err(), "{name}: it has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn finished_polls_are_forgotten_and_open_ones_are_not() {
    for Subject { name, store, .. } in subjects().await {
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
    for Subject { name, store, .. } in subjects().await {
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
    for Subject { name, store, .. } in subjects().await {
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
    for Subject { name, store, .. } in subjects().await {
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
async fn an_outcome_is_read_as_the_text_that_it_is_written_as() {
    for Subject { name, store, .. } in subjects().await {
        assert!(store.outcome(key("a")).await.unwrap().is_none(), "{name}");
        store.create(poll("a", 1)).await.unwrap();
        let found = store.outcome(key("a")).await.unwrap();
        let Some(FoundOutcome::Open(open)) = found else { panic!("{name}: {found:?}") };
        assert_eq!((open.key.clone(), open.deadline()), (key("a"), poll("a", 1).deadline()), "{name}");
        // The second is long enough for a store to pack it.
        let long: &'static str = format!("[{}0]", "17,\n".repeat(20_000)).leak();
        for body in ["{ \"a\": 1.50 }", long] {
            let ended = outcome(body.as_bytes()).await;
            store.finish(key("a"), Arc::clone(&ended)).await.unwrap();
            let found = store.outcome(key("a")).await.unwrap();
            let Some(FoundOutcome::Ended(text)) = found else { panic!("{name}: {found:?}") };
            assert_eq!(text, serde_json::to_string(&*ended).unwrap(), "{name}");
            assert!(store.forget(key("a")).await.unwrap(), "{name}");
            assert!(store.outcome(key("a")).await.unwrap().is_none(), "{name}");
            store.create(poll("a", 2)).await.unwrap();
            let found = store.outcome(key("a")).await.unwrap();
            assert!(matches!(found, Some(FoundOutcome::Open(_))), "{name}: created anew: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn summaries_and_records_say_the_state_of_each_poll() {
    for Subject { name, store, .. } in subjects().await {
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

#[tokio::test(start_paused = true)]
async fn selected_polls_are_cancelled_together_where_the_store_does_so() {
    for Subject { name, store, .. } in subjects().await {
        for (second, name) in ["a1", "b1", "a3", "a2", "a4"].into_iter().enumerate() {
            store.create(poll(name, second as u64)).await.unwrap();
        }
        store
            .create(StoredPoll::new(PollKey::new("", "a5"), poll("x", 0).spec, Timestamp::default()))
            .await
            .unwrap();
        let ended = outcome(b"1").await;
        store.finish(key("a3"), Arc::clone(&ended)).await.unwrap();
        store.request_cancel(key("a2")).await.unwrap();
        store.note_attempts(vec![(key("a1"), ended.history.clone())]).await.unwrap();
        let selection = Selection::all().with_scope("run-17").with_prefix("a");
        let now = Timestamp::from_micros(9_000_000);
        let Some(keys) = store.cancel_selected_unrun(selection.clone(), now).await.unwrap() else {
            assert_ne!(name, "sqlite");
            assert_eq!(store.count_open().await.unwrap(), 5, "{name}: nothing is cancelled");
            continue;
        };
        assert_eq!(keys.iter().collect::<Vec<_>>(), ["a1", "a2", "a4"].map(key), "{name}");
        assert_eq!((keys.len(), keys.is_empty()), (3, false), "{name}");
        // As one by one.
        let alone = store.cancel_unrun(key("b1"), now).await.unwrap().unwrap();
        let found = store.get(key("a4")).await.unwrap().unwrap();
        let mut expected = Outcome::clone(&alone);
        expected.started_at = found.created_at;
        assert_eq!(*found.outcome.unwrap(), expected, "{name}");
        let summary = store.summary(key("a2")).await.unwrap().unwrap();
        assert_eq!((summary.state(), summary.cancelling), ("cancelled", false), "{name}");
        assert!(store.show(key("a1")).await.unwrap().unwrap().attempts.is_empty(), "{name}");
        assert_eq!(store.get(key("a3")).await.unwrap().unwrap().outcome, Some(ended), "{name}");
        assert_eq!(store.count_open().await.unwrap(), 1, "{name}: that of another scope");
        let none = store.cancel_selected_unrun(selection.clone(), now).await.unwrap();
        assert_eq!(none.map(|keys| keys.len()), Some(0), "{name}");
        store.begin_run().await.unwrap();
        let all = store.cancel_selected_unrun(Selection::all(), now).await.unwrap();
        assert_eq!(all, None, "{name}: it has a runner");
        assert_eq!(store.count_open().await.unwrap(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_selection_is_the_summaries_that_it_describes() {
    for Subject { name, store, .. } in subjects().await {
        for (second, (scope, key)) in
            [("", "a1"), ("run", "a2"), ("", "b1"), ("", "a3"), ("run", "b2"), ("", "a4")]
                .into_iter()
                .enumerate()
        {
            let created_at = Timestamp::from_micros(second as u64 * 1_000_000);
            store
                .create(StoredPoll::new(PollKey::new(scope, key), poll("x", 0).spec, created_at))
                .await
                .unwrap();
        }
        store.finish(PollKey::new("", "a1"), outcome(b"1").await).await.unwrap();
        assert!(store.request_cancel(PollKey::new("", "b1")).await.unwrap());
        let selected = async |selection: Selection| {
            let found = store.select(selection).await.unwrap();
            found
                .iter()
                .map(|poll| format!("{}/{}", poll.key.scope(), poll.key.key()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let all = Selection::all;
        for (selection, expected) in [
            (all(), "run/a2 /b1 /a3 run/b2 /a4 /a1"),
            (all().with_scope(""), "/b1 /a3 /a4 /a1"),
            (all().with_prefix("a"), "run/a2 /a3 /a4 /a1"),
            (all().with_prefix("%"), ""),
            (all().with_state("open"), "run/a2 /a3 run/b2 /a4"),
            (all().with_state("cancelling").with_state("matched"), "/b1 /a1"),
            (all().with_state("failed"), ""),
            (all().with_limit(2), "run/a2 /b1"),
            (all().with_limit(0), ""),
            (all().with_after(PollKey::new("", "a3")), "run/b2 /a4 /a1"),
            (all().with_after(PollKey::new("", "a4")).with_state("open"), ""),
            (all().with_after(PollKey::new("", "b1")).with_prefix("a").with_scope("").with_limit(1), "/a3"),
        ] {
            assert_eq!(selected(selection.clone()).await, expected, "{name}: {selection:?}");
            let pages: Vec<_> = store.select_pages(selection.clone()).try_collect().await.unwrap();
            assert_eq!(pages.concat(), store.select(selection).await.unwrap(), "{name}: in pages");
        }
        let mut pages = store.select_pages(all().with_after(key("none")));
        assert!(pages.next().await.unwrap().is_err(), "{name}");
        let error = store.select(all().with_after(key("none"))).await.unwrap_err().to_string();
        assert!(error.ends_with("none is not in the store"), "{name}: {error}");

        let last = poll("x", 0).deadline();
        let after = |seconds: u64| last + Duration::from_secs(seconds);
        for (now, overdue) in [(Timestamp::default(), 0), (after(1), 1), (after(2), 2), (after(1000), 5)] {
            let status = store.status(now).await.unwrap();
            let counts = (status.open, status.cancelling, status.finished, status.overdue);
            assert_eq!(counts, (5, 1, 1, overdue), "{name}");
            assert_eq!(status.oldest, Some(Timestamp::from_micros(1_000_000)), "{name}");
        }
    }
}

/// All pages of a selection, as the names of their polls.
async fn pages(store: &dyn StoreAdmin, selection: Selection) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.page(selection.clone(), cursor).await.unwrap();
        pages.push(page.polls.iter().map(|poll| poll.key.to_string()).collect());
        // A cursor travels as text.
        cursor = page.next.map(|cursor| cursor.to_string().parse::<Cursor>().unwrap());
        if cursor.is_none() {
            return pages;
        }
    }
}

#[tokio::test]
async fn pages_are_newest_first_and_stay_where_they_are() {
    for Subject { name, store, .. } in subjects().await {
        let url = "https://other.example/job";
        for (number, (scope, key)) in
            [("", "a"), ("s", "b"), ("s/t", "c"), ("st", "d"), ("s", "e")].into_iter().enumerate()
        {
            let spec = if key == "d" { poll("x", 1).spec.with_url(url).unwrap() } else { poll("x", 1).spec };
            let at = Timestamp::from_micros(number as u64 * 1_000_000);
            store.create(StoredPoll::new(PollKey::new(scope, key), spec, at)).await.unwrap();
        }
        store.finish(PollKey::new("s", "e"), outcome(b"{}").await).await.unwrap();
        let all = |selection: Selection| async { pages(&*store, selection).await.concat() };
        assert_eq!(all(Selection::all()).await, ["s/e", "st/d", "s/t/c", "s/b", "a"], "{name}");
        assert_eq!(all(Selection::all().with_under("s")).await, ["s/e", "s/t/c", "s/b"], "{name}");
        assert_eq!(all(Selection::all().with_under("s/")).await, ["s/t/c"], "{name}");
        assert_eq!(all(Selection::all().with_scope("s")).await, ["s/e", "s/b"], "{name}");
        assert_eq!(all(Selection::all().with_prefix("b")).await, ["s/b"], "{name}");
        assert_eq!(all(Selection::all().with_origin("https://other.example")).await, ["st/d"], "{name}");
        assert!(all(Selection::all().with_origin("https://other.exam")).await.is_empty(), "{name}");
        let since = Timestamp::from_micros(3_000_000);
        assert_eq!(all(Selection::all().with_since(since)).await, ["s/e", "st/d"], "{name}");
        assert_eq!(all(Selection::all().with_state("matched")).await, ["s/e"], "{name}");
        assert_eq!(all(Selection::all().with_state("open").with_scope("s")).await, ["s/b"], "{name}");

        let two = pages(&*store, Selection::all().with_limit(2)).await;
        assert_eq!(two[..2], [["s/e", "st/d"], ["s/t/c", "s/b"]], "{name}");
        // A poll that is removed between two pages moves nothing.
        let first = store.page(Selection::all().with_limit(1), None).await.unwrap();
        assert!(store.forget(PollKey::new("s", "e")).await.unwrap());
        let second = store.page(Selection::all().with_limit(1), first.next).await.unwrap();
        assert_eq!(second.polls[0].key.key(), "d", "{name}");
    }
}

#[tokio::test]
async fn a_poll_is_cancelled_by_the_runner_or_without_one() {
    let now = Timestamp::from_micros(5_000_000);
    for Subject { name, store, .. } in subjects().await {
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

#[tokio::test(start_paused = true)]
async fn calls_for_many_polls_answer_in_the_order_of_their_names() {
    let now = Timestamp::from_micros(9_000_000);
    for Subject { name, store, .. } in subjects().await {
        for (second, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            store.create(poll(name, second as u64)).await.unwrap();
        }
        let ended = outcome(b"1").await;
        store.finish(key("b"), Arc::clone(&ended)).await.unwrap();
        let keys = || ["c", "none", "b", "a"].map(key).to_vec();
        let found = store.find(keys()).await.unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|poll| poll.as_ref().map(|poll| (poll.created_at.as_micros(), poll.ended)))
            .collect();
        assert_eq!(
            shown,
            [Some((2_000_000, false)), None, Some((1_000_000, true)), Some((0, false))],
            "{name}"
        );
        assert!(found.iter().flatten().all(|found| found.spec == poll("a", 0).spec), "{name}");
        let whole = store.get_all(keys()).await.unwrap();
        let names = whole.iter().map(|poll| poll.as_ref().map(|poll| poll.key.clone()));
        assert!(names.eq([Some(key("c")), None, Some(key("b")), Some(key("a"))]), "{name}");
        assert!(whole.iter().flatten().map(|poll| &poll.outcome).eq([
            &None,
            &Some(Arc::clone(&ended)),
            &None
        ]));
        let mut summaries = Vec::new();
        for key in keys() {
            summaries.push(store.summary(key).await.unwrap());
        }
        assert_eq!(store.summaries_of(keys()).await.unwrap(), summaries, "{name}");
        assert_eq!(store.request_cancel_all(keys()).await.unwrap(), [true, false, false, true], "{name}");
        assert!(store.summary(key("a")).await.unwrap().unwrap().cancelling, "{name}");
        let endings = store.cancel_all_unrun(keys(), now).await.unwrap().unwrap();
        let shown: Vec<_> =
            endings.iter().map(|ending| ending.as_ref().map(|ending| &*ending.outcome)).collect();
        assert_eq!(shown, [Some("cancelled"), None, Some("matched"), Some("cancelled")], "{name}");
        assert_eq!(store.get(key("b")).await.unwrap().unwrap().outcome, Some(ended), "{name}");
        assert_eq!(store.get(key("a")).await.unwrap().unwrap().outcome.unwrap().ended_at, now, "{name}");
        assert_eq!(store.count_open().await.unwrap(), 1, "{name}");
        store.begin_run().await.unwrap();
        assert_eq!(
            store.cancel_all_unrun(vec![key("d")], now).await.unwrap(),
            None,
            "{name}: it has a runner"
        );
        assert_eq!(store.find(Vec::new()).await.unwrap().len(), 0, "{name}");
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

#[tokio::test(start_paused = true)]
async fn an_open_poll_keeps_the_time_of_its_first_request() {
    for Subject { name, store, .. } in subjects().await {
        let spread = poll("a", 7).spread();
        assert!(!spread.first_after.is_zero());
        store.create(spread.clone()).await.unwrap();
        store.create(poll("b", 7)).await.unwrap();
        store.begin_run().await.unwrap();
        let mut found: Vec<_> =
            load(&*store).await.into_iter().map(|poll| (poll.key.clone(), poll.first_after)).collect();
        found.sort();
        assert_eq!(found, [(key("a"), spread.first_after), (key("b"), Duration::ZERO)], "{name}");
        assert_eq!(store.get(key("a")).await.unwrap().unwrap().first_after, spread.first_after, "{name}");
    }
}
