//! Faults, and what must hold at the end in spite of them.

use super::database::BEHIND;
use super::{BEGIN, CALM, LEASE, MILLI, Role, SECOND, World, key, pick, signed};

impl World {
    pub(super) fn fault(&mut self, until: u64) {
        self.last_fault = self.last_fault.max(until);
    }

    /// A process dies, or ends in order; another starts in its place.
    pub(super) fn kill(&mut self, node: usize) {
        self.counts.kills += 1;
        if let Some(holder) = self.holder(node)
            && pick(&mut self.dice, 3) == 0
            && self.now >= self.database.away_until
        {
            self.database.resign(holder);
        }
        self.nodes[node].life += 1;
        self.nodes[node].core = None;
        self.nodes[node].role = Role::Client;
        let down = self.up_to(20 * SECOND);
        self.fault(self.now + down);
        self.later(down, None, move |world| world.start(node));
    }

    /// A machine sleeps, and the clock of its processes stands still meanwhile; or a process is stopped.
    pub(super) fn suspend(&mut self, node: usize) {
        self.counts.sleeps += 1;
        let slept = self.up_to(30 * SECOND);
        if pick(&mut self.dice, 2) == 0 {
            self.nodes[node].wall -= i64::try_from(slept).expect("half a minute");
        }
        self.nodes[node].asleep_until = self.now + slept;
        self.fault(self.now + slept);
    }

    /// The clock of the database is set, by less than the margin of a lease.
    pub(super) fn jump(&mut self, _: usize) {
        self.counts.jumps += 1;
        self.database.ahead = self.ahead + signed(&mut self.dice, 250 * MILLI);
        self.fault(self.now + SECOND);
    }

    pub(super) fn stall(&mut self, _: usize) {
        self.counts.stalls += 1;
        let until = self.now + self.up_to(20 * SECOND);
        self.database.away_until = self.database.away_until.max(until);
        self.fault(until);
    }

    pub(super) fn fail_over(&mut self, _: usize) {
        self.counts.fail_overs += 1;
        // All connections end.
        self.nodes.iter_mut().for_each(|node| node.was_away = true);
        let away = self.now + SECOND + self.up_to(5 * SECOND);
        self.database.away_until = self.database.away_until.max(away);
        if pick(&mut self.dice, 2) == 0 {
            self.counts.lossy += 1;
            let at = self.now - self.up_to(BEHIND);
            self.database.fail_over(at);
            for seen in &mut self.seen {
                seen.acknowledged = seen.acknowledged.filter(|told| *told < at);
                seen.told = seen.told.take().filter(|(told, _)| *told < at);
            }
            self.unsettled_until = self.database.away_until + 3 * LEASE;
        }
        self.fault(self.database.away_until + 3 * LEASE);
    }

    pub(super) fn check_the_end(&self) {
        for (poll, seen) in self.seen.iter().enumerate() {
            let key = key(poll);
            if seen.acknowledged.is_some() {
                let open = self.database.tables.open.get(&key);
                assert!(
                    open.is_none(),
                    "{key} was acknowledged and has not ended: {:?}",
                    open.map(|open| &open.poll.created_at)
                );
                assert!(self.database.tables.done.contains_key(&key), "{key} was acknowledged and is gone");
            }
            if let Some((_, told)) = &seen.told {
                let stored = self.database.tables.done.get(&key).map(|(_, outcome)| outcome);
                assert!(
                    stored == Some(told) || self.unsettled_until > 0,
                    "{key}: what was told is not what is stored"
                );
            }
        }
        // A timeout of a poll is 60 s at most.
        let most = (self.last_fault.max(BEGIN + 33 * SECOND + 60 * SECOND)) + LEASE + 2 * SECOND;
        assert!(
            self.now <= most.max(BEGIN + CALM + LEASE + 2 * SECOND),
            "the last poll ended {} s late",
            (self.now - most) / SECOND
        );
    }
}
