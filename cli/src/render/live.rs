//! Where the story goes: a line that is redrawn, plain lines, or nowhere.
//!
//! ```text
//! ⠹ attempt 3: 200 · next request in 7s · 4m 32s left · body.status is "RUNNING", expected "SUCCESS"
//! ⠹ 40 of 100 polls done, 38 matched, 2 failed · 3 asking · 12 requests/s · oldest 3m · 2m left
//! ```
//!
//! One line however many polls there are: a hundred bars tell less than one count. The line is built afresh at every
//! tick from what the events said, so there is no state that could disagree with the poll's own. What would be cut
//! off on a narrow terminal comes last.

use std::fmt;
use std::fmt::Write as _;

use indicatif::{ProgressBar, ProgressStyle};
use poller::{Attempt, Conclusion, Event, Outcome, Timestamp};

use super::pace::Pace;
use super::terminal::{Paint, Terminal, tell};
use super::time::{countdown, short};
use super::{clean, margin, story};

/// Tells the story of one or several polls.
#[derive(Debug)]
pub(crate) struct Narrator {
    sink: Sink,
    paint: Paint,
    polls: Vec<Watched>,
    pace: Pace,
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
    outcome: Option<std::sync::Arc<Outcome>>,
}

impl Narrator {
    /// A narrator of polls that are named to [`watch`](Self::watch) afterwards.
    pub(crate) fn new(terminal: &Terminal, quiet: bool) -> Self {
        let sink = match (quiet, terminal.live) {
            (true, _) => Sink::Nowhere,
            (false, false) => Sink::Lines,
            (false, true) => Sink::Live(spinner()),
        };
        Self {
            sink,
            paint: terminal.stderr_paint,
            polls: Vec::new(),
            pace: Pace::default(),
            comment: |_| None,
        }
    }

    /// A narrator that writes lines even on a terminal, with a comment under each attempt that has one.
    pub(crate) fn with_comments(
        terminal: &Terminal,
        quiet: bool,
        comment: fn(&Attempt) -> Option<&'static str>,
    ) -> Self {
        let sink = if quiet { Sink::Nowhere } else { Sink::Lines };
        Self { sink, paint: terminal.stderr_paint, polls: Vec::new(), pace: Pace::default(), comment }
    }

    /// Adds a poll; events name it by the order in which it was added.
    pub(crate) fn watch(&mut self, label: &str, started: Timestamp, deadline: Timestamp) {
        self.polls.push(Watched {
            label: label.to_owned(),
            started,
            deadline,
            asking: false,
            attempts: 0,
            last: None,
            outcome: None,
        });
    }

