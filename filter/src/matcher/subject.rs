//! The interface of a JSON value for evaluation: it may be parsed, or be the bytes of a document.

use serde_json::Value;

use crate::ops::{Chars, Num, View};

/// A JSON value. Cheap to copy.
pub(crate) trait Subject: Copy {
    type Elements: Iterator<Item = Self>;

    fn shape(self) -> Shape<Self>;

    /// Passes a value other than an array to `see`, as operators take it.
    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R;

    /// The field of an object; of duplicates, the last one.
    fn field(self, name: &str) -> Option<Self>;
}

/// The kind of a value, as far as evaluation distinguishes kinds.
pub(crate) enum Shape<S: Subject> {
    Null,
    Scalar,
    Object,
    Array(S::Elements),
}

impl<'v> Subject for &'v Value {
    type Elements = std::slice::Iter<'v, Value>;

    fn shape(self) -> Shape<Self> {
        match self {
            Value::Null => Shape::Null,
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Shape::Scalar,
            Value::Array(items) => Shape::Array(items.iter()),
            Value::Object(_) => Shape::Object,
        }
    }

    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        see(match self {
            Value::Null => View::Null,
            Value::Bool(bool) => View::Bool(*bool),
            Value::Number(number) => Num::new(number).map_or(View::Unrepresentable, View::Number),
            Value::String(text) => View::String(Chars::Str(text)),
            Value::Object(_) | Value::Array(_) => View::Object,
        })
    }

    fn field(self, name: &str) -> Option<Self> {
        self.get(name)
    }
}
