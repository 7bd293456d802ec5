//! `poll match`: grep for JSON events.
//!
//! Lines are streamed and matched on their bytes, so memory is that of the longest line. A line that is not JSON, or
//! a file that cannot be read, is reported and the search goes on, as grep does it; the exit code says 2 in the end.
//! What is selected is written as it is, to a terminal too: a line that is JSON has no escape character in it.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::Filter;

use super::output::CANNOT_WRITE;
use super::{filters, tell_error};
use crate::args::MatchArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::lines::Lines;
use crate::render::clean;
use crate::render::terminal::{Terminal, tell};

pub(super) fn run(args: &MatchArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let filter = filters::compile(&args.filter, terminal)?;
    let stdin = [Path::new("-").to_path_buf()];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files[..] };
    let mut search = Search {
        filter,
        args,
        terminal,
        output: BufWriter::with_capacity(64 * 1024, io::stdout().lock()),
        selected: 0,
        errors: false,
    };
    for file in files {
        let before = search.selected;
        if let Err(error) = search.file(file) {
            if error.is::<OutputError>() {
                return Err(error);
            }
            search.errors = true;
            tell_error(terminal, &error);
        }
        if args.count {
            search.count(file, before, files.len() > 1)?;
        }
        if args.quiet && search.selected > 0 {
            return Ok(Exit::Success);
        }
    }
    search.flush()?;
    Ok(match (search.errors, search.selected) {
        (true, _) => Exit::Error,
        (false, 0) => Exit::Negative,
        (false, _) => Exit::Success,
    })
}

struct Search<'a> {
    filter: Filter,
    args: &'a MatchArgs,
    terminal: &'a Terminal,
    output: BufWriter<io::StdoutLock<'a>>,
    selected: u64,
    errors: bool,
}

/// Output that fails ends the search; input that fails ends only its file.
#[derive(Debug)]
struct OutputError;

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(CANNOT_WRITE)
    }
}

impl Search<'_> {
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut lines = Lines::new(input::open(path)?);
        let line_buffered = self.args.line_buffered || self.terminal.stdout;
        while let Some(line) =
            lines.next_line().with_context(|| format!("cannot read {}", input::name(path)))?
        {
            let matches = match self.filter.matches_slice(line.content) {
                Ok(matches) => matches,
                Err(error) => {
                    self.errors = true;
                    // What was found before the mistake is shown before it.
                    self.flush()?;
                    tell(format_args!(
                        "{}:{}:{}: {}: not JSON: {}",
                        input::name(path),
                        line.number,
                        error.column(),
                        self.terminal.stderr_paint.bad("error"),
                        clean::excerpt(error.diagnostic().message(), 300)
                    ));
                    continue;
                }
            };
            if matches == self.args.invert_match {
                continue;
            }
            self.selected += 1;
            if self.args.quiet {
                return Ok(());
            }
            if !self.args.count {
                let mut written = self.output.write_all(line.verbatim);
                if !line.verbatim.ends_with(b"\n") {
                    // The last line may lack its end; what is printed after it must not run into it.
                    written = written.and_then(|()| self.output.write_all(b"\n"));
                }
                written.context(OutputError)?;
                if line_buffered {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, path: &Path, before: u64, named: bool) -> anyhow::Result<()> {
        let count = self.selected - before;
        if named {
            write!(self.output, "{}:", path.display()).context(OutputError)?;
        }
        writeln!(self.output, "{count}").context(OutputError)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.output.flush().context(OutputError)
    }
}
