//! `poll submit`: stores polls for the runner of the file.
//!
//! A key is printed only after its poll is on disk.

use poller::secret::SecretRule;
use poller::store::{Creation, FoundPoll, Runner, RunsUntil, Store as _, StoreAdmin as _, StoredPoll};
use poller::{Clock as _, PollKey, PollSpec, SealKey, Timestamp};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::super::connect;
use super::super::output::{self, Keyed};
use super::super::seen_secrets::{add_needed, as_arguments};
use super::super::specs::{Batches, Job, Reading, Specs};
use super::{BATCH, Checking, OpenStore, Opening, PresentStore, clock, on_store, plain, quoted, quoted_text};
use crate::args::{ConnectArgs, StoreLocation, SubmitArgs};
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

pub(in super::super) fn run(args: &SubmitArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let path = &args.store.file.path;
    // With a wrong spec, no new file is made.
    if let StoreLocation::File(file) = path
        && matches!(file.try_exists(), Ok(false))
        && !super::has_company(file)
    {
        let seal_key = SealKey::from_env()?;
        let store = PresentStore::NewFile(seal_key.as_ref());
        let checked = super::super::block_on(check(args, store, terminal))?;
        return on_store(path, Opening::MayBeNew, async |store| submit(args, checked, store, terminal).await);
    }
    on_store(path, Opening::MayBeNew, async |store| {
        let checked = check(args, PresentStore::Open(&store), terminal).await?;
        submit(args, checked, store, terminal).await
    })
}

/// Checks all specs before one of them is stored. Returns whether the store has some of their polls, too.
async fn check<'a>(
    args: &'a SubmitArgs,
    store: PresentStore<'_>,
    terminal: &'a Terminal,
) -> anyhow::Result<(Specs<'a>, bool)> {
    let limits = args.limits.limits();
    let reading = Reading::new(&args.files, &args.variables, limits, args.each.quiet, terminal)?;
    let client = connect::client(&ConnectArgs::direct(&args.allow_networks), terminal)?;
    let mut checking = Checking::new(store, args.store.scope(), args.fresh, &client, terminal);
    let specs = reading.check(async |jobs| checking.check(jobs).await).await?;
    Ok((specs, checking.present > 0))
}

