//! Descriptions of conditions, as they follow the word "expected".

use std::fmt;

use crate::ast::Junction;
use crate::ops::text::Quoted;
use crate::ops::{Leaf, Spellings};
use crate::program::{Condition, Judge, Member, Node, Pattern, Program, Run, Test};

/// The words for the conditions of a program.
pub(super) struct Words<'p> {
    pub(super) program: &'p Program,
    /// The values that the program's references lead to, as an explanation shows them.
    /// The text of a scalar, or what there is in place of one.
    pub(super) found: Vec<Result<String, &'static str>>,
    pub(super) numbers: Spellings,
}

impl Words<'_> {
    /// The condition on a field.
    pub(super) fn describe_node(&self, out: &mut dyn fmt::Write, node: &Node) -> fmt::Result {
        match *node {
            Node::Any(conditions) | Node::Scalars { conditions, .. } => self.describe_any(out, conditions),
            Node::All(conditions) if conditions.is_empty() => out.write_str("anything"),
            Node::All(conditions) => self.describe_all(out, conditions),
            Node::Nested(pattern) | Node::NestedScalars { pattern, .. } => {
                out.write_str("an object with ")?;
                self.describe_pattern(out, &self.program.patterns[pattern])
            }
        }
    }

    pub(super) fn describe_any(&self, out: &mut dyn fmt::Write, conditions: Run<Condition>) -> fmt::Result {
        let conditions = &self.program.conditions[conditions];
        alternatives(out, conditions, |out, condition| self.describe_tests(out, condition.tests))
    }

    /// Conditions on the scalars of an object or array, for which presence means to have a scalar.
    pub(super) fn describe_scalars(
        &self,
        out: &mut dyn fmt::Write,
        conditions: Run<Condition>,
    ) -> fmt::Result {
        let conditions = &self.program.conditions[conditions];
        alternatives(out, conditions, |out, condition| match self.program.only_leaf(condition.tests) {
            Some(Leaf::Exists(true)) => out.write_str("a scalar"),
            Some(Leaf::Exists(false)) => out.write_str("no scalar"),
            _ => self.describe_tests(out, condition.tests),
        })
    }

    fn describe_all(&self, out: &mut dyn fmt::Write, conditions: Run<Condition>) -> fmt::Result {
        let conditions = &self.program.conditions[conditions];
        joined(out, conditions, " and ", |out, condition| self.describe_tests(out, condition.tests))
    }

    fn describe_tests(&self, out: &mut dyn fmt::Write, tests: Run<Test>) -> fmt::Result {
        joined(out, &self.program.tests[tests], " and ", |out, test| self.describe_test(out, test))
    }

    fn describe_test(&self, out: &mut dyn fmt::Write, test: &Test) -> fmt::Result {
        match *test {
            Test::Leaf(leaf) => self.program.leaves[leaf].describe(out, &self.numbers),
            Test::Reference(id) => {
                let reference = &self.program.references[id];
                let sign = reference.comparison.sign();
                match self.found.get(id.index()) {
                    Some(Ok(found)) => write!(out, "{sign}{found}, the value of {reference}"),
                    Some(Err(instead)) => write!(out, "{sign}the value of {reference}, which is {instead}"),
                    None => write!(out, "{sign}the value of {reference}"),
                }
            }
            Test::Size(tests) => {
                out.write_str("an array of length ")?;
                self.describe_tests(out, tests)
            }
            Test::Some(ref judge) => {
                out.write_str("an array with some element ")?;
                self.describe_judge(out, judge)
            }
            Test::Every(ref judge) => {
                out.write_str("an array with every element ")?;
                self.describe_judge(out, judge)
            }
            Test::All(conditions) => {
                out.write_str("all of (")?;
                self.describe_all(out, conditions)?;
                out.write_str(")")
            }
            Test::None(conditions) => {
                out.write_str("none of (")?;
                self.describe_any(out, conditions)?;
                out.write_str(")")
            }
            Test::But(tests) => {
                out.write_str("anything but (")?;
                self.describe_tests(out, tests)?;
                out.write_str(")")
            }
            Test::NoneOf(leaves) => {
                out.write_str("anything but ")?;
                let leaves = &self.program.leaves[leaves];
                alternatives(out, leaves, |out, leaf| leaf.describe(out, &self.numbers))
            }
        }
    }

    fn describe_judge(&self, out: &mut dyn fmt::Write, judge: &Judge) -> fmt::Result {
        match *judge {
            Judge::Pattern(pattern) => {
                out.write_str("with ")?;
                self.describe_pattern(out, &self.program.patterns[pattern])
            }
            Judge::Any(conditions) => self.describe_any(out, conditions),
        }
    }

    /// A pattern's members, as in `{status: "SUCCESS", tries: < 3}`.
    fn describe_pattern(&self, out: &mut dyn fmt::Write, pattern: &Pattern) -> fmt::Result {
        out.write_str("{")?;
        joined(out, &self.program.members[pattern.members], ", ", |out, member| match member {
            Member::Field { name, node } => {
                write!(out, "{}: ", Quoted(self.program.name(*name)))?;
                match node {
                    Node::Nested(pattern) | Node::NestedScalars { pattern, .. } => {
                        self.describe_pattern(out, &self.program.patterns[*pattern])
                    }
                    _ => self.describe_node(out, node),
                }
            }
            Member::Junction { kind, patterns } => {
                out.write_str(match kind {
                    Junction::Or => "any of (",
                    Junction::And => "all of (",
                    Junction::Nor => "none of (",
                })?;
                let patterns = &self.program.patterns[*patterns];
                joined(out, patterns, ", ", |out, pattern| self.describe_pattern(out, pattern))?;
                out.write_str(")")
            }
        })?;
        out.write_str("}")
    }
}

/// Describes items one after the other.
fn joined<T>(
    out: &mut dyn fmt::Write,
    items: &[T],
    separator: &str,
    describe: impl Fn(&mut dyn fmt::Write, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(index, item)| {
        out.write_str(if index > 0 { separator } else { "" })?;
        describe(out, item)
    })
}

/// The same with "or" before the last item.
fn alternatives<T>(
    out: &mut dyn fmt::Write,
    items: &[T],
    describe: impl Fn(&mut dyn fmt::Write, &T) -> fmt::Result,
) -> fmt::Result {
    let Some((last, others)) = items.split_last() else { return Ok(()) };
    joined(out, others, ", ", &describe)?;
    out.write_str(if others.is_empty() { "" } else { " or " })?;
    describe(out, last)
}
