//! Whether every event that one filter matches is matched by another one too.
//!
//! ```text
//!  filter ─► patterns: each member of the right one follows from members of the left one
//!             └► nodes: each alternative of the left one implies one of the right one
//!                 └► tests of one value ([`conditions`]), operator by operator ([`leaves`], [`texts`])
//! ```
//!
//! "Yes" is proven, "no" may mean that no proof was found: deciding the question in general takes exponential time (`$or`, `$nor`), or
//! is impossible for practical purposes (regular expressions). The proof is over programs, so it is the same for all dialects, and
//! asks the operators themselves about literals. Each step counts, so that hostile filters cost no more than [`STEPS`].

mod conditions;
mod disjoint;
mod leaves;
mod texts;

use std::cell::Cell;

use smallvec::SmallVec;

use crate::ast::Junction;
use crate::compile::copy::Fragment;
use crate::matcher::Scope;
use crate::ops::View;
use crate::ops::types::{ARRAY, EVERYTHING, MISSING, NULL, SCALARS, Types};
use crate::program::{Condition, Id, Judge, Member, Node, Pattern, Program, Run, Test};
use conditions::Tests;

/// The most steps of one proof.
const STEPS: u32 = 1 << 15;

/// The most alternatives of which each is looked at by itself.
const ALTERNATIVES: usize = 32;

/// Whether it is certain that every event that matches `left` matches `right` too.
pub(crate) fn implies(left: &Program, right: &Program) -> bool {
    let steps = Cell::new(STEPS);
    Prover { left, right, steps: &steps }.judge(&left.root, &right.root)
}

/// Whether it is certain that no event matches.
pub(crate) fn never_matches(program: &Program) -> bool {
    let steps = Cell::new(STEPS);
    let prover = Prover { left: program, right: program, steps: &steps };
    match &program.root {
        Judge::Pattern(root) => prover.impossible(&facts_of(program, &program.patterns[*root])),
        Judge::Any(run) => prover.alternatives(*run, EVERYTHING & !MISSING, |_| false),
    }
}

/// Proves that conditions of one program imply those of another one.
#[derive(Clone, Copy)]
struct Prover<'p> {
    left: &'p Program,
    right: &'p Program,
    steps: &'p Cell<u32>,
}

/// What is known of an object: members that all hold for it.
type Facts = SmallVec<[Member; 8]>;

impl<'p> Prover<'p> {
    /// The opposite direction.
    fn swapped(self) -> Self {
        Self { left: self.right, right: self.left, ..self }
    }

    /// The left side against itself.
    fn on_left(self) -> Self {
        Self { right: self.left, ..self }
    }

    /// Counts a step; false if there have been too many.
    fn step(self) -> bool {
        self.count_steps(1)
    }

    fn count_steps(self, count: usize) -> bool {
        let left = u32::try_from(count).ok().and_then(|count| self.steps.get().checked_sub(count));
        self.steps.set(left.unwrap_or(0));
        left.is_some()
    }

    /// For a value that is not missing.
    fn judge(self, left: &Judge, right: &Judge) -> bool {
        match (left, right) {
            (Judge::Pattern(left), Judge::Pattern(right)) => self.pattern(*left, *right),
            (Judge::Any(left), Judge::Any(right)) => {
                self.alternatives(*left, EVERYTHING & !MISSING, |tests| self.any(tests, *right))
            }
            (Judge::Pattern(left), Judge::Any(right)) => {
                let null = if self.left.patterns[*left].members.is_empty() { NULL } else { 0 };
                self.any(&Tests::none(self.left, EVERYTHING & !MISSING & !NULL | null), *right)
            }
            (Judge::Any(left), Judge::Pattern(right)) => {
                let right = &self.right.patterns[*right];
                right.members.is_empty()
                    || self.alternatives(*left, EVERYTHING & !MISSING, |tests| {
                        // Such a value counts as an object without fields.
                        tests.types() & !(SCALARS & !NULL | ARRAY) == 0 && self.right.on_empty(right)
                    })
            }
        }
    }

