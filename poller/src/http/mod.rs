//! The adapters of the [`Fetch`](crate::fetch::Fetch) port: [`HttpClient`], the default, and `ReqwestClient`.
//!
//! The [`Guard`], the redirect rules, the cap on bodies and the classification of errors are the same for both.

mod body;
mod client;
mod failure;
mod guard;
mod ranges;
mod redirect;
#[cfg(feature = "reqwest")]
mod reqwest;
mod resolve;
mod route;
mod tls;

pub use client::{ClientError, HttpClient, HttpClientBuilder};
pub use guard::{Forbidden, Guard};
#[cfg(feature = "reqwest")]
pub use reqwest::{GuardedDns, ReqwestClient};
