//! `poll cancel KEY…`: requests cancellation from the runner of the file, or cancels the polls itself if there is none.
//!
//! The request is stored in the file, so it survives a crash of the runner. The command then polls the file for the
//! outcome. If the runner exits meanwhile, its lock is free and the command cancels the polls itself.

use std::time::Duration;

use poller::PollKey;
use poller::store::{Runner, Store as _, StoreAdmin as _, StoreError, Summary};
use poller::{Clock as _, SqliteStore, SystemClock};

use super::super::output::{self, Keyed};
use super::{Opening, find, on_store, plain, quoted, shown};
use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

/// How often the file is read; the runner reads it twice a second.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the runner.
const RUNNER_TIMEOUT: Duration = Duration::from_secs(10);

pub(in super::super) fn run(args: &CancelArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    on_store(&args.polls.store.file.path, Opening::MustExist, async |store| {
        cancel(args, store, terminal).await
    })
}

async fn cancel(args: &CancelArgs, store: SqliteStore, terminal: &Terminal) -> anyhow::Result<Exit> {
    let file = &args.polls.store.file.path;
    let polls = find(&store, &args.polls, terminal).await?;
    let was_open = |poll: &Summary| poll.ended.is_none();
    for poll in polls.iter().filter(|poll| was_open(poll)) {
        store.request_cancel(poll.key.clone()).await.map_err(plain)?;
    }
    let runner = store.runner().await.map_err(plain)?;
    let open = u32::try_from(polls.iter().filter(|poll| was_open(poll)).count()).unwrap_or(u32::MAX);
    if !args.polls.each.quiet && open > 0 {
        let polls = humanize::count(open, "poll");
        let file = quoted(file);
        match runner {
            Some(runner) => {
                eprint_line(format_args!("asking {runner}, which runs {file}, to cancel {polls}"));
            }
            None => eprint_line(format_args!("no process runs {file}; cancelling {polls} here")),
        }
    }
    let clock = SystemClock::new();
    let until = clock.now() + RUNNER_TIMEOUT;
    let mut exit = Exit::Success;
    for poll in &polls {
        let name = loop {
            match end(&store, &poll.key, &clock).await.map_err(plain)? {
                End::Ended(name) => break name,
                End::OpenWith(_) if clock.now() < until => {
                    clock.sleep_until(clock.now() + POLL_INTERVAL).await;
                }
                End::OpenWith(runner) => anyhow::bail!(
                    "{} has not cancelled {} within {} s; the request is stored in the file, and this process or the next \
                     `poll run --store {}` will cancel the poll",
                    runner.map_or_else(|| "the runner".to_owned(), |runner| runner.to_string()),
                    shown(&poll.key),
                    RUNNER_TIMEOUT.as_secs(),
                    quoted(file)
                ),
            }
        };
        if name != "cancelled" {
            exit = exit.and(Exit::Negative);
        }
        let before = if was_open(poll) { "" } else { " already" };
        print(&store, &poll.key, &format!("{name}{before}"), args.polls.each.json, terminal).await?;
    }
    Ok(exit)
}

enum End {
    Ended(String),
    OpenWith(Option<Runner>),
}

/// How the poll has ended; ends it where no process runs the file.
async fn end(store: &SqliteStore, key: &PollKey, clock: &SystemClock) -> Result<End, StoreError> {
    match store.summary(key.clone()).await? {
        Some(Summary { ended: Some(ending), .. }) => return Ok(End::Ended(ending.outcome)),
        Some(_) => {}
        None => return Err(StoreError::new(format!("the poll {key} has been forgotten meanwhile"))),
    }
    match store.cancel_unrun(key.clone(), clock.now()).await? {
        Some(outcome) => Ok(End::Ended(outcome.name().to_owned())),
        None => store.runner().await.map(End::OpenWith),
    }
}

async fn print(
    store: &SqliteStore,
    key: &PollKey,
    words: &str,
    json: bool,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if !json {
        return output::text(&format!("{}: {words}", shown(key)));
    }
    match store.get(key.clone()).await.map_err(plain)?.and_then(|poll| poll.outcome) {
        Some(outcome) => Keyed::new(key, &*outcome).print(terminal),
        None => anyhow::bail!("the poll {} has been forgotten meanwhile", shown(key)),
    }
}
