//! [`Preview`]: the bounds of a policy's delays.
//!
//! The bounds are those of the intervals that delays are drawn from, so a preview is exact and no simulation; with separate
//! backoffs by kind of failure, they hold whatever the failures are. Steps are computed lazily, so a policy without a limit
//! has a preview too.

use std::fmt;
use std::time::Duration;

use super::Policy;
use crate::humanize::Humanized;
use crate::nanos;

/// The bounds of each delay of a [`Policy`], and of their total.
///
/// `Display` draws it as a table.
///
/// ```
/// use retry::{Jitter, Policy};
/// use std::time::Duration;
///
/// let policy = Policy::exponential(Duration::from_secs(1), 2.0).jitter(Jitter::Equal).max_attempts(4).build()?;
/// let preview = policy.preview();
/// let bounds: Vec<_> = preview.steps().map(|step| (step.least.as_millis(), step.most.as_millis())).collect();
/// assert_eq!(bounds, [(500, 1000), (1000, 2000), (2000, 4000)]);
/// assert_eq!(preview.worst_case_total(), Some(Duration::from_secs(7)));
/// # Ok::<(), retry::PolicyError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Preview<'a> {
    pub(super) policy: &'a Policy,
}

/// One delay of a [`Preview`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The number of the retry that follows the delay, from 1.
    pub retry: u32,
    /// The shortest delay possible.
    pub least: Duration,
    /// The longest delay possible.
    pub most: Duration,
}

impl<'a> Preview<'a> {
    /// The bounds of each delay, after failures of any kind, in order; endless if the attempts are unlimited. The maximum elapsed time is not applied,
    /// since it depends on how long the tries take; nor are server hints.
    pub fn steps(&self) -> impl Iterator<Item = Step> + use<'a> {
        let policy = self.policy;
        let retries = policy.attempts.retries().unwrap_or(u32::MAX);
        let mut longest_before = None;
        (1..=retries).map(move |retry| {
            let (least, most) = match policy.place(retry) {
                Some(k) => {
                    let bounds = policy
                        .backoffs()
                        .map(|backoff| backoff.bounds(k, longest_before, policy.jitter, policy.cap()));
                    let bounds = bounds.fold((u64::MAX, 0), |all, one| (all.0.min(one.0), all.1.max(one.1)));
                    longest_before = Some(bounds.1);
                    bounds
                }
                None => (0, 0),
            };
            Step { retry, least: Duration::from_nanos(least), most: Duration::from_nanos(most) }
        })
    }

    /// The longest possible sum of the delays, without the tries: at most the policy's maximum elapsed time. `None` if
    /// neither attempts nor elapsed time are limited.
    ///
    /// Exact up to 1,000 retries; each further retry counts with the maximum delay, or without one with the longest so far,
    /// since such delays do not grow. The sum saturates.
    #[must_use]
    pub fn worst_case_total(&self) -> Option<Duration> {
        let limit = self.policy.max_elapsed;
        let Some(retries) = self.policy.attempts.retries() else { return limit };
        let counted = self.steps().take(COUNTED).map(|step| step.most.as_nanos());
        let (total, longest) =
            counted.fold((0_u128, 0), |(sum, longest), most| (sum + most, longest.max(most)));
        let beyond = u128::from(retries).saturating_sub(COUNTED as u128);
        let total = total + beyond * self.policy.max_delay.map_or(longest, |max| max.as_nanos());
        let total = Duration::from_nanos_u128(total.min(Duration::MAX.as_nanos()));
        Some(limit.map_or(total, |limit| total.min(limit)))
    }

    /// The shortest possible sum of the delays; retries past 1,000 count as zero. `None` if the attempts are unlimited.
    #[must_use]
    pub fn best_case_total(&self) -> Option<Duration> {
        self.policy.attempts.retries()?;
        let total =
            self.steps().take(COUNTED).fold(Duration::ZERO, |sum, step| sum.saturating_add(step.least));
        Some(self.policy.max_elapsed.map_or(total, |limit| total.min(limit)))
    }
}

/// The steps that a total sums exactly.
const COUNTED: usize = 1_000;

/// The most rows of the table.
const ROWS: usize = 20;

/// The width of the longest bar.
const BAR: u128 = 40;

