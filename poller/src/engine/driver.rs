//! The one task that feeds the core and carries out what it decides.
//!
//! The driver never waits for a request or for the store: tasks do, and send the result back as a message.
//! It stops when it is told to, or when the last handle to it is gone; open polls stay open in the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::alarm::Alarm;
use super::answered::{Answered, made};
use super::core::Core;
use super::couriers::{Couriers, Order};
use super::effect::{Admission, Effect, Send, Ticket};
use super::entry::PollId;
use super::lanes::LaneId;
use super::sharing::Shares;
use super::upkeep::Upkeep;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Kind};
use crate::event::{Event, Feeder};
use crate::fetch::Fetch;
use crate::history::Record;
use crate::judge::Finding;
use crate::limits::Limits;
use crate::observe::{Levels, Observer, Operation, trace};
use crate::outcome::Outcome;
use crate::secret::SecretResolver;
use crate::shutdown::ShutdownReport;
use crate::spec::PollSpec;
use crate::store::{Creation, OpenPolls, PollKey, Store, StoreError, StoredPoll};

/// What the engine works with.
pub(crate) struct Surroundings {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fetch: Arc<dyn Fetch>,
    /// Where polls may share requests.
    pub(crate) shares: Option<Shares>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) secrets: Arc<dyn SecretResolver>,
    pub(crate) observer: Observer,
    pub(crate) max_body: u64,
    pub(crate) grace: std::time::Duration,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// Where messages to the driver go.
pub(crate) type Inbox = mpsc::UnboundedSender<Message>;

type Answer<T> = oneshot::Sender<T>;

/// What the driver can be told.
pub(crate) enum Message {
    /// Run this poll.
    Submit {
        key: PollKey,
        spec: PollSpec,
        answer: Answer<Result<Admission, Error>>,
        /// Kept until it is answered, whether or not somebody still waits for that.
        turn: OwnedSemaphorePermit,
    },
    /// Send what was missed and what happens from now on; end the feed at once if the poll is gone.
    Watch { id: PollId, events: Feeder },
    /// Say how the poll ends; `None` at once if it is gone.
    Await { id: PollId, answer: Answer<Option<Arc<Outcome>>> },
    /// End the poll as cancelled; whether it was open.
    Cancel { id: PollId, answer: Answer<bool> },
    /// Which open poll has this name?
    Find { key: PollKey, answer: Answer<Option<PollId>> },
    /// Stop, and say what is left open.
    ShutDown { answer: Answer<ShutdownReport> },
    /// A request has ended.
    Attempted { id: PollId, finding: Finding, ended: Timestamp },
    /// The store has answered.
    Stored(Answered),
}

/// Starts the driver on the current runtime. It takes over `expected` open polls, the first of which are given.
pub(crate) fn spawn(
    limits: Limits,
    rng: retry::Rng,
    around: Arc<Surroundings>,
    first: OpenPolls,
    expected: usize,
) -> Inbox {
    let (inbox, messages) = mpsc::unbounded_channel();
    let upkeep = Upkeep::new(&limits, around.store.keeps_attempts(), around.clock.now());
    let couriers = Couriers::new(limits.in_flight);
    let mut core = Core::new(limits, rng);
    core.expect(expected);
    let driver = Driver {
        upkeep,
        creates: Vec::new(),
        core,
        effects: Vec::new(),
        around,
        messages,
        inbox: inbox.downgrade(),
        tickets: HashMap::new(),
        next_ticket: 0,
        watchers: HashMap::new(),
        couriers,
        closing: None,
        store_calls: 0,
        look: None,
        loading: Some(Loading { left: expected, finds: Vec::new() }),
    };
    trace::restored(expected);
    tokio::spawn(driver.run(first));
    inbox
}

struct Driver {
    core: Core,
    /// New polls that the store is to be given.
    creates: Vec<(PollId, StoredPoll)>,
    upkeep: Upkeep,
    /// Empty between calls; kept for its room.
    effects: Vec<Effect>,
    around: Arc<Surroundings>,
    messages: mpsc::UnboundedReceiver<Message>,
    /// Weak, so that the driver itself does not keep its inbox open.
    inbox: mpsc::WeakUnboundedSender<Message>,
    tickets: HashMap<Ticket, (Answer<Result<Admission, Error>>, OwnedSemaphorePermit)>,
    next_ticket: u64,
    watchers: HashMap<PollId, Watchers>,
    couriers: Couriers,
    closing: Option<Closing>,
    /// Calls to the store that have not been answered.
    store_calls: usize,
    /// When to ask the store for open polls: those that are still to be loaded, or what other processes did.
    look: Option<Timestamp>,
    /// Set while polls that were open at the start are still being read.
    loading: Option<Loading>,
}

/// Open polls are read some at a time, and those that were read run meanwhile.
struct Loading {
    /// How many are still to come.
    left: usize,
    /// Who asked for a poll that may be among them.
    finds: Vec<(PollKey, Answer<Option<PollId>>)>,
}

