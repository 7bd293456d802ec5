//! Admission of requests: caps on requests in flight, and holds that servers ask for.
//!
//! Polls that are due but must wait stand in a *queue*, one per origin, credentials and scope, first come, first served. A
//! queue is *ready* while a poll waits in it, no hold is in force and each of its caps has room. Ready queues take turns, so
//! one busy origin does not starve the others.
//!
//! ```text
//!  due polls ─► queue ─┐            (a cap is reached: the queue waits in a list of that cap)
//!  due polls ─► queue ─┼─► ready ─► in flight
//!  due polls ─► queue ─┘            (held back: the queue is listed again when the hold ends)
//! ```
//!
//! A request in flight counts four times: for its origin, for its *site* (registrable domain, or address: ports and subdomains
//! cost a hostile server nothing), for its scope, and in total. A site and a scope may use a share of the total, so that silent
//! servers of one do not stop the others; the last part of the total is a *reserve* for sites with nothing in flight, and the
//! last part of a site's share one for its origins with nothing in flight. While there is one scope only, its share is all.
//! Sites that do not *answer*, as the last request to them that ended was late or none has ended yet, use at most three quarters
//! of the total together: names cost little, and servers of any number of them may be silent.
//!
//! A 429 is about the credentials: its hold is on the *account*, all queues of an origin and credentials. A 503 is about the
//! server and may be about the jobs of one tenant only: its hold is on the queue. Queues of a held account wait in `blocked`
//! of that account, so a hold costs the same for one scope and for a million.
//!
//! No capacity is lost: a queue waits in the list of a group only while that group has no room for it, so a request of the
//! group is in flight, and its end offers the room to a queue of the list. A queue that cannot use what it was offered passes
//! it on.
//!
//! A poll looks up its queue once, when it joins, and keeps the id. Operations take constant time on average, those of holds
//! logarithmic. Origins and credentials are stored as keyed hashes only: no secret is copied here, and an attacker cannot
//! provoke collisions. A queue is dropped when its last poll has left and its hold is over, a group with its last queue.

mod groups;
mod holds;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};

use slab::Slab;

use self::groups::{Group, Groups, Inside};
pub(crate) use self::holds::Hold;
use self::holds::{Held, is_held};
use crate::clock::Timestamp;
use crate::job::PollSpec;
use crate::limits::Limits;
use crate::site;

/// A queue of the polls that share an origin, credentials and a scope. Ids are reused once all polls have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct QueueId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    account: AccountKey,
    scope: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct AccountKey {
    origin: u64,
    credentials: u64,
}

/// The capacity that an emptied queue keeps.
const KEPT_CAPACITY: usize = 4096;

/// The most queues of one list that are asked whether they can use room that others cannot, such as a reserve.
const ASKED: usize = 16;

/// The caps on requests in flight.
#[derive(Clone, Copy, Debug)]
struct Caps {
    total: usize,
    origin: usize,
    site: usize,
    scope: usize,
    /// The last part of the total, for sites with nothing in flight.
    reserve: usize,
    /// The last part of a site's share, for origins with nothing in flight.
    site_reserve: usize,
    /// For all sites together that do not answer.
    silent: usize,
}

impl Caps {
    fn new(limits: &Limits) -> Self {
        let (total, origin) = (limits.in_flight.max(1), limits.per_origin.max(1));
        let (site, scope) = limits.shares();
        // No origin gets less than its cap because of a reserve.
        let reserve = |of: usize, part: usize| (of / part).min(of.saturating_sub(origin));
        let (site_reserve, silent) = (reserve(site, 4), total - reserve(total, 4));
        Self { total, origin, site, scope, reserve: reserve(total, 8), site_reserve, silent }
    }
}

/// What keeps a due poll from sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cap {
    Origin,
    Site,
    Scope,
    Silent,
    Total,
}

