//! Comparisons with a filter's text, which may be empty.
//!
//! The pointer of an empty `Box<str>` is dangling. The C library's `memcmp` for AVX-512 loads from it even for a length of
//! zero, with a mask that suppresses the fault, and suppressing the fault takes longer than matching a short text. So
//! empty texts are not compared.

use std::cmp::Ordering;

/// The text behind a prefix, if the text has the prefix.
#[inline]
pub(super) fn strip_prefix<'t>(text: &'t [u8], prefix: &str) -> Option<&'t [u8]> {
    if prefix.is_empty() { Some(text) } else { text.strip_prefix(prefix.as_bytes()) }
}

/// The text before a suffix, if the text has the suffix.
#[inline]
pub(super) fn strip_suffix<'t>(text: &'t [u8], suffix: &str) -> Option<&'t [u8]> {
    if suffix.is_empty() { Some(text) } else { text.strip_suffix(suffix.as_bytes()) }
}

/// Whether two texts are equal.
#[inline]
pub(super) fn equal(held: &str, text: &[u8]) -> bool {
    held.len() == text.len() && (held.is_empty() || held.as_bytes() == text)
}

/// The order by code point, which is the order of the bytes.
#[inline]
pub(super) fn order(held: &str, text: &[u8]) -> Ordering {
    if held.is_empty() { 0.cmp(&text.len()) } else { held.as_bytes().cmp(text) }
}

#[cfg(test)]
mod tests {
    use super::{equal, order, strip_prefix, strip_suffix};

    #[test]
    fn agrees_with_the_standard_library() {
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
