//! `poll submit`: stores polls for the runner of the file.
//!
//! A key is printed only after its poll is on disk.

use futures_util::StreamExt as _;
use poller::PollKey;
use poller::store::{Creation, Runner, Store as _, StoreAdmin as _, StoredPoll};
use poller::{Clock as _, SqliteStore, SystemClock, Timestamp};
use serde::Serialize;

use super::super::drive;
use super::super::output::{self, Keyed};
use super::super::specs::{self, Job, Loaded};
use super::{Opening, check, on_store, plain, quoted};
use crate::args::SubmitArgs;
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

/// The number of concurrent writes; writes in one transaction share its sync.
const AT_ONCE: usize = 1024;

pub(in super::super) fn run(args: &SubmitArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Loaded { jobs, .. } = specs::load(&args.files, args.limits.limits(), args.each.quiet, terminal)?;
    on_store(&args.store.file.path, Opening::MayBeNew, async |store| {
        submit(args, jobs, store, terminal).await
    })
}

async fn submit(
    args: &SubmitArgs,
    jobs: Vec<Job>,
    store: SqliteStore,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let scope = args.store.scope();
    check(&store, scope, &jobs, args.fresh, &drive::client(None)?, terminal).await?;
    let now = SystemClock::new().now();
    let mut tally = [0_u32; 3];
    // `buffered` keeps the order of the specs, so that callers can assign the keys to them.
    let mut results = futures_util::stream::iter(jobs)
        .map(|job| put(&store, PollKey::new(scope, job.key.as_str()), job, args.fresh, now))
        .buffered(AT_ONCE);
    while let Some(result) = results.next().await {
        let (key, put, deadline) = result?;
        tally[put as usize] += 1;
        if args.each.json {
            Keyed::new(&key, Line { submitted: put, deadline }).print(terminal)?;
        } else {
            output::key(&key, terminal)?;
        }
    }
    if !args.each.quiet {
        eprint_line(describe(tally, store.runner().await.map_err(plain)?, &quoted(&args.store.file.path)));
    }
    Ok(Exit::Success)
}

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

async fn put(
    store: &SqliteStore,
    key: PollKey,
    Job { spec, .. }: Job,
    fresh: bool,
    now: Timestamp,
) -> anyhow::Result<(PollKey, Put, Timestamp)> {
    if fresh {
        // This does not remove an open poll; the spec then joins it.
        store.forget(key.clone()).await.map_err(plain)?;
    }
    let timeout = spec.timeout();
    let poll = StoredPoll::new(key.clone(), spec.clone(), now);
    let (put, created_at) = match store.create(poll).await.map_err(plain)? {
        Creation::Exists(present) => {
            let differences = present.spec.differences(&spec);
            if !differences.is_empty() {
                anyhow::bail!(
                    "another process has just stored a poll {key} with another spec; they differ in {}",
                    differences.join(", ")
                );
            }
            (if present.outcome.is_some() { Put::Finished } else { Put::Open }, present.created_at)
        }
        _ => (Put::Created, now),
    };
    Ok((key, put, created_at + timeout))
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
