//! `poll match`: grep for JSON events.
//!
//! Lines are streamed and matched on their bytes, on all cores, so memory is that of a few chunks of lines. A line that is
//! not JSON, or a file that cannot be read, is reported and the search goes on, as grep does it; the exit code says 2 in the
//! end. What is selected is written as it is, to a terminal too: a line that is JSON has no escape character in it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use filter::Filter;

use super::answer::{Answer, OutputError, Told};
use super::threads::{self, Event};
use super::{filters, tell_error};
use crate::args::MatchArgs;
use crate::exit::Exit;
use crate::input::lines::Chunk;
use crate::render::terminal::Terminal;

pub(super) fn run(args: &MatchArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let filter = filters::compile(&args.filter, terminal)?;
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin[..] } else { &args.files[..] };
    let mut told = Told::new();
    for file in files {
        let before = told.matched;
        if let Err(error) = search(file, &filter, args, terminal, &mut told) {
            if error.is::<OutputError>() {
                return Err(error);
            }
            told.mistakes = true;
            told.flush()?;
            tell_error(terminal, &error);
        }
        if args.count {
            let name = if files.len() > 1 { format!("{}:", file.display()) } else { String::new() };
            told.write(format!("{name}{}\n", told.matched - before).as_bytes())?;
        }
        if args.quiet && told.matched > 0 {
            return Ok(Exit::Success);
        }
    }
    told.flush()?;
    Ok(match (told.mistakes, told.matched) {
        (true, _) => Exit::Error,
        (false, 0) => Exit::Negative,
        (false, _) => Exit::Success,
    })
}

fn search(
    path: &Path,
    filter: &Filter,
    args: &MatchArgs,
    terminal: &Terminal,
    told: &mut Told<'_>,
) -> anyhow::Result<()> {
    let eager = args.line_buffered || terminal.stdout;
    let worker = || {
        let worker = Worker {
            filter: filter.clone(),
            path: path.to_owned(),
            terminal: *terminal,
            wanted: !args.invert_match,
            one_is_enough: args.quiet,
            print: !args.quiet && !args.count,
        };
        move |chunk: &Chunk| worker.answer(chunk)
    };
    let sink = |event| {
        match event {
            Event::Answer(answer) => told.tell(answer)?,
            Event::Idle => told.flush()?,
        }
        if eager {
            told.flush()?;
        }
        let enough = args.quiet && told.matched > 0;
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    threads::run(path, worker, sink)
}

/// Searches chunks of one file.
struct Worker {
    filter: Filter,
    path: PathBuf,
    terminal: Terminal,
    /// Which lines are selected: those that match, or those that do not.
    wanted: bool,
    one_is_enough: bool,
    print: bool,
}

impl Worker {
    fn answer(&self, chunk: &Chunk) -> Answer {
        let mut answer = Answer::default();
        for line in chunk.lines() {
            match self.filter.matches_slice(line.content) {
                Ok(matches) if matches == self.wanted => {}
                Ok(_) => continue,
                Err(error) => {
                    answer.not_json(&self.path, line.number, &error, &self.terminal);
                    continue;
                }
            }
            answer.matched += 1;
            if self.one_is_enough {
                break;
            }
            if self.print {
                answer.results.extend_from_slice(line.verbatim);
                if !line.verbatim.ends_with(b"\n") {
                    // The last line may lack its end; what is printed after it must not run into it.
                    answer.results.push(b'\n');
                }
            }
        }
        answer
    }
}
