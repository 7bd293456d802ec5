//! Certificates, trusted or not, and ports that speak the other protocol.

use poller::fetch::FetchErrorKind;
use poller::http::{Guard, HttpClient};
use test_support::{Authority, Reply, Script, Server};

use super::{client, get};

pub(super) fn trusting(authority: &Authority) -> HttpClient {
    HttpClient::builder()
        .guard(Guard::local())
        .system_roots(false)
        .add_root_pem(authority.pem().as_bytes())
        .unwrap()
        .build()
        .unwrap()
}

#[tokio::test]
async fn https_works_with_an_authority_that_was_added() {
    let authority = Authority::new();
    let server = Server::start_tls(Reply::json("{}"), &authority.issue(["localhost", "127.0.0.1"])).await;
    let client = trusting(&authority);
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(get(&client, &server.url_as(host, "/")).await.unwrap().body, "{}");
    }
}

#[tokio::test]
async fn bad_certificates_are_named() {
    let authority = Authority::new();
    let stranger = Authority::new();
    for (identity, expected) in [
        (authority.issue_expired(["127.0.0.1"]), "has expired"),
        (authority.issue(["other.test"]), "is for another name"),
        (
            stranger.issue(["127.0.0.1"]),
            "is signed by an unknown authority; if you trust that authority, add its certificate (--cacert)",
        ),
    ] {
        let server = Server::start_tls(Reply::json("{}"), &identity).await;
        let error = get(&trusting(&authority), &server.url("/?token=s3cret")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Certificate, "{error}");
        assert_eq!(error.to_string(), format!("the certificate of {} {expected}", server.addr()));
        assert_eq!(server.requests().len(), 0);
    }
}

#[tokio::test]
async fn http_to_an_https_port_and_the_reverse_are_named_in_the_error() {
    let authority = Authority::new();
    // The scripted server would wait for the end of a head, and a TLS hello has none. This one answers anything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        socket
    });
    let error = get(&trusting(&authority), &format!("https://{address}/")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Tls, "{error}");
    assert!(error.to_string().ends_with("what came back is not TLS; is it an http port?"), "{error}");
    drop(answering.await);

    let secure = Server::start_tls(Reply::json("{}"), &authority.issue(["127.0.0.1"])).await;
    let error = get(&client(), &secure.url("/").replace("https", "http")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("is it an https port"), "{error}");
}

#[tokio::test]
async fn without_roots_http_works_and_https_says_how_to_help() {
    let server = Server::start(
        Script::new().on("/", [Reply::text("x")]).on("/secure", [Reply::redirect(302, "https://127.0.0.1/")]),
    )
    .await;
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "x");
    for url in ["https://127.0.0.1:9/".to_owned(), server.url("/secure")] {
        let error = get(&client, &url).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Certificate);
        assert!(error.to_string().contains("--cacert"), "{error}");
    }
}

#[tokio::test]
async fn https_is_not_left_for_http() {
    let authority = Authority::new();
    let plain = Server::start(Reply::json("{}")).await;
    let reply = Reply::redirect(302, plain.url("/?token=s3cret"));
    let server = Server::start_tls(reply, &authority.issue(["127.0.0.1"])).await;
    let error = get(&trusting(&authority), &server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Redirect);
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert_eq!(plain.requests().len(), 0);
}
