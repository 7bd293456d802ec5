//! The table of `docs/waits.md`: every row runs, against a server whose first answers do not match.

use std::collections::BTreeSet;

use test_support::{Received, Reply, Script, Server};

use crate::process::{command, finish};

const PAGE: &str = include_str!("../../../docs/waits.md");

/// A row: the command's words, and its exit code.
fn rows() -> Vec<(Vec<String>, i32)> {
    let table = PAGE.split("<!-- waits -->").nth(1).unwrap().split("<!-- /waits -->").next().unwrap();
    let cells = table.lines().filter(|line| line.contains("| `poll ")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        let [_, command, exit] = cells[..] else { panic!("three cells: {line}") };
        (words(command.trim().trim_matches('`')), exit.trim().parse().unwrap())
    });
    cells.collect()
}

/// The words of a command of a shell, of which it uses single quotes only.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (index, part) in command.split('\'').enumerate() {
        if index % 2 == 1 {
            words.last_mut().unwrap().push_str(part);
            continue;
        }
        for (index, piece) in part.split(' ').enumerate() {
            if index > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(piece);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

async fn server() -> Server {
    let job = r#"{"status":"SUCCESS","progress":100,"result":null}"#;
    let pods = |ready: bool| {
        Reply::json(format!(r#"{{"items":[{{"name":"a","ready":true}},{{"name":"b","ready":{ready}}}]}}"#))
    };
    let by_session = |_, request: &Received| match (&*request.path, request.header("cookie")) {
        ("/session", Some("session=7")) => Reply::text("in"),
        ("/session", _) => Reply::new(401).header("set-cookie", "session=7"),
        _ => Reply::new(404),
    };
    Server::start(
        Script::from_fn(by_session)
            .on("/health", [Reply::new(503), Reply::text("up")])
            .on("/ready", [Reply::new(404), Reply::text("up")])
            .on(
                "/job",
                [Reply::new(502), Reply::json(r#"{"status":"RUNNING","progress":40}"#), Reply::json(job)],
            )
            .on("/pods", [pods(false), pods(true)])
            .on("/list", [Reply::json("[]"), Reply::json(r#"[{"id":6},{"id":7}]"#)])
            .on(
                "/fails",
                [Reply::json(r#"{"status":"RUNNING"}"#).status(202), Reply::json(r#"{"status":"FAILED"}"#)],
            )
            .on("/gone", [Reply::text("still here"), Reply::new(404)])
            .on(
                "/head",
                [Reply::text("").header("x-state", "busy"), Reply::text("").header("x-state", "ready")],
            )
            .on("/page", [Reply::text("Be patient"), Reply::text("<h1>Welcome</h1>")])
            .on(
                "/flaps",
                [Reply::text(""), Reply::new(500), Reply::text(""), Reply::text(""), Reply::text("")],
            )
            .on("/query", [Reply::json(r#"{"rows":0}"#), Reply::json(r#"{"rows":3}"#)])
            .on("/token", [Reply::new(503), Reply::text("ok")])
            .on("/keyed", [Reply::new(503), Reply::text("ok")])
            .on("/moved", [Reply::new(503), Reply::redirect(302, "/landing")])
            .on("/landing", [Reply::new(200).header("content-type", "text/html").body("<html>")])
            .on("/accepts", [Reply::new(202).header("location", "/job")])
            .on("/never", [Reply::new(503)])
            .on("/denied", [Reply::new(401)])
            .on("/slow", [Reply::stall(), Reply::text("fast")]),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_ends_as_the_page_says() {
    let rows = rows();
    assert!(rows.len() >= 20, "{rows:?}");
    let runs = rows.iter().map(async |(words, exit)| {
        let server = server().await;
        let base = server.url("");
        let mut arguments: Vec<_> =
            words[1..].iter().map(|word| word.replace("http://localhost:8080", &base)).collect();
        arguments.extend(["--every", "100ms"].map(str::to_owned));
        let arguments: Vec<_> = arguments.iter().map(|word| &**word).collect();
        let child = command(&arguments).env("API_TOKEN", "s3cret-token").spawn().unwrap();
        let ended = finish(child, "").await;
        assert_eq!(ended.code, Some(*exit), "{words:?}: {ended:#?}");
        let requests = server.requests();
        assert!(requests.len() > 1, "the first answer matches already: {words:?}");
        if words.iter().any(|word| word == "--query") {
            assert_eq!(requests[1].path, "/keyed?key=s3cret-token");
        } else if words.iter().any(|word| word.contains("env:")) {
            assert_eq!(requests[0].header("authorization"), Some("Bearer s3cret-token"));
        }
        if words.iter().any(|word| word == "--consecutive") {
            assert_eq!(requests.len(), 5, "a failure starts the count anew");
        }
        if words.iter().any(|word| word == "--follow") {
            let paths: Vec<_> = requests.iter().map(|request| &*request.path).collect();
            assert_eq!(paths, ["/accepts", "/job", "/job", "/job"], "the POST is sent once");
        } else if words.iter().any(|word| word == "--data") {
            assert_eq!((&*requests[0].method, &*requests[0].body), ("POST", &b"{\"id\":42}"[..]));
        }
    });
    futures_util::future::join_all(runs).await;
}

#[test]
fn the_rows_use_every_option_that_says_what_is_waited_for() {
    let used: BTreeSet<String> = rows().into_iter().flat_map(|(words, _)| words).collect();
    for option in [
        "--until",
        "--until-body",
        "--until-text",
        "--fail-if",
        "--any",
        "--fail-fast",
        "--consecutive",
        "--follow",
        "--timeout",
        "--request-timeout",
        "--give-up",
        "--data",
        "--header",
        "--query",
        "--cookies",
    ] {
        assert!(used.contains(option), "{option}");
    }
}
