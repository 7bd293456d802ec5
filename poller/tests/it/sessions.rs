//! What a poll has of its own against a server: cookies and certificates; and what a poll without a filter takes for no result.

use std::sync::{Arc, Mutex};

use poller::fetch::{Fetch as _, FetchErrorKind};
use poller::http::{Guard, HttpClient};
use poller::secret::{AllowAll, SecretError, SecretRef, SecretResolver};
use poller::{Limits, Outcome, PollSpec, Poller, SpecOptions};
use secrecy::SecretString;
use serde_json::{Value, json};
use test_support::{Authority, Received, Reply, Script, Server};
use url::Url;

use crate::fetch::request;

fn spec(url: &str, request: Value, also: Value) -> PollSpec {
    let mut spec = json!({"url": url, "interval": 0.01, "timeout": 5, "requestInit": request});
    spec.as_object_mut().unwrap().extend(also.as_object().unwrap().clone());
    SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap()
}

async fn poller(secrets: impl SecretResolver) -> Poller {
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    Poller::builder().fetch(client).limits(Limits::unbounded()).secrets(secrets).build().await.unwrap()
}

async fn run(spec: PollSpec) -> Arc<Outcome> {
    poller(AllowAll).await.submit("job", spec).await.unwrap().outcome().await.unwrap()
}

