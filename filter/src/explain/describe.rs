//! Descriptions of conditions, as they follow the word "expected".

use std::fmt;

use crate::ast::Junction;
use crate::ops::text::Quoted;
use crate::ops::{Leaf, Spellings};
use crate::program::{Condition, Id, Judge, Member, Node, Pattern, Program, Run, Test};

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
                self.describe_pattern(out, pattern)
            }
        }
    }

    pub(super) fn describe_any(&self, out: &mut dyn fmt::Write, conditions: Run<Condition>) -> fmt::Result {
        let conditions = &self.program.conditions[conditions];
        for (index, condition) in conditions.iter().enumerate() {
            separate(out, index, conditions.len(), "or")?;
            self.describe_tests(out, condition.tests)?;
        }
        Ok(())
    }

    /// Conditions on the scalars of an object or array, for which presence means to have a scalar.
    pub(super) fn describe_scalars(
        &self,
        out: &mut dyn fmt::Write,
        conditions: Run<Condition>,
    ) -> fmt::Result {
        let conditions = &self.program.conditions[conditions];
        for (index, condition) in conditions.iter().enumerate() {
            separate(out, index, conditions.len(), "or")?;
            let leaf = match self.program.tests[condition.tests] {
                [Test::Leaf(leaf)] => Some(&self.program.leaves[leaf]),
                _ => None,
            };
            match leaf {
                Some(Leaf::Exists(true)) => out.write_str("a scalar")?,
                Some(Leaf::Exists(false)) => out.write_str("no scalar")?,
                _ => self.describe_tests(out, condition.tests)?,
            }
        }
        Ok(())
    }

    fn describe_all(&self, out: &mut dyn fmt::Write, conditions: Run<Condition>) -> fmt::Result {
        for (index, condition) in self.program.conditions[conditions].iter().enumerate() {
            if index > 0 {
                out.write_str(" and ")?;
            }
            self.describe_tests(out, condition.tests)?;
        }
        Ok(())
    }

    fn describe_tests(&self, out: &mut dyn fmt::Write, tests: Run<Test>) -> fmt::Result {
        for (index, test) in self.program.tests[tests].iter().enumerate() {
            if index > 0 {
                out.write_str(" and ")?;
            }
            self.describe_test(out, test)?;
        }
        Ok(())
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
                for (index, leaf) in leaves.iter().enumerate() {
                    separate(out, index, leaves.len(), "or")?;
                    leaf.describe(out, &self.numbers)?;
                }
                Ok(())
            }
        }
    }

    fn describe_judge(&self, out: &mut dyn fmt::Write, judge: &Judge) -> fmt::Result {
        match *judge {
            Judge::Pattern(pattern) => {
                out.write_str("with ")?;
                self.describe_pattern(out, pattern)
            }
            Judge::Any(conditions) => self.describe_any(out, conditions),
        }
    }

    /// A pattern's members, as in `{status: "SUCCESS", tries: < 3}`.
    fn describe_pattern(&self, out: &mut dyn fmt::Write, pattern: Id<Pattern>) -> fmt::Result {
        self.describe_members(out, &self.program.patterns[pattern])
    }

    fn describe_members(&self, out: &mut dyn fmt::Write, pattern: &Pattern) -> fmt::Result {
        out.write_str("{")?;
        for (index, member) in self.program.members[pattern.members].iter().enumerate() {
            if index > 0 {
                out.write_str(", ")?;
            }
            match member {
                Member::Field { name, node: Node::Nested(pattern) | Node::NestedScalars { pattern, .. } } => {
                    write!(out, "{}: ", Quoted(self.program.name(*name)))?;
                    self.describe_pattern(out, *pattern)?;
                }
                Member::Field { name, node } => {
                    write!(out, "{}: ", Quoted(self.program.name(*name)))?;
                    self.describe_node(out, node)?;
                }
                Member::Junction { kind, patterns } => {
                    out.write_str(match kind {
                        Junction::Or => "any of (",
                        Junction::And => "all of (",
                        Junction::Nor => "none of (",
                    })?;
                    for (index, pattern) in self.program.patterns[*patterns].iter().enumerate() {
                        if index > 0 {
                            out.write_str(", ")?;
                        }
                        self.describe_members(out, pattern)?;
                    }
                    out.write_str(")")?;
                }
            }
        }
        out.write_str("}")
    }
}

fn separate(out: &mut dyn fmt::Write, index: usize, count: usize, last: &str) -> fmt::Result {
    match index {
        0 => Ok(()),
        index if index + 1 == count => write!(out, " {last} "),
        _ => out.write_str(", "),
    }
}
