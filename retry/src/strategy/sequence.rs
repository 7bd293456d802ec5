//! [`Sequence`]: what the limit of [`RetryOptions`](crate::RetryOptions) counts.

/// The tries of one sequence: those that failed for the same cause, one after the other.
///
/// A limit counts the tries of one sequence, the first included. A failure for another cause starts a new one, of which
/// it is the first try. What a cause is, `C` says: for responses by their status it is the status, and no status (the
/// connection failed) is a cause of its own; where each rule has a limit of its own, the rule is part of it.
///
/// ```
/// use retry::strategy::Sequence;
///
/// let mut sequence = Sequence::new();
/// assert_eq!(sequence.failed(Some(500_u16)), 1);
/// assert_eq!(sequence.failed(Some(500)), 2);
/// assert_eq!(sequence.failed(Some(429)), 1);
/// assert_eq!(sequence.failed(Some(500)), 1);
/// assert_eq!(sequence.failed(None), 1);
/// sequence.end();
/// assert_eq!(sequence.failed(None), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence<C = Option<u16>> {
    /// Why the last try failed; none before the first.
    cause: Option<C>,
    tries: u32,
}

impl<C> Sequence<C> {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { cause: None, tries: 0 }
    }

    /// The tries of the present sequence.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// Ends the sequence: the next failure is the first of a new one, whatever its cause.
    pub fn end(&mut self) {
        *self = Self::new();
    }
}

impl<C: PartialEq> Sequence<C> {
    /// Counts a failed try, and says how many there are now in its sequence.
    pub fn failed(&mut self, cause: C) -> u32 {
        if self.cause.as_ref() != Some(&cause) {
            *self = Self { cause: Some(cause), tries: 0 };
        }
        self.tries = self.tries.saturating_add(1);
        self.tries
    }
}

impl<C> Default for Sequence<C> {
    fn default() -> Self {
        Self::new()
    }
}
