//! Kept connections that end just as they are used: what is sent once more, and what is not.

use http::Method;
use poller::fetch::{Fetch as _, FetchErrorKind};
use test_support::{Authority, Http2Server, Reply, Server};

use super::tls::trusting;
use super::{client, get, request, with_headers};

#[tokio::test]
async fn a_get_or_head_that_is_lost_on_a_kept_connection_is_sent_once_more() {
    for method in [Method::GET, Method::HEAD] {
        for fault in [Reply::close(), Reply::reset()] {
            let server = Server::start([Reply::text("1"), fault, Reply::new(203)]).await;
            let client = client();
            let first = get(&client, &server.url("/")).await.unwrap();
            assert_eq!(first.journey, None);
            let again = client.fetch(request(method.clone(), &server.url("/"))).await.unwrap();
            assert_eq!(again.status, 203, "{method}");
            assert!(again.journey.unwrap().resent, "the second request is told");
            assert_eq!((server.requests().len(), server.connections()), (3, 2), "{method}");
        }
    }
}

#[tokio::test]
async fn it_is_sent_again_once_and_on_a_new_connection() {
    // Two connections are kept; the server breaks both as they are used, and the new one too.
    let server = Server::start(test_support::Script::from_fn(|number, _| {
        if number < 2 { Reply::text("1") } else { Reply::close() }
    }))
    .await;
    let client = client();
    let (a, b) = (server.url("/a"), server.url("/b"));
    let both = tokio::join!(get(&client, &a), get(&client, &b));
    assert!(both.0.is_ok() && both.1.is_ok());
    let error = get(&client, &server.url("/?token=s3cret")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Reset);
    assert!(error.journey().unwrap().resent);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests[..3].iter().all(|earlier| earlier.connection != requests[3].connection));
}

#[tokio::test]
async fn other_methods_and_bodies_are_never_sent_again() {
    let mut with_body = request(Method::GET, "http://127.0.0.1/");
    with_body.body = Some("{}".into());
    let others = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "REPORT"];
    let others = others.map(|method| request(method.parse().unwrap(), "http://127.0.0.1/"));
    for mut unsafe_one in others.into_iter().chain([with_body]) {
        let server = Server::start([Reply::text("1"), Reply::close(), Reply::text("3")]).await;
        let client = client();
        get(&client, &server.url("/")).await.unwrap();
        unsafe_one.url = server.url("/").parse().unwrap();
        let error = client.fetch(unsafe_one.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.journey()), (FetchErrorKind::Reset, None), "{unsafe_one:?}");
        assert_eq!(server.requests().len(), 2, "{unsafe_one:?}");
    }
}

#[tokio::test]
async fn a_response_that_has_begun_is_not_asked_for_again() {
    for begun in ["H", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let server = Server::start([Reply::text("1"), Reply::raw(begun), Reply::text("3")]).await;
        let client = client();
        get(&client, &server.url("/")).await.unwrap();
        let error = get(&client, &server.url("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.journey()), (FetchErrorKind::Reset, None), "{begun:?}");
        assert_eq!(server.requests().len(), 2, "{begun:?}");
    }
    let server = Server::start([Reply::text("1"), Reply::text("0123456789").close_after(4)]).await;
    let client = client();
    get(&client, &server.url("/")).await.unwrap();
    assert_eq!(get(&client, &server.url("/")).await.unwrap_err().kind(), FetchErrorKind::Reset);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_a_failed_attempt() {
    for fault in [Reply::close(), Reply::reset()] {
        let server = Server::start([fault, Reply::text("2")]).await;
        let error = get(&client(), &server.url("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.journey()), (FetchErrorKind::Reset, None));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn over_tls_too() {
    let authority = Authority::new();
    let identity = authority.issue(["127.0.0.1"]);
    let server = Server::start_tls([Reply::text("1"), Reply::close(), Reply::text("3")], &identity).await;
    let client = trusting(&authority);
    get(&client, &server.url("/")).await.unwrap();
    let again = get(&client, &server.url("/")).await.unwrap();
    assert_eq!((again.body.as_ref(), again.journey.unwrap().resent), (&b"3"[..], true));
}

#[tokio::test]
async fn a_stream_above_the_last_of_a_goaway_is_sent_once_more() {
    let authority = Authority::new();
    let server = Http2Server::start_leaving(1, 0, "x", &authority.issue(["127.0.0.1"])).await;
    let client = trusting(&authority);
    assert_eq!(get(&client, &server.url("/")).await.unwrap().journey, None);
    let again = get(&client, &server.url("/")).await.unwrap();
    assert_eq!((again.body.as_ref(), again.journey.unwrap().resent), (&b"x"[..], true));
    assert_eq!((server.requests(), server.connections()), (3, 2));

    let error = client.fetch(request(Method::POST, &server.url("/"))).await;
    // On a new connection the first request is answered; the second finds the GOAWAY.
    assert_eq!(error.unwrap().body, "x");
    let error = client.fetch(request(Method::POST, &server.url("/"))).await.unwrap_err();
    assert_eq!((error.kind(), error.journey()), (FetchErrorKind::Reset, None));
}

#[tokio::test]
async fn a_goaway_with_a_complaint_is_not_answered_by_another_request() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let authority = Authority::new();
    let server = Http2Server::start_leaving(1, ENHANCE_YOUR_CALM, "x", &authority.issue(["127.0.0.1"])).await;
    let client = trusting(&authority);
    get(&client, &server.url("/")).await.unwrap();
    let error = get(&client, &server.url("/")).await.unwrap_err();
    assert_eq!((error.kind(), error.journey()), (FetchErrorKind::Reset, None), "{error}");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_host_of_its_own_is_sent_as_given() {
    let authority = Authority::new();
    let identity = authority.issue(["127.0.0.1"]);
    let server = Server::start_tls(Reply::text("x"), &identity).await;
    let own = with_headers(request(Method::GET, &server.url("/")), &[("host", "inner.test:1")]);
    trusting(&authority).fetch(own).await.unwrap();
    assert_eq!(server.arrived(0).await.header("host"), Some("inner.test:1"));
}
