//! A disk that is full, and one that may only be read: what the commands say, and that nothing is lost.
//!
//! The full disk is a limit on the size of files (`RLIMIT_FSIZE`), which the kernel enforces for one process and which can be
//! lifted while it runs.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use rustix::process::{Pid, Resource, Rlimit, getuid, prlimit};
use serde_json::Value;
use test_support::{Gate, Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::process::finish;
use crate::store::{Folder, spec};

/// The binary, started by another program that gets it as its first arguments.
fn through(program: &str, before: &[&str], arguments: &[String]) -> Command {
    let mut command = Command::new(program);
    command
        .args(before)
        .arg(env!("CARGO_BIN_EXE_poll"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Lets a process write no file beyond its first `bytes`.
fn limit(child: &Child, bytes: Option<u64>) {
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_stored_once_a_full_disk_has_space_again() {
    let gate = Gate::new();
    let success = Reply::json(r#"{"status":"SUCCESS"}"#).held_by(&gate);
    let server = Server::start(Script::new().on("/job", [success])).await;
    let folder = Folder::new();
    let spec_a = spec("a", &server.url("/job"));
    folder.poll(&["submit", "--unbounded", "-"], &spec_a).await.expect(0, "a\n");
    let mut runner = through("env", &[], &folder.arguments(&["run"])).spawn().unwrap();
    server.arrived(0).await;
    limit(&runner, Some(1));
    gate.open();
    let mut story = BufReader::new(runner.stderr.take().unwrap()).lines();
    loop {
        let line = story.next_line().await.unwrap().expect("the runner goes on");
        if line.contains("cannot write to") {
            for part in [&*folder.file(), "nothing that was acknowledged is lost", "outcomes wait"] {
                assert!(line.contains(part), "expected {part:?} in {line}");
            }
            break;
        }
    }
    assert_eq!(folder.state("a").await, "open");
    limit(&runner, None);
    let output = runner.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&outcome["key"], &outcome["outcome"]), (&"a".into(), &"matched".into()));
    assert_eq!(folder.state("a").await, "matched");
    assert_eq!(server.requests().len(), 1, "it is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_stored_polls_are_acknowledged() {
    let folder = Folder::new();
    let nowhere = "http://127.0.0.1:1/job";
    folder.poll(&["submit", "--unbounded", "-"], spec("a", nowhere)).await.expect(0, "a\n");
    let arguments = folder.arguments(&["submit", "--unbounded", "-"]);
    // An eighth of a megabyte: neither the file nor its log has room for all of them.
    let script = "ulimit -f 256; exec \"$0\" \"$@\"";
    let submit = through("sh", &["-c", script], &arguments).spawn().unwrap();
    let many: String = (0..2000).map(|number| spec(&format!("b{number}"), nowhere) + "\n").collect();
    let ended = finish(submit, many).await.stderr_contains("cannot write to ").stderr_contains("is lost");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    let listed = folder.poll(&["list", "--json"], "").await.stdout;
    let kept: HashSet<String> = listed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned())
        .collect();
    assert!(kept.len() < 2001, "not all of them can have been written");
    for acknowledged in ended.stdout.lines().chain(["a"]) {
        assert!(kept.contains(acknowledged), "{acknowledged} was acknowledged and is lost");
    }
}

/// Wherever the space ends, in the log or in the file itself: a poll is acknowledged, or it is not stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_is_not_acknowledged_is_not_stored() {
    let folder = Folder::new();
    let nowhere = "http://127.0.0.1:1/job";
    folder.poll(&["submit", "--unbounded", "-"], spec("a", nowhere)).await.expect(0, "a\n");
    let arguments = folder.arguments(&["submit", "--unbounded", "-"]);
    let (mut stored, mut refused) = (0, 0);
    // In kilobytes. The file has 68 of them; the log of one change fits into a few pages.
    for space in (8..72).step_by(4) {
        let key = format!("b{space}");
        let script = format!("ulimit -f {space}; exec \"$0\" \"$@\"");
        let submit = through("bash", &["-c", &script], &arguments).spawn().unwrap();
        let ended = finish(submit, spec(&key, nowhere)).await;
        let acknowledged = ended.stdout.lines().any(|line| line == key);
        assert_eq!(ended.code, Some(if acknowledged { 0 } else { 2 }), "{space} kB: {ended:#?}");
        let listed = folder.poll(&["list", "--json"], "").await.stdout;
        assert_eq!(listed.contains(&format!("\"{key}\"")), acknowledged, "{space} kB: {ended:#?}");
        if acknowledged { stored += 1 } else { refused += 1 }
    }
    assert!(stored > 2 && refused > 2, "{stored} stored, {refused} refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_file_is_rejected_with_the_reason() {
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("a", "http://127.0.0.1:1/job")).await.expect(0, "a\n");
    let path = std::path::PathBuf::from(folder.file());
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&path, 0o444);
    mode(path.parent().unwrap(), 0o555);
    let stopped = async |arguments: &[&str]| {
        let arguments = folder.arguments(arguments);
        // Permissions do not stop the superuser, so as root the tests run the binary as another user.
        let command = match getuid().is_root() {
            true => {
                through("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups"], &arguments).spawn()
            }
            false => through("env", &[], &arguments).spawn(),
        };
        let ended = finish(command.unwrap(), "").await;
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        ended
    };
    for arguments in [&["run"][..], &["cancel", "a"]] {
        stopped(arguments).await.stderr_contains("polls.db: ").stderr_contains("read-only");
    }
    mode(path.parent().unwrap(), 0o000);
    stopped(&["list"]).await.stderr_contains("polls.db: no permission to enter the folder ");
    mode(path.parent().unwrap(), 0o755);
    mode(&path, 0o644);
    assert_eq!(folder.state("a").await, "open", "nothing is lost");
}
