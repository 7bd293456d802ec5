//! Integration tests of the `filter` crate, in one binary so that they link once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agree;
mod collation;
mod convert;
mod corpus;
mod diagnostics;
mod docs;
mod explain;
mod fuzz_corpus;
mod generate;
mod hostile;
mod implication;
mod interfaces;
mod json;
mod lint;
mod operators;
mod oracle;
mod references;
mod rivals;
mod root;
mod scan;
mod schema;
mod set;
mod suggestions;

/// The value of an event's text, its floats rounded correctly: serde_json rounds some to a neighbour.
fn event(text: &str) -> serde_json::Value {
    filter::Document::from_slice(text.as_bytes()).unwrap().into_value()
}
