//! The engine's core at full speed: as many polls as wanted through as long as wanted, with nothing real deps it.
//!
//! For benchmarks, behind the feature `simulate`, and no part of the public interface. The core, the state machines and
//! the judging are those that run in production; only the clock, the store and the network are played. Every response
//! takes the same time and says that the job goes on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::engine::PollId;
use crate::engine::core::Core;
use crate::engine::effect::{Effect, StartRequest, Ticket};
use crate::job::PollSpec;
use crate::judge;
use crate::key::PollKey;
use crate::limits::Limits;
use crate::redact::Secrets;
use crate::response::RecordedResponse;
use crate::store::Creation;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many polls there are. They are submitted one after the other during the first interval.
    pub polls: u64,
    /// What each asks for, but for the URL, which gets the number of the poll.
    pub spec: PollSpec,
    /// How long every response takes.
    pub latency: Duration,
    /// The body of every response; it should not match.
    pub body: Bytes,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Requests sent.
    pub requests: u64,
    /// Polls that came to an outcome.
    pub outcomes: u64,
    /// The longest that a request was sent after it was due.
    pub latest: Duration,
    /// How long it took by the simulated clock.
    pub simulated: Duration,
}

struct Reply {
    at: Timestamp,
    send: StartRequest,
}

/// Runs all polls of `plan` to their end.
///
/// # Panics
/// If a URL made from the spec's is none.
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
        finished: Vec::new(),
        replies: VecDeque::new(),
        report: Report::default(),
    };
    let step = plan.spec.interval().as_nanos() / u128::from(plan.polls.max(1));
    let mut submitted = 0;
    let mut now = start;
    loop {
        let submit = (submitted < plan.polls).then(|| {
            let after = u64::try_from(u128::from(submitted) * step).unwrap_or(u64::MAX);
            start + Duration::from_nanos(after)
        });
        let reply = world.replies.front().map(|reply| reply.at);
        let Some(next) = [submit, reply, world.core.next_wake()].into_iter().flatten().min() else { break };
        now = now.max(next);
        if submit == Some(next) {
            let spec = plan.spec.with_url(&format!("{}{submitted}", plan.spec.url_text()));
            let spec = spec.expect("invariant: a URL with a number after it is one");
            // Nobody waits for the answers.
            world.core.submit(Ticket(0), PollKey::new("", format!("poll-{submitted}")), spec, now);
            submitted += 1;
        }
        while let Some(reply) = world.replies.pop_front_if(|reply| reply.at <= now) {
            let StartRequest { id, spec, last, .. } = reply.send;
            let judgement = judge::judge(
                &spec,
                world.response.clone(),
                &Secrets::default(),
                last.as_ref(),
                reply.at.to_system_time(),
            );
            drop((spec, last));
            world.core.attempted(id, judgement, reply.at, now);
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
    finished: Vec<(PollId, Arc<crate::outcome::Outcome>)>,
    /// All take the same time, so they come in the order in which they were asked for.
    replies: VecDeque<Reply>,
    report: Report,
}

impl World {
    fn carry_out(&mut self, now: Timestamp) {
        loop {
            self.core.take_effects(&mut self.effects);
            for effect in self.effects.drain(..) {
                match effect {
                    Effect::StartRequest(send) => {
                        self.report.requests += 1;
                        let late = send.punctuality.lateness.unwrap_or_default() + send.punctuality.held;
                        self.report.latest = self.report.latest.max(late);
                        self.replies.push_back(Reply { at: (now + self.latency).min(send.cut), send });
                    }
                    Effect::Create { id, .. } => self.created.push(id),
                    Effect::SaveOutcome { id, outcome, .. } => self.finished.push((id, outcome)),
                    Effect::Abort { .. }
                    | Effect::Attempted { .. }
                    | Effect::Tell { .. }
                    | Effect::Held { .. }
                    | Effect::Answer { .. } => {}
                }
            }
            if self.created.is_empty() && self.finished.is_empty() {
                return;
            }
            for id in self.created.drain(..) {
                self.core.created(id, Ok(Creation::Created), now);
            }
            for (id, outcome) in self.finished.drain(..) {
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
    fn every_poll_is_asked_on_every_tick_and_ends() {
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
