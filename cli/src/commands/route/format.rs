//! The line of output of one event: the ids of its rules, and what else was asked for.

use filter::{FilterSet, Matches};
use serde_json::Value;

use super::rules::Rules;
use crate::args::RouteArgs;

/// What a line has.
#[derive(Clone, Debug)]
pub(super) struct Format {
    /// An object with the line's number, instead of an array of ids.
    object: bool,
    /// With the event itself.
    event: bool,
    /// With the conditions that held, for each id.
    pub(super) why: bool,
    /// Only the first rule that matches.
    first: bool,
    /// The id, as JSON, of events that match no rule.
    otherwise: Option<String>,
}

impl Format {
    pub(super) fn new(args: &RouteArgs) -> Self {
        Self {
            object: args.json || args.events || args.why,
            event: args.events,
            why: args.why,
            first: args.first,
            otherwise: args.otherwise.clone(),
        }
    }

    /// The numbers of the rules that count for an event: all that match, or the first.
    pub(super) fn chosen<'s>(
        &self,
        matches: &Matches,
        set: &'s FilterSet<u32>,
    ) -> impl Iterator<Item = &'s u32> {
        matches.ids(set).take(if self.first { 1 } else { usize::MAX })
    }

    /// Appends the line of an event: its text, and what it matches.
    pub(super) fn write(&self, line: u64, event: &[u8], matches: &Matches, rules: &Rules, out: &mut Vec<u8>) {
        if self.object {
            out.extend_from_slice(format!("{{\"line\":{line},\"ids\":").as_bytes());
        }
        self.write_ids(matches, rules, out);
        if self.why {
            out.extend_from_slice(b",\"why\":[");
            for (nth, number) in self.chosen(matches, &rules.set).enumerate() {
                comma(nth, out);
                write_why(*number, event, rules, out);
            }
            out.push(b']');
        }
        if self.event {
            out.extend_from_slice(b",\"event\":");
            out.extend_from_slice(event.trim_ascii());
        }
        if self.object {
            out.push(b'}');
        }
        out.push(b'\n');
    }

    fn write_ids(&self, matches: &Matches, rules: &Rules, out: &mut Vec<u8>) {
        out.push(b'[');
        match &self.otherwise {
            Some(id) if matches.is_empty() => out.extend_from_slice(id.as_bytes()),
            _ => {
                for (nth, number) in self.chosen(matches, &rules.set).enumerate() {
                    comma(nth, out);
                    out.extend_from_slice(rules.ids.text(*number).as_bytes());
                }
            }
        }
        out.push(b']');
    }
}

fn comma(nth: usize, out: &mut Vec<u8>) {
    if nth > 0 {
        out.push(b',');
    }
}

/// `{"id":"large","conditions":[…]}`: the conditions of `explain --json` that held.
fn write_why(number: u32, event: &[u8], rules: &Rules, out: &mut Vec<u8>) {
    let explained = rules.set.filter(&number).and_then(|filter| filter.explain_slice(event).ok());
    let explained = explained.and_then(|explanation| serde_json::to_value(explanation).ok());
    let conditions = match explained {
        Some(Value::Object(mut members)) => members.remove("conditions").map_or(Value::Null, held),
        _ => Value::Null,
    };
    let id = rules.ids.text(number);
    out.extend_from_slice(format!("{{\"id\":{id},\"conditions\":{conditions}}}").as_bytes());
}

/// The conditions that held, and the groups with theirs. A group that holds because none of its conditions did is kept
/// whole: they are the reason.
fn held(conditions: Value) -> Value {
    let Value::Array(all) = conditions else { return conditions };
    let is_held = |entry: &Value| entry.get("held") == Some(&Value::Bool(true));
    if !all.iter().any(is_held) {
        return Value::Array(all);
    }
    let keep = |mut entry: Value| {
        if let Some(inner) = entry.get_mut("conditions") {
            *inner = held(inner.take());
        }
        entry
    };
    all.into_iter().filter(is_held).map(keep).collect()
}
