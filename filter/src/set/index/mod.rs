//! The index of a set: which requirements its rules consist of, and how the values of an event find them.
//!
//! ```text
//!  rule ──► requirements ──► predicate ──► field node              a condition on one field
//!                       ├──► pattern ──► requirements, object node   all of them, on one nested object
//!                       └──► junction ──► patterns                   any or none of them
//!
//!  value ──► keys ──► predicates ──► patterns ──► … ──► rules
//! ```
//!
//! A pattern is a nested filter, or one alternative of a junction: its requirements hold together for one object, so an array of
//! objects is matched element by element. Equal predicates, patterns and junctions are stored once, however many rules share them, and counted by `uses`.
//!
//! Each pattern and rule has an *access*: the requirement that is expected to hold least often. It is posted there, and
//! checked only when that requirement holds. A pattern or rule whose requirements may all hold without any field is
//! unindexed: it is checked for every object at its node.
//!
//! Invariant: an entry without uses is removed at once, so a set keeps nothing of removed filters.

mod access;
mod conditions;
mod field_tree;
mod identity;
mod judged;
mod leads;
mod plan;
mod postings;
mod predicate;
mod prefetch;
mod prefilter;
mod ranges;
mod requirement;
mod scopes;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub(super) use field_tree::{FieldNode, ObjectNode, Probe};
use foldhash::fast::RandomState;
use identity::{junction_hash, key_hash, pattern_hash, test_hash};
use leads::Leads;
use predicate::{Key, Test};
pub(super) use predicate::{Predicate, Tag, block_bytes, number_bytes};
use prefetch::PrefetchHint;
pub(super) use prefilter::{Candidate, TextEnds};
use ranges::Bucket;
pub(super) use ranges::{sort_key, time_key};
pub(super) use requirement::PatternKind;
pub(super) use requirement::{Dependent, Posting, Requirement, RequirementKind, Requirements};
use requirement::{Junction, Pattern, Rule, Trait};
pub(super) use scopes::Scope;

use super::stats::SetStats;
use super::store::{Arena, DeferredTable, Table};
use crate::ast;
use crate::ops::{Leaf, Literal};
use crate::program::{self, Node, Program};

/// The object node of the event itself.
pub(super) const ROOT: u32 = 0;

/// All rules of a set. Clones share all data that does not change.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    seeds: RandomState,
    pub(super) objects: Arena<ObjectNode>,
    pub(super) fields: Arena<FieldNode>,
    pub(super) predicates: Arena<Predicate>,
    pub(super) patterns: Arena<Pattern>,
    pub(super) junctions: Arena<Junction>,
    pub(super) rules: Arena<Rule>,
    buckets: Arena<Bucket>,
    leads: Arena<Leads>,
    scopes: Arena<Scope>,
    scoped_fields: usize,
    scope_table: Table,
    field_table: Table,
    pub(super) predicate_table: Table<PrefetchHint>,
    pattern_table: DeferredTable,
    junction_table: Table,
    bucket_table: Table,
    /// A stack of requirements, used while a rule is added.
    stack: Vec<Requirement>,
    /// Whether that is inside of `$every`.
    in_every: bool,
}

impl Index {
    pub(super) fn new() -> Self {
        // The default has no node for the event.
        let mut index = Self::default();
        index.objects.add(ObjectNode::root());
        index
    }

    /// Adds the rule of a program and returns its number. Takes time linear in the size of the program.
    pub(super) fn add(&mut self, program: &Program, order: u64) -> u32 {
        let root = &program.root_pattern();
        let requirements = self.requirements(program, root, ROOT);
        let (position, _) = self.access(&requirements);
        let other = self.other(&requirements, position);
        let access = position.map(|position| requirements.get(position));
        let scoped = self.scoped(&requirements, position);
        let mut rule = Rule::new(order, requirements, position)
            .with(Trait::OnEmpty, program.on_empty(root))
            .with(Trait::Always, root.members.is_empty());
        rule.scoped = scoped.map_or(0, |scoped| scoped + 1);
        let rule = self.rules.add(rule);
        let posting = Posting::new(self.rules.at(rule).dependent(), rule, other);
        let scoped = scoped.map(|scoped| Requirement::new(RequirementKind::Predicate, scoped));
        self.add_posting(scoped.or(access), ROOT, posting);
        let place = self.last_place(scoped.or(access), ROOT);
        self.rules.at_mut(rule).place = place;
        if scoped.is_none() {
            access.into_iter().for_each(|access| self.set_hint(access, rule));
        }
        rule
    }

