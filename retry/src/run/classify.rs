//! The hooks of a run: [`Classify`] for errors, [`Notify`] for retries.
//!
//! Each trait has one type for "not set" and one for a closure, so that a run without hooks costs nothing and needs no type
//! annotations, and a run with hooks is not boxed. The traits are public because bounds name them; callers pass closures.

use std::time::Duration;

use crate::Failure;

/// Classifies errors.
pub trait Classify<E> {
    /// The failure that `error` stands for.
    fn classify(&mut self, error: &E) -> Failure;
}

/// Every error is transient.
#[derive(Clone, Copy, Debug, Default)]
pub struct All;

/// A closure; made by [`Retry::classify`](super::Retry::classify).
#[derive(Clone, Debug)]
pub struct By<F>(pub(super) F);

impl<E> Classify<E> for All {
    fn classify(&mut self, _: &E) -> Failure {
        Failure::transient()
    }
}

impl<E, F: FnMut(&E) -> Failure> Classify<E> for By<F> {
    fn classify(&mut self, error: &E) -> Failure {
        (self.0)(error)
    }
}

/// Receives each retry.
pub trait Notify<E> {
    /// A try has failed and will be repeated.
    fn notify(&mut self, retrying: &Retrying<'_, E>);
}

/// No notifications.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

/// A closure; made by [`Retry::notify`](super::Retry::notify).
#[derive(Clone, Debug)]
pub struct Tell<F>(pub(super) F);

impl<E> Notify<E> for Silent {
    fn notify(&mut self, _: &Retrying<'_, E>) {}
}

impl<E, F: FnMut(&Retrying<'_, E>)> Notify<E> for Tell<F> {
    fn notify(&mut self, retrying: &Retrying<'_, E>) {
        (self.0)(retrying);
    }
}

/// A failed try that will be repeated.
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{Policy, run::{Retry, Retrying}};
/// use std::time::Duration;
///
/// let policy = Policy::list([Duration::from_millis(1)]).build().unwrap();
/// let mut log = Vec::new();
/// let result = Retry::new(&policy)
///     .notify(|r: &Retrying<'_, &str>| log.push(format!("try {}: {}, again in {:?}", r.tries, r.error, r.delay)))
///     .run(|_| Err::<(), _>("refused"));
/// assert!(result.is_err());
/// assert_eq!(log, ["try 1: refused, again in 1ms"]);
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Retrying<'a, E> {
    /// The error of the failed try.
    pub error: &'a E,
    /// The tries made so far.
    pub tries: u32,
    /// The delay before the next try.
    pub delay: Duration,
    /// The time since the first try began.
    pub elapsed: Duration,
}
