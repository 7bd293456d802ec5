//! The tree of field names that filters mention.
//!
//! An [`ObjectNode`] is a place where objects can stand: the event itself, or the value of a field. A [`FieldNode`] is a
//! field that filters name there, and refers to the object node below it, if filters look inside its value.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use super::Index;
use super::predicate::Tag;
use super::prefilter::{Candidate, TextEnds};
use super::requirement::Postings;
use crate::scan::NameEnds;
use crate::set::store::Text;

/// An object node with more fields than this finds them by hashing their names, not by comparing them one by one.
const MAX_COMPARED: usize = 6;

#[derive(Clone, Debug, Default)]
pub(in crate::set) struct ObjectNode {
    /// References from its patterns and fields; the root has one more.
    pub(in crate::set) uses: u32,
    /// The field whose value is this object.
    pub(in crate::set) field: u32,
    /// The number of its fields.
    pub(in crate::set) children: u32,
    /// All of its fields, or none once there are more than [`MAX_COMPARED`].
    compared: Vec<Child>,
    /// A Bloom filter of the names; names that were removed may remain in it.
    names: u64,
    /// The same, of the lengths of the names.
    lengths: u64,
    /// The patterns or rules without an access, which are checked for every object here.
    pub(in crate::set) unindexed: Postings,
}

/// A field, with enough of its name to exclude most other names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Child {
    len: usize,
    ends: TextEnds,
    field: u32,
}

#[derive(Clone, Debug, Default)]
pub(in crate::set) struct FieldNode {
    pub(in crate::set) name: Text,
    pub(in crate::set) object: u32,
    /// The object node of the field's value, or [`ROOT`](super::ROOT) if no filter looks inside.
    pub(in crate::set) inner: u32,
    /// References from its predicates, and one from the object node below.
    pub(super) uses: u32,
    /// In a [scope](super::scopes): the field that it is, which has the name and the values, and the number of the scope plus one.
    pub(in crate::set) base: u32,
    pub(in crate::set) scope: u32,
    /// The predicates with postings while they are few, evaluated one by one.
    pub(in crate::set) candidates: Vec<Candidate>,
    /// Whether predicates are found by their keys instead.
    pub(in crate::set) keyed: bool,
    /// The number of predicates with postings.
    pub(in crate::set) active: u32,
    /// The number of deep predicates with postings.
    pub(in crate::set) deep: u32,
    pub(in crate::set) probes: Vec<Probe>,
    /// Whether some probe looks up parts of a text, of which a text has many.
    pub(in crate::set) has_grams: bool,
    /// Whether some probe looks up a text under case folding.
    pub(in crate::set) has_folded: bool,
}

/// A kind of key by which every value of a field is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::set) struct Probe {
    pub(in crate::set) tag: Tag,
    /// The length of the payload in bytes, or for numbers and addresses in bits.
    pub(in crate::set) length: u32,
    /// The number of keys of this kind.
    pub(in crate::set) count: u32,
}

impl Probe {
    /// The part of a text that this probe looks up, if it looks up a part and the text is long enough.
    #[inline]
    pub(in crate::set) fn part<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        let length = self.length as usize;
        match self.tag.kind() {
            Tag::TEXT => Some(text),
            Tag::PREFIX => text.get(..length),
            Tag::SUFFIX => text.len().checked_sub(length).and_then(|from| text.get(from..)),
            _ => None,
        }
    }
}

impl ObjectNode {
    /// The node of the event, which is never released.
    pub(in crate::set) fn root() -> Self {
        Self { uses: 1, ..Self::default() }
    }

    /// Whether a name of this length may be that of a field. Unlike the name itself, its length is at hand in a parsed object.
    #[inline]
    pub(in crate::set) fn may_have_length(&self, length: usize) -> bool {
        self.lengths & length_bit(length) != 0
    }

