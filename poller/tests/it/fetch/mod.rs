//! The HTTP client against a real server that misbehaves: each way a request can end, and exactly how many were sent.

mod codings;
mod descriptors;
mod exchange;
mod faults;
mod guarding;
mod http2;
mod kept;
#[cfg(unix)]
mod nginx;
mod proxies;
mod redirects;
mod tls;
#[cfg(unix)]
mod unix;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use poller::fetch::{Fetch, FetchError, Request, Response};
use poller::http::{Guard, HttpClient};

/// The cap on bodies that these tests run into.
pub(crate) const CAP: u64 = 100_000;

/// Reading the system's certificates takes most of the time of a debug build's test; tests that need none go without.
fn client() -> HttpClient {
    HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap()
}

pub(crate) fn request(method: Method, url: &str) -> Request {
    Request::new(method, url.parse().unwrap(), CAP)
}

pub(crate) fn with_headers(mut request: Request, headers: &[(&str, &str)]) -> Request {
    request.headers = headers
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect::<HeaderMap>();
    request
}

pub(crate) async fn get(client: &impl Fetch, url: &str) -> Result<Response, FetchError> {
    client.fetch(request(Method::GET, url)).await
}
