//! Which redirects are followed, and what of the request goes along.

use http::Method;
use poller::fetch::{Fetch as _, FetchErrorKind};
use test_support::{Reply, Script, Server};

use super::{client, get, request, with_headers};

#[tokio::test]
async fn redirects_are_followed_inside_the_origin_with_all_headers() {
    let script = Script::new()
        .on("/a", [Reply::redirect(302, "/b?x=1")])
        .on("/b", [Reply::redirect(308, "c").body("moved")])
        .on("/c", [Reply::json("{}")]);
    let server = Server::start(script).await;
    let mut request = with_headers(
        request(Method::POST, &server.url("/a")),
        &[("x-key", "s3cret"), ("content-type", "application/json")],
    );
    request.body = Some("{}".into());
    assert_eq!(client().fetch(request).await.unwrap().body, "{}");
    let seen: Vec<_> = server
        .requests()
        .into_iter()
        .map(|r| {
            let has_type = r.header("content-type").is_some();
            (r.method.clone(), r.path.clone(), r.header("x-key") == Some("s3cret"), has_type, r.body.len())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("POST".to_owned(), "/a".to_owned(), true, true, 2),
            ("GET".to_owned(), "/b?x=1".to_owned(), true, false, 0),
            ("GET".to_owned(), "/c".to_owned(), true, false, 0),
        ]
    );
}

#[tokio::test]
async fn another_origin_gets_none_of_the_users_headers_and_they_do_not_come_back() {
    let first = Server::start(Script::new().on("/end", [Reply::json("{}")])).await;
    let back = first.url("/end");
    let second = Server::start(Script::new().on("/over", [Reply::redirect(307, back)])).await;
    let over = second.url("/over");
    let home = Server::start(Script::new().on("/go", [Reply::redirect(307, over)])).await;
    let request = with_headers(
        request(Method::GET, &home.url("/go")),
        &[("x-key", "s3cret"), ("authorization", "Bearer s3cret"), ("user-agent", "mine"), ("accept", "a/b")],
    );
    assert_eq!(client().fetch(request).await.unwrap().body, "{}");
    assert_eq!(home.arrived(0).await.header("x-key"), Some("s3cret"));
    for server in [&second, &first] {
        let seen = server.arrived(0).await;
        assert_eq!((seen.header("x-key"), seen.header("authorization")), (None, None));
        assert!(seen.header("user-agent").unwrap().starts_with("poll/"));
        assert_eq!(seen.header("referer"), None);
    }
}

#[tokio::test]
async fn a_body_is_not_carried_to_another_origin() {
    let other = Server::start(Reply::json("{}")).await;
    for status in [307, 308] {
        let server = Server::start(Reply::redirect(status, other.url("/?token=s3cret"))).await;
        let mut request = request(Method::POST, &server.url("/"));
        request.body = Some("secret".into());
        let error = client().fetch(request).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Redirect);
        assert_eq!(
            error.to_string(),
            format!(
                "{} redirects ({status}) a request with a body to another origin, {}; \
                 send it there directly if it is trusted",
                server.addr(),
                other.addr()
            )
        );
    }
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn ten_redirects_are_followed_and_no_more() {
    let chain = |length: usize| {
        Script::from_fn(move |index, _| {
            if index < length {
                Reply::redirect(302, format!("/{index}?token=s3cret"))
            } else {
                Reply::text("end")
            }
        })
    };
    let server = Server::start(chain(10)).await;
    assert_eq!(get(&client(), &server.url("/")).await.unwrap().body, "end");

    let server = Server::start(chain(11)).await;
    let error = get(&client(), &server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Redirect);
    assert_eq!(
        error.to_string(),
        format!("more than 10 redirects, the last one to {}; it may be a loop", server.addr())
    );
    assert_eq!(server.requests().len(), 11);
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_a_response_and_a_broken_one_a_failure() {
    let script = Script::new()
        .on("/302", [Reply::new(302).body("see elsewhere")])
        .on("/304", [Reply::new(304).header("location", "/x")])
        .on("/300", [Reply::redirect(300, "/x")])
        .on("/ftp", [Reply::redirect(302, "ftp://127.0.0.1/s3cret")])
        .on("/broken", [Reply::redirect(302, "http://[s3cret/")]);
    let server = Server::start(script).await;
    let client = client();
    for (path, status) in [("/302", 302), ("/304", 304), ("/300", 300)] {
        assert_eq!(get(&client, &server.url(path)).await.unwrap().status, status);
    }
    for path in ["/ftp", "/broken"] {
        let error = get(&client, &server.url(path)).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Redirect, "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
