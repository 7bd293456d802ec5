//! The guard in front of literals, names and redirects.

use poller::fetch::FetchErrorKind;
use poller::http::{Guard, HttpClient};
use test_support::{Reply, Script, Server};

use super::{client, get};

#[tokio::test]
async fn the_guard_stops_literals_names_and_redirects() {
    let server = Server::start(Reply::text("internal")).await;
    let public = HttpClient::new().unwrap();
    for (host, expected) in [
        ("127.0.0.1", "127.0.0.1 is in loopback 127.0.0.0/8"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1 stands for 127.0.0.1, which is in loopback 127.0.0.0/8"),
        ("localhost", "localhost resolves to no address that may be asked: "),
    ] {
        let error = get(&public, &server.url_as(host, "/?token=s3cret")).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Blocked, "{error}");
        let message = error.to_string();
        assert!(message.starts_with(expected), "{message}");
        assert!(message.contains("is in loopback") && message.contains("allow its network"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    assert_eq!(server.connections(), 0);

    let script = Script::from_fn(|index, _| {
        Reply::redirect(
            302,
            ["http://169.254.169.254/latest", "http://u:s3cret@127.0.0.1/", "http://0.0.0.0:1/"][index],
        )
    });
    let server = Server::start(script).await;
    let local = client();
    for expected in [
        "169.254.169.254 is in cloud metadata 169.254.169.254/32; \
         allow its network (--allow-network, Guard::allow) if it is meant to be asked",
        "the URL carries credentials; give them in an authorization header instead",
        "0.0.0.0 is in unspecified 0.0.0.0/32; allow its network (--allow-network, Guard::allow) if it is meant to be asked",
    ] {
        let error = get(&local, &server.url("/")).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (FetchErrorKind::Blocked, expected));
    }
}

#[tokio::test]
async fn fixed_answers_replace_dns_and_are_guarded() {
    let server = Server::start(Reply::text("x")).await;
    let addresses = || [[169, 254, 0, 1].into(), [127, 0, 0, 1].into()];
    let builder = || HttpClient::builder().resolve("Exports.Test", addresses());
    let url = server.url_as("exports.test", "/");
    // The link-local address is left out, so the other one is the one that is asked.
    let local = builder().guard(Guard::local()).build().unwrap();
    assert_eq!(get(&local, &url).await.unwrap().status, 200);
    assert!(server.arrived(0).await.header("host").unwrap().starts_with("exports.test:"));
    let error = get(&builder().build().unwrap(), &url).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Blocked);
    let none = HttpClient::builder().resolve("exports.test", []).build().unwrap();
    assert_eq!(get(&none, &url).await.unwrap_err().kind(), FetchErrorKind::NoSuchHost);
}
