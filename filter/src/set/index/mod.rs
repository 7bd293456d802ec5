//! The index of a set: rules, what they require, and how they are found by what an event has.
//!
//! ```text
//!  rule ──► members ──► fact ──► slot              a condition on a field
//!                  ├──► pattern ──► members, level     what must hold together for one object
//!                  └──► junction ──► patterns          any, all or none of them
//!
//!  value ──► keys ──► facts ──► patterns ──► … ──► rules
//! ```
//!
//! A [`Level`] is a place where objects can stand: the event itself, or the value of a field. Its [`Slot`]s are the fields
//! that filters name there. A pattern is what a nested filter requires of one object, so that conditions on an array of
//! objects are judged together, element by element, and an array costs no more than its elements do. Equal facts,
//! patterns and junctions exist once, however many rules have them.
//!
//! Each pattern and rule waits at the one of its members that is expected to hold least often (its *access*), and is
//! checked only when that holds. One that has no member which a value must be there for is checked for every object of its
//! level.
//!
//! What always holds: whatever is held by nothing any more is gone, so that a set does not remember what it once held.

mod ahead;
mod direct;
mod fact;
mod judge;
mod level;
mod member;
mod plan;
mod ranges;
mod scratch;
mod wake;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use ahead::Ahead;
pub(super) use ahead::Expect;
use fact::{Fact, Key, Tag, Test};
use foldhash::fast::RandomState;
pub(super) use judge::{Judge, Scope};
pub(super) use level::Level;
use level::Slot;
use member::{Junction, Kind, Member, Members, Pattern, Place, Rule, Wake};
use ranges::Bucket;
pub(super) use scratch::{Held, Scratch};

use super::stats::SetStats;
use super::store::{Arena, Late, Table};
use crate::ast;
use crate::compile::copy::Fragment;
use crate::ops::{Leaf, Literal};
use crate::program::{self, Node, Program};

/// The level of the event itself.
pub(super) const ROOT: u32 = 0;

/// Rules by what they require. Copies share what does not change.
#[derive(Clone, Debug)]
pub(super) struct Index {
    seeds: RandomState,
    levels: Arena<Level>,
    slots: Arena<Slot>,
    facts: Arena<Fact>,
    patterns: Arena<Pattern>,
    junctions: Arena<Junction>,
    rules: Arena<Rule>,
    buckets: Arena<Bucket>,
    slot_table: Table,
    fact_table: Table<Ahead>,
    pattern_table: Late,
    junction_table: Table,
    bucket_table: Table,
    /// Members of patterns that are being added; empty otherwise.
    gathered: Vec<Member>,
}

impl Index {
    pub(super) fn new() -> Self {
        let mut levels = Arena::default();
        levels.add(Level::root());
        Self {
            seeds: RandomState::default(),
            levels,
            slots: Arena::default(),
            facts: Arena::default(),
            patterns: Arena::default(),
            junctions: Arena::default(),
            rules: Arena::default(),
            buckets: Arena::default(),
            slot_table: Table::default(),
            fact_table: Table::default(),
            pattern_table: Late::default(),
            junction_table: Table::default(),
            bucket_table: Table::default(),
            gathered: Vec::new(),
        }
    }

    /// Adds a rule that requires what a program does; gives its number. Takes time linear in the program's size.
    pub(super) fn add(&mut self, program: &Program, order: u64) -> u32 {
        let root = &program.patterns[program.root];
        let members = self.members(program, root, ROOT);
        let (access, _) = self.access(&members);
        let on_empty = program.on_empty(root);
        let blank = root.members.is_empty();
        let rule = self.rules.add(Rule { members, order, access, on_empty, blank });
        let Rule { members, .. } = self.rules.at(rule);
        let wake = Wake::new(self.rules.at(rule).waiter(), rule, self.other(members, access));
        match access.map(|access| members.get(access)) {
            Some(access) => {
                self.wait(access, wake);
                self.look_ahead(access, rule);
            }
            None => self.levels.at_mut(ROOT).unindexed.push(wake),
        }
        rule
    }

