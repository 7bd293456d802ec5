//! What is sent and what comes back when nothing goes wrong, and how connections are reused.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use poller::fetch::{Fetch as _, FetchErrorKind};
use poller::http::{Guard, HttpClient};
use test_support::{Gate, Reply, Script, Server};

use super::{client, get, request, with_headers};

#[tokio::test]
async fn a_response_is_whole_and_verbatim() {
    let body = "{ \"status\" : \"SUCCESS\",\n \"status\": 1.0 }";
    let server = Server::start(Reply::json(body).status(207).header("x-a", "1").header("x-a", "2")).await;
    let response = get(&client(), &server.url("/job?a=b")).await.unwrap();
    assert_eq!(response.status, 207);
    assert_eq!(response.body, body);
    assert_eq!(response.headers["content-type"], "application/json");
    assert_eq!(response.headers.get_all("x-a").iter().count(), 2);
    let sent = server.arrived(0).await;
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", "/job?a=b"));
}

#[tokio::test]
async fn only_the_headers_that_are_due_are_sent() {
    let server = Server::start(Reply::new(204)).await;
    let client = client();
    get(&client, &server.url("/")).await.unwrap();
    let bare = server.arrived(0).await;
    let names: BTreeSet<_> = bare.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["accept", "accept-encoding", "host", "user-agent"]));
    assert_eq!(bare.header("accept"), Some("application/json, */*;q=0.1"));
    assert!(bare.header("user-agent").unwrap().starts_with("poll/"), "{bare:?}");
    assert_eq!(bare.header("host"), Some(server.addr().to_string().as_str()));

    let headers = [
        ("accept", "text/csv"),
        ("user-agent", "mine"),
        ("authorization", "Bearer s3cret"),
        ("content-length", "99"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
    ];
    let mut request = with_headers(request(Method::POST, &server.url("/")), &headers);
    request.body = Some("{}".into());
    client.fetch(request).await.unwrap();
    let full = server.arrived(1).await;
    assert_eq!(full.header("accept"), Some("text/csv"));
    assert_eq!(full.header("user-agent"), Some("mine"));
    assert_eq!(full.header("authorization"), Some("Bearer s3cret"));
    assert_eq!(full.header("host"), bare.header("host"));
    assert_eq!(full.header("content-length"), Some("2"));
    assert_eq!((full.header("transfer-encoding"), full.header("connection")), (None, None));
    assert_eq!((full.method.as_str(), full.body.as_slice()), ("POST", &b"{}"[..]));
    assert_eq!(full.connection, bare.connection, "the connection is reused");
}

/// Some servers want a length (411), as a method that usually brings a body leaves them to wonder whether one comes.
#[tokio::test]
async fn a_body_that_is_missing_has_a_length_where_one_is_expected() {
    let server = Server::start(Reply::new(204)).await;
    let client = client();
    let expected = [
        (Method::GET, None),
        (Method::DELETE, None),
        (Method::POST, Some("0")),
        (Method::PUT, Some("0")),
        (Method::PATCH, Some("0")),
    ];
    for (number, (method, length)) in expected.into_iter().enumerate() {
        client.fetch(request(method.clone(), &server.url("/"))).await.unwrap();
        assert_eq!(server.arrived(number).await.header("content-length"), length, "{method}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_url_that_is_too_long_is_an_error_that_does_not_show_it() {
    let server = Server::start(Reply::new(204)).await;
    let url = |length: usize| {
        let start = server.url("/?s3cret=");
        format!("{start}{}", "x".repeat(length - start.len()))
    };
    assert_eq!(get(&client(), &url(65_534)).await.unwrap().status, 204);
    let error = get(&client(), &url(65_535)).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Protocol);
    let message = error.to_string();
    assert!(message.contains("it has 65535 bytes, and no more than 65534 fit"), "{message}");
    assert!(!message.contains("s3cret"), "{message}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn responses_without_a_body_are_responses() {
    let script = Script::new()
        .on("/head", [Reply::text("0123456789")])
        .on("/big-head", [Reply::new(200).header("content-length", "99999999")])
        .on("/204", [Reply::new(204)])
        .on("/empty-gzip", [Reply::new(200).header("content-encoding", "gzip")]);
    let server = Server::start(script).await;
    let client = client();
    for path in ["/head", "/big-head"] {
        let response = client.fetch(request(Method::HEAD, &server.url(path))).await.unwrap();
        assert_eq!((response.status, response.body.len()), (200, 0), "{path}");
        assert!(response.headers.contains_key("content-length"), "{path}");
    }
    for (path, status) in [("/204", 204), ("/empty-gzip", 200)] {
        let response = get(&client, &server.url(path)).await.unwrap();
        assert_eq!((response.status, response.body.len()), (status, 0), "{path}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn error_statuses_and_other_bodies_are_responses_too() {
    let script = Script::new()
        .on("/500", [Reply::text("<html>oops").status(500)])
        .on("/429", [Reply::new(429).header("retry-after", "7")])
        .on("/bytes", [Reply::new(200).body(vec![0xff, 0xfe, 0])]);
    let server = Server::start(script).await;
    let client = client();
    assert_eq!(get(&client, &server.url("/500")).await.unwrap().body, "<html>oops");
    assert_eq!(get(&client, &server.url("/429")).await.unwrap().headers["retry-after"], "7");
    assert_eq!(get(&client, &server.url("/bytes")).await.unwrap().body.as_ref(), [0xff, 0xfe, 0]);
    assert_eq!(get(&client, &server.url("/none")).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_slow_response_is_waited_for() {
    let gate = Gate::new();
    let server = Server::start(Reply::text("late").held_by(&gate)).await;
    let fetching = tokio::spawn(client().fetch(request(Method::GET, &server.url("/"))));
    server.arrived(0).await;
    assert!(!fetching.is_finished());
    gate.open();
    assert_eq!(fetching.await.unwrap().unwrap().body, "late");
}

#[tokio::test]
async fn connections_are_kept_and_a_stale_one_costs_nothing() {
    let server =
        Server::start([Reply::text("1"), Reply::text("2").then_close(), Reply::text("3"), Reply::text("4")])
            .await;
    let client = client();
    for expected in ["1", "2"] {
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, expected);
    }
    server.closed(1).await;
    for expected in ["3", "4"] {
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, expected);
    }
    assert_eq!((server.requests().len(), server.connections()), (4, 2));
}

#[tokio::test]
async fn without_an_idle_timeout_no_connection_is_kept() {
    let server = Server::start(Reply::text("x")).await;
    let client = HttpClient::builder().guard(Guard::local()).idle_timeout(Duration::ZERO).build().unwrap();
    for _ in 0..3 {
        get(&client, &server.url("/")).await.unwrap();
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn one_client_serves_many_at_once() {
    let server = Server::start(Reply::text("x")).await;
    let client = client();
    let fetches: Vec<_> = (0..50)
        .map(|n| tokio::spawn(client.fetch(request(Method::GET, &server.url(&format!("/{n}"))))))
        .collect();
    for fetch in fetches {
        assert_eq!(fetch.await.unwrap().unwrap().body, "x");
    }
    assert_eq!(server.requests().len(), 50);
}

#[tokio::test]
async fn odd_characters_in_a_url_are_sent_percent_encoded() {
    let server = Server::start(Reply::text("x")).await;
    get(&client(), &server.url("/a|b{c}^`\"<é>?q=|{}^`\"<é>'#fragment")).await.unwrap();
    let path = server.arrived(0).await.path;
    assert!(path.is_ascii() && path.contains("%C3%A9") && !path.contains("fragment"), "{path}");
}
