//! [`Sequence`]: what the limit of [`RetryOptions`](crate::RetryOptions) counts.

/// The tries of one sequence: those that failed with the same status, one after the other.
///
/// A limit counts the tries of one sequence, the first included. A response with a different status starts a
/// new one, of which it is the first try; no status (the connection failed) is a status of its own.
///
/// ```
/// use retry::strategy::Sequence;
///
/// let mut sequence = Sequence::new();
/// assert_eq!(sequence.failed(Some(500)), 1);
/// assert_eq!(sequence.failed(Some(500)), 2);
/// assert_eq!(sequence.failed(Some(429)), 1);
/// assert_eq!(sequence.failed(Some(500)), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    status: Option<u16>,
    tries: u32,
}

impl Sequence {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { status: None, tries: 0 }
    }

    /// Counts a failed try, and says how many there are now in its sequence.
    pub fn failed(&mut self, status: Option<u16>) -> u32 {
        if self.status != status {
            *self = Self { status, tries: 0 };
        }
        self.tries = self.tries.saturating_add(1);
        self.tries
    }

    /// The tries of the present sequence.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }
}
