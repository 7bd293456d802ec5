//! What a shutdown leaves behind, as it is told.
//!
//! There may be a million polls open, so those that are named are bounded: the ones whose time is over first, for they are
//! the ones for which somebody may have to hurry. All of them are counted.

use std::collections::BinaryHeap;

use crate::clock::Timestamp;
use crate::store::PollKey;

/// What a shutdown left behind.
///
/// ```
/// use poller::{ErrorKind, PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// let spec = PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?;
/// let poll = poller.submit("export-42", spec).await?;
/// let report = poller.shutdown().await;
/// assert_eq!(report.left_open, 1);
/// assert_eq!((report.first[0].key.key(), report.first[0].deadline), ("export-42", poll.deadline()));
/// // It has no outcome, and in this process gets none any more; a durable store would keep it.
/// assert_eq!(poll.outcome().await.unwrap_err().kind(), ErrorKind::Shutdown);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Polls without an outcome. A durable store keeps them; whoever opens it next goes on with them.
    pub left_open: usize,
    /// Of those, the ones whose time is over first, in that order: at most [`LISTED`](Self::LISTED). Polls that had not
    /// been read from the store yet are counted and not among them.
    pub first: Vec<LeftOpen>,
    /// Of those left open, the ones whose outcome was decided, but the store failed to keep it, or had not answered, when
    /// the [grace](crate::Limits::grace) was over. Nobody was told of it; whoever goes on with them asks again, if
    /// their time is not over and the store has not kept it after all.
    pub unsaved: usize,
    /// Requests that were in flight when the shutdown began and ended before it did. What they brought counts, but for
    /// outcomes that are [unsaved](Self::unsaved).
    pub ended: usize,
    /// Requests that took longer than the [grace](crate::Limits::grace) and were abandoned. Their polls are open, and
    /// whoever goes on with them asks again.
    pub abandoned: usize,
}

impl ShutdownReport {
    /// How many polls are named at most.
    pub const LISTED: usize = 100;
}

/// A poll that a shutdown left open; from [`ShutdownReport::first`].
///
/// ```
/// # async fn example(poller: poller::Poller) {
/// for poll in poller.shutdown().await.first {
///     println!("{} is open until {}", poll.key, poll.deadline);
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOpen {
    /// Its name.
    pub key: PollKey,
    /// When it ends, whether or not somebody runs it then.
    pub deadline: Timestamp,
    /// Whether its request was abandoned.
    pub abandoned: bool,
    /// Whether its outcome was decided and [not kept](ShutdownReport::unsaved).
    pub unsaved: bool,
}

/// Where a poll was when it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopped {
    /// On its way to its next request, or to the store for the first time.
    Before,
    InFlight,
    Saving,
}

/// Of all these, the [`ShutdownReport::LISTED`] whose time is over first, in that order, by name where that is the same.
/// Only so many names are kept at a time.
pub(crate) fn first<'a>(open: impl Iterator<Item = (Timestamp, &'a PollKey, Stopped)>) -> Vec<LeftOpen> {
    let mut first = BinaryHeap::with_capacity(ShutdownReport::LISTED + 1);
    for poll in open {
        if first.len() < ShutdownReport::LISTED || first.peek().is_some_and(|last| poll < *last) {
            first.push(poll);
        }
        if first.len() > ShutdownReport::LISTED {
            first.pop();
        }
    }
    let named = |(deadline, key, stopped): (_, &PollKey, _)| LeftOpen {
        key: key.clone(),
        deadline,
        abandoned: stopped == Stopped::InFlight,
        unsaved: stopped == Stopped::Saving,
    };
    first.into_sorted_vec().into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_those_are_named_whose_time_is_over_first() {
        // Each deadline twice, in an order that is neither theirs nor the reverse.
        let keys: Vec<_> = (0..1000).map(|n| PollKey::new("", format!("poll-{n:03}"))).collect();
        let deadline = |n: usize| Timestamp::from_micros(n as u64 * 7919 % 1000 / 2);
        let stopped = |n: usize| [Stopped::Before, Stopped::InFlight, Stopped::Saving][n % 3];
        let all = || keys.iter().enumerate().map(|(n, key)| (deadline(n), key, stopped(n)));
        let mut sorted: Vec<_> = all().collect();
        sorted.sort_unstable();
        let named = first(all());
        assert_eq!(named.len(), ShutdownReport::LISTED);
        for (named, (deadline, key, stopped)) in named.iter().zip(sorted) {
            assert_eq!((named.deadline, &named.key), (deadline, key));
            let (in_flight, unsaved) = (stopped == Stopped::InFlight, stopped == Stopped::Saving);
            assert_eq!((named.abandoned, named.unsaved), (in_flight, unsaved));
        }
        assert_eq!(first(all().take(3)).len(), 3);
    }
}
