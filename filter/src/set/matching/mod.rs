//! Matching: one walk over an event finds all rules that it satisfies.
//!
//! ```text
//!  walk an object ──► for each field that filters name: its value, and the patterns that hold inside it
//!        │
//!        ▼ at its end
//!  judge it       ──► for each of these values: predicates, by evaluating or looking up ──► their postings
//!                     for each of these patterns:                                        ──► its postings
//!                     for each posting: all requirements hold? ──► a pattern or rule that matches
//! ```
//!
//! The walk visits objects depth first. Filters form a tree of field names ([`Index`]), which the walk descends alongside the
//! event; members that no filter names are skipped. When an object ends, it is judged: each value finds predicates, and each
//! predicate checks its postings. The result, the patterns that hold for the object, belongs to the field whose value the
//! object is; for an array it is the union over the elements. The patterns of the event itself are the rules.
//!
//! Why this finds every rule: a rule that matches has requirements that all hold. One of them is its access, so the rule is
//! in the postings of a predicate or pattern that holds, or it has no access and is checked for every event. By induction
//! over the depth of the filter, every pattern that holds has been found when the object around it is judged. Why it finds
//! no other: a dependent is added only after all of its requirements have been checked.
//!
//! Why at the end of an object, not field by field: the last of duplicate keys counts, and requirements on fields that come
//! later can only be checked then.
//!
//! A batch of events judges even later: it walks an event with `AT_ONCE` false, which defers its objects, and judges them in
//! [`judge_deferred`] when their data has been prefetched. Objects in arrays cannot be deferred, since the next element
//! overwrites their values; they are judged at once.

mod lookup;
mod scratch;
mod tree;

use lookup::Finder;
pub(super) use lookup::prefetch_results;
pub(super) use scratch::Scratch;
use scratch::{ElementPatterns, FieldValue, LookupIndex, Mark};
pub(super) use tree::{match_value, match_whole_value};

use super::index::{
    Candidate, Dependent, FieldNode, Index, ObjectNode, PatternKind, Posting, Predicate, ROOT, Requirement,
    RequirementKind, Requirements, TextEnds,
};
use crate::matcher::{Shape, Subject};
use crate::ops::View;
use crate::scan::{Cursor, Key, Member, Raw, Scan, ValueKind, unescape};

/// Prefetches what the set keeps of a rule, by its number: called for rules that are likely to match.
pub(super) type PrefetchRule<'a> = &'a dyn Fn(u32);

/// Leaves the rules that match a document in `scratch.matched`, or with `AT_ONCE` false, prepares [`judge_deferred`].
///
/// A document that is not `CHECKED` is read only until the answer is known.
#[inline(always)]
pub(super) fn match_bytes<const CHECKED: bool, const AT_ONCE: bool>(
    index: &Index,
    bytes: &[u8],
    depth: usize,
    scratch: &mut Scratch,
    prefetch_rule: PrefetchRule<'_>,
) -> Scan<()> {
    scratch.prepare(index.fields.len(), index.junctions.len());
    let cursor = Cursor::new(bytes, depth)?;
    let mut walk = ByteWalk::<CHECKED, AT_ONCE> { index, bytes, cursor, scratch, prefetch_rule, arrays: 0 };
    match walk.cursor.kind()? {
        ValueKind::Object => {
            walk.object(ROOT, false)?;
        }
        kind => {
            walk.cursor.skip(kind)?;
            walk.scratch.matched.extend(index.rules_without_fields(kind == ValueKind::Null));
        }
    }
    if CHECKED { walk.cursor.end() } else { Ok(()) }
}

