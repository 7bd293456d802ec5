//! The outcomes of polls: printed as they arrive, counted, and combined into the exit code.

use std::sync::Arc;

use poller::PollKey;
use poller::{Outcome, OutcomeKind};

use super::output;
use crate::exit::Exit;
use crate::render::progress::{ProgressReporter, lines};
use crate::render::terminal::Terminal;

/// What is written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    /// The body of the response that matched, verbatim; for one poll.
    Body,
    /// Every outcome, one line of JSON each.
    Outcomes,
}

/// Collects the outcomes.
pub(super) struct Outcomes {
    print: Print,
    exit: Exit,
    counts: [(&'static str, u32); 4],
}

impl Outcomes {
    pub(super) fn new(print: Print) -> Self {
        Self {
            print,
            exit: Exit::Success,
            counts: [("matched", 0), ("failed", 0), ("timed out", 0), ("cancelled", 0)],
        }
    }

    pub(super) fn add(
        &mut self,
        key: &PollKey,
        outcome: &Arc<Outcome>,
        progress: &ProgressReporter,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        self.exit = self.exit.and(Exit::from(&**outcome));
        if let Some((_, count)) = self.counts.iter_mut().find(|(name, _)| *name == outcome.name()) {
            *count += 1;
        }
        match (self.print, &outcome.kind) {
            (Print::Outcomes, _) => progress.suspend(|| output::outcome(key, outcome, terminal)),
            (Print::Body, OutcomeKind::Matched { response }) => {
                progress.suspend(|| output::body(response.body(), terminal))
            }
            (Print::Body, _) => Ok(()),
        }
    }

    /// The number of outcomes.
    pub(super) fn number(&self) -> usize {
        self.counts.iter().map(|(_, count)| *count as usize).sum()
    }

    /// The combined exit code; success if there was no outcome.
    pub(super) const fn exit(&self) -> Exit {
        self.exit
    }

    /// `3 polls: 2 matched, 1 timed out`
    pub(super) fn summary(&self) -> String {
        lines::summary(&self.counts)
    }
}
