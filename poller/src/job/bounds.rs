//! The bounds that limits put on the times of a spec: the same when a spec is read and when it is submitted, where it may
//! have been read under wider ones.

use std::ops::RangeInclusive;
use std::time::Duration;

use filter::Diagnostic;
use retry::RetryOptions;
use retry::strategy::Strategy;

use super::{PollSpec, SpecError};
use crate::limits::{FINEST, LONGEST, Limits};
use filter::decode::child;

/// What to do about a time out of bounds.
pub(super) const WHO_SETS_THEM: &str =
    "whoever runs the poller sets these bounds: `poll run --unbounded`, or `Limits` in code";

/// The bounds as they apply: never finer than [`FINEST`].
pub(super) fn effective(bounds: &RangeInclusive<Duration>) -> RangeInclusive<Duration> {
    let low = (*bounds.start()).max(FINEST);
    low..=(*bounds.end()).max(low)
}

/// Bounds in words: `10 s to 300 s`.
pub(super) fn in_words(bounds: &RangeInclusive<Duration>) -> String {
    let (low, high) = (bounds.start().as_secs_f64(), bounds.end().as_secs_f64());
    if *bounds.end() < LONGEST { format!("{low} s to {high} s") } else { format!("at least {low} s") }
}

impl PollSpec {
    /// Whether a spec keeps these limits.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), SpecError> {
        let mut problems = Vec::new();
        let times =
            [("/interval", self.interval(), &limits.interval), ("/timeout", self.timeout(), &limits.timeout)];
        for (pointer, found, bounds) in times {
            let bounds = effective(bounds);
            if !bounds.contains(&found) {
                let found = found.as_secs_f64();
                let message = format!("found {found} s, expected {}", in_words(&bounds));
                problems.push(Diagnostic::error(message).with_pointer(pointer).with_help(WHO_SETS_THEM));
            }
        }
        if let Some(options) = &self.request_timeout().retry {
            check_retry(options, "/requestTimeout/retry", limits, &mut problems);
        }
        for rule in self.retry() {
            if let Strategy::Backoff(options) = &rule.strategy {
                let pointer = child("/retry", &rule.statuses.to_string());
                check_retry(options, &pointer, limits, &mut problems);
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(SpecError::from(problems)) }
    }
}

fn check_retry(options: &RetryOptions, pointer: &str, limits: &Limits, problems: &mut Vec<Diagnostic>) {
    let mut problem = |member: &str, message: String| {
        problems
            .push(Diagnostic::error(message).with_pointer(child(pointer, member)).with_help(WHO_SETS_THEM));
    };
    if options.limit() > limits.retry_tries {
        problem("limit", format!("found {}, expected at most {}", options.limit(), limits.retry_tries));
    }
    for (member, delay) in
        [("minTimeoutInMs", options.min_timeout()), ("maxTimeoutInMs", options.max_timeout())]
    {
        if delay < limits.retry_delay {
            let (found, least) = (delay.as_millis(), limits.retry_delay.as_millis());
            problem(member, format!("found {found}, expected at least {least} ms"));
        }
    }
}
