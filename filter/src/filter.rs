//! A compiled filter: matching, explaining, serializing. `options` compiles filters, `convert` converts them.
//!
//! This file and `set` refer to each other: sets are made of filters, and a filter reads bytes with the index of a set of one,
//! since a second bytes engine would have to be kept equal to the first.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::diagnostic::Warning;
use crate::dialect::Dialect;
use crate::document::Document;
use crate::explain::{Explanation, Shown};
use crate::implication;
use crate::json::{self, JsonError};
use crate::matcher::{Effort, Exhausted, Metered};
use crate::ops::Spellings;
use crate::program::Program;
use crate::scan::Invalid;
use crate::set::Single;
use crate::source::Source;

/// A compiled filter. Cheap to clone, and safe to share between threads.
///
/// [`Filter::parse`], [`str::parse`], `TryFrom<&Value>` and serde read the native dialect; [`FilterOptions`](crate::FilterOptions) reads
/// other dialects and sets limits. [`Filter::to_value`], `Display` and serde give the filter's source back.
///
/// ```
/// use filter::Filter;
/// use serde_json::json;
///
/// let filter: Filter = r#"{"status": ["SUCCESS", "FAILED"], "tries": {"$lt": 5}}"#.parse()?;
/// assert!(filter.matches(&json!({"status": "FAILED", "tries": 1})));
/// assert!(!filter.matches(&json!({"status": "FAILED"})));
/// # Ok::<(), filter::FilterError>(())
/// ```
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Inner>,
}

struct Inner {
    dialect: Dialect,
    source: Source,
    program: Program,
    warnings: Vec<Warning>,
    event_depth: usize,
    /// The bytes engine; built for the first event.
    single: OnceLock<Single>,
}

impl Inner {
    /// With nothing read yet.
    fn empty(dialect: Dialect, event_depth: usize) -> Self {
        Self {
            dialect,
            source: Source::of_compact(""),
            program: Program::empty(),
            warnings: Vec::new(),
            event_depth,
            single: OnceLock::new(),
        }
    }

    fn single(&self) -> &Single {
        self.single.get_or_init(|| Single::new(&self.program))
    }
}

impl Filter {
    pub(crate) fn new(
        dialect: Dialect,
        source: Source,
        program: Program,
        warnings: Vec<Warning>,
        event_depth: usize,
    ) -> Self {
        let inner = Inner { source, program, warnings, ..Inner::empty(dialect, event_depth) };
        Self { inner: Arc::new(inner) }
    }

    /// A filter without warnings, whose program is read in place, with its source; `None` if `read` returns that.
    pub(crate) fn in_place(
        dialect: Dialect,
        event_depth: usize,
        read: impl FnOnce(&mut Program) -> Option<Source>,
    ) -> Option<Self> {
        let mut shared = Arc::new(Inner::empty(dialect, event_depth));
        let inner = Arc::get_mut(&mut shared)?;
        inner.source = read(&mut inner.program)?;
        Some(Self { inner: shared })
    }

    /// Whether an event matches.
    ///
    /// Allocates nothing; a filter with `$ignoreCase` folds texts in memory of the thread, which is reused. Takes time linear in the number of conditions times the size of the values that they examine.
    pub fn matches(&self, event: &Value) -> bool {
        self.inner.program.matches(event)
    }

    /// Whether an event matches, given as the bytes of one JSON document.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"n": 9007199254740993}"#)?;
    /// assert!(filter.matches_slice(br#"{"n": 1, "n": 9007199254740993}"#)?);
    /// assert!(filter.matches_slice(b"{\"n\": 1").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the bytes are not JSON, or nest deeper than the limit. The whole document is checked, with the result of
    /// `serde_json::from_slice::<Value>`.
    pub fn matches_slice(&self, event: &[u8]) -> Result<bool, JsonError> {
        let depth = self.inner.event_depth;
        self.inner
            .single()
            .matches::<true>(&self.inner.program, event, depth)
            .map_err(|Invalid| json::event_error(event, depth))
    }

    /// As [`matches_slice`](Self::matches_slice), for a document that is known to be valid and to have no duplicate
    /// keys, for example because its sender has checked it: reading stops as soon as the answer is known.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"n": 1}"#)?;
    /// assert!(filter.matches_valid_slice(br#"{"n": 1, "m": 2}"#));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    ///
    /// For any other document the answer is unspecified, but never an error, a panic, or more than linear time.
    pub fn matches_valid_slice(&self, event: &[u8]) -> bool {
        self.inner
            .single()
            .matches::<false>(&self.inner.program, event, self.inner.event_depth)
            .unwrap_or(false)
    }

    /// Whether a checked document matches. Takes time linear in its length and the number of conditions, and for an array in the
    /// product of its length and the number of conditions on it.
    pub fn matches_document(&self, event: &Document<'_>) -> bool {
        // Without the index that `matches_slice` builds: a program with thousands of filters, each for a few documents,
        // would spend kilobytes on each.
        self.inner.program.matches(event.root())
    }

    /// As [`matches`](Self::matches), with a bound on the work.
    ///
    /// # Errors
    /// If the bound is reached, or was stopped.
    pub fn matches_within(&self, event: &Value, effort: &Effort) -> Result<bool, Exhausted> {
        effort.completes(self.inner.program.matches_here(Metered::new(event, effort)))
    }

