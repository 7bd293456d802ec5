//! Standard streams at their worst: closed pipes, huge lines, events that come slowly.

use test_support::{Reply, Script, Server};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::process::{command, finish, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_is_no_error() {
    for arguments in [&["match", "-f", "{}"][..], &["explain", "-f", "{}"]] {
        let mut child = command(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let ended = finish(child, "{}\n".repeat(100_000)).await;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_errors_that_leaves_is_no_error_either() {
    let mut child = command(&["match", "-f", "{}"]).spawn().unwrap();
    drop(child.stderr.take());
    finish(child, "not json\n{}\n").await.expect(2, "{}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_wants_is_no_error() {
    let server = Server::start(Script::from(Reply::json("{}"))).await;
    let mut child = command(&["wait", "--quiet", &server.url("/")]).spawn().unwrap();
    drop(child.stdout.take());
    let ended = finish(child, "").await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = command(&["match", "-f", "{}"]).stdout(full).spawn().unwrap();
    finish(child, "{}\n").await.expect(2, "").telling("cannot write to standard output");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_megabytes_is_a_line() {
    let line = format!("{{\"pad\":\"{}\",\"a\":1}}\n", "x".repeat(4 << 20));
    run(&["match", "-c", "-f", r#"{"a":1}"#], line.repeat(2)).await.expect(0, "2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn line_buffered_answers_before_the_input_ends() {
    let mut child = command(&["match", "--line-buffered", "-f", r#"{"a":1}"#]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in [r#"{"a":1}"#, r#"{"a": 1, "b": 2}"#] {
        stdin.write_all(format!("{line}\n{{}}\n").as_bytes()).await.unwrap();
        assert_eq!(stdout.next_line().await.unwrap().as_deref(), Some(line));
    }
    drop(stdin);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_and_the_byte_order_mark() {
    run(&["match", "-f", r#"{"a":1}"#], "\u{feff}{\"a\":1}\r\n\r\n\n{\"a\":2}\n{\"a\":1}")
        .await
        .expect(0, "{\"a\":1}\r\n{\"a\":1}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_for_terminals_unless_it_is_asked_for() {
    let explain = async |color: &str| run(&["explain", "-f", "{}", "--color", color], "{}").await.stdout;
    assert!(!explain("auto").await.contains('\u{1b}'));
    assert!(!explain("never").await.contains('\u{1b}'));
    assert!(explain("always").await.contains("\u{1b}["));
}
