//! Calls that wait while a transaction is under way share the next one.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::clock::BoxFuture;

/// Combines calls with items `I` and results `O`.
#[derive(Debug)]
pub(super) struct Combiner<I, O> {
    waiting: Mutex<Vec<(I, oneshot::Sender<O>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl<I, O> Default for Combiner<I, O> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

/// Items in one transaction at most.
const MOST: usize = 1024;

impl<I, O> Combiner<I, O> {
    /// Has `work` handle this item, with others that wait; `work` returns a result for each, in their order. `None` if it
    /// returned fewer.
    pub(super) async fn run<'w>(&self, item: I, work: impl Fn(Vec<I>) -> BoxFuture<'w, Vec<O>>) -> Option<O> {
        let (sender, mut answer) = oneshot::channel();
        self.waiting().push((item, sender));
        // Calls that begin at the same moment get together.
        tokio::task::yield_now().await;
        let _turn = self.turn.lock().await;
        loop {
            // An earlier turn may have handled it.
            match answer.try_recv() {
                Ok(output) => return Some(output),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let (items, senders): (Vec<I>, Vec<_>) = {
                let mut waiting = self.waiting();
                let most = waiting.len().min(MOST);
                waiting.drain(..most).unzip()
            };
            for (sender, output) in senders.into_iter().zip(work(items).await) {
                // Its caller may have been dropped.
                let _ = sender.send(output);
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(I, oneshot::Sender<O>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn waiting_calls_share_the_next_turn() {
        let combiner = Arc::new(Combiner::<u32, u32>::default());
        let turns = Arc::new(AtomicUsize::new(0));
        let calls = (0..3000).map(|item| {
            let (combiner, turns) = (Arc::clone(&combiner), Arc::clone(&turns));
            tokio::spawn(async move {
                let work = |items: Vec<u32>| -> BoxFuture<'_, Vec<u32>> {
                    turns.fetch_add(1, Ordering::Relaxed);
                    Box::pin(async move {
                        tokio::task::yield_now().await;
                        items.into_iter().map(|item| item * 2).collect()
                    })
                };
                combiner.run(item, work).await
            })
        });
        for (item, call) in (0..).zip(calls.collect::<Vec<_>>()) {
            assert_eq!(call.await.unwrap(), Some(item * 2));
        }
        assert!(turns.load(Ordering::Relaxed) < 20, "{turns:?}");
    }
}
