//! Background polls as an HTTP service: an API over a [`Poller`], event streams, and a page for people.
//!
//! ```text
//!  request ─► access (host, key, rights) ─► handlers ─┬─► Poller  submit, cancel, look
//!                                                     ├─► StoreAdmin  show, page
//!  Poller::events ─► Hub ─┬─► waiters of outcomes     └─► filter  check, explain, match
//!                         └─► event streams
//! ```
//!
//! [`router`] makes an axum router that can be mounted in any program; [`Service`] is the same with a handle that ends
//! waiting requests; [`server::serve`] runs a router on a listener with the timeouts that slow and hostile clients call for.
//!
//! ```
//! use poller::{MemoryStore, Poller};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let poller = Poller::builder().store(store.clone()).build().await?;
//! let app: axum::Router = service::router(poller, store, service::Options::default());
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! # When not to use it
//! In a program that is written in Rust and needs no other process: use the crate `poller` alone.
//!
//! # Limits of this version
//! One process serves the polls of an SQLite file. On PostgreSQL several share them, and each answers for all polls: outcomes
//! that another process stores are seen within a second, attempts within a few. The stream of all polls has those that this
//! process runs, and quotas of open polls count those that this process accepts or runs. Response bodies are held in memory
//! while they are sent.

#![forbid(unsafe_code)]

mod access;
mod app;
mod body;
mod callback;
mod events;
mod filters;
mod health;
mod hub;
mod metrics;
mod name;
mod openapi;
mod page;
mod parameters;
mod poll_events;
mod polls;
mod preference;
mod problem;
mod routes;
pub mod server;
mod sse;
mod views;

pub use access::{Access, KeyedClient, Keys, KeysError};
pub use app::{Options, Service};
pub use metrics::Exposition;
pub use openapi::openapi;

use axum::Router;
use poller::Poller;
use poller::store::StoreAdmin;

/// The API and the page of a poller as a router. `store` is the store that the poller runs on; stores are cheap to clone.
///
/// To be called inside a tokio runtime: a task passes the events of the poller to waiting requests. Requests that wait end
/// with 503 once the poller has shut down; [`Service::close`] ends them before that.
pub fn router(poller: Poller, store: impl StoreAdmin, options: Options) -> Router {
    Service::new(poller, store, options).router()
}
