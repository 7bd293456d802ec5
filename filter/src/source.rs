//! The source of a filter as compact text: less memory than a tree, and rarely needed.

use std::fmt::Write as _;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic};
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
        let mut text = String::with_capacity(64);
        let mut open: Vec<Open<'_>> = Vec::new();
        let mut next = Some(node);
        loop {
            if let Some(node) = next.take() {
                if open.len() + usize::from(is_container(node)) > limits.depth() {
                    return Err(too_deep(limits, node, pointer));
                }
                match &node.kind {
                    Kind::Null => text.push_str("null"),
                    Kind::Bool(bool) => push(&mut text, bool),
                    Kind::Number(number) => push(&mut text, number),
                    Kind::String(string) => push_string(&mut text, string),
                    Kind::Array(items) => {
                        text.push('[');
                        open.push(Open::Array(items.iter()));
                    }
                    Kind::Object(members) => {
                        text.push('{');
                        open.push(Open::Object(members.iter()));
                    }
                }
            }
            if text.len() > limits.text_bytes() {
                let limit = limits.text_bytes();
                let message = format!("the filter is longer than the limit of {limit} bytes of JSON");
                let diagnostic = Diagnostic::error(message)
                    .with_code(Code::LimitExceeded)
                    .with_pointer(pointer)
                    .with_span(node.span);
                return Err(FilterError::new(vec![
                    diagnostic.with_help("raise the limit if this size is meant"),
                ]));
            }
            match open.last_mut() {
                None => return Ok(Self { text: text.into() }),
                Some(Open::Array(items)) => match items.next() {
                    Some(item) => {
                        separate(&mut text);
                        next = Some(item);
                    }
                    None => {
                        text.push(']');
                        open.pop();
                    }
                },
                Some(Open::Object(members)) => match members.next() {
                    Some(member) => {
                        separate(&mut text);
                        push_string(&mut text, &member.key);
                        text.push(':');
                        next = Some(&member.value);
                    }
                    None => {
                        text.push('}');
                        open.pop();
                    }
                },
            }
        }
    }

    /// Checks the depth of a value without recursion, before any recursive walk over it.
    pub(crate) fn check_depth(value: &Value, limits: &Limits) -> Result<(), FilterError> {
        let mut open: Vec<(usize, &Value)> = vec![(1, value)];
        while let Some((depth, value)) = open.pop() {
            let container = matches!(value, Value::Array(_) | Value::Object(_));
            if container && depth > limits.depth() {
                return Err(too_deep(limits, &Node { span: None, kind: Kind::Null }, ""));
            }
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (depth + 1, item))),
                Value::Object(map) => open.extend(map.values().map(|value| (depth + 1, value))),
                _ => {}
            }
        }
        Ok(())
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

enum Open<'n> {
    Array(std::slice::Iter<'n, Node>),
    Object(std::slice::Iter<'n, json::Member>),
}

fn is_container(node: &Node) -> bool {
    matches!(node.kind, Kind::Array(_) | Kind::Object(_))
}

fn separate(text: &mut String) {
    if !text.ends_with(['[', '{']) {
        text.push(',');
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

fn too_deep(limits: &Limits, node: &Node, pointer: &str) -> FilterError {
    let message = format!("nested more than {} levels deep", limits.depth());
    let diagnostic =
        Diagnostic::error(message).with_code(Code::LimitExceeded).with_pointer(pointer).with_span(node.span);
    FilterError::new(vec![diagnostic.with_help("flatten the filter, or raise the limit")])
}
