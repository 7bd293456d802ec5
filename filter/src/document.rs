//! Events read from bytes: the one way from JSON text to a value in this crate, the poller and the CLI.
//!
//! serde_json rounds some floats to a neighbour (its `float_roundtrip` feature avoids that, but a library that turned it on
//! would impose it on its users), so a value parsed by it can fail a filter that its text satisfies. A [`Document`] is
//! parsed by this crate's own parser. It also keeps the text, so that an explanation shows numbers as they were written.

use std::sync::OnceLock;

use serde_json::Value;

use crate::json::{self, JsonError, Kind, Node};
use crate::limits::Limits;
use crate::matcher::{Shape, Subject};
use crate::ops::{Chars, Num, View};

/// A parsed JSON document: floats are rounded correctly, a byte order mark is skipped, nesting is limited.
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
    text: &'t str,
    node: Node,
    /// Built when it is first asked for: matching and explaining use the nodes.
    value: OnceLock<Value>,
}

impl<'t> Document<'t> {
    /// Parses one document, nested at most as deep as [`Limits::depth`] is by default.
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
        let (text, node) = json::parse_event(bytes, depth)?;
        Ok(Self { text, node, value: OnceLock::new() })
    }

    /// The document's value; of duplicate keys the last counts. Built on the first call.
    pub fn value(&self) -> &Value {
        self.value.get_or_init(|| self.node.to_value())
    }

    /// The document's value.
    pub fn into_value(self) -> Value {
        match self.value.into_inner() {
            Some(value) => value,
            None => self.node.into_value(),
        }
    }

    pub(crate) fn root(&self) -> Written<'_> {
        Written { node: &self.node, text: self.text }
    }
}

/// A value of a document, with the document's text.
#[derive(Clone, Copy)]
pub(crate) struct Written<'d> {
    pub(crate) node: &'d Node,
    text: &'d str,
}

impl<'d> Written<'d> {
    /// Another value of the same document.
    pub(crate) fn at(self, node: &'d Node) -> Self {
        Self { node, ..self }
    }

    /// The value as it was written.
    pub(crate) fn source(self) -> &'d str {
        self.node.span.and_then(|span| self.text.get(span.start..span.end)).unwrap_or_default()
    }
}

pub(crate) struct Elements<'d> {
    text: &'d str,
    items: std::slice::Iter<'d, Node>,
}

impl<'d> Iterator for Elements<'d> {
    type Item = Written<'d>;

    fn next(&mut self) -> Option<Written<'d>> {
        self.items.next().map(|node| Written { node, text: self.text })
    }
}

impl<'d> Subject for Written<'d> {
    type Elements = Elements<'d>;

    fn shape(self) -> Shape<Self> {
        match &self.node.kind {
            Kind::Null => Shape::Null,
            Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => Shape::Scalar,
            Kind::Array(items) => Shape::Array(Elements { text: self.text, items: items.iter() }),
            Kind::Object(_) => Shape::Object,
        }
    }

    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        see(match &self.node.kind {
            Kind::Null => View::Null,
            Kind::Bool(bool) => View::Bool(*bool),
            Kind::Number(number) => Num::new(number).map_or(View::Unrepresentable, View::Number),
            Kind::String(text) => View::String(Chars::Str(text)),
            Kind::Object(_) | Kind::Array(_) => View::Object,
        })
    }

    fn field(self, name: &str) -> Option<Self> {
        self.node.get(name).map(|node| self.at(node))
    }
}