    /// Removes a rule. Takes time linear in its size and in how many others wait where it does.
    pub(super) fn remove(&mut self, rule: u32) {
        let wake = Wake::new(self.rules.at(rule).waiter(), rule, None);
        let Rule { members, access, .. } = self.rules.take(rule);
        match access {
            Some(access) => self.unwait(members.get(access), wake),
            None => self.levels.at_mut(ROOT).unindexed.remove(|other| other.is_of(wake)),
        }
        members.iter().for_each(|member| self.release(member));
    }

    /// What keeps the order of insertion.
    pub(super) fn order(&self, rule: u32) -> u64 {
        self.rules.at(rule).order
    }

    /// What there is, and the memory that it takes.
    pub(super) fn stats(&self) -> SetStats {
        let mut indexes: BTreeMap<&'static str, usize> = BTreeMap::new();
        for slot in self.slots.iter() {
            *indexes.entry("asked one by one").or_default() += slot.direct.len();
            for probe in &slot.probes {
                *indexes.entry(probe.tag.name()).or_default() += probe.count as usize;
            }
        }
        indexes.retain(|_, entries| *entries > 0);
        let facts = self.facts.iter().map(|fact| fact.test.bytes() + fact.wakes.bytes()).sum::<usize>();
        let patterns = self.patterns.iter().map(|p| p.members.bytes() + p.wakes.bytes()).sum::<usize>();
        let rules = self.rules.iter().map(|rule| rule.members.bytes()).sum::<usize>();
        let junctions = self.junctions.iter().map(|j| size_of_val(&*j.patterns)).sum::<usize>();
        let slots = self.slots.iter().map(Slot::bytes).sum::<usize>();
        let levels = self.levels.iter().map(Level::bytes).sum::<usize>();
        let ranges = self.buckets.iter().map(Bucket::bytes).sum::<usize>();
        let owned = facts + patterns + rules + junctions + slots + levels + ranges;
        let arenas = self.levels.bytes()
            + self.slots.bytes()
            + self.facts.bytes()
            + self.patterns.bytes()
            + self.junctions.bytes()
            + self.rules.bytes()
            + self.buckets.bytes();
        let tables = self.slot_table.bytes()
            + self.fact_table.bytes()
            + self.pattern_table.bytes()
            + self.junction_table.bytes()
            + self.bucket_table.bytes();
        SetStats {
            bytes: owned + arenas + tables,
            unindexed: self.unindexed().count(),
            fields: self.slots.live(),
            indexes: indexes.into_iter().collect(),
            ..SetStats::default()
        }
    }

    /// The rules that are checked against every event.
    pub(super) fn unindexed(&self) -> impl Iterator<Item = u32> {
        self.levels.at(ROOT).unindexed.as_slice().iter().map(|&wake| wake.waiter().1)
    }

    /// What a pattern requires, each thing held once more. What always holds is left out, what is there twice stays once.
    fn members(&mut self, program: &Program, pattern: &program::Pattern, level: u32) -> Members {
        let start = self.gathered.len();
        self.gather(program, pattern, level);
        self.gathered[start..].sort_unstable();
        let mut kept = start;
        for place in start..self.gathered.len() {
            let member = self.gathered[place];
            if self.gathered[start..kept].last() == Some(&member) {
                self.release(member);
            } else {
                self.gathered[kept] = member;
                kept += 1;
            }
        }
        let members = Members::new(&self.gathered[start..kept]);
        self.gathered.truncate(start);
        members
    }

    fn gather(&mut self, program: &Program, pattern: &program::Pattern, level: u32) {
        for member in &program.members[pattern.members] {
            match member {
                program::Member::Field { name, node } => {
                    let member = self.field(program, program.name(*name), node, level);
                    self.gathered.extend(member);
                }
                program::Member::Junction { kind: ast::Junction::And, patterns } => {
                    for pattern in &program.patterns[*patterns] {
                        self.gather(program, pattern, level);
                    }
                }
                program::Member::Junction { kind, patterns } => {
                    let mut alternatives: Vec<u32> = program.patterns[*patterns]
                        .iter()
                        .map(|pattern| self.pattern(program, pattern, level, false))
                        .collect();
                    alternatives.sort_unstable();
                    let junction = self.junction(*kind == ast::Junction::Or, alternatives);
                    self.gathered.push(Member::new(Kind::Junction, junction));
                }
            }
        }
    }

