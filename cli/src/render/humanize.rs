//! Numbers as people read them: durations with a few digits and a fitting unit, counts with their noun.

use std::time::Duration;

/// `12ms`, `3.4s`, `45s`, `4m 05s`, `1h 02m`.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    // Each arm ends where rounding would carry into the next unit: 998 ms is `1s`, 9.96 s is `10s`.
    match millis {
        0 => "<1ms".to_owned(),
        1..=949 => format!("{millis}ms"),
        950..=9_949 => {
            let tenths = (millis + 50) / 100;
            if tenths.is_multiple_of(10) {
                format!("{}s", tenths / 10)
            } else {
                format!("{}.{}s", tenths / 10, tenths % 10)
            }
        }
        9_950..=59_499 => format!("{}s", (millis + 500) / 1000),
        _ => {
            let seconds = (millis + 500) / 1000;
            let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            match (hours, minutes, seconds) {
                (0, minutes, 0) => format!("{minutes}m"),
                (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
                (hours, 0, _) => format!("{hours}h"),
                (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
            }
        }
    }
}

/// Whole seconds, rounded up: a countdown reaches zero only when the time is over.
pub(crate) fn countdown(left: Duration) -> String {
    or_zero(rounded_up(left))
}

/// The time in whole seconds, rounded up: fractions would flicker.
pub(crate) fn rounded_up(left: Duration) -> Duration {
    Duration::from_secs(left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0)))
}

/// [`duration()`], but `0s` for none at all.
pub(crate) fn or_zero(time: Duration) -> String {
    if time.is_zero() { "0s".to_owned() } else { duration(time) }
}

/// `3m 02s`, `4h 10m`, `12d`: the age of something that may be days old.
pub(crate) fn age(age: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match age.as_secs() {
        seconds if seconds < 2 * DAY => or_zero(Duration::from_secs(seconds)),
        seconds => format!("{}d", seconds / DAY),
    }
}

/// `900 B`, `1.5 KiB`, `74 MiB`: two digits at least, in units of 1,024.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(amount < 9.95);
    format!("{amount:.digits$} {}", UNITS[unit])
}

/// `1 attempt`, `2 attempts`.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_every_magnitude() {
        for (millis, text) in [
            (0, "<1ms"),
            (12, "12ms"),
            (949, "949ms"),
            (998, "1s"),
            (1_000, "1s"),
            (3_449, "3.4s"),
            (9_960, "10s"),
            (59_400, "59s"),
            (59_600, "1m"),
            (245_000, "4m 05s"),
            (3_720_000, "1h 02m"),
            (7_200_000, "2h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text, "{millis}");
        }
        assert!(!duration(Duration::MAX).is_empty());
    }

    #[test]
    fn a_countdown_rounds_up() {
        assert_eq!(countdown(Duration::from_millis(4_001)), "5s");
        assert_eq!(countdown(Duration::from_secs(60)), "1m");
        assert!(!countdown(Duration::MAX).is_empty());
    }

    #[test]
    fn ages_are_short() {
        let shown = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(
            [0, 45, 245, 7200, 172_800, 1_000_000].map(shown),
            ["0s", "45s", "4m 05s", "2h", "2d", "11d"]
        );
    }

    #[test]
    fn sizes_are_in_binary_units() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (77_594_624, "74 MiB"),
            (1_048_575, "1.0 MiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }
}
