//! One suite for every store, and what is particular to the one on disk.

use std::path::Path;
use std::sync::Arc;

use poller::store::{Creation, PollKey, Retention, Store, StoredPoll};
use poller::{
    Accepted, Conclusion, FailureReason, Limits, MemoryStore, Outcome, PollSpec, Poller, SealKey,
    SpecOptions, SqliteStore, Timestamp,
};
use serde_json::json;
use tempfile::TempDir;

use crate::world::{Reply, World, pending, spec, success};

/// A store to be tested, and what must live as long as it does.
struct Subject {
    name: &'static str,
    store: Arc<dyn Store>,
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

fn key(name: &str) -> PollKey {
    PollKey::new("run-17", name)
}

fn poll(name: &str, second: u64) -> StoredPoll {
    let spec: PollSpec = r#"{"url": "https://example.com/job", "interval": 12.5, "retry": {
        "503": {"strategy": "backoff", "limit": 3}, "5xx": {"strategy": "headers", "resetHeader": "x-reset"}, "429": {"strategy": "backoff"}},
        "requestInit": {"method": "POST", "headers": {"x-key": {"$secret": "env:KEY"}}, "body": {"base64": "AAEC/w=="}}}"#
        .parse()
        .unwrap();
    StoredPoll::new(key(name), spec, Timestamp::from_micros(second * 1_000_000))
}

/// An outcome as the engine makes them, with this body.
async fn outcome(body: &'static [u8]) -> Arc<Outcome> {
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
async fn of_many_polls_at_once_each_is_created_or_was_there() {
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
async fn of_many_who_create_the_same_poll_one_does() {
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
async fn what_is_not_there_is_said_so() {
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
        // This one is created while somebody runs them.
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
    for Subject { name, store, .. } in subjects().into_iter().filter(|subject| subject.store.keeps_attempts())
    {
        store.create(poll("a", 1)).await.unwrap();
        assert!(store.attempts(key("a")).await.unwrap().is_empty(), "{name}");
        let ended = outcome(b"1").await;
        assert_eq!(ended.history.len(), 2);
        for noted in [&ended.history[..1], &ended.history[..]] {
            let batch = vec![(key("a"), noted.to_vec()), (key("none"), noted.to_vec())];
            store.note_attempts(batch).await.unwrap();
            assert_eq!(store.attempts(key("a")).await.unwrap(), noted, "{name}");
        }
        assert!(store.attempts(key("none")).await.unwrap().is_empty(), "{name}");
        store.finish(key("a"), Arc::clone(&ended)).await.unwrap();
        assert!(store.attempts(key("a")).await.unwrap().is_empty(), "{name}: they are in the outcome");
        store.note_attempts(vec![(key("a"), ended.history.clone())]).await.unwrap();
        assert!(store.attempts(key("a")).await.unwrap().is_empty(), "{name}: it has ended");
    }
}

#[tokio::test]
async fn a_file_is_loaded_page_by_page_and_what_came_meanwhile_is_told_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(&folder)).unwrap();
    let many = 5000;
    let creating = (0..many).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.create(poll(&format!("p{number}"), number)).await.unwrap() })
    });
    for created in creating.collect::<Vec<_>>() {
        created.await.unwrap();
    }
    assert_eq!(store.begin_run().await.unwrap() as u64, many);
    let first = store.load_open().await.unwrap();
    assert!(!first.last && (first.polls.len() as u64) < many);
    store.create(poll("late", 1)).await.unwrap();
    let rest = load(&store).await;
    let mut keys: Vec<_> = first.polls.iter().chain(&rest).map(|poll| poll.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len() as u64, many + 1, "each once");
    store.create(poll("later", 1)).await.unwrap();
    let changes = store.changes().await.unwrap();
    assert_eq!(changes.open.polls.iter().map(|poll| poll.key.key()).collect::<Vec<_>>(), ["later"]);
}

