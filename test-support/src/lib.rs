//! A scripted HTTP/1.1 server on the loopback interface that misbehaves on demand.
//!
//! Tests of HTTP clients need servers that refuse, reset, stall, declare wrong lengths and never answer, and they need to
//! know which requests arrived. A [`Script`] holds the [`Reply`] to each request. The [`Server`] records every request, and a
//! test can await an event: a request has arrived, a reply stalls, the client has disconnected. No test has to sleep.
//!
//! ```
//! use test_support::{Reply, Script, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let script = Script::new()
//!     .on("/job", [Reply::json(r#"{"status":"RUNNING"}"#), Reply::json(r#"{"status":"SUCCESS"}"#)])
//!     .on("/flaky", [Reply::reset(), Reply::new(500), Reply::text("at last")]);
//! let server = Server::start(script).await;
//!
//! // Point a client at `server.url("/job")`; then ask what it did:
//! assert_eq!(server.requests().len(), 0);
//! assert!(!server.overlapped("/job"));
//! # }
//! ```
//!
//! It is written on a raw listener, not on an HTTP library, because a library's server cannot be made to break the
//! protocol. It speaks just enough of it: one request at a time per connection, keep-alive, bodies by
//! `content-length`. For the few faults that only HTTP/2 has there is an [`Http2Server`]. A mistake in a test's set-up panics; this package is only ever a dev-dependency.

#![forbid(unsafe_code)]

mod hostile;
mod http2;
mod log;
mod port;
#[cfg(unix)]
pub mod postgres;
mod proxy;
mod reply;
mod script;
mod server;
mod tls;
mod wire;

pub use hostile::{Attack, HostileServer, attacks};
pub use http2::{Http2Reply, Http2Server};
pub use log::{End, Received};
pub use port::ClosedPort;
pub use proxy::{Proxy, ProxyRule};
pub use reply::{Gate, Reply};
pub use script::Script;
pub use server::Server;
pub use tls::{Authority, Identity, KeyedCertificate, self_signed};
