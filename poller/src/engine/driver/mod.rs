//! The one task that feeds the core and carries out what it decides.
//!
//! The driver never waits for a request or for the store: tasks do, and send the result back as a message.
//! It stops when it is told to, or when the last handle to it is gone; open polls stay open in the store.

mod storing;
mod subscribers;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use self::storing::{Creates, Loading};
use self::subscribers::Subscribers;
use super::admission::QueueId;
use super::core::Core;
use super::deps::Deps;
use super::effect::{Effect, StartRequest, Submitted, Ticket};
use super::entry::PollId;
use super::maintenance::Maintenance;
use super::message::{Answer, DriverHandle, Message, WeakDriverHandle, reply};
use super::store_reply::{StoreReply, catch_panic_now};
use super::timer::Timer;
use super::workers::{Job, Workers};
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::event::{Event, Feeder, PollerEvent, Subscriber};
use crate::history::Record;
use crate::limits::Limits;
use crate::observe::{Levels, trace};
use crate::outcome::Outcome;
use crate::shutdown::ShutdownReport;
use crate::slab::Slab;
use crate::store::OpenPolls;

/// Starts the driver on the current runtime. It takes over `expected` open polls, the first of which are given.
pub(crate) fn spawn(
    limits: Limits,
    rng: retry::Rng,
    deps: Arc<Deps>,
    first: OpenPolls,
    expected: usize,
    subscriber: Option<Subscriber>,
) -> DriverHandle {
    let (handle, messages) = mpsc::unbounded_channel();
    let maintenance = Maintenance::new(&limits, deps.store.keeps_attempts(), deps.clock.now());
    let workers = Workers::new(limits.in_flight);
    let mut core = Core::new(limits, rng);
    core.expect(expected);
    let driver = Driver {
        maintenance,
        creates: Creates::new(catch_panic_now(|| deps.store.creates_in_turn()).unwrap_or(false)),
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
        look: None,
        loading: Some(Loading { left: expected, finds: Vec::new() }),
    };
    trace::restored(expected);
    tokio::spawn(driver.run(first));
    handle
}

struct Driver {
    core: Core,
    creates: Creates,
    maintenance: Maintenance,
    /// Empty between calls; kept for its room.
    effects: Vec<Effect>,
    deps: Arc<Deps>,
    messages: mpsc::UnboundedReceiver<Message>,
    /// For those that work for it.
    driver: WeakDriverHandle,
    /// Who waits for the answer to a submission, by the numbers of their tickets.
    tickets: Slab<(Answer<Result<Submitted, Error>>, OwnedSemaphorePermit)>,
    watchers: HashMap<PollId, Watchers>,
    subscribers: Subscribers,
    workers: Workers,
    closing: Option<Closing>,
    /// Calls to the store that have not been answered.
    store_calls: usize,
    /// When to ask the store for open polls: those that are still to be loaded, or what other processes did.
    look: Option<Timestamp>,
    /// Set while polls that were open at the start are still being read.
    loading: Option<Loading>,
}

#[derive(Default)]
struct Watchers {
    events: Vec<Feeder>,
    outcome: Vec<Answer<Option<Arc<Outcome>>>>,
}

/// A shutdown under way.
struct Closing {
    /// How long requests in flight may go on.
    until: Timestamp,
    /// How many there were when it began.
    in_flight: usize,
    /// Who wants to know what is left.
    answers: Vec<Answer<ShutdownReport>>,
}

/// How many messages are handled before the schedule is looked at again.
const BATCH: usize = 1024;