#[tokio::test(start_paused = true)]
async fn what_others_do_to_a_file_is_told_whatever_was_told_before() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) =
        (SqliteStore::open(file(&folder)).unwrap(), SqliteStore::open(file(&folder)).unwrap());
    let ended = outcome(b"done").await;
    ours.begin_run().await.unwrap();
    assert!(load(&ours).await.is_empty());
    let told = async || {
        let changes = ours.changes().await.unwrap();
        let names = |keys: Vec<PollKey>| keys.iter().map(|key| key.key().to_owned()).collect::<Vec<_>>();
        assert!(changes.open.last);
        let open = changes.open.polls.into_iter().map(|poll| poll.key).collect();
        (names(open), names(changes.cancelling))
    };
    let (none, a, b) = (Vec::<String>::new, || vec!["a".to_owned()], || vec!["b".to_owned()]);
    assert_eq!(told().await, (none(), none()));
    assert_eq!(told().await, (none(), none()), "nothing has changed");
    theirs.create(poll("a", 1)).await.unwrap();
    assert_eq!(told().await, (a(), none()));
    assert_eq!(told().await, (none(), none()), "each once");
    theirs.ask_to_cancel(key("a")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(told().await, (none(), a()), "until it has ended");
    }
    ours.finish(key("a"), Arc::clone(&ended)).await.unwrap();
    assert_eq!(told().await, (none(), none()));
    ours.create(poll("b", 1)).await.unwrap();
    theirs.ask_to_cancel(key("b")).await.unwrap();
    assert_eq!(told().await, (b(), b()), "both at once");
    ours.finish(key("b"), ended).await.unwrap();
    assert_eq!(told().await, (none(), none()));
    // Another run is told of everything again, though the file is as it was.
    theirs.create(poll("b2", 1)).await.unwrap();
    assert_eq!(told().await.0, ["b2"]);
    ours.begin_run().await.unwrap();
    assert_eq!(told().await.0, ["b2"]);
}

#[tokio::test]
async fn what_the_runner_has_created_is_not_read_back_and_what_others_have_is() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) =
        (SqliteStore::open(file(&folder)).unwrap(), SqliteStore::open(file(&folder)).unwrap());
    ours.begin_run().await.unwrap();
    assert!(load(&ours).await.is_empty());
    let many = |letter: char| (0..50).map(|number| poll(&format!("{letter}{number}"), 1)).collect::<Vec<_>>();
    for (own, other) in [('a', "x"), ('b', "y")] {
        ours.create_all(many(own)).await;
        theirs.create(poll(other, 1)).await.unwrap();
    }
    ours.create_all(many('c')).await;
    let mut told = Vec::new();
    loop {
        let open = ours.changes().await.unwrap().open;
        told.extend(open.polls.into_iter().map(|poll| poll.key.key().to_owned()));
        if open.last {
            break;
        }
    }
    assert_eq!(told, ["x", "y"]);
    // Another run has created none of them.
    ours.begin_run().await.unwrap();
    assert_eq!(load(&ours).await.len(), 152);
}

/// All open polls that this run has not been given yet.
async fn load(store: &dyn Store) -> Vec<StoredPoll> {
    let mut polls = Vec::new();
    loop {
        let open = store.load_open().await.unwrap();
        polls.extend(open.polls);
        if open.last {
            return polls;
        }
    }
}

fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("polls.db")
}

/// Engine and file together run in real time: a store's threads are unknown to a virtual clock.
fn fast(path: &str) -> PollSpec {
    spec(json!({"url": format!("https://example.com/{path}"), "interval": 0.02, "timeout": 60}))
}

#[tokio::test]
async fn an_open_poll_goes_on_in_the_next_process_with_its_start_and_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(|number, _| if number < 6 { pending() } else { success() });
    let before = world.poller().store(SqliteStore::open(file(&folder)).unwrap()).build().await.unwrap();
    let poll = before.submit("job", fast("job")).await.unwrap();
    let deadline = poll.deadline();
    world.arrived(3).await;
    assert_eq!(before.shutdown().await.left_open, 1);
    drop((before, poll));
    let made = world.sent().len();

    let after = world.poller().store(SqliteStore::open(file(&folder)).unwrap()).build().await.unwrap();
    let poll = after.submit("job", fast("job")).await.unwrap();
    assert_eq!((poll.accepted(), poll.deadline()), (Accepted::Joined, deadline));
    let outcome = poll.outcome().await.unwrap();
    assert_eq!((outcome.name(), outcome.restarts), ("matched", 1));
    assert_eq!(usize::try_from(outcome.attempts).unwrap(), world.sent().len() - made);
    // And once it has ended, its outcome is there for whoever asks, without a request.
    after.shutdown().await;
    drop((after, poll));
    let made = world.sent().len();
    let later = world.poller().store(SqliteStore::open(file(&folder)).unwrap()).build().await.unwrap();
    let poll = later.submit("job", fast("job")).await.unwrap();
    assert_eq!((poll.accepted(), poll.outcome().await.unwrap()), (Accepted::AlreadyFinished, outcome));
    assert_eq!(world.sent().len(), made);
}

