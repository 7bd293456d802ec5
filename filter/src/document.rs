//! Events read from bytes: the one way from JSON text to a value in this crate, the poller and the CLI.
//!
//! serde_json rounds some floats to a neighbour (its `float_roundtrip` feature avoids that, but a library that turned it on
//! would impose it on its users), so a value parsed by it can fail a filter that its text satisfies. A [`Document`] is
//! checked when it is made, and matched and explained as bytes: a tree of many small values takes thirty times the memory of
//! their text. A tree is built only if it is asked for, by this crate's own parser.

use std::sync::OnceLock;

use serde_json::Value;

use crate::json::{self, JsonError};
use crate::limits::Limits;
use crate::matcher::{Shape, Subject as _};
use crate::scan::{Cursor, Raw, Scan};

/// A JSON document that was checked: floats are rounded correctly, a byte order mark is skipped, nesting is limited.
///
/// ```
/// use filter::{Document, Filter};
///
/// let filter = Filter::parse(r#"{"x": {"$lt": 2}}"#)?;
/// let document = Document::from_slice(b"\xEF\xBB\xBF{\"x\": 2.50}")?;
/// assert!(!filter.matches_document(&document));
/// assert_eq!(filter.explain_document(&document).summary().as_deref(), Some("x is 2.50, expected < 2"));
/// assert_eq!(document.value()["x"], 2.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Document<'t> {
    bytes: &'t [u8],
    /// Built when it is first asked for: matching and explaining use the bytes.
    value: OnceLock<Value>,
}

impl<'t> Document<'t> {
    /// Checks one document, nested at most as deep as [`Limits::depth`] is by default. Takes time linear in its length, and no
    /// memory.
    ///
    /// # Errors
    /// If the bytes are not UTF-8 or not JSON, or nest too deep. Places are counted from behind the byte order mark.
    pub fn from_slice(bytes: &'t [u8]) -> Result<Self, JsonError> {
        Self::from_slice_with(bytes, &Limits::new())
    }

    /// As [`from_slice`](Self::from_slice), with the depth limit of `limits`. Their other limits are about filters.
    ///
    /// # Errors
    /// As [`from_slice`](Self::from_slice).
    pub fn from_slice_with(bytes: &'t [u8], limits: &Limits) -> Result<Self, JsonError> {
        Self::parse(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes), limits.depth())
    }

    /// Without accepting a byte order mark, like `serde_json::from_slice`.
    pub(crate) fn parse(bytes: &'t [u8], depth: usize) -> Result<Self, JsonError> {
        match check(bytes, depth) {
            Ok(()) => Ok(Self { bytes, value: OnceLock::new() }),
            Err(_) => Err(json::event_error(bytes, depth)),
        }
    }

    /// The document's value; of duplicate keys the last counts. Built on the first call.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| self.build())
    }

    /// The document's value.
    pub fn into_value(mut self) -> Value {
        self.value.take().unwrap_or_else(|| self.build())
    }

    /// The string at a JSON pointer (RFC 6901), without building a tree; `None` if there is none, or another value. Takes time
    /// linear in the document.
    ///
    /// ```
    /// let document = filter::Document::from_slice(br#"{"links": [{"self": "/jobs/7"}]}"#)?;
    /// assert_eq!(document.text_at("/links/0/self").as_deref(), Some("/jobs/7"));
    /// assert_eq!(document.text_at("/links/0"), None);
    /// # Ok::<(), filter::JsonError>(())
    /// ```
    pub fn text_at(&self, pointer: &str) -> Option<String> {
        let mut value = self.root();
        if !pointer.is_empty() {
            for step in pointer.strip_prefix('/')?.split('/') {
                let step = step.replace("~1", "/").replace("~0", "~");
                value = match value.shape() {
                    Shape::Object => value.field(&step)?,
                    // As serde_json: an index has no sign and no leading zero.
                    Shape::Array(mut elements) if step == "0" || !step.starts_with(['0', '+']) => {
                        elements.nth(step.parse().ok()?)?
                    }
                    _ => return None,
                };
            }
        }
        value.is_string().then(|| value.text().into_owned())
    }

    fn build(&self) -> Value {
        // Checked before, so it cannot fail; both parsers accept the same documents.
        json::parse_event(self.bytes, Limits::MAX_DEPTH).map_or(Value::Null, |(_, node)| node.into_value())
    }

    pub(crate) fn root(&self) -> Raw<'t> {
        // A checked document begins with a value.
        Raw::of_document(self.bytes).unwrap_or(Raw::NULL)
    }
}

/// Checks the whole document.
fn check(bytes: &[u8], depth: usize) -> Scan<()> {
    let mut cursor = Cursor::<true>::new(bytes, depth)?;
    let kind = cursor.kind()?;
    cursor.skip(kind)?;
    cursor.end()
}
