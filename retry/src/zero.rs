//! The common zero of the crate's clocks.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A fixed time, before the first call where the platform allows.
///
/// A paused tokio clock shows the time of its pause, which lies before the first call if the test was paused first; times
/// before zero would all be zero. Hence a zero of a day ago. It is read from the standard clock and never from tokio's,
/// since a paused tokio clock may run ahead of the process, and would stop the time of every other run.
#[expect(clippy::disallowed_methods, reason = "this is the clock of the crate")]
pub(crate) fn zero() -> Instant {
    static ZERO: OnceLock<Instant> = OnceLock::new();
    *ZERO.get_or_init(|| {
        let now = Instant::now();
        let earlier = |secs| now.checked_sub(Duration::from_secs(secs));
        [86_400, 3_600, 60].into_iter().find_map(earlier).unwrap_or(now)
    })
}
