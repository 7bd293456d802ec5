//! Calls that wait while a transaction is under way share the next one.
//!
//! ```text
//!  call ─► push ─► waiting ─┐                       one task works while anything waits
//!  call ─► push ─► waiting ─┴─► work ─► answers
//! ```
//!
//! A call is an entry in a list and no task: of a thousand calls at the same moment, one wakes the thread of the connections.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::oneshot;

use crate::clock::BoxFuture;
use crate::lock::lock;

/// Combines calls with items `I` and results `O`.
#[derive(Debug)]
pub(super) struct Combiner<I, O> {
    queue: Mutex<Queue<I, O>>,
}

#[derive(Debug)]
struct Queue<I, O> {
    waiting: Vec<(I, oneshot::Sender<O>)>,
    /// Whether a task works, or is about to.
    is_worked: bool,
}

impl<I, O> Default for Combiner<I, O> {
    fn default() -> Self {
        Self { queue: Mutex::new(Queue { waiting: Vec::new(), is_worked: false }) }
    }
}

/// Items in one transaction at most.
const MOST: usize = 1024;

impl<I, O> Combiner<I, O> {
    /// Adds an item to the queue. With `true`, no task works: the caller starts one that [works](Self::work). The answer
    /// is an error if that task ends without one.
    pub(super) fn push(&self, item: I) -> (oneshot::Receiver<O>, bool) {
        let (sender, answer) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push((item, sender));
        let is_first = !std::mem::replace(&mut queue.is_worked, true);
        (answer, is_first)
    }

    /// Handles what waits, until nothing does; `work` returns a result for each item, in their order.
    pub(super) async fn work<'w>(&self, work: impl Fn(Vec<I>) -> BoxFuture<'w, Vec<O>>) {
        let mut at_work = AtWork { combiner: self, has_ended: false };
        // Calls that begin at the same moment get together.
        tokio::task::yield_now().await;
        loop {
            let (items, senders): (Vec<I>, Vec<_>) = {
                let mut queue = self.queue();
                if queue.waiting.is_empty() {
                    // Under the lock: the next call to push starts a new task.
                    queue.is_worked = false;
                    at_work.has_ended = true;
                    return;
                }
                let most = queue.waiting.len().min(MOST);
                queue.waiting.drain(..most).unzip()
            };
            for (sender, output) in senders.into_iter().zip(work(items).await) {
                // Its caller may have been dropped.
                let _ = sender.send(output);
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<I, O>> {
        lock(&self.queue)
    }
}

/// A task that works. If it ends early, the waiting callers learn it from the end of their channels.
struct AtWork<'c, I, O> {
    combiner: &'c Combiner<I, O>,
    has_ended: bool,
}

impl<I, O> Drop for AtWork<'_, I, O> {
    fn drop(&mut self) {
        if !self.has_ended {
            let mut queue = self.combiner.queue();
            queue.is_worked = false;
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn waiting_calls_share_the_next_turn() {
        let combiner = Arc::new(Combiner::<u32, u32>::default());
        let turns = Arc::new(AtomicUsize::new(0));
        let calls = (0..3000).map(|item| {
            let (answer, is_first) = combiner.push(item);
            if is_first {
                let (combiner, turns) = (Arc::clone(&combiner), Arc::clone(&turns));
                tokio::spawn(async move {
                    let work = |items: Vec<u32>| -> BoxFuture<'_, Vec<u32>> {
                        turns.fetch_add(1, Ordering::Relaxed);
                        Box::pin(async move {
                            tokio::task::yield_now().await;
                            items.into_iter().map(|item| item * 2).collect()
                        })
                    };
                    combiner.work(work).await;
                });
            }
            answer
        });
        for (item, call) in (0..).zip(calls.collect::<Vec<_>>()) {
            assert_eq!(call.await.unwrap(), item * 2);
        }
        assert!(turns.load(Ordering::Relaxed) < 20, "{turns:?}");
    }

    #[tokio::test]
    async fn a_task_that_ends_early_leaves_nobody_waiting() {
        let combiner = Combiner::<u32, u32>::default();
        let (one, is_first) = combiner.push(1);
        let (other, is_second) = combiner.push(2);
        assert!(is_first && !is_second);
        let never = |_: Vec<u32>| -> BoxFuture<'_, Vec<u32>> { Box::pin(std::future::pending()) };
        let mut work = Box::pin(combiner.work(never));
        assert!(work.as_mut().now_or_never().is_none());
        drop(work);
        assert!(one.await.is_err() && other.await.is_err());
        let (answer, is_first) = combiner.push(3);
        assert!(is_first, "the next call has a new task work");
        combiner.work(|items| Box::pin(std::future::ready(items))).await;
        assert_eq!(answer.await, Ok(3));
        assert!(combiner.push(4).1);
    }
}
