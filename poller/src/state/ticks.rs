//! The tick after an attempt, with and without a hint of the server.

use std::time::Duration;

use super::Span;
use crate::clock::Timestamp;
use crate::outcome::{Next, NextReason};
use crate::schedule::Grid;

/// The first tick after the beginning of an attempt and not before its end.
pub(super) fn next_tick(grid: &Grid, Span { began, ended }: Span) -> Option<Next> {
    let at = if ended > began { grid.first_at_or_after(ended) } else { grid.first_after(began) };
    at.map(|at| Next { at, why: NextReason::Grid })
}

/// The most by which a hint may end after a tick and delay it instead of skipping it, also a tenth of the gap before it.
const SLACK: Duration = Duration::from_secs(1);

/// The next request, held back until `until`: the first tick then or later. A hint that ends shortly after a tick delays this
/// one tick: otherwise a server that says 10 to a poll of every 10 s would be asked every 20 s, since its hint counts from
/// the end of the response.
pub(super) fn next_after_hint(grid: &Grid, span: Span, until: Timestamp) -> Option<Next> {
    let tick = next_tick(grid, span)?;
    if until <= tick.at {
        // A hint that ends before the next tick is not the reason for it.
        return Some(tick);
    }
    let (missed, gap) = grid.last_at_or_before(until);
    let slack = SLACK.min(gap / 10);
    let at = if missed >= tick.at && until.since(missed) <= slack {
        Some(until)
    } else {
        grid.first_at_or_after(until)
    };
    at.map(|at| Next { at, why: NextReason::Hint })
}
