//! Unix sockets.

use poller::fetch::{Fetch, FetchErrorKind};
use poller::http::{Guard, HttpClient};
use test_support::{Reply, Script, Server};

use super::{client, get};

#[tokio::test]
async fn a_socket_is_asked_like_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my app.sock");
    let script = Script::new()
        .on("/v1/jobs/7", [Reply::redirect(302, "../done")])
        .on("/v1/done", [Reply::json("{}")])
        .on("/away", [Reply::redirect(302, "unix:/run/other.sock:/")]);
    let server = Server::start_unix(script, &path);
    let url = |request: &str| format!("unix:{}:{request}", path.display());

    let client = client();
    let response = get(&client, &url("/v1/jobs/7?wide=1")).await.unwrap();
    assert_eq!(response.body, "{}");
    assert!(response.journey.unwrap().landed.unwrap().ends_with("sock:/v1/done"));
    let first = server.arrived(0).await;
    assert_eq!((first.path.as_str(), first.header("host")), ("/v1/jobs/7?wide=1", Some("localhost")));
    assert_eq!(server.connections(), 1, "the connection is kept");

    let error = get(&client, &url("/away")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Redirect, "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_a_socket_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("unix:{}:/x?token=s3cret", folder.path().join("no.sock").display());
    let error = get(&client(), &missing).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Connect);
    assert!(error.to_string().ends_with("no.sock; has the server started?"), "{error}");

    let left_over = folder.path().join("old.sock");
    drop(std::os::unix::net::UnixListener::bind(&left_over).unwrap());
    let error = get(&client(), &format!("unix:{}:/", left_over.display())).await.unwrap_err();
    assert!(error.to_string().starts_with("no server listens on the socket"), "{error}");
}

#[tokio::test]
async fn only_a_local_guard_allows_sockets_and_no_server_redirects_to_one() {
    let public = HttpClient::builder().system_roots(false).build().unwrap();
    let url = "unix:/run/app.sock:/";
    let error = get(&public, url).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Blocked);
    assert!(error.to_string().starts_with("a unix socket is a place of this machine"), "{error}");
    assert!(public.admits(&url.parse().unwrap()).is_err());
    let local = HttpClient::builder().guard(Guard::local()).system_roots(false).build().unwrap();
    assert!(local.admits(&url.parse().unwrap()).is_ok());

    let server = Server::start(Reply::redirect(302, url)).await;
    let error = get(&client(), &server.url("/")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Redirect);
    assert!(error.to_string().contains("scheme unix"), "{error}");
}
