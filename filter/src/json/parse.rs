//! The parser: text in, [`Node`]s with spans out.
//!
//! It keeps its own stack of open arrays and objects instead of recursing, so that nesting costs heap, which the depth
//! limit bounds, and never stack. What it accepts is what serde_json accepts; a property test holds it to that.
//!
//! ```text
//!  value ──► scalar ─────────────────────┐
//!    │ [ or {                            ▼
//!    └──► push frame ──► next value   complete ──► no frame: done
//!              ▲                         │ into the top frame
//!              └──────── , ◄─────────────┤
//!                                ] or } ─┴─► pop frame, which is complete in turn
//! ```

use serde_json::Number;

use super::error::JsonError;
use super::node::{Kind, Member, Node};
use super::pointer::Pointer;
use crate::diagnostic::Span;
use crate::limits::Limits;

/// Parses one JSON document, in time linear in its length.
///
/// # Errors
/// If the text is not JSON, nests deeper than [`Limits::depth`], or is longer than [`Limits::text_bytes`].
///
/// ```
/// let node = filter::json::parse(r#"{"a":1e0}"#, &filter::Limits::new())?;
/// assert_eq!(node.to_value(), serde_json::json!({"a": 1.0}));
/// # Ok::<(), filter::JsonError>(())
/// ```
pub fn parse(text: &str, limits: &Limits) -> Result<Node, JsonError> {
    let mut parser = Parser::new(text, limits.depth());
    parser.check_length(0, text.len(), limits)?;
    let node = parser.value()?;
    parser.end()?;
    Ok(node)
}

/// Parses any number of JSON values, one after the other, with or without whitespace between them where none is
/// needed (`{}{}` is two objects). Spans are offsets into the whole text; the limits hold for each value.
///
/// # Errors
/// As [`parse`], for the first value that is not JSON.
///
/// ```
/// let nodes = filter::json::parse_sequence("{}\n[1] 2", &filter::Limits::new())?;
/// assert_eq!(nodes.len(), 3);
/// assert_eq!(nodes[2].span.map(|span| span.start), Some(7));
/// # Ok::<(), filter::JsonError>(())
/// ```
pub fn parse_sequence(text: &str, limits: &Limits) -> Result<Vec<Node>, JsonError> {
    let mut parser = Parser::new(text, limits.depth());
    let mut nodes = Vec::new();
    loop {
        parser.skip_whitespace();
        let start = parser.at;
        if start == text.len() {
            return Ok(nodes);
        }
        let node = parser.value()?;
        parser.check_length(start, parser.at, limits)?;
        // `1 2` is a sequence and `12` a number, so after a word or number another may not follow at once.
        let word = !matches!(node.kind, Kind::Array(_) | Kind::Object(_) | Kind::String(_));
        let apart = matches!(parser.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'[' | b'{'));
        if word && !apart {
            return Err(parser.unexpected("whitespace between two values"));
        }
        nodes.push(node);
    }
}

/// Parses an event: bytes of unknown encoding and any length.
pub(crate) fn parse_event(bytes: &[u8], depth: usize) -> Result<Node, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let end = at + error.error_len().unwrap_or(bytes.len() - at);
        JsonError::new("invalid UTF-8", Span { start: at, end }, bytes).help("JSON is UTF-8")
    })?;
    let mut parser = Parser::new(text, depth);
    let node = parser.value()?;
    parser.end()?;
    Ok(node)
}

