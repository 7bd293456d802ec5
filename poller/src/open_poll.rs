//! An open poll as its engine has it at one moment: what no store keeps.

use crate::clock::Timestamp;
use crate::outcome::Attempt;
use crate::response::RecordedResponse;

/// An open poll at one moment, from [`Poller::look`](crate::Poller::look).
///
/// ```
/// use poller::{PollKey, PollSpec, Poller};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let poller = Poller::builder().build().await?;
/// poller.submit("export-42", PollSpec::parse(r#"{"url": "https://export.invalid"}"#)?).await?;
/// let keys = vec![PollKey::new("", "export-42"), PollKey::new("", "unknown")];
/// let open = poller.look(keys).await?;
/// assert!(open[0].as_ref().is_some_and(|poll| poll.attempts.is_empty()));
/// assert!(open[1].is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenPoll {
    /// Its last attempts, oldest first, as many as [`Limits::history`](crate::Limits::history) keeps.
    pub attempts: Vec<Attempt>,
    /// When its next request is due; `None` while one is in flight, or if none follows.
    pub next: Option<Timestamp>,
    /// The number of the request in flight, and when it began.
    pub requesting: Option<(u32, Timestamp)>,
    /// The end of a hold that delays its next request.
    pub held_until: Option<Timestamp>,
    /// The last response, which matched no filter; `None` also if it contains a secret of the request, because a quotation
    /// would reveal it.
    pub last: Option<RecordedResponse>,
}
