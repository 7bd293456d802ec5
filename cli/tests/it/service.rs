//! `run --keep`, and the commands of operators: status, selections of a list, back-up, compaction, verification.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::Value;
use test_support::{Gate, Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::process::{command, finish};
use crate::signals::send;
use crate::store::{Folder, spec};

const NOWHERE: &str = "http://127.0.0.1:1/job";

fn start(folder: &Folder, arguments: &[&str]) -> Child {
    let arguments = folder.arguments(arguments);
    command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap()
}

async fn status(folder: &Folder) -> Value {
    serde_json::from_str(&folder.poll(&["status", "--json"], "").await.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_waits_for_polls_and_ends_with_0_when_it_is_stopped() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let server = Server::start(Script::from(Reply::json(r#"{"status":"FAILED"}"#))).await;
        let folder = Folder::new();
        let mut service = start(&folder, &["run", "--keep"]);
        let mut story = BufReader::new(service.stderr.take().unwrap()).lines();
        let first = story.next_line().await.unwrap().unwrap();
        assert!(first.contains("polls.db: 0 open polls; new ones are taken on within a second"), "{first}");
        assert_eq!(status(&folder).await["runsUntil"], "stopped");
        // One after the other: it does not end with the first.
        let mut outcomes = BufReader::new(service.stdout.take().unwrap()).lines();
        for key in ["a", "b"] {
            let failing = spec(key, &server.url("/job")).replace("SUCCESS", "FAILED");
            folder
                .poll(&["submit", "--unbounded", "-"], failing)
                .await
                .expect(0, &format!("{key}\n"))
                .stderr_contains("takes on what is new within a second\n");
            let outcome: Value = serde_json::from_str(&outcomes.next_line().await.unwrap().unwrap()).unwrap();
            assert_eq!(outcome["key"], key);
        }
        send(signal, &service);
        assert_eq!(service.wait().await.unwrap().code(), Some(0), "{signal:?}");
        assert_eq!(status(&folder).await["finished"], 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_tells_its_manager_that_it_is_ready_and_that_it_stops() {
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let arguments = folder.arguments(&["run", "--keep"]);
    let mut service = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let service = service.env("NOTIFY_SOCKET", &path).spawn().unwrap();
    let socket = std::sync::Arc::new(socket);
    let heard = async || {
        let socket = std::sync::Arc::clone(&socket);
        let received = tokio::task::spawn_blocking(move || {
            let mut buffer = [0; 200];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        received.await.unwrap()
    };
    let ready = heard().await;
    assert!(ready.contains("READY=1") && ready.contains("STATUS=0 open polls at the start"), "{ready}");
    send(Signal::TERM, &service);
    assert!(heard().await.contains("STOPPING=1"));
    assert_eq!(finish(service, "").await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_says_when_the_runner_ends_with_its_own_polls() {
    let gate = Gate::new();
    let success = Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate);
    let server = Server::start(Script::new().on("/job", [success])).await;
    let folder = Folder::new();
    let arguments = folder.arguments(&["run", "--unbounded", "-"]);
    let runner = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
    let runner = tokio::spawn(finish(runner, spec("own", &server.url("/job"))));
    server.arrived(0).await;
    folder
        .poll(&["submit", "--unbounded", "-"], spec("other", NOWHERE))
        .await
        .expect(0, "other\n")
        .stderr_contains("but ends with its own polls");
    folder.poll(&["list"], "").await.stderr_contains("until its own polls have ended");
    gate.open();
    assert_eq!(runner.await.unwrap().code, Some(0));
    folder.poll(&["status"], "").await.expect(1, &format!(
        "no process runs {file}: poll run --store {file}\n1 open, the oldest accepted 0s ago\n1 finished\n{}",
        folder.poll(&["status"], "").await.stdout.lines().last().unwrap().to_owned() + "\n",
        file = folder.file(),
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_selected_and_paged() {
    let folder = Folder::new();
    let specs: String = ["a1", "a2", "b1"].map(|key| spec(key, NOWHERE)).concat();
    folder.poll(&["submit", "--unbounded", "-"], specs).await;
    folder.poll(&["cancel", "a1"], "").await.expect(0, "a1: cancelled\n");
    let keys = async |arguments: &[&str]| {
        let listed = folder.poll(&[&["list", "--json", "-q"], arguments].concat(), "").await;
        let key =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
        listed.stdout.lines().map(key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&[]).await, ["a2", "b1", "a1"]);
    assert_eq!(keys(&["--state", "cancelled", "--state", "failed"]).await, ["a1"]);
    assert_eq!(keys(&["--prefix", "a"]).await, ["a2", "a1"]);
    assert_eq!(keys(&["--limit", "1"]).await, ["a2"]);
    assert_eq!(keys(&["--after", "a2", "--limit", "1"]).await, ["b1"]);
    let page = folder.poll(&["list", "--limit", "2"], "").await.stderr_contains("there are more: --after b1");
    assert_eq!(page.code, Some(0));
    let last = folder.poll(&["list", "--after", "b1", "--limit", "1"], "").await;
    assert!(!last.stderr.contains("there are more"), "{last:?}");
    folder
        .poll(&["list", "--after", "none"], "")
        .await
        .expect(2, "")
        .stderr_contains("none is not in the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_store_in_use_is_complete_and_goes_on() {
    let gate = Gate::new();
    let held = Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate);
    let server = Server::start(Script::from_fn(move |_, _| held.clone())).await;
    let folder = Folder::new();
    let specs: String = ["a", "b"].map(|key| spec(key, &server.url("/job"))).concat();
    folder.poll(&["submit", "--unbounded", "-"], specs).await;
    let runner = start(&folder, &["run"]);
    server.arrived(1).await;
    let copy = folder.path().join("copy.db");
    let copy = copy.to_str().unwrap();
    folder.poll(&["backup", copy], "").await.expect(0, "").stderr_contains("copy.db is complete");
    folder.poll(&["backup", copy], "").await.expect(2, "").stderr_contains("copy.db exists already");
    folder.poll(&["compact"], "").await.expect(2, "").stderr_contains("end it first");
    gate.open();
    assert_eq!(finish(runner, "").await.code, Some(0));

    let on_copy = async |arguments: &[&str]| {
        let arguments = [arguments, &["--store", copy]].concat();
        finish(command(&arguments).spawn().unwrap(), "").await
    };
    on_copy(&["list"]).await.stderr_contains("2 polls: 2 open");
    on_copy(&["verify"]).await.expect(0, "");
    let ended = on_copy(&["run", "--json"]).await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 2), "{ended:?}");
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 4, "two stores with the lock files of their runners");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_is_damaged_and_compact_gives_space_back() {
    let folder = Folder::new();
    let specs: String = (0..2000).map(|number| spec(&format!("p{number}"), NOWHERE)).collect();
    folder.poll(&["submit", "--unbounded", "-q", "-"], specs).await;
    folder.poll(&["verify"], "").await.expect(0, "").stderr_contains("polls.db: no damage found");
    let file = rusqlite::Connection::open(folder.file()).unwrap();
    file.execute_batch(
        "UPDATE polls SET spec = 77 WHERE key = 'p7'; UPDATE polls SET ended_at = 1, ending = 'matched' WHERE key = 'p8'",
    )
    .unwrap();
    drop(file);
    let damaged = folder.poll(&["verify"], "").await;
    assert_eq!(damaged.code, Some(1), "{damaged:?}");
    for part in
        ["p7: the spec is missing", "1 finished polls without an outcome", "count of polls is wrong", "p8"]
    {
        assert!(damaged.stdout.contains(part), "expected {part:?} in {}", damaged.stdout);
    }
    let file = rusqlite::Connection::open(folder.file()).unwrap();
    file.execute_batch("UPDATE polls SET ended_at = 1, ending = 'matched', requests = 1").unwrap();
    drop(file);
    folder.poll(&["purge", "--older-than", "0"], "").await;
    let size = || std::fs::metadata(folder.file()).unwrap().len();
    let before = size();
    folder.poll(&["compact"], "").await.expect(0, "").stderr_contains(" before, ");
    assert!(size() < before / 2, "{before} {}", size());
    folder.poll(&["verify"], "").await;
}
