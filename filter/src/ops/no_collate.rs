//! `$ignoreCaseEquals` without the feature `collation`: the type has no values, so no filter can contain the operator.
//!
//! Comparing by simple case folding instead would silently give other answers than a build with the feature.

use super::chars::Chars;

/// Has no values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IgnoreCase {}

impl IgnoreCase {
    pub(crate) fn new(_: &str) -> Option<Self> {
        None
    }

    pub(crate) fn equals(&self, _: Chars<'_>) -> bool {
        match *self {}
    }

    pub(crate) fn plain(&self) -> Option<&str> {
        match *self {}
    }

    pub(crate) fn text(&self) -> &str {
        match *self {}
    }
}
