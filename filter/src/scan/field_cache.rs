//! Fields of objects in a document, each object read once however many of its fields are asked for.
//!
//! [`Raw::field`] reads the whole object. An evaluation that asks each object for each field that a filter names would take
//! time in proportion to the product of both sizes. Here, the first question about an object reads it, and the objects in it that
//! a filter names fields of, and remembers where the named fields are:
//!
//! ```text
//!  filter ──► tree of names                    {"a": {"b": …}, "c": …}:  root ─ a ─ b, root ─ c
//!  start of an object ──► slot ──► entries of that object, by place in the tree ──► bytes of the value
//! ```
//!
//! Names count at their place in the tree, not wherever they occur: so one question reads at most as many objects as the tree has
//! places, there is room for all of them, and none is forgotten while an evaluation goes from field to field. Elements of an
//! array are at the place of the array, and are read when they are asked, so an array of many needs no room for all: when there is
//! no room, all are forgotten, and read again when they are asked again. Room is in proportion to the tree, or to the document's
//! length where that is more. Answers do not depend on what is remembered.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::Scan;
use super::cursor::{Cursor, ValueKind};
use super::raw::{Elements, Raw, unescape};
use crate::matcher::{Shape, Subject};
use crate::ops::View;

/// The least room for objects and for entries.
const LEAST: usize = 32;

/// The number of bytes of the document for each object and for each entry that there is room for, where that is more.
const SHARE: usize = 64;

/// The names that fields are asked for by, each at its place below that of another one.
#[derive(Debug, Default)]
pub(crate) struct NameTree<'n> {
    places: HashMap<(u32, &'n str), u32, RandomState>,
    /// For each place, whether fields are asked for there.
    nested: Vec<bool>,
}

impl<'n> NameTree<'n> {
    /// The place of the whole document.
    pub(crate) const ROOT: u32 = 0;

    /// With room for this many fields.
    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self {
            places: HashMap::with_capacity_and_hasher(fields, RandomState::default()),
            nested: Vec::with_capacity(fields + 1),
        }
    }

    /// The place of a field, which is added if it is new; `None` if there are too many.
    pub(crate) fn child(&mut self, parent: u32, name: &'n str) -> Option<u32> {
        let next = u32::try_from(self.places.len() + 1).ok().filter(|&next| next < NONE)?;
        let place = *self.places.entry((parent, name)).or_insert(next);
        if self.nested.len() <= self.places.len() {
            self.nested.resize(self.places.len() + 1, false);
        }
        *self.nested.get_mut(parent as usize)? = true;
        Some(place)
    }

    /// The number of places at which fields are asked for.
    fn objects(&self) -> usize {
        self.nested.iter().filter(|&&nested| nested).count()
    }
}

/// The places of fields in one document.
#[derive(Debug)]
pub(crate) struct FieldCache<'d, 'n> {
    document: &'d [u8],
    names: NameTree<'n>,
    seeds: RandomState,
    found: RefCell<Found>,
    /// The most entries before all are forgotten.
    most: usize,
}

#[derive(Debug)]
struct Found {
    /// A hash table, of which at most half is in use.
    slots: Box<[Slot]>,
    used: usize,
    entries: Vec<Entry>,
    /// The entries of objects that are being read, the outermost first.
    pending: Vec<Entry>,
    /// For each place in the tree, the object that is being read there, or [`NONE`], and where among its pending entries that place is.
    last: Box<[(u32, u32)]>,
}

/// The entries of one object.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The offset of the object, or [`NONE`].
    object: u32,
    from: u32,
    to: u32,
}

const EMPTY: Slot = Slot { object: NONE, from: 0, to: 0 };

/// The offset of no object: documents are shorter.
const NONE: u32 = u32::MAX;

/// Where the value of a field is.
#[derive(Clone, Copy, Debug)]
struct Entry {
    place: u32,
    start: u32,
    end: u32,
}

impl<'d, 'n> FieldCache<'d, 'n> {
    /// For fields with these names. `None` if the document is too long for offsets of 32 bits.
    pub(crate) fn new(document: &'d [u8], names: NameTree<'n>) -> Option<Self> {
        if document.len() >= NONE as usize {
            return None;
        }
        let share = (document.len() / SHARE).max(LEAST);
        let objects = share.max(2 * names.objects());
        let most = share.max(2 * names.nested.len());
        let last = vec![(NONE, 0); names.nested.len()].into_boxed_slice();
        Some(Self {
            document,
            names,
            seeds: RandomState::default(),
            found: RefCell::new(Found {
                slots: vec![EMPTY; (2 * objects).next_power_of_two()].into_boxed_slice(),
                used: 0,
                entries: Vec::new(),
                pending: Vec::new(),
                last,
            }),
            most,
        })
    }

    /// The document, whose fields are found here.
    pub(crate) fn root<'c>(&'c self, raw: Raw<'d>) -> Cached<'c, 'd, 'n> {
        Cached { raw, place: NameTree::ROOT, cache: self }
    }

