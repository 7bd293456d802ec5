//! The replies of the store: what becomes of a poll once its creation, its link or its outcome is stored, or could not be.

use std::iter;
use std::sync::Arc;

use super::super::effect::{Effect, Submitted};
use super::super::entry::{Entry, Joined, Phase, PollId};
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
        if result.is_ok() {
            self.store_works(now);
        }
        let entry = self.polls.get_mut(id)?;
        let Phase::Creating(first, joined) = &mut entry.phase else { return None };
        let Joined { tickets, cancelled, found } = joined.take().map(|joined| *joined).unwrap_or_default();
        let tickets = iter::once(*first).chain(tickets);
        let result = match (result, found) {
            (Err(_), Some(found)) => Ok(Creation::Exists(found)),
            (result, _) => result,
        };
        let cancelled_elsewhere = (elsewhere && cancelled).then(|| entry.key.clone());
        let mut deadline = entry.deadline();
        let was_there = 'open: {
            let answer = match result {
                Ok(Creation::Created) => break 'open false,
                Ok(Creation::Exists(present)) => {
                    let fields = entry.spec.apart().differences(&present.spec);
                    deadline = present.deadline();
                    if !fields.is_empty() {
                        Err(Kind::Conflict { key: present.key, fields }.into())
                    } else if let Some(outcome) = &present.outcome {
                        Ok(Submitted::Finished { outcome: Arc::clone(outcome), deadline })
                    } else {
                        if !elsewhere {
                            // An earlier process left it open, or another process created it and this one has not read it yet.
                            entry.state = PollState::resumed(&present, now);
                            deadline = entry.deadline();
                            self.followed.extend(present.followed.map(|url| (id, url)));
                        }
                        break 'open true;
                    }
                }
                Err(error) => Err(Error::from(error)),
            };
            self.remove(id, now);
            tickets.for_each(|ticket| self.answer(ticket, answer.clone()));
            return None;
        };
        if elsewhere {
            self.remove(id, now);
        }
        for (position, ticket) in tickets.enumerate() {
            let joined = was_there || position > 0;
            let submitted = match elsewhere {
                true => Submitted::Elsewhere { joined, deadline },
                false => Submitted::Open { id, joined, deadline },
            };
            self.answer(ticket, Ok(submitted));
        }
        if !elsewhere {
            self.start(id, cancelled, now);
        }
        cancelled_elsewhere
    }

    /// Handles the reply of the store to [`Effect::SaveLink`].
    pub(crate) fn link_saved(&mut self, id: PollId, result: Result<(), StoreError>, now: Timestamp) {
        if let Err(error) = result {
            return self.link_failed(id, &error, now);
        }
        self.store_works(now);
        // The poll may have ended meanwhile.
        let Some(Entry { phase: Phase::Linking(link), .. }) = self.polls.get_mut(id) else { return };
        self.followed.insert(id, Arc::clone(&link.what));
        self.mark_stale();
        self.go_on(id, now);
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
                self.store_works(now);
            }
            Err(error) => self.outcome_failed(id, &error, now),
        }
    }
}
