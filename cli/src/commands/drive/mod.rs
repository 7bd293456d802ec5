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

mod events;
mod jobs;
mod submission;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{OptionFuture, try_join_all};
use poller::http::HttpClient;
use poller::secret::SecretRule;
use poller::store::StoreError;
use poller::{
    Clock, Limits, OLD_SEAL_KEYS_VARIABLE, PollKey, Poller, PollerEvents, SEAL_KEY_VARIABLE, ShutdownReport,
    StoreOperation, SystemClock, Timestamp,
};
use tokio::time::MissedTickBehavior;

pub(super) use self::jobs::Jobs;
use super::junit::JunitReport;
use super::seen_secrets::{SeenSecrets, add_needed};
use super::store::stop_report;
use super::{AlreadyReported, connect, service_manager, signals, store};
use crate::args::ConnectArgs;
use crate::exit::Exit;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

/// How often the progress line is redrawn.
const REDRAW: Duration = Duration::from_millis(100);

/// What is written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    /// The body of the response that matched, verbatim; for one poll.
    Body,
    /// Every outcome, one line of JSON each, with the bodies of responses or without.
    Outcomes { bodies: bool },
    /// Every outcome, one line for people each.
    Lines,
}

impl Print {
    /// For several polls: JSON for programs, and with `--json`; lines for a person at a terminal.
    pub(super) fn several(json: bool, terminal: &Terminal) -> Self {
        if terminal.stdout && !json { Self::Lines } else { Self::Outcomes { bodies: true } }
    }
}

/// Which outcome of one poll ends the other polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndsAll {
    /// None: every poll gets its own outcome.
    Never,
    /// The first match; the run succeeds then.
    Match,
    /// The first poll that fails or times out.
    Failure,
}

/// Polls and how to run them.
pub(super) struct Plan<'a> {
    /// The polls to submit; `None` runs all open polls of the file.
    pub(super) jobs: Option<Jobs<'a>>,
    /// The first line of progress.
    pub(super) introduction: Option<String>,
    pub(super) print: Print,
    pub(super) ends_all: EndsAll,
    /// Where the outcomes are written as JUnit XML.
    pub(super) report: Option<JunitReport>,
    pub(super) limits: Limits,
    pub(super) connect: &'a ConnectArgs,
    /// The store; polls are kept in memory without it.
    pub(super) file: Option<StoreFile<'a>>,
    pub(super) progress: ProgressReporter,
    pub(super) terminal: &'a Terminal,
}

impl Plan<'_> {
    /// Whether the end of the last poll is not the end of the run.
    fn keeps(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.keep)
    }
}

/// A store that polls are kept in.
pub(super) struct StoreFile<'a> {
    pub(super) store: store::OpenStore,
    /// The path, quoted for the shell.
    pub(super) path: String,
    pub(super) scope: &'a str,
    /// Forget finished polls of the same keys first.
    pub(super) fresh: bool,
    /// Print a JSON object about polls that a signal leaves open.
    pub(super) json: bool,
    /// Run until a signal, also when no poll is open.
    pub(super) keep: bool,
    /// The secrets that polls of the store may use.
    pub(super) allow_secrets: Vec<SecretRule>,
}