/// As [`match_bytes`], for an index in which the event is the value of the only field, whose name is empty.
pub(super) fn match_whole_bytes<const CHECKED: bool>(
    index: &Index,
    bytes: &[u8],
    depth: usize,
    scratch: &mut Scratch,
    prefetch_rule: PrefetchRule<'_>,
) -> Scan<()> {
    scratch.prepare(index.fields.len(), index.junctions.len());
    let cursor = Cursor::new(bytes, depth)?;
    let mut walk = ByteWalk::<CHECKED, true> { index, bytes, cursor, scratch, prefetch_rule, arrays: 0 };
    let (began, stamp) = (walk.scratch.mark(), walk.scratch.stamp());
    let kind = walk.cursor.kind()?;
    match index.child(ROOT, b"") {
        Some(field) => {
            let key = Key { raw: b"", escaped: false };
            let start = walk.cursor.at();
            let (_, unfinished) = walk.field(field, stamp, Member { key, kind, start, passed: false })?;
            if CHECKED {
                walk.leave(unfinished)?;
            }
        }
        None => walk.cursor.skip(kind)?,
    }
    let root = (index.objects.at(ROOT), stamp, false);
    judge_object(index, walk.scratch, bytes, root, began, prefetch_rule);
    if CHECKED { walk.cursor.end() } else { Ok(()) }
}

/// Judges the objects that [`match_bytes`] has deferred. Leaves the rules that match in `scratch.matched`.
pub(super) fn judge_deferred(index: &Index, bytes: &[u8], scratch: &mut Scratch) {
    let mut from = 0;
    for at in 0..scratch.deferred.len() {
        let object = scratch.deferred[at];
        from = scratch.matched.len();
        let mut judge = Judge { index, scratch, source: bytes, stamp: object.stamp, nested: false };
        for at in object.seen.0..object.seen.1 {
            let field = judge.scratch.seen[at];
            // Others are fields of inner objects.
            if judge.scratch.value(field, object.stamp).is_some() {
                judge.field(field);
            }
        }
        judge.without_field(index.objects.at(object.object));
        scratch.sort_matched(from);
        scratch.set_deferred_patterns(object, from);
    }
    scratch.matched.drain(..from);
}

/// The walk over the bytes of a document: one pass, no tree.
struct ByteWalk<'a, const CHECKED: bool, const AT_ONCE: bool> {
    index: &'a Index,
    bytes: &'a [u8],
    cursor: Cursor<'a, CHECKED>,
    scratch: &'a mut Scratch,
    prefetch_rule: PrefetchRule<'a>,
    /// The number of arrays around the cursor in which objects cannot be deferred.
    arrays: u32,
}

/// The number of objects around the cursor of which all necessary fields are known.
type Unfinished = u32;