    /// The last field of an object with a name, and its place in the tree.
    fn field(&self, object: Raw<'d>, at: u32, name: &str) -> Option<(Raw<'d>, u32)> {
        let (Some(&place), Some(start)) = (self.names.places.get(&(at, name)), self.offset(object.source()))
        else {
            // Nothing is asked of what is there, except by hints: at no place of the tree, each object is read as often as it is asked.
            return object.field(name).map(|raw| (raw, NONE));
        };
        let mut found = self.found.borrow_mut();
        let mut slot = found.slots[self.slot(&found, start)];
        if slot.object != start {
            slot = self.read(&mut found, &mut object.cursor(), start, at).ok()?;
        }
        let entries = found.entries.get(slot.from as usize..slot.to as usize)?;
        let entry = entries.binary_search_by_key(&place, |entry| entry.place).ok()?;
        let Entry { start, end, .. } = entries[entry];
        Some((Raw::of_checked(self.document.get(start as usize..end as usize)?)?, place))
    }

    /// Where the bytes of a value are in the document.
    fn offset(&self, part: &[u8]) -> Option<u32> {
        let offset = part.as_ptr().addr().checked_sub(self.document.as_ptr().addr())?;
        u32::try_from(offset).ok().filter(|_| offset + part.len() <= self.document.len())
    }

    /// The slot of the object at an offset, or the empty one where it would be.
    fn slot(&self, found: &Found, start: u32) -> usize {
        let mask = found.slots.len() - 1;
        let mut at = self.seeds.hash_one(start) as usize & mask;
        while found.slots[at].object != start && found.slots[at].object != NONE {
            at = (at + 1) & mask;
        }
        at
    }

    /// Reads the object at a cursor, which has the offset `start` and is at a place in the tree. The depth of the document bounds
    /// the recursion.
    fn read(&self, found: &mut Found, cursor: &mut Cursor<'d, false>, start: u32, at: u32) -> Scan<Slot> {
        let own = found.pending.len();
        let base = start - u32::try_from(cursor.at()).unwrap_or(0);
        let offset = |at: usize| base + u32::try_from(at).unwrap_or(0);
        if cursor.open(b'}')? {
            loop {
                let key = cursor.key()?;
                let place = match key.escaped {
                    true => self.names.places.get(&(at, &*unescape(key))).copied(),
                    false => {
                        let name = std::str::from_utf8(key.raw).ok();
                        name.and_then(|name| self.names.places.get(&(at, name)).copied())
                    }
                };
                let kind = cursor.kind()?;
                let from = cursor.at();
                // Of a repeated name, only the first value is read with the object around it: room is for one of each.
                let again = place.is_some_and(|place| found.last[place as usize].0 == start);
                match (kind, place) {
                    (ValueKind::Object, Some(place)) if self.names.nested[place as usize] && !again => {
                        self.read(found, cursor, offset(from), place)?;
                    }
                    _ => cursor.skip(kind)?,
                }
                if let Some(place) = place {
                    let entry = Entry { place, start: offset(from), end: offset(cursor.at()) };
                    let (_, index) = found.last[place as usize];
                    if again {
                        found.pending[own + index as usize] = entry;
                    } else {
                        found.last[place as usize] = (start, (found.pending.len() - own) as u32);
                        found.pending.push(entry);
                    }
                }
                if !cursor.more(b'}')? {
                    break;
                }
            }
        }
        let Found { pending, entries, slots, used, last } = found;
        pending[own..].sort_unstable_by_key(|entry| entry.place);
        pending[own..].iter().for_each(|entry| last[entry.place as usize].0 = NONE);
        if entries.len() + pending.len() - own > self.most || 2 * (*used + 1) > slots.len() {
            entries.clear();
            slots.fill(EMPTY);
            *used = 0;
        }
        let from = entries.len() as u32;
        entries.extend(pending.drain(own..));
        *used += 1;
        let slot = Slot { object: start, from, to: entries.len() as u32 };
        let place = self.slot(found, start);
        found.slots[place] = slot;
        Ok(slot)
    }
}

/// A value in a document with a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cached<'c, 'd, 'n> {
    raw: Raw<'d>,
    /// Its place in the tree, or [`NONE`].
    place: u32,
    cache: &'c FieldCache<'d, 'n>,
}

impl<'d> Cached<'_, 'd, '_> {
    pub(crate) fn raw(self) -> Raw<'d> {
        self.raw
    }
}

impl<'c, 'd, 'n> Subject for Cached<'c, 'd, 'n> {
    type Elements = CachedElements<'c, 'd, 'n>;

    const FINDS_FIELDS_FAST: bool = false;

    #[inline]
    fn shape(self) -> Shape<Self> {
        match self.raw.shape() {
            Shape::Null => Shape::Null,
            Shape::Scalar => Shape::Scalar,
            Shape::Object => Shape::Object,
            Shape::Array(elements) => {
                Shape::Array(CachedElements { elements, place: self.place, cache: self.cache })
            }
        }
    }

