//! Standard output or standard error is a terminal: nothing that others wrote makes it show something else than it is, lines
//! wrap at its width, equal results fold, and several outcomes are lines for people.
//!
//! The terminal is a pseudoterminal of the kernel (Linux), which the binary cannot tell from one with a person before it.

use std::fs::File;
use std::io::Read as _;

use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use test_support::{Reply, Script, Server};

use crate::process::{command, finish};
use crate::store::{Folder, spec};

/// A pseudoterminal of this many columns: the end that reads, and the terminal.
fn pseudoterminal(columns: u16) -> (OwnedFd, OwnedFd) {
    // Never the terminal that signals are sent from.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let reader = openpt(flags).unwrap();
    grantpt(&reader).unwrap();
    unlockpt(&reader).unwrap();
    let terminal = ioctl_tiocgptpeer(&reader, flags).unwrap();
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    (reader, terminal)
}

/// All that was written to a pseudoterminal.
fn read(reader: OwnedFd) -> String {
    let mut shown = Vec::new();
    // Linux tells the end of a pseudoterminal by an error, after all that was written.
    let _ = File::from(reader).read_to_end(&mut shown);
    String::from_utf8(shown).unwrap()
}

/// What `poll ARGUMENTS` leaves on a terminal of this many columns that is its standard output and its standard error, and
/// its exit code. Redrawn lines are erased, as the terminal does it.
pub(crate) async fn on_screen(columns: u16, arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, terminal) = pseudoterminal(columns);
    let mut command = command(arguments);
    command.env("NO_COLOR", "1").env("TERM", "xterm").env_remove("CI");
    let child = command.stdout(terminal.try_clone().unwrap()).stderr(terminal).spawn().unwrap();
    drop(command);
    // Read while it runs: the buffer of a terminal is small.
    let read = tokio::task::spawn_blocking(move || read(reader));
    let ended = finish(child, "").await;
    (ended.code, erased(&read.await.unwrap()))
}

/// The lines that remain: `\r` and the sequence that erases a line begin it anew.
fn erased(written: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in written.split("\r\n") {
        let last = line.rsplit(['\r']).next().unwrap();
        lines.push(console::strip_ansi_codes(last.rsplit("\x1b[2K").next().unwrap()).into_owned());
    }
    lines.join("\n")
}

