//! A compiled filter, and the ways in and out of it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::convert::Conversion;
use crate::diagnostic::Warning;
use crate::dialect::Dialect;
use crate::document::Document;
use crate::error::FilterError;
use crate::explain::Explanation;
use crate::json::{self, JsonError, Node};
use crate::options::FilterOptions;
use crate::program::Program;
use crate::scan::Invalid;
use crate::set::Single;
use crate::source::Source;

/// A compiled filter. Cheap to clone, and safe to share between threads.
///
/// Read one with [`Filter::parse`], [`str::parse`], `TryFrom<&Value>` or serde, all of which take the native dialect;
/// other dialects and limits are [`FilterOptions`]' business. Written out, by [`Filter::to_value`], `Display` or serde, it
/// is what it was read from.
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
    /// What reads events from bytes; made when the first comes.
    single: OnceLock<Single>,
}

impl Inner {
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
        Self {
            inner: Arc::new(Inner {
                dialect,
                source,
                program,
                warnings,
                event_depth,
                single: OnceLock::new(),
            }),
        }
    }

    /// Compiles the text of a filter in the native dialect, with the default limits.
    ///
    /// # Errors
    /// If the text is not JSON, or not a filter, or past a limit; with everything that is wrong.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        FilterOptions::new().parse(text)
    }

    /// Whether an event matches.
    ///
    /// Allocates nothing. Takes time linear in the number of conditions times the length of what each looks at.
    pub fn matches(&self, event: &Value) -> bool {
        self.inner.program.matches(event)
    }

    /// Whether an event matches that is given as the bytes of one JSON document.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"n": 9007199254740993}"#)?;
    /// assert!(filter.matches_slice(br#"{"n": 1, "n": 9007199254740993}"#)?);
    /// assert!(filter.matches_slice(b"{\"n\": 1").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the bytes are not JSON, or nest deeper than the limit. The whole document is checked, whatever the filter
    /// looks at; what is accepted is what `serde_json::from_slice::<Value>` accepts.
    pub fn matches_slice(&self, event: &[u8]) -> Result<bool, JsonError> {
        let depth = self.inner.event_depth;
        self.inner.single().matches::<true>(event, depth).map_err(|Invalid| json::event_error(event, depth))
    }

    /// As [`matches_slice`](Self::matches_slice), for a document that is known to be valid and to have no key twice in one
    /// object, as when whoever sent it has checked it: it is read only until the answer is known.
    ///
    /// ```
    /// let filter = filter::Filter::parse(r#"{"n": 1}"#)?;
    /// assert!(filter.matches_valid_slice(br#"{"n": 1, "m": 2}"#));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    ///
    /// What is answered for any other document is unspecified, though never an error, a panic or more than linear time.
    pub fn matches_valid_slice(&self, event: &[u8]) -> bool {
        self.inner.single().matches::<false>(event, self.inner.event_depth).unwrap_or(false)
    }

    /// Whether a parsed document matches.
    pub fn matches_document(&self, event: &Document<'_>) -> bool {
        self.inner.program.matches(event.root())
    }

    /// Why an event does or does not match.
    pub fn explain(&self, event: &Value) -> Explanation {
        self.inner.program.explain(event)
    }

    /// As [`explain`](Self::explain), for the bytes of one JSON document, whose numbers the explanation shows as they were
    /// written.
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
        self.inner.program.explain(event.root())
    }

    /// What is suspicious about the filter.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// The filter as it was written, in its dialect; of duplicate keys the last.
    pub fn to_value(&self) -> Value {
        self.inner.source.to_node().into_value()
    }

    /// The filter in the native dialect, on every event of the same meaning; a native filter as it is.
    ///
    /// ```
    /// use filter::{Dialect, FilterOptions};
    /// use serde_json::json;
    ///
    /// let filter = FilterOptions::new().dialect(Dialect::TriggerDev).parse(r#"{"n": [{"$gt": 1}, {"$lt": 5}]}"#)?;
    /// assert_eq!(filter.to_native()?, json!({"n": {"$gt": 1, "$lt": 5}}));
    /// # Ok::<(), filter::FilterError>(())
    /// ```
    ///
    /// # Errors
    /// If the native dialect cannot say it exactly: patterns of the event-bridge dialect look into arrays in arrays. See
    /// [`Conversion`] for converting them all the same, where events have none.
    ///
    /// [`Conversion`]: crate::Conversion
    pub fn to_native(&self) -> Result<Value, FilterError> {
        Conversion::new().to_native(self)
    }

    pub(crate) fn program(&self) -> &Program {
        &self.inner.program
    }

    pub(crate) fn source(&self) -> &Source {
        &self.inner.source
    }

    /// The dialect in which it was written.
    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }
}

impl PartialEq for Filter {
    /// The same dialect and the same JSON, whatever the order of its members.
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
    /// Its JSON, on one line, members in the order in which they were written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.inner.source.as_str())
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl TryFrom<&Value> for Filter {
    type Error = FilterError;

    fn try_from(value: &Value) -> Result<Self, FilterError> {
        FilterOptions::new().from_value(value)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    /// In the native dialect, from any self-describing format; what is wrong is listed in the error's message.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        FilterOptions::new().compile(&node).map_err(D::Error::custom)
    }
}
