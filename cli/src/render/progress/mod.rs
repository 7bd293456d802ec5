//! Progress on standard error: a line that is redrawn, plain lines, or nothing.
//!
//! ```text
//! ⠹ attempt 3: 200 · next request in 7s · 4m 32s left · body.status is "RUNNING", expected "SUCCESS"
//! ⠹ 40 of 100 polls done, 38 matched, 2 failed · 3 asking · 12 requests/s · oldest 3m · 2m left
//! ```
//!
//! Any number of polls shares one line: a hundred progress bars are unreadable. For up to [`FEW`] polls, every attempt
//! and every outcome gets a line of its own. For more, only failures and timeouts do, the first hundred of them, and
//! without a terminal the totals are printed every half minute.

mod echo_margin;
pub(crate) mod lines;
mod rate;
mod totals;

use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use poller::PollKey;
use poller::{Attempt, Event, HoldSource, Outcome, OutcomeKind, Stats, Timestamp};

use self::totals::Totals;
use super::terminal::{Paint, Terminal, eprint_line};
use super::{charset, humanize, sanitize};

/// Up to this number of polls, each attempt and each outcome gets a line.
const FEW: usize = 20;

/// With more than [`FEW`] polls, the number of failures and timeouts that get a line.
const REPORTED_FAILURES: usize = 100;

/// How often the totals are printed where the line cannot be redrawn.
const TOTALS_EVERY: Duration = Duration::from_secs(30);

/// Reports the progress of one or several polls.
#[derive(Debug)]
pub(crate) struct ProgressReporter {
    sink: Sink,
    paint: Paint,
    /// The polls without an outcome.
    open: HashMap<PollKey, PollProgress>,
    totals: Totals,
    /// The number of failures and timeouts seen while there were more than [`FEW`] polls.
    failures: usize,
    /// When the totals were last printed.
    totals_printed: Option<Timestamp>,
    /// A comment that follows the line of an attempt; used by the demo.
    comment: fn(&Attempt) -> Option<&'static str>,
}

#[derive(Debug)]
enum Sink {
    Quiet,
    Lines,
    Live(ProgressBar),
}

/// The latest state of one poll.
#[derive(Debug)]
struct PollProgress {
    label: String,
    started: Timestamp,
    deadline: Timestamp,
    requesting: bool,
    attempts: u32,
    last: Option<Attempt>,
    held: Option<(Timestamp, HoldSource)>,
}

impl ProgressReporter {
    /// A reporter without polls; [`add_poll`](Self::add_poll) adds them.
    pub(crate) fn new(terminal: &Terminal, quiet: bool) -> Self {
        let sink = match (quiet, terminal.live) {
            (true, _) => Sink::Quiet,
            (false, false) => Sink::Lines,
            (false, true) => Sink::Live(spinner()),
        };
        Self::into(sink, terminal, |_| None)
    }

    /// A reporter that prints plain lines even on a terminal, and a comment under each attempt that has one.
    pub(crate) fn with_comments(
        terminal: &Terminal,
        quiet: bool,
        comment: fn(&Attempt) -> Option<&'static str>,
    ) -> Self {
        let sink = if quiet { Sink::Quiet } else { Sink::Lines };
        Self::into(sink, terminal, comment)
    }

    fn into(sink: Sink, terminal: &Terminal, comment: fn(&Attempt) -> Option<&'static str>) -> Self {
        Self {
            sink,
            paint: terminal.stderr_paint,
            open: HashMap::new(),
            totals: Totals::new(),
            failures: 0,
            totals_printed: None,
            comment,
        }
    }

    /// Adds a poll.
    pub(crate) fn add_poll(&mut self, key: &PollKey, started: Timestamp, deadline: Timestamp) {
        let label = sanitize::line(&key.to_string()).into_owned();
        self.open.insert(key.clone(), PollProgress::new(label, started, deadline));
        self.totals.add(started, deadline);
    }

    /// Whether requests and attempts are reported, besides outcomes.
    pub(crate) fn wants_details(&self) -> bool {
        !matches!(self.sink, Sink::Quiet) && !self.is_many()
    }