    /// Whether a filter may name a field like this. No filter names most fields.
    #[inline]
    pub(in crate::set) fn may_name(&self, name: NameEnds) -> bool {
        self.names & name_bit(name) != 0
    }

    /// The fields with names that begin, end and are long like this one: if it is [short](TextEnds::WHOLE), the field itself.
    #[inline]
    fn alike(&self, name: &[u8]) -> impl Iterator<Item = &Child> {
        let (len, ends) = (name.len(), TextEnds::of(name));
        self.compared.iter().filter(move |child| child.len == len && child.ends == ends)
    }

    pub(in crate::set) fn bytes(&self) -> usize {
        self.compared.capacity() * size_of::<Child>() + self.unindexed.bytes()
    }
}

impl FieldNode {
    /// The parts of a text value that are looked up, in the order of the probes.
    #[inline]
    pub(in crate::set) fn parts<'t>(&self, text: &'t [u8]) -> impl Iterator<Item = (&Probe, &'t [u8])> {
        let probes = self.probes.iter().filter(|probe| probe.tag.is_own());
        probes.filter_map(|probe| Some((probe, probe.part(text)?)))
    }

    pub(in crate::set) fn add_probe(&mut self, (tag, length): (Tag, u32)) {
        match self.probes.iter_mut().find(|probe| probe.tag == tag && probe.length == length) {
            Some(probe) => probe.count += 1,
            None => {
                self.probes.push(Probe { tag, length, count: 1 });
                self.describe_probes();
            }
        }
    }

    fn describe_probes(&mut self) {
        self.has_grams = self.probes.iter().any(|probe| probe.tag.is_gram());
        self.has_folded = self.probes.iter().any(|probe| probe.tag.is_folded());
    }

    pub(in crate::set) fn remove_probe(&mut self, (tag, length): (Tag, u32)) {
        let alike = |probe: &Probe| probe.tag == tag && probe.length == length;
        if let Some(place) = self.probes.iter().position(alike) {
            self.probes[place].count -= 1;
            if self.probes[place].count == 0 {
                self.probes.swap_remove(place);
                self.describe_probes();
            }
        }
    }

    pub(in crate::set) fn bytes(&self) -> usize {
        self.name.bytes()
            + self.candidates.capacity() * size_of::<Candidate>()
            + self.probes.capacity() * size_of::<Probe>()
    }
}

impl Index {
    /// The field of an object by its name, if any filter names it.
    #[inline]
    pub(in crate::set) fn child(&self, object: u32, name: &[u8]) -> Option<u32> {
        self.child_at(self.objects.at(object), object, name)
    }

    /// [`child`](Self::child) with the object node at hand.
    #[inline]
    pub(in crate::set) fn child_at(&self, here: &ObjectNode, object: u32, name: &[u8]) -> Option<u32> {
        if here.may_name(NameEnds::of(name)) { self.named_child(here, object, name) } else { None }
    }

    /// [`child_at`](Self::child_at) with a name that the object [may name](ObjectNode::may_name).
    pub(in crate::set) fn named_child(&self, here: &ObjectNode, object: u32, name: &[u8]) -> Option<u32> {
        if here.compared.len() != here.children as usize || name.len() > TextEnds::WHOLE {
            return self.long_or_hashed_child(here, object, name);
        }
        here.alike(name).next().map(|child| child.field)
    }

    /// Not inline: the short way needs few registers without it.
    #[inline(never)]
    fn long_or_hashed_child(&self, here: &ObjectNode, object: u32, name: &[u8]) -> Option<u32> {
        if here.compared.len() != here.children as usize {
            return self.hashed_child(object, name);
        }
        let mut alike = here.alike(name);
        alike.find(|child| self.fields.at(child.field).name.as_bytes() == name).map(|child| child.field)
    }

    fn hashed_child(&self, object: u32, name: &[u8]) -> Option<u32> {
        self.field_table.find(name_hash(&self.seeds, object, name), |number| {
            let field = self.fields.at(number);
            field.object == object && field.name.as_bytes() == name
        })
    }

