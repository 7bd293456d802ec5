//! Parts of programs, copied with all that they refer to.
//!
//! Unlike a part of a program, a copy of a node can be compared with copies from other programs, so a set can share equal
//! ones. A program with references, or with conditions on the event itself, has a copy that a set can index.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::ast::Junction;
use crate::matcher::{Scope, Subject};
use crate::ops::{Leaf, Reference, View};
use crate::program::{Condition, Id, Judge, Member, Node, Pattern, Program, Run, Test};

/// A node and its parts, numbered from 0 in the order of a walk, so that equal nodes make equal fragments.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fragment {
    pub(crate) program: Program,
    pub(crate) node: Node,
}

impl Fragment {
    pub(crate) fn new(program: &Program, node: &Node) -> Self {
        Self::copied(program, |copy| copy.node(node))
    }

    fn copied(program: &Program, copy_node: impl FnOnce(&mut Copier<'_>) -> Node) -> Self {
        let mut copy = Copier { from: program, to: Program::empty(), weaken: false };
        let node = copy_node(&mut copy);
        copy.to.finish(Pattern { members: Run::new(0, 0) });
        Self { node, program: copy.to }
    }

    /// A node that requires some tests of one value.
    pub(crate) fn of_tests(program: &Program, tests: &[&Test]) -> Self {
        Self::copied(program, |copy| {
            let tests: Vec<Test> = tests.iter().map(|test| copy.test(test)).collect();
            let tests = copy.to.tests.extend(tests);
            Node::Any(copy.to.conditions.one(Condition { tests }))
        })
    }

    /// Whether the node holds for a field's value, or for a missing field.
    pub(crate) fn holds<S: Subject>(&self, value: Option<S>) -> bool {
        let large = value.and_then(|value| self.program.large(value));
        match large.and_then(|raw| self.program.field_cache(Some(&self.node), raw)) {
            Some((cache, raw)) => self.program.node(&self.node, Some(cache.root(raw)), &Scope::NONE),
            None => self.program.node(&self.node, value, &Scope::NONE),
        }
    }

    /// Whether the node holds for a scalar, null included.
    pub(crate) fn holds_for_scalar(&self, view: View<'_>) -> bool {
        let condition = |c: &Condition| self.program.tests[c.tests].iter().all(|t| self.test_scalar(t, view));
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

    fn test_scalar(&self, test: &Test, view: View<'_>) -> bool {
        self.program.test_scalar::<&serde_json::Value>(test, view, &Scope::NONE)
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

/// The most names of a reference's path that a set indexes.
const MAX_NAMES: usize = 8;

/// A program that a set can index, in place of another one.
#[derive(Debug)]
pub(crate) struct Indexed<'p> {
    pub(crate) program: Cow<'p, Program>,
    /// Whether it judges the event as the value of a field with an empty name, because it has conditions on the event itself.
    pub(crate) whole: bool,
    /// Whether it also holds where the other one does not: it has no references.
    pub(crate) rough: bool,
}

impl Program {
    /// Whether a pattern holds for an object without fields.
    pub(crate) fn on_empty(&self, pattern: &Pattern) -> bool {
        let holds = |member| self.member::<&serde_json::Value>(member, None, &Scope::NONE);
        self.members[pattern.members].iter().all(holds)
    }

    /// The pattern at the root of a program that a set [indexes](Self::indexed).
    pub(crate) fn root_pattern(&self) -> Pattern {
        match self.root {
            Judge::Pattern(id) => Pattern { members: self.patterns[id].members },
            Judge::Any(_) => Pattern { members: Run::new(0, 0) },
        }
    }

    /// What a set indexes in place of the program. Takes time linear in its size.
    pub(crate) fn indexed(&self) -> Indexed<'_> {
        let rough = !self.references.is_empty();
        let whole = match self.root {
            Judge::Pattern(_) if !rough => {
                return Indexed { program: Cow::Borrowed(self), whole: false, rough };
            }
            Judge::Pattern(_) => false,
            Judge::Any(_) => true,
        };
        let mut copy = Copier { from: self, to: Self::empty(), weaken: rough };
        let mut required = Vec::new();
        let mut members = match self.root {
            Judge::Pattern(root) => {
                self.require_of_pattern(&self.patterns[root], &mut required);
                copy.members_of(&self.patterns[root])
            }
            Judge::Any(conditions) => {
                self.require_of_any(conditions, &mut required);
                let name = copy.to.names.add("");
                vec![Member::Field { name, node: Node::Any(copy.conditions(conditions)) }]
            }
        };
        members.extend(required.iter().filter_map(|id| copy.presence(&self.references[*id], whole)));
        let root = Pattern { members: copy.to.members.extend(members) };
        copy.to.finish(root);
        Indexed { program: Cow::Owned(copy.to), whole, rough }
    }

    /// Adds the references whose values have to be there for a pattern to hold.
    fn require_of_pattern(&self, pattern: &Pattern, required: &mut Vec<Id<Reference>>) {
        for member in &self.members[pattern.members] {
            match member {
                Member::Field { node: Node::Any(run), .. } => self.require_of_any(*run, required),
                Member::Field { node: Node::All(run), .. } => self.require_of_all(*run, required),
                Member::Field { node: Node::Nested(pattern), .. } => {
                    self.require_of_pattern(&self.patterns[*pattern], required);
                }
                Member::Junction { kind: Junction::And, patterns } => {
                    for pattern in &self.patterns[*patterns] {
                        self.require_of_pattern(pattern, required);
                    }
                }
                Member::Field { .. } | Member::Junction { .. } => {}
            }
        }
    }

    fn require_of_any(&self, run: Run<Condition>, required: &mut Vec<Id<Reference>>) {
        // Of several alternatives, none is required.
        if self.conditions[run].len() == 1 {
            self.require_of_all(run, required);
        }
    }

    fn require_of_all(&self, run: Run<Condition>, required: &mut Vec<Id<Reference>>) {
        for condition in &self.conditions[run] {
            self.require_of_tests(condition.tests, required);
        }
    }

    fn require_of_tests(&self, tests: Run<Test>, required: &mut Vec<Id<Reference>>) {
        for test in &self.tests[tests] {
            match *test {
                Test::Reference(id) => required.push(id),
                Test::Size(tests) => self.require_of_tests(tests, required),
                Test::All(run) => self.require_of_all(run, required),
                Test::Some(Judge::Any(run)) => self.require_of_any(run, required),
                Test::Some(Judge::Pattern(id)) => self.require_of_pattern(&self.patterns[id], required),
                Test::Leaf(_) | Test::Every(_) | Test::None(_) | Test::But(_) | Test::NoneOf(_) => {}
            }
        }
    }

    /// Whether a test has a reference.
    pub(crate) fn refers(&self, test: &Test) -> bool {
        match *test {
            Test::Reference(_) => true,
            Test::Leaf(_) | Test::NoneOf(_) => false,
            Test::Size(tests) | Test::But(tests) => self.tests[tests].iter().any(|test| self.refers(test)),
            Test::All(run) | Test::None(run) | Test::Some(Judge::Any(run)) | Test::Every(Judge::Any(run)) => {
                self.any_refers(run)
            }
            Test::Some(Judge::Pattern(id)) | Test::Every(Judge::Pattern(id)) => {
                self.pattern_refers(&self.patterns[id])
            }
        }
    }

    fn any_refers(&self, run: Run<Condition>) -> bool {
        self.conditions[run].iter().any(|c| self.tests[c.tests].iter().any(|test| self.refers(test)))
    }

    fn pattern_refers(&self, pattern: &Pattern) -> bool {
        self.members[pattern.members].iter().any(|member| match member {
            Member::Field { node, .. } => match *node {
                Node::Any(run) | Node::All(run) | Node::Scalars { conditions: run, .. } => {
                    self.any_refers(run)
                }
                Node::Nested(pattern) | Node::NestedScalars { pattern, .. } => {
                    self.pattern_refers(&self.patterns[pattern])
                }
            },
            Member::Junction { patterns, .. } => {
                self.patterns[*patterns].iter().any(|pattern| self.pattern_refers(pattern))
            }
        })
    }
}

struct Copier<'p> {
    from: &'p Program,
    to: Program,
    /// Whether a reference becomes the condition that a value is there, and the negation of one a condition that always
    /// holds.
    weaken: bool,
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
        let members = self.members_of(pattern);
        Pattern { members: self.to.members.extend(members) }
    }

