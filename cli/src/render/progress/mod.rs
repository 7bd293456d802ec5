//! Progress on standard error: a line that is redrawn, plain lines, or nothing.
//!
//! ```text
//! [     0s] #1 200 in 12ms: body.status is "PENDING", expected "SUCCESS"
//! [    10s] #2 200 in 11ms: body.status is "RUNNING", expected "SUCCESS"
//! ⠹ #5 is the same · next request in 7s · 4m 32s left
//! ⠹ 40 of 100 polls done, 38 matched, 2 failed · 3 asking · 12 requests/s · oldest 3m · 2m left
//! ```
//!
//! On a terminal, an attempt whose result differs from the one before stays on the screen; equal ones are counted, and only
//! the last line, which is redrawn, shows them. A log has every attempt: its reader wants to see that the poll lives.
//!
//! Any number of polls shares one redrawn line: a hundred progress bars are unreadable. For up to [`FEW`] polls, attempts
//! and outcomes get lines of their own. For more, only failures and timeouts do, the first hundred of them, and
//! without a terminal the totals are printed every half minute.

mod echo_margin;
mod fold;
pub(crate) mod lines;
mod rate;
mod totals;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use poller::{Attempt, Event, HoldSource, Outcome, OutcomeKind, PollKey, Stats, Timestamp};

use self::fold::Fold;
use self::totals::Totals;
use super::excerpt::{self, Size};
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
    /// The log has the beginning and the end of each poll from the poller itself; messages are added to it.
    Log,
}

/// The latest state of one poll.
#[derive(Debug, Default)]
struct PollProgress {
    label: String,
    started: Timestamp,
    deadline: Timestamp,
    requesting: bool,
    attempts: u32,
    last: Option<Attempt>,
    /// Until when another poll holds this one back.
    held: Option<Timestamp>,
    /// The attempts that a terminal does not show one by one.
    fold: Fold,
}

impl ProgressReporter {
    /// A reporter without polls; [`add_poll`](Self::add_poll) adds them. With `logs`, it writes its messages to the log.
    pub(crate) fn new(terminal: &Terminal, quiet: bool, logs: bool) -> Self {
        let sink = match terminal.live {
            _ if logs => Sink::Log,
            _ if quiet => Sink::Quiet,
            true => Sink::Live(spinner()),
            false => Sink::Lines,
        };
        Self {
            sink,
            paint: terminal.stderr_paint,
            open: HashMap::new(),
            totals: Totals::new(),
            failures: 0,
            totals_printed: None,
            comment: |_| None,
        }
    }

    /// Adds a comment under each plain line of an attempt that has one.
    pub(crate) fn with_comments(mut self, comment: fn(&Attempt) -> Option<&'static str>) -> Self {
        self.comment = comment;
        self
    }

    pub(crate) fn add_poll(&mut self, key: &PollKey, started: Timestamp, deadline: Timestamp) {
        let label = sanitize::line(&key.to_string()).into_owned();
        let poll = PollProgress { label, started, deadline, ..PollProgress::default() };
        self.open.insert(key.clone(), poll);
        self.totals.add(started, deadline);
    }

    /// Whether requests and attempts are reported, besides outcomes.
    pub(crate) fn wants_details(&self) -> bool {
        !matches!(self.sink, Sink::Quiet | Sink::Log) && !self.is_many()
    }

    /// Whether excerpts of responses are shown: there are few polls.
    pub(crate) fn quotes(&self) -> bool {
        !self.is_many()
    }

    /// Records an event other than an outcome and reports it.
    pub(crate) fn event(&mut self, key: &PollKey, event: &Event) {
        let (several, many) = (self.totals.polls > 1, self.is_many());
        let Some(poll) = self.open.get_mut(key) else { return };
        let folds = matches!(self.sink, Sink::Live(_));
        let shown = poll.record(event, several, folds, self.paint);
        if !many && !matches!(self.sink, Sink::Quiet | Sink::Log) {
            for line in shown {
                self.message(line);
            }
            if let (Sink::Lines, Event::Attempted(attempt)) = (&self.sink, event)
                && let Some(comment) = (self.comment)(attempt)
            {
                eprint_line(format_args!("          {comment}"));
            }
        }
    }

