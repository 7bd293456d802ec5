//! Many polls in one command: submitted in pieces, spread, cancelled together; and what a service logs of them.

use std::fmt::Write as _;
use std::io::Read as _;

use rustix::process::Signal;
use serde_json::Value;
use test_support::{Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::process::command;
use crate::signals::send;
use crate::store::{Folder, spec};

/// More than one piece of a file, and more than one transaction.
const MANY: usize = 9000;

pub(crate) fn specs(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(
            text,
            r#"{{"cacheKey":"p{number:05}","url":"http://127.0.0.1:1/{number}","timeout":3600,"responseFilter":{{"body":{{"status":["SUCCESS"]}}}}}}"#
        );
        text
    })
}

fn keys(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "p{number:05}");
        text
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_specs_are_stored_in_their_order_and_spread() {
    let folder = Folder::new();
    let specs = specs(MANY);
    assert!(specs.len() > 1 << 20);
    let spread = "first requests are spread over the interval of each poll";
    folder
        .poll(&["submit", "-"], &specs)
        .await
        .expect(0, &keys(MANY))
        .stderr_contains(spread)
        .stderr_contains("9000 polls stored; no process runs");
    // A file, and nothing is new.
    let file = folder.path().join("specs.json");
    std::fs::write(&file, &specs).unwrap();
    let again = folder.poll(&["submit", file.to_str().unwrap()], "").await.expect(0, &keys(MANY));
    assert!(again.stderr.contains("9000 polls open already") && !again.stderr.contains(spread), "{again:#?}");

    let store = rusqlite::Connection::open(folder.file()).unwrap();
    let offsets = |condition: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM polls WHERE {condition}");
        store.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(offsets("first_after BETWEEN 1 AND 9999999"), 9000);
    // Half of them, give or take ten deviations of a binomial distribution.
    assert!((4026..4974).contains(&offsets("first_after < 5000000")));
    let few = crate::many::specs(3).replace("p0", "q0");
    folder.poll(&["submit", "-q", "-"], &few).await;
    folder.poll(&["submit", "-q", "--spread", "-"], few.replace("q0", "r0")).await;
    folder.poll(&["submit", "-q", "--spread=never", "-"], specs.replace("\"p0", "\"s0")).await;
    assert_eq!(offsets("key LIKE 'q%' AND first_after = 0"), 3);
    assert_eq!(offsets("key LIKE 'r%' AND first_after > 0"), 3);
    assert_eq!(offsets("key LIKE 's%' AND first_after = 0"), 9000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_last_piece_stores_nothing() {
    let folder = Folder::new();
    let specs = specs(MANY);
    let wrong = format!("{specs}{{\"cacheKey\":\"x\",\"url\":\"http://127.0.0.1:1/\",\"interval\":1}}\n");
    let ended = folder.poll(&["submit", "-"], &wrong).await.expect(2, "");
    assert!(
        ended.stderr.contains("standard input:9001:") && ended.stderr.contains("/interval"),
        "{ended:#?}"
    );
    assert!(!std::path::Path::new(&folder.file()).exists());
    // A key of the first piece again, with another URL; and with the same.
    let last = specs.lines().next().unwrap();
    let twice = format!("{specs}{}\n{last}\n", last.replace("/0\"", "/other\""));
    let ended = folder.poll(&["submit", "-"], &twice).await.expect(2, "");
    let conflict =
        "standard input:9001: this spec has the same key as the one at standard input:1 but differs in /url";
    assert!(ended.stderr.contains(conflict), "{ended:#?}");
    assert!(
        ended.stderr.contains("standard input:9002: the same poll as the one at standard input:1"),
        "{ended:#?}"
    );
    // What the store has counts as well.
    folder.poll(&["submit", "-q", "-"], last).await.expect(0, "p00000\n");
    let other = specs.replacen("/0\"", "/other\"", 1);
    let ended = folder.poll(&["submit", "-"], other).await.expect(2, "");
    assert!(
        ended
            .stderr
            .contains("p00000: the store has a poll of this key with another spec; they differ in /url")
    );
    assert_eq!(folder.state("p00001").await, "absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_polls_are_cancelled_by_file_by_prefix_and_all() {
    let folder = Folder::new();
    folder.poll(&["submit", "-q", "-"], specs(MANY)).await;
    let cancelled = |keys: &str| keys.lines().fold(String::new(), |text, key| text + key + ": cancelled\n");
    folder
        .poll(&["cancel", "--prefix", "p0000"], "")
        .await
        .expect(0, &cancelled(&keys(10)))
        .stderr_contains("cancelling 10 polls here");
    let rest: String = keys(5000).lines().skip(10).fold(String::new(), |text, key| text + key + "\r\n");
    folder.poll(&["cancel", "--keys-from", "-", "--quiet"], &rest).await.expect(0, &cancelled(&rest));
    // NUL separates keys that have line ends.
    folder
        .poll(&["cancel", "--keys-from", "-"], "p00000\0p00001\0")
        .await
        .expect(0, "p00000: cancelled already\np00001: cancelled already\n");
    let ended = folder.poll(&["cancel", "--keys-from", "-"], "p05000\nnone\n").await.expect(2, "");
    assert!(ended.stderr.contains("there is no poll none in"), "{ended:#?}");
    assert_eq!(folder.state("p05000").await, "open", "none is cancelled");
    let ended = folder.poll(&["cancel", "--all", "--json"], "").await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 4000));
    let first: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["key"], &first["outcome"]), (&"p05000".into(), &"cancelled".into()));
    folder.poll(&["cancel", "--all"], "").await.expect(0, "").stderr_contains("is open and selected");
    for wrong in [&["cancel"][..], &["cancel", "--all", "a"], &["cancel", "--all", "--prefix", "a"]] {
        assert_eq!(folder.poll(wrong, "").await.code, Some(2), "{wrong:?}");
    }
}

