//! `poll route`: which of many rules each event matches.
//!
//! All threads share one set of rules; events are read in chunks and matched on their bytes. Each event yields one line of
//! output, so that output and input can be joined line by line.

mod id;
mod rules;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use filter::Matches;

use super::chunk_output::{ChunkOutput, Output};
use super::parallel;
use crate::args::RouteArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::lines::Chunk;
use crate::render::terminal::{Terminal, eprint_line};
use rules::Rules;

pub(super) fn run(args: &RouteArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let events = args.file.as_deref().unwrap_or(Path::new("-"));
    if input::is_stdin(&args.rules) && input::is_stdin(events) {
        bail!("rules and events cannot both come from standard input; name a file for one of them");
    }
    let rules = rules::load(&args.rules, args.dialect.dialect, terminal)?;
    if args.stats {
        eprint_line(rules.stats());
    }
    let rules = Arc::new(rules);
    let mut output = Output::new();
    let worker = || {
        let worker = Worker { rules: Arc::clone(&rules), path: events.to_owned(), terminal: *terminal };
        move |chunk: &Chunk| worker.route(chunk)
    };
    parallel::run(events, worker, |event| output.receive(event).map(ControlFlow::Continue))?;
    output.flush()?;
    Ok(output.exit())
}

/// Routes chunks of events.
struct Worker {
    rules: Arc<Rules>,
    path: PathBuf,
    terminal: Terminal,
}

impl Worker {
    fn route(&self, chunk: &Chunk) -> ChunkOutput {
        let mut output = ChunkOutput::default();
        let lines: Vec<_> = chunk.lines().collect();
        let mut numbers = lines.iter().map(|line| line.number);
        self.rules.set.matches_slices(lines.iter().map(|line| line.content), |found| {
            let Some(number) = numbers.next() else { return };
            match found {
                Ok(matches) => self.list(matches, &mut output),
                Err(error) => output.not_json(&self.path, number, &error, &self.terminal),
            }
        });
        output
    }

    fn list(&self, matches: &Matches, output: &mut ChunkOutput) {
        output.matched += u64::from(!matches.is_empty());
        output.results.push(b'[');
        for (nth, id) in matches.ids(&self.rules.set).enumerate() {
            if nth > 0 {
                output.results.push(b',');
            }
            output.results.extend_from_slice(self.rules.ids.text(*id).as_bytes());
        }
        output.results.extend_from_slice(b"]\n");
    }
}