    fn field(&mut self, program: &Program, name: &str, node: &Node, level: u32) -> Option<Member> {
        match *node {
            Node::All(run) if run.is_empty() => None,
            Node::Nested(pattern) if !program.patterns[pattern].members.is_empty() => {
                Some(self.nested(program, pattern, name, level, false))
            }
            Node::NestedScalars { pattern, absent: false } => {
                Some(self.nested(program, pattern, name, level, true))
            }
            _ => {
                let slot = self.slot(level, name);
                let fact = self.condition(program, node, slot);
                Some(Member::new(Kind::Fact, fact))
            }
        }
    }

    /// A pattern that must hold for the value of a field.
    fn nested(
        &mut self,
        program: &Program,
        pattern: program::Id<program::Pattern>,
        name: &str,
        level: u32,
        deep: bool,
    ) -> Member {
        let slot = self.slot(level, name);
        let inner = self.level_under(slot);
        let number = self.pattern(program, &program.patterns[pattern], inner, deep);
        self.list(number);
        Member::new(Kind::Pattern, number)
    }

    fn condition(&mut self, program: &Program, node: &Node, slot: u32) -> u32 {
        let deep = matches!(node, Node::Scalars { .. } | Node::NestedScalars { .. });
        match only_leaf(program, node) {
            Some(leaf) => match simple(leaf) {
                Some((tag, payload)) => self.key(slot, tag.deep(deep), &payload),
                None => self.fact(slot, deep, Test::Leaf(Box::new(leaf.clone()))),
            },
            None => self.fact(slot, deep, Test::Node(Arc::new(Fragment::new(program, node)))),
        }
    }

    fn key(&mut self, slot: u32, tag: Tag, payload: &[u8]) -> u32 {
        let hash = self.key_hash(slot, tag, payload);
        let found = self.find_key(hash, slot, tag, payload);
        self.hold_fact(hash, slot, found, || (tag.is_deep(), Test::of_key(tag, payload)))
    }

    fn fact(&mut self, slot: u32, deep: bool, test: Test) -> u32 {
        let hash = self.test_hash(slot, &test);
        let found = self.fact_table.find(hash, |number| {
            let fact = self.facts.at(number);
            fact.slot == slot && fact.deep == deep && same(&fact.test, &test)
        });
        self.hold_fact(hash, slot, found, || (deep, test))
    }

    /// Holds a fact once more, or for the first time.
    fn hold_fact(
        &mut self,
        hash: u64,
        slot: u32,
        found: Option<u32>,
        make: impl FnOnce() -> (bool, Test),
    ) -> u32 {
        if let Some(fact) = found {
            self.facts.at_mut(fact).uses += 1;
            return fact;
        }
        let (deep, test) = make();
        let mut fact = Fact { slot, uses: 1, deep, test, ..Fact::default() };
        fact.on_missing = judge::on_missing(&fact);
        fact.cost = match (fact.test.key(), fact.on_missing) {
            (_, true) => u8::MAX,
            (Some((tag, payload)), _) => plan::key_cost(tag, payload.len()),
            (None, false) => plan::plan(&fact).map_or(u8::MAX, |plan| plan.cost),
        };
        self.hold_slot(slot);
        let number = self.facts.add(fact);
        self.fact_table.insert(hash, number);
        number
    }

    #[inline]
    fn find_key(&self, hash: u64, slot: u32, tag: Tag, payload: &[u8]) -> Option<u32> {
        self.fact_table.find(hash, |number| self.has_key(number, slot, tag, payload))
    }

    #[inline]
    fn has_key(&self, fact: u32, slot: u32, tag: Tag, payload: &[u8]) -> bool {
        let fact = self.facts.at(fact);
        fact.slot == slot && fact.test.key().is_some_and(|(t, p)| t == tag && p == payload)
    }

    #[inline]
    fn key_hash(&self, slot: u32, tag: Tag, payload: &[u8]) -> u64 {
        key_hash(&self.seeds, slot, tag, payload)
    }

    fn test_hash(&self, slot: u32, test: &Test) -> u64 {
        test_hash(&self.seeds, slot, test)
    }

