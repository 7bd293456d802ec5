//! Policies, options and strategies in JSON, YAML, TOML and `config`: what one writes, it reads back.
//!
//! TOML and `config` deliver integers as `i64`; YAML has a syntax of its own for enums; `config` loses the order of members,
//! on which strategies by status depend.

use std::fmt::Debug;
use std::time::Duration;

use retry::status::StatusPattern;
use retry::strategy::FetchRetryOptions;
use retry::{Attempts, Backoff, FirstRetry, Hints, Jitter, Policy, RetryOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn round_trip_with_config<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    round_trip(value);
    let toml = toml::to_string(value).unwrap();
    let source = config::File::from_str(&toml, config::FileFormat::Toml);
    let config = config::Config::builder().add_source(source).build().unwrap();
    assert_eq!(&config.try_deserialize::<T>().unwrap(), value, "{toml}");
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value, "{json}");
    let toml = toml::to_string(value).unwrap();
    assert_eq!(&toml::from_str::<T>(&toml).unwrap(), value, "{toml}");
    let yaml = serde_norway::to_string(value).unwrap();
    assert_eq!(&serde_norway::from_str::<T>(&yaml).unwrap(), value, "{yaml}");
}

#[test]
fn every_format_reads_what_it_writes() {
    let second = Duration::from_secs(1);
    for builder in [
        Policy::exponential(second, 1.8).max_elapsed(60 * second).hints(Hints::Cap).max_hint(5 * second),
        Policy::fixed(second).unlimited_attempts().jitter(Jitter::Around { ratio: 0.25 }),
        Policy::linear(second, second / 2).first_retry(FirstRetry::AtOnce),
        Policy::fibonacci(second / 4).throttled_backoff(Backoff::Fixed { delay: 9 * second }),
        Policy::decorrelated(second),
        Policy::list([Duration::ZERO, second, 2 * second]),
    ] {
        round_trip_with_config(&builder.build().unwrap());
    }
    round_trip_with_config(&RetryOptions::default());
    let strategies = r#"{
        "byStatus": {
            "429": {"strategy": "headers", "resetHeader": "x-reset", "resetFormat": "seconds", "limit": 3},
            "5xx,408": {"strategy": "backoff", "limit": 4, "factor": 2, "minTimeoutInMs": 250}
        },
        "timeout": {"limit": 2}
    }"#;
    round_trip(&serde_json::from_str::<FetchRetryOptions>(strategies).unwrap());
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

#[test]
fn durations_as_text() {
    for (text, millis) in
        [("30s", 30_000), ("1m30s", 90_000), ("250ms", 250), ("1d", 86_400_000), ("1.5h", 5_400_000)]
    {
        let json = format!(r#"{{"backoff":{{"fixed":{{"delayInMs":"{text}"}}}}}}"#);
        let policy: Policy = serde_json::from_str(&json).unwrap();
        assert_eq!(policy.backoff(), &Backoff::Fixed { delay: Duration::from_millis(millis) }, "{text}");
    }
    for text in ["", "30", "-1s", "soon", "1s1m", "30 s"] {
        let json = format!(r#"{{"backoff":{{"fixed":{{"delayInMs":"{text}"}}}}}}"#);
        let err = serde_json::from_str::<Policy>(&json).unwrap_err().to_string();
        assert!(err.contains("or text like \"1m30s\""), "{text}: {err}");
    }
}
