//! Groups of queues that share a cap: those of an origin, of a site, of a scope.

use std::collections::{HashMap, VecDeque};

use slab::Slab;

use super::QueueId;

/// The queues under one cap.
#[derive(Debug)]
pub(super) struct Group {
    /// The hash by which it is found.
    key: u64,
    pub(super) in_flight: usize,
    queues: usize,
    /// Of a site: whether the last request that ended did so in time. Not yet, of a new one.
    pub(super) answers: bool,
    /// The queues that wait for room in it.
    pub(super) blocked: VecDeque<QueueId>,
    /// The queues that wait for room in the larger group around it.
    pub(super) outside: Outside,
    /// The queues of a site that does not answer that wait for room for such sites.
    pub(super) silent: Outside,
    /// The smaller groups whose queues wait for room in it.
    pub(super) inside: Inside,
}

/// The queues of a group that wait for room around it.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) queues: VecDeque<QueueId>,
    /// Whether the group stands in the list of those that wait.
    is_listed: bool,
}

/// The groups inside a larger one, the total being the largest, that have queues which wait for room in the larger one. They
/// take turns.
#[derive(Debug)]
pub(super) struct Inside {
    /// What the queues of a group wait for.
    outside: fn(&mut Group) -> &mut Outside,
    /// Groups that had nothing in flight when they were listed; a reserve is kept for them.
    new: VecDeque<usize>,
    others: VecDeque<usize>,
}

impl Default for Inside {
    fn default() -> Self {
        Self { outside: |group| &mut group.outside, new: VecDeque::new(), others: VecDeque::new() }
    }
}

impl Inside {
    /// Of the sites that do not answer.
    pub(super) fn silent() -> Self {
        Self { outside: |group| &mut group.silent, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.new.is_empty() && self.others.is_empty()
    }

    fn list(&mut self, number: usize, group: &mut Group) {
        let has_none = group.in_flight == 0;
        if !std::mem::replace(&mut (self.outside)(group).is_listed, true) {
            let list = if has_none { &mut self.new } else { &mut self.others };
            list.push_back(number);
        }
    }

    /// Has a queue of the group with this number wait for room in the larger one.
    pub(super) fn push(&mut self, number: usize, group: &mut Group, id: QueueId) {
        (self.outside)(group).queues.push_back(id);
        self.list(number, group);
    }

    /// Takes the queue whose turn it is.
    pub(super) fn pop(&mut self, groups: &mut Groups) -> Option<QueueId> {
        while let Some(number) = self.new.pop_front().or_else(|| self.others.pop_front()) {
            // The number may be that of a later group by now.
            let Some(group) = groups.all.get_mut(number) else { continue };
            let outside = (self.outside)(group);
            outside.is_listed = false;
            let id = outside.queues.pop_front();
            if !outside.queues.is_empty() {
                self.list(number, group);
            }
            if id.is_some() {
                return id;
            }
        }
        None
    }
}

/// All groups of one kind.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// By their numbers.
    pub(super) all: Slab<Group>,
    by_key: HashMap<u64, usize>,
}

impl Groups {
    /// The number of the group with this key, with one more queue.
    pub(super) fn join(&mut self, key: u64) -> usize {
        let Self { all, by_key } = self;
        let number = *by_key.entry(key).or_insert_with(|| {
            all.insert(Group {
                key,
                in_flight: 0,
                queues: 0,
                answers: false,
                blocked: VecDeque::new(),
                outside: Outside::default(),
                silent: Outside::default(),
                inside: Inside::default(),
            })
        });
        all[number].queues += 1;
        number
    }

    /// Removes a queue; the group is dropped with its last one.
    pub(super) fn leave(&mut self, number: usize) {
        let group = &mut self.all[number];
        group.queues -= 1;
        if group.queues == 0 {
            self.by_key.remove(&group.key);
            self.all.remove(number);
        }
    }
}
