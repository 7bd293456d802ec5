//! A policy in one line of text, for logs and help texts.

use std::fmt;

use super::{Attempts, FirstRetry, Hints, Policy};
use crate::humanize::Humanized;
use crate::{Backoff, Jitter};

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first_retry == FirstRetry::AtOnce {
            f.write_str("at once, then ")?;
        }
        backoff(&self.backoff, f)?;
        let of_kind =
            [("after a timeout", &self.timeout_backoff), ("when throttled", &self.throttled_backoff)];
        for (kind, of_kind) in of_kind.into_iter().filter_map(|(kind, b)| Some((kind, b.as_ref()?))) {
            write!(f, " ({kind}, ")?;
            backoff(of_kind, f)?;
            f.write_str(")")?;
        }
        if let Some(max) = self.max_delay {
            write!(f, ", up to {}", Humanized(max))?;
        }
        match self.jitter {
            Jitter::None => {}
            Jitter::Full => f.write_str(", each a random part of it")?,
            Jitter::Equal => f.write_str(", each at random from half of it")?,
            Jitter::Plus => f.write_str(", each times 1 to 2 at random")?,
            Jitter::Around { ratio } => write!(f, ", each ±{}% at random", percent(ratio))?,
        }
        match self.attempts {
            Attempts::AtMost(tries) if tries.get() == 1 => f.write_str("; 1 try")?,
            Attempts::AtMost(tries) => write!(f, "; at most {tries} tries")?,
            Attempts::Unlimited => f.write_str("; any number of tries")?,
        }
        if let Some(elapsed) = self.max_elapsed {
            write!(f, " within {}", Humanized(elapsed))?;
        }
        match self.hints {
            Hints::Obey if self.max_hint == super::builder::DEFAULT_MAX_HINT => Ok(()),
            Hints::Obey => write!(f, "; server hints up to {}", Humanized(self.max_hint)),
            Hints::Cap => write!(f, "; server hints are cut to {}", Humanized(self.max_hint)),
            Hints::Ignore => f.write_str("; server hints are ignored"),
        }
    }
}

fn backoff(backoff: &Backoff, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match backoff {
        Backoff::Fixed { delay } => write!(f, "{} each time", Humanized(*delay)),
        Backoff::Linear { initial, step } => {
            write!(f, "{}, then {} longer each time", Humanized(*initial), Humanized(*step))
        }
        Backoff::Exponential { initial, factor } => {
            write!(f, "{}, then {factor} times longer each time", Humanized(*initial))
        }
        Backoff::Fibonacci { unit } => write!(f, "{} times 1, 1, 2, 3, 5 and so on", Humanized(*unit)),
        Backoff::Decorrelated { base, factor } => {
            write!(f, "at random from {} to {factor} times the delay before", Humanized(*base))
        }
        Backoff::List { delays } => {
            for (i, delay) in delays.iter().take(SHOWN).enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                write!(f, "{comma}{}", Humanized(*delay))?;
            }
            if delays.len() > SHOWN {
                write!(f, " and {} more", delays.len() - SHOWN)?;
            }
            Ok(())
        }
    }
}

/// The listed delays that fit a line.
const SHOWN: usize = 8;

fn percent(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn policies_are_displayed() {
        let ms = Duration::from_millis;
        for (policy, words) in [
            (Policy::fixed(ms(250)).jitter(Jitter::None), "250 ms each time; at most 5 tries"),
            (
                Policy::linear(ms(100), ms(50)).jitter(Jitter::Equal).max_attempts(1),
                "100 ms, then 50 ms longer each time, up to 1 min, each at random from half of it; 1 try",
            ),
            (
                Policy::fibonacci(ms(1500)).jitter(Jitter::Plus).unlimited_attempts().max_elapsed(ms(90_000)),
                "1.5 s times 1, 1, 2, 3, 5 and so on, up to 1 min, each times 1 to 2 at random; \
                 any number of tries within 1 min 30 s",
            ),
            (
                Policy::decorrelated(ms(100)).first_retry(FirstRetry::AtOnce).hints(Hints::Ignore),
                "at once, then at random from 100 ms to 3 times the delay before, up to 1 min; at most 5 tries; \
                 server hints are ignored",
            ),
            (
                Policy::fixed(ms(50))
                    .timeout_backoff(Backoff::Fixed { delay: ms(200) })
                    .throttled_backoff(Backoff::Linear { initial: ms(1000), step: ms(1000) })
                    .jitter(Jitter::None),
                "50 ms each time (after a timeout, 200 ms each time) (when throttled, 1 s, then 1 s longer each \
                 time), up to 1 min; at most 5 tries",
            ),
            (
                Policy::list((1..=10).map(ms)).jitter(Jitter::Around { ratio: 0.125 }).hints(Hints::Cap),
                "1 ms, 2 ms, 3 ms, 4 ms, 5 ms, 6 ms, 7 ms, 8 ms and 2 more, each ±12.5% at random; \
                 at most 11 tries; server hints are cut to 1 min",
            ),
        ] {
            assert_eq!(policy.build().unwrap().to_string(), words);
        }
    }
}
