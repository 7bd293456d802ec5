//! What goes into the state machine of a poll, and what comes out.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::history::Record;
use crate::outcome::OutcomeKind;

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
    /// No request begins any more: it ends as [`PollState::time_is_over`](super::PollState::time_is_over) says.
    Over,
}

/// The result of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The attempt, as recorded in the history.
    pub(crate) record: Record,
    /// The outcome, if the poll has ended.
    pub(crate) outcome: Option<OutcomeKind>,
    /// The hold on polls of the same origin and credentials.
    pub(crate) hold: Option<HoldRequest>,
}

/// What a hold is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The polls of the same origin and credentials in one scope.
    Scope,
    /// Those of all scopes.
    Account,
}

/// A hold that a response asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldRequest {
    pub(crate) until: Timestamp,
    pub(crate) reach: Reach,
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
