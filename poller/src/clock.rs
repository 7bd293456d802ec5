//! The port to time: [`Timestamp`] and the trait [`Clock`].
//!
//! A [`Timestamp`] is UTC, because stores keep it and people read it. Inside a process it follows the monotonic clock:
//! [`SystemClock`] reads the wall clock once, at its creation, and adds the elapsed monotonic time. So a change of the wall
//! clock moves no deadline of a running process; a process started later uses the corrected time.
//!
//! Linux's monotonic clock stands still while the machine sleeps, and timers with it. So [`SystemClock`] adds the time that
//! the machine slept (`CLOCK_BOOTTIME` minus `CLOCK_MONOTONIC`), and its sleepers look at it every second: a deadline that
//! passed during the sleep is noticed within a second after it.
//!
//! This is the only module that may read clocks or sleep; `clippy.toml` bans both elsewhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

    /// How far the UTC of the system has moved against [`now`](Self::now) since this clock was created, in microseconds:
    /// positive if it was set forward. The engine reports steps of more than a second. The default is 0.
    fn wall_step(&self) -> i64 {
        0
    }

    /// How long the machine has slept since this clock was created, as far as it knows. The engine reports more than a
    /// second. The default is zero.
    fn slept(&self) -> Duration {
        Duration::ZERO
    }

    /// What is added to the clock of a database so that this clock runs on evenly although that one was set, in microseconds.
    /// The engine reports its changes. The default is 0: a clock that follows no other.
    fn shift(&self) -> i64 {
        0
    }
}

/// A shared clock is a clock, whatever its type.
impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        (**self).sleep_until(at)
    }

    fn wall_step(&self) -> i64 {
        (**self).wall_step()
    }

    fn slept(&self) -> Duration {
        (**self).slept()
    }

    fn shift(&self) -> i64 {
        (**self).shift()
    }
}

/// The real clock: UTC read once, plus tokio's monotonic time since, plus the time that the machine slept.
///
/// Under tokio's paused test clock it is a virtual clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Timestamp,
    created: tokio::time::Instant,
    /// The same moment for [`wall_step`](Clock::wall_step): tokio's clock may be paused.
    created_really: Instant,
    slept_before: Duration,
}

/// How often a sleeper looks whether the machine slept.
const LOOK: Duration = Duration::from_secs(1);

impl SystemClock {
    /// A clock that starts at the current wall time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the clock module is where clocks are read")]
    pub fn new() -> Self {
        Self {
            origin: Timestamp::from_system_time(SystemTime::now()),
            created: tokio::time::Instant::now(),
            created_really: Instant::now(),
            slept_before: suspend::look(),
        }
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
        self.origin + tokio::time::Instant::now().duration_since(self.created) + self.slept()
    }

    #[expect(clippy::disallowed_methods, reason = "the clock module is where sleeping happens")]
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            loop {
                suspend::look();
                let left = at.since(clock.now());
                if left.is_zero() {
                    return;
                }
                // Tokio's timers round up to the millisecond, so a sleeper never wakes early.
                tokio::time::sleep(left.min(LOOK)).await;
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the clock module is where clocks are read")]
    fn wall_step(&self) -> i64 {
        suspend::look();
        let expected = self.origin + self.created_really.elapsed() + self.slept();
        let system = Timestamp::from_system_time(SystemTime::now());
        let difference = i128::from(system.0) - i128::from(expected.0);
        i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
    }

    fn slept(&self) -> Duration {
        suspend::known().saturating_sub(self.slept_before)
    }
}

/// The time since this machine was started, its sleep included: what a lease is counted by.
#[cfg(feature = "postgres")]
#[cfg_attr(
    not(target_os = "linux"),
    expect(clippy::disallowed_methods, reason = "the clock module is where clocks are read")
)]
pub(crate) fn boot_time() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
    #[cfg(not(target_os = "linux"))]
    {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// How long this machine has slept since it was started.
mod suspend {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// The largest difference seen, in microseconds. It never falls, so a clock that adds it never goes back.
    static KNOWN: AtomicU64 = AtomicU64::new(0);

    /// Smaller differences are those between two readings of clocks, not sleep.
    const NOISE: u64 = 100_000;

    /// The sleep that the last look saw.
    pub(super) fn known() -> Duration {
        Duration::from_micros(KNOWN.load(Ordering::Relaxed))
    }

    /// Looks whether the machine has slept since the last look.
    pub(super) fn look() -> Duration {
        if let Some(total) = total()
            && total > KNOWN.load(Ordering::Relaxed) + NOISE
        {
            KNOWN.fetch_max(total, Ordering::Relaxed);
        }
        known()
    }

    #[cfg(target_os = "linux")]
    fn total() -> Option<u64> {
        use rustix::time::{ClockId, clock_gettime};
        let micros = |clock| {
            let time = clock_gettime(clock);
            u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
                + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000
        };
        let (before, with_sleep, after) =
            (micros(ClockId::Monotonic), micros(ClockId::Boottime), micros(ClockId::Monotonic));
        // A thread that was interrupted between the readings compares different moments; the next look is as good.
        (after - before < NOISE / 2).then(|| with_sleep.saturating_sub(after))
    }

    /// Other systems' monotonic clocks go on, or their sleep is not known.
    #[cfg(not(target_os = "linux"))]
    const fn total() -> Option<u64> {
        None
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
