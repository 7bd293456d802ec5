//! Policies, options and strategies in JSON, YAML, TOML and `config`: what one writes, it reads back.
//!
//! TOML and `config` deliver integers as `i64`; YAML has a syntax of its own for enums; TOML, `config` and `serde_json::Value`
//! lose the order of members, on which strategies by status depend.

use std::fmt::Debug;
use std::time::Duration;

use retry::status::StatusPattern;
use retry::strategy::{ByStatus, FetchRetryOptions, Strategy};
use retry::{Attempts, Backoff, FirstRetry, Hints, Jitter, Policy, RetryOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the crate `config` makes of a TOML file.
fn configured<T: DeserializeOwned>(toml: &str) -> T {
    let source = config::File::from_str(toml, config::FileFormat::Toml);
    config::Config::builder().add_source(source).build().unwrap().try_deserialize().unwrap()
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for (text, read) in written_and_read(value) {
        assert_eq!(&read, value, "{text}");
    }
}

/// The value in each format, and what the format's readers make of it.
fn written_and_read<T: Serialize + DeserializeOwned>(value: &T) -> [(String, T); 5] {
    let json = serde_json::to_string(value).unwrap();
    let toml = toml::to_string(value).unwrap();
    let yaml = serde_norway::to_string(value).unwrap();
    let tree = serde_json::to_value(value).unwrap();
    [
        (json.clone(), serde_json::from_str(&json).unwrap()),
        (json, serde_json::from_value(tree).unwrap()),
        (toml.clone(), toml::from_str(&toml).unwrap()),
        (toml.clone(), configured(&toml)),
        (yaml.clone(), serde_norway::from_str(&yaml).unwrap()),
    ]
}

#[test]
fn every_format_reads_what_it_writes() {
    let second = Duration::from_secs(1);
    for builder in [
        Policy::exponential(second, 1.8).max_elapsed(60 * second).hints(Hints::Cap).max_hint(5 * second),
        Policy::fixed(second).unlimited_attempts().jitter(Jitter::Around { ratio: 0.25 }),
        Policy::linear(second, second / 2).first_retry(FirstRetry::AtOnce),
        Policy::fibonacci(second / 4).throttled_backoff(Backoff::Fixed { delay: 9 * second }),
        Policy::fixed(second).timeout_backoff(Backoff::Linear { initial: second, step: second }),
        Policy::decorrelated(second),
        Policy::list([Duration::ZERO, second, 2 * second]),
    ] {
        round_trip(&builder.build().unwrap());
    }
    round_trip(&RetryOptions::default());
    for by_status in [
        // Apart, and overlapping in the order opposite to that of sorted keys.
        r#"{"5xx,408": {"strategy": "backoff", "limit": 4, "factor": 2, "minTimeoutInMs": 250},
            "429": {"strategy": "headers", "resetHeader": "x-reset", "resetFormat": "seconds", "limit": 3}}"#,
        r#"{"503": {"strategy": "backoff", "limit": 4}, "5xx": {"strategy": "backoff", "limit": 3},
            "429": {"strategy": "headers", "resetHeader": "x-reset"}, "400-499": {"strategy": "backoff", "limit": 2},
            "200-599": {"strategy": "backoff", "limit": 1}}"#,
    ] {
        let text = format!(r#"{{"byStatus": {by_status}, "timeout": {{"limit": 2}}}}"#);
        let options: FetchRetryOptions = serde_json::from_str(&text).unwrap();
        for (text, read) in written_and_read(&options) {
            assert_eq!(in_any_order(&read.by_status), in_any_order(&options.by_status), "{text}");
        }
    }
}

/// The same entries if their order decides, and sorted if it does not: a format may then sort them.
fn in_any_order(by_status: &ByStatus) -> ByStatus {
    let mut entries = by_status.entries().to_vec();
    if (100..1000).all(|status| by_status.applicable(status).count() < 2) {
        entries.sort_by_key(|(statuses, _)| statuses.to_string());
    }
    entries.into_iter().collect()
}

