//! Where the story goes: a line that is redrawn, plain lines, or nowhere.
//!
//! ```text
//! ⠹ attempt 3: 200 · next request in 7s · 4m 32s left · body.status is "RUNNING", expected "SUCCESS"
//! ⠹ 40 of 100 polls done, 38 matched, 2 failed · 3 asking · 12 requests/s · oldest 3m · 2m left
//! ```
//!
//! One line however many polls there are: a hundred bars tell less than one count. Of a few polls every attempt and every
//! end is told. Of a crowd they would scroll by unread; only ends that went wrong are told, the first hundred of them, and
//! where no line can be redrawn the count is told every half minute.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use poller::{Attempt, Event, HoldSource, Outcome, OutcomeKind, Stats, Timestamp};

use super::tally::Tally;
use super::terminal::{Paint, Terminal, tell};
use super::time::countdown;
use super::{charset, clean, margin, story};

/// Up to so many polls, each attempt and each end is told.
pub(crate) const FEW: usize = 20;

/// So many ends of a crowd that went wrong are told one by one.
const TOLD: usize = 100;

/// How often a crowd's count is told where it cannot be redrawn.
const REPORT: Duration = Duration::from_secs(30);

/// Tells the story of one or several polls.
#[derive(Debug)]
pub(crate) struct Narrator {
    sink: Sink,
    paint: Paint,
    polls: Vec<Watched>,
    tally: Tally,
    /// How many ends of a crowd have been told.
    told: usize,
    /// When the count was last told on a line of its own.
    reported: Option<Timestamp>,
    /// What else there is to say about an attempt, under its line; the demo explains itself with it.
    comment: fn(&Attempt) -> Option<&'static str>,
}

#[derive(Debug)]
enum Sink {
    Nowhere,
    Lines,
    Live(ProgressBar),
}

/// What is known of one poll.
#[derive(Debug)]
struct Watched {
    label: String,
    started: Timestamp,
    deadline: Timestamp,
    asking: bool,
    attempts: u32,
    last: Option<Attempt>,
    held: Option<(Timestamp, HoldSource)>,
}

impl Narrator {
    /// A narrator of polls that are named to [`watch`](Self::watch) afterwards.
    pub(crate) fn new(terminal: &Terminal, quiet: bool) -> Self {
        let sink = match (quiet, terminal.live) {
            (true, _) => Sink::Nowhere,
            (false, false) => Sink::Lines,
            (false, true) => Sink::Live(spinner()),
        };
        Self::into(sink, terminal, |_| None)
    }

    /// A narrator that writes lines even on a terminal, with a comment under each attempt that has one.
    pub(crate) fn with_comments(
        terminal: &Terminal,
        quiet: bool,
        comment: fn(&Attempt) -> Option<&'static str>,
    ) -> Self {
        let sink = if quiet { Sink::Nowhere } else { Sink::Lines };
        Self::into(sink, terminal, comment)
    }

    fn into(sink: Sink, terminal: &Terminal, comment: fn(&Attempt) -> Option<&'static str>) -> Self {
        Self {
            sink,
            paint: terminal.stderr_paint,
            polls: Vec::new(),
            tally: Tally::new(),
            told: 0,
            reported: None,
            comment,
        }
    }

    /// Adds a poll; events name it by the order in which it was added.
    pub(crate) fn watch(&mut self, label: &str, started: Timestamp, deadline: Timestamp) {
        self.polls.push(Watched::new(label, started, deadline));
        self.tally.add(started, deadline);
    }

