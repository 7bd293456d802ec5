//! From the typed tree to the program.
//!
//! Items of a run must lie next to each other, while each may have items of its own: a run's items are compiled first,
//! which puts what they own into the arenas, and then added together.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::ast::{self, Junction, MemberKind, Quantifier, Reach, TestKind};
use crate::ops::{Leaf, Literal, LiteralSet};
use crate::program::{
    Arena, Condition, Id, Judge, Member, NameId, Names, Node, Part, Pattern, Program, Run, Test,
};

/// Flattens a tree; linear in its size.
pub(crate) fn compile(tree: ast::Pattern<'_>) -> Program {
    let mut compiler = Compiler {
        names: Names::new(),
        name_ids: HashMap::new(),
        patterns: Builder::default(),
        members: Builder::default(),
        conditions: Builder::default(),
        tests: Builder::default(),
        leaves: Builder::default(),
    };
    let root = compiler.pattern(tree);
    let root = compiler.patterns.add(root.pattern);
    Program {
        names: compiler.names,
        patterns: compiler.patterns.finish(),
        members: compiler.members.finish(),
        conditions: compiler.conditions.finish(),
        tests: compiler.tests.finish(),
        leaves: compiler.leaves.finish(),
        root,
    }
}

struct Compiler<'n> {
    names: Names,
    name_ids: HashMap<&'n str, NameId>,
    patterns: Builder<Pattern>,
    members: Builder<Member>,
    conditions: Builder<Condition>,
    tests: Builder<Test>,
    leaves: Builder<Leaf>,
}

/// A pattern, and what it answers for an object without fields if it is of the event-bridge dialect.
struct Compiled {
    pattern: Pattern,
    absent: bool,
}

impl<'n> Compiler<'n> {
    fn pattern(&mut self, tree: ast::Pattern<'n>) -> Compiled {
        let mut absent = true;
        let members = self.run(
            tree.members,
            |compiler| &mut compiler.members,
            |compiler, member| {
                let (member, holds) = compiler.member(member.kind);
                absent &= holds;
                member
            },
        );
        Compiled { pattern: Pattern { members }, absent }
    }

    fn member(&mut self, kind: MemberKind<'n>) -> (Member, bool) {
        match kind {
            MemberKind::Field { name, node } => {
                let name = self.name(name);
                let (node, absent) = self.node(node);
                (Member::Field { name, node }, absent)
            }
            MemberKind::Junction { kind, patterns } => {
                let compiled: Vec<Compiled> = patterns.into_iter().map(|p| self.pattern(p)).collect();
                let mut absent = compiled.iter().map(|c| c.absent);
                let absent = match kind {
                    Junction::Or => absent.any(|holds| holds),
                    Junction::And => absent.all(|holds| holds),
                    Junction::Nor => !absent.any(|holds| holds),
                };
                let patterns = self.patterns.extend(compiled.into_iter().map(|c| c.pattern));
                (Member::Junction { kind, patterns }, absent)
            }
        }
    }

    /// A node, and its answer for a missing field by the event-bridge dialect's rule.
    fn node(&mut self, node: ast::Node<'n>) -> (Node, bool) {
        match node {
            ast::Node::Conditions(conditions) => match (conditions.reach, conditions.quantifier) {
                (Reach::Scalars, _) => {
                    let absent = conditions.items.iter().any(wants_absence);
                    let conditions = self.any_of(conditions.items);
                    (Node::Scalars { conditions, absent }, absent)
                }
                (Reach::Value, Quantifier::Any) => (Node::Any(self.any_of(conditions.items)), false),
                (Reach::Value, Quantifier::All) => (Node::All(self.conditions(conditions.items)), false),
            },
            ast::Node::Nested { reach, pattern } => {
                let compiled = self.pattern(pattern);
                let pattern = self.patterns.add(compiled.pattern);
                match reach {
                    Reach::Value => (Node::Nested(pattern), false),
                    Reach::Scalars => {
                        let absent = compiled.absent;
                        (Node::NestedScalars { pattern, absent }, absent)
                    }
                }
            }
        }
    }

    fn conditions(&mut self, items: Vec<ast::Condition<'n>>) -> Run<Condition> {
        self.run(
            items,
            |compiler| &mut compiler.conditions,
            |compiler, condition| Condition { tests: compiler.tests(condition.tests) },
        )
    }

