//! The commands that work on a store: `submit`, `list`, `show`, `cancel`, `forget`.

use serde_json::Value;
use tempfile::TempDir;
use test_support::{Gate, Reply, Script, Server};

use crate::process::{ProcessOutput, command, finish, run};

/// A folder with a file of polls in it, once there are any.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    pub(crate) fn file(&self) -> String {
        self.path().join("polls.db").to_str().unwrap().to_owned()
    }

    /// `poll COMMAND --store FILE ARGUMENTS`.
    pub(crate) async fn poll(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> ProcessOutput {
        run(&self.arguments(arguments).iter().map(|text| &**text).collect::<Vec<_>>(), input).await
    }

    pub(crate) fn arguments(&self, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        all.splice(1..1, ["--store".to_owned(), self.file()]);
        all
    }

    /// What `list --json` says of a poll.
    pub(crate) async fn state(&self, key: &str) -> String {
        let listed = self.poll(&["list", "--json"], "").await.stdout;
        let mut polls = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let poll = polls.find(|poll| poll["key"] == key);
        poll.map_or_else(|| "absent".to_owned(), |poll| poll["state"].as_str().unwrap().to_owned())
    }
}

pub(crate) fn spec(key: &str, url: &str) -> String {
    format!(
        r#"{{"cacheKey":"{key}","url":"{url}","interval":0.02,"timeout":60,
            "responseFilter":{{"body":{{"status":["SUCCESS"]}}}},"failureFilter":{{"body":{{"status":["FAILED"]}}}}}}"#
    )
}

const NOWHERE: &str = "http://127.0.0.1:1/job";

