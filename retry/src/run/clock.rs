//! Time as the runners see it.
//!
//! A moment is a [`Duration`] since some fixed moment, which one does not matter, because
//! `std::time::Instant` cannot be made up: a test could not hand one in without reading the real clock. All
//! clocks that share a budget or a breaker have to count from the same moment.

use std::future::Future;
use std::time::Duration;

use super::Cancel;

/// A clock that never goes backwards.
pub trait Clock {
    /// The time since this clock's zero.
    fn now(&self) -> Duration;
}

/// A clock that a thread can wait on.
pub trait Wait: Clock {
    /// Returns when `delay` has passed, or sooner if `cancel` is cancelled.
    fn wait(&self, delay: Duration, cancel: Option<&Cancel>);
}

/// A clock that a future can wait on.
///
/// For tokio there is a ready one behind the feature of that name; for another runtime it is a few lines:
///
/// ```
/// use retry::run::{Clock, Sleep};
/// use std::future::Future;
/// use std::pin::Pin;
/// use std::time::{Duration, Instant};
///
/// # mod async_io { pub struct Timer; impl Timer { pub async fn after(_: std::time::Duration) {} } }
/// struct AsyncIo(Instant);
///
/// impl Clock for AsyncIo {
///     fn now(&self) -> Duration {
///         self.0.elapsed()
///     }
/// }
///
/// impl Sleep for AsyncIo {
///     type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;
///
///     fn sleep(&self, delay: Duration) -> Self::Sleep {
///         Box::pin(async move {
///             async_io::Timer::after(delay).await;
///         })
///     }
/// }
/// ```
pub trait Sleep: Clock {
    /// What [`sleep`](Self::sleep) returns. An associated type, so that whether a run is `Send` follows from
    /// it.
    type Sleep: Future<Output = ()>;

    /// Is ready when `delay` has passed.
    fn sleep(&self, delay: Duration) -> Self::Sleep;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Duration {
        (**self).now()
    }
}

impl<C: Sleep + ?Sized> Sleep for &C {
    type Sleep = C::Sleep;

    fn sleep(&self, delay: Duration) -> Self::Sleep {
        (**self).sleep(delay)
    }
}
