//! Why a text is not JSON, and where.

use std::fmt;

use crate::diagnostic::{Diagnostic, Span};

/// A text is not JSON, or is past a limit.
///
/// ```
/// let error = filter::json::parse("{\n  'a': 1}", &filter::Limits::new()).unwrap_err();
/// assert_eq!((error.line(), error.column(), error.offset()), (2, 3, 4));
/// assert_eq!(error.diagnostic().hint(), Some("JSON quotes with \", not with '"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    message: String,
    help: Option<String>,
    pointer: String,
    span: Span,
    line: usize,
    column: usize,
}

impl JsonError {
    /// `text` is the whole document, from which line and column are counted.
    pub(crate) fn new(message: impl Into<String>, span: Span, text: &[u8]) -> Self {
        let before = &text[..span.start.min(text.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        Self {
            message: message.into(),
            help: None,
            pointer: String::new(),
            span,
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            // Continuation bytes do not begin a character.
            column: 1 + before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count(),
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn at(mut self, pointer: String) -> Self {
        self.pointer = pointer;
        self
    }

    /// The byte at which it went wrong, counted from 0.
    pub fn offset(&self) -> usize {
        self.span.start
    }

    /// The line of that byte, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of that byte, in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The same as a [`Diagnostic`], with pointer, span and help.
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic =
            Diagnostic::error(self.message.clone()).at(self.pointer.clone()).span(Some(self.span));
        match &self.help {
            Some(help) => diagnostic.help(help.clone()),
            None => diagnostic,
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} column {}", self.message, self.line, self.column)
    }
}

impl std::error::Error for JsonError {}
