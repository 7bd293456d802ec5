//! Adapters for tower: [`TowerPolicy`] for `tower::retry`, and [`BreakerLayer`]. Feature `tower`.
//!
//! Tower clones its policy for each request and asks the clone after each response. The clone therefore holds the state of
//! the request's tries: cloning a [`TowerPolicy`] starts a new sequence, and shared parts are behind an `Arc`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::breaker::Breaker;
use crate::budget::{Budget, Withdrawal};
use crate::run::session::{Rules, Session};
use crate::run::{Clock, Sleep};
use crate::{Failure, GiveUp, Policy, Rng};

/// A [`Policy`] as a `tower::retry::Policy`.
///
/// The classifier gets the request and the whole result, and returns the failure, or `None` for a success. Requests are
/// cloned for each try; [`clone_with`](Self::clone_with) takes requests that are not `Clone`. A breaker belongs around the
/// service, as a [`BreakerLayer`], since tower asks a policy only after the response.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use retry::{Failure, Policy, tokio_time::TokioTimer, tower_retry::TowerPolicy};
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
/// let retries = TowerPolicy::new(policy, TokioTimer, |_: &&str, result: &Result<u16, &str>| match result {
///     Ok(status) if *status < 400 => None,
///     Ok(status) => Some(Failure::from_response(*status, [], SystemTime::UNIX_EPOCH)),
///     Err(_) => Some(Failure::transient()),
/// });
/// assert_eq!(Retry::new(retries, service).oneshot("ping").await, Ok(200));
/// # });
/// ```
pub struct TowerPolicy<S, C, Q = CloneRequest> {
    shared: Arc<Shared<S, C, Q>>,
    budget: Option<Arc<Budget>>,
    seeds: Arc<AtomicU64>,
    session: Session,
}

struct Shared<S, C, Q> {
    policy: Policy,
    timer: S,
    classify: C,
    clone_request: Q,
}

/// Copies requests for a [`TowerPolicy`]: [`CloneRequest`], or a closure.
pub trait CopyRequest<Req> {
    /// A copy of the request; `None` if it cannot be repeated.
    fn copy(&self, request: &Req) -> Option<Req>;
}

/// Copies requests with `Clone`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest;

impl<Req: Clone> CopyRequest<Req> for CloneRequest {
    fn copy(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

impl<Req, F: Fn(&Req) -> Option<Req>> CopyRequest<Req> for F {
    fn copy(&self, request: &Req) -> Option<Req> {
        self(request)
    }
}

impl<S: Sleep, C> TowerPolicy<S, C> {
    /// Retries failures, as classified by `classify`, by `policy`; sleeps on `timer`.
    pub fn new<Req, Res, E>(policy: Policy, timer: S, classify: C) -> Self
    where
        C: Fn(&Req, &Result<Res, E>) -> Option<Failure>,
    {
        let seeds = Arc::new(AtomicU64::new(Rng::from_entropy().next_u64()));
        Self::fresh(Arc::new(Shared { policy, timer, classify, clone_request: CloneRequest }), None, seeds)
    }

    /// Copies requests with `clone`, which returns `None` for a request that cannot be repeated.
    pub fn clone_with<Req, Q: Fn(&Req) -> Option<Req>>(self, clone: Q) -> TowerPolicy<S, C, Q>
    where
        S: Clone,
        C: Clone,
    {
        let Shared { policy, timer, classify, .. } = &*self.shared;
        let (policy, timer, classify) = (policy.clone(), timer.clone(), classify.clone());
        let shared = Arc::new(Shared { policy, timer, classify, clone_request: clone });
        TowerPolicy::fresh(shared, self.budget, self.seeds)
    }
}

impl<S: Sleep, C, Q> TowerPolicy<S, C, Q> {
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
    fn fresh(shared: Arc<Shared<S, C, Q>>, budget: Option<Arc<Budget>>, seeds: Arc<AtomicU64>) -> Self {
        let seed = seeds.fetch_add(1, Ordering::Relaxed);
        // One step of the generator separates neighbouring seeds.
        let rng = Rng::seeded(Rng::seeded(seed).next_u64());
        let session = Session::new(rng, shared.timer.now());
        Self { shared, budget, seeds, session }
    }
}

/// The clone starts a new sequence of tries.
impl<S: Sleep, C, Q> Clone for TowerPolicy<S, C, Q> {
    fn clone(&self) -> Self {
        Self::fresh(Arc::clone(&self.shared), self.budget.clone(), Arc::clone(&self.seeds))
    }
}

impl<S, C, Q> fmt::Debug for TowerPolicy<S, C, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerPolicy")
            .field("policy", &self.shared.policy)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl<Req, Res, E, S, C, Q> tower::retry::Policy<Req, Res, E> for TowerPolicy<S, C, Q>
where
    S: Sleep,
    C: Fn(&Req, &Result<Res, E>) -> Option<Failure>,
    Q: CopyRequest<Req>,
{
    type Future = RetryDelay<S::Sleep>;

    fn retry(&mut self, request: &mut Req, result: &mut Result<Res, E>) -> Option<RetryDelay<S::Sleep>> {
        let Shared { policy, timer, classify, .. } = &*self.shared;
        let rules = Rules { budget: self.budget.as_deref(), ..Rules::new(policy) };
        let now = timer.now();
        self.session.count_try(now);
        let Some(failure) = classify(request, result) else {
            self.session.succeeded(&rules, None, now);
            return None;
        };
        // The reason to give up is dropped: tower returns the result as it is.
        let delay = self.session.failed(&rules, None, &failure, now).ok()?;
        let refund = self.budget.clone().zip(self.session.paid);
        Some(RetryDelay { sleep: Box::pin(timer.sleep(delay)), refund })
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        self.shared.clone_request.copy(request)
    }
}

/// The delay before a retry. Dropped before its end, it returns the retry's tokens to the budget.
pub struct RetryDelay<S> {
    /// Boxed, since pinning a field without unsafe code needs a macro crate.
    sleep: Pin<Box<S>>,
    refund: Option<(Arc<Budget>, Withdrawal)>,
}

impl<S: Future<Output = ()>> Future for RetryDelay<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.sleep.as_mut().poll(cx);
        if polled.is_ready() {
            self.refund = None;
        }
        polled
    }
}

