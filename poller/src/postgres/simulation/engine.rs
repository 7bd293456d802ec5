//! What the engine of a process wants: requests, creations and outcomes, each stored as `writes.rs` does it; and what callers
//! are told.

use std::sync::Arc;
use std::time::Duration;

use super::database::{Created, Refusal};
use super::{LEASE, LIMIT, MILLI, Role, World, key, lost, number_of};
use crate::engine::core::Core;
use crate::engine::effect::{Effect, StartRequest};
use crate::engine::{PollId, Submitted, Ticket};
use crate::event::Event;
use crate::judge;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::postgres::shards::{Known, shard_of};
use crate::redact::Secrets;
use crate::response::RecordedResponse;
use crate::store::{Creation, StoredPoll};

impl World {
    /// The core of a process, which knows whether requests may begin, as it does before the driver hands it messages.
    pub(super) fn core(&mut self, node: usize) -> Option<&mut Core> {
        self.nodes[node].core.as_ref()?;
        let (now, trusts) = (self.clock(node), self.trusts(node));
        let core = self.nodes[node].core.as_mut()?;
        core.pause(!trusts, now);
        Some(core)
    }

    pub(super) fn submit(&mut self, node: usize, poll: usize) {
        // A process whose clock was not measured yet has no core, and asks nothing of the clock.
        if self.nodes[node].core.is_none() || self.now < self.nodes[node].asleep_until {
            return;
        }
        let now = self.clock(node);
        let ticket = Ticket(usize::try_from(self.sequence).expect("few"));
        self.sequence += 1;
        let spec = self.specs[poll].clone();
        self.nodes[node].tickets.insert(ticket, poll);
        if let Some(core) = self.core(node) {
            core.submit(ticket, key(poll), spec, now);
            self.drive(node);
        }
    }

