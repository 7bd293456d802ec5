//! Evaluating one filter on one value.

pub(crate) mod evaluate;
mod metered;
mod names;
mod scope;
mod subject;

pub(crate) use metered::Metered;
pub use metered::{Effort, Exhausted};
pub(crate) use scope::Scope;
pub(crate) use subject::{Shape, Subject};
