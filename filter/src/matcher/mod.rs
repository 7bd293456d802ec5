//! What a filter answers for one value.

pub(crate) mod evaluate;
mod subject;

pub(crate) use subject::{Shape, Subject};
