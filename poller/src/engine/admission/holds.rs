//! Holds: what keeps back the polls of a queue or of an account until a time that a server named.

use super::{AdmissionControl, QueueId};
use crate::clock::Timestamp;
use crate::key::PollKey;
use crate::state::Reach;

/// A hold: a server asked for it with a 429 or 503.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) until: Timestamp,
    /// The poll whose response asked for it.
    pub(crate) by: PollKey,
}

/// Whether a hold is in force.
pub(super) fn is_held(hold: &Option<Hold>, now: Timestamp) -> bool {
    hold.as_ref().is_some_and(|hold| hold.until > now)
}

/// What a hold is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Held {
    Queue(QueueId),
    Account(usize),
}

impl<T> AdmissionControl<T> {
    /// Holds a queue or its account back, unless a hold on it is in force that lasts at least as long. Returns whether it
    /// does.
    pub(crate) fn hold(&mut self, id: QueueId, reach: Reach, hold: Hold) -> bool {
        let Some(queue) = self.queues.get_mut(id.0 as usize) else { return false };
        let account = &mut self.accounts[queue.account];
        let is_shorter =
            |present: &Option<Hold>| present.as_ref().is_some_and(|present| present.until >= hold.until);
        if is_shorter(&account.hold) {
            return false;
        }
        let (present, held) = match reach {
            Reach::Account => (&mut account.hold, Held::Account(queue.account)),
            Reach::Scope => (&mut queue.hold, Held::Queue(id)),
        };
        if is_shorter(present) {
            return false;
        }
        self.held.insert((hold.until, held));
        if let Some(shorter) = present.replace(hold) {
            self.held.remove(&(shorter.until, held));
        }
        true
    }

    /// The hold on a queue, its own or that of its account, whichever ends later.
    pub(crate) fn held(&self, id: QueueId) -> Option<&Hold> {
        let queue = self.queue(id)?;
        let account = self.accounts[queue.account].hold.as_ref();
        [queue.hold.as_ref(), account].into_iter().flatten().max_by_key(|hold| hold.until)
    }

    /// Whether a hold with this reach on one queue is one on the other, too.
    pub(crate) fn reaches(&self, from: QueueId, reach: Reach, to: QueueId) -> bool {
        let account = |id| self.queue(id).map(|queue| queue.account);
        from == to || (reach == Reach::Account && account(from) == account(to))
    }

    /// The number of queues and accounts that are held back.
    pub(crate) fn held_back(&self) -> usize {
        self.held.len()
    }

    /// The end of the hold that ends first.
    pub(crate) fn next_release(&self) -> Option<Timestamp> {
        self.held.first().map(|(at, _)| *at)
    }

    /// Ends the holds that are over.
    pub(crate) fn release_due(&mut self, now: Timestamp) {
        while let Some((at, held)) = self.held.first().copied()
            && at <= now
        {
            self.held.pop_first();
            match held {
                Held::Queue(id) => {
                    if let Some(queue) = self.queue_mut(id) {
                        queue.hold = None;
                    }
                    self.list(id, now);
                    self.drop_if_idle(id, now);
                }
                Held::Account(number) => {
                    if let Some(account) = self.accounts.get_mut(number) {
                        account.hold = None;
                        self.ready.append(&mut account.blocked);
                        self.drop_account_if_idle(number);
                    }
                }
            }
        }
    }
}