/// Runs the polls until all have outcomes or a signal stops the run.
pub(super) async fn drive(mut plan: Plan<'_>) -> anyhow::Result<Exit> {
    let client = plan.progress.suspend(|| connect::client(plan.connect, plan.terminal))?;
    let Checked { named, needed, present } = match &mut plan.jobs {
        Some(jobs) => check(jobs, plan.file.as_ref(), &client, plan.terminal).await?,
        None => Checked::default(),
    };
    // Before the first request, so that a signal is never handled by its default action.
    let mut interrupted = signals::listen(plan.progress.clear_callback(), plan.keeps())?;
    plan.limits.open_polls = plan.limits.open_polls.max(plan.jobs.as_ref().map_or(0, Jobs::count));
    let builder = Poller::builder().limits(plan.limits.clone()).fetch(client);
    let (clock, secrets, builder) = match &mut plan.file {
        None => {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            (clock, SeenSecrets::of_command_line(), builder)
        }
        Some(file) => {
            let secrets = SeenSecrets::of_store(named, &file.allow_secrets);
            // Who goes on without naming the specs again must allow what they use.
            let new: Vec<_> = needed.into_iter().filter(|rule| !file.allow_secrets.contains(rule)).collect();
            file.allow_secrets.extend(new);
            (store::clock(&file.store), secrets, builder.store(file.store.clone()))
        }
    };
    let builder = builder.clock(Arc::clone(&clock)).secrets(secrets.clone());
    let (poller, events) = builder.build_with_events().await.map_err(store::poller_error)?;
    let mut run = Run {
        all: plan.jobs.is_none() || plan.keeps(),
        plan,
        all_ended: false,
        secrets,
        quotable: HashSet::new(),
        poller,
        events,
        began: clock.now(),
        clock: Arc::clone(&clock),
        exit: Exit::Success,
        open: HashSet::new(),
        failures: HashMap::new(),
        expected: 0,
        sealed: HashMap::new(),
        lost: None,
    };
    run.begin(present).await?;

    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut signalled, mut ended, mut shutdown, mut report) = (false, false, None, None);
    while shutdown.is_some() || !run.is_done().await? {
        tokio::select! {
            // Events before the report of a shutdown, which follows from them.
            biased;
            _ = redraw.tick(), if run.plan.progress.needs_ticks() => {
                run.plan.progress.tick(clock.now(), &run.poller.stats());
            }
            event = run.events.next(), if !ended => match event {
                Some(event) => {
                    run.event(event)?;
                    run.end_all_if_due().await?;
                }
                None => {
                    if let Some(error) = run.lost {
                        return Err(store::plain(error));
                    }
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

/// What was learned of jobs that can be submitted.
#[derive(Default)]
struct Checked {
    /// Those with secrets, which may be resolved.
    named: HashSet<PollKey>,
    /// The rules for these secrets.
    needed: Vec<SecretRule>,
    /// Whether the store has some of the polls.
    present: bool,
}

/// Checks the jobs before one of them is submitted.
async fn check(
    jobs: &mut Jobs<'_>,
    file: Option<&StoreFile<'_>>,
    client: &HttpClient,
    terminal: &Terminal,
) -> anyhow::Result<Checked> {
    let mut checked = Checked::default();
    let Some(file) = file else {
        for jobs in jobs.batches() {
            if let Some(job) = jobs?.iter().find(|job| job.spec.on_outcome().is_some()) {
                anyhow::bail!(
                    "{}: onOutcome needs --store, because a webhook is tried for a day and this command ends with its polls",
                    sanitize::excerpt(&job.key, 80)
                );
            }
        }
        return Ok(checked);
    };
    let store = store::PresentStore::Open(&file.store);
    let mut checking = store::Checking::new(store, file.scope, file.fresh, client, terminal);
    let mut well = true;
    for jobs in jobs.batches() {
        let jobs = jobs?;
        for job in &jobs {
            if add_needed(&mut checked.needed, &job.spec) {
                checked.named.insert(PollKey::new(file.scope, job.key.as_str()));
            }
        }
        well &= checking.check(jobs).await?;
    }
    well &= checking.check(Vec::new()).await?;
    anyhow::ensure!(well, AlreadyReported);
    checked.present = checking.present > 0;
    Ok(checked)
}

/// The report of a shutdown that has begun.
type Shutdown = std::pin::Pin<Box<dyn Future<Output = ShutdownReport> + Send>>;

struct Run<'a> {
    /// Its jobs are submitted at the beginning.
    plan: Plan<'a>,
    /// All open polls of the file are of interest, not only the submitted ones.
    all: bool,
    /// An outcome has ended the run: the other polls are cancelled, and those outcomes do not count.
    all_ended: bool,
    secrets: SeenSecrets,
    /// The polls whose responses may be quoted, because all secrets of their requests are known.
    quotable: HashSet<PollKey>,
    poller: Poller,
    events: PollerEvents,
    clock: Arc<dyn Clock>,
    began: Timestamp,
    exit: Exit,
    /// The polls of interest that have no outcome yet.
    open: HashSet<PollKey>,
    /// The last error of each kind of call to the store, until the call succeeds.
    failures: HashMap<StoreOperation, String>,
    /// How many polls that the file had at the start have not arrived as events yet, if all of them are of interest. The
    /// store may have ended one before its event arrives, because it could not read it.
    expected: usize,
    /// The open polls of the file that are not run, because their secrets are sealed with a key that is not there: the ids of
    /// the keys.
    sealed: HashMap<PollKey, Box<str>>,
    /// The error after which the store can keep nothing; the poller has stopped then.
    lost: Option<StoreError>,
}

impl Run<'_> {
    /// Handles the first signal: polls in memory are cancelled, a run of a file shuts down.
    async fn interrupt(&mut self, signal: &str) -> anyhow::Result<Option<Shutdown>> {
        if self.plan.file.is_none() {
            self.plan.progress.message(format_args!("{signal}: cancelling; again to end at once"));
            // Concurrently: one after the other, the last of many would keep sending requests meanwhile.
            try_join_all(self.open.iter().map(|key| self.poller.cancel(key.key()))).await?;
            return Ok(None);
        }
        let poller = self.poller.clone();
        let mut shutdown: Shutdown = Box::pin(async move { poller.shutdown().await });
        // Begun before the message, so that the report counts a request that ends after the message as in flight.
        let report = (&mut shutdown).now_or_never();
        if self.plan.keeps() {
            service_manager::stopping();
        }
        self.plan.progress.message(format_args!("{signal}: stopping; again to end at once"));
        Ok(Some(match report {
            Some(report) => Box::pin(std::future::ready(report)),
            None => shutdown,
        }))
    }

    async fn is_done(&self) -> anyhow::Result<bool> {
        Ok(!self.plan.keeps()
            && self.open.is_empty()
            && self.expected == 0
            && (!self.all || self.left_open().await? <= self.sealed.len()))
    }

    /// The number of open polls in the file, including new ones of other processes.
    async fn left_open(&self) -> anyhow::Result<usize> {
        match &self.plan.file {
            Some(file) => file.store.count_open().await.map_err(store::plain),
            None => Ok(0),
        }
    }

    /// Prints the summary and how to continue; returns the exit code.
    async fn end(self, report: Option<ShutdownReport>) -> anyhow::Result<Exit> {
        let left_open = self.left_open().await?;
        let keeps = self.plan.keeps();
        let Plan { file, report: junit, connect, progress, terminal, .. } = self.plan;
        if let (Some(file), Some(report)) = (&file, &report) {
            stop_report::print(report, left_open, file.json, &progress, terminal)?;
        }
        let elapsed = self.clock.now().since(self.began);
        progress.summarize(&self.poller.stats(), elapsed);
        if let Some(mut junit) = junit {
            let mut open: Vec<_> = self.open.iter().collect();
            open.sort();
            open.into_iter().for_each(|key| junit.add_open(key));
            junit.write(elapsed)?;
        }
        if let Some(file) = file.filter(|_| left_open > 0) {
            let named = report.as_ref().map(|report| stop_report::first_polls(report, self.clock.now()));
            let named = named.unwrap_or_default();
            progress.message(stop_report::how_to_continue(left_open, &named, &file, connect));
        }
        if let Some(message) = sealed_message(&self.sealed) {
            progress.message(message);
        }
        Ok(match report {
            // To be stopped is how a service ends, whatever came of its polls.
            Some(_) if keeps => Exit::Success,
            Some(_) => self.exit.max(Exit::Cancelled),
            None if self.all && !self.sealed.is_empty() => Exit::Error,
            None => self.exit,
        })
    }
}

/// `1 poll was not run (export-42): its secrets are sealed with the key 1a2b3c4d; set POLL_SEAL_KEY …`
fn sealed_message(sealed: &HashMap<PollKey, Box<str>>) -> Option<String> {
    let mut names: Vec<String> = sealed.keys().map(|key| sanitize::excerpt(&key.to_string(), 40)).collect();
    let first = sealed.values().min()?;
    names.sort();
    let more = if names.len() > 3 { ", …" } else { "" };
    names.truncate(3);
    let (were, whose) = if sealed.len() == 1 { ("was", "its") } else { ("were", "their") };
    Some(format!(
        "{} {were} not run ({}{more}): {whose} secrets are sealed with the key {}, which is not there; set {SEAL_KEY_VARIABLE} to it, \
         or add it to {OLD_SEAL_KEYS_VARIABLE}",
        humanize::count(sealed.len(), "poll"),
        names.join(", "),
        sanitize::excerpt(first, 20),
    ))
}
