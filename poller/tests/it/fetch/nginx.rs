//! nginx as a server from elsewhere: TLS, HTTP/2, client certificates, gzip, `limit_req`, and connections that it closes
//! earlier than the client would.
//!
//! Where nginx is not installed, the tests say so on stderr and end; with `POLLER_NGINX=required`, as in CI, they fail then.

use std::fs;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, Stdio};

use futures_util::future::join_all;
use http::Method;
use poller::fetch::{Fetch as _, FetchErrorKind};
use poller::http::{Guard, HttpClient, HttpClientBuilder};
use poller::{Limits, Poller, SpecOptions};
use serde_json::json;
use test_support::{Authority, KeyedCertificate};

use super::{get, request};

/// A running nginx; dropping it ends it.
struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
    plain: u16,
    secure: u16,
    authority: Authority,
}

impl Nginx {
    /// Starts it, or `None` where it is not installed.
    fn start() -> Option<Self> {
        let found = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            let required = std::env::var("POLLER_NGINX").is_ok_and(|value| value == "required");
            assert!(!required, "POLLER_NGINX=required, and nginx cannot be run");
            eprintln!("!! nginx is not installed: THIS TEST WAS NOT RUN");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let server = authority.issue(["127.0.0.1", "localhost"]);
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("server.pem", server.pair().certificate()),
            ("server.key", server.pair().key()),
            ("job", r#"{"status":"SUCCESS","padding":"................................................"}"#),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        // nginx takes over sockets that listen already, as it does for an upgrade of itself: no port is guessed, and requests
        // wait in the socket until it is up.
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (plain, secure) = (listen(), listen());
        let inherited = [&plain, &secure].map(|listener| {
            rustix::io::fcntl_setfd(listener, rustix::io::FdFlags::empty()).unwrap();
            format!("{};", listener.as_raw_fd())
        });
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (plain_port, secure_port) = (port(&plain), port(&secure));
        let root = folder.path().display();
        let config = format!(
            r#"
            daemon off; worker_processes 1; user root root; pid {root}/pid; error_log stderr crit;
            events {{ worker_connections 512; }}
            http {{
                log_format short "$status $server_protocol"; access_log {root}/access short;
                client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
                uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
                root {root}; default_type application/json;
                gzip on; gzip_types application/json; gzip_min_length 1;
                limit_req_zone $server_port zone=one:1m rate=1r/m;
                server {{
                    listen 127.0.0.1:{plain_port};
                    keepalive_timeout 50ms;
                    location = /limited {{ limit_req zone=one; limit_req_status 429; alias {root}/job; }}
                }}
                server {{
                    listen 127.0.0.1:{secure_port} ssl http2;
                    ssl_certificate {root}/server.pem; ssl_certificate_key {root}/server.key;
                    ssl_client_certificate {root}/ca.pem; ssl_verify_client optional;
                    keepalive_requests 5;
                    location = /mutual {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }} alias {root}/job; }}
                }}
            }}
            "#
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(&file).env("NGINX", inherited.concat());
        // What it says before it has read where to say it.
        let said = fs::File::create(folder.path().join("said")).unwrap();
        let child = command.stderr(said).spawn().unwrap();
        Some(Self { child, folder, plain: plain_port, secure: secure_port, authority })
    }

    fn plain(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.plain)
    }

    fn secure(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.secure)
    }

    fn client(&self) -> HttpClientBuilder {
        let builder = HttpClient::builder().guard(Guard::local()).system_roots(false);
        builder.add_root_pem(self.authority.pem().as_bytes()).unwrap()
    }

    /// The protocols of the requests with this status.
    fn logged(&self, status: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("access")).unwrap();
        log.lines().filter_map(|line| line.strip_prefix(status)).map(|rest| rest.trim().to_owned()).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM, which reaches its worker too. It may have ended by itself, which the test has noticed then.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.path().join("said")).unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn tls_http2_gzip_and_client_certificates() {
    let Some(nginx) = Nginx::start() else { return };
    let plain = get(&nginx.client().build().unwrap(), &nginx.plain("/job")).await.unwrap();
    assert!(plain.body.starts_with(b"{\"status\":\"SUCCESS\""), "{plain:?}");
    assert!(!plain.headers.contains_key("content-encoding"), "gzip is undone");
    assert!(plain.headers["etag"].to_str().unwrap().starts_with("W/"), "nginx did compress");

    let client = nginx.client().build().unwrap();
    assert_eq!(get(&client, &nginx.secure("/job")).await.unwrap().body, plain.body);
    assert_eq!(get(&client, &nginx.secure("/mutual")).await.unwrap().status, 403);
    assert!(nginx.logged("403").iter().all(|protocol| protocol == "HTTP/2.0"), "{:?}", nginx.logged(""));

    let with = |pair: &KeyedCertificate| {
        let builder = nginx.client().client_certificate(pair.certificate().as_bytes(), pair.key().as_bytes());
        builder.unwrap().build().unwrap()
    };
    let known = with(&nginx.authority.issue_client("ci"));
    assert_eq!(get(&known, &nginx.secure("/mutual")).await.unwrap().status, 200);
    // nginx answers in HTTP that the certificate is not accepted.
    let stranger = with(&Authority::new().issue_client("ci"));
    assert_eq!(get(&stranger, &nginx.secure("/mutual")).await.unwrap().status, 400);

    let untrusting = HttpClient::builder().guard(Guard::local()).system_roots(false);
    let untrusting = untrusting.add_root_pem(Authority::new().pem().as_bytes()).unwrap().build().unwrap();
    let error = get(&untrusting, &nginx.secure("/job")).await.unwrap_err();
    assert_eq!(error.kind(), FetchErrorKind::Certificate, "{error}");
    let wrong_scheme = nginx.secure("/job").replacen("https", "http", 1);
    assert_eq!(get(&client, &wrong_scheme).await.unwrap().status, 400, "nginx recognises it");
}

