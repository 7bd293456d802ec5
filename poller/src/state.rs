//! The state machine of one poll: pure, without clock, I/O or randomness of its own.
//!
//! ```text
//!            due                    judgement: unmatched
//!  waiting ───────► in flight ────────────────────────► waiting
//!     │                 │  judgement: matched, failed, gave up, hint past the deadline
//!     │ deadline,       │  deadline, cancel
//!     │ cancel          ▼
//!     └─────────────► outcome (final)
//! ```
//!
//! Invariants: a request begins only when the poll is due and before its deadline; the next one never begins before the one
//! in flight has ended; no request follows the outcome.
//!
//! Retries take their delays and limits from `retry::RetryOptions`, but the decision is made here and not by
//! `retry::decide` and `retry::strategy::ByStatus`: a rule may also have a body filter; an exhausted retry sequence falls
//! back to the next tick of the grid instead of giving up; and a hint is aligned to the grid. `decide` would also need the
//! elapsed time and the last delay of each sequence, stored in each of a million polls.

use std::sync::Arc;
use std::time::Duration;

use retry::Rng;
use retry::strategy::{Sequence, Strategy};

use crate::clock::Timestamp;
use crate::fetch::FetchErrorKind;
use crate::history::{History, Note, Record, Rhythm};
use crate::job::PollSpec;
use crate::judge::{self, Judgement, Retry, Unmatched, UnmatchedResponse};
use crate::outcome::{
    Attempt, AttemptResult, Counts, FailureReason, JudgementKind, Next, NextReason, Outcome, OutcomeKind,
    TimeoutReason,
};
use crate::response::RecordedResponse;
use crate::schedule::Grid;

/// The state of an open poll. Values that follow from the spec are not stored: there may be a million polls.
#[derive(Clone, Debug)]
pub(crate) struct PollState {
    start: Timestamp,
    /// The time at which the next request is due; [`NEVER`] if no tick is left before the deadline.
    next: Timestamp,
    attempts: u32,
    restarts: u32,
    /// The results of its attempts, from the first on.
    progress: Option<Box<Progress>>,
}

const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

#[derive(Clone, Debug, Default)]
struct Progress {
    /// The number of consecutive attempts with a permanent error.
    hopeless: u32,
    /// The current retry sequence: consecutive tries for the same cause.
    sequence: Sequence<Cause>,
    counts: Tally,
    history: History,
    last: Option<Arc<UnmatchedResponse>>,
}

/// A count per result. Most polls see only one kind of result until they end, so the first needs no list. A `SmallVec` with
/// one place would be shorter here and take 8 bytes more in each of a million polls.
#[derive(Clone, Debug, Default)]
struct Tally {
    first: Option<(AttemptResult, u32)>,
    #[expect(
        clippy::box_collection,
        reason = "a pointer instead of three words, in each of a million polls"
    )]
    others: Option<Box<Vec<(AttemptResult, u32)>>>,
}

impl Tally {
    fn count(&mut self, result: AttemptResult) {
        match &mut self.first {
            None => self.first = Some((result, 1)),
            Some((first, count)) if *first == result => *count = count.saturating_add(1),
            Some(_) => {
                let others = self.others.get_or_insert_default();
                match others.iter_mut().find(|(counted, _)| *counted == result) {
                    Some((_, count)) => *count = count.saturating_add(1),
                    None => others.push((result, 1)),
                }
            }
        }
    }

    fn counts(&self) -> Counts {
        let others = self.others.iter().flat_map(|others| others.iter());
        self.first.iter().chain(others).map(|(result, count)| (result.to_string(), *count)).collect()
    }
}

/// The cause of a retry sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A retry rule of the spec and a status: another status starts a new sequence.
    Rule(u32, u16),
    RequestTimeout,
}

/// A request to send, and the time at which it is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) attempt: u32,
    pub(crate) due: Timestamp,
    pub(crate) cut: Timestamp,
}

/// The result of a wake-up.
#[derive(Clone, Debug)]
pub(crate) enum Wake {
    Begin(Begin),
    Wait,
    End(OutcomeKind),
}

/// The result of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The attempt, as recorded in the history.
    pub(crate) record: Record,
    /// The outcome, if the poll has ended.
    pub(crate) outcome: Option<OutcomeKind>,
    /// The end of the hold on polls of the same origin and credentials.
    pub(crate) hold: Option<Timestamp>,
}

/// The limits that apply to a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepLimits {
    pub(crate) history: usize,
    pub(crate) hold_back: Duration,
    /// The shortest wait of a `headers` strategy, unless the interval is shorter.
    pub(crate) headers_floor: Duration,
}

