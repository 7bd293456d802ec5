//! Everything people read: colours, the live line, the story, diagnostics.
//!
//! Two rules hold for all of it. Text that comes from a server or a file is shown through [`clean`], because a
//! terminal obeys escape sequences from anybody. And writing to standard error never fails the command: where the
//! reader has gone there is nobody left to tell, and the exit code still says what happened.

pub(crate) mod charset;
pub(crate) mod clean;
pub(crate) mod diagnostics;
pub(crate) mod live;
mod margin;
pub(crate) mod mask;
mod pace;
pub(crate) mod story;
mod tally;
pub(crate) mod terminal;
pub(crate) mod time;
