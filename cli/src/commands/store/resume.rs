//! `poll run --store`: runs the polls of a file, those that are given and those that are there.
//!
//! ```text
//! SPEC… ──► check ──► submit ─┐
//! file ───────────────────────┴─► poller ─► events ──► story
//!                                   │  └──► news ────► outcomes, polls of other processes
//!                        Ctrl-C ────┘ stops; open polls stay open
//! ```
//!
//! Outcomes come from the store's news, whoever submitted the poll; the events of a poll only tell its story. With
//! SPEC the run ends when the polls given have, without when the file has none open.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use poller::PollKey;
use poller::secret::AllowAll;
use poller::store::{Store as _, StoreError, StoredPoll};
use poller::{
    Accepted, Clock as _, Event, Limits, Outcome, PollHandle, PollSpec, Poller, ShutdownReport, SqliteStore,
    SystemClock, Timestamp,
};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::super::outcomes::{Outcomes, Print};
use super::super::specs::{self, Job, Loaded};
use super::super::{drive, output, signals};
use super::list::some_scope;
use super::news::{News, Watched};
use super::{Opening, check, on_store, plain, poller_error, quoted, shown};
use crate::args::{ConnectArgs, RunArgs};
use crate::exit::Exit;
use crate::render::progress::{FEW, ProgressReporter};
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

/// How many submissions wait for the disk at once; they share its syncs.
const AT_ONCE: usize = 256;

pub(in super::super) fn run(args: &RunArgs, file: &Path, terminal: &Terminal) -> anyhow::Result<Exit> {
    let given = match &args.files[..] {
        [] => None,
        files => Some(specs::load(files, args.limits.limits(), args.report.quiet, terminal)?),
    };
    let opening = if given.is_some() { Opening::MayBeNew } else { Opening::MustExist };
    on_store(file, opening, async |store| resume(args, file, given, store, terminal).await)
}

async fn resume(
    args: &RunArgs,
    file: &Path,
    given: Option<Loaded>,
    store: SqliteStore,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let scope = args.scope.as_deref().unwrap_or("");
    let client = drive::client(args.connect.cacert.as_deref())?;
    if let Some(Loaded { jobs, .. }) = &given {
        check(&store, scope, jobs, args.fresh, &client, terminal).await?;
    }
    let progress = ProgressReporter::new(terminal, args.report.quiet);
    let mut interrupted = signals::listen(progress.clear_callback())?;
    let clock = SystemClock::new();
    // What is given was checked when it was read; what the file has open was accepted once, and is not refused now.
    let mut limits = args.connect.apply(Limits::unbounded());
    limits.open_polls = limits.open_polls.max(given.as_ref().map_or(0, |given| given.jobs.len()));
    let (watched, mut news) = Watched::new(store.clone());
    let poller = Poller::builder()
        .clock(clock)
        .limits(limits)
        .fetch(client)
        // The user of the command line wrote the specs, or chose to run the file.
        .secrets(AllowAll)
        .store(watched)
        .build()
        .await
        .map_err(poller_error)?;
    let print = match &given {
        Some(Loaded { specs: 1, .. }) if !args.report.json => Print::Body,
        _ => Print::Outcomes,
    };
    let mut run = Run {
        file: quoted(file),
        all: given.is_none(),
        store,
        poller: poller.clone(),
        clock,
        began: clock.now(),
        outcomes: Outcomes::new(print),
        progress,
        terminal,
        open: HashMap::new(),
        watched: 0,
        events: SelectAll::new(),
        unread: None,
        unsaved: None,
    };
    let found = match news.try_recv() {
        Ok(News::Begun(open)) => open,
        _ => 0,
    };
    run.begin(found, given, scope, args.fresh).await?;

    let mut redraw = tokio::time::interval(drive::REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (stop, mut stopped) = oneshot::channel();
    let (mut stop, mut left) = (Some(stop), None);
    while stop.is_none() || !run.is_done().await? {
        tokio::select! {
            // What an attempt brought is told before what follows from it.
            biased;
            _ = redraw.tick(), if run.progress.needs_ticks() => run.progress.tick(clock.now(), &poller.stats()),
            Some((index, event)) = run.events.next(), if !run.events.is_empty() => run.event(index, &event),
            Some(news) = news.recv() => run.news(news).await?,
            report = &mut stopped, if stop.is_none() => {
                left = Some(report.unwrap_or_default());
                break;
            }
            signal = &mut interrupted, if stop.is_some() => {
                let name = signal.unwrap_or("interrupted");
                let (poller, stop) = (poller.clone(), stop.take());
                let mut shutdown = Box::pin(async move {
                    let report = poller.shutdown().await;
                    stop.map(|stop| stop.send(report))
                });
                // Output once it has begun, so that a request which ends after the line was in flight for the report too.
                if (&mut shutdown).now_or_never().is_none() {
                    tokio::spawn(shutdown);
                }
                run.progress.message(format_args!("{name}: stopping; again to end at once"));
            }
        }
    }
    while let Ok(news) = news.try_recv() {
        run.news(news).await?;
    }
    if let Some(report) = &left {
        run.stopped(report, args.report.json).await?;
    }
    run.end(left.as_ref(), &args.connect).await
}

/// A run of a file.
struct Run<'a> {
    file: String,
    /// Whether everything in the file is to be run and told, or only what was given.
    all: bool,
    store: SqliteStore,
    poller: Poller,
    clock: SystemClock,
    began: Timestamp,
    outcomes: Outcomes,
    progress: ProgressReporter,
    terminal: &'a Terminal,
    /// The polls that are waited for, and their numbers with the progress.
    open: HashMap<PollKey, usize>,
    watched: usize,
    events: SelectAll<BoxStream<'static, (usize, Event)>>,
    /// The last that was told of a store that cannot be read.
    unread: Option<String>,
    /// The last that was told of a store that cannot be written.
    unsaved: Option<String>,
}

