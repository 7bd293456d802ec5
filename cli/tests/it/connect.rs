//! How the program connects: proxies of the environment and of `--proxy`, certificates, `--insecure`, sockets, descriptors.
//! Hosts of the reserved domain `.test` are never resolved: a proxy gets their names.

use std::process::Stdio;

use test_support::{Authority, ClosedPort, Proxy, ProxyRule, Reply, Script, Server, self_signed};

use crate::process::{ProcessOutput, command, finish, run};

const PROXY_VARIABLES: [&str; 9] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "REQUEST_METHOD",
];

async fn with_env(arguments: &[&str], environment: &[(&str, &str)]) -> ProcessOutput {
    let mut command = command(arguments);
    for name in PROXY_VARIABLES {
        command.env_remove(name);
    }
    finish(command.envs(environment.iter().copied()).spawn().unwrap(), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxies_of_the_environment_are_used_and_not_for_this_machine() {
    let proxy = Server::start(Script::from_fn(|_, request| Reply::text(&request.path))).await;
    let address = proxy.addr().to_string();
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        with_env(&["wait", "http://jobs.test/7"], &[(name, &address)]).await.expect(0, "http://jobs.test/7");
    }
    let local = Server::start(Reply::text("direct")).await;
    let set = [("http_proxy", address.as_str())];
    with_env(&["wait", &local.url("/")], &set).await.expect(0, "direct");
    // A proxy given by --proxy is used for every host but the ones of --no-proxy.
    with_env(&["wait", &local.url("/"), "--proxy", &address], &[]).await.expect(0, &local.url("/"));
    with_env(&["wait", &local.url("/"), "--proxy", &address, "--no-proxy", "127.0.0.0/8"], &[])
        .await
        .expect(0, "direct");
    with_env(&["wait", &local.url("/"), "--proxy", "env:MY_PROXY"], &[("MY_PROXY", &address)])
        .await
        .expect(0, &local.url("/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_proxy_is_said_without_its_password() {
    let url = "http://jobs.test/";
    let broken = with_env(&["wait", url], &[("https_proxy", "gopher://me:s3cret@proxy.test")]).await;
    let broken = broken
        .expect(2, "")
        .stderr_contains("the environment variable https_proxy: expected a proxy as http://");
    let missing = with_env(&["wait", url, "--proxy", "env:NO_SUCH_PROXY"], &[]).await;
    missing.expect(2, "").stderr_contains("the environment variable \"NO_SUCH_PROXY\" is not set");

    let closed = ClosedPort::new().addr();
    let given = format!("http://me:s3cret@{closed}");
    let refused =
        with_env(&["wait", url, "--timeout", "100ms", "--proxy", &given], &[]).await.expect(124, "");
    let refused = refused.stderr_contains(&format!("the proxy {closed} cannot be used: connection refused"));

    let server = Server::start(Reply::text("x")).await;
    let proxy = Proxy::start(server.addr(), ProxyRule::Password("me", "other")).await;
    let given = format!("http://me:s3cret@{}", proxy.addr());
    let rejected =
        with_env(&["wait", "https://jobs.test/", "--timeout", "200ms", "--proxy", &given], &[]).await;
    let rejected = rejected.expect(124, "").stderr_contains("does not accept the credentials in its URL");
    for ended in [broken, refused, rejected] {
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_from_files_are_trusted_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    // As `openssl req -x509` makes it: an authority's, used by a server.
    let identity = self_signed(["localhost"], true);
    let server = Server::start_tls(Reply::text("secure"), &identity).await;
    let url = server.url_as("localhost", "/");
    let cacert = write("self.pem", identity.pair().certificate());
    run(&["wait", &url, "--cacert", &cacert], "").await.expect(0, "secure");

    let authority = Authority::new();
    let server = Server::start_tls(Reply::text("mutual"), &authority.issue_demanding(["localhost"])).await;
    let url = server.url_as("localhost", "/");
    let client = authority.issue_client("ci");
    let (ca, cert, key) = (
        write("ca.pem", authority.pem()),
        write("c.pem", client.certificate()),
        write("c.key", client.key()),
    );
    let both = write("both.pem", &format!("{}{}", client.certificate(), client.key()));
    run(&["wait", &url, "--cacert", &ca, "--cert", &cert, "--key", &key], "").await.expect(0, "mutual");
    run(&["wait", &url, "--cacert", &ca, "--cert", &both], "").await.expect(0, "mutual");
    run(&["wait", &url, "--cacert", &ca, "--timeout", "200ms"], "")
        .await
        .expect(124, "")
        .stderr_contains("wants a client certificate (--cert, --key)");
    run(&["wait", &url, "--cacert", &ca, "--cert", &cert], "")
        .await
        .expect(2, "")
        .stderr_contains("expected a private key as PEM");
    run(&["wait", &url, "--cert", "/no/such/file"], "")
        .await
        .expect(2, "")
        .stderr_contains("cannot read --cert");
}

#[tokio::test(flavor = "multi_thread")]
async fn insecure_works_and_says_so_at_every_run() {
    let server = Server::start_tls(Reply::text("x"), &self_signed(["other.test"], false)).await;
    for quiet in [&[][..], &["--quiet"]] {
        let url = server.url("/");
        let arguments = [&["wait", &url, "--insecure"], quiet].concat();
        run(&arguments, "").await.expect(0, "x").stderr_contains("--insecure: certificates are not checked");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let _server = Server::start_unix(Script::new().on("/ready", [Reply::new(503), Reply::text("up")]), &path);
    let url = format!("unix:{}:/ready", path.display());
    run(&["wait", &url, "--every", "100ms"], "")
        .await
        .expect(0, "up")
        .stderr_contains(&format!("GET {url} every"));
    run(&["wait", "unix:/run/app.sock"], "").await.expect(2, "").stderr_contains("unix:/PATH/TO.SOCK:/PATH");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_told() {
    let target = Server::start(Reply::text("there")).await;
    let landed = target.url_as("localhost", "/there");
    let server = Server::start(Reply::redirect(302, format!("{landed}?token=s3cret"))).await;
    let ended = run(&["wait", &server.url("/"), "-H", "x-key: 1", "--json"], "").await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let note = format!("redirected to {landed}, without the headers of the request");
    let outcome: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(outcome["history"][0]["note"], note.as_str(), "{ended:#?}");
    assert!(ended.stderr.contains(&note) && !ended.stderr.contains("s3cret"), "{ended:#?}");
}

/// A soft limit of 64 descriptors and a hundred servers: every one is asked.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn few_descriptors_are_raised_or_shared() {
    let mut servers = Vec::new();
    let mut specs = String::new();
    for number in 0..100 {
        let server = Server::start(Reply::text("x")).await;
        specs += &format!("{{\"url\":\"{}\",\"cacheKey\":\"{number}\"}}\n", server.url("/"));
        servers.push(server);
    }
    for limit in ["ulimit -S -n 64", "ulimit -n 64"] {
        let program = env!("CARGO_BIN_EXE_poll");
        let mut shell = tokio::process::Command::new("sh");
        shell.arg("-c").arg(format!("{limit}; exec \"$0\" run - --quiet")).arg(program);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = finish(shell.spawn().unwrap(), &specs).await;
        assert_eq!(ended.code, Some(0), "{limit}: {}", ended.stderr);
        assert_eq!(ended.stdout.matches("\"outcome\":\"matched\"").count(), 100, "{limit}");
        assert!(!ended.stdout.contains("\"error\""), "{limit}: {}", ended.stdout);
    }
}