impl<S> Drop for RetryDelay<S> {
    fn drop(&mut self) {
        if let Some((budget, paid)) = self.refund.take() {
            budget.give_back(paid);
        }
    }
}

impl<S> fmt::Debug for RetryDelay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryDelay").finish_non_exhaustive()
    }
}

/// Puts a [`Breaker`] around a service.
///
/// While the breaker is open, calls fail with [`GiveUp::BreakerOpen`], converted into the service's error. The classifier is
/// that of [`TowerPolicy`], without the request.
///
/// ```
/// # #[cfg(feature = "tokio")]
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// use retry::{Failure, breaker::Breaker, tokio_time::TokioTimer, tower_retry::BreakerLayer};
/// use std::sync::Arc;
/// use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
///
/// let breaker = Arc::new(Breaker::builder().consecutive_failures(1).build().unwrap());
/// let classify = |result: &Result<(), BoxError>| result.is_err().then(Failure::transient);
/// let mut service = ServiceBuilder::new()
///     .layer(BreakerLayer::new(breaker, TokioTimer, classify))
///     .service(service_fn(async |()| Err::<(), BoxError>("down".into())));
/// assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().to_string(), "down");
/// let refused = service.ready().await.unwrap().call(()).await.unwrap_err();
/// assert!(refused.to_string().starts_with("the circuit breaker is open"));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct BreakerLayer<C, F> {
    breaker: Arc<Breaker>,
    clock: C,
    classify: F,
}

impl<C: Clock, F> BreakerLayer<C, F> {
    /// Asks `breaker` before each call, and reports the result as `classify` says.
    pub fn new<Res, E>(breaker: Arc<Breaker>, clock: C, classify: F) -> Self
    where
        F: Fn(&Result<Res, E>) -> Option<Failure>,
    {
        Self { breaker, clock, classify }
    }
}

impl<Inner, C: Clone, F: Clone> Layer<Inner> for BreakerLayer<C, F> {
    type Service = BreakerService<Inner, C, F>;

    fn layer(&self, inner: Inner) -> Self::Service {
        BreakerService { inner, layer: self.clone() }
    }
}

/// A service behind a [`Breaker`], made by [`BreakerLayer`].
#[derive(Clone, Debug)]
pub struct BreakerService<Inner, C, F> {
    inner: Inner,
    layer: BreakerLayer<C, F>,
}

impl<Inner, Req, C, F> Service<Req> for BreakerService<Inner, C, F>
where
    Inner: Service<Req, Error: From<GiveUp>, Future: Send + 'static>,
    C: Clock + Clone + Send + 'static,
    F: Fn(&Result<Inner::Response, Inner::Error>) -> Option<Failure> + Clone + Send + 'static,
{
    type Response = Inner::Response;
    type Error = Inner::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Inner::Response, Inner::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Inner::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let BreakerLayer { breaker, clock, classify } = self.layer.clone();
        let mut permit = match breaker.try_acquire(clock.now()) {
            Ok(permit) => permit.into_owned(Arc::clone(&breaker)),
            Err(open) => {
                let refused = GiveUp::BreakerOpen { retry_in: open.retry_in() };
                return Box::pin(async move { Err(refused.into()) });
            }
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let result = response.await;
            if let Some(permit) = permit.borrowed() {
                permit.report(classify(&result).as_ref(), clock.now());
            }
            result
        })
    }
}
