//! The tree that parsing gives: JSON values, each with its span.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use crate::diagnostic::Span;
use crate::limits::Limits;

/// A JSON value with its position in the text.
///
/// ```
/// use filter::{Limits, json};
///
/// let node = json::parse(r#"{"a": [1, true]}"#, &Limits::new())?;
/// let array = node.get("a").expect("a member");
/// assert_eq!(array.span.map(std::ops::Range::from), Some(6..15));
/// assert_eq!(array.type_name(), "an array");
/// assert_eq!(node.to_value(), serde_json::json!({"a": [1, true]}));
/// # Ok::<(), filter::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its bytes in the text; `None` if it was not parsed from text.
    pub span: Option<Span>,
    /// The value's type and content.
    pub kind: Kind,
}

/// The type and content of a JSON value.
///
/// ```
/// use filter::json::{Kind, Node};
/// let node = Node::from(&serde_json::json!("x"));
/// assert_eq!(node.kind, Kind::String("x".into()));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number: exact within i64 and u64, otherwise the nearest f64.
    Number(Number),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Node>),
    /// An object: its members in order, duplicates included.
    Object(Vec<Member>),
}

/// A member of an object.
///
/// ```
/// use filter::json::{Kind, parse};
/// let node = parse(r#"{"a":1,"a":2}"#, &filter::Limits::new())?;
/// let Kind::Object(members) = node.kind else { unreachable!() };
/// assert_eq!(members.len(), 2);
/// # Ok::<(), filter::JsonError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The key, unescaped.
    pub key: String,
    /// The key's bytes in the text, quotes included.
    pub key_span: Option<Span>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value without spans; of duplicate keys the last counts, as in serde_json.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Object(members) => {
                Value::Object(members.iter().map(|m| (m.key.clone(), m.value.to_value())).collect())
            }
            _ => self.clone().into_value(),
        }
    }

    /// The value without spans, moved out; of duplicate keys the last counts.
    pub(crate) fn into_value(self) -> Value {
        match self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(bool) => Value::Bool(bool),
            Kind::Number(number) => Value::Number(number),
            Kind::String(text) => Value::String(text),
            Kind::Array(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
            Kind::Object(members) => {
                Value::Object(members.into_iter().map(|m| (m.key, m.value.into_value())).collect())
            }
        }
    }

    /// The type with its article, for messages: `"an object"`, `"a string"`, `"null"`, …
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Object(_) => "an object",
        }
    }

    /// The member of an object that has no other.
    pub(crate) fn only_member(&self) -> Option<&Member> {
        match &self.kind {
            Kind::Object(members) if members.len() == 1 => members.first(),
            _ => None,
        }
    }

    /// The member named `key`, the last of several; `None` if the object has none, or the value is no object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(members) => members.iter().rev().find(|m| m.key == key).map(|m| &m.value),
            _ => None,
        }
    }
}

impl From<&Value> for Node {
    /// The same value without spans.
    fn from(value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(bool) => Kind::Bool(*bool),
            Value::Number(number) => Kind::Number(number.clone()),
            Value::String(text) => Kind::String(text.clone()),
            Value::Array(items) => Kind::Array(items.iter().map(Self::from).collect()),
            Value::Object(map) => Kind::Object(
                map.iter()
                    .map(|(key, value)| Member { key: key.clone(), key_span: None, value: value.into() })
                    .collect(),
            ),
        };
        Self { span: None, kind }
    }
}

impl<'de> Deserialize<'de> for Node {
    /// From any self-describing format; duplicate keys are kept. Nesting deeper than [`Limits::MAX_DEPTH`] is an error,
    /// since not every format has a limit of its own.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AtDepth { left: Limits::MAX_DEPTH }.deserialize(deserializer)
    }
}

/// A seed for a value that may contain `left` more levels of nesting.
#[derive(Clone, Copy)]
struct AtDepth {
    left: usize,
}

impl AtDepth {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left }),
            None => Err(E::custom(format_args!("nested more than {} levels deep", Limits::MAX_DEPTH))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for AtDepth {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn node<E>(kind: Kind) -> Result<Node, E> {
    Ok(Node { span: None, kind })
}

impl<'de> Visitor<'de> for AtDepth {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        node(Kind::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        node(Kind::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.deeper()?.deserialize(deserializer)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Node, E> {
        node(Kind::Bool(bool))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        node(Kind::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        node(Kind::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Node, E> {
        let finite = Number::from_f64(number)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &"a finite number"))?;
        node(Kind::Number(finite))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        node(Kind::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        node(Kind::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let inside = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(inside)? {
            items.push(item);
        }
        node(Kind::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let inside = self.deeper()?;
        let mut members = Vec::new();
        while let Some(key) = map.next_key()? {
            members.push(Member { key, key_span: None, value: map.next_value_seed(inside)? });
        }
        node(Kind::Object(members))
    }
}
