//! Whether a text matches a pattern with `*`: the plain way, to know what generated data must match.
//!
//! The filter crate is not asked, since its answers are what the data checks.

/// Whether the pattern, in which `*` is any run of characters and nothing else is special, matches the whole text.
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
