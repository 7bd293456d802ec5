//! Drives polls from submission to exit code: the one loop under `run`, `wait` and `demo`, without a store.
//!
//! ```text
//! jobs ─► poller ─► events ─┬─► narrator (standard error)
//!            ▲              └─► outcomes ─► standard output, exit code
//!            └── cancel ◄── Ctrl-C, SIGTERM
//! ```
//!
//! The loop ends when every poll has its outcome, and only then: a cancelled poll ends by its outcome too, so that
//! what a poll came to is printed and counted in one place. The store is in memory and goes with the process; polls of
//! a file are driven by [`resume`](super::store::resume).

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::SelectAll;
use poller::fetch::{Guard, HttpClient};
use poller::secret::AllowAll;
use poller::{Clock as _, Event, Limits, Poller, SystemClock};
use tokio::time::MissedTickBehavior;

use super::ends::{Ends, Print};
use super::signals;
use super::specs::Job;
use crate::exit::Exit;
use crate::render::live::Narrator;
use crate::render::terminal::Terminal;

/// How often the live line is redrawn; its countdowns have a resolution of a second.
pub(super) const REDRAW: Duration = Duration::from_millis(100);

/// Polls and how to run them.
pub(super) struct Plan<'a> {
    pub(super) jobs: Vec<Job>,
    pub(super) print: Print,
    pub(super) limits: Limits,
    pub(super) cacert: Option<&'a Path>,
    pub(super) narrator: Narrator,
    pub(super) terminal: &'a Terminal,
}

/// Runs the polls to their ends.
pub(super) async fn drive(plan: Plan<'_>) -> anyhow::Result<Exit> {
    let Plan { jobs, print, mut limits, cacert, mut narrator, terminal } = plan;
    // Before the first request, so that there is no moment at which Ctrl-C would lose an outcome.
    let mut interrupted = signals::listen(narrator.eraser())?;
    let clock = SystemClock::new();
    let began = clock.now();
    limits.open_polls = limits.open_polls.max(jobs.len());
    let poller = Poller::builder()
        .clock(clock)
        .limits(limits)
        .fetch(client(cacert)?)
        // The user of the command line wrote the spec, or chose to run it.
        .secrets(AllowAll)
        .build()
        .await?;

    let mut polls = Vec::with_capacity(jobs.len());
    for Job { key, spec } in jobs {
        let started = clock.now();
        let poll = poller.submit(key, spec).await?;
        narrator.watch(poll.key(), started, poll.deadline());
        polls.push(poll);
    }
    let mut events: SelectAll<_> = polls
        .iter()
        .enumerate()
        .map(|(index, poll)| poll.events().map(move |event| (index, event)).boxed())
        .collect();
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut ends = Ends::new(print);
    let mut told = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some((index, event)) => {
                    narrator.event(index, &event);
                    if let (Event::Outcome(outcome), Some(poll)) = (&event, polls.get(index)) {
                        ends.take(poll.poll_key(), outcome, &narrator, terminal)?;
                    }
                }
                None => break,
            },
            signal = &mut interrupted, if !told => {
                told = true;
                if let Ok(name) = signal {
                    narrator.say(format_args!("{name}: cancelling; again to end at once"));
                    // All at once, or the last of many would go on asking while the first are being stopped. A poll
                    // that has ended meanwhile keeps its outcome.
                    try_join_all(polls.iter().map(poller::PollHandle::cancel)).await?;
                }
            },
            _ = redraw.tick(), if narrator.ticks() => narrator.tick(clock.now(), &poller.stats()),
        }
    }
    if ends.number() < polls.len() {
        // The events of a poll end without an outcome only if its poller does; asking again tells why.
        for poll in &polls {
            poll.outcome().await?;
        }
    }
    if polls.len() > 1 {
        narrator.sum_up(ends.summary(), &poller.stats(), clock.now().since(began));
    }
    drop(narrator);
    Ok(ends.exit())
}

/// Sends requests to wherever this machine can.
pub(super) fn client(cacert: Option<&Path>) -> anyhow::Result<HttpClient> {
    let mut client = HttpClient::builder().guard(Guard::local());
    if let Some(path) = cacert {
        let pem = fs::read(path).with_context(|| format!("cannot read --cacert {}", path.display()))?;
        client = client.add_root_pem(&pem).with_context(|| format!("in --cacert {}", path.display()))?;
    }
    Ok(client.build()?)
}
