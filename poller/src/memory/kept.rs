//! A poll as the store in memory keeps it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Timestamp, micros};
use crate::job::PollSpec;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::store::StoredPoll;

/// A [`StoredPoll`] in less memory. Rare parts are pointers.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: PollKey,
    pub(super) spec: PollSpec,
    pub(super) created_at: Timestamp,
    /// In microseconds.
    first_after: u64,
    pub(super) restarts: u32,
    /// A pointer instead of two words.
    pub(super) followed: Option<Box<Arc<str>>>,
    pub(super) outcome: Option<Arc<Outcome>>,
}

impl Kept {
    pub(super) fn new(poll: StoredPoll) -> Self {
        let StoredPoll { key, spec, created_at, first_after, restarts, followed, outcome } = poll;
        let (spec, first_after, followed) = (spec.kept(), micros(first_after), followed.map(Box::new));
        Self { key, spec, created_at, first_after, restarts, followed, outcome }
    }

    /// The poll for a reader of its spec, which may be kept folded.
    pub(super) fn apart(&self) -> StoredPoll {
        let mut poll = StoredPoll::new(self.key.clone(), self.spec.apart(), self.created_at);
        poll.first_after = Duration::from_micros(self.first_after);
        poll.restarts = self.restarts;
        poll.followed = self.followed.as_deref().cloned();
        poll.outcome = self.outcome.clone();
        poll
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.created_at + self.spec.timeout()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_kept_poll_stays_small() {
        assert!(size_of::<Kept>() <= 88, "{}", size_of::<Kept>());
    }

    #[test]
    fn nothing_of_a_poll_is_lost() {
        let spec = PollSpec::parse(r#"{"url":"https://a.test/1"}"#).unwrap();
        let mut poll = StoredPoll::new(PollKey::new("s", "a"), spec, Timestamp::from_micros(17)).spread();
        (poll.restarts, poll.followed) = (3, Some("https://a.test/2".into()));
        let kept = Kept::new(poll.clone());
        let again = kept.apart();
        assert_eq!(format!("{again:?}"), format!("{poll:?}"));
        assert_eq!(kept.deadline(), poll.deadline());
    }
}
