//! Integration tests of the public interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod around;
mod corpus;
mod crowd;
mod damage;
mod events;
mod fetch;
#[cfg(feature = "reqwest")]
mod fetch_reqwest;
mod files;
mod http;
mod lifecycle;
mod observe;
mod poller_events;
mod schedule;
mod schema;
mod secrets;
mod store_calls;
mod stores;
mod world;
