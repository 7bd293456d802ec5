//! [`Runner`]: the process that runs the polls of a store.

use std::fmt;

/// The process that runs the polls of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Runner {
    /// Its process id; `None` where the system does not let other processes read it.
    pub process: Option<u32>,
    /// When it ends, as far as it says so.
    pub until: RunsUntil,
}

/// When the process that runs a store ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunsUntil {
    /// It does not say.
    #[default]
    Unknown,
    /// Only when it is stopped.
    Stopped,
    /// When no poll of the store is open.
    NoneOpen,
    /// When the polls that it has submitted itself have ended; others then stay open.
    OwnEnded,
}

impl Runner {
    /// The process of this number, which ends by itself as `until` says.
    #[must_use]
    pub const fn new(process: Option<u32>, until: RunsUntil) -> Self {
        Self { process, until }
    }

    /// This process.
    pub(crate) fn this_process(until: RunsUntil) -> Self {
        Self { process: Some(std::process::id()), until }
    }
}

impl fmt::Display for Runner {
    /// `process 4711`, or `another process`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(number) => write!(f, "process {number}"),
            None => f.write_str("another process"),
        }
    }
}
