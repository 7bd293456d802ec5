//! The operations of the store, by the names that metrics and logs give them.

/// A call of the engine to its store, by the name that metrics and logs give it.
///
/// ```
/// assert_eq!(poller::StoreOperation::Finish.as_str(), "finish");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Stores new polls.
    Create,
    /// Stores an outcome.
    Finish,
    /// Asks another process to cancel a poll.
    Cancel,
    /// Stores the URL that a poll follows.
    Follow,
    /// Reads the changes of other processes.
    Changes,
    /// Loads the polls that were open at the start.
    LoadOpen,
    /// Reads one poll.
    Get,
    /// Stores the last attempts of open polls.
    NoteAttempts,
    /// Removes finished polls by the limits of retention.
    Purge,
}

impl Operation {
    pub(crate) const ALL: [Self; 9] = [
        Self::Create,
        Self::Finish,
        Self::Cancel,
        Self::Follow,
        Self::Changes,
        Self::LoadOpen,
        Self::Get,
        Self::NoteAttempts,
        Self::Purge,
    ];

    /// The name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Finish => "finish",
            Self::Cancel => "cancel",
            Self::Follow => "follow",
            Self::Changes => "changes",
            Self::LoadOpen => "load_open",
            Self::Get => "get",
            Self::NoteAttempts => "note_attempts",
            Self::Purge => "purge",
        }
    }
}
