//! The fields that a program asks for, as a tree of their names.

use crate::program::{Condition, Judge, Member, Node, Pattern, Program, Run, Test};
use crate::scan::NameTree;

impl Program {
    /// The names of all fields and references; `None` if there are too many. Conditions on the elements of an array are at the
    /// place of the array.
    pub(super) fn name_tree(&self) -> Option<NameTree<'_>> {
        let mut tree = NameTree::with_capacity(self.members.iter().len());
        match self.root {
            Judge::Pattern(id) => self.names_of(&self.patterns[id], NameTree::ROOT, &mut tree)?,
            Judge::Any(run) => self.names_of_conditions(run, NameTree::ROOT, &mut tree)?,
        }
        for reference in self.references.iter() {
            reference.names.iter().try_fold(NameTree::ROOT, |at, name| tree.child(at, name))?;
        }
        Some(tree)
    }

    /// The names of the fields of a value that a node asks for.
    pub(super) fn name_tree_of_node(&self, node: &Node) -> Option<NameTree<'_>> {
        let mut tree = NameTree::with_capacity(self.members.iter().len());
        self.names_of_node(node, NameTree::ROOT, &mut tree)?;
        Some(tree)
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
            Test::Some(Judge::Any(run)) | Test::Every(Judge::Any(run)) => {
                self.names_of_conditions(run, at, tree)
            }
            Test::Some(Judge::Pattern(id)) | Test::Every(Judge::Pattern(id)) => {
                self.names_of(&self.patterns[id], at, tree)
            }
        })
    }
}
