//! The value engine: a program against a `serde_json::Value`.
//!
//! It allocates nothing, but for arrays nested in arrays in the event-bridge dialect. It recurses over the program, whose
//! depth is limited, and never over the value, whose depth is not.

use serde_json::{Map, Value};

use crate::ast::Junction;
use crate::ops::{Fold, Leaf, Literal, Num, View};
use crate::program::{Condition, Id, Judge, Member, Node, Pattern, Program, Run, Test};

/// The value as operators see it; an array has no view, its elements are asked instead.
pub(crate) fn view(value: Option<&Value>) -> Result<View<'_>, &[Value]> {
    Ok(match value {
        None => View::Missing,
        Some(Value::Null) => View::Null,
        Some(Value::Bool(bool)) => View::Bool(*bool),
        Some(Value::Number(number)) => Num::new(number).map_or(View::Unrepresentable, View::Number),
        Some(Value::String(text)) => View::String(text),
        Some(Value::Object(_)) => View::Object,
        Some(Value::Array(items)) => return Err(items),
    })
}

impl Program {
    /// Whether the filter matches an event.
    pub(crate) fn matches(&self, event: &Value) -> bool {
        self.pattern(self.root, event)
    }

    /// Whether a pattern holds for a value that is there.
    pub(crate) fn pattern(&self, id: Id<Pattern>, value: &Value) -> bool {
        let pattern = &self.patterns[id];
        match value {
            Value::Null => pattern.members.is_empty(),
            Value::Object(fields) => self.members(pattern, Some(fields)),
            _ => self.members(pattern, None),
        }
    }

    fn members(&self, pattern: &Pattern, fields: Option<&Map<String, Value>>) -> bool {
        self.members[pattern.members].iter().all(|member| self.member(member, fields))
    }

    pub(crate) fn member(&self, member: &Member, fields: Option<&Map<String, Value>>) -> bool {
        match member {
            Member::Field { name, node } => self.node(node, fields.and_then(|map| map.get(self.name(*name)))),
            Member::Junction { kind, patterns } => {
                let mut verdicts = self.patterns[*patterns].iter().map(|p| self.members(p, fields));
                match kind {
                    Junction::Or => verdicts.any(|holds| holds),
                    Junction::And => verdicts.all(|holds| holds),
                    Junction::Nor => !verdicts.any(|holds| holds),
                }
            }
        }
    }

    pub(crate) fn node(&self, node: &Node, value: Option<&Value>) -> bool {
        match *node {
            Node::Any(conditions) => self.any(conditions, value),
            Node::All(conditions) => self.all(conditions, value),
            Node::Scalars { conditions, absent } => {
                let mut found = false;
                let holds = Scalars::of(value).any(|scalar| {
                    found = true;
                    self.any(conditions, Some(scalar))
                });
                if found { holds } else { absent }
            }
            Node::Nested(pattern) => match value {
                None | Some(Value::Null) => self.patterns[pattern].members.is_empty(),
                Some(Value::Array(items)) => items.iter().any(|item| self.pattern(pattern, item)),
                Some(value) => self.pattern(pattern, value),
            },
            Node::NestedScalars { pattern, absent } => self.nested_scalars(pattern, absent, value),
        }
    }

    fn any(&self, conditions: Run<Condition>, value: Option<&Value>) -> bool {
        self.conditions[conditions].iter().any(|condition| self.condition(condition, value))
    }

    fn all(&self, conditions: Run<Condition>, value: Option<&Value>) -> bool {
        self.conditions[conditions].iter().all(|condition| self.condition(condition, value))
    }

    pub(crate) fn condition(&self, condition: &Condition, value: Option<&Value>) -> bool {
        self.tests[condition.tests].iter().all(|test| self.test(test, value))
    }

    fn test(&self, test: &Test, value: Option<&Value>) -> bool {
        match *test {
            Test::Leaf(leaf) => holds(&self.leaves[leaf], value),
            Test::Size(tests) => match value {
                Some(Value::Array(items)) => {
                    let length = View::Number(Num::from_usize(items.len()));
                    self.tests[tests].iter().all(|test| self.test_scalar(test, length))
                }
                _ => false,
            },
            Test::Some(ref judge) => match value {
                Some(Value::Array(items)) => items.iter().any(|item| self.judge(judge, item)),
                _ => false,
            },
            Test::Every(ref judge) => match value {
                Some(Value::Array(items)) => items.iter().all(|item| self.judge(judge, item)),
                _ => false,
            },
            Test::All(conditions) => self.all(conditions, value),
            Test::None(conditions) => !self.any(conditions, value),
            Test::But(tests) => !self.tests[tests].iter().all(|test| self.test(test, value)),
            Test::NoneOf(leaves) => !self.leaves[leaves].iter().any(|leaf| holds(leaf, value)),
        }
    }

    fn judge(&self, judge: &Judge, element: &Value) -> bool {
        match *judge {
            Judge::Pattern(pattern) => self.pattern(pattern, element),
            Judge::Any(conditions) => self.any(conditions, Some(element)),
        }
    }

    /// A test of something that is a scalar and no JSON value: the length of an array.
    pub(crate) fn test_scalar(&self, test: &Test, scalar: View<'_>) -> bool {
        let condition = |c: &Condition| self.tests[c.tests].iter().all(|test| self.test_scalar(test, scalar));
        match *test {
            Test::Leaf(leaf) => self.leaves[leaf].holds(scalar),
            Test::All(conditions) => self.conditions[conditions].iter().all(condition),
            Test::None(conditions) => !self.conditions[conditions].iter().any(condition),
            Test::But(tests) => !self.tests[tests].iter().all(|test| self.test_scalar(test, scalar)),
            Test::NoneOf(leaves) => !self.leaves[leaves].iter().any(|leaf| leaf.holds(scalar)),
            Test::Size(_) | Test::Some(_) | Test::Every(_) => false,
        }
    }

