//! The running engine, shared by all handles: [`Poller`](crate::Poller), [`Scope`](crate::Scope) and
//! [`PollHandle`](crate::PollHandle) each hold a counted reference to it.
//!
//! Invariants: every call of the driver goes through [`Runtime::ask`], so a stopped driver is the same error everywhere; a
//! spec is checked against the limits and the guard before the driver receives it.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use url::Url;

use crate::clock::micros;
use crate::engine::{Deps, DriverHandle, Message, PollId, Submitted};
use crate::error::{Error, Kind};
use crate::job::{OnOutcome, PollSpec};
use crate::key::PollKey;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::shutdown::ShutdownReport;
use crate::store::StoredPoll;

/// How often a caller that waits for a poll of another process looks for its outcome.
const LOOK: Duration = Duration::from_secs(1);

/// The driver, its dependencies, and the limits for submissions.
pub(crate) struct Runtime {
    pub(crate) driver: DriverHandle,
    pub(crate) deps: Arc<Deps>,
    limits: Limits,
    /// One permit for each submission that may wait for the store: [`Limits::submitting`].
    permits: Arc<Semaphore>,
    /// The last origin that the guard accepted, and the scope for which. Consecutive polls mostly share them, and parsing
    /// their URLs would cost more than the rest of a submission.
    accepted_origin: RwLock<(Box<str>, Box<str>)>,
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
        self.check_origin(&key, &spec)?;
        if let Some(webhook) = spec.on_outcome() {
            self.check_receiver(&key, webhook)?;
        }
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
        if !self.ask(|answer| Message::Cancel { id, answer }).await? && !self.deps.store.runs(key) {
            return self.cancel_elsewhere(key.clone()).await;
        }
        self.outcome(key, id).await
    }

    /// The outcome of a poll that the engine does not have. If another process runs it, waits for that one; if this one has
    /// taken it over meanwhile, for its own engine.
    pub(crate) async fn stored_outcome(&self, key: PollKey) -> Result<Arc<Outcome>, Error> {
        let mut elsewhere = false;
        loop {
            // From before the look, so that nothing is missed in between.
            let changed = self.deps.store.changed();
            match self.deps.store.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(outcome), .. }) => return Ok(outcome),
                Some(_) if !self.deps.store.runs(&key) => elsewhere = true,
                // The poll was taken over, and the engine reads it soon.
                Some(_) if elsewhere => {
                    if let Some(id) = self.ask(|answer| Message::Find { key: key.clone(), answer }).await?
                        && let Some(outcome) = self.ask(|answer| Message::Await { id, answer }).await?
                    {
                        return Ok(outcome);
                    }
                }
                // The poll was forgotten and created anew, or it is still open because the engine has stopped.
                Some(_) => return Err(Kind::Shutdown.into()),
                None => return Err(Kind::NotFound { key }.into()),
            }
            // At whole periods, so that all who wait look at the same times: a store can answer them together.
            let now = self.deps.clock.now();
            let next = LOOK - Duration::from_micros(now.as_micros() % micros(LOOK));
            let next_look = self.deps.clock.sleep_until(now + next);
            tokio::select! {
                () = next_look => {}
                () = changed => {}
                () = self.driver.closed() => return Err(Kind::Shutdown.into()),
            }
        }
    }

    /// Has the process that runs a poll cancel it, and returns the outcome.
    pub(crate) async fn cancel_elsewhere(&self, key: PollKey) -> Result<Arc<Outcome>, Error> {
        self.deps.store.cancel_elsewhere(key.clone()).await?;
        self.stored_outcome(key).await
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

    /// Whether the webhook of a poll can be sent, as far as its URL shows, and whether the store keeps it until then.
    fn check_receiver(&self, key: &PollKey, webhook: &OnOutcome) -> Result<(), Error> {
        if self.deps.store.outbox().is_none() {
            let message = "the store keeps no webhooks, so onOutcome cannot be used with it";
            return Err(Error::configuration(message));
        }
        let mut url = webhook.url();
        url.set_path("");
        url.set_query(None);
        self.deps.fetch.admits_for(key, &url).map_err(Kind::Url)?;
        Ok(())
    }

    fn check_origin(&self, key: &PollKey, spec: &PollSpec) -> Result<(), Error> {
        let origin = spec.origin();
        let accepted =
            |(accepted, scope): &(Box<str>, Box<str>)| **accepted == *origin && **scope == *key.scope();
        if accepted(&self.accepted_origin.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        // A socket's path alone is no URL that can be asked.
        let whole = if origin.starts_with("unix:") { &format!("{origin}:/") } else { origin };
        let url = Url::parse(whole).expect("invariant: the origin of a URL is a URL");
        self.deps.fetch.admits_for(key, &url).map_err(Kind::Url)?;
        *self.accepted_origin.write().unwrap_or_else(PoisonError::into_inner) =
            (origin.into(), key.scope().into());
        Ok(())
    }
}
