//! Looking a value up: its keys, the predicates that have them, and prefetching what that reads.
//!
//! In a large set, one event reads a handful of places, hardly any of which is in a cache. One leads to the next, so the
//! processor would wait for each of them in turn; that wait dominates. So they are prefetched, all values of an object at once:
//!
//! ```text
//!  a text is walked   ─► its entries of the predicate table       while the rest of the object is walked
//!  the object ends    ─► the predicates, patterns and rules that these entries name
//! ```
//!
//! The pattern and the rule in an entry are only hints, which may be out of date: they affect what is prefetched, not what is found. The
//! predicate in an entry is the first one that the lookup would find, so the lookup starts from it.

use super::super::index::{FieldNode, Index, Probe, Tag, block_bytes, number_bytes, sort_key, time_key};
use super::PrefetchRule;
use super::scratch::{Found, Lookup, LookupIndex, Scratch};
use crate::matcher::evaluate::scalars;
use crate::matcher::{Shape, Subject};
use crate::ops::{Chars, Cidr, Moment, Num, View, address, fold_into, is_plain};

/// Prefetches the table entries of a text value. Returns the first of its lookups.
#[inline]
pub(super) fn prefetch(index: &Index, field: u32, text: &[u8], scratch: &mut Scratch) -> Option<LookupIndex> {
    // A small table is in a cache anyway.
    if index.predicate_table.is_large() { prefetch_entries(index, field, text, scratch) } else { None }
}

fn prefetch_entries(index: &Index, number: u32, text: &[u8], scratch: &mut Scratch) -> Option<LookupIndex> {
    let field = index.fields.at(number);
    if !field.keyed {
        return None;
    }
    let first = u32::try_from(scratch.lookups.len()).ok()?.checked_add(1)?;
    for (probe, part) in field.parts(text) {
        let hash = index.key_hash(number, probe.tag, part);
        index.predicate_table.prefetch(hash);
        scratch.lookups.push(Lookup { hash, predicate: None, many: false });
    }
    LookupIndex::new(first)
}

/// Resolves the lookups of an object to predicates, and prefetches these, their patterns, and what the set keeps of their rules.
pub(in crate::set) fn prefetch_results(
    index: &Index,
    scratch: &mut Scratch,
    prefetch_rule: PrefetchRule<'_>,
) {
    let Some(new) = scratch.lookups.get_mut(scratch.resolved_lookups..) else { return };
    for lookup in &mut *new {
        if let Some((predicate, hint)) = index.predicate_table.peek(lookup.hash) {
            index.predicates.prefetch(predicate);
            index.patterns.prefetch(hint.pattern);
            hint.only_rule().into_iter().for_each(prefetch_rule);
            lookup.predicate = Some(predicate);
            lookup.many = hint.only_rule().is_none();
        }
    }
    // In a second loop, since this waits for the predicates.
    for predicate in new.iter().filter(|lookup| lookup.many).filter_map(|lookup| lookup.predicate) {
        index.predicates.at(predicate).postings.prefetch();
    }
    scratch.resolved_lookups = scratch.lookups.len();
}

/// The role of a value: that of a field, an element of an array there, a scalar at any depth of nested arrays, or the length of
/// an array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Value,
    Element,
    Nested,
    Length,
}

impl Role {
    fn has(self, tag: Tag) -> bool {
        match self {
            Self::Value => tag.is_own(),
            Self::Element => tag.is_element(),
            Self::Nested => tag.is_deep(),
            Self::Length => tag.is_length(),
        }
    }
}