#[tokio::test]
async fn one_process_runs_a_file_and_others_may_look_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let runner = SqliteStore::open(file(&folder)).unwrap();
    runner.begin_run().await.unwrap();
    let other = SqliteStore::open(file(&folder)).unwrap();
    let error = other.begin_run().await.unwrap_err().to_string();
    assert!(error.contains(&format!("is run by process {}", std::process::id())), "{error}");
    #[cfg(unix)]
    {
        let link = folder.path().join("link.db");
        std::os::unix::fs::symlink(file(&folder), &link).unwrap();
        let linked = SqliteStore::open(link).unwrap();
        let error = linked.begin_run().await.unwrap_err().to_string();
        assert!(error.contains("link.db is run by process "), "{error}");
    }
    other.create(poll("a", 1)).await.unwrap();
    assert_eq!(runner.list().await.unwrap().len(), 1, "what one writes the other sees");
    drop(runner);
    other.begin_run().await.unwrap();
}

#[tokio::test]
async fn who_looks_at_a_file_does_not_wait_for_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    SqliteStore::open(file(&folder)).unwrap().create(poll("a", 1)).await.unwrap();
    let writer = rusqlite::Connection::open(file(&folder)).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Who waited would give up after some seconds.
    assert_eq!(SqliteStore::open(file(&folder)).unwrap().list().await.unwrap().len(), 1);
    drop(writer);
}

#[tokio::test]
async fn who_runs_a_file_can_be_asked_and_asking_hinders_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let runner = SqliteStore::open(file(&folder)).unwrap();
    let other = SqliteStore::open(file(&folder)).unwrap();
    assert_eq!(other.runner().unwrap(), None);
    let asking = {
        let other = other.clone();
        tokio::task::spawn_blocking(move || while other.runner().unwrap().is_none() {})
    };
    runner.begin_run().await.unwrap();
    asking.await.unwrap();
    for store in [&runner, &other] {
        assert_eq!(store.runner().unwrap().and_then(|runner| runner.process), Some(std::process::id()));
    }
    drop(runner);
    assert_eq!(other.runner().unwrap(), None);
}

#[tokio::test]
async fn where_nobody_runs_the_file_a_poll_is_cancelled_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let runner = SqliteStore::open(file(&folder)).unwrap();
    runner.create(poll("a", 1)).await.unwrap();
    runner.begin_run().await.unwrap();
    let other = SqliteStore::open(file(&folder)).unwrap();
    let now = Timestamp::from_micros(5_000_000);
    for store in [&runner, &other] {
        assert_eq!(store.cancel_unrun(key("a"), now).await.unwrap(), None, "somebody runs it");
    }
    drop(runner);
    let outcome = other.cancel_unrun(key("a"), now).await.unwrap().unwrap();
    assert_eq!((outcome.name(), outcome.restarts, outcome.elapsed().as_secs()), ("cancelled", 0, 4));
    assert_eq!(other.get(key("a")).await.unwrap().unwrap().outcome, Some(Arc::clone(&outcome)));
    let again = other.cancel_unrun(key("a"), Timestamp::from_micros(9_000_000)).await.unwrap();
    assert_eq!(again, Some(outcome), "an outcome never changes");
    let error = other.cancel_unrun(key("b"), now).await.unwrap_err().to_string();
    assert_eq!(error, "the poll run-17/b is not in the store");
}

#[tokio::test]
async fn a_glance_needs_neither_key_nor_readable_specs() {
    let folder = tempfile::tempdir().unwrap();
    let key = SealKey::parse(&"a".repeat(64)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(key)).unwrap();
    let sealed = spec(json!({"timeout": 60, "requestInit": {"headers": {"authorization": "hunter2"}}}));
    let name = |name: &str| PollKey::new("", name);
    for (second, poll_key) in [(1, name("ended")), (2, name("sealed")), (3, name("broken"))] {
        store
            .create(StoredPoll::new(poll_key, sealed.clone(), Timestamp::from_micros(second * 1_000_000)))
            .await
            .unwrap();
    }
    store.finish(name("ended"), outcome(b"[1, 2]").await).await.unwrap();
    store.ask_to_cancel(name("sealed")).await.unwrap();
    let raw = rusqlite::Connection::open(file(&folder)).unwrap();
    raw.execute("INSERT INTO specs (text, polls) VALUES ('{', 1)", []).unwrap();
    raw.execute("UPDATE polls SET spec = (SELECT id FROM specs WHERE text = '{') WHERE key = 'broken'", [])
        .unwrap();

    let store = SqliteStore::open(file(&folder)).unwrap();
    assert_eq!(store.count_open().await.unwrap(), 2);
    let all = store.summaries().await.unwrap();
    let names: Vec<_> = all.iter().map(|summary| summary.key.key()).collect();
    assert_eq!(names, ["sealed", "broken", "ended"], "open ones first");
    let [waiting, broken, ended] = &all[..] else { panic!("{all:?}") };
    assert!(waiting.cancelling && waiting.ended.is_none());
    assert_eq!(waiting.deadline, Some(Timestamp::from_micros(62_000_000)));
    assert_eq!(broken.deadline, None);
    let ending = ended.ended.as_ref().unwrap();
    assert_eq!((&*ending.outcome, ending.attempts), ("matched", 2));
    assert_eq!(store.summary(name("ended")).await.unwrap().as_ref(), Some(ended));
    assert_eq!(store.summary(name("none")).await.unwrap(), None);
}