    fn pattern(&mut self, program: &Program, pattern: &program::Pattern, level: u32, deep: bool) -> u32 {
        let members = self.members(program, pattern, level);
        let hash = pattern_hash(&self.seeds, level, deep, &members);
        // What has a member that nobody else has, is new.
        let new = members.iter().any(|member| self.uses(member) == 1);
        let alike = |number| {
            let other = self.patterns.at(number);
            other.level == level && other.deep == deep && other.members == members
        };
        if !new && let Some(number) = self.pattern_table.find(hash, alike) {
            members.iter().for_each(|member| self.release(member));
            self.patterns.at_mut(number).uses += 1;
            return number;
        }
        let (access, cost) = self.access(&members);
        let on_empty = members.iter().all(|member| self.on_missing(member));
        self.levels.at_mut(level).uses += 1;
        let number = self.patterns.add(Pattern {
            level,
            members,
            uses: 1,
            access,
            cost,
            deep,
            on_empty,
            ..Pattern::default()
        });
        self.pattern_table.insert(hash, number);
        number
    }

    fn junction(&mut self, any: bool, patterns: Vec<u32>) -> u32 {
        let hash = junction_hash(&self.seeds, any, &patterns);
        let found = self.junction_table.find(hash, |number| {
            let other = self.junctions.at(number);
            other.any == any && *other.patterns == *patterns
        });
        if let Some(number) = found {
            patterns.into_iter().for_each(|pattern| self.release_pattern(pattern));
            self.junctions.at_mut(number).uses += 1;
            return number;
        }
        let number = self.junctions.add(Junction { any, patterns: patterns.into(), uses: 1 });
        self.junction_table.insert(hash, number);
        number
    }

    /// Whether a member holds for an object without fields.
    fn on_missing(&self, member: Member) -> bool {
        match member.kind() {
            Kind::Fact => self.facts.at(member.number()).on_missing,
            // A nested pattern that is not empty needs something to be there.
            Kind::Pattern => false,
            Kind::Junction => {
                let junction = self.junctions.at(member.number());
                let holds = junction.patterns.iter().any(|&p| self.patterns.at(p).on_empty);
                holds == junction.any
            }
        }
    }

    /// The member to wait at, and what that costs; `None` if there is none that something must be there for.
    fn access(&self, members: &Members) -> (Option<Place>, u8) {
        let mut best: (Option<Place>, u8) = (None, u8::MAX);
        for (place, member) in members.iter().enumerate().take(usize::from(u8::MAX)) {
            let cost = self.cost(member);
            if cost < best.1 {
                best = (Place::new(place), cost);
            }
        }
        best
    }

    /// The member that is expected to hold least often of those that are not the access.
    fn other(&self, members: &Members, access: Option<Place>) -> Option<Member> {
        let all = members.iter().enumerate();
        let others = all.filter(|&(place, _)| access.is_none_or(|access| place != access.index()));
        others.map(|(_, member)| member).min_by_key(|&member| self.cost(member))
    }

    /// In how many halvings fewer it is expected to wake somebody in vain than what always holds; `u8::MAX` where it
    /// holds for nothing too.
    fn cost(&self, member: Member) -> u8 {
        let cost = match member.kind() {
            Kind::Fact => self.facts.at(member.number()).cost,
            Kind::Pattern => self.patterns.at(member.number()).cost.min(plan::EVERY),
            Kind::Junction => {
                let junction = self.junctions.at(member.number());
                let cost = junction.patterns.iter().map(|&p| self.patterns.at(p).cost).max();
                cost.filter(|_| junction.any).unwrap_or(u8::MAX)
            }
        };
        let shared = u8::try_from(self.uses(member).max(1).ilog2()).unwrap_or(u8::MAX);
        if cost == u8::MAX { cost } else { cost.saturating_add(shared).min(u8::MAX - 1) }
    }

    /// How often a member is held.
    fn uses(&self, member: Member) -> u32 {
        match member.kind() {
            Kind::Fact => self.facts.at(member.number()).uses,
            Kind::Pattern => self.patterns.at(member.number()).uses,
            Kind::Junction => self.junctions.at(member.number()).uses,
        }
    }