impl Run<'_> {
    /// Submits what was given. What was found open comes with the news.
    async fn begin(
        &mut self,
        found: usize,
        given: Option<Loaded>,
        scope: &str,
        fresh: bool,
    ) -> anyhow::Result<()> {
        let Some(Loaded { jobs, .. }) = given else {
            let count = humanize::count(u32::try_from(found).unwrap_or(u32::MAX), "open poll");
            match found {
                0 => self.progress.message(format_args!("{} has no open poll", self.file)),
                _ => self.progress.message(format_args!("{}: {count}", self.file)),
            }
            return Ok(());
        };
        super::super::run::introduce(&jobs, &self.progress);
        let (store, scoped) = (self.store.clone(), self.poller.scope(scope));
        let mut submitted = futures_util::stream::iter(jobs)
            .map(|Job { key, spec }| {
                let (store, scoped) = (&store, &scoped);
                async move {
                    if fresh {
                        // An open poll stays, and is what was asked for.
                        store.forget(PollKey::new(scoped.name(), key.as_str())).await.map_err(plain)?;
                    }
                    let poll = scoped.submit(key, spec.clone()).await.map_err(poller_error)?;
                    anyhow::Ok((poll, spec))
                }
            })
            .buffered(AT_ONCE);
        let mut joined = 0;
        while let Some(result) = submitted.next().await {
            let (poll, spec) = result?;
            joined += usize::from(poll.accepted() == Accepted::Joined);
            self.take(&poll, &spec).await?;
        }
        let others = u32::try_from(found.saturating_sub(joined)).unwrap_or(u32::MAX);
        if others > 0 {
            let count = humanize::count(others, "other open poll");
            self.progress.message(format_args!("{count} of {} run along", self.file));
        }
        Ok(())
    }

    /// Takes up a poll that was given.
    async fn take(&mut self, poll: &PollHandle, spec: &PollSpec) -> anyhow::Result<()> {
        let now = self.clock.now();
        let started = Timestamp::from_micros(
            u64::try_from(spec.timeout().as_micros())
                .map_or(0, |timeout| poll.deadline().as_micros().saturating_sub(timeout)),
        );
        let name = sanitize::excerpt(poll.key(), 80);
        match poll.accepted() {
            Accepted::AlreadyFinished => {
                let outcome = poll.outcome().await.map_err(poller_error)?;
                self.progress.message(format_args!(
                    "{name}: {} {} ago; that is its result, nothing is asked (--fresh asks anew)",
                    outcome.name(),
                    humanize::age(now.since(outcome.ended_at))
                ));
                let index = self.watch(poll.poll_key(), started, poll.deadline());
                return self.finish(index, poll.poll_key(), &outcome);
            }
            Accepted::Joined => self.progress.message(format_args!(
                "{name}: goes on; accepted {} ago, {} left",
                humanize::age(now.since(started)),
                humanize::countdown(poll.deadline().since(now))
            )),
            _ => {}
        }
        let index = self.watch(poll.poll_key(), started, poll.deadline());
        self.open.insert(poll.poll_key().clone(), index);
        self.follow(index, poll);
        Ok(())
    }

    /// Takes up polls that were there, or that another process has submitted.
    async fn adopt(&mut self, polls: Vec<StoredPoll>) {
        for poll in polls {
            if self.open.contains_key(&poll.key) {
                continue;
            }
            let index = self.watch(&poll.key, poll.created_at, poll.created_at + poll.spec.timeout());
            self.open.insert(poll.key.clone(), index);
            if self.watched <= FEW {
                let scope = self.poller.scope(poll.key.scope());
                // It runs without this too, and its outcome comes with the news: only its story needs the handle.
                if let Ok(poll) = scope.submit(poll.key.key(), poll.spec).await {
                    self.follow(index, &poll);
                }
            }
        }
    }

    fn watch(&mut self, key: &PollKey, started: Timestamp, deadline: Timestamp) -> usize {
        self.progress.add_poll(&shown(key), started, deadline);
        self.watched += 1;
        self.watched - 1
    }

    fn follow(&mut self, index: usize, poll: &PollHandle) {
        if poll.accepted() != Accepted::AlreadyFinished {
            self.events.push(poll.events().map(move |event| (index, event)).boxed());
        }
    }

    fn event(&mut self, index: usize, event: &Event) {
        // The end is told once, when it comes with the news.
        if !matches!(event, Event::Outcome(_)) {
            self.progress.event(index, event);
        }
    }

    async fn news(&mut self, news: News) -> anyhow::Result<()> {
        match news {
            News::Begun(_) => {}
            News::Unreadable(key, outcome) => {
                if self.all {
                    let index = self.watch(&key, outcome.started_at, outcome.ended_at);
                    self.finish(index, &key, &outcome)?;
                }
            }
            News::Open(polls) => {
                self.unread = None;
                if self.all {
                    self.adopt(polls).await;
                }
            }
            News::Finished(key, outcome) => {
                self.unsaved = None;
                if let Some(index) = self.open.remove(&key) {
                    self.finish(index, &key, &outcome)?;
                }
            }
            News::Trouble(error) => {
                let so = "what others submit or cancel is not noticed until that is mended";
                tell_once(&self.progress, &mut self.unread, &error, so);
            }
            News::Unsaved(error) => {
                let so = "outcomes wait, and are told when that is mended";
                tell_once(&self.progress, &mut self.unsaved, &error, so);
            }
        }
        Ok(())
    }

    fn finish(&mut self, index: usize, key: &PollKey, outcome: &Arc<Outcome>) -> anyhow::Result<()> {
        self.progress.event(index, &Event::Outcome(Arc::clone(outcome)));
        self.outcomes.add(key, outcome, &self.progress, self.terminal)
    }

    async fn is_done(&self) -> anyhow::Result<bool> {
        // What another process has just submitted is open too, though nobody has told of it yet.
        Ok(self.open.is_empty() && (!self.all || self.store.count_open().await.map_err(plain)? == 0))
    }

    /// What a stop has left: told to programs here, to people by [`end`](Self::end).
    async fn stopped(&self, report: &ShutdownReport, json: bool) -> anyhow::Result<()> {
        if let Some(requests) = requests_left(report) {
            self.progress.message(requests);
        }
        if let Some(outcomes) = outcomes_unkept(report) {
            self.progress.message(outcomes);
        }
        if !json {
            return Ok(());
        }
        let polls = report.first.iter().map(|poll| LeftLine {
            key: poll.key.key(),
            scope: some_scope(&poll.key),
            deadline: poll.deadline,
            abandoned: poll.abandoned,
            unsaved: poll.unsaved,
        });
        let line = StopLine {
            left_open: self.store.count_open().await.map_err(plain)?,
            polls: polls.collect(),
            outcomes_unkept: report.unsaved,
            requests_ended: report.ended,
            requests_abandoned: report.abandoned,
        };
        self.progress.suspend(|| output::json(&line, self.terminal))
    }

    /// The last words, and the exit code.
    async fn end(self, stopped: Option<&ShutdownReport>, connect: &ConnectArgs) -> anyhow::Result<Exit> {
        if self.outcomes.number() > 1 {
            self.progress.summarize(
                self.outcomes.summary(),
                &self.poller.stats(),
                self.clock.now().since(self.began),
            );
        }
        let left = u32::try_from(self.store.count_open().await.map_err(plain)?).unwrap_or(u32::MAX);
        if left > 0 {
            let cacert = connect.cacert.as_ref().map(|path| format!(" --cacert {}", quoted(path)));
            let max_body = connect.max_body.map(|bytes| format!(" --max-body {bytes}"));
            self.progress.message(format_args!(
                "{} stay{} open{}; go on with: poll run --store {}{}{}",
                humanize::count(left, "poll"),
                if left == 1 { "s" } else { "" },
                stopped.map(|report| some_open(report, self.clock.now())).unwrap_or_default(),
                self.file,
                cacert.unwrap_or_default(),
                max_body.unwrap_or_default()
            ));
        }
        Ok(if stopped.is_some() { self.outcomes.exit().and(Exit::Cancelled) } else { self.outcomes.exit() })
    }
}

