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
use crate::input::json_sequence::message_of;
use crate::input::lines::{Line, TooLong};
use crate::render::listing::{Listed, Listing};
use crate::render::sanitize;
use crate::render::terminal::{Terminal, eprint_line};

/// The output for one chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkOutput {
    /// The results after the last error.
    pub(super) results: Vec<u8>,
    /// Each error with the results before it.
    errors: Vec<(Vec<u8>, String)>,
    /// What the input seems to be instead of one event per line.
    hint: Option<String>,
    /// The number of events that matched.
    pub(super) matched: u64,
}

impl ChunkOutput {
    /// Adds the error of a line that is not JSON.
    pub(super) fn not_json(&mut self, path: &Path, line: u64, error: &JsonError, terminal: &Terminal) {
        let error = not_json(&input::name(path), line, error.column(), &message_of(error), terminal);
        self.errors.push((std::mem::take(&mut self.results), error));
    }

    /// Notes what the first line of the input says about the rest: a value over several lines, or an array of events,
    /// unless the array itself is an event that matched.
    pub(super) fn judge_first(
        &mut self,
        path: &Path,
        first: &Line<'_>,
        matched: impl FnOnce(&[u8]) -> bool,
        terminal: &Terminal,
    ) {
        let Ok(content) = first.content else { return };
        let text = content.trim_ascii();
        let of_array = text.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"));
        let says = match text {
            b"[" => "an array over several lines, but events are one per line: jq -c '.[]'",
            b"{" => "a value over several lines, but events are one per line: jq -c .",
            _ if of_array && !matched(content) => {
                "an array, which counts as one event; for its elements: jq -c '.[]'"
            }
            _ => return,
        };
        let warning = terminal.stderr_paint.caution("warning");
        let (name, line) = (input::name(path), first.number);
        self.hint = Some(format!("{name}:{line}: {warning}: this is {says}"));
    }

    /// Adds the error of a line that was not read.
    pub(super) fn too_long(&mut self, path: &Path, line: u64, error: TooLong, terminal: &Terminal) {
        let label = terminal.stderr_paint.bad("error");
        let error = format!("{}:{line}: {label}: {error}", input::name(path));
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
    listing: Listing,
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
    pub(super) fn new(terminal: &Terminal) -> Self {
        let stdout = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        Self { stdout, matched: 0, had_error: false, listing: terminal.listing.clone() }
    }

    /// Writes the output of a chunk; flushes when the workers have no chunk ready.
    pub(super) fn receive(&mut self, event: Event<ChunkOutput>) -> anyhow::Result<()> {
        let Event::Result(chunk) = event else { return self.flush() };
        self.matched += chunk.matched;
        if let Some(hint) = chunk.hint {
            self.flush()?;
            eprint_line(hint);
        }
        for (results, error) in chunk.errors {
            self.had_error = true;
            self.write(&results)?;
            if self.listing.lists(Listed::Error, 1) {
                self.flush()?;
                eprint_line(error);
            }
        }
        self.write(&chunk.results)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stdout.write_all(bytes).context(OutputError)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.stdout.flush().context(OutputError)
    }

    pub(super) fn exit(&self) -> Exit {
        Exit::of_search(self.had_error, self.matched > 0)
    }
}
