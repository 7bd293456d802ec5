//! The state machine of one poll: pure, without clock, I/O or randomness of its own.
//!
//! ```text
//!            due                    judgement: unmatched
//!  waiting ───────► in flight ────────────────────────► waiting
//!     │                 │  judgement: matched, failed, gave up, hint past the deadline
//!     │ deadline,       │  deadline, cancel
//!     │ cancel          ▼
//!     └─────────────► outcome (final)
//!
//!  deadline passed while no process ran it ──► due once more: the last look ──► outcome
//! ```
//!
//! Invariants: a request begins only when the poll is due, and before its deadline unless it is the last look; the next one
//! never begins before the one in flight has ended; no request follows the outcome.
//!
//! Retries take their delays and limits from `retry::RetryOptions`, but the decision is made here and not by
//! `retry::decide` and `retry::strategy::ByStatus`: a rule may also have a body filter; an exhausted retry sequence falls
//! back to the next tick of the grid instead of giving up; and a hint is aligned to the grid. `decide` would also need the
//! elapsed time and the last delay of each sequence, stored in each of a million polls.

mod ending;
mod step;
mod tally;
mod ticks;

use std::sync::Arc;
use std::time::Duration;

use retry::strategy::{Sequence, Strategy};
use retry::{RetryOptions, Rng};

pub(crate) use self::step::{Begin, HoldRequest, Reach, Span, Step, StepLimits, Wake};
use self::tally::{Same, Streak, Tally};
use self::ticks::{next_after_hint, next_tick};
use crate::clock::{Timestamp, micros};
use crate::fetch::{FetchErrorKind, Journey};
use crate::history::{History, Note, Record, Rhythm};
use crate::job::{Outline, PollSpec};
use crate::judge::{Judged, Judgement, NOTE, Retry, Row, Unmatched, UnmatchedResponse, bounded};
use crate::outcome::{Attempt, AttemptResult, FailureReason, JudgementKind, Next, NextReason, OutcomeKind};
use crate::response::RecordedResponse;
use crate::schedule::Grid;
use crate::store::StoredPoll;

/// The state of an open poll. Values that follow from the spec are not stored: there may be a million polls.
#[derive(Clone, Debug)]
pub(crate) struct PollState {
    start: Timestamp,
    /// How long after its start its grid begins, in microseconds.
    first_after: u64,
    /// The time at which the next request is due; [`NEVER`] if no tick is left before the deadline. At or after the deadline
    /// it is that of the last look.
    next: Timestamp,
    attempts: u32,
    restarts: u32,
    /// The results of its attempts, from the first on.
    progress: Option<Box<Progress>>,
}

const NEVER: Timestamp = Timestamp::from_micros(u64::MAX);

/// The least time by which the deadline of a poll must have passed unnoticed for a last look: its process was stopped, or the
/// machine asleep. A busy engine is late by milliseconds.
const AWAY: Duration = Duration::from_secs(1);

/// The least time between two requests of a poll that callers [hasten](PollState::hasten).
const PAUSE: Duration = Duration::from_secs(1);

/// The longest time for which a last look may wait for its turn.
const LAST_LOOK: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug, Default)]
struct Progress {
    /// The attempts of one kind at the end, as far as their number matters.
    streak: Streak,
    /// The current retry sequence: consecutive tries for the same cause.
    sequence: Sequence<Cause>,
    counts: Tally,
    history: History,
    last: Option<Arc<UnmatchedResponse>>,
}

/// The cause of a retry sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A retry rule of the spec and a status, or the code of an error, which is below 100: another one starts a new sequence.
    Rule(u32, u16),
    RequestTimeout,
}

impl PollState {
    /// A poll that was just accepted. Its first request is due at once, unless it is spread.
    pub(crate) fn new(poll: &StoredPoll) -> Self {
        let StoredPoll { created_at, first_after, restarts, .. } = *poll;
        let next = created_at + first_after;
        Self {
            start: created_at,
            first_after: micros(first_after),
            next,
            attempts: 0,
            restarts,
            progress: None,
        }
    }

