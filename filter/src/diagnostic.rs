//! What a person is told about one place in a filter: where it is, what is wrong there, and what to do.
//!
//! Errors and warnings are the same type, so that a tool renders both alike. Builders are public: a program that
//! embeds filters in a document of its own reports that document's errors in the same form.

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

/// A half-open range of bytes in the text that was parsed.
///
/// ```
/// let span = filter::Span { start: 1, end: 4 };
/// assert_eq!(&"{\"a\":1}"[std::ops::Range::from(span)], "\"a\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl From<Span> for Range<usize> {
    fn from(span: Span) -> Self {
        span.start..span.end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// Whether a diagnostic stops a filter from compiling.
///
/// ```
/// assert_eq!(filter::Diagnostic::warning("never holds").severity(), filter::Severity::Warning);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The filter does not compile.
    Error,
    /// The filter compiles, but probably does not mean what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One error or warning: a JSON pointer, a byte span where the text is known, a message, and help where some is likely.
///
/// ```
/// let error = filter::Filter::parse(r#"{"name":{"$startWith":"a"}}"#).unwrap_err();
/// let diagnostic = &error.diagnostics()[0];
/// assert_eq!(diagnostic.pointer(), "/name/$startWith");
/// assert_eq!(diagnostic.location().map(|span| span.start), Some(9));
/// assert_eq!(diagnostic.message(), r#"unknown operator "$startWith""#);
/// assert_eq!(diagnostic.hint(), Some(r#"did you mean "$startsWith"?"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    severity: Severity,
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<Span>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Diagnostic {
    /// An error at the root, without span or help.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// A warning at the root, without span or help.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self { severity, pointer: String::new(), span: None, message, help: None }
    }

    /// Sets the JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) of the place.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }

    /// Sets the byte span of the place.
    #[must_use]
    pub fn span(mut self, span: Option<Span>) -> Self {
        self.span = span;
        self
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether it is an error or a warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The JSON pointer of the place; empty for the whole document.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The bytes of the text it is about; `None` if what was compiled was not text.
    pub fn location(&self) -> Option<Span> {
        self.span
    }

    /// What was found, and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Diagnostic {
    /// `pointer: message; help`, the parts that are there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}
