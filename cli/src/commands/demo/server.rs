//! The demo's job server: HTTP on a loopback port, with a job that succeeds after two errors.
//!
//! The response depends on the number of requests and not on the time, so the demo is the same on a slow machine. Each
//! connection carries one request; the few lines of HTTP that this takes need no server library.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Status line, further headers, and body of the response to each request; the last is repeated.
const RESPONSES: [[&str; 3]; 5] = [
    ["200 OK", "", r#"{"id":42,"status":"PENDING"}"#],
    ["500 Internal Server Error", "", r#"{"error":"the database is unavailable"}"#],
    ["429 Too Many Requests", "retry-after: 1\r\n", r#"{"error":"slow down"}"#],
    ["200 OK", "", r#"{"id":42,"status":"RUNNING","progress":60}"#],
    [
        "200 OK",
        "",
        concat!(
            r#"{"id":42,"status":"SUCCESS","progress":100,"result":{"rows":1830,"file":"export-42.csv"}}"#,
            "\n"
        ),
    ],
];

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
        let address = listener.local_addr().context("cannot read the port of the demo's job server")?;
        let accepting = tokio::spawn(async move {
            let mut responses = RESPONSES.iter().chain(RESPONSES.last().into_iter().cycle());
            // After an error of the listener, the poll reports refused connections.
            while let (Ok((stream, _)), Some(response)) = (listener.accept().await, responses.next()) {
                // The poll reports an aborted connection itself.
                let _ = respond(stream, response).await;
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
        format!("{}/jobs/42", self.origin())
    }
}

impl Drop for JobServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn respond(stream: TcpStream, [status, headers, body]: &[&str; 3]) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    // A GET ends with the empty line after its headers.
    while stream.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}
