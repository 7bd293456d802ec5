//! The tasks that make the attempts. Each makes one after another, for whichever poll is next.
//!
//! ```text
//!            job: one request             the attempt is made, its result sent
//!  driver ─────────────────────► worker ────────────────────────────────────────► driver
//!                                  ▲  idle                                            │
//!                                  └────────────────── back ◄─────────────────────────┘
//! ```
//!
//! A task of its own for every request, with a timer of its own, would cost more than the rest of what the engine does
//! for it: a task takes a large piece of memory, and more of the allocator's time than of the scheduler's. So a worker
//! that is back waits for the next job, and leaves its timer set: the next request is cut later than the last, mostly.
//!
//! What always holds:
//! - a worker is out for one poll at most;
//! - one that is dropped here is gone, and the request it is out for with it;
//! - one that is idle keeps nothing of the engine, so that a store can be opened anew once the engine has stopped.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span};

use super::attempt;
use super::deps::Deps;
use super::effect::StartRequest;
use super::entry::PollId;
use super::message::{Message, WeakDriverHandle, report};
use super::timer::Timer;
use crate::key::PollKey;

/// The most that are kept while there is nothing for them to do, however many requests may be in flight. They take some
/// kilobytes each.
const MOST_KEPT: usize = 4096;

/// One attempt to be made, and what is needed for it.
pub(super) struct Job {
    pub(super) send: StartRequest,
    /// The poll, where those of its scope may share requests.
    pub(super) shared_as: Option<PollKey>,
    pub(super) span: Span,
    pub(super) deps: Arc<Deps>,
    /// Where its result goes.
    pub(super) driver: WeakDriverHandle,
}

/// All of them, by what they do.
pub(super) struct Workers {
    idle: Vec<Worker>,
    /// How many of those are kept.
    kept: usize,
    out: HashMap<PollId, Worker>,
}

impl Workers {
    /// For so many requests in flight.
    pub(super) fn new(in_flight: usize) -> Self {
        Self { idle: Vec::new(), kept: in_flight.min(MOST_KEPT), out: HashMap::new() }
    }

    /// Has an attempt made; [`Message::Attempted`] follows.
    pub(super) fn send(&mut self, job: Job) {
        let id = job.send.id;
        let worker = match self.idle.pop() {
            Some(worker) => worker.assign(job),
            None => Worker::spawn(job),
        };
        self.out.insert(id, worker);
    }

    /// The attempt for this poll has ended.
    pub(super) fn back(&mut self, id: PollId) {
        if let Some(worker) = self.out.remove(&id)
            && self.idle.len() < self.kept
        {
            self.idle.push(worker);
        }
    }

    /// Abandons the attempt for this poll, if one is under way.
    pub(super) fn abandon(&mut self, id: PollId) {
        self.out.remove(&id);
    }
}

/// One task, which ends with this value.
struct Worker {
    slot: Arc<JobSlot>,
    task: AbortHandle,
}

impl Worker {
    fn spawn(job: Job) -> Self {
        let mut timer = Timer::new(Arc::clone(&job.deps.clock));
        let slot = Arc::new(JobSlot::default());
        slot.put(job);
        let job_slot = Arc::clone(&slot);
        let task = tokio::spawn(async move {
            loop {
                let Job { send, shared_as, span, deps, driver } =
                    poll_fn(|context| job_slot.poll(context)).await;
                let id = send.id;
                let attempt = async {
                    let (judgement, ended) = attempt::make(deps, send, shared_as, &mut timer).await;
                    // Where the driver has stopped, the poll stays open in the store.
                    report(&driver, Message::Attempted { id, judgement, ended });
                };
                attempt.instrument(span).await;
            }
        });
        Self { slot, task: task.abort_handle() }
    }

    fn assign(self, job: Job) -> Self {
        self.slot.put(job);
        self
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a worker finds its next job. A channel would have room for dozens, and so would take more than the worker.
#[derive(Default)]
struct JobSlot(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    job: Option<Job>,
    worker: Option<Waker>,
}

impl JobSlot {
    fn put(&self, job: Job) {
        let worker = {
            let mut waiting = self.waiting();
            waiting.job = Some(job);
            waiting.worker.take()
        };
        if let Some(worker) = worker {
            worker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Job> {
        let mut waiting = self.waiting();
        match waiting.job.take() {
            Some(job) => Poll::Ready(job),
            None => {
                waiting.worker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is a single assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
