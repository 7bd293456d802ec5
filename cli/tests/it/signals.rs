//! Ctrl-C and SIGTERM end a poll as cancelled, in the middle of a request too.

use rustix::process::{Pid, Signal, kill_process};
use test_support::{Reply, Script, Server};
use tokio::process::Child;

use crate::process::{ProcessOutput, command, finish};

/// Starts a poll of a server that never answers, signals it once the request is there, and waits for its end.
async fn interrupted(signal: Signal, arguments: &[&str]) -> ProcessOutput {
    let server = Server::start(Script::new().on("/job", [Reply::stall()])).await;
    let url = server.url("/job");
    let child = command(&[&["wait", &url], arguments].concat()).spawn().unwrap();
    server.arrived(0).await;
    send(signal, &child);
    finish(child, "").await
}

pub(crate) fn send(signal: Signal, child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Presses Ctrl-C until the process has ended; its exit code. Signals of one kind that come close together are delivered as
/// one, so it is pressed until it is heard.
pub(crate) async fn press_until_it_ends(child: &mut Child) -> Option<i32> {
    loop {
        send(Signal::INT, child);
        tokio::task::yield_now().await;
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels() {
    interrupted(Signal::INT, &[])
        .await
        .expect(130, "")
        .stderr_contains("Ctrl-C: cancelling")
        .stderr_contains("cancelled after ");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_cancels() {
    let ended = interrupted(Signal::TERM, &["--json"]).await;
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    let outcome: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(outcome["outcome"], "cancelled");
    ended.stderr_contains("SIGTERM: cancelling");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_even_with_blocked_output() {
    // More than a pipe holds, without a reader: the process blocks in the middle of its output.
    let body = format!("\"{}\"", "x".repeat(1 << 20));
    let server = Server::start(Script::new().on("/job", [Reply::json(body)])).await;
    let mut child = command(&["wait", &server.url("/job")]).spawn().unwrap();
    server.ended(0).await;
    assert_eq!(press_until_it_ends(&mut child).await, Some(130));
}
