//! What engines ask of a value, however it is held: as a tree, or as bytes of a document.

use serde_json::Value;

use crate::ops::{Chars, Num, View};

/// A JSON value. Cheap to copy.
pub(crate) trait Subject: Copy {
    type Elements: Iterator<Item = Self>;

    fn shape(self) -> Shape<Self>;

    /// Shows anything but an array as operators see it.
    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R;

    /// The field of an object, the last one of that name.
    fn field(self, name: &str) -> Option<Self>;
}

/// What a value is, as far as engines tell values apart.
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
