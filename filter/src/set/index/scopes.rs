//! Scopes: what many dependents of one access require besides it.
//!
//! A condition such as `{"type": "order"}` may be the rarest that a rule has and still be shared by a million rules, which differ
//! in `{"total": {"$gt": 17}}`. Checking them all for every order would take as long as matching them one by one, and being found
//! by the total would for every event with a total. So such a rule is found by both together: the field `total` has a second
//! node *in the scope* of the access, with predicates, keys and ranges of its own, by which its value is looked up only when
//! the access holds.
//!
//! ```text
//!  type = "order" ──► postings of the first few rules
//!                └──► scope ──► total (scoped field) ──► total > 17 (scoped predicate) ──► postings of the others
//! ```
//!
//! A scoped predicate is not a requirement, only the place where a dependent is posted: the requirements are checked as always.

use std::hash::BuildHasher as _;

use super::requirement::{Position, Requirement, RequirementKind, Requirements};
use super::{FieldNode, Index};

/// With this number of uses, an access is too frequent to check all of its dependents.
pub(super) const SHARED: u32 = 32;

/// The scoped fields of one access.
#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Scope {
    access: Option<Requirement>,
    pub(in crate::set) fields: Vec<u32>,
}

impl Scope {
    pub(super) fn bytes(&self) -> usize {
        self.fields.capacity() * size_of::<u32>()
    }
}

impl Index {
    /// The scope of an access, if it has one.
    pub(in crate::set) fn scope(&self, access: Requirement) -> Option<&Scope> {
        self.scope_number(access).map(|number| self.scopes.at(number))
    }

    fn scope_number(&self, access: Requirement) -> Option<u32> {
        self.scope_table.find(self.scope_hash(access), |number| self.scopes.at(number).access == Some(access))
    }

    fn scope_hash(&self, access: Requirement) -> u64 {
        self.seeds.hash_one(access.packed())
    }

    /// The access of requirements and, if that is frequent, a scoped predicate with one use in which to post the dependent.
    pub(super) fn scoped(&mut self, requirements: &Requirements, position: Option<Position>) -> Option<u32> {
        let access = requirements.get(position?);
        if self.uses(access) <= SHARED || access.kind() == RequirementKind::Junction {
            return None;
        }
        let others = requirements.iter().filter(|&other| other != access);
        let predicates = others.filter(|other| other.kind() == RequirementKind::Predicate);
        let (cost, other) =
            predicates.map(|other| (self.cost(other), other)).min_by_key(|&(cost, _)| cost)?;
        (cost < u8::MAX).then(|| self.add_scoped(access, other.index()))
    }

    /// Adds a use to the predicate in the scope of an access that is equal to another one.
    fn add_scoped(&mut self, access: Requirement, predicate: u32) -> u32 {
        let base = self.predicates.at(predicate).field;
        let field = self.scoped_field(access, base);
        let predicate = self.predicates.at(predicate);
        let (deep, test) = (predicate.deep, predicate.test.clone());
        match test.key() {
            Some((tag, payload)) => self.key(field, tag, payload),
            None => self.predicate(field, deep, test),
        }
    }

    /// Finds or adds a field in the scope of an access. A new one has no uses: the caller has to add one.
    fn scoped_field(&mut self, access: Requirement, base: u32) -> u32 {
        let scope = self.scope_number(access).unwrap_or_else(|| {
            let number = self.scopes.add(Scope { access: Some(access), fields: Vec::new() });
            self.scope_table.insert(self.scope_hash(access), number);
            self.set_has_scope(access, true);
            number
        });
        let fields = &self.scopes.at(scope).fields;
        if let Some(&field) = fields.iter().find(|&&field| self.fields.at(field).base == base) {
            return field;
        }
        let field = self.fields.add(FieldNode { base, scope: scope + 1, ..FieldNode::default() });
        self.fields.at_mut(base).uses += 1;
        self.scopes.at_mut(scope).fields.push(field);
        self.scoped_fields += 1;
        field
    }

    /// Releases what a scoped field without uses refers to.
    pub(super) fn release_scoped_field(&mut self, number: u32, FieldNode { base, scope, .. }: &FieldNode) {
        self.scoped_fields -= 1;
        let number_of_scope = scope - 1;
        let scope = self.scopes.at_mut(number_of_scope);
        scope.fields.retain(|&field| field != number);
        if scope.fields.is_empty()
            && let Some(access) = scope.access
        {
            self.scope_table.remove(self.scope_hash(access), number_of_scope);
            self.scopes.take(number_of_scope);
            self.set_has_scope(access, false);
        }
        self.release_field(*base);
    }

    fn set_has_scope(&mut self, access: Requirement, has: bool) {
        match access.kind() {
            RequirementKind::Predicate => self.predicates.at_mut(access.index()).has_scope = has,
            RequirementKind::Pattern => self.patterns.at_mut(access.index()).has_scope = has,
            RequirementKind::Junction => {}
        }
    }
}
