//! The fields that a program asks for, as a tree of their names.

use crate::program::{Condition, Judge, Member, Node, Pattern, Program, Run, Test};
use crate::scan::NameTree;

impl Program {
    /// The names of all fields and references, or of the fields of a value that a node asks for; `None` if there are too many.
    /// Conditions on the elements of an array are at the place of the array.
    pub(super) fn name_tree(&self, node: Option<&Node>) -> Option<NameTree<'_>> {
        let mut tree = NameTree::with_capacity(self.members.iter().len());
        if let Some(node) = node {
            self.names_of_node(node, NameTree::ROOT, &mut tree)?;
            return Some(tree);
        }
        self.names_of_judge(&self.root, NameTree::ROOT, &mut tree)?;
        for reference in self.references.iter() {
            reference.names.iter().try_fold(NameTree::ROOT, |at, name| tree.child(at, name))?;
        }
        Some(tree)
    }

    fn names_of_judge<'p>(&'p self, judge: &Judge, at: u32, tree: &mut NameTree<'p>) -> Option<()> {
        match *judge {
            Judge::Pattern(id) => self.names_of(&self.patterns[id], at, tree),
            Judge::Any(run) => self.names_of_conditions(run, at, tree),
        }
    }

    /// Adds the names of a pattern on the value at a place. The limit of depth bounds the recursion.
    fn names_of<'p>(&'p self, pattern: &Pattern, at: u32, tree: &mut NameTree<'p>) -> Option<()> {
        for member in &self.members[pattern.members] {
            match member {
                Member::Field { name, node } => {
                    let place = tree.child(at, self.name(*name))?;
                    self.names_of_node(node, place, tree)?;
                }
                Member::Junction { patterns, .. } => {
                    for pattern in &self.patterns[*patterns] {
                        self.names_of(pattern, at, tree)?;
                    }
                }
            }
        }
        Some(())
    }

    fn names_of_node<'p>(&'p self, node: &Node, at: u32, tree: &mut NameTree<'p>) -> Option<()> {
        match *node {
            Node::Nested(id) | Node::NestedScalars { pattern: id, .. } => {
                self.names_of(&self.patterns[id], at, tree)
            }
            Node::Any(run) | Node::All(run) | Node::Scalars { conditions: run, .. } => {
                self.names_of_conditions(run, at, tree)
            }
        }
    }

    fn names_of_conditions<'p>(
        &'p self,
        run: Run<Condition>,
        at: u32,
        tree: &mut NameTree<'p>,
    ) -> Option<()> {
        self.conditions[run].iter().try_for_each(|condition| self.names_of_tests(condition.tests, at, tree))
    }

    fn names_of_tests<'p>(&'p self, run: Run<Test>, at: u32, tree: &mut NameTree<'p>) -> Option<()> {
        self.tests[run].iter().try_for_each(|test| match *test {
            Test::Leaf(_) | Test::NoneOf(_) | Test::Reference(_) | Test::Size(_) => Some(()),
            Test::But(tests) => self.names_of_tests(tests, at, tree),
            Test::All(run) | Test::None(run) => self.names_of_conditions(run, at, tree),
            Test::Some(ref judge) | Test::Every(ref judge) => self.names_of_judge(judge, at, tree),
        })
    }
}
