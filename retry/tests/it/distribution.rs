//! Each jitter's distribution against its formula.
//!
//! Kolmogorov and Smirnov's test: the largest gap between the drawn and the stated distribution, times √n, is
//! below 1.95 for 999 of 1000 samples of the stated distribution. Seeds are fixed, so a test that passes keeps passing.

use std::time::Duration;

use retry::{Backoff, Jitter, Policy, PolicyBuilder, Rng};

const DRAWS: usize = 100_000;
const MS: f64 = 1e-3;

/// Delays before retry `retry`, in seconds, sorted.
fn draws(builder: PolicyBuilder, retry: u32, previous: Option<Duration>) -> Vec<f64> {
    let policy = builder.build().unwrap();
    let mut rng = Rng::seeded(20_150_304);
    let mut drawn: Vec<f64> =
        (0..DRAWS).map(|_| policy.delay(retry, previous, &mut rng).as_secs_f64()).collect();
    drawn.sort_by(f64::total_cmp);
    drawn
}

fn assert_uniform(name: &str, drawn: &[f64], low: f64, high: f64) {
    let n = drawn.len() as f64;
    let gap = drawn.iter().enumerate().fold(0.0_f64, |gap, (i, x)| {
        let stated = ((x - low) / (high - low)).clamp(0.0, 1.0);
        gap.max((stated - i as f64 / n).abs()).max(((i + 1) as f64 / n - stated).abs())
    });
    assert!(gap * n.sqrt() < 1.95, "{name}: gap {gap}");
    assert!(
        drawn.first().is_some_and(|x| *x >= low - 1e-9) && drawn.last().is_some_and(|x| *x <= high + 1e-9)
    );
}

/// 100 ms, doubled: 400 ms before the third retry.
fn doubling(jitter: Jitter) -> PolicyBuilder {
    Policy::exponential(Duration::from_millis(100), 2.0).jitter(jitter)
}

#[test]
fn full_is_even_from_zero_to_the_delay() {
    assert_uniform("full", &draws(doubling(Jitter::Full), 3, None), 0.0, 400.0 * MS);
    let capped = doubling(Jitter::Full).max_delay(Duration::from_millis(250));
    assert_uniform("full, capped", &draws(capped, 9, None), 0.0, 250.0 * MS);
}

#[test]
fn equal_is_even_over_the_upper_half() {
    assert_uniform("equal", &draws(doubling(Jitter::Equal), 3, None), 200.0 * MS, 400.0 * MS);
}

#[test]
fn plus_is_even_from_once_to_twice() {
    assert_uniform("plus", &draws(doubling(Jitter::Plus), 3, None), 400.0 * MS, 800.0 * MS);
}

#[test]
fn plus_at_the_cap_is_what_trigger_devs_formula_gives() {
    let drawn = draws(doubling(Jitter::Plus).max_delay(Duration::from_millis(500)), 3, None);
    let below = drawn.iter().take_while(|x| **x < 500.0 * MS).count();
    // 400 ms × (1 + u) reaches 500 ms for u ≥ 1/4.
    let share = below as f64 / DRAWS as f64;
    assert!((share - 0.25).abs() < 0.005, "{share}");
    assert_uniform("plus, below the cap", &drawn[..below], 400.0 * MS, 500.0 * MS);
}

#[test]
fn around_is_even_about_the_delay() {
    let around = Jitter::Around { ratio: 0.2 };
    assert_uniform("around", &draws(doubling(around), 3, None), 320.0 * MS, 480.0 * MS);
    let capped = doubling(around).max_delay(Duration::from_millis(400));
    assert_uniform("around, capped", &draws(capped, 9, None), 320.0 * MS, 400.0 * MS);
}

#[test]
fn decorrelated_is_even_from_the_base_to_three_times_the_delay_before() {
    let base = Duration::from_millis(100);
    let policy = || Policy::decorrelated(base).max_delay(Duration::from_secs(60));
    assert_uniform("decorrelated, first", &draws(policy(), 1, None), 100.0 * MS, 300.0 * MS);
    let previous = Some(Duration::from_millis(700));
    assert_uniform("decorrelated, later", &draws(policy(), 5, previous), 100.0 * MS, 2100.0 * MS);

    let capped = draws(Policy::decorrelated(base).max_delay(Duration::from_millis(1100)), 5, previous);
    let below = capped.iter().take_while(|x| **x < 1100.0 * MS).count();
    assert!((below as f64 / DRAWS as f64 - 0.5).abs() < 0.005);
    assert_uniform("decorrelated, below the cap", &capped[..below], 100.0 * MS, 1100.0 * MS);
}

#[test]
fn decorrelated_with_another_factor() {
    let backoff = Backoff::Decorrelated { base: Duration::from_millis(100), factor: 1.5 };
    assert_uniform("factor 1.5", &draws(Policy::builder(backoff), 1, None), 100.0 * MS, 150.0 * MS);
}

/// Of many clients that fail together, few retry together.
#[test]
fn full_jitter_spreads_a_herd_and_plus_at_the_cap_does_not() {
    let busiest = |jitter| {
        let drawn = draws(doubling(jitter).max_delay(Duration::from_millis(400)), 9, None);
        let mut slots = [0_usize; 41];
        drawn.iter().for_each(|x| slots[(x / (10.0 * MS)) as usize] += 1);
        slots.into_iter().max().unwrap_or(0)
    };
    assert!(busiest(Jitter::Full) < DRAWS / 35);
    assert_eq!(busiest(Jitter::Plus), DRAWS);
}