    /// Takes note of an event and tells it.
    pub(crate) fn event(&mut self, poll: usize, event: &Event) {
        let (several, crowd) = (self.polls.len() > 1, self.is_crowd());
        let Some(watched) = self.polls.get_mut(poll) else { return };
        if let Event::Outcome(outcome) = event {
            self.tally.end(watched.started, watched.deadline, outcome);
        }
        if crowd && !matches!(event, Event::Outcome(outcome) if went_wrong(outcome)) {
            return;
        }
        let line = watched.take(event, several, self.paint);
        if crowd {
            self.told += 1;
            match self.told {
                ..=TOLD => {}
                number if number == TOLD + 1 => {
                    self.say("… and more; the rest is counted only, standard output has every outcome");
                    return;
                }
                _ => return,
            }
        }
        match (&self.sink, line) {
            (Sink::Lines, Some(line)) => {
                tell(line);
                if let Event::Attempted(attempt) = event
                    && let Some(comment) = (self.comment)(attempt)
                {
                    tell(format_args!("          {comment}"));
                }
            }
            // The live line shows attempts as they come; an end is worth keeping on the screen.
            (Sink::Live(bar), Some(line)) if matches!(event, Event::Outcome(_)) => {
                bar.suspend(|| tell(line));
            }
            _ => {}
        }
    }

    /// Tells something about all polls.
    pub(crate) fn say(&self, line: impl fmt::Display) {
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Lines => tell(line),
            Sink::Live(bar) => bar.suspend(|| tell(line)),
        }
    }

    /// How it went, at the end: the counts and, for a crowd, what it took.
    pub(crate) fn sum_up(&self, counts: impl fmt::Display, stats: &Stats, took: Duration) {
        self.say(counts);
        if self.is_crowd() {
            self.say(story::work(stats, took));
        }
    }

    /// Does `write` while the live line is out of the way: both streams may be the same terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.sink {
            Sink::Live(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// Redraws the live line, or tells the count where there is none and it is time to.
    pub(crate) fn tick(&mut self, now: Timestamp, stats: &Stats) {
        self.tally.mark(now, stats);
        let due = self.is_crowd() && now.since(*self.reported.get_or_insert(now)) >= REPORT;
        match &self.sink {
            Sink::Live(bar) => {
                bar.set_message(charset::spelled(&self.line(now, stats)).into_owned());
                bar.tick();
            }
            Sink::Lines if due => {
                tell(self.tally.line(now, stats));
                self.reported = Some(now);
            }
            _ => {}
        }
    }

    /// Whether [`tick`](Self::tick) has anything to do.
    pub(crate) fn ticks(&self) -> bool {
        match self.sink {
            Sink::Nowhere => false,
            Sink::Lines => self.is_crowd(),
            Sink::Live(_) => true,
        }
    }

    fn is_crowd(&self) -> bool {
        self.polls.len() > FEW
    }

    /// What takes the live line away, from whatever thread.
    pub(crate) fn eraser(&self) -> impl Fn() + Send + 'static {
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
        match &self.polls[..] {
            [poll] => poll.line(now, self.paint),
            _ => self.tally.line(now, stats),
        }
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.eraser()();
    }
}

/// Whether an end is one that somebody may have to look after.
const fn went_wrong(outcome: &Outcome) -> bool {
    !matches!(outcome.kind, OutcomeKind::Matched { .. } | OutcomeKind::Cancelled)
}

impl Watched {
    fn new(label: &str, started: Timestamp, deadline: Timestamp) -> Self {
        Self {
            label: label.to_owned(),
            started,
            deadline,
            asking: false,
            attempts: 0,
            last: None,
            held: None,
        }
    }

    /// Takes note of an event; returns what to tell about it on a line of its own.
    fn take(&mut self, event: &Event, several: bool, paint: Paint) -> Option<String> {
        let label = several.then_some(&*self.label);
        match event {
            Event::Requesting { attempt, .. } => {
                self.asking = true;
                self.held = None;
                self.attempts = *attempt;
                None
            }
            Event::Attempted(attempt) => {
                self.asking = false;
                self.attempts = attempt.number;
                let line = story::attempt(attempt, self.started, label, paint);
                self.last = Some(attempt.clone());
                Some(line)
            }
            Event::Outcome(outcome) => {
                self.asking = false;
                Some(story::outcome(outcome, label, paint))
            }
            // One's own hint stands in the line of the attempt already.
            Event::HeldBack { until, by: by @ HoldSource::Neighbour(key) } => {
                self.held = Some((*until, by.clone()));
                Some(story::held_back(*until, key, self.started, self.last.as_ref(), label, paint))
            }
            _ => None,
        }
    }

