//! The interface of a JSON value for evaluation: it may be parsed, or be the bytes of a document.

use serde_json::Value;

use crate::ops::{Chars, Leaf, Num, View};
use crate::scan::Raw;

/// A JSON value. Cheap to copy.
pub(crate) trait Subject: Copy {
    type Elements: Iterator<Item = Self>;

    /// Whether the time to find a field does not grow with the object, or hardly.
    const FINDS_FIELDS_FAST: bool;

    /// Whether each reading is charged for.
    const METERED: bool = false;

    fn shape(self) -> Shape<Self>;

    /// Passes a value other than an array to `see`, as operators take it.
    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R;

    /// The field of an object; of duplicates, the last one.
    fn field(self, name: &str) -> Option<Self>;

    /// Its bytes, if finding a field takes time linear in them.
    fn raw<'a>(self) -> Option<Raw<'a>>
    where
        Self: 'a,
    {
        None
    }

    /// The bytes that are read to pass the value, about; of a parsed one its text.
    fn size(self) -> usize;

    /// The bytes that are read to find a field of it, about.
    fn field_size(self) -> usize {
        self.size()
    }

    /// Notes that an operator is applied to the value; see [`Metered`](super::Metered).
    fn charge(self, leaf: &Leaf) {
        let _ = leaf;
    }

    /// The value at the end of a path of field names.
    fn value_at(self, names: &[Box<str>]) -> Option<Self> {
        names.iter().try_fold(self, |value, name| match value.shape() {
            Shape::Object => value.field(name),
            _ => None,
        })
    }

    /// The value at the end of a path of field names, null included, unless it is an array or object.
    fn scalar_at(self, names: &[Box<str>]) -> Option<Self> {
        let end = self.value_at(names)?;
        matches!(end.shape(), Shape::Null | Shape::Scalar).then_some(end)
    }
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

    const FINDS_FIELDS_FAST: bool = true;

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

    fn size(self) -> usize {
        self.as_str().map_or(0, str::len)
    }
}
