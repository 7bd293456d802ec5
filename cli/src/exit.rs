//! The exit codes, which are part of the interface: scripts branch on them.
//!
//! Each command documents its codes in `--help`; this is the one list they are taken from. A poll that ran out of
//! time ends like `timeout(1)` (124), one that was interrupted like a shell reports Ctrl-C (130); `match`, `explain`
//! and `check` follow grep (0, 1, 2). There is no other code: a panic would be a defect, not an interface.

use std::process::ExitCode;

use poller::{Outcome, OutcomeKind};

/// What the process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Matched; nothing to complain about.
    Success,
    /// The job failed; nothing matched; a file has errors.
    Negative,
    /// The command could not do what it was asked: bad arguments, a bad spec, an unreadable file.
    Error,
    /// The time ran out first.
    TimedOut,
    /// Ctrl-C or SIGTERM came first.
    Cancelled,
}

impl Exit {
    /// The number the process ends with.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Negative => 1,
            Self::Error => 2,
            Self::TimedOut => 124,
            Self::Cancelled => 130,
        }
    }

    /// The code for two results at once: the first present of 2, 130, 1, 124, 0.
    pub(crate) fn and(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Error => 0,
            Self::Cancelled => 1,
            Self::Negative => 2,
            Self::TimedOut => 3,
            Self::Success => 4,
        };
        if rank(self) <= rank(other) { self } else { other }
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Self {
        match outcome.kind {
            OutcomeKind::Matched { .. } => Self::Success,
            OutcomeKind::TimedOut { .. } => Self::TimedOut,
            OutcomeKind::Cancelled => Self::Cancelled,
            // `OutcomeKind` may grow; an outcome this version does not know is not a success.
            _ => Self::Negative,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_result_wins_whatever_the_order() {
        let order = [Exit::Error, Exit::Cancelled, Exit::Negative, Exit::TimedOut, Exit::Success];
        for (rank, graver) in order.iter().enumerate() {
            for milder in &order[rank..] {
                assert_eq!(graver.and(*milder), *graver);
                assert_eq!(milder.and(*graver), *graver);
            }
        }
        assert_eq!(order.map(Exit::code), [2, 130, 1, 124, 0]);
    }
}
