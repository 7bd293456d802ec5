//! Faults, and what must hold at the end in spite of them.

use super::database::BEHIND;
use super::{BEGIN, CALM, Jump, LEASE, LIMIT, MILLI, Node, Role, SECOND, World, key, pick, signed};

impl World {
    pub(super) fn fault(&mut self, until: u64) {
        self.last_fault = self.last_fault.max(until);
    }

    /// A process dies, or ends in order; another starts in its place.
    pub(super) fn kill(&mut self, node: usize) {
        self.count("kill");
        if let Some(holder) = self.holder(node)
            && pick(&mut self.dice, 3) == 0
            && self.now >= self.database.away_until
        {
            self.database.resign(holder, self.now);
        }
        self.end(node);
        let down = self.up_to(20 * SECOND);
        self.fault(self.now + down);
        self.later(down, None, move |world| world.start(node));
    }

    pub(super) fn end(&mut self, node: usize) {
        self.nodes[node].life += 1;
        self.nodes[node].core = None;
        self.nodes[node].role = Role::Client;
    }

    /// A machine sleeps, and the clock of its processes stands still meanwhile; or a process is stopped.
    pub(super) fn suspend(&mut self, node: usize) {
        self.count("sleep");
        let slept = self.up_to(30 * SECOND);
        if pick(&mut self.dice, 2) == 0 {
            self.nodes[node].wall -= i64::try_from(slept).expect("half a minute");
            self.frozen += slept;
            self.nodes[node].stood_still += slept;
        }
        self.nodes[node].asleep_until = self.now + slept;
        self.fault(self.now + slept);
    }

    /// The clock of the database is set: by less than the margin of a lease, or by up to an hour.
    pub(super) fn jump(&mut self, _: usize) {
        self.count("jump");
        self.set_clock();
    }

    fn set_clock(&mut self) {
        let before = self.database.ahead;
        if pick(&mut self.dice, 2) == 0 {
            self.database.ahead += signed(&mut self.dice, 250 * MILLI);
        } else {
            self.database.ahead += signed(&mut self.dice, 3600 * SECOND);
            // Until a worker has noticed.
            self.uneven_until = self.now + 2 * LEASE;
        }
        let by = self.database.ahead - before;
        if self.database.is_new() {
            // The fleet's time begins with its first worker.
            self.ahead += by;
        } else {
            let knows = |node: &Node| !matches!(node.role, Role::Client);
            let lives = self.nodes.iter().enumerate().filter(|(_, node)| knows(node));
            let known = lives.map(|(number, node)| (number, node.life)).collect();
            self.jumps.push(Jump { at: self.now, by, known });
        }
        self.fault(self.now + SECOND);
    }

    pub(super) fn stall(&mut self, _: usize) {
        self.count("stall");
        let until = self.now + self.up_to(20 * SECOND);
        self.database.away_until = self.database.away_until.max(until);
        self.fault(until);
    }

    pub(super) fn fail_over(&mut self, _: usize) {
        self.count("fail-over");
        // All connections end.
        self.nodes.iter_mut().for_each(|node| node.was_away = true);
        let away = self.now + SECOND + self.up_to(5 * SECOND);
        self.database.away_until = self.database.away_until.max(away);
        if pick(&mut self.dice, 2) == 0 {
            self.count("lossy");
            let at = self.now - self.up_to(BEHIND);
            self.database.fail_over(at);
            for seen in &mut self.seen {
                seen.acknowledged = seen.acknowledged.filter(|told| *told < at);
                seen.told = seen.told.take().filter(|(told, _)| *told < at);
            }
            self.unsettled_until = self.database.away_until + 3 * LEASE;
        }
        if pick(&mut self.dice, 2) == 0 {
            self.set_clock();
            self.uneven_until = self.database.away_until + 2 * LEASE;
        }
        self.fault(self.database.away_until + 3 * LEASE);
    }

    /// Whether a worker lives on that knew the time before the clock was set.
    fn is_seen(&self, jump: &Jump) -> bool {
        jump.known.iter().any(|(node, life)| self.nodes[*node].life == *life)
    }

    /// By how much steps of the database's clock may have hastened the fleet's time: by two leases if a worker saw it, by all
    /// of it if maybe none did.
    fn hastened(&self) -> u64 {
        let hastened = self.jumps.iter().map(|jump| {
            let forward = u64::try_from(jump.by).unwrap_or(0);
            if self.is_seen(jump) { forward.min(2 * LEASE) } else { forward }
        });
        hastened.sum()
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
            if let (Some(incarnation), Some((at, outcome))) = (self.database.created.get(&key), &seen.told)
                && outcome.name() == "timed out"
                // A poll whose creation was lost may have been created twice.
                && self.unsettled_until == 0
            {
                let timeout = u64::try_from(self.specs[poll].timeout().as_micros()).expect("a minute");
                let birth = self.births[usize::try_from(incarnation - 1).expect("positive")];
                // A process knows the fleet's time as exactly as its last measurement was fast.
                let lived = at - birth + 2 * LIMIT + self.hastened();
                assert!(
                    lived >= timeout,
                    "poll-{poll} timed out {} s early, the clock was set {:?}",
                    (timeout - lived) / SECOND,
                    self.jumps
                );
            }
        }
        // The fleet's time falls behind by what was followed, by what the machine of the only worker stood still, and by the
        // time without a worker during which the clock was set back.
        let each =
            self.jumps.iter().map(|jump| if self.is_seen(jump) { SECOND + 500 * MILLI } else { 30 * SECOND });
        let followed = each.sum::<u64>() + SECOND;
        let behind = self.ahead - (self.database.ahead + self.database.tables.shift);
        let noticed =
            self.jumps.last().is_none_or(|jump| jump.at.max(self.last_fault) + 3 * LEASE < self.now);
        let behind = u64::try_from(behind).ok().filter(|_| noticed).unwrap_or(0);
        assert!(behind <= self.frozen + followed, "the fleet's time is {} s behind", behind / SECOND);
        // A timeout of a poll is 60 s at most.
        let most = (self.last_fault.max(BEGIN + 33 * SECOND + 60 * SECOND)) + LEASE + 2 * SECOND + behind;
        assert!(
            self.now <= most.max(BEGIN + CALM + LEASE + 2 * SECOND),
            "the last poll ended {} s late",
            (self.now - most) / SECOND
        );
    }
}
