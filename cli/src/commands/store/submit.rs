//! `poll submit`: stores polls for the runner of the file.
//!
//! A key is printed only after its poll is on disk.

use poller::PollKey;
use poller::secret::SecretRule;
use poller::store::{Creation, Runner, RunsUntil, Store as _, StoreAdmin as _, StoredPoll};
use poller::{Clock as _, SealKey, Timestamp};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::super::connect;
use super::super::output::{self, Keyed};
use super::super::seen_secrets::{add_needed, as_arguments};
use super::super::specs::{Batches, Job, Reading, Specs};
use super::{
    BATCH, OpenStore, Opening, PresentStore, Requirements, clock, on_store, plain, quoted, quoted_text,
};
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
        let specs = super::super::block_on_value(check(args, store, terminal))?;
        return on_store(path, Opening::MayBeNew, async |store| submit(args, specs, store, terminal).await);
    }
    on_store(path, Opening::MayBeNew, async |store| {
        let specs = check(args, PresentStore::Open(&store), terminal).await?;
        submit(args, specs, store, terminal).await
    })
}

/// Checks all specs before one of them is stored.
async fn check<'a>(
    args: &'a SubmitArgs,
    store: PresentStore<'_>,
    terminal: &'a Terminal,
) -> anyhow::Result<Specs<'a>> {
    let limits = args.limits.limits();
    let reading = Reading::new(&args.files, &args.variables, limits, args.each.quiet, terminal)?;
    let requirements = Requirements {
        store,
        scope: args.store.scope(),
        fresh: args.fresh,
        client: &connect::client(&ConnectArgs::direct(&args.allow_networks), terminal)?,
        terminal,
    };
    reading.check(async |jobs| requirements.check(jobs).await).await
}

async fn submit(
    args: &SubmitArgs,
    mut specs: Specs<'_>,
    store: OpenStore,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let scope = args.store.scope();
    let acceptance =
        Acceptance { scope, at: clock(&store).now(), spread: args.spread.spreads(specs.jobs_count()) };
    let mut rules: Vec<SecretRule> = Vec::new();
    let mut tally = [0_u32; 3];
    let mut batches = specs.batches();
    let mut stdout = output::Lines::new(terminal);
    let mut waiting = Vec::new();
    let mut storing: Option<JoinHandle<anyhow::Result<Vec<_>>>> = None;
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
        jobs.iter().for_each(|job| add_needed(&mut rules, &job.spec));
        let polls: Vec<_> = jobs.into_iter().map(|job| acceptance.poll(job)).collect();
        storing = Some(tokio::spawn(put_all(store.clone(), polls, args.fresh)));
    }
    if !args.each.quiet {
        if acceptance.spread && tally[Put::Created as usize] > 0 {
            eprint_line(SPREAD);
        }
        if !rules.is_empty() {
            eprint_line(format_args!(
                "the process that runs {file} resolves the secrets of these specs only with: poll run --store {file}{}",
                as_arguments(&rules, quoted_text),
                file = quoted(&args.store.file.path),
            ));
        }
        eprint_line(describe(tally, store.runner().await.map_err(plain)?, &quoted(&args.store.file.path)));
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

/// How the polls of a command are accepted.
#[derive(Clone, Copy)]
struct Acceptance<'a> {
    scope: &'a str,
    at: Timestamp,
    spread: bool,
}

impl Acceptance<'_> {
    fn poll(self, Job { key, spec }: Job) -> StoredPoll {
        let poll = StoredPoll::new(PollKey::new(self.scope, key), spec, self.at);
        if self.spread { poll.spread() } else { poll }
    }
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

/// Stores polls in one transaction.
async fn put_all(
    store: OpenStore,
    polls: Vec<StoredPoll>,
    fresh: bool,
) -> anyhow::Result<Vec<anyhow::Result<(PollKey, Put, Timestamp)>>> {
    if fresh {
        // This does not remove an open poll; the spec then joins it.
        let forgotten = polls.iter().map(|poll| store.forget(poll.key.clone()));
        futures_util::future::try_join_all(forgotten).await.map_err(plain)?;
    }
    let stored = store.create_all(polls.clone()).await;
    Ok(polls.into_iter().zip(stored).map(|(poll, stored)| put(poll, stored.map_err(plain)?)).collect())
}

fn put(poll: StoredPoll, creation: Creation) -> anyhow::Result<(PollKey, Put, Timestamp)> {
    let timeout = poll.spec.timeout();
    let (put, created_at) = match creation {
        Creation::Exists(present) => {
            let differences = present.spec.differences(&poll.spec);
            if !differences.is_empty() {
                anyhow::bail!(
                    "another process has just stored a poll {} with another spec; they differ in {}",
                    poll.key,
                    differences.join(", ")
                );
            }
            (if present.outcome.is_some() { Put::Finished } else { Put::Open }, present.created_at)
        }
        _ => (Put::Created, poll.created_at),
    };
    Ok((poll.key, put, created_at + timeout))
}

/// `2 polls stored, 1 was there and has ended; process 4711 runs the file and takes them on within a second`
fn describe([created, open, finished]: [u32; 3], runner: Option<Runner>, file: &str) -> String {
    let mut parts = Vec::new();
    if created > 0 {
        parts.push(format!("{} stored", humanize::count(created, "poll")));
    }
    if open > 0 {
        parts.push(format!("{} open already", humanize::count(open, "poll")));
    }
    if finished > 0 {
        parts.push(format!("{} ended already (--fresh runs them again)", humanize::count(finished, "poll")));
    }
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
