//! The source of a filter as compact text: less memory than a tree, and rarely needed.

use std::fmt::Write as _;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::error::FilterError;
use crate::json::lex::string_length;
use crate::json::{self, Kind, Node};
use crate::limits::Limits;
use crate::ops::text::write_escaped;

/// A filter's JSON without whitespace, with members in their original order and duplicates.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    text: Box<str>,
}

impl Source {
    /// From text that was parsed before, so is JSON within the limits.
    pub(crate) fn of_json(json: &str) -> Self {
        if !json.bytes().any(|byte| byte.is_ascii_whitespace()) {
            return Self::of_compact(json);
        }
        let mut text = String::with_capacity(json.len());
        let mut rest = json;
        while let Some(open) = rest.find('"') {
            let (between, string) = rest.split_at(open);
            text.extend(between.split_ascii_whitespace());
            let length = string_length(string);
            text.push_str(&string[..length]);
            rest = &string[length..];
        }
        text.extend(rest.split_ascii_whitespace());
        Self { text: text.into() }
    }

    /// From text that has no whitespace outside strings.
    pub(crate) fn of_compact(json: &str) -> Self {
        Self { text: json.into() }
    }

    /// Renders a tree.
    ///
    /// # Errors
    /// If the tree exceeds the limit of depth or size. A tree built by hand was not checked by the parser, and all
    /// later steps rely on both limits.
    pub(crate) fn new(node: &Node, limits: &Limits, pointer: &str) -> Result<Self, FilterError> {
        let text = String::with_capacity(64);
        let mut renderer = Renderer { limits, pointer, span: node.span, text };
        renderer.push(node, 0)?;
        Ok(Self { text: renderer.text.into() })
    }

    /// Checks the depth of a value before any other walk over it; recurses no deeper than the limit.
    pub(crate) fn check_depth(value: &Value, limits: &Limits) -> Result<(), FilterError> {
        fn fits(value: &Value, levels: usize) -> bool {
            match value {
                Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
                Value::Object(map) => levels > 0 && map.values().all(|value| fits(value, levels - 1)),
                _ => true,
            }
        }
        if fits(value, limits.depth()) { Ok(()) } else { Err(too_deep(limits, None, "")) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The tree, without spans.
    pub(crate) fn to_node(&self) -> Node {
        let limits = Limits::new().with_depth(Limits::MAX_DEPTH).with_text_bytes(usize::MAX);
        json::parse(&self.text, &limits)
            .expect("invariant: the text was rendered from a tree within the limits")
    }
}

impl PartialEq for Source {
    /// Ignores the order of members.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || self.to_node().into_value() == other.to_node().into_value()
    }
}

/// A text to which a tree is rendered.
struct Renderer<'a> {
    limits: &'a Limits,
    pointer: &'a str,
    /// That of the whole tree.
    span: Option<Span>,
    text: String,
}

impl Renderer<'_> {
    /// Appends a node that is inside of `level` others. Checks that before it goes deeper: the tree may be deeper than the stack.
    fn push(&mut self, node: &Node, level: usize) -> Result<(), FilterError> {
        let is_container = matches!(node.kind, Kind::Array(_) | Kind::Object(_));
        if level + usize::from(is_container) > self.limits.depth() {
            return Err(too_deep(self.limits, node.span, self.pointer));
        }
        match &node.kind {
            Kind::Null => self.text.push_str("null"),
            Kind::Bool(bool) => push(&mut self.text, bool),
            Kind::Number(number) => push(&mut self.text, number),
            Kind::String(string) => push_string(&mut self.text, string),
            Kind::Array(items) => {
                self.text.push('[');
                self.check_length()?;
                for item in items {
                    self.separate();
                    self.push(item, level + 1)?;
                }
                self.text.push(']');
            }
            Kind::Object(members) => {
                self.text.push('{');
                self.check_length()?;
                for member in members {
                    self.separate();
                    push_string(&mut self.text, &member.key);
                    self.text.push(':');
                    self.push(&member.value, level + 1)?;
                }
                self.text.push('}');
            }
        }
        self.check_length()
    }

    fn check_length(&self) -> Result<(), FilterError> {
        let limit = self.limits.text_bytes();
        if self.text.len() <= limit {
            return Ok(());
        }
        let message = format!("the filter is longer than the limit of {limit} bytes of JSON");
        Err(past_limit(message, "raise the limit if this size is meant", self.span, self.pointer))
    }

    fn separate(&mut self) {
        if !self.text.ends_with(['[', '{']) {
            self.text.push(',');
        }
    }
}

fn push(text: &mut String, part: &dyn std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{part}");
}

/// Appends a string in JSON; a string without escapes, the usual case, is copied whole.
fn push_string(text: &mut String, string: &str) {
    text.reserve(string.len() + 2);
    text.push('"');
    if string.bytes().any(|byte| matches!(byte, b'"' | b'\\' | ..0x20)) {
        // Writing to a String cannot fail.
        let _ = string.chars().try_for_each(|character| write_escaped(text, character));
    } else {
        text.push_str(string);
    }
    text.push('"');
}

fn too_deep(limits: &Limits, span: Option<Span>, pointer: &str) -> FilterError {
    let message = format!("nested more than {} levels deep", limits.depth());
    past_limit(message, "flatten the filter, or raise the limit", span, pointer)
}

fn past_limit(message: String, help: &str, span: Option<Span>, pointer: &str) -> FilterError {
    let error = Diagnostic::error(message).with_code(Code::LimitExceeded).with_help(help);
    FilterError::new(vec![error.with_pointer(pointer).with_span(span)])
}
