//! Inline secrets in a store in a file: sealed for one poll, or refused.

use poller::store::{Creation, Store, StoreAdmin as _, StoredPoll};
use poller::{Accepted, Event, PollKey, PollSpec, PollerEvent, SealKey, SqliteStore, Timestamp};
use serde_json::json;

use crate::files::file;
use crate::stores::{key, outcome};
use crate::world::{World, pending, spec};

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
    // Without the key, or with another, it waits: nothing is asked and nothing is lost, and polls beside it run.
    let asked = world.sent().len();
    for (round, store) in [SqliteStore::open(file(&folder)), sealed("b")].into_iter().enumerate() {
        let builder = world.poller().store(store.unwrap());
        let (poller, mut events) = builder.build_with_events().await.unwrap();
        assert!(matches!(events.next().await, Some(PollerEvent::Started { open: 1 })));
        let Some(PollerEvent::Sealed { key, seal_key }) = events.next().await else { panic!("it is told") };
        assert_eq!((key.key(), &*seal_key), ("job", SealKey::parse(&"a".repeat(64)).unwrap().id()));
        let error = poller.submit("job", secret()).await.unwrap_err().to_string();
        assert!(error.contains("POLL_SEAL_KEY"), "{error}");
        poller.submit(format!("beside-{round}"), spec(json!({"timeout": 60}))).await.unwrap();
        world.arrived(asked + round + 1).await;
        assert_eq!(world.sent().len(), asked + round + 1);
        poller.cancel(format!("beside-{round}")).await.unwrap();
        poller.shutdown().await;
    }
    let poller = world.poller().store(sealed("a").unwrap()).build().await.unwrap();
    let poll = poller.submit("job", secret()).await.unwrap();
    assert_eq!(poll.accepted(), Accepted::Joined, "it is the same spec, secrets included");
    world.arrived(world.sent().len() + 1).await;
    assert_eq!(world.sent().last().unwrap().headers["authorization"], "Bearer hunter2");
}

/// A spec that sends a secret to this URL.
fn secret_to(url: &str) -> PollSpec {
    format!(
        r#"{{"url":"{url}","timeout":60,"requestInit":{{"headers":{{"authorization":"Bearer hunter2"}}}}}}"#
    )
    .parse()
    .unwrap()
}

fn seal_key(digit: &str) -> SealKey {
    SealKey::parse(&digit.repeat(64)).unwrap()
}

#[tokio::test]
async fn a_seal_is_of_no_use_in_another_poll_and_stops_only_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_sealed(file(&folder), Some(seal_key("a"))).unwrap();
    let now = Timestamp::from_micros(1_000_000);
    for (name, url) in [
        ("victim", "https://a.test/1"),
        ("thief", "https://evil.test/"),
        ("moved", "https://a.test/2"),
        ("changed", "https://a.test/3"),
        ("lost", "https://a.test/4"),
        ("good", "https://a.test/5"),
    ] {
        store.create(StoredPoll::new(key(name), secret_to(url), now)).await.unwrap();
    }
    let raw = rusqlite::Connection::open(file(&folder)).unwrap();
    let number = |name: &str| -> i64 {
        raw.query_row("SELECT id FROM polls WHERE key = ?1", [name], |row| row.get(0)).unwrap()
    };
    let seals: i64 = raw.query_row("SELECT count(*) FROM seals", [], |row| row.get(0)).unwrap();
    assert_eq!(seals, 6);
    // Of one kind, and each with a seal of its own.
    let specs: i64 = raw.query_row("SELECT count(*) FROM specs", [], |row| row.get(0)).unwrap();
    assert_eq!(specs, 1);
    raw.execute(
        "UPDATE seals SET sealed = (SELECT sealed FROM seals WHERE poll = ?2) WHERE poll = ?1",
        [number("thief"), number("victim")],
    )
    .unwrap();
    raw.execute("UPDATE polls SET url = 'https://evil.test/' WHERE key = 'moved'", []).unwrap();
    raw.execute_batch(
        "INSERT INTO specs (text, polls) SELECT replace(text, '\"timeout\":60', '\"timeout\":61'), 1 FROM specs;
         UPDATE polls SET spec = (SELECT max(id) FROM specs) WHERE key = 'changed'",
    )
    .unwrap();
    raw.execute("DELETE FROM seals WHERE poll = ?1", [number("lost")]).unwrap();
    store.begin_run().await.unwrap();
    let open = store.load_open().await.unwrap();
    assert_eq!(open.polls.iter().map(|poll| poll.key.key()).collect::<Vec<_>>(), ["victim", "good"]);
    assert!(open.sealed.is_empty());
    let why: Vec<_> =
        open.unreadable.iter().map(|(key, outcome)| (key.key(), outcome.explanation().unwrap())).collect();
    assert_eq!(why.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["thief", "moved", "changed", "lost"]);
    for (name, why) in &why[..3] {
        assert!(why.contains("those of another poll or of another spec"), "{name}: {why}");
    }
    assert!(why[3].1.contains("sealed secrets are missing"), "{}", why[3].1);
    assert!(why.iter().all(|(_, why)| !why.contains("hunter2")));
}

