//! What holds for one object, once all of its fields that matter are known.
//!
//! ```text
//!  for each field met:  patterns that hold inside it ─┐
//!                       facts found by its value ─────┴─► whoever waits for them ─► all members hold? ─► matched
//! ```
//!
//! Judging an object last, and not while its fields are met, makes the last of duplicate keys count.

use super::ahead::Expect;
use super::direct::{Direct, Ends};
use super::fact::{Fact, Tag, Test, block_bytes, key_holds, number_bytes};
use super::level::{Probe, Slot};
use super::member::{Kind as Part, Member, Members, Waiter, Wake};
use super::ranges::{above, place};
use super::scratch::{Mark, Pending, Scratch, Sought, SoughtAt};
use super::{Index, ROOT};
use crate::matcher::evaluate::{holds, scalars};
use crate::matcher::{Shape, Subject};
use crate::ops::{Chars, Cidr, View, address, fold_into, is_plain};
use crate::scan::Kind;

/// The fields of an object, all of which have been met.
pub(in crate::set) trait Scope {
    type Value: Subject;

    fn stamp(&self) -> u64;

    /// The value of a field that has been met.
    fn value(&self, index: &Index, scratch: &Scratch, slot: u32) -> Option<Self::Value>;
}

/// An object being judged.
pub(in crate::set) struct Judge<'a, S> {
    pub(in crate::set) index: &'a Index,
    pub(in crate::set) scratch: &'a mut Scratch,
    pub(in crate::set) scope: S,
    pub(in crate::set) expect: Expect<'a>,
    /// Whether it stands in an array in an array, where only deep patterns look.
    pub(in crate::set) buried: bool,
}

/// How a value is looked at: as a field's value, or as something in an array that is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Whole,
    Element,
    Buried,
}

