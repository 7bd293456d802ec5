//! A simulated hour of the pure core: a million polls with a request every 30 seconds, 120 million requests in total.
//!
//! `cargo bench -p benches --bench poller_hour [-- POLLS]`

use std::time::{Duration, Instant};

use poller::PollSpec;
use poller::simulate::{self, Plan};

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn main() {
    let polls = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1_000_000);
    let spec = PollSpec::builder("https://api.example.com/v1/exports/")
        .interval(Duration::from_secs(30))
        .timeout(Duration::from_secs(3600))
        .response_filter(serde_json::json!({"status": [200], "body": {"status": ["SUCCESS"]}}))
        .failure_filter(serde_json::json!({"body": {"status": ["FAILED", "CANCELLED"]}}))
        .build()
        .expect("the spec is valid");
    let body = r#"{"id":42,"status":"PENDING","progress":0.5}"#.into();
    let plan = Plan { polls, spec, latency: Duration::from_millis(50), body };
    let began = Instant::now();
    let report = simulate::run(&plan);
    let took = began.elapsed();
    println!(
        "{polls} polls, {} requests, {} outcomes, {:?} of their time: {:.1} s, {:.0} ns a request; none later than {:?}",
        report.requests,
        report.outcomes,
        report.simulated,
        took.as_secs_f64(),
        took.as_nanos() as f64 / report.requests as f64,
        report.latest,
    );
}