    /// What the driver does in each of its rounds.
    pub(super) fn drive(&mut self, node: usize) {
        if self.nodes[node].core.is_none() || self.now < self.nodes[node].asleep_until {
            return;
        }
        let now = self.clock(node);
        let Some(core) = self.core(node) else { return };
        core.tick(now);
        loop {
            let mut effects = Vec::new();
            let Some(core) = &mut self.nodes[node].core else { return };
            core.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out(node, effect);
            }
        }
    }

    pub(super) fn carry_out(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Create { id, poll } => {
                self.nodes[node].polls.insert(id, number_of(&poll.key));
                self.incarnations += 1;
                self.births.push(self.now - self.nodes[node].stood_still);
                self.create(node, id, poll, self.incarnations, 1);
            }
            Effect::SaveOutcome { id, key, outcome } => self.finish(node, id, key, outcome),
            Effect::StartRequest(request) => self.send(node, &request),
            Effect::Abort { id } => {
                self.nodes[node].asking.remove(&id);
            }
            Effect::Notify { id, event: Event::Outcome(outcome) } => {
                let poll = self.nodes[node].polls[&id];
                self.told(poll, outcome);
            }
            Effect::Answer { ticket, answer } => {
                let Some(poll) = self.nodes[node].tickets.remove(&ticket) else { return };
                match answer {
                    Ok(Submitted::Open { .. }) => self.acknowledged(poll),
                    Ok(Submitted::Elsewhere { .. }) => {
                        self.count("elsewhere");
                        self.acknowledged(poll);
                    }
                    Ok(Submitted::Finished { outcome, .. }) => self.told(poll, outcome),
                    Err(_) => {}
                }
            }
            Effect::SaveLink { .. } => unreachable!("these specs follow nothing"),
            Effect::Attempted { .. } | Effect::Notify { .. } | Effect::Held { .. } => {}
        }
    }

    pub(super) fn acknowledged(&mut self, poll: usize) {
        let (tables, key) = (&self.database.tables, key(poll));
        let is_stored = tables.open.contains_key(&key) || tables.done.contains_key(&key);
        // A worker goes on with a poll whose creation a fail-over has undone, and lets others join it.
        assert!(is_stored || self.unsettled_until > 0, "{key} was acknowledged and is not stored");
        if is_stored {
            self.seen[poll].acknowledged.get_or_insert(self.now);
        }
    }

    pub(super) fn told(&mut self, poll: usize, outcome: Arc<Outcome>) {
        let (now, unsettled) = (self.now, self.now < self.unsettled_until);
        if let Some((_, before)) = &self.seen[poll].told {
            assert!(*before == outcome || unsettled, "poll-{poll}: two outcomes were told");
        }
        let stored = self.database.tables.done.get(&key(poll));
        assert!(
            stored.is_some_and(|(_, stored)| *stored == outcome) || unsettled,
            "told before it was stored"
        );
        self.seen[poll].told = Some((now, outcome));
    }

    /// As `Inner::create` does it.
    pub(super) fn create(&mut self, node: usize, id: PollId, poll: StoredPoll, incarnation: i64, tries: u32) {
        let shard = shard_of(&poll.key, self.database.shard_count());
        let trusts = self.trusts(node);
        let it = &mut self.nodes[node];
        let own = match it.role {
            Role::Worker(holder) if trusts && it.shards.is_ours(shard) => Some(holder),
            _ => None,
        };
        let guarded: Vec<i32> = own.iter().map(|_| shard).collect();
        it.shards.creating(&guarded);
        let stored = poll.clone();
        self.transact(
            node,
            move |database, now| database.create(&stored, incarnation, own, now),
            move |world, result| {
                let now = world.now;
                let it = &mut world.nodes[node];
                it.shards.created(&guarded);
                let result = match result {
                    Ok(Created::New) => {
                        let known = Known { incarnation, has_extras: false, has_webhook: false };
                        it.shards.add(shard, poll.key.clone(), known);
                        Ok(Creation::Created)
                    }
                    Ok(Created::Exists(present, incarnation)) => {
                        let known = Known { incarnation, has_extras: true, has_webhook: false };
                        if present.outcome.is_none() {
                            it.shards.add(shard, poll.key.clone(), known);
                        }
                        Ok(Creation::Exists(present))
                    }
                    Err(Refusal::Deposed) if tries < 3 => {
                        it.trusted_until = 0;
                        world.renew_later(node, 0);
                        return world.create(node, id, poll, incarnation, tries + 1);
                    }
                    Err(Refusal::Lost) if tries < 3 => {
                        return world.create(node, id, poll, incarnation, tries + 1);
                    }
                    Err(_) => {
                        it.shards.doubt([shard], Duration::from_micros(now + 2 * LIMIT));
                        Err(lost())
                    }
                };
                let elsewhere = result.is_ok() && !world.nodes[node].shards.is_ours(shard);
                let now = world.clock(node);
                if let Some(core) = world.core(node) {
                    core.created(id, result, elsewhere, now);
                }
            },
        );
    }

    /// As `Inner::finish` does it.
    pub(super) fn finish(&mut self, node: usize, id: PollId, key: PollKey, outcome: Arc<Outcome>) {
        let shard = shard_of(&key, self.database.shard_count());
        let trusts = self.trusts(node);
        let it = &self.nodes[node];
        let reply = move |world: &mut Self, result: Result<Arc<Outcome>, Refusal>| {
            if result == Err(Refusal::Deposed) {
                world.nodes[node].trusted_until = 0;
                world.renew_later(node, 0);
            }
            let now = world.clock(node);
            if let Some(core) = world.core(node) {
                core.outcome_saved(id, result.map_err(|_| lost()), now);
            }
        };
        match it.role {
            Role::Worker(holder) if trusts && it.shards.is_ours(shard) => {
                let incarnation = it.shards.get(shard, &key).map(|known| known.incarnation);
                let done = key.clone();
                self.transact(
                    node,
                    move |database, now| database.finish(&key, incarnation, outcome, holder, now),
                    move |world, result| {
                        if result.is_ok() {
                            world.nodes[node].shards.remove(shard, &done);
                        }
                        reply(world, result);
                    },
                );
            }
            // Refused without a transaction; the engine tries again later.
            _ => {
                let of = self.of(node);
                self.later(0, of, move |world| reply(world, Err(Refusal::Lost)));
            }
        }
    }

    pub(super) fn send(&mut self, node: usize, request: &StartRequest) {
        let poll = self.nodes[node].polls[&request.id];
        let shard = shard_of(&key(poll), self.database.shard_count());
        assert!(self.trusts(node), "poll-{poll}: a request without a lease");
        if self.now >= self.unsettled_until {
            let holder = self.holder(node).expect("a worker asks");
            assert_eq!(
                self.database.owner(shard),
                Some(holder.id),
                "poll-{poll}: another worker has its shard"
            );
            // By a clock that was just set forward all leases have ended, which is no reason for others to take them.
            let uneven_until = self.uneven_until.max(self.database.stepped + LEASE);
            let holds = self.database.holds(holder, self.now);
            assert!(holds || self.now < uneven_until, "poll-{poll}: the lease has ended");
        }
        self.count("request");
        self.requests += 1;
        let (id, number) = (request.id, self.requests);
        self.nodes[node].asking.insert(id, number);
        let began = self.clock(node);
        let body = if self.now >= self.seen[poll].done_at { r#"{"status":"SUCCESS"}"# } else { "{}" };
        let response = RecordedResponse::new(200, std::iter::empty::<(&str, &str)>(), body.to_owned());
        let secrets = Secrets::default();
        let spec = &self.specs[poll];
        let previous = request.last.as_ref();
        let context = judge::Context {
            spec,
            asked: spec.url_text(),
            landed: None,
            secrets: &secrets,
            previous,
            now: began.to_system_time(),
        };
        let judgement = judge::judge_fully(&context, response);
        let delay = self.up_to(400 * MILLI);
        let of = self.of(node);
        self.later(delay, of, move |world| {
            if world.nodes[node].asking.get(&id) != Some(&number) {
                return;
            }
            world.nodes[node].asking.remove(&id);
            let now = world.clock(node);
            if let Some(core) = world.core(node) {
                core.attempted(id, judgement, now, now);
            }
        });
    }
}
