//! Durations for people: in the largest unit that gives a readable number, without false precision.

use std::fmt;
use std::time::Duration;

/// Writes a duration with its two largest units (`1 min 30 s`), or as a decimal below a minute (`1.5 s`,
/// `250 ms`).
pub(crate) struct Humanized(pub(crate) Duration);

impl fmt::Display for Humanized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match nanos {
            0 => f.pad("0 s"),
            1..1_000 => write!(f, "{nanos} ns"),
            1_000..1_000_000 => write!(f, "{} µs", Decimal(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{} ms", Decimal(nanos, 1_000_000)),
            1_000_000_000..60_000_000_000 => write!(f, "{} s", Decimal(nanos, 1_000_000_000)),
            _ => long(self.0.as_secs(), f),
        }
    }
}

fn long(secs: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = UNITS.iter().position(|(unit, _)| secs >= *unit).unwrap_or(UNITS.len() - 1);
    let (unit, name) = UNITS[first];
    write!(f, "{} {name}", secs / unit)?;
    if let Some((smaller, name)) = UNITS.get(first + 1)
        && secs % unit >= *smaller
    {
        write!(f, " {} {name}", secs % unit / smaller)?;
    }
    Ok(())
}

/// A number of nanoseconds in a unit, to three digits after the point, the rest cut off.
struct Decimal(u128, u128);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(nanos, unit) = *self;
        let thousandths = nanos % unit * 1_000 / unit;
        write!(f, "{}", nanos / unit)?;
        if thousandths == 0 {
            return Ok(());
        }
        let text = format!("{thousandths:03}");
        write!(f, ".{}", text.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (nanos, words) in [
            (0, "0 s"),
            (999, "999 ns"),
            (1_500, "1.5 µs"),
            (250_000_000, "250 ms"),
            (1_000_000_000, "1 s"),
            (1_049_999_999, "1.049 s"),
            (59_999_999_999, "59.999 s"),
            (60_000_000_000, "1 min"),
            (90_000_000_000, "1 min 30 s"),
            (3_600_000_000_000, "1 h"),
            (3_661_000_000_000, "1 h 1 min"),
            (90_000_000_000_000, "1 d 1 h"),
        ] {
            assert_eq!(Humanized(Duration::from_nanos(nanos)).to_string(), words);
        }
        assert!(Humanized(Duration::MAX).to_string().ends_with(" h"));
    }
}