    /// Forgets a poll that another process runs now.
    pub(crate) fn released(&mut self, key: &PollKey) {
        if let Some(poll) = self.open.remove(key) {
            self.totals.release(poll.started, poll.deadline);
        }
    }

    /// Records an outcome and reports it, with an [`excerpt`](Self::excerpt) of the response. `elsewhere`: the same screen has a
    /// line for it already.
    pub(crate) fn outcome(&mut self, key: &PollKey, outcome: &Outcome, excerpt: &str, elsewhere: bool) {
        let (several, many) = (self.totals.polls > 1, self.is_many());
        let Some(mut poll) = self.open.remove(key) else { return };
        self.totals.end(poll.started, poll.deadline, outcome);
        if many && !is_failure(outcome) || elsewhere || matches!(self.sink, Sink::Log) {
            return;
        }
        if many {
            self.failures += 1;
            if self.failures == REPORTED_FAILURES + 1 {
                self.message("… and more; the rest is counted only, standard output has every outcome");
            }
            if self.failures > REPORTED_FAILURES {
                return;
            }
        }
        let label = several.then_some(&*poll.label);
        if let Some(folded) = poll.fold.end(label, self.paint).filter(|_| !many) {
            self.message(folded);
        }
        self.message(lines::outcome(outcome, label, self.paint) + excerpt);
    }

    /// The excerpt of the response of a failure or timeout; empty for other outcomes, and among many polls. `hide` removes
    /// secrets from it.
    pub(crate) fn excerpt(&self, outcome: &Outcome, hide: impl Fn(&str) -> String) -> String {
        let size = match self.totals.polls {
            0 | 1 => Size::WHOLE,
            2..=FEW => Size::SHORT,
            _ => return String::new(),
        };
        let response = outcome.response().filter(|_| is_failure(outcome));
        response.map(|response| excerpt::excerpt(response, size, hide)).unwrap_or_default()
    }

    /// Whether nothing is reported.
    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self.sink, Sink::Quiet)
    }

    /// Prints a line that concerns no single poll.
    pub(crate) fn message(&self, line: impl fmt::Display) {
        match &self.sink {
            Sink::Quiet => {}
            Sink::Lines => eprint_line(line),
            Sink::Live(bar) => bar.suspend(|| eprint_line(line)),
            Sink::Log => tracing::info!(target: "poll", "{}", sanitize::line(&line.to_string())),
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
                let parts = self.parts(now, stats);
                let line = lines::fitting(&parts, echo_margin::columns());
                bar.set_message(charset::for_locale(&line).into_owned());
                bar.tick();
            }
            Sink::Lines if due => {
                eprint_line(self.totals.parts(now, stats).join(lines::SEPARATOR));
                self.totals_printed = Some(now);
            }
            _ => {}
        }
    }

    /// Whether [`tick`](Self::tick) has to be called.
    pub(crate) fn needs_ticks(&self) -> bool {
        match self.sink {
            Sink::Quiet | Sink::Log => false,
            Sink::Lines => self.is_many(),
            Sink::Live(_) => true,
        }
    }

    fn is_many(&self) -> bool {
        self.totals.polls > FEW
    }

    /// A callback that clears the redrawn line; it may be called from any thread.
    pub(crate) fn clear_callback(&self) -> impl Fn() + Send + 'static {
        let bar = if let Sink::Live(bar) = &self.sink { Some(bar.clone()) } else { None };
        move || bar.iter().for_each(ProgressBar::finish_and_clear)
    }

    fn parts(&self, now: Timestamp, stats: &Stats) -> Vec<String> {
        match self.open.values().next() {
            Some(poll) if self.totals.polls == 1 => poll.parts(now, self.paint),
            _ => self.totals.parts(now, stats),
        }
    }
}

impl Drop for ProgressReporter {
    fn drop(&mut self) {
        self.clear_callback()();
    }
}

/// Whether an outcome may need a person's attention.
pub(crate) const fn is_failure(outcome: &Outcome) -> bool {
    !matches!(outcome.kind, OutcomeKind::Matched { .. } | OutcomeKind::Cancelled)
}

