//! When to look at the time again, if nothing else happens before: the driver at its schedule, a worker at its request.

use std::sync::Arc;

use crate::clock::{BoxFuture, Clock, Timestamp};

/// A sleep until a time that moves. Mostly it moves away, with every request that ends; a sleep that is under way is
/// therefore kept unless it would be too long, and may ring too early: to look once more is cheaper than a new timer
/// every time.
pub(super) struct Timer {
    clock: Arc<dyn Clock>,
    sleep: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl Timer {
    /// An timer that is not set.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sleep: None }
    }

    /// Has it ring at the earliest of these times, or earlier; never, where there is none.
    pub(super) fn set<const N: usize>(&mut self, times: [Option<Timestamp>; N]) {
        let Some(at) = times.into_iter().flatten().min() else {
            self.sleep = None;
            return;
        };
        if self.sleep.as_ref().is_none_or(|(set, _)| *set > at) {
            self.sleep = Some((at, self.clock.sleep_until(at)));
        }
    }

    /// Waits until it rings. Dropped before that, it goes on where it was.
    pub(super) async fn rings(&mut self) {
        match &mut self.sleep {
            Some((_, sleep)) => {
                sleep.await;
                self.sleep = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until this time, and not less.
    pub(super) async fn reaches(&mut self, at: Timestamp) {
        loop {
            self.set([Some(at)]);
            self.rings().await;
            if self.clock.now() >= at {
                return;
            }
        }
    }
}
