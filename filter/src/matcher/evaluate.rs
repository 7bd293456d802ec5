//! The evaluator: applies a program to one value, parsed or as bytes.
//!
//! It does not allocate, except for nested arrays in the event-bridge dialect. It recurses over the program, whose depth is
//! limited, and never over the value, whose depth may not be.

use smallvec::SmallVec;

use super::scope::Scope;
use super::subject::{Shape, Subject};
use crate::ast::Junction;
use crate::ops::{Leaf, Literal, Num, OnArray, Reference, View};
use crate::program::{Condition, Id, Judge, Member, Node, Pattern, Program, Run, Test};
use crate::scan::{FieldCache, Raw};

/// Up to this many fields are searched for in bytes one by one, which is faster than remembering where they are.
const FEW_FIELDS: usize = 4;

/// In shorter bytes all fields are searched for one by one.
const SHORT: usize = 256;

impl Program {
    /// Whether the filter matches an event.
    pub(crate) fn matches<S: Subject>(&self, event: S) -> bool {
        match self.large(event).and_then(|bytes| self.field_cache(None, bytes)) {
            Some((cache, root)) => self.matches_here(cache.root(root)),
            None => self.matches_here(event),
        }
    }

    /// As [`matches`](Self::matches), with the value's own way to find fields.
    pub(crate) fn matches_here<S: Subject>(&self, event: S) -> bool {
        self.with_scope(event, |scope| self.judge(&self.root, event, &scope))
    }

