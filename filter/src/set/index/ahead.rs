//! Having the processor fetch what is likely to be looked at.
//!
//! What a large set needs to know of one event lies in a handful of places, hardly any of which is in a cache. One leads
//! to the next, so that the processor would wait for each of them in turn, which is most of what an event takes. They are
//! fetched ahead instead:
//!
//! ```text
//!  a text is met      ─► entry of the table of facts          while the rest of the object is read
//!  the object is over ─► fact, pattern, id, for all of its    all at once
//!                        texts, by what the entries say
//! ```
//!
//! The same goes for adding filters, of which a builder knows the next ones.
//!
//! What an entry says of pattern and rule has no say in what is found: what is fetched in vain, or not fetched, costs time
//! and nothing else. The entry itself is the one that the lookup would find, so it is found once.

use super::member::{Kind, Member};
use super::scratch::{Scratch, Sought, SoughtAt};
use super::{Index, ROOT, only_leaf, simple, test_hash};
use crate::program::{self, Node, Program};

/// Is told of rules that are likely to match, so that what is kept of them elsewhere can be fetched.
pub(in crate::set) type Expect<'a> = &'a dyn Fn(u32);

/// What comes after a key: a pattern, and the rule if there is only one; either may be gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ahead {
    pattern: u32,
    rule: u32,
}

impl Ahead {
    const NOTHING: u32 = u32::MAX;
}

impl Default for Ahead {
    fn default() -> Self {
        Self { pattern: Self::NOTHING, rule: Self::NOTHING }
    }
}

impl Index {
    /// Notes with the key that leads to a rule where it leads to.
    pub(super) fn look_ahead(&mut self, mut access: Member, rule: u32) {
        let mut pattern = Ahead::NOTHING;
        while access.kind() == Kind::Pattern {
            let next = self.patterns.at(access.number());
            let Some(place) = next.access else { return };
            pattern = access.number();
            access = next.members.get(place);
        }
        if access.kind() == Kind::Fact {
            let fact = self.facts.at(access.number());
            let rule = match fact.wakes.as_slice().len() {
                1 => rule,
                2 => Ahead::NOTHING,
                _ => return,
            };
            if fact.test.key().is_some() {
                let hash = test_hash(&self.seeds, fact.slot, &fact.test);
                self.fact_table.hint(hash, access.number(), Ahead { pattern, rule });
            }
        }
    }

    /// A filter will be added soon: fetches the entries of its keys.
    pub(in crate::set) fn foresee(&self, program: &Program) {
        if self.fact_table.is_large() {
            self.foresee_pattern(program, &program.patterns[program.root], ROOT);
        }
    }

    fn foresee_pattern(&self, program: &Program, pattern: &program::Pattern, level: u32) {
        for member in &program.members[pattern.members] {
            let program::Member::Field { name, node } = member else { continue };
            let Some(slot) = self.child(level, program.name(*name).as_bytes()) else { continue };
            match *node {
                Node::Nested(pattern) | Node::NestedScalars { pattern, .. } => {
                    if let Some(inner) = self.inner(slot) {
                        self.foresee_pattern(program, &program.patterns[pattern], inner);
                    }
                }
                _ => {
                    let deep = matches!(node, Node::Scalars { .. });
                    if let Some((tag, payload)) = only_leaf(program, node).and_then(simple) {
                        self.fact_table.prefetch(self.key_hash(slot, tag.deep(deep), &payload));
                    }
                }
            }
        }
    }

    /// A text has been met that will be looked up once the object is judged which has it. Gives where its keys are among those
    /// sought.
    #[inline]
    pub(in crate::set) fn anticipate(
        &self,
        slot: u32,
        text: &[u8],
        scratch: &mut Scratch,
    ) -> Option<SoughtAt> {
        if self.fact_table.is_large() { self.fetch_entries(slot, text, scratch) } else { None }
    }

    fn fetch_entries(&self, number: u32, text: &[u8], scratch: &mut Scratch) -> Option<SoughtAt> {
        let slot = self.slots.at(number);
        if !slot.keyed {
            return None;
        }
        let place = u32::try_from(scratch.sought.len()).ok()?.checked_add(1)?;
        for (probe, part) in slot.parts(text) {
            let hash = self.key_hash(number, probe.tag, part);
            self.fact_table.prefetch(hash);
            scratch.sought.push(Sought { hash, fact: None, many: false });
        }
        SoughtAt::new(place)
    }

    /// All texts have been met: fetches what their keys lead to.
    pub(in crate::set) fn fetch_found(&self, scratch: &mut Scratch, expect: Expect<'_>) {
        let Some(new) = scratch.sought.get_mut(scratch.found_of_sought..) else { return };
        for sought in &mut *new {
            if let Some((fact, ahead)) = self.fact_table.peek(sought.hash) {
                self.facts.prefetch(fact);
                self.patterns.prefetch(ahead.pattern);
                if ahead.rule != Ahead::NOTHING {
                    expect(ahead.rule);
                }
                sought.fact = Some(fact);
                sought.many = ahead.rule == Ahead::NOTHING;
            }
        }
        // Only now, since this waits for the facts.
        for fact in new.iter().filter(|sought| sought.many).filter_map(|sought| sought.fact) {
            self.facts.at(fact).wakes.prefetch();
        }
        scratch.found_of_sought = scratch.sought.len();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::fact::Tag;
    use super::{Index, Scratch};
    use crate::Filter;
    use crate::set::walk::walk_bytes;

    /// What is fetched ahead is found by half of a hash, so that it may be another's with the same half.
    #[test]
    fn keys_that_share_half_of_a_hash_are_told_apart() {
        let mut index = Index::new();
        let mut rules = HashMap::new();
        let add = |index: &mut Index, rules: &mut HashMap<String, u32>, text: String| {
            let filter = Filter::parse(&format!(r#"{{"a": "{text}"}}"#)).expect("it is a filter");
            rules.entry(text).or_insert_with(|| index.add(filter.program(), 0));
        };
        // As many as make a large set.
        for number in 0.. {
            if index.fact_table.is_large() {
                break;
            }
            add(&mut index, &mut rules, format!("filler {number}"));
        }
        let slot = index.child(super::super::ROOT, b"a").expect("filters name it");
        // Of 2ⁿ hashes 2²ⁿ⁻³³ pairs share 32 bits, on average: of these, 32.
        let mut halves = HashMap::new();
        let mut pairs = Vec::new();
        for number in 0..1 << 19 {
            let text = format!("text {number}");
            let hash = index.key_hash(slot, Tag::TEXT, text.as_bytes());
            if let Some(other) = halves.insert(hash >> 32, number) {
                pairs.push([format!("text {other}"), text]);
            }
        }
        assert!(!pairs.is_empty());
        for text in pairs.iter().flatten() {
            add(&mut index, &mut rules, text.clone());
        }
        let mut scratch = Scratch::default();
        for text in pairs.iter().flatten() {
            let event = format!(r#"{{"a": "{text}"}}"#);
            assert!(walk_bytes::<true, true>(&index, event.as_bytes(), 128, &mut scratch, &|_| ()).is_ok());
            assert_eq!(scratch.matched, [rules[text]], "{text}");
        }
    }
}
