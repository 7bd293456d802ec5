//! The port to time: [`Timestamp`] and the trait [`Clock`].
//!
//! A [`Timestamp`] is UTC, because stores keep it and people read it. Inside a process it follows the monotonic clock:
//! [`SystemClock`] reads the wall clock once, at its creation, and adds the elapsed monotonic time. So a change of the wall
//! clock moves no deadline of a running process; a process started later uses the corrected time.
//!
//! This is the only module that may read clocks or sleep; `clippy.toml` bans both elsewhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A boxed `Send` future, as the object-safe traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A moment in UTC, in whole microseconds since 1970-01-01T00:00:00Z.
///
/// Arithmetic saturates: no input can overflow it.
///
/// ```
/// use poller::Timestamp;
/// use std::time::Duration;
///
/// let start = Timestamp::from_micros(1_500_000);
/// assert_eq!(start + Duration::from_millis(500), Timestamp::from_micros(2_000_000));
/// assert_eq!(start.since(Timestamp::from_micros(2_000_000)), Duration::ZERO);
/// assert_eq!(start.to_string(), "1970-01-01T00:00:01.5Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The timestamp at this number of microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The timestamp of a wall-clock reading; anything before 1970 counts as 1970.
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        Self(micros(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)))
    }

    /// The wall-clock time of this timestamp.
    #[must_use]
    pub fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.0)
    }

    /// The time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Timestamp {
    /// This time minus `duration`; 1970 at the earliest.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }
}

/// Whole microseconds of a duration, the resolution of every schedule; saturates.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with as many fractional digits as needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok()) {
            Some(timestamp) => timestamp.fmt(f),
            None => write!(f, "{} µs after 1970", self.0),
        }
    }
}

/// RFC 3339 text, as [`Display`](fmt::Display) writes it.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let parsed: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
        u64::try_from(parsed.as_microsecond())
            .map(Self)
            .map_err(|_| D::Error::custom("expected a time after 1970"))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The time of the engine.
///
/// Programs use [`SystemClock`]; tests use a clock of their own and run hours in milliseconds.
pub trait Clock: Send + Sync + 'static {
    /// The time now. Never goes back.
    fn now(&self) -> Timestamp;

    /// Completes when [`now`](Self::now) reaches `at`; at once if it has.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

/// The real clock: UTC read once, plus tokio's monotonic time since.
///
/// Under tokio's paused test clock it is a virtual clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Timestamp,
    created: tokio::time::Instant,
}

impl SystemClock {
    /// A clock that starts at the current wall time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock module is where clocks are read")]
    pub fn new() -> Self {
        Self { origin: Timestamp::from_system_time(SystemTime::now()), created: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the clock module is where clocks are read")]
    fn now(&self) -> Timestamp {
        self.origin + tokio::time::Instant::now().duration_since(self.created)
    }

    #[expect(clippy::disallowed_methods, reason = "the clock module is where sleeping happens")]
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        // Tokio's timers round up to the millisecond, so a sleeper never wakes early.
        let until = self.created.checked_add(at.since(self.origin));
        Box::pin(async move {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sleeping_reaches_the_exact_time() {
        let clock = SystemClock::new();
        let start = clock.now();
        clock.sleep_until(start + Duration::from_secs(3600)).await;
        assert_eq!(clock.now().since(start), Duration::from_secs(3600));
    }

    #[test]
    fn arithmetic_saturates() {
        let last = Timestamp::from_micros(u64::MAX);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(Timestamp::default().since(last), Duration::ZERO);
        assert_eq!(last.to_string(), "18446744073709551615 µs after 1970");
    }
}