    fn line(&self, now: Timestamp, paint: Paint) -> String {
        // The first request is made at once, before anybody can be told of it.
        let mut line = format!("attempt {}", self.attempts.max(1));
        if let Some(last) = &self.last {
            // While a request is under way its status is not known; the last one is, and says so by its number.
            let _ = if self.asking {
                write!(line, ": asking · #{} was {}", last.number, story::result(last, paint))
            } else {
                write!(line, ": {}", story::result(last, paint))
            };
            match (&self.held, &last.next) {
                _ if self.asking => {}
                (Some((until, _)), _) if *until > now => {
                    let _ = write!(line, " · held back for {}", countdown(until.since(now)));
                }
                (_, Some(next)) => {
                    let _ = write!(line, " · {}", story::coming(next, whole_seconds(next.at, now)));
                }
                _ => {}
            }
        } else {
            line.push_str(": asking");
        }
        let _ = write!(line, " · {} left", countdown(self.deadline.since(now)));
        if let Some(note) = self.last.as_ref().and_then(|last| last.note.as_deref()) {
            let _ = write!(line, " · {}", clean::excerpt(note, story::NOTE));
        }
        line
    }
}

/// The time until `at`, rounded up, so that the line does not flicker with fractions.
fn whole_seconds(at: Timestamp, now: Timestamp) -> Duration {
    let left = at.since(now);
    Duration::from_secs(left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0)))
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, margin::target());
    // `wide_msg` cuts the line to the terminal's width, whatever that is by then. The template is a constant; should
    // it ever be refused, the default style serves too.
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

    fn watched() -> Watched {
        Watched::new("a", at(0), at(300))
    }

    fn attempted(number: u32, next: u64) -> Event {
        let attempt = json!({
            "number": number, "at": at(10), "durationInMicros": 1000, "result": {"error": "connect"},
            "verdict": "error", "note": "refused", "next": {"at": at(next), "why": "grid"}
        });
        Event::Attempted(serde_json::from_value(attempt).unwrap())
    }

    #[test]
    fn the_line_follows_the_poll() {
        let mut poll = watched();
        assert_eq!(poll.line(at(0), PLAIN), "attempt 1: asking · 5m left");
        poll.take(&attempted(1, 20), false, PLAIN);
        assert_eq!(
            poll.line(at(13), PLAIN),
            "attempt 1: connect · next request in 7s · 4m 47s left · refused"
        );
        poll.take(&Event::Requesting { attempt: 2, at: at(20) }, false, PLAIN);
        assert_eq!(poll.line(at(20), PLAIN), "attempt 2: asking · #1 was connect · 4m 40s left · refused");
        // A moment after the deadline the line still has something true to say.
        assert!(poll.line(at(301), PLAIN).contains(" · 0s left"));
    }

    #[test]
    fn a_neighbours_hint_is_told_until_it_is_over() {
        let mut poll = watched();
        poll.take(&attempted(1, 20), false, PLAIN);
        let by = HoldSource::Neighbour(poller::store::PollKey::new("", "b"));
        let told = poll.take(&Event::HeldBack { until: at(45), by }, true, PLAIN).unwrap();
        assert_eq!(told, "[    10s] a: held back until 45s, as the server asked of b");
        assert_eq!(
            poll.line(at(13), PLAIN),
            "attempt 1: connect · held back for 32s · 4m 47s left · refused"
        );
        poll.take(&Event::Requesting { attempt: 2, at: at(45) }, false, PLAIN);
        assert!(!poll.line(at(45), PLAIN).contains("held"));
    }
}
