//! Plans: the keys by which a predicate is found. Every value for which the predicate holds has at least one of them.
//!
//! A predicate that may hold for a missing field has no plan; patterns without any other requirement are checked for every
//! object. Where several plans exist, the cheapest is taken: the one whose keys the fewest values are expected to have. The
//! estimate uses the kind of key alone, on a logarithmic scale: a cost of one less means that half as many values have the key.

use super::predicate::{Key, Predicate, Tag, Test, block_bytes, number_bytes};
use super::ranges::Bounds;
use crate::compile::copy::Fragment;
use crate::ops::{Leaf, Num, Range};
use crate::program::{Condition, Judge, Node, Run, Test as ProgramTest};

/// Alternative keys, and the cost of the most common one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::set) struct Plan {
    pub(in crate::set) keys: Vec<Key>,
    /// From 0 (hardly any value has the key) to [`EVERY`].
    pub(in crate::set) cost: u8,
}

/// The cost of a key that every value has.
pub(in crate::set) const EVERY: u8 = 40;
const RANGE: u8 = 32;
const ARRAY: u8 = 30;
const ANY_TEXT: u8 = 36;
const FEW_VALUES: u8 = 26;
const EXACT: u8 = 4;

/// The plan of a predicate that is not a key itself.
pub(in crate::set) fn plan(predicate: &Predicate) -> Option<Plan> {
    match &predicate.test {
        Test::Key(_) => None,
        Test::Leaf(found) => leaf(found, predicate.deep),
        Test::Node(fragment) => node(fragment, predicate.deep),
    }
}

pub(in crate::set) fn key_cost(tag: Tag, length: usize) -> u8 {
    // Each further byte of a text leaves a small fraction of the values.
    let partial =
        |least: usize| u8::try_from(28_usize.saturating_sub(4 * length).max(least)).unwrap_or(EVERY);
    match tag.kind() {
        Tag::TEXT | Tag::NUMBER | Tag::FOLDED | Tag::LOWER => EXACT,
        Tag::TRUE | Tag::FALSE | Tag::NULL => FEW_VALUES,
        Tag::PREFIX | Tag::SUFFIX => partial(6),
        Tag::GRAM => partial(8) + 2,
        Tag::CIDR_V4 | Tag::CIDR_V6 => 8,
        Tag::RANGE => RANGE,
        Tag::ANY_ARRAY => ARRAY,
        Tag::ANY_TEXT | Tag::EXOTIC => ANY_TEXT,
        _ => EVERY,
    }
}

fn one(tag: Tag, payload: &[u8]) -> Plan {
    Plan { keys: vec![Key::new(tag, payload)], cost: key_cost(tag, payload.len()) }
}

fn node(fragment: &Fragment, deep: bool) -> Option<Plan> {
    match *fragment.node() {
        Node::Any(run) | Node::Scalars { conditions: run, absent: false } => any(fragment, run, deep),
        Node::All(run) => all(fragment, run, deep),
        Node::Scalars { absent: true, .. } | Node::NestedScalars { absent: true, .. } => None,
        Node::Nested(pattern) => {
            let empty = fragment.program().patterns[pattern].members.is_empty();
            (!empty).then(|| one(Tag::PRESENT, &[]))
        }
        Node::NestedScalars { absent: false, .. } => Some(one(Tag::PRESENT, &[])),
    }
}

/// The plan of a disjunction: the keys of all its parts.
fn union(plans: impl Iterator<Item = Option<Plan>>) -> Option<Plan> {
    let mut union = Plan { keys: Vec::new(), cost: 0 };
    for plan in plans {
        let plan = plan?;
        union.cost = union.cost.max(plan.cost);
        union.keys.extend(plan.keys);
    }
    union.keys.sort_unstable();
    union.keys.dedup();
    Some(union)
}

/// The plan of a conjunction: that of its cheapest part.
fn best(plans: impl Iterator<Item = Option<Plan>>) -> Option<Plan> {
    plans.flatten().min_by_key(|plan| (plan.cost, plan.keys.len()))
}

fn any(fragment: &Fragment, run: Run<Condition>, deep: bool) -> Option<Plan> {
    union(fragment.program().conditions[run].iter().map(|c| condition(fragment, c, deep)))
}

fn all(fragment: &Fragment, run: Run<Condition>, deep: bool) -> Option<Plan> {
    best(fragment.program().conditions[run].iter().map(|c| condition(fragment, c, deep)))
}

fn condition(fragment: &Fragment, condition: &Condition, deep: bool) -> Option<Plan> {
    best(fragment.program().tests[condition.tests].iter().map(|t| test(fragment, t, deep)))
}

