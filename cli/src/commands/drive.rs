//! Runs polls from submission to exit code: the one loop of `run`, `wait` and `demo`, with or without a store.
//!
//! ```text
//! jobs ─► check ─► submit ─┐
//! file ────────────────────┴─► poller ─► events ─┬─► progress (standard error)
//!                                ▲               └─► outcomes (standard output, exit code)
//!                                └── cancel or shut down ◄── Ctrl-C, SIGTERM
//! ```
//!
//! The loop ends when every poll of interest has an outcome: the submitted ones or, without any, all open polls of the
//! file. On a signal, polls in memory are cancelled and still get their outcomes; polls of a file stay open there.
//! Outcomes are taken from the events of the poller, which carry polls of other processes too and only outcomes that the
//! store has.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::{OptionFuture, try_join_all};
use futures_util::{FutureExt as _, StreamExt as _};
use poller::http::{Guard, HttpClient};
use poller::secret::AllowAll;
use poller::store::{Store as _, StoreAdmin as _, StoreError};
use poller::{
    Accepted, Clock as _, Event, Limits, Outcome, OutcomeKind, PollHandle, PollKey, PollSpec, Poller,
    PollerEvent, PollerEvents, ShutdownReport, SqliteStore, StoreOperation, SystemClock, Timestamp,
};
use tokio::time::MissedTickBehavior;

use super::output::Keyed;
use super::specs::Job;
use super::store::stop_report;
use super::{output, signals, store};
use crate::args::ConnectArgs;
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

/// How often the progress line is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// The number of concurrent submissions; those written in one transaction share its sync.
const SUBMISSIONS: usize = 256;

/// What is written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    /// The body of the response that matched, verbatim; for one poll.
    Body,
    /// Every outcome, one line of JSON each.
    Outcomes,
}

/// Polls and how to run them.
pub(super) struct Plan<'a> {
    /// The polls to submit; `None` runs all open polls of the file.
    pub(super) jobs: Option<Vec<Job>>,
    /// The first line of progress.
    pub(super) introduction: Option<String>,
    pub(super) print: Print,
    pub(super) limits: Limits,
    pub(super) cacert: Option<&'a Path>,
    /// The store; polls are kept in memory without it.
    pub(super) file: Option<StoreFile<'a>>,
    pub(super) progress: ProgressReporter,
    pub(super) terminal: &'a Terminal,
}

/// A store that polls are kept in.
pub(super) struct StoreFile<'a> {
    pub(super) store: SqliteStore,
    /// The path, quoted for the shell.
    pub(super) path: String,
    pub(super) scope: &'a str,
    /// Forget finished polls of the same keys first.
    pub(super) fresh: bool,
    /// Print a JSON object about polls that a signal leaves open.
    pub(super) json: bool,
    /// The arguments to repeat when the run is continued.
    pub(super) connect: &'a ConnectArgs,
}

/// Runs the polls until all have outcomes or a signal stops the run.
pub(super) async fn drive(plan: Plan<'_>) -> anyhow::Result<Exit> {
    let Plan { jobs, introduction, print, mut limits, cacert, file, progress, terminal } = plan;
    let client = client(cacert)?;
    if let (Some(file), Some(jobs)) = (&file, &jobs) {
        store::check(&file.store, file.scope, jobs, file.fresh, &client, terminal).await?;
    }
    // Before the first request, so that a signal is never handled by its default action.
    let mut interrupted = signals::listen(progress.clear_callback())?;
    let clock = SystemClock::new();
    limits.open_polls = limits.open_polls.max(jobs.as_ref().map_or(0, Vec::len));
    // All secrets are allowed: the user wrote the specs or chose to run them.
    let mut builder = Poller::builder().clock(clock).limits(limits).fetch(client).secrets(AllowAll);
    if let Some(file) = &file {
        builder = builder.store(file.store.clone());
    }
    let (poller, events) = builder.build_with_events().await.map_err(store::poller_error)?;
    let mut run = Run {
        file,
        all: jobs.is_none(),
        print,
        poller,
        events,
        began: clock.now(),
        clock,
        exit: Exit::Success,
        progress,
        terminal,
        open: HashSet::new(),
        failures: HashMap::new(),
    };
    run.begin(jobs, introduction).await?;

    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut signalled, mut ended, mut shutdown, mut report) = (false, false, None, None);
    while shutdown.is_some() || !run.is_done().await? {
        tokio::select! {
            // Events before the report of a shutdown, which follows from them.
            biased;
            _ = redraw.tick(), if run.progress.needs_ticks() => {
                run.progress.tick(clock.now(), &run.poller.stats());
            }
            event = run.events.next(), if !ended => match event {
                Some(event) => run.event(event)?,
                None => {
                    ended = true;
                    anyhow::ensure!(shutdown.is_some(), "the poller has stopped; this is a defect of poll");
                }
            },
            Some(stopped) = OptionFuture::from(shutdown.as_mut()) => {
                report = Some(stopped);
                break;
            }
            Ok(signal) = &mut interrupted, if !signalled => {
                signalled = true;
                shutdown = run.interrupt(signal).await?;
            }
        }
    }
    while let Some(event) = run.events.try_next() {
        run.event(event)?;
    }
    run.end(report).await
}

