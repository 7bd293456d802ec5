//! Limits on the cost of filters and events.
//!
//! Every recursive walk over JSON in this crate is over a value whose depth was checked against [`Limits::depth`] before, or checks
//! it at each level on the way down (`source.rs`), and that limit has a maximum; so no input can overflow the stack.

/// Limits of nesting, of text size, and of the size of compiled regular expressions.
///
/// ```
/// use filter::{FilterOptions, Limits};
///
/// let options = FilterOptions::new().limits(Limits::new().with_depth(2));
/// assert!(options.parse(r#"{"a":{"b":1}}"#).is_ok());
/// assert!(options.parse(r#"{"a":{"b":{"c":1}}}"#).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    depth: usize,
    text_bytes: usize,
    regex_bytes: usize,
    regex_bytes_in_all: usize,
}

impl Limits {
    /// The greatest possible depth; a deeper walk might overflow the stack of a small thread.
    pub const MAX_DEPTH: usize = 256;

    /// The defaults: depth 127 (serde_json's), 1 MiB of filter text, 10 MiB of compiled regular expressions.
    pub const fn new() -> Self {
        Self { depth: 127, text_bytes: 1 << 20, regex_bytes: 10 << 20, regex_bytes_in_all: usize::MAX }
    }

    /// Sets the nesting depth of arrays and objects, in filters and in events read from bytes.
    ///
    /// A depth above [`Limits::MAX_DEPTH`] is reduced to it.
    #[must_use]
    pub const fn with_depth(mut self, levels: usize) -> Self {
        self.depth = if levels > Self::MAX_DEPTH { Self::MAX_DEPTH } else { levels };
        self
    }

    /// Sets the greatest length of a filter's text, in bytes.
    ///
    /// More than 4 GiB is reduced to that: the parts of a compiled filter are counted in 32 bits.
    #[must_use]
    pub const fn with_text_bytes(mut self, bytes: usize) -> Self {
        const MOST: usize = u32::MAX as usize;
        self.text_bytes = if bytes > MOST { MOST } else { bytes };
        self
    }

    /// Sets the total memory of a filter's compiled regular expressions, in bytes.
    #[must_use]
    pub const fn with_regex_bytes(mut self, bytes: usize) -> Self {
        self.regex_bytes = bytes;
        self
    }

    /// Sets the memory that the compiled regular expressions of all filters in the process may take together, in bytes. Without
    /// limit by default: a set of a million rules may well need gigabytes. A program that keeps the filters of strangers sets
    /// it, since each of a thousand could take [`regex_bytes`](Self::regex_bytes).
    ///
    /// ```
    /// use filter::{FilterOptions, Limits};
    ///
    /// let options = FilterOptions::new().limits(Limits::new().with_regex_bytes_in_all(0));
    /// assert!(options.parse(r#"{"a":"b"}"#).is_ok());
    /// let error = options.parse(r#"{"a":{"$regex":"b+"}}"#).unwrap_err();
    /// assert!(error.to_string().contains("of all filters in this process"), "{error}");
    /// ```
    #[must_use]
    pub const fn with_regex_bytes_in_all(mut self, bytes: usize) -> Self {
        self.regex_bytes_in_all = bytes;
        self
    }

    /// The greatest nesting depth.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The greatest length of a filter's text, in bytes.
    pub const fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The memory of the compiled regular expressions of all filters in the process, in bytes.
    pub const fn regex_bytes_in_all(&self) -> usize {
        self.regex_bytes_in_all
    }

    /// The total memory of a filter's compiled regular expressions, in bytes.
    pub const fn regex_bytes(&self) -> usize {
        self.regex_bytes
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}
