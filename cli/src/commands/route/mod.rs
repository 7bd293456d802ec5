//! `poll route`: which of many rules each event matches.
//!
//! All threads share one set of rules; events are read in chunks and matched on their bytes. Each event yields one line of
//! output, so that output and input can be joined line by line.

mod format;
mod hits;
mod id;
mod listed;
pub(super) mod rules;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;

use super::chunk_output::{ChunkOutput, Output};
use super::parallel::{self, Lines};
use crate::args::RouteArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::lines::{Chunk, Line};
use crate::render::terminal::{Terminal, eprint_line};
use format::Format;
use hits::Hits;
use rules::Rules;

pub(super) fn run(args: &RouteArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let events = args.file.as_deref().unwrap_or(Path::new("-"));
    if input::is_stdin(&args.rules) && input::is_stdin(events) {
        bail!("rules and events cannot both come from standard input; name a file for one of them");
    }
    let format = Format::new(args);
    let rules = rules::load(&args.rules, args.dialect.dialect, format.why, terminal)?;
    if args.stats {
        eprint_line(rules.stats());
    }
    let hits = args.hits.then(|| Arc::new(Hits::new(&rules)));
    let rules = Arc::new(rules);
    let mut output = Output::new(terminal);
    let worker = || {
        let worker = Worker {
            rules: Arc::clone(&rules),
            format: format.clone(),
            hits: hits.clone(),
            path: events.to_owned(),
            terminal: terminal.clone(),
        };
        move |chunk: Chunk| worker.route(&chunk)
    };
    parallel::run(Lines::events(events, args.lines.max_line()), worker, |event| {
        output.receive(event).map(ControlFlow::Continue)
    })?;
    output.flush()?;
    if let Some(hits) = hits {
        eprint_line(hits.describe(&rules));
    }
    Ok(output.exit())
}

struct Worker {
    rules: Arc<Rules>,
    format: Format,
    hits: Option<Arc<Hits>>,
    path: PathBuf,
    terminal: Terminal,
}

impl Worker {
    fn route(&self, chunk: &Chunk) -> ChunkOutput {
        let mut output = ChunkOutput::default();
        let lines: Vec<_> = chunk.lines().collect();
        let mut rest = lines.iter();
        if let Some(first) = chunk.first_line() {
            let matches = |event: &[u8]| self.rules.set.matches_slice(event).is_ok_and(|ids| !ids.is_empty());
            output.judge_first(&self.path, &first, matches, &self.terminal);
        }
        let events = lines.iter().filter_map(|line| line.content.ok());
        self.rules.set.matches_slices(events, |found| {
            let Some((line, event)) = self.next_event(&mut rest, &mut output) else { return };
            match found {
                Ok(matches) => {
                    output.matched += u64::from(!matches.is_empty());
                    if let Some(hits) = &self.hits {
                        hits.count(self.format.chosen(matches, &self.rules.set));
                    }
                    self.format.write(line, event, matches, &self.rules, &mut output.results);
                }
                Err(error) => output.not_json(&self.path, line, &error, &self.terminal),
            }
        });
        self.next_event(&mut rest, &mut output);
        output
    }

    /// The next line that was matched; reports the lines before it that are too long.
    fn next_event<'l>(
        &self,
        lines: &mut std::slice::Iter<'_, Line<'l>>,
        output: &mut ChunkOutput,
    ) -> Option<(u64, &'l [u8])> {
        for line in lines {
            match line.content {
                Ok(event) => return Some((line.number, event)),
                Err(error) => output.too_long(&self.path, line.number, error, &self.terminal),
            }
        }
        None
    }
}
