//! What is particular to the store in a file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use poller::PollKey;
use poller::store::{Creation, Selection, Store, StoreAdmin as _, StoredPoll};
use poller::{Accepted, FailureReason, Outcome, OutcomeKind, PollSpec, SealKey, SqliteStore, Timestamp};
use serde_json::json;
use tempfile::TempDir;

use crate::stores::{key, load, outcome, poll};
use crate::world::{World, pending, spec, success};

#[tokio::test]
async fn a_file_is_loaded_in_pages_and_polls_created_meanwhile_follow() {
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

#[tokio::test]
async fn a_list_in_pages_has_each_poll_once_whatever_changes_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(file(&folder)).unwrap();
    let name = |number: usize| format!("p{number:05}");
    let many = 10_000;
    let polls = (0..many).map(|number| poll(&name(number), number as u64)).collect();
    store.create_all(polls).await;
    let ended = outcome(b"1").await;
    let end = async |numbers: &[usize]| {
        for number in numbers {
            store.finish(key(&name(*number)), Arc::clone(&ended)).await.unwrap();
        }
    };
    end(&[2, 7000]).await;
    let mut pages = store.select_pages(Selection::all());
    let mut found = pages.next().await.unwrap().unwrap();
    assert!(found.len() < many / 2 && found.iter().all(|poll| poll.ended.is_none()));
    // Of the page that was read, and of one that was not; and one that is new.
    end(&[0, 1, 100, 9000, 9999]).await;
    store.create(poll("late", 1)).await.unwrap();
    while let Some(page) = pages.next().await {
        found.extend(page.unwrap());
    }
    let finished: Vec<_> =
        found.iter().filter(|poll| poll.ended.is_some()).map(|poll| poll.key.clone()).collect();
    assert_eq!(finished, [2, 7000, 9000, 9999].map(|number| key(&name(number))));
    let mut keys: Vec<_> = found.iter().map(|poll| poll.key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), found.len()), (many + 1, many + 1), "each once");
    // All pages of it are cancelled.
    let cancelled =
        store.cancel_selected_unrun(Selection::all(), Timestamp::default()).await.unwrap().unwrap();
    assert_eq!((cancelled.len(), store.count_open().await.unwrap()), (many + 1 - 7, 0));
}

#[tokio::test(start_paused = true)]
async fn changes_of_other_processes_are_reported_to_every_run() {
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
    theirs.request_cancel(key("a")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(told().await, (none(), a()), "until it has ended");
    }
    ours.finish(key("a"), Arc::clone(&ended)).await.unwrap();
    assert_eq!(told().await, (none(), none()));
    ours.create(poll("b", 1)).await.unwrap();
    theirs.request_cancel(key("b")).await.unwrap();
    assert_eq!(told().await, (b(), b()), "both at once");
    ours.finish(key("b"), ended).await.unwrap();
    assert_eq!(told().await, (none(), none()));
    // Another run receives all changes again, although the file is unchanged.
    theirs.create(poll("b2", 1)).await.unwrap();
    assert_eq!(told().await.0, ["b2"]);
    ours.begin_run().await.unwrap();
    assert_eq!(told().await.0, ["b2"]);
}

#[tokio::test]
async fn a_runner_reads_back_the_polls_of_others_and_not_its_own() {
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

pub(crate) fn file(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("polls.db")
}

/// Engine and file together run in real time: a store's threads are unknown to a virtual clock.
pub(crate) fn fast(path: &str) -> PollSpec {
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
    // Once the poll has ended, every reader gets its outcome without a request.
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
async fn readers_of_a_file_do_not_wait_for_writers() {
    let folder = tempfile::tempdir().unwrap();
    SqliteStore::open(file(&folder)).unwrap().create(poll("a", 1)).await.unwrap();
    let writer = rusqlite::Connection::open(file(&folder)).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Who waited would give up after some seconds.
    assert_eq!(SqliteStore::open(file(&folder)).unwrap().list().await.unwrap().len(), 1);
    drop(writer);
}

#[tokio::test]
async fn asking_for_the_runner_does_not_keep_a_process_from_becoming_it() {
    let folder = tempfile::tempdir().unwrap();
    let runner = SqliteStore::open(file(&folder)).unwrap();
    let other = SqliteStore::open(file(&folder)).unwrap();
    assert_eq!(other.runner().await.unwrap(), None);
    let asking = {
        let other = other.clone();
        tokio::spawn(async move {
            while other.runner().await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
        })
    };
    runner.begin_run().await.unwrap();
    asking.await.unwrap();
    for store in [&runner, &other] {
        assert_eq!(store.runner().await.unwrap().and_then(|runner| runner.process), Some(std::process::id()));
    }
    drop(runner);
    assert_eq!(other.runner().await.unwrap(), None);
}

#[tokio::test]
async fn without_a_runner_a_poll_is_cancelled_at_once() {
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
async fn summaries_need_neither_key_nor_readable_specs() {
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
    store.request_cancel(name("sealed")).await.unwrap();
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
async fn polls_and_cancellations_of_other_processes_are_noticed() {
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

    assert!(other.request_cancel(PollKey::new("", "theirs")).await.unwrap());
    assert_eq!(poll.outcome().await.unwrap().name(), "cancelled");
    assert!(!other.request_cancel(PollKey::new("", "theirs")).await.unwrap(), "it is open no more");
    assert!(other.get(PollKey::new("", "theirs")).await.unwrap().unwrap().outcome.is_some());
}

#[tokio::test]
async fn polls_of_processes_whose_clock_is_wrong_are_asked_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::sequence([success]);
    let poller = world.poller().store(SqliteStore::open(file(&folder)).unwrap()).build().await.unwrap();
    let other = SqliteStore::open(file(&folder)).unwrap();
    let now = world.timestamp();
    for (name, stamped) in
        [("ahead", now + Duration::from_secs(20)), ("behind", now.before(Duration::from_secs(70)))]
    {
        // It would time out after 60 s.
        other.create(StoredPoll::new(PollKey::new("", name), fast(name), stamped)).await.unwrap();
        let outcome = loop {
            match poller.get(name).await.unwrap().unwrap().outcome {
                Some(outcome) => break outcome,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!((outcome.name(), outcome.attempts), ("matched", 1), "{name}");
        assert!(outcome.elapsed() < Duration::from_secs(10), "{name}: {:?}", outcome.elapsed());
    }
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
    assert!(refused(&nowhere).contains("there is no folder "), "{}", refused(&nowhere));
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
         UPDATE polls SET spec = (SELECT max(id) FROM specs) WHERE key = 'a';
         INSERT INTO outcomes (poll, outcome) SELECT id, 'of no finished poll' FROM polls WHERE key = 'a'",
    )
    .unwrap();
    store.begin_run().await.unwrap();
    let open = store.load_open().await.unwrap();
    assert_eq!(open.polls.iter().map(|poll| poll.key.key()).collect::<Vec<_>>(), ["b"]);
    let [(ended, outcome)] = &open.unreadable[..] else { panic!("{open:?}") };
    assert_eq!(*ended, key("a"));
    let text: String = raw.query_row("SELECT outcome FROM outcomes", [], |row| row.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), **outcome, "it is stored before it is told");
    let OutcomeKind::Failed { reason, explanation, .. } = &outcome.kind else { panic!("{outcome:?}") };
    assert_eq!(*reason, FailureReason::Unreadable);
    assert!(explanation.contains("\"from\""), "{explanation}");
}
