//! A clock that moves only by waits and by `advance`.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use retry::run::{Cancel, Clock, Wait};

#[derive(Default)]
pub(crate) struct VirtualClock {
    now: Cell<Duration>,
    waits: RefCell<Vec<Duration>>,
    /// How much longer than asked each wait takes.
    oversleeps: Duration,
}

impl VirtualClock {
    pub(crate) fn oversleeping(oversleeps: Duration) -> Self {
        Self { oversleeps, ..Self::default() }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.now.set(self.now.get().saturating_add(by));
    }

    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.waits.borrow().clone()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        self.now.get()
    }
}

impl Wait for VirtualClock {
    fn wait(&self, delay: Duration, _: Option<&Cancel>) {
        self.waits.borrow_mut().push(delay);
        self.advance(delay.saturating_add(self.oversleeps));
    }
}
