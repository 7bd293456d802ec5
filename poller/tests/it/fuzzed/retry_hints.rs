//! Response headers, a line each: reading hints never panics, and what it returns keeps its bounds.

use std::time::{Duration, SystemTime};

use retry::hint::{self, LONGEST, ResetFormat};

/// 2026-01-01.
const NOW: Duration = Duration::from_secs(1_767_225_600);

/// Holds for any input.
pub(crate) fn check(data: &[u8]) {
    let Some((status, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let status = [200, 202, 403, 429, 500, 503][usize::from(*status) % 6];
    let headers: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let now = SystemTime::UNIX_EPOCH + NOW;
    let reading = hint::read(Some(status), headers.iter().copied(), now);
    let hint = hint::from_response(status, headers.iter().copied(), now);
    assert_eq!(reading.hint, hint, "both ways of reading agree");
    if let Some(hint) = &hint {
        assert!(hint.delay <= LONGEST, "{hint:?}");
        assert_eq!(hint.raw.clamped(), hint.delay, "{hint:?}");
    }
    // A header that is a whole number of seconds is that number, whatever else is not there.
    if let [(name, value)] = headers[..]
        && name.trim().eq_ignore_ascii_case("retry-after")
        && let Ok(seconds) = value.trim().parse::<u32>()
        && seconds < 900_000_000
        && value.trim().bytes().all(|byte| byte.is_ascii_digit())
        && name.trim() == name
    {
        let delay = hint.as_ref().map(|hint| hint.delay);
        assert_eq!(delay, Some(Duration::from_secs(seconds.into()).min(LONGEST)), "{value:?}");
    }
    let _ = hint::server_time(headers.iter().copied(), now);
    for format in ResetFormat::ALL {
        for (_, value) in &headers {
            if let Ok(delay) = format.parse(value, now) {
                assert!(delay <= LONGEST, "{format:?} {value:?}");
            }
        }
    }
}