    /// The bytes of a value in which it pays to remember where fields are.
    pub(crate) fn large<'a, S: Subject + 'a>(&self, value: S) -> Option<Raw<'a>> {
        if self.members.iter().len() + self.references.iter().len() <= FEW_FIELDS {
            return None;
        }
        self.long(value)
    }

    /// The same, where fields are asked for again and again, however few there are.
    pub(crate) fn long<'a, S: Subject + 'a>(&self, value: S) -> Option<Raw<'a>> {
        value.raw().filter(|raw| raw.source().len() > SHORT)
    }

    /// A cache for the fields that the program, or one of its nodes, names in a value, and the value; `None` if it is longer
    /// than 4 GiB.
    pub(crate) fn field_cache<'d>(
        &self,
        node: Option<&Node>,
        value: Raw<'d>,
    ) -> Option<(FieldCache<'d, '_>, Raw<'d>)> {
        Some((FieldCache::new(value.source(), self.name_tree(node)?)?, value))
    }

    /// Passes the values that the program's references lead to.
    pub(crate) fn with_scope<S: Subject, R>(&self, event: S, see: impl FnOnce(Scope<'_, S>) -> R) -> R {
        if self.references.is_empty() || S::FINDS_FIELDS_FAST {
            return see(Scope::Event(event));
        }
        // More references than in any sensible filter take one allocation.
        let found: SmallVec<[Option<S>; 8]> =
            self.references.iter().map(|reference| event.scalar_at(&reference.names)).collect();
        see(Scope::Found(&found))
    }

    /// Whether a pattern holds for an existing value.
    pub(crate) fn pattern<S: Subject>(&self, id: Id<Pattern>, value: S, scope: &Scope<'_, S>) -> bool {
        let pattern = &self.patterns[id];
        match value.shape() {
            Shape::Null => pattern.members.is_empty(),
            Shape::Object => self.members(pattern, Some(value), scope),
            Shape::Scalar | Shape::Array(_) => self.members::<S>(pattern, None, scope),
        }
    }

    /// Whether all members of a pattern hold for an object, or for one without fields.
    fn members<S: Subject>(&self, pattern: &Pattern, object: Option<S>, scope: &Scope<'_, S>) -> bool {
        self.members[pattern.members].iter().all(|member| self.member(member, object, scope))
    }

    pub(crate) fn member<S: Subject>(
        &self,
        member: &Member,
        object: Option<S>,
        scope: &Scope<'_, S>,
    ) -> bool {
        match member {
            Member::Field { name, node } => {
                self.node(node, object.and_then(|object| object.field(self.name(*name))), scope)
            }
            Member::Junction { kind, patterns } => {
                kind.holds(self.patterns[*patterns].iter().map(|p| self.members(p, object, scope)))
            }
        }
    }

    pub(crate) fn node<S: Subject>(&self, node: &Node, value: Option<S>, scope: &Scope<'_, S>) -> bool {
        match *node {
            Node::Any(conditions) => self.any(conditions, value, scope),
            Node::All(conditions) => self.all(conditions, value, scope),
            Node::Scalars { conditions, absent } => {
                let mut found = false;
                let holds = scalars(value).any(|scalar| {
                    found = true;
                    self.any(conditions, Some(scalar), scope)
                });
                if found { holds } else { absent }
            }
            Node::Nested(pattern) => match value.map(|value| (value, value.shape())) {
                None | Some((_, Shape::Null)) => self.patterns[pattern].members.is_empty(),
                Some((_, Shape::Array(mut items))) => items.any(|item| self.pattern(pattern, item, scope)),
                Some((value, _)) => self.pattern(pattern, value, scope),
            },
            Node::NestedScalars { pattern, absent } => self.nested_scalars(pattern, absent, value, scope),
        }
    }

    #[inline]
    fn any<S: Subject>(&self, conditions: Run<Condition>, value: Option<S>, scope: &Scope<'_, S>) -> bool {
        match &self.conditions[conditions] {
            [only] => self.condition(only, value, scope),
            several => self.any_of(several, value, scope),
        }
    }

    fn any_of<S: Subject>(&self, conditions: &[Condition], value: Option<S>, scope: &Scope<'_, S>) -> bool {
        if let Some(scalar) = value
            && !S::METERED
            && matches!(scalar.shape(), Shape::Null | Shape::Scalar)
        {
            return self.any_for_scalar(conditions, scalar, scope);
        }
        conditions.iter().any(|condition| self.condition(condition, value, scope))
    }

    /// As [`any`](Self::any), for a scalar, which is read from its bytes once.
    fn any_for_scalar<S: Subject>(&self, conditions: &[Condition], scalar: S, scope: &Scope<'_, S>) -> bool {
        let any = |view: View<'_>| {
            let holds = |condition: &Condition| {
                self.tests[condition.tests].iter().all(|test| self.test_scalar(test, view, scope))
            };
            conditions.iter().any(holds)
        };
        scalar.with_view(any)
    }

    fn all<S: Subject>(&self, conditions: Run<Condition>, value: Option<S>, scope: &Scope<'_, S>) -> bool {
        self.conditions[conditions].iter().all(|condition| self.condition(condition, value, scope))
    }

    pub(crate) fn condition<S: Subject>(
        &self,
        condition: &Condition,
        value: Option<S>,
        scope: &Scope<'_, S>,
    ) -> bool {
        self.tests[condition.tests].iter().all(|test| self.test(test, value, scope))
    }

    #[inline]
    fn test<S: Subject>(&self, test: &Test, value: Option<S>, scope: &Scope<'_, S>) -> bool {
        // Most tests are operators.
        match *test {
            Test::Leaf(leaf) => holds(&self.leaves[leaf], value),
            _ => self.compound(test, value, scope),
        }
    }

    /// A test that is more than an operator.
    #[inline(never)]
    fn compound<S: Subject>(&self, test: &Test, value: Option<S>, scope: &Scope<'_, S>) -> bool {
        let elements = || match value.map(Subject::shape) {
            Some(Shape::Array(items)) => Some(items),
            _ => None,
        };
        match *test {
            Test::Leaf(leaf) => holds(&self.leaves[leaf], value),
            Test::Reference(id) => value.is_some_and(|value| {
                !matches!(value.shape(), Shape::Array(_) | Shape::Object)
                    && value.with_view(|view| self.compares(id, view, scope))
            }),
            Test::Size(tests) => elements().is_some_and(|items| {
                let length = View::Number(Num::from_usize(items.count()));
                self.tests[tests].iter().all(|test| self.test_scalar(test, length, scope))
            }),
            Test::Some(ref judge) => {
                elements().is_some_and(|mut items| items.any(|item| self.judge(judge, item, scope)))
            }
            Test::Every(ref judge) => {
                elements().is_some_and(|mut items| items.all(|item| self.judge(judge, item, scope)))
            }
            Test::All(conditions) => self.all(conditions, value, scope),
            Test::None(conditions) => !self.any(conditions, value, scope),
            Test::But(tests) => !self.tests[tests].iter().all(|test| self.test(test, value, scope)),
            Test::NoneOf(leaves) => !self.leaves[leaves].iter().any(|leaf| holds(leaf, value)),
        }
    }

    #[inline]
    fn judge<S: Subject>(&self, judge: &Judge, value: S, scope: &Scope<'_, S>) -> bool {
        match *judge {
            Judge::Pattern(pattern) => self.pattern(pattern, value, scope),
            Judge::Any(conditions) => self.any(conditions, Some(value), scope),
        }
    }

    /// Whether a scalar compares as required with the value that a reference leads to.
    fn compares<S: Subject>(&self, id: Id<Reference>, value: View<'_>, scope: &Scope<'_, S>) -> bool {
        let reference = &self.references[id];
        let other = scope.scalar(id, &reference.names);
        other.is_some_and(|other| other.with_view(|other| reference.comparison.holds(value, other)))
    }

    /// A test of the length of an array, which is a scalar but not a JSON value.
    pub(crate) fn test_scalar<S: Subject>(
        &self,
        test: &Test,
        scalar: View<'_>,
        scope: &Scope<'_, S>,
    ) -> bool {
        let condition =
            |c: &Condition| self.tests[c.tests].iter().all(|test| self.test_scalar(test, scalar, scope));
        match *test {
            Test::Leaf(leaf) => self.leaves[leaf].holds(scalar),
            Test::Reference(id) => self.compares(id, scalar, scope),
            Test::All(conditions) => self.conditions[conditions].iter().all(condition),
            Test::None(conditions) => !self.conditions[conditions].iter().any(condition),
            Test::But(tests) => !self.tests[tests].iter().all(|test| self.test_scalar(test, scalar, scope)),
            Test::NoneOf(leaves) => !self.leaves[leaves].iter().any(|leaf| leaf.holds(scalar)),
            Test::Size(_) | Test::Some(_) | Test::Every(_) => false,
        }
    }

    /// A nested pattern by the rule of the event-bridge dialect: in an array, some element with a scalar at one of the
    /// pattern's paths must match all of the pattern. Without such an element, the array counts as an object without fields.
    fn nested_scalars<S: Subject>(
        &self,
        pattern: Id<Pattern>,
        absent: bool,
        value: Option<S>,
        scope: &Scope<'_, S>,
    ) -> bool {
        match value.map(|value| (value, value.shape())) {
            Some((object, Shape::Object)) => self.members(&self.patterns[pattern], Some(object), scope),
            Some((array, Shape::Array(_))) => self.in_elements(pattern, absent, array, scope).holds,
            _ => absent,
        }
    }

    fn in_elements<S: Subject>(
        &self,
        pattern: Id<Pattern>,
        absent: bool,
        array: S,
        scope: &Scope<'_, S>,
    ) -> Joint {
        let mut seen = false;
        for element in Leaves::of(Some(array)) {
            let Shape::Object = element.shape() else { continue };
            let joint = self.joint(&self.patterns[pattern], element, scope);
            seen |= joint.seen;
            if joint.seen && joint.holds {
                return joint;
            }
        }
        Joint { seen, holds: !seen && absent }
    }

    /// Whether an element has a scalar at a path of the pattern, and whether it matches, in one walk: two walks at every
    /// level would take time exponential in the depth.
    fn joint<S: Subject>(&self, pattern: &Pattern, object: S, scope: &Scope<'_, S>) -> Joint {
        let mut all = Joint { seen: false, holds: true };
        for member in &self.members[pattern.members] {
            let joint = self.joint_member(member, object, scope);
            all.seen |= joint.seen;
            all.holds &= joint.holds;
        }
        all
    }

    fn joint_member<S: Subject>(&self, member: &Member, object: S, scope: &Scope<'_, S>) -> Joint {
        let (name, node) = match member {
            Member::Field { name, node } => (name, node),
            Member::Junction { kind, patterns } => {
                let (mut seen, mut any, mut every) = (false, false, true);
                for pattern in &self.patterns[*patterns] {
                    let joint = self.joint(pattern, object, scope);
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
        let value = object.field(self.name(*name));
        match *node {
            Node::NestedScalars { pattern, absent } => match value.map(|value| (value, value.shape())) {
                Some((object, Shape::Object)) => self.joint(&self.patterns[pattern], object, scope),
                Some((array, Shape::Array(_))) => self.in_elements(pattern, absent, array, scope),
                _ => Joint { seen: false, holds: absent },
            },
            _ => Joint { seen: scalars(value).next().is_some(), holds: self.node(node, value, scope) },
        }
    }
}

/// Whether an element has a scalar at one of a pattern's paths, and whether it matches.
#[derive(Clone, Copy, Debug)]
struct Joint {
    seen: bool,
    holds: bool,
}

/// Applies one operator to a value.
pub(crate) fn holds<S: Subject>(leaf: &Leaf, value: Option<S>) -> bool {
    let Some(value) = value else { return leaf.holds(View::Missing) };
    value.charge(leaf);
    let Shape::Array(mut items) = value.shape() else { return value.with_view(|view| leaf.holds(view)) };
    // A nested array equals no literal.
    let mut equal = |literal: &Literal| items.any(|item| equals(literal, item));
    match leaf.on_array() {
        OnArray::Fixed(answer) => answer,
        OnArray::Includes(literal) => equal(literal),
        OnArray::Lacks(literal) => !equal(literal),
    }
}

/// Whether a value equals a literal.
pub(crate) fn equals<S: Subject>(literal: &Literal, value: S) -> bool {
    !matches!(value.shape(), Shape::Array(_) | Shape::Object) && value.with_view(|view| literal.equals(view))
}

/// Iterates over the elements of an array, with nested arrays flattened. A value other than an array is its only element.
pub(crate) struct Leaves<S: Subject> {
    single: Option<S>,
    current: Option<S::Elements>,
    // Stays empty, without an allocation, unless arrays are nested.
    outer: Vec<S::Elements>,
}

impl<S: Subject> Leaves<S> {
    pub(crate) fn of(value: Option<S>) -> Self {
        let (single, current) = match value.map(Subject::shape) {
            Some(Shape::Array(items)) => (None, Some(items)),
            _ => (value, None),
        };
        Self { single, current, outer: Vec::new() }
    }
}

impl<S: Subject> Iterator for Leaves<S> {
    type Item = S;

    fn next(&mut self) -> Option<S> {
        if let Some(value) = self.single.take() {
            return Some(value);
        }
        loop {
            match self.current.as_mut()?.next() {
                Some(value) => match value.shape() {
                    Shape::Array(items) => self.outer.extend(self.current.replace(items)),
                    _ => return Some(value),
                },
                None => self.current = Some(self.outer.pop()?),
            }
        }
    }
}

/// The scalars, null included, among the [`Leaves`] of a value.
pub(crate) fn scalars<S: Subject>(value: Option<S>) -> impl Iterator<Item = S> {
    Leaves::of(value).filter(|value| !matches!(value.shape(), Shape::Object))
}
