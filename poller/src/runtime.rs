//! The running engine, shared by all handles: [`Poller`](crate::Poller), [`Scope`](crate::Scope) and
//! [`PollHandle`](crate::PollHandle) each hold a counted reference to it.
//!
//! Invariants: every call of the driver goes through [`Runtime::ask`], so a stopped driver is the same error everywhere; a
//! spec is checked against the limits and the guard before the driver receives it.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio::sync::{Semaphore, oneshot};
use url::Url;

use crate::engine::{Deps, DriverHandle, Message, PollId, Submitted};
use crate::error::{Error, Kind};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::shutdown::ShutdownReport;
use crate::store::StoredPoll;

/// The driver, its dependencies, and the limits for submissions.
pub(crate) struct Runtime {
    pub(crate) driver: DriverHandle,
    pub(crate) deps: Arc<Deps>,
    limits: Limits,
    /// One permit for each submission that may wait for the store: [`Limits::submitting`].
    permits: Arc<Semaphore>,
    /// The last origin that the guard accepted. Consecutive polls mostly share it, and parsing their URLs would cost more
    /// than the rest of a submission.
    accepted_origin: RwLock<Box<str>>,
    /// The report of the shutdown, for callers that ask after the driver has stopped.
    report: OnceLock<ShutdownReport>,
}

impl Runtime {
    pub(crate) fn new(driver: DriverHandle, deps: Arc<Deps>, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.submitting.clamp(1, Semaphore::MAX_PERMITS)));
        Self { driver, deps, limits, permits, accepted_origin: RwLock::default(), report: OnceLock::new() }
    }

    /// Sends a question to the driver and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<T>) -> Message,
    ) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        self.driver.send(message(sender)).map_err(|_| Kind::Shutdown)?;
        Ok(answer.await.map_err(|_| Kind::Shutdown)?)
    }

    /// Submits a poll; returns once it is durable.
    pub(crate) async fn submit(&self, key: PollKey, spec: PollSpec) -> Result<Submitted, Error> {
        self.check_key(&key)?;
        spec.check(&self.limits)?;
        self.check_origin(&spec)?;
        let turn = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Kind::Shutdown)?;
        self.ask(|answer| Message::Submit { key, spec, answer, turn }).await?
    }

    /// Waits for the outcome of a poll that the engine had as `id`.
    pub(crate) async fn outcome(&self, key: &PollKey, id: PollId) -> Result<Arc<Outcome>, Error> {
        match self.ask(|answer| Message::Await { id, answer }).await? {
            Some(outcome) => Ok(outcome),
            None => self.stored_outcome(key.clone()).await,
        }
    }

    /// Cancels that poll and returns its outcome, which is another one if that was decided first.
    pub(crate) async fn cancel(&self, key: &PollKey, id: PollId) -> Result<Arc<Outcome>, Error> {
        self.ask(|answer| Message::Cancel { id, answer }).await?;
        self.outcome(key, id).await
    }

    /// The outcome of a poll that the engine no longer has.
    pub(crate) async fn stored_outcome(&self, key: PollKey) -> Result<Arc<Outcome>, Error> {
        match self.deps.store.get(key.clone()).await? {
            Some(StoredPoll { outcome: Some(outcome), .. }) => Ok(outcome),
            // The poll was forgotten and created anew, or it is still open because the engine has stopped.
            Some(_) => Err(Kind::Shutdown.into()),
            None => Err(Kind::NotFound { key }.into()),
        }
    }

    pub(crate) async fn shutdown(&self) -> ShutdownReport {
        // A stopped driver does not answer; its report was kept.
        match self.ask(|answer| Message::ShutDown { answer }).await {
            Ok(report) => self.report.get_or_init(|| report).clone(),
            Err(_) => self.report.get().cloned().unwrap_or_default(),
        }
    }

    fn check_key(&self, key: &PollKey) -> Result<(), Error> {
        let longest = self.limits.key_len;
        let (scope, key) = (key.scope(), key.key());
        let problem = if key.is_empty() {
            "the cache key is empty, expected a name for the poll".to_owned()
        } else if key.len() > longest || scope.len() > longest {
            format!("the cache key or its scope is longer than {longest} bytes")
        } else if key.contains(char::is_control) || scope.contains(char::is_control) {
            format!("the cache key {key:?} or its scope {scope:?} has a control character")
        } else {
            return Ok(());
        };
        Err(Kind::Key { message: problem }.into())
    }

    fn check_origin(&self, spec: &PollSpec) -> Result<(), Error> {
        let origin = spec.origin();
        if **self.accepted_origin.read().unwrap_or_else(PoisonError::into_inner) == *origin {
            return Ok(());
        }
        let url = Url::parse(origin).expect("invariant: the origin of a URL is a URL");
        self.deps.fetch.admits(&url).map_err(Kind::Url)?;
        *self.accepted_origin.write().unwrap_or_else(PoisonError::into_inner) = origin.into();
        Ok(())
    }
}
