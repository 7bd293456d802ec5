//! Proxies: forwarding, CONNECT, SOCKS5, and errors that name the proxy. Host names here do not exist and are never resolved.

use poller::fetch::{FetchError, FetchErrorKind, Response};
use poller::http::{Guard, HttpClient, HttpClientBuilder, Proxies};
use test_support::{Authority, ClosedPort, Proxy, ProxyRule, Reply, Script, Server};

use super::get;

fn builder(proxy: &str) -> HttpClientBuilder {
    let proxies = Proxies::all(proxy).unwrap();
    HttpClient::builder().guard(Guard::public_only()).system_roots(false).proxies(proxies)
}

async fn through(proxy: &str, url: &str) -> Result<Response, FetchError> {
    get(&builder(proxy).build().unwrap(), url).await
}

fn assert_names_the_proxy(error: &FetchError, place: &str, expected: &str) {
    assert_eq!(error.kind(), FetchErrorKind::Proxy, "{error}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("the proxy {place} ")) && text.contains(expected), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn http_is_forwarded_with_the_whole_url() {
    let proxy = Server::start(Script::from_fn(|_, request| match request.path.as_str() {
        "http://jobs.test/42?x=1" => Reply::redirect(302, "http://10.0.0.8/"),
        "http://other.test:8080/" => Reply::text("forwarded"),
        path => Reply::text(path),
    }))
    .await;
    let address = proxy.addr().to_string();
    let with_password = format!("http://user:s3cret@{address}");
    let response = through(&with_password, "http://other.test:8080/").await.unwrap();
    assert_eq!(response.body, "forwarded");
    let request = proxy.arrived(0).await;
    assert_eq!(request.header("host"), Some("other.test:8080"));
    assert_eq!(request.header("proxy-authorization"), Some("Basic dXNlcjpzM2NyZXQ="));

    // Literal addresses are judged here, for every hop.
    let error = through(&address, "http://10.0.0.8/").await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Blocked, "{error}");
    let error = through(&address, "http://jobs.test/42?x=1").await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Blocked, "{error}");
    assert_eq!(proxy.requests().len(), 2);
}

#[tokio::test]
async fn a_private_server_behind_a_proxy_may_redirect_to_itself() {
    let proxy = Server::start(Script::from_fn(|_, request| match request.path.as_str() {
        "http://10.0.0.8/a" => Reply::redirect(302, "/b"),
        path => Reply::text(path),
    }))
    .await;
    let client = builder(&proxy.addr().to_string()).guard(Guard::local()).build().unwrap();
    assert_eq!(get(&client, "http://10.0.0.8/a").await.unwrap().body, "http://10.0.0.8/b");
}

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let authority = Authority::new();
    let server = Server::start_tls(Reply::text("inside"), &authority.issue(["jobs.test"])).await;
    for scheme in ["http", "socks5h"] {
        for rule in [ProxyRule::Open, ProxyRule::Password("user", "s3cret")] {
            let proxy = Proxy::start(server.addr(), rule.clone()).await;
            let client = builder(&format!("{scheme}://user:s3cret@{}", proxy.addr()));
            let client = client.add_root_pem(authority.pem().as_bytes()).unwrap().build().unwrap();
            for _ in 0..2 {
                assert_eq!(
                    get(&client, "https://jobs.test/").await.unwrap().body,
                    "inside",
                    "{scheme} {rule:?}"
                );
            }
            assert_eq!(
                proxy.targets(),
                ["jobs.test:443"],
                "the name is the proxy's to resolve; the tunnel is kept"
            );
            assert_eq!(server.requests().last().unwrap().header("proxy-authorization"), None);
        }
    }
}

#[tokio::test]
async fn the_proxy_itself_may_speak_tls() {
    let authority = Authority::new();
    let proxy = Server::start_tls(Reply::text("forwarded"), &authority.issue(["127.0.0.1"])).await;
    let client = builder(&format!("https://{}", proxy.addr()));
    let client = client.add_root_pem(authority.pem().as_bytes()).unwrap().build().unwrap();
    assert_eq!(get(&client, "http://jobs.test/").await.unwrap().body, "forwarded");
    assert_eq!(proxy.arrived(0).await.path, "http://jobs.test/");

    let error = through(&format!("https://{}", proxy.addr()), "http://jobs.test/").await.unwrap_err();
    assert_names_the_proxy(&error, &proxy.addr().to_string(), "certificate");
}

