//! The operations of the store, by the names that metrics and logs give them.

use crate::named::named;

named! {
    /// A call of the engine to its store, by the name that metrics and logs give it.
    ///
    /// ```
    /// assert_eq!(poller::StoreOperation::Finish.as_str(), "finish");
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Operation {
        /// Stores new polls.
        Create = "create",
        /// Stores an outcome.
        Finish = "finish",
        /// Asks another process to cancel a poll.
        Cancel = "cancel",
        /// Stores the URL that a poll follows.
        Follow = "follow",
        /// Reads the changes of other processes.
        Changes = "changes",
        /// Loads the polls that were open at the start.
        LoadOpen = "load_open",
        /// Reads one poll.
        Get = "get",
        /// Stores the last attempts of open polls.
        NoteAttempts = "note_attempts",
        /// Removes finished polls by the limits of retention.
        Purge = "purge",
    }

    /// The name in metrics and logs.
    #[must_use]
    pub const fn as_str;
}
