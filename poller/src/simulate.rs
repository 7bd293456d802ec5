//! A simulation of the engine's core at full speed, for benchmarks; not part of the public interface.
//!
//! Core, state machines and judging are those of production; clock, store and network are simulated. Every response takes
//! the same time and does not match.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::engine::core::Core;
use crate::engine::effect::{Effect, StartRequest};
use crate::engine::{PollId, Ticket};
use crate::job::PollSpec;
use crate::judge;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::redact::Secrets;
use crate::response::RecordedResponse;
use crate::store::Creation;

/// The input of a simulation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of polls, submitted evenly over the first interval.
    pub polls: u64,
    /// The spec of each poll; the number of the poll is appended to its URL.
    pub spec: PollSpec,
    /// The response time.
    pub latency: Duration,
    /// The body of every response; it should not match.
    pub body: Bytes,
}

/// The result of a simulation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Requests sent.
    pub requests: u64,
    /// Polls with an outcome.
    pub outcomes: u64,
    /// The longest delay between due time and request.
    pub latest: Duration,
    /// The simulated time.
    pub simulated: Duration,
}

/// Runs all polls of `plan` to their end.
///
/// # Panics
/// If the URL of the spec with a number appended is not a URL.
#[must_use]
pub fn run(plan: &Plan) -> Report {
    let mut limits = Limits::unbounded();
    (limits.in_flight, limits.per_origin) = (usize::MAX, usize::MAX);
    limits.open_polls = usize::MAX;
    let start = Timestamp::from_micros(1_700_000_000_000_000);
    let mut world = World {
        core: Core::new(limits, retry::Rng::seeded(1)),
        response: RecordedResponse::new(200, [("content-type", "application/json")], plan.body.clone()),
        latency: plan.latency,
        effects: Vec::new(),
        created: Vec::new(),
        ended: Vec::new(),
        replies: VecDeque::new(),
        report: Report::default(),
    };
    let step = plan.spec.interval().first().as_nanos() / u128::from(plan.polls.max(1));
    let mut submitted = 0;
    let mut now = start;
    loop {
        let submit = (submitted < plan.polls).then(|| {
            let after = u64::try_from(u128::from(submitted) * step).unwrap_or(u64::MAX);
            start + Duration::from_nanos(after)
        });
        let reply = world.replies.front().map(|(at, _)| *at);
        let Some(next) = [submit, reply, world.core.next_wake()].into_iter().flatten().min() else { break };
        now = now.max(next);
        if submit == Some(next) {
            let spec = plan.spec.with_url(&format!("{}{submitted}", plan.spec.url_text()));
            let spec = spec.expect("invariant: a URL with a number after it is one");
            // The answers are dropped, so all tickets may be equal.
            world.core.submit(Ticket(0), PollKey::new("", format!("poll-{submitted}")), spec, now);
            submitted += 1;
        }
        while let Some((at, request)) = world.replies.pop_front_if(|(at, _)| *at <= now) {
            let StartRequest { id, spec, last, .. } = request;
            let context = judge::Context {
                spec: &spec,
                asked: spec.url_text(),
                landed: None,
                secrets: &Secrets::default(),
                previous: last.as_ref(),
                now: at.to_system_time(),
            };
            let judgement = judge::judge_fully(&context, world.response.clone());
            drop((spec, last));
            world.core.attempted(id, judgement, at, now);
            world.carry_out(now);
        }
        world.core.tick(now);
        world.carry_out(now);
    }
    world.report.simulated = now.since(start);
    world.report
}

struct World {
    core: Core,
    response: RecordedResponse,
    latency: Duration,
    effects: Vec<Effect>,
    created: Vec<PollId>,
    ended: Vec<(PollId, Arc<crate::outcome::Outcome>)>,
    /// The requests in flight and the times of their replies, in order, because all take the same time.
    replies: VecDeque<(Timestamp, StartRequest)>,
    report: Report,
}

impl World {
    fn carry_out(&mut self, now: Timestamp) {
        loop {
            self.core.take_effects(&mut self.effects);
            for effect in self.effects.drain(..) {
                match effect {
                    Effect::StartRequest(request) => {
                        self.report.requests += 1;
                        let late = request.lateness.unwrap_or_default() + request.held;
                        self.report.latest = self.report.latest.max(late);
                        self.replies.push_back(((now + self.latency).min(request.cut), request));
                    }
                    Effect::Create { id, .. } => self.created.push(id),
                    Effect::SaveOutcome { id, outcome, .. } => self.ended.push((id, outcome)),
                    // Its replies have no links.
                    Effect::SaveLink { .. }
                    | Effect::Abort { .. }
                    | Effect::Attempted { .. }
                    | Effect::Notify { .. }
                    | Effect::Held { .. }
                    | Effect::Answer { .. } => {}
                }
            }
            if self.created.is_empty() && self.ended.is_empty() {
                return;
            }
            for id in self.created.drain(..) {
                self.core.created(id, Ok(Creation::Created), false, now);
            }
            for (id, outcome) in self.ended.drain(..) {
                self.report.outcomes += 1;
                self.core.outcome_saved(id, Ok(outcome), now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_poll_sends_on_every_tick_and_ends() {
        let spec = PollSpec::builder("https://api.example.com/v1/exports/")
            .interval(Duration::from_secs(30))
            .timeout(Duration::from_secs(3600))
            .response_filter(serde_json::json!({"body": {"status": ["SUCCESS"]}}))
            .build()
            .unwrap();
        let body = Bytes::from_static(br#"{"status":"PENDING"}"#);
        let report = run(&Plan { polls: 100, spec, latency: Duration::from_millis(50), body });
        assert_eq!((report.requests, report.outcomes, report.latest), (100 * 120, 100, Duration::ZERO));
        assert_eq!(report.simulated, Duration::from_secs(3600) + Duration::from_millis(29_700));
    }
}
