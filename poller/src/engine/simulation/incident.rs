//! What happens in the simulated world, at a time.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::engine::entry::PollId;
use crate::judge::Judgement;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::StoredPoll;

/// A scheduled event of the world.
#[derive(Debug)]
pub(super) enum Incident {
    Submit {
        poll: usize,
    },
    Cancel {
        poll: usize,
    },
    /// A caller says that there is something new.
    Callback {
        poll: usize,
    },
    /// The request ended at `ended`; the core learns of it a little later.
    Replied {
        life: u32,
        id: PollId,
        request: u64,
        judgement: Box<Judgement>,
        ended: Timestamp,
    },
    Created {
        life: u32,
        id: PollId,
        poll: StoredPoll,
        fails: bool,
    },
    Linked {
        life: u32,
        id: PollId,
        key: PollKey,
        url: Arc<str>,
        fails: bool,
    },
    Finished {
        life: u32,
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
    SubmitBeside {
        poll: usize,
    },
    CommittedBeside {
        poll: StoredPoll,
    },
    /// The runner reads what other processes have stored.
    Look {
        life: u32,
    },
    Looked {
        life: u32,
        polls: Vec<StoredPoll>,
        fails: bool,
    },
    Crash,
    Restart,
    StoreOutage,
}
