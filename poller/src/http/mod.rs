//! The adapters of the [`Fetch`](crate::fetch::Fetch) port: [`HttpClient`], the default, and `ReqwestClient`.
//!
//! The [`Guard`], the redirect rules, the cap on bodies and the classification of errors are the same for both.

mod body;
mod client;
mod connect;
mod connection;
#[cfg(feature = "compression")]
mod decode;
mod descriptors;
mod failure;
mod frames;
mod guard;
mod link;
mod linked;
mod lookups;
mod metadata;
mod proxy;
mod ranges;
mod redirect;
#[cfg(feature = "reqwest")]
mod reqwest;
mod resend;
mod resolve;
mod route;
mod routes;
mod tls;
mod tls_failure;
mod unix;
#[cfg(test)]
mod vectors;

/// A network of addresses, as in [`Guard::allow`].
pub use ipnet::IpNet;

pub use client::{ClientError, HttpClient, HttpClientBuilder};
pub use guard::{Forbidden, Guard};
pub use proxy::{Proxies, ProxyProblem};
#[cfg(feature = "reqwest")]
pub use reqwest::{GuardedDns, ReqwestClient};