#[tokio::test]
async fn what_others_submit_and_cancel_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::sequence([pending]);
    let poller = world.poller().store(SqliteStore::open(file(&folder)).unwrap()).build().await.unwrap();
    let other = SqliteStore::open(file(&folder)).unwrap();
    let create = async |name: &str| {
        let poll = StoredPoll::new(PollKey::new("", name), fast(name), world.timestamp());
        assert!(matches!(other.create(poll).await.unwrap(), Creation::Created));
    };
    create("theirs").await;
    world.arrived(1).await;
    assert_eq!(world.sent()[0].path, "/theirs");
    let poll = poller.submit("theirs", fast("theirs")).await.unwrap();
    assert_eq!(poll.accepted(), Accepted::Joined);
    // One that was not noticed yet is joined as well.
    create("new").await;
    assert_eq!(poller.submit("new", fast("new")).await.unwrap().accepted(), Accepted::Joined);

    assert!(other.ask_to_cancel(PollKey::new("", "theirs")).await.unwrap());
    assert_eq!(poll.outcome().await.unwrap().name(), "cancelled");
    assert!(!other.ask_to_cancel(PollKey::new("", "theirs")).await.unwrap(), "it is open no more");
    assert!(other.get(PollKey::new("", "theirs")).await.unwrap().unwrap().outcome.is_some());
}

#[tokio::test]
async fn files_that_are_no_store_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path| SqliteStore::open(path).unwrap_err().to_string();

    let text = folder.path().join("text");
    std::fs::write(&text, "these are no polls, and there are enough words to fill a page header").unwrap();
    assert!(refused(&text).contains("is not an SQLite file"), "{}", refused(&text));

    let foreign = folder.path().join("foreign");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE users (name)").unwrap();
    assert!(refused(&foreign).contains("of another program"), "{}", refused(&foreign));

    let newer = folder.path().join("newer");
    drop(SqliteStore::open(&newer).unwrap());
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(refused(&newer).contains("newer version (format 99"), "{}", refused(&newer));

    let nowhere = folder.path().join("no/such/folder/polls.db");
    assert!(refused(&nowhere).contains("no such folder"), "{}", refused(&nowhere));
}

#[tokio::test]
async fn a_file_of_format_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-1.db");
    std::fs::copy(fixture, file(&folder)).unwrap();
    let seal_key = SealKey::parse(&"ab".repeat(32)).unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key)).unwrap();
    let named = |name: &str| PollKey::new("", name);

    let matched = store.get(named("matched")).await.unwrap().unwrap().outcome.unwrap();
    assert_eq!(matched.response().unwrap().body(), "{\"status\": \"SUCCESS\",\n \"n\": 1.0}");
    assert_eq!((matched.attempts, matched.history.len()), (3, 3));
    let ending = store.summary(named("matched")).await.unwrap().unwrap().ended.unwrap();
    assert_eq!((&*ending.outcome, ending.attempts, ending.at), ("matched", 3, matched.ended_at));

    assert_eq!(store.begin_run().await.unwrap(), 6);
    let open = store.load_open().await.unwrap();
    let found: Vec<_> = open.polls.iter().map(|poll| (poll.key.key(), poll.restarts)).collect();
    // Format 1 counted a restart when a poll was loaded.
    assert_eq!(found, [("open", 3), ("alike", 1), ("sealed", 1), ("cancelling", 1)]);
    assert_eq!(open.polls[0].spec.url_text(), "https://api.example.com/v1/exports/42?full=%22yes%22");
    assert_eq!(open.polls[0].spec.retry().len(), 3);
    assert_eq!(open.polls[1].spec.differences(&open.polls[0].spec), ["/url"]);
    assert_eq!(open.polls[2].spec.request().headers.len(), 1, "its secret can be opened");
    assert_eq!(store.changes().await.unwrap().cancelling, [named("cancelling")]);
    let unreadable: Vec<_> = open.unreadable.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(unreadable, ["unreadable", "run-17/no JSON"]);
    drop(store);
    // Numbers are not used again, though the polls that had them are gone.
    let raw = rusqlite::Connection::open(file(&folder)).unwrap();
    let number: i64 =
        raw.query_row("SELECT seq FROM sqlite_sequence WHERE name = 'polls'", [], |row| row.get(0)).unwrap();
    assert_eq!(number, 40);
    let unused: i64 = raw
        .query_row(
            "SELECT count(*) FROM specs WHERE polls != (SELECT count(*) FROM polls WHERE spec = specs.id)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(unused, 0, "uses of specs are counted");
}

