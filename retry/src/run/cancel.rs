//! [`Cancel`]: a signal that ends the waits of threads and of futures; [`Uncancelled`], its absence.
//!
//! It consists of a flag, a condition variable for threads and a list of wakers for futures. A runtime's cancellation token
//! was the alternative; threads cannot wait on it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::lock::lock;

/// A signal to stop retrying. Clones share the signal, which is set once and stays set.
///
/// ```
/// use retry::{GiveUp, Policy, run::{Cancel, Retry}};
/// use std::time::Duration;
///
/// # #[cfg(feature = "blocking")] {
/// let policy = Policy::fixed(Duration::from_secs(3600)).build().unwrap();
/// let cancel = Cancel::new();
/// let from_elsewhere = cancel.clone();
/// let result = Retry::new(&policy).cancel(&cancel).run(|_| {
///     from_elsewhere.cancel();
///     Err::<(), _>("down")
/// });
/// let err = result.unwrap_err(); // at once, not after an hour
/// assert_eq!((err.reason(), err.last()), (GiveUp::Cancelled, Some(&"down")));
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    wakers: Vec<(u64, Waker)>,
    next_id: u64,
}

impl Cancel {
    /// A signal that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the signal. Further calls do nothing.
    pub fn cancel(&self) {
        // Set under the lock: a waiter that checks the flag under it cannot miss the wake-up.
        let wakers = {
            let mut waiting = self.lock();
            self.shared.cancelled.store(true, Ordering::Release);
            std::mem::take(&mut waiting.wakers)
        };
        self.shared.changed.notify_all();
        // Outside the lock: a waker may run anything, dropping another waiter included.
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Whether the signal is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    /// A future that is ready when the signal is set.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { cancel: self.clone(), id: None }
    }

    /// Returns when the signal is set, or `delay` has passed. For implementations of [`Wait`](super::Wait).
    pub fn wait_timeout(&self, delay: Duration) {
        let waiting = self.lock();
        // The result is dropped: callers check `is_cancelled`.
        drop(self.shared.changed.wait_timeout_while(waiting, delay, |_| !self.is_cancelled()));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.shared.waiting)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// A future that is ready when a [`Cancel`] is set; from [`Cancel::cancelled`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Cancelled {
    cancel: Cancel,
    id: Option<u64>,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { cancel, id } = &mut *self;
        if cancel.is_cancelled() {
            return Poll::Ready(());
        }
        let mut waiting = cancel.lock();
        if cancel.is_cancelled() {
            return Poll::Ready(());
        }
        let known = id.and_then(|id| waiting.wakers.iter_mut().find(|(known, _)| *known == id));
        match known {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => {
                let new = waiting.next_id;
                waiting.next_id = new.wrapping_add(1);
                waiting.wakers.push((new, cx.waker().clone()));
                *id = Some(new);
            }
        }
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let removed = {
                let mut waiting = self.cancel.lock();
                let index = waiting.wakers.iter().position(|(known, _)| *known == id);
                index.map(|index| waiting.wakers.swap_remove(index))
            };
            drop(removed); // after the lock: dropping a waker may run anything
        }
    }
}

/// A future that is never ready: what cancels a run without [`Retry::cancel_on`](super::Retry::cancel_on).
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "futures do nothing unless polled"]
pub struct Uncancelled;

impl Future for Uncancelled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll(future: &mut Cancelled, counter: &Arc<Counter>) -> Poll<()> {
        let waker = Waker::from(Arc::clone(counter));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn wakes_every_waiter_once() {
        let (cancel, counter) = (Cancel::new(), Arc::new(Counter::default()));
        let (mut one, mut two, mut dropped) = (cancel.cancelled(), cancel.cancelled(), cancel.cancelled());
        for future in [&mut one, &mut two, &mut dropped] {
            assert!(poll(future, &counter).is_pending() && poll(future, &counter).is_pending());
        }
        drop(dropped);
        cancel.cancel();
        cancel.cancel();
        assert_eq!(counter.0.load(Ordering::Relaxed), 2);
        assert!(poll(&mut one, &counter).is_ready() && poll(&mut two, &counter).is_ready());
        assert!(poll(&mut cancel.cancelled(), &counter).is_ready());
    }

    #[test]
    fn dropped_waiters_are_removed() {
        let (cancel, counter) = (Cancel::new(), Arc::new(Counter::default()));
        for _ in 0..100 {
            assert!(poll(&mut cancel.cancelled(), &counter).is_pending());
        }
        assert!(cancel.lock().wakers.is_empty());
    }

    #[test]
    fn ends_a_threads_wait() {
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            scope.spawn(|| cancel.wait_timeout(Duration::MAX));
            scope.spawn(|| cancel.cancel());
        });
        cancel.wait_timeout(Duration::MAX);
        assert!(cancel.is_cancelled());
    }
}