/// Decides which of the due polls may send.
#[derive(Debug)]
pub(crate) struct AdmissionControl<T> {
    caps: Caps,
    in_flight: usize,
    queues: Slab<OriginQueue<T>>,
    origins: Groups,
    sites: Groups,
    scopes: Groups,
    accounts: Slab<Account>,
    queue_of: HashMap<Key, QueueId>,
    account_of: HashMap<AccountKey, usize>,
    ready: VecDeque<QueueId>,
    /// The sites with queues that wait for room in total.
    inside: Inside,
    /// The sites with queues that wait for room for sites that do not answer.
    silent: Inside,
    /// The requests in flight to sites that do not answer.
    silent_in_flight: usize,
    /// The polls that wait in all queues.
    waiting: usize,
    /// What is held back, by the end of its hold.
    held: BTreeSet<(Timestamp, Held)>,
    hasher: RandomState,
    /// The spec and the scope that joined last, and their queue: in a bulk submission the next one mostly shares it.
    last: Option<(PollSpec, Box<str>, QueueId)>,
}

/// The queues of an origin and credentials.
#[derive(Debug)]
struct Account {
    key: AccountKey,
    queues: usize,
    hold: Option<Hold>,
    /// Its queues that are listed and wait for the end of its hold.
    blocked: VecDeque<QueueId>,
}

/// The groups of a queue.
#[derive(Clone, Copy, Debug)]
struct Place {
    origin: usize,
    site: usize,
    scope: usize,
}

#[derive(Debug)]
struct OriginQueue<T> {
    key: Key,
    place: Place,
    account: usize,
    /// The number of its polls, waiting or not.
    polls: usize,
    waiting: VecDeque<T>,
    hold: Option<Hold>,
    /// Whether it is in `ready` or in some `blocked`.
    listed: bool,
}

