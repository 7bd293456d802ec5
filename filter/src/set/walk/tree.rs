//! The walk over a `serde_json::Value`.

use serde_json::{Map, Value};

use super::Union;
use crate::matcher::evaluate::Leaves;
use crate::scan::Kind;
use crate::set::index::{Expect, Held, Index, Judge, ROOT, Scope, Scratch};

/// Leaves the rules that match in `scratch.matched`.
pub(in crate::set) fn walk(index: &Index, event: &Value, scratch: &mut Scratch, expect: Expect<'_>) {
    scratch.prepare(index.slots());
    match event {
        Value::Object(fields) => Walk { index, scratch, expect }.object(ROOT, fields, false),
        other => scratch.matched.extend(index.without_fields(other.is_null())),
    }
}

struct Walk<'a> {
    index: &'a Index,
    scratch: &'a mut Scratch,
    expect: Expect<'a>,
}

impl Walk<'_> {
    /// Appends the patterns of a level that hold for an object. Recurses as filters nest, not as values do.
    fn object(&mut self, level: u32, fields: &Map<String, Value>, buried: bool) {
        let index = self.index;
        let began = self.scratch.mark();
        let stamp = self.scratch.stamp();
        match index.few_children(level) {
            Some(slots) => {
                for slot in slots {
                    if let Some(value) = field(index, fields, slot) {
                        self.field(slot, stamp, value);
                    }
                }
            }
            None => {
                for (name, value) in fields {
                    if let Some(slot) = index.child(level, name.as_bytes()) {
                        self.field(slot, stamp, value);
                    }
                }
            }
        }
        let inner = self.scratch.matched.len();
        Judge { index, scratch: self.scratch, scope: Fields { fields, stamp }, expect: self.expect, buried }
            .object(level, began);
        self.scratch.matched.drain(began.matched..inner);
    }

    fn field(&mut self, slot: u32, stamp: u64, value: &Value) {
        let from = self.scratch.matched.len();
        if let Some(level) = self.index.inner(slot) {
            match value {
                Value::Object(fields) => self.object(level, fields, false),
                Value::Array(items) => self.array(level, items),
                _ => {}
            }
        }
        let sought = match value {
            Value::String(text) => self.index.anticipate(slot, text.as_bytes(), self.scratch),
            _ => None,
        };
        let list = (from, self.scratch.matched.len());
        self.scratch
            .hold(slot, Held { stamp, kind: kind(value), plain: false, start: 0, end: 0, sought, list });
    }

    /// Appends the patterns of a level that hold for some element.
    fn array(&mut self, level: u32, items: &[Value]) {
        let mut union = Union::new(self.scratch);
        let mut without_fields = false;
        for item in items {
            match item {
                Value::Object(fields) => self.object(level, fields, false),
                Value::Array(_) => {
                    without_fields = true;
                    for leaf in Leaves::of(Some(item)) {
                        if let Value::Object(fields) = leaf {
                            self.object(level, fields, true);
                            union.thin_out(self.scratch);
                        }
                    }
                }
                other => without_fields |= !other.is_null(),
            }
            union.thin_out(self.scratch);
        }
        if without_fields {
            self.scratch.matched.extend(self.index.on_empty(level));
        }
        self.scratch.sort_matched(union.from);
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(_) => Kind::Number,
        Value::String(_) => Kind::String,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
    }
}

fn field<'v>(index: &Index, fields: &'v Map<String, Value>, slot: u32) -> Option<&'v Value> {
    fields.get(std::str::from_utf8(index.name(slot)).ok()?)
}

/// The fields of an object.
#[derive(Clone, Copy)]
struct Fields<'v> {
    fields: &'v Map<String, Value>,
    stamp: u64,
}

impl<'v> Scope for Fields<'v> {
    type Value = &'v Value;

    fn stamp(&self) -> u64 {
        self.stamp
    }

    fn value(&self, index: &Index, _: &Scratch, slot: u32) -> Option<&'v Value> {
        field(index, self.fields, slot)
    }
}
