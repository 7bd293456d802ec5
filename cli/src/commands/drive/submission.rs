//! The beginning of a run: what is said of it, and the submission of its jobs.

use std::sync::Arc;

use futures_util::StreamExt as _;
use poller::store::{Store as _, StoreAdmin as _, StoredPoll};
use poller::{Accepted, Outcome, PollHandle, PollKey, PollSpec, PollerEvent, Timestamp};

use super::super::specs::Job;
use super::super::{service_manager, store};
use super::{Jobs, Run, StoreFile};
use crate::render::listing::Listed;
use crate::render::{humanize, sanitize};

/// The number of submissions under way at once. Submissions in one transaction share its sync.
const SUBMISSIONS: usize = 4096;

/// The number of outcomes that are read at once. Each may be as long as a response may be.
const OUTCOMES: usize = 64;

impl Run<'_> {
    /// Prints the introduction and submits the jobs. Polls that the store has arrive as events. `present`: the store has some of the
    /// jobs.
    pub(super) async fn begin(&mut self, present: bool) -> anyhow::Result<()> {
        let stored = match self.events.next().await {
            Some(PollerEvent::Started { open }) => open,
            _ => 0,
        };
        self.expected = if self.all { stored } else { 0 };
        if let Some(introduction) = self.plan.introduction.take() {
            self.plan.progress.message(introduction);
        }
        if self.plan.limits.spread {
            self.plan.progress.message(store::submit::SPREAD);
        }
        let joined = match self.plan.jobs.take() {
            Some(jobs) => self.submit(jobs, present).await?,
            None => 0,
        };
        let Some(StoreFile { path, .. }) = &self.plan.file else { return Ok(()) };
        if self.plan.keeps() {
            self.plan.progress.message(format_args!(
                "{path}: {}; new ones are taken on within a second (poll submit --store {path}), until Ctrl-C or SIGTERM",
                humanize::count(stored, "open poll")
            ));
            service_manager::ready(stored);
            return Ok(());
        }
        let line = match (self.all, stored.saturating_sub(joined)) {
            (true, 0) => format!("{path} has no open poll"),
            (true, stored) => format!("{path}: {}", humanize::count(stored, "open poll")),
            (false, 0) => return Ok(()),
            (false, others) => format!("{} of {path} run along", humanize::count(others, "other open poll")),
        };
        self.plan.progress.message(line);
        Ok(())
    }

    /// Submits the jobs; returns how many of them joined a poll that the store had.
    async fn submit(&mut self, mut jobs: Jobs<'_>, present: bool) -> anyhow::Result<usize> {
        let mut joined = 0;
        let mut waiting = Vec::new();
        for batch in jobs.batches() {
            waiting.append(&mut match present {
                true => self.tell_finished(batch?).await?,
                false => batch?,
            });
            if waiting.len() >= SUBMISSIONS {
                joined += self.submit_all(std::mem::take(&mut waiting)).await?;
            }
        }
        Ok(joined + self.submit_all(waiting).await?)
    }

    /// Prints the outcomes of the jobs whose polls have ended; returns the others. The engine, which would have to be asked for each,
    /// has nothing to do with finished polls.
    async fn tell_finished(&mut self, jobs: Vec<Job>) -> anyhow::Result<Vec<Job>> {
        let Some(file) = self.plan.file.as_ref().filter(|file| !file.fresh) else { return Ok(jobs) };
        let (store, scope) = (file.store.clone(), file.scope);
        let mut others = Vec::new();
        for jobs in jobs.chunks(OUTCOMES) {
            let keys = jobs.iter().map(|job| PollKey::new(scope, job.key.as_str())).collect();
            let found = store.get_all(keys).await.map_err(store::plain)?;
            for (job, found) in jobs.iter().zip(found) {
                match found {
                    // What has changed since it was checked is for the engine to refuse.
                    Some(StoredPoll { key, spec, created_at, outcome: Some(outcome), .. })
                        if spec.differences(&job.spec).is_empty() =>
                    {
                        self.add(&key, created_at, created_at + spec.timeout());
                        self.tell_stored(&key, &outcome)?;
                    }
                    _ => others.push(job.clone()),
                }
            }
        }
        Ok(others)
    }

    /// Submits jobs together; returns how many of them joined a poll that the store had.
    async fn submit_all(&mut self, jobs: Vec<Job>) -> anyhow::Result<usize> {
        let scope = self.poller.scope(self.plan.file.as_ref().map_or("", |file| file.scope));
        let fresh = self.plan.file.as_ref().filter(|file| file.fresh).map(|file| file.store.clone());
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
        // The secrets of a finished poll may have been replaced since.
        if poll.accepted() != Accepted::AlreadyFinished && self.plan.progress.quotes() {
            self.secrets.add_spec(spec);
            self.quotable.insert(poll.poll_key().clone());
        }
        match poll.accepted() {
            Accepted::AlreadyFinished => {
                let outcome = poll.outcome().await.map_err(store::poller_error)?;
                self.tell_stored(poll.poll_key(), &outcome)?;
            }
            Accepted::Joined => self.note(format_args!(
                "{}: continues; accepted {} ago, {} left",
                sanitize::excerpt(poll.key(), 80),
                humanize::age(now.since(started)),
                humanize::countdown(poll.deadline().since(now))
            )),
            _ => {}
        }
        Ok(())
    }

    /// Prints the outcome of a poll that had ended before.
    fn tell_stored(&mut self, key: &PollKey, outcome: &Arc<Outcome>) -> anyhow::Result<()> {
        self.note(format_args!(
            "{}: {} {} ago; the stored result follows, no request is made (--fresh runs the poll again)",
            sanitize::excerpt(key.key(), 80),
            outcome.name(),
            humanize::age(self.clock.now().since(outcome.ended_at))
        ));
        self.outcome(key, outcome)
    }

    /// Prints a line about one poll of many.
    fn note(&self, line: impl std::fmt::Display) {
        // What would not be printed anyway is not counted as left out.
        if !self.plan.progress.is_quiet() && self.plan.terminal.listing.lists(Listed::Note, 1) {
            self.plan.progress.message(line);
        }
    }

    /// Adds a poll of interest.
    pub(super) fn add(&mut self, key: &PollKey, started: Timestamp, deadline: Timestamp) {
        if self.open.insert(key.clone()) {
            self.expected = self.expected.saturating_sub(1);
            self.plan.progress.add_poll(key, started, deadline);
            self.events.set_details(self.plan.progress.wants_details());
        }
    }
}