#[tokio::test]
async fn keys_of_seals_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (seal_key("a"), seal_key("b"));
    let store = SqliteStore::open_sealed(file(&folder), Some(old.clone())).unwrap();
    let now = Timestamp::from_micros(1_000_000);
    let polls = (0..1200).map(|n| {
        StoredPoll::new(PollKey::new("run", format!("{n}")), secret_to(&format!("https://a.test/{n}")), now)
    });
    for created in store.create_all(polls.collect()).await {
        assert!(matches!(created.unwrap(), Creation::Created));
    }
    store.finish(PollKey::new("run", "7"), outcome(b"1").await).await.unwrap();
    drop(store);
    // A poll of another key, which nobody here has.
    let other = SqliteStore::open_sealed(file(&folder), Some(seal_key("c"))).unwrap();
    other.create(StoredPoll::new(key("foreign"), secret_to("https://a.test/"), now)).await.unwrap();
    drop(other);

    let both = SqliteStore::open_sealed(file(&folder), Some(new.clone().with_old(old.clone()))).unwrap();
    both.create(StoredPoll::new(key("new"), secret_to("https://a.test/"), now)).await.unwrap();
    assert!(both.get(PollKey::new("run", "9")).await.is_ok(), "the former key opens");
    let resealed = both.reseal().await.unwrap();
    assert_eq!((resealed.changed, resealed.kept, resealed.broken), (1200, 1, 0));
    assert_eq!(resealed.other_keys, [(seal_key("c").id().to_owned(), 1)].into());
    let again = both.reseal().await.unwrap();
    assert_eq!((again.changed, again.kept), (0, 1201));
    drop(both);

    // The former key is needed no more, and opens nothing.
    let store = SqliteStore::open_sealed(file(&folder), Some(old)).unwrap();
    assert!(store.get(PollKey::new("run", "9")).await.is_err());
    drop(store);
    let store = SqliteStore::open_sealed(file(&folder), Some(new)).unwrap();
    assert_eq!(store.begin_run().await.unwrap(), 1201);
    let open = store.load_open().await.unwrap();
    assert_eq!((open.polls.len(), open.sealed.len(), open.unreadable.len()), (1200, 1, 0));
    let ended = store.get(PollKey::new("run", "7")).await.unwrap().unwrap();
    assert_eq!(ended.spec, secret_to("https://a.test/7"), "those of finished polls are sealed anew as well");
    // What is forgotten leaves no seal.
    assert!(store.forget(PollKey::new("run", "7")).await.unwrap());
    let raw = rusqlite::Connection::open(file(&folder)).unwrap();
    let seals: i64 = raw.query_row("SELECT count(*) FROM seals", [], |row| row.get(0)).unwrap();
    assert_eq!(seals, 1201);
    assert!(
        SqliteStore::open(file(&folder)).unwrap().reseal().await.unwrap_err().to_string().contains("no key")
    );
}

#[tokio::test]
async fn a_sealed_poll_can_be_cancelled_without_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = SqliteStore::open_sealed(file(&folder), Some(seal_key("a"))).unwrap();
    let world = World::sequence([pending]);
    theirs.create(StoredPoll::new(key("a"), secret_to("https://a.test/"), world.timestamp())).await.unwrap();
    let builder = world.poller().store(SqliteStore::open(file(&folder)).unwrap());
    let (_poller, mut events) = builder.build_with_events().await.unwrap();
    while !matches!(events.next().await, Some(PollerEvent::Sealed { .. })) {}
    assert!(theirs.request_cancel(key("a")).await.unwrap());
    let outcome = loop {
        if let Some(PollerEvent::Poll { event: Event::Outcome(outcome), .. }) = events.next().await {
            break outcome;
        }
    };
    assert_eq!(outcome.name(), "cancelled");
    assert_eq!(theirs.get(key("a")).await.unwrap().unwrap().outcome, Some(outcome));
    assert!(world.sent().is_empty());
}