    /// A poll that the store had. The next request is due at the first tick after `now`; at once if no tick is left, or
    /// within the first interval after the first tick, when the first request may not have been sent. After the deadline it
    /// is the last look.
    pub(crate) fn resumed(poll: &StoredPoll, now: Timestamp) -> Self {
        let mut state = Self::new(poll);
        // The clock of the other process may have been ahead; its poll must not sleep until this one has caught up.
        state.start = state.start.min(now);
        let grid = state.grid(poll.spec.outline());
        let young = now.since(grid.start()) < grid.interval().first();
        state.next = if young { now.max(grid.start()) } else { grid.first_after(now).unwrap_or(now) };
        state
    }

    pub(crate) const fn start(&self) -> Timestamp {
        self.start
    }

    const fn first_after(&self) -> Duration {
        Duration::from_micros(self.first_after)
    }

    pub(crate) const fn restarts(&self) -> u32 {
        self.restarts
    }

    fn grid(&self, outline: &Outline) -> Grid {
        let first_after = self.first_after();
        Grid::new(self.start + first_after, outline.interval, outline.timeout().saturating_sub(first_after))
    }

    pub(crate) fn deadline(&self, outline: &Outline) -> Timestamp {
        self.start + outline.timeout()
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
    pub(crate) fn history(&self, outline: &Outline, in_flight: bool) -> impl Iterator<Item = Attempt> {
        let last = self.attempts.saturating_sub(u32::from(in_flight));
        let rhythm = self.rhythm(outline);
        self.progress.iter().flat_map(move |progress| progress.history.attempts(rhythm, last))
    }

    fn rhythm(&self, outline: &Outline) -> Rhythm {
        Rhythm { start: self.start, interval: outline.interval.first() }
    }

    /// Whether the request that is due or in flight is the last look.
    fn looks_last(&self, outline: &Outline) -> bool {
        self.next != NEVER && self.next >= self.deadline(outline)
    }

    /// The time from which no request begins.
    pub(crate) fn closes(&self, outline: &Outline) -> Timestamp {
        if self.looks_last(outline) { self.next + LAST_LOOK } else { self.deadline(outline) }
    }

    /// Grants a last look if the deadline has passed unnoticed. For a poll without a request in flight.
    pub(crate) fn notice(&mut self, outline: &Outline, now: Timestamp) {
        if now >= self.closes(outline) + AWAY {
            self.move_next(outline, now);
        }
    }

    /// Moves the next request, also in the record of the attempt before it.
    fn move_next(&mut self, outline: &Outline, next: Timestamp) {
        self.next = next;
        let rhythm = self.rhythm(outline);
        if let Some(progress) = &mut self.progress {
            progress.history.move_next(next, rhythm);
        }
    }

    /// The time of the next wake-up while no request is in flight.
    pub(crate) fn wake_at(&self, outline: &Outline) -> Timestamp {
        self.next.min(self.closes(outline))
    }

    /// Wakes a poll without a request in flight.
    pub(crate) fn wake(&mut self, outline: &Outline, now: Timestamp) -> Wake {
        let closes = self.closes(outline);
        if now >= closes {
            return Wake::Over;
        }
        if self.next > now {
            return Wake::Wait;
        }
        self.attempts = self.attempts.saturating_add(1);
        let cut = (now + outline.request_timeout()).min(closes);
        Wake::Begin(Begin { attempt: self.attempts, due: self.next, cut })
    }

    /// Brings the next request forward to `now`, or to [`PAUSE`] after the last one ended. Returns whether it is earlier then.
    /// A wait that the server has asked for stays, and so does a last look. For a poll without a request in flight.
    pub(crate) fn hasten(&mut self, outline: &Outline, now: Timestamp) -> bool {
        let earliest = match &self.progress {
            None => now,
            Some(progress) => match progress.history.last_end(self.rhythm(outline)) {
                // No attempts are kept: neither the end of the last one nor what the server asked for is known.
                None => return false,
                Some((_, Some(Next { why: NextReason::Hint, .. }))) => return false,
                Some((ended, _)) => now.max(ended + PAUSE),
            },
        };
        if earliest >= self.next || earliest >= self.deadline(outline) {
            return false;
        }
        self.move_next(outline, earliest);
        true
    }

    /// Ends the attempt in flight with its judgement.
    pub(crate) fn settle(
        &mut self,
        spec: &PollSpec,
        judged: Judged,
        span: Span,
        rng: &mut Rng,
        limits: &StepLimits,
    ) -> Step {
        let Span { began, ended } = span;
        let Judged { judgement, journey } = judged;
        // A response whose last byte arrives at or after the deadline does not count.
        let outline = spec.outline();
        let deadline = self.deadline(outline);
        let last_look = self.looks_last(outline);
        let late = ended >= deadline && !last_look;
        let judgement = self.in_a_row(spec, judgement);
        let (result, kind, note) = self.summarize(&judgement, late);
        let resent = journey.as_ref().is_some_and(|journey| journey.resent);
        let note = match journey {
            Some(journey) => Some(self.note(&with_journey(note.as_deref(), &journey))),
            None => note,
        };
        self.progress().counts.count(result);
        let mut hold = None;
        let (end, next) = match judgement {
            // The process was stopped meanwhile: the response, or the lack of one, says little.
            _ if late && ended >= deadline + AWAY => {
                let why = NextReason::Retry { r#try: 2, limit: 2 };
                (None, Some(Next { at: ended, why }))
            }
            _ if late => (Some(self.time_is_over(spec)), None),
            Judgement::Matched { response } => (Some(OutcomeKind::Matched { response }), None),
            Judgement::Failed { response, explanation } => {
                let reason = FailureReason::FailureFilter;
                (Some(OutcomeKind::Failed { reason, response: Some(response), explanation }), None)
            }
            Judgement::Unmatched(Unmatched { response, .. }) if last_look => {
                self.progress().last = Some(response);
                (Some(self.time_is_over(spec)), None)
            }
            Judgement::Error(error) if last_look => (Some(self.last_look_failed(&error)), None),
            Judgement::Unmatched(unmatched) => {
                let reach = match unmatched.response.response.status() {
                    429 => Some(Reach::Account),
                    503 => Some(Reach::Scope),
                    _ => None,
                };
                hold = reach.zip(unmatched.hint).map(|(reach, hint)| {
                    let until = ended + hint.min(limits.hold_back);
                    HoldRequest { until, reach }
                });
                self.unmatched(spec, unmatched, span, rng, limits)
            }
            Judgement::Error(error) => {
                let hopeless = error.kind().is_hopeless() && retry_of(spec, error.kind()).is_none();
                self.track_hopeless(hopeless);
                match self.give_up(spec, || error.to_string(), None) {
                    Some(end) => (Some(end), None),
                    None => (None, self.after_error(spec, error.kind(), span, rng)),
                }
            }
        };
        // A request after the deadline is the last look.
        let next = next.filter(|next| end.is_none() && (next.at < deadline || late));
        self.next = next.map_or(NEVER, |next| next.at);
        let duration = ended.since(began);
        let record = Record { at: began, duration, result, resent, judgement: kind, note, next };
        let rhythm = self.rhythm(outline);
        self.progress().history.push(&record, rhythm, limits.history);
        Step { record, outcome: end, hold }
    }

    fn progress(&mut self) -> &mut Progress {
        self.progress.get_or_insert_default()
    }

    /// Counts the responses that a filter matched in a row, if it wants several. The last of them is a judgement like any
    /// other; before, the note says how many there were.
    fn in_a_row(&mut self, spec: &PollSpec, judgement: Judgement) -> Judgement {
        let Judgement::Unmatched(mut unmatched) = judgement else { return judgement };
        let Some(row) = unmatched.row.take() else { return Judgement::Unmatched(unmatched) };
        let (kind, wanted) = match (&row, spec.failure_filter()) {
            (Row::Failed(_), Some(filter)) => (Same::Failed, filter.consecutive),
            _ => (Same::Matched, spec.response_filter().consecutive),
        };
        let count = self.progress().streak.add(kind);
        let response = || unmatched.response.response.clone().unmarked();
        match row {
            Row::Matched if count >= wanted.get() => Judgement::Matched { response: response() },
            Row::Failed(explanation) if count >= wanted.get() => Judgement::Failed {
                response: response(),
                explanation: format!("{explanation}, {count} times in a row"),
            },
            row => {
                let what = match &row {
                    Row::Matched => "the response filter matched",
                    Row::Failed(explanation) => explanation,
                };
                let note = bounded(format!("{what}; {count} of {wanted} in a row"), NOTE).into();
                unmatched.response = unmatched.response.with_note(note);
                Judgement::Unmatched(unmatched)
            }
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
        let Unmatched { response: kept, retry, hint, hopeless, .. } = unmatched;
        let status = kept.response.status();
        if !kept.response.is_in_row() {
            self.track_hopeless(hopeless);
        }
        let gave_up = self.give_up(spec, || ending::repeated(status, &kept.note), Some(&kept.response));
        self.progress().last = Some(kept);
        if let Some(end) = gave_up {
            return (Some(end), None);
        }
        if let Some(Retry::Backoff(rule)) = retry
            && let Some(Strategy::Backoff(options)) = spec.retry().get(rule).map(|rule| &rule.strategy)
            && let Some(next) = self.retry(Cause::Rule(number(rule), status), options, span.ended, rng)
        {
            return (None, Some(next));
        }
        self.progress().sequence.end();
        let grid = self.grid(spec.outline());
        let wait = match retry {
            // A server that keeps answering with a reset in the past must not cause a flood.
            Some(Retry::Headers(delay)) => Some(delay.max(grid.interval().first().min(limits.headers_floor))),
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
        (None, next_after_hint(&grid, span, until))
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
        if let Some((rule, options)) = retry_of(spec, kind)
            && let Some(next) =
                self.retry(Cause::Rule(number(rule), kind.code().into()), options, span.ended, rng)
        {
            return Some(next);
        }
        self.progress().sequence.end();
        next_tick(&self.grid(spec.outline()), span)
    }

    /// The next try of a sequence; `None` if its limit is reached.
    fn retry(
        &mut self,
        cause: Cause,
        options: &RetryOptions,
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
        let streak = &mut self.progress().streak;
        if hopeless {
            streak.add(Same::Hopeless);
        } else {
            *streak = Streak::default();
        }
    }

    fn summarize(&self, judgement: &Judgement, late: bool) -> (AttemptResult, JudgementKind, Option<Note>) {
        let status = |response: &RecordedResponse| AttemptResult::Status(response.status());
        match judgement {
            Judgement::Matched { response } | Judgement::Failed { response, .. } if late => {
                let note = self.note("the response came after the deadline");
                (status(response), JudgementKind::Unmatched, Some(note))
            }
            Judgement::Matched { response } => (status(response), JudgementKind::Matched, None),
            Judgement::Failed { response, explanation } => {
                (status(response), JudgementKind::Failed, Some(self.note(explanation)))
            }
            Judgement::Unmatched(Unmatched { response: kept, .. }) => {
                (status(&kept.response), JudgementKind::Unmatched, Some(Arc::clone(&kept.note)))
            }
            Judgement::Error(error) => {
                (AttemptResult::Error(error.kind()), JudgementKind::Error, Some(self.note(error.message())))
            }
        }
    }

    /// A note with this text; shared with the last attempt if equal.
    fn note(&self, text: &str) -> Note {
        let text = &text[..text.floor_char_boundary(NOTE)];
        let last = self.progress.as_ref().and_then(|progress| progress.history.last_note());
        last.filter(|last| ***last == *text).map_or_else(|| text.into(), Arc::clone)
    }
}

/// The first retry rule that names this kind of error.
fn retry_of(spec: &PollSpec, kind: FetchErrorKind) -> Option<(usize, &RetryOptions)> {
    spec.retry().iter().enumerate().find_map(|(index, rule)| match &rule.strategy {
        Strategy::Backoff(options) if rule.errors.contains(&kind) => Some((index, options)),
        _ => None,
    })
}

/// The index of a rule as `u32`; a spec never has that many.
fn number(rule: usize) -> u32 {
    u32::try_from(rule).unwrap_or(u32::MAX)
}

/// A note, and what was unusual on the way to the response or failure.
fn with_journey(note: Option<&str>, journey: &Journey) -> String {
    match note {
        Some(note) => format!("{note}; {journey}"),
        None => journey.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every open poll has the first; every poll with an attempt has the others.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_state_of_a_poll_stays_small() {
        assert!(size_of::<PollState>() <= 40, "{}", size_of::<PollState>());
        assert!(size_of::<Progress>() <= 104, "{}", size_of::<Progress>());
        assert!(size_of::<UnmatchedResponse>() <= 80, "{}", size_of::<UnmatchedResponse>());
    }
}
