//! The limits of a process that runs polls: how much it does at once and what it keeps.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use poller::Limits;

use super::values;

/// How much to do at once, and what to keep.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CapsArgs {
    /// Make at most N requests at once; 256 by default
    #[arg(long, value_name = "N", help_heading = "Limits")]
    in_flight: Option<NonZeroUsize>,

    /// Make at most N requests at once to one origin (scheme, host and port); 16 by default
    #[arg(long, value_name = "N", help_heading = "Limits")]
    per_origin: Option<NonZeroUsize>,

    /// Remove finished polls from the store after this time, such as 7d; 30d by default, `forever` keeps them
    #[arg(long, value_name = "TIME", requires = "store", value_parser = values::keep, help_heading = "Limits")]
    keep_finished: Option<Duration>,

    /// Of the finished polls in the store, keep only the N that ended last; all by default
    #[arg(long, value_name = "N", requires = "store", help_heading = "Limits")]
    keep_last: Option<usize>,
}

impl CapsArgs {
    /// `limits` with the limits given on the command line.
    pub(crate) fn apply(&self, mut limits: Limits) -> Limits {
        limits.in_flight = self.in_flight.map_or(limits.in_flight, NonZeroUsize::get);
        limits.per_origin = self.per_origin.map_or(limits.per_origin, NonZeroUsize::get);
        limits.keep_finished = self.keep_finished.unwrap_or(limits.keep_finished);
        limits.finished_polls = self.keep_last.unwrap_or(limits.finished_polls);
        limits
    }
}
