//! What the driver can be told: by handles, by workers, and by the calls to the store that it has made.
//!
//! Whoever wants an answer sends the place for it along, and may stop waiting for it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::effect::Submitted;
use super::entry::PollId;
use super::store_reply::StoreReply;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Feeder, Subscriber};
use crate::job::PollSpec;
use crate::judge::Judgement;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::shutdown::ShutdownReport;

/// Where messages to the driver go. The driver lives as long as somebody has one.
pub(crate) type DriverHandle = mpsc::UnboundedSender<Message>;

/// The same for those that work for the driver: they do not keep it alive. One that is busy has some of them at all times.
pub(super) type WeakDriverHandle = mpsc::WeakUnboundedSender<Message>;

pub(super) type Answer<T> = oneshot::Sender<T>;

/// What the driver can be told.
pub(crate) enum Message {
    /// Run this poll.
    Submit {
        key: PollKey,
        spec: PollSpec,
        answer: Answer<Result<Submitted, Error>>,
        /// Kept until it is answered, whether or not somebody still waits for that.
        turn: OwnedSemaphorePermit,
    },
    /// Send what was missed and what happens from now on; end the feed at once if the poll is gone.
    Watch { id: PollId, events: Feeder },
    /// Send the polls that are open and the events of all polls from now on.
    Subscribe(Subscriber),
    /// Say how the poll ends; `None` at once if it is gone.
    Await { id: PollId, answer: Answer<Option<Arc<Outcome>>> },
    /// End the poll as cancelled; whether it was open.
    Cancel { id: PollId, answer: Answer<bool> },
    /// Which open poll has this name?
    Find { key: PollKey, answer: Answer<Option<PollId>> },
    /// Stop, and say what is left open.
    ShutDown { answer: Answer<ShutdownReport> },
    /// A request has ended.
    Attempted { id: PollId, judgement: Judgement, ended: Timestamp },
    /// The store has answered.
    Stored { reply: StoreReply, recovered: bool },
}

/// Tells the driver what was done for it. Where it has stopped, nobody wants to know.
pub(super) fn report(driver: &WeakDriverHandle, message: Message) {
    if let Some(driver) = driver.upgrade() {
        let _ = driver.send(message);
    }
}

/// Answers a call whose caller may have stopped waiting.
pub(super) fn reply<T>(waiting: Answer<T>, answer: T) {
    let _ = waiting.send(answer);
}
