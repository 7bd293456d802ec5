//! [`Sequence`]: the tries that the limit of [`RetryOptions`](crate::RetryOptions) counts.

/// A sequence of consecutive tries that failed for the same cause.
///
/// A limit counts the tries of one sequence, the first included. A failure for another cause starts a new sequence, as its
/// first try. The caller chooses the type `C` of causes: by default the status, with `None` for a failed connection. Where
/// each rule has its own limit, the rule is part of the cause.
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
    /// The cause of the last failure; `None` before the first.
    cause: Option<C>,
    tries: u32,
}

impl<C> Sequence<C> {
    /// An empty sequence.
    #[must_use]
    pub const fn new() -> Self {
        Self { cause: None, tries: 0 }
    }

    /// The number of tries in the current sequence.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }

    /// Ends the sequence: the next failure starts a new one, whatever its cause.
    pub fn end(&mut self) {
        *self = Self::new();
    }
}

impl<C: PartialEq> Sequence<C> {
    /// Counts a failed try, and returns the number of tries in its sequence.
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
