//! The code whose instructions are counted: the paths of the filter crate that run once per event, and compiling.
//!
//! Callgrind is slow, so there are few events, spread over all. Each work runs once before it is counted, so that caches and
//! buffers are warm.

use std::hint::black_box;

use benches::city_lots::CityLots;
use benches::groups;
use benches::rules::Rules;
use filter::{Dialect, Filter, FilterOptions, FilterSet, Matches};
use serde_json::Value;

/// The number of events, or of filters to compile.
const EVENTS: usize = 200;

/// A piece of work whose instructions are counted.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    /// The number that the count is divided by.
    pub(crate) events: usize,
    /// Prepares the work and returns the function that is counted.
    pub(crate) prepare: Box<dyn Fn() -> Box<dyn FnMut()>>,
}

pub(crate) fn all() -> Vec<Work> {
    vec![
        work("compile/exact2", || compiling(many("exact2", EVENTS))),
        work("compile/mixed", || compiling(many("mixed", EVENTS))),
        work("compile/MIX35", || compiling(group("MIX35").into_iter().cycle().take(EVENTS).collect())),
        work("build/exact2", || {
            let filters: Vec<_> = many("exact2", EVENTS).iter().map(|rule| compile(rule)).collect();
            warm(Box::new(move || {
                let mut builder = FilterSet::builder();
                for (id, filter) in filters.iter().enumerate() {
                    builder = builder.add(id, filter.clone());
                }
                black_box(builder.build());
            }))
        }),
        work("value/EXACT 1", || value(&group("EXACT")[0])),
        work("value/COMPLEX_ARRAYS 5", || value(&group("COMPLEX_ARRAYS")[4])),
        work("validating/SINGLE", || one(&group("SINGLE")[0], true)),
        work("validating/LATE", || one(&group("LATE")[0], true)),
        work("known-valid/SINGLE", || one(&group("SINGLE")[0], false)),
        work("known-valid/LATE", || one(&group("LATE")[0], false)),
        work("set/EXACT", || set(&group("EXACT"), false)),
        work("set/WILDCARD", || set(&group("WILDCARD"), false)),
        work("set/PREFIX", || set(&group("PREFIX"), false)),
        work("set/EQUALS_IGNORE_CASE", || set(&group("EQUALS_IGNORE_CASE"), false)),
        work("set/NUMERIC", || set(&group("NUMERIC"), false)),
        work("set/ANYTHING_BUT", || set(&group("ANYTHING_BUT"), false)),
        work("set/COMPLEX_ARRAYS", || set(&group("COMPLEX_ARRAYS"), false)),
        work("set/MIX35", || set(&group("MIX35"), false)),
        work("set/MIX35, validating", || set(&group("MIX35"), true)),
        work("set/exact2 10000", || set(&many("exact2", 10_000), false)),
        work("set/mixed 10000", || set(&many("mixed", 10_000), false)),
        work("set/wild 100", || set(&many("wild", 100), false)),
        work("set/exact2 10000, in a batch", || {
            let set = build(&many("exact2", 10_000));
            let events = events();
            warm(Box::new(move || {
                let events = events.iter().map(|event| black_box(&**event));
                set.matches_valid_slices(events, |matches| _ = black_box(matches));
            }))
        }),
        work("set/exact2 10000, by value", || {
            let set = build(&many("exact2", 10_000));
            let events = values();
            let mut matches = Matches::new();
            warm(Box::new(move || {
                for event in &events {
                    set.matches_into(black_box(event), &mut matches);
                    black_box(&matches);
                }
            }))
        }),
    ]
}

fn work(name: &'static str, prepare: impl Fn() -> Box<dyn FnMut()> + 'static) -> Work {
    Work { name, events: EVENTS, prepare: Box::new(prepare) }
}

/// Runs the work once.
fn warm(mut work: Box<dyn FnMut()>) -> Box<dyn FnMut()> {
    work();
    work
}

fn compiling(rules: Vec<String>) -> Box<dyn FnMut()> {
    warm(Box::new(move || {
        for rule in &rules {
            black_box(compile(rule));
        }
    }))
}

fn group(name: &str) -> Vec<String> {
    let group = groups::all().into_iter().find(|group| group.name == name);
    group.map(|group| group.rules).expect("invariant: the groups named here are there")
}

fn many(kind: &str, count: usize) -> Vec<String> {
    let lots = CityLots::sample(20_000);
    let rules = Rules::new(&lots);
    match kind {
        "exact2" => rules.exact2(count).rules,
        "mixed" => rules.mixed(count).rules,
        _ => rules.wild(count).rules,
    }
}

fn compile(rule: &str) -> Filter {
    FilterOptions::new().dialect(Dialect::EventBridge).parse(rule).expect("invariant: the rules compile")
}

fn build(rules: &[String]) -> FilterSet<usize> {
    let mut builder = FilterSet::builder();
    for (id, rule) in rules.iter().enumerate() {
        builder = builder.add(id, compile(rule));
    }
    builder.build()
}

fn events() -> Vec<Vec<u8>> {
    CityLots::sample(EVENTS).events().iter().map(<[u8]>::to_vec).collect()
}

fn values() -> Vec<Value> {
    let read = |event: &Vec<u8>| serde_json::from_slice(event).expect("invariant: the events are JSON");
    events().iter().map(read).collect()
}

fn value(rule: &str) -> Box<dyn FnMut()> {
    let filter = compile(rule);
    let events = values();
    warm(Box::new(move || {
        for event in &events {
            black_box(filter.matches(black_box(event)));
        }
    }))
}

fn one(rule: &str, validating: bool) -> Box<dyn FnMut()> {
    let filter = compile(rule);
    let events = events();
    warm(Box::new(move || {
        for event in &events {
            if validating {
                black_box(filter.matches_slice(black_box(event))).expect("invariant: the events are JSON");
            } else {
                black_box(filter.matches_valid_slice(black_box(event)));
            }
        }
    }))
}

fn set(rules: &[String], validating: bool) -> Box<dyn FnMut()> {
    let set = build(rules);
    let events = events();
    let mut matches = Matches::new();
    warm(Box::new(move || {
        for event in &events {
            if validating {
                set.matches_slice_into(black_box(event), &mut matches)
                    .expect("invariant: the events are JSON");
            } else {
                set.matches_valid_slice_into(black_box(event), &mut matches);
            }
            black_box(&matches);
        }
    }))
}
