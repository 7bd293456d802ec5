//! Known defects of similar crates, each with a test that it is absent here. `docs/retry.md` has the table with the reports.

use std::time::{Duration, SystemTime};

use retry::budget::Budget;
use retry::hint::from_response;
use retry::run::{Clock, Retry};
use retry::{
    Attempts, Decision, Failure, FailureKind, FirstRetry, GiveUp, Jitter, Policy, Progress,
    ResponseClassifier, RetryOptions, Rng,
};

use crate::virtual_clock::VirtualClock;

const SECOND: Duration = Duration::from_secs(1);

/// backon 240 and its jitter, langgraph 7850, agenda 1748, river 1022: jitter was added after the cap.
#[test]
fn the_cap_holds_after_jitter() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::Plus, Jitter::Around { ratio: 1.0 }] {
        let policy = Policy::exponential(SECOND, 2.0)
            .jitter(jitter)
            .max_delay(10 * SECOND)
            .max_attempts(50)
            .build()
            .unwrap();
        assert!(
            (0..200).all(|seed| policy.delays().seeded(seed).all(|delay| delay <= 10 * SECOND)),
            "{jitter:?}"
        );
    }
    let options = RetryOptions::builder().limit(50).build().unwrap();
    let mut rng = Rng::seeded(0);
    assert!((1..50).all(|k| options.delay(k, &mut rng) <= options.max_timeout()));
}

/// backon 231: fibonacci delays were added up past the cap.
#[test]
fn fibonacci_keeps_the_cap() {
    let policy = Policy::fibonacci(SECOND)
        .jitter(Jitter::None)
        .max_delay(10 * SECOND)
        .max_attempts(99)
        .build()
        .unwrap();
    assert_eq!(policy.delays().max(), Some(10 * SECOND));
}

/// tokio-retry 1, tryhard 24, exponential-backoff 12, aws-sdk-rust 960: a panic after 32 or 64 tries, the cap
/// notwithstanding. mulligan 31: in release builds, no delay at all instead.
#[test]
fn high_attempts_give_the_cap() {
    let cap = 30 * SECOND;
    for builder in [
        Policy::exponential(SECOND, 2.0),
        Policy::exponential(SECOND, f64::MAX),
        Policy::linear(SECOND, SECOND),
        Policy::fibonacci(SECOND),
    ] {
        let policy = builder.jitter(Jitter::None).max_delay(cap).unlimited_attempts().build().unwrap();
        for retry in [32, 33, 63, 64, 65, 1_000, u32::MAX] {
            assert_eq!(policy.delay(retry, None, &mut Rng::seeded(0)), cap, "{policy} {retry}");
        }
    }
    let endless = Policy::exponential(Duration::MAX, 2.0)
        .max_delay(Duration::MAX)
        .jitter(Jitter::Plus)
        .unlimited_attempts()
        .build()
        .unwrap();
    assert!(endless.delays().take(1_000).all(|delay| delay > Duration::from_secs(1 << 33)));
}

/// es-toolkit 1901, redis-js 1342, pinot 9158, backon 23: a sleep after the last try.
#[test]
fn nothing_waits_after_the_last_try() {
    let clock = VirtualClock::default();
    let policy = Policy::fixed(SECOND).jitter(Jitter::None).max_attempts(3).build().unwrap();
    let err = Retry::new(&policy).run_with(&clock, |_| Err::<(), _>("down")).unwrap_err();
    assert_eq!((err.tries(), clock.waits().len()), (3, 2));
    assert_eq!(clock.now(), 2 * SECOND);
}

/// A limit of elapsed time that is checked after the sleep: the sleep, and often a try, happen past it.
#[test]
fn no_wait_leads_past_the_deadline() {
    let clock = VirtualClock::default();
    let policy =
        Policy::fixed(10 * SECOND).jitter(Jitter::None).unlimited_attempts().max_elapsed(25 * SECOND).build();
    let policy = policy.unwrap();
    let err = Retry::new(&policy).run_with(&clock, |_| Err::<(), _>("down")).unwrap_err();
    assert_eq!((err.tries(), clock.now()), (3, 20 * SECOND));
    assert!(matches!(err.reason(), GiveUp::Elapsed { .. }));
}