/// The report of a shutdown that has begun.
type Shutdown = std::pin::Pin<Box<dyn Future<Output = ShutdownReport> + Send>>;

/// The state of the loop.
struct Run<'a> {
    file: Option<StoreFile<'a>>,
    /// All open polls of the file are of interest, not only the submitted ones.
    all: bool,
    print: Print,
    poller: Poller,
    events: PollerEvents,
    clock: SystemClock,
    began: Timestamp,
    exit: Exit,
    progress: ProgressReporter,
    terminal: &'a Terminal,
    /// The polls of interest that have no outcome yet.
    open: HashSet<PollKey>,
    /// The last error of each kind of call to the store, until the call succeeds.
    failures: HashMap<StoreOperation, String>,
}

impl Run<'_> {
    /// Prints the introduction and submits the jobs. Polls that the store has arrive as events.
    async fn begin(&mut self, jobs: Option<Vec<Job>>, introduction: Option<String>) -> anyhow::Result<()> {
        let stored = match self.events.next().await {
            Some(PollerEvent::Started { open }) => open,
            _ => 0,
        };
        if let Some(introduction) = introduction {
            self.progress.message(introduction);
        }
        let joined = match jobs {
            Some(jobs) => self.submit(jobs).await?,
            None => 0,
        };
        let Some(StoreFile { path, .. }) = &self.file else { return Ok(()) };
        let line = match (self.all, stored.saturating_sub(joined)) {
            (true, 0) => format!("{path} has no open poll"),
            (true, stored) => format!("{path}: {}", humanize::count(stored, "open poll")),
            (false, 0) => return Ok(()),
            (false, others) => format!("{} of {path} run along", humanize::count(others, "other open poll")),
        };
        self.progress.message(line);
        Ok(())
    }

    /// Submits the jobs; returns how many of them joined a poll that the store had.
    async fn submit(&mut self, jobs: Vec<Job>) -> anyhow::Result<usize> {
        let scope = self.poller.scope(self.file.as_ref().map_or("", |file| file.scope));
        let fresh = self.file.as_ref().filter(|file| file.fresh).map(|file| file.store.clone());
        let mut submitted = futures_util::stream::iter(jobs)
            .map(|Job { key, spec }| {
                let (scope, fresh) = (&scope, &fresh);
                async move {
                    if let Some(store) = fresh {
                        // This does not remove an open poll; the spec then joins it.
                        store.forget(PollKey::new(scope.name(), &key)).await.map_err(store::plain)?;
                    }
                    let poll = scope.submit(key, spec.clone()).await.map_err(store::poller_error)?;
                    anyhow::Ok((poll, spec))
                }
            })
            .buffered(SUBMISSIONS);
        let mut joined = 0;
        while let Some(result) = submitted.next().await {
            let (poll, spec) = result?;
            joined += usize::from(poll.accepted() == Accepted::Joined);
            self.add_submitted(&poll, &spec).await?;
        }
        Ok(joined)
    }

    async fn add_submitted(&mut self, poll: &PollHandle, spec: &PollSpec) -> anyhow::Result<()> {
        let now = self.clock.now();
        let started = poll.deadline().before(spec.timeout());
        self.add(poll.poll_key(), started, poll.deadline());
        let name = sanitize::excerpt(poll.key(), 80);
        match poll.accepted() {
            Accepted::AlreadyFinished => {
                let outcome = poll.outcome().await.map_err(store::poller_error)?;
                self.progress.message(format_args!(
                    "{name}: {} {} ago; the stored result follows, no request is made (--fresh runs the poll again)",
                    outcome.name(),
                    humanize::age(now.since(outcome.ended_at))
                ));
                self.outcome(poll.poll_key(), &outcome)?;
            }
            Accepted::Joined => self.progress.message(format_args!(
                "{name}: continues; accepted {} ago, {} left",
                humanize::age(now.since(started)),
                humanize::countdown(poll.deadline().since(now))
            )),
            _ => {}
        }
        Ok(())
    }

    /// Adds a poll of interest.
    fn add(&mut self, key: &PollKey, started: Timestamp, deadline: Timestamp) {
        if self.open.insert(key.clone()) {
            self.progress.add_poll(key, started, deadline);
            self.events.set_details(self.progress.wants_details());
        }
    }

    fn event(&mut self, event: PollerEvent) -> anyhow::Result<()> {
        match event {
            PollerEvent::Opened { key, started_at, deadline, .. } if self.all => {
                self.add(&key, started_at, deadline);
            }
            PollerEvent::Poll { key, event: Event::Outcome(outcome) } => {
                if self.all {
                    // A poll that cannot be read from the store has an outcome without having been opened.
                    self.add(&key, outcome.started_at, outcome.ended_at);
                }
                self.outcome(&key, &outcome)?;
            }
            PollerEvent::Poll { key, event } if self.open.contains(&key) => self.progress.event(&key, &event),
            PollerEvent::StoreFailed { operation, error } => self.store_failed(operation, &error),
            PollerEvent::StoreRecovered { operation } => drop(self.failures.remove(&operation)),
            _ => {}
        }
        Ok(())
    }

    /// Prints an outcome, if the poll is of interest.
    fn outcome(&mut self, key: &PollKey, outcome: &Arc<Outcome>) -> anyhow::Result<()> {
        if !self.open.remove(key) {
            return Ok(());
        }
        self.progress.event(key, &Event::Outcome(Arc::clone(outcome)));
        self.exit = self.exit.and(Exit::from(&**outcome));
        match (self.print, &outcome.kind) {
            (Print::Outcomes, _) => {
                self.progress.suspend(|| Keyed::new(key, &**outcome).print(self.terminal))
            }
            (Print::Body, OutcomeKind::Matched { response }) => {
                self.progress.suspend(|| output::body(response.body(), self.terminal))
            }
            (Print::Body, _) => Ok(()),
        }
    }

    /// Prints an error of the store, unless it repeats the previous one.
    fn store_failed(&mut self, operation: StoreOperation, error: &StoreError) {
        let consequence = match operation {
            StoreOperation::Finish => "outcomes wait, and are printed when the store accepts them",
            StoreOperation::Changes | StoreOperation::LoadOpen => {
                "until this is fixed, polls that other processes submit or cancel are not noticed"
            }
            _ => return,
        };
        let message = error.to_string();
        if self.failures.get(&operation) != Some(&message) {
            self.progress.message(format_args!("{message}; {consequence}"));
            self.failures.insert(operation, message);
        }
    }

    /// Handles the first signal: polls in memory are cancelled, a run of a file shuts down.
    async fn interrupt(&mut self, signal: &str) -> anyhow::Result<Option<Shutdown>> {
        if self.file.is_none() {
            self.progress.message(format_args!("{signal}: cancelling; again to end at once"));
            // Concurrently: one after the other, the last of many would keep sending requests meanwhile.
            try_join_all(self.open.iter().map(|key| self.poller.cancel(key.key()))).await?;
            return Ok(None);
        }
        let poller = self.poller.clone();
        let mut shutdown: Shutdown = Box::pin(async move { poller.shutdown().await });
        // Begun before the message, so that the report counts a request that ends after the message as in flight.
        let report = (&mut shutdown).now_or_never();
        self.progress.message(format_args!("{signal}: stopping; again to end at once"));
        Ok(Some(match report {
            Some(report) => Box::pin(std::future::ready(report)),
            None => shutdown,
        }))
    }

    async fn is_done(&self) -> anyhow::Result<bool> {
        Ok(self.open.is_empty() && (!self.all || self.left_open().await? == 0))
    }

    /// The number of open polls in the file, including new ones of other processes.
    async fn left_open(&self) -> anyhow::Result<usize> {
        match &self.file {
            Some(file) => file.store.count_open().await.map_err(store::plain),
            None => Ok(0),
        }
    }

    /// Prints the summary and how to continue; returns the exit code.
    async fn end(self, report: Option<ShutdownReport>) -> anyhow::Result<Exit> {
        let left_open = self.left_open().await?;
        if let (Some(file), Some(report)) = (&self.file, &report) {
            stop_report::print(report, left_open, file.json, &self.progress, self.terminal)?;
        }
        self.progress.summarize(&self.poller.stats(), self.clock.now().since(self.began));
        if let Some(file) = self.file.as_ref().filter(|_| left_open > 0) {
            let named = report.as_ref().map(|report| stop_report::first_polls(report, self.clock.now()));
            let named = named.unwrap_or_default();
            self.progress.message(stop_report::how_to_continue(left_open, &named, &file.path, file.connect));
        }
        Ok(if report.is_some() { self.exit.and(Exit::Cancelled) } else { self.exit })
    }
}

/// A client that may connect to private addresses: the user of the command line wrote the specs.
pub(super) fn client(cacert: Option<&Path>) -> anyhow::Result<HttpClient> {
    let mut client = HttpClient::builder().guard(Guard::local());
    if let Some(path) = cacert {
        let pem = fs::read(path).with_context(|| format!("cannot read --cacert {}", path.display()))?;
        client = client.add_root_pem(&pem).with_context(|| format!("in --cacert {}", path.display()))?;
    }
    Ok(client.build()?)
}
