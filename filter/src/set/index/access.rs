//! Choosing accesses: the requirement that is expected to hold least often.

use super::requirement::{Position, Requirement, RequirementKind, Requirements};
use super::{Index, plan, scopes};

impl Index {
    /// Whether a requirement holds for an object without fields.
    pub(super) fn holds_for_empty(&self, requirement: Requirement) -> bool {
        match requirement.kind() {
            RequirementKind::Predicate => self.predicates.at(requirement.index()).on_missing,
            // A nested pattern with requirements does not hold for a missing field.
            RequirementKind::Pattern => false,
            RequirementKind::Junction => {
                let junction = self.junctions.at(requirement.index());
                let holds = junction.patterns.iter().any(|&p| self.patterns.at(p).on_empty);
                holds == junction.any
            }
        }
    }

    /// The cheapest requirement and its cost; `None` if all may hold for an object without fields.
    pub(super) fn access(&self, requirements: &Requirements) -> (Option<Position>, u8) {
        let mut best: (Option<Position>, u8) = (None, u8::MAX);
        for (position, requirement) in requirements.iter().enumerate().take(usize::from(u8::MAX)) {
            let cost = self.cost(requirement);
            if cost < best.1 {
                best = (Position::new(position), cost);
            }
        }
        if let (Some(position), cost) = best
            && let uses = self.uses(requirements.get(position))
            && uses > scopes::SHARED
        {
            // A pattern is found wherever it holds, whether it is an access or not. So a rarer one costs little, and so does a
            // junction that few objects satisfy.
            let others = requirements.iter().enumerate().filter(|(_, other)| match other.kind() {
                RequirementKind::Predicate => false,
                RequirementKind::Pattern => self.cost(*other) < u8::MAX,
                RequirementKind::Junction => self.cost(*other) < plan::FEW_VALUES,
            });
            let fewest = others.map(|(position, other)| (self.uses(other), position)).min();
            if let Some((_, position)) = fewest.filter(|(fewest, _)| fewest * 4 < uses)
                && let Some(position) = Position::new(position)
            {
                best = (Some(position), cost);
            }
        }
        best
    }

    /// The requirement other than the access to check first: the one that holds least often. Junctions come last, since checking
    /// one takes as long as checking the requirements of all its patterns: for two lists of arrays, some microseconds.
    pub(super) fn other(&self, requirements: &Requirements, access: Option<Position>) -> Option<Requirement> {
        let all = requirements.iter().enumerate();
        let others = all.filter(|&(position, _)| access.is_none_or(|access| position != access.index()));
        others.map(|(_, requirement)| requirement).min_by_key(|&requirement| {
            (requirement.kind() == RequirementKind::Junction, self.cost(requirement))
        })
    }

    /// The expected number of dependents that a requirement checks in vain, on the logarithmic scale of [`plan`]; `u8::MAX` if
    /// it may hold for a missing field.
    pub(super) fn cost(&self, requirement: Requirement) -> u8 {
        let (cost, uses) = match requirement.kind() {
            RequirementKind::Predicate => {
                let predicate = self.predicates.at(requirement.index());
                (predicate.cost, predicate.uses)
            }
            RequirementKind::Pattern => {
                let pattern = self.patterns.at(requirement.index());
                (pattern.cost.min(plan::EVERY), pattern.uses)
            }
            RequirementKind::Junction => {
                let junction = self.junctions.at(requirement.index());
                let cost = junction.patterns.iter().map(|&p| self.patterns.at(p).cost).max();
                (cost.filter(|_| junction.any).unwrap_or(u8::MAX), junction.uses)
            }
        };
        // At most 31.
        let shared = uses.max(1).ilog2() as u8;
        if cost == u8::MAX { cost } else { cost.saturating_add(shared).min(u8::MAX - 1) }
    }

    pub(super) fn uses(&self, requirement: Requirement) -> u32 {
        match requirement.kind() {
            RequirementKind::Predicate => self.predicates.at(requirement.index()).uses,
            RequirementKind::Pattern => self.patterns.at(requirement.index()).uses,
            RequirementKind::Junction => self.junctions.at(requirement.index()).uses,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::set::index::{Index, ROOT, RequirementKind};
    use crate::{Dialect, FilterOptions};

    #[test]
    fn a_predicate_is_checked_before_a_junction() {
        let rule = r#"{"country": ["AT", "DE"], "price": [{"numeric": [">=", 5]}],
            "$or": [{"deals": ["a", "b"]}, {"segments": [1, 2, 3]}]}"#;
        let filter = FilterOptions::new().dialect(Dialect::EventBridge).parse(rule).unwrap();
        let mut index = Index::new();
        let requirements = {
            let program = filter.program();
            index.requirements(program, &program.root_pattern(), ROOT)
        };
        let (access, _) = index.access(&requirements);
        let mut kinds = requirements.iter().map(|requirement| requirement.kind());
        assert!(kinds.any(|kind| kind == RequirementKind::Junction), "the rule has a junction");
        let other = index.other(&requirements, access).map(|other| other.kind());
        assert_eq!(other, Some(RequirementKind::Predicate));
    }
}