    /// Compiles items that are to lie next to each other.
    fn run<A, T: Part>(
        &mut self,
        items: Vec<A>,
        arena: impl Fn(&mut Self) -> &mut Builder<T>,
        mut compile: impl FnMut(&mut Self, A) -> T,
    ) -> Run<T> {
        let count = items.len();
        let mut items = items.into_iter();
        // Most runs are of one item, which lies next to nothing.
        if count == 1
            && let Some(only) = items.next()
        {
            let only = compile(self, only);
            return arena(self).one(only);
        }
        let compiled: Vec<T> = items.map(|item| compile(self, item)).collect();
        arena(self).extend(compiled)
    }

    /// Conditions of which one suffices. Where many are literals, one condition stands for all of those.
    fn any_of(&mut self, items: Vec<ast::Condition<'n>>) -> Run<Condition> {
        let many = LiteralSet::is_many(items.len())
            && LiteralSet::is_many(items.iter().filter(|item| as_literal(item).is_some()).count());
        if !many {
            return self.conditions(items);
        }
        let (literals, mut others): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| as_literal(item).is_some());
        let set = LiteralSet::new(literals.iter().filter_map(as_literal).cloned().collect());
        let kind = TestKind::Leaf(Leaf::OneOf(set));
        others.insert(0, ast::Condition { span: None, tests: vec![ast::Test { key: "", span: None, kind }] });
        self.conditions(others)
    }

    fn tests(&mut self, tests: Vec<ast::Test<'n>>) -> Run<Test> {
        self.run(tests, |compiler| &mut compiler.tests, |compiler, test| compiler.test(test.kind))
    }

    fn test(&mut self, kind: TestKind<'n>) -> Test {
        match kind {
            TestKind::Leaf(leaf) => Test::Leaf(self.leaves.add(leaf)),
            TestKind::Size(tests) => Test::Size(self.tests(tests)),
            TestKind::Some(judge) => Test::Some(self.judge(judge)),
            TestKind::Every(judge) => Test::Every(self.judge(judge)),
            TestKind::All(conditions) => Test::All(self.conditions(conditions)),
            TestKind::None(conditions) => Test::None(self.any_of(conditions)),
            TestKind::But(tests) => Test::But(self.tests(tests)),
            TestKind::NoneOf(leaves) => Test::NoneOf(self.leaves.extend(leaves)),
        }
    }

    fn judge(&mut self, judge: ast::Judge<'n>) -> Judge {
        match judge {
            ast::Judge::Pattern(pattern) => {
                let compiled = self.pattern(pattern);
                Judge::Pattern(self.patterns.add(compiled.pattern))
            }
            ast::Judge::Conditions { items, .. } => Judge::Any(self.any_of(items)),
        }
    }

    fn name(&mut self, name: &'n str) -> NameId {
        // The first names are searched for, which is faster than hashing them.
        if let Some((id, _)) = self.names.iter().take(FEW_NAMES).find(|(_, known)| *known == name) {
            return id;
        }
        if self.names.len() < FEW_NAMES {
            return self.names.add(name);
        }
        *self.name_ids.entry(name).or_insert_with(|| self.names.add(name))
    }
}

/// How many names are kept without hashing them.
const FEW_NAMES: usize = 8;

fn as_literal<'c>(condition: &'c ast::Condition<'_>) -> Option<&'c Literal> {
    match condition.tests.as_slice() {
        [ast::Test { kind: TestKind::Leaf(Leaf::Equals(literal)), .. }] => Some(literal),
        _ => None,
    }
}

fn wants_absence(condition: &ast::Condition<'_>) -> bool {
    condition.tests.iter().any(|test| matches!(test.kind, TestKind::Leaf(Leaf::Exists(false))))
}

/// An arena being filled.
pub(crate) struct Builder<T: Part>(SmallVec<T::Few>);

impl<T: Part> Default for Builder<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T: Part> Builder<T> {
    pub(crate) fn add(&mut self, item: T) -> Id<T> {
        let id = Id::new(index(self.0.len()));
        self.0.push(item);
        id
    }

    /// A run of one.
    pub(crate) fn one(&mut self, item: T) -> Run<T> {
        let start = index(self.0.len());
        self.0.push(item);
        Run::new(start, start + 1)
    }

    pub(crate) fn extend_from_slice(&mut self, items: &[T]) -> Run<T>
    where
        T: Copy,
    {
        let start = index(self.0.len());
        self.0.extend_from_slice(items);
        Run::new(start, index(self.0.len()))
    }

    pub(crate) fn extend(&mut self, items: impl IntoIterator<Item = T>) -> Run<T> {
        let start = index(self.0.len());
        self.0.extend(items);
        Run::new(start, index(self.0.len()))
    }

    pub(crate) fn finish(self) -> Arena<T> {
        Arena::new(self.0)
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("invariant: a filter's nodes were counted before it was compiled")
}
