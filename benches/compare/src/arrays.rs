//! An event with an array of objects, and a rule with two conditions that the same element has to meet.
//!
//! Every element meets the first condition, so an engine that joins conditions by pairs of elements takes quadratic time.

use std::fmt::Write as _;

/// The number of times that one pass processes the event.
pub(crate) const REPEATS: usize = 4;

/// An event, a rule, and whether it matches.
pub(crate) struct Array {
    pub(crate) name: String,
    pub(crate) event: Vec<u8>,
    pub(crate) rules: Vec<String>,
    pub(crate) expected: Vec<u64>,
}

pub(crate) fn all() -> Vec<Array> {
    let mut arrays = Vec::new();
    for (kind, wanted, matches) in [("both", "last", true), ("never", "none", false)] {
        for elements in [1000, 3000] {
            arrays.push(Array {
                name: format!("array-{kind}/{elements}"),
                event: event(elements),
                rules: vec![format!(r#"{{"items":{{"kind":["x"],"name":["{wanted}"]}}}}"#)],
                expected: vec![if matches { REPEATS as u64 } else { 0 }],
            });
        }
    }
    arrays
}

fn event(elements: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"items":["#);
    for nth in 1..elements {
        write!(text, r#"{{"kind":"x","name":"n{nth}"}},"#).expect("writing to a String does not fail");
    }
    text.push_str(r#"{"kind":"x","name":"last"}]}"#);
    text.into_bytes()
}
