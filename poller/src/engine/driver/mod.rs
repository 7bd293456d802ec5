//! The driver: the one task that feeds the core and carries out its effects.
//!
//! The driver never waits for a request or for the store: other tasks do, and send the result back as a message. It stops
//! on a shutdown, or when its last handle is dropped; open polls stay open in the store.

mod clocks;
mod storing;
mod subscribers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

pub(super) use self::clocks::Clocks;
use self::storing::{Creates, Loading};
use self::subscribers::Subscribers;
use super::admission::QueueId;
use super::core::Core;
use super::deps::Deps;
use super::effect::{Effect, StartRequest, Submitted};
use super::entry::{PollId, Ticket};
use super::maintenance::Maintenance;
use super::message::{Answer, DriverHandle, Message, WeakDriverHandle, reply};
use super::store_reply::StoreReply;
use super::timer::Timer;
use super::workers::{Job, Workers};
use crate::clock::{BoxFuture, Timestamp};
use crate::error::{Error, Kind};
use crate::event::{self, Event, Feeder, PollerEvent, Subscriber};
use crate::history::Record;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::observe::{Levels, trace};
use crate::outcome::Outcome;
use crate::shutdown::ShutdownReport;
use crate::state::Reach;
use crate::store::OpenPolls;
use crate::webhook::Deliverer;

/// Starts the driver on the current runtime. It continues the `expected` open polls of the store, of which `first` are read.
pub(crate) fn spawn(
    limits: Limits,
    rng: retry::Rng,
    deps: Arc<Deps>,
    first: OpenPolls,
    expected: usize,
    subscriber: Option<Subscriber>,
) -> DriverHandle {
    let (handle, messages) = mpsc::unbounded_channel();
    let maintenance = Maintenance::new(&limits, deps.clock.now());
    let workers = Workers::new(limits.in_flight);
    let shares_clock = deps.store.clock().is_some();
    let deliverer = Deliverer::start(&deps, rng.clone());
    let mut core = Core::new(limits, rng);
    core.reserve(expected);
    let driver = Driver {
        maintenance,
        creates: Creates::default(),
        core,
        effects: Vec::new(),
        deps,
        messages,
        driver: handle.downgrade(),
        tickets: Slab::new(),
        watchers: HashMap::new(),
        subscribers: Subscribers::new(subscriber, expected),
        workers,
        closing: None,
        store_calls: 0,
        next_read: None,
        read_soon: false,
        changed: Box::pin(std::future::pending()),
        doubtful: Vec::new(),
        clocks: Clocks::default(),
        quiet_until: None,
        shares_clock,
        loading: Some(Loading { left: expected, finds: Vec::new() }),
        deliverer,
    };
    trace::restored(expected);
    tokio::spawn(driver.run(first));
    handle
}

struct Driver {
    core: Core,
    creates: Creates,
    maintenance: Maintenance,
    /// Empty between calls; kept for its capacity.
    effects: Vec<Effect>,
    deps: Arc<Deps>,
    messages: mpsc::UnboundedReceiver<Message>,
    /// For workers and store calls.
    driver: WeakDriverHandle,
    /// The callers that wait for the answer to a submission, by ticket.
    tickets: Slab<(Answer<Result<Submitted, Error>>, OwnedSemaphorePermit)>,
    watchers: HashMap<PollId, Watchers>,
    subscribers: Subscribers,
    workers: Workers,
    closing: Option<Closing>,
    /// The number of store calls under way.
    store_calls: usize,
    /// The time of the next read from the store: of open polls during the start, then of changes by other processes.
    next_read: Option<Timestamp>,
    /// Whether to read at once when the read under way has ended.
    read_soon: bool,
    /// Completes when another process has told of a change.
    changed: BoxFuture<'static, ()>,
    /// Polls to read again, because the store failed to.
    doubtful: Vec<PollKey>,
    clocks: Clocks,
    /// No warning of a saturation before this time.
    quiet_until: Option<Timestamp>,
    /// Whether the store gives the clock, so that times of other processes need no correction.
    shares_clock: bool,
    /// Set until all polls that were open at the start are read.
    loading: Option<Loading>,
    /// Set if the store keeps webhooks.
    deliverer: Option<Deliverer>,
}

