//! Runs polls from submission to exit code, for `run`, `wait` and `demo` without a store.
//!
//! ```text
//! jobs ─► poller ─► events ─┬─► progress (standard error)
//!            ▲              └─► outcomes ─► standard output, exit code
//!            └── cancel ◄── Ctrl-C, SIGTERM
//! ```
//!
//! The loop ends when every poll has an outcome. A cancelled poll has one too, so that all outcomes are printed and
//! counted in one place. The store is in memory; [`resume`](super::store::resume) runs the polls of a file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::SelectAll;
use poller::http::{Guard, HttpClient};
use poller::secret::AllowAll;
use poller::{Clock as _, Event, Limits, Poller, SystemClock};
use tokio::time::MissedTickBehavior;

use super::outcomes::{Outcomes, Print};
use super::signals;
use super::specs::Job;
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;

/// How often the progress line is redrawn.
pub(super) const REDRAW: Duration = Duration::from_millis(100);

/// Polls and how to run them.
pub(super) struct Plan<'a> {
    pub(super) jobs: Vec<Job>,
    pub(super) print: Print,
    pub(super) limits: Limits,
    pub(super) cacert: Option<&'a Path>,
    pub(super) progress: ProgressReporter,
    pub(super) terminal: &'a Terminal,
}

/// Runs the polls until all have outcomes.
pub(super) async fn drive(plan: Plan<'_>) -> anyhow::Result<Exit> {
    let Plan { jobs, print, mut limits, cacert, mut progress, terminal } = plan;
    // Before the first request: an earlier Ctrl-C would lose no outcome.
    let mut interrupted = signals::listen(progress.clear_callback())?;
    let clock = SystemClock::new();
    let began = clock.now();
    limits.open_polls = limits.open_polls.max(jobs.len());
    let poller = Poller::builder()
        .clock(clock)
        .limits(limits)
        .fetch(client(cacert)?)
        // Specs of the command line may read any secret: the user wrote them or chose to run them.
        .secrets(AllowAll)
        .build()
        .await?;

    let mut polls = Vec::with_capacity(jobs.len());
    for Job { key, spec } in jobs {
        let started = clock.now();
        let poll = poller.submit(key, spec).await?;
        progress.add_poll(poll.key(), started, poll.deadline());
        polls.push(poll);
    }
    let mut events: SelectAll<_> = polls
        .iter()
        .enumerate()
        .map(|(index, poll)| poll.events().map(move |event| (index, event)).boxed())
        .collect();
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut outcomes = Outcomes::new(print);
    let mut cancelled = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some((index, event)) => {
                    progress.event(index, &event);
                    if let (Event::Outcome(outcome), Some(poll)) = (&event, polls.get(index)) {
                        outcomes.add(poll.poll_key(), outcome, &progress, terminal)?;
                    }
                }
                None => break,
            },
            signal = &mut interrupted, if !cancelled => {
                cancelled = true;
                if let Ok(name) = signal {
                    progress.message(format_args!("{name}: cancelling; again to end at once"));
                    // Concurrently: one after the other, the last of many would keep sending requests meanwhile.
                    try_join_all(polls.iter().map(poller::PollHandle::cancel)).await?;
                }
            },
            _ = redraw.tick(), if progress.needs_ticks() => progress.tick(clock.now(), &poller.stats()),
        }
    }
    if outcomes.number() < polls.len() {
        // Events end without an outcome only after an error of the poller, which `outcome` returns.
        for poll in &polls {
            poll.outcome().await?;
        }
    }
    if polls.len() > 1 {
        progress.summarize(outcomes.summary(), &poller.stats(), clock.now().since(began));
    }
    drop(progress);
    Ok(outcomes.exit())
}

/// A client without restrictions on private addresses: the user of the command line wrote the specs.
pub(super) fn client(cacert: Option<&Path>) -> anyhow::Result<HttpClient> {
    let mut client = HttpClient::builder().guard(Guard::local());
    if let Some(path) = cacert {
        let pem = fs::read(path).with_context(|| format!("cannot read --cacert {}", path.display()))?;
        client = client.add_root_pem(&pem).with_context(|| format!("in --cacert {}", path.display()))?;
    }
    Ok(client.build()?)
}
