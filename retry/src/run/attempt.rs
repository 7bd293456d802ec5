//! [`Try`]: what an operation learns of the try that it is called for.

use std::time::Duration;

use super::session::TryLimit;

/// One try of a run, the argument of the operation.
///
/// ```
/// # #[cfg(feature = "blocking")] {
/// use retry::{Policy, Retryable as _, run::Try};
/// use std::io::Read;
/// use std::net::TcpStream;
/// use std::time::Duration;
///
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let address = listener.local_addr().unwrap();
/// # std::thread::spawn(move || std::io::Write::write_all(&mut listener.accept().unwrap().0, b"hello"));
/// let read = |attempt: Try| -> std::io::Result<String> {
///     let mut stream = TcpStream::connect(address)?;
///     stream.set_read_timeout(attempt.time_left)?; // a thread keeps the limit itself
///     let mut text = String::new();
///     stream.read_to_string(&mut text)?;
///     Ok(text)
/// };
/// let policy = Policy::default();
/// let text = read.retry(&policy).try_timeout(Duration::from_secs(5)).call()?;
/// # assert_eq!(text, "hello");
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Try {
    /// The number of the try in its sequence, from 1.
    pub number: u32,
    /// The time that this try may take: the nearer of the run's [`try_timeout`](super::Retry::try_timeout) and, with
    /// [`cut_at_deadline`](super::Retry::cut_at_deadline), the deadline. `None` without a limit. A future is ended at its end;
    /// on a thread the operation has to keep it.
    pub time_left: Option<Duration>,
}

impl Try {
    pub(super) fn new(number: u32, limit: Option<TryLimit>) -> Self {
        Self { number, time_left: limit.map(|limit| limit.left) }
    }
}