impl<S: Scope> Judge<'_, S> {
    /// Appends the patterns of a level that hold, once each, to those that matched; the object began at the mark.
    pub(in crate::set) fn object(&mut self, level: u32, began: Mark) {
        let from = self.scratch.matched.len();
        if !self.scratch.sought.is_empty() {
            self.index.fetch_found(self.scratch, self.expect);
        }
        self.fields(level, (began.seen, self.scratch.seen.len()));
        self.scratch.forget(began);
        self.scratch.sort_matched(from);
    }

    /// The same for an object that was put off.
    pub(in crate::set) fn put_off(&mut self, object: Pending) {
        let from = self.scratch.matched.len();
        self.fields(object.level, object.seen);
        self.scratch.sort_matched(from);
        self.scratch.settle(object, from);
    }

    #[inline(always)]
    fn fields(&mut self, level: u32, seen: (usize, usize)) {
        for at in seen.0..seen.1 {
            let slot = self.scratch.seen[at];
            self.field(slot);
        }
        let index = self.index;
        for &wake in index.levels.at(level).unindexed.as_slice() {
            self.wake(wake, None);
        }
    }

    fn field(&mut self, number: u32) {
        let index = self.index;
        let slot = index.slots.at(number);
        let Some(held) = self.scratch.held(number, self.scope.stamp()) else { return };
        let sought = held.sought;
        if slot.inner != ROOT {
            match held.kind {
                Kind::Object | Kind::Array => {
                    let (from, to) = held.list;
                    for at in from..to {
                        let pattern = self.scratch.matched[at];
                        self.pattern_holds(pattern);
                    }
                }
                Kind::Null => {}
                Kind::Bool | Kind::Number | Kind::String => {
                    for pattern in index.on_empty(slot.inner) {
                        self.pattern_holds(pattern);
                    }
                }
            }
        }
        if slot.active == 0 {
            return;
        }
        let Some(value) = self.scope.value(index, self.scratch, number) else { return };
        if slot.keyed {
            self.look_up(number, slot, value, sought);
        } else {
            self.ask(slot, value);
        }
    }

    /// Asks the facts of a slot one by one.
    fn ask(&mut self, slot: &Slot, value: S::Value) {
        let index = self.index;
        if matches!(value.shape(), Shape::Array(_) | Shape::Object) {
            for direct in &slot.direct {
                let fact = index.facts.at(direct.fact);
                if holds_for(fact, value) {
                    self.fact_holds(direct.fact, fact);
                }
            }
            return;
        }
        value.with_view(|view| match view {
            View::String(text) => {
                let ends = Ends::of(text.bytes());
                slot.direct
                    .iter()
                    .filter(|direct| direct.admits(ends))
                    .for_each(|direct| self.ask_one(direct, view));
            }
            View::Number(number) => {
                let nearest = number.nearest();
                for direct in &slot.direct {
                    match direct.verdict(nearest) {
                        None => self.ask_one(direct, view),
                        Some(true) => self.fact_holds(direct.fact, index.facts.at(direct.fact)),
                        Some(false) => {}
                    }
                }
            }
            _ => slot
                .direct
                .iter()
                .filter(|direct| direct.is_open())
                .for_each(|direct| self.ask_one(direct, view)),
        });
    }

    #[inline]
    fn ask_one(&mut self, direct: &Direct, view: View<'_>) {
        let fact = self.index.facts.at(direct.fact);
        if holds_for_scalar(fact, view) {
            self.fact_holds(direct.fact, fact);
        }
    }

    /// Looks a value up by its keys.
    fn look_up(&mut self, number: u32, slot: &Slot, value: S::Value, sought_at: Option<SoughtAt>) {
        let mut found = std::mem::take(&mut self.scratch.found);
        found.clear();
        let Scratch { text, sought, .. } = &mut *self.scratch;
        let sought = sought_at.and_then(|at| sought.get(at.get() as usize - 1..)).unwrap_or_default().iter();
        let mut finder = Finder { index: self.index, slot: number, found: &mut found, text, sought };
        let mut again = false;
        match value.shape() {
            Shape::Null | Shape::Scalar => value.with_view(|view| {
                again = slot.probes.iter().any(|probe| probe.tag.kind() == Tag::GRAM);
                finder.scalar(&slot.probes, view, Place::Whole);
            }),
            Shape::Object => finder.container(&slot.probes, false),
            Shape::Array(items) => {
                again = true;
                finder.container(&slot.probes, true);
                if slot.probes.iter().any(|probe| probe.tag.is_element()) {
                    for item in items {
                        if !matches!(item.shape(), Shape::Array(_) | Shape::Object) {
                            item.with_view(|view| finder.scalar(&slot.probes, view, Place::Element));
                            finder.thin_out();
                        }
                    }
                }
                if slot.deep > 0 {
                    for scalar in scalars(Some(value)) {
                        scalar.with_view(|view| finder.scalar(&slot.probes, view, Place::Buried));
                        finder.thin_out();
                    }
                }
            }
        }
        // The same may have been found by several parts of the value; it is asked once.
        if again {
            found.sort_unstable();
            found.dedup();
        }
        for &entry in &found {
            let fact = self.index.facts.at(entry >> 1);
            if entry & SURE != 0 || holds_for(fact, value) {
                self.fact_holds(entry >> 1, fact);
            }
        }
        self.scratch.found = found;
    }

    fn fact_holds(&mut self, number: u32, fact: &Fact) {
        let known = Member::new(Part::Fact, number);
        for &wake in fact.wakes.as_slice() {
            self.wake(wake, Some(known));
        }
    }

    fn pattern_holds(&mut self, number: u32) {
        let known = Member::new(Part::Pattern, number);
        for &wake in self.index.patterns.at(number).wakes.as_slice() {
            self.wake(wake, Some(known));
        }
    }

    /// Sees whether somebody who waited holds, of whom one member is known to.
    #[inline]
    fn wake(&mut self, wake: Wake, known: Option<Member>) {
        let index = self.index;
        if wake.other().is_some_and(|other| !self.member(other)) {
            return;
        }
        let (waiter, number) = wake.waiter();
        match waiter {
            Waiter::Fact => {
                if self.fact(number) {
                    self.fact_holds(number, index.facts.at(number));
                }
            }
            Waiter::Pattern => {
                let pattern = index.patterns.at(number);
                if (pattern.deep || !self.buried) && self.others(&pattern.members, known) {
                    self.scratch.matched.push(number);
                }
            }
            Waiter::Rule => {
                if self.others(&index.rules.at(number).members, known) {
                    self.scratch.matched.push(number);
                }
            }
            Waiter::WholeRule => self.scratch.matched.push(number),
        }
    }

    /// Whether all members hold, but for the one that is known to.
    #[inline]
    fn others(&self, members: &Members, known: Option<Member>) -> bool {
        members.iter().all(|member| Some(member) == known || self.member(member))
    }

    fn all(&self, members: &Members) -> bool {
        members.iter().all(|member| self.member(member))
    }

    fn member(&self, member: Member) -> bool {
        let number = member.number();
        match member.kind() {
            Part::Fact => self.fact(number),
            Part::Pattern => self.inside(number),
            Part::Junction => {
                let junction = self.index.junctions.at(number);
                let any = junction.patterns.iter().any(|&p| self.all(&self.index.patterns.at(p).members));
                any == junction.any
            }
        }
    }

    fn fact(&self, number: u32) -> bool {
        let fact = self.index.facts.at(number);
        match self.scope.value(self.index, self.scratch, fact.slot) {
            Some(value) => holds_for(fact, value),
            None => fact.on_missing,
        }
    }

    /// Whether a pattern holds for the value of its field.
    fn inside(&self, number: u32) -> bool {
        let pattern = self.index.patterns.at(number);
        let slot = self.index.levels.at(pattern.level).slot;
        let Some(held) = self.scratch.held(slot, self.scope.stamp()) else { return false };
        match held.kind {
            Kind::Object | Kind::Array => {
                let list = self.scratch.matched.get(held.list.0..held.list.1).unwrap_or_default();
                list.binary_search(&number).is_ok()
            }
            Kind::Null => false,
            Kind::Bool | Kind::Number | Kind::String => pattern.on_empty && !pattern.deep,
        }
    }
}