/// The lines of an output of a process, read as they come.
pub(crate) fn lines(output: impl AsyncRead + Unpin + Send + 'static) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = sender.send(line);
        }
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_cancels_many_and_logs_json() {
    let server = Server::start(Script::from(Reply::json(r#"{"status":"PENDING","token":"hunter2"}"#))).await;
    let folder = Folder::new();
    let arguments =
        folder.arguments(&["run", "--keep", "--log", "json", "--log-level", "debug", "--no-bodies"]);
    let mut service = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
    // Read all the time: a full pipe would hold the service up.
    let mut log = lines(service.stderr.take().unwrap());
    let mut outcomes = lines(service.stdout.take().unwrap());
    let first: Value = serde_json::from_str(&log.recv().await.unwrap()).unwrap();
    assert!(first["message"].as_str().unwrap().contains("0 open polls"), "{first}");
    assert_eq!((&first["level"], &first["target"]), (&"INFO".into(), &"poll".into()));
    let pending: String = (0..3000).map(|number| spec(&format!("p{number}"), &server.url("/path"))).collect();
    let submitted = folder
        .poll(&["submit", "--unbounded", "-q", "--spread=never", "-"], pending.replace("0.02", "30"))
        .await;
    assert_eq!(submitted.code, Some(0), "{submitted:?}");
    // A request shows that the service has taken them on.
    server.arrived(0).await;
    let cancelled = folder.poll(&["cancel", "--all", "-q"], "").await;
    assert_eq!((cancelled.code, cancelled.stdout.matches(": cancelled\n").count()), (Some(0), 3000));
    let matching = spec("done", &server.url("/path")).replace("SUCCESS", "PENDING");
    folder.poll(&["submit", "--unbounded", "-q", "-"], matching).await.expect(0, "done\n");
    let last: Value = loop {
        let line: Value = serde_json::from_str(&outcomes.recv().await.unwrap()).unwrap();
        if line["key"] == "done" {
            break line;
        }
    };
    assert_eq!((&last["response"]["bytes"], &last["response"]["body"]), (&38.into(), &Value::Null), "{last}");
    send(Signal::TERM, &service);
    let mut messages = Vec::new();
    while let Some(line) = log.recv().await {
        assert!(!line.contains("hunter2") && !line.contains("/path"), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert!(line["timestamp"].is_string(), "{line}");
        messages.push(line["message"].as_str().unwrap().to_owned());
    }
    let count = |text: &str| messages.iter().filter(|message| message.contains(text)).count();
    assert_eq!(count("poll ended"), 3001);
    assert!(count("attempt ended") >= 1 && count("SIGTERM: stopping") == 1, "{:?}", messages.last());
    assert_eq!(service.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_run_are_those_of_its_arguments() {
    let server = Server::start(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#))).await;
    let folder = Folder::new();
    let specs: String = (0..30).map(|number| spec(&format!("p{number}"), &server.url("/"))).collect();
    let arguments = ["run", "--unbounded", "--in-flight", "1", "--keep-last", "7", "--no-bodies", "-"];
    let ended = folder.poll(&arguments, specs).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 30), "{ended:#?}");
    assert!(!ended.stdout.contains("SUCCESS"), "{ended:#?}");
    for wrong in [&["run", "--in-flight", "0", "-"][..], &["run", "--keep-finished", "1x", "-"]] {
        assert_eq!(folder.poll(wrong, "").await.code, Some(2), "{wrong:?}");
    }
    // The next run removes what is too much when it begins.
    let mut service = command(
        &folder
            .arguments(&["run", "--keep", "--keep-last", "7"])
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    )
    .spawn()
    .unwrap();
    let mut tries = 0;
    while folder.poll(&["list", "-q", "--json"], "").await.stdout.lines().count() > 7 {
        tries += 1;
        assert!(tries < 100, "they are still there");
    }
    send(Signal::TERM, &service);
    assert_eq!(service.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_get_json_too() {
    let folder = Folder::new();
    folder.poll(&["submit", "-q", "-"], specs(3)).await;
    let json = async |arguments: &[&str]| -> Value {
        let ended = folder.poll(arguments, "").await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:#?}");
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let copy = folder.path().join("copy.db");
    let backup = json(&["backup", copy.to_str().unwrap(), "--json"]).await;
    assert_eq!(backup["bytes"], std::fs::metadata(&copy).unwrap().len());
    assert_eq!(json(&["verify", "--json"]).await["damage"], Value::Array(Vec::new()));
    let compacted = json(&["compact", "--json"]).await;
    assert_eq!(compacted["bytes"], std::fs::metadata(folder.file()).unwrap().len());
    assert!(compacted["bytesBefore"].is_u64());
    let shown = folder.poll(&["show", "p00001"], "").await;
    assert!(
        shown.stdout.contains(r#""timeout": 3600"#) && !shown.stdout.contains("requestTimeout"),
        "{shown:#?}"
    );
    let mut magic = [0; 6];
    std::fs::File::open(&copy).unwrap().read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"SQLite");
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_many_finished_polls_are_told_in_the_order_of_their_specs() {
    let server = Server::start(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#))).await;
    let folder = Folder::new();
    let old = specs(MANY);
    folder.poll(&["submit", "-q", "-"], &old).await;
    assert_eq!(folder.poll(&["cancel", "--all", "-q"], "").await.code, Some(0));
    // One is new, and is asked.
    let new = spec("new", &server.url("/"));
    let ended = folder.poll(&["run", "--unbounded", "-"], format!("{new}\n{old}")).await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    let line = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let (found, others): (Vec<_>, Vec<_>) =
        ended.stdout.lines().map(line).partition(|line| line["key"] == "new");
    assert_eq!((found.len(), &found[0]["outcome"]), (1, &"matched".into()));
    let expected = keys(MANY);
    assert!(others.iter().map(|line| line["key"].as_str().unwrap()).eq(expected.lines()));
    assert!(others.iter().all(|line| line["outcome"] == "cancelled"));
    assert_eq!(ended.stderr.matches("the stored result follows").count(), 100, "{}", ended.stderr);
    assert!(ended.stderr.contains("and 8900 more notes; the first 100 are above"), "{}", ended.stderr);
    assert!(ended.stderr.contains("9001 polls: 1 matched, 9000 cancelled"), "{}", ended.stderr);
    assert_eq!(server.requests().len(), 1);
    let quiet = folder.poll(&["run", "-q", "--unbounded", "-"], &old).await;
    assert_eq!((quiet.stdout.lines().count(), &*quiet.stderr), (MANY, ""));
    // Another spec under the key of one that has ended.
    let other = old.replacen("/8999\"", "/other\"", 1);
    let ended = folder.poll(&["run", "-"], other).await.expect(2, "");
    assert!(ended.stderr.contains("p08999: the store has a poll of this key"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn specs_of_many_forms_are_read_as_one_by_one() {
    let folder = Folder::new();
    // Of the same form, of another one, with escapes, over several lines, without a key; one that is wrong only in its URL.
    let text = |n: usize| match n % 6 {
        0 => format!(r#"{{"cacheKey":"k{n}","url":"http://127.0.0.1:1/{n}"}}"#),
        1 => format!(r#"{{"url":"http://127.0.0.1:1/{n}","cacheKey":"k{n}","timeout":60}}"#),
        2 => format!(r#"{{"cacheKey":"k\/{n}","url":"http://127.0.0.1:1/{n}"}}"#),
        3 => format!("{{\n \"cacheKey\": \"k{n}\",\n \"url\": \"http://127.0.0.1:1/a/../{n}\" }}"),
        4 => format!(r#"{{"url":"http://127.0.0.1:1/{n}"}}"#),
        _ => format!(r#"{{"cacheKey":"k{n}","url":"HTTP://127.0.0.1:1/{n}#x"}}"#),
    };
    let specs: Vec<String> = (0..60).map(text).collect();
    let ended = folder.poll(&["submit", "-q", "-"], specs.join("\n")).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 60), "{ended:#?}");
    let one_by_one = Folder::new();
    let mut keys = String::new();
    for spec in &specs {
        keys += &one_by_one.poll(&["submit", "-q", "-"], spec).await.stdout;
    }
    assert_eq!(ended.stdout, keys);
    let rows = |folder: &Folder| -> Vec<(String, String, String)> {
        let store = rusqlite::Connection::open(folder.file()).unwrap();
        let sql = "SELECT key, url, text FROM polls JOIN specs ON specs.id = spec ORDER BY key";
        let mut statement = store.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(rows(&folder), rows(&one_by_one));
    let wrong = format!("{}\n{}", specs.join("\n"), text(60).replace("http:", "ftp:"));
    let ended = folder.poll(&["submit", "-"], wrong).await.expect(2, "");
    assert!(ended.stderr.contains("standard input:81:") && ended.stderr.contains("/url"), "{}", ended.stderr);
}
