//! The messages to the driver: from handles, from workers, and from its calls to the store.
//!
//! A message that wants an answer carries the sender for it. The receiver may be dropped in the meantime.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::effect::Submitted;
use super::entry::PollId;
use super::store_reply::StoreReply;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Feeder, Subscriber};
use crate::job::PollSpec;
use crate::judge::Judged;
use crate::key::PollKey;
use crate::open_poll::OpenPoll;
use crate::outcome::Outcome;
use crate::shutdown::ShutdownReport;

/// The sender of messages to the driver. The driver runs until all of them are dropped.
pub(crate) type DriverHandle = mpsc::UnboundedSender<Message>;

/// A weak sender for workers: it must not keep the driver alive, and a busy driver always has some workers.
pub(super) type WeakDriverHandle = mpsc::WeakUnboundedSender<Message>;

pub(super) type Answer<T> = oneshot::Sender<T>;

/// A message to the driver.
pub(crate) enum Message {
    /// Runs a poll.
    Submit {
        key: PollKey,
        spec: PollSpec,
        answer: Answer<Result<Submitted, Error>>,
        /// Held until the answer is sent, even if the caller no longer waits for it.
        turn: OwnedSemaphorePermit,
    },
    /// Sends the recorded and all further events of a poll; drops the feed at once if the poll is not open.
    Watch { id: PollId, events: Feeder },
    /// Sends the open polls and all further events of all polls.
    Subscribe(Subscriber),
    /// Answers with the outcome of a poll once it is stored; with `None` at once if the poll is not open.
    Await { id: PollId, answer: Answer<Option<Arc<Outcome>>> },
    /// Ends a poll as cancelled; answers whether it was open.
    Cancel { id: PollId, answer: Answer<bool> },
    /// Has an open poll ask as soon as it may; answers whether there is one.
    Hasten { key: PollKey, answer: Answer<bool> },
    /// Looks up an open poll by its key.
    Find { key: PollKey, answer: Answer<Option<PollId>> },
    /// Looks at open polls; answers in the order of the keys, with `None` for a poll that the engine does not have.
    Look { keys: Vec<PollKey>, answer: Answer<Vec<Option<OpenPoll>>> },
    /// Shuts down; answers with what is left open.
    ShutDown { answer: Answer<ShutdownReport> },
    /// The result of a request.
    Attempted { id: PollId, judged: Judged, ended: Timestamp },
    /// The reply of the store to a call.
    Stored { reply: StoreReply, recovered: bool },
}

/// Sends a result to the driver, unless it has stopped.
pub(super) fn report(driver: &WeakDriverHandle, message: Message) {
    if let Some(driver) = driver.upgrade() {
        let _ = driver.send(message);
    }
}

/// Answers a call; the caller may have stopped waiting.
pub(super) fn reply<T>(waiting: Answer<T>, answer: T) {
    let _ = waiting.send(answer);
}
