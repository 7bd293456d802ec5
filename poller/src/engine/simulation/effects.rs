//! The core's effects, carried out at times and with results drawn from the seed.

use super::incident::Incident;
use super::script::{Reply, pick, random_reply};
use super::{LAG, SECOND, World, index, key};
use crate::engine::effect::{Effect, StartRequest, Submitted};
use crate::event::Event;
use crate::judge::{self, Judgement};
use crate::outcome::JudgementKind;
use crate::redact::Secrets;

impl World {
    pub(super) fn carry_out(&mut self) {
        let mut effects = Vec::new();
        if let Some(core) = &mut self.core {
            core.take_effects(&mut effects);
        }
        for effect in effects {
            if self.faults && pick(&mut self.dice, 400) == 0 {
                self.counts.torn += 1;
                self.crash();
            }
            if self.core.is_none() {
                return;
            }
            match effect {
                Effect::Create { id, poll } => {
                    self.ids.insert(id, index(&poll.key));
                    let (delay, fails) = self.store_reply(6);
                    self.later(delay, Incident::Created { id, poll, fails });
                }
                Effect::SaveOutcome { id, key, outcome } => {
                    let poll = self.ids[&id];
                    self.asked_to_save = self.time();
                    self.observed[poll].unsaved = None;
                    if !std::mem::replace(&mut self.observed[poll].ending, true) {
                        self.check_outcome(poll, &outcome);
                    }
                    let (delay, fails) = self.store_reply(3);
                    self.later(delay, Incident::Finished { id, key, outcome, fails });
                }
                Effect::SaveLink { id, key, url } => {
                    self.counts.links += 1;
                    self.asked_to_save = self.time();
                    self.observed[self.ids[&id]].linking = true;
                    let (delay, fails) = self.store_reply(4);
                    self.later(delay, Incident::Linked { id, key, url, fails });
                }
                Effect::StartRequest(request) => self.send(&request),
                Effect::Abort { id } => {
                    let poll = self.ids[&id];
                    assert!(
                        self.observed[poll].in_flight.take().is_some(),
                        "only a request in flight is aborted"
                    );
                }
                Effect::Attempted { id, number, record } => {
                    self.notify(self.ids[&id], Event::Attempted(record.into_attempt(number)));
                }
                Effect::Notify { id, event } => self.notify(self.ids[&id], event),
                Effect::Held { queue, reach, .. } => {
                    for (id, poll) in self.ids.clone() {
                        if let Some(event) =
                            self.core.as_ref().and_then(|core| core.held_in(queue, reach, id))
                        {
                            self.notify(poll, event);
                        }
                    }
                }
                Effect::Answer { ticket, answer } => {
                    let poll = self.tickets.remove(&ticket).expect("each ticket is answered once");
                    match answer {
                        Ok(Submitted::Open { .. }) => {
                            assert!(self.store.contains_key(&key(poll)), "acknowledged before it was stored");
                            self.observed[poll].acknowledged = true;
                        }
                        Ok(Submitted::Finished { outcome, .. }) => self.outcome_reported(poll, outcome),
                        Ok(Submitted::Elsewhere { .. }) => unreachable!("this store has one runner"),
                        Err(_) => {}
                    }
                }
            }
        }
        self.check_caps();
    }

    /// The delay of the next reply of the store, and whether it is an error.
    pub(super) fn store_reply(&mut self, fails_one_in: usize) -> (u64, bool) {
        let slow = self.faults && pick(&mut self.dice, 20) == 0;
        let delay = self.up_to(if slow { 60 * SECOND } else { SECOND });
        let down = self.now + delay < self.store_down_until;
        (delay, self.faults && (down || pick(&mut self.dice, fails_one_in) == 0))
    }

    fn send(&mut self, request: &StartRequest) {
        let StartRequest { id, ref spec, cut, ref last, .. } = *request;
        let poll = self.ids[&id];
        let now = self.time();
        self.check_request(poll, request);
        let announced = self.observed[poll].next.flatten().map(|next| next.at).or(self.observed[poll].first);
        self.counts.hastened += u32::from(announced.is_some_and(|at| now < at));
        self.requests += 1;
        self.observed[poll].in_flight = Some(self.requests);
        self.counts.sent += 1;
        self.observed[poll].linking = false;
        self.observed[poll].called = None;
        if now >= self.observed[poll].start + spec.timeout() {
            self.observed[poll].looked = Some(self.life);
            self.counts.looks += 1;
        }
        let (reply, joined) = match self.under_way(poll) {
            Some(reply) if pick(&mut self.dice, 2) == 0 => (reply, true),
            _ => (random_reply(&mut self.dice, now), false),
        };
        self.counts.joined += u32::from(joined);
        self.counts.hung += u32::from(reply.at >= cut);
        let ends = reply.at.min(cut);
        let judgement = match reply.result.clone() {
            // The last byte may arrive exactly at the cut.
            _ if reply.at >= cut && pick(&mut self.dice, 4) > 0 => judge::timed_out(cut.since(now)),
            Ok(response) => {
                let asked = request.followed.as_deref().unwrap_or_else(|| spec.url_text());
                let (secrets, now) = (Secrets::default(), ends.to_system_time());
                let previous = last.as_ref();
                let context = judge::Context { spec, asked, landed: None, secrets: &secrets, previous, now };
                judge::judge_fully(&context, response)
            }
            Err(error) => Judgement::Error(error),
        };
        self.observed[poll].reply = Some(reply);
        let lag = if pick(&mut self.dice, 2) == 0 { 0 } else { self.up_to(crate::clock::micros(LAG)) };
        let delay = ends.as_micros() - now.as_micros() + lag;
        let (request, judgement) = (self.requests, Box::new(judgement));
        self.later(delay, Incident::Replied { id, request, judgement, ended: ends });
    }

    /// The reply to an equal request in flight, which this poll may share.
    fn under_way(&self, poll: usize) -> Option<Reply> {
        let same = |other: &usize| {
            let (mine, theirs) = (&self.specs[poll], &self.specs[*other]);
            *other != poll && mine.url_text() == theirs.url_text() && mine.request() == theirs.request()
        };
        let equal = (0..self.specs.len()).filter(same);
        let mut replies = equal.filter_map(|other| {
            let observed = &self.observed[other];
            observed.reply.clone().filter(|reply| observed.in_flight.is_some() && reply.at > self.time())
        });
        replies.next()
    }

    fn notify(&mut self, poll: usize, event: Event) {
        match event {
            Event::Requesting { .. } => {}
            Event::Attempted(attempt) => {
                assert!(attempt.judgement != JudgementKind::Matched || attempt.next.is_none());
                let observed = &mut self.observed[poll];
                observed.next = Some(attempt.next);
                observed.attempts.push_back(attempt);
                if observed.attempts.len() > self.limits.history {
                    observed.attempts.pop_front();
                }
            }
            Event::HeldBack { until, .. } => self.observed[poll].held_until = until,
            Event::Outcome(outcome) => self.outcome_reported(poll, outcome),
            Event::RetryScheduled { .. } | Event::Lagged { .. } => panic!("the engine does not send these"),
        }
    }
}
