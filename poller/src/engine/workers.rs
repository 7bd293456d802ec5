//! A pool of worker tasks that make attempts, one at a time each.
//!
//! ```text
//!           job: one request            result of the attempt
//!  driver ───────────────────► worker ─────────────────────────► driver
//!                                ▲                                  │
//!                                └────── idle, until the next ◄─────┘
//! ```
//!
//! A new task and timer for every request would cost more than all other work of the engine for it, mostly in the
//! allocator: a task is a large allocation. A worker therefore waits for the next job and keeps its timer, because the next
//! request mostly times out later than the last.
//!
//! Invariants:
//! - a worker makes at most one attempt at a time;
//! - dropping a `Worker` aborts its task and its request;
//! - an idle worker holds no dependency of the engine, so the store can be reopened once the engine has stopped.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span};

use super::attempt;
use super::deps::Deps;
use super::effect::StartRequest;
use super::entry::PollId;
use super::message::{Message, WeakDriverHandle, report};
use super::timer::Timer;
use crate::key::PollKey;
use crate::lock::lock;

/// The most idle workers that are kept; each takes some kilobytes.
const MAX_IDLE: usize = 4096;

/// One attempt to make, and its dependencies.
pub(super) struct Job {
    pub(super) request: StartRequest,
    /// The poll that asks.
    pub(super) poll: Option<PollKey>,
    pub(super) span: Span,
    pub(super) deps: Arc<Deps>,
    /// The receiver of the result.
    pub(super) driver: WeakDriverHandle,
}

/// All workers, idle and busy.
pub(super) struct Workers {
    idle: Vec<Worker>,
    /// The most idle workers that are kept.
    max_idle: usize,
    busy: HashMap<PollId, Worker>,
}

impl Workers {
    /// A pool for up to `in_flight` requests at once.
    pub(super) fn new(in_flight: usize) -> Self {
        Self { idle: Vec::new(), max_idle: in_flight.min(MAX_IDLE), busy: HashMap::new() }
    }

    /// Starts an attempt; its result is a [`Message::Attempted`].
    pub(super) fn send(&mut self, job: Job) {
        let id = job.request.id;
        let worker = match self.idle.pop() {
            Some(worker) => worker.assign(job),
            None => Worker::spawn(job),
        };
        self.busy.insert(id, worker);
    }

    /// Returns the worker of this poll to the pool: its attempt has ended.
    pub(super) fn release(&mut self, id: PollId) {
        if let Some(worker) = self.busy.remove(&id)
            && self.idle.len() < self.max_idle
        {
            self.idle.push(worker);
        }
    }

    /// Aborts the attempt of this poll, if one is under way.
    pub(super) fn abort(&mut self, id: PollId) {
        self.busy.remove(&id);
    }
}

/// A worker task; dropping this aborts it.
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
                let Job { request, poll, span, deps, driver } =
                    poll_fn(|context| job_slot.poll(context)).await;
                let id = request.id;
                let attempt = async {
                    let (judged, ended) = attempt::make(deps, request, poll, &mut timer).await;
                    // If the driver has stopped, the poll stays open in the store.
                    report(&driver, Message::Attempted { id, judged, ended });
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

/// The slot for the next job of a worker. The smallest tokio channel takes more memory than the worker.
#[derive(Default)]
struct JobSlot {
    job: Mutex<Option<Job>>,
    worker: AtomicWaker,
}

impl JobSlot {
    fn put(&self, job: Job) {
        *self.job() = Some(job);
        self.worker.wake();
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Job> {
        self.worker.register(context.waker());
        self.job().take().map_or(Poll::Pending, Poll::Ready)
    }

    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        lock(&self.job)
    }
}
