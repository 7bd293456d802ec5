//! The walk over a parsed event.
//!
//! A parsed object is a tree whose names and values are spread over the memory, and reaching for each of them takes longer than all
//! else. So a small object is passed member by member, and only names of a length that a filter names are read; in an object that
//! is large beside the number of fields, each field is searched. A value that was found is kept until its object is judged.

use serde_json::{Map, Value};

use super::super::index::{Index, ROOT};
use super::lookup;
use super::scratch::{ElementPatterns, FieldValue, Scratch};
use super::{PrefetchRule, Source, judge_object};
use crate::matcher::evaluate::Leaves;
use crate::scan::ValueKind;

/// An object with more members than this for each field that filters name is searched, not passed.
const PASSED: usize = 16;

/// Leaves the rules that match a parsed event in `scratch.matched`.
pub(in crate::set) fn match_value(
    index: &Index,
    event: &Value,
    scratch: &mut Scratch,
    prefetch_rule: PrefetchRule<'_>,
) {
    scratch.prepare(index.fields.len(), index.junctions.len());
    match event {
        Value::Object(fields) => {
            let values = recycled(std::mem::take(&mut scratch.parsed));
            let mut walk = TreeWalk { index, scratch, prefetch_rule, values };
            walk.object(ROOT, fields, false);
            walk.scratch.parsed = recycled(walk.values);
        }
        other => scratch.matched.extend(index.rules_without_fields(other.is_null())),
    }
}

/// As [`match_value`], for an index in which the event is the value of the only field, whose name is empty.
pub(in crate::set) fn match_whole_value(
    index: &Index,
    event: &Value,
    scratch: &mut Scratch,
    prefetch_rule: PrefetchRule<'_>,
) {
    scratch.prepare(index.fields.len(), index.junctions.len());
    let values = recycled(std::mem::take(&mut scratch.parsed));
    let mut walk = TreeWalk { index, scratch, prefetch_rule, values };
    let (began, stamp) = (walk.scratch.mark(), walk.scratch.stamp());
    if let Some(field) = index.child(ROOT, b"") {
        walk.field(field, stamp, event);
    }
    let root = (index.objects.at(ROOT), stamp, false);
    judge_object(index, walk.scratch, Parsed(&walk.values), root, began, prefetch_rule);
    walk.scratch.parsed = recycled(walk.values);
}

/// The memory of a list of values for one with another lifetime; the standard library collects in place.
fn recycled<'b>(mut values: Vec<&Value>) -> Vec<&'b Value> {
    values.clear();
    values.into_iter().map_while(|_| None).collect()
}

struct TreeWalk<'a, 'v> {
    index: &'a Index,
    scratch: &'a mut Scratch,
    prefetch_rule: PrefetchRule<'a>,
    /// The values of fields in the objects being walked; a [`FieldValue`] has the position of its own.
    values: Vec<&'v Value>,
}

impl<'v> TreeWalk<'_, 'v> {
    /// Appends the patterns of a node that hold for an object. The depth of the filters bounds the recursion.
    fn object(&mut self, object: u32, members: &'v Map<String, Value>, nested: bool) {
        let index = self.index;
        let here = index.objects.at(object);
        let (began, values) = (self.scratch.mark(), self.values.len());
        let stamp = self.scratch.stamp();
        let mut missing = here.children as usize;
        match index.few_children(object) {
            Some(fields) if members.len() > PASSED * missing => {
                for field in fields {
                    let name = std::str::from_utf8(index.fields.at(field).name.as_bytes()).ok();
                    if let Some(value) = name.and_then(|name| members.get(name)) {
                        self.field(field, stamp, value);
                    }
                }
            }
            _ => {
                for (name, value) in members {
                    if missing == 0 {
                        break;
                    }
                    if here.may_have_length(name.len())
                        && let Some(field) = index.child_at(here, object, name.as_bytes())
                    {
                        self.field(field, stamp, value);
                        missing -= 1;
                    }
                }
            }
        }
        let here = (here, stamp, nested);
        judge_object(index, self.scratch, Parsed(&self.values), here, began, self.prefetch_rule);
        self.values.truncate(values);
    }

    fn field(&mut self, field: u32, stamp: u64, value: &'v Value) {
        let from = self.scratch.matched.len();
        let mut first_lookup = None;
        let kind = match value {
            Value::Null => ValueKind::Null,
            Value::Bool(_) => ValueKind::Bool,
            Value::Number(_) => ValueKind::Number,
            Value::String(text) => {
                first_lookup = lookup::prefetch(self.index, field, text.as_bytes(), self.scratch);
                ValueKind::String
            }
            Value::Array(items) => {
                if let Some(object) = self.index.inner(field) {
                    self.array(object, items);
                }
                ValueKind::Array
            }
            Value::Object(members) => {
                if let Some(object) = self.index.inner(field) {
                    self.object(object, members, false);
                }
                ValueKind::Object
            }
        };
        let patterns = (from, self.scratch.matched.len());
        let start = self.values.len();
        self.values.push(value);
        let value = FieldValue { stamp, kind, plain: false, start, end: start, first_lookup, patterns };
        self.scratch.set_value(field, value);
    }

    /// Appends the patterns of a node that hold for some element.
    fn array(&mut self, object: u32, items: &'v [Value]) {
        let mut patterns = ElementPatterns::new(self.scratch);
        let mut without_fields = false;
        for item in items {
            match item {
                Value::Object(members) => self.object(object, members, false),
                Value::Array(_) => {
                    without_fields = true;
                    for leaf in Leaves::of(Some(item)) {
                        if let Value::Object(members) = leaf {
                            self.object(object, members, true);
                            patterns.dedup(self.scratch);
                        }
                    }
                }
                other => without_fields |= !other.is_null(),
            }
            patterns.dedup(self.scratch);
        }
        if without_fields {
            self.scratch.matched.extend(self.index.patterns_without_fields(object));
        }
        self.scratch.sort_matched(patterns.from);
    }
}

/// The values of fields in parsed objects.
#[derive(Clone, Copy)]
struct Parsed<'w, 'v>(&'w [&'v Value]);

impl<'v> Source for Parsed<'_, 'v> {
    type Value = &'v Value;

    #[inline]
    fn value(self, value: &FieldValue) -> Option<&'v Value> {
        self.0.get(value.start).copied()
    }
}
