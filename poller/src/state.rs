//! The state machine of one poll: pure, without clock, I/O or randomness of its own.
//!
//! ```text
//!            due                    finding: not yet
//!  waiting ───────► in flight ────────────────────────► waiting
//!     │                 │  finding: matched, failed, gave up, hint past the deadline
//!     │ deadline,       │  deadline, cancel
//!     │ cancel          ▼
//!     └─────────────► ended (a Conclusion; nothing follows)
//! ```
//!
//! What always holds: a request begins only when the poll is due and before its deadline; the next request is never
//! before the one in flight has ended; after the conclusion there is no request.

use std::collections::VecDeque;
use std::time::Duration;

use retry::Rng;

use crate::clock::Timestamp;
use crate::fetch::FetchErrorKind;
use crate::judge::{self, Finding, Retry, Unmatched};
use crate::outcome::{
    Attempt, AttemptResult, Conclusion, Counts, FailureReason, Next, NextReason, Outcome, RecordedResponse,
    TimeoutReason, Verdict,
};
use crate::schedule::Grid;
use crate::spec::{PollSpec, Strategy};

/// A poll that has no outcome yet.
#[derive(Clone, Debug)]
pub(crate) struct PollState {
    grid: Grid,
    /// When the next request is due; `None` when no tick is left and only the deadline remains.
    next: Option<Timestamp>,
    attempts: u32,
    restarts: u32,
    /// Attempts in a row that cannot get better.
    hopeless: u32,
    sequence: Option<Sequence>,
    counts: Vec<(AttemptResult, u32)>,
    history: VecDeque<Attempt>,
    last: Option<RecordedResponse>,
}

/// A retry sequence under way: consecutive tries for the same reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sequence {
    cause: Cause,
    tries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A rule of the spec, for one status: another status starts a sequence of its own.
    Rule(usize, u16),
    RequestTimeout,
}

/// A request to be made, and the moment at which it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) attempt: u32,
    pub(crate) cut: Timestamp,
}

/// What follows from a wake-up.
#[derive(Clone, Debug)]
pub(crate) enum Wake {
    Begin(Begin),
    Wait,
    End(Conclusion),
}

/// What follows from a finding.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The attempt as it goes into the history.
    pub(crate) attempt: Attempt,
    /// How the poll ended, if it did.
    pub(crate) end: Option<Conclusion>,
    /// Until when the other polls of the same origin and credentials should hold back.
    pub(crate) hold: Option<Timestamp>,
}

impl PollState {
    /// A poll accepted at `start`: its first request is due at once.
    pub(crate) fn new(spec: &PollSpec, start: Timestamp) -> Self {
        let grid = Grid::new(start, spec.interval(), spec.timeout());
        Self {
            grid,
            next: Some(start),
            attempts: 0,
            restarts: 0,
            hopeless: 0,
            sequence: None,
            counts: Vec::new(),
            history: VecDeque::new(),
            last: None,
        }
    }

    /// A poll that an earlier process had accepted at `start`. It goes on with the first tick after `now`, or at once
    /// where that leaves no tick, or where it is so young that its first request may not have been made.
    pub(crate) fn resumed(spec: &PollSpec, start: Timestamp, restarts: u32, now: Timestamp) -> Self {
        let mut state = Self::new(spec, start);
        state.restarts = restarts;
        let young = now.since(start) < state.grid.interval();
        state.next = if young { Some(now) } else { Some(state.grid.first_after(now).unwrap_or(now)) };
        state
    }

