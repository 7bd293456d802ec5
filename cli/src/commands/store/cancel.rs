//! `poll cancel`: requests cancellation from the runner of the file, or cancels the polls itself if there is none.
//!
//! The request is stored in the file, so it survives a crash of the runner. The command then reads the file until all polls
//! have ended. If the runner exits meanwhile, its lock is free and the command cancels the polls itself. Requests, look-ups
//! and endings of many polls share a transaction.

use std::time::Duration;

use futures_util::StreamExt as _;
use poller::store::{Ending, Selection, Store as _, StoreAdmin as _, StoreError, Summary};
use poller::{Clock as _, PollKey};

use super::super::output::{Keyed, Lines};
use super::{AT_ONCE, BATCH, OpenStore, Opening, clock, find, on_store, plain, quoted, shown};
use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::input::Text;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

/// How often the file is read; the runner reads it twice a second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the runner to cancel another poll.
const RUNNER_TIMEOUT: Duration = Duration::from_secs(10);

pub(in super::super) fn run(args: &CancelArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.store.file.path, Opening::MustExist, async |store| cancel(args, store, terminal).await)
}

/// The polls that the arguments name or select.
async fn polls(args: &CancelArgs, store: &OpenStore, terminal: &Terminal) -> anyhow::Result<Vec<Summary>> {
    let mut keys = args.keys.clone();
    if let Some(path) = &args.keys_from {
        let text = Text::read(path)?;
        let separator = if text.as_str().contains('\0') { '\0' } else { '\n' };
        let lines = text.as_str().split(separator).map(|key| key.strip_suffix('\r').unwrap_or(key));
        keys.extend(lines.filter(|key| !key.is_empty()).map(str::to_owned));
        anyhow::ensure!(!keys.is_empty(), "{} names no poll", text.name());
    }
    if !keys.is_empty() {
        return find(store, &keys, &args.store, terminal).await;
    }
    let mut selection =
        Selection::all().with_scope(args.store.scope()).with_state("open").with_state("cancelling");
    if let Some(prefix) = &args.prefix {
        selection = selection.with_prefix(prefix);
    }
    store.select(selection).await.map_err(plain)
}

async fn cancel(args: &CancelArgs, store: OpenStore, terminal: &Terminal) -> anyhow::Result<Exit> {
    let file = quoted(&args.store.file.path);
    let polls = polls(args, &store, terminal).await?;
    let open: Vec<PollKey> =
        polls.iter().filter(|poll| poll.ended.is_none()).map(|poll| poll.key.clone()).collect();
    for keys in open.chunks(BATCH) {
        store.request_cancel_all(keys.to_vec()).await.map_err(plain)?;
    }
    let runner = store.runner().await.map_err(plain)?;
    let count = humanize::count(u32::try_from(open.len()).unwrap_or(u32::MAX), "poll");
    if !args.each.quiet && (polls.is_empty() || !open.is_empty()) {
        match runner {
            _ if polls.is_empty() => eprint_line(format_args!("no poll of {file} is open and selected")),
            Some(runner) => {
                eprint_line(format_args!("asking {runner}, which runs {file}, to cancel {count}"));
            }
            None => eprint_line(format_args!("no process runs {file}; cancelling {count} here")),
        }
    }
    let mut printer = Printer { args, store: &store, exit: Exit::Success, stdout: Lines::new(terminal) };
    let mut polls = polls.into_iter();
    loop {
        let batch: Vec<Summary> = polls.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(printer.exit);
        }
        let open: Vec<PollKey> =
            batch.iter().filter(|poll| poll.ended.is_none()).map(|poll| poll.key.clone()).collect();
        let mut endings = end_all(&store, open, &file).await?.into_iter();
        let ended = batch.into_iter().map(|poll| match poll.ended {
            Some(ending) => (poll.key, ending.outcome, " already"),
            None => {
                let ending = endings.next().map(|ending| ending.outcome);
                (poll.key, ending.unwrap_or_default(), "")
            }
        });
        printer.print(ended.collect()).await?;
    }
}

/// Waits until these polls have ended; ends them where no process runs the file. Returns how each has ended.
async fn end_all(store: &OpenStore, keys: Vec<PollKey>, file: &str) -> anyhow::Result<Vec<Ending>> {
    let clock = clock(store);
    let gone = |key: &PollKey| StoreError::new(format!("the poll {key} has been forgotten meanwhile"));
    let mut endings: Vec<Option<Ending>> = vec![None; keys.len()];
    let mut left: Vec<usize> = (0..keys.len()).collect();
    let mut until = clock.now() + RUNNER_TIMEOUT;
    while !left.is_empty() {
        let asked: Vec<PollKey> = left.iter().map(|number| keys[*number].clone()).collect();
        let cancelled = store.cancel_all_unrun(asked.clone(), clock.now()).await.map_err(plain)?;
        // The outer option is the poll, the inner one its ending.
        let found: Vec<Option<Option<Ending>>> = match cancelled {
            Some(endings) => endings.into_iter().map(|ending| ending.map(Some)).collect(),
            None => {
                let summaries = store.summaries_of(asked.clone()).await.map_err(plain)?;
                summaries.into_iter().map(|poll| poll.map(|poll| poll.ended)).collect()
            }
        };
        let found: Vec<Option<Ending>> = found
            .into_iter()
            .zip(&asked)
            .map(|(ending, key)| ending.ok_or_else(|| gone(key)))
            .collect::<Result<_, _>>()
            .map_err(plain)?;
        let before = left.len();
        for (number, ending) in left.iter().zip(found) {
            endings[*number] = ending;
        }
        left.retain(|number| endings[*number].is_none());
        if left.len() < before {
            until = clock.now() + RUNNER_TIMEOUT;
        }
        let Some(first) = left.first() else { break };
        if clock.now() >= until {
            let runner = store.runner().await.map_err(plain)?;
            anyhow::bail!(
                "{} has not cancelled {} within {} s; the request is stored in the file, and this process or the next \
                 `poll run --store {file}` will cancel the poll",
                runner.map_or_else(|| "the runner".to_owned(), |runner| runner.to_string()),
                shown(&keys[*first]),
                RUNNER_TIMEOUT.as_secs(),
            );
        }
        clock.sleep_until(clock.now() + POLL_INTERVAL).await;
    }
    Ok(endings.into_iter().flatten().collect())
}

struct Printer<'a> {
    args: &'a CancelArgs,
    store: &'a OpenStore,
    exit: Exit,
    stdout: Lines<'a>,
}

impl Printer<'_> {
    /// Prints how polls have ended, in their order.
    async fn print(&mut self, ended: Vec<(PollKey, String, &str)>) -> anyhow::Result<()> {
        let mut outcomes = futures_util::stream::iter(ended.iter().filter(|_| self.args.each.json))
            .map(|(key, ..)| self.store.get(key.clone()))
            .buffered(AT_ONCE);
        for (key, name, already) in &ended {
            if name != "cancelled" {
                self.exit = self.exit.and(Exit::Negative);
            }
            if !self.args.each.json {
                self.stdout.text(&format!("{}: {name}{already}", shown(key)))?;
                continue;
            }
            let poll = outcomes.next().await.transpose().map_err(plain)?.flatten();
            match poll.and_then(|poll| poll.outcome) {
                Some(outcome) => self.stdout.print(&Keyed::new(key, &*outcome))?,
                None => anyhow::bail!("the poll {} has been forgotten meanwhile", shown(key)),
            }
        }
        self.stdout.flush()
    }
}