impl<const CHECKED: bool, const AT_ONCE: bool> ByteWalk<'_, CHECKED, AT_ONCE> {
    /// Walks the object at the cursor and appends the patterns of its node that hold.
    fn object(&mut self, object: u32, nested: bool) -> Scan<Unfinished> {
        let began = self.scratch.mark();
        let stamp = self.scratch.stamp();
        let here = self.index.objects.at(object);
        let mut missing = here.children;
        let mut unfinished = 0;
        if self.cursor.open(b'}')? {
            loop {
                let (first, open) = match self.cursor.short_member(|name| here.may_name(name)) {
                    Some((member, true)) => match self.index.named_child(here, object, member.key.raw) {
                        Some(field) => self.field(field, stamp, member)?,
                        None => self.skip_member(member)?,
                    },
                    Some((member, false)) => self.skip_member(member)?,
                    None => self.any_member(here, object, stamp)?,
                };
                missing -= u32::from(first);
                if !CHECKED && missing == 0 {
                    unfinished = open + 1;
                    break;
                }
                self.leave(open)?;
                if !self.cursor.more(b'}')? {
                    break;
                }
            }
        }
        if self.defers() {
            self.scratch.defer(object, began, stamp);
        } else {
            let here = (here, stamp, nested);
            judge_object(self.index, self.scratch, self.bytes, here, began, self.prefetch_rule);
        }
        Ok(unfinished)
    }

    #[inline(always)]
    fn defers(&self) -> bool {
        !AT_ONCE && self.arrays == 0
    }

    /// Skips the rest of objects of which all necessary fields are known.
    fn leave(&mut self, unfinished: Unfinished) -> Scan<()> {
        for _ in 0..unfinished {
            self.cursor.leave(b'}')?;
        }
        Ok(())
    }

    /// Skips a member that no filter names.
    #[inline(always)]
    fn skip_member(&mut self, member: Member<'_>) -> Scan<(bool, Unfinished)> {
        if !member.passed {
            self.cursor.skip(member.kind)?;
        }
        Ok((false, 0))
    }

    /// Walks a member that is not [short](Cursor::short_member).
    #[inline(never)]
    fn any_member(&mut self, here: &ObjectNode, object: u32, stamp: u64) -> Scan<(bool, Unfinished)> {
        let member = self.cursor.any_member()?;
        let child = match member.key {
            Key { escaped: true, .. } => self.index.child_at(here, object, unescape(member.key).as_bytes()),
            Key { raw, escaped: false } => self.index.child_at(here, object, raw),
        };
        match child {
            Some(field) => self.field(field, stamp, member),
            None => self.skip_member(member),
        }
    }

    /// Walks the value of a field. Returns whether it is the first one of that field in its object.
    fn field(&mut self, field: u32, stamp: u64, member: Member<'_>) -> Scan<(bool, Unfinished)> {
        let Member { kind, start, passed, .. } = member;
        let from = self.scratch.matched.len();
        let (mut unfinished, mut plain) = (0, passed && kind == ValueKind::String);
        match (kind, self.index.inner(field)) {
            _ if passed => {}
            (ValueKind::Object, Some(object)) => {
                unfinished = self.object(object, false)?;
                if self.defers() {
                    self.scratch.defer_value_of(field, start);
                }
                // Predicates on the object as a whole need all of its bytes.
                if !self.index.only_inner(field) {
                    self.leave(std::mem::take(&mut unfinished))?;
                }
            }
            (ValueKind::Array, Some(object)) => self.array(object)?,
            (ValueKind::String, _) => plain = !self.cursor.string()?.escaped,
            _ => self.cursor.skip(kind)?,
        }
        let patterns = (from, self.scratch.matched.len());
        let end = self.cursor.at();
        let mut first_lookup = None;
        if plain {
            let text = self.bytes.get(start + 1..end - 1).unwrap_or_default();
            first_lookup = lookup::prefetch(self.index, field, text, self.scratch);
        }
        let value = FieldValue { stamp, kind, plain, start, end, first_lookup, patterns };
        Ok((self.scratch.set_value(field, value), unfinished))
    }

    /// Walks the array at the cursor and appends the patterns of its node that hold for some element.
    fn array(&mut self, object: u32) -> Scan<()> {
        let mut patterns = ElementPatterns::new(self.scratch);
        self.arrays += u32::from(!AT_ONCE);
        if self.elements(object, false, &mut patterns)? {
            self.scratch.matched.extend(self.index.patterns_without_fields(object));
        }
        self.arrays -= u32::from(!AT_ONCE);
        self.scratch.sort_matched(patterns.from);
        Ok(())
    }

    /// Returns whether some element counts as an object without fields. The limit of depth bounds the recursion.
    fn elements(&mut self, object: u32, nested: bool, patterns: &mut ElementPatterns) -> Scan<bool> {
        let mut without_fields = false;
        if !self.cursor.open(b']')? {
            return Ok(false);
        }
        loop {
            match self.cursor.kind()? {
                ValueKind::Object => {
                    let unfinished = self.object(object, nested)?;
                    self.leave(unfinished)?;
                    patterns.dedup(self.scratch);
                }
                ValueKind::Array => {
                    self.elements(object, true, patterns)?;
                    without_fields = true;
                }
                kind => {
                    self.cursor.skip(kind)?;
                    without_fields |= kind != ValueKind::Null;
                }
            }
            if !self.cursor.more(b']')? {
                return Ok(without_fields);
            }
        }
    }
}

/// The document, or the parsed values, that values of fields are read from.
trait Source: Copy {
    type Value: Subject;

    fn value(self, value: &FieldValue) -> Option<Self::Value>;
}

