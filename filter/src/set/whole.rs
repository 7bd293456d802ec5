//! The filters of a set that are conditions on the event itself, whatever it is.
//!
//! They have an index of their own, in which the event is the value of the only field. So everything that finds conditions on
//! a field finds these: literals by hashing, elements of an array by their fields, and so on.

use serde_json::Value;

use super::index::Index;
use super::matching::{self, Scratch};
use super::stats::SetStats;
use super::store::Arena;
use crate::program::Program;
use crate::scan::Scan;

#[derive(Clone, Debug)]
pub(super) struct Whole {
    index: Index,
    /// The numbers that the rules of this index have in the set.
    rules: Arena<u32>,
}

impl Whole {
    pub(super) fn new() -> Self {
        Self { index: Index::new(), rules: Arena::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.live() == 0
    }

    /// Adds a rule, which has the number `rule` in the set, and returns its number here.
    pub(super) fn insert(&mut self, program: &Program, order: u64, rule: u32) -> u32 {
        let number = self.index.add(program, order);
        let place = self.rules.add(rule);
        debug_assert_eq!(number, place, "rules of both are numbered alike");
        number
    }

    pub(super) fn remove(&mut self, number: u32) {
        self.index.remove(number);
        self.rules.take(number);
    }

    /// Adds the rules that match an event to those in `scratch.matched`.
    pub(super) fn add_matching(&self, event: &Value, scratch: &mut Scratch) {
        std::mem::swap(&mut scratch.matched, &mut scratch.others);
        matching::match_whole_value(&self.index, event, scratch, &|_| ());
        self.join(scratch);
    }

    /// The same, for the bytes of a document.
    pub(super) fn add_matching_slice(&self, event: &[u8], depth: usize, scratch: &mut Scratch) -> Scan<()> {
        std::mem::swap(&mut scratch.matched, &mut scratch.others);
        matching::match_whole_bytes::<true>(&self.index, event, depth, scratch, &|_| ())?;
        self.join(scratch);
        Ok(())
    }

    fn join(&self, scratch: &mut Scratch) {
        let Scratch { matched, others, .. } = scratch;
        matched.iter_mut().for_each(|number| *number = *self.rules.at(*number));
        matched.append(others);
    }

    /// The numbers in the set of the rules that are checked against every event.
    pub(super) fn unindexed(&self) -> impl Iterator<Item = u32> {
        self.index.unindexed().map(|number| *self.rules.at(number))
    }

    /// Adds its statistics to those of the set's other filters; `rough` as for [`Index::stats`].
    pub(super) fn add_stats(&self, stats: &mut SetStats, rough: &dyn Fn(u32) -> bool) {
        let own = self.index.stats(&|number| rough(*self.rules.at(number)));
        stats.bytes += own.bytes + self.rules.bytes() + size_of::<Self>();
        stats.unindexed += own.unindexed;
        // The event is no field.
        stats.fields += own.fields.saturating_sub(1);
        for (kind, count) in own.indexes {
            match stats.indexes.iter_mut().find(|(other, _)| *other == kind) {
                Some((_, sum)) => *sum += count,
                None => stats.indexes.push((kind, count)),
            }
        }
        stats.indexes.sort_unstable();
        for mut list in own.one_by_one {
            // Without the name of the field that the event is.
            list.path = list.path.get(1..).unwrap_or_default().to_owned();
            stats.one_by_one.push(list);
        }
        stats.one_by_one.sort_by_key(|list| std::cmp::Reverse(list.count));
    }
}
