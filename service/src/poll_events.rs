//! The events of one poll, whoever runs it.
//!
//! ```text
//!  this process runs the poll ─► its engine: every event at once
//!  another one of the fleet   ─► the store, once a second: attempts, which are written there every few seconds; the outcome
//! ```
//!
//! Runs change hands while a stream is open, and the stream follows. Attempts may come twice then; their reader knows them by
//! their numbers. That a request has begun, or is held back, is not in the store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use poller::store::StoreError;
use poller::{Clock as _, Event, Events, PollKey, SystemClock};
use tokio::time::timeout;

use crate::app::App;
use crate::problem::Problem;

/// How often the store is read, and who runs the poll is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// In which of the looks the attempts are read: they are written every few seconds, and each reader reads for itself, while
/// the outcomes that all readers wait for are read together.
const ATTEMPTS_EACH: u32 = 3;

/// The events of one poll from the attempts that are kept to the outcome.
pub(crate) struct PollEvents {
    app: Arc<App>,
    key: PollKey,
    /// The engine's, while this process runs the poll.
    engine: Option<Events>,
    /// The store's.
    ready: VecDeque<Event>,
    /// The number of the last attempt that was read from the store.
    read: u32,
    looks: u32,
    over: bool,
}

impl PollEvents {
    /// The events of a poll.
    ///
    /// # Errors
    /// If there is no such poll, the store fails, or the poller is shutting down.
    pub(crate) async fn of(app: &Arc<App>, key: PollKey) -> Result<Self, Problem> {
        let engine = app.poller.scope(key.scope()).find(key.key()).await?.map(|poll| poll.events());
        if engine.is_none() && app.store.summary(key.clone()).await?.is_none() {
            return Err(Problem::not_found(format_args!("poll {key}")));
        }
        let app = Arc::clone(app);
        Ok(Self { app, key, engine, ready: VecDeque::new(), read: 0, looks: 0, over: false })
    }

    /// The next event; `None` after the last, and if the poll is removed.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if let Some(engine) = &mut self.engine {
                match timeout(LOOK, engine.next()).await {
                    Ok(Some(event)) => {
                        self.over = matches!(event, Event::Outcome(_));
                        return Some(event);
                    }
                    Err(_) if self.app.store.runs(&self.key) => continue,
                    Err(_) => self.engine = None,
                    // Another process runs the poll from now on, or the engine stops and the service with it.
                    Ok(None) => {
                        self.engine = None;
                        next_second(&self.app.clock).await;
                    }
                }
            }
            // The database may be away for a while; the next look tells.
            let _ = self.look().await;
            if self.ready.is_empty() && !self.over && self.engine.is_none() {
                next_second(&self.app.clock).await;
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        if self.app.store.runs(&self.key) {
            // It was taken over, or was submitted by another process and begins within a second.
            if let Ok(Some(poll)) = self.app.poller.scope(self.key.scope()).find(self.key.key()).await {
                self.engine = Some(poll.events());
                return Ok(());
            }
        }
        let Some(poll) = self.app.store.get(self.key.clone()).await? else {
            self.over = true;
            return Ok(());
        };
        if let Some(outcome) = poll.outcome {
            self.give(&outcome.history);
            self.ready.push_back(Event::Outcome(outcome));
            self.over = true;
        } else if self.looks.is_multiple_of(ATTEMPTS_EACH)
            && let Some(record) = self.app.store.show(self.key.clone()).await?
        {
            self.give(&record.attempts);
        }
        self.looks = self.looks.wrapping_add(1);
        Ok(())
    }

    /// Attempts that were not read before.
    fn give(&mut self, attempts: &[poller::Attempt]) {
        let new = attempts.iter().filter(|attempt| attempt.number > self.read);
        self.ready.extend(new.cloned().map(Event::Attempted));
        self.read = attempts.last().map_or(self.read, |last| last.number.max(self.read));
    }
}

/// Waits for the next whole second: those who look at the same time are answered together.
async fn next_second(clock: &SystemClock) {
    let now = clock.now();
    let rest = LOOK.saturating_sub(Duration::from_micros(now.as_micros() % 1_000_000));
    clock.sleep_until(now + rest).await;
}
