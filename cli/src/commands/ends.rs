//! What polls came to: printed as it comes, counted, and turned into the exit code.

use std::sync::Arc;

use poller::store::PollKey;
use poller::{Outcome, OutcomeKind};

use super::output;
use crate::exit::Exit;
use crate::render::live::Narrator;
use crate::render::story;
use crate::render::terminal::Terminal;

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    /// The body of a response that matched, verbatim; for one poll.
    Body,
    /// Every outcome, one line of JSON each.
    Outcomes,
}

/// The outcomes as they come.
pub(super) struct Ends {
    print: Print,
    exit: Exit,
    counts: [(&'static str, u32); 4],
}

impl Ends {
    pub(super) fn new(print: Print) -> Self {
        Self {
            print,
            exit: Exit::Success,
            counts: [("matched", 0), ("failed", 0), ("timed out", 0), ("cancelled", 0)],
        }
    }

    pub(super) fn take(
        &mut self,
        key: &PollKey,
        outcome: &Arc<Outcome>,
        narrator: &Narrator,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        self.exit = self.exit.and(Exit::from(&**outcome));
        if let Some((_, count)) = self.counts.iter_mut().find(|(name, _)| *name == outcome.name()) {
            *count += 1;
        }
        match (self.print, &outcome.kind) {
            (Print::Outcomes, _) => narrator.aside(|| output::outcome(key, outcome, terminal)),
            (Print::Body, OutcomeKind::Matched { response }) => {
                narrator.aside(|| output::body(response.body(), terminal))
            }
            (Print::Body, _) => Ok(()),
        }
    }

    /// How many there were.
    pub(super) fn number(&self) -> usize {
        self.counts.iter().map(|(_, count)| *count as usize).sum()
    }

    /// The exit code of them all; success where there was none.
    pub(super) const fn exit(&self) -> Exit {
        self.exit
    }

    /// How a batch went, in one line: `3 polls: 2 matched, 1 timed out`.
    pub(super) fn summary(&self) -> String {
        story::summary(&self.counts)
    }
}
