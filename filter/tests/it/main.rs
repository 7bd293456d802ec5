//! Integration tests of the `filter` crate, in one binary so that they link once.

mod corpus;