    /// Records an event and reports it.
    pub(crate) fn event(&mut self, key: &PollKey, event: &Event) {
        let (several, many) = (self.totals.polls() > 1, self.is_many());
        let Some(poll) = self.open.get_mut(key) else { return };
        let line = poll.record(event, several, self.paint);
        if let Event::Outcome(outcome) = event {
            self.totals.end(poll.started, poll.deadline, outcome);
            self.open.remove(key);
        }
        if many && !matches!(event, Event::Outcome(outcome) if is_failure(outcome)) {
            return;
        }
        if many {
            self.failures += 1;
            match self.failures {
                ..=REPORTED_FAILURES => {}
                number if number == REPORTED_FAILURES + 1 => {
                    self.message("… and more; the rest is counted only, standard output has every outcome");
                    return;
                }
                _ => return,
            }
        }
        match (&self.sink, line) {
            (Sink::Lines, Some(line)) => {
                eprint_line(line);
                if let Event::Attempted(attempt) = event
                    && let Some(comment) = (self.comment)(attempt)
                {
                    eprint_line(format_args!("          {comment}"));
                }
            }
            // The redrawn line shows attempts; only an outcome stays on the screen.
            (Sink::Live(bar), Some(line)) if matches!(event, Event::Outcome(_)) => {
                bar.suspend(|| eprint_line(line));
            }
            _ => {}
        }
    }

    /// Prints a line that concerns no single poll.
    pub(crate) fn message(&self, line: impl fmt::Display) {
        match &self.sink {
            Sink::Quiet => {}
            Sink::Lines => eprint_line(line),
            Sink::Live(bar) => bar.suspend(|| eprint_line(line)),
        }
    }

    /// Prints the final counts of several polls and, for many, the number and duration of the requests.
    pub(crate) fn summarize(&self, stats: &Stats, elapsed: Duration) {
        if self.totals.outcomes() > 1 {
            self.message(self.totals.summary());
        }
        if self.is_many() {
            self.message(lines::requests(stats, elapsed));
        }
    }

    /// Runs `write` while the redrawn line is cleared: standard output may be the same terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.sink {
            Sink::Live(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// Redraws the line or, without a terminal, prints the totals if they are due.
    pub(crate) fn tick(&mut self, now: Timestamp, stats: &Stats) {
        self.totals.sample(now, stats);
        let due = self.is_many() && now.since(*self.totals_printed.get_or_insert(now)) >= TOTALS_EVERY;
        match &self.sink {
            Sink::Live(bar) => {
                bar.set_message(charset::for_locale(&self.line(now, stats)).into_owned());
                bar.tick();
            }
            Sink::Lines if due => {
                eprint_line(self.totals.line(now, stats));
                self.totals_printed = Some(now);
            }
            _ => {}
        }
    }

    /// Whether [`tick`](Self::tick) has to be called.
    pub(crate) fn needs_ticks(&self) -> bool {
        match self.sink {
            Sink::Quiet => false,
            Sink::Lines => self.is_many(),
            Sink::Live(_) => true,
        }
    }

    fn is_many(&self) -> bool {
        self.totals.polls() > FEW
    }

    /// A callback that clears the redrawn line; it may be called from any thread.
    pub(crate) fn clear_callback(&self) -> impl Fn() + Send + 'static {
        let bar = match &self.sink {
            Sink::Live(bar) => Some(bar.clone()),
            _ => None,
        };
        move || {
            if let Some(bar) = &bar {
                bar.finish_and_clear();
            }
        }
    }

    fn line(&self, now: Timestamp, stats: &Stats) -> String {
        match self.open.values().next() {
            Some(poll) if self.totals.polls() == 1 => poll.line(now, self.paint),
            _ => self.totals.line(now, stats),
        }
    }
}

impl Drop for ProgressReporter {
    fn drop(&mut self) {
        self.clear_callback()();
    }
}

/// Whether an outcome may need a person's attention.
const fn is_failure(outcome: &Outcome) -> bool {
    !matches!(outcome.kind, OutcomeKind::Matched { .. } | OutcomeKind::Cancelled)
}

impl PollProgress {
    const fn new(label: String, started: Timestamp, deadline: Timestamp) -> Self {
        Self { label, started, deadline, requesting: false, attempts: 0, last: None, held: None }
    }

