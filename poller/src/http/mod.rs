//! The HTTP client: the default adapter of the [`Fetch`](crate::fetch::Fetch) port.

mod body;
mod client;
mod failure;
mod guard;
mod ranges;
mod redirect;
mod resolve;
mod route;
mod tls;

pub use client::{ClientError, HttpClient, HttpClientBuilder};
pub use guard::{Forbidden, Guard};
