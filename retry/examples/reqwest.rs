//! Retrying HTTP requests with reqwest, with the server's hints.
//!
//! A test server on loopback answers 503 with `Retry-After`, then 429 with `RateLimit`, then 200.
//!
//! `cargo run -p retry --features http,tokio --example reqwest`

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use retry::{Failure, Policy, Retryable as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The request. A failed status carries its classification as context, since that needs the response's headers.
async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let response = client.get(url).send().await?;
    let failure = Failure::from_parts(&response.status(), response.headers(), now());
    Ok(response.error_for_status().context(failure)?.text().await?)
}

fn classify(error: &anyhow::Error) -> Failure {
    match (error.downcast_ref::<Failure>(), error.downcast_ref::<reqwest::Error>()) {
        (Some(failure), _) => *failure,
        (None, Some(error)) if error.is_timeout() => Failure::timeout(),
        (None, Some(error)) => Failure::from(error.is_connect() || error.is_body()),
        (None, None) => Failure::permanent(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let server = tokio::spawn(serve(listener));

    let policy =
        Policy::exponential(Duration::from_millis(100), 2.0).max_delay(Duration::from_secs(10)).build()?;
    println!("policy: {policy}");
    let client = client()?;
    let body = (|| get(&client, &url)).retry(&policy).when(classify).notify(|r| println!("{r}")).await?;
    println!("{body}");
    server.await?
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program reads the wall clock once; the library takes it as an argument"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Plain HTTP to loopback needs no root certificates, but reqwest without a default provider requires one. Its own retries
/// are off, since nested retries multiply.
fn client() -> anyhow::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()?)
}

async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    for head in [
        "503 Service Unavailable\r\nRetry-After: 1",
        "429 Too Many Requests\r\nRateLimit: \"default\";r=0;t=1",
        "200 OK",
    ] {
        let (mut socket, _) = listener.accept().await?;
        let mut request = [0; 4096];
        let _read = socket.read(&mut request).await?;
        let body = if head.starts_with("200") { "done" } else { "" };
        let length = body.len();
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        socket.write_all(text.as_bytes()).await?;
    }
    Ok(())
}
