//! The decision: after a failed try, another one (when?) or the end (why?).
//!
//! ```text
//!   permanent? ──► give up            no try left? ──► give up
//!   delay = max(backoff draw, hint)   hint beyond the longest delay? ──► give up (or cut, or ignore it)
//!   would the next try begin too late? ──► give up now, without waiting for it
//!   otherwise ──► retry after delay
//! ```
//!
//! A pure function of its arguments. What always holds of its answer: a delay is never past the policy's
//! maximum, the try after it never begins at or past a limit of time, and the last try is followed by no
//! delay.

use std::fmt;
use std::time::Duration;

use crate::hint::{self, Hint};
use crate::policy::{Hints, Policy};
use crate::words::InWords;
use crate::{Backoff, Failure, FailureKind, Jitter, Rng};

/// How far a sequence of tries has come.
///
/// ```
/// use retry::Progress;
/// use std::time::Duration;
///
/// let progress = Progress::new(2, Duration::from_secs(3)).time_left(Duration::from_secs(10));
/// assert_eq!(progress.tries(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Progress {
    tries: u32,
    elapsed: Duration,
    previous: Option<Duration>,
    time_left: Option<Duration>,
}

impl Progress {
    /// After `tries` tries, the failed one included, `elapsed` after the first began.
    pub const fn new(tries: u32, elapsed: Duration) -> Self {
        Self { tries, elapsed, previous: None, time_left: None }
    }

    /// The delay before the failed try; decorrelated jitter grows from it.
    pub const fn previous_delay(mut self, delay: Duration) -> Self {
        self.previous = Some(delay);
        self
    }

    /// The time until a deadline that is not the policy's: the caller's own, or that of a request being
    /// served.
    pub const fn time_left(mut self, left: Duration) -> Self {
        self.time_left = Some(left);
        self
    }

    /// How many tries were made.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// How long ago the first began.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this long.
    RetryAfter(Duration),
    /// Stop, and say why.
    GiveUp(GiveUp),
}