/// In a list, the order holds in every format.
#[test]
fn strategies_by_status_can_be_a_list() {
    let toml = "[[byStatus]]\nstatus = 503\nretry = {strategy = \"backoff\", limit = 9}\n\
                [[byStatus]]\nstatus = \"5xx, 429\"\nretry = {strategy = \"backoff\", limit = 2}\n";
    for options in [toml::from_str::<FetchRetryOptions>(toml).unwrap(), configured(toml)] {
        let limit = |status| match options.by_status.get(status) {
            Some(Strategy::Backoff(options)) => Some(options.limit()),
            _ => None,
        };
        assert_eq!([503, 500, 429, 404].map(limit), [Some(9), Some(2), Some(2), None]);
    }
}

#[test]
fn people_write_toml_and_yaml() {
    let toml = "maxAttempts = 4\nmaxDelayInMs = \"30s\"\njitter = \"equal\"\n\
                [backoff.exponential]\ninitialInMs = 250\nfactor = 2\n";
    let yaml = "backoff:\n  exponential:\n    initialInMs: 250ms\n    factor: 2\n\
                maxAttempts: 4\nmaxDelayInMs: 30000\njitter: equal\n";
    let expected = Policy::exponential(Duration::from_millis(250), 2.0)
        .max_attempts(4)
        .max_delay(Duration::from_secs(30))
        .jitter(Jitter::Equal)
        .build()
        .unwrap();
    assert_eq!(toml::from_str::<Policy>(toml).unwrap(), expected);
    assert_eq!(serde_norway::from_str::<Policy>(yaml).unwrap(), expected);
    let unlimited: Policy =
        serde_norway::from_str("{backoff: {fixed: {delayInMs: 5}}, maxAttempts: unlimited}").unwrap();
    assert_eq!(unlimited.attempts(), Attempts::Unlimited);
    #[derive(serde::Deserialize)]
    struct Rule {
        on: StatusPattern,
    }
    assert!(toml::from_str::<Rule>("on = 429").unwrap().on.matches(429));
}

/// As environment variables and overrides on a command line give them.
#[test]
fn numbers_as_text() {
    let file = config::File::from_str("backoff = {fixed = {delayInMs = 5}}", config::FileFormat::Toml);
    let with = |member: &str, text: &str| {
        let builder = config::Config::builder().add_source(file.clone()).set_override(member, text).unwrap();
        builder.build().unwrap().try_deserialize::<Policy>()
    };
    assert_eq!(with("maxAttempts", "9").unwrap().attempts(), Attempts::at_most(9).unwrap());
    assert_eq!(with("maxElapsedInMs", "70000").unwrap().max_elapsed(), Some(Duration::from_secs(70)));
    assert_eq!(with("maxElapsedInMs", "70s").unwrap().max_elapsed(), Some(Duration::from_secs(70)));
    for (member, text) in [("maxAttempts", "0"), ("maxAttempts", "99999999999"), ("maxElapsedInMs", "-1")] {
        assert!(with(member, text).is_err(), "{member} {text}");
    }
}

#[test]
fn durations_as_text() {
    for (text, millis) in
        [("30s", 30_000), ("1m30s", 90_000), ("250ms", 250), ("1d", 86_400_000), ("1.5h", 5_400_000)]
    {
        let json = format!(r#"{{"backoff":{{"fixed":{{"delayInMs":"{text}"}}}}}}"#);
        let policy: Policy = serde_json::from_str(&json).unwrap();
        assert_eq!(policy.backoff(), &Backoff::Fixed { delay: Duration::from_millis(millis) }, "{text}");
    }
    for text in ["", "+30", "3e1", "-1s", "soon", "1s1m", "30 s"] {
        let json = format!(r#"{{"backoff":{{"fixed":{{"delayInMs":"{text}"}}}}}}"#);
        let err = serde_json::from_str::<Policy>(&json).unwrap_err().to_string();
        assert!(err.contains("or text like \"1m30s\""), "{text}: {err}");
    }
}
