//! The error of a text that is not JSON.

use std::fmt;

use crate::diagnostic::{Code, Diagnostic, Span};

/// A text is not JSON, or exceeds a limit.
///
/// ```
/// let error = filter::json::parse("{\n  'a': 1}", &filter::Limits::new()).unwrap_err();
/// assert_eq!((error.line(), error.column(), error.offset()), (2, 3, 4));
/// assert_eq!(error.diagnostic().help(), Some("JSON quotes with \", not with '"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    diagnostic: Diagnostic,
    line: usize,
    column: usize,
}

impl JsonError {
    /// `text` is the whole document; line and column are counted in it.
    pub(crate) fn new(message: impl Into<String>, span: Span, text: &[u8]) -> Self {
        let before = &text[..span.start.min(text.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        Self {
            diagnostic: Diagnostic::error(message).with_code(Code::InvalidJson).with_span(Some(span)),
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            // Continuation bytes do not begin a character.
            column: 1 + before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count(),
        }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic = self.diagnostic.with_help(help);
        self
    }

    pub(crate) fn with_pointer(mut self, pointer: String) -> Self {
        self.diagnostic = self.diagnostic.with_pointer(pointer);
        self
    }

    /// The error is about a limit, not about the syntax.
    pub(crate) fn about_limit(mut self) -> Self {
        self.diagnostic = self.diagnostic.with_code(Code::LimitExceeded);
        self
    }

    /// The byte of the error, counted from 0.
    pub fn offset(&self) -> usize {
        self.diagnostic.span().map_or(0, |span| span.start)
    }

    /// The line of that byte, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of that byte, in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The error with code, pointer, span and help.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.diagnostic
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} column {}", self.diagnostic.message(), self.line, self.column)
    }
}

impl std::error::Error for JsonError {}