/// What `poll COMMAND --store FILE ARGUMENTS` shows on a terminal; it is to end well.
async fn shown(folder: &Folder, arguments: &[&str], input: &str) -> String {
    let (reader, terminal) = pseudoterminal(200);
    let arguments = folder.arguments(arguments);
    let mut command = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>());
    let child = command.stdout(terminal).env("NO_COLOR", "1").spawn().unwrap();
    // It holds the terminal open, which then would never come to its end.
    drop(command);
    let ended = finish(child, input).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    read(reader)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_sanitized_on_terminals_only() {
    let folder = Folder::new();
    let key = "a\u{202e}b";
    let spec = spec(key, "http://127.0.0.1:1/job");
    let submit = ["submit", "--unbounded", "-"];
    assert_eq!(shown(&folder, &submit, &spec).await, "a\u{fffd}b\r\n");
    folder.poll(&submit, &spec).await.expect(0, &format!("{key}\n"));
    for arguments in [
        &["submit", "--unbounded", "--json", "-"][..],
        &["list"],
        &["list", "--json"],
        &["show", key],
        &["show", "--json", key],
        &["cancel", key],
        &["cancel", "--json", key],
        &["forget", key],
    ] {
        let shown = shown(&folder, arguments, &spec).await;
        assert!(shown.contains("a\u{fffd}b") && !shown.contains('\u{202e}'), "{arguments:?}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_sanitized_on_terminals_only() {
    let body = "a\x1b[2J\u{202e}b\n\tc";
    let server = Server::start(Script::new().on("/job", [Reply::text(body)])).await;
    let folder = Folder::new();
    let spec = format!(r#"{{"url":"{}"}}"#, server.url("/job"));
    // Tabs are for the terminal to lay out, and line ends for the kernel.
    assert_eq!(shown(&folder, &["run", "-"], &spec).await, "a␛[2J\u{fffd}b\r\n\tc\r\n");
    folder.poll(&["run", "-"], &spec).await.expect(0, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_results_fold_and_lines_wrap_at_the_width() {
    let states = ["PENDING", "RUNNING", "RUNNING", "RUNNING", "FAILED"];
    let replies = states.map(|state| {
        Reply::json(format!(
            r#"{{"status":"{state}","detail":"a sentence that is longer than the terminal is wide"}}"#
        ))
    });
    let server = Server::start(Script::new().on("/job", replies)).await;
    let url = server.url("/job");
    let arguments = [
        "wait",
        &url,
        "--every",
        "100ms",
        "--until",
        r#"{"status":["SUCCESS"]}"#,
        "--fail-if",
        r#"{"status":["FAILED"]}"#,
    ];
    let (code, screen) = on_screen(60, &arguments).await;
    assert_eq!(code, Some(1), "{screen}");
    let lines: Vec<_> = screen.lines().collect();
    let has = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(
        (has("#1 200 in "), has("#2 200 in "), has("#3 200"), has("#5 200")),
        (1, 1, 0, 0),
        "{screen}"
    );
    assert_eq!(has("#4 the same result since #2"), 1, "{screen}");
    assert!(screen.contains("is \"RUNNING\"") && screen.contains("failed after 5 attempts"), "{screen}");
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{screen}");
    // No word is cut: all are there without the line ends.
    let words: Vec<_> = screen.split_whitespace().collect();
    assert!(
        words.join(" ").contains(r#""detail":"a sentence that is longer than the terminal is wide"#),
        "{screen}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_outcomes_are_lines_on_a_terminal_and_json_elsewhere() {
    let server = Server::start(
        Script::new().on("/good", [Reply::text("up")]).on("/bad", [Reply::new(503).body("down")]),
    )
    .await;
    let (good, bad) = (server.url("/good"), server.url("/bad"));
    let arguments = ["wait", &good, &bad, "--every", "100ms", "--timeout", "200ms"];
    let (code, screen) = on_screen(120, &arguments).await;
    assert_eq!(code, Some(124), "{screen}");
    assert_eq!(screen.matches("/good: matched: 200 after 1 attempt").count(), 1, "{screen}");
    assert_eq!(screen.matches("/bad: timed out after").count(), 1, "{screen}");
    assert!(screen.contains("\n    down") && !screen.contains("{\"key\""), "{screen}");

    let (_, screen) = on_screen(120, &[&["wait", "--json"], &arguments[1..]].concat()).await;
    assert_eq!(screen.matches("{\"key\"").count(), 2, "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_wrap() {
    let folder = Folder::new();
    let events = folder.path().join("events.jsonl");
    std::fs::write(&events, r#"{"items":[{"sku":"a-1","qty":2},{"sku":"b-2","qty":1}],"amount":7}"#).unwrap();
    let filter = r#"{"items":{"$some":{"sku":["c-3"]}},"amount":[7]}"#;
    let (code, screen) = on_screen(80, &["explain", "-f", filter, events.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    let words: Vec<_> = screen.split_whitespace().collect();
    assert!(
        words.join(" ").contains(r#"expected an array with some element with {"sku": "c-3"}"#),
        "{screen}"
    );
}

/// The warning is written while the progress line is drawn.
#[tokio::test(flavor = "multi_thread")]
async fn warnings_have_lines_of_their_own() {
    let server = Server::start(Script::new().on("/job", [Reply::text("up")])).await;
    let (code, screen) = on_screen(80, &["wait", &server.url("/job"), "--insecure"]).await;
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.lines().any(|line| line.starts_with("poll: warning: --insecure:")), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_quoted_without_control_characters() {
    let hostile = "a\u{9b}31m\u{202e}\u{2028}\x1b]0;x\x07b";
    let arguments: [&[&str]; 8] = [
        &[hostile],
        &["schema", hostile],
        &["list", "--store", "none.db", "--state", hostile],
        &["list", "--store", hostile],
        &["wait", "http://127.0.0.1:1/", "--until", hostile],
        &["wait", "http://127.0.0.1:1/", "--header", hostile],
        &["match", "--filter", hostile, hostile],
        &["run", "--store", "none.db", "--allow-secret", hostile],
    ];
    for arguments in arguments {
        let ended = crate::process::run(arguments, "").await;
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        let shown = |c: char| c == '\n' || !(c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
        assert!(ended.stderr.chars().all(shown), "{arguments:?}: {:?}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{ended:#?}");
    }
}
