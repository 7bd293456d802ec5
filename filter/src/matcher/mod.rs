//! Evaluating one filter on one value.

pub(crate) mod evaluate;
mod subject;

pub(crate) use subject::{Shape, Subject};