fn test(fragment: &Fragment, test: &ProgramTest, deep: bool) -> Option<Plan> {
    match *test {
        ProgramTest::Leaf(id) => leaf(&fragment.program().leaves[id], deep),
        ProgramTest::Some(Judge::Any(run)) => {
            elements(fragment, run).or_else(|| Some(one(Tag::ANY_ARRAY, &[])))
        }
        ProgramTest::Size(_) | ProgramTest::Some(_) | ProgramTest::Every(_) => Some(one(Tag::ANY_ARRAY, &[])),
        ProgramTest::All(run) => all(fragment, run, deep),
        // Deep predicates see only scalars that exist, so their existence is a key.
        ProgramTest::None(_) | ProgramTest::But(_) | ProgramTest::NoneOf(_) if deep => {
            Some(one(Tag::PRESENT, &[]))
        }
        ProgramTest::None(_) | ProgramTest::But(_) | ProgramTest::NoneOf(_) => None,
    }
}

/// The plan for an array of which some element equals a literal.
fn elements(fragment: &Fragment, run: Run<Condition>) -> Option<Plan> {
    let program = fragment.program();
    union(program.conditions[run].iter().map(|condition| {
        best(program.tests[condition.tests].iter().map(|test| match *test {
            ProgramTest::Leaf(id) => match &program.leaves[id] {
                Leaf::Equals(literal) => Some(element(Key::literal(literal))),
                Leaf::OneOf(set) => union(set.iter().map(|l| Some(element(Key::literal(l))))),
                _ => None,
            },
            _ => None,
        }))
    }))
}

fn element(key: Key) -> Plan {
    let cost = key_cost(key.tag, key.payload.len());
    Plan { keys: vec![Key { tag: key.tag.element(), payload: key.payload }], cost }
}

fn leaf(leaf: &Leaf, deep: bool) -> Option<Plan> {
    let reach = |plan: Plan| Plan {
        keys: plan.keys.into_iter().map(|key| Key { tag: key.tag.deep(deep), ..key }).collect(),
        ..plan
    };
    let text = |tag: Tag, part: &str| match part.is_empty() {
        true => one(Tag::ANY_TEXT, &[]),
        false => one(tag, part.as_bytes()),
    };
    let literal = |literal| {
        let key = Key::literal(literal);
        Some(Plan { cost: key_cost(key.tag, key.payload.len()), keys: vec![key] })
    };
    let plan = match leaf {
        Leaf::Equals(expected) => literal(expected)?,
        Leaf::OneOf(set) => union(set.iter().map(literal))?,
        Leaf::StartsWith(prefix) => text(Tag::PREFIX, prefix),
        Leaf::EndsWith(suffix) => text(Tag::SUFFIX, suffix),
        Leaf::Contains(part) => gram(part.text().as_bytes()),
        Leaf::IgnoreCase(expected) => match expected.plain() {
            Some(plain) => Plan {
                keys: vec![
                    Key::new(Tag::LOWER, plain.to_ascii_lowercase().as_bytes()),
                    Key::new(Tag::EXOTIC, &[]),
                ],
                cost: EXACT,
            },
            None => one(Tag::ANY_TEXT, &[]),
        },
        Leaf::Regex(_) | Leaf::FoldedPrefix(_) | Leaf::FoldedSuffix(_) => one(Tag::ANY_TEXT, &[]),
        Leaf::FoldedEquals(expected) => one(Tag::FOLDED, expected.folded().as_bytes()),
        Leaf::Wildcard(pattern) => match pattern.whole() {
            Some(whole) => one(Tag::TEXT, whole.as_bytes()),
            None => best(
                pattern
                    .prefix_and_suffix()
                    .map(|(prefix, suffix)| [text(Tag::PREFIX, prefix), text(Tag::SUFFIX, suffix)])
                    .into_iter()
                    .flatten()
                    .chain(pattern.middle().map(gram))
                    .map(Some),
            )?,
        },
        Leaf::Cidr(block) if block.is_ipv4() => one(Tag::CIDR_V4, &block_bytes(block)),
        Leaf::Cidr(block) => one(Tag::CIDR_V6, &block_bytes(block)),
        Leaf::Number(range) => number(range),
        Leaf::Includes(expected) => return Some(element(Key::literal(expected))),
        Leaf::Exists(true) => one(Tag::PRESENT, &[]),
        Leaf::IsNull(true) => one(Tag::NULL, &[]),
        Leaf::Not(_) => one(Tag::PRESENT, &[]),
        Leaf::Exists(false) => return None,
        // These hold for missing fields too, unless they are deep: deep predicates see only scalars that exist.
        Leaf::IsNull(false) | Leaf::AnythingBut(_) if deep => one(Tag::PRESENT, &[]),
        Leaf::IsNull(false) | Leaf::AnythingBut(_) => return None,
    };
    Some(reach(plan))
}

fn gram(part: &[u8]) -> Plan {
    match part {
        [] => one(Tag::ANY_TEXT, &[]),
        bytes => one(Tag::GRAM, &bytes[..bytes.len().min(4)]),
    }
}

fn number(range: &Range) -> Plan {
    match single(range) {
        Some(number) => one(Tag::NUMBER, &number_bytes(number)),
        None => one(Tag::RANGE, &Bounds::of(range).to_bytes()),
    }
}

/// The number that is both bounds of a range.
fn single(range: &Range) -> Option<Num> {
    let (low, high) = (range.low?, range.high?);
    (low.at == high.at && low.inclusive && high.inclusive).then_some(low.at)
}
