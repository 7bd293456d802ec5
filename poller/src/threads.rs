//! Threads of their own for work that blocks: look-ups of names, secrets, the judging of large bodies.
//!
//! tokio has one pool of 512 blocking threads for a whole process. Names whose servers are silent and files on a mount that
//! hangs would fill it, and then no task resolves a name, reads a file or a secret any more. Each kind of work therefore has
//! threads of its own, as many as it may keep busy, which end after some idle seconds.
//!
//! The threads are the blocking pool of a tokio runtime that does nothing else: a pool of our own would be a second one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// How long a thread without work is kept.
const IDLE: Duration = Duration::from_secs(5);

/// A bounded number of threads; clones share them.
#[derive(Clone)]
pub(crate) struct Threads {
    inner: Arc<Inner>,
}

struct Inner {
    /// Set until it is dropped, unless the system refused it.
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait for the work under way.
            runtime.shutdown_background();
        }
    }
}

/// The work did not end: it panicked, or the threads are being shut down.
#[derive(Debug, thiserror::Error)]
#[error("the work on another thread did not end")]
pub(crate) struct Unfinished;

impl Threads {
    /// Up to `most` threads named `name`; none starts before there is work. If the system refuses what tokio needs for it, all
    /// work is [`Unfinished`].
    pub(crate) fn new(name: &str, most: usize) -> Self {
        let runtime = Builder::new_current_thread()
            .thread_name(name)
            .max_blocking_threads(most.max(1))
            .thread_keep_alive(IDLE)
            .build();
        Self { inner: Arc::new(Inner { runtime: runtime.ok() }) }
    }

    /// Starts `work` as soon as a thread is free, in the order of the calls. It is dropped if the threads are shut down before.
    #[cfg(feature = "http")]
    pub(crate) fn start(&self, work: impl FnOnce() + Send + 'static) {
        if let Some(runtime) = &self.inner.runtime {
            drop(runtime.spawn_blocking(work));
        }
    }

    /// Whether there are threads.
    #[cfg(feature = "http")]
    pub(crate) fn is_running(&self) -> bool {
        self.inner.runtime.is_some()
    }

    /// Runs `work`, as soon as a thread is free, in the order of the calls. If the future is dropped before, it never runs; work
    /// that has begun goes on.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Running<T> {
        Running { work: self.inner.runtime.as_ref().map(|runtime| runtime.spawn_blocking(work)) }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

/// Work that is queued or under way.
pub(crate) struct Running<T> {
    work: Option<JoinHandle<T>>,
}

impl<T> Future for Running<T> {
    type Output = Result<T, Unfinished>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.work {
            Some(work) => Pin::new(work).poll(cx).map_err(|_| Unfinished),
            None => Poll::Ready(Err(Unfinished)),
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            // Only work that has not begun can be taken back.
            work.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_waits_for_a_thread_and_is_taken_back() {
        let threads = Threads::new("test", 1);
        let (release, released) = mpsc::channel::<()>();
        let (ran, runs) = mpsc::channel();
        let first = threads.run(move || released.recv().is_ok());
        let second = threads.run({
            let ran = ran.clone();
            move || ran.send(2)
        });
        let third = threads.run(move || ran.send(3));
        drop(second);
        release.send(()).unwrap();
        assert!(first.await.unwrap());
        third.await.unwrap().unwrap();
        assert_eq!(runs.iter().collect::<Vec<_>>(), [3]);
    }

    #[tokio::test]
    async fn work_under_way_does_not_hold_up_the_end() {
        let threads = Threads::new("test", 1);
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (_release, released) = mpsc::channel::<()>();
        let running = threads.run(move || {
            let _ = begun.send(());
            released.recv().is_ok()
        });
        begins.await.unwrap();
        drop(running);
        drop(threads);
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let threads = Threads::new("test", 1);
        assert!(threads.run(|| panic!("expected")).await.is_err());
        assert_eq!(threads.run(|| 1).await.unwrap(), 1);
    }
}