    /// Adds a rule that another index finds, and returns its number here.
    pub(super) fn add_elsewhere(&mut self, order: u64) -> u32 {
        self.rules.add(Rule::new(order, Requirements::default(), None).with(Trait::Elsewhere, true))
    }

    pub(super) fn set_elsewhere(&mut self, rule: u32, number: u32) {
        self.rules.at_mut(rule).place = number;
    }

    /// The number of a rule in the index that finds it, if that is another one.
    pub(super) fn elsewhere(&self, rule: u32) -> Option<u32> {
        let rule = self.rules.at(rule);
        rule.is(Trait::Elsewhere).then_some(rule.place)
    }

    /// Removes a rule. Takes time linear in its size, and for nested filters in the number of filters that share an access.
    pub(super) fn remove(&mut self, number: u32) {
        let rule = self.rules.take(number);
        if rule.is(Trait::Elsewhere) {
            return;
        }
        let posting = Posting::new(rule.dependent(), number, None);
        match rule.scoped.checked_sub(1) {
            Some(scoped) => {
                let access = Requirement::new(RequirementKind::Predicate, scoped);
                self.remove_rule_posting(Some(access), posting, rule.place);
                self.release_predicate(scoped);
            }
            None => self.remove_rule_posting(rule.access(), posting, rule.place),
        }
        rule.requirements.iter().for_each(|requirement| self.release(requirement));
    }

    /// The patterns of a node that hold for a value without fields, deep ones excepted.
    pub(super) fn patterns_without_fields(&self, object: u32) -> impl Iterator<Item = u32> {
        let unindexed = self.objects.at(object).unindexed.as_slice().iter();
        unindexed.map(|&posting| posting.dependent().1).filter(|&number| {
            let pattern = self.patterns.at(number);
            pattern.on_empty && pattern.kind == PatternKind::Nested
        })
    }

    /// The rules that hold for an event other than an object. For null, only the rule `{}` holds.
    pub(super) fn rules_without_fields(&self, null: bool) -> impl Iterator<Item = u32> {
        self.unindexed().filter(move |&number| {
            let rule = self.rules.at(number);
            rule.is(if null { Trait::Always } else { Trait::OnEmpty })
        })
    }

    /// A number that increases with the order of insertion.
    pub(super) fn order(&self, rule: u32) -> u64 {
        self.rules.at(rule).order()
    }

    /// Statistics; `rough`: whether a rule is judged by its filter once the index has found it.
    pub(super) fn stats(&self, rough: &dyn Fn(u32) -> bool) -> SetStats {
        let mut indexes: BTreeMap<&'static str, usize> = BTreeMap::new();
        for field in self.fields.iter() {
            *indexes.entry("asked one by one").or_default() += field.candidates.len();
            for probe in &field.probes {
                *indexes.entry(probe.tag.name()).or_default() += probe.count as usize;
            }
        }
        indexes.retain(|_, entries| *entries > 0);
        let predicates = self
            .predicates
            .iter()
            .map(|predicate| predicate.test.bytes() + predicate.postings.bytes())
            .sum::<usize>();
        let patterns: usize = self.patterns.iter().map(|p| p.requirements.bytes() + p.postings.bytes()).sum();
        let rules = self.rules.iter().map(|rule| rule.requirements.bytes()).sum::<usize>();
        let junctions: usize =
            self.junctions.iter().map(|j| size_of_val(&*j.patterns) + j.postings.bytes()).sum();
        let fields = self.fields.iter().map(FieldNode::bytes).sum::<usize>();
        let objects = self.objects.iter().map(ObjectNode::bytes).sum::<usize>();
        let ranges = self.buckets.iter().map(Bucket::bytes).sum::<usize>();
        let scopes = self.scopes.iter().map(Scope::bytes).sum::<usize>();
        let leads = self.leads.iter().map(Leads::bytes).sum::<usize>();
        let owned = predicates + patterns + rules + junctions + fields + objects + ranges + leads + scopes;
        let arenas = self.objects.bytes()
            + self.fields.bytes()
            + self.predicates.bytes()
            + self.patterns.bytes()
            + self.junctions.bytes()
            + self.rules.bytes()
            + self.buckets.bytes()
            + self.leads.bytes()
            + self.scopes.bytes();
        let tables = self.field_table.bytes()
            + self.predicate_table.bytes()
            + self.pattern_table.bytes()
            + self.junction_table.bytes()
            + self.bucket_table.bytes()
            + self.scope_table.bytes();
        SetStats {
            bytes: owned + arenas + tables,
            unindexed: self.unindexed().count(),
            fields: self.fields.live() - self.scoped_fields,
            indexes: indexes.into_iter().collect(),
            one_by_one: self.one_by_one(rough),
            ..SetStats::default()
        }
    }

