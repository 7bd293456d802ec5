//! Standard output is a terminal: nothing that others wrote makes it show something else than it is.
//!
//! The terminal is a pseudoterminal of the kernel (Linux), which the binary cannot tell from one with a person before it.

use std::fs::File;
use std::io::Read as _;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use test_support::{Reply, Script, Server};

use crate::process::{command, finish};
use crate::store::{Folder, spec};

/// What `poll COMMAND --store FILE ARGUMENTS` shows on a terminal; it is to end well.
async fn shown(folder: &Folder, arguments: &[&str], input: &str) -> String {
    // Never the terminal that signals are sent from.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let reader = openpt(flags).unwrap();
    grantpt(&reader).unwrap();
    unlockpt(&reader).unwrap();
    let terminal = ioctl_tiocgptpeer(&reader, flags).unwrap();
    let arguments = folder.arguments(arguments);
    let mut command = command(&arguments.iter().map(|text| &**text).collect::<Vec<_>>());
    let child = command.stdout(terminal).env("NO_COLOR", "1").spawn().unwrap();
    // It holds the terminal open, which then would never come to its end.
    drop(command);
    let ended = finish(child, input).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let mut shown = Vec::new();
    // Linux tells the end of a pseudoterminal by an error, after all that was written.
    let _ = File::from(reader).read_to_end(&mut shown);
    String::from_utf8(shown).unwrap()
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
