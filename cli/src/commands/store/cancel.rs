//! `poll cancel`: requests cancellation from the runner of the file, or cancels the polls itself if there is none.
//!
//! ```text
//! selected, no runner ──► one transaction ends them all
//! named, no runner ─────► looked up ──► one transaction ends them all
//! a runner ─────────────► one transaction asks for all ──► the file is read until they have ended
//! ```
//!
//! The request is stored in the file, so it survives a crash of the runner. If the runner exits meanwhile, its lock is free
//! and the command cancels the polls itself. Of a million polls, only the names are kept.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use poller::store::{Ending, Runner, Selection, Store as _, StoreAdmin as _, Summary};
use poller::{Clock as _, PollKey, PollKeys};

use super::super::output::{Keyed, Lines};
use super::{AT_ONCE, BATCH, OpenStore, Opening, clock, find, on_store, plain, quoted, shown};
use crate::args::{CancelArgs, StoreLocation};
use crate::exit::Exit;
use crate::input::Text;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

/// How often the file is read; the runner reads it twice a second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the runner to cancel another poll.
const RUNNER_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the outcome that is wanted.
const CANCELLED: &str = "cancelled";

pub(in super::super) fn run(args: &CancelArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.store.file.path, Opening::MustExist, async |store| cancel(args, store, terminal).await)
}

/// The polls to cancel.
#[derive(Default)]
struct Chosen {
    keys: PollKeys,
    /// How those that have ended before have ended, by their position.
    ended: HashMap<usize, String>,
}

impl Chosen {
    fn add(&mut self, poll: Summary) {
        if let Some(ending) = poll.ended {
            self.ended.insert(self.keys.len(), ending.outcome);
        }
        self.keys.push(&poll.key);
    }

    /// Those that are to be cancelled.
    fn open(&self) -> impl Iterator<Item = PollKey> {
        let all = self.keys.iter().enumerate();
        all.filter(|(position, _)| !self.ended.contains_key(position)).map(|(_, key)| key)
    }
}

/// The keys among the arguments.
fn keys(args: &CancelArgs) -> anyhow::Result<Vec<String>> {
    let mut keys = args.keys.clone();
    if let Some(path) = &args.keys_from {
        let text = Text::read(path)?;
        let separator = if text.as_str().contains('\0') { '\0' } else { '\n' };
        let lines = text.as_str().split(separator).map(|key| key.strip_suffix('\r').unwrap_or(key));
        keys.extend(lines.filter(|key| !key.is_empty()).map(str::to_owned));
        anyhow::ensure!(!keys.is_empty(), "{} names no poll", text.name());
    }
    Ok(keys)
}