    /// As [`matches_document`](Self::matches_document), with a bound on the work.
    ///
    /// # Errors
    /// If the bound is reached, or was stopped.
    pub fn matches_document_within(&self, event: &Document<'_>, effort: &Effort) -> Result<bool, Exhausted> {
        let (program, root) = (&self.inner.program, event.root());
        effort.completes(match program.large(root).and_then(|bytes| program.field_cache(None, bytes)) {
            Some((cache, root)) => {
                effort.charge_bytes(root.source().len(), 2);
                program.matches_here(Metered::new(cache.root(root), effort))
            }
            None => program.matches_here(Metered::new(root, effort)),
        })
    }

    /// As [`explain`](Self::explain), with a bound on the work.
    ///
    /// # Errors
    /// If the bound is reached, or was stopped.
    pub fn explain_within(&self, event: &Value, effort: &Effort) -> Result<Explanation, Exhausted> {
        effort.completes(self.explain_here(Metered::new(event, effort)))
    }

    /// As [`explain_document`](Self::explain_document), with a bound on the work.
    ///
    /// # Errors
    /// If the bound is reached, or was stopped.
    pub fn explain_document_within(
        &self,
        event: &Document<'_>,
        effort: &Effort,
    ) -> Result<Explanation, Exhausted> {
        let (program, root) = (&self.inner.program, event.root());
        effort.completes(match program.long(root).and_then(|bytes| program.field_cache(None, bytes)) {
            Some((cache, root)) => {
                effort.charge_bytes(root.source().len(), 2);
                self.explain_here(Metered::new(cache.root(root), effort))
            }
            None => self.explain_here(Metered::new(root, effort)),
        })
    }

    /// Whether it is certain that every event that this filter matches is matched by the other one too.
    ///
    /// `false` also says that no proof was found: the question is hard in general, and for regular expressions only equality is
    /// looked at. Takes bounded time. A filter that can never match implies every other one, as far as that is noticed.
    ///
    /// ```
    /// use filter::Filter;
    ///
    /// let wide = Filter::parse(r#"{"type": {"$startsWith": "order."}}"#)?;
    /// let narrow = Filter::parse(r#"{"type": ["order.paid", "order.sent"], "total": {"$gt": 100}}"#)?;
    /// assert!(narrow.implies(&wide));
    /// assert!(!wide.implies(&narrow));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    pub fn implies(&self, other: &Self) -> bool {
        implication::implies(&self.inner.program, &other.inner.program)
    }

    /// Whether it is certain that no event matches, because conditions contradict each other. Takes bounded time.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"a": {"$startsWith": "x"}, "$and": [{"a": ["y", "z"]}]}"#)?;
    /// assert!(filter.never_matches());
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    pub fn never_matches(&self) -> bool {
        implication::never_matches(&self.inner.program)
    }

    /// Explains why an event matches or does not.
    pub fn explain(&self, event: &Value) -> Explanation {
        self.explain_value(event)
    }

    /// As [`explain`](Self::explain), for the bytes of one JSON document. The explanation shows numbers as they were
    /// written. No tree is built, so it takes little memory beside the bytes.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"n": 1}"#)?;
    /// let explanation = filter.explain_slice(br#"{"n": 18446744073709551616}"#)?;
    /// assert_eq!(explanation.summary().as_deref(), Some("n is 18446744073709551616, expected 1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`matches_slice`](Self::matches_slice).
    pub fn explain_slice(&self, event: &[u8]) -> Result<Explanation, JsonError> {
        Ok(self.explain_document(&Document::parse(event, self.inner.event_depth)?))
    }

    /// As [`explain_slice`](Self::explain_slice), for a document that was parsed already.
    pub fn explain_document(&self, event: &Document<'_>) -> Explanation {
        self.explain_value(event.root())
    }

    fn explain_here<V: Shown>(&self, event: V) -> Explanation {
        let numbers = Spellings::of_json(self.inner.source.as_str());
        self.inner.program.explain_here(event, self.inner.dialect, numbers)
    }

    fn explain_value<V: Shown>(&self, event: V) -> Explanation {
        let numbers = Spellings::of_json(self.inner.source.as_str());
        self.inner.program.explain(event, self.inner.dialect, numbers)
    }

    /// The warnings about the filter, in the order of its text. Of more than a hundred, the first hundred and the number of
    /// the others.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// The filter's source as a value, in its dialect; of duplicate keys the last.
    pub fn to_value(&self) -> Value {
        self.inner.source.to_node().into_value()
    }

    pub(crate) fn program(&self) -> &Program {
        &self.inner.program
    }

    pub(crate) fn source(&self) -> &Source {
        &self.inner.source
    }

    /// The filter's dialect.
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }
}

impl PartialEq for Filter {
    /// Compares dialect and JSON, ignoring the order of members.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.dialect() == other.dialect() && self.inner.source == other.inner.source)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("dialect", &self.inner.dialect)
            .field("source", &self.inner.source.as_str())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Filter {
    /// The filter's JSON on one line, members in their original order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.inner.source.as_str())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}
