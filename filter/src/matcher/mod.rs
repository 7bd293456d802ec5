//! The engines that answer whether a filter matches.

pub(crate) mod value;
