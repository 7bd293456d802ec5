//! A timer whose deadline moves: for the schedule of the driver, and the timeouts of a worker.

use std::sync::Arc;

use crate::clock::{BoxFuture, Clock, Timestamp};

/// A sleep until a time that moves, mostly to a later one. The current sleep is kept unless it would end too late, so the
/// timer may fire too early: checking the time once more is cheaper than a new tokio timer for every request.
pub(super) struct Timer {
    clock: Arc<dyn Clock>,
    sleep: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl Timer {
    /// A timer that is not set.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sleep: None }
    }

    /// Sets it to the earliest of these times; to none if there is none.
    pub(super) fn set<const N: usize>(&mut self, times: [Option<Timestamp>; N]) {
        let Some(at) = times.into_iter().flatten().min() else {
            self.sleep = None;
            return;
        };
        if self.sleep.as_ref().is_none_or(|(set, _)| *set > at) {
            self.sleep = Some((at, self.clock.sleep_until(at)));
        }
    }

    /// Waits until it fires, possibly too early. Cancel-safe.
    pub(super) async fn fired(&mut self) {
        match &mut self.sleep {
            Some((_, sleep)) => {
                sleep.await;
                self.sleep = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until this time, never less.
    pub(super) async fn reached(&mut self, at: Timestamp) {
        loop {
            self.set([Some(at)]);
            self.fired().await;
            if self.clock.now() >= at {
                return;
            }
        }
    }
}