/// Finds the predicates of one field that a value satisfies, by its keys.
pub(super) struct Finder<'a> {
    index: &'a Index,
    field: u32,
    found: &'a mut Vec<Found>,
    text: &'a mut Vec<u8>,
    lower: &'a mut Vec<u8>,
    /// Whether some probe needs a text under case folding.
    folds: bool,
    /// The lookups of the value, if they have been prefetched.
    lookups: std::slice::Iter<'a, Lookup>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(
        index: &'a Index,
        field: u32,
        found: &'a mut Vec<Found>,
        scratch: &'a mut Scratch,
        first: Option<LookupIndex>,
    ) -> Self {
        let Scratch { text, lower, lookups, .. } = scratch;
        let lookups =
            first.and_then(|first| lookups.get(first.get() as usize - 1..)).unwrap_or_default().iter();
        Self { index, field, found, text, lower, folds: false, lookups }
    }

    /// Leaves each predicate in `found` once.
    pub(super) fn find<V: Subject>(&mut self, field: &FieldNode, value: V) {
        let mut repeated = field.has_grams;
        self.folds = field.has_folded;
        match value.shape() {
            Shape::Null | Shape::Scalar => {
                value.with_view(|view| match view {
                    View::String(text) => self.texts(&field.probes, text, Role::Value),
                    other => self.scalar(&field.probes, other, Role::Value),
                });
            }
            Shape::Object => self.container(&field.probes, Role::Value, false),
            Shape::Array(items) => {
                repeated = true;
                self.container(&field.probes, Role::Value, true);
                let needs = |role: Role| field.probes.iter().any(|probe| role.has(probe.tag));
                if needs(Role::Element) || needs(Role::Length) {
                    self.elements::<V>(&field.probes, items);
                }
                if field.deep > 0 {
                    for scalar in scalars(Some(value)) {
                        scalar.with_view(|view| self.scalar(&field.probes, view, Role::Nested));
                        self.dedup();
                    }
                }
            }
        }
        if repeated {
            self.found.sort_unstable();
            self.found.dedup();
        }
    }

    /// Looks up the elements of an array and its length.
    fn elements<V: Subject>(&mut self, probes: &[Probe], items: V::Elements) {
        let mut length = 0;
        for item in items {
            length += 1;
            match item.shape() {
                Shape::Object => self.container(probes, Role::Element, false),
                Shape::Array(_) => self.container(probes, Role::Element, true),
                Shape::Null | Shape::Scalar => {
                    item.with_view(|view| self.scalar(probes, view, Role::Element));
                }
            }
            self.dedup();
        }
        self.scalar(probes, View::Number(Num::from_usize(length)), Role::Length);
    }

    /// Looks up an array or object as a whole.
    fn container(&mut self, probes: &[Probe], role: Role, array: bool) {
        for probe in probes.iter().filter(|probe| role.has(probe.tag)) {
            match probe.tag.kind() {
                Tag::PRESENT => self.key(probe.tag, &[]),
                Tag::ANY_ARRAY if array => self.key(probe.tag, &[]),
                _ => {}
            }
        }
    }

    fn scalar(&mut self, probes: &[Probe], view: View<'_>, role: Role) {
        if let View::String(text) = view {
            return self.texts(probes, text, role);
        }
        for probe in probes.iter().filter(|probe| role.has(probe.tag)) {
            match view {
                View::Number(number) => match probe.tag.kind() {
                    Tag::NUMBER => self.key(probe.tag, &number_bytes(number)),
                    Tag::RANGE => self.ranges(probe, sort_key(number)),
                    Tag::PRESENT => self.key(probe.tag, &[]),
                    _ => {}
                },
                other => match (probe.tag.kind(), other) {
                    (Tag::TRUE, View::Bool(true))
                    | (Tag::FALSE, View::Bool(false))
                    | (Tag::NULL, View::Null)
                    | (Tag::PRESENT, _) => self.key(probe.tag, &[]),
                    _ => {}
                },
            }
        }
    }

    #[inline]
    fn texts(&mut self, probes: &[Probe], text: Chars<'_>, role: Role) {
        if self.folds {
            return self.folded_texts(probes, text, role);
        }
        let applicable = probes.iter().filter(|probe| role.has(probe.tag));
        applicable.for_each(|probe| self.one_text(probe, text));
    }

    #[inline(never)]
    fn folded_texts(&mut self, probes: &[Probe], text: Chars<'_>, role: Role) {
        let mut folded = std::mem::take(self.text);
        folded.clear();
        for probe in probes.iter().filter(|probe| role.has(probe.tag)) {
            if probe.tag.is_folded() {
                // Once for all probes.
                if folded.is_empty() {
                    fold_into(text, &mut folded);
                }
                self.folded(probe, &folded);
            } else {
                self.one_text(probe, text);
            }
        }
        *self.text = folded;
    }

    fn folded(&mut self, probe: &Probe, folded: &[u8]) {
        let length = probe.length as usize;
        match probe.tag.kind() {
            Tag::FOLDED_PREFIX => {
                folded.get(..length).into_iter().for_each(|part| self.key(probe.tag, part));
            }
            Tag::FOLDED_SUFFIX => {
                let from = folded.len().checked_sub(length);
                from.and_then(|from| folded.get(from..))
                    .into_iter()
                    .for_each(|part| self.key(probe.tag, part));
            }
            Tag::FOLDED_GRAM => self.grams(probe, folded),
            _ => self.key(probe.tag, folded),
        }
    }

    fn grams(&mut self, probe: &Probe, text: &[u8]) {
        for gram in text.windows((probe.length as usize).max(1)) {
            if let Some(found) = self.predicate(probe.tag, gram) {
                self.found.push(found);
                self.dedup();
            }
        }
    }

    #[inline]
    fn one_text(&mut self, probe: &Probe, text: Chars<'_>) {
        match probe.tag.kind() {
            Tag::TEXT | Tag::PREFIX | Tag::SUFFIX => {
                if let Some(part) = probe.part(text.bytes()) {
                    self.part(probe.tag, part);
                }
            }
            Tag::GRAM => self.grams(probe, text.bytes()),
            _ => self.rare_text(probe, text),
        }
    }

    /// As [`one_text`](Self::one_text), for probes that few fields have.
    #[inline(never)]
    fn rare_text(&mut self, probe: &Probe, text: Chars<'_>) {
        let tag = probe.tag;
        let bytes = text.bytes();
        match tag.kind() {
            Tag::LOWER if is_plain(bytes) => {
                self.lower.clear();
                self.lower.extend(bytes.iter().map(u8::to_ascii_lowercase));
                let hash = self.index.key_hash(self.field, tag, self.lower);
                self.found.extend(self.index.find_key(hash, self.field, tag, self.lower).map(Found::certain));
            }
            Tag::EXOTIC if !is_plain(bytes) => self.key(tag, &[]),
            Tag::ANY_TEXT | Tag::PRESENT => self.key(tag, &[]),
            Tag::CIDR_V4 | Tag::CIDR_V6 => self.address(probe, &text.text()),
            Tag::TIME => {
                if let Some(moment) = Moment::parse(bytes) {
                    self.ranges(probe, time_key(moment));
                }
            }
            _ => {}
        }
    }

    /// Looks up the block around an address that has the probe's prefix length.
    fn address(&mut self, probe: &Probe, text: &str) {
        let Some(address) = address(text) else { return };
        let Ok(bits) = u8::try_from(probe.length) else { return };
        if let Some(block) = Cidr::around(address, probe.tag.kind() == Tag::CIDR_V4, bits) {
            self.key(probe.tag, &block_bytes(&block));
        }
    }

    fn ranges(&mut self, probe: &Probe, number: u64) {
        let Ok(bit) = u8::try_from(probe.length) else { return };
        self.index.ranges_containing(self.field, probe.tag, bit, number, |predicate| {
            self.found.push(Found::possible(predicate));
        });
    }

    #[inline]
    fn key(&mut self, tag: Tag, payload: &[u8]) {
        let predicate = self.predicate(tag, payload);
        self.found.extend(predicate);
    }

    /// The predicate that is a key.
    #[inline(always)]
    fn predicate(&self, tag: Tag, payload: &[u8]) -> Option<Found> {
        let hash = self.index.key_hash(self.field, tag, payload);
        self.index.find_key(hash, self.field, tag, payload).map(Found::certain)
    }

    /// Looks up a part of the text, of which the lookup may have been resolved already.
    fn part(&mut self, tag: Tag, part: &[u8]) {
        let Some(&Lookup { hash, predicate, .. }) = self.lookups.next() else { return self.key(tag, part) };
        let Some(likely) = predicate else { return };
        let predicate = match self.index.has_key(likely, self.field, tag, part) {
            true => Some(likely),
            false => self.index.find_key(hash, self.field, tag, part),
        };
        self.found.extend(predicate.map(Found::certain));
    }

    /// Removes duplicates when `found` is full, so that it does not grow with a value that repeats itself.
    fn dedup(&mut self) {
        if self.found.len() == self.found.capacity() && self.found.len() >= 64 {
            self.found.sort_unstable();
            self.found.dedup();
            // Without many duplicates, it has to grow after all.
            if self.found.len() * 2 > self.found.capacity() {
                self.found.reserve(self.found.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::{HashMap, HashSet};

    use super::super::super::index::{Index, ROOT, Tag};
    use super::super::{Scratch, match_bytes};
    use crate::Filter;

    /// Prefetched lookups are found by half of a hash, so the predicate may have another key with the same half.
    #[test]
    fn keys_with_the_same_half_of_a_hash_are_distinguished() {
        let mut index = Index::new();
        let mut rules = HashMap::new();
        let add = |index: &mut Index, rules: &mut HashMap<String, u32>, text: String| {
            let filter = Filter::parse(&format!(r#"{{"a": "{text}"}}"#)).expect("it is a filter");
            rules.entry(text).or_insert_with(|| index.add(filter.program(), 0));
        };
        for number in 0.. {
            if index.predicate_table.is_large() {
                break;
            }
            add(&mut index, &mut rules, format!("filler {number}"));
        }
        let field = index.child(ROOT, b"a").expect("filters name it");
        // On average, 2²ⁿ⁻³³ pairs of 2ⁿ hashes share 32 bits; here that is 32 pairs.
        let mut halves = HashMap::new();
        let mut pairs = Vec::new();
        for number in 0..1 << 19 {
            let text = format!("text {number}");
            let hash = index.key_hash(field, Tag::TEXT, text.as_bytes());
            if let Some(other) = halves.insert(hash >> 32, number) {
                pairs.push([format!("text {other}"), text]);
            }
        }
        assert!(!pairs.is_empty());
        for text in pairs.iter().flatten() {
            add(&mut index, &mut rules, text.clone());
        }
        let mut scratch = Scratch::default();
        let likely = RefCell::new(Vec::new());
        for text in pairs.iter().flatten() {
            let event = format!(r#"{{"a": "{text}"}}"#);
            let prefetch = |rule| likely.borrow_mut().push(rule);
            assert!(
                match_bytes::<true, true>(&index, event.as_bytes(), 128, &mut scratch, &prefetch).is_ok()
            );
            assert_eq!(scratch.matched, [rules[text]], "{text}");
        }
        // Each entry has the rule of its own key, which is one of a pair.
        let of_pairs: HashSet<u32> = pairs.iter().flatten().map(|text| rules[text]).collect();
        assert_eq!(likely.borrow().len(), 2 * pairs.len());
        assert!(likely.borrow().iter().all(|rule| of_pairs.contains(rule)));
    }
}