async fn cancel(args: &CancelArgs, store: OpenStore, terminal: &Terminal) -> anyhow::Result<Exit> {
    let file = quoted(&args.store.file.path);
    let mut printer = Printer { args, store: &store, exit: Exit::Success, stdout: Lines::new(terminal) };
    let keys = keys(args)?;
    let mut chosen = Chosen::default();
    if keys.is_empty() {
        let mut selection =
            Selection::all().with_scope(args.store.scope()).with_state("open").with_state("cancelling");
        selection.prefix = args.prefix.clone();
        let now = clock(&store).now();
        if let Some(keys) = store.cancel_selected_unrun(selection.clone(), now).await.map_err(plain)? {
            printer.introduce(keys.len(), keys.len(), None, &file);
            let mut keys = keys.iter().map(|key| (key, CANCELLED.to_owned(), ""));
            while printer.print(keys.by_ref().take(BATCH).collect()).await? {}
            return Ok(printer.exit);
        }
        let mut pages = store.select_pages(selection);
        while let Some(page) = pages.next().await {
            page.map_err(plain)?.into_iter().for_each(|poll| chosen.add(poll));
        }
    } else {
        find(&store, &keys, &args.store, terminal, |poll| chosen.add(poll)).await?;
    }
    // Of a file, all polls are asked for or cancelled in one transaction; a database has many clients that would wait.
    let is_file = matches!(args.store.file.path, StoreLocation::File(_));
    let open = chosen.keys.len() - chosen.ended.len();
    let together = if is_file { open.max(1) } else { BATCH };
    let runner = store.runner().await.map_err(plain)?;
    let is_run = runner.is_some();
    if is_run {
        request(&store, chosen.open(), together).await?;
    }
    printer.introduce(chosen.keys.len(), open, runner, &file);
    // The runner ends them one after the other; what has ended is printed.
    let together = if is_run { BATCH } else { together };
    let mut left = chosen.open();
    let mut endings = Vec::new().into_iter();
    let mut all = chosen.keys.iter().enumerate();
    loop {
        let mut batch = Vec::new();
        for (position, key) in all.by_ref().take(BATCH) {
            if let Some(outcome) = chosen.ended.get(&position) {
                batch.push((key, outcome.clone(), " already"));
                continue;
            }
            if endings.len() == 0 {
                let keys = left.by_ref().take(together).collect();
                endings = end_all(&store, keys, is_run, &file).await?.into_iter();
            }
            batch.push((key, endings.next().map(|ending| ending.outcome).unwrap_or_default(), ""));
        }
        if !printer.print(batch).await? {
            return Ok(printer.exit);
        }
    }
}

/// Asks the runner to cancel these polls, so many in a transaction.
async fn request(
    store: &OpenStore,
    mut keys: impl Iterator<Item = PollKey>,
    together: usize,
) -> anyhow::Result<()> {
    loop {
        let keys: Vec<PollKey> = keys.by_ref().take(together).collect();
        if keys.is_empty() {
            return Ok(());
        }
        store.request_cancel_all(keys).await.map_err(plain)?;
    }
}

/// Waits until these polls have ended; ends them where no process runs the file. Returns how each has ended. `asked_for`: the
/// runner was asked already.
async fn end_all(
    store: &OpenStore,
    keys: Vec<PollKey>,
    mut asked_for: bool,
    file: &str,
) -> anyhow::Result<Vec<Ending>> {
    let clock = clock(store);
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
                if !asked_for {
                    // It has begun to run the file only now.
                    request(store, asked.iter().cloned(), asked.len()).await?;
                    asked_for = true;
                }
                let summaries = store.summaries_of(asked.clone()).await.map_err(plain)?;
                summaries.into_iter().map(|poll| poll.map(|poll| poll.ended)).collect()
            }
        };
        let before = left.len();
        for ((number, key), ending) in left.iter().zip(&asked).zip(found) {
            endings[*number] =
                ending.with_context(|| format!("the poll {key} has been forgotten meanwhile"))?;
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
    /// Says what happens to the open polls among those that were chosen.
    fn introduce(&self, chosen: usize, open: usize, runner: Option<Runner>, file: &str) {
        if self.args.each.quiet || (chosen > 0 && open == 0) {
            return;
        }
        let count = humanize::count(open, "poll");
        match runner {
            _ if chosen == 0 => eprint_line(format_args!("no poll of {file} is open and selected")),
            Some(runner) => {
                eprint_line(format_args!("asking {runner}, which runs {file}, to cancel {count}"));
            }
            None => eprint_line(format_args!("no process runs {file}; cancelling {count} here")),
        }
    }

    /// Prints how polls have ended, in their order. Returns whether there are any.
    async fn print(&mut self, ended: Vec<(PollKey, String, &str)>) -> anyhow::Result<bool> {
        let mut outcomes = futures_util::stream::iter(ended.iter().filter(|_| self.args.each.json))
            .map(|(key, ..)| self.store.get(key.clone()))
            .buffered(AT_ONCE);
        for (key, name, already) in &ended {
            if name != CANCELLED {
                self.exit = self.exit.max(Exit::Negative);
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
        self.stdout.flush()?;
        Ok(!ended.is_empty())
    }
}