    pub(crate) const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The number of the last request that was begun.
    pub(crate) const fn attempt(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn history(&self) -> impl Iterator<Item = &Attempt> {
        self.history.iter()
    }

    /// When the next request is due; `None` when there will be none.
    pub(crate) const fn due(&self) -> Option<Timestamp> {
        self.next
    }

    /// When to look at the poll again while no request is in flight.
    pub(crate) fn wake_at(&self) -> Timestamp {
        self.next.map_or(self.grid.deadline(), |next| next.min(self.grid.deadline()))
    }

    /// Looks at a poll without a request in flight.
    pub(crate) fn wake(&mut self, spec: &PollSpec, now: Timestamp) -> Wake {
        if now >= self.grid.deadline() {
            return Wake::End(self.time_is_over(spec));
        }
        match self.next {
            Some(due) if due <= now => {
                self.attempts = self.attempts.saturating_add(1);
                let cut = (now + spec.request_timeout().duration).min(self.grid.deadline());
                Wake::Begin(Begin { attempt: self.attempts, cut })
            }
            _ => Wake::Wait,
        }
    }

    /// Ends the attempt in flight, which began at `began` and brought `finding` at `ended`.
    pub(crate) fn settle(
        &mut self,
        spec: &PollSpec,
        finding: Finding,
        began: Timestamp,
        ended: Timestamp,
        rng: &mut Rng,
        limits: &StepLimits,
    ) -> Step {
        // A response whose last byte came at the deadline or later does not count, whatever it says.
        let late = ended >= self.grid.deadline();
        let (result, verdict, note) = describe(&finding, late);
        self.count(result);
        let mut hold = None;
        let (end, next) = match finding {
            _ if late => (Some(self.time_is_over(spec)), None),
            Finding::Matched { response } => (Some(Conclusion::Matched { response }), None),
            Finding::Failed { response, explanation } => {
                let reason = FailureReason::FailureFilter;
                (Some(Conclusion::Failed { reason, response: Some(response), explanation }), None)
            }
            Finding::Unmatched(unmatched) => {
                if matches!(unmatched.response.status(), 429 | 503) {
                    hold = unmatched.hint.map(|hint| ended + hint.min(limits.hold_back));
                }
                self.unmatched(spec, unmatched, began, ended, rng, limits)
            }
            Finding::Error(error) => {
                let hopeless = error.kind().is_hopeless();
                self.track_hopeless(hopeless);
                match self.give_up(spec, || error.to_string(), None) {
                    Some(end) => (Some(end), None),
                    None => (None, self.after_error(spec, error.kind(), began, ended, rng)),
                }
            }
        };
        let next = next.filter(|next| end.is_none() && next.at < self.grid.deadline());
        self.next = next.map(|next| next.at);
        let attempt = Attempt {
            number: self.attempts,
            at: began,
            duration: ended.since(began),
            result,
            verdict,
            note,
            next,
        };
        if limits.history > 0 {
            if self.history.len() >= limits.history {
                self.history.pop_front();
            }
            self.history.push_back(attempt.clone());
        }
        Step { attempt, end, hold }
    }

    /// The outcome of this poll, concluded at `now`.
    pub(crate) fn outcome(&mut self, conclusion: Conclusion, now: Timestamp) -> Outcome {
        Outcome {
            conclusion,
            attempts: self.attempts,
            restarts: self.restarts,
            started_at: self.grid.start(),
            ended_at: now,
            counts: self
                .counts
                .iter()
                .map(|(result, count)| (result.to_string(), *count))
                .collect::<Counts>(),
            history: std::mem::take(&mut self.history).into(),
        }
    }

    fn unmatched(
        &mut self,
        spec: &PollSpec,
        unmatched: Unmatched,
        began: Timestamp,
        ended: Timestamp,
        rng: &mut Rng,
        limits: &StepLimits,
    ) -> (Option<Conclusion>, Option<Next>) {
        let Unmatched { response, note, retry, hint, hopeless } = unmatched;
        let status = response.status();
        self.track_hopeless(hopeless);
        let gave_up = self.give_up(spec, || format!("HTTP status is {status}: {note}"), Some(&response));
        self.last = Some(response);
        if let Some(end) = gave_up {
            return (Some(end), None);
        }
        let backoff = match retry {
            Some(Retry::Backoff(rule)) => match spec.retry().get(rule).map(|rule| &rule.strategy) {
                Some(Strategy::Backoff(backoff)) => {
                    self.retry(Cause::Rule(rule, status), &backoff.options, ended, rng)
                }
                _ => None,
            },
            _ => None,
        };
        if backoff.is_some() {
            return (None, backoff);
        }
        self.sequence = None;
        let wait = match retry {
            // Told to come back at once, over and over, a poll would be a flood.
            Some(Retry::Headers(delay)) => Some(delay.max(self.grid.interval().min(limits.headers_floor))),
            _ => hint,
        };
        let Some(wait) = wait else {
            return (None, self.next_tick(began, ended));
        };
        let until = ended + wait;
        if until >= self.grid.deadline() {
            return (Some(self.hint_past_deadline(spec, wait)), None);
        }
        if let Some(Retry::Headers(_)) = retry {
            return (None, Some(Next { at: until, why: NextReason::Hint }));
        }
        let next = match (self.grid.first_at_or_after(until), self.next_tick(began, ended)) {
            // A hint that asks for less than the grid gives changes nothing, and is not named as the reason.
            (Some(held), Some(tick)) if held <= tick.at => Some(tick),
            (held, _) => held.map(|at| Next { at, why: NextReason::Hint }),
        };
        (None, next)
    }

    fn after_error(
        &mut self,
        spec: &PollSpec,
        kind: FetchErrorKind,
        began: Timestamp,
        ended: Timestamp,
        rng: &mut Rng,
    ) -> Option<Next> {
        if kind == FetchErrorKind::Timeout
            && let Some(options) = &spec.request_timeout().retry
            && let Some(next) = self.retry(Cause::RequestTimeout, options, ended, rng)
        {
            return Some(next);
        }
        self.sequence = None;
        self.next_tick(began, ended)
    }

    /// The next try of a sequence; `None` when its limit is spent.
    fn retry(
        &mut self,
        cause: Cause,
        options: &retry::RetryOptions,
        ended: Timestamp,
        rng: &mut Rng,
    ) -> Option<Next> {
        let tries = match self.sequence {
            Some(sequence) if sequence.cause == cause => sequence.tries.saturating_add(1),
            _ => 1,
        };
        if !options.allows_another(tries) {
            return None;
        }
        self.sequence = Some(Sequence { cause, tries });
        let at = ended + options.delay(tries, rng);
        Some(Next { at, why: NextReason::Retry { r#try: tries + 1, limit: options.limit() } })
    }

    /// The first tick that is after the attempt that began at `began` and not before its end.
    fn next_tick(&self, began: Timestamp, ended: Timestamp) -> Option<Next> {
        let at =
            if ended > began { self.grid.first_at_or_after(ended) } else { self.grid.first_after(began) };
        at.map(|at| Next { at, why: NextReason::Grid })
    }

    fn track_hopeless(&mut self, hopeless: bool) {
        self.hopeless = if hopeless { self.hopeless.saturating_add(1) } else { 0 };
    }

    fn give_up(
        &self,
        spec: &PollSpec,
        what: impl FnOnce() -> String,
        response: Option<&RecordedResponse>,
    ) -> Option<Conclusion> {
        let after = spec.give_up()?.get();
        (self.hopeless >= after).then(|| Conclusion::Failed {
            reason: FailureReason::GaveUp,
            response: response.cloned(),
            explanation: format!(
                "gave up after {after} attempts in a row that cannot get better: {}",
                what()
            ),
        })
    }

    fn count(&mut self, result: AttemptResult) {
        match self.counts.iter_mut().find(|(counted, _)| *counted == result) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.counts.push((result, 1)),
        }
    }

    fn time_is_over(&mut self, spec: &PollSpec) -> Conclusion {
        let explanation = match (&self.last, self.history.back().and_then(|attempt| attempt.note.as_deref()))
        {
            (Some(last), _) => judge::explain(spec, last),
            (None, Some(note)) => format!("no attempt brought a response; the last one: {note}"),
            (None, None) if self.restarts > 0 && self.attempts == 0 => {
                "the deadline passed while no process ran the poll".to_owned()
            }
            (None, None) => "no response came before the deadline".to_owned(),
        };
        let away = self.restarts > 0 && self.attempts == 0;
        let reason = if away { TimeoutReason::WhileAway } else { TimeoutReason::Deadline };
        Conclusion::TimedOut { reason, response: self.last.take(), explanation }
    }

    fn hint_past_deadline(&mut self, spec: &PollSpec, wait: Duration) -> Conclusion {
        let asked = format!("the server asked to wait {wait:?}, which is past the deadline");
        let explanation = match &self.last {
            Some(last) => format!("{asked}\n{}", judge::explain(spec, last)),
            None => asked,
        };
        Conclusion::TimedOut {
            reason: TimeoutReason::HintPastDeadline,
            response: self.last.take(),
            explanation,
        }
    }
}

/// The limits that a step depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepLimits {
    pub(crate) history: usize,
    pub(crate) hold_back: Duration,
    /// The shortest wait that a `headers` strategy may ask for, where the interval is not shorter still.
    pub(crate) headers_floor: Duration,
}

fn describe(finding: &Finding, late: bool) -> (AttemptResult, Verdict, Option<Box<str>>) {
    match finding {
        Finding::Matched { response } | Finding::Failed { response, .. } if late => {
            let note = "the response came after the deadline".into();
            (AttemptResult::Status(response.status()), Verdict::Unmatched, Some(note))
        }
        Finding::Matched { response } => (AttemptResult::Status(response.status()), Verdict::Matched, None),
        Finding::Failed { response, explanation } => {
            (AttemptResult::Status(response.status()), Verdict::Failed, Some(explanation.as_str().into()))
        }
        Finding::Unmatched(unmatched) => {
            let note = Some(unmatched.note.clone());
            (AttemptResult::Status(unmatched.response.status()), Verdict::Unmatched, note)
        }
        Finding::Error(error) => {
            (AttemptResult::Error(error.kind()), Verdict::Error, Some(error.to_string().into()))
        }
    }
}