#[tokio::test]
async fn socks5_gets_addresses_that_the_guard_has_seen() {
    let server = Server::start(Reply::text("inside")).await;
    let proxy = Proxy::start(server.addr(), ProxyRule::Open).await;
    let client = |guard| {
        let client = builder(&format!("socks5://{}", proxy.addr())).guard(guard);
        client.resolve("jobs.test", [[10, 0, 0, 8].into()]).build().unwrap()
    };
    let error = get(&client(Guard::public_only()), "http://jobs.test/").await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Blocked, "{error}");
    assert!(proxy.targets().is_empty());
    assert_eq!(get(&client(Guard::local()), "http://jobs.test/").await.unwrap().body, "inside");
    assert_eq!(proxy.targets(), ["10.0.0.8:80"]);
}

#[tokio::test]
async fn failures_of_the_proxy_are_named_as_its_own() {
    let server = Server::start(Reply::text("x")).await;
    for (scheme, rule, expected) in [
        ("http", ProxyRule::Password("user", "s3cret"), "wants credentials (407"),
        (
            "http://user:wrong-s3cret@",
            ProxyRule::Password("user", "s3cret"),
            "does not accept the credentials",
        ),
        ("http", ProxyRule::Refuse("403 Forbidden", 2), "refused a tunnel to jobs.test:443: 403 Forbidden"),
        ("http", ProxyRule::Close, "closed the connection when asked for a tunnel to jobs.test:443"),
        ("socks5h", ProxyRule::Password("user", "s3cret"), "wants credentials"),
        (
            "socks5h://user:wrong-s3cret@",
            ProxyRule::Password("user", "s3cret"),
            "does not accept the credentials",
        ),
        ("socks5h", ProxyRule::Refuse("", 2), "does not allow connections to the server"),
        ("socks5h", ProxyRule::Refuse("", 4), "cannot reach the server, or finds no such host"),
        ("socks5h", ProxyRule::Refuse("", 5), "was refused the connection by the server"),
        ("socks5h", ProxyRule::Close, "closed the connection"),
    ] {
        let proxy = Proxy::start(server.addr(), rule).await;
        let place = proxy.addr().to_string();
        let whole =
            if scheme.contains("://") { format!("{scheme}{place}") } else { format!("{scheme}://{place}") };
        let client = builder(&whole).danger_accept_any_certificate(true).build().unwrap();
        let error = get(&client, "https://jobs.test/?token=s3cret").await.unwrap_err();
        assert_names_the_proxy(&error, &place, expected);
    }
    assert!(server.requests().is_empty());

    let closed = ClosedPort::new().addr().to_string();
    for scheme in ["http", "socks5", "socks5h"] {
        let error = through(&format!("{scheme}://{closed}"), "http://1.1.1.1/").await.unwrap_err();
        assert_names_the_proxy(&error, &closed, "cannot be used: connection refused by");
    }

    let forwarding = Server::start(Reply::new(407)).await;
    let error = through(&forwarding.addr().to_string(), "http://jobs.test/").await.unwrap_err();
    assert_names_the_proxy(&error, &forwarding.addr().to_string(), "wants credentials (407");

    let not_a_proxy = Server::start(Reply::raw("SSH-2.0-x\r\n")).await;
    let client =
        builder(&not_a_proxy.addr().to_string()).danger_accept_any_certificate(true).build().unwrap();
    let error = get(&client, "https://jobs.test/").await.unwrap_err();
    assert_names_the_proxy(&error, &not_a_proxy.addr().to_string(), "did not answer in HTTP");
}

#[tokio::test]
async fn a_407_of_a_server_is_the_servers() {
    let server = Server::start(Reply::new(407)).await;
    assert_eq!(get(&super::client(), &server.url("/")).await.unwrap().status, 407);
}