/// An array or object whose end has not been reached.
enum Frame {
    Array {
        start: usize,
        items: Vec<Node>,
    },
    /// `key` is that of the member whose value is being read; `None` between members.
    Object {
        start: usize,
        members: Vec<Member>,
        key: Option<(String, Span)>,
    },
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    depth: usize,
    open: Vec<Frame>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, depth: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth, open: Vec::new() }
    }

    fn check_length(&self, start: usize, end: usize, limits: &Limits) -> Result<(), JsonError> {
        let (length, limit) = (end - start, limits.text_bytes());
        if length <= limit {
            return Ok(());
        }
        let message = format!("the text is {length} bytes long, expected at most {limit}");
        Err(JsonError::new(message, Span { start, end: start }, self.bytes)
            .help("raise the limit if text of this size is meant"))
    }

    /// The next value, whole.
    fn value(&mut self) -> Result<Node, JsonError> {
        let result = self.value_in_frames();
        if result.is_err() {
            self.open.clear();
        }
        result
    }

    fn value_in_frames(&mut self) -> Result<Node, JsonError> {
        loop {
            self.skip_whitespace();
            let start = self.at;
            let kind = match self.peek() {
                Some(b'[') => {
                    self.enter()?;
                    self.skip_whitespace();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                        Kind::Array(Vec::new())
                    } else {
                        self.open.push(Frame::Array { start, items: Vec::new() });
                        continue;
                    }
                }
                Some(b'{') => {
                    self.enter()?;
                    self.skip_whitespace();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                        Kind::Object(Vec::new())
                    } else {
                        let key = self.key("a key in double quotes or `}`")?;
                        self.open.push(Frame::Object { start, members: Vec::new(), key: Some(key) });
                        continue;
                    }
                }
                Some(b'"') => Kind::String(self.string()?),
                Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
                Some(b't') => self.word("true", Kind::Bool(true))?,
                Some(b'f') => self.word("false", Kind::Bool(false))?,
                Some(b'n') => self.word("null", Kind::Null)?,
                _ => return Err(self.unexpected(self.expected_value())),
            };
            if let Some(done) = self.complete(Node { span: Some(self.span(start)), kind })? {
                return Ok(done);
            }
        }
    }

    /// Puts a finished value where it belongs, and closes what it was the last part of. `None`: another value follows.
    fn complete(&mut self, mut node: Node) -> Result<Option<Node>, JsonError> {
        loop {
            let Some(frame) = self.open.pop() else { return Ok(Some(node)) };
            self.skip_whitespace();
            match frame {
                Frame::Array { start, mut items } => {
                    items.push(node);
                    match self.peek() {
                        Some(b',') => {
                            self.open.push(Frame::Array { start, items });
                            self.comma(b']')?;
                            return Ok(None);
                        }
                        Some(b']') => {
                            self.at += 1;
                            node = Node { span: Some(self.span(start)), kind: Kind::Array(items) };
                        }
                        _ => {
                            self.open.push(Frame::Array { start, items });
                            return Err(self.unexpected("`,` or `]`"));
                        }
                    }
                }
                Frame::Object { start, mut members, key } => {
                    if let Some((key, span)) = key {
                        members.push(Member { key, key_span: Some(span), value: node });
                    }
                    match self.peek() {
                        Some(b',') => {
                            self.open.push(Frame::Object { start, members, key: None });
                            self.comma(b'}')?;
                            let next = self.key("a key in double quotes")?;
                            if let Some(Frame::Object { key, .. }) = self.open.last_mut() {
                                *key = Some(next);
                            }
                            return Ok(None);
                        }
                        Some(b'}') => {
                            self.at += 1;
                            node = Node { span: Some(self.span(start)), kind: Kind::Object(members) };
                        }
                        _ => {
                            self.open.push(Frame::Object { start, members, key: None });
                            return Err(self.unexpected("`,` or `}`"));
                        }
                    }
                }
            }
        }
    }

    /// Steps into an array or object.
    fn enter(&mut self) -> Result<(), JsonError> {
        if self.open.len() >= self.depth {
            let message = format!("nested more than {} levels deep", self.depth);
            return Err(self.error(message, Span { start: self.at, end: self.at + 1 }));
        }
        self.at += 1;
        Ok(())
    }

    fn comma(&mut self, close: u8) -> Result<(), JsonError> {
        let comma = self.at;
        self.at += 1;
        self.skip_whitespace();
        if self.peek() == Some(close) {
            let message = format!("a comma before `{}`", char::from(close));
            return Err(self
                .error(message, Span { start: comma, end: comma + 1 })
                .help("JSON has no trailing commas: remove it"));
        }
        Ok(())
    }

    fn key(&mut self, expected: &str) -> Result<(String, Span), JsonError> {
        self.skip_whitespace();
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(expected));
        }
        let key = self.string()?;
        let span = self.span(start);
        self.skip_whitespace();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:` after the key"));
        }
        self.at += 1;
        Ok((key, span))
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, JsonError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(kind);
        }
        Err(self.unexpected(self.expected_value()))
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        let negative = self.eat(b'-');
        match self.peek() {
            Some(b'0') => {
                self.at += 1;
                if matches!(self.peek(), Some(b'0'..=b'9')) {
                    self.digits();
                    let message =
                        format!("the number {} begins with a zero", elided(&self.text[start..self.at]));
                    return Err(self.error(message, self.span(start)).help("remove the zero"));
                }
            }
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.unexpected("a digit")),
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            self.at_least_one_digit()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.at_least_one_digit()?;
        }
        let text = &self.text[start..self.at];
        if integer && !negative {
            if let Ok(number) = text.parse::<u64>() {
                return Ok(number.into());
            }
        } else if integer && text != "-0" {
            // -0 stays a float, as in serde_json: no integer has that sign.
            if let Ok(number) = text.parse::<i64>() {
                return Ok(number.into());
            }
        }
        text.parse::<f64>().ok().and_then(Number::from_f64).ok_or_else(|| {
            let message = format!("the number {} is beyond the range of 64-bit floats", elided(text));
            self.error(message, self.span(start)).help("the greatest number is about 1.8e308")
        })
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn at_least_one_digit(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        self.digits();
        Ok(())
    }

    /// A string, from its opening quote to its closing one.
    fn string(&mut self) -> Result<String, JsonError> {
        let open = self.at;
        self.at += 1;
        let mut unescaped = String::new();
        loop {
            let run = self.at;
            while let Some(byte) = self.peek() {
                if matches!(byte, b'"' | b'\\' | ..0x20) {
                    break;
                }
                self.at += 1;
            }
            // Both ends of the run stand at ASCII bytes or at the ends of the text: character boundaries.
            let plain = &self.text[run..self.at];
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if unescaped.is_empty() {
                        return Ok(plain.to_owned());
                    }
                    unescaped.push_str(plain);
                    return Ok(unescaped);
                }
                Some(b'\\') => {
                    unescaped.push_str(plain);
                    unescaped.push(self.escape()?);
                }
                Some(b'\n' | b'\r') => {
                    let span = Span { start: open, end: self.at };
                    let error = self.error("a string that is not closed on its line", span);
                    return Err(error.help("close it with \", or write the line break as \\n"));
                }
                Some(control) => {
                    let message = format!("a control character (U+{control:04X}) in a string");
                    let span = Span { start: self.at, end: self.at + 1 };
                    return Err(self.error(message, span).help(format!("write it as \\u{control:04x}")));
                }
                None => {
                    return Err(self
                        .error("a string that is not closed", Span { start: open, end: self.at })
                        .help("close it with \""));
                }
            }
        }
    }

    /// One escape, from its backslash on.
    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(start);
            }
            _ => {
                let end = self.next_character_end();
                let message = format!("the unknown escape `{}`", visible(&self.text[start..end]));
                return Err(self.error(message, Span { start, end }).help("write a backslash as \\\\"));
            }
        };
        self.at += 1;
        Ok(character)
    }

    /// The digits of `\uXXXX`, and of the low surrogate where there must be one.
    fn unicode_escape(&mut self, start: usize) -> Result<char, JsonError> {
        let first = self.hex4(start)?;
        let code = match first {
            0xD800..=0xDBFF if self.bytes[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                let second = self.hex4(start)?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.lone_surrogate(start));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.lone_surrogate(start))
    }

    fn hex4(&mut self, start: usize) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                let end = self.next_character_end();
                return Err(self.error("`\\u` without four hexadecimal digits", Span { start, end }));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn lone_surrogate(&self, start: usize) -> JsonError {
        let found = &self.text[start..self.at];
        self.error(format!("`{found}` is no character, but half of a surrogate pair"), self.span(start))
            .help("write the character itself, or both halves of its pair")
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.unexpected("the end of the text")) }
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn span(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }

    fn next_character_end(&self) -> usize {
        self.at + self.text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
    }

    fn expected_value(&self) -> &'static str {
        match self.open.last() {
            Some(Frame::Array { items, .. }) if items.is_empty() => "a value or `]`",
            _ => "a value",
        }
    }

    /// What stands here is not what should; the help knows what people most often write instead of JSON.
    fn unexpected(&self, expected: &str) -> JsonError {
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
            return error.help(format!(
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
            Some(help) => error.help(help),
            None => error,
        }
    }

    fn error(&self, message: impl Into<String>, span: Span) -> JsonError {
        let mut pointer = Pointer::default();
        for frame in &self.open {
            // The pointer only grows here, so there is nothing to walk back to.
            let _ = match frame {
                Frame::Array { items, .. } => pointer.index(items.len()),
                Frame::Object { key: Some((key, _)), .. } => pointer.key(key),
                Frame::Object { key: None, .. } => continue,
            };
        }
        JsonError::new(message, span, self.bytes).at(pointer.as_str().to_owned())
    }
}

/// Characters that cannot be seen, by their escapes.
fn visible(text: &str) -> String {
    let invisible = |c: char| c.is_control() || c == '\u{feff}';
    text.chars().map(|c| if invisible(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// A number, which may be as long as its writer likes, in a message.
fn elided(number: &str) -> String {
    if number.len() <= 40 { number.to_owned() } else { format!("{}…", &number[..40]) }
}
