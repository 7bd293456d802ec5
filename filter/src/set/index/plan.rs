//! Plans: the keys by which a predicate is found. Every value for which the predicate holds has at least one of them.
//!
//! A predicate that may hold for a missing field has no plan; patterns without any other requirement are checked for every
//! object. Where several plans exist, the cheapest is taken: the one whose keys the fewest values are expected to have, and
//! the fewest other predicates. The first part of the estimate uses the kind of key alone, on a logarithmic scale: a cost of one
//! less means that half as many values have the key. The second part spreads predicates that have much in common: of twenty
//! thousand texts with the same beginning, each is found by a part that the others do not have.

use super::predicate::{Key, Predicate, Tag, Test, block_bytes, number_bytes};
use super::ranges::Bounds;
use crate::compile::copy::Fragment;
use crate::ops::{Leaf, Literal, Num, Range, Required, Wildcard};
use crate::program::{Condition, Judge, Node, Run, Test as ProgramTest};

/// Alternative keys, and the cost of the most common one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::set) struct Plan {
    pub(in crate::set) keys: Vec<Key>,
    /// From 0 (hardly any value has the key) to [`EVERY`], and more if other predicates have the key.
    pub(in crate::set) cost: u8,
}

/// The cost of a key that every value has.
pub(in crate::set) const EVERY: u8 = 40;
const RANGE: u8 = 32;
const ARRAY: u8 = 30;
const ANY_TEXT: u8 = 36;
pub(in crate::set) const FEW_VALUES: u8 = 26;
const LENGTH: u8 = 20;
const EXACT: u8 = 4;

/// The [width](Bounds::width) of a range with which it has the cost of one that is open: of numbers between a power of two and the
/// next, there are as many as this has bits.
const WIDE: u8 = 54;

/// The same for times: about eighty years.
const WIDE_TIME: u8 = 55;

/// The most that a narrow range costs less than an open one.
const NARROWEST: u8 = 18;

/// What an array adds to the cost of a key, since it has one for each element.
const ELEMENTS: u8 = 3;

/// The bytes of a part of a text that is a key.
const GRAM: usize = 4;

/// The most parts of a text between which one is chosen.
const PARTS: usize = 64;

/// The plan of a predicate that is not a key itself. `dependents` is the number of predicates that have a key already.
pub(in crate::set) fn plan(predicate: &Predicate, dependents: &dyn Fn(&Key) -> usize) -> Option<Plan> {
    let reach = if predicate.deep { Reach::Deep } else { Reach::Value };
    let planner = Planner { reach, dependents };
    match &predicate.test {
        Test::Key(_) => None,
        Test::Leaf(leaf) => planner.leaf(leaf),
        Test::Node(fragment) => planner.node(fragment),
    }
}

/// Whether each value that has a key of the predicate's plan satisfies it: it is a list of literals, beginnings and ends.
pub(in crate::set) fn is_exact(predicate: &Predicate) -> bool {
    let is_key = |leaf: &Leaf| match leaf {
        Leaf::Equals(_) | Leaf::OneOf(_) => true,
        Leaf::StartsWith(part) | Leaf::EndsWith(part) => !part.is_empty(),
        _ => false,
    };
    let fragment = match &predicate.test {
        Test::Key(_) => return true,
        Test::Leaf(leaf) => return is_key(leaf) || matches!(**leaf, Leaf::Includes(_)),
        Test::Node(fragment) => fragment,
    };
    let (Node::Any(run) | Node::Scalars { conditions: run, absent: false }) = fragment.node else {
        return false;
    };
    let program = &fragment.program;
    let only_key = |condition: &Condition| program.only_leaf(condition.tests).is_some_and(is_key);
    program.conditions[run].iter().all(|condition| match &program.tests[condition.tests] {
        [ProgramTest::Leaf(id)] => {
            let leaf = &program.leaves[*id];
            is_key(leaf) || (!predicate.deep && matches!(leaf, Leaf::Includes(_)))
        }
        [ProgramTest::Some(Judge::Any(elements))] if !predicate.deep => {
            program.conditions[*elements].iter().all(only_key)
        }
        _ => false,
    })
}

