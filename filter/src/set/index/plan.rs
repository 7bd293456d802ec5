//! By which keys a condition can be found: at least one of them is a key of every value for which it holds.
//!
//! A condition that may hold for a missing field has no such keys; the patterns that require nothing else are checked
//! every time. Of several ways that would do, the one is taken that is expected to be tried in vain least often. How often
//! is a guess from the kind of key alone, in halvings: each one more says that half as many values have the key.

use super::fact::{Fact, Key, Tag, Test, block_bytes, number_bytes};
use super::ranges::Ends;
use crate::compile::copy::Fragment;
use crate::ops::{Leaf, Num, Range};
use crate::program::{Condition, Judge, Node, Run, Test as ProgramTest};

/// Keys of which one suffices, and how common the commonest of them is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) keys: Vec<Key>,
    /// From 0, hardly any value has it, to [`EVERY`].
    pub(super) cost: u8,
}

/// The cost of what every value has.
pub(super) const EVERY: u8 = 40;
const RANGE: u8 = 32;
const ARRAY: u8 = 30;
const ANY_TEXT: u8 = 36;
const FEW_VALUES: u8 = 26;
const EXACT: u8 = 4;

/// How a fact can be found that is no key, if it can.
pub(super) fn plan(fact: &Fact) -> Option<Plan> {
    match &fact.test {
        // It is found by itself.
        Test::Key(_) => None,
        Test::Leaf(found) => leaf(found, fact.deep),
        Test::Node(fragment) => node(fragment, fact.deep),
    }
}

pub(super) fn key_cost(tag: Tag, length: usize) -> u8 {
    // A byte more in a text halves what has it several times over.
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

/// All ways together.
fn union(plans: impl Iterator<Item = Option<Plan>>) -> Option<Plan> {
    let mut union = Plan { keys: Vec::new(), cost: 0 };
    for plan in plans {
        let plan = plan?;
        union.cost = union.cost.max(plan.cost);
        for key in plan.keys {
            if !union.keys.contains(&key) {
                union.keys.push(key);
            }
        }
    }
    Some(union)
}

/// The best of several ways.
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
        // Scalars are there, so that what does not hold for one is found by its being there.
        ProgramTest::None(_) | ProgramTest::But(_) | ProgramTest::NoneOf(_) if deep => {
            Some(one(Tag::PRESENT, &[]))
        }
        ProgramTest::None(_) | ProgramTest::But(_) | ProgramTest::NoneOf(_) => None,
    }
}

/// Elements of which one equals a literal.
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
        // Hold for missing fields too, unless only scalars are asked, which are not missing.
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
        None => one(Tag::RANGE, &Ends::of(range).to_bytes()),
    }
}

/// The one number in a range that has only one.
fn single(range: &Range) -> Option<Num> {
    let (low, high) = (range.low?, range.high?);
    (low.at == high.at && low.inclusive && high.inclusive).then_some(low.at)
}
