//! `--hits`: how many events each rule was chosen for, and which rules were chosen for none.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::listed::list;
use super::rules::Rules;
use crate::render::humanize;

/// Counts by the numbers of rules, shared by all threads.
///
/// Not the set's own counters: those count every match, and with `--first` only the first rule is chosen.
#[derive(Debug)]
pub(super) struct Hits {
    rules: Vec<AtomicU64>,
    events: AtomicU64,
}

impl Hits {
    pub(super) fn new(rules: &Rules) -> Self {
        let zero = || AtomicU64::new(0);
        Self { rules: std::iter::repeat_with(zero).take(rules.set.len()).collect(), events: zero() }
    }

    /// Counts an event and the rules that were chosen for it.
    pub(super) fn count<'n>(&self, chosen: impl Iterator<Item = &'n u32>) {
        self.events.fetch_add(1, Ordering::Relaxed);
        for counter in chosen.filter_map(|number| self.rules.get(*number as usize)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts, the most frequent rules first; then the rules without any, in their order.
    pub(super) fn describe(&self, rules: &Rules) -> String {
        let counts = self.rules.iter().map(|count| count.load(Ordering::Relaxed));
        let (dead, mut alive): (Vec<_>, Vec<_>) = (0..).zip(counts).partition(|(_, count)| *count == 0);
        alive.sort_by_key(|(number, count)| (u64::MAX - count, *number));
        let events = humanize::count(self.events.load(Ordering::Relaxed), "event");
        let mut text = format!("hits       {} of {} rules, {events}", alive.len(), self.rules.len());
        let width = alive.first().map_or(1, |(_, most)| most.to_string().len());
        list(&mut text, alive, |(number, count)| format!("{count:>width$}  {}", rules.shown_id(number)));
        if !dead.is_empty() {
            let _ = write!(text, "\nno hits    {}", humanize::count(dead.len(), "rule"));
            list(&mut text, dead, |(number, _)| rules.shown_id(number));
        }
        text
    }
}
