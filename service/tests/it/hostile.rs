//! Clients that try to make answers say what they want.

use test_support::{Reply, Script};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Fixture;
use crate::openapi::document;

/// What a client of this test is ready to send.
const GIGABYTE: usize = 1 << 30;

/// What a call may take of it before the connection is closed: its own limit, and the buffers of two sockets.
const TAKEN: usize = 32 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_takes_a_body_of_a_gigabyte() {
    let it = Fixture::new(Script::from_fn(|_, _| Reply::json("{}"))).await;
    it.put("/v1/polls/k", &it.spec("/job")).await.expect(201);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(service::server::serve(listener, it.router.clone(), std::future::pending()));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
    for (path, item) in document()["paths"].as_object().unwrap() {
        let path = path.replace("{scope}", "s").replace("{key}", "k").replace("{dialect}", "native");
        let path = path.replace("{name}", "conflict").replace("{token}", "t");
        for method in item.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            if path.ends_with("/events") {
                continue;
            }
            let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
            let head =
                format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
            write.write_all(head.as_bytes()).await.unwrap();
            let sending = async {
                let mut sent = 0;
                while sent < GIGABYTE && write.write_all(chunk.as_bytes()).await.is_ok() {
                    sent += chunk.len();
                }
                sent
            };
            let answering = async {
                let mut answer = Vec::new();
                // What was not read makes the end of the connection a reset.
                let _ = read.read_to_end(&mut answer).await;
                String::from_utf8_lossy(&answer).into_owned()
            };
            let (sent, answer) = tokio::join!(sending, answering);
            assert!(sent < TAKEN, "{method} {path} took {sent} bytes");
            assert!(answer.is_empty() || !answer.starts_with("HTTP/1.1 5"), "{method} {path}: {answer}");
        }
    }
    // Nothing of it is left, and the service goes on.
    it.get("/v1/polls/k").await;
    it.get("/readyz").await.expect(200);
    server.abort();
}

#[tokio::test]
async fn names_cannot_become_headers_or_lines() {
    let it = Fixture::new(Script::from_fn(|_, _| Reply::json("{}"))).await;
    for name in ["a%0d%0aset-cookie:%20b=c", "a%00", "a%1b%5b31m", "%C2%9B31m", "%ff", "."] {
        for path in [format!("/v1/polls/{name}"), format!("/v1/scopes/{name}/polls/a")] {
            let answer = it.put(&path, &it.spec("/job")).await;
            assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
            answer.expect_problem(400, "bad-request");
        }
    }
    assert_eq!(it.poller.stats().open, 0);
}
