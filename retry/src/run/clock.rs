//! The clocks that runners use.
//!
//! A time is a [`Duration`] since an arbitrary fixed zero. `std::time::Instant` was the alternative; a test cannot construct
//! one without reading the real clock. All clocks that share a budget or a breaker must have the same zero.

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
/// Feature `tokio` has one for tokio; for another runtime it takes a few lines:
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
    /// The future of [`sleep`](Self::sleep). An associated type, so that a run is `Send` if this is.
    type Sleep: Future<Output = ()>;

    /// A future that is ready when `delay` has passed.
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
