//! Random specs and replies, drawn from the seed.

use std::time::Duration;

use retry::Rng;
use serde_json::json;

use super::SECOND;
use crate::clock::Timestamp;
use crate::fetch::{FetchError, FetchErrorKind};
use crate::job::{PollSpec, SpecOptions};
use crate::limits::Limits;
use crate::response::RecordedResponse;

/// The reply to a request, and its time.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) at: Timestamp,
    pub(super) result: Result<RecordedResponse, FetchError>,
}

pub(super) fn random_reply(dice: &mut Rng, now: Timestamp) -> Reply {
    let delay = match pick(dice, 5) {
        0 => 0,
        1 => dice.up_to(SECOND),
        2 => dice.up_to(40 * SECOND),
        // The server hangs; the client has to cut the request off.
        3 if pick(dice, 4) == 0 => 100_000 * SECOND,
        _ => dice.up_to(5 * SECOND),
    };
    let wait = dice.up_to(30).to_string();
    let reset = format!("{wait}s");
    let respond = |status, headers: &[(&str, &str)], body: &str| {
        Ok(RecordedResponse::new(status, headers.iter().copied(), body.to_owned()))
    };
    let result = match pick(dice, 40) {
        0 => respond(200, &[], r#"{"status":"SUCCESS"}"#),
        1 => respond(200, &[], r#"{"status":"FAILED"}"#),
        2..=4 => respond(429, &[("retry-after", &wait)], ""),
        5 => respond(503, &[("retry-after", "100000")], ""),
        // Longer than some intervals by little, so that its end delays a tick.
        6..=7 if pick(dice, 2) == 0 => respond(202, &[("retry-after", &wait)], ""),
        6..=7 => respond(503, &[("x-reset", &reset)], ""),
        8..=9 => respond(500, &[], "not json"),
        10..=13 => respond(401, &[], "{}"),
        19..=21 => respond(202, &[("location", &format!("/operations/{wait}"))], "{}"),
        18 => respond(403, &[("retry-after", &wait)], "{}"),
        14..=16 => Err(FetchError::new(FetchErrorKind::Connect, "connection refused")),
        17 => Err(FetchError::new(FetchErrorKind::NoSuchHost, "no such host")),
        _ => respond(200, &[], r#"{"status":"PENDING"}"#),
    };
    Reply { at: now + Duration::from_micros(delay), result }
}

pub(super) fn pick(dice: &mut Rng, sides: usize) -> usize {
    let sides = u64::try_from(sides).unwrap_or(1).max(1);
    usize::try_from(dice.up_to(sides - 1)).unwrap_or(0)
}

pub(super) fn random_spec(dice: &mut Rng) -> PollSpec {
    let origin = pick(dice, 3);
    let token = pick(dice, 2);
    let interval = 1.0 + dice.up_to(19_000) as f64 / 1000.0;
    let timeout = 5.0 + dice.up_to(120_000) as f64 / 1000.0;
    let mut spec = json!({
        "url": format!("https://host-{origin}.example-{}.com/job", origin % 2),
        "interval": interval,
        "timeout": timeout,
        "requestInit": {"headers": {"authorization": format!("token-{token}")}},
        "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}},
        "failureFilter": {"body": {"status": ["FAILED"]}},
        "requestTimeout": {"durationInMs": 500 + dice.up_to(20_000)},
    });
    let backoff = |dice: &mut Rng| {
        let (limit, least) = (1 + dice.up_to(4), 100 + dice.up_to(3000));
        json!({"strategy": "backoff", "limit": limit, "minTimeoutInMs": least, "factor": 1.5})
    };
    if pick(dice, 2) == 0 {
        spec["retry"] = json!({"500-599": backoff(dice), "all": backoff(dice)});
    }
    if pick(dice, 3) == 0 {
        spec["retry"] = json!({"503": {"strategy": "headers", "resetHeader": "x-reset",
            "resetFormat": "iso_8601_duration_openai_variant"}});
    }
    if pick(dice, 3) == 0 {
        spec["requestTimeout"]["retry"] = json!({"limit": 3, "minTimeoutInMs": 200});
    }
    if pick(dice, 3) == 0 {
        spec["interval"] = json!({"from": interval / 4.0, "to": interval, "factor": 1.3});
    }
    if pick(dice, 2) == 0 {
        spec["follow"] = json!("auto");
    }
    if pick(dice, 4) == 0 {
        spec["retry"]["connect"] = backoff(dice);
    }
    if pick(dice, 4) == 0 {
        spec["responseFilter"]["consecutive"] = 2.into();
    }
    if pick(dice, 2) == 0 {
        spec["giveUp"] = json!(false);
    }
    SpecOptions::new()
        .limits(Limits::unbounded())
        .parse(&spec.to_string())
        .expect("the generator writes valid specs")
}
