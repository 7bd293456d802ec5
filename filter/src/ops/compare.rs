//! Comparisons with text that a filter holds, which may be empty.
//!
//! An empty `Box<str>` points nowhere. The C library's `memcmp` for processors with AVX-512 loads from where it is pointed to
//! even for a length of zero, with a mask that hides the fault, and to find that there is one to hide takes the processor
//! longer than matching a short text does. So nothing is compared where there is nothing to compare.

use std::cmp::Ordering;

/// What is left of a text behind its prefix, if it has that.
#[inline]
pub(super) fn strip_prefix<'t>(text: &'t [u8], prefix: &str) -> Option<&'t [u8]> {
    if prefix.is_empty() { Some(text) } else { text.strip_prefix(prefix.as_bytes()) }
}

/// What is left of a text before its suffix, if it has that.
#[inline]
pub(super) fn strip_suffix<'t>(text: &'t [u8], suffix: &str) -> Option<&'t [u8]> {
    if suffix.is_empty() { Some(text) } else { text.strip_suffix(suffix.as_bytes()) }
}

/// Whether two texts are the same.
#[inline]
pub(super) fn equal(held: &str, text: &[u8]) -> bool {
    held.len() == text.len() && (held.is_empty() || held.as_bytes() == text)
}

/// By code point, which is the order of the bytes.
#[inline]
pub(super) fn order(held: &str, text: &[u8]) -> Ordering {
    if held.is_empty() { 0.cmp(&text.len()) } else { held.as_bytes().cmp(text) }
}

#[cfg(test)]
mod tests {
    use super::{equal, order, strip_prefix, strip_suffix};

    #[test]
    fn as_the_standard_library_does() {
        let texts = ["", "a", "ab", "b", "ba", "é", "aé"];
        for held in texts {
            for text in texts {
                assert_eq!(strip_prefix(text.as_bytes(), held), text.strip_prefix(held).map(str::as_bytes));
                assert_eq!(strip_suffix(text.as_bytes(), held), text.strip_suffix(held).map(str::as_bytes));
                assert_eq!(equal(held, text.as_bytes()), held == text);
                assert_eq!(order(held, text.as_bytes()), held.cmp(text));
            }
        }
    }
}
