//! A background poll: ask a URL until a response means *done* (or *failed*), through errors, rate limits and restarts.
//!
//! Someone waits for a remote job (a video export, a deployment, a payment) whose only news is a URL. A [`PollSpec`] says
//! which URL, how often, how long, and which response means what; a [`Poller`] asks until one does, and hands back the
//! JSON body, typed.
//!
//! ```no_run
//! use poller::{PollSpec, Poller};
//!
//! #[derive(serde::Deserialize)]
//! struct Export {
//!     download_url: String,
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let poller = Poller::builder().build().await?;
//! let spec = PollSpec::parse(
//!     r#"{"url": "https://api.example.com/v1/exports/42", "interval": 10, "timeout": 300,
//!         "responseFilter": {"status": [200], "body": {"status": ["SUCCESS"]}},
//!         "failureFilter": {"body": {"status": ["FAILED", "CANCELLED"]}}}"#,
//! )?;
//! let done = poller.background_poll::<Export>("export-42", spec).await?;
//! println!("{}", done.value.download_url);
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - **The grid.** Requests begin exactly at `start + k·interval`; they never overlap and never drift. The deadline ends a
//!   request in flight, and no request begins after it.
//! - **One outcome.** Each poll ends once: matched, failed, timed out or cancelled. The outcome is stored before it is
//!   reported.
//! - **Server hints.** `Retry-After` and similar headers delay a poll to the first tick that respects them; retry rules by
//!   status replace ticks; a 429 also holds back other polls with the same origin and credentials.
//! - **Caps.** At most [`Limits::per_origin`] requests at once to one origin, [`Limits::in_flight`] in all.
//! - **Secrets.** References, resolved when a request is sent; see [`secret`].
//!
//! # Parts that can be replaced
//! A [`store::Store`] keeps polls, a [`fetch::Fetch`] sends requests, a [`Clock`] tells the time. The defaults are
//! [`MemoryStore`], [`http::HttpClient`] (public addresses only) and [`SystemClock`]. With [`SqliteStore`], polls survive the
//! process: build a poller on the same file and it goes on.
//!
//! # When not to use it
//! - The other side can call you: a webhook needs no polling.
//! - You need an answer within milliseconds of the change: polling notices it half an interval late on average.
//! - One request, repeated until it succeeds, with no filter on its response: the `retry` crate is enough.
//!
//! # Limits of this version
//! Polls run on the tokio runtime on which the poller was built. A poll that another process submits to a file, or
//! cancels, is noticed within a second. Finished polls are kept for [30 days](Limits::keep_finished) unless they are
//! forgotten. A response is stored unchanged, including a secret that the server echoes; quotations of it are redacted
//! ([`secret`]).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "sqlite"),
    expect(dead_code, unused_imports, reason = "only a durable store seals specs and reads them back")
)]

mod background_poll;
#[cfg(any(feature = "http", feature = "postgres"))]
mod certificates;
mod clock;
mod cookies;
mod engine;
mod error;
mod event;
pub mod fetch;
mod handle;
mod history;
#[cfg(feature = "http")]
pub mod http;
mod job;
mod judge;
mod key;
mod limits;
mod lock;
mod memory;
mod named;
mod observe;
mod open_poll;
pub mod outbox;
mod outcome;
mod poller;
#[cfg(feature = "postgres")]
mod postgres;
pub mod redact;
mod request_tls;
mod response;
mod runtime;
mod schedule;
mod scope;
mod seal;
pub mod secret;
mod shutdown;
#[cfg(any(test, feature = "simulate"))]
#[doc(hidden)]
pub mod simulate;
mod site;
#[cfg(feature = "sqlite")]
mod sqlite;
mod state;
pub mod store;
mod threads;
mod webhook;

// Crates and types of other crates in public signatures.
pub use bytes::Bytes;
pub use url::Url;
pub use {filter, retry};

pub use background_poll::Matched;
pub use clock::{BoxFuture, Clock, SystemClock, Timestamp};
pub use error::{Error, ErrorKind};
pub use event::{Event, Events, HoldSource, PollerEvent, PollerEvents, StoreOperation};
pub use handle::{Accepted, PollHandle};
pub use job::{
    Body, Follow, FollowLink, Include, OnOutcome, PollSpec, PollSpecBuilder, RequestInit, RequestTimeout,
    ResponseFilter, RetryRule, SpecError, SpecOptions, SpecRead, SpecReader, StatusFilter, TlsInit,
    spec_schema,
};
pub use judge::ExplainedPart;
pub use key::{PollKey, PollKeys};
pub use limits::Limits;
pub use memory::MemoryStore;
pub use observe::{AttemptCounts, OutcomeCounts, Stats, Timings};
pub use open_poll::OpenPoll;
pub use outcome::{
    Attempt, AttemptResult, Counts, FailureReason, JudgementKind, Next, NextReason, Outcome, OutcomeKind,
    TimeoutReason,
};
pub use poller::{Poller, PollerBuilder};
#[cfg(feature = "postgres")]
pub use postgres::{Fleet, FleetWorker, PostgresOptions, PostgresStore};
pub use response::{Headers, RecordedResponse};
// Part of the public fields of `RetryRule`.
pub use retry::strategy::{HeadersStrategy, Strategy};
pub use schedule::{Grid, Interval};
pub use scope::Scope;
pub use seal::{OLD_SEAL_KEYS_VARIABLE, SEAL_KEY_VARIABLE, SealKey};
pub use shutdown::{LeftOpen, ShutdownReport};
#[cfg(feature = "sqlite")]
pub use sqlite::{Resealed, SqliteStore};