/// Why there is no further try. `Display` says it in words, with the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveUp {
    /// The failure will be the same next time.
    Permanent,
    /// All tries are used up.
    Attempts {
        /// How many were made.
        made: u32,
    },
    /// The next try would begin at or after the policy's maximum elapsed time.
    Elapsed {
        /// How much time had passed.
        elapsed: Duration,
        /// The delay that there was no time for.
        delay: Duration,
        /// The policy's limit.
        limit: Duration,
    },
    /// The next try would begin at or after the caller's deadline.
    Deadline {
        /// The time left until it.
        left: Duration,
        /// The delay that there was no time for.
        delay: Duration,
    },
    /// The server asked for more patience than the policy has.
    HintTooLong {
        /// How long it asked for.
        asked: Duration,
        /// The longest delay allowed.
        longest: Duration,
    },
    /// The headers that a strategy goes by do not ask for another try.
    NoHint,
    /// The retry budget is spent: too many tries fail just now.
    Budget,
    /// The circuit breaker is open: the service is known to be down.
    BreakerOpen {
        /// How long until it lets a try through again.
        retry_in: Duration,
    },
    /// The caller cancelled.
    Cancelled,
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent => f.write_str("the failure is permanent"),
            Self::Attempts { made: 1 } => f.write_str("only one try is allowed"),
            Self::Attempts { made } => write!(f, "all {made} tries are used up"),
            Self::Elapsed { elapsed, delay, limit } => write!(
                f,
                "{} after {} would reach the limit of {}",
                InWords(*delay),
                InWords(*elapsed),
                InWords(*limit)
            ),
            Self::Deadline { left, delay } => {
                write!(f, "{} until the deadline leave no time to wait {}", InWords(*left), InWords(*delay))
            }
            Self::HintTooLong { asked, longest } => write!(
                f,
                "the server asks to wait {}, longer than the {} allowed",
                InWords(*asked),
                InWords(*longest)
            ),
            Self::NoHint => f.write_str("the response does not ask for another try"),
            Self::Budget => f.write_str("the retry budget is spent"),
            Self::BreakerOpen { retry_in } => {
                write!(f, "the circuit breaker is open for another {}", InWords(*retry_in))
            }
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl Policy {
    /// Whether and when to try again after `failure`. Pure; constant time but for the exponentiation.
    ///
    /// ```
    /// use retry::{Decision, Failure, GiveUp, Jitter, Policy, Progress, Rng};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let policy = Policy::exponential(second, 2.0).jitter(Jitter::None).max_attempts(3).build()?;
    /// let mut rng = Rng::seeded(0);
    /// let mut after = |tries| policy.decide(&Failure::transient(), &Progress::new(tries, second), &mut rng);
    /// assert_eq!(after(1), Decision::RetryAfter(second));
    /// assert_eq!(after(2), Decision::RetryAfter(2 * second));
    /// assert_eq!(after(3), Decision::GiveUp(GiveUp::Attempts { made: 3 }));
    /// # Ok::<(), retry::PolicyError>(())
    /// ```
    pub fn decide(&self, failure: &Failure, progress: &Progress, rng: &mut Rng) -> Decision {
        self.delay_or_give_up(failure, progress, rng).map_or_else(Decision::GiveUp, Decision::RetryAfter)
    }

    pub(crate) fn delay_or_give_up(
        &self,
        failure: &Failure,
        progress: &Progress,
        rng: &mut Rng,
    ) -> Result<Duration, GiveUp> {
        if failure.kind() == FailureKind::Permanent {
            return Err(GiveUp::Permanent);
        }
        if !self.attempts().allows_another(progress.tries) {
            return Err(GiveUp::Attempts { made: progress.tries });
        }
        let drawn = self.delay(progress.tries, progress.previous, rng);
        let delay = match failure.hint() {
            Some(hint) => self.at_least(hint, rng)?.max(drawn),
            None => drawn,
        };
        if let Some(limit) = self.max_elapsed()
            && progress.elapsed.saturating_add(delay) >= limit
        {
            return Err(GiveUp::Elapsed { elapsed: progress.elapsed, delay, limit });
        }
        match progress.time_left {
            Some(left) if delay >= left => Err(GiveUp::Deadline { left, delay }),
            _ => Ok(delay),
        }
    }

    /// The least delay that honours a hint.
    ///
    /// A policy with jitter adds up to a tenth: a server under load gives everyone the same moment, and would
    /// have everyone back in it.
    fn at_least(&self, hint: Hint, rng: &mut Rng) -> Result<Duration, GiveUp> {
        let longest = self.max_delay().unwrap_or(hint::LONGEST);
        let asked = hint.raw.clamped_to(Duration::MAX);
        match self.hints() {
            Hints::Ignore => return Ok(Duration::ZERO),
            Hints::Obey if asked > longest => return Err(GiveUp::HintTooLong { asked, longest }),
            Hints::Obey | Hints::Cap => {}
        }
        let asked = asked.min(longest);
        let spreads = self.jitter() != Jitter::None || matches!(self.backoff(), Backoff::Decorrelated { .. });
        if !spreads {
            return Ok(asked);
        }
        let room = (asked / 10).min(longest - asked);
        Ok(asked + Duration::from_nanos(rng.up_to(crate::nanos::of(room))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::{Asked, HintSource};

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> crate::PolicyBuilder {
        Policy::fixed(SECOND).jitter(Jitter::None).max_attempts(3).max_delay(5 * SECOND)
    }

    fn hinted(secs: u64) -> Failure {
        let hint = Hint::new(Asked::Wait(Duration::from_secs(secs)), HintSource::Caller);
        Failure::throttled().with_hint(Some(hint))
    }

    fn decide(
        policy: crate::PolicyBuilder,
        failure: Failure,
        progress: Progress,
    ) -> Result<Duration, GiveUp> {
        policy.build().unwrap().delay_or_give_up(&failure, &progress, &mut Rng::seeded(1))
    }

    #[test]
    fn permanent_ends_it_whatever_else() {
        let failure = Failure::permanent().with_hint(hinted(1).hint());
        assert_eq!(decide(policy(), failure, Progress::new(1, SECOND)), Err(GiveUp::Permanent));
    }

    #[test]
    fn the_try_after_a_delay_begins_before_every_limit() {
        let failure = Failure::transient();
        let limited = policy().max_elapsed(10 * SECOND);
        let at = |elapsed| Progress::new(1, elapsed);
        assert_eq!(decide(limited.clone(), failure, at(9 * SECOND - Duration::from_nanos(1))), Ok(SECOND));
        let too_late = GiveUp::Elapsed { elapsed: 9 * SECOND, delay: SECOND, limit: 10 * SECOND };
        assert_eq!(decide(limited.clone(), failure, at(9 * SECOND)), Err(too_late));
        assert!(decide(limited, failure, at(Duration::MAX)).is_err());

        let left = |left| Progress::new(1, SECOND).time_left(left);
        assert_eq!(decide(policy(), failure, left(SECOND + Duration::from_nanos(1))), Ok(SECOND));
        let deadline = GiveUp::Deadline { left: SECOND, delay: SECOND };
        assert_eq!(decide(policy(), failure, left(SECOND)), Err(deadline));
        assert!(decide(policy(), failure, left(Duration::ZERO)).is_err());
    }

    #[test]
    fn hints() {
        let at = Progress::new(1, SECOND);
        assert_eq!(decide(policy(), hinted(4), at), Ok(4 * SECOND));
        assert_eq!(decide(policy(), hinted(0), at), Ok(SECOND));
        let too_long = GiveUp::HintTooLong { asked: 6 * SECOND, longest: 5 * SECOND };
        assert_eq!(decide(policy(), hinted(6), at), Err(too_long));
        assert_eq!(decide(policy().hints(Hints::Cap), hinted(6), at), Ok(5 * SECOND));
        assert_eq!(decide(policy().hints(Hints::Ignore), hinted(6), at), Ok(SECOND));
        let without_cap = Policy::fixed(SECOND).jitter(Jitter::None);
        assert_eq!(decide(without_cap.clone(), hinted(3600), at), Ok(3600 * SECOND));
        assert!(matches!(decide(without_cap, hinted(u64::MAX), at), Err(GiveUp::HintTooLong { .. })));
    }

    #[test]
    fn with_jitter_a_hint_is_spread_upwards_only() {
        let policy = policy().jitter(Jitter::Full).build().unwrap();
        let mut rng = Rng::seeded(2);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let delay = policy.delay_or_give_up(&hinted(4), &Progress::new(1, SECOND), &mut rng).unwrap();
            assert!((4 * SECOND..=4 * SECOND + SECOND * 4 / 10).contains(&delay), "{delay:?}");
            seen.insert(delay);
            let delay = policy.delay_or_give_up(&hinted(5), &Progress::new(1, SECOND), &mut rng).unwrap();
            assert_eq!(delay, 5 * SECOND);
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn reasons_in_words() {
        for (reason, words) in [
            (GiveUp::Attempts { made: 1 }, "only one try is allowed"),
            (GiveUp::Attempts { made: 3 }, "all 3 tries are used up"),
            (
                GiveUp::Elapsed { elapsed: 9 * SECOND, delay: SECOND, limit: 10 * SECOND },
                "1 s after 9 s would reach the limit of 10 s",
            ),
            (
                GiveUp::Deadline { left: SECOND, delay: 2 * SECOND },
                "1 s until the deadline leave no time to wait 2 s",
            ),
            (
                GiveUp::HintTooLong { asked: 90 * SECOND, longest: SECOND },
                "the server asks to wait 1 min 30 s, longer than the 1 s allowed",
            ),
            (GiveUp::BreakerOpen { retry_in: SECOND }, "the circuit breaker is open for another 1 s"),
        ] {
            assert_eq!(reason.to_string(), words);
        }
    }
}
