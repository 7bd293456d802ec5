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
mod interfaces;
mod json;
mod lint;
mod operators;
mod oracle;
mod rivals;
mod scan;
mod schema;
mod set;
