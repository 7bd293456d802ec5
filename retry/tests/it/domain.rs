//! Properties that hold for every policy that can be built, every attempt number, every time.

use std::time::Duration;

use proptest::prelude::*;
use retry::hint::{Hint, HintSource, Requested};
use retry::run::Retry;
use retry::{
    Attempts, Backoff, Decision, Failure, FailureKind, FirstRetry, GiveUp, Hints, Jitter, Policy, Progress,
    RetryOptions, Rng,
};

use crate::cases;
use crate::virtual_clock::VirtualClock;

/// Durations of every size, the extremes among them.
fn duration() -> BoxedStrategy<Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        Just(Duration::from_nanos(u64::MAX)),
        (0..100_000_u64).prop_map(Duration::from_millis),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        any::<u64>().prop_map(Duration::from_nanos),
    ]
    .boxed()
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        1.0..3.0,
        (0..256_u32).prop_map(|n| f64::from(n) / 64.0),
        Just(1.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        any::<f64>(),
        0.0..1.0
    ]
}

fn attempt() -> impl Strategy<Value = u32> {
    prop_oneof![0..70_u32, Just(u32::MAX), any::<u32>()]
}

fn backoff() -> BoxedStrategy<Backoff> {
    prop_oneof![
        duration().prop_map(|delay| Backoff::Fixed { delay }),
        (duration(), duration()).prop_map(|(initial, step)| Backoff::Linear { initial, step }),
        (duration(), number()).prop_map(|(initial, factor)| Backoff::Exponential { initial, factor }),
        duration().prop_map(|unit| Backoff::Fibonacci { unit }),
        (duration(), number()).prop_map(|(base, factor)| Backoff::Decorrelated { base, factor }),
        prop::collection::vec(duration(), 0..5).prop_map(|delays| Backoff::List { delays: delays.into() }),
    ]
    .boxed()
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        Just(Jitter::Plus),
        number().prop_map(|ratio| Jitter::Around { ratio }),
    ]
}

/// A policy from any settings; `None` for invalid settings.
fn built() -> impl Strategy<Value = Option<Policy>> {
    (
        backoff(),
        prop::option::of(jitter()),
        prop_oneof![Just(Some(0)), attempt().prop_map(Some), (0..10_u32).prop_map(Some), Just(None)],
        prop::option::of(duration()),
        prop::option::of(duration()),
        prop::sample::select(vec![FirstRetry::AtOnce, FirstRetry::AfterDelay]),
        prop::sample::select(vec![Hints::Obey, Hints::Cap, Hints::Ignore]),
    )
        .prop_map(|(backoff, jitter, attempts, max_delay, max_elapsed, first, hints)| {
            let mut builder = Policy::builder(backoff).first_retry(first).hints(hints);
            builder = match attempts {
                Some(tries) => builder.max_attempts(tries),
                None => builder.unlimited_attempts(),
            };
            if let Some(jitter) = jitter {
                builder = builder.jitter(jitter);
            }
            if let Some(max) = max_delay {
                builder = builder.max_delay(max);
            }
            if let Some(max) = max_elapsed {
                builder = builder.max_elapsed(max);
            }
            builder.build().ok()
        })
}

/// Boxed, as its parts are: unboxed, the strategy's own type outgrows a test thread's stack.
fn policy() -> BoxedStrategy<Policy> {
    built().prop_filter_map("not a valid policy", |policy| policy).boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    let asked = prop_oneof![duration().prop_map(Requested::Wait), duration().prop_map(Requested::Past)];
    let kind = prop::sample::select(vec![
        FailureKind::Transient,
        FailureKind::Timeout,
        FailureKind::Throttled,
        FailureKind::Permanent,
    ]);
    (kind, prop::option::of(asked))
        .prop_map(|(kind, asked)| {
            Failure::new(kind).with_hint(asked.map(|asked| Hint::new(asked, HintSource::Caller)))
        })
        .boxed()
}

/// The longest delay without hints.
fn longest(policy: &Policy) -> Duration {
    policy.max_delay().unwrap_or(Duration::MAX)
}

