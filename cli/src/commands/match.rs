//! `poll match`: grep for JSON events.
//!
//! Lines are read in chunks and matched on their bytes, on all cores, so memory is bounded by a few chunks. Like grep, the
//! command reports a line that is not JSON or a file that cannot be read, continues, and ends with exit code 2.
//! Selected lines are written unchanged, to a terminal too: valid JSON contains no escape character.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use filter::Filter;

use super::chunk_output::{ChunkOutput, Output, OutputError};
use super::parallel::{self, Lines};
use super::{filters, print_listed};
use crate::args::MatchArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::lines::Chunk;
use crate::render::terminal::Terminal;

pub(super) fn run(args: &MatchArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let filter = filters::compile(&args.filter, terminal)?;
    let files = input::files_or_stdin(&args.files);
    let mut output = Output::new(terminal);
    for file in files.iter() {
        let before = output.matched;
        if let Err(error) = search(file, &filter, args, terminal, &mut output) {
            if error.is::<OutputError>() {
                return Err(error);
            }
            output.had_error = true;
            output.flush()?;
            print_listed(terminal, error);
        }
        if args.count {
            let name = if files.len() > 1 { format!("{}:", file.display()) } else { String::new() };
            output.write(format!("{name}{}\n", output.matched - before).as_bytes())?;
        }
        if args.quiet && output.matched > 0 {
            return Ok(Exit::Success);
        }
    }
    output.flush()?;
    Ok(output.exit())
}

fn search(
    path: &Path,
    filter: &Filter,
    args: &MatchArgs,
    terminal: &Terminal,
    output: &mut Output<'_>,
) -> anyhow::Result<()> {
    let flush_always = args.line_buffered || terminal.stdout;
    let worker = || {
        let worker = Worker {
            filter: filter.clone(),
            path: path.to_owned(),
            terminal: terminal.clone(),
            invert: args.invert_match,
            stop_at_first: args.quiet,
            print: !args.quiet && !args.count,
        };
        move |chunk: Chunk| worker.search(&chunk)
    };
    parallel::run(Lines::events(path, args.lines.max_line()), worker, |event| {
        output.receive(event)?;
        if flush_always {
            output.flush()?;
        }
        let done = args.quiet && output.matched > 0;
        Ok(if done { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
}

struct Worker {
    filter: Filter,
    path: PathBuf,
    terminal: Terminal,
    /// Select the lines that do not match.
    invert: bool,
    stop_at_first: bool,
    print: bool,
}

impl Worker {
    fn search(&self, chunk: &Chunk) -> ChunkOutput {
        let mut output = ChunkOutput::default();
        if let Some(first) = chunk.first_line() {
            let matches = |event: &[u8]| self.filter.matches_slice(event).unwrap_or(false);
            output.judge_first(&self.path, &first, matches, &self.terminal);
        }
        for line in chunk.lines() {
            let content = match line.content {
                Ok(content) => content,
                Err(error) => {
                    output.too_long(&self.path, line.number, error, &self.terminal);
                    continue;
                }
            };
            match self.filter.matches_slice(content) {
                Ok(matches) if matches != self.invert => {}
                Ok(_) => continue,
                Err(error) => {
                    output.not_json(&self.path, line.number, &error, &self.terminal);
                    continue;
                }
            }
            output.matched += 1;
            if self.stop_at_first {
                break;
            }
            if self.print {
                output.results.extend_from_slice(line.verbatim);
                if !line.verbatim.ends_with(b"\n") {
                    // The last line of a file may lack its line end; the next result must start on a new line.
                    output.results.push(b'\n');
                }
            }
        }
        output
    }
}