/// reqwest-middleware 146, janus 3943: Retry-After is ignored, or its date is.
#[test]
fn retry_after_counts_as_seconds_and_as_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
    let policy = Policy::fixed(SECOND).jitter(Jitter::None).build().unwrap();
    for value in ["7", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let failure = Failure::from_response(503, [("Retry-After", value)], now);
        let decision = policy.decide(&failure, &Progress::new(1, SECOND), &mut Rng::seeded(0));
        assert_eq!(decision, Decision::RetryAfter(7 * SECOND), "{value}");
    }
}

/// A date compared with the local clock alone: a clock one hour fast does not wait, a clock one hour slow waits an hour.
#[test]
fn a_wrong_clock_does_not_shift_a_date() {
    let headers =
        [("Date", "Sun, 06 Nov 1994 08:49:30 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")];
    for off in [0, 784_000_000, 784_111_770, 900_000_000] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(off);
        assert_eq!(from_response(503, headers, now).map(|hint| hint.delay), Some(7 * SECOND));
    }
}

/// retry4j 36 and others: the meaning of a zero delay is unclear. Here a backoff from zero is refused, and a first retry at
/// once is an explicit setting.
#[test]
fn zero_delays_are_explicit() {
    assert_eq!(Policy::exponential(Duration::ZERO, 2.0).build().unwrap_err().field(), "initialInMs");
    let delays = |first| {
        let policy = Policy::exponential(SECOND, 2.0).jitter(Jitter::None).first_retry(first).max_attempts(4);
        policy.build().unwrap().delays().map(|delay| delay.as_secs()).collect::<Vec<_>>()
    };
    assert_eq!(delays(FirstRetry::AtOnce), [0, 1, 2]);
    assert_eq!(delays(FirstRetry::AfterDelay), [1, 2, 4]);
}

/// tokio-retry 22: `from_millis(50)` is 50 ms to the power of the retry. The first delay and the factor are
/// two numbers.
#[test]
fn the_first_delay_is_not_the_factor() {
    let policy = Policy::exponential(Duration::from_millis(50), 2.0).jitter(Jitter::None).build().unwrap();
    let millis: Vec<u128> = policy.delays().map(|delay| delay.as_millis()).collect();
    assert_eq!(millis, [50, 100, 200, 400]);
}

/// Crates disagree on whether a limit counts retries or tries. Here every limit counts tries, the first included.
#[test]
fn limits_count_the_first_try() {
    let clock = VirtualClock::default();
    let policy = Policy::fixed(SECOND).max_attempts(1).build().unwrap();
    let err = Retry::new(&policy).run_with(&clock, |_| Err::<(), _>(())).unwrap_err();
    assert_eq!((err.tries(), err.reason()), (1, GiveUp::Attempts { made: 1 }));
    assert!(clock.waits().is_empty());
    assert_eq!(Attempts::at_most(0), None);
}

/// Budgets that only successes refill (AWS, gRPC) block a client with little traffic after an outage; Finagle's minimum of
/// retries per second prevents it.
#[test]
fn a_spent_budget_refills_without_traffic() {
    let budget = Budget::default();
    let kind = FailureKind::Transient;
    while budget.try_retry(kind, SECOND).is_some() {}
    assert!(budget.try_retry(kind, SECOND + SECOND / 2).is_none());
    assert!(budget.try_retry(kind, 2 * SECOND).is_some());
}

/// A percentage of no traffic is zero: the first call of a quiet client must still be allowed a retry.
#[test]
fn a_new_budget_allows_the_first_retry() {
    for budget in [Budget::default(), Budget::aws_standard(), Budget::grpc(10.0, 0.1).unwrap()] {
        assert!(budget.try_retry(FailureKind::Timeout, Duration::ZERO).is_some());
    }
}

/// tower 857: integer division lets more retries through than the percentage says.
#[test]
fn fractions_of_a_token_are_kept() {
    let budget =
        Budget::builder().capacity(10.0).retry_cost(1.0).success_gain(0.6).per_second(0.0).build().unwrap();
    while budget.try_retry(FailureKind::Transient, SECOND).is_some() {}
    (0..10).for_each(|_| budget.succeeded(None, SECOND));
    let allowed = (0..10).filter(|_| budget.try_retry(FailureKind::Transient, SECOND).is_some()).count();
    assert_eq!(allowed, 6);
}