/// A connection of HTTP/2 takes five requests; those after the fifth find a GOAWAY, mostly as they are sent.
#[tokio::test]
async fn http2_connections_that_end_lose_no_get() {
    let Some(nginx) = Nginx::start() else { return };
    let client = nginx.client().build().unwrap();
    let url = nginx.secure("/job");
    for _ in 0..10 {
        for response in join_all((0..8).map(|_| get(&client, &url))).await {
            assert_eq!(response.unwrap().status, 200);
        }
    }
}

/// Twenty polls every 0.1 s, with connections that nginx closes after 50 ms: no attempt is lost with its connection.
#[tokio::test]
async fn connections_kept_for_less_than_the_interval_lose_no_attempt() {
    let Some(nginx) = Nginx::start() else { return };
    let poller = Poller::builder().fetch(nginx.client().build().unwrap()).limits(Limits::unbounded());
    let poller = poller.build().await.unwrap();
    let mut polls = Vec::new();
    for number in 0..20 {
        let interval = 0.04 + f64::from(number) / 1000.0;
        let spec = json!({
            "url": nginx.plain("/job"), "interval": interval, "timeout": 1,
            "responseFilter": {"body": {"status": ["NEVER"]}},
        });
        let spec = SpecOptions::new().limits(Limits::unbounded()).parse(&spec.to_string()).unwrap();
        polls.push(poller.submit(format!("job-{number}"), spec).await.unwrap());
    }
    for poll in polls {
        let outcome = poll.outcome().await.unwrap();
        // The deadline may cut the last request off on a busy machine.
        let is_lost = |result: &str| result != "200" && result != "timeout";
        assert!(!outcome.counts.iter().any(|(result, _)| is_lost(result)), "{}", outcome.counts);
    }
}

/// Blocks this thread, and with it the client, until the server has closed a connection to its port.
#[cfg(target_os = "linux")]
fn block_until_closed(port: u16) {
    const CLOSE_WAIT: &str = "08";
    let remote = format!(":{port:04X}");
    // Some ten seconds.
    for _ in 0..200_000 {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let is_closed = |line: &str| {
            let mut columns = line.split_whitespace().skip(2);
            columns.next().is_some_and(|address| address.ends_with(&remote))
                && columns.next() == Some(CLOSE_WAIT)
        };
        if table.lines().any(is_closed) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("nginx closed no connection");
}

/// On one thread the client learns of the close only after it has sent: each request crosses it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_get_that_crosses_the_close_of_its_connection_is_sent_once_more() {
    let Some(nginx) = Nginx::start() else { return };
    let client = nginx.client().build().unwrap();
    let url = nginx.plain("/job");
    assert_eq!(get(&client, &url).await.unwrap().journey, None);
    for _ in 0..3 {
        block_until_closed(nginx.plain);
        let response = get(&client, &url).await.unwrap();
        assert_eq!((response.status, response.journey.unwrap().resent), (200, true));
        // The request on a new connection keeps none.
        assert_eq!(get(&client, &url).await.unwrap().journey, None);
    }
    block_until_closed(nginx.plain);
    let error = client.fetch(request(Method::POST, &url)).await.unwrap_err();
    assert_eq!((error.kind(), error.journey()), (FetchErrorKind::Reset, None), "{error}");
}

#[tokio::test]
async fn limit_req_is_a_response_like_any_other() {
    let Some(nginx) = Nginx::start() else { return };
    let client = nginx.client().build().unwrap();
    let statuses =
        [get(&client, &nginx.plain("/limited")).await, get(&client, &nginx.plain("/limited")).await];
    assert_eq!(statuses.map(|response| response.unwrap().status), [200, 429]);
    let post = client.fetch(request(Method::POST, &nginx.plain("/job"))).await.unwrap();
    assert_eq!(post.status, 405, "a file takes no POST");
}
