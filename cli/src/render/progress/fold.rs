//! Folds attempts with equal results: the first stays on the screen, the others are counted.

use poller::{Attempt, JudgementKind, Timestamp};

use super::lines;
use crate::render::terminal::Paint;

/// The run of equal attempts at the end of a poll.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// The first of the run, which is on the screen.
    first: Option<Attempt>,
    /// The last of the run, if it is another one than the first, and when the poll was accepted.
    last: Option<(Attempt, Timestamp)>,
}

impl Fold {
    /// Whether the last attempt was folded.
    pub(super) const fn is_open(&self) -> bool {
        self.last.is_some()
    }

    /// Adds an attempt. Returns the lines to show: none if it equals the one before, otherwise one that ends the run and
    /// one of the attempt. An attempt that ends the poll has no line, since the outcome's line says the same.
    pub(super) fn add(
        &mut self,
        attempt: &Attempt,
        started: Timestamp,
        label: Option<&str>,
        paint: Paint,
    ) -> Vec<String> {
        if matches!(attempt.judgement, JudgementKind::Matched | JudgementKind::Failed) {
            return Vec::new();
        }
        if self.first.as_ref().is_some_and(|first| {
            (first.result, first.judgement, &first.note) == (attempt.result, attempt.judgement, &attempt.note)
        }) {
            self.last = Some((attempt.clone(), started));
            return Vec::new();
        }
        let mut shown: Vec<String> = self.end(label, paint).into_iter().collect();
        shown.push(lines::attempted(attempt, started, label, paint));
        self.first = Some(attempt.clone());
        shown
    }

    /// Ends the run; the line that says how far it went, if it had more than one attempt.
    pub(super) fn end(&mut self, label: Option<&str>, paint: Paint) -> Option<String> {
        let first = self.first.take();
        let (last, started) = self.last.take()?;
        Some(lines::folded(&last, first?.number, started, label, paint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Paint = Paint(false);

    fn attempt(number: u32, note: &str, judgement: &str) -> Attempt {
        let text = json!({
            "number": number, "at": Timestamp::from_micros(u64::from(number) * 10_000_000),
            "durationInMicros": 12_000, "result": {"status": 200}, "verdict": judgement, "note": note, "next": null
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn equal_attempts_are_folded_until_the_result_changes() {
        let mut fold = Fold::default();
        let mut add = |number, note| {
            fold.add(&attempt(number, note, "unmatched"), Timestamp::from_micros(0), None, PLAIN)
        };
        assert_eq!(add(1, "PENDING"), ["[    10s] #1 200 in 12ms: PENDING"]);
        assert_eq!(add(2, "RUNNING"), ["[    20s] #2 200 in 12ms: RUNNING"], "one attempt is no run");
        assert!(add(3, "RUNNING").is_empty() && add(4, "RUNNING").is_empty());
        assert_eq!(
            add(5, "SAVING"),
            ["[    40s] #4 the same result since #2", "[    50s] #5 200 in 12ms: SAVING"]
        );
        assert_eq!(fold.end(None, PLAIN), None);
    }

    #[test]
    fn the_end_of_the_poll_ends_the_run() {
        let mut fold = Fold::default();
        let mut add = |number, judgement| {
            fold.add(&attempt(number, "RUNNING", judgement), Timestamp::from_micros(0), Some("a"), PLAIN)
        };
        assert_eq!(add(1, "unmatched"), ["[    10s] a: #1 200 in 12ms: RUNNING"]);
        assert!(add(2, "unmatched").is_empty());
        assert!(add(3, "matched").is_empty() && add(3, "failed").is_empty(), "the outcome's line says it");
        assert_eq!(fold.end(Some("a"), PLAIN).as_deref(), Some("[    20s] a: #2 the same result since #1"));
    }
}
