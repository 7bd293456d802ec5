//! The metrics of the service itself, beside those of its poller, and their text.
//!
//! Labels have few values, all known in advance. A recorder is the program's choice: without one nothing is counted.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{Method, StatusCode};
use metrics::Unit;

const REQUESTS: &str = "service_requests_total";
const WAITING: &str = "service_waiting_requests";
const STREAMS: &str = "service_streams";

/// Makes the text that `/metrics` answers with, as by an exporter for Prometheus.
///
/// ```
/// let mut options = service::Options::default();
/// options.metrics = Some(service::Exposition::new(|| "up 1\n".to_owned()));
/// ```
#[derive(Clone)]
pub struct Exposition(Arc<dyn Fn() -> String + Send + Sync>);

impl Exposition {
    /// An exposition in the text format of Prometheus; called for every request of it.
    pub fn new(render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    pub(crate) fn render(&self) -> String {
        (self.0)()
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

/// Counts while it lives.
#[derive(Debug)]
pub(crate) struct Level(&'static str);

impl Level {
    /// A request that waits for an outcome.
    pub(crate) fn waiting() -> Self {
        Self::of(WAITING)
    }

    /// An event stream.
    pub(crate) fn stream() -> Self {
        Self::of(STREAMS)
    }

    fn of(name: &'static str) -> Self {
        metrics::gauge!(name).increment(1.0);
        Self(name)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        metrics::gauge!(self.0).decrement(1.0);
    }
}

/// A request that was answered.
pub(crate) fn answered(method: &Method, status: StatusCode) {
    // A client may invent methods.
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    // Not allocated for the answers that are most frequent.
    let status: Cow<'static, str> = match status {
        StatusCode::OK => "200".into(),
        StatusCode::CREATED => "201".into(),
        StatusCode::ACCEPTED => "202".into(),
        status => status.as_str().to_owned().into(),
    };
    metrics::counter!(REQUESTS, "method" => method, "http_response_status_code" => status).increment(1);
}

pub(crate) fn describe() {
    metrics::describe_counter!(REQUESTS, Unit::Count, "calls of the API that were answered");
    metrics::describe_gauge!(WAITING, Unit::Count, "calls that wait for an outcome");
    metrics::describe_gauge!(STREAMS, Unit::Count, "open event streams");
}