/// What `--json` says of a stop, on the last line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StopLine<'a> {
    left_open: usize,
    polls: Vec<LeftLine<'a>>,
    outcomes_unkept: usize,
    requests_ended: usize,
    requests_abandoned: usize,
}

#[derive(Serialize)]
struct LeftLine<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    deadline: Timestamp,
    abandoned: bool,
    unsaved: bool,
}

/// `3 requests were in flight: 2 ended, 1 was abandoned`
fn requests_left(report: &ShutdownReport) -> Option<String> {
    let in_flight = report.ended + report.abandoned;
    let were = |number: usize| if number == 1 { "was" } else { "were" };
    let count = humanize::count(u32::try_from(in_flight).unwrap_or(u32::MAX), "request");
    let became = match (report.ended, report.abandoned) {
        (0, 0) => return None,
        (_, 0) => "ended in time".to_owned(),
        (0, _) => format!("took too long; {} abandoned", if in_flight == 1 { "it was" } else { "they were" }),
        (ended, abandoned) => format!("{ended} ended in time, {abandoned} {} abandoned", were(abandoned)),
    };
    let joint = if report.ended > 0 && report.abandoned > 0 { ": " } else { " and " };
    Some(format!("{count} {} in flight{joint}{became}", were(in_flight)))
}