pub(in crate::set) fn key_cost(tag: Tag, length: usize) -> u8 {
    // Each further byte of a text leaves a small fraction of the values.
    let partial =
        |least: usize| u8::try_from(28_usize.saturating_sub(4 * length).max(least)).unwrap_or(EVERY);
    let cost = match tag.kind() {
        Tag::NUMBER if tag.is_length() => LENGTH,
        Tag::TEXT | Tag::NUMBER | Tag::FOLDED | Tag::LOWER => EXACT,
        Tag::TRUE | Tag::FALSE | Tag::NULL => FEW_VALUES,
        Tag::PREFIX | Tag::SUFFIX | Tag::FOLDED_PREFIX | Tag::FOLDED_SUFFIX => partial(6),
        Tag::GRAM | Tag::FOLDED_GRAM => partial(8) + 2,
        Tag::CIDR_V4 | Tag::CIDR_V6 => 8,
        Tag::RANGE | Tag::TIME => RANGE,
        Tag::ANY_ARRAY => ARRAY,
        Tag::ANY_TEXT | Tag::EXOTIC => ANY_TEXT,
        _ => EVERY,
    };
    if tag.is_element() { cost + ELEMENTS } else { cost }
}

/// The tags of a text as a whole, its beginning, its end and its parts.
type TextTags = [Tag; 4];

const EXACTLY: TextTags = [Tag::TEXT, Tag::PREFIX, Tag::SUFFIX, Tag::GRAM];
const FOLDED: TextTags = [Tag::FOLDED, Tag::FOLDED_PREFIX, Tag::FOLDED_SUFFIX, Tag::FOLDED_GRAM];

/// The values that a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The value of the field.
    Value,
    /// Every scalar in it, nested arrays included.
    Deep,
    /// The elements of an array.
    Element,
    /// The length of an array.
    Length,
}

impl Reach {
    fn tag(self, tag: Tag) -> Tag {
        match self {
            Self::Value => tag,
            Self::Deep => tag.deep(true),
            Self::Element => tag.element(),
            Self::Length => tag.length(),
        }
    }

    /// Whether values exist: a condition that holds for a missing field may be found by the value's existence then.
    fn exists(self) -> bool {
        self != Self::Value
    }
}

#[derive(Clone, Copy)]
struct Planner<'a> {
    reach: Reach,
    dependents: &'a dyn Fn(&Key) -> usize,
}

