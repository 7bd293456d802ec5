//! The hooks of a run: [`Classify`] for errors, [`Inspect`] for values, [`Notify`] for retries and the end.
//!
//! Each trait has one type for "not set" and others for closures, so that a run without hooks costs nothing and needs no
//! type annotations, and a run with hooks is not boxed. The traits are public because bounds name them; callers pass
//! closures.

use std::fmt;
use std::future::{Future, Ready, ready};
use std::time::Duration;

use crate::humanize::Humanized;
use crate::{Failure, GiveUp};

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

impl<E, R: Into<Failure>, F: FnMut(&E) -> R> Classify<E> for By<F> {
    fn classify(&mut self, error: &E) -> Failure {
        (self.0)(error).into()
    }
}

/// Finds values that ask for another try.
pub trait Inspect<T> {
    /// The failure that `value` stands for, if it asks for another try.
    fn inspect(&mut self, value: &T) -> Option<Failure>;
}

/// Every value ends the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accept;

/// A closure; made by [`Retry::pending`](super::Retry::pending).
#[derive(Clone, Debug)]
pub struct Pending<F>(pub(super) F);

impl<T> Inspect<T> for Accept {
    fn inspect(&mut self, _: &T) -> Option<Failure> {
        None
    }
}

impl<T, F: FnMut(&T) -> bool> Inspect<T> for Pending<F> {
    fn inspect(&mut self, value: &T) -> Option<Failure> {
        (self.0)(value).then_some(Failure::transient())
    }
}

/// Receives each retry and the end of the run.
pub trait Notify<E> {
    /// The run waits for this future before the delay. [`Ready`] for closures that are not async.
    type Done: Future<Output = ()>;

    /// A try has failed and will be repeated.
    fn notify(&mut self, retrying: &Retrying<'_, E>) -> Self::Done;

    /// The run has ended.
    fn ended(&mut self, _: &Ended<'_, E>) {}
}

/// No notifications.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

/// A closure; made by [`Retry::notify`](super::Retry::notify).
#[derive(Clone, Debug)]
pub struct Tell<F>(pub(super) F);

/// A closure that returns a future; made by [`Retry::notify_async`](super::Retry::notify_async).
#[derive(Clone, Debug)]
pub struct TellAsync<F>(pub(super) F);

/// A closure for the end of the run besides `N`; made by [`Retry::on_end`](super::Retry::on_end).
#[derive(Clone, Debug)]
pub struct OnEnd<N, F>(pub(super) N, pub(super) F);

impl<E> Notify<E> for Silent {
    type Done = Ready<()>;

    fn notify(&mut self, _: &Retrying<'_, E>) -> Ready<()> {
        ready(())
    }
}

impl<E, F: FnMut(&Retrying<'_, E>)> Notify<E> for Tell<F> {
    type Done = Ready<()>;

    fn notify(&mut self, retrying: &Retrying<'_, E>) -> Ready<()> {
        (self.0)(retrying);
        ready(())
    }
}

impl<E, D: Future<Output = ()>, F: FnMut(&Retrying<'_, E>) -> D> Notify<E> for TellAsync<F> {
    type Done = D;

    fn notify(&mut self, retrying: &Retrying<'_, E>) -> D {
        (self.0)(retrying)
    }
}

impl<E, N: Notify<E>, F: FnMut(&Ended<'_, E>)> Notify<E> for OnEnd<N, F> {
    type Done = N::Done;

    fn notify(&mut self, retrying: &Retrying<'_, E>) -> N::Done {
        self.0.notify(retrying)
    }

    fn ended(&mut self, ended: &Ended<'_, E>) {
        self.0.ended(ended);
        (self.1)(ended);
    }
}

/// A failed try that will be repeated. `Display` is a line for a log.
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{Policy, run::{Retry, Retrying}};
/// use std::time::Duration;
///
/// let policy = Policy::list([Duration::from_millis(1)]).build().unwrap();
/// let mut log = Vec::new();
/// let result = Retry::new(&policy)
///     .notify(|r: &Retrying<'_, &str>| log.push(r.to_string()))
///     .run(|_| Err::<(), _>("refused"));
/// assert!(result.is_err());
/// assert_eq!(log, ["try 1: refused; the next in 1 ms"]);
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Retrying<'a, E> {
    /// The error of the failed try; `None` after a value that asked for another try, and after a try that a limit ended.
    pub error: Option<&'a E>,
    /// The classification of the try, with the server's hint.
    pub failure: Failure,
    /// The limit that ended the try: [`GiveUp::TryTimeout`] or [`GiveUp::CutAtDeadline`].
    pub cut_by: Option<GiveUp>,
    /// The tries made so far.
    pub tries: u32,
    /// The delay before the next try.
    pub delay: Duration,
    /// The time since the first try began.
    pub elapsed: Duration,
}

impl<E: fmt::Display> fmt::Display for Retrying<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "try {}: ", self.tries)?;
        match (self.error, self.cut_by) {
            (Some(error), _) => write!(f, "{error}")?,
            (None, Some(limit)) => write!(f, "{limit}")?,
            (None, None) => f.write_str("pending")?,
        }
        write!(f, "; the next in {}", Humanized(self.delay))
    }
}

/// The end of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<'a, E> {
    /// The error of the last try; `None` if it returned a value or was ended by a limit, or if no try was made.
    pub error: Option<&'a E>,
    /// The classification of the last try, if it failed.
    pub failure: Option<Failure>,
    /// What ended the last try, if something did: a limit or a cancellation.
    pub cut_by: Option<GiveUp>,
    /// Why the run gave up, also on a value that is still pending; `None` after a success.
    pub reason: Option<GiveUp>,
    /// The number of tries.
    pub tries: u32,
    /// The time since the first try began.
    pub elapsed: Duration,
}