async fn submit(
    args: &SubmitArgs,
    (mut specs, present): (Specs<'_>, bool),
    store: OpenStore,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (at, spreads) = (clock(&store).now(), args.spread.spreads(specs.jobs_count()));
    let accept = |Job { key, spec }| {
        let poll = StoredPoll::new(PollKey::new(args.store.scope(), key), spec, at);
        if spreads { poll.spread() } else { poll }
    };
    let mut rules: Vec<SecretRule> = Vec::new();
    let mut tally = [0_u32; 3];
    let mut batches = specs.batches();
    let mut stdout = output::Lines::new(terminal);
    let mut waiting = Vec::new();
    let mut storing: Option<JoinHandle<anyhow::Result<Stored>>> = None;
    loop {
        // Read while those before are stored.
        let next = next_jobs(&mut batches, &mut waiting);
        if let Some(storing) = storing.take() {
            let mut failed = None;
            // The results are in the order of the specs, so that callers can assign the keys to them.
            for put in storing.await?? {
                match put {
                    Ok((key, put, deadline)) => {
                        tally[put as usize] += 1;
                        if args.each.json {
                            stdout.print(&Keyed::new(&key, Line { submitted: put, deadline }))?;
                        } else {
                            stdout.key(&key)?;
                        }
                    }
                    // The others of the transaction are stored all the same.
                    Err(error) => _ = failed.get_or_insert(error),
                }
            }
            // The keys of a transaction are printed together.
            stdout.flush()?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        let jobs = next?;
        if jobs.is_empty() {
            break;
        }
        for job in &jobs {
            add_needed(&mut rules, &job.spec);
        }
        let polls: Vec<_> = jobs.into_iter().map(accept).collect();
        storing = Some(tokio::spawn(put_all(store.clone(), polls, args.fresh, present)));
    }
    if !args.each.quiet {
        let file = quoted(&args.store.file.path);
        if spreads && tally[Put::Created as usize] > 0 {
            eprint_line(SPREAD);
        }
        if !rules.is_empty() {
            eprint_line(format_args!(
                "the process that runs {file} resolves the secrets of these specs only with: poll run --store {file}{}",
                as_arguments(&rules, quoted_text),
            ));
        }
        eprint_line(describe(tally, store.runner().await.map_err(plain)?, &file));
    }
    Ok(Exit::Success)
}

/// What is said when many polls were stored.
pub(in super::super) const SPREAD: &str = "first requests are spread over the interval of each poll, and later ones with them; --spread=never makes all at once";

/// The result for one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Put {
    Created,
    Open,
    Finished,
}

#[derive(Serialize)]
struct Line {
    submitted: Put,
    deadline: Timestamp,
}

/// The jobs of the next transaction; none at the end. `waiting` are those that were read and not returned.
fn next_jobs(batches: &mut Batches<'_>, waiting: &mut Vec<Job>) -> anyhow::Result<Vec<Job>> {
    while waiting.len() < BATCH
        && let Some(jobs) = batches.next_batch()?
    {
        waiting.extend(jobs);
    }
    let rest = waiting.split_off(waiting.len().min(BATCH));
    Ok(std::mem::replace(waiting, rest))
}

/// What became of each poll of a transaction.
type Stored = Vec<anyhow::Result<(PollKey, Put, Timestamp)>>;

/// Stores polls in one transaction. `present`: the store has had some of them, and is asked for them first: to look for a poll takes
/// a fraction of the time of a failed attempt to create it.
async fn put_all(
    store: OpenStore,
    polls: Vec<StoredPoll>,
    fresh: bool,
    present: bool,
) -> anyhow::Result<Stored> {
    if fresh {
        // This does not remove an open poll; the spec then joins it.
        let forgotten = polls.iter().map(|poll| store.forget(poll.key.clone()));
        futures_util::future::try_join_all(forgotten).await.map_err(plain)?;
    }
    let found = match present {
        true => store.find(polls.iter().map(|poll| poll.key.clone()).collect()).await.map_err(plain)?,
        false => Vec::new(),
    };
    let found = found.into_iter().chain(std::iter::repeat_with(|| None));
    let polls: Vec<(StoredPoll, Option<FoundPoll>)> = polls.into_iter().zip(found).collect();
    let new = polls.iter().filter(|(_, found)| found.is_none()).map(|(poll, _)| poll.clone()).collect();
    let mut created = store.create_all(new).await.into_iter();
    let put = polls.into_iter().map(|(poll, found)| match found {
        Some(FoundPoll { spec, created_at, ended, .. }) => put(poll, Some((&spec, created_at, ended))),
        None => match created.next().unwrap_or(Ok(Creation::Created)).map_err(plain)? {
            Creation::Exists(present) => {
                let StoredPoll { spec, created_at, outcome, .. } = *present;
                put(poll, Some((&spec, created_at, outcome.is_some())))
            }
            _ => put(poll, None),
        },
    });
    Ok(put.collect())
}

/// What became of a poll. `present` is the one that was there: its spec, when it was created, and whether it has ended.
fn put(
    poll: StoredPoll,
    present: Option<(&PollSpec, Timestamp, bool)>,
) -> anyhow::Result<(PollKey, Put, Timestamp)> {
    let timeout = poll.spec.timeout();
    let (put, created_at) = match present {
        None => (Put::Created, poll.created_at),
        Some((spec, created_at, ended)) => {
            let differences = spec.differences(&poll.spec);
            if !differences.is_empty() {
                anyhow::bail!(
                    "another process has just stored a poll {} with another spec; they differ in {}",
                    poll.key,
                    differences.join(", ")
                );
            }
            (if ended { Put::Finished } else { Put::Open }, created_at)
        }
    };
    Ok((poll.key, put, created_at + timeout))
}

/// `2 polls stored, 1 was there and has ended; process 4711 runs the file and takes them on within a second`
fn describe([created, open, finished]: [u32; 3], runner: Option<Runner>, file: &str) -> String {
    let what = ["stored", "open already", "ended already (--fresh runs them again)"];
    let tally = [created, open, finished].into_iter().zip(what).filter(|(number, _)| *number > 0);
    let parts: Vec<_> =
        tally.map(|(number, what)| format!("{} {what}", humanize::count(number, "poll"))).collect();
    let then = match (created + open, runner) {
        (0, _) => String::new(),
        (_, None) => {
            format!("; no process runs {file}, and their timeouts have started: poll run --store {file}")
        }
        (_, Some(runner)) if runner.until == RunsUntil::OwnEnded => format!(
            "; {runner} runs {file} and takes on what is new within a second, but ends with its own polls; what is open then \
             waits for the next poll run --store {file}"
        ),
        (_, Some(runner)) => format!("; {runner} runs {file} and takes on what is new within a second"),
    };
    parts.join(", ") + &then
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_one_line() {
        assert_eq!(
            describe([2, 0, 1], None, "a.db"),
            "2 polls stored, 1 poll ended already (--fresh runs them again); no process runs a.db, and their timeouts have started: \
             poll run --store a.db"
        );
        assert_eq!(describe([0, 0, 1], None, "a.db"), "1 poll ended already (--fresh runs them again)");
    }
}