impl<'d> Source for &'d [u8] {
    type Value = Raw<'d>;

    #[inline]
    fn value(self, value: &FieldValue) -> Option<Raw<'d>> {
        Some(Raw::new(value.kind, self.get(value.start..value.end)?, value.plain))
    }
}

/// Judges an object at its end. In `matched`, the patterns of its node replace those inside its values.
#[inline(always)]
fn judge_object(
    index: &Index,
    scratch: &mut Scratch,
    source: impl Source,
    (here, stamp, nested): (&ObjectNode, u64, bool),
    began: Mark,
    prefetch_rule: PrefetchRule<'_>,
) {
    let from = scratch.matched.len();
    if !scratch.lookups.is_empty() {
        prefetch_results(index, scratch, prefetch_rule);
    }
    let seen = (began.seen, scratch.seen.len());
    Judge { index, scratch, source, stamp, nested }.object(here, seen);
    scratch.forget(began);
    scratch.sort_matched(from);
    if from > began.matched {
        scratch.matched.drain(began.matched..from);
    }
}

/// An object whose fields are all known.
struct Judge<'a, S> {
    index: &'a Index,
    scratch: &'a mut Scratch,
    source: S,
    stamp: u64,
    /// Whether it is in an array nested in an array, where only deep patterns apply.
    nested: bool,
}

