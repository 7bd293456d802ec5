//! `$regex`: the syntax and the linear time of the `regex` crate, within a memory budget.
//!
//! A pattern of a few bytes can compile to megabytes, and a filter may have thousands of patterns, so the budget is
//! that of the whole filter. The crate does not tell the size of a compiled pattern, only whether it exceeds a limit;
//! the size is found by doubling the limit, which at most doubles the work.

use std::sync::atomic::{AtomicUsize, Ordering};

use regex::{Regex, RegexBuilder};

use super::required::{Required, required};

/// The least charge for a pattern: about the size of the smallest ones.
const SMALLEST: usize = 4 << 10;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    charge: Charge,
}

static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// The memory that all compiled patterns of the process were charged, in bytes: at most twice what they take before they are
/// used.
pub(crate) fn regex_bytes_in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// The memory charged for one pattern, given back when it is dropped.
#[derive(Debug)]
struct Charge(usize);

impl Charge {
    fn new(bytes: usize) -> Self {
        IN_USE.fetch_add(bytes, Ordering::Relaxed);
        Self(bytes)
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        IN_USE.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// The size of a pattern whose search takes one unit of work per byte. A text that keeps the crate's lazy automaton from
/// repeating states makes it step through all states of a pattern at each byte.
const WEIGHED: usize = 1 << 10;

/// The reason why a pattern does not compile.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PatternError {
    /// The parser's message, on one line.
    Syntax(String),
    /// The rest of the budget is too small.
    Budget,
}

impl Pattern {
    /// Compiles a pattern and deducts its size from `budget`. Syntax is checked even without a budget.
    pub(crate) fn new(source: &str, budget: &mut usize) -> Result<Self, PatternError> {
        let mut limit = SMALLEST;
        loop {
            limit = limit.min(*budget);
            match RegexBuilder::new(source).size_limit(limit).build() {
                Ok(regex) if limit >= SMALLEST => {
                    *budget -= limit;
                    return Ok(Self { regex, charge: Charge::new(limit) });
                }
                Err(regex::Error::CompiledTooBig(_)) if limit < *budget => limit = limit.saturating_mul(2),
                Ok(_) | Err(regex::Error::CompiledTooBig(_)) => return Err(PatternError::Budget),
                Err(error) => return Err(PatternError::Syntax(one_line(&error.to_string()))),
            }
        }
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What a byte of text costs, in the units of [`Effort`](crate::Effort).
    pub(crate) const fn weight(&self) -> u64 {
        if self.charge.0 <= SMALLEST { 1 } else { (self.charge.0 / WEIGHED) as u64 }
    }

    /// Choices of texts that a matching text must have.
    pub(crate) fn required(&self) -> Vec<Required> {
        required(self.source())
    }

    pub(crate) fn source(&self) -> &str {
        self.regex.as_str()
    }
}

/// Extracts the message from the crate's drawing of a syntax error: its last line.
fn one_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message).trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError};

    #[test]
    fn finds_a_match_anywhere() {
        let pattern = Pattern::new("b+", &mut (1 << 20)).unwrap();
        assert!(pattern.is_match("abbc"));
        assert!(!pattern.is_match("ac"));
    }

    #[test]
    fn syntax_errors_are_one_line() {
        assert_eq!(Pattern::new("(", &mut (1 << 20)), Err(PatternError::Syntax("unclosed group".to_owned())));
    }

    #[test]
    fn charges_the_size_of_a_pattern() {
        let mut budget = 1 << 20;
        assert!(Pattern::new("a", &mut budget).is_ok());
        let after_small = budget;
        assert!(Pattern::new(r"\w{20}", &mut budget).is_ok());
        assert!(after_small - budget > (1 << 20) - after_small);
        assert_eq!(Pattern::new(r"\w{20}\w{20}\w{20}", &mut budget), Err(PatternError::Budget));
        assert_eq!(Pattern::new("a", &mut 0), Err(PatternError::Budget));
    }
}
