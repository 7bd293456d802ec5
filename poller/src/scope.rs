//! The polls of one scope, by key. [`Poller`](crate::Poller) has the same methods for the default scope and calls these, so
//! each has one implementation.

use std::fmt;
use std::sync::Arc;

use crate::engine::{Message, Submitted};
use crate::error::{Error, Kind};
use crate::handle::PollHandle;
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::runtime::Runtime;
use crate::store::StoredPoll;

/// The polls of one scope (a run, a tenant), in which keys are unique; made by [`Poller::scope`](crate::Poller::scope).
/// Cheap to clone.
///
/// ```
/// use poller::{PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// let spec = PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?;
/// let (monday, tuesday) = (poller.scope("monday"), poller.scope("tuesday"));
/// monday.submit("export", spec.clone()).await?;
/// tuesday.submit("export", spec).await?;
///
/// // Two polls: cancelling one leaves the other alone.
/// monday.cancel("export").await?;
/// assert!(tuesday.get("export").await?.unwrap().outcome.is_none());
/// assert_eq!(monday.list().await?.len(), 1);
/// assert_eq!(poller.list().await?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scope {
    runtime: Arc<Runtime>,
    name: String,
}

impl Scope {
    pub(crate) const fn new(runtime: Arc<Runtime>, name: String) -> Self {
        Self { runtime, name }
    }

    fn key(&self, key: impl Into<String>) -> PollKey {
        PollKey::new(&self.name, key.into())
    }

    /// The name of the scope; that of the default one is empty.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a poll and returns once it is durable; see [`Poller::submit`](crate::Poller::submit).
    ///
    /// # Errors
    /// If the key or the name of the scope is not valid, the poll exists with another spec, the store fails, the poller is
    /// full or shutting down.
    pub async fn submit(&self, key: impl Into<String>, spec: PollSpec) -> Result<PollHandle, Error> {
        let key = self.key(key);
        let submitted = self.runtime.submit(key.clone(), spec).await?;
        Ok(PollHandle::new(key, submitted, Arc::clone(&self.runtime)))
    }

    /// The poll of that key, open or finished, as the store has it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn get(&self, key: impl Into<String>) -> Result<Option<StoredPoll>, Error> {
        Ok(self.runtime.deps.store.get(self.key(key)).await?)
    }

    /// The handle of the poll of that key, which may be open or finished; `None` if there is none, or if it is open and this
    /// poller does not run it (another process has just submitted it). Its [`accepted`](PollHandle::accepted) is
    /// [`Joined`](crate::Accepted::Joined) or [`AlreadyFinished`](crate::Accepted::AlreadyFinished).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use poller::{PollSpec, Poller};
    ///
    /// let poller = Poller::builder().build().await?;
    /// let scope = poller.scope("run-17");
    /// scope.submit("export-42", PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?).await?;
    /// let poll = scope.find("export-42").await?.expect("it was submitted");
    /// assert_eq!(poll.cancel().await?.name(), "cancelled");
    /// assert!(scope.find("export-43").await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the store fails, or the poller is shutting down.
    pub async fn find(&self, key: impl Into<String>) -> Result<Option<PollHandle>, Error> {
        let key = self.key(key);
        let handle = |submitted| PollHandle::new(key.clone(), submitted, Arc::clone(&self.runtime));
        let Some(poll) = self.runtime.deps.store.get(key.clone()).await? else { return Ok(None) };
        let deadline = poll.deadline();
        if let Some(outcome) = poll.outcome {
            return Ok(Some(handle(Submitted::Finished { outcome, deadline })));
        }
        if let Some(id) = self.runtime.ask(|answer| Message::Find { key: key.clone(), answer }).await? {
            return Ok(Some(handle(Submitted::Open { id, joined: true, deadline })));
        }
        // It may have ended between the two looks.
        let poll = self.runtime.deps.store.get(key.clone()).await?;
        let ended = poll.and_then(|poll| poll.outcome);
        Ok(ended.map(|outcome| handle(Submitted::Finished { outcome, deadline })))
    }

    /// The polls of this scope, oldest first. Takes time and memory linear in all polls of the store.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(&self) -> Result<Vec<StoredPoll>, Error> {
        let mut polls = self.runtime.deps.store.list().await?;
        polls.retain(|poll| poll.key.scope() == self.name);
        Ok(polls)
    }

    /// Cancels the poll of that key and returns its outcome, which may have been decided otherwise before.
    ///
    /// # Errors
    /// If there is no such poll, the store fails, or the poller is shutting down.
    pub async fn cancel(&self, key: impl Into<String>) -> Result<Arc<Outcome>, Error> {
        let key = self.key(key);
        match self.runtime.ask(|answer| Message::Find { key: key.clone(), answer }).await? {
            Some(id) => self.runtime.cancel(&key, id).await,
            None => match self.runtime.deps.store.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(outcome), .. }) => Ok(outcome),
                Some(_) if !self.runtime.deps.store.runs(&key) => self.runtime.cancel_elsewhere(key).await,
                _ => Err(Kind::NotFound { key }.into()),
            },
        }
    }

    /// Removes a finished poll, so that its key can be used again. Returns whether there was one; open polls are not removed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget(&self, key: impl Into<String>) -> Result<bool, Error> {
        Ok(self.runtime.deps.store.forget(self.key(key)).await?)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.name).finish_non_exhaustive()
    }
}
