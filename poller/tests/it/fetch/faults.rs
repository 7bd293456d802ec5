//! Servers that refuse, reset, stall, lie or send too much: one failed attempt each, and nothing sent again.

use http::Method;
use poller::fetch::{Fetch as _, FetchErrorKind};
use test_support::{ClosedPort, End, Gate, Reply, Server};

use super::{CAP, client, get, request};

/// Fetches once from a server that gives one reply, and says how that failed. One request must have been sent.
async fn failure(reply: Reply) -> (FetchErrorKind, String) {
    let server = Server::start(reply).await;
    let error = get(&client(), &server.url("/job?token=s3cret")).await.unwrap_err();
    assert_eq!(server.requests().len(), 1, "{error}");
    let message = error.to_string();
    assert!(!message.contains("s3cret"), "{message}");
    // Ports differ from run to run.
    (error.kind(), message.replace(&server.addr().to_string(), "SERVER"))
}

#[tokio::test]
async fn a_refused_connection_names_the_place() {
    let port = ClosedPort::new();
    let error = get(&client(), &port.url("/job?token=s3cret")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Connect);
    assert_eq!(error.to_string(), format!("connection refused by {}", port.addr()));
}

#[tokio::test]
async fn a_connection_that_breaks_is_reset_and_nothing_is_sent_again() {
    let text = "0123456789".repeat(10);
    for reply in [
        Reply::reset(),
        Reply::close(),
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-le"),
        Reply::text(&text).reset_after(0),
        Reply::text(&text).reset_after(50),
        Reply::text(&text).close_after(50),
        Reply::text(&text).chunked().close_after(50),
        Reply::text(&text).chunked().reset_after(50),
        Reply::text(text.repeat(100)).gzip().close_after(10),
        Reply::text(text.repeat(100)).gzip().reset_after(10),
    ] {
        let (kind, message) = failure(reply.clone()).await;
        assert_eq!(kind, FetchErrorKind::Reset, "{reply:?}: {message}");
        assert!(
            [
                "SERVER closed the connection before the whole response was there",
                "connection reset by SERVER"
            ]
            .contains(&message.as_str()),
            "{reply:?}: {message}"
        );
    }
}

#[tokio::test]
async fn a_response_that_is_not_http_has_its_own_error() {
    for reply in [
        Reply::raw("SSH-2.0-OpenSSH_9.9\r\n"),
        Reply::raw("HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"),
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot-a-size\r\nx\r\n"),
    ] {
        let (kind, message) = failure(reply).await;
        assert_eq!(kind, FetchErrorKind::Protocol, "{message}");
        assert!(message.contains("SERVER is not"), "{message}");
    }
}

#[tokio::test]
async fn the_cap_counts_unpacked_bytes() {
    let cap = usize::try_from(CAP).unwrap();
    for reply in [Reply::text("x".repeat(cap)), Reply::text("x".repeat(cap)).gzip(), Reply::gzip_bomb(cap)] {
        let server = Server::start([reply.clone(), reply.chunked()]).await;
        let client = client();
        for _ in 0..2 {
            assert_eq!(get(&client, &server.url("/")).await.unwrap().body.len(), cap);
        }
    }
    for reply in [
        Reply::text("x".repeat(cap + 1)),
        Reply::text("x".repeat(cap + 1)).chunked(),
        Reply::text("x".repeat(cap + 1)).gzip(),
        Reply::gzip_bomb(10_000_000),
        // Announced and never sent: the announcement is enough.
        Reply::text("x").header("content-length", "100001").stall_after(0),
    ] {
        let (kind, message) = failure(reply).await;
        assert_eq!(kind, FetchErrorKind::BodyTooLarge);
        assert_eq!(
            message,
            "the body from SERVER is larger than the cap of 100000 bytes (counted after decompression); \
             if such bodies are expected, raise the cap (--max-body, Limits::max_body)"
        );
    }
}

#[tokio::test]
async fn broken_compression_and_a_broken_connection_are_different_errors() {
    let good = Reply::text("x".repeat(1000)).gzip();
    for encoding in ["gzip", "br", "deflate", "zstd"] {
        let (kind, message) =
            failure(Reply::text("these bytes are plain text").header("content-encoding", encoding)).await;
        assert_eq!(kind, FetchErrorKind::BadEncoding, "{encoding}: {message}");
        assert!(message.starts_with("the body from SERVER cannot be decompressed"), "{message}");
    }
    let server = Server::start(good).await;
    assert_eq!(get(&client(), &server.url("/")).await.unwrap().body.len(), 1000);
    // A stream that stops early although the connection delivered everything it promised.
    let (kind, _) = failure(
        Reply::new(200).header("content-encoding", "gzip").body(b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
    )
    .await;
    assert_eq!(kind, FetchErrorKind::BadEncoding);
}

#[tokio::test]
async fn dropping_the_future_abandons_the_request() {
    let gate = Gate::new();
    for reply in [Reply::stall(), Reply::text("0123456789").stall_after(4), Reply::text("x").held_by(&gate)] {
        let server = Server::start(reply.clone()).await;
        let fetching = tokio::spawn(client().fetch(request(Method::GET, &server.url("/"))));
        server.arrived(0).await;
        fetching.abort();
        assert!(fetching.await.unwrap_err().is_cancelled());
        assert_eq!(server.ended(0).await, End::ClientGone, "{reply:?}");
        server.closed(1).await;
    }
}
