//! `poll serve`: from the first line to the exit code, over real sockets.

use rustix::process::Signal;
use serde_json::Value;
use test_support::{Gate, Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr};

use crate::process::{command, run};
use crate::signals::send;
use crate::store::{Folder, spec};

/// A running service.
pub(crate) struct Served {
    pub(crate) process: Child,
    pub(crate) address: String,
    /// Kept open, so that the service can write to it.
    _story: tokio::io::Lines<BufReader<ChildStderr>>,
}

impl Served {
    pub(crate) async fn start(folder: &Folder, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[]).await
    }

    /// The same with these variables.
    pub(crate) async fn start_with(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let store = folder.file();
        Self::run(&[&["--store", &store], arguments].concat(), variables).await
    }

    /// A service with these arguments, which name its store.
    pub(crate) async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut process =
            command(&[&["serve", "--listen", "127.0.0.1:0", "--unbounded"], arguments].concat());
        let mut process = process.envs(variables.iter().copied()).spawn().unwrap();
        let mut story = BufReader::new(process.stderr.take().unwrap()).lines();
        let first = story.next_line().await.unwrap().unwrap();
        let address = first.split("http://").nth(1).unwrap_or_else(|| panic!("{first}"));
        let address = address.split('/').next().unwrap().to_owned();
        Self { process, address, _story: story }
    }

    /// Sends a request on a connection of its own; returns the status and the body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let text = self.raw(&request).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Sends these bytes and reads until the service closes the connection.
    pub(crate) async fn raw(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        // The service may close before it has read all.
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_served_and_continues_after_a_restart() {
    let gate = Gate::new();
    let server = Server::start(Script::from_fn({
        let gate = gate.clone();
        move |request, _| match request {
            0 => Reply::json(r#"{"status":"RUNNING"}"#),
            _ => Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate),
        }
    }))
    .await;
    let folder = Folder::new();
    let mut served = Served::start(&folder, &[]).await;
    let spec = spec("a", &server.url("/job"));
    assert_eq!(served.call("PUT", "/v1/polls/a", &spec).await.0, 201);
    server.ended(0).await;
    served.process.kill().await.unwrap();

    let mut served = Served::start(&folder, &[]).await;
    let (status, poll) = served.call("GET", "/v1/polls/a", "").await;
    assert_eq!((status, &serde_json::from_str::<Value>(&poll).unwrap()["restarts"]), (200, &1.into()));
    gate.open();
    let (status, outcome) = served.call("GET", "/v1/polls/a/outcome?wait=25", "").await;
    assert_eq!(
        (status, &serde_json::from_str::<Value>(&outcome).unwrap()["outcome"]),
        (200, &"matched".into())
    );
    assert_eq!(
        served.call("GET", "/v1/polls/a/result", "").await,
        (200, r#"{"status":"SUCCESS"}"#.to_owned())
    );
    let (status, page) = served.call("GET", "/", "").await;
    assert!(status == 200 && page.starts_with("<!doctype html>"), "{page}");
    let (status, metrics) = served.call("GET", "/metrics", "").await;
    assert_eq!(status, 200);
    for line in [
        "poller_outcomes_total{outcome=\"matched\"} 1\n",
        "poller_polls_open 0\n",
        "service_requests_total{method=\"GET\",http_response_status_code=\"200\"}",
        "poller_store_duration_seconds_bucket{operation=\"finish\",le=\"0.01\"}",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    send(Signal::TERM, &served.process);
    assert_eq!(served.process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_answers_requests_that_wait() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let gate = Gate::new();
        let server = Server::start(Script::from(Reply::json("{}").held_by(&gate))).await;
        let folder = Folder::new();
        let mut served = Served::start(&folder, &[]).await;
        assert_eq!(served.call("PUT", "/v1/polls/a", &spec("a", &server.url("/job"))).await.0, 201);
        server.arrived(0).await;
        let mut stream = TcpStream::connect(&served.address).await.unwrap();
        let head = format!("GET /v1/polls/a/events HTTP/1.1\r\nhost: {}\r\n\r\n", served.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut waiting = TcpStream::connect(&served.address).await.unwrap();
        let head = format!("GET /v1/polls/a/outcome?wait=25 HTTP/1.1\r\nhost: {}\r\n\r\n", served.address);
        waiting.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        // A request that the service has not read yet is not answered: its connection is closed.
        while !served.call("GET", "/metrics", "").await.1.contains("service_waiting_requests 1\n") {}
        send(signal, &served.process);
        waiting.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 503", "{signal:?}");
        // The stream ends as a whole response does: with the last chunk.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
        gate.open();
        assert_eq!(served.process.wait().await.unwrap().code(), Some(0), "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_the_readme_is_what_happens() {
    let text = include_str!("../../../README.md");
    let session: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("curl ") || line.starts_with("poll wait http://127."))
        .collect();
    assert_eq!(session.len(), 4, "{session:?}");
    let folder = Folder::new();
    let served = Served::start(&folder, &[]).await;
    let mut said = Vec::new();
    for line in session {
        let line = line.replace("127.0.0.1:7655", &served.address);
        let line = line.replace("poll wait", &format!("{} wait --quiet", env!("CARGO_BIN_EXE_poll")));
        let output = tokio::process::Command::new("sh").args(["-c", &line]).output().await.unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        said.push(String::from_utf8(output.stdout).unwrap());
    }
    let json =
        |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(json(&said[0])["submitted"], "created");
    for outcome in [&said[1], &said[3]] {
        assert_eq!((&json(outcome)["key"], &json(outcome)["outcome"]), (&"first".into(), &"matched".into()));
    }
    assert_eq!(said[2], "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_read_from_a_file_and_logs_are_json() {
    let folder = Folder::new();
    let config = folder.path().join("poll.toml");
    let text =
        format!("store = '{}'\nlisten = '127.0.0.1:0'\nlog = 'json'\nmax-wait = '1s'\n", folder.file());
    std::fs::write(&config, text).unwrap();
    let mut process = command(&["serve", "--config", config.to_str().unwrap()]).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next_line().await.unwrap().unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some((_, rest)) = event["message"].as_str().unwrap().split_once("on http://") {
            break rest.split('/').next().unwrap().to_owned();
        }
    };
    let mut stream = TcpStream::connect(&address).await.unwrap();
    // Control characters of a request forge no line of the log.
    let request = format!(
        "GET /v1/polls/a%0a%7b%22level%22:1%7d HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    send(Signal::TERM, &process);
    while let Some(line) = log.next_line().await.unwrap() {
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["level"], "INFO", "{line}");
    }
    assert_eq!(process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_and_callers_send_forges_no_line_of_the_log() {
    const FORGED: &str = "\n2026-01-31T12:00:00Z ERROR forged\u{1b}[2J\u{2028}";
    let server = Server::start(Script::from_fn(|request, _| {
        let status = if request < 2 { format!("RUNNING{FORGED}") } else { "FAILED".to_owned() };
        Reply::json(serde_json::json!({"status": status, "forged": FORGED}).to_string())
    }))
    .await;
    let folder = Folder::new();
    let arguments = folder.arguments(&["serve", "--listen", "127.0.0.1:0", "--unbounded", "--log", "text"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(["--log-level", "debug"]).collect();
    let mut process = command(&arguments).spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let first = log.next_line().await.unwrap().unwrap();
    let address =
        first.split("on http://").nth(1).unwrap_or_else(|| panic!("{first}")).split('/').next().unwrap();
    let mut served = Served { address: address.to_owned(), process, _story: log };
    let forged = "%0a2026-01-31T12:00:00Z%20ERROR%20forged";
    let spec = spec("a", &server.url(&format!("/job?{forged}")));
    assert_eq!(served.call("PUT", "/v1/polls/a", &spec).await.0, 201);
    assert_eq!(served.call("GET", "/v1/polls/a/outcome?wait=25", "").await.0, 200);
    assert_eq!(served.call("GET", &format!("/v1/polls/{forged}"), "").await.0, 400);
    assert_eq!(served.call("GET", &format!("/v1/polls?scope={forged}&cursor={forged}"), "").await.0, 400);
    let key = spec.replace(r#""a""#, &serde_json::json!(FORGED).to_string());
    assert_eq!(served.call("PUT", "/v1/polls/a", &key).await.0, 422);
    send(Signal::TERM, &served.process);
    let mut lines = 0;
    while let Some(line) = served._story.next_line().await.unwrap() {
        let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert!(
            time.starts_with("20") && time.ends_with('Z') && !rest.trim_start().starts_with("ERROR"),
            "{line:?}"
        );
        assert!(!line.contains(['\u{1b}', '\u{2028}']), "{line:?}");
        lines += 1;
    }
    assert!(lines > 4, "{lines} lines");
    assert_eq!(served.process.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_answered_or_cut() {
    let folder = Folder::new();
    let mut served = Served::start(&folder, &[]).await;
    // A gigabyte that is announced is refused before it is sent.
    let huge = format!(
        "PUT /v1/polls/a HTTP/1.1\r\nhost: {}\r\ncontent-length: 1073741824\r\n\r\n{{",
        served.address
    );
    assert!(served.raw(&huge).await.starts_with("HTTP/1.1 413 "));
    // One that is not announced is read up to the limit.
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let chunked = format!(
        "PUT /v1/polls/a HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n{}",
        served.address,
        chunk.repeat(20)
    );
    assert!(served.raw(&chunked).await.starts_with("HTTP/1.1 413 "));
    for (name, text) in [
        (
            "a header without an end",
            format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}", "y".repeat(1 << 20)),
        ),
        ("many headers", format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(1000))),
        ("no HTTP", "\u{16}\u{3}\u{1}\u{0}\r\n\r\n".to_owned()),
    ] {
        let answer = served.raw(&text).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
    }
    // Another host name that resolves to this machine is not this machine.
    let rebound = "GET /v1/polls HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert!(served.raw(rebound).await.starts_with("HTTP/1.1 403 "));
    assert_eq!(served.call("GET", "/v1/polls", "").await.0, 200);
    assert!(served.process.try_wait().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_store_cannot_keep_is_an_error_of_the_spec() {
    let folder = Folder::new();
    let served = Served::start(&folder, &[]).await;
    let spec =
        r#"{"url":"http://127.0.0.1:1/","requestInit":{"headers":{"authorization":"Bearer hunter22"}}}"#;
    let (status, problem) = served.call("PUT", "/v1/polls/a", spec).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.contains("POLL_SEAL_KEY") && !problem.contains("hunter22"), "{problem}");
    let pointer = &serde_json::from_str::<Value>(&problem).unwrap()["diagnostics"][0]["pointer"];
    assert_eq!(*pointer, "/requestInit/headers/authorization");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_no_other_machine_is_served() {
    let folder = Folder::new();
    let arguments = folder.arguments(&["serve", "--listen", "0.0.0.0:0"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    run(&arguments, "")
        .await
        .expect(2, "")
        .stderr_contains("without keys the service is for this machine only");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_submits_is_served() {
    let server = Server::start(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#))).await;
    let folder = Folder::new();
    let served = Served::start(&folder, &[]).await;
    folder.poll(&["submit", "--unbounded", "-"], spec("a", &server.url("/job"))).await.expect(0, "a\n");
    // It begins within a second; the request waits for the outcome all the same.
    let (status, outcome) = served.call("GET", "/v1/polls/a/outcome?wait=25", "").await;
    assert_eq!(
        (status, &serde_json::from_str::<Value>(&outcome).unwrap()["outcome"]),
        (200, &"matched".into())
    );
}
