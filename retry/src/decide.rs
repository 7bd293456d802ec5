//! The decision after a failed try: retry after a delay, or give up for a reason.
//!
//! ```text
//!   permanent? ──► give up            no try left? ──► give up
//!   delay = max(backoff draw, hint)   hint above its maximum? ──► give up (or cut, or ignore it)
//!   would the next try begin too late? ──► give up now, without waiting for it
//!   otherwise ──► retry after delay
//! ```
//!
//! A pure function. A delay never exceeds the policy's maximum or, for a hint, the maximum for hints plus a tenth, the next try never begins at or past a time limit, and no
//! delay follows the last try.

use std::fmt;
use std::time::Duration;

use crate::breaker::BreakerOpen;
use crate::hint::Hint;
use crate::humanize::Humanized;
use crate::members::{getters, setters};
use crate::policy::{Hints, Policy};
use crate::{Backoff, Failure, FailureKind, Jitter, Rng};

/// The progress of a sequence of tries.
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
    pub(crate) tries: u32,
    pub(crate) elapsed: Duration,
    pub(crate) previous: Option<Duration>,
    pub(crate) time_left: Option<Duration>,
}

impl Progress {
    /// After `tries` tries, the failed one included, `elapsed` after the first began.
    pub const fn new(tries: u32, elapsed: Duration) -> Self {
        Self { tries, elapsed, previous: None, time_left: None }
    }

    setters! {
        /// The delay before the failed try; decorrelated jitter grows from it.
        pub const fn previous_delay(delay: Duration) => previous = Some(delay);
        /// The time until the caller's own deadline, or that of the request it serves.
        pub const fn time_left(left: Duration) => time_left = Some(left);
    }

    getters! {
        /// The number of tries made.
        pub const fn tries() -> u32;
        /// The time since the first try began.
        pub const fn elapsed() -> Duration;
    }
}

/// What to do after a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this delay.
    RetryAfter(Duration),
    /// Stop, for this reason.
    GiveUp(GiveUp),
}

/// The reason to give up. `Display` states it with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GiveUp {
    /// The failure is permanent.
    Permanent,
    /// All tries are used up.
    Attempts {
        /// The number of tries made.
        made: u32,
    },
    /// The next try would begin at or after the policy's maximum elapsed time.
    Elapsed {
        /// The time since the first try began.
        elapsed: Duration,
        /// The delay for which too little time was left.
        delay: Duration,
        /// The policy's limit.
        limit: Duration,
    },
    /// The next try would begin at or after the caller's deadline.
    Deadline {
        /// The time left until it.
        left: Duration,
        /// The delay for which too little time was left.
        delay: Duration,
    },
    /// The server asked for a longer wait than the policy allows.
    HintTooLong {
        /// The requested wait.
        asked: Duration,
        /// The longest wait allowed for a hint.
        longest: Duration,
    },
    /// The response headers that a strategy reads do not ask for another try.
    NoHint,
    /// The retry budget is spent: too many calls fail at present.
    Budget,
    /// The circuit breaker is open.
    BreakerOpen {
        /// The time until it admits a try, as in [`BreakerOpen::retry_in`].
        retry_in: Duration,
    },
    /// The caller cancelled.
    Cancelled,
    /// The try took longer than its limit: why a try was ended, not why a run gave up.
    TryTimeout {
        /// The limit.
        after: Duration,
    },
    /// The try was still running at the deadline: why a try was ended, not why a run gave up.
    CutAtDeadline {
        /// The time it was given.
        after: Duration,
    },
}

