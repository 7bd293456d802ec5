//! The report of a shutdown.
//!
//! A million polls may be open, so the report counts all of them and names at most [`ShutdownReport::LISTED`], those with the
//! earliest deadlines, which need another runner soonest.

use std::collections::BinaryHeap;

use crate::clock::Timestamp;
use crate::key::PollKey;

/// What a shutdown left open.
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
    /// The number of polls without an outcome. A durable store keeps them, and the next runner of the store continues them.
    pub left_open: usize,
    /// The open polls with the earliest deadlines, in that order, at most [`LISTED`](Self::LISTED). Polls that were not yet
    /// read from the store are counted above and not listed.
    pub first: Vec<LeftOpen>,
    /// The number of open polls whose outcome was decided but not stored when the [grace](crate::Limits::grace) period
    /// ended, because the store failed or had not answered. No caller received that outcome. The next runner asks again,
    /// unless the deadline has passed or the store has the outcome after all.
    pub unsaved: usize,
    /// The number of requests in flight at the beginning that ended during the shutdown. Their results count, except for
    /// [unsaved](Self::unsaved) outcomes.
    pub ended: usize,
    /// The number of requests that took longer than the [grace](crate::Limits::grace) period and were abandoned. Their polls
    /// are open, and the next runner repeats the requests.
    pub abandoned: usize,
}

impl ShutdownReport {
    /// The maximum number of listed polls.
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
    /// Its deadline, which passes even while no process runs the poll.
    pub deadline: Timestamp,
    /// Whether its request was abandoned.
    pub abandoned: bool,
    /// Whether its outcome was decided and [not stored](ShutdownReport::unsaved).
    pub unsaved: bool,
}

/// The [`ShutdownReport::LISTED`] polls with the earliest deadlines, ordered by deadline and key. A bounded heap, so that
/// memory does not grow with the number of open polls. Each is given by its deadline, its key, and whether its request was
/// abandoned, or its outcome not stored.
pub(crate) fn first<'a>(open: impl Iterator<Item = (Timestamp, &'a PollKey, bool, bool)>) -> Vec<LeftOpen> {
    let mut first = BinaryHeap::with_capacity(ShutdownReport::LISTED + 1);
    for poll in open {
        if first.len() < ShutdownReport::LISTED || first.peek().is_some_and(|last| poll < *last) {
            first.push(poll);
        }
        if first.len() > ShutdownReport::LISTED {
            first.pop();
        }
    }
    let named = |(deadline, key, abandoned, unsaved): (_, &PollKey, _, _)| {
        let key = key.clone();
        LeftOpen { key, deadline, abandoned, unsaved }
    };
    first.into_sorted_vec().into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polls_with_the_earliest_deadlines_are_listed() {
        // Each deadline occurs twice, in neither ascending nor descending order.
        let keys: Vec<_> = (0..1000).map(|n| PollKey::new("", format!("poll-{n:03}"))).collect();
        let deadline = |n: usize| Timestamp::from_micros(n as u64 * 7919 % 1000 / 2);
        let all = || keys.iter().enumerate().map(|(n, key)| (deadline(n), key, n % 3 == 1, n % 3 == 2));
        let mut sorted: Vec<_> = all().collect();
        sorted.sort_unstable();
        let named = first(all());
        assert_eq!(named.len(), ShutdownReport::LISTED);
        for (named, (deadline, key, in_flight, unsaved)) in named.iter().zip(sorted) {
            assert_eq!((named.deadline, &named.key), (deadline, key));
            assert_eq!((named.abandoned, named.unsaved), (in_flight, unsaved));
        }
        assert_eq!(first(all().take(3)).len(), 3);
    }
}
