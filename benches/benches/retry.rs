//! Time of computing the next delay, compared with backon, and of the other functions that are called once per failed try.
//!
//! `cargo bench -p benches --bench retry`. Goal: no allocation, and no more time than backon. Each measurement creates an
//! iterator and takes eight delays from it, as a typical failing call does. `ours` and `backon` have the same first delay,
//! factor, cap, and a jitter of up to the delay itself.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder, ExponentialBuilder, FibonacciBuilder};
use criterion::{Criterion, criterion_group, criterion_main};
use retry::budget::Budget;
use retry::{Backoff, Failure, FailureKind, Jitter, Policy, Progress, RetryOptions, Rng};

const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(20);
const STEPS: usize = 8;

fn ours(backoff: Backoff, jitter: Jitter) -> Policy {
    let builder = Policy::builder(backoff).jitter(jitter).max_delay(CAP).unlimited_attempts();
    builder.build().expect("invariant: the numbers above are valid")
}

fn exponential(jitter: Jitter) -> Policy {
    ours(Backoff::Exponential { initial: FIRST, factor: 2.0 }, jitter)
}

fn rival() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST)
        .with_factor(2.0)
        .with_max_delay(CAP)
        .without_max_times()
        .with_jitter_seed(1)
}

fn take(mut delays: impl Iterator<Item = Duration>) {
    for _ in 0..STEPS {
        black_box(delays.next());
    }
}

fn next_delay(c: &mut Criterion) {
    let mut group = c.benchmark_group("next_delay/exponential");
    let plain = exponential(Jitter::None);
    group.bench_function("ours", |b| b.iter(|| take(black_box(&plain).delays_with(Rng::seeded(1)))));
    group.bench_function("backon", |b| b.iter(|| take(black_box(rival()).build())));
    group.finish();

    let mut group = c.benchmark_group("next_delay/exponential_jitter");
    let plus = exponential(Jitter::Plus);
    group.bench_function("ours", |b| b.iter(|| take(black_box(&plus).delays_with(Rng::seeded(1)))));
    let full = exponential(Jitter::Full);
    group.bench_function("ours_full", |b| b.iter(|| take(black_box(&full).delays_with(Rng::seeded(1)))));
    group.bench_function("backon", |b| b.iter(|| take(black_box(rival().with_jitter()).build())));
    group.finish();

    let mut group = c.benchmark_group("next_delay/fibonacci_jitter");
    let plus = ours(Backoff::Fibonacci { unit: FIRST }, Jitter::Plus);
    group.bench_function("ours", |b| b.iter(|| take(black_box(&plus).delays_with(Rng::seeded(1)))));
    let rival =
        FibonacciBuilder::new().with_min_delay(FIRST).with_max_delay(CAP).without_max_times().with_jitter();
    group.bench_function("backon", |b| b.iter(|| take(black_box(rival.with_jitter_seed(1)).build())));
    group.finish();
}

fn decide(c: &mut Criterion) {
    let policy = exponential(Jitter::Full);
    let (failure, mut rng) = (Failure::transient(), Rng::seeded(1));
    let progress = Progress::new(6, Duration::from_secs(3));
    c.bench_function("decide", |b| {
        b.iter(|| policy.decide(black_box(&failure), black_box(&progress), &mut rng));
    });
    let options = RetryOptions::default();
    c.bench_function("options_delay", |b| b.iter(|| options.delay(black_box(6), &mut rng)));
}

fn hints(c: &mut Criterion) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let headers = [
        ("content-type", "application/json"),
        ("content-length", "512"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("server", "example"),
        ("ratelimit", "\"minute\";r=0;t=12, \"day\";r=900;t=40000"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"),
    ];
    c.bench_function("hint/from_response", |b| {
        b.iter(|| retry::hint::from_response(429, black_box(headers), now));
    });
}

fn budget(c: &mut Criterion) {
    let (budget, now) = (Budget::default(), Duration::from_secs(1));
    c.bench_function("budget/retry_and_success", |b| {
        b.iter(|| {
            let paid = budget.try_retry(FailureKind::Transient, black_box(now));
            budget.succeeded(paid, black_box(now));
        });
    });
}

criterion_group!(benches, next_delay, decide, hints, budget);
criterion_main!(benches);
