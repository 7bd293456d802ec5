//! The polls of one scope: what can be done with a poll by its key.
//!
//! [`Poller`](crate::Poller) has the same methods for the default scope and passes them on to here, so there is one
//! meaning of each.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::clock::Timestamp;
use crate::engine::{Message, Submitted};
use crate::error::{Error, Kind};
use crate::handle::{Accepted, PollHandle};
use crate::outcome::Outcome;
use crate::poller::{Matched, Shared};
use crate::spec::PollSpec;
use crate::store::{PollKey, StoredPoll};

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
    shared: Arc<Shared>,
    name: String,
}

impl Scope {
    pub(crate) const fn new(shared: Arc<Shared>, name: String) -> Self {
        Self { shared, name }
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
        submit(&self.shared, &self.name, key.into(), spec).await
    }

    /// Runs a poll to its end and returns the body that matched, as `T`; see
    /// [`Poller::background_poll`](crate::Poller::background_poll).
    ///
    /// # Errors
    /// As [`submit`](Self::submit); and if the poll ended in another way than a match, or its body does not fit `T`. Both
    /// carry the [outcome](Error::outcome).
    pub async fn background_poll<T: DeserializeOwned>(
        &self,
        key: impl Into<String>,
        spec: PollSpec,
    ) -> Result<Matched<T>, Error> {
        let poll = self.submit(key, spec).await?;
        let outcome = poll.outcome().await?;
        Matched::from_outcome(poll.poll_key(), &outcome)
    }

    /// The poll of that key, open or finished, as the store has it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn get(&self, key: impl Into<String>) -> Result<Option<StoredPoll>, Error> {
        Ok(self.shared.deps.store.get(PollKey::new(&self.name, key.into())).await?)
    }

    /// The polls of this scope, oldest first. Takes time and memory linear in all polls of the store.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn list(&self) -> Result<Vec<StoredPoll>, Error> {
        let mut polls = self.shared.deps.store.list().await?;
        polls.retain(|poll| poll.key.scope() == self.name);
        Ok(polls)
    }

    /// Cancels the poll of that key and returns its outcome, which is another one where that was decided first.
    ///
    /// # Errors
    /// If there is no such poll, the store fails, or the poller is shutting down.
    pub async fn cancel(&self, key: impl Into<String>) -> Result<Arc<Outcome>, Error> {
        let key = PollKey::new(&self.name, key.into());
        let found = self.ask(|answer| Message::Find { key: key.clone(), answer }).await?;
        let accepted = Accepted::Joined;
        match found {
            Some(id) => {
                let shared = Arc::clone(&self.shared);
                PollHandle::open(key, id, accepted, Timestamp::default(), shared).cancel().await
            }
            None => match self.shared.deps.store.get(key.clone()).await? {
                Some(StoredPoll { outcome: Some(outcome), .. }) => Ok(outcome),
                _ => Err(Kind::NotFound { key }.into()),
            },
        }
    }

    /// Removes a finished poll, so that its key can be used anew. Says whether there was one; an open poll is not removed.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn forget(&self, key: impl Into<String>) -> Result<bool, Error> {
        Ok(self.shared.deps.store.forget(PollKey::new(&self.name, key.into())).await?)
    }

    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Error> {
        ask(&self.shared, message).await
    }
}

/// Runs a poll of a scope and returns once it is durable.
pub(crate) async fn submit(
    shared: &Arc<Shared>,
    scope: &str,
    key: String,
    spec: PollSpec,
) -> Result<PollHandle, Error> {
    let key = checked(shared, scope, &key)?;
    spec.check(&shared.limits)?;
    shared.admit(&spec)?;
    let turn = Arc::clone(&shared.turns).acquire_owned().await.map_err(|_| Kind::Shutdown)?;
    let admission = ask(shared, |answer| Message::Submit { key: key.clone(), spec, answer, turn }).await??;
    let shared = Arc::clone(shared);
    Ok(match admission {
        Submitted::Open { id, joined, deadline } => {
            let accepted = if joined { Accepted::Joined } else { Accepted::Created };
            PollHandle::open(key, id, accepted, deadline, shared)
        }
        Submitted::Finished { outcome, deadline } => PollHandle::finished(key, outcome, deadline, shared),
    })
}

async fn ask<T>(shared: &Shared, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T, Error> {
    let (sender, answer) = oneshot::channel();
    shared.driver.send(message(sender)).map_err(|_| Kind::Shutdown)?;
    Ok(answer.await.map_err(|_| Kind::Shutdown)?)
}

/// The name of a poll that is to be created, if it may have it.
fn checked(shared: &Shared, scope: &str, key: &str) -> Result<PollKey, Error> {
    let longest = shared.limits.key_len;
    let problem = if key.is_empty() {
        "the cache key is empty, expected a name for the poll".to_owned()
    } else if key.len() > longest || scope.len() > longest {
        format!("the cache key or its scope is longer than {longest} bytes")
    } else if key.contains(char::is_control) || scope.contains(char::is_control) {
        format!("the cache key {key:?} or its scope {scope:?} has a control character")
    } else {
        return Ok(PollKey::new(scope, key));
    };
    Err(Kind::Key { message: problem }.into())
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.name).finish_non_exhaustive()
    }
}