impl Planner<'_> {
    fn one(self, tag: Tag, payload: &[u8]) -> Plan {
        self.key(Key::new(tag, payload))
    }

    fn key(self, key: Key) -> Plan {
        let key = Key { tag: self.reach.tag(key.tag), ..key };
        // Many that share a key count twice, because they say more than its kind: some sixteen may have the same prefix before
        // one of them is found by a part of its text instead. A few that share it are cheaper than another look-up.
        let shared = match (self.dependents)(&key).checked_ilog2().map_or(0, |log| log + 1) {
            few @ ..=4 => few,
            many => 2 * many,
        };
        let shared = u8::try_from(shared).unwrap_or(u8::MAX);
        let cost = key_cost(key.tag, key.payload.len()).saturating_add(shared);
        Plan { keys: vec![key], cost: cost.min(u8::MAX - 1) }
    }

    fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    fn node(self, fragment: &Fragment) -> Option<Plan> {
        match fragment.node {
            Node::Any(run) | Node::Scalars { conditions: run, absent: false } => self.any(fragment, run),
            Node::All(run) => self.all(fragment, run),
            Node::Scalars { absent: true, .. } | Node::NestedScalars { absent: true, .. } => None,
            Node::Nested(pattern) => {
                let empty = fragment.program.patterns[pattern].members.is_empty();
                (!empty).then(|| self.reaching(Reach::Value).one(Tag::PRESENT, &[]))
            }
            Node::NestedScalars { absent: false, .. } => {
                Some(self.reaching(Reach::Value).one(Tag::PRESENT, &[]))
            }
        }
    }

    fn any(self, fragment: &Fragment, run: Run<Condition>) -> Option<Plan> {
        union(fragment.program.conditions[run].iter().map(|condition| self.condition(fragment, condition)))
    }

    fn all(self, fragment: &Fragment, run: Run<Condition>) -> Option<Plan> {
        let program = &fragment.program;
        let tests = program.conditions[run].iter().flat_map(|condition| &program.tests[condition.tests]);
        self.conjunction(fragment, tests)
    }

    fn condition(self, fragment: &Fragment, condition: &Condition) -> Option<Plan> {
        self.conjunction(fragment, fragment.program.tests[condition.tests].iter())
    }

    /// The plan of tests that hold together. Two bounds are one range, which fewer values are in than beyond either.
    fn conjunction<'t>(
        self,
        fragment: &Fragment,
        tests: impl Iterator<Item = &'t ProgramTest> + Clone,
    ) -> Option<Plan> {
        let leaves = tests.clone().filter_map(|test| fragment.program.leaf(test));
        let numbers = leaves.clone().filter_map(|leaf| match leaf {
            Leaf::Number(range) => Some(**range),
            _ => None,
        });
        let times = leaves.filter_map(|leaf| match leaf {
            Leaf::Time(bound) => Some(Bounds::of_time(bound)),
            _ => None,
        });
        let numbers = numbers.reduce(|a, b| a.intersection(&b)).map(|range| self.number(&range));
        let times = times.reduce(Bounds::intersection).map(|bounds| self.range(Tag::TIME, bounds));
        best([numbers, times].into_iter().chain(tests.map(|test| self.test(fragment, test))))
    }

    fn test(self, fragment: &Fragment, test: &ProgramTest) -> Option<Plan> {
        let array = self.one(Tag::ANY_ARRAY, &[]);
        let inside = match (self.reach, test) {
            // Not in a set: an indexed program has no references.
            (_, ProgramTest::Reference(_)) => return None,
            (_, ProgramTest::Leaf(id)) => return self.leaf(&fragment.program.leaves[*id]),
            (_, ProgramTest::All(run)) => return self.all(fragment, *run),
            (reach, ProgramTest::None(_) | ProgramTest::But(_) | ProgramTest::NoneOf(_)) => {
                return reach.exists().then(|| self.one(Tag::PRESENT, &[]));
            }
            (Reach::Value, ProgramTest::Some(Judge::Any(run))) => {
                self.reaching(Reach::Element).any(fragment, *run)
            }
            (Reach::Value, ProgramTest::Every(Judge::Any(run))) => {
                // Every element of an empty array satisfies it. All that are found by that hold, so they do not count.
                let empty = self.reaching(Reach::Length).one(Tag::NUMBER, &number_bytes(Num::Int(0)));
                let empty = Plan { cost: LENGTH, ..empty };
                union([Some(empty), self.reaching(Reach::Element).any(fragment, *run)].into_iter())
            }
            (Reach::Value, ProgramTest::Size(tests)) => {
                let length = self.reaching(Reach::Length);
                length.conjunction(fragment, fragment.program.tests[*tests].iter())
            }
            (_, ProgramTest::Size(_) | ProgramTest::Some(_) | ProgramTest::Every(_)) => None,
        };
        best([inside, Some(array)].into_iter())
    }

    fn leaf(self, leaf: &Leaf) -> Option<Plan> {
        Some(match leaf {
            Leaf::Equals(expected) => self.literal(expected),
            Leaf::OneOf(set) => union(set.iter().map(|literal| Some(self.literal(literal))))?,
            Leaf::StartsWith(prefix) => self.text(Tag::PREFIX, prefix.as_bytes()),
            Leaf::EndsWith(suffix) => self.text(Tag::SUFFIX, suffix.as_bytes()),
            Leaf::Contains(part) => self.gram(Tag::GRAM, part.text().as_bytes()),
            Leaf::IgnoreCase(expected) => match expected.plain() {
                Some(plain) => {
                    let lower = self.one(Tag::LOWER, plain.to_ascii_lowercase().as_bytes());
                    let exotic = self.one(Tag::EXOTIC, &[]);
                    // Few texts are exotic, so they do not count.
                    Plan { keys: [lower.keys, exotic.keys].concat(), cost: lower.cost }
                }
                None => self.one(Tag::ANY_TEXT, &[]),
            },
            Leaf::Regex(pattern) => best(pattern.required().iter().map(|one| self.required(one)))
                .unwrap_or_else(|| self.one(Tag::ANY_TEXT, &[])),
            Leaf::FoldedPrefix(prefix) => self.text(Tag::FOLDED_PREFIX, prefix.folded().as_bytes()),
            Leaf::FoldedSuffix(suffix) => self.text(Tag::FOLDED_SUFFIX, suffix.folded().as_bytes()),
            Leaf::FoldedSearch(search) => match search.searched() {
                Ok(part) => self.gram(Tag::FOLDED_GRAM, part.as_bytes()),
                Err(pattern) => self.wildcard(&FOLDED, pattern)?,
            },
            Leaf::Time(bound) => self.range(Tag::TIME, Bounds::of_time(bound)),
            Leaf::FoldedEquals(expected) => self.one(Tag::FOLDED, expected.folded().as_bytes()),
            Leaf::Wildcard(pattern) => self.wildcard(&EXACTLY, pattern)?,
            Leaf::Cidr(block) if block.is_ipv4() => self.one(Tag::CIDR_V4, &block_bytes(block)),
            Leaf::Cidr(block) => self.one(Tag::CIDR_V6, &block_bytes(block)),
            Leaf::Number(range) => self.number(range),
            Leaf::Includes(expected) if self.reach == Reach::Value => {
                self.reaching(Reach::Element).literal(expected)
            }
            Leaf::Includes(_) => self.one(Tag::ANY_ARRAY, &[]),
            Leaf::Exists(true) => self.one(Tag::PRESENT, &[]),
            Leaf::IsNull(true) => self.one(Tag::NULL, &[]),
            Leaf::Not(_) => self.one(Tag::PRESENT, &[]),
            Leaf::Exists(false) => return None,
            // These hold for missing fields too.
            Leaf::IsNull(false) | Leaf::AnythingBut(_) if self.reach.exists() => self.one(Tag::PRESENT, &[]),
            Leaf::IsNull(false) | Leaf::AnythingBut(_) => return None,
        })
    }

    fn literal(self, literal: &Literal) -> Plan {
        self.key(Key::literal(literal))
    }

    fn text(self, tag: Tag, part: &[u8]) -> Plan {
        if part.is_empty() { self.one(Tag::ANY_TEXT, &[]) } else { self.one(tag, part) }
    }

    fn wildcard(self, [whole, start, end, gram]: &TextTags, pattern: &Wildcard) -> Option<Plan> {
        if let Some(text) = pattern.whole() {
            return Some(self.one(*whole, text.as_bytes()));
        }
        let (prefix, suffix) = pattern.prefix_and_suffix()?;
        let ends = [
            self.text(*start, prefix.as_bytes()),
            self.text(*end, suffix.as_bytes()),
            self.gram(*gram, prefix.as_bytes()),
            self.gram(*gram, suffix.as_bytes()),
        ];
        best(ends.into_iter().chain(pattern.middle().map(|part| self.gram(*gram, part))).map(Some))
    }

    /// The plan of texts that contain a part: the few bytes of it that the fewest other predicates have, the last of equals.
    fn gram(self, tag: Tag, part: &[u8]) -> Plan {
        let grams = part.windows(part.len().clamp(1, GRAM)).rev().take(PARTS);
        let plans = grams.map(|gram| self.one(tag, gram));
        plans.min_by_key(|plan| plan.cost).unwrap_or_else(|| self.one(Tag::ANY_TEXT, &[]))
    }

    /// The plan of texts that contain one of some parts.
    fn required(self, required: &Required) -> Option<Plan> {
        let plan = |part: &[u8]| match required {
            Required::AtStart(_) => self.text(Tag::PREFIX, part),
            Required::AtEnd(_) => self.text(Tag::SUFFIX, part),
            Required::Inside(_) => self.gram(Tag::GRAM, part),
        };
        let (Required::AtStart(parts) | Required::AtEnd(parts) | Required::Inside(parts)) = required;
        union(parts.iter().map(|part| Some(plan(part))))
    }

    fn number(self, range: &Range) -> Plan {
        match single(range) {
            Some(number) => self.one(Tag::NUMBER, &number_bytes(number)),
            None => self.range(Tag::RANGE, Bounds::of(range)),
        }
    }

    /// The plan of a range; half the width has half of the values.
    fn range(self, tag: Tag, bounds: Bounds) -> Plan {
        let wide = if tag == Tag::TIME { WIDE_TIME } else { WIDE };
        let narrow = wide.saturating_sub(bounds.width()).min(NARROWEST);
        let plan = self.one(tag, &bounds.to_bytes());
        Plan { cost: plan.cost - narrow, ..plan }
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
    Some(union)
}

/// The plan of a conjunction: that of its cheapest part.
fn best(plans: impl Iterator<Item = Option<Plan>>) -> Option<Plan> {
    plans.flatten().min_by_key(|plan| (plan.cost, plan.keys.len()))
}

/// The number that is both bounds of a range.
fn single(range: &Range) -> Option<Num> {
    let (low, high) = (range.low?, range.high?);
    (low.at == high.at && low.inclusive && high.inclusive).then_some(low.at)
}