/// The beginning and the end of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) began: Timestamp,
    pub(crate) ended: Timestamp,
}

impl PollState {
    /// A poll accepted at `start`; its first request is due at once.
    pub(crate) const fn new(start: Timestamp) -> Self {
        Self { start, next: start, attempts: 0, restarts: 0, progress: None }
    }

    /// A poll that an earlier process accepted at `start`. The next request is due at the first tick after `now`; at once if
    /// no tick is left, or within the first interval, when the first request may not have been sent.
    pub(crate) fn resumed(spec: &PollSpec, start: Timestamp, restarts: u32, now: Timestamp) -> Self {
        let mut state = Self { restarts, ..Self::new(start) };
        let grid = state.grid(spec);
        let young = now.since(start) < grid.interval();
        // The clock of the other process may be ahead.
        state.next = if young { now.max(start) } else { grid.first_after(now).unwrap_or(now) };
        state
    }

    pub(crate) const fn start(&self) -> Timestamp {
        self.start
    }

    pub(crate) const fn restarts(&self) -> u32 {
        self.restarts
    }

    fn grid(&self, spec: &PollSpec) -> Grid {
        Grid::new(self.start, spec.interval(), spec.timeout())
    }

    pub(crate) fn deadline(&self, spec: &PollSpec) -> Timestamp {
        self.start + spec.timeout()
    }

