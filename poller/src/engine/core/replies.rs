//! The replies of the store: what becomes of a poll once its creation, its link or its outcome is stored, or could not be.

use std::iter;
use std::sync::Arc;

use super::super::effect::{Effect, Submitted};
use super::super::entry::{Entry, Phase, PollId};
use super::Core;
use crate::clock::Timestamp;
use crate::error::{Error, Kind};
use crate::event::Event;
use crate::key::PollKey;
use crate::outcome::Outcome;
use crate::state::PollState;
use crate::store::{Creation, StoreError};

impl Core {
    /// Handles the reply of the store to [`Effect::Create`].
    ///
    /// With `elsewhere`, another process runs the poll if it is open. Returns its key then, if a caller has cancelled it.
    pub(crate) fn created(
        &mut self,
        id: PollId,
        result: Result<Creation, StoreError>,
        elsewhere: bool,
        now: Timestamp,
    ) -> Option<PollKey> {
        let entry = self.polls.get_mut(id)?;
        let Phase::Creating(first, joined) = &mut entry.phase else { return None };
        let (first, joined) = (*first, joined.take());
        let cancelled = joined.as_ref().is_some_and(|joined| joined.cancelled);
        let (joined_tickets, found) = joined.map(|joined| (joined.tickets, joined.found)).unwrap_or_default();
        let result = match (result, found) {
            (Err(_), Some(found)) => Ok(Creation::Exists(found)),
            (result, _) => result,
        };
        let tickets = iter::once(first).chain(joined_tickets);
        let deadline = entry.deadline();
        let answer = match result {
            Ok(Creation::Created) if elsewhere => {
                let key = entry.key.clone();
                self.remove(id, now);
                for (position, ticket) in tickets.enumerate() {
                    self.answer(ticket, Ok(Submitted::Elsewhere { joined: position > 0, deadline }));
                }
                return cancelled.then_some(key);
            }
            Ok(Creation::Created) => {
                for (position, ticket) in tickets.enumerate() {
                    self.answer(ticket, Ok(Submitted::Open { id, joined: position > 0, deadline }));
                }
                self.start(id, cancelled, now);
                return None;
            }
            Ok(Creation::Exists(present)) => {
                match (entry.spec.apart().differences(&present.spec), present.outcome.clone()) {
                    (fields, _) if !fields.is_empty() => {
                        Err(Kind::Conflict { key: present.key, fields }.into())
                    }
                    (_, Some(outcome)) => Ok(Submitted::Finished {
                        outcome,
                        deadline: present.created_at + present.spec.timeout(),
                    }),
                    (_, None) if elsewhere => {
                        self.remove(id, now);
                        let deadline = present.deadline();
                        for ticket in tickets {
                            self.answer(ticket, Ok(Submitted::Elsewhere { joined: true, deadline }));
                        }
                        return cancelled.then_some(present.key);
                    }
                    // An earlier process left it open, or another process created it and this one has not read it yet.
                    (_, None) => {
                        entry.state = PollState::resumed(&present, now);
                        let deadline = entry.deadline();
                        for ticket in tickets {
                            self.answer(ticket, Ok(Submitted::Open { id, joined: true, deadline }));
                        }
                        self.followed.extend(present.followed.map(|url| (id, url)));
                        self.start(id, cancelled, now);
                        return None;
                    }
                }
            }
            Err(error) => Err(Error::from(error)),
        };
        self.remove(id, now);
        for ticket in tickets {
            self.answer(ticket, answer.clone());
        }
        None
    }

    /// Handles the reply of the store to [`Effect::SaveLink`].
    pub(crate) fn link_saved(&mut self, id: PollId, result: Result<(), StoreError>, now: Timestamp) {
        let Some(entry) = self.polls.get_mut(id) else { return };
        let closes = entry.closes();
        // The poll may have ended meanwhile.
        let Phase::Linking(link) = &mut entry.phase else { return };
        if result.is_ok() {
            self.followed.insert(id, Arc::clone(&link.url));
            self.mark_stale();
            return self.go_on(id, now);
        }
        link.failures = link.failures.saturating_add(1);
        let at = (now + self.store_retry.delay(link.failures, &mut self.rng)).min(closes);
        link.retry_at = Some(at);
        self.mark_stale();
        if !self.shutting_down {
            self.schedule.insert(at, id);
        }
    }

    /// Handles the reply of the store to [`Effect::SaveOutcome`]. The outcome that the store returns is the one reported: it
    /// may be an earlier one.
    pub(crate) fn outcome_saved(
        &mut self,
        id: PollId,
        result: Result<Arc<Outcome>, StoreError>,
        now: Timestamp,
    ) {
        match result {
            Ok(outcome) => {
                if let (Some(finished), Some(entry)) = (&mut self.ended_since_read, self.polls.get(id)) {
                    finished.insert(entry.key.clone());
                }
                self.remove(id, now);
                self.effects.push(Effect::Notify { id, event: Event::Outcome(outcome) });
            }
            Err(_) => {
                let Some(Entry { phase: Phase::Saving(unsaved), .. }) = self.polls.get_mut(id) else {
                    return;
                };
                unsaved.failures = unsaved.failures.saturating_add(1);
                let at = now + self.store_retry.delay(unsaved.failures, &mut self.rng);
                unsaved.retry_at = Some(at);
                self.schedule.insert(at, id);
            }
        }
    }
}
