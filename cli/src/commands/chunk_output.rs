//! The output of `match` and `route`: computed per chunk in worker threads, written in order by the main thread.
//!
//! Results go to standard output and errors to standard error, in the order of the input: the results before an invalid
//! line are written before its error.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::JsonError;

use super::output::CANNOT_WRITE;
use super::parallel::Event;
use crate::exit::Exit;
use crate::input;
use crate::render::sanitize;
use crate::render::terminal::{Terminal, eprint_line};

/// The output for one chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkOutput {
    /// The results after the last error.
    pub(super) results: Vec<u8>,
    /// Each error with the results before it.
    errors: Vec<(Vec<u8>, String)>,
    /// The number of events that matched.
    pub(super) matched: u64,
}

impl ChunkOutput {
    /// Adds the error of a line that is not JSON.
    pub(super) fn not_json(&mut self, path: &Path, line: u64, error: &JsonError, terminal: &Terminal) {
        let error =
            not_json(&input::name(path), line, error.column(), error.diagnostic().message(), terminal);
        self.errors.push((std::mem::take(&mut self.results), error));
    }
}

/// `events.jsonl:3:7: error: not JSON: …`
pub(super) fn not_json(name: &str, line: u64, column: usize, message: &str, terminal: &Terminal) -> String {
    let error = terminal.stderr_paint.bad("error");
    format!("{name}:{line}:{column}: {error}: not JSON: {}", sanitize::excerpt(message, 300))
}

/// Standard output, and what has been written to it.
pub(super) struct Output<'a> {
    stdout: BufWriter<io::StdoutLock<'a>>,
    /// The number of events that matched.
    pub(super) matched: u64,
    /// Whether the input had an error.
    pub(super) had_error: bool,
}

/// Marks an error of the output: it ends the command, while an error of the input ends only the file.
#[derive(Debug)]
pub(super) struct OutputError;

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(CANNOT_WRITE)
    }
}

impl Output<'_> {
    pub(super) fn new() -> Self {
        let stdout = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        Self { stdout, matched: 0, had_error: false }
    }

    /// Writes the output of a chunk; flushes when the workers have no chunk ready.
    pub(super) fn receive(&mut self, event: Event<ChunkOutput>) -> anyhow::Result<()> {
        let Event::Result(chunk) = event else { return self.flush() };
        self.matched += chunk.matched;
        for (results, error) in chunk.errors {
            self.had_error = true;
            self.write(&results)?;
            self.flush()?;
            eprint_line(error);
        }
        self.write(&chunk.results)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stdout.write_all(bytes).context(OutputError)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.stdout.flush().context(OutputError)
    }

    /// The exit code of grep: 2 after an error, 0 if an event matched, otherwise 1.
    pub(super) fn exit(&self) -> Exit {
        match (self.had_error, self.matched) {
            (true, _) => Exit::Error,
            (false, 0) => Exit::Negative,
            (false, _) => Exit::Success,
        }
    }
}