    /// Records an event; returns its line if it has one.
    fn record(&mut self, event: &Event, several: bool, paint: Paint) -> Option<String> {
        let label = several.then_some(&*self.label);
        match event {
            Event::Requesting { attempt, .. } => {
                self.requesting = true;
                self.held = None;
                self.attempts = *attempt;
                None
            }
            Event::Attempted(attempt) => {
                self.requesting = false;
                self.attempts = attempt.number;
                let line = lines::attempt(attempt, self.started, label, paint);
                self.last = Some(attempt.clone());
                Some(line)
            }
            Event::Outcome(outcome) => {
                self.requesting = false;
                Some(lines::outcome(outcome, label, paint))
            }
            // A hold by the poll's own response is part of the line of that attempt.
            Event::HeldBack { until, by: by @ HoldSource::Neighbour(key) } => {
                self.held = Some((*until, by.clone()));
                Some(lines::held_back(*until, key, self.started, self.last.as_ref(), label, paint))
            }
            _ => None,
        }
    }

    fn line(&self, now: Timestamp, paint: Paint) -> String {
        // The first request may start before its event is received.
        let mut line = format!("attempt {}", self.attempts.max(1));
        if let Some(last) = &self.last {
            // During a request, the result of the previous one is shown with its number.
            let _ = if self.requesting {
                write!(line, ": asking · #{} was {}", last.number, lines::result(last, paint))
            } else {
                write!(line, ": {}", lines::result(last, paint))
            };
            match (&self.held, &last.next) {
                _ if self.requesting => {}
                (Some((until, _)), _) if *until > now => {
                    let _ = write!(line, " · held back for {}", humanize::countdown(until.since(now)));
                }
                (_, Some(next)) => {
                    let _ = write!(line, " · {}", lines::next_request(next, whole_seconds(next.at, now)));
                }
                _ => {}
            }
        } else {
            line.push_str(": asking");
        }
        let _ = write!(line, " · {} left", humanize::countdown(self.deadline.since(now)));
        if let Some(note) = self.last.as_ref().and_then(|last| last.note.as_deref()) {
            let _ = write!(line, " · {}", sanitize::excerpt(note, lines::NOTE));
        }
        line
    }
}

/// The time until `at` in whole seconds, rounded up: fractions would flicker.
fn whole_seconds(at: Timestamp, now: Timestamp) -> Duration {
    let left = at.since(now);
    Duration::from_secs(left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0)))
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, echo_margin::target());
    // `wide_msg` truncates the line to the current width of the terminal. Should the template ever be rejected, the
    // default style is used.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(if charset::ascii_only() { style.tick_chars("|/-\\ ") } else { style });
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PLAIN: Paint = Paint(false);

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn poll_progress() -> PollProgress {
        PollProgress::new("a".to_owned(), at(0), at(300))
    }

    fn attempted(number: u32, next: u64) -> Event {
        let attempt = json!({
            "number": number, "at": at(10), "durationInMicros": 1000, "result": {"error": "connect"},
            "verdict": "error", "note": "refused", "next": {"at": at(next), "why": "grid"}
        });
        Event::Attempted(serde_json::from_value(attempt).unwrap())
    }

    #[test]
    fn the_line_shows_the_state_of_the_poll() {
        let mut poll = poll_progress();
        assert_eq!(poll.line(at(0), PLAIN), "attempt 1: asking · 5m left");
        poll.record(&attempted(1, 20), false, PLAIN);
        assert_eq!(
            poll.line(at(13), PLAIN),
            "attempt 1: connect · next request in 7s · 4m 47s left · refused"
        );
        poll.record(&Event::Requesting { attempt: 2, at: at(20) }, false, PLAIN);
        assert_eq!(poll.line(at(20), PLAIN), "attempt 2: asking · #1 was connect · 4m 40s left · refused");
        assert!(poll.line(at(301), PLAIN).contains(" · 0s left"));
    }

    #[test]
    fn a_hold_by_another_poll_is_shown_until_it_ends() {
        let mut poll = poll_progress();
        poll.record(&attempted(1, 20), false, PLAIN);
        let by = HoldSource::Neighbour(PollKey::new("", "b"));
        let line = poll.record(&Event::HeldBack { until: at(45), by }, true, PLAIN).unwrap();
        assert_eq!(line, "[    10s] a: held back until 45s, as the server asked of b");
        assert_eq!(
            poll.line(at(13), PLAIN),
            "attempt 1: connect · held back for 32s · 4m 47s left · refused"
        );
        poll.record(&Event::Requesting { attempt: 2, at: at(45) }, false, PLAIN);
        assert!(!poll.line(at(45), PLAIN).contains("held"));
    }
}
