//! Starting the binary and holding it to what it did.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// The binary with these arguments, in an environment that says nothing about terminals but that they have UTF-8.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poll"));
    command
        .args(arguments)
        .env_remove("NO_COLOR")
        .env_remove("CI")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the binary to its end, with `input` as its standard input.
pub(crate) async fn run(arguments: &[&str], input: impl AsRef<[u8]>) -> ProcessOutput {
    let child = command(arguments).spawn().unwrap();
    finish(child, input).await
}

/// Feeds a process that was started and waits for its end.
pub(crate) async fn finish(mut child: Child, input: impl AsRef<[u8]>) -> ProcessOutput {
    let mut stdin = child.stdin.take().unwrap();
    let feed = async move {
        // A process that does not read its input closes it early; that is its right.
        let _ = stdin.write_all(input.as_ref()).await;
    };
    let (_, output) = tokio::join!(feed, child.wait_with_output());
    ProcessOutput::from(output.unwrap())
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct ProcessOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for ProcessOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl ProcessOutput {
    /// Ends the test, showing everything, unless the process ended so.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, stdout: &str) -> Self {
        assert!(
            self.code == Some(code) && self.stdout == stdout,
            "expected {code} and {stdout:?}, got {self:#?}"
        );
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// Ends the test, showing everything, unless standard error has this in it.
    #[track_caller]
    pub(crate) fn stderr_contains(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "expected {part:?} in {self:#?}");
        self
    }
}
