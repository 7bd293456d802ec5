//! A sorted set of pairs in pieces that clones share.
//!
//! ```text
//!  least pair ──► piece: up to 128 pairs in order
//! ```
//!
//! Adding a pair moves at most a piece, so the time hardly grows with the set, and after a clone one piece and the list of pieces
//! are copied. `BTreeSet`, which this replaces, copies all of its pairs then, and compares twice as often with four times the pairs.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A key by which pairs are sorted, and a number.
pub(in crate::set) type Pair = (u64, u32);

/// The most pairs of a piece; then it is cut into halves.
const PIECE: usize = 128;

/// With fewer pairs, a piece is joined with its neighbour if that has few too.
const FEW: usize = PIECE / 8;

#[derive(Clone, Debug, Default)]
pub(in crate::set) struct Sorted {
    /// By a lower bound of the pairs of the piece; that of the first one is the least pair that there can be.
    pieces: BTreeMap<Pair, Arc<Vec<Pair>>>,
    len: usize,
}

impl Sorted {
    pub(in crate::set) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(in crate::set) fn insert(&mut self, pair: Pair) {
        let Some((_, piece)) = self.pieces.range_mut(..=pair).next_back() else {
            self.pieces.insert((0, 0), Arc::new(vec![pair]));
            self.len += 1;
            return;
        };
        let piece = Arc::make_mut(piece);
        let Err(place) = piece.binary_search(&pair) else { return };
        self.len += 1;
        piece.insert(place, pair);
        if piece.len() > PIECE {
            // Pairs are often added in order: then a piece is left full, and the next one starts with the last pair.
            let at = if place == PIECE { PIECE } else { PIECE / 2 };
            let rest = piece.split_off(at);
            self.pieces.insert(rest[0], Arc::new(rest));
        }
    }

    pub(in crate::set) fn remove(&mut self, pair: Pair) {
        let Some((&least, piece)) = self.pieces.range_mut(..=pair).next_back() else { return };
        let piece = Arc::make_mut(piece);
        let Ok(place) = piece.binary_search(&pair) else { return };
        piece.remove(place);
        self.len -= 1;
        if self.len == 0 {
            self.pieces.clear();
        } else if piece.len() < FEW {
            self.join(least);
        }
    }

    /// Joins a piece with few pairs with one beside it, unless that has many.
    fn join(&mut self, least: Pair) {
        let next = self.pieces.range(least..).nth(1).map(|(&least, _)| least);
        let before = self.pieces.range(..least).next_back().map(|(&least, _)| least);
        for (first, second) in [(Some(least), next), (before, Some(least))] {
            let (Some(first), Some(second)) = (first, second) else { continue };
            let both = [first, second].map(|least| self.pieces.get(&least).map_or(0, |piece| piece.len()));
            if both[0] + both[1] > PIECE / 2 {
                continue;
            }
            let rest = self.pieces.remove(&second).unwrap_or_default();
            if let Some(piece) = self.pieces.get_mut(&first) {
                Arc::make_mut(piece).extend_from_slice(&rest);
            }
            return;
        }
    }

    /// The pairs up to one, in ascending order.
    pub(in crate::set) fn up_to(&self, last: Pair) -> impl Iterator<Item = Pair> {
        let pieces = self.pieces.range(..=last).flat_map(|(_, piece)| piece.iter().copied());
        pieces.take_while(move |&pair| pair <= last)
    }

    /// The pairs from one on, in ascending order.
    pub(in crate::set) fn from(&self, first: Pair) -> impl Iterator<Item = Pair> {
        let least = self.pieces.range(..=first).next_back().map_or(first, |(&least, _)| least);
        let mut pieces = self.pieces.range(least..).map(|(_, piece)| piece.as_slice());
        let begun = pieces.next().unwrap_or_default();
        let begun = &begun[begun.partition_point(|&pair| pair < first)..];
        begun.iter().copied().chain(pieces.flat_map(|piece| piece.iter().copied()))
    }

    /// Estimated heap memory in bytes.
    pub(in crate::set) fn bytes(&self) -> usize {
        let piece = |piece: &Arc<Vec<Pair>>| piece.capacity() * size_of::<Pair>() + 5 * size_of::<usize>();
        // Nodes of the tree are two thirds full on average.
        let tree = self.pieces.len() * (size_of::<Pair>() + size_of::<usize>()) * 3 / 2;
        tree + self.pieces.values().map(piece).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn holds_what_a_tree_holds(
            changes in proptest::collection::vec((0..700_u64, 0..3_u32, prop::bool::weighted(0.6)), 0..4000),
            ascending in any::<bool>(),
            asked in proptest::collection::vec((0..700_u64, 0..3_u32), 8),
        ) {
            let mut changes = changes;
            if ascending {
                changes.sort_by_key(|&(key, number, adds)| (!adds, key, number));
            }
            let (mut sorted, mut tree) = (Sorted::default(), BTreeSet::new());
            let mut clones = Vec::new();
            for (at, &(key, number, adds)) in changes.iter().enumerate() {
                if at % 997 == 500 {
                    clones.push((sorted.clone(), tree.clone()));
                }
                if adds {
                    sorted.insert((key, number));
                    tree.insert((key, number));
                } else {
                    sorted.remove((key, number));
                    tree.remove(&(key, number));
                }
                prop_assert_eq!(sorted.len, tree.len());
            }
            clones.push((sorted, tree));
            for (sorted, tree) in clones {
                prop_assert_eq!(sorted.is_empty(), tree.is_empty());
                // Pieces with few pairs have been joined.
                prop_assert!(sorted.pieces.len() <= 2 + 4 * tree.len() / FEW);
                for &pair in &asked {
                    prop_assert!(sorted.up_to(pair).eq(tree.range(..=pair).copied()));
                    prop_assert!(sorted.from(pair).eq(tree.range(pair..).copied()));
                }
            }
        }
    }
}
