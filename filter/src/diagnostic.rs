//! Reports about one place in a document: its location, the problem, a stable code for tools, and what to do.
//!
//! Errors and warnings are the same type, so that a tool renders both alike. The builders are public: a program that
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

/// Whether a diagnostic prevents a filter from compiling.
///
/// ```
/// assert_eq!(filter::Diagnostic::warning("never holds").severity(), filter::Severity::Warning);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// The filter does not compile.
    Error,
    /// The filter compiles, but its meaning is probably not the intended one.
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

/// Defines [`Code`]: one line per code, its name in kebab case beside it.
macro_rules! codes {
    ($($(#[$doc:meta])+ $code:ident $name:literal,)+) => {
        /// The kind of problem that a [`Diagnostic`] reports. Messages may be reworded; codes do not change.
        ///
        /// ```
        /// let error = filter::Filter::parse(r#"{"name":{"$startWith":"a"}}"#).unwrap_err();
        /// assert_eq!(error.diagnostics()[0].code(), filter::Code::UnknownOperator);
        /// assert_eq!(filter::Code::UnknownOperator.to_string(), "unknown-operator");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])+ $code,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// Its name in kebab case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)+
                }
            }
        }
    };
}

codes! {
    /// Error: the text is not JSON.
    InvalidJson "invalid-json",
    /// Error: the document exceeds a limit: nesting, length, or the memory of regular expressions.
    LimitExceeded "limit-exceeded",
    /// Error: a member that the object cannot have.
    UnknownMember "unknown-member",
    /// Error, or a warning in dialects where the last one counts: a key appears more than once in one object.
    DuplicateKey "duplicate-key",
    /// Error: a value of another type than expected.
    WrongType "wrong-type",
    /// Error: a value of the right type that is not acceptable.
    InvalidValue "invalid-value",
    /// Error: an operator that the dialect does not have.
    UnknownOperator "unknown-operator",
    /// Error: an operator where it cannot be, or together with fields or operators that it excludes.
    MisplacedOperator "misplaced-operator",
    /// Error: a list or object that must have content is empty.
    Empty "empty",
    /// Error: an operator that needs a feature with which this crate was not built.
    NotAvailable "not-available",
    /// Error: the target dialect cannot express the filter.
    NotConvertible "not-convertible",
    /// Warning: a condition that no value satisfies: `{"$gt": 2, "$lt": 1}`.
    NeverHolds "never-holds",
    /// Warning: a condition that every value satisfies, a missing one too.
    AlwaysHolds "always-holds",
    /// Warning: bounds in an array, where any one of them suffices, so that every number does: `[{"$gt":20},{"$lt":40}]`.
    RangeTrap "range-trap",
    /// Warning: the same condition twice.
    DuplicateCondition "duplicate-condition",
    /// Warning: bits of an address beyond the prefix of its block; they are ignored.
    HostBits "host-bits",
    /// Warning: a field named like an operator, where a matcher was probably meant: `{"x": {"gt": 5}}`.
    OperatorAsField "operator-as-field",
    /// Warning: a field whose name looks like a path: `{"a.b": 1}`.
    PathAsField "path-as-field",
    /// Warning: a list of values that looks like a comparison: `[">", 5]`.
    ComparisonAsList "comparison-as-list",
    /// Warning: a text in the syntax of another language: an expression between slashes, `?` in a wildcard.
    ForeignSyntax "foreign-syntax",
    /// Error or warning: the number of further ones, which are not listed.
    More "more",
    /// Warning: a value that is probably not what was meant.
    Suspicious "suspicious",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One error or warning: a JSON pointer, a byte span if the text is known, a code, a message, and help if there is any.
///
/// ```
/// let error = filter::Filter::parse(r#"{"name":{"$startWith":"a"}}"#).unwrap_err();
/// let diagnostic = &error.diagnostics()[0];
/// assert_eq!(diagnostic.pointer(), "/name/$startWith");
/// assert_eq!(diagnostic.span().map(|span| span.start), Some(9));
/// assert_eq!(diagnostic.message(), r#"unknown operator "$startWith""#);
/// assert_eq!(diagnostic.help(), Some(r#"did you mean "$startsWith"?"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    severity: Severity,
    code: Code,
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<Span>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
    /// The number of problems that it stands for.
    #[serde(skip)]
    count: u32,
}

/// The most errors, and the most warnings, that a report lists. A person mends the first ones first.
pub(crate) const MOST: usize = 100;

/// Shortens a list of problems to the first [`MOST`], and replaces the others, and `omitted` further ones, by their number.
pub(crate) fn shorten(mut problems: Vec<Diagnostic>, omitted: usize) -> Vec<Diagnostic> {
    let first = problems.iter().take_while(|problem| problem.code != Code::More).take(MOST).count();
    let omitted = u32::try_from(omitted).unwrap_or(u32::MAX);
    let rest = problems.drain(first..).fold(omitted, |rest, problem| rest.saturating_add(problem.count));
    if rest == 0 {
        return problems;
    }
    let severity = problems.first().map_or(Severity::Error, Diagnostic::severity);
    let plural = if rest == 1 { "" } else { "s" };
    let message = format!("{rest} more {severity}{plural} like these, not listed");
    let more = Diagnostic { count: rest, ..Diagnostic::new(severity, Code::More, message) };
    problems.push(more.with_help("mend the first ones and check again"));
    problems
}

/// A [`Diagnostic`] of severity [`Warning`](Severity::Warning): the filter compiles, but its meaning is probably not the
/// intended one.
///
/// ```
/// use filter::{Code, Filter, Warning};
///
/// let filter = Filter::parse(r#"{"age": [{"$gt": 20}, {"$lt": 40}]}"#)?;
/// let warning: &Warning = &filter.warnings()[0];
/// assert_eq!(warning.code(), Code::RangeTrap);
/// assert_eq!(warning.pointer(), "/age");
/// # Ok::<(), filter::FilterError>(())
/// ```
pub type Warning = Diagnostic;

impl Diagnostic {
    /// An error at the root, with the code [`Code::InvalidValue`], without span or help.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Code::InvalidValue, message.into())
    }

    /// A warning at the root, with the code [`Code::Suspicious`], without span or help.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Code::Suspicious, message.into())
    }

    fn new(severity: Severity, code: Code, message: String) -> Self {
        Self { severity, code, pointer: String::new(), span: None, message, help: None, count: 1 }
    }

    /// Sets the code.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Sets the JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) of the place.
    #[must_use]
    pub fn with_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = pointer.into();
        self
    }

    /// Sets the byte span of the place.
    #[must_use]
    pub fn with_span(mut self, span: Option<Span>) -> Self {
        self.span = span;
        self
    }

    /// Sets the advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The kind of problem.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The JSON pointer of the place; empty for the whole document.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The place in the text, in bytes; `None` if the document was not read from text.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// The problem: what was found, and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The number of problems that it stands for: 1, or with the code [`Code::More`] the number of problems that are not listed.
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl fmt::Display for Diagnostic {
    /// `pointer: message; help`, without the parts that are empty.
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
