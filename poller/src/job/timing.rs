//! `interval`, `timeout` and `giveUp`: when a poll asks and when it stops.
//!
//! Limits bound the two times when a spec is read and again when it is submitted, because it may have been read under wider
//! limits.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use filter::decode::{Place, Problems, describe, field, known_members};
use filter::{Diagnostic, json};
use serde_json::{Value, json};

use super::read::Reader;
use super::schema::object;
use crate::clock::micros;
use crate::limits::{FINEST, LONGEST, Limits};
use crate::schedule::Interval;

/// The help for a value outside the limits.
pub(super) const LIMITS_HELP: &str = "`--unbounded` lifts these bounds on the command line, `Limits` in code";

/// The default of `giveUp`; Trigger.dev has no such member.
pub(super) const GIVE_UP: NonZeroU32 = NonZeroU32::new(5).expect("invariant: five is not zero");

/// The bounds as they apply: never finer than [`FINEST`].
fn effective(bounds: &RangeInclusive<Duration>) -> RangeInclusive<Duration> {
    let low = (*bounds.start()).max(FINEST);
    low..=(*bounds.end()).max(low)
}

/// `10 s to 300 s`
fn humanize(bounds: &RangeInclusive<Duration>) -> String {
    let (low, high) = (bounds.start().as_secs_f64(), bounds.end().as_secs_f64());
    if *bounds.end() < LONGEST { format!("{low} s to {high} s") } else { format!("at least {low} s") }
}

/// A default time in seconds, moved into the bounds.
pub(super) fn default(seconds: u64, bounds: &RangeInclusive<Duration>) -> Duration {
    let bounds = effective(bounds);
    Duration::from_secs(seconds).clamp(*bounds.start(), *bounds.end())
}

/// The factor of a growing interval that names none.
const FACTOR: f64 = 1.5;

/// Reads an interval: a number of seconds, or an object of growing gaps, each within the bounds.
pub(super) fn read_interval(reader: &mut Reader<'_>, place: Place<'_>) -> Option<Interval> {
    let bounds: fn(&Limits) -> &RangeInclusive<Duration> = |limits| &limits.interval;
    let json::Kind::Object(_) = &place.node.kind else {
        if place.number().is_none() {
            let bounds = humanize(&effective(bounds(reader.limits())));
            let expected = format!("a number of seconds, {bounds}, or an object of from, to, factor");
            return reader.expected(place, &expected);
        }
        return read(reader, place, bounds).map(Interval::from);
    };
    let known = ["from", "to", "factor"];
    let fields = known_members(place, "an object of from, to, factor", &known, &mut reader.problems)?;
    let [from, to] = ["from", "to"].map(|name| match field(&fields, name) {
        Some(given) => read(reader, given.place(), bounds),
        None => {
            let help =
                "write {\"from\": 1, \"to\": 30, \"factor\": 1.5}, the first and the longest gap in seconds";
            reader.missing(place, name, help)
        }
    });
    let factor = match field(&fields, "factor") {
        None => Some(FACTOR),
        Some(given) => {
            let allowed = Interval::LEAST_FACTOR..=Interval::GREATEST_FACTOR;
            let factor = given.place().number().filter(|factor| allowed.contains(factor));
            factor.or_else(|| {
                let expected = format!("a number from {} to {}", allowed.start(), allowed.end());
                reader.expected(given.place(), &expected)
            })
        }
    };
    let (from, to, factor) = (from?, to?, factor?);
    if let Some(given) = field(&fields, "to").filter(|_| to < from) {
        let expected = format!("at least {} s, the value of \"from\"", from.as_secs_f64());
        return reader.expected(given.place(), &expected);
    }
    Some(Interval::growing(from, to, factor))
}

/// Its form in a spec.
pub(super) fn interval_to_value(interval: &Interval) -> Value {
    match interval.factor() {
        None => seconds(interval.first()),
        Some(factor) => {
            let (from, to) = (seconds(interval.first()), seconds(interval.longest()));
            json!({"from": from, "to": to, "factor": factor})
        }
    }
}