    /// The rules that are checked against every event.
    pub(super) fn unindexed(&self) -> impl Iterator<Item = u32> {
        self.objects.at(ROOT).unindexed.as_slice().iter().map(|&posting| posting.dependent().1)
    }

    /// The requirements of a pattern, without duplicates and without members that always hold. Adds one use to each.
    fn requirements(&mut self, program: &Program, pattern: &program::Pattern, object: u32) -> Requirements {
        let start = self.stack.len();
        self.push_requirements(program, pattern, object);
        self.take_requirements(start)
    }

    /// Takes the requirements that were pushed since `start`, without duplicates.
    fn take_requirements(&mut self, start: usize) -> Requirements {
        self.stack[start..].sort_unstable();
        let mut kept = start;
        for at in start..self.stack.len() {
            let requirement = self.stack[at];
            if self.stack[start..kept].last() == Some(&requirement) {
                self.release(requirement);
            } else {
                self.stack[kept] = requirement;
                kept += 1;
            }
        }
        let requirements = Requirements::new(&self.stack[start..kept]);
        self.stack.truncate(start);
        requirements
    }

    fn push_requirements(&mut self, program: &Program, pattern: &program::Pattern, object: u32) {
        for member in &program.members[pattern.members] {
            match member {
                program::Member::Field { name, node } => {
                    self.push_field(program, program.name(*name), node, object);
                }
                program::Member::Junction { kind: ast::Junction::And, patterns } => {
                    for pattern in &program.patterns[*patterns] {
                        self.push_requirements(program, pattern, object);
                    }
                }
                program::Member::Junction { kind, patterns } => {
                    let alternative = |pattern| {
                        let requirements = self.requirements(program, pattern, object);
                        self.pattern(requirements, object, PatternKind::Alternative)
                    };
                    let patterns = program.patterns[*patterns].iter().map(alternative).collect();
                    self.push_junction(*kind == ast::Junction::Or, patterns);
                }
            }
        }
    }

    fn key(&mut self, field: u32, tag: Tag, payload: &[u8]) -> u32 {
        let hash = self.key_hash(field, tag, payload);
        let found = self.find_key(hash, field, tag, payload);
        self.add_predicate(hash, field, found, || (tag.is_deep(), Test::of_key(tag, payload)))
    }

    fn predicate(&mut self, field: u32, deep: bool, test: Test) -> u32 {
        let hash = test_hash(&self.seeds, field, &test);
        let found = self.predicate_table.find(hash, |number| {
            let predicate = self.predicates.at(number);
            predicate.field == field && predicate.deep == deep && predicate.test == test
        });
        self.add_predicate(hash, field, found, || (deep, test))
    }

    /// Adds a use to the predicate that was found, or adds the predicate.
    fn add_predicate(
        &mut self,
        hash: u64,
        field: u32,
        found: Option<u32>,
        make: impl FnOnce() -> (bool, Test),
    ) -> u32 {
        if let Some(predicate) = found {
            self.predicates.at_mut(predicate).uses += 1;
            return predicate;
        }
        let (deep, test) = make();
        let mut predicate = Predicate { field, uses: 1, deep, test, ..Predicate::default() };
        predicate.on_missing = predicate.holds_for_missing();
        predicate.cost = match (predicate.test.key(), predicate.on_missing) {
            (_, true) => u8::MAX,
            (Some((tag, payload)), _) => plan::key_cost(tag, payload.len()),
            (None, false) => plan::plan(&predicate, &|_| 0).map_or(u8::MAX, |plan| plan.cost),
        };
        self.fields.at_mut(field).uses += 1;
        let number = self.predicates.add(predicate);
        self.predicate_table.insert(hash, number);
        number
    }

