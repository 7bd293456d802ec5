//! No header text panics or gives a wait above the documented longest.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use retry::hint::{LONGEST, Requested, ResetFormat, from_headers, read, server_time};
use retry::status::{StatusPattern, StatusSet};

use crate::cases;

fn name() -> impl Strategy<Value = String> {
    let known = [
        "retry-after",
        "Retry-After-Ms",
        "x-ms-retry-after-ms",
        "RateLimit",
        "ratelimit-reset",
        "ratelimit-remaining",
        "x-ratelimit-remaining",
        "X-RateLimit-Reset",
        "x-rate-limit-reset-after",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-requests-reset",
        "x-amz-retry-after",
        "grpc-retry-pushback-ms",
        "x-should-retry",
        "Date",
        "age",
        "server",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), "[a-zA-Z-]{0,20}"]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?[0-9]{0,45}(\\.[0-9]{0,45})?",
        "[A-Z][a-z]{2}, [0-9]{2} (Nov|Feb|Xyz) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
        "\"[a-z;,\\\\\"]{0,5}\";r=[0-9]{1,3};t=[0-9]{1,30}(, x;r=0;t=[0-9]{1,5})?",
        "[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T ]?[0-9:]{0,8}[.,]?[0-9]{0,12}(Z|[+-][0-9:]{0,5})?",
        "([0-9]{1,25}(\\.[0-9]{1,3})?(d|h|m|s|ms|us|ns|µs)){0,4}",
        any::<String>(),
    ]
}

/// Any moment that the platform can hold.
fn moment() -> impl Strategy<Value = SystemTime> {
    any::<i64>().prop_map(|secs| {
        let away = Duration::from_secs(secs.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        if secs < 0 { epoch.checked_sub(away) } else { epoch.checked_add(away) }.unwrap_or(epoch)
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn headers_of_any_kind(
        headers in prop::collection::vec((name(), value()), 0..6), now in moment(), status in prop::option::of(any::<u16>()),
    ) {
        let pairs = || headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let reading = read(status, pairs(), now);
        if let Some(hint) = reading.hint {
            prop_assert!(hint.delay <= LONGEST);
            prop_assert_eq!(hint.delay, hint.raw.clamped());
            prop_assert_eq!(hint.delay.is_zero(), matches!(hint.raw, Requested::Past(_) | Requested::Wait(Duration::ZERO)));
        }
        for problem in &reading.problems {
            prop_assert!(problem.to_string().contains("expected") && problem.found().chars().count() <= 81);
        }
        if status.is_none() {
            prop_assert_eq!(from_headers(pairs(), now), reading.hint);
        }
        let _ = server_time(pairs(), now);
    }

    #[test]
    fn resets_of_any_kind(text in value(), now in moment()) {
        for format in ResetFormat::ALL {
            match (format.parse(&text, now), format.read(&text, now)) {
                (Ok(wait), Ok(asked)) => prop_assert_eq!(wait, asked.clamped()),
                (Err(a), Err(b)) => prop_assert_eq!(a, b),
                (parsed, read) => prop_assert!(false, "{parsed:?} {read:?}"),
            }
        }
    }

    /// The reset that a moment's own rendering names is as far away as the moment is.
    #[test]
    fn resets_name_their_moment(secs in 0..253_402_300_799_u64, ahead in 0..86_400_u64) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        let wait = || Ok(Duration::from_secs(ahead));
        let at = secs + ahead;
        prop_assert_eq!(ResetFormat::UnixTimestamp.parse(&at.to_string(), now), wait());
        prop_assert_eq!(ResetFormat::UnixTimestampInMs.parse(&format!("{at}000"), now), wait());
        let duration = format!("{}h{}m{}s", ahead / 3600, ahead / 60 % 60, ahead % 60);
        prop_assert_eq!(ResetFormat::Iso8601DurationOpenaiVariant.parse(&duration, now), wait());
        if at <= 253_402_300_799 {
            // An independent calendar: that of the HTTP date crate.
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at);
            let http = httpdate::fmt_http_date(at);
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let month = months.find(&http[8..11]).unwrap() / 3 + 1;
            let iso = format!("{}-{month:02}-{}T{}Z", &http[12..16], &http[5..7], &http[17..25]);
            prop_assert_eq!(ResetFormat::Iso8601.parse(&iso, now), wait());
            let hint = from_headers([("retry-after", http.as_str())], now);
            prop_assert_eq!(hint.map(|hint| Ok(hint.delay)), Some(wait()));
        }
    }

    #[test]
    fn patterns_of_any_kind(text in prop_oneof!["[0-9xX ,-]{0,12}", "all|ALL", any::<String>()], status: u16) {
        if let Ok(set) = text.parse::<StatusSet>() {
            let again: StatusSet = set.to_string().parse().unwrap();
            prop_assert_eq!(&again, &set);
            prop_assert_eq!(set.matches(status), set.patterns().iter().any(|pattern| pattern.matches(status)));
        }
        if let Ok(pattern) = text.parse::<StatusPattern>() {
            prop_assert!((100..=999).any(|status| pattern.matches(status)));
        }
    }
}
