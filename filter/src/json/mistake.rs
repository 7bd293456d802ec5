//! Messages about invalid JSON: the unexpected text, the expected one, and help for frequent mistakes.

use super::error::JsonError;
use super::parse::{Frame, Parser};
use super::pointer::Pointer;
use crate::diagnostic::Span;

impl Parser<'_> {
    pub(super) fn expected_value(&self) -> &'static str {
        match self.open.last() {
            Some(Frame::Array { items, .. }) if items.is_empty() => "a value or `]`",
            _ => "a value",
        }
    }

    /// The error for unexpected text at the current position, with help for the mistakes that people most often make.
    pub(super) fn unexpected(&self, expected: &str) -> JsonError {
        let rest = &self.text[self.at..];
        let Some(character) = rest.chars().next() else {
            let ends = if self.text.trim().is_empty() { "the text is empty" } else { "the text ends" };
            let error =
                self.error(format!("{ends}, expected {expected}"), Span { start: self.at, end: self.at });
            let Some(frame) = self.open.last() else { return error };
            let (what, start) = match frame {
                Frame::Array { start, .. } => ("array", start),
                Frame::Object { start, .. } => ("object", start),
            };
            let opened = JsonError::new("", Span { start: *start, end: *start }, self.bytes);
            return error.with_help(format!(
                "the {what} opened at line {} column {} is not closed",
                opened.line(),
                opened.column()
            ));
        };
        let word_length =
            rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(rest.len());
        let length = word_length.max(character.len_utf8());
        let found = if length <= 40 { &rest[..length] } else { "a long word" };
        let help = match (character, found) {
            ('\'', _) => Some("JSON quotes with \", not with '".to_owned()),
            ('/' | '#', _) => Some("JSON has no comments: remove it".to_owned()),
            (_, "True" | "False" | "None" | "TRUE" | "FALSE" | "NULL" | "undefined" | "nil") => {
                Some("JSON's words are true, false and null".to_owned())
            }
            (_, "NaN" | "Infinity") => Some("JSON has no such number".to_owned()),
            ('+' | '.', _) => Some("a number begins with a digit or a minus".to_owned()),
            ('\u{feff}', _) => Some("remove the byte order mark".to_owned()),
            ('“' | '”' | '‘' | '’', _) => Some("JSON quotes with straight quotes: \"".to_owned()),
            _ if word_length > 0
                && length <= 40
                && ["a key", "a value"].iter().any(|e| expected.starts_with(e)) =>
            {
                Some(format!("put it in quotes: \"{found}\""))
            }
            _ if expected.starts_with("`,`")
                && (word_length > 0 || matches!(character, '"' | '{' | '[' | '-')) =>
            {
                Some("a comma is missing before it".to_owned())
            }
            _ if expected == "the end of the text" => {
                Some("there is one value too many: remove it".to_owned())
            }
            _ => None,
        };
        let error = self.error(
            format!("found `{}`, expected {expected}", visible(found)),
            Span { start: self.at, end: self.at + length },
        );
        match help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }

    pub(super) fn error(&self, message: impl Into<String>, span: Span) -> JsonError {
        let mut pointer = Pointer::default();
        for frame in &self.open {
            match frame {
                Frame::Array { items, .. } => pointer.index(items.len()),
                Frame::Object { key: Some((key, _)), .. } => pointer.key(key),
                Frame::Object { key: None, .. } => {}
            }
        }
        JsonError::new(message, span, self.bytes).with_pointer(pointer.to_string())
    }
}

/// Replaces invisible characters by their escapes.
pub(super) fn visible(text: &str) -> String {
    let invisible = |c: char| c.is_control() || c == '\u{feff}';
    text.chars().map(|c| if invisible(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}