#[derive(Default)]
struct Watchers {
    events: Vec<Feeder>,
    outcome: Vec<Answer<Option<Arc<Outcome>>>>,
}

/// A shutdown under way.
struct Closing {
    /// The time until which requests in flight may go on.
    until: Timestamp,
    /// The number of requests in flight when it began.
    in_flight: usize,
    /// The callers that wait for the report.
    answers: Vec<Answer<ShutdownReport>>,
}

/// The time between two warnings that as many requests are in flight as may be.
const QUIET: Duration = Duration::from_secs(60);

/// The most messages handled between two looks at the schedule.
const BATCH: usize = 1024;

impl Driver {
    async fn run(mut self, first: OpenPolls) {
        self.core.begin_read();
        // The first page was read before; what is created meanwhile is found again by the next read.
        self.clocks.begin_read(self.deps.clock.now());
        self.listen();
        self.loaded(Ok(first), self.deps.clock.now());
        self.carry_out();
        let mut batch = Vec::with_capacity(BATCH);
        let mut timer = Timer::new(Arc::clone(&self.deps.clock));
        loop {
            // During a shutdown the core wakes for unsaved outcomes only. Reads and maintenance are skipped below, so their
            // times are left out here: a time that has passed would make this loop spin.
            timer.set(match &self.closing {
                Some(closing) => [self.core.next_wake(), Some(closing.until), None],
                None => [self.core.next_wake(), self.next_read, self.maintenance.next()],
            });
            tokio::select! {
                biased;
                received = self.messages.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                }
                () = timer.fired() => {}
                () = &mut self.changed => {
                    self.listen();
                    self.read_now();
                }
            }
            let now = self.deps.clock.now();
            // Before the messages, since one may let a request begin, and after them, since they may have taken a while.
            self.core.pause(!self.deps.store.may_ask(), now);
            for message in batch.drain(..) {
                self.handle(message, now);
            }
            self.core.pause(!self.deps.store.may_ask(), now);
            self.core.tick(now);
            if self.closing.is_none() {
                if self.next_read.take_if(|at| *at <= now).is_some() {
                    self.look_at_clocks();
                    self.read_open();
                }
                self.maintain(now);
            }
            self.carry_out();
            self.create();
            self.report_levels();
            self.report_saturation(now);
            if let Some(closing) = &self.closing {
                let settled = self.core.in_flight() == 0 && self.core.unsaved() == 0 && self.store_calls == 0;
                if settled || now >= closing.until {
                    break;
                }
            }
        }
        if let Some(mut deliverer) = self.deliverer.take() {
            if let Some(closing) = &self.closing {
                deliverer.drained(&*self.deps.clock, closing.until).await;
            }
            deliverer.end().await;
        }
        self.stop();
    }

    fn handle(&mut self, message: Message, now: Timestamp) {
        match message {
            Message::Submit { key, spec, answer, turn } => {
                let ticket = Ticket(self.tickets.insert((answer, turn)));
                self.core.submit(ticket, key, spec, now);
            }
            Message::Watch { id, events } => {
                if self.core.is_open(id) {
                    for event in self.core.missed(id) {
                        events.send(event);
                    }
                    self.watchers.entry(id).or_default().events.push(events);
                }
            }
            Message::Subscribe(subscriber) => {
                let opened = self.core.all_opened();
                self.subscribers.add(subscriber, self.core.open(), opened);
            }
            Message::Await { id, answer } => {
                if !self.core.is_open(id) {
                    reply(answer, None);
                } else if self.closing.is_none() || self.core.is_decided(id) {
                    self.watchers.entry(id).or_default().outcome.push(answer);
                }
                // Without an answer, as callers who waited before the shutdown.
            }
            Message::Cancel { id, answer } => {
                reply(answer, self.core.is_open(id));
                self.core.cancel(id, now);
            }
            Message::Hasten { key, answer } => {
                let found = self.core.find(&key);
                reply(answer, found.is_some());
                if let Some(id) = found {
                    self.core.hasten(id, now);
                }
            }
            Message::Find { key, answer } => match (self.core.find(&key), &mut self.loading) {
                (None, Some(loading)) => loading.finds.push((key, answer)),
                (found, _) => reply(answer, found),
            },
            Message::Look { keys, answer } => {
                let look = |key: &PollKey| self.core.find(key).and_then(|id| self.core.look(id));
                reply(answer, keys.iter().map(look).collect());
            }
            Message::ShutDown { answer } => {
                self.shut_down(now + self.deps.grace).answers.push(answer);
                // Now and not after the grace: a server that drains its connections waits for handlers that wait for these.
                for (id, watchers) in &mut self.watchers {
                    if !self.core.is_decided(*id) {
                        watchers.outcome.clear();
                    }
                }
            }
            Message::Attempted { id, judged, ended } => {
                self.workers.release(id);
                self.core.attempted(id, judged, ended, now);
            }
            Message::Stored { reply, recovered } => self.stored(reply, recovered, now),
        }
        self.carry_out();
    }

    /// Starts no more requests, and stops when those in flight have ended, or at `until`.
    fn shut_down(&mut self, until: Timestamp) -> &mut Closing {
        if self.closing.is_none() {
            trace::shutting_down(self.core.open(), self.core.in_flight());
        }
        self.core.shut_down();
        if let Some(deliverer) = &self.deliverer {
            deliverer.drain();
        }
        let in_flight = self.core.in_flight();
        self.closing.get_or_insert(Closing { until, in_flight, answers: Vec::new() })
    }

    /// Stops without waiting: the store can keep no outcome, so another request would only repeat what the next run does.
    fn stop_at_once(&mut self, now: Timestamp) {
        self.shut_down(now).until = now;
    }

    fn report_levels(&self) {
        self.deps.observer.levels(Levels {
            open: self.core.open(),
            in_flight: self.core.in_flight(),
            queued: self.core.queued(),
            kept_bytes: self.deps.judging.kept_bytes(),
            held_back: self.core.held_back(),
        });
    }

    /// Warns, at most once a minute, if as many requests are in flight as may be while due polls wait.
    fn report_saturation(&mut self, now: Timestamp) {
        if !self.core.is_saturated() || self.quiet_until.is_some_and(|until| now < until) {
            return;
        }
        self.quiet_until = Some(now + QUIET);
        let (in_flight, waiting) = (self.core.in_flight(), self.core.queued());
        self.deps.observer.saturated();
        trace::saturated(in_flight, waiting);
        self.subscribers.send(|| PollerEvent::AllInFlight { in_flight, waiting });
    }

    fn look_at_clocks(&mut self) {
        for event in self.clocks.look(&*self.deps.clock) {
            trace::clock(&event);
            self.subscribers.send(|| event.clone());
        }
    }

    fn carry_out(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        self.core.take_effects(&mut effects);
        if !effects.is_empty() {
            // Before the effects, so that `Stats` counts an outcome before any caller receives it.
            self.report_levels();
        }
        // Permits are released together: each release searches the waiters of the semaphore.
        let mut turns: Option<OwnedSemaphorePermit> = None;
        for effect in effects.drain(..) {
            match effect {
                Effect::Create { id, poll } => self.creates.push(id, poll),
                Effect::SaveOutcome { id, key, outcome } => self.with_store(
                    move |store| store.finish(key, outcome),
                    move |result| StoreReply::OutcomeSaved(id, result),
                ),
                Effect::SaveLink { id, key, url } => self.with_store(
                    move |store| store.follow(key, url),
                    move |result| StoreReply::LinkSaved(id, result),
                ),
                Effect::StartRequest(request) => self.send(request),
                Effect::Abort { id } => self.workers.abort(id),
                Effect::Attempted { id, number, record } => self.attempted(id, number, record),
                Effect::Notify { id, event } => self.notify(id, event),
                Effect::Held { queue, reach, until, by } => self.report_hold(queue, reach, until, by),
                Effect::Answer { ticket, answer } => {
                    if let Some((caller, turn)) = self.tickets.try_remove(ticket.0) {
                        reply(caller, answer);
                        match &mut turns {
                            Some(turns) => turns.merge(turn),
                            None => turns = Some(turn),
                        }
                    }
                }
            }
        }
        self.effects = effects;
    }

    fn send(&mut self, request: StartRequest) {
        let driver = self.driver.clone();
        self.deps.observer.began(request.lateness, request.held);
        let key = self.core.key(request.id);
        let span = trace::request(key, request.number, &request.spec);
        let deps = Arc::clone(&self.deps);
        let poll = key.cloned();
        self.workers.send(Job { request, poll, span, deps, driver });
    }

    fn attempted(&mut self, id: PollId, number: u32, record: Record) {
        self.maintenance.attempted(id, self.deps.clock.now());
        self.deps.observer.attempted(&record);
        trace::attempted(self.core.key(id), number, &record);
        if self.watchers.contains_key(&id) || self.subscribers.want_details() {
            self.notify(id, Event::Attempted(record.into_attempt(number)));
        }
    }

    fn notify(&mut self, id: PollId, event: Event) {
        // An outcome has no key here, because the core has removed the poll; subscribers got it in `stored`.
        if self.subscribers.want_details()
            && let Some(key) = self.core.key(id)
        {
            self.subscribers.send(|| PollerEvent::Poll { key: key.clone(), event: event.clone() });
        }
        let Some(watchers) = self.watchers.get_mut(&id) else { return };
        watchers.events.retain(|watcher| watcher.send(event.clone()));
        if let Event::Outcome(outcome) = event {
            for waiting in std::mem::take(&mut watchers.outcome) {
                reply(waiting, Some(Arc::clone(&outcome)));
            }
            self.watchers.remove(&id);
        }
    }

    /// Reports a hold. Searches the watched polls, which are few, and not the queue, which may be long.
    fn report_hold(&mut self, queue: QueueId, reach: Reach, until: Timestamp, by: PollId) {
        self.deps.observer.hold_back();
        let key = self.core.key(by);
        trace::hold_back(key, until);
        if let Some(by) = key {
            self.subscribers.send(|| PollerEvent::OriginHeldBack { until, by: by.clone() });
        }
        // Of more polls, a subscriber would get only the first events anyway.
        if self.subscribers.want_details() && self.core.open() <= event::CAPACITY {
            for (key, event) in self.core.all_held_in(queue, reach) {
                self.subscribers.send(|| PollerEvent::Poll { key: key.clone(), event: event.clone() });
            }
        }
        for (id, watchers) in &mut self.watchers {
            if let Some(event) = self.core.held_in(queue, reach, *id) {
                watchers.events.retain(|watcher| watcher.send(event.clone()));
            }
        }
    }

    /// Aborts the requests in flight and answers all callers; watchers see their channels closed.
    fn stop(mut self) {
        let (answers, in_flight) =
            self.closing.take().map_or_else(Default::default, |closing| (closing.answers, closing.in_flight));
        let abandoned = self.core.in_flight();
        let report = ShutdownReport {
            left_open: self.core.open() + self.loading.take().map_or(0, |loading| loading.left),
            // Not built unless a caller waits for it.
            first: if answers.is_empty() { Vec::new() } else { self.core.left_open() },
            unsaved: self.core.unsaved(),
            ended: in_flight.saturating_sub(abandoned),
            abandoned,
        };
        trace::stopped(&report);
        for (caller, _) in self.tickets.drain() {
            reply(caller, Err(Kind::Shutdown.into()));
        }
        // The store is released first: a caller may open it again once it has the report.
        drop(self);
        for answer in answers {
            reply(answer, report.clone());
        }
    }
}
