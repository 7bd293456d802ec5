//! Everything that people read: colours, progress, diagnostics.
//!
//! Two rules hold for all of it. Text from a server or a file is shown through [`sanitize`], because a terminal
//! executes escape sequences regardless of who wrote them. A failed write to standard error never fails the command:
//! there is no other channel to report it on, and the exit code still carries the result.

pub(crate) mod annotations;
pub(crate) mod charset;
pub(crate) mod diagnostics;
pub(crate) mod excerpt;
pub(crate) mod humanize;
pub(crate) mod listing;
pub(crate) mod problems;
pub(crate) mod progress;
pub(crate) mod sanitize;
pub(crate) mod terminal;
pub(crate) mod wrap;
