//! The exit codes. They are part of the interface, because scripts branch on them.
//!
//! Each command documents its codes in `--help`; this is the complete list. A timeout uses the code of `timeout(1)`
//! (124), an interruption the code of shells for Ctrl-C (130); `match`, `explain` and `check` follow grep (0, 1, 2).

use poller::{Outcome, OutcomeKind};

/// The result of the process. Of several results, the greatest counts: the first of 2, 130, 1, 124, 0 that occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Matched, or no errors found.
    Success,
    /// The poll timed out.
    TimedOut,
    /// The job failed, no event matched, or a file has errors.
    Negative,
    /// Interrupted by Ctrl-C or SIGTERM.
    Cancelled,
    /// The command could not run: bad arguments, a bad spec, an unreadable file.
    Error,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Negative => 1,
            Self::Error => 2,
            Self::TimedOut => 124,
            Self::Cancelled => 130,
        }
    }

    /// The exit code of grep: 2 after an error, 0 if the result is positive (an event matches, no file has errors), otherwise 1.
    pub(crate) const fn of_search(had_error: bool, positive: bool) -> Self {
        match (had_error, positive) {
            (true, _) => Self::Error,
            (false, true) => Self::Success,
            (false, false) => Self::Negative,
        }
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Self {
        match outcome.kind {
            OutcomeKind::Matched { .. } => Self::Success,
            OutcomeKind::TimedOut { .. } => Self::TimedOut,
            OutcomeKind::Cancelled => Self::Cancelled,
            // `OutcomeKind` is non-exhaustive; an unknown outcome is not a success.
            _ => Self::Negative,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_result_wins_in_any_order() {
        let order = [Exit::Error, Exit::Cancelled, Exit::Negative, Exit::TimedOut, Exit::Success];
        for (rank, severe) in order.iter().enumerate() {
            for milder in &order[rank..] {
                assert_eq!(severe.max(milder), severe);
                assert_eq!(milder.max(severe), severe);
            }
        }
        assert_eq!(order.map(Exit::code), [2, 130, 1, 124, 0]);
    }
}