impl<T> AdmissionControl<T> {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            caps: Caps::new(limits),
            in_flight: 0,
            queues: Slab::new(),
            origins: Groups::default(),
            sites: Groups::default(),
            scopes: Groups::default(),
            accounts: Slab::new(),
            queue_of: HashMap::new(),
            account_of: HashMap::new(),
            ready: VecDeque::new(),
            inside: Inside::default(),
            silent: Inside::silent(),
            silent_in_flight: 0,
            waiting: 0,
            held: BTreeSet::new(),
            hasher: RandomState::new(),
            last: None,
        }
    }

    fn queue(&self, id: QueueId) -> Option<&OriginQueue<T>> {
        self.queues.get(id.0 as usize)
    }

    fn queue_mut(&mut self, id: QueueId) -> Option<&mut OriginQueue<T>> {
        self.queues.get_mut(id.0 as usize)
    }

    fn place(&self, id: QueueId) -> Option<Place> {
        self.queue(id).map(|queue| queue.place)
    }

    /// Adds a poll with this spec to its queue.
    pub(crate) fn join(&mut self, spec: &PollSpec, scope: &str) -> QueueId {
        if let Some((last, last_scope, id)) = &self.last
            && last.shares_origin_with(spec)
            && **last_scope == *scope
            && let Some(queue) = self.queues.get_mut(id.0 as usize)
        {
            queue.polls += 1;
            return *id;
        }
        let mut credentials = self.hasher.build_hasher();
        spec.request().hash_credentials(&mut credentials);
        let origin = self.hasher.hash_one(spec.origin());
        let account = AccountKey { origin, credentials: credentials.finish() };
        let key = Key { account, scope: self.hasher.hash_one(scope) };
        let site = || self.hasher.hash_one(site::of_origin(spec.origin()));
        // The site follows from the origin, and to find it takes longer than the rest.
        let site = if self.queue_of.contains_key(&key) { 0 } else { site() };
        let id = self.join_key(key, site);
        self.last = Some((spec.clone(), scope.into(), id));
        id
    }

    /// `site` is read if the queue is new.
    fn join_key(&mut self, key: Key, site: u64) -> QueueId {
        let Self { queues, origins, sites, scopes, accounts, queue_of, account_of, .. } = self;
        let id = *queue_of.entry(key).or_insert_with(|| {
            let account = *account_of.entry(key.account).or_insert_with(|| {
                let blocked = VecDeque::new();
                accounts.insert(Account { key: key.account, queues: 0, hold: None, blocked })
            });
            accounts[account].queues += 1;
            let queue = OriginQueue {
                key,
                place: Place {
                    origin: origins.join(key.account.origin),
                    site: sites.join(site),
                    scope: scopes.join(key.scope),
                },
                account,
                polls: 0,
                waiting: VecDeque::new(),
                hold: None,
                listed: false,
            };
            QueueId(
                u32::try_from(queues.insert(queue)).expect("invariant: fewer than 2³² queues fit in memory"),
            )
        });
        queues[id.0 as usize].polls += 1;
        id
    }

    /// Removes one poll from a queue.
    pub(crate) fn leave(&mut self, id: QueueId, now: Timestamp) {
        if let Some(queue) = self.queue_mut(id) {
            queue.polls = queue.polls.saturating_sub(1);
            self.drop_if_idle(id, now);
        }
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The number of due polls that wait, for a cap or the end of a hold. Polls that ended meanwhile may be among them.
    pub(crate) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// The queues that no hold keeps from sending, each as the polls that wait in it, the oldest first. Polls that ended
    /// meanwhile may be among them.
    pub(crate) fn unheld(&self, now: Timestamp) -> impl Iterator<Item = impl Iterator<Item = &T>> {
        let queues = if self.waiting == 0 { None } else { Some(self.queues.iter()) };
        queues.into_iter().flatten().filter_map(move |(_, queue)| {
            let held = is_held(&queue.hold, now) || is_held(&self.accounts[queue.account].hold, now);
            (!held && !queue.waiting.is_empty()).then(|| queue.waiting.iter())
        })
    }

    /// Whether all requests in flight, or all that sites may have that do not answer, are in use while due polls wait for them.
    pub(crate) fn is_saturated(&self) -> bool {
        let is_full = self.in_flight >= self.caps.total && !(self.ready.is_empty() && self.inside.is_empty());
        let is_silent = self.silent_in_flight >= self.caps.silent && !self.silent.is_empty();
        self.waiting > 0 && (is_full || is_silent)
    }

    /// The cap that keeps this queue from sending, if one does.
    fn reached(&self, queue: &OriginQueue<T>) -> Option<Cap> {
        let (origin, site) =
            (self.origins.all[queue.place.origin].in_flight, self.sites.all[queue.place.site].in_flight);
        let unless_new = |in_flight: usize, reserve: usize| if in_flight == 0 { 0 } else { reserve };
        let caps = &self.caps;
        if origin >= caps.origin {
            Some(Cap::Origin)
        } else if site >= caps.site - unless_new(origin, caps.site_reserve) {
            Some(Cap::Site)
        } else if self.scopes.all.len() > 1 && self.scopes.all[queue.place.scope].in_flight >= caps.scope {
            Some(Cap::Scope)
        } else if !self.sites.all[queue.place.site].answers && self.silent_in_flight >= caps.silent {
            Some(Cap::Silent)
        } else if self.in_flight >= caps.total - unless_new(site, caps.reserve) {
            Some(Cap::Total)
        } else {
            None
        }
    }

    /// Has a queue wait for room under this cap.
    fn block(&mut self, cap: Cap, id: QueueId, place: Place) {
        let Self { origins, sites, scopes, silent, inside, .. } = self;
        let (origin, site) = (&mut origins.all[place.origin], &mut sites.all[place.site]);
        match cap {
            Cap::Origin => origin.blocked.push_back(id),
            Cap::Site => site.inside.push(place.origin, origin, id),
            Cap::Scope => scopes.all[place.scope].blocked.push_back(id),
            Cap::Silent => silent.push(place.site, site, id),
            Cap::Total => inside.push(place.site, site, id),
        }
    }

    /// Takes the queue of a place whose turn it is to use room under this cap.
    fn unblock(&mut self, cap: Cap, place: Place) -> Option<QueueId> {
        let Self { origins, sites, scopes, silent, inside, .. } = self;
        match cap {
            Cap::Origin => origins.all.get_mut(place.origin)?.blocked.pop_front(),
            Cap::Site => sites.all.get_mut(place.site)?.inside.pop(origins),
            Cap::Scope => scopes.all.get_mut(place.scope)?.blocked.pop_front(),
            Cap::Silent => silent.pop(sites),
            Cap::Total => inside.pop(sites),
        }
    }

    /// Takes a queue that may use a reserve, as its origin or site has nothing in flight any more.
    fn unblock_new(&mut self, cap: Cap, place: Place) -> Option<QueueId> {
        let group = match cap {
            Cap::Site => self.origins.all.get_mut(place.origin),
            Cap::Total => self.sites.all.get_mut(place.site),
            Cap::Origin | Cap::Scope | Cap::Silent => None,
        };
        group.filter(|group| group.in_flight == 0)?.outside.queues.pop_front()
    }

    /// Whether a due poll of this queue may send without waiting: no poll waits before it, no hold is in force, and no cap is
    /// reached.
    pub(crate) fn admits(&self, id: QueueId, now: Timestamp) -> bool {
        self.ready.is_empty()
            && self.queue(id).is_some_and(|queue| {
                queue.waiting.is_empty()
                    && !is_held(&queue.hold, now)
                    && !is_held(&self.accounts[queue.account].hold, now)
                    && self.reached(queue).is_none()
            })
    }

    /// Appends a poll to a queue.
    pub(crate) fn enqueue(&mut self, id: QueueId, poll: T, now: Timestamp) {
        if let Some(queue) = self.queue_mut(id) {
            queue.waiting.push_back(poll);
            self.waiting += 1;
            self.list(id, now);
        }
    }

    /// Takes the next poll that may send now. The caller calls [`begin`](Self::begin), or [`decline`](Self::decline) if
    /// that poll no longer wants to send.
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<(QueueId, T)> {
        while self.in_flight < self.caps.total {
            let id = self.ready.pop_front()?;
            let Some(queue) = self.queues.get_mut(id.0 as usize) else { continue };
            let account = &mut self.accounts[queue.account];
            if is_held(&account.hold, now) {
                account.blocked.push_back(id);
                self.decline(id);
                continue;
            }
            if is_held(&queue.hold, now) || queue.waiting.is_empty() {
                queue.listed = false;
                self.decline(id);
                self.drop_if_idle(id, now);
                continue;
            }
            let queue = &self.queues[id.0 as usize];
            if let Some(cap) = self.reached(queue) {
                let place = queue.place;
                self.block(cap, id, place);
                // Of the other groups it may have been offered room.
                self.pass_on(place, Some(cap));
                continue;
            }
            let queue = self.queues.get_mut(id.0 as usize)?;
            queue.listed = false;
            let poll = queue.waiting.pop_front()?;
            self.waiting = self.waiting.saturating_sub(1);
            if queue.waiting.is_empty() {
                queue.waiting.shrink_to(KEPT_CAPACITY);
            }
            self.list(id, now);
            return Some((id, poll));
        }
        None
    }

    /// Passes the room that was offered to this queue on to other queues.
    pub(crate) fn decline(&mut self, id: QueueId) {
        if let Some(place) = self.place(id) {
            self.pass_on(place, None);
        }
    }

    /// Offers room in each group of a place, but for the one under this cap.
    fn pass_on(&mut self, place: Place, but: Option<Cap>) {
        for cap in [Cap::Origin, Cap::Site, Cap::Scope, Cap::Silent, Cap::Total] {
            if but != Some(cap) {
                self.offer(cap, place);
            }
        }
    }

    /// Makes the next queue ready that waits under this cap and can use the room, and one that may use a reserve. Queues that
    /// wait for another cap by now are moved to its list.
    fn offer(&mut self, cap: Cap, place: Place) {
        if let Some(id) = self.unblock_new(cap, place) {
            self.offer_to(id);
        }
        let mut asked = 0;
        while asked < ASKED
            && let Some(id) = self.unblock(cap, place)
        {
            match self.offer_to(id) {
                None => return,
                Some(other) => asked += usize::from(other == cap),
            }
        }
    }

    /// Makes a queue ready, unless it waits for a cap, which is returned then.
    fn offer_to(&mut self, id: QueueId) -> Option<Cap> {
        let queue = self.queue(id)?;
        let (place, cap) = (queue.place, self.reached(queue));
        match cap {
            Some(cap) => self.block(cap, id, place),
            None => self.ready.push_back(id),
        }
        cap
    }

    /// Counts a request as in flight.
    pub(crate) fn begin(&mut self, id: QueueId) {
        self.in_flight += 1;
        if let Some(place) = self.place(id) {
            self.silent_in_flight += usize::from(!self.sites.all[place.site].answers);
            for group in self.groups_mut(place).into_iter().flatten() {
                group.in_flight += 1;
            }
        }
    }

    /// Counts a request as ended. `answered` is whether it ended in time, if that is known.
    pub(crate) fn end(&mut self, id: QueueId, answered: Option<bool>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(place) = self.place(id) {
            for group in self.groups_mut(place).into_iter().flatten() {
                group.in_flight = group.in_flight.saturating_sub(1);
            }
            let answers = self.sites.all[place.site].answers;
            self.silent_in_flight -= usize::from(!answers);
            if let Some(answered) = answered.filter(|answered| *answered != answers) {
                self.set_answers(place, answered);
            }
            self.pass_on(place, None);
        }
    }

    /// Counts the requests in flight to a site among those to sites that do not answer, or no longer.
    fn set_answers(&mut self, place: Place, answers: bool) {
        let Some(site) = self.sites.all.get_mut(place.site) else { return };
        site.answers = answers;
        let in_flight = site.in_flight;
        if !answers {
            self.silent_in_flight += in_flight;
            return;
        }
        self.silent_in_flight -= in_flight;
        for id in std::mem::take(&mut site.silent.queues) {
            self.offer_to(id);
        }
        for _ in 0..in_flight {
            self.offer(Cap::Silent, place);
        }
    }

    fn groups_mut(&mut self, place: Place) -> [Option<&mut Group>; 3] {
        let Self { origins, sites, scopes, .. } = self;
        [origins.all.get_mut(place.origin), sites.all.get_mut(place.site), scopes.all.get_mut(place.scope)]
    }

    fn list(&mut self, id: QueueId, now: Timestamp) {
        if let Some(queue) = self.queue_mut(id)
            && !queue.listed
            && !queue.waiting.is_empty()
            && !is_held(&queue.hold, now)
        {
            queue.listed = true;
            self.ready.push_back(id);
        }
    }

    fn drop_if_idle(&mut self, id: QueueId, now: Timestamp) {
        let idle = |queue: &OriginQueue<T>| queue.polls == 0 && !queue.listed && !is_held(&queue.hold, now);
        if !self.queue(id).is_some_and(idle) {
            return;
        }
        let queue = self.queues.remove(id.0 as usize);
        // Polls that ended while they waited.
        self.waiting = self.waiting.saturating_sub(queue.waiting.len());
        let OriginQueue { key, place, account, hold, .. } = queue;
        if let Some(hold) = hold {
            self.held.remove(&(hold.until, Held::Queue(id)));
        }
        self.queue_of.remove(&key);
        self.last.take_if(|(_, _, last)| *last == id);
        self.origins.leave(place.origin);
        self.sites.leave(place.site);
        self.scopes.leave(place.scope);
        if self.scopes.all.len() == 1 {
            // The share of the only scope is all.
            let freed = self.scopes.all.iter_mut().flat_map(|(_, group)| std::mem::take(&mut group.blocked));
            self.ready.extend(freed);
        }
        self.accounts[account].queues -= 1;
        self.drop_account_if_idle(account);
    }

    /// Drops an account without queues and hold; a hold outlives the polls that it is on.
    fn drop_account_if_idle(&mut self, number: usize) {
        let account = &self.accounts[number];
        if account.queues == 0 && account.hold.is_none() {
            self.account_of.remove(&account.key);
            self.accounts.remove(number);
        }
    }
}

#[cfg(test)]
mod tests;