impl PollProgress {
    /// Records an event; returns its lines. With `folds`, attempts like the one before have none.
    fn record(&mut self, event: &Event, several: bool, folds: bool, paint: Paint) -> Vec<String> {
        let label = several.then_some(&*self.label);
        match event {
            Event::Requesting { attempt, .. } => {
                self.requesting = true;
                self.held = None;
                self.attempts = *attempt;
                Vec::new()
            }
            Event::Attempted(attempt) => {
                self.requesting = false;
                self.attempts = attempt.number;
                let shown = if folds {
                    self.fold.add(attempt, self.started, label, paint)
                } else {
                    vec![lines::attempt(attempt, self.started, label, paint)]
                };
                self.last = Some(attempt.clone());
                shown
            }
            // A hold by the poll's own response is part of the line of that attempt, and the redrawn line shows all holds.
            Event::HeldBack { until, by: HoldSource::Neighbour(key) } => {
                self.held = Some(*until);
                let line = || lines::held_back(*until, key, self.started, self.last.as_ref(), label, paint);
                if folds { Vec::new() } else { vec![line()] }
            }
            _ => Vec::new(),
        }
    }

    /// The parts of the redrawn line, the most important first.
    fn parts(&self, now: Timestamp, paint: Paint) -> Vec<String> {
        let mut parts = Vec::with_capacity(4);
        // The first request may start before its event is received.
        let number = self.attempts.max(1);
        match &self.last {
            Some(last) if !self.requesting => {
                let is_same = self.fold.is_open();
                let result = if is_same { "is the same".to_owned() } else { lines::result(last, paint) };
                parts.push(format!("#{number} {result}"));
                parts.extend(match (self.held, &last.next) {
                    (Some(until), _) if until > now => {
                        Some(format!("held back for {}", humanize::countdown(until.since(now))))
                    }
                    (_, next) => next
                        .as_ref()
                        .map(|next| lines::next_request(next, humanize::rounded_up(next.at.since(now)))),
                });
            }
            _ => parts.push(format!("#{number} is on its way")),
        }
        parts.push(format!("{} left", humanize::countdown(self.deadline.since(now))));
        parts
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, echo_margin::target());
    // `wide_msg` truncates the line to the current width of the terminal, should the window have become narrower since
    // the line was made to fit. Should the template ever be rejected, the default style is used.
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
        PollProgress { label: "a".to_owned(), deadline: at(300), ..PollProgress::default() }
    }

    fn attempted(number: u32, next: u64) -> Event {
        let attempt = json!({
            "number": number, "at": at(10), "durationInMicros": 1000, "result": {"error": "connect"},
            "verdict": "error", "note": "refused", "next": {"at": at(next), "why": "grid"}
        });
        Event::Attempted(serde_json::from_value(attempt).unwrap())
    }

    fn line(poll: &PollProgress, now: Timestamp) -> String {
        poll.parts(now, PLAIN).join(lines::SEPARATOR)
    }

    #[test]
    fn the_line_shows_the_state_of_the_poll() {
        let mut poll = poll_progress();
        assert_eq!(line(&poll, at(0)), "#1 is on its way · 5m left");
        poll.record(&attempted(1, 20), false, true, PLAIN);
        assert_eq!(line(&poll, at(13)), "#1 connect · next request in 7s · 4m 47s left");
        poll.record(&Event::Requesting { attempt: 2, at: at(20) }, false, true, PLAIN);
        assert_eq!(line(&poll, at(20)), "#2 is on its way · 4m 40s left");
        poll.record(&attempted(2, 30), false, true, PLAIN);
        assert_eq!(line(&poll, at(21)), "#2 is the same · next request in 9s · 4m 39s left");
        assert!(line(&poll, at(301)).contains(" · 0s left"));
    }

    #[test]
    fn a_hold_by_another_poll_is_shown_until_it_ends() {
        let mut poll = poll_progress();
        poll.record(&attempted(1, 20), false, false, PLAIN);
        let by = HoldSource::Neighbour(PollKey::new("", "b"));
        let lines = poll.record(&Event::HeldBack { until: at(45), by }, true, false, PLAIN);
        assert_eq!(lines, ["[    10s] a: held back until 45s, as the server asked of b"]);
        assert_eq!(line(&poll, at(13)), "#1 connect · held back for 32s · 4m 47s left");
        poll.record(&Event::Requesting { attempt: 2, at: at(45) }, false, false, PLAIN);
        assert!(!line(&poll, at(45)).contains("held"));
    }
}
