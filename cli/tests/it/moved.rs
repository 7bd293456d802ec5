//! Stores whose files are moved, removed, damaged or write-protected: what the commands say and how they exit.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::getuid;
use test_support::{Gate, Reply, Script, Server};
use tokio::process::Child;

use crate::process::{command, finish};
use crate::store::{Folder, spec};

const NOWHERE: &str = "http://127.0.0.1:1/job";

/// A runner with one request under way, which the gate lets end.
async fn running(folder: &Folder) -> (Child, Gate, Server) {
    let gate = Gate::new();
    let success = Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate);
    let server = Server::start(Script::new().on("/job", [success])).await;
    folder.poll(&["submit", "--unbounded", "-"], spec("a", &server.url("/job"))).await.expect(0, "a\n");
    let arguments = folder.arguments(&["run"]);
    let runner = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
    server.arrived(0).await;
    (runner, gate, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_file_is_moved_or_removed_says_so_and_ends() {
    for remove in [false, true] {
        let folder = Folder::new();
        let (runner, _gate, _server) = running(&folder).await;
        let elsewhere = folder.path().join("old.db");
        fs::rename(folder.file(), &elsewhere).unwrap();
        if remove {
            fs::remove_file(&elsewhere).unwrap();
        }
        let submitted = folder.poll(&["submit", "--unbounded", "-"], spec("b", NOWHERE)).await.expect(2, "");
        assert!(
            submitted.stderr.contains("was moved or removed while")
                || submitted.stderr.contains("is missing or empty"),
            "{submitted:?}"
        );
        finish(runner, "")
            .await
            .expect(2, "")
            .stderr_contains("polls.db was moved or removed while it was in use")
            .stderr_contains("start again");
        for arguments in [&["list"][..], &["run"], &["submit", "--unbounded", "-"]] {
            folder.poll(arguments, spec("c", NOWHERE)).await.expect(2, "").stderr_contains("its log, ");
        }
        if !remove {
            fs::rename(&elsewhere, folder.file()).unwrap();
            assert_eq!(folder.state("a").await, "open", "nothing is lost");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_lock_is_removed_ends_before_a_second_one_asks() {
    let folder = Folder::new();
    let (runner, gate, server) = running(&folder).await;
    fs::remove_file(folder.file() + "-runner").unwrap();
    let arguments = folder.arguments(&["run"]);
    let second = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
    let first = finish(runner, "").await;
    assert_eq!((first.code, &*first.stdout), (Some(2), ""), "{first:?}");
    assert!(
        first.stderr.contains("polls.db-runner, was removed")
            || first.stderr.contains("another process has begun"),
        "{first:?}"
    );
    assert_eq!(server.requests().len(), 1, "the second waits for the end of the first");
    gate.open();
    let second = finish(second, "").await;
    assert_eq!(second.code, Some(0), "{second:?}");
}

/// SQLite's locks are on the index of the log, so a process that makes a new index writes over what the runner writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_log_has_lost_its_index_ends_and_nothing_is_lost() {
    let folder = Folder::new();
    let (runner, _gate, _server) = running(&folder).await;
    fs::remove_file(folder.file() + "-shm").unwrap();
    let submitted = folder.poll(&["submit", "--unbounded", "-"], spec("b", NOWHERE)).await;
    match submitted.code {
        Some(2) => drop(submitted.stderr_contains("polls.db-shm was moved or removed while process ")),
        // The runner has noticed before.
        code => assert_eq!((code, &*submitted.stdout), (Some(0), "b\n"), "{submitted:?}"),
    }
    finish(runner, "").await.expect(2, "").stderr_contains("polls.db-shm was moved or removed while ");
    let again = folder.poll(&["submit", "--unbounded", "-"], spec("b", NOWHERE)).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!((folder.state("a").await, folder.state("b").await), ("open".into(), "open".into()));
    folder.poll(&["verify"], "").await.expect(0, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_can_never_store_an_outcome_ends() {
    let folder = Folder::new();
    let (runner, gate, _server) = running(&folder).await;
    // A shell on the file, as people use it beside a runner.
    rusqlite::Connection::open(folder.file()).unwrap().execute_batch("DROP TABLE outcomes").unwrap();
    gate.open();
    finish(runner, "").await.expect(2, "").stderr_contains("no such table: outcomes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_damaged_file_is_listed() {
    let folder = Folder::new();
    let specs = spec("a", NOWHERE) + &spec("b", NOWHERE);
    folder.poll(&["submit", "--unbounded", "-"], specs).await.expect(0, "a\nb\n");
    rusqlite::Connection::open(folder.file())
        .unwrap()
        .execute_batch("UPDATE polls SET key = CAST(X'61ff' AS TEXT) WHERE key = 'a'; DELETE FROM runs")
        .unwrap();
    let listed = folder.poll(&["list"], "").await;
    assert_eq!(listed.code, Some(2), "{listed:?}");
    assert!(listed.stdout.contains("\nb "), "{listed:?}");
    listed
        .stderr_contains("1 damaged poll (a\u{fffd}): the name is not UTF-8")
        .stderr_contains("1 damaged poll (b): the number of runs is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_without_its_log_is_not_listed_as_empty() {
    let folder = Folder::new();
    let (mut runner, _gate, _server) = running(&folder).await;
    let copy = folder.path().join("copy.db");
    fs::copy(folder.file(), &copy).unwrap();
    let listed = command(&["list", "--store", copy.to_str().unwrap()]).spawn().unwrap();
    finish(listed, "")
        .await
        .expect(2, "")
        .stderr_contains("copy.db was copied or moved while it was in use")
        .stderr_contains("Copy copy.db-wal of the same moment, too");
    runner.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn list_and_show_need_no_permission_to_write() {
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("a", NOWHERE)).await.expect(0, "a\n");
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(folder.file().as_ref(), 0o444);
    mode(folder.path(), 0o555);
    for (arguments, expected) in [
        (&["list"][..], "a    open"),
        (&["list", "--json"], "\"key\":\"a\""),
        (&["show", "a"], "\n  state     open"),
    ] {
        let arguments = folder.arguments(arguments);
        // Permissions do not stop the superuser.
        let mut started = match getuid().is_root() {
            true => {
                let mut command = tokio::process::Command::new("setpriv");
                command.args([
                    "--reuid=65534",
                    "--regid=65534",
                    "--clear-groups",
                    env!("CARGO_BIN_EXE_poll"),
                ]);
                command
            }
            false => tokio::process::Command::new(env!("CARGO_BIN_EXE_poll")),
        };
        let child = started
            .args(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let ended = finish(child, "").await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains(expected), "{ended:?}");
    }
    mode(folder.path(), 0o755);
}