/// Without a budget an outage multiplies the load by the number of tries; with a budget the load stays near that of the
/// first tries.
#[test]
fn a_budget_bounds_the_load_of_an_outage() {
    let policy = Policy::fixed(Duration::from_millis(1)).max_attempts(5).build().unwrap();
    let budget = Budget::aws_standard();
    let clock = VirtualClock::default();
    let mut tries = 0_u32;
    for _ in 0..10_000 {
        let result = Retry::new(&policy).budget(&budget).run_with(&clock, |_| {
            tries += 1;
            Err::<(), _>("down")
        });
        assert!(result.is_err());
    }
    assert_eq!(tries, 10_000 + 100);
}

/// got 991, curl 19011, descope/python-sdk 1581, anthropic-sdk-typescript 791: Cloudflare's and Anthropic's statuses end a
/// call at once.
#[test]
fn every_transient_status_is_retried() {
    let policy = Policy::default();
    for status in [500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527, 529, 530] {
        let failure = Failure::from_response(status, [], SystemTime::UNIX_EPOCH);
        let decision = policy.decide(&failure, &Progress::new(1, SECOND), &mut Rng::seeded(0));
        assert!(matches!(decision, Decision::RetryAfter(_)), "{status}: {decision:?}");
    }
}

/// renovate 25499, agentconnect 1981: GitHub's secondary limit is a 403 with `Retry-After`, and looks permanent.
#[test]
fn a_throttled_403_is_retried() {
    let kind = |headers: &[(&str, &str)]| {
        Failure::from_response(403, headers.iter().copied(), SystemTime::UNIX_EPOCH).kind()
    };
    assert_eq!(kind(&[("retry-after", "60"), ("x-ratelimit-remaining", "4000")]), FailureKind::Throttled);
    assert_eq!(kind(&[("x-ratelimit-remaining", "4000")]), FailureKind::Permanent);
}

/// viur-vi 49, logstash-output-http 105, aioduct 79: repeated POSTs create duplicates.
#[test]
fn a_post_is_not_repeated_after_the_server_may_have_processed_it() {
    let post = ResponseClassifier::new().method("POST");
    for status in [408, 500, 502, 503, 504, 520] {
        assert_eq!(
            post.classify(status, [], SystemTime::UNIX_EPOCH).kind(),
            FailureKind::Permanent,
            "{status}"
        );
    }
    assert_eq!(post.timeout().kind(), FailureKind::Permanent);
    assert_eq!(post.classify(429, [], SystemTime::UNIX_EPOCH).kind(), FailureKind::Throttled);
    assert_eq!(post.connect_error().kind(), FailureKind::Transient);
}

/// SpaceTradersAPI 24, restlet 1356, notebooklm-py 1275: fractions; clawhub 407: a Unix time; mastra 23778: a malformed value
/// taken for a year.
#[test]
fn retry_after_is_read_as_servers_send_it() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_771_404_480);
    let delay = |value| from_response(429, [("Retry-After", value)], now).map(|hint| hint.delay);
    assert_eq!(delay("0.493"), Some(Duration::from_millis(493)));
    assert_eq!(delay("1771404540"), Some(60 * SECOND));
    assert_eq!(delay("-3"), Some(Duration::ZERO));
    assert_eq!(delay("120junk"), None);
}

/// openfga/dotnet-sdk 76: a Unix time read as milliseconds from now; coral 89: a past Unix time read as a wait.
#[test]
fn a_reset_is_a_time_or_a_wait() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_771_404_480);
    let delay = |value| {
        let headers = [("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", value)];
        from_response(429, headers, now).map(|hint| hint.delay)
    };
    for (value, secs) in [("1771404490", 10), ("1771404490000", 10), ("10", 10), ("1771404400", 0)] {
        assert_eq!(delay(value), Some(Duration::from_secs(secs)), "{value}");
    }
}

/// ToolUniverse 217, xeroizer 585, opencode 4135: a long Retry-After blocks the caller for hours.
#[test]
fn a_long_hint_gives_up_at_once() {
    for policy in [Policy::fixed(SECOND), Policy::exponential(SECOND, 2.0), Policy::list([SECOND])] {
        let failure = Failure::from_response(429, [("Retry-After", "3600")], SystemTime::UNIX_EPOCH);
        let decision =
            policy.build().unwrap().decide(&failure, &Progress::new(1, SECOND), &mut Rng::seeded(0));
        let longest = 60 * SECOND;
        assert_eq!(decision, Decision::GiveUp(GiveUp::HintTooLong { asked: 3600 * SECOND, longest }));
    }
}
