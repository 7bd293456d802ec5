//! The cases in `testdata/retry`: headers of real servers, and malformed policies.

use std::time::{Duration, SystemTime};

use retry::hint::{Requested, from_headers};
use retry::strategy::ByStatus;
use retry::{Policy, RetryOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Hints {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    now: u64,
    headers: Vec<(String, String)>,
    hint: Option<Expected>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Expected {
    raw: i64,
    delay: u64,
    source: String,
}

#[test]
fn hints_as_servers_send_them() {
    let hints: Hints = serde_json::from_str(include_str!("../../../testdata/retry/hints.json")).unwrap();
    for case in hints.cases {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(case.now);
        let headers = case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let found = from_headers(headers, now).map(|hint| Expected {
            raw: match hint.raw {
                Requested::Wait(wait) => i64::try_from(wait.as_millis()).unwrap(),
                Requested::Past(past) => -i64::try_from(past.as_millis()).unwrap(),
            },
            delay: u64::try_from(hint.delay.as_millis()).unwrap(),
            source: hint.source.name().to_owned(),
        });
        assert_eq!(found, case.hint, "{}", case.name);
    }
}

#[derive(Deserialize)]
struct Bad {
    policies: Vec<(String, String)>,
    options: Vec<(String, String)>,
    strategies: Vec<(String, String)>,
}

fn refused<T: DeserializeOwned>(cases: &[(String, String)]) {
    for (text, expected) in cases {
        match serde_json::from_str::<T>(text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(err) => assert!(err.to_string().contains(expected), "{text}: {err}"),
        }
    }
}

#[test]
fn errors_of_malformed_policies_state_the_reason() {
    let bad: Bad = serde_json::from_str(include_str!("../../../testdata/retry/bad-policies.json")).unwrap();
    refused::<Policy>(&bad.policies);
    refused::<RetryOptions>(&bad.options);
    refused::<ByStatus>(&bad.strategies);
}
