//! An adapter for `tower::retry`. Feature `tower`.
//!
//! Tower clones its policy for each request and asks the clone after each response. The clone therefore holds the state of
//! the request's tries: cloning a [`TowerPolicy`] starts a new sequence, and shared parts are behind an `Arc`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::budget::Budget;
use crate::run::Sleep;
use crate::run::session::{Rules, Session};
use crate::{Failure, Policy, Rng};

/// A [`Policy`] as a `tower::retry::Policy`.
///
/// The classifier gets the whole result and returns the failure, or `None` for a success. Requests are cloned for each try. A
/// breaker belongs around the service, since tower asks a policy only after the response.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use retry::{Failure, Policy, tokio::TokioTimer, tower::TowerPolicy};
/// use std::sync::atomic::{AtomicU16, Ordering};
/// use std::time::{Duration, SystemTime};
/// use tower::{ServiceExt, retry::Retry, service_fn};
///
/// static TRIES: AtomicU16 = AtomicU16::new(0);
/// let service = service_fn(async |_: &str| match TRIES.fetch_add(1, Ordering::Relaxed) {
///     0 => Err("connection reset"),
///     1 => Ok(503),
///     _ => Ok(200),
/// });
///
/// let policy = Policy::fixed(Duration::from_secs(1)).build().unwrap();
/// let retries = TowerPolicy::new(policy, TokioTimer, |result: &Result<u16, &str>| match result {
///     Ok(status) if *status < 400 => None,
///     Ok(status) => Some(Failure::from_response(*status, [], SystemTime::UNIX_EPOCH)),
///     Err(_) => Some(Failure::transient()),
/// });
/// assert_eq!(Retry::new(retries, service).oneshot("ping").await, Ok(200));
/// # });
/// ```
pub struct TowerPolicy<S, C> {
    shared: Arc<Shared<S, C>>,
    budget: Option<Arc<Budget>>,
    seeds: Arc<AtomicU64>,
    session: Session,
}

struct Shared<S, C> {
    policy: Policy,
    timer: S,
    classify: C,
}

impl<S: Sleep, C> TowerPolicy<S, C> {
    /// Retries failures, as classified by `classify`, by `policy`; sleeps on `timer`.
    pub fn new<Res, E>(policy: Policy, timer: S, classify: C) -> Self
    where
        C: Fn(&Result<Res, E>) -> Option<Failure>,
    {
        let seed = Rng::from_entropy().next_u64();
        Self::fresh(Arc::new(Shared { policy, timer, classify }), None, Arc::new(AtomicU64::new(seed)))
    }

    /// Pays each retry from this budget.
    #[must_use]
    pub fn budget(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Draws the jitter of each request with a seed derived from this one.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self::fresh(self.shared, self.budget, Arc::new(AtomicU64::new(seed)))
    }

    /// A new sequence of tries, begun now, with jitter of its own.
    fn fresh(shared: Arc<Shared<S, C>>, budget: Option<Arc<Budget>>, seeds: Arc<AtomicU64>) -> Self {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        // One step of the generator separates neighbouring seeds.
        let rng = Rng::seeded(Rng::seeded(seed).next_u64());
        let session = Session::new(rng, shared.timer.now());
        Self { shared, budget, seeds, session }
    }
}

/// The clone starts a new sequence of tries.
impl<S: Sleep, C> Clone for TowerPolicy<S, C> {
    fn clone(&self) -> Self {
        Self::fresh(Arc::clone(&self.shared), self.budget.clone(), Arc::clone(&self.seeds))
    }
}

impl<S, C> fmt::Debug for TowerPolicy<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerPolicy")
            .field("policy", &self.shared.policy)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl<Req, Res, E, S, C> ::tower::retry::Policy<Req, Res, E> for TowerPolicy<S, C>
where
    Req: Clone,
    S: Sleep,
    C: Fn(&Result<Res, E>) -> Option<Failure>,
{
    type Future = S::Sleep;

    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<S::Sleep> {
        let Shared { policy, timer, classify } = &*self.shared;
        let rules = Rules { policy, budget: self.budget.as_deref(), breaker: None, within: None };
        let now = timer.now();
        self.session.count_try();
        match classify(result) {
            None => {
                self.session.succeeded(&rules, None, now);
                None
            }
            // The reason to give up is dropped: tower returns the result as it is.
            Some(failure) => {
                self.session.failed(&rules, None, &failure, now).ok().map(|delay| timer.sleep(delay))
            }
        }
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}
