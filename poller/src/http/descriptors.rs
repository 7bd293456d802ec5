//! The number of connections at once, within what the operating system lets this process open.
//!
//! Every connection takes a file descriptor, and so does every lookup of a name. A process that has used up its descriptors
//! fails in odd places (lookups report "no such host", stores cannot be opened), so the client stays below the limit: a
//! connection takes a [`Slot`] before its name is looked up and gives it back when it is dropped. If none is free, the
//! connection that has been idle for longest is closed, and the attempt waits: polls on more hosts than there are descriptors
//! are slow, and none is lost. Idle connections have a limit of their own, half the slots.
//!
//! Connections stand in a queue in the order in which they became idle. Moving one at each use would cost a lock per request;
//! instead, one that was used since it was queued goes to the back when its turn comes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::link::Link;
use crate::lock::lock;

/// A place among the connections.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: Option<OwnedSemaphorePermit>,
    descriptors: Descriptors,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.descriptors.inner.open.fetch_sub(1, Ordering::AcqRel);
        self.descriptors.inner.freed.notify_waiters();
    }
}

/// The connections of a client; clones share the limit.
#[derive(Clone, Debug)]
pub(super) struct Descriptors {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    slots: Arc<Semaphore>,
    most_idle: usize,
    /// The connections, made or in the making.
    open: AtomicUsize,
    /// Those among them that wait for another one to end, as the system has no descriptor left.
    stuck: AtomicUsize,
    freed: Notify,
    waiting: AtomicUsize,
    idle: Mutex<VecDeque<Queued>>,
}

#[derive(Debug)]
struct Queued {
    link: Weak<Link>,
    /// The number of writes when it was queued.
    writes: u64,
}

impl Descriptors {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                slots: Arc::new(Semaphore::new(most)),
                most_idle: (most / 2).max(1),
                open: AtomicUsize::new(0),
                stuck: AtomicUsize::new(0),
                freed: Notify::new(),
                waiting: AtomicUsize::new(0),
                idle: Mutex::default(),
            }),
        }
    }

    /// A place for one more connection, as soon as there is one.
    pub(super) async fn slot(&self) -> Slot {
        let permit = match Arc::clone(&self.inner.slots).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                let _waiting = Counted::new(&self.inner.waiting);
                self.close_idle();
                // The semaphore is never closed.
                Arc::clone(&self.inner.slots).acquire_owned().await.ok()
            }
        };
        self.inner.open.fetch_add(1, Ordering::AcqRel);
        Slot { _permit: permit, descriptors: self.clone() }
    }

    /// Waits until another connection has ended, as the system has no descriptor left; closes an idle one for it. False if
    /// there is no other connection to wait for: then something else has taken the descriptors.
    pub(super) async fn make_room(&self) -> bool {
        let freed = self.inner.freed.notified();
        let _stuck = Counted::new(&self.inner.stuck);
        let _waiting = Counted::new(&self.inner.waiting);
        let (stuck, open) =
            (self.inner.stuck.load(Ordering::Acquire), self.inner.open.load(Ordering::Acquire));
        if !self.close_idle() && stuck >= open {
            return false;
        }
        freed.await;
        true
    }

    /// Notes that a response is complete; `mark` is what [`Link::answered`] gave.
    pub(super) fn idle(&self, link: &Arc<Link>, mark: u64) {
        link.complete(mark);
        if let Some(writes) = link.idle()
            && !link.is_queued.swap(true, Ordering::AcqRel)
        {
            let mut queue = self.queue();
            queue.push_back(Queued { link: Arc::downgrade(link), writes });
            Self::close_first(&mut queue, |queue| queue.len() <= self.inner.most_idle);
        }
        if self.inner.waiting.load(Ordering::Acquire) > 0 {
            self.close_idle();
        }
    }

    /// Closes the connection that has been idle for longest; whether there was one.
    pub(super) fn close_idle(&self) -> bool {
        Self::close_first(&mut self.queue(), VecDeque::is_empty)
    }

    /// Takes connections from the front of the queue until one was idle and is closed, or `enough` holds.
    fn close_first(queue: &mut VecDeque<Queued>, enough: impl Fn(&VecDeque<Queued>) -> bool) -> bool {
        // Each entry is seen at most twice: it goes to the back once.
        for _ in 0..queue.len().saturating_mul(2) {
            if enough(queue) {
                break;
            }
            let Some(Queued { link, writes }) = queue.pop_front() else { break };
            let Some(link) = link.upgrade() else { continue };
            match link.idle() {
                Some(now) if now != writes => {
                    queue.push_back(Queued { link: Arc::downgrade(&link), writes: now });
                }
                Some(_) if link.close_if_idle() => return true,
                // In use: it comes back to the queue with its response.
                _ => link.is_queued.store(false, Ordering::Release),
            }
        }
        false
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        lock(&self.inner.idle)
    }
}

/// One more in a count, while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Three quarters of the descriptors that this process may have open: the rest is for stores, listeners and whatever else
/// the program opens. Where the limit is unknown, as on Windows, 4096.
pub(super) fn default_limit() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        return (limit - limit / 4).clamp(16, Semaphore::MAX_PERMITS);
    }
    4096
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test]
    async fn without_a_free_slot_the_next_one_waits() {
        let descriptors = Descriptors::new(1);
        let first = descriptors.slot().await;
        let mut second = std::pin::pin!(descriptors.slot());
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(descriptors.inner.waiting.load(Ordering::Acquire), 1);
        drop(first);
        drop(second.await);
        assert_eq!(descriptors.inner.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn whoever_is_stuck_waits_for_others_and_not_for_itself() {
        let descriptors = Descriptors::new(8);
        let (other, _own) = (descriptors.slot().await, descriptors.slot().await);
        let mut room = std::pin::pin!(descriptors.make_room());
        assert!((&mut room).now_or_never().is_none());
        drop(other);
        assert!(room.await);
        assert!(!descriptors.make_room().await, "only its own is left");
    }

    #[test]
    fn dead_connections_leave_the_queue() {
        let descriptors = Descriptors::new(8);
        for _ in 0..3 {
            let link = Arc::new(Link::new(None, false, false));
            link.is_queued.store(true, Ordering::Release);
            descriptors.queue().push_back(Queued { link: Arc::downgrade(&link), writes: 0 });
        }
        assert!(!descriptors.close_idle());
        assert!(descriptors.queue().is_empty());
    }

    #[test]
    fn a_part_of_the_descriptors_is_left_to_others() {
        assert!(default_limit() >= 16);
    }
}
