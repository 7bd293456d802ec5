//! Many rules for the [city lots](crate::city_lots), and the number of events that each must match.
//!
//! These numbers are counted from the rows that the events are written from, with maps and [`crate::glob`], so that no engine
//! is checked against its own results.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use serde_json::json;

use crate::city_lots::{CityLots, Row};
use crate::glob;
use crate::rng::Rng;

/// A source of rules: the pairs of lot and street that occur in events, each pair once, in random order.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    lots: &'a CityLots,
    pairs: Vec<(&'a str, &'static str)>,
}

/// EventBridge patterns, and in the same order the number of events that each matches.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// The patterns.
    pub rules: Vec<String>,
    /// The counts.
    pub expected: Vec<u64>,
}

/// Half of the rules of `exact2` match an event, but no more rules than this.
const HITS: usize = 100_000;

impl<'a> Rules<'a> {
    /// Creates a source of rules for these events.
    pub fn new(lots: &'a CityLots) -> Self {
        let mut seen = HashSet::new();
        let mut pairs: Vec<_> =
            lots.rows().iter().filter_map(pair).filter(|pair| seen.insert(*pair)).collect();
        Rng::new(7).shuffle(&mut pairs);
        Self { lots, pairs }
    }

    /// Rules with two exact fields. Half of them, but at most 100,000, match an event.
    pub fn exact2(&self, count: usize) -> RuleSet {
        let mut rng = Rng::new(11);
        let known: HashSet<_> = self.pairs.iter().copied().collect();
        let streets: Vec<_> = self.pairs.iter().map(|(_, street)| *street).collect();
        let mut pairs: Vec<(String, &str)> = self
            .pairs
            .iter()
            .take((count / 2).min(HITS))
            .map(|(lot, street)| ((*lot).to_owned(), *street))
            .collect();
        let mut misses = HashSet::new();
        while pairs.len() < count {
            let miss = (format!("{:04}{:03}", rng.within(1, 9999), rng.within(1, 999)), rng.choice(&streets));
            if !known.contains(&(&*miss.0, miss.1)) && misses.insert(miss.clone()) {
                pairs.push(miss);
            }
        }
        rng.shuffle(&mut pairs);

        let counts = self.count(pair);
        let mut set = RuleSet::default();
        for (lot, street) in &pairs {
            set.rules.push(format!(r#"{{"properties":{{"BLKLOT":["{lot}"],"STREET":["{street}"]}}}}"#));
            set.expected.push(counts.get(&(&**lot, *street)).copied().unwrap_or(0));
        }
        set
    }

    /// In turn: a prefix; two exact fields; two other exact fields; an exact field and a suffix. Most match an event.
    pub fn mixed(&self, count: usize) -> RuleSet {
        let mut rng = Rng::new(13);
        let prefixes = self.count(|row| row.map_lot.get(..6));
        let even = self.count(|row| (row.side == Some("E")).then_some(&*row.lot));
        let addresses = self.count(|row| Some((row.street?, row.from)));
        let suffixes = self.count(|row| row.is_one_piece().then(|| &row.lot[row.lot.len() - 6..]));
        let mut set = RuleSet::default();
        for (at, (lot, street)) in (0..count).zip(self.pairs.iter().cycle()) {
            let (start, end) = (&lot[..6], &lot[lot.len() - 6..]);
            let (rule, expected) = match at % 4 {
                0 => (json!({"properties": {"MAPBLKLOT": [{"prefix": start}]}}), prefixes.get(start)),
                1 => (json!({"properties": {"BLKLOT": [lot], "ODD_EVEN": ["E"]}}), even.get(lot)),
                2 => {
                    let number = rng.within(1, 4500) as u32;
                    let rule = json!({"properties": {"STREET": [street], "FROM_ST": [number.to_string()]}});
                    (rule, addresses.get(&(*street, number)))
                }
                _ => {
                    let suffix = json!({"BLKLOT": [{"suffix": end}]});
                    (json!({"geometry": {"type": ["Polygon"]}, "properties": suffix}), suffixes.get(end))
                }
            };
            set.rules.push(rule.to_string());
            set.expected.push(expected.copied().unwrap_or(0));
        }
        set
    }

    /// Rules with two wildcards, most of them with several stars.
    pub fn wild(&self, count: usize) -> RuleSet {
        let counts = self.count(pair);
        let mut set = RuleSet::default();
        for (at, (lot, street)) in (0..count).zip(self.pairs.iter().step_by(7).cycle()) {
            let on_street = if at % 2 == 1 {
                format!("*{}*{}*", &street[..1], &street[street.len() - 1..])
            } else {
                format!("*{}*", &street[1..street.len().min(4)])
            };
            let on_lot = format!("{}*{}", &lot[..1], &lot[lot.len() - 2..]);
            let mut streets = HashMap::new();
            let expected = counts
                .iter()
                .filter(|((lot, street), _)| {
                    *streets.entry(*street).or_insert_with(|| glob::matches(&on_street, street))
                        && glob::matches(&on_lot, lot)
                })
                .map(|(_, count)| count)
                .sum();
            let rule = json!({"properties": {"STREET": [{"wildcard": on_street}], "BLKLOT": [{"wildcard": on_lot}]}});
            set.rules.push(rule.to_string());
            set.expected.push(expected);
        }
        set
    }

    /// The number of events with each key.
    fn count<K: Hash + Eq>(&self, key: impl Fn(&'a Row) -> Option<K>) -> HashMap<K, u64> {
        let mut counts = HashMap::new();
        for key in self.lots.rows().iter().filter_map(key) {
            *counts.entry(key).or_insert(0) += 1;
        }
        counts
    }
}

fn pair(row: &Row) -> Option<(&str, &'static str)> {
    Some((&row.lot, row.street?))
}
