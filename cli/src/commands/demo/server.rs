//! The demo's job server: HTTP on a loopback port, with a job that succeeds after two errors.
//!
//! | request | response |
//! | --- | --- |
//! | 1 | 200, PENDING |
//! | 2 | 500 |
//! | 3 | 429, `Retry-After: 1` |
//! | 4 | 200, RUNNING |
//! | 5 and on | 200, SUCCESS |
//!
//! The response depends on the number of requests and not on the time, so the demo is the same on a slow machine.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PATH: &str = "/jobs/42";

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(super) struct JobServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl JobServer {
    /// Listens on a free port of the loopback interface.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen on a loopback port for the demo's job server")?;
        let address = listener.local_addr().context("cannot tell the port of the demo's job server")?;
        let requests = Arc::new(AtomicU32::new(0));
        let accepting = tokio::spawn(async move {
            // After an error of the listener, the poll reports refused connections.
            while let Ok((stream, _)) = listener.accept().await {
                let requests = Arc::clone(&requests);
                let service = service_fn(move |request| {
                    let response = respond(&request, &requests);
                    async move { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(async move {
                    // The poll reports an aborted connection itself.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, accepting })
    }

    /// `http://127.0.0.1:40123`
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the job.
    pub(super) fn url(&self) -> String {
        format!("{}{PATH}", self.origin())
    }
}

impl Drop for JobServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn respond(request: &Request<Incoming>, requests: &AtomicU32) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return response(StatusCode::NOT_FOUND, r#"{"error":"no such job"}"#);
    }
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, r#"{"error":"only GET"}"#);
    }
    match requests.fetch_add(1, Ordering::Relaxed) {
        0 => response(StatusCode::OK, r#"{"id":42,"status":"PENDING"}"#),
        1 => response(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"the database is away for a moment"}"#),
        2 => {
            let mut response = response(StatusCode::TOO_MANY_REQUESTS, r#"{"error":"slow down"}"#);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            response
        }
        3 => response(StatusCode::OK, r#"{"id":42,"status":"RUNNING","progress":60}"#),
        _ => response(
            StatusCode::OK,
            concat!(
                r#"{"id":42,"status":"SUCCESS","progress":100,"result":{"rows":1830,"file":"export-42.csv"}}"#,
                "\n"
            ),
        ),
    }
}

fn response(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