    /// Whether `holds` for each of several conditions of the left side.
    fn alternatives(self, run: Run<Condition>, types: Types, holds: impl Fn(&Tests<'p>) -> bool) -> bool {
        self.left.conditions[run].iter().all(|condition| {
            let tests = Tests::of(self.left, condition, types);
            self.step() && (self.on_left().exclude_all(&tests) || holds(&tests))
        })
    }

    fn pattern(self, left: Id<Pattern>, right: Id<Pattern>) -> bool {
        let (left, right) = (&self.left.patterns[left], &self.right.patterns[right]);
        // Only an empty pattern matches null.
        if right.members.is_empty() || left.members.is_empty() {
            return right.members.is_empty();
        }
        let facts = facts_of(self.left, left);
        self.members(&facts, right) || self.on_left().impossible(&facts)
    }

    fn members(self, facts: &Facts, right: &Pattern) -> bool {
        self.right.members[right.members].iter().all(|member| self.member(facts, member))
    }

    fn member(self, facts: &Facts, right: &Member) -> bool {
        if !self.step() {
            return false;
        }
        let direct = match right {
            Member::Field { name, node } => self.field(facts, self.right.name(*name), node),
            Member::Junction { kind, patterns } => {
                let mut patterns = self.right.patterns[*patterns].iter();
                match kind {
                    Junction::Or => patterns.any(|pattern| self.members(facts, pattern)),
                    Junction::And => patterns.all(|pattern| self.members(facts, pattern)),
                    Junction::Nor => patterns.all(|pattern| self.refuted(facts, pattern)),
                }
            }
        };
        direct || self.member_by_cases(facts, right)
    }

    /// Proves a member for each alternative of one fact.
    fn member_by_cases(self, facts: &Facts, right: &Member) -> bool {
        (0..facts.len()).any(|at| {
            let mut others = facts.clone();
            let with = |facts: Facts| self.member(&facts, right);
            match others.remove(at) {
                Member::Junction { kind: Junction::Or, patterns } => {
                    let patterns = &self.left.patterns[patterns];
                    patterns.len() <= ALTERNATIVES
                        && patterns.iter().all(|pattern| {
                            let mut facts = others.clone();
                            add_facts(self.left, pattern, &mut facts);
                            with(facts)
                        })
                }
                Member::Field { name, node } if matches!(right, Member::Junction { .. }) => {
                    let (run, one): (_, fn(Run<Condition>) -> Node) = match node {
                        Node::Any(run) => (run, Node::Any),
                        Node::Scalars { conditions, absent: false } => {
                            (conditions, |conditions| Node::Scalars { conditions, absent: false })
                        }
                        _ => return false,
                    };
                    let count = self.left.conditions[run].len();
                    (2..=ALTERNATIVES).contains(&count)
                        && run.each().all(|run| {
                            let mut facts = others.clone();
                            facts.push(Member::Field { name, node: one(run) });
                            with(facts)
                        })
                }
                _ => false,
            }
        })
    }

    /// Whether no object satisfies the facts, which are those of the left side.
    fn impossible(self, facts: &Facts) -> bool {
        if !self.step() {
            return false;
        }
        (0..facts.len()).any(|at| match facts[at] {
            Member::Field { name, node } => {
                let name = self.left.name(name);
                let is_first = self.nodes(&facts[..at], name).is_empty();
                let by_node = match node {
                    Node::Nested(pattern) => {
                        let pattern = &self.left.patterns[pattern];
                        !pattern.members.is_empty() && self.impossible(&facts_of(self.left, pattern))
                    }
                    Node::Scalars { conditions, absent: false } => {
                        self.alternatives(conditions, SCALARS & !MISSING, |_| false)
                    }
                    _ => false,
                };
                by_node || is_first && self.value_by_cases(&self.nodes(facts, name), &|_| false)
            }
            Member::Junction { kind, patterns } => {
                let mut others = facts.clone();
                others.remove(at);
                let mut patterns = self.left.patterns[patterns].iter();
                match kind {
                    Junction::Nor => patterns.any(|pattern| self.members(&others, pattern)),
                    Junction::Or if patterns.len() <= ALTERNATIVES => patterns.all(|pattern| {
                        let mut facts = others.clone();
                        add_facts(self.left, pattern, &mut facts);
                        self.impossible(&facts)
                    }),
                    Junction::Or | Junction::And => false,
                }
            }
        })
    }

    /// Whether no object of which the facts hold satisfies the pattern.
    fn refuted(self, facts: &Facts, right: &Pattern) -> bool {
        if !self.step() {
            return false;
        }
        let excluded = facts_of(self.right, right);
        let by_nor = facts.iter().any(|fact| match fact {
            Member::Junction { kind: Junction::Nor, patterns } => {
                let mut patterns = self.left.patterns[*patterns].iter();
                patterns.any(|pattern| self.swapped().members(&excluded, pattern))
            }
            _ => false,
        });
        by_nor
            || excluded.iter().any(|member| match member {
                Member::Field { name, node } => self.field_refuted(facts, self.right.name(*name), node),
                Member::Junction { kind: Junction::Or, patterns } => {
                    self.right.patterns[*patterns].iter().all(|pattern| self.refuted(facts, pattern))
                }
                Member::Junction { kind: Junction::Nor, patterns } => {
                    self.right.patterns[*patterns].iter().any(|pattern| self.members(facts, pattern))
                }
                Member::Junction { kind: Junction::And, .. } => false,
            })
    }

    /// Whether no value of a field of which the facts hold satisfies a node.
    fn field_refuted(self, facts: &Facts, name: &str, right: &Node) -> bool {
        let nodes = self.nodes(facts, name);
        let refuted = |excluded| self.value_by_cases(&nodes, &|tests| self.contradict(tests, &excluded));
        match *right {
            Node::Any(run) => self.right.conditions[run]
                .iter()
                .all(|condition| refuted(Tests::of(self.right, condition, EVERYTHING))),
            Node::All(run) => refuted(Tests::of_all(self.right, run, EVERYTHING)),
            // Other elements of an array may satisfy it.
            Node::Scalars { .. } | Node::Nested(_) | Node::NestedScalars { .. } => false,
        }
    }

    /// The conditions on one field.
    fn nodes(self, facts: &[Member], name: &str) -> SmallVec<[Node; 4]> {
        let of_field = |fact: &Member| match fact {
            Member::Field { name: other, node } if self.left.name(*other) == name => Some(*node),
            _ => None,
        };
        facts.iter().filter_map(of_field).collect()
    }

    /// Whether the facts imply a condition on a field.
    fn field(self, facts: &Facts, name: &str, right: &Node) -> bool {
        let nodes = self.nodes(facts, name);
        match *right {
            Node::Any(run) => self.value_by_cases(&nodes, &|tests| self.any(tests, run)),
            Node::All(run) => self.value_by_cases(&nodes, &|tests| self.all(tests, run)),
            Node::Nested(pattern) => self.nested(&nodes, pattern),
            Node::Scalars { conditions, absent } => nodes.iter().any(|node| match *node {
                Node::Scalars { conditions: left, absent: left_absent } => {
                    (absent || !left_absent)
                        && self.alternatives(left, SCALARS & !MISSING, |tests| self.any(tests, conditions))
                }
                _ => false,
            }),
            Node::NestedScalars { pattern, .. } => nodes.iter().any(|node| match *node {
                // An absence is judged on an array by all fields that a pattern names, and each names others.
                Node::NestedScalars { pattern: left, .. } => {
                    !has_absence(self.right, &self.right.patterns[pattern]) && self.pattern(left, pattern)
                        || self.is_same_nested(left, pattern)
                }
                _ => false,
            }),
        }
    }

    /// A nested pattern, which some element of an array must satisfy.
    fn nested(self, nodes: &[Node], right: Id<Pattern>) -> bool {
        let is_empty = self.right.patterns[right].members.is_empty();
        let by_node = nodes.iter().any(|node| match *node {
            Node::Nested(left) => self.pattern(left, right),
            _ => false,
        });
        by_node
            || self.value_by_cases(nodes, &|tests| {
                let some = tests.iter().any(|test| match *test {
                    Test::Some(Judge::Pattern(left)) => self.pattern(left, right),
                    _ => false,
                });
                some || is_empty && tests.types() & ARRAY == 0
                    || tests.types() & !(SCALARS & !NULL & !MISSING) == 0
                        && self.right.on_empty(&self.right.patterns[right])
            })
    }

    /// Proves something for each value that satisfies all of these nodes. Of the nodes with alternatives, one is taken apart.
    fn value_by_cases(self, nodes: &[Node], holds: &dyn Fn(&Tests<'p>) -> bool) -> bool {
        let mut all = Tests::none(self.left, EVERYTHING);
        for node in nodes {
            match *node {
                Node::Any(run) if self.left.conditions[run].len() == 1 => all.add_all(run),
                Node::All(run) => all.add_all(run),
                // Neither holds for a missing field or null.
                Node::Nested(pattern) if !self.left.patterns[pattern].members.is_empty() => {
                    all.restrict(!MISSING & !NULL);
                }
                _ => {}
            }
        }
        if !self.step() {
            return false;
        }
        let proven = |tests: &Tests<'p>| self.on_left().exclude_all(tests) || holds(tests);
        if !nodes.is_empty() && proven(&all) {
            return true;
        }
        nodes.iter().any(|node| match *node {
            Node::Any(run) if self.left.conditions[run].len() > 1 => {
                self.left.conditions[run].iter().all(|condition| {
                    let mut tests = all.clone();
                    tests.add(condition);
                    self.step() && proven(&tests)
                })
            }
            _ => false,
        })
    }

    /// Whether two nested patterns are the same.
    fn is_same_nested(self, left: Id<Pattern>, right: Id<Pattern>) -> bool {
        self.step()
            && Fragment::new(self.left, &Node::Nested(left))
                == Fragment::new(self.right, &Node::Nested(right))
    }
}

/// The members of a pattern.
fn facts_of(program: &Program, pattern: &Pattern) -> Facts {
    let mut facts = Facts::new();
    add_facts(program, pattern, &mut facts);
    facts
}

/// Adds the members of a pattern, those of `$and` in place of it.
fn add_facts(program: &Program, pattern: &Pattern, facts: &mut Facts) {
    for member in &program.members[pattern.members] {
        match member {
            Member::Junction { kind: Junction::And, patterns } => {
                program.patterns[*patterns].iter().for_each(|pattern| add_facts(program, pattern, facts));
            }
            other => facts.push(*other),
        }
    }
}

/// Whether a pattern of the event-bridge dialect asks for an absence.
fn has_absence(program: &Program, pattern: &Pattern) -> bool {
    program.members[pattern.members].iter().any(|member| match member {
        Member::Junction { kind: Junction::Nor, .. } => true,
        Member::Junction { patterns, .. } => {
            program.patterns[*patterns].iter().any(|pattern| has_absence(program, pattern))
        }
        Member::Field { node: Node::Scalars { absent, .. }, .. } => *absent,
        Member::Field { node: Node::NestedScalars { pattern, .. }, .. } => {
            has_absence(program, &program.patterns[*pattern])
        }
        Member::Field { .. } => true,
    })
}

/// Whether a test may hold for a scalar; that of a reference is not known.
fn may_hold(program: &Program, test: &Test, value: View<'_>) -> bool {
    program.refers(test) || program.test_scalar::<&serde_json::Value>(test, value, &Scope::NONE)
}

/// Whether a test certainly holds for a scalar.
fn must_hold(program: &Program, test: &Test, value: View<'_>) -> bool {
    !program.refers(test) && program.test_scalar::<&serde_json::Value>(test, value, &Scope::NONE)
}
