//! The parser: text in, [`Node`]s with spans out.
//!
//! The parser keeps open arrays and objects on a stack of its own instead of recursing, so that nesting uses heap,
//! which the depth limit bounds. It accepts the texts that serde_json accepts; a property test compares both.
//!
//! ```text
//!  value ──► scalar ─────────────────────┐
//!    │ [ or {                            ▼
//!    └──► push frame ──► next value   complete ──► no frame: done
//!              ▲                         │ into the top frame
//!              └──────── , ◄─────────────┤
//!                                ] or } ─┴─► pop frame, which is complete in turn
//! ```

use super::error::JsonError;
use super::node::{Kind, Member, Node};
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
    let parser = Parser::new(text, limits.depth());
    parser.check_length(0, text.len(), limits)?;
    parser.whole()
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
    while let Some(node) = parser.next_of_sequence(limits)? {
        nodes.push(node);
    }
    Ok(nodes)
}

/// Parses the next value of such a sequence, from the byte at `from` on; `None` if there is none. Spans are offsets into the whole
/// text: the value behind it is parsed from the end of its span on.
///
/// # Errors
/// As [`parse_sequence`], if this value is not JSON.
///
/// ```
/// let (text, limits) = ("{}\n[1] 2", filter::Limits::new());
/// let node = filter::json::parse_next(text, 2, &limits)?.expect("the array");
/// assert_eq!(node.span.map(std::ops::Range::from), Some(3..6));
/// assert!(filter::json::parse_next(text, 8, &limits)?.is_none());
/// # Ok::<(), filter::JsonError>(())
/// ```
pub fn parse_next(text: &str, from: usize, limits: &Limits) -> Result<Option<Node>, JsonError> {
    let mut parser = Parser::new(text, limits.depth());
    parser.at = text.floor_char_boundary(from);
    parser.next_of_sequence(limits)
}

/// The error for an event that was rejected by the bytes engine. Builds no tree: an event may be long.
pub(crate) fn event_error(bytes: &[u8], depth: usize) -> JsonError {
    match parse_as_event(bytes, depth, false) {
        Err(error) => error,
        // Unreachable: tests check that both parsers accept the same documents.
        Ok(_) => JsonError::new("not JSON", Span { start: 0, end: bytes.len() }, bytes),
    }
}

/// Parses an event: bytes of unknown encoding and any length. Returns the text too.
pub(crate) fn parse_event(bytes: &[u8], depth: usize) -> Result<(&str, Node), JsonError> {
    parse_as_event(bytes, depth, true)
}

fn parse_as_event(bytes: &[u8], depth: usize, builds: bool) -> Result<(&str, Node), JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let end = at + error.error_len().unwrap_or(bytes.len() - at);
        JsonError::new("invalid UTF-8", Span { start: at, end }, bytes).with_help(encoding_help(bytes))
    })?;
    let parser = Parser { builds, ..Parser::new(text, depth) };
    Ok((text, parser.whole()?))
}

/// An array or object that is not closed yet.
pub(super) struct Frame {
    pub(super) start: usize,
    /// What has been read, if the parser builds it.
    kind: Kind,
    /// The number of values that have been read.
    pub(super) count: usize,
    /// The key of the value that is being read; `None` in an array and between members.
    pub(super) key: Option<(String, Span)>,
}

impl Frame {
    pub(super) fn is_array(&self) -> bool {
        matches!(self.kind, Kind::Array(_))
    }
}

pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) at: usize,
    depth: usize,
    pub(super) open: Vec<Frame>,
    /// Whether arrays and objects get what is in them.
    builds: bool,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, depth: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth, open: Vec::new(), builds: true }
    }

    fn check_length(&self, start: usize, end: usize, limits: &Limits) -> Result<(), JsonError> {
        let (length, limit) = (end - start, limits.text_bytes());
        if length <= limit {
            return Ok(());
        }
        let message = format!("the text is {length} bytes long, expected at most {limit}");
        Err(JsonError::new(message, Span { start, end: start }, self.bytes)
            .about_limit()
            .with_help("raise the limit if text of this size is meant"))
    }

    /// The next value of several; `None` at the end.
    fn next_of_sequence(&mut self, limits: &Limits) -> Result<Option<Node>, JsonError> {
        self.skip_whitespace();
        let start = self.at;
        if start == self.text.len() {
            return Ok(None);
        }
        let node = self.value()?;
        self.check_length(start, self.at, limits)?;
        // `1 2` is a sequence and `12` a number, so a word or number needs a separator behind it.
        let word = !matches!(node.kind, Kind::Array(_) | Kind::Object(_) | Kind::String(_));
        let apart = matches!(self.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'[' | b'{'));
        if word && !apart {
            return Err(self.unexpected("whitespace between two values"));
        }
        Ok(Some(node))
    }

    /// The only value of the text.
    fn whole(mut self) -> Result<Node, JsonError> {
        let node = self.value()?;
        self.skip_whitespace();
        if self.at == self.bytes.len() { Ok(node) } else { Err(self.unexpected("the end of the text")) }
    }

    /// The next value. After an error, the parser must not be used again.
    fn value(&mut self) -> Result<Node, JsonError> {
        loop {
            self.skip_whitespace();
            let start = self.at;
            let kind = match self.peek() {
                Some(b'[') => {
                    self.enter()?;
                    let kind = Kind::Array(Vec::new());
                    if !self.eat(b']') {
                        self.open.push(Frame { start, kind, count: 0, key: None });
                        continue;
                    }
                    kind
                }
                Some(b'{') => {
                    self.enter()?;
                    let kind = Kind::Object(Vec::new());
                    if !self.eat(b'}') {
                        let key = Some(self.key("a key in double quotes or `}`")?);
                        self.open.push(Frame { start, kind, count: 0, key });
                        continue;
                    }
                    kind
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

    /// Adds a finished value to the innermost open container, and closes containers that end behind it. `None`: another
    /// value follows.
    fn complete(&mut self, mut node: Node) -> Result<Option<Node>, JsonError> {
        loop {
            let Some(mut frame) = self.open.pop() else { return Ok(Some(node)) };
            frame.count += 1;
            match (&mut frame.kind, frame.key.take()) {
                (Kind::Array(items), _) if self.builds => items.push(node),
                (Kind::Object(members), Some((key, span))) if self.builds => {
                    members.push(Member { key, key_span: Some(span), value: node });
                }
                _ => {}
            }
            let (close, expected) =
                if frame.is_array() { (b']', "`,` or `]`") } else { (b'}', "`,` or `}`") };
            self.skip_whitespace();
            if self.eat(close) {
                node = Node { span: Some(self.span(frame.start)), kind: frame.kind };
                continue;
            }
            self.open.push(frame);
            if self.peek() != Some(b',') {
                return Err(self.unexpected(expected));
            }
            self.comma(close)?;
            if close == b'}' {
                let key = self.key("a key in double quotes")?;
                if let Some(frame) = self.open.last_mut() {
                    frame.key = Some(key);
                }
            }
            return Ok(None);
        }
    }

    /// Steps into an array or object.
    fn enter(&mut self) -> Result<(), JsonError> {
        if self.open.len() >= self.depth {
            let message = format!("nested more than {} levels deep", self.depth);
            return Err(self.error(message, Span { start: self.at, end: self.at + 1 }).about_limit());
        }
        self.at += 1;
        self.skip_whitespace();
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
                .with_help("JSON has no trailing commas: remove it"));
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

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn span(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }
}
/// The help for bytes that are not UTF-8: the compression or encoding that their beginning shows, and the program that undoes it.
///
/// ```
/// assert!(filter::json::encoding_help(b"\x1F\x8B\x08").contains("gzip -dc"));
/// ```
pub fn encoding_help(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x1F, 0x8B, ..] => "this is gzip: decompress it first, as with `gzip -dc`",
        [0x28, 0xB5, 0x2F, 0xFD, ..] => "this is Zstandard: decompress it first, as with `zstd -dc`",
        [b'B', b'Z', b'h', ..] => "this is bzip2: decompress it first, as with `bzip2 -dc`",
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => {
            "this is UTF-16: convert it first, as with `iconv -f UTF-16 -t UTF-8`"
        }
        _ => "JSON is UTF-8",
    }
}
