//! A node copied out of a program with all parts that it refers to. Unlike a part of a program, a copy can be compared with
//! copies from other programs, so a set can share equal ones.

use std::fmt::Write as _;

use crate::matcher::Subject;
use crate::ops::View;
use crate::program::{Condition, Id, Judge, Member, NameId, Node, Pattern, Program, Run, Test};

/// A node and its parts, numbered from 0 in the order of a walk, so that equal nodes make equal fragments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fragment {
    program: Program,
    node: Node,
}

impl Fragment {
    pub(crate) fn new(program: &Program, node: &Node) -> Self {
        let mut copy = Copier { from: program, to: Program::empty() };
        let node = copy.node(node);
        Self { node, program: copy.to.finish(Pattern { members: Run::new(0, 0) }) }
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    pub(crate) fn node(&self) -> &Node {
        &self.node
    }

    /// Whether the node holds for a field's value, or for a missing field.
    pub(crate) fn holds<S: Subject>(&self, value: Option<S>) -> bool {
        self.program.node(&self.node, value)
    }

    /// Whether the node holds for a scalar, null included.
    pub(crate) fn holds_for_scalar(&self, view: View<'_>) -> bool {
        let condition =
            |c: &Condition| self.program.tests[c.tests].iter().all(|t| self.program.test_scalar(t, view));
        match self.node {
            Node::Any(run) | Node::Scalars { conditions: run, .. } => {
                self.program.conditions[run].iter().any(condition)
            }
            Node::All(run) => self.program.conditions[run].iter().all(condition),
            Node::Nested(pattern) if view == View::Null => self.program.patterns[pattern].members.is_empty(),
            Node::Nested(pattern) => self.program.on_empty(&self.program.patterns[pattern]),
            Node::NestedScalars { absent, .. } => absent,
        }
    }

    /// A text that is the same for equal fragments and rarely for others.
    pub(crate) fn digest(&self) -> String {
        let mut digest = format!("{:?}{:?}{:?}", self.node, self.program.names, self.program.tests);
        for leaf in self.program.leaves.iter() {
            // Writing to a String cannot fail.
            let _ = write!(digest, "\0{leaf}");
        }
        digest
    }

    /// Its approximate memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.program.bytes()
    }
}

impl Program {
    /// Whether a pattern holds for an object without fields.
    pub(crate) fn on_empty(&self, pattern: &Pattern) -> bool {
        self.members[pattern.members].iter().all(|member| self.member::<&serde_json::Value>(member, None))
    }
}

struct Copier<'p> {
    from: &'p Program,
    to: Program,
}

impl Copier<'_> {
    fn node(&mut self, node: &Node) -> Node {
        match *node {
            Node::Any(run) => Node::Any(self.conditions(run)),
            Node::All(run) => Node::All(self.conditions(run)),
            Node::Scalars { conditions, absent } => {
                Node::Scalars { conditions: self.conditions(conditions), absent }
            }
            Node::Nested(pattern) => Node::Nested(self.pattern(pattern)),
            Node::NestedScalars { pattern, absent } => {
                Node::NestedScalars { pattern: self.pattern(pattern), absent }
            }
        }
    }

    fn pattern(&mut self, id: Id<Pattern>) -> Id<Pattern> {
        let pattern = self.pattern_of(&self.from.patterns[id]);
        self.to.patterns.add(pattern)
    }

    fn pattern_of(&mut self, pattern: &Pattern) -> Pattern {
        let members: Vec<Member> =
            self.from.members[pattern.members].iter().map(|member| self.member(member)).collect();
        Pattern { members: self.to.members.extend(members) }
    }

    fn member(&mut self, member: &Member) -> Member {
        match member {
            Member::Field { name, node } => Member::Field { name: self.name(*name), node: self.node(node) },
            Member::Junction { kind, patterns } => {
                let copied: Vec<Pattern> =
                    self.from.patterns[*patterns].iter().map(|pattern| self.pattern_of(pattern)).collect();
                Member::Junction { kind: *kind, patterns: self.to.patterns.extend(copied) }
            }
        }
    }

    fn conditions(&mut self, run: Run<Condition>) -> Run<Condition> {
        let copied: Vec<Condition> = self.from.conditions[run]
            .iter()
            .map(|condition| Condition { tests: self.tests(condition.tests) })
            .collect();
        self.to.conditions.extend(copied)
    }

    fn tests(&mut self, run: Run<Test>) -> Run<Test> {
        let copied: Vec<Test> = self.from.tests[run].iter().map(|test| self.test(test)).collect();
        self.to.tests.extend(copied)
    }

    fn test(&mut self, test: &Test) -> Test {
        match *test {
            Test::Leaf(leaf) => Test::Leaf(self.to.leaves.add(self.from.leaves[leaf].clone())),
            Test::Size(tests) => Test::Size(self.tests(tests)),
            Test::Some(ref judge) => Test::Some(self.judge(judge)),
            Test::Every(ref judge) => Test::Every(self.judge(judge)),
            Test::All(conditions) => Test::All(self.conditions(conditions)),
            Test::None(conditions) => Test::None(self.conditions(conditions)),
            Test::But(tests) => Test::But(self.tests(tests)),
            Test::NoneOf(leaves) => {
                Test::NoneOf(self.to.leaves.extend(self.from.leaves[leaves].iter().cloned()))
            }
        }
    }

    fn judge(&mut self, judge: &Judge) -> Judge {
        match *judge {
            Judge::Pattern(pattern) => Judge::Pattern(self.pattern(pattern)),
            Judge::Any(conditions) => Judge::Any(self.conditions(conditions)),
        }
    }

    fn name(&mut self, name: NameId) -> NameId {
        // Not deduplicated: fragments are small and rarely have names.
        self.to.names.add(self.from.name(name))
    }
}