/// One row per delay: its bounds, the longest total wait so far, and a bar from the least (`·`) to the most (`█`),
/// proportional to the longest delay shown.
impl fmt::Display for Preview<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<Step> = self.steps().take(ROWS).collect();
        let longest = steps.iter().map(|step| step.most.as_nanos()).max().unwrap_or(0).max(1);
        writeln!(f, "{:>5}  {:>9}  {:>9}  {:>9}", "retry", "least", "most", "by then")?;
        let mut by_then = 0_u64;
        for step in &steps {
            by_then = by_then.saturating_add(nanos::of(step.most));
            let cells = |d: Duration| (d.as_nanos() * BAR).div_ceil(longest) as usize;
            let (from, to) = (cells(step.least), cells(step.most));
            writeln!(
                f,
                "{:>5}  {:>9}  {:>9}  {:>9}  {}{}",
                step.retry,
                Humanized(step.least).to_string(),
                Humanized(step.most).to_string(),
                Humanized(Duration::from_nanos(by_then)).to_string(),
                "·".repeat(from),
                "█".repeat(to.saturating_sub(from)),
            )?;
        }
        match self.policy.attempts.retries().map(|retries| retries.saturating_sub(ROWS as u32)) {
            None => writeln!(f, "  … without end")?,
            Some(0) => {}
            Some(more) => writeln!(f, "  … {more} more")?,
        }
        match self.worst_case_total() {
            Some(total) => write!(f, "waits at most {} in total", Humanized(total)),
            None => f.write_str("waits without limit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backoff, FailureKind, FirstRetry, Jitter, Rng};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_stay_within_their_previews() {
        for policy in [
            Policy::exponential(SECOND, 3.0).max_attempts(9),
            Policy::decorrelated(SECOND).max_attempts(9),
            Policy::fibonacci(SECOND).jitter(Jitter::Plus).first_retry(FirstRetry::AtOnce).max_attempts(9),
        ] {
            let policy = policy.build().unwrap();
            for seed in 0..200 {
                let mut total = Duration::ZERO;
                for (step, delay) in policy.preview().steps().zip(policy.delays().seeded(seed)) {
                    assert!((step.least..=step.most).contains(&delay), "{step:?} {delay:?}");
                    total += delay;
                }
                assert!(total <= policy.preview().worst_case_total().unwrap());
                assert!(total >= policy.preview().best_case_total().unwrap());
            }
        }
    }

    #[test]
    fn previews_hold_for_every_kind_of_failure() {
        let base = Policy::fixed(SECOND).jitter(Jitter::Equal).max_attempts(6);
        let linear = Backoff::Linear { initial: SECOND, step: 2 * SECOND };
        for policy in [
            base.clone().throttled_backoff(Backoff::Decorrelated { base: SECOND / 9, factor: 3.0 }),
            base.timeout_backoff(linear).throttled_backoff(Backoff::Fixed { delay: 4 * SECOND }),
        ] {
            let (policy, mut rng) = (policy.build().unwrap(), Rng::seeded(3));
            let kinds = [FailureKind::Transient, FailureKind::Timeout, FailureKind::Throttled];
            for _ in 0..300 {
                let mut previous = None;
                for step in policy.preview().steps() {
                    let kind = kinds[rng.up_to(2) as usize];
                    let delay = policy.delay_after(kind, step.retry, previous, &mut rng);
                    assert!((step.least..=step.most).contains(&delay), "{kind:?} {step:?} {delay:?}");
                    previous = Some(delay);
                }
            }
        }
        let aws = Policy::aws_standard_2026();
        assert_eq!(aws.preview().worst_case_total(), Some(3 * SECOND));
    }

    #[test]
    fn totals_of_extremes() {
        let forever = Policy::fixed(SECOND).unlimited_attempts();
        assert_eq!(forever.clone().build().unwrap().preview().worst_case_total(), None);
        let minute = forever.max_elapsed(SECOND * 60).build().unwrap();
        assert_eq!(minute.preview().worst_case_total(), Some(SECOND * 60));
        let huge = Policy::fixed(Duration::MAX).max_attempts(u32::MAX).build().unwrap();
        assert!(huge.preview().worst_case_total().unwrap() > Duration::from_secs(u64::from(u32::MAX)));
        let many = Policy::fixed(SECOND).jitter(Jitter::Plus).max_attempts(5001).build().unwrap();
        assert_eq!(many.preview().worst_case_total(), Some(10_000 * SECOND));
        let once = Policy::fixed(SECOND).max_attempts(1).build().unwrap();
        assert_eq!(once.preview().worst_case_total(), Some(Duration::ZERO));
        assert_eq!(once.preview().steps().count(), 0);
    }

    #[test]
    fn draws_a_table() {
        let policy = Policy::exponential(SECOND, 2.0).jitter(Jitter::Equal).max_attempts(4).build().unwrap();
        let expected = "\
retry      least       most    by then
    1     500 ms        1 s        1 s  ·····█████
    2        1 s        2 s        3 s  ··········██████████
    3        2 s        4 s        7 s  ····················████████████████████
waits at most 7 s in total";
        assert_eq!(policy.preview().to_string(), expected);
    }

    #[test]
    fn long_tables_are_cut() {
        let text = Policy::fixed(SECOND).max_attempts(31).build().unwrap().preview().to_string();
        assert!(text.contains("… 10 more"), "{text}");
        let text = Policy::fixed(SECOND).unlimited_attempts().build().unwrap().preview().to_string();
        assert!(text.contains("… without end") && text.ends_with("waits without limit"), "{text}");
    }
}
