//! Drives polls from submission to exit code: the one loop under `run`, `wait` and `demo`.
//!
//! ```text
//! jobs ─► poller ─► events ─┬─► narrator (standard error)
//!            ▲              └─► outcomes ─► standard output, exit code
//!            └── cancel ◄── Ctrl-C, SIGTERM
//! ```
//!
//! The loop ends when every poll has its outcome, and only then: a cancelled poll ends by its outcome too, so that
//! what a poll came to is printed and counted in one place. The store is in memory and goes with the process.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use futures_util::stream::SelectAll;
use poller::fetch::{Guard, HttpClient};
use poller::secret::AllowAll;
use poller::{Clock as _, Conclusion, Event, Limits, Outcome, Poller, SystemClock};
use tokio::time::MissedTickBehavior;

use super::specs::Job;
use super::{output, signals};
use crate::exit::Exit;
use crate::render::live::Narrator;
use crate::render::terminal::Terminal;

/// How often the live line is redrawn; its countdowns have a resolution of a second.
const REDRAW: Duration = Duration::from_millis(100);

/// What goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    /// The body of a response that matched, verbatim.
    Body,
    /// Every outcome, one line of JSON each.
    Outcomes,
}

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
    let mut ends = Ends::new(print, polls.len());
    let mut told = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some((index, event)) => {
                    narrator.event(index, &event);
                    if let (Event::Finished(outcome), Some(poll)) = (&event, polls.get(index)) {
                        ends.take(poll.key(), outcome, &narrator, terminal)?;
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
                    try_join_all(polls.iter().map(poller::Poll::cancel)).await?;
                }
            },
            _ = redraw.tick(), if narrator.is_live() => narrator.tick(clock.now()),
        }
    }
    if ends.number() < polls.len() {
        // The events of a poll end without an outcome only if its poller does; asking again tells why.
        for poll in &polls {
            poll.outcome().await?;
        }
    }
    if polls.len() > 1 {
        narrator.say(super::run::summary(&ends.counts));
    }
    drop(narrator);
    Ok(ends.exit)
}

fn client(cacert: Option<&Path>) -> anyhow::Result<HttpClient> {
    let mut client = HttpClient::builder().guard(Guard::local());
    if let Some(path) = cacert {
        let pem = fs::read(path).with_context(|| format!("cannot read --cacert {}", path.display()))?;
        client = client.add_root_pem(&pem).with_context(|| format!("in --cacert {}", path.display()))?;
    }
    Ok(client.build()?)
}

/// The outcomes as they come.
struct Ends {
    print: Print,
    exit: Exit,
    counts: [(&'static str, u32); 4],
}

impl Ends {
    fn new(print: Print, polls: usize) -> Self {
        debug_assert!(print == Print::Outcomes || polls == 1, "a body is the result of one poll");
        Self {
            print,
            exit: Exit::Success,
            counts: [("matched", 0), ("failed", 0), ("timed out", 0), ("cancelled", 0)],
        }
    }

    fn take(
        &mut self,
        key: &str,
        outcome: &Arc<Outcome>,
        narrator: &Narrator,
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        self.exit = self.exit.and(Exit::from(&**outcome));
        if let Some((_, count)) = self.counts.iter_mut().find(|(name, _)| *name == outcome.name()) {
            *count += 1;
        }
        match (self.print, &outcome.conclusion) {
            (Print::Outcomes, _) => narrator.aside(|| output::outcome(key, outcome, terminal)),
            (Print::Body, Conclusion::Matched { response }) => {
                narrator.aside(|| output::body(response.body(), terminal))
            }
            (Print::Body, _) => Ok(()),
        }
    }

    fn number(&self) -> usize {
        self.counts.iter().map(|(_, count)| *count as usize).sum()
    }
}
