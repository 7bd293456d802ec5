//! `poll run --store`: goes on where an earlier run stopped, and beside what other processes do.

use rustix::process::Signal;
use serde_json::Value;
use test_support::{Gate, Reply, Script, Server};
use tokio::process::Child;

use crate::json::holds_to;
use crate::process::{command, finish};
use crate::signals::{press_until_it_ends, send};
use crate::store::{Folder, spec};

const RUNNING: &str = r#"{"status":"RUNNING"}"#;
const SUCCESS: &str = "{ \"status\": \"SUCCESS\" }\n";

fn start(folder: &Folder, arguments: &[&str]) -> Child {
    let arguments = folder.arguments(arguments);
    command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>()).spawn().unwrap()
}

/// Starts `run -` with this specification on its standard input.
async fn feed(folder: &Folder, spec: &str) -> Child {
    feed_to(start(folder, &["run", "--unbounded", "-"]), spec).await
}

async fn feed_to(mut child: Child, spec: &str) -> Child {
    use tokio::io::AsyncWriteExt as _;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(spec.as_bytes()).await.unwrap();
    drop(stdin);
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_result_is_printed_without_a_request() {
    let server = Server::start(Script::new().on("/job", [Reply::json(SUCCESS)])).await;
    let folder = Folder::new();
    let spec = spec("a", &server.url("/job"));
    let run = ["run", "--unbounded", "-"];
    folder.poll(&run, &spec).await.expect(0, SUCCESS).stderr_contains("matched: 200 after 1 attempt");
    // White space around the JSON is not part of what is kept.
    folder
        .poll(&run, &spec)
        .await
        .expect(0, SUCCESS.trim_end())
        .stderr_contains("ago; the stored result follows, no request is made");
    assert_eq!(server.requests().len(), 1);
    folder
        .poll(&run, spec.replace(r#""timeout":60"#, r#""timeout":70"#))
        .await
        .expect(2, "")
        .stderr_contains("they differ in /timeout")
        .stderr_contains("--fresh");
    folder
        .poll(&["run", "--unbounded", "--fresh", "-"], spec.replace(r#""timeout":60"#, r#""timeout":70"#))
        .await
        .expect(0, SUCCESS);
    assert_eq!(server.requests().len(), 2);
    folder.poll(&["run"], "").await.expect(0, "").stderr_contains("has no open poll");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_the_run_and_leaves_polls_open() {
    let server =
        Server::start(Script::new().on("/job", [Reply::json(RUNNING), Reply::stall(), Reply::json(SUCCESS)]))
            .await;
    let folder = Folder::new();
    let spec = spec("a", &server.url("/job"));
    let mut child = feed(&folder, &spec).await;
    server.stalled(1).await;
    // The request under way may end; pressed again, nothing is waited for.
    assert_eq!(press_until_it_ends(&mut child).await, Some(130));
    assert_eq!(folder.state("a").await, "open");
    // Its interval needs --unbounded at submission; a stored poll was accepted and runs without it, with its progress printed.
    let ended = folder
        .poll(&["run"], "")
        .await
        .stderr_contains("polls.db: 1 open poll\n")
        .stderr_contains("matched: 200 after 1 attempt");
    assert!(ended.stderr.contains("#1 200 in "), "{ended:#?}");
    let outcome: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (ended.code, &outcome["outcome"], &outcome["restarts"]),
        (Some(0), &"matched".into(), &1.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_stores_outcomes_and_prints_how_to_continue() {
    let gate = Gate::new();
    let server = Server::start(
        Script::new().on("/last", [Reply::json(SUCCESS).held_by(&gate)]).on("/later", [Reply::json(RUNNING)]),
    )
    .await;
    let folder = Folder::new();
    let later = spec("later", &server.url("/later")).replace(r#""interval":0.02"#, r#""interval":30"#);
    let specs = format!("{}\n{later}", spec("last", &server.url("/last")));
    let mut child =
        feed_to(start(&folder, &["run", "--unbounded", "--json", "--max-body", "1k", "-"]), &specs).await;
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = async |part: &str| {
        let mut told = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            told.push_str(&line);
            if line.contains(part) {
                break;
            }
        }
        told
    };
    server.arrived(1).await;
    until("later: #1 200").await;
    send(Signal::TERM, &child);
    until("SIGTERM: stopping").await;
    gate.open();
    let rest = until("go on with: ").await;
    assert!(rest.contains("1 request was in flight and ended in time"), "{rest}");
    assert!(rest.contains("1 poll stays open (later: "), "{rest}");
    assert!(rest.contains(" left); go on with: poll run --store "), "{rest}");
    assert!(rest.ends_with("polls.db --max-body 1024"), "{rest}");
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130));
    let printed = String::from_utf8(output.stdout).unwrap();
    let [ended, left] = printed.lines().collect::<Vec<_>>()[..] else { panic!("{printed}") };
    assert!(ended.starts_with(r#"{"key":"last","outcome":"matched""#), "{ended}");
    let left: Value = serde_json::from_str(left).unwrap();
    holds_to("What a stopped run left", &left, &[]);
    assert_eq!(
        (&left["leftOpen"], &left["requestsEnded"], &left["requestsAbandoned"]),
        (&1.into(), &1.into(), &0.into())
    );
    assert_eq!((&left["outcomesUnsaved"], &left["polls"][0]["unsaved"]), (&0.into(), &false.into()));
    assert_eq!((&left["polls"][0]["key"], &left["polls"][0]["abandoned"]), (&"later".into(), &false.into()));
    assert!(
        left["polls"][0]["deadline"].is_string() && left["polls"].as_array().unwrap().len() == 1,
        "{left}"
    );
    assert_eq!((folder.state("last").await, folder.state("later").await), ("matched".into(), "open".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_runs_polls_that_another_process_submits() {
    let gate = Gate::new();
    let server = Server::start(
        Script::new().on("/slow", [Reply::json(SUCCESS).held_by(&gate)]).on("/new", [Reply::json(SUCCESS)]),
    )
    .await;
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("slow", &server.url("/slow"))).await;
    let runner = start(&folder, &["run"]);
    server.arrived(0).await;
    let number = runner.id().unwrap();
    folder.poll(&["run"], "").await.expect(2, "").stderr_contains(&format!("is run by process {number}"));
    folder
        .poll(&["submit", "--unbounded", "-"], spec("new", &server.url("/new")))
        .await
        .expect(0, "new\n")
        .stderr_contains(&format!("process {number} runs "));
    assert_eq!(server.arrived(1).await.path, "/new");
    gate.open();
    let ended = finish(runner, "").await.stderr_contains("2 polls: 2 matched");
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 2), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_specs_only_their_polls_are_printed_and_awaited() {
    let server = Server::start(
        Script::new()
            .on("/other", [Reply::stall()])
            .on("/mine", [Reply::json(RUNNING), Reply::json(SUCCESS)]),
    )
    .await;
    let folder = Folder::new();
    folder.poll(&["submit", "--unbounded", "-"], spec("other", &server.url("/other"))).await;
    folder
        .poll(&["run", "--unbounded", "-"], spec("mine", &server.url("/mine")))
        .await
        .expect(0, SUCCESS)
        .stderr_contains("1 other open poll of ")
        .stderr_contains("1 poll stays open; go on with: poll run --store ");
    assert_eq!(folder.state("other").await, "open");
    // Given again, it is the same poll.
    let joined = spec("other", &server.url("/other"));
    let child = feed(&folder, &joined).await;
    server.stalled(3).await;
    folder.poll(&["cancel", "other"], "").await.expect(0, "other: cancelled\n");
    finish_fed(child).await;
}

async fn finish_fed(child: Child) {
    let output = child.wait_with_output().await.unwrap();
    let story = String::from_utf8(output.stderr).unwrap();
    assert!(story.contains("other: continues; accepted "), "{story}");
    assert_eq!(output.status.code(), Some(130), "{story}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_polls_are_reported_and_counted() {
    // A file of an earlier format, with two polls that no version can read.
    let folder = Folder::new();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/stores/format-1.db"), folder.file())
        .unwrap();
    // Whatever the umask of the checkout was.
    let private = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    std::fs::set_permissions(folder.file(), private).unwrap();
    folder.poll(&["cancel", "open", "alike", "cancelling"], "").await;
    let ended = folder
        .poll(&["run"], "")
        .await
        .stderr_contains("polls.db: 3 open polls\n")
        .stderr_contains("2 polls: 2 failed")
        // Another is sealed; it stays open for a runner that has its key.
        .stderr_contains("1 poll was not run (sealed): its secrets are sealed with the key ")
        .stderr_contains("POLL_SEAL_KEY");
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert_eq!(folder.state("sealed").await, "open");
    let told: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = told.iter().map(|outcome| (&outcome["key"], &outcome["reason"])).collect();
    let unreadable = &Value::from("unreadable");
    assert_eq!(told, [(&"unreadable".into(), unreadable), (&"no JSON".into(), unreadable)]);
    assert_eq!(folder.state("unreadable").await, "failed");
}