    fn with_view<R>(self, see: impl FnOnce(View<'_>) -> R) -> R {
        self.raw.with_view(see)
    }

    fn size(self) -> usize {
        self.raw.size()
    }

    /// Each object is read once, which is charged for the whole event.
    fn field_size(self) -> usize {
        0
    }

    fn field(self, name: &str) -> Option<Self> {
        if !self.raw.is_object() {
            return None;
        }
        let (raw, place) = self.cache.field(self.raw, self.place, name)?;
        Some(Self { raw, place, cache: self.cache })
    }
}

/// The elements of an array.
#[derive(Clone, Debug)]
pub(crate) struct CachedElements<'c, 'd, 'n> {
    elements: Elements<'d>,
    place: u32,
    cache: &'c FieldCache<'d, 'n>,
}

impl<'c, 'd, 'n> Iterator for CachedElements<'c, 'd, 'n> {
    type Item = Cached<'c, 'd, 'n>;

    fn next(&mut self) -> Option<Self::Item> {
        let raw = self.elements.next()?;
        Some(Cached { raw, place: self.place, cache: self.cache })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// JSON with few different names, some of them repeated or with an escape.
    fn json() -> impl Strategy<Value = String> {
        let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just(r"\u0061"), Just("other"), Just("")];
        let leaf = prop_oneof![Just("1".to_owned()), Just(r#""x\"y""#.to_owned()), Just("{ }".to_owned())];
        leaf.prop_recursive(6, 300, 12, move |inner| {
            prop_oneof![
                proptest::collection::vec((name.clone(), inner.clone()), 0..12).prop_map(|members| {
                    let members = members.iter().map(|(name, value)| format!(r#""{name}": {value}"#));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(" ,"))
                }),
                proptest::collection::vec(inner, 0..12).prop_map(|items| format!("[{}]", items.join(","))),
            ]
        })
    }

    /// Compares all fields of all values, in an order in which objects are asked again.
    fn compare(cached: Cached<'_, '_, '_>, raw: Raw<'_>) -> Result<(), TestCaseError> {
        prop_assert_eq!(cached.raw().source(), raw.source());
        for name in ["a", "b", "c", "", "not in the cache", "b"] {
            match (cached.field(name), raw.field(name)) {
                (Some(cached), Some(raw)) => compare(cached, raw)?,
                (cached, raw) => prop_assert_eq!(cached.is_some(), raw.is_some()),
            }
        }
        if let (Shape::Array(cached), Shape::Array(raw)) = (cached.shape(), raw.shape()) {
            prop_assert_eq!(cached.clone().count(), raw.clone().count());
            for (cached, raw) in cached.zip(raw) {
                compare(cached, raw)?;
            }
        }
        Ok(())
    }

    /// The tree of some paths.
    fn tree(paths: &[&[&'static str]]) -> NameTree<'static> {
        let mut names = NameTree::default();
        for path in paths {
            path.iter().try_fold(NameTree::ROOT, |at, name| names.child(at, name)).unwrap();
        }
        names
    }

    /// Paths of a filter: the names at some places, others nowhere.
    fn paths() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
        let name = proptest::sample::select(&["a", "b", "c", ""]);
        proptest::collection::vec(proptest::collection::vec(name, 1..6), 0..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn finds_the_fields_that_reading_each_time_finds(json in json(), paths in paths()) {
            let raw = Raw::of_document(json.as_bytes()).unwrap();
            let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
            let cache = FieldCache::new(raw.source(), tree(&paths)).unwrap();
            compare(cache.root(raw), raw)?;
            // Again, with what is remembered.
            compare(cache.root(raw), raw)?;
        }
    }

    #[test]
    fn what_is_remembered_takes_a_share_of_the_document() {
        let objects = format!("[{}0]", r#"{"a":{"b":1}},"#.repeat(5000));
        let raw = Raw::of_document(objects.as_bytes()).unwrap();
        let cache = FieldCache::new(raw.source(), tree(&[&["a", "b"]])).unwrap();
        let Shape::Array(items) = cache.root(raw).shape() else { panic!("it is an array") };
        let found = items.filter_map(|item| item.field("a")?.field("b"));
        assert_eq!(found.count(), 5000);
        let found = cache.found.borrow();
        assert!(found.entries.capacity() * size_of::<Entry>() < objects.len());
        assert!(found.slots.len() * size_of::<Slot>() < objects.len());
    }

    /// The number of objects that have been read is that of the tree's places, whatever else the document has.
    #[test]
    fn an_object_is_read_once() {
        let deep = |levels: usize| format!("{}1{}", r#"{"o":"#.repeat(levels), "}".repeat(levels));
        // The names of the filter, at other places and again and again.
        let others = format!(r#""x":{{{}"o":0}}"#, r#""o":{"o":{}},"#.repeat(5000));
        for levels in [1, 5, 64, 120] {
            let json = format!("{},{others}}}", deep(levels).strip_suffix('}').unwrap());
            let raw = Raw::of_document(json.as_bytes()).unwrap();
            let cache = FieldCache::new(raw.source(), tree(&[&vec!["o"; levels]])).unwrap();
            for _ in 0..2 {
                let mut at = cache.root(raw);
                for _ in 0..levels {
                    at = at.field("o").unwrap();
                }
                assert_eq!(at.raw().source(), b"1");
                assert_eq!(cache.found.borrow().used, levels);
            }
        }
    }
}
