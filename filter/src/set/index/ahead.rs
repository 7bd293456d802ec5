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
//! Nothing here has a say in what is found: what is fetched in vain, or not fetched, costs time and nothing else.

use super::member::{Kind, Member};
use super::scratch::Scratch;
use super::{Index, test_hash};

/// Is told of rules that are likely to match, so that what is kept of them elsewhere can be fetched.
pub(in crate::set) type Expect<'a> = &'a dyn Fn(u32);

/// What comes after a key: its first pattern and its first rule, of which either may be gone.
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
    /// Notes with the key that leads to a rule where it leads to, unless it leads to others too.
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
            if fact.wakes.as_slice().len() == 1 && fact.test.key().is_some() {
                let hash = test_hash(&self.seeds, fact.slot, &fact.test);
                self.fact_table.hint(hash, access.number(), Ahead { pattern, rule });
            }
        }
    }

    /// A text has been met that will be looked up once the object is judged which has it.
    #[inline]
    pub(in crate::set) fn anticipate(&self, slot: u32, text: &[u8], scratch: &mut Scratch) {
        if self.fact_table.is_large() {
            self.fetch_entries(slot, text, scratch);
        }
    }

    fn fetch_entries(&self, number: u32, text: &[u8], scratch: &mut Scratch) {
        let slot = self.slots.at(number);
        if !slot.keyed {
            return;
        }
        for probe in &slot.probes {
            if let Some(part) = probe.part(text) {
                let hash = self.key_hash(number, probe.tag, part);
                self.fact_table.prefetch(hash);
                scratch.sought.push(hash);
            }
        }
    }

    /// All texts have been met: fetches what their keys lead to.
    pub(super) fn fetch_found(&self, scratch: &mut Scratch, expect: Expect<'_>) {
        let facts = &mut scratch.facts;
        facts.clear();
        for hash in scratch.sought.drain(..) {
            if let Some((fact, ahead)) = self.fact_table.peek(hash) {
                self.facts.prefetch(fact);
                self.patterns.prefetch(ahead.pattern);
                if ahead.rule != Ahead::NOTHING {
                    expect(ahead.rule);
                }
                facts.push(fact);
            }
        }
        for &fact in &*facts {
            self.facts.at(fact).wakes.prefetch();
        }
    }
}