    fn members_of(&mut self, pattern: &Pattern) -> Vec<Member> {
        let (from, weaken) = (self.from, self.weaken);
        let stays = |member: &&Member| match member {
            Member::Junction { kind: Junction::Nor, patterns } if weaken => {
                !from.patterns[*patterns].iter().any(|pattern| from.pattern_refers(pattern))
            }
            _ => true,
        };
        from.members[pattern.members].iter().filter(stays).map(|member| self.member(member)).collect()
    }

    /// A condition that the value to which a reference leads is there, or the object at the first few names of its path; `None` for
    /// a reference to the event itself. If `whole`, the event is the value of a field with an empty name.
    fn presence(&mut self, reference: &Reference, whole: bool) -> Option<Member> {
        // A pointer may be longer than documents are deep.
        let names = reference.names.get(..MAX_NAMES).unwrap_or(&reference.names);
        names.last()?;
        let exists = self.to.leaves.add(Leaf::Exists(true));
        let tests = self.to.tests.one(Test::Leaf(exists));
        let mut node = Node::Any(self.to.conditions.one(Condition { tests }));
        let mut names = names.iter().map(|name| &**name).rev().chain(whole.then_some("")).peekable();
        while let Some(name) = names.next() {
            let member = Member::Field { name: self.to.names.add(name), node };
            if names.peek().is_none() {
                return Some(member);
            }
            let pattern = Pattern { members: self.to.members.one(member) };
            node = Node::Nested(self.to.patterns.add(pattern));
        }
        None
    }

    fn member(&mut self, member: &Member) -> Member {
        match member {
            Member::Field { name, node } => {
                // Not deduplicated: fragments are small and rarely have names.
                let name = self.to.names.add(self.from.name(*name));
                Member::Field { name, node: self.node(node) }
            }
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
            Test::Reference(_) if self.weaken => Test::Leaf(self.to.leaves.add(Leaf::Exists(true))),
            Test::Reference(id) => Test::Reference(self.to.references.add(self.from.references[id].clone())),
            Test::None(_) | Test::But(_) if self.weaken && self.from.refers(test) => {
                Test::All(Run::new(0, 0))
            }
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
}