    #[inline]
    pub(super) fn find_key(&self, hash: u64, field: u32, tag: Tag, payload: &[u8]) -> Option<u32> {
        self.predicate_table.find(hash, |number| self.has_key(number, field, tag, payload))
    }

    #[inline]
    pub(super) fn has_key(&self, predicate: u32, field: u32, tag: Tag, payload: &[u8]) -> bool {
        let predicate = self.predicates.at(predicate);
        predicate.field == field && predicate.test.key().is_some_and(|(t, p)| t == tag && p == payload)
    }

    #[inline]
    pub(super) fn key_hash(&self, field: u32, tag: Tag, payload: &[u8]) -> u64 {
        key_hash(&self.seeds, field, tag, payload)
    }

    /// Adds a use to the pattern with these requirements, or adds the pattern.
    fn pattern(&mut self, requirements: Requirements, object: u32, kind: PatternKind) -> u32 {
        let hash = pattern_hash(&self.seeds, object, kind, &requirements);
        // A requirement that nothing else uses yet makes the pattern a new one, without a lookup.
        let new = requirements.iter().any(|requirement| self.uses(requirement) == 1);
        let same = |number| {
            let other = self.patterns.at(number);
            other.object == object && other.kind == kind && other.requirements == requirements
        };
        if !new && let Some(number) = self.pattern_table.find(hash, same) {
            requirements.iter().for_each(|requirement| self.release(requirement));
            self.patterns.at_mut(number).uses += 1;
            return number;
        }
        let (access, cost) = self.access(&requirements);
        let on_empty = requirements.iter().all(|requirement| self.holds_for_empty(requirement));
        self.objects.at_mut(object).uses += 1;
        let pattern =
            Pattern { object, requirements, uses: 1, access, cost, kind, on_empty, ..Pattern::default() };
        let number = self.patterns.add(pattern);
        self.pattern_table.insert(hash, number);
        number
    }

    /// Adds a use to the junction of these patterns, which are sorted, or adds the junction.
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
        let number =
            self.junctions.add(Junction { any, patterns: patterns.into(), uses: 1, ..Junction::default() });
        self.junction_table.insert(hash, number);
        number
    }

    /// Removes one use of a requirement, and the requirement with the last one.
    fn release(&mut self, requirement: Requirement) {
        match requirement.kind() {
            RequirementKind::Predicate => self.release_predicate(requirement.index()),
            RequirementKind::Pattern => {
                self.remove_requirement_use(requirement.index());
                self.release_pattern(requirement.index());
            }
            RequirementKind::Junction => self.release_junction(requirement.index()),
        }
    }

    fn release_pattern(&mut self, number: u32) {
        let pattern = self.patterns.at_mut(number);
        pattern.uses -= 1;
        if pattern.uses > 0 {
            return;
        }
        let hash = pattern_hash(&self.seeds, pattern.object, pattern.kind, &pattern.requirements);
        self.pattern_table.remove(hash, number);
        let Pattern { object, requirements, .. } = self.patterns.take(number);
        requirements.iter().for_each(|requirement| self.release(requirement));
        self.release_object(object);
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

    fn release_predicate(&mut self, number: u32) {
        let predicate = self.predicates.at_mut(number);
        predicate.uses -= 1;
        if predicate.uses > 0 {
            return;
        }
        let predicate = self.predicates.take(number);
        self.predicate_table.remove(test_hash(&self.seeds, predicate.field, &predicate.test), number);
        self.release_field(predicate.field);
    }
}

/// The only condition on a field, if there is exactly one.
fn only_leaf<'p>(program: &'p Program, node: &Node) -> Option<&'p Leaf> {
    let (Node::Any(run) | Node::All(run) | Node::Scalars { conditions: run, absent: false }) = *node else {
        return None;
    };
    let [only] = &program.conditions[run] else { return None };
    program.only_leaf(only.tests)
}

/// The key that is equivalent to a condition, if there is one.
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
