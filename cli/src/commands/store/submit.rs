//! `poll submit`: polls put on disk for whoever runs the file.
//!
//! A key is printed when its poll is on disk, never before: who reads it may rely on it.

use futures_util::StreamExt as _;
use poller::store::{Creation, PollKey, Runner, Store as _, StoredPoll};
use poller::{Clock as _, SqliteStore, SystemClock, Timestamp};
use serde::Serialize;

use super::super::specs::{self, Job, Loaded};
use super::super::{drive, output};
use super::{Opening, check, on_store, plain, quoted};
use crate::args::SubmitArgs;
use crate::exit::Exit;
use crate::render::story;
use crate::render::terminal::{Terminal, tell};

/// How many wait for the disk at once; they share its syncs.
const AT_ONCE: usize = 1024;

pub(in super::super) fn run(args: &SubmitArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Loaded { jobs, .. } = specs::load(&args.files, args.unbounded, args.each.quiet, terminal)?;
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
    // In the order in which they were given, so that their keys can be told apart by it.
    let mut results = futures_util::stream::iter(jobs)
        .map(|job| put(&store, PollKey::new(scope, job.key.as_str()), job, args.fresh, now))
        .buffered(AT_ONCE);
    while let Some(result) = results.next().await {
        let (key, put, deadline) = result?;
        tally[put as usize] += 1;
        if args.each.json {
            let (key, scope) = (key.key(), super::list::some_scope(&key));
            output::json(&Line { key, scope, submitted: put, deadline }, terminal)?;
        } else {
            output::key(&key, terminal)?;
        }
    }
    if !args.each.quiet {
        tell(in_words(tally, store.runner().map_err(plain)?, &quoted(&args.store.file.path)));
    }
    Ok(Exit::Success)
}

/// What came of one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Put {
    Created,
    Open,
    Finished,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
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
        // An open poll stays, and is what was asked for.
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
fn in_words([created, open, finished]: [u32; 3], runner: Option<Runner>, file: &str) -> String {
    let mut parts = Vec::new();
    if created > 0 {
        parts.push(format!("{} stored", story::count(created, "poll")));
    }
    if open > 0 {
        parts.push(format!("{} open already", story::count(open, "poll")));
    }
    if finished > 0 {
        parts.push(format!("{} ended already (--fresh asks anew)", story::count(finished, "poll")));
    }
    let then = match (created + open, runner) {
        (0, _) => String::new(),
        (_, None) => format!("; nobody runs {file}, and their time passes: poll run --store {file}"),
        (_, Some(runner)) => format!("; {runner} runs {file} and takes on what is new within a second"),
    };
    parts.join(", ") + &then
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_said_in_one_line() {
        assert_eq!(
            in_words([2, 0, 1], None, "a.db"),
            "2 polls stored, 1 poll ended already (--fresh asks anew); nobody runs a.db, and their time passes: \
             poll run --store a.db"
        );
        assert_eq!(in_words([0, 0, 1], None, "a.db"), "1 poll ended already (--fresh asks anew)");
    }
}