/// Checks an interval that was read under other limits.
pub(super) fn check_interval(interval: &Interval, limits: &Limits, problems: &mut Problems) {
    let pointers = match interval.factor() {
        None => &["/interval"][..],
        Some(_) => &["/interval/from", "/interval/to"],
    };
    for (pointer, gap) in pointers.iter().zip([interval.first(), interval.longest()]) {
        check(pointer, gap, &limits.interval, problems);
    }
}

/// A number, or an object: each keyword is for values of one type.
pub(super) fn interval_schema(bounds: &RangeInclusive<Duration>) -> Value {
    let gap = schema(bounds);
    let mut both = gap.clone();
    both["type"] = json!(["number", "object"]);
    both["properties"] = json!({
        "from": gap,
        "to": gap,
        "factor": {
            "type": "number", "minimum": Interval::LEAST_FACTOR, "maximum": Interval::GREATEST_FACTOR,
            "default": FACTOR,
        },
    });
    both["required"] = json!(["from", "to"]);
    both["additionalProperties"] = false.into();
    both
}

/// Reads a number of seconds.
pub(super) fn read(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    bounds: fn(&Limits) -> &RangeInclusive<Duration>,
) -> Option<Duration> {
    let bounds = effective(bounds(reader.limits()));
    let Some(seconds) = place.number() else {
        return reader.expected(place, &format!("a number of seconds, {}", humanize(&bounds)));
    };
    let time = Duration::try_from_secs_f64(seconds).map(to_micros).ok();
    time.filter(|time| bounds.contains(time)).or_else(|| {
        reader.refuse_with_help(place, out_of_bounds(&describe(place.node), &bounds), LIMITS_HELP)
    })
}

fn out_of_bounds(found: &str, bounds: &RangeInclusive<Duration>) -> String {
    format!("found {found} s, expected {}", humanize(bounds))
}

/// Checks a time that was read under other limits.
pub(super) fn check(
    pointer: &str,
    time: Duration,
    bounds: &RangeInclusive<Duration>,
    problems: &mut Problems,
) {
    let bounds = effective(bounds);
    if !bounds.contains(&time) {
        let message = out_of_bounds(&time.as_secs_f64().to_string(), &bounds);
        problems.errors.push(Diagnostic::error(message).with_pointer(pointer).with_help(LIMITS_HELP));
    }
}

/// A number of seconds, written whole where it is whole.
pub(super) fn seconds(time: Duration) -> Value {
    if time.subsec_nanos() == 0 { json!(time.as_secs()) } else { json!(time.as_secs_f64()) }
}

pub(super) fn schema(bounds: &RangeInclusive<Duration>) -> Value {
    let bounds = effective(bounds);
    let mut schema = json!({"type": "number", "minimum": bounds.start().as_secs_f64()});
    if *bounds.end() < LONGEST {
        schema["maximum"] = bounds.end().as_secs_f64().into();
    }
    schema
}

/// Schedules count whole microseconds, so specs do too.
pub(super) fn to_micros(time: Duration) -> Duration {
    Duration::from_micros(micros(time))
}

impl Reader<'_> {
    /// `Some(None)` is "never".
    pub(super) fn give_up(&mut self, place: Place<'_>) -> Option<Option<NonZeroU32>> {
        match &place.node.kind {
            json::Kind::Bool(gives_up) => Some(gives_up.then_some(GIVE_UP)),
            json::Kind::Object(_) => {
                let fields =
                    known_members(place, "an object with \"after\"", &["after"], &mut self.problems)?;
                let Some(given) = field(&fields, "after") else { return Some(Some(GIVE_UP)) };
                let expected = "a whole number from 1: how many hopeless attempts in a row fail the poll";
                self.count(given.place(), expected).map(Some)
            }
            _ => self.expected(place, "false, or an object such as {\"after\":5}"),
        }
    }
}

pub(super) fn give_up_schema() -> Value {
    json!({"anyOf": [
        {"type": "boolean"},
        object(json!({"after": {"type": "integer", "minimum": 1, "maximum": u32::MAX}}), &[]),
    ]})
}
