//! Certificates, trusted or not, and ports that speak the other protocol.

use poller::fetch::FetchErrorKind;
use poller::http::{Guard, HttpClient};
use test_support::{Authority, KeyedCertificate, Reply, Script, Server, self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
        (authority.issue_expired(["127.0.0.1"]), "has expired on 2001-01-01; its server needs a new one"),
        (
            authority.issue_too_early(["127.0.0.1"]),
            "is not valid yet, but from 4000-01-01; check this machine's clock",
        ),
        (authority.issue(["other.test"]), "is for another name, other.test"),
        (
            authority.issue(["a.test", "*.b.test", "10.0.0.1"]),
            "is for other names: a.test, *.b.test, 10.0.0.1",
        ),
        (
            authority.issue([]),
            "is for no name at all (its common name is not looked at); its server needs one with a subjectAltName, as \
             openssl makes it with -addext subjectAltName=DNS:NAME",
        ),
        (
            stranger.issue(["127.0.0.1"]),
            "is signed by an unknown authority, or by itself; if you trust it, add the certificate of the authority, or \
             its own (--cacert)",
        ),
        (
            self_signed(["127.0.0.1"], true),
            "is one of an authority (CA:TRUE) and was not added; if you trust it, add it (--cacert), or make one for \
             servers (CA:FALSE)",
        ),
    ] {
        let server = Server::start_tls(Reply::json("{}"), &identity).await;
        let error = get(&trusting(&authority), &server.url("/?token=s3cret")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Certificate, "{error}");
        assert_eq!(error.to_string(), format!("the certificate of {} {expected}", server.addr()));
        assert_eq!(server.requests().len(), 0);
    }
}

fn trusting_only(certificate: &str) -> HttpClient {
    let builder = HttpClient::builder().guard(Guard::local()).system_roots(false);
    builder.add_root_pem(certificate.as_bytes()).unwrap().build().unwrap()
}

#[tokio::test]
async fn a_certificate_that_was_added_is_accepted_from_its_own_server() {
    for is_authority in [true, false] {
        let identity = self_signed(["localhost"], is_authority);
        let server = Server::start_tls(Reply::json("{}"), &identity).await;
        let client = trusting_only(identity.pair().certificate());
        assert_eq!(
            get(&client, &server.url_as("localhost", "/")).await.unwrap().body,
            "{}",
            "{is_authority}"
        );
        // The name is checked all the same.
        let error = get(&client, &server.url("/")).await.unwrap_err();
        assert!(error.to_string().ends_with("is for another name, localhost"), "{error}");
    }
}

/// Trust in the bytes of one authority's certificate is not trust in another's of the same name.
#[tokio::test]
async fn another_certificate_of_the_same_name_is_not_accepted() {
    let (added, other) = (self_signed(["localhost"], true), self_signed(["localhost"], true));
    let server = Server::start_tls(Reply::json("{}"), &other).await;
    let client = trusting_only(added.pair().certificate());
    let error = get(&client, &server.url_as("localhost", "/")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Certificate, "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn any_certificate_is_accepted_on_request() {
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false);
    let client = client.danger_accept_any_certificate(true).build().unwrap();
    for identity in [Authority::new().issue_expired(["other.test"]), self_signed([], true)] {
        let server = Server::start_tls(Reply::json("{}"), &identity).await;
        assert_eq!(get(&client, &server.url("/")).await.unwrap().body, "{}");
    }
}

#[tokio::test]
async fn servers_that_want_a_client_certificate_get_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = Server::start_tls(Reply::json("{}"), &authority.issue_demanding(["127.0.0.1"])).await;
    let with = |pair: Option<&KeyedCertificate>| {
        let builder = HttpClient::builder().guard(Guard::local()).system_roots(false);
        let builder = builder.add_root_pem(authority.pem().as_bytes()).unwrap();
        match pair {
            Some(pair) => {
                builder.client_certificate(pair.certificate().as_bytes(), pair.key().as_bytes()).unwrap()
            }
            None => builder,
        }
        .build()
        .unwrap()
    };
    let known = with(Some(&authority.issue_client("ci")));
    assert_eq!(get(&known, &server.url("/")).await.unwrap().body, "{}");
    for (client, expected) in [
        (with(None), "the server wants a client certificate (--cert, --key)"),
        (
            with(Some(&stranger.issue_client("ci"))),
            "the server does not know the authority of the client certificate; is it the right one, with its chain?",
        ),
    ] {
        let error = get(&client, &server.url("/")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Tls);
        let expected = format!("the TLS handshake with {} failed: {expected}", server.addr());
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(server.requests().len(), 1);
}

/// Answers the first bytes of each connection with these.
async fn answering(bytes: &'static [u8]) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
            socket.write_all(bytes).await.unwrap();
        }
    });
    (address, task)
}

#[tokio::test]
async fn alerts_and_old_versions_are_in_words() {
    let client = trusting(&Authority::new());
    for (bytes, expected) in [
        (&b"\x15\x03\x01\0\x02\x02\x46"[..], "speaks only versions of TLS before 1.2"),
        (b"\x15\x03\x03\0\x02\x02\x28", "the server refused it: it may want a client certificate"),
        (b"\x15\x03\x03\0\x02\x02\x70", "the server does not know this host name"),
        (b"\x15\x03\x03\0\x02\x02\x78", "speaks neither HTTP/1.1 nor HTTP/2"),
        (b"\x15\x03\x03\0\x02\x02\x50", "an error of its own"),
        (b"\x15\x03\x03\0\x02\x02\xee", "without a usual reason"),
        (b"SSH-2.0-OpenSSH\r\n", "what came back is not TLS"),
    ] {
        let (address, _task) = answering(bytes).await;
        let error = get(&client, &format!("https://{address}/")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Tls, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_recognised() {
    for (bytes, expected) in [
        (&b"\x15\x03\x01\0\x02\x02\x46"[..], "is not HTTP, but TLS; the URL must begin with https://"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "is not HTTP, but SSH; check the port"),
        (b"220 mail.test ESMTP\r\n", "is not HTTP, but FTP or SMTP; check the port"),
    ] {
        let (address, _task) = answering(bytes).await;
        let error = get(&client(), &format!("http://{address}/")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Protocol, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
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
    assert!(
        error
            .to_string()
            .ends_with("what came back is not TLS; is it an http port? Then the URL begins with http://"),
        "{error}"
    );
    drop(answering.await);

    let secure = Server::start_tls(Reply::json("{}"), &authority.issue(["127.0.0.1"])).await;
    let error = get(&client(), &secure.url("/").replace("https", "http")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Protocol, "{error}");
    assert!(error.to_string().contains("the URL must begin with https://"), "{error}");
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
