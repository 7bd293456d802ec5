//! Integration tests of the `filter` crate, in one binary so that they link once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agree;
mod corpus;
mod generate;
mod oracle;