    /// The fields of an object node, unless they are many.
    pub(in crate::set) fn few_children(&self, object: u32) -> Option<impl Iterator<Item = u32>> {
        let object = self.objects.at(object);
        let all = object.compared.len() == object.children as usize;
        all.then(|| object.compared.iter().map(|child| child.field))
    }

    /// Whether filters look only inside a field's value, so that no predicate needs the value itself.
    pub(in crate::set) fn only_inner(&self, field: u32) -> bool {
        self.fields.at(field).uses == 1
    }

    /// The object node of a field's value, if filters look inside.
    #[inline]
    pub(in crate::set) fn inner(&self, field: u32) -> Option<u32> {
        let inner = self.fields.at(field).inner;
        (inner != super::ROOT).then_some(inner)
    }

    /// Finds or adds a field. A new one has no uses: the caller has to add one.
    pub(in crate::set) fn field_node(&mut self, object: u32, name: &str) -> u32 {
        if let Some(field) = self.child(object, name.as_bytes()) {
            return field;
        }
        let hash = name_hash(&self.seeds, object, name.as_bytes());
        let name = Text::new(name.as_bytes());
        let (len, ends) = (name.as_bytes().len(), TextEnds::of(name.as_bytes()));
        let number = self.fields.add(FieldNode { name, object, ..FieldNode::default() });
        let parent = self.objects.at_mut(object);
        parent.uses += 1;
        parent.children += 1;
        parent.names |= name_bit(NameEnds::of(self.fields.at(number).name.as_bytes()));
        parent.lengths |= length_bit(len);
        if parent.children as usize <= MAX_COMPARED && parent.compared.len() + 1 == parent.children as usize {
            parent.compared.push(Child { len, ends, field: number });
        } else {
            // A node that shrinks keeps hashing until it is empty; that is rare.
            parent.compared.clear();
        }
        self.field_table.insert(hash, number);
        number
    }

    /// Finds or adds the object node of a field's value. A new one has no uses: the caller has to add one.
    pub(in crate::set) fn object_under(&mut self, field: u32) -> u32 {
        if let Some(inner) = self.inner(field) {
            return inner;
        }
        let object = self.objects.add(ObjectNode { field, ..ObjectNode::default() });
        let field = self.fields.at_mut(field);
        field.inner = object;
        field.uses += 1;
        object
    }

    pub(in crate::set) fn release_field(&mut self, number: u32) {
        let field = self.fields.at_mut(number);
        field.uses -= 1;
        if field.uses > 0 {
            return;
        }
        if field.scope > 0 {
            let field = self.fields.take(number);
            return self.release_scoped_field(number, &field);
        }
        let hash = name_hash(&self.seeds, field.object, field.name.as_bytes());
        self.field_table.remove(hash, number);
        let object = self.fields.take(number).object;
        let parent = self.objects.at_mut(object);
        parent.children -= 1;
        parent.compared.retain(|child| child.field != number);
        if parent.children == 0 {
            parent.names = 0;
            parent.lengths = 0;
        }
        self.release_object(object);
    }

    pub(in crate::set) fn release_object(&mut self, number: u32) {
        let object = self.objects.at_mut(number);
        object.uses -= 1;
        if object.uses == 0 {
            let field = self.objects.take(number).field;
            self.fields.at_mut(field).inner = super::ROOT;
            self.release_field(field);
        }
    }
}

/// The bit of a name in the Bloom filter of an object node: a cheap hash of its length, first and last byte.
#[inline]
fn name_bit(NameEnds { first, last, len }: NameEnds) -> u64 {
    1 << (((5 * u64::from(first)) ^ u64::from(last) ^ ((len as u64) << 3)) % 64)
}

#[inline]
fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}

fn name_hash(seeds: &RandomState, object: u32, name: &[u8]) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u32(object);
    hasher.write(name);
    hasher.finish()
}