    /// The time at which the next request is due; `None` if there will be none.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        (self.next != NEVER).then_some(self.next)
    }

    /// The number of the last request that began.
    pub(crate) const fn attempt(&self) -> u32 {
        self.attempts
    }

    /// The last response that matched no filter.
    pub(crate) fn last(&self) -> Option<&Arc<UnmatchedResponse>> {
        self.progress.as_ref()?.last.as_ref()
    }

    /// The recorded attempts, oldest first; `in_flight` means that the last request has not ended.
    pub(crate) fn history(&self, spec: &PollSpec, in_flight: bool) -> impl Iterator<Item = Attempt> {
        let last = self.attempts.saturating_sub(u32::from(in_flight));
        let rhythm = self.rhythm(spec);
        self.progress.iter().flat_map(move |progress| progress.history.attempts(rhythm, last))
    }

    fn rhythm(&self, spec: &PollSpec) -> Rhythm {
        Rhythm { start: self.start, interval: spec.interval() }
    }

    /// The time of the next wake-up while no request is in flight.
    pub(crate) fn wake_at(&self, spec: &PollSpec) -> Timestamp {
        self.next.min(self.deadline(spec))
    }

    /// Wakes a poll without a request in flight.
    pub(crate) fn wake(&mut self, spec: &PollSpec, now: Timestamp) -> Wake {
        let deadline = self.deadline(spec);
        if now >= deadline {
            return Wake::End(self.time_is_over(spec));
        }
        if self.next > now {
            return Wake::Wait;
        }
        self.attempts = self.attempts.saturating_add(1);
        let cut = (now + spec.request_timeout().duration).min(deadline);
        Wake::Begin(Begin { attempt: self.attempts, due: self.next, cut })
    }

    /// Ends the attempt in flight with its judgement.
    pub(crate) fn settle(
        &mut self,
        spec: &PollSpec,
        judgement: Judgement,
        span: Span,
        rng: &mut Rng,
        limits: &StepLimits,
    ) -> Step {
        let Span { began, ended } = span;
        // A response whose last byte arrives at or after the deadline does not count.
        let deadline = self.deadline(spec);
        let late = ended >= deadline;
        let (result, kind, note) = self.summarize(&judgement, late);
        self.progress().counts.count(result);
        let mut hold = None;
        let (end, next) = match judgement {
            _ if late => (Some(self.time_is_over(spec)), None),
            Judgement::Matched { response } => (Some(OutcomeKind::Matched { response }), None),
            Judgement::Failed { response, explanation } => {
                let reason = FailureReason::FailureFilter;
                (Some(OutcomeKind::Failed { reason, response: Some(response), explanation }), None)
            }
            Judgement::Unmatched(unmatched) => {
                if matches!(unmatched.response.response.status(), 429 | 503) {
                    hold = unmatched.hint.map(|hint| ended + hint.min(limits.hold_back));
                }
                self.unmatched(spec, unmatched, span, rng, limits)
            }
            Judgement::Error(error) => {
                let hopeless = error.kind().is_hopeless();
                self.track_hopeless(hopeless);
                match self.give_up(spec, || error.to_string(), None) {
                    Some(end) => (Some(end), None),
                    None => (None, self.after_error(spec, error.kind(), span, rng)),
                }
            }
        };
        let next = next.filter(|next| end.is_none() && next.at < deadline);
        let due = std::mem::replace(&mut self.next, next.map_or(NEVER, |next| next.at));
        let record = Record { at: began, duration: ended.since(began), result, judgement: kind, note, next };
        let rhythm = self.rhythm(spec);
        self.progress().history.push(&record, due, rhythm, limits.history);
        Step { record, outcome: end, hold }
    }

    fn progress(&mut self) -> &mut Progress {
        self.progress.get_or_insert_default()
    }

    /// The outcome of this poll, decided at `now`; `in_flight` means that its last request is aborted.
    pub(crate) fn outcome(
        &self,
        spec: &PollSpec,
        kind: OutcomeKind,
        in_flight: bool,
        now: Timestamp,
    ) -> Outcome {
        Outcome {
            kind,
            attempts: self.attempts,
            restarts: self.restarts,
            started_at: self.start,
            ended_at: now,
            counts: self.progress.as_ref().map(|progress| progress.counts.counts()).unwrap_or_default(),
            history: self.history(spec, in_flight).collect(),
        }
    }

    fn unmatched(
        &mut self,
        spec: &PollSpec,
        unmatched: Unmatched,
        span: Span,
        rng: &mut Rng,
        limits: &StepLimits,
    ) -> (Option<OutcomeKind>, Option<Next>) {
        let Unmatched { response: kept, retry, hint, hopeless } = unmatched;
        let status = kept.response.status();
        self.track_hopeless(hopeless);
        let gave_up =
            self.give_up(spec, || format!("HTTP status is {status}: {}", kept.note), Some(&kept.response));
        self.progress().last = Some(kept);
        if let Some(end) = gave_up {
            return (Some(end), None);
        }
        let backoff = match retry {
            Some(Retry::Backoff(rule)) => match spec.retry().get(rule).map(|rule| &rule.strategy) {
                Some(Strategy::Backoff(options)) => {
                    self.retry(Cause::Rule(number(rule), status), options, span.ended, rng)
                }
                _ => None,
            },
            _ => None,
        };
        if backoff.is_some() {
            return (None, backoff);
        }
        self.progress().sequence.end();
        let grid = self.grid(spec);
        let wait = match retry {
            // A server that keeps answering with a reset in the past must not cause a flood.
            Some(Retry::Headers(delay)) => Some(delay.max(grid.interval().min(limits.headers_floor))),
            _ => hint,
        };
        let Some(wait) = wait else {
            return (None, next_tick(&grid, span));
        };
        let until = span.ended + wait;
        if until >= grid.deadline() {
            return (Some(self.hint_past_deadline(spec, wait)), None);
        }
        if let Some(Retry::Headers(_)) = retry {
            return (None, Some(Next { at: until, why: NextReason::Hint }));
        }
        let next = match (grid.first_at_or_after(until), next_tick(&grid, span)) {
            // A hint that ends before the next tick is not the reason for it.
            (Some(held), Some(tick)) if held <= tick.at => Some(tick),
            (held, _) => held.map(|at| Next { at, why: NextReason::Hint }),
        };
        (None, next)
    }

    fn after_error(
        &mut self,
        spec: &PollSpec,
        kind: FetchErrorKind,
        span: Span,
        rng: &mut Rng,
    ) -> Option<Next> {
        if kind == FetchErrorKind::Timeout
            && let Some(options) = &spec.request_timeout().retry
            && let Some(next) = self.retry(Cause::RequestTimeout, options, span.ended, rng)
        {
            return Some(next);
        }
        self.progress().sequence.end();
        next_tick(&self.grid(spec), span)
    }

    /// The next try of a sequence; `None` if its limit is reached.
    fn retry(
        &mut self,
        cause: Cause,
        options: &retry::RetryOptions,
        ended: Timestamp,
        rng: &mut Rng,
    ) -> Option<Next> {
        let tries = self.progress().sequence.failed(cause);
        if !options.allows_another(tries) {
            return None;
        }
        let at = ended + options.delay(tries, rng);
        Some(Next { at, why: NextReason::Retry { r#try: tries + 1, limit: options.limit() } })
    }

    fn track_hopeless(&mut self, hopeless: bool) {
        let progress = self.progress();
        progress.hopeless = if hopeless { progress.hopeless.saturating_add(1) } else { 0 };
    }

    fn give_up(
        &self,
        spec: &PollSpec,
        what: impl FnOnce() -> String,
        response: Option<&RecordedResponse>,
    ) -> Option<OutcomeKind> {
        let after = spec.give_up()?.get();
        let hopeless = self.progress.as_ref().map_or(0, |progress| progress.hopeless);
        (hopeless >= after).then(|| OutcomeKind::Failed {
            reason: FailureReason::GaveUp,
            response: response.cloned().map(|mut response| {
                response.set_echoes(false);
                response
            }),
            explanation: format!(
                "gave up after {after} attempts in a row that cannot get better: {}",
                what()
            ),
        })
    }

    fn time_is_over(&mut self, spec: &PollSpec) -> OutcomeKind {
        let explained = self.explain_last(spec);
        let note = self.progress.as_ref().and_then(|progress| progress.history.last_note());
        // A first request due at or after the deadline means that the poll was resumed after it.
        let away = self.attempts == 0 && self.next >= self.deadline(spec);
        let explanation = match (explained, note) {
            (Some(explained), _) => explained,
            (None, Some(note)) => format!("no attempt brought a response; the last one: {note}"),
            (None, None) if away => "the deadline passed while no process ran the poll".to_owned(),
            (None, None) => "no response came before the deadline".to_owned(),
        };
        let reason = if away { TimeoutReason::WhileAway } else { TimeoutReason::Deadline };
        OutcomeKind::TimedOut { reason, response: self.take_last(), explanation }
    }

    fn hint_past_deadline(&mut self, spec: &PollSpec, wait: Duration) -> OutcomeKind {
        let asked = format!("the server asked to wait {wait:?}, which is past the deadline");
        let explanation = match self.explain_last(spec) {
            Some(explained) => format!("{asked}\n{explained}"),
            None => asked,
        };
        let reason = TimeoutReason::HintPastDeadline;
        OutcomeKind::TimedOut { reason, response: self.take_last(), explanation }
    }

    /// The full explanation of the last mismatch; only its one-line note if the response echoes a secret.
    fn explain_last(&self, spec: &PollSpec) -> Option<String> {
        let last = self.last()?;
        let quotable = !last.response.echoes();
        Some(if quotable { judge::explain(spec, &last.response) } else { last.note.to_string() })
    }

    fn take_last(&mut self) -> Option<RecordedResponse> {
        let last = self.progress.as_mut()?.last.take()?;
        let mut response =
            Arc::try_unwrap(last).map_or_else(|shared| shared.response.clone(), |last| last.response);
        response.set_echoes(false);
        Some(response)
    }

    fn summarize(&self, judgement: &Judgement, late: bool) -> (AttemptResult, JudgementKind, Option<Note>) {
        match judgement {
            Judgement::Matched { response } | Judgement::Failed { response, .. } if late => {
                let note = Some(self.note("the response came after the deadline"));
                (AttemptResult::Status(response.status()), JudgementKind::Unmatched, note)
            }
            Judgement::Matched { response } => {
                (AttemptResult::Status(response.status()), JudgementKind::Matched, None)
            }
            Judgement::Failed { response, explanation } => {
                let note = Some(self.note(explanation));
                (AttemptResult::Status(response.status()), JudgementKind::Failed, note)
            }
            Judgement::Unmatched(Unmatched { response: kept, .. }) => {
                let note = Some(Arc::clone(&kept.note));
                (AttemptResult::Status(kept.response.status()), JudgementKind::Unmatched, note)
            }
            Judgement::Error(error) => {
                let note = Some(self.note(error.message()));
                (AttemptResult::Error(error.kind()), JudgementKind::Error, note)
            }
        }
    }

    /// A note with this text; shared with the last attempt if equal.
    fn note(&self, text: &str) -> Note {
        let last = self.progress.as_ref().and_then(|progress| progress.history.last_note());
        last.filter(|last| ***last == *text).map_or_else(|| text.into(), Arc::clone)
    }
}

/// The index of a rule as `u32`; a spec never has that many.
fn number(rule: usize) -> u32 {
    u32::try_from(rule).unwrap_or(u32::MAX)
}

/// The first tick after the beginning of an attempt and not before its end.
fn next_tick(grid: &Grid, Span { began, ended }: Span) -> Option<Next> {
    let at = if ended > began { grid.first_at_or_after(ended) } else { grid.first_after(began) };
    at.map(|at| Next { at, why: NextReason::Grid })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every open poll has the first; every poll with an attempt has the others.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_state_of_a_poll_stays_small() {
        assert!(size_of::<PollState>() <= 32, "{}", size_of::<PollState>());
        assert!(size_of::<Progress>() <= 96, "{}", size_of::<Progress>());
        assert!(size_of::<UnmatchedResponse>() <= 72, "{}", size_of::<UnmatchedResponse>());
    }
}