impl Index {
    /// The patterns that are not deep and hold for what has no fields.
    pub(in crate::set) fn on_empty(&self, level: u32) -> impl Iterator<Item = u32> {
        let unindexed = self.levels.at(level).unindexed.as_slice().iter();
        unindexed.map(|&wake| wake.waiter().1).filter(|&number| {
            let pattern = self.patterns.at(number);
            pattern.on_empty && !pattern.deep
        })
    }

    /// The rules that hold for an event that is no object: for null, those that are `{}`.
    pub(in crate::set) fn without_fields(&self, null: bool) -> impl Iterator<Item = u32> {
        self.unindexed().filter(move |&number| {
            let rule = self.rules.at(number);
            if null { rule.blank } else { rule.on_empty }
        })
    }

    pub(in crate::set) fn slots(&self) -> usize {
        self.slots.len()
    }
}

/// Whether a fact holds for a missing field.
pub(super) fn on_missing(fact: &Fact) -> bool {
    match &fact.test {
        Test::Key(_) => false,
        Test::Leaf(leaf) => !fact.deep && leaf.holds(View::Missing),
        Test::Node(fragment) => fragment.holds::<&serde_json::Value>(None),
    }
}

fn holds_for<V: Subject>(fact: &Fact, value: V) -> bool {
    match value.shape() {
        Shape::Null | Shape::Scalar => value.with_view(|view| holds_for_scalar(fact, view)),
        Shape::Object | Shape::Array(_) => match &fact.test {
            Test::Node(fragment) => fragment.holds(Some(value)),
            _ if fact.deep => {
                scalars(Some(value)).any(|scalar| scalar.with_view(|view| holds_for_scalar(fact, view)))
            }
            Test::Leaf(leaf) => holds(leaf, Some(value)),
            Test::Key(_) => false,
        },
    }
}

pub(super) fn holds_for_scalar(fact: &Fact, view: View<'_>) -> bool {
    match &fact.test {
        Test::Key(_) => fact.test.key().is_some_and(|(tag, payload)| key_holds(tag, payload, view)),
        Test::Leaf(leaf) => leaf.holds(view),
        Test::Node(fragment) => fragment.holds_for_scalar(view),
    }
}

/// Set where a fact needs not be asked whether it holds.
const SURE: u32 = 1;

/// Finds facts by their keys.
struct Finder<'a> {
    index: &'a Index,
    slot: u32,
    found: &'a mut Vec<u32>,
    text: &'a mut Vec<u8>,
    /// The keys of the value, where it is a text that was anticipated.
    sought: std::slice::Iter<'a, Sought>,
}