    /// A nested pattern by the event-bridge dialect's rule: on an array, some element that has a scalar at one of the
    /// pattern's paths must match all of it; without such an element the array is as an object without fields.
    fn nested_scalars(&self, pattern: Id<Pattern>, absent: bool, value: Option<&Value>) -> bool {
        match value {
            Some(Value::Object(fields)) => self.members(&self.patterns[pattern], Some(fields)),
            Some(Value::Array(_)) => self.in_elements(pattern, absent, value).holds,
            _ => absent,
        }
    }

    fn in_elements(&self, pattern: Id<Pattern>, absent: bool, array: Option<&Value>) -> Joint {
        let mut seen = false;
        for element in Leaves::of(array) {
            let Value::Object(fields) = element else { continue };
            let joint = self.joint(&self.patterns[pattern], fields);
            seen |= joint.seen;
            if joint.seen && joint.holds {
                return joint;
            }
        }
        Joint { seen, holds: !seen && absent }
    }

    /// Whether an element has a scalar at a path of the pattern, and whether it matches, in one walk: asking twice at
    /// every level would take time exponential in the depth.
    fn joint(&self, pattern: &Pattern, fields: &Map<String, Value>) -> Joint {
        let mut all = Joint { seen: false, holds: true };
        for member in &self.members[pattern.members] {
            let joint = self.joint_member(member, fields);
            all.seen |= joint.seen;
            all.holds &= joint.holds;
        }
        all
    }

    fn joint_member(&self, member: &Member, fields: &Map<String, Value>) -> Joint {
        let (name, node) = match member {
            Member::Field { name, node } => (name, node),
            Member::Junction { kind, patterns } => {
                let (mut seen, mut any, mut every) = (false, false, true);
                for pattern in &self.patterns[*patterns] {
                    let joint = self.joint(pattern, fields);
                    seen |= joint.seen;
                    any |= joint.holds;
                    every &= joint.holds;
                }
                let holds = match kind {
                    Junction::Or => any,
                    Junction::And => every,
                    Junction::Nor => !any,
                };
                return Joint { seen, holds };
            }
        };
        let value = fields.get(self.name(*name));
        match *node {
            Node::NestedScalars { pattern, absent } => match value {
                Some(Value::Object(fields)) => self.joint(&self.patterns[pattern], fields),
                Some(Value::Array(_)) => self.in_elements(pattern, absent, value),
                _ => Joint { seen: false, holds: absent },
            },
            _ => Joint { seen: Scalars::of(value).next().is_some(), holds: self.node(node, value) },
        }
    }
}

/// What is known of an element: whether it has a scalar at one of a pattern's paths, and whether it matches.
#[derive(Clone, Copy, Debug)]
struct Joint {
    seen: bool,
    holds: bool,
}

/// One operator on a value.
pub(crate) fn holds(leaf: &Leaf, value: Option<&Value>) -> bool {
    match view(value) {
        Ok(view) => leaf.holds(view),
        Err(items) => {
            // An array nested in the array equals no literal.
            let equal = |literal: &Literal| {
                items.iter().any(|item| view_of(item).is_some_and(|view| literal.equals(view)))
            };
            match leaf.on_array() {
                Fold::Fixed(answer) => answer,
                Fold::Includes(literal) => equal(literal),
                Fold::Lacks(literal) => !equal(literal),
            }
        }
    }
}

fn view_of(value: &Value) -> Option<View<'_>> {
    view(Some(value)).ok()
}

/// What a value holds when arrays are looked into, arrays in arrays too: itself, if it is no array.
pub(crate) struct Leaves<'v> {
    single: Option<&'v Value>,
    current: std::slice::Iter<'v, Value>,
    // Empty, and so without allocation, unless arrays are nested in arrays.
    outer: Vec<std::slice::Iter<'v, Value>>,
}

impl<'v> Leaves<'v> {
    pub(crate) fn of(value: Option<&'v Value>) -> Self {
        let (single, items) = match value {
            Some(Value::Array(items)) => (None, items.as_slice()),
            other => (other, [].as_slice()),
        };
        Self { single, current: items.iter(), outer: Vec::new() }
    }
}

impl<'v> Iterator for Leaves<'v> {
    type Item = &'v Value;

    fn next(&mut self) -> Option<&'v Value> {
        if let Some(value) = self.single.take() {
            return Some(value);
        }
        loop {
            match self.current.next() {
                Some(Value::Array(items)) => {
                    let rest = std::mem::replace(&mut self.current, items.iter());
                    self.outer.push(rest);
                }
                Some(value) => return Some(value),
                None => self.current = self.outer.pop()?,
            }
        }
    }
}

/// The scalars, null too, that a value is or holds in arrays.
pub(crate) struct Scalars<'v>(Leaves<'v>);

impl<'v> Scalars<'v> {
    pub(crate) fn of(value: Option<&'v Value>) -> Self {
        Self(Leaves::of(value))
    }
}

impl<'v> Iterator for Scalars<'v> {
    type Item = &'v Value;

    fn next(&mut self) -> Option<&'v Value> {
        self.0.find(|value| !matches!(value, Value::Object(_)))
    }
}