/// `1 outcome could not be kept; its poll is open still`
fn outcomes_unkept(report: &ShutdownReport) -> Option<String> {
    let count = humanize::count(u32::try_from(report.unsaved).unwrap_or(u32::MAX), "outcome");
    let so = if report.unsaved == 1 { "its poll is" } else { "their polls are" };
    (report.unsaved > 0).then(|| format!("{count} could not be kept in time; {so} open still"))
}

/// ` (export-42: 12s left, export-43: 4m left, …)`: which polls were left, those first whose time is over first.
fn some_open(report: &ShutdownReport, now: Timestamp) -> String {
    const NAMED: usize = 3;
    let named = report.first.iter().take(NAMED).map(|poll| {
        let left = humanize::countdown(poll.deadline.since(now));
        format!("{}: {left} left", sanitize::excerpt(&poll.key.to_string(), 40))
    });
    let named: Vec<_> = named.collect();
    match named.len() {
        0 => String::new(),
        few => format!(" ({}{})", named.join(", "), if few < report.left_open { ", …" } else { "" }),
    }
}

/// Says what is wrong with the store, unless that is what was said last.
fn tell_once(progress: &ProgressReporter, last: &mut Option<String>, error: &StoreError, so: &str) {
    let message = error.to_string();
    if last.as_ref() != Some(&message) {
        progress.message(format_args!("{message}; {so}"));
        *last = Some(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_requests_is_said_in_one_line() {
        let said = |ended, abandoned| {
            let mut report = ShutdownReport::default();
            (report.ended, report.abandoned) = (ended, abandoned);
            requests_left(&report)
        };
        assert_eq!(said(0, 0), None);
        for (ended, abandoned, text) in [
            (1, 0, "1 request was in flight and ended in time"),
            (0, 1, "1 request was in flight and took too long; it was abandoned"),
            (0, 2, "2 requests were in flight and took too long; they were abandoned"),
            (2, 1, "3 requests were in flight: 2 ended in time, 1 was abandoned"),
        ] {
            assert_eq!(said(ended, abandoned).as_deref(), Some(text));
        }
    }

    #[test]
    fn outcomes_that_could_not_be_kept_are_said() {
        let said = |unsaved| {
            let mut report = ShutdownReport::default();
            report.unsaved = unsaved;
            outcomes_unkept(&report)
        };
        assert_eq!(said(0), None);
        for (unsaved, text) in [
            (1, "1 outcome could not be kept in time; its poll is open still"),
            (2, "2 outcomes could not be kept in time; their polls are open still"),
        ] {
            assert_eq!(said(unsaved).as_deref(), Some(text));
        }
    }
}
