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

/// The help for a value outside the limits.
pub(super) const LIMITS_HELP: &str =
    "whoever runs the poller sets these bounds: `poll run --unbounded`, or `Limits` in code";

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

/// Reads a number of seconds.
pub(super) fn read(
    reader: &mut Reader<'_>,
    place: Place<'_>,
    bounds: fn(&Limits) -> &RangeInclusive<Duration>,
) -> Option<Duration> {
    let bounds = effective(bounds(reader.limits()));
    let Some(seconds) = place.number() else {
        reader.problems.expected(place, &format!("a number of seconds, {}", humanize(&bounds)));
        return None;
    };
    let time = Duration::try_from_secs_f64(seconds).map(to_micros).ok();
    let time = time.filter(|time| bounds.contains(time));
    if time.is_none() {
        reader.problems.error_with_help(place, out_of_bounds(&describe(place.node), &bounds), LIMITS_HELP);
    }
    time
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
                let after = given.place().whole().and_then(|after| u32::try_from(after).ok());
                let after = after.and_then(NonZeroU32::new);
                if after.is_none() {
                    let expected = "a whole number from 1: how many hopeless attempts in a row fail the poll";
                    self.problems.expected(given.place(), expected);
                }
                after.map(Some)
            }
            _ => {
                self.problems.expected(place, "false, or an object such as {\"after\":5}");
                None
            }
        }
    }
}

pub(super) fn give_up_schema() -> Value {
    json!({"anyOf": [
        {"type": "boolean"},
        object(json!({"after": {"type": "integer", "minimum": 1, "maximum": u32::MAX}}), &[]),
    ]})
}
