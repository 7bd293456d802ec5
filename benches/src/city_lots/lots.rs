//! The column of lot numbers: block, lot and sometimes a letter, sorted as in a land register.
//!
//! A fixed number of lots matches each rule of the groups EXACT and WILDCARD; all other lots match none of these rules.

use crate::glob;
use crate::rng::Rng;

const WILDCARDS: [&str; 5] = ["143*", "2*0*1*7", "*218", "3*5*2", "VA*IL"];

/// The lots that rules name, and how often each occurs. Each matches the wildcard at the same index.
const NAMED: [(&str, usize); 5] =
    [("1430022", 1), ("2607117", 101), ("2607218", 35), ("3745012", 655), ("VACSTWIL", 1)];

/// The only lot whose block is not a number.
pub(super) const VACANT: &str = "VACSTWIL";

pub(super) fn column(rng: &mut Rng, count: usize) -> Vec<String> {
    let mut lots = Vec::with_capacity(count);
    for (lot, times) in NAMED {
        lots.extend(std::iter::repeat_n(lot.to_owned(), times));
    }
    // The named lots match wildcards too; these lots complete the counts.
    lots.extend((0..489).map(|_| only(0, || format!("143{}{:03}", rng.below(10), rng.within(1, 70)))));
    lots.extend((0..612).map(|_| only(1, || format!("2{:03}{:03}", rng.below(1000), rng.within(1, 150)))));
    lots.extend((0..8).map(|_| only(2, || format!("{:04}218", rng.within(1, 9999)))));
    lots.extend((0..1885).map(|_| only(3, || format!("3{:03}{:03}", rng.below(1000), rng.within(1, 180)))));
    fill(rng, &mut lots, count);
    lots.sort_unstable();
    lots
}

/// Adds lots that match no rule, block after block, until there are `count`.
fn fill(rng: &mut Rng, lots: &mut Vec<String>, count: usize) {
    let mut block = 0;
    loop {
        block = block % 9998 + 1;
        for lot in 1..rng.within(6, 40) {
            let letter = if rng.chance(0.02) { rng.choice(&["A", "B", "C", "T"]) } else { "" };
            let lot = format!("{block:04}{letter}{lot:03}");
            if named(&lot) || hits(&lot).next().is_some() {
                continue;
            }
            // A lot with a tall building has many records.
            let times = if rng.chance(0.97) { rng.choice(&[1, 1, 1, 1, 1, 2]) } else { rng.within(5, 60) };
            for _ in 0..times {
                if lots.len() == count {
                    return;
                }
                lots.push(lot.clone());
            }
        }
    }
}

fn only(wildcard: usize, mut draw: impl FnMut() -> String) -> String {
    loop {
        let lot = draw();
        if !named(&lot) && hits(&lot).eq([wildcard]) {
            return lot;
        }
    }
}

fn named(lot: &str) -> bool {
    NAMED.iter().any(|(name, _)| *name == lot)
}

fn hits(lot: &str) -> impl Iterator<Item = usize> {
    WILDCARDS
        .iter()
        .enumerate()
        .filter(move |(_, pattern)| glob::matches(pattern, lot))
        .map(|(index, _)| index)
}
