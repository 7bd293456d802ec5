//! From the typed tree to the program.
//!
//! The items of a run must be adjacent, while each may own items itself. So a run's items are compiled first, which puts
//! their own items into the arenas, and then added together.

pub(crate) mod copy;
pub(crate) mod fast_path;

use std::collections::HashMap;

use crate::ast::{self, MemberKind, Quantifier, Reach, TestKind};
use crate::ops::{Leaf, LiteralSet};
use crate::program::{Arena, Condition, Judge, Member, NameId, Node, Part, Pattern, Program, Run, Test};

/// Compiles a tree; linear in its size.
pub(crate) fn compile(tree: ast::Judge<'_>) -> Program {
    let mut compiler = Compiler { program: Program::empty(), name_ids: HashMap::new() };
    let root = compiler.judge(tree);
    compiler.program.finish_with(root);
    compiler.program
}

struct Compiler<'n> {
    program: Program,
    name_ids: HashMap<&'n str, NameId>,
}

impl<'n> Compiler<'n> {
    fn pattern(&mut self, tree: ast::Pattern<'n>) -> Pattern {
        let members = self.run(
            tree.members,
            |program| &mut program.members,
            |compiler, member| compiler.member(member.kind),
        );
        Pattern { members }
    }

    fn member(&mut self, kind: MemberKind<'n>) -> Member {
        match kind {
            MemberKind::Field { name, node } => {
                let name = self.name(name);
                Member::Field { name, node: self.node(node) }
            }
            MemberKind::Junction { kind, patterns } => {
                let compiled: Vec<Pattern> = patterns.into_iter().map(|p| self.pattern(p)).collect();
                Member::Junction { kind, patterns: self.program.patterns.extend(compiled) }
            }
        }
    }

    fn node(&mut self, node: ast::Node<'n>) -> Node {
        match node {
            ast::Node::Conditions(conditions) => match (conditions.reach, conditions.quantifier) {
                (Reach::Scalars, _) => {
                    let absent = ast::hold_if_missing(&conditions.items);
                    Node::Scalars { conditions: self.any_of(conditions.items), absent }
                }
                (Reach::Value, Quantifier::Any) => Node::Any(self.any_of(conditions.items)),
                (Reach::Value, Quantifier::All) => Node::All(self.conditions(conditions.items)),
            },
            ast::Node::Nested { reach, pattern } => {
                let absent = pattern.holds_without_fields;
                let compiled = self.pattern(pattern);
                let pattern = self.program.patterns.add(compiled);
                match reach {
                    Reach::Value => Node::Nested(pattern),
                    Reach::Scalars => Node::NestedScalars { pattern, absent },
                }
            }
        }
    }

    fn conditions(&mut self, items: Vec<ast::Condition<'n>>) -> Run<Condition> {
        self.run(
            items,
            |program| &mut program.conditions,
            |compiler, condition| Condition { tests: compiler.tests(condition.tests) },
        )
    }

    /// Compiles items into adjacent parts.
    fn run<A, T: Part>(
        &mut self,
        items: Vec<A>,
        arena: impl Fn(&mut Program) -> &mut Arena<T>,
        mut compile: impl FnMut(&mut Self, A) -> T,
    ) -> Run<T> {
        let count = items.len();
        let mut items = items.into_iter();
        // Most runs have one item.
        if count == 1
            && let Some(only) = items.next()
        {
            let only = compile(self, only);
            return arena(&mut self.program).one(only);
        }
        let compiled: Vec<T> = items.map(|item| compile(self, item)).collect();
        arena(&mut self.program).extend(compiled)
    }

    /// Any-of conditions. Many literals among them become one condition with a set.
    fn any_of(&mut self, items: Vec<ast::Condition<'n>>) -> Run<Condition> {
        let many = LiteralSet::is_many(items.len())
            && LiteralSet::is_many(items.iter().filter(|item| item.literal().is_some()).count());
        if !many {
            return self.conditions(items);
        }
        let (literals, mut others): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item.literal().is_some());
        let set = LiteralSet::new(literals.iter().filter_map(ast::Condition::literal).cloned().collect());
        let kind = TestKind::Leaf(Leaf::OneOf(set));
        others.insert(0, ast::Condition { span: None, tests: vec![ast::Test { key: "", span: None, kind }] });
        self.conditions(others)
    }

    fn tests(&mut self, tests: Vec<ast::Test<'n>>) -> Run<Test> {
        self.run(tests, |program| &mut program.tests, |compiler, test| compiler.test(test.kind))
    }

    fn test(&mut self, kind: TestKind<'n>) -> Test {
        match kind {
            TestKind::Leaf(leaf) => Test::Leaf(self.program.leaves.add(leaf)),
            TestKind::Reference(reference) => Test::Reference(self.program.references.add(reference)),
            TestKind::IgnoreCase(tests) => {
                let tests = self.tests(tests);
                Test::All(self.program.conditions.one(Condition { tests }))
            }
            TestKind::Size(tests) => Test::Size(self.tests(tests)),
            TestKind::Some(judge) => Test::Some(self.judge(judge)),
            TestKind::Every(judge) => Test::Every(self.judge(judge)),
            TestKind::All(conditions) => Test::All(self.conditions(conditions)),
            TestKind::None(conditions) => Test::None(self.any_of(conditions)),
            TestKind::But(tests) => Test::But(self.tests(tests)),
            TestKind::NoneOf(leaves) => Test::NoneOf(self.program.leaves.extend(leaves)),
        }
    }

    fn judge(&mut self, judge: ast::Judge<'n>) -> Judge {
        match judge {
            ast::Judge::Pattern(pattern) => {
                let compiled = self.pattern(pattern);
                Judge::Pattern(self.program.patterns.add(compiled))
            }
            ast::Judge::Conditions { items, .. } => Judge::Any(self.any_of(items)),
        }
    }

    fn name(&mut self, name: &'n str) -> NameId {
        // Comparing the first few names is faster than hashing.
        if let Some((id, _)) = self.program.names.iter().take(FEW_NAMES).find(|(_, known)| *known == name) {
            return id;
        }
        if self.program.names.len() < FEW_NAMES {
            return self.program.names.add(name);
        }
        *self.name_ids.entry(name).or_insert_with(|| self.program.names.add(name))
    }
}

/// The number of names that are compared, not hashed.
const FEW_NAMES: usize = 8;