impl Finder<'_> {
    /// An array or object as a whole.
    fn container(&mut self, probes: &[Probe], array: bool) {
        for probe in probes {
            match probe.tag.kind() {
                Tag::PRESENT => self.key(probe.tag, &[]),
                Tag::ANY_ARRAY if array => self.key(probe.tag, &[]),
                _ => {}
            }
        }
    }

    fn scalar(&mut self, probes: &[Probe], view: View<'_>, seen_as: Place) {
        for probe in probes {
            let applies = match seen_as {
                Place::Whole => !probe.tag.is_element(),
                Place::Element => probe.tag.is_element(),
                Place::Buried => probe.tag.is_deep(),
            };
            if !applies {
                continue;
            }
            match view {
                View::String(text) => self.text(probe, text),
                View::Number(number) => match probe.tag.kind() {
                    Tag::NUMBER => self.key(probe.tag, &number_bytes(number)),
                    Tag::RANGE => self.ranges(probe, place(number)),
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

    fn text(&mut self, probe: &Probe, text: Chars<'_>) {
        let (tag, length) = (probe.tag, probe.length as usize);
        let bytes = text.bytes();
        match tag.kind() {
            Tag::TEXT | Tag::PREFIX | Tag::SUFFIX => {
                if let Some(part) = probe.part(bytes) {
                    self.part(tag, part);
                }
            }
            Tag::GRAM => {
                for gram in bytes.windows(length.max(1)) {
                    self.key(tag, gram);
                    self.thin_out();
                }
            }
            Tag::FOLDED => {
                let mut folded = std::mem::take(self.text);
                folded.clear();
                fold_into(text, &mut folded);
                self.key(tag, &folded);
                *self.text = folded;
            }
            Tag::LOWER if is_plain(bytes) => {
                let mut lower = std::mem::take(self.text);
                lower.clear();
                lower.extend(bytes.iter().map(u8::to_ascii_lowercase));
                self.key(tag, &lower);
                *self.text = lower;
            }
            Tag::EXOTIC if !is_plain(bytes) => self.key(tag, &[]),
            Tag::ANY_TEXT | Tag::PRESENT => self.key(tag, &[]),
            Tag::CIDR_V4 | Tag::CIDR_V6 => self.address(probe, &text.text()),
            _ => {}
        }
    }

    /// Looks up the block of an address that has as many bits as the probe says.
    fn address(&mut self, probe: &Probe, text: &str) {
        let Some(address) = address(text) else { return };
        let Ok(bits) = u8::try_from(probe.length) else { return };
        if let Some(block) = Cidr::around(address, probe.tag.kind() == Tag::CIDR_V4, bits) {
            self.key(probe.tag, &block_bytes(&block));
        }
    }

    fn ranges(&mut self, probe: &Probe, place: u64) {
        let Ok(bit) = u8::try_from(probe.length) else { return };
        let bucket = self.index.bucket(self.slot, probe.tag.is_deep(), bit, above(bit, place));
        if let Some(bucket) = bucket {
            self.index.buckets.at(bucket).containing(bit, place, |fact| self.found.push(fact << 1));
        }
    }

    #[inline]
    fn key(&mut self, tag: Tag, payload: &[u8]) {
        let hash = self.index.key_hash(self.slot, tag, payload);
        if let Some(fact) = self.index.find_key(hash, self.slot, tag, payload) {
            self.found.push(fact << 1 | SURE);
        }
    }

    /// A part of the text as it is, which may have been anticipated.
    fn part(&mut self, tag: Tag, part: &[u8]) {
        let Some(&Sought { hash, fact, .. }) = self.sought.next() else { return self.key(tag, part) };
        let Some(likely) = fact else { return };
        let fact = match self.index.has_key(likely, self.slot, tag, part) {
            true => Some(likely),
            false => self.index.find_key(hash, self.slot, tag, part),
        };
        self.found.extend(fact.map(|fact| fact << 1 | SURE));
    }

    /// Keeps what has been found from growing with a value that repeats itself.
    fn thin_out(&mut self) {
        if self.found.len() == self.found.capacity() && self.found.len() >= 64 {
            self.found.sort_unstable();
            self.found.dedup();
            // What is left is all different; unless most was not, there has to be more room.
            if self.found.len() * 2 > self.found.capacity() {
                self.found.reserve(self.found.len());
            }
        }
    }
}