    /// Holds a member once less; what is held by nothing any more goes.
    fn release(&mut self, member: Member) {
        match member.kind() {
            Kind::Fact => self.release_fact(member.number()),
            Kind::Pattern => {
                self.unlist(member.number());
                self.release_pattern(member.number());
            }
            Kind::Junction => self.release_junction(member.number()),
        }
    }

    fn release_pattern(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.uses -= 1;
        if pattern.uses > 0 {
            return;
        }
        let hash = pattern_hash(&self.seeds, pattern.level, pattern.deep, &pattern.members);
        self.pattern_table.remove(hash, number);
        let Pattern { level, members, .. } = self.patterns.take(number);
        members.iter().for_each(|member| self.release(member));
        self.release_level(level);
    }

    fn release_junction(&mut self, number: u32) {
        let junction = self.junctions.at_mut(number);
        junction.uses -= 1;
        if junction.uses > 0 {
            return;
        }
        let hash = junction_hash(&self.seeds, junction.any, &junction.patterns);
        self.junction_table.remove(hash, number);
        let Junction { patterns, .. } = self.junctions.take(number);
        patterns.iter().for_each(|&pattern| self.release_pattern(pattern));
    }

    fn release_fact(&mut self, number: u32) {
        let fact = self.facts.at_mut(number);
        fact.uses -= 1;
        if fact.uses > 0 {
            return;
        }
        let fact = self.facts.take(number);
        self.fact_table.remove(test_hash(&self.seeds, fact.slot, &fact.test), number);
        self.release_slot(fact.slot);
    }
}

/// What a field must be, if that is one thing.
fn only_leaf<'p>(program: &'p Program, node: &Node) -> Option<&'p Leaf> {
    let (Node::Any(run) | Node::All(run) | Node::Scalars { conditions: run, absent: false }) = *node else {
        return None;
    };
    let [only] = &program.conditions[run] else { return None };
    match program.tests[only.tests] {
        [program::Test::Leaf(leaf)] => Some(&program.leaves[leaf]),
        _ => None,
    }
}

/// The key that a condition is, if it is one that decides.
fn simple(leaf: &Leaf) -> Option<(Tag, Cow<'_, [u8]>)> {
    match leaf {
        Leaf::Equals(Literal::String(text)) => Some((Tag::TEXT, text.as_bytes().into())),
        Leaf::Equals(literal) => {
            let Key { tag, payload } = Key::literal(literal);
            Some((tag, payload.into()))
        }
        Leaf::StartsWith(prefix) if !prefix.is_empty() => Some((Tag::PREFIX, prefix.as_bytes().into())),
        Leaf::EndsWith(suffix) if !suffix.is_empty() => Some((Tag::SUFFIX, suffix.as_bytes().into())),
        _ => None,
    }
}

fn same(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::Key(a), Test::Key(b)) => a == b,
        (Test::Leaf(a), Test::Leaf(b)) => a == b,
        (Test::Node(a), Test::Node(b)) => a == b,
        _ => false,
    }
}

#[inline]
fn key_hash(seeds: &RandomState, slot: u32, tag: Tag, payload: &[u8]) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u64(u64::from(slot) << 8 | u64::from(tag.0));
    hasher.write(payload);
    hasher.finish()
}

fn test_hash(seeds: &RandomState, slot: u32, test: &Test) -> u64 {
    let described = match test {
        Test::Key(_) => {
            return test.key().map_or(0, |(tag, payload)| key_hash(seeds, slot, tag, payload));
        }
        Test::Leaf(leaf) => leaf.to_string(),
        Test::Node(fragment) => fragment.digest(),
    };
    let mut hasher = seeds.build_hasher();
    hasher.write_u32(slot);
    hasher.write(described.as_bytes());
    hasher.finish()
}

fn pattern_hash(seeds: &RandomState, level: u32, deep: bool, members: &Members) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u64(u64::from(level) << 1 | u64::from(deep));
    members.iter().for_each(|member| hasher.write_u32(member.code()));
    hasher.finish()
}

fn junction_hash(seeds: &RandomState, any: bool, patterns: &[u32]) -> u64 {
    let mut hasher = seeds.build_hasher();
    hasher.write_u8(any.into());
    patterns.iter().for_each(|&pattern| hasher.write_u32(pattern));
    hasher.finish()
}
