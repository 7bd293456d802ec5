//! What `match` and `route` have to say of a chunk of events, and how it is told.
//!
//! A chunk is answered in one thread and told in another. What goes to standard output and what is reported on standard error
//! keeps its order: what was found before a mistake is shown before it.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::JsonError;

use super::output::CANNOT_WRITE;
use crate::input;
use crate::render::clean;
use crate::render::terminal::{Terminal, tell};

/// The answer to a chunk.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// For standard output, after all mistakes.
    pub(super) results: Vec<u8>,
    /// Mistakes for standard error, each with the results before it.
    mistakes: Vec<(Vec<u8>, String)>,
    /// How many events matched.
    pub(super) matched: u64,
}

impl Answer {
    /// A line that is not JSON.
    pub(super) fn not_json(&mut self, path: &Path, line: u64, error: &JsonError, terminal: &Terminal) {
        let report = format!(
            "{}:{line}:{}: {}: not JSON: {}",
            input::name(path),
            error.column(),
            terminal.stderr_paint.bad("error"),
            clean::excerpt(error.diagnostic().message(), 300)
        );
        self.mistakes.push((std::mem::take(&mut self.results), report));
    }
}

/// Standard output, and what has been told.
pub(super) struct Told<'a> {
    output: BufWriter<io::StdoutLock<'a>>,
    /// How many events matched.
    pub(super) matched: u64,
    /// Whether there was a mistake in the input.
    pub(super) mistakes: bool,
}

/// Output that fails ends the command; input that fails ends only its file.
#[derive(Debug)]
pub(super) struct OutputError;

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(CANNOT_WRITE)
    }
}

impl Told<'_> {
    pub(super) fn new() -> Self {
        let output = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        Self { output, matched: 0, mistakes: false }
    }

    /// Tells an answer.
    pub(super) fn tell(&mut self, answer: Answer) -> anyhow::Result<()> {
        self.matched += answer.matched;
        for (results, mistake) in answer.mistakes {
            self.mistakes = true;
            self.write(&results)?;
            self.flush()?;
            tell(mistake);
        }
        self.write(&answer.results)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.output.write_all(bytes).context(OutputError)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.output.flush().context(OutputError)
    }
}