/// The longest delay with hints.
fn longest_wait(policy: &Policy) -> Duration {
    longest(policy).max(policy.max_hint().saturating_add(policy.max_hint() / 10))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_delay_is_past_the_maximum(
        policy in policy(), retry in attempt(), previous in prop::option::of(duration()), seed: u64,
    ) {
        let delay = policy.delay(retry, previous, &mut Rng::seeded(seed));
        prop_assert!(delay <= longest(&policy), "{policy:?} {delay:?}");
    }

    #[test]
    fn delays_end_in_time_and_stay_within_their_preview(policy in policy(), seed: u64) {
        let delays: Vec<Duration> = policy.delays().seeded(seed).take(100).collect();
        if let Attempts::AtMost(tries) = policy.attempts() {
            prop_assert!(delays.len() < tries.get() as usize);
        }
        for (delay, step) in delays.iter().zip(policy.preview().steps()) {
            prop_assert!(*delay <= longest(&policy));
            prop_assert!((step.least..=step.most).contains(delay), "{policy:?} {delay:?} {step:?}");
        }
        let total = delays.iter().try_fold(Duration::ZERO, |sum, delay| sum.checked_add(*delay));
        if let Some(limit) = policy.max_elapsed() {
            prop_assert!(total.is_some_and(|total| total < limit), "{policy:?} {delays:?}");
        }
        if let (Some(total), Some(worst)) = (total, policy.preview().worst_case_total()) {
            // Beyond 2^53 nanoseconds the worst case is rounded.
            prop_assert!(total <= worst.saturating_add(worst / 1_000_000), "{policy:?} {total:?} {worst:?}");
        }
    }

    #[test]
    fn delays_and_delay_agree(policy in policy(), seed: u64) {
        let (mut rng, mut previous) = (Rng::seeded(seed), None);
        for (retry, delay) in (1..).zip(policy.delays().seeded(seed).take(50)) {
            prop_assert_eq!(policy.delay(retry, previous, &mut rng), delay);
            previous = Some(delay);
        }
    }

    #[test]
    fn a_decision_keeps_every_limit(
        policy in policy(), failure in failure(), tries in attempt(), elapsed in duration(),
        previous in prop::option::of(duration()), left in prop::option::of(duration()), seed: u64,
    ) {
        let mut progress = Progress::new(tries, elapsed);
        if let Some(previous) = previous { progress = progress.previous_delay(previous); }
        if let Some(left) = left { progress = progress.time_left(left); }
        let decide = || policy.decide(&failure, &progress, &mut Rng::seeded(seed));
        let decision = decide();
        prop_assert_eq!(decision, decide());
        match decision {
            Decision::GiveUp(reason) => {
                prop_assert!(!reason.to_string().is_empty());
                prop_assert_eq!(reason == GiveUp::Permanent, failure.kind() == FailureKind::Permanent);
            }
            Decision::RetryAfter(delay) => {
                prop_assert!(delay <= longest_wait(&policy));
                prop_assert!(policy.attempts().allows_another(tries));
                prop_assert!(policy.max_elapsed().is_none_or(|limit| elapsed.saturating_add(delay) < limit));
                prop_assert!(left.is_none_or(|left| delay < left));
                if let (Some(hint), Hints::Obey) = (failure.hint(), policy.hints()) {
                    prop_assert!(delay >= hint.raw.clamped_to(Duration::MAX));
                }
            }
        }
    }

    #[test]
    fn a_run_makes_the_tries_it_may_and_never_waits_after_the_last(
        policy in policy(), failures in prop::collection::vec((failure(), duration()), 0..20),
        oversleeps in prop_oneof![Just(Duration::ZERO), duration()], within in prop::option::of(duration()),
        seed: u64,
    ) {
        let clock = VirtualClock::oversleeping(oversleeps);
        let mut begun = Vec::new();
        let mut outcomes = failures.into_iter();
        let mut retry = Retry::new(&policy).classify(|failure: &Failure| *failure).seed(seed);
        if let Some(within) = within { retry = retry.within(within); }
        let result = retry.run_with(&clock, |attempt| {
            begun.push((attempt.number, retry::run::Clock::now(&clock)));
            let Some((failure, took)) = outcomes.next() else { return Ok(()) };
            clock.advance(took);
            Err(failure)
        });
        let waits = clock.waits();
        prop_assert!(waits.iter().all(|wait| *wait <= longest_wait(&policy) && !wait.is_zero()));
        prop_assert!(begun.iter().map(|(number, _)| *number).eq(1..=begun.len() as u32));
        for (_, at) in begun.iter().skip(1) {
            prop_assert!(policy.max_elapsed().is_none_or(|limit| *at < limit));
            prop_assert!(within.is_none_or(|limit| *at < limit));
        }
        if let Attempts::AtMost(tries) = policy.attempts() {
            prop_assert!(begun.len() <= tries.get() as usize);
        }
        match result {
            Ok(()) => prop_assert!(waits.len() < begun.len()),
            Err(err) => {
                prop_assert_eq!(err.tries() as usize, begun.len());
                prop_assert!(err.last().is_some());
                // Only a wait that took too long, past a limit, has no try after it.
                prop_assert!(waits.len() < begun.len() || !oversleeps.is_zero());
            }
        }
    }

    #[test]
    fn display_never_fails(policy in policy()) {
        prop_assert!(!policy.to_string().is_empty());
        prop_assert!(policy.preview().to_string().starts_with("retry"));
    }

    #[test]
    fn json_round_trips(policy in policy()) {
        let text = serde_json::to_string(&policy).unwrap();
        let exact = policy_is_whole(&policy);
        match serde_json::from_str::<Policy>(&text) {
            Ok(read) if exact => prop_assert_eq!(read, policy),
            // Milliseconds with a fraction go through f64 too.
            Ok(_) => {}
            Err(err) => prop_assert!(!exact, "{err} {text}"),
        }
    }

    #[test]
    fn options_and_their_policy_agree(
        limit in 1..100_u32, factor in 1.0..5.0, min in duration(), max in duration(), randomize: bool, seed: u64,
    ) {
        let options = RetryOptions::builder()
            .limit(limit).factor(factor).min_timeout(min).max_timeout(max).randomize(randomize).build().unwrap();
        let mut rng = Rng::seeded(seed);
        let expected: Vec<Duration> = (1..limit).map(|k| options.delay(k, &mut rng)).collect();
        prop_assert!(expected.iter().all(|delay| *delay <= max));
        let policy: Vec<Duration> = Policy::from(&options).delays().seeded(seed).collect();
        prop_assert_eq!(expected, policy);
    }

    #[test]
    fn options_never_panic(min in duration(), max in duration(), factor in number(), k: u32, seed: u64) {
        if let Ok(options) = RetryOptions::builder().min_timeout(min).max_timeout(max).factor(factor).build() {
            prop_assert!(options.delay(k, &mut Rng::seeded(seed)) <= max);
        }
    }
}

/// Whether JSON gives every number back as it was: durations in whole milliseconds, and factors of few
/// digits, for serde_json's default reading of floats may be off by one in the last place.
fn policy_is_whole(policy: &Policy) -> bool {
    let whole =
        |d: &Duration| d.subsec_nanos().is_multiple_of(1_000_000) && u64::try_from(d.as_millis()).is_ok();
    let short = |number: f64| number < 1e6 && (number * 64.0).fract() == 0.0;
    let backoff = match policy.backoff() {
        Backoff::Fixed { delay } => whole(delay),
        Backoff::Linear { initial, step } => whole(initial) && whole(step),
        Backoff::Exponential { initial, factor } => whole(initial) && short(*factor),
        Backoff::Fibonacci { unit } => whole(unit),
        Backoff::Decorrelated { base, factor } => whole(base) && short(*factor),
        Backoff::List { delays } => delays.iter().all(whole),
        _ => false,
    };
    let jitter = !matches!(policy.jitter(), Jitter::Around { ratio } if !short(ratio));
    backoff && jitter && policy.max_delay().iter().all(whole) && policy.max_elapsed().iter().all(whole)
}
