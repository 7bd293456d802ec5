//! Time per event of filter sets with one to a million filters, and time per filter of building them.
//!
//! The events and rules are those of the comparison with other libraries; each operator has a group of five rules.
//! `FILTER_SET_MAX=1000` stops at a thousand filters, which takes less time.

use std::hint::black_box;

use benches::city_lots::CityLots;
use benches::groups;
use benches::rules::Rules;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use filter::{Dialect, Filter, FilterOptions, FilterSet, Matches};
use serde_json::Value;

/// Few enough to stay in a cache, so that matching is measured, not reading events from memory.
const EVENTS: usize = 500;

fn compile(rule: &str) -> Filter {
    FilterOptions::new().dialect(Dialect::EventBridge).parse(rule).expect("the rules here compile")
}

fn build(filters: &[Filter]) -> FilterSet<usize> {
    let mut builder = FilterSet::builder();
    for (id, filter) in filters.iter().enumerate() {
        builder = builder.add(id, filter.clone());
    }
    builder.build()
}

fn set_of(rules: &[String]) -> FilterSet<usize> {
    build(&rules.iter().map(|rule| compile(rule)).collect::<Vec<_>>())
}

/// Both modes on bytes, batches, and parsed events.
fn match_all(c: &mut Criterion, group: &str, name: BenchmarkId, set: &FilterSet<usize>) {
    let events: Vec<Vec<u8>> = CityLots::sample(EVENTS).events().iter().map(<[u8]>::to_vec).collect();
    let values: Vec<Value> =
        events.iter().map(|event| serde_json::from_slice(event).expect("the events are JSON")).collect();
    let mut matches = Matches::new();

    let mut known_valid = c.benchmark_group(format!("{group}/known-valid"));
    known_valid.throughput(Throughput::Elements(events.len() as u64));
    known_valid.bench_function(name.clone(), |b| {
        b.iter(|| {
            for event in &events {
                set.matches_valid_slice_into(black_box(event), &mut matches);
                black_box(&matches);
            }
        });
    });
    known_valid.finish();

    let mut batch = c.benchmark_group(format!("{group}/known-valid, in a batch"));
    batch.throughput(Throughput::Elements(events.len() as u64));
    batch.bench_function(name.clone(), |b| {
        b.iter(|| {
            let events = events.iter().map(|event| black_box(&**event));
            set.matches_valid_slices(events, |matches| _ = black_box(matches));
        });
    });
    batch.finish();

    let mut validating = c.benchmark_group(format!("{group}/validating"));
    validating.throughput(Throughput::Elements(events.len() as u64));
    validating.bench_function(name.clone(), |b| {
        b.iter(|| {
            for event in &events {
                set.matches_slice_into(black_box(event), &mut matches).expect("the events are JSON");
                black_box(&matches);
            }
        });
    });
    validating.finish();

    let mut value = c.benchmark_group(format!("{group}/value"));
    value.throughput(Throughput::Elements(values.len() as u64));
    value.bench_function(name, |b| {
        b.iter(|| {
            for event in &values {
                set.matches_into(black_box(event), &mut matches);
                black_box(&matches);
            }
        });
    });
    value.finish();
}

fn operators(c: &mut Criterion) {
    for group in groups::all() {
        match_all(c, "filter_set/operators", BenchmarkId::from_parameter(&group.name), &set_of(&group.rules));
    }
}

/// The first rule of each group by itself: parsed events take about as long as bytes that are known to be valid.
fn alone(c: &mut Criterion) {
    let events: Vec<Vec<u8>> = CityLots::sample(EVENTS).events().iter().map(<[u8]>::to_vec).collect();
    let values: Vec<Value> =
        events.iter().map(|event| serde_json::from_slice(event).expect("the events are JSON")).collect();
    let mut benches = c.benchmark_group("filter_set/alone");
    benches.throughput(Throughput::Elements(events.len() as u64));
    for group in groups::all() {
        let filter = compile(&group.rules[0]);
        benches.bench_function(BenchmarkId::new("known-valid", &group.name), |b| {
            b.iter(|| events.iter().filter(|event| filter.matches_valid_slice(black_box(event))).count());
        });
        benches.bench_function(BenchmarkId::new("value", &group.name), |b| {
            b.iter(|| values.iter().filter(|event| filter.matches(black_box(event))).count());
        });
    }
    benches.finish();
}

fn sizes() -> impl Iterator<Item = usize> {
    let most = std::env::var("FILTER_SET_MAX").ok().and_then(|most| most.parse().ok()).unwrap_or(1_000_000);
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].into_iter().filter(move |size| *size <= most)
}

fn many(c: &mut Criterion) {
    let lots = CityLots::all();
    let rules = Rules::new(&lots);
    for size in sizes() {
        let set = set_of(&rules.exact2(size).rules);
        match_all(c, "filter_set/exact2", BenchmarkId::from_parameter(size), &set);
        // The comparison has the same limits: sets are not made for more wildcards or mixed rules.
        if size <= 100_000 {
            let set = set_of(&rules.mixed(size).rules);
            match_all(c, "filter_set/mixed", BenchmarkId::from_parameter(size), &set);
        }
        if size <= 1_000 {
            let set = set_of(&rules.wild(size).rules);
            match_all(c, "filter_set/wild", BenchmarkId::from_parameter(size), &set);
        }
    }
}

fn building(c: &mut Criterion) {
    let lots = CityLots::all();
    let rules = Rules::new(&lots);
    let mut group = c.benchmark_group("filter_set/build");
    for size in sizes().filter(|size| *size <= 100_000) {
        group.throughput(Throughput::Elements(size as u64));
        let texts = rules.exact2(size).rules;
        let filters: Vec<_> = texts.iter().map(|rule| compile(rule)).collect();
        group.bench_function(BenchmarkId::new("compile", size), |b| {
            b.iter(|| texts.iter().map(|rule| compile(black_box(rule))).for_each(drop));
        });
        group.bench_function(BenchmarkId::new("add", size), |b| b.iter(|| build(black_box(&filters))));
    }
    group.finish();
}

/// Changing one filter of many, in a set with a clone.
fn changing(c: &mut Criterion) {
    let lots = CityLots::all();
    let mut group = c.benchmark_group("filter_set/change");
    for size in sizes().filter(|size| (1_000..=100_000).contains(size)) {
        let set = set_of(&Rules::new(&lots).exact2(size).rules);
        let filter = compile(r#"{"properties":{"BLKLOT":["0001001"],"STREET":["CHURCH"]}}"#);
        group.bench_function(BenchmarkId::new("clone, insert, remove", size), |b| {
            b.iter_batched(
                || (set.clone(), filter.clone()),
                |(mut set, filter)| {
                    set.insert(size, filter);
                    set.remove(&0);
                    set
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, operators, alone, many, building, changing);
criterion_main!(benches);
