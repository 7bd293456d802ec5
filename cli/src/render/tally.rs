//! What many polls have come to, on one line.
//!
//! ```text
//! 40 of 100 polls done, 38 matched, 2 failed · 3 asking · 12 requests/s · oldest 3m · 2m left
//! ```
//!
//! Kept up to date by what happens, never counted anew: there may be a million polls, and the line is drawn ten times a
//! second. What the engine knows better, how many requests are under way and how many there were, comes from its
//! statistics, so that it is right for polls whose events nobody follows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use poller::{Outcome, Stats, Timestamp};

use super::pace::Pace;
use super::time::{countdown, short};

/// The polls that are told of, together.
#[derive(Debug)]
pub(super) struct Tally {
    polls: usize,
    ends: [(&'static str, usize); 4],
    /// How many open polls were accepted when.
    started: BTreeMap<Timestamp, usize>,
    /// How many open polls end when at the latest.
    deadlines: BTreeMap<Timestamp, usize>,
    pace: Pace,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            polls: 0,
            ends: [("matched", 0), ("failed", 0), ("timed out", 0), ("cancelled", 0)],
            started: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            pace: Pace::default(),
        }
    }

    /// One more poll.
    pub(super) fn add(&mut self, started: Timestamp, deadline: Timestamp) {
        self.polls += 1;
        *self.started.entry(started).or_default() += 1;
        *self.deadlines.entry(deadline).or_default() += 1;
    }

    /// One of them has ended.
    pub(super) fn end(&mut self, started: Timestamp, deadline: Timestamp, outcome: &Outcome) {
        take_one(&mut self.started, started);
        take_one(&mut self.deadlines, deadline);
        if let Some((_, count)) = self.ends.iter_mut().find(|(name, _)| *name == outcome.name()) {
            *count += 1;
        }
    }

    /// Takes note of the time, for the pace.
    pub(super) fn mark(&mut self, now: Timestamp, stats: &Stats) {
        self.pace.mark(now, stats.attempts.total());
    }

    /// The line. What would be cut off on a narrow terminal comes last.
    pub(super) fn line(&self, now: Timestamp, stats: &Stats) -> String {
        let done: usize = self.ends.iter().map(|(_, number)| number).sum();
        let mut line = format!("{done} of {} polls done", self.polls);
        for (what, number) in self.ends {
            if number > 0 {
                let _ = write!(line, ", {number} {what}");
            }
        }
        if stats.in_flight > 0 {
            let _ = write!(line, " · {} asking", stats.in_flight);
        }
        match stats.held_back {
            0 => {}
            1 => line.push_str(" · a server asked for patience"),
            servers => {
                let _ = write!(line, " · {servers} servers asked for patience");
            }
        }
        if let Some(pace) = self.pace.in_words(now, stats.attempts.total()) {
            let _ = write!(line, " · {pace}");
        }
        let age = self.started.first_key_value().map(|(oldest, _)| now.since(*oldest).as_secs());
        if let Some(seconds) = age.filter(|seconds| *seconds > 0) {
            let _ = write!(line, " · oldest {}", short(Duration::from_secs(seconds)));
        }
        if let Some((deadline, _)) = self.deadlines.last_key_value() {
            let _ = write!(line, " · {} left", countdown(deadline.since(now)));
        }
        line
    }
}

fn take_one(counts: &mut BTreeMap<Timestamp, usize>, key: Timestamp) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
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

    #[test]
    fn several_polls_are_counted() {
        let mut tally = Tally::new();
        for (started, deadline) in [(0, 300), (10, 200), (10, 300)] {
            tally.add(at(started), at(deadline));
        }
        let mut stats = Stats::default();
        assert_eq!(tally.line(at(0), &stats), "0 of 3 polls done · 5m left");
        tally.end(at(0), at(300), &cancelled());
        stats.in_flight = 1;
        assert_eq!(
            tally.line(at(70), &stats),
            "1 of 3 polls done, 1 cancelled · 1 asking · oldest 1m · 3m 50s left"
        );
        tally.end(at(10), at(300), &cancelled());
        (stats.in_flight, stats.held_back) = (0, 1);
        assert_eq!(
            tally.line(at(70), &stats),
            "2 of 3 polls done, 2 cancelled · a server asked for patience · oldest 1m · 2m 10s left"
        );
        tally.end(at(10), at(200), &cancelled());
        assert_eq!(tally.line(at(60), &Stats::default()), "3 of 3 polls done, 3 cancelled");
    }

    #[test]
    fn the_pace_is_that_of_the_engine() {
        let mut tally = Tally::new();
        tally.add(at(0), at(300));
        let mut stats = Stats::default();
        tally.mark(at(0), &stats);
        stats.attempts.success = 40;
        assert_eq!(tally.line(at(2), &stats), "0 of 1 polls done · 20 requests/s · oldest 2s · 4m 58s left");
    }
}
