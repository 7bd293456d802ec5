//! A simple matcher of patterns with `*`, for the expected counts of generated data.
//!
//! The filter crate is not used for this, since the data checks its results.

/// Whether the pattern matches the whole text. `*` stands for any run of characters; no other character is special.
///
/// ```
/// assert!(benches::glob::matches("3*5*2", "3745012"));
/// assert!(!benches::glob::matches("3*5*2", "352x"));
/// ```
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
