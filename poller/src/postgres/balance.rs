//! Which share of the shards a worker should have, and how it gets there: pure, so that the simulation runs the same rules.
//!
//! There is no leader. Each worker compares what it holds with ceil(shards ÷ living workers), and takes free shards or gives
//! a part of a surplus back. A surplus must be seen twice, and more than a sixteenth of the share, before it counts: the
//! restart of one worker then does not move the shards of all.

/// What a worker remembers between two looks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Balance {
    /// The surplus of shards at the last look.
    surplus: usize,
}

/// What a worker should do about its shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Take up to this many.
    Take(usize),
    /// Give this many back, once the engine has dropped their polls.
    Leave(usize),
    Stay,
}

impl Balance {
    /// The next move of a worker that holds `held` of `shards` shards, while `living` workers have a lease, itself included.
    pub(super) fn decide(&mut self, shards: usize, living: usize, held: usize) -> Move {
        let share = shards.div_ceil(living.max(1));
        let before = std::mem::replace(&mut self.surplus, held.saturating_sub(share));
        if held < share {
            return Move::Take(share - held);
        }
        if self.surplus > share / 16 && before > share / 16 {
            return Move::Leave(self.surplus.div_ceil(4));
        }
        Move::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_surplus_moves_in_parts_once_it_was_seen_twice() {
        let mut balance = Balance::default();
        assert_eq!(balance.decide(4096, 1, 0), Move::Take(4096));
        assert_eq!(balance.decide(4096, 2, 4096), Move::Stay, "seen once");
        assert_eq!(balance.decide(4096, 2, 4096), Move::Leave(512));
        assert_eq!(balance.decide(4096, 2, 2176), Move::Stay, "a sixteenth is not worth it");
        assert_eq!(balance.decide(4096, 2, 2000), Move::Take(48));
        assert_eq!(balance.decide(1, 3, 0), Move::Take(1));
        assert_eq!(balance.decide(0, 0, 0), Move::Stay);
    }

    /// Whatever the numbers, workers that follow the rule come to rest with every shard taken and fair shares.
    #[test]
    fn workers_come_to_rest_with_fair_shares() {
        for shards in [1, 2, 7, 16, 100, 4096] {
            for living in 1..=9_usize {
                let mut held = vec![0; living];
                held[0] = shards;
                let mut balances = vec![Balance::default(); living];
                for _ in 0..200 {
                    for worker in 0..living {
                        let free = shards - held.iter().sum::<usize>();
                        match balances[worker].decide(shards, living, held[worker]) {
                            Move::Take(number) => held[worker] += number.min(free),
                            Move::Leave(number) => held[worker] -= number,
                            Move::Stay => {}
                        }
                    }
                }
                let share = shards.div_ceil(living);
                assert_eq!(held.iter().sum::<usize>(), shards, "{held:?}");
                assert!(held.iter().all(|held| *held <= share + share / 16), "{shards}/{living}: {held:?}");
            }
        }
    }
}
