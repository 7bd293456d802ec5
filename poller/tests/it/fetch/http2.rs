//! HTTP/2, where an HTTP library's own retries would hide: one request for each fetch, whatever the server says.

use poller::fetch::FetchErrorKind;
use test_support::{Authority, Http2Reply, Http2Server};

use super::get;
use super::tls::trusting;

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let authority = Authority::new();
    let server = Http2Server::start([Http2Reply::Text("x")], &authority.issue(["127.0.0.1"])).await;
    let client = trusting(&authority);
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "x");
    }
    assert_eq!((server.requests(), server.connections()), (3, 1));
}

#[tokio::test]
async fn a_request_that_the_server_refuses_is_not_sent_again() {
    let authority = Authority::new();
    for fault in [Http2Reply::Refuse, Http2Reply::BreakOff, Http2Reply::GoAway] {
        let server =
            Http2Server::start([fault, Http2Reply::Text("next")], &authority.issue(["127.0.0.1"])).await;
        let client = trusting(&authority);
        let error = get(&client, &server.url("/?token=s3cret")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Reset, "{fault:?}: {error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert_eq!(server.requests(), 1, "{fault:?}");
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "next", "{fault:?}");
    }
}
