//! `poll cancel KEY…`: asks whoever runs the file, or cancels where nobody does.
//!
//! The wish is on disk before anybody is asked, so that a runner that dies meanwhile does not lose it. Then the outcome
//! is waited for; a runner that has gone in between is noticed by its lock, and its work is done here.

use std::time::Duration;

use poller::store::{PollKey, Runner, Store as _, StoreError, Summary};
use poller::{Clock as _, SqliteStore, SystemClock};

use super::super::output;
use super::{Opening, find, on_store, plain, quoted, shown};
use crate::args::CancelArgs;
use crate::exit::Exit;
use crate::render::story;
use crate::render::terminal::{Terminal, tell};

/// A runner looks twice a second; the file says nothing of itself, so it is asked at this pace.
const PACE: Duration = Duration::from_millis(50);
/// How long a runner may take, to cancel all of them.
const PATIENCE: Duration = Duration::from_secs(10);

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
        store.ask_to_cancel(poll.key.clone()).await.map_err(plain)?;
    }
    let runner = store.runner().map_err(plain)?;
    let open = u32::try_from(polls.iter().filter(|poll| was_open(poll)).count()).unwrap_or(u32::MAX);
    if !args.polls.each.quiet && open > 0 {
        let polls = story::count(open, "poll");
        let file = quoted(file);
        match runner {
            Some(runner) => tell(format_args!("asking {runner}, which runs {file}, to cancel {polls}")),
            None => tell(format_args!("nobody runs {file}; cancelling {polls} here")),
        }
    }
    let clock = SystemClock::new();
    let until = clock.now() + PATIENCE;
    let mut exit = Exit::Success;
    for poll in &polls {
        let name = loop {
            match end(&store, &poll.key, &clock).await.map_err(plain)? {
                End::Ended(name) => break name,
                End::OpenWith(_) if clock.now() < until => clock.sleep_until(clock.now() + PACE).await,
                End::OpenWith(runner) => anyhow::bail!(
                    "{} has not cancelled {} within {} s; the wish is in the file and is seen to when it looks there, \
                     or by the next `poll run --store {}`",
                    runner.map_or_else(|| "the runner".to_owned(), |runner| runner.to_string()),
                    shown(&poll.key),
                    PATIENCE.as_secs(),
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

/// How the poll has ended; ends it where nobody runs the file.
async fn end(store: &SqliteStore, key: &PollKey, clock: &SystemClock) -> Result<End, StoreError> {
    match store.summary(key.clone()).await? {
        Some(Summary { ended: Some(ending), .. }) => return Ok(End::Ended(ending.outcome)),
        Some(_) => {}
        None => return Err(StoreError::new(format!("the poll {key} has been forgotten meanwhile"))),
    }
    match store.cancel_unrun(key.clone(), clock.now()).await? {
        Some(outcome) => Ok(End::Ended(outcome.name().to_owned())),
        None => store.runner().map(End::OpenWith),
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
        Some(outcome) => output::outcome(key, &outcome, terminal),
        None => anyhow::bail!("the poll {} has been forgotten meanwhile", shown(key)),
    }
}
