//! Polls that another process of a fleet runs: what the engine does when the store says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use poller::store::{Changes, Creation, OpenPolls, Retention, Store, StoreError, StoredPoll};
use poller::{Accepted, BoxFuture, MemoryStore, Outcome, PollKey, PollerEvent};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{World, pending, spec, success};

/// A memory store that another process shares.
#[derive(Clone, Default)]
struct Shared {
    polls: MemoryStore,
    /// Polls that the other process runs.
    elsewhere: Arc<Mutex<Vec<PollKey>>>,
    /// Polls that the next look releases.
    released: Arc<Mutex<Vec<PollKey>>>,
    lease_lost: Arc<AtomicBool>,
    asked_to_cancel: Arc<Mutex<Vec<PollKey>>>,
    /// Polls that others have told to ask at once.
    hastened: Arc<Mutex<Vec<PollKey>>>,
    /// The other process tells of changes.
    told: Arc<watch::Sender<()>>,
}

impl Store for Shared {
    fn create(&self, poll: StoredPoll) -> BoxFuture<'_, Result<Creation, StoreError>> {
        self.polls.create(poll)
    }

    fn finish(&self, key: PollKey, outcome: Arc<Outcome>) -> BoxFuture<'_, Result<Arc<Outcome>, StoreError>> {
        self.polls.finish(key, outcome)
    }

    fn begin_run(&self) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.polls.begin_run()
    }

    fn load_open(&self) -> BoxFuture<'_, Result<OpenPolls, StoreError>> {
        self.polls.load_open()
    }

    fn get(&self, key: PollKey) -> BoxFuture<'_, Result<Option<StoredPoll>, StoreError>> {
        self.polls.get(key)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredPoll>, StoreError>> {
        self.polls.list()
    }

    fn forget(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.polls.forget(key)
    }

    fn changes_every(&self) -> Option<Duration> {
        Some(Duration::from_secs(1))
    }

    fn changed(&self) -> BoxFuture<'static, ()> {
        let mut told = self.told.subscribe();
        Box::pin(async move { told.changed().await.unwrap_or(()) })
    }

    fn changes(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        let mut changes = Changes::default();
        changes.released = std::mem::take(&mut *self.released.lock().unwrap());
        changes.hastened = std::mem::take(&mut *self.hastened.lock().unwrap());
        Box::pin(std::future::ready(Ok(changes)))
    }

    fn purge(&self, keep: Retention) -> BoxFuture<'_, Result<usize, StoreError>> {
        self.polls.purge(keep)
    }

    fn may_ask(&self) -> bool {
        !self.lease_lost.load(Ordering::Relaxed)
    }

    fn runs(&self, key: &PollKey) -> bool {
        !self.elsewhere.lock().unwrap().contains(key)
    }

    fn cancel_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.asked_to_cancel.lock().unwrap().push(key);
        Box::pin(std::future::ready(Ok(true)))
    }

    fn hasten_elsewhere(&self, key: PollKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.hastened.lock().unwrap().push(key);
        Box::pin(std::future::ready(Ok(true)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_hastened_by_and_for_other_processes() {
    let store = Shared::default();
    store.elsewhere.lock().unwrap().push(key("theirs"));
    let world = World::new(|_, _| pending());
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    for name in ["ours", "theirs"] {
        let url = format!("https://api.example.com/{name}");
        poller.submit(name, spec(json!({"url": url, "interval": 100, "timeout": 300}))).await.unwrap();
    }
    world.sleep_until(Duration::from_secs(10)).await;
    assert!(poller.hasten(key("theirs")).await.unwrap() && !poller.hasten(key("unknown")).await.unwrap());
    assert_eq!(std::mem::take(&mut *store.hastened.lock().unwrap()), [key("theirs")]);
    store.hastened.lock().unwrap().extend([key("ours"), key("unknown")]);
    world.sleep_until(Duration::from_secs(20)).await;
    let sent: Vec<_> = world.sent().iter().map(|sent| (sent.path.clone(), sent.at.as_secs())).collect();
    assert_eq!(sent, [("/ours".to_owned(), 0), ("/ours".to_owned(), 11)], "with the look at 11 s");
}

fn key(name: &str) -> PollKey {
    PollKey::new("", name)
}

#[tokio::test(start_paused = true)]
async fn a_poll_of_another_process_is_stored_and_awaited_but_not_asked() {
    let store = Shared::default();
    store.elsewhere.lock().unwrap().push(key("theirs"));
    let world = World::new(|_, _| success());
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    let theirs = poller.submit("theirs", spec(json!({}))).await.unwrap();
    assert_eq!(theirs.accepted(), Accepted::Created);
    assert_eq!(poller.submit("theirs", spec(json!({}))).await.unwrap().accepted(), Accepted::Joined);
    let conflict = poller.submit("theirs", spec(json!({"interval": 20}))).await.unwrap_err();
    assert!(conflict.to_string().contains("interval"), "{conflict}");
    poller.submit("ours", spec(json!({}))).await.unwrap().outcome().await.unwrap();
    assert_eq!(world.sent().len(), 1, "only ours");

    let waiting = tokio::spawn({
        let (theirs, cancelling) = (theirs.clone(), theirs.clone());
        async move { tokio::join!(theirs.outcome(), cancelling.cancel(), theirs.events().collect::<Vec<_>>()) }
    });
    world.sleep_until(Duration::from_secs(3)).await;
    assert_eq!(*store.asked_to_cancel.lock().unwrap(), [key("theirs")]);
    // The other process ends it.
    let ended = crate::stores::outcome(b"{}").await;
    store.finish(key("theirs"), Arc::clone(&ended)).await.unwrap();
    let (outcome, cancelled, events) = waiting.await.unwrap();
    assert_eq!((outcome.unwrap(), cancelled.unwrap()), (Arc::clone(&ended), ended));
    assert!(matches!(events.last(), Some(poller::Event::Outcome(_))), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_released_poll_is_dropped_in_any_phase_and_its_waiters_ask_the_store() {
    let store = Shared::default();
    // The request of `flying` never ends; the others wait for their next.
    let world = World::new(|_, request| match request.url.path() {
        "/flying" => crate::world::Reply::Never,
        _ => pending(),
    });
    let (poller, mut events) = world.poller().store(store.clone()).build_with_events().await.unwrap();
    let mut waiting = Vec::new();
    for name in ["flying", "waiting", "kept"] {
        let spec = spec(json!({"url": format!("https://api.example.com/{name}"), "interval": 1}));
        let poll = poller.submit(name, spec).await.unwrap();
        waiting.push(tokio::spawn(async move { poll.outcome().await }));
    }
    world.arrived(3).await;
    store.elsewhere.lock().unwrap().extend([key("flying"), key("waiting")]);
    store.released.lock().unwrap().extend([key("flying"), key("waiting"), key("unknown")]);
    let mut released = Vec::new();
    while released.len() < 2 {
        if let PollerEvent::Released { key } = events.next().await.unwrap() {
            released.push(key);
        }
    }
    assert_eq!(released, [key("flying"), key("waiting")]);
    assert_eq!(poller.stats().open, 1);
    let before = world.sent().iter().filter(|sent| sent.path == "/waiting").count();
    world.sleep_until(Duration::from_secs(20)).await;
    let after = world.sent().iter().filter(|sent| sent.path == "/waiting").count();
    assert_eq!(before, after, "no request after the release");
    assert!(world.sent().iter().filter(|sent| sent.path == "/kept").count() > 15, "the other goes on");
    let ended = crate::stores::outcome(b"{}").await;
    for name in ["flying", "waiting"] {
        store.finish(key(name), Arc::clone(&ended)).await.unwrap();
    }
    for waiting in waiting.drain(..2) {
        assert_eq!(waiting.await.unwrap().unwrap(), ended);
    }
    assert_eq!(poller.shutdown().await.left_open, 1);
}

#[tokio::test(start_paused = true)]
async fn no_request_begins_while_the_lease_is_uncertain_and_deadlines_hold() {
    let store = Shared::default();
    let world = World::new(|_, _| pending());
    let poller = world.poller().store(store.clone()).build().await.unwrap();
    let poll = poller.submit("a", spec(json!({"interval": 10, "timeout": 600}))).await.unwrap();
    let short = poller.submit("b", spec(json!({"interval": 10, "timeout": 60}))).await.unwrap();
    world.sleep_until(Duration::from_secs(15)).await;
    assert_eq!(world.sent().len(), 4);
    store.lease_lost.store(true, Ordering::Relaxed);
    world.sleep_until(Duration::from_secs(45)).await;
    assert_eq!(world.sent().len(), 4, "none while it is uncertain");
    store.lease_lost.store(false, Ordering::Relaxed);
    world.sleep_until(Duration::from_secs(47)).await;
    assert_eq!(world.sent().len(), 6, "overdue requests go out once it is certain again");
    store.lease_lost.store(true, Ordering::Relaxed);
    assert_eq!(short.outcome().await.unwrap().name(), "timed out");
    assert_eq!(world.now().as_secs(), 60);
    assert_eq!(poll.cancel().await.unwrap().attempts, 3);
}

/// The period of looks is a second; who is told does not wait for it.
#[tokio::test(start_paused = true)]
async fn what_the_other_process_tells_of_is_looked_at_once() {
    let ended = crate::stores::outcome(b"{}").await;
    let store = Shared::default();
    store.elsewhere.lock().unwrap().push(key("theirs"));
    let world = World::new(|_, _| pending());
    let (poller, mut events) = world.poller().store(store.clone()).build_with_events().await.unwrap();
    let theirs = poller.submit("theirs", spec(json!({}))).await.unwrap();
    poller.submit("ours", spec(json!({}))).await.unwrap();
    world.sleep_until(Duration::from_millis(5100)).await;
    store.released.lock().unwrap().push(key("ours"));
    store.told.send_replace(());
    while !matches!(events.next().await.unwrap(), PollerEvent::Released { .. }) {}
    assert_eq!(world.now().as_millis(), 5100);
    let waiting = tokio::spawn(async move { theirs.outcome().await });
    world.sleep_until(Duration::from_millis(5200)).await;
    store.finish(key("theirs"), Arc::clone(&ended)).await.unwrap();
    store.told.send_replace(());
    assert_eq!(waiting.await.unwrap().unwrap(), ended);
    assert_eq!(world.now().as_millis(), 5200);
}
