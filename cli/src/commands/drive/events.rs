//! What the events of the poller change and print, outcomes first of all.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use poller::store::StoreError;
use poller::{Event, Outcome, OutcomeKind, PollKey, PollerEvent, StoreOperation};

use super::super::output::{self, Keyed};
use super::{EndsAll, Plan, Print, Run};
use crate::exit::Exit;
use crate::render::humanize;
use crate::render::progress::{is_failure, lines};

impl Run<'_> {
    pub(super) fn event(&mut self, event: PollerEvent) -> anyhow::Result<()> {
        match event {
            PollerEvent::Opened { key, started_at, deadline, .. } if self.all => {
                self.add(&key, started_at, deadline);
            }
            PollerEvent::Poll { key, event: Event::Outcome(outcome) } => {
                if self.sealed.remove(&key).is_none() && self.all {
                    // A poll that cannot be read from the store has an outcome without having been opened.
                    self.add(&key, outcome.started_at, outcome.ended_at);
                }
                self.outcome(&key, &outcome)?;
            }
            PollerEvent::Poll { key, event } if self.open.contains(&key) => {
                self.plan.progress.event(&key, &event);
            }
            PollerEvent::Sealed { key, seal_key } => {
                let is_new = self.sealed.insert(key, seal_key).is_none();
                self.expected = self.expected.saturating_sub(usize::from(is_new && self.all));
            }
            PollerEvent::Released { key } => {
                if self.open.remove(&key) {
                    self.plan.progress.released(&key);
                }
                self.quotable.remove(&key);
            }
            PollerEvent::StoreFailed { operation, error } => self.store_failed(operation, &error),
            PollerEvent::AllInFlight { in_flight, waiting } => self.plan.progress.message(format_args!(
                "{in_flight} requests are in flight, as many as may be, and {waiting} due polls wait; their servers are slow or silent"
            )),
            PollerEvent::ClockSet { forward, duration } => self.clock_set("this machine", forward, duration),
            PollerEvent::StoreClockSet { forward, duration } => {
                self.clock_set("the database", forward, duration);
            }
            PollerEvent::Slept { duration } => self.plan.progress.message(format_args!(
                "this machine slept for {}; no request was made meanwhile",
                humanize::age(duration)
            )),
            PollerEvent::StoreRecovered { operation } => drop(self.failures.remove(&operation)),
            _ => {}
        }
        Ok(())
    }

    fn clock_set(&self, whose: &str, forward: bool, duration: Duration) {
        let (to, age) = (if forward { "forward" } else { "back" }, humanize::age(duration));
        self.plan.progress.message(format_args!(
            "the clock of {whose} was set {to} by {age}; polls keep their pace and their deadlines"
        ));
    }

    /// Prints an outcome, if the poll is of interest.
    pub(super) fn outcome(&mut self, key: &PollKey, outcome: &Arc<Outcome>) -> anyhow::Result<()> {
        if !self.open.remove(key) {
            return Ok(());
        }
        // After the outcome that ended the run, the others change nothing.
        if !self.all_ended {
            self.exit = self.exit.max(Exit::from(&**outcome));
        }
        let due = match (self.plan.ends_all, &outcome.kind) {
            (EndsAll::Match, OutcomeKind::Matched { .. }) if !self.all_ended => {
                // The match is the result, whatever other polls came to before.
                self.exit = Exit::Success;
                true
            }
            (EndsAll::Failure, _) => is_failure(outcome),
            _ => false,
        };
        self.all_ended |= due;

        let excerpt = match self.quotable.remove(key) {
            true => self.plan.progress.excerpt(outcome, |text| self.secrets.hide(text)),
            false => String::new(),
        };
        if let Some(junit) = &mut self.plan.report {
            junit.add(key, outcome, &excerpt);
        }
        let Plan { print, terminal, .. } = self.plan;
        // A line for people on standard output need not appear on the same terminal twice.
        let elsewhere = print == Print::Lines && terminal.stderr;
        self.plan.progress.outcome(key, outcome, &excerpt, elsewhere);
        self.plan.progress.suspend(|| match (print, &outcome.kind) {
            (Print::Outcomes { bodies: true }, _) => output::json(&Keyed::new(key, &**outcome), terminal),
            (Print::Outcomes { bodies: false }, _) => {
                output::json(&Keyed::new(key, output::without_body(outcome)?), terminal)
            }
            (Print::Lines, _) => {
                let line = lines::outcome(outcome, Some(&key.to_string()), terminal.stdout_paint);
                output::text(&format!("{line}{excerpt}"))
            }
            (Print::Body, OutcomeKind::Matched { response }) => output::body(response.body(), terminal),
            (Print::Body, _) => Ok(()),
        })
    }

    /// Cancels the other polls once an outcome has ended the run.
    pub(super) async fn end_all_if_due(&mut self) -> anyhow::Result<()> {
        if !self.all_ended || self.open.is_empty() || self.plan.ends_all == EndsAll::Never {
            return Ok(());
        }
        let why = if self.plan.ends_all == EndsAll::Match { "one matches" } else { "one did not match" };
        self.plan.ends_all = EndsAll::Never;
        self.plan.progress.message(format_args!("{why}: the others end"));
        try_join_all(self.open.iter().map(|key| self.poller.cancel(key.key()))).await?;
        Ok(())
    }

    /// Prints an error of the store, unless it repeats the previous one.
    fn store_failed(&mut self, operation: StoreOperation, error: &StoreError) {
        if error.is_unusable() {
            self.lost.get_or_insert_with(|| error.clone());
            return;
        }
        let consequence = match operation {
            StoreOperation::Finish => "outcomes wait, and are printed when the store accepts them",
            StoreOperation::Changes | StoreOperation::LoadOpen => {
                "until this is fixed, polls that other processes submit or cancel are not noticed"
            }
            _ => return,
        };
        let message = error.to_string();
        if self.failures.get(&operation) != Some(&message) {
            self.plan.progress.message(format_args!("{message}; {consequence}"));
            self.failures.insert(operation, message);
        }
    }
}
