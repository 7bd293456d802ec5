//! How a poll ends by its state, and what its outcome says of it.

use std::sync::Arc;
use std::time::Duration;

use super::PollState;
use super::tally::Same;
use crate::clock::Timestamp;
use crate::fetch::FetchError;
use crate::job::{Outline, PollSpec};
use crate::judge;
use crate::outcome::{FailureReason, Outcome, OutcomeKind, TimeoutReason};
use crate::response::RecordedResponse;

/// What is said of a last look that did not match.
const AFTER_AWAY: &str =
    "the deadline passed while no process ran the poll; one more request was made, and did not match";

impl PollState {
    /// The outcome of this poll, decided at `now`; `in_flight` means that its last request is aborted.
    pub(crate) fn outcome(
        &self,
        outline: &Outline,
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
            history: self.history(outline, in_flight).collect(),
        }
    }

    /// The outcome if so many attempts in a row cannot get better that the poll gives up; `what` describes them.
    pub(super) fn give_up(
        &self,
        spec: &PollSpec,
        what: impl FnOnce() -> String,
        response: Option<&RecordedResponse>,
    ) -> Option<OutcomeKind> {
        let after = spec.give_up()?.get();
        let hopeless = self.progress.as_ref().map_or(0, |progress| progress.streak.of(Same::Hopeless));
        (hopeless >= after).then(|| OutcomeKind::Failed {
            reason: FailureReason::GaveUp,
            response: response.cloned().map(RecordedResponse::unmarked),
            explanation: format!(
                "gave up after {after} attempts in a row that cannot get better: {}",
                what()
            ),
        })
    }

    /// The outcome of a poll whose time is over.
    pub(crate) fn time_is_over(&mut self, spec: &PollSpec) -> OutcomeKind {
        let explained = self.explain_last(spec);
        if self.looks_last(spec.outline()) {
            let explanation = match explained {
                Some(explained) => format!("{AFTER_AWAY}:\n{explained}"),
                None => {
                    "the deadline passed while no process ran the poll, and no request could be sent since"
                        .to_owned()
                }
            };
            let reason = TimeoutReason::WhileAway;
            return OutcomeKind::TimedOut { reason, response: self.take_last(), explanation };
        }
        let note = self.progress.as_ref().and_then(|progress| progress.history.last_note());
        let explanation = match (explained, note) {
            (Some(explained), _) => explained,
            (None, Some(note)) => format!("no attempt brought a response; the last one: {note}"),
            (None, None) => "no response came before the deadline".to_owned(),
        };
        let reason = TimeoutReason::Deadline;
        OutcomeKind::TimedOut { reason, response: self.take_last(), explanation }
    }

    /// The outcome of a poll that its server asked to wait too long.
    pub(super) fn hint_past_deadline(&mut self, spec: &PollSpec, wait: Duration) -> OutcomeKind {
        let asked = format!("the server asked to wait {wait:?}, which is past the deadline");
        let explanation = match self.explain_last(spec) {
            Some(explained) => format!("{asked}\n{explained}"),
            None => asked,
        };
        let reason = TimeoutReason::HintPastDeadline;
        OutcomeKind::TimedOut { reason, response: self.take_last(), explanation }
    }

    /// The full explanation of the last mismatch; only its one-line note if the response echoes a secret or takes too long.
    fn explain_last(&self, spec: &PollSpec) -> Option<String> {
        let last = self.last()?;
        Some(match judge::explain(spec, last) {
            Some(explained) if last.response.is_in_row() => format!("{}\n{explained}", last.note),
            Some(explained) => explained.into_owned(),
            None => last.note.to_string(),
        })
    }

    /// The last response that matched no filter, which is not needed here any more.
    fn take_last(&mut self) -> Option<RecordedResponse> {
        let last = self.progress.as_mut()?.last.take()?;
        let response =
            Arc::try_unwrap(last).map_or_else(|shared| shared.response.clone(), |last| last.response);
        Some(response.unmarked())
    }

    /// The outcome of a poll whose last look brought no response.
    pub(super) fn last_look_failed(&mut self, error: &FetchError) -> OutcomeKind {
        let explanation = format!("{AFTER_AWAY}: {error}");
        let reason = TimeoutReason::WhileAway;
        OutcomeKind::TimedOut { reason, response: self.take_last(), explanation }
    }
}

/// The response that repeats, with its status once.
pub(super) fn repeated(status: u16, note: &str) -> String {
    match note.is_empty() || note.starts_with("HTTP status is ") {
        true => note.to_owned(),
        false => format!("HTTP status is {status}: {note}"),
    }
}