/// When a store that failed while polls were loaded is asked again.
const RELOAD: std::time::Duration = std::time::Duration::from_millis(500);

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
        self.loaded(Ok(first), self.around.clock.now());
        self.carry_out();
        let mut batch = Vec::with_capacity(BATCH);
        let mut alarm = Alarm::new(Arc::clone(&self.around.clock));
        loop {
            alarm.set([
                self.core.next_wake(),
                self.look,
                self.upkeep.next(),
                self.closing.as_ref().map(|closing| closing.until),
            ]);
            tokio::select! {
                biased;
                received = self.messages.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        break;
                    }
                }
                () = alarm.rings() => {}
            }
            let now = self.around.clock.now();
            for message in batch.drain(..) {
                self.handle(message, now);
            }
            if self.closing.is_none() {
                self.core.tick(now);
                if self.look.is_some_and(|look| look <= now) {
                    self.look = None;
                    self.look();
                }
                self.keep_up(now);
            }
            self.carry_out();
            self.create();
            self.around.observer.levels(Levels {
                open: self.core.open(),
                in_flight: self.core.in_flight(),
                held_back: self.core.held_back(),
            });
            if let Some(closing) = &self.closing {
                let settled =
                    self.core.in_flight() == 0 && self.core.finishing() == 0 && self.store_calls == 0;
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
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.tickets.insert(ticket, (answer, turn));
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
                let until = now + self.around.grace;
                let in_flight = self.core.in_flight();
                let closing = Closing { until, in_flight, answers: Vec::new() };
                self.closing.get_or_insert(closing).answers.push(answer);
            }
            Message::Attempted { id, finding, ended } => {
                self.couriers.back(id);
                self.core.attempted(id, finding, ended, now);
            }
            Message::Stored(answered) => self.stored(answered, now),
        }
        self.carry_out();
    }

    /// The store has answered to a call of [`with_store`](Self::with_store).
    fn stored(&mut self, answered: Answered, now: Timestamp) {
        self.store_calls -= 1;
        match answered {
            Answered::Loaded(result) => self.loaded(result, now),
            Answered::Changed(result) => {
                let more = result.as_ref().is_ok_and(|changes| !changes.open.last);
                // A store that cannot be read just now is asked again; what it has does not go away.
                if let (Ok(changes), None) = (result, &self.closing) {
                    self.take_over(changes.open, now);
                    for key in changes.cancelling {
                        if let Some(id) = self.core.find(&key) {
                            self.core.cancel(id, now);
                        }
                    }
                }
                self.core.end_look();
                if more {
                    self.look = Some(now);
                } else {
                    self.look_again();
                }
            }
            Answered::Purged(result) => self.upkeep.purged(result.unwrap_or(0), now),
            // What could not be written is written with what comes next, or with the outcome.
            Answered::Noted(_) => {}
            Answered::Looked(result) => {
                if let (Ok(Some(poll)), None) = (result, &self.closing) {
                    self.take_over(OpenPolls::all(vec![poll]), now);
                }
            }
            Answered::Created(results) => {
                for (id, result) in results {
                    if let Ok(Creation::Created) = result {
                        self.around.observer.created();
                        trace::created(self.core.key(id), self.core.deadline(id));
                    }
                    self.core.created(id, result, now);
                }
            }
            Answered::Finished(id, result) => {
                if let Ok(outcome) = &result {
                    self.around.observer.finished(outcome);
                    trace::finished(self.core.key(id), outcome);
                }
                self.core.finished(id, result, now);
            }
        }
    }

    /// Does for the store what is due.
    fn keep_up(&mut self, now: Timestamp) {
        if let Some(retention) = self.upkeep.purge(now) {
            self.with_store(
                Operation::Purge,
                move |store| async move { store.purge(retention).await },
                Answered::Purged,
            );
        }
        if let Some(attempted) = self.upkeep.flush(self.core.open(), now) {
            let attempts = attempted.into_iter().filter_map(|id| self.core.attempts(id)).collect();
            self.with_store(
                Operation::NoteAttempts,
                move |store| async move { store.note_attempts(attempts).await },
                Answered::Noted,
            );
        }
    }

    /// Asks the store for open polls.
    fn look(&mut self) {
        if self.loading.is_some() {
            return self.load();
        }
        self.core.begin_look();
        self.with_store(Operation::Changes, |store| async move { store.changes().await }, Answered::Changed);
    }

    fn load(&mut self) {
        self.with_store(
            Operation::LoadOpen,
            |store| async move { store.load_open().await },
            Answered::Loaded,
        );
    }

    /// Some of the polls that were open at the start have been read.
    fn loaded(&mut self, result: Result<OpenPolls, StoreError>, now: Timestamp) {
        let Some(loading) = self.loading.as_mut().filter(|_| self.closing.is_none()) else { return };
        match result {
            Ok(open) => {
                loading.left = loading.left.saturating_sub(open.polls.len() + open.unreadable.len());
                let last = open.last;
                if !last {
                    // They are read while these are taken over.
                    self.load();
                }
                self.take_over(open, now);
                if last {
                    self.core.end_look();
                    self.look_again();
                    for (key, answer) in self.loading.take().map(|loading| loading.finds).unwrap_or_default()
                    {
                        reply(answer, self.core.find(&key));
                    }
                }
            }
            Err(_) => self.look = Some(now + RELOAD),
        }
    }

    fn take_over(&mut self, open: OpenPolls, now: Timestamp) {
        for (key, outcome) in &open.unreadable {
            self.around.observer.finished(outcome);
            trace::finished(Some(key), outcome);
        }
        for key in self.core.adopt(open.polls, now) {
            self.look_at_one(key);
        }
    }

    /// Asks the store for one poll anew, to run it if it is open.
    fn look_at_one(&mut self, key: PollKey) {
        self.with_store(Operation::Get, |store| async move { store.get(key).await }, Answered::Looked);
    }

    fn look_again(&mut self) {
        self.look = self.around.store.changes_every().map(|period| self.around.clock.now() + period);
    }

    fn carry_out(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        self.core.take_effects(&mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Create { id, poll } => self.creates.push((id, poll)),
                Effect::Finish { id, key, outcome } => self.with_store(
                    Operation::Finish,
                    move |store| async move { store.finish(key, outcome).await },
                    move |result| Answered::Finished(id, result),
                ),
                Effect::Send(request) => self.send(request),
                Effect::Abort { id } => self.couriers.abandon(id),
                Effect::Attempted { id, number, record } => self.attempted(id, number, record),
                Effect::Tell { id, event } => self.tell(id, event),
                Effect::Held { lane, until, by } => self.tell_of_hold(lane, until, by),
                Effect::Answer { ticket, answer } => {
                    if let Some((waiting, turn)) = self.tickets.remove(&ticket) {
                        reply(waiting, answer);
                        drop(turn);
                    }
                }
            }
        }
        self.effects = effects;
    }

    fn send(&mut self, send: Send) {
        let Some(inbox) = self.inbox.upgrade() else { return };
        self.around.observer.began(send.punctuality.lateness, send.punctuality.held);
        let key = self.core.key(send.id);
        let span = trace::request(key, send.number, &send.spec);
        let around = Arc::clone(&self.around);
        let shared_as = key.filter(|_| around.shares.is_some()).cloned();
        self.couriers.send(Order { send, shared_as, span, around, inbox });
    }

    /// Asks the store for something; [`stored`](Self::stored) follows.
    fn with_store<T, C>(
        &mut self,
        operation: Operation,
        call: impl FnOnce(Arc<dyn Store>) -> C + std::marker::Send + 'static,
        answered: impl FnOnce(Result<T, StoreError>) -> Answered + std::marker::Send + 'static,
    ) where
        C: Future<Output = Result<T, StoreError>> + std::marker::Send,
        T: std::marker::Send,
    {
        let Some(inbox) = self.inbox.upgrade() else { return };
        self.store_calls += 1;
        let around = Arc::clone(&self.around);
        tokio::spawn(async move {
            let asked = around.clock.now();
            let answer = answered(made(call(Arc::clone(&around.store))).await);
            around.observer.store(operation, around.clock.now().since(asked), answer.error());
            let _ = inbox.send(Message::Stored(answer));
        });
    }

    /// Has the polls stored that came since the last time, in one call: it is answered by one message.
    fn create(&mut self) {
        if self.creates.is_empty() {
            return;
        }
        let (ids, polls): (Vec<_>, Vec<_>) = self.creates.drain(..).unzip();
        self.with_store(
            Operation::Create,
            move |store| async move { Ok(store.create_all(polls).await) },
            move |results| Answered::created(ids, results),
        );
    }

    fn attempted(&mut self, id: PollId, number: u32, record: Record) {
        self.upkeep.attempted(id, self.around.clock.now());
        self.around.observer.attempted(&record);
        trace::attempted(self.core.key(id), number, &record);
        if self.watchers.contains_key(&id) {
            self.tell(id, Event::Attempted(record.into_attempt(number)));
        }
    }

    fn tell(&mut self, id: PollId, event: Event) {
        let Some(watchers) = self.watchers.get_mut(&id) else { return };
        watchers.events.retain(|watcher| watcher.send(event.clone()));
        if let Event::Finished(outcome) = event {
            for waiting in std::mem::take(&mut watchers.outcome) {
                reply(waiting, Some(Arc::clone(&outcome)));
            }
            self.watchers.remove(&id);
        }
    }

    /// Looked up among the polls that are watched, which are few, and not in the lane, which may be long.
    fn tell_of_hold(&mut self, lane: LaneId, until: Timestamp, by: PollId) {
        self.around.observer.hold_back();
        trace::hold_back(self.core.key(by), until);
        for (id, watchers) in &mut self.watchers {
            if let Some(event) = self.core.held_in(lane, *id) {
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
            ended: in_flight.saturating_sub(abandoned),
            abandoned,
        };
        trace::stopped(&report);
        for (_, (waiting, _)) in self.tickets.drain() {
            reply(waiting, Err(Kind::Shutdown.into()));
        }
        // Whoever hears that it has stopped may want to open the same store.
        drop(self);
        for answer in answers {
            reply(answer, report.clone());
        }
    }
}

/// Answers a call whose caller may have stopped waiting.
fn reply<T>(waiting: Answer<T>, answer: T) {
    let _ = waiting.send(answer);
}
