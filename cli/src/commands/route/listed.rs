//! Lists of rules for people, cut after the first hundred.

use std::fmt::Write as _;

/// The most rules of one kind that are listed.
const LISTED: usize = 100;

/// Appends the first of these items, a line each, and the number of the others.
pub(super) fn list<T>(text: &mut String, items: impl IntoIterator<Item = T>, line: impl Fn(T) -> String) {
    let mut items = items.into_iter();
    for item in items.by_ref().take(LISTED) {
        let _ = write!(text, "\n           {}", line(item));
    }
    let more = items.count();
    if more > 0 {
        let _ = write!(text, "\n           and {more} more");
    }
}
