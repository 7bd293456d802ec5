//! `poll route`: which of many rules each event matches.
//!
//! The rules are a set that all threads share; the events are streamed and matched on their bytes. One line goes out for
//! each event, so that what comes out can be put beside what went in.

mod id;
mod rules;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use filter::Matches;

use super::answer::{Answer, Told};
use super::threads::{self, Event};
use crate::args::RouteArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::lines::Chunk;
use crate::render::terminal::{Terminal, tell};
use rules::Rules;

pub(super) fn run(args: &RouteArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let events = args.file.as_deref().unwrap_or(Path::new("-"));
    if input::is_stdin(&args.rules) && input::is_stdin(events) {
        bail!("rules and events cannot both come from standard input; name a file for one of them");
    }
    let rules = rules::load(&args.rules, args.dialect, terminal)?;
    if args.stats {
        tell(rules.stats());
    }
    let rules = Arc::new(rules);
    let mut told = Told::new();
    let worker = || {
        let worker = Worker { rules: Arc::clone(&rules), path: events.to_owned(), terminal: *terminal };
        move |chunk: &Chunk| worker.answer(chunk)
    };
    let sink = |event| {
        match event {
            Event::Answer(answer) => told.tell(answer)?,
            Event::Idle => told.flush()?,
        }
        Ok(ControlFlow::Continue(()))
    };
    threads::run(events, worker, sink)?;
    told.flush()?;
    Ok(match (told.mistakes, told.matched) {
        (true, _) => Exit::Error,
        (false, 0) => Exit::Negative,
        (false, _) => Exit::Success,
    })
}

/// Routes chunks of events.
struct Worker {
    rules: Arc<Rules>,
    path: PathBuf,
    terminal: Terminal,
}

impl Worker {
    fn answer(&self, chunk: &Chunk) -> Answer {
        let mut answer = Answer::default();
        let lines: Vec<_> = chunk.lines().collect();
        let mut numbers = lines.iter().map(|line| line.number);
        self.rules.set.matches_slices(lines.iter().map(|line| line.content), |found| {
            let Some(number) = numbers.next() else { return };
            match found {
                Ok(matches) => self.list(matches, &mut answer),
                Err(error) => answer.not_json(&self.path, number, &error, &self.terminal),
            }
        });
        answer
    }

    fn list(&self, matches: &Matches, answer: &mut Answer) {
        answer.matched += u64::from(!matches.is_empty());
        answer.results.push(b'[');
        for (nth, id) in matches.ids(&self.rules.set).enumerate() {
            if nth > 0 {
                answer.results.push(b',');
            }
            answer.results.extend_from_slice(self.rules.ids.text(*id).as_bytes());
        }
        answer.results.extend_from_slice(b"]\n");
    }
}
