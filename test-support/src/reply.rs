//! What a request gets: a reply as data, and the ways in which it can go wrong.
//!
//! A [`Reply`] is rendered to bytes before anything is sent, and ends in one of four ways: the connection stays open
//! for the next request, is closed, is reset, or is held until the client leaves. A cut says after how many bytes of
//! the body that happens; the head still announces the whole body, which is what makes the reply a broken one.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::watch;

/// One reply of a [`Script`](crate::Script).
///
/// ```
/// use test_support::Reply;
///
/// let ordinary = Reply::json(r#"{"status":"RUNNING"}"#).header("retry-after", "1");
/// let broken = Reply::text("0123456789").reset_after(4);
/// assert_ne!(ordinary, broken);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub(crate) content: Content,
    pub(crate) ending: Ending,
    pub(crate) gate: Option<Gate>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    /// A status line, headers and a body, framed properly unless it is cut.
    Http { status: u16, headers: Vec<(String, String)>, body: Vec<u8>, chunked: bool, cut: Option<usize> },
    /// These bytes and nothing else.
    Raw(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    KeepAlive,
    Close,
    Reset,
    Stall,
}

impl Reply {
    /// A status without a body.
    #[must_use]
    pub const fn new(status: u16) -> Self {
        let content =
            Content::Http { status, headers: Vec::new(), body: Vec::new(), chunked: false, cut: None };
        Self { content, ending: Ending::KeepAlive, gate: None }
    }

    /// 200 with a JSON body; the text is sent as it is, valid or not.
    #[must_use]
    pub fn json(text: impl Into<String>) -> Self {
        Self::new(200).header("content-type", "application/json").body(text.into())
    }

    /// 200 with a text body.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(200).header("content-type", "text/plain").body(text.into())
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::new(status).header("location", location)
    }

    /// 200 with a gzip body that unpacks to `unpacked` zero bytes.
    ///
    /// # Panics
    /// Never for sizes that fit in memory.
    #[must_use]
    pub fn gzip_bomb(unpacked: usize) -> Self {
        Self::new(200).body(vec![0; unpacked]).gzip()
    }

    /// These bytes, HTTP or not, and then the connection is closed.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { content: Content::Raw(bytes.into()), ending: Ending::Close, gate: None }
    }

    /// The connection is reset instead of an answer.
    #[must_use]
    pub const fn reset() -> Self {
        Self { content: Content::Raw(Vec::new()), ending: Ending::Reset, gate: None }
    }

    /// The connection is closed instead of an answer.
    #[must_use]
    pub const fn close() -> Self {
        Self { content: Content::Raw(Vec::new()), ending: Ending::Close, gate: None }
    }

    /// No answer ever: the connection is held until the client leaves.
    #[must_use]
    pub const fn stall() -> Self {
        Self { content: Content::Raw(Vec::new()), ending: Ending::Stall, gate: None }
    }

    /// With another header; a `content-length` given here replaces the true one.
    ///
    /// # Panics
    /// On a raw reply, which has no headers.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.http().0.push((name.into(), value.into()));
        self
    }

    /// With this status.
    ///
    /// # Panics
    /// On a raw reply, which has no status.
    #[must_use]
    pub fn status(mut self, code: u16) -> Self {
        match &mut self.content {
            Content::Http { status, .. } => *status = code,
            Content::Raw(_) => panic!("a raw reply has no status"),
        }
        self
    }

    /// With this body.
    ///
    /// # Panics
    /// On a raw reply, which has no body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        *self.http().1 = bytes.into();
        self
    }

    /// With the body it has so far compressed, and saying so.
    ///
    /// # Panics
    /// On a raw reply, which has no body.
    #[must_use]
    pub fn gzip(mut self) -> Self {
        let (headers, body) = self.http();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).expect("writing to memory succeeds");
        *body = encoder.finish().expect("writing to memory succeeds");
        headers.push(("content-encoding".to_owned(), "gzip".to_owned()));
        self
    }

    /// In chunks instead of with a `content-length`. A cut one lacks its last chunk.
    ///
    /// # Panics
    /// On a raw reply, which has no framing.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        match &mut self.content {
            Content::Http { chunked, .. } => *chunked = true,
            Content::Raw(_) => panic!("a raw reply has no framing"),
        }
        self
    }

    /// Resets the connection after that many bytes of the body.
    ///
    /// # Panics
    /// On a raw reply, which has no body.
    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        self.cut(bytes, Ending::Reset)
    }

    /// Closes the connection after that many bytes of the body.
    ///
    /// # Panics
    /// On a raw reply, which has no body.
    #[must_use]
    pub fn close_after(self, bytes: usize) -> Self {
        self.cut(bytes, Ending::Close)
    }

    /// Sends that many bytes of the body, then holds the connection until the client leaves.
    ///
    /// # Panics
    /// On a raw reply, which has no body.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        self.cut(bytes, Ending::Stall)
    }

    /// Closes the connection after the whole reply, without announcing it: a stale keep-alive connection.
    #[must_use]
    pub const fn then_close(mut self) -> Self {
        self.ending = Ending::Close;
        self
    }

    /// Sends nothing until the gate is open: a slow server, without a clock.
    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn cut(mut self, bytes: usize, ending: Ending) -> Self {
        match &mut self.content {
            Content::Http { cut, .. } => *cut = Some(bytes),
            Content::Raw(_) => panic!("a raw reply has no body to cut"),
        }
        self.ending = ending;
        self
    }

    fn http(&mut self) -> (&mut Vec<(String, String)>, &mut Vec<u8>) {
        match &mut self.content {
            Content::Http { headers, body, .. } => (headers, body),
            Content::Raw(_) => panic!("a raw reply has neither headers nor a body"),
        }
    }
}

/// Holds replies back until a test opens it. Clones are the same gate.
///
/// ```
/// use test_support::{Gate, Reply};
///
/// let gate = Gate::new();
/// let reply = Reply::text("slow").held_by(&gate);
/// gate.open();
/// # drop(reply);
/// ```
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets every reply through that waits for this gate, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn opened(&self) {
        self.0.subscribe().wait_for(|open| *open).await.expect("a gate outlives the waiting task");
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_channel(&other.0)
    }
}