#[tokio::test(flavor = "multi_thread")]
async fn submit_stores_polls_and_names_the_runner() {
    let folder = Folder::new();
    let specs = format!("{}\n{}", spec("a", NOWHERE), spec("b", NOWHERE));
    folder
        .poll(&["submit", "--unbounded", "-"], &specs)
        .await
        .expect(0, "a\nb\n")
        .stderr_contains("2 polls stored; no process runs ")
        .stderr_contains("poll run --store ");
    folder
        .poll(&["submit", "--unbounded", "-"], &specs)
        .await
        .expect(0, "a\nb\n")
        .stderr_contains("2 polls open already");
    let ended =
        folder.poll(&["submit", "--unbounded", "--json", "--scope", "s", "-"], spec("c", NOWHERE)).await;
    let line: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&line["key"], &line["scope"], &line["submitted"]),
        (&"c".into(), &"s".into(), &"created".into())
    );
    assert_eq!(folder.state("a").await, "open");
    let scoped =
        folder.poll(&["list", "--scope", "s"], "").await.stderr_contains("1 poll: 1 open; no process runs ");
    assert!(scoped.stdout.contains("s/c ") && !scoped.stdout.contains("\na "), "{scoped:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_are_stored_all_or_none() {
    let folder = Folder::new();
    folder.poll(&["submit", "-"], spec("a", NOWHERE)).await.expect(2, "").stderr_contains("interval");
    assert!(!std::fs::exists(folder.file()).unwrap(), "a spec is checked before a file is made");
    folder.poll(&["submit", "--unbounded", "-"], spec("a", NOWHERE)).await.expect(0, "a\n");
    let other = spec("a", NOWHERE).replace(r#""timeout":60"#, r#""timeout":50"#);
    let sealed = spec("c", NOWHERE).replacen(
        '{',
        r#"{"requestInit":{"headers":{"authorization":"Bearer hunter2"}},"#,
        1,
    );
    let ended = folder
        .poll(&["submit", "--unbounded", "-"], format!("{other}\n{}\n{sealed}", spec("b", NOWHERE)))
        .await
        .expect(2, "")
        .stderr_contains("a: the store has a poll of this key with another spec; they differ in /timeout")
        .stderr_contains("c: ")
        .stderr_contains("POLL_SEAL_KEY");
    assert!(!ended.stderr.contains("hunter2"), "{ended:#?}");
    assert_eq!(folder.state("b").await, "absent");
}

#[tokio::test(flavor = "multi_thread")]
async fn show_prints_the_poll_without_secrets() {
    let server = Server::start(Script::new().on(
        "/job",
        [Reply::new(500), Reply::json(r#"{"status":"RUNNING"}"#), Reply::json(r#"{"status":"SUCCESS"}"#)],
    ))
    .await;
    let folder = Folder::new();
    let sealed = spec("a", &server.url("/job")).replacen(
        '{',
        r#"{"requestInit":{"headers":{"authorization":"Bearer hunter2"}},"#,
        1,
    );
    let with_key = async |arguments: &[&str], input: &str| {
        let arguments = folder.arguments(arguments);
        let mut command = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>());
        finish(command.env("POLL_SEAL_KEY", "ab".repeat(32)).spawn().unwrap(), input).await
    };
    with_key(&["submit", "--unbounded", "-"], &sealed).await.expect(0, "a\n");
    let open = with_key(&["show", "a"], "").await;
    for part in [
        "state     open; no process runs the file",
        " left)",
        "\"interval\": 0.02",
        "no attempts have been written yet",
    ] {
        assert!(open.stdout.contains(part), "expected {part:?} in {open:#?}");
    }
    with_key(&["run", "--quiet"], "").await;
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer hunter2"));
    let shown = with_key(&["show", "a"], "").await;
    for part in [
        "state     matched",
        "#1 500 in ",
        "#2 200 in ",
        "expected \"SUCCESS\"",
        "matched: 200 after 3 attempts",
        "20 bytes",
    ] {
        assert!(shown.stdout.contains(part), "expected {part:?} in {shown:#?}");
    }
    let json = with_key(&["show", "a", "--json"], "").await;
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["outcome"]["response"]["body"]["status"], "SUCCESS");
    assert_eq!(value["spec"]["timeout"], 60);
    for ended in [&open, &shown, &json] {
        assert!(!ended.stdout.contains("hunter2") && !ended.stderr.contains("hunter2"), "{ended:#?}");
    }
    // Reading the spec takes the key; a list does not read it.
    folder.poll(&["show", "a"], "").await.expect(2, "").stderr_contains("POLL_SEAL_KEY");
    assert_eq!(folder.state("a").await, "matched");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_works_without_a_runner() {
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("a", NOWHERE) + &spec("b", NOWHERE)).await;
    folder
        .poll(&["cancel", "a", "no-such"], "")
        .await
        .expect(2, "")
        .stderr_contains("there is no poll no-such in ");
    assert_eq!(folder.state("a").await, "open", "none is cancelled");
    folder
        .poll(&["cancel", "a", "a"], "")
        .await
        .expect(0, "a: cancelled\n")
        .stderr_contains("no process runs ");
    folder.poll(&["cancel", "a"], "").await.expect(0, "a: cancelled already\n");
    let ended = folder.poll(&["cancel", "b", "--json"], "").await;
    let outcome: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&outcome["key"], &outcome["outcome"]), (&"b".into(), &"cancelled".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_waits_for_the_runner() {
    let server = Server::start(Script::new().on("/job", [Reply::stall()])).await;
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("a", &server.url("/job"))).await;
    let arguments = folder.arguments(&["run"]);
    let runner = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>()).spawn().unwrap();
    server.arrived(0).await;
    let number = runner.id().unwrap();
    folder
        .poll(&["cancel", "a"], "")
        .await
        .expect(0, "a: cancelled\n")
        .stderr_contains(&format!("asking process {number}, which runs "));
    let ended = finish(runner, "").await.stderr_contains("cancelled after 1 attempt");
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert!(ended.stdout.starts_with(r#"{"key":"a","outcome":"cancelled""#), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forget_removes_finished_polls_only() {
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("a", NOWHERE) + &spec("b", NOWHERE)).await;
    folder.poll(&["cancel", "a"], "").await;
    folder
        .poll(&["forget", "a", "b"], "")
        .await
        .expect(2, "")
        .stderr_contains("b is open, and only finished polls are forgotten");
    assert_eq!(folder.state("a").await, "cancelled", "none is forgotten");
    folder.poll(&["forget", "a"], "").await.expect(0, "a: forgotten\n");
    assert_eq!(folder.state("a").await, "absent");
    folder.poll(&["forget", "a"], "").await.expect(2, "").stderr_contains("there is no poll a in ");
}

#[tokio::test(flavor = "multi_thread")]
async fn purge_removes_finished_polls_by_age_and_number() {
    let folder = Folder::new();
    let specs: String = ["a", "b", "c", "open"].map(|key| spec(key, NOWHERE)).concat();
    folder.poll(&["submit", "--unbounded", "-"], specs).await;
    for key in ["a", "b", "c"] {
        folder.poll(&["cancel", key], "").await;
    }
    folder.poll(&["purge"], "").await.expect(0, "0 finished polls removed\n");
    folder.poll(&["purge", "--keep", "2"], "").await.expect(0, "1 finished poll removed\n");
    assert_eq!(folder.state("a").await, "absent", "it ended first");
    folder.poll(&["purge", "--older-than", "0", "--json"], "").await.expect(0, "{\"removed\":2}\n");
    assert_eq!(folder.state("open").await, "open");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attempts_of_an_open_poll_are_shown_beside_its_runner() {
    let gate = Gate::new();
    let running = || Reply::json(r#"{"status":"RUNNING"}"#);
    let last = Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate);
    let server = Server::start(Script::new().on("/job", [running(), running(), last])).await;
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("a", &server.url("/job"))).await;
    let arguments = folder.arguments(&["run", "--quiet"]);
    let runner = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>()).spawn().unwrap();
    server.arrived(2).await;
    // Attempts are written within a few seconds, without an event to wait for.
    let shown = loop {
        let shown = folder.poll(&["show", "a", "--json"], "").await.stdout;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        if shown.get("history").is_some() {
            break shown;
        }
    };
    let statuses: Vec<_> =
        shown["history"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!((shown["state"].as_str(), statuses.len()), (Some("open"), 2), "{shown:#}");
    let page = folder.poll(&["show", "a"], "").await.stdout;
    for part in ["#1 200 in ", "#2 200 in ", "expected \"SUCCESS\""] {
        assert!(page.contains(part), "expected {part:?} in {page}");
    }
    gate.open();
    finish(runner, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_leaves_one_complete_file() {
    let server = Server::start(Script::from(Reply::json(r#"{"status":"SUCCESS"}"#))).await;
    let folder = Folder::new();
    let specs = ["a", "b", "c"].map(|key| spec(key, &server.url("/job")));
    folder.poll(&["submit", "--unbounded", "-"], specs[0].clone() + &specs[1]).await;
    for arguments in [
        &["list"][..],
        &["show", "a"],
        &["show", "none"],
        &["cancel", "a"],
        &["run", "--unbounded", "-"],
        &["run"],
        &["forget", "a"],
        &["purge"],
    ] {
        folder.poll(arguments, &specs[2]).await;
        let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name());
        let mut files: Vec<_> = files.filter(|file| file != "polls.db-runner").collect();
        files.sort();
        assert_eq!(files, ["polls.db"], "after {arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn special_names_of_stores_are_file_names() {
    let folder = Folder::new();
    for name in [":memory:", "file:polls?mode=memory", "-"] {
        let poll = async |arguments: &[&str], input: &str| {
            let store = format!("--store={name}");
            let arguments: Vec<&str> = arguments.iter().copied().chain([&*store]).collect();
            finish(command(&arguments).current_dir(folder.path()).spawn().unwrap(), input).await
        };
        poll(&["submit", "--unbounded", "-"], &spec("a", NOWHERE)).await.expect(0, "a\n");
        poll(&["list"], "").await.stderr_contains("1 poll: 1 open");
        assert!(std::fs::exists(folder.path().join(name)).unwrap(), "{name}");
    }
    run(&["list", "--store", folder.path().to_str().unwrap()], "")
        .await
        .expect(2, "")
        .stderr_contains("it is a folder; name a file in it");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_foreign_files_are_rejected() {
    let folder = Folder::new();
    for arguments in [&["list"][..], &["show", "a"], &["cancel", "a"], &["forget", "a"], &["run"]] {
        folder.poll(arguments, "").await.expect(2, "").stderr_contains("there is no store at ");
    }
    assert!(!std::fs::exists(folder.file()).unwrap());
    std::fs::write(folder.file(), "these are no polls, and there are enough words to fill a page header")
        .unwrap();
    for arguments in [&["list"][..], &["run"], &["show", "a"]] {
        folder.poll(arguments, "").await.expect(2, "").stderr_contains("the file is not an SQLite file");
    }
    folder
        .poll(&["submit", "-", "--unbounded"], spec("a", NOWHERE))
        .await
        .expect(2, "")
        .stderr_contains("not an SQLite file");
}