impl Driver {
    async fn run(mut self, first: OpenPolls) {
        self.core.begin_look();
        self.loaded(Ok(first), self.deps.clock.now());
        self.carry_out();
        let mut batch = Vec::with_capacity(BATCH);
        let mut timer = Timer::new(Arc::clone(&self.deps.clock));
        loop {
            // In a shutdown the core wakes for outcomes that could not be stored. What is not done any more is not waited
            // for either: its time may have come, and would come for ever.
            timer.set(match &self.closing {
                Some(closing) => [self.core.next_wake(), Some(closing.until), None],
                None => [self.core.next_wake(), self.look, self.maintenance.next()],
            });
            tokio::select! {
                biased;
                received = self.messages.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                }
                () = timer.rings() => {}
            }
            let now = self.deps.clock.now();
            for message in batch.drain(..) {
                self.handle(message, now);
            }
            self.core.tick(now);
            if self.closing.is_none() {
                if self.look.is_some_and(|look| look <= now) {
                    self.look = None;
                    self.look();
                }
                self.keep_up(now);
            }
            self.carry_out();
            self.create();
            self.deps.observer.levels(Levels {
                open: self.core.open(),
                in_flight: self.core.in_flight(),
                held_back: self.core.held_back(),
            });
            if let Some(closing) = &self.closing {
                let settled = self.core.in_flight() == 0 && self.core.unsaved() == 0 && self.store_calls == 0;
                if settled || now >= closing.until {
                    break;
                }
            }
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
                if self.core.is_open(id) {
                    self.watchers.entry(id).or_default().outcome.push(answer);
                } else {
                    reply(answer, None);
                }
            }
            Message::Cancel { id, answer } => {
                reply(answer, self.core.is_open(id));
                self.core.cancel(id, now);
            }
            Message::Find { key, answer } => match (self.core.find(&key), &mut self.loading) {
                (None, Some(loading)) => loading.finds.push((key, answer)),
                (found, _) => reply(answer, found),
            },
            Message::ShutDown { answer } => {
                if self.closing.is_none() {
                    trace::shutting_down(self.core.open(), self.core.in_flight());
                }
                self.core.shut_down();
                let until = now + self.deps.grace;
                let in_flight = self.core.in_flight();
                let closing = Closing { until, in_flight, answers: Vec::new() };
                self.closing.get_or_insert(closing).answers.push(answer);
            }
            Message::Attempted { id, judgement, ended } => {
                self.workers.back(id);
                self.core.attempted(id, judgement, ended, now);
            }
            Message::Stored { reply, recovered } => self.stored(reply, recovered, now),
        }
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        self.core.take_effects(&mut effects);
        // Given back together: each time by itself, everyone who waits for one is looked for.
        let mut turns: Option<OwnedSemaphorePermit> = None;
        for effect in effects.drain(..) {
            match effect {
                Effect::Create { id, poll } => self.creates.push(id, poll),
                Effect::SaveOutcome { id, key, outcome } => self.with_store(
                    move |store| async move { store.finish(key, outcome).await },
                    move |result| StoreReply::OutcomeSaved(id, result),
                ),
                Effect::StartRequest(request) => self.send(request),
                Effect::Abort { id } => self.workers.abandon(id),
                Effect::Attempted { id, number, record } => self.attempted(id, number, record),
                Effect::Tell { id, event } => self.tell(id, event),
                Effect::Held { queue, until, by } => self.report_hold(queue, until, by),
                Effect::Answer { ticket, answer } => {
                    if let Some((waiting, turn)) = self.tickets.remove(ticket.0) {
                        reply(waiting, answer);
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

    fn send(&mut self, send: StartRequest) {
        let driver = self.driver.clone();
        self.deps.observer.began(send.punctuality.lateness, send.punctuality.held);
        let key = self.core.key(send.id);
        let span = trace::request(key, send.number, &send.spec);
        let deps = Arc::clone(&self.deps);
        let shared_as = key.filter(|_| deps.coalescer.is_some()).cloned();
        self.workers.send(Job { send, shared_as, span, deps, driver });
    }

    fn attempted(&mut self, id: PollId, number: u32, record: Record) {
        self.maintenance.attempted(id, self.deps.clock.now());
        self.deps.observer.attempted(&record);
        trace::attempted(self.core.key(id), number, &record);
        if self.watchers.contains_key(&id) || self.subscribers.want_details() {
            self.tell(id, Event::Attempted(record.into_attempt(number)));
        }
    }

    fn tell(&mut self, id: PollId, event: Event) {
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

    /// Looked up among the polls that are watched, which are few, and not in the queue, which may be long.
    fn report_hold(&mut self, queue: QueueId, until: Timestamp, by: PollId) {
        self.deps.observer.hold_back();
        let key = self.core.key(by);
        trace::hold_back(key, until);
        if let Some(by) = key {
            self.subscribers.send(|| PollerEvent::OriginHeldBack { until, by: by.clone() });
        }
        for (id, watchers) in &mut self.watchers {
            if let Some(event) = self.core.held_in(queue, *id) {
                watchers.events.retain(|watcher| watcher.send(event.clone()));
            }
        }
    }

    /// Abandons what is in flight. Whoever still waits for an answer learns from its closed channel that there will be
    /// none.
    fn stop(mut self) {
        let (answers, in_flight) =
            self.closing.take().map_or_else(Default::default, |closing| (closing.answers, closing.in_flight));
        let abandoned = self.core.in_flight();
        let report = ShutdownReport {
            left_open: self.core.open() + self.loading.take().map_or(0, |loading| loading.left),
            // Where all handles are gone, nobody wants to know.
            first: if answers.is_empty() { Vec::new() } else { self.core.left_open() },
            unsaved: self.core.unsaved(),
            ended: in_flight.saturating_sub(abandoned),
            abandoned,
        };
        trace::stopped(&report);
        for (waiting, _) in self.tickets.drain() {
            reply(waiting, Err(Kind::Shutdown.into()));
        }
        // Whoever hears that it has stopped may want to open the same store.
        drop(self);
        for answer in answers {
            reply(answer, report.clone());
        }
    }
}
