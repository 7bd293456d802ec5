//! The tasks that make the attempts. Each makes one after another, for whichever poll is next.
//!
//! ```text
//!            order: one request             the attempt is made, its result sent
//!  driver ─────────────────────► courier ────────────────────────────────────────► driver
//!                                  ▲  idle                                            │
//!                                  └────────────────── back ◄─────────────────────────┘
//! ```
//!
//! A task of its own for every request, with a timer of its own, would cost more than the rest of what the engine does
//! for it: a task takes a large piece of memory, and more of the allocator's time than of the scheduler's. So a courier
//! that is back waits for the next order, and leaves its timer set: the next request is cut later than the last, mostly.
//!
//! What always holds:
//! - a courier is out for one poll at most;
//! - one that is dropped here is gone, and the request it is out for with it;
//! - one that is idle keeps nothing of the engine, so that a store can be opened anew once the engine has stopped.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span};

use super::alarm::Alarm;
use super::attempt;
use super::effect::Send;
use super::entry::PollId;
use super::message::{Backdoor, Message, report};
use super::surroundings::Surroundings;
use crate::store::PollKey;

/// The most that are kept while there is nothing for them to do, however many requests may be in flight. They take some
/// kilobytes each.
const MOST_KEPT: usize = 4096;

/// One attempt to be made, and what is needed for it.
pub(super) struct Order {
    pub(super) send: Send,
    /// The poll, where those of its scope may share requests.
    pub(super) shared_as: Option<PollKey>,
    pub(super) span: Span,
    pub(super) around: Arc<Surroundings>,
    /// Where its result goes.
    pub(super) inbox: Backdoor,
}

/// All of them, by what they do.
pub(super) struct Couriers {
    idle: Vec<Courier>,
    /// How many of those are kept.
    kept: usize,
    out: HashMap<PollId, Courier>,
}

impl Couriers {
    /// For so many requests in flight.
    pub(super) fn new(in_flight: usize) -> Self {
        Self { idle: Vec::new(), kept: in_flight.min(MOST_KEPT), out: HashMap::new() }
    }

    /// Has an attempt made; [`Message::Attempted`] follows.
    pub(super) fn send(&mut self, order: Order) {
        let id = order.send.id;
        let courier = match self.idle.pop() {
            Some(courier) => courier.takes(order),
            None => Courier::starts(order),
        };
        self.out.insert(id, courier);
    }

    /// The attempt for this poll has ended.
    pub(super) fn back(&mut self, id: PollId) {
        if let Some(courier) = self.out.remove(&id)
            && self.idle.len() < self.kept
        {
            self.idle.push(courier);
        }
    }

    /// Abandons the attempt for this poll, if one is under way.
    pub(super) fn abandon(&mut self, id: PollId) {
        self.out.remove(&id);
    }
}

/// One task, which ends with this value.
struct Courier {
    orders: Arc<Orders>,
    task: AbortHandle,
}

impl Courier {
    fn starts(order: Order) -> Self {
        let mut alarm = Alarm::new(Arc::clone(&order.around.clock));
        let orders = Arc::new(Orders::default());
        orders.put(order);
        let received = Arc::clone(&orders);
        let task = tokio::spawn(async move {
            loop {
                let Order { send, shared_as, span, around, inbox } =
                    poll_fn(|context| received.poll(context)).await;
                let id = send.id;
                let attempt = async {
                    let (finding, ended) = attempt::make(around, send, shared_as, &mut alarm).await;
                    // Where the driver has stopped, the poll stays open in the store.
                    report(&inbox, Message::Attempted { id, finding, ended });
                };
                attempt.instrument(span).await;
            }
        });
        Self { orders, task: task.abort_handle() }
    }

    fn takes(self, order: Order) -> Self {
        self.orders.put(order);
        self
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a courier finds its next order. A channel would have room for dozens, and so would take more than the courier.
#[derive(Default)]
struct Orders(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    order: Option<Order>,
    courier: Option<Waker>,
}

impl Orders {
    fn put(&self, order: Order) {
        let courier = {
            let mut waiting = self.waiting();
            waiting.order = Some(order);
            waiting.courier.take()
        };
        if let Some(courier) = courier {
            courier.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Order> {
        let mut waiting = self.waiting();
        match waiting.order.take() {
            Some(order) => Poll::Ready(order),
            None => {
                waiting.courier = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is a single assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
