//! Messages about invalid JSON: the unexpected text, the expected one, and help for frequent mistakes.

use super::error::JsonError;
use super::parse::Parser;
use super::pointer::Pointer;
use crate::diagnostic::Span;

impl Parser<'_> {
    pub(super) fn expected_value(&self) -> &'static str {
        match self.open.last() {
            Some(frame) if frame.is_array() && frame.count == 0 => "a value or `]`",
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
            let what = if frame.is_array() { "array" } else { "object" };
            let opened = JsonError::new("", Span { start: frame.start, end: frame.start }, self.bytes);
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
        let span = Span { start: self.at, end: self.at + length };
        let error = self.error(format!("found `{}`, expected {expected}", visible(found)), span);
        let is_word = word_length > 0;
        let help = match (character, found) {
            _ if self.open.is_empty()
                && expected == "a value"
                && let Some(help) = self.foreign() =>
            {
                help
            }
            ('\'', _) => "JSON quotes with \", not with '",
            ('/' | '#', _) => "JSON has no comments: remove it",
            (_, "True" | "False" | "None" | "TRUE" | "FALSE" | "NULL" | "undefined" | "nil") => {
                "JSON's words are true, false and null"
            }
            (_, "NaN" | "Infinity") => "JSON has no such number",
            ('+' | '.', _) => "a number begins with a digit or a minus",
            ('\u{feff}', _) => "remove the byte order mark",
            ('“' | '”' | '‘' | '’', _) => "JSON quotes with straight quotes: \"",
            _ if is_word && length <= 40 && begins_with(expected, &["a key", "a value"]) => {
                return error.with_help(format!("put it in quotes: \"{found}\""));
            }
            (first, _) if expected.starts_with("`,`") && (is_word || "\"{[-".contains(first)) => {
                "a comma is missing before it"
            }
            _ if expected == "the end of the text" => "there is one value too many: remove it",
            _ => return error,
        };
        error.with_help(help)
    }

    /// The help for a text in another language.
    pub(super) fn foreign(&self) -> Option<&'static str> {
        let text = self.text.trim_start();
        let line = text.lines().next().unwrap_or_default();
        let word = line.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(line.len());
        let after = &line[word..];
        let numeric = text.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
        if (text.starts_with(['.', '|']) && !numeric)
            || (matches!(&line[..word], "select" | "map" | "any" | "all") && after.starts_with('('))
        {
            return Some("this is JSON, not a jq program: for `.a.b == 1` write {\"a\": {\"b\": 1}}");
        }
        if line.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("select ")) {
            return Some("this is JSON, not SQL: in a filter `WHERE a = 1` is {\"a\": 1}");
        }
        let path = line.find(|c: char| !c.is_alphanumeric() && !"_-.$[]@".contains(c)).unwrap_or(line.len());
        let compared = ["=", "!=", "<", ">", "in ", "IN ", "like ", "LIKE "];
        if line.starts_with(['$', '@']) || (path > 0 && begins_with(line[path..].trim_start(), &compared)) {
            return Some(
                "this is JSON, not an expression: in a filter `a == 1` is {\"a\": 1}, and `a.b > 1` is {\"a\": {\"b\": {\"$gt\": 1}}}",
            );
        }
        let is_yaml = line == "---"
            || (word > 0 && (after == ":" || after.starts_with(": ")))
            || line.starts_with("- ");
        is_yaml.then_some("this is JSON, not YAML: for `a: 1` write {\"a\": 1}")
    }

    pub(super) fn error(&self, message: impl Into<String>, span: Span) -> JsonError {
        let mut pointer = Pointer::default();
        for frame in &self.open {
            match &frame.key {
                Some((key, _)) => pointer.key(key),
                None if frame.is_array() => pointer.index(frame.count),
                None => {}
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

fn begins_with(text: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| text.starts_with(beginning))
}
