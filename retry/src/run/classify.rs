//! What a run asks the caller about errors, and what it tells about retries.
//!
//! Traits with one type for "nothing given" and one for "a closure", so that a run without them costs nothing
//! and needs no type annotations, and a run with them is not boxed. They are public because they appear in
//! bounds; nobody needs to implement them.

use std::time::Duration;

use crate::Failure;

/// Says what kind of failure an error is.
pub trait Classify<E> {
    /// The failure that `error` is.
    fn classify(&mut self, error: &E) -> Failure;
}

/// Every error is transient.
#[derive(Clone, Copy, Debug, Default)]
pub struct All;

/// As a closure says; made by [`Retry::classify`](super::Retry::classify).
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

/// Is told of each retry.
pub trait Notify<E> {
    /// A try has failed, and there will be another.
    fn notify(&mut self, retrying: &Retrying<'_, E>);
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

/// A closure is told; made by [`Retry::notify`](super::Retry::notify).
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

/// A failed try that will be followed by another.
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{Policy, run::{Retry, Retrying}};
/// use std::time::Duration;
///
/// let policy = Policy::list([Duration::from_millis(1)]).build().unwrap();
/// let mut told = Vec::new();
/// let result = Retry::new(&policy)
///     .notify(|r: &Retrying<'_, &str>| told.push(format!("try {}: {}, again in {:?}", r.tries, r.error, r.delay)))
///     .run(|_| Err::<(), _>("refused"));
/// assert!(result.is_err());
/// assert_eq!(told, ["try 1: refused, again in 1ms"]);
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Retrying<'a, E> {
    /// What failed.
    pub error: &'a E,
    /// How many tries were made.
    pub tries: u32,
    /// How long until the next.
    pub delay: Duration,
    /// How long ago the first began.
    pub elapsed: Duration,
}