#[tokio::test(start_paused = true)]
async fn a_stored_poll_that_cannot_be_read_fails_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(&folder)).unwrap();
    store.create(poll("a", 1)).await.unwrap();
    store.create(poll("b", 1)).await.unwrap();
    let raw = rusqlite::Connection::open(file(&folder)).unwrap();
    raw.execute_batch(
        "INSERT INTO specs (text, polls) VALUES ('{\"from\":\"the future\"}', 1);
         UPDATE polls SET spec = (SELECT max(id) FROM specs) WHERE key = 'a'",
    )
    .unwrap();
    store.begin_run().await.unwrap();
    let open = store.load_open().await.unwrap();
    assert_eq!(open.polls.iter().map(|poll| poll.key.key()).collect::<Vec<_>>(), ["b"]);
    let [(ended, outcome)] = &open.unreadable[..] else { panic!("{open:?}") };
    assert_eq!(*ended, key("a"));
    let text: String = raw.query_row("SELECT outcome FROM outcomes", [], |row| row.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), **outcome, "it is stored before it is told");
    let Conclusion::Failed { reason, explanation, .. } = &outcome.conclusion else { panic!("{outcome:?}") };
    assert_eq!(*reason, FailureReason::Unreadable);
    assert!(explanation.contains("\"from\""), "{explanation}");
}

#[tokio::test]
async fn inline_secrets_are_sealed_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let secret = || {
        spec(json!({"interval": 0.02, "timeout": 60,
            "requestInit": {"headers": {"authorization": "Bearer hunter2"}, "body": {"__redactedString": true,
                "strings": ["pin=", ""], "interpolations": ["hunter2"]}}}))
    };
    let world = World::sequence([pending]);
    let poller = world.poller().store(SqliteStore::open(file(&folder)).unwrap()).build().await.unwrap();
    let error = poller.submit("job", secret()).await.unwrap_err().to_string();
    let refusal = SqliteStore::open(file(&folder)).unwrap().admits(&secret()).unwrap_err().to_string();
    assert!(error.ends_with(&refusal), "{error}");
    for way_out in ["/requestInit/headers/authorization, /requestInit/body", "POLL_SEAL_KEY", "env:NAME"] {
        assert!(error.contains(way_out), "{error}");
    }
    poller.shutdown().await;
    drop(poller);

    let key = |digit: &str| Some(SealKey::parse(&digit.repeat(64)).unwrap());
    let sealed = |digit: &str| SqliteStore::open_sealed(file(&folder), key(digit));
    let poller = world.poller().store(sealed("a").unwrap()).build().await.unwrap();
    poller.submit("job", secret()).await.unwrap();
    poller.shutdown().await;
    drop(poller);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        // The files beside the store go when its last connection does, which may be now.
        let Ok(bytes) = std::fs::read(entry.unwrap().path()) else { continue };
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "a secret is on the disk in clear");
    }
    // Without the key, or with another, nothing is run and nothing is lost.
    for store in [SqliteStore::open(file(&folder)), sealed("b")] {
        let error = Poller::builder().store(store.unwrap()).build().await.unwrap_err().to_string();
        assert!(error.contains("seal"), "{error}");
    }
    let poller = world.poller().store(sealed("a").unwrap()).build().await.unwrap();
    let poll = poller.submit("job", secret()).await.unwrap();
    assert_eq!(poll.accepted(), Accepted::Joined, "it is the same spec, secrets included");
    world.arrived(world.sent().len() + 1).await;
    assert_eq!(world.sent().last().unwrap().headers["authorization"], "Bearer hunter2");
}
