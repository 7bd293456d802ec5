//! The state of many polls on one line.
//!
//! ```text
//! 40 of 100 polls done, 38 matched, 2 failed · 3 asking · 12 requests/s · oldest 3m · 2m left
//! ```
//!
//! The totals are updated with each event instead of being recounted: there may be a million polls, and the line is drawn
//! ten times a second. The numbers of requests come from the engine's statistics, which include polls without a
//! subscriber.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::time::Duration;

use poller::{Outcome, Stats, Timestamp};

use super::lines;
use super::rate::RequestRate;
use crate::render::humanize;

/// Counts over all polls that are reported.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) polls: usize,
    outcomes: [(&'static str, usize); 4],
    /// The number of open polls by the time they were accepted.
    started: BTreeMap<Timestamp, usize>,
    /// The number of open polls by their deadline.
    deadlines: BTreeMap<Timestamp, usize>,
    rate: RequestRate,
}

impl Totals {
    pub(super) fn new() -> Self {
        let outcomes = ["matched", "failed", "timed out", "cancelled"].map(|name| (name, 0));
        Self { outcomes, ..Self::default() }
    }

    pub(super) fn outcomes(&self) -> usize {
        self.outcomes.iter().map(|(_, count)| count).sum()
    }

    /// `3 polls: 2 matched, 1 timed out`
    pub(super) fn summary(&self) -> String {
        lines::summary(&self.outcomes)
    }

    pub(super) fn add(&mut self, started: Timestamp, deadline: Timestamp) {
        self.polls += 1;
        *self.started.entry(started).or_default() += 1;
        *self.deadlines.entry(deadline).or_default() += 1;
    }

    /// Takes back a poll that another process runs now.
    pub(super) fn release(&mut self, started: Timestamp, deadline: Timestamp) {
        self.polls = self.polls.saturating_sub(1);
        self.close(started, deadline);
    }

    pub(super) fn end(&mut self, started: Timestamp, deadline: Timestamp, outcome: &Outcome) {
        self.close(started, deadline);
        if let Some((_, count)) = self.outcomes.iter_mut().find(|(name, _)| *name == outcome.name()) {
            *count += 1;
        }
    }

    fn close(&mut self, started: Timestamp, deadline: Timestamp) {
        for (counts, key) in [(&mut self.started, started), (&mut self.deadlines, deadline)] {
            if let Entry::Occupied(mut entry) = counts.entry(key) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// Samples the number of requests, for the rate.
    pub(super) fn sample(&mut self, now: Timestamp, stats: &Stats) {
        self.rate.record(now, stats.attempts.total());
    }

    /// The parts of the line; a narrow terminal drops the last ones, so the least important part comes last.
    pub(super) fn parts(&self, now: Timestamp, stats: &Stats) -> Vec<String> {
        let mut done = format!("{} of {} polls done", self.outcomes(), self.polls);
        for (what, number) in self.outcomes {
            if number > 0 {
                let _ = write!(done, ", {number} {what}");
            }
        }
        let mut parts = vec![done];
        if stats.in_flight > 0 {
            parts.push(format!("{} asking", stats.in_flight));
        }
        match stats.held_back {
            0 => {}
            1 => parts.push("a server asked to wait".to_owned()),
            servers => parts.push(format!("{servers} servers asked to wait")),
        }
        parts.extend(self.rate.describe(now, stats.attempts.total()));
        let age = self.started.first_key_value().map(|(oldest, _)| now.since(*oldest).as_secs());
        if let Some(seconds) = age.filter(|seconds| *seconds > 0) {
            parts.push(format!("oldest {}", humanize::duration(Duration::from_secs(seconds))));
        }
        if let Some((deadline, _)) = self.deadlines.last_key_value() {
            parts.push(format!("{} left", humanize::countdown(deadline.since(now))));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn cancelled() -> Outcome {
        let outcome = json!({
            "outcome": "cancelled", "attempts": 1, "restarts": 0, "startedAt": at(0), "endedAt": at(1),
            "counts": {}, "history": []
        });
        serde_json::from_value(outcome).unwrap()
    }

    fn line(totals: &Totals, now: Timestamp, stats: &Stats) -> String {
        totals.parts(now, stats).join(lines::SEPARATOR)
    }

    #[test]
    fn polls_and_outcomes_are_counted() {
        let mut totals = Totals::new();
        for (started, deadline) in [(0, 300), (10, 200), (10, 300)] {
            totals.add(at(started), at(deadline));
        }
        let mut stats = Stats::default();
        assert_eq!(line(&totals, at(0), &stats), "0 of 3 polls done · 5m left");
        totals.end(at(0), at(300), &cancelled());
        stats.in_flight = 1;
        assert_eq!(
            line(&totals, at(70), &stats),
            "1 of 3 polls done, 1 cancelled · 1 asking · oldest 1m · 3m 50s left"
        );
        totals.end(at(10), at(300), &cancelled());
        (stats.in_flight, stats.held_back) = (0, 1);
        assert_eq!(
            line(&totals, at(70), &stats),
            "2 of 3 polls done, 2 cancelled · a server asked to wait · oldest 1m · 2m 10s left"
        );
        totals.end(at(10), at(200), &cancelled());
        assert_eq!(line(&totals, at(60), &Stats::default()), "3 of 3 polls done, 3 cancelled");
    }

    #[test]
    fn the_rate_comes_from_the_statistics() {
        let mut totals = Totals::new();
        totals.add(at(0), at(300));
        let mut stats = Stats::default();
        totals.sample(at(0), &stats);
        stats.attempts.success = 40;
        assert_eq!(
            line(&totals, at(2), &stats),
            "0 of 1 polls done · 20 requests/s · oldest 2s · 4m 58s left"
        );
    }
}
