//! Integration tests of the public interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod around;
mod away;
mod axum_example;
mod corpus;
mod crowd;
mod damage;
mod elsewhere;
mod events;
mod fetch;
#[cfg(feature = "reqwest")]
mod fetch_reqwest;
mod files;
#[cfg(feature = "postgres")]
mod fleet;
#[cfg(feature = "postgres")]
mod fleet_batches;
#[cfg(feature = "postgres")]
mod fleet_lists;
mod follow;
mod formats;
mod fuzzed;
mod http;
mod lifecycle;
mod meaning;
mod moved;
mod observe;
mod poller_events;
mod schedule;
mod schema;
mod sealed_files;
mod secrets;
mod sessions;
mod spread;
mod store_calls;
mod stores;
mod webhooks;
mod world;
