//! Published figures of tools that do not run here, used as ratios to a tool that does.
//!
//! event-ruler 2.0.1 (JDK 17) and quamina 0.7.0 (Rust) were measured on one machine with events of this shape, in nanoseconds
//! per event. The ratio of event-ruler to quamina is used here. For rules that quamina does not support, its time on
//! ANYTHING_BUT takes its place.

/// Row, quamina-rs, event-ruler.
const MEASURED: [(&str, f64, f64); 25] = [
    ("SINGLE", 356.0, 3236.0),
    ("LATE", 1023.0, 3288.0),
    ("EXACT", 348.0, 2734.0),
    ("WILDCARD", 484.0, 3592.0),
    ("PREFIX", 600.0, 2611.0),
    ("SUFFIX", 586.0, 2730.0),
    ("EQUALS_IGNORE_CASE", 704.0, 3073.0),
    ("NUMERIC", 1211.0, 5031.0),
    ("ANYTHING_BUT", ANYTHING_BUT, 4893.0),
    ("ANYTHING_BUT_IGNORE_CASE", ANYTHING_BUT, 4659.0),
    ("ANYTHING_BUT_PREFIX", ANYTHING_BUT, 4327.0),
    ("ANYTHING_BUT_SUFFIX", ANYTHING_BUT, 4461.0),
    ("ANYTHING_BUT_WILDCARD", ANYTHING_BUT, 5003.0),
    ("COMPLEX_ARRAYS", 8082.0, 25997.0),
    ("MIX30", 1987.0, 9059.0),
    ("MIX35", 11177.0, 32755.0),
    ("exact2/1000", 546.0, 2893.0),
    ("exact2/10000", 606.0, 3053.0),
    ("exact2/100000", 995.0, 4211.0),
    ("exact2/1000000", 1392.0, 5318.0),
    ("mixed/1000", 1829.0, 4292.0),
    ("mixed/10000", 2243.0, 5518.0),
    ("mixed/100000", 4740.0, 8111.0),
    ("wild/100", 1022.0, 5344.0),
    ("wild/1000", 15150.0, 8293.0),
];

const ANYTHING_BUT: f64 = 1347.0;

/// The ratio of event-ruler's time on a row to that of quamina-rs, and the row on which the latter was measured.
pub(crate) fn event_ruler(row: &str) -> Option<(f64, &'static str)> {
    let (name, quamina_rs, event_ruler) = MEASURED.into_iter().find(|(name, ..)| *name == row)?;
    let measured_on = if name.starts_with("ANYTHING_BUT") { "ANYTHING_BUT" } else { name };
    Some((event_ruler / quamina_rs, measured_on))
}