/// A job that is shown only to sessions. Without one, a login on the way sets the cookie and leads back.
fn behind_a_login(logins: &Arc<Mutex<u32>>, ready_at: u32) -> Script {
    let (logins, mut asked) = (Arc::clone(logins), 0);
    Script::from_fn(move |_, request: &Received| {
        let has_session = request.header("cookie").is_some_and(|cookies| cookies.contains("session=s"));
        match request.path.as_str() {
            "/login" => {
                *logins.lock().unwrap() += 1;
                Reply::redirect(302, "/job")
                    .header("set-cookie", "session=s3cret-of-the-session; HttpOnly; Path=/")
            }
            _ if !has_session => Reply::redirect(302, "/login"),
            _ => {
                asked += 1;
                Reply::json(if asked < ready_at { r#"{"state":"running"}"# } else { r#"{"state":"done"}"# })
            }
        }
    })
}

#[tokio::test]
async fn a_poll_that_keeps_cookies_logs_in_once() {
    let logins = Arc::default();
    let server = Server::start(behind_a_login(&logins, 3)).await;
    let done = json!({"responseFilter": {"body": {"state": ["done"]}}});
    let outcome = run(spec(&server.url("/job"), json!({"cookies": true}), done.clone())).await;
    assert_eq!((outcome.name(), outcome.attempts, *logins.lock().unwrap()), ("matched", 3, 1));

    // Without cookies it goes round in a circle.
    let without = json!({"responseFilter": {"body": {"state": ["done"]}}, "timeout": 0.2});
    let outcome = run(spec(&server.url("/job"), json!({}), without)).await;
    assert_eq!(outcome.name(), "timed out");
    // The deadline may cut the last request off.
    let is_circle = |result: &str| matches!(result, "redirect" | "timeout");
    assert!(outcome.counts.iter().all(|(result, _)| is_circle(result)), "{}", outcome.counts);
}

#[tokio::test]
async fn each_poll_has_cookies_of_its_own() {
    let logins = Arc::default();
    let server = Server::start(behind_a_login(&logins, 1)).await;
    let spec = spec(
        &server.url("/job"),
        json!({"cookies": true}),
        json!({"responseFilter": {"body": {"state": ["done"]}}}),
    );
    let poller = poller(AllowAll).await;
    for key in ["a", "b"] {
        let outcome = poller.submit(key, spec.clone()).await.unwrap().outcome().await.unwrap();
        assert_eq!(outcome.name(), "matched");
    }
    assert_eq!(*logins.lock().unwrap(), 2);
}

#[tokio::test]
async fn cookies_stay_with_their_host_and_beside_those_of_the_user() {
    let other = Server::start(Reply::json("{}")).await;
    let target = other.url_as("localhost", "/there");
    let script = Script::new()
        .on(
            "/set",
            [Reply::redirect(302, "/go")
                .header("set-cookie", "a=1")
                .header("set-cookie", "b=2; Path=/other")],
        )
        .on("/go", [Reply::redirect(302, target)]);
    let server = Server::start(script).await;
    let init = json!({"cookies": true, "headers": {"cookie": {"$secret": "env:COOKIES"}}});
    struct Cookies;
    impl SecretResolver for Cookies {
        fn resolve(&self, _: &SecretRef, _: &Url) -> Result<SecretString, SecretError> {
            Ok(SecretString::from("a=old; c=3"))
        }
    }
    let spec = spec(&server.url("/set"), init, json!({}));
    let outcome = poller(Cookies).await.submit("job", spec).await.unwrap().outcome().await.unwrap();
    assert_eq!(outcome.name(), "matched");
    assert_eq!(server.arrived(0).await.header("cookie"), Some("a=old; c=3"));
    assert_eq!(server.arrived(1).await.header("cookie"), Some("c=3; a=1"));
    assert_eq!(other.arrived(0).await.header("cookie"), None);
}

#[tokio::test]
async fn the_cookie_of_a_session_is_never_quoted() {
    let script = Script::new().on(
        "/job",
        [Reply::json(r#"{"state":"s3cret-of-the-session"}"#)
            .header("set-cookie", "id=s3cret-of-the-session; HttpOnly")],
    );
    let server = Server::start(script).await;
    let also = json!({"responseFilter": {"body": {"state": ["done"]}}, "timeout": 0.1});
    let outcome = run(spec(&server.url("/job"), json!({"cookies": true}), also)).await;
    let text = format!("{:?} {:?}", outcome.explanation(), outcome.history);
    assert!(!text.contains("s3cret-of") && text.contains("[secret]"), "{text}");
}

const LOGIN: &str = "<!doctype html><title>Sign in</title><form>";

#[tokio::test]
async fn without_a_filter_a_login_page_is_no_result() {
    let script = || {
        Script::new()
            .on("/job", [Reply::redirect(302, "/login"), Reply::redirect(302, "/login"), Reply::text("done")])
            .on("/login", [Reply::new(200).header("content-type", "text/html").body(LOGIN)])
    };
    let server = Server::start(script()).await;
    let outcome = run(spec(&server.url("/job"), json!({}), json!({}))).await;
    assert_eq!((outcome.name(), outcome.attempts), ("matched", 3));
    assert_eq!(outcome.response().unwrap().body(), "done");
    let note = outcome.history[0].note.as_deref().unwrap();
    assert!(note.contains("HTML page elsewhere") && note.contains("/login"), "{note}");

    // A filter replaces the rule.
    for filter in [json!({}), json!({"status": ["2xx"]}), json!({"text": {"$contains": "Sign in"}})] {
        let server = Server::start(script()).await;
        let outcome = run(spec(&server.url("/job"), json!({}), json!({"responseFilter": filter}))).await;
        assert_eq!((outcome.name(), outcome.attempts), ("matched", 1), "{filter}");
    }
}

#[tokio::test]
async fn a_login_page_that_stays_times_out_with_the_reason() {
    let script = Script::new()
        .on("/job", [Reply::redirect(302, "/login")])
        .on("/login", [Reply::new(200).header("content-type", "text/html").body(LOGIN)]);
    let server = Server::start(script).await;
    let outcome = run(spec(&server.url("/job"), json!({}), json!({"timeout": 0.1}))).await;
    assert_eq!(outcome.name(), "timed out");
    assert!(outcome.explanation().unwrap().contains("HTML page elsewhere"), "{:?}", outcome.explanation());
}

#[tokio::test]
async fn a_page_at_the_same_place_and_other_results_of_redirects_match() {
    let script = Script::new()
        .on("/docs", [Reply::redirect(301, "/docs/")])
        .on("/docs/", [Reply::new(200).header("content-type", "text/html").body("<html>")])
        .on("/latest", [Reply::redirect(302, "/v2")])
        .on("/v2", [Reply::json("{}")])
        .on("/page", [Reply::new(200).header("content-type", "text/html").body("<html>")]);
    let server = Server::start(script).await;
    for path in ["/docs", "/latest", "/page"] {
        let outcome = run(spec(&server.url(path), json!({}), json!({}))).await;
        assert_eq!((outcome.name(), outcome.attempts), ("matched", 1), "{path}");
    }
}

/// Resolves references to the texts of one server and one client.
struct Files {
    authority: String,
    certificate: String,
    key: String,
}

impl Files {
    fn of(authority: &Authority) -> Self {
        let client = authority.issue_client("ci");
        Self {
            authority: authority.pem().into(),
            certificate: client.certificate().into(),
            key: client.key().into(),
        }
    }
}

impl SecretResolver for Files {
    fn resolve(&self, reference: &SecretRef, url: &Url) -> Result<SecretString, SecretError> {
        match (reference.to_string().as_str(), url.host_str()) {
            ("file:/ca.pem", Some("127.0.0.1")) => Ok(SecretString::from(self.authority.as_str())),
            ("file:/client.pem", Some("127.0.0.1")) => Ok(SecretString::from(self.certificate.as_str())),
            ("file:/client.key", Some("127.0.0.1")) => Ok(SecretString::from(self.key.as_str())),
            ("file:/both.pem", Some("127.0.0.1")) => {
                Ok(SecretString::from(format!("{}{}", self.key, self.certificate)))
            }
            ("file:/broken.pem", _) => Ok(SecretString::from("no PEM")),
            (other, host) => Err(SecretError::new(format!("{other} is not for {host:?}"))),
        }
    }
}

fn file(name: &str) -> Value {
    json!({"$secret": format!("file:/{name}")})
}

#[tokio::test]
async fn a_spec_names_its_certificates_by_reference() {
    let authority = Authority::new();
    let server = Server::start_tls(Reply::json("{}"), &authority.issue_demanding(["127.0.0.1"])).await;
    let files = poller(Files::of(&authority)).await;
    let outcome = async |key: &str, tls: Value| {
        let spec = spec(&server.url("/"), json!({"tls": tls}), json!({"giveUp": {"after": 1}, "timeout": 1}));
        files.submit(key, spec).await.unwrap().outcome().await.unwrap()
    };
    let whole = json!({"cert": file("client.pem"), "key": file("client.key"), "cacert": file("ca.pem")});
    assert_eq!(outcome("whole", whole).await.name(), "matched");
    let one_file = json!({"cert": file("both.pem"), "cacert": file("ca.pem")});
    assert_eq!(outcome("one file", one_file).await.name(), "matched");
    for (tls, expected) in [
        (json!({"cacert": file("ca.pem")}), "the server wants a client certificate"),
        (json!({"cert": file("both.pem")}), "https needs trusted certificates"),
        (json!({"cert": file("other.pem")}), "requestInit.tls, cert: file:/other.pem is not for"),
        (
            json!({"cert": file("broken.pem"), "cacert": file("ca.pem")}),
            "requestInit.tls, cert and key: expected certificates as PEM",
        ),
        (
            json!({"cert": file("client.pem"), "cacert": file("ca.pem")}),
            "requestInit.tls, cert and key: expected a private key as PEM",
        ),
        (json!({"cacert": file("broken.pem")}), "requestInit.tls, cacert: expected certificates as PEM"),
    ] {
        let outcome = outcome(expected, tls).await;
        let text = format!("{:?} {:?}", outcome.explanation(), outcome.history);
        assert_ne!(outcome.name(), "matched", "{text}");
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[tokio::test]
async fn another_origin_sees_no_certificate_of_the_client() {
    let authority = Authority::new();
    let other = Server::start_tls(Reply::json("{}"), &authority.issue_demanding(["localhost"])).await;
    let there = Reply::redirect(302, other.url_as("localhost", "/"));
    let server = Server::start_tls(there, &authority.issue_demanding(["127.0.0.1"])).await;
    let pair = authority.issue_client("ci");
    // That of the client as a whole, and that of one request.
    let builder = || HttpClient::builder().guard(Guard::local()).system_roots(false);
    let trusting = || builder().add_root_pem(authority.pem().as_bytes()).unwrap();
    let whole = trusting().client_certificate(pair.certificate().as_bytes(), pair.key().as_bytes()).unwrap();
    let mut by_request = request(http::Method::GET, &server.url("/"));
    let tls = poller::fetch::RequestTls::new(Some(pair.certificate().into()), Some(pair.key().into()), None);
    by_request.tls = Some(Arc::new(tls));
    for (client, request) in [(whole, request(http::Method::GET, &server.url("/"))), (trusting(), by_request)]
    {
        let error = client.build().unwrap().fetch(request).await.unwrap_err();
        assert_eq!(error.kind(), FetchErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("wants a client certificate"), "{error}");
    }
    assert_eq!((server.requests().len(), other.requests().len()), (2, 0));
}

#[tokio::test]
async fn equal_certificates_share_connections_and_others_do_not() {
    let authority = Authority::new();
    let server = Server::start_tls(Reply::json("{}"), &authority.issue(["127.0.0.1"])).await;
    let client = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    let ask = async |authorities: String| {
        let mut request = request(http::Method::GET, &server.url("/"));
        let tls = poller::fetch::RequestTls::new(None, None, Some(authorities.into()));
        request.tls = Some(Arc::new(tls));
        client.fetch(request).await.unwrap();
        server.connections()
    };
    let pem = authority.pem();
    assert_eq!(ask(pem.to_owned()).await, 1);
    assert_eq!(ask(pem.to_owned()).await, 1);
    assert_eq!(ask(format!("# renewed\n{pem}")).await, 2);
    // The set that was unused for longest makes room.
    for number in 0..64 {
        ask(format!("# {number}\n{pem}")).await;
    }
    let before = server.connections();
    assert_eq!(ask(pem.to_owned()).await, before + 1);
}