    /// Takes note of an event and tells it.
    pub(crate) fn event(&mut self, poll: usize, event: &Event) {
        let several = self.polls.len() > 1;
        let Some(watched) = self.polls.get_mut(poll) else { return };
        let line = watched.take(event, several, self.paint);
        if matches!(event, Event::Attempted(_)) {
            self.pace.count();
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
            (Sink::Live(bar), Some(line)) if matches!(event, Event::Finished(_)) => {
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

    /// Does `write` while the live line is out of the way: both streams may be the same terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.sink {
            Sink::Live(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    /// Redraws the live line.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.pace.mark(now);
        if let Sink::Live(bar) = &self.sink {
            bar.set_message(self.line(now));
            bar.tick();
        }
    }

    /// Whether there is a line to redraw.
    pub(crate) const fn is_live(&self) -> bool {
        matches!(self.sink, Sink::Live(_))
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

    fn line(&self, now: Timestamp) -> String {
        match &self.polls[..] {
            [poll] => poll.line(now, self.paint),
            polls => aggregate(polls, &self.pace, now),
        }
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.eraser()();
    }
}

impl Watched {
    /// Takes note of an event; returns what to tell about it on a line of its own.
    fn take(&mut self, event: &Event, several: bool, paint: Paint) -> Option<String> {
        let label = several.then_some(&*self.label);
        match event {
            Event::Requesting { attempt, .. } => {
                self.asking = true;
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
            Event::Finished(outcome) => {
                self.asking = false;
                self.outcome = Some(outcome.clone());
                Some(story::outcome(outcome, label, paint))
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
            if let (Some(next), false) = (&last.next, self.asking) {
                let _ = write!(line, " · {}", story::coming(next, whole_seconds(next.at, now)));
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
fn whole_seconds(at: Timestamp, now: Timestamp) -> std::time::Duration {
    let left = at.since(now);
    std::time::Duration::from_secs(left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0)))
}

fn aggregate(polls: &[Watched], pace: &Pace, now: Timestamp) -> String {
    let mut ends = [(0_usize, "matched"), (0, "failed"), (0, "timed out"), (0, "cancelled")];
    let mut last_deadline = None;
    let mut oldest: Option<Timestamp> = None;
    for poll in polls {
        match poll.outcome.as_ref().map(|outcome| &outcome.conclusion) {
            None => {
                last_deadline = last_deadline.max(Some(poll.deadline));
                oldest = Some(oldest.map_or(poll.started, |oldest| oldest.min(poll.started)));
            }
            Some(Conclusion::Matched { .. }) => ends[0].0 += 1,
            Some(Conclusion::TimedOut { .. }) => ends[2].0 += 1,
            Some(Conclusion::Cancelled) => ends[3].0 += 1,
            Some(_) => ends[1].0 += 1,
        }
    }
    let done: usize = ends.iter().map(|(number, _)| number).sum();
    let mut line = format!("{done} of {} polls done", polls.len());
    for (number, what) in ends {
        if number > 0 {
            let _ = write!(line, ", {number} {what}");
        }
    }
    let asking = polls.iter().filter(|poll| poll.asking).count();
    if asking > 0 {
        let _ = write!(line, " · {asking} asking");
    }
    if let Some(pace) = pace.in_words(now) {
        let _ = write!(line, " · {pace}");
    }
    if let Some(oldest) = oldest.filter(|oldest| now.since(*oldest) >= std::time::Duration::from_secs(1)) {
        let seconds = std::time::Duration::from_secs(now.since(oldest).as_secs());
        let _ = write!(line, " · oldest {}", short(seconds));
    }
    if let Some(deadline) = last_deadline {
        let _ = write!(line, " · {} left", countdown(deadline.since(now)));
    }
    line
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, margin::target());
    // `wide_msg` cuts the line to the terminal's width, whatever that is by then. The template is a constant; should
    // it ever be refused, the default style serves too.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
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
        Watched {
            label: "a".to_owned(),
            started: at(0),
            deadline: at(300),
            asking: false,
            attempts: 0,
            last: None,
            outcome: None,
        }
    }

    fn attempted(number: u32, next: u64) -> Event {
        let attempt = json!({
            "number": number, "at": at(10), "durationInMicros": 1000, "result": {"error": "connect"},
            "verdict": "error", "note": "refused", "next": {"at": at(next), "why": "grid"}
        });
        Event::Attempted(serde_json::from_value(attempt).unwrap())
    }

    fn cancelled() -> Event {
        let outcome = json!({
            "outcome": "cancelled", "attempts": 1, "restarts": 0, "startedAt": at(0), "endedAt": at(1),
            "counts": {}, "history": []
        });
        Event::Finished(serde_json::from_value::<Outcome>(outcome).unwrap().into())
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
    fn several_polls_are_counted() {
        let mut polls = [watched(), watched(), watched()];
        polls[0].take(&cancelled(), true, PLAIN);
        polls[1].take(&Event::Requesting { attempt: 1, at: at(0) }, true, PLAIN);
        assert_eq!(
            aggregate(&polls, &Pace::default(), at(60)),
            "1 of 3 polls done, 1 cancelled · 1 asking · oldest 1m · 4m left"
        );
        for poll in &mut polls {
            poll.take(&cancelled(), true, PLAIN);
        }
        assert_eq!(aggregate(&polls, &Pace::default(), at(60)), "3 of 3 polls done, 3 cancelled");
    }
}