impl std::error::Error for GiveUp {}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_words = |time: &Duration| Humanized(*time);
        match self {
            Self::Permanent => f.write_str("the failure is permanent"),
            Self::Attempts { made: 1 } => f.write_str("only one try is allowed"),
            Self::Attempts { made } => write!(f, "all {made} tries are used up"),
            Self::Elapsed { elapsed, limit, .. } if elapsed >= limit => {
                write!(f, "the limit of {} has passed", in_words(limit))
            }
            Self::Elapsed { elapsed, delay, limit } => {
                let (elapsed, delay, limit) = (in_words(elapsed), in_words(delay), in_words(limit));
                write!(f, "{delay} after {elapsed} would reach the limit of {limit}")
            }
            Self::Deadline { left: Duration::ZERO, .. } => f.write_str("the deadline has passed"),
            Self::Deadline { left, delay } => {
                write!(f, "{} until the deadline leave no time to wait {}", in_words(left), in_words(delay))
            }
            Self::HintTooLong { asked, longest } => {
                let (asked, longest) = (in_words(asked), in_words(longest));
                write!(f, "the server asks to wait {asked}, longer than the {longest} allowed")
            }
            Self::NoHint => f.write_str("the response does not ask for another try"),
            Self::Budget => f.write_str("the retry budget is spent"),
            Self::BreakerOpen { retry_in } => fmt::Display::fmt(&BreakerOpen::new(*retry_in), f),
            Self::Cancelled => f.write_str("cancelled"),
            Self::TryTimeout { after } => write!(f, "the try took longer than {}", in_words(after)),
            Self::CutAtDeadline { after } => {
                write!(f, "the deadline came {} after the try began", in_words(after))
            }
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
        let drawn = self.delay_after(failure.kind(), progress.tries, progress.previous, rng);
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
    /// A policy with jitter adds up to a tenth, also to a hint at the maximum: a server under load sends the same time to all clients, and they would all
    /// return at once.
    fn at_least(&self, hint: Hint, rng: &mut Rng) -> Result<Duration, GiveUp> {
        let longest = self.max_hint();
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
        let spread = Duration::from_nanos(rng.up_to(crate::nanos::of(asked / 10)));
        Ok(asked.saturating_add(spread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::{HintSource, Requested};

    const SECOND: Duration = Duration::from_secs(1);

    fn policy() -> crate::PolicyBuilder {
        Policy::fixed(SECOND).jitter(Jitter::None).max_attempts(3).max_hint(5 * SECOND)
    }

    fn too_late(elapsed: u32, limit: u32) -> GiveUp {
        GiveUp::Elapsed { elapsed: elapsed * SECOND, delay: SECOND, limit: limit * SECOND }
    }

    fn too_long(asked: u32, longest: u32) -> GiveUp {
        GiveUp::HintTooLong { asked: asked * SECOND, longest: longest * SECOND }
    }

    fn hinted(secs: u64) -> Failure {
        let hint = Hint::new(Requested::Wait(Duration::from_secs(secs)), HintSource::Caller);
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
    fn a_permanent_failure_gives_up_despite_a_hint() {
        let failure = Failure::permanent().with_hint(hinted(1).hint());
        assert_eq!(decide(policy(), failure, Progress::new(1, SECOND)), Err(GiveUp::Permanent));
    }

    #[test]
    fn the_next_try_begins_before_every_time_limit() {
        let failure = Failure::transient();
        let limited = policy().max_elapsed(10 * SECOND);
        let at = |elapsed| Progress::new(1, elapsed);
        assert_eq!(decide(limited.clone(), failure, at(9 * SECOND - Duration::from_nanos(1))), Ok(SECOND));
        assert_eq!(decide(limited.clone(), failure, at(9 * SECOND)), Err(too_late(9, 10)));
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
        assert_eq!(decide(policy(), hinted(6), at), Err(too_long(6, 5)));
        assert_eq!(decide(policy().hints(Hints::Cap), hinted(6), at), Ok(5 * SECOND));
        assert_eq!(decide(policy().hints(Hints::Ignore), hinted(6), at), Ok(SECOND));
        for default in [Policy::fixed(SECOND), Policy::list([SECOND]), Policy::exponential(SECOND, 2.0)] {
            let default = default.jitter(Jitter::None);
            assert_eq!(decide(default.clone(), hinted(60), at), Ok(60 * SECOND));
            for secs in [61, 80_000, u64::MAX] {
                let decision = decide(default.clone(), hinted(secs), at);
                assert!(matches!(decision, Err(GiveUp::HintTooLong { .. })), "{decision:?}");
            }
        }
        let capped = policy().max_delay(2 * SECOND);
        assert_eq!(decide(capped, hinted(4), at), Ok(4 * SECOND));
    }

    #[test]
    fn each_kind_of_failure_can_have_its_own_backoff() {
        let policy = Policy::aws_standard_2026();
        let mut rng = Rng::seeded(7);
        let mut longest = |failure: Failure| {
            let mut decide = || policy.delay_or_give_up(&failure, &Progress::new(2, SECOND), &mut rng);
            (0..500).map(|_| decide().unwrap()).max().unwrap()
        };
        let ms = Duration::from_millis;
        assert!((ms(95)..=ms(100)).contains(&longest(Failure::transient())));
        assert!((ms(95)..=ms(100)).contains(&longest(Failure::timeout())));
        assert!((ms(1900)..=ms(2000)).contains(&longest(Failure::throttled())));
        let builder = Policy::fixed(SECOND).jitter(Jitter::None);
        let policy = builder.timeout_backoff(Backoff::Fixed { delay: ms(5) }).build().unwrap();
        for (failure, delay) in
            [(Failure::transient(), SECOND), (Failure::timeout(), ms(5)), (Failure::throttled(), SECOND)]
        {
            let decided = policy.delay_or_give_up(&failure, &Progress::new(1, SECOND), &mut rng);
            assert_eq!(decided, Ok(delay), "{failure}");
        }
        let err =
            Policy::fixed(SECOND).timeout_backoff(Backoff::Linear { initial: ms(0), step: SECOND }).build();
        assert_eq!(err.unwrap_err().field(), "initialInMs");
        let growing = Backoff::Exponential { initial: SECOND, factor: 9.0 };
        let capped = Policy::fixed(SECOND).throttled_backoff(growing).build().unwrap();
        assert_eq!(capped.max_delay(), Some(60 * SECOND));
        let err = Policy::fixed(SECOND).throttled_backoff(Backoff::Fixed { delay: Duration::ZERO }).build();
        assert_eq!(err.unwrap_err().field(), "delayInMs");
    }

    #[test]
    fn with_jitter_a_hint_is_spread_upwards_only() {
        let policy = policy().jitter(Jitter::Full).build().unwrap();
        let mut rng = Rng::seeded(2);
        let (mut seen, mut at_maximum) = (std::collections::HashSet::new(), std::collections::HashSet::new());
        for _ in 0..200 {
            let delay = policy.delay_or_give_up(&hinted(4), &Progress::new(1, SECOND), &mut rng).unwrap();
            assert!((4 * SECOND..=4 * SECOND + SECOND * 4 / 10).contains(&delay), "{delay:?}");
            seen.insert(delay);
            let delay = policy.delay_or_give_up(&hinted(5), &Progress::new(1, SECOND), &mut rng).unwrap();
            assert!((5 * SECOND..=5 * SECOND + SECOND / 2).contains(&delay), "{delay:?}");
            at_maximum.insert(delay);
        }
        assert!(seen.len() > 100 && at_maximum.len() > 100);
    }

    #[test]
    fn reasons_are_displayed() {
        for (reason, words) in [
            (GiveUp::Attempts { made: 1 }, "only one try is allowed"),
            (GiveUp::Attempts { made: 3 }, "all 3 tries are used up"),
            (too_late(9, 10), "1 s after 9 s would reach the limit of 10 s"),
            (
                GiveUp::Deadline { left: SECOND, delay: 2 * SECOND },
                "1 s until the deadline leave no time to wait 2 s",
            ),
            (too_long(90, 1), "the server asks to wait 1 min 30 s, longer than the 1 s allowed"),
            (GiveUp::BreakerOpen { retry_in: SECOND }, "the circuit breaker is open for another 1 s"),
            (GiveUp::Deadline { left: Duration::ZERO, delay: SECOND }, "the deadline has passed"),
            (too_late(1, 1), "the limit of 1 s has passed"),
            (GiveUp::TryTimeout { after: SECOND }, "the try took longer than 1 s"),
            (GiveUp::CutAtDeadline { after: SECOND }, "the deadline came 1 s after the try began"),
        ] {
            assert_eq!(reason.to_string(), words);
        }
    }
}
