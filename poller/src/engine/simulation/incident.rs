//! What happens in the simulated world, at a time.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::engine::entry::PollId;
use crate::judge::Judgement;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::StoredPoll;

/// A scheduled event of the world. What happens to a poll names it by its number.
#[derive(Debug)]
pub(super) enum Incident {
    Submit(usize),
    Cancel(usize),
    /// A caller says that there is something new.
    Callback(usize),
    /// The request ended at `ended`; the core learns of it a little later.
    Replied {
        id: PollId,
        request: u64,
        judgement: Box<Judgement>,
        ended: Timestamp,
    },
    Created {
        id: PollId,
        poll: StoredPoll,
        fails: bool,
    },
    Linked {
        id: PollId,
        key: PollKey,
        url: Arc<str>,
        fails: bool,
    },
    Finished {
        id: PollId,
        key: PollKey,
        outcome: Arc<Outcome>,
        fails: bool,
    },
    ShutDown,
    /// The process is stopped (SIGSTOP) or the machine sleeps: time passes, and then everything is late. Some clocks stand
    /// still meanwhile.
    Stop,
    /// Another process submits a poll; it is in the store a little later.
    SubmitBeside(usize),
    CommittedBeside(StoredPoll),
    /// The runner reads what other processes have stored.
    Look,
    Looked {
        polls: Vec<StoredPoll>,
        fails: bool,
    },
    Crash,
    Restart,
    StoreOutage,
}

impl Incident {
    /// Whether it is a part of the process, and does not happen once that has ended.
    pub(super) const fn ends_with_the_process(&self) -> bool {
        matches!(
            self,
            Self::Replied { .. }
                | Self::Look
                | Self::Looked { .. }
                | Self::Created { .. }
                | Self::Linked { .. }
                | Self::Finished { .. }
        )
    }
}