impl<S: Source> Judge<'_, S> {
    /// Appends the patterns of a node that hold. `seen` is the range of the object's fields in `scratch.seen`.
    #[inline(always)]
    fn object(&mut self, here: &ObjectNode, seen: (usize, usize)) {
        for at in seen.0..seen.1 {
            self.field(self.scratch.seen[at]);
        }
        self.without_field(here);
    }

    /// Finds what no field alone leads to: patterns and rules without an access, and those in scopes.
    #[inline(always)]
    fn without_field(&mut self, here: &ObjectNode) {
        for &posting in here.unindexed.as_slice() {
            self.check(posting, None);
        }
        // Not where the accesses are found, since looking a value up uses memory that is in use there.
        while let Some(access) = self.scratch.scopes.pop() {
            self.scope(access);
        }
    }

    /// Finds the dependents in the scope of an access that holds.
    #[inline(never)]
    fn scope(&mut self, access: Requirement) {
        let index = self.index;
        let Some(scope) = index.scope(access) else { return };
        for &number in &scope.fields {
            let field = index.fields.at(number);
            let value = self.scratch.value(field.base, self.stamp);
            if let Some(value) = value.and_then(|value| self.source.value(value)) {
                self.find_predicates(number, field, value, None);
            }
        }
    }

    fn field(&mut self, number: u32) {
        let index = self.index;
        let field = index.fields.at(number);
        let Some(value) = self.scratch.value(number, self.stamp) else { return };
        // What is needed of it, which is less than a copy.
        let (kind, patterns, first_lookup) = (value.kind, value.patterns, value.first_lookup);
        let value = if field.active == 0 { None } else { self.source.value(value) };
        if field.inner != ROOT {
            match kind {
                ValueKind::Object | ValueKind::Array => {
                    for at in patterns.0..patterns.1 {
                        self.pattern_holds(self.scratch.matched[at]);
                    }
                }
                ValueKind::Null => {}
                ValueKind::Bool | ValueKind::Number | ValueKind::String => {
                    index
                        .patterns_without_fields(field.inner)
                        .for_each(|pattern| self.pattern_holds(pattern));
                }
            }
        }
        if let Some(value) = value {
            self.find_predicates(number, field, value, first_lookup);
        }
    }

    /// Finds the predicates of a field that hold for its value.
    #[inline(always)]
    fn find_predicates(
        &mut self,
        number: u32,
        field: &FieldNode,
        value: S::Value,
        first: Option<LookupIndex>,
    ) {
        if field.keyed {
            self.look_up(number, field, value, first);
        } else {
            self.evaluate_candidates(&field.candidates, value);
        }
    }

    #[inline(always)]
    fn evaluate_candidates(&mut self, candidates: &[Candidate], value: S::Value) {
        let predicate = |candidate: &Candidate| self.index.predicates.at(candidate.predicate);
        if matches!(value.shape(), Shape::Array(_) | Shape::Object) {
            for candidate in candidates {
                let predicate = predicate(candidate);
                if predicate.holds_for(value) {
                    self.predicate_holds(candidate.predicate, predicate);
                }
            }
            return;
        }
        value.with_view(|view| match view {
            View::String(text) => {
                let ends = TextEnds::of(text.bytes());
                let admitted = candidates.iter().filter(|candidate| candidate.may_hold_for_text(ends));
                admitted.for_each(|candidate| self.evaluate(candidate, view));
            }
            View::Number(number) => {
                let nearest = number.nearest();
                for candidate in candidates {
                    match candidate.decide_number(nearest) {
                        None => self.evaluate(candidate, view),
                        Some(true) => {
                            let predicate = self.index.predicates.at(candidate.predicate);
                            self.predicate_holds(candidate.predicate, predicate);
                        }
                        Some(false) => {}
                    }
                }
            }
            _ => {
                let admitted = candidates.iter().filter(|candidate| candidate.may_hold_for_others());
                admitted.for_each(|candidate| self.evaluate(candidate, view));
            }
        });
    }

    #[inline]
    fn evaluate(&mut self, candidate: &Candidate, view: View<'_>) {
        let predicate = self.index.predicates.at(candidate.predicate);
        if predicate.holds_for_scalar(view) {
            self.predicate_holds(candidate.predicate, predicate);
        }
    }

    /// Finds the predicates of a field that a value satisfies, by their keys.
    fn look_up(&mut self, number: u32, field: &FieldNode, value: S::Value, first: Option<LookupIndex>) {
        let mut found = std::mem::take(&mut self.scratch.found);
        found.clear();
        Finder::new(self.index, number, &mut found, self.scratch, first).find(field, value);
        for entry in &found {
            let predicate = self.index.predicates.at(entry.predicate());
            if entry.is_certain() || predicate.holds_for(value) {
                self.predicate_holds(entry.predicate(), predicate);
            }
        }
        self.scratch.found = found;
        if !self.scratch.led.is_empty() {
            self.evaluate_led(value);
        }
    }

    /// Evaluates the predicates to which keys of a value have led, once each.
    #[inline(never)]
    fn evaluate_led(&mut self, value: S::Value) {
        self.scratch.dedup_led();
        match value.shape() {
            Shape::Null | Shape::Scalar => {
                value.with_view(|view| self.each_led(|predicate| predicate.holds_for_scalar(view)));
            }
            Shape::Object | Shape::Array(_) => self.each_led(|predicate| predicate.holds_for(value)),
        }
        self.scratch.led.clear();
    }

    /// Checks the dependents of predicates in `led` that hold.
    #[inline]
    fn each_led(&mut self, holds: impl Fn(&Predicate) -> bool) {
        // A predicate with leads leads to no other, so the list does not grow meanwhile.
        for at in 0..self.scratch.led.len() {
            let number = self.scratch.led[at];
            let predicate = self.index.predicates.at(number);
            if predicate.leads.are_exact() || holds(predicate) {
                self.predicate_holds(number, predicate);
            }
        }
    }

    fn predicate_holds(&mut self, number: u32, predicate: &Predicate) {
        let holds = Requirement::new(RequirementKind::Predicate, number);
        for &posting in predicate.postings.as_slice() {
            self.check(posting, Some(holds));
        }
        if predicate.has_scope {
            self.scratch.scopes.push(holds);
        }
    }

    fn pattern_holds(&mut self, number: u32) {
        let holds = Requirement::new(RequirementKind::Pattern, number);
        let pattern = self.index.patterns.at(number);
        for &posting in pattern.postings.as_slice() {
            self.check(posting, Some(holds));
        }
        if pattern.has_scope {
            self.scratch.scopes.push(holds);
        }
    }

    /// Checks the junctions that a pattern is an alternative of. Not inline, nor is what it calls: `check` is small without them.
    #[inline(never)]
    fn alternative_holds(&mut self, junctions: &[Posting]) {
        for &posting in junctions {
            self.check(posting, None);
        }
    }

    /// Checks the dependents of a junction, once for each object.
    #[inline(never)]
    fn junction_holds(&mut self, number: u32) {
        let holds = Requirement::new(RequirementKind::Junction, number);
        if self.scratch.visit_junction(number, self.stamp) {
            for &posting in self.index.junctions.at(number).postings.as_slice() {
                self.check(posting, Some(holds));
            }
        }
    }

    /// Checks a dependent of which one requirement is known to hold.
    #[inline]
    fn check(&mut self, posting: Posting, known: Option<Requirement>) {
        let index = self.index;
        if posting.other().is_some_and(|other| !self.holds(other)) {
            return;
        }
        let (dependent, number) = posting.dependent();
        match dependent {
            // Several keys of a value may lead to it. It is evaluated once, in `evaluate_led`.
            Dependent::Predicate => self.scratch.add_led(number),
            Dependent::Pattern => {
                let pattern = index.patterns.at(number);
                let applies = !self.nested || pattern.kind != PatternKind::Nested;
                if applies && self.all_hold(&pattern.requirements, known) {
                    match pattern.kind {
                        PatternKind::Nested | PatternKind::Deep => self.scratch.matched.push(number),
                        PatternKind::Alternative => self.alternative_holds(pattern.postings.as_slice()),
                    }
                }
            }
            Dependent::Junction => self.junction_holds(number),
            Dependent::Rule => {
                if self.all_hold(&index.rules.at(number).requirements, known) {
                    self.scratch.matched.push(number);
                }
            }
            Dependent::SingleRule => self.scratch.matched.push(number),
        }
    }

    #[inline]
    fn all_hold(&mut self, requirements: &Requirements, known: Option<Requirement>) -> bool {
        requirements.iter().all(|requirement| Some(requirement) == known || self.holds(requirement))
    }

    fn holds(&mut self, requirement: Requirement) -> bool {
        let number = requirement.index();
        match requirement.kind() {
            RequirementKind::Predicate => self.predicate(number),
            RequirementKind::Pattern => self.pattern(number),
            RequirementKind::Junction => {
                let junction = self.index.junctions.at(number);
                self.any_holds(number, &junction.patterns) == junction.any
            }
        }
    }

    /// Whether some pattern of a junction holds; that is found out once for each object.
    #[inline(never)]
    fn any_holds(&mut self, number: u32, patterns: &[u32]) -> bool {
        if let Some(known) = self.scratch.junction(number, self.stamp) {
            return known;
        }
        let index = self.index;
        let holds =
            patterns.iter().any(|&pattern| self.all_hold(&index.patterns.at(pattern).requirements, None));
        self.scratch.set_junction(number, self.stamp, holds);
        holds
    }

    fn predicate(&self, number: u32) -> bool {
        let predicate = self.index.predicates.at(number);
        let value = self.scratch.value(predicate.field, self.stamp);
        match value.and_then(|value| self.source.value(value)) {
            Some(value) => predicate.holds_for(value),
            None => predicate.on_missing,
        }
    }

    /// Whether a pattern holds for the value of its field.
    fn pattern(&self, number: u32) -> bool {
        let pattern = self.index.patterns.at(number);
        let field = self.index.objects.at(pattern.object).field;
        let Some(value) = self.scratch.value(field, self.stamp) else { return false };
        match value.kind {
            ValueKind::Object | ValueKind::Array => {
                let (from, to) = value.patterns;
                self.scratch.matched.get(from..to).unwrap_or_default().binary_search(&number).is_ok()
            }
            ValueKind::Null => false,
            ValueKind::Bool | ValueKind::Number | ValueKind::String => {
                pattern.on_empty && pattern.kind == PatternKind::Nested
            }
        }
    }
}
