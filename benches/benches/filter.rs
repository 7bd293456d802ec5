//! Time of compiling a filter and of matching one event, per operator and for typical filters; with the event parsed, and as
//! bytes in both modes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use filter::{Dialect, Filter, FilterOptions};
use serde_json::{Value, json};

/// Typical filters: name, dialect, text.
const FILTERS: [(&str, Dialect, &str); 4] = [
    ("one field", Dialect::Native, r#"{"status": ["SUCCESS", "FAILED"]}"#),
    (
        "webhook",
        Dialect::Native,
        r#"{"type": [{"$startsWith": "order."}], "data": {"amount": {"$gte": 100}, "customer": {"country": ["DE", "AT", "CH"]}}, "$nor": [{"data": {"test": true}}]}"#,
    ),
    (
        "trigger-dev response",
        Dialect::TriggerDev,
        r#"{"status": [200], "headers": {"content-type": [{"$startsWith": "application/json"}]}, "body": {"status": ["SUCCESS"]}}"#,
    ),
    (
        "event-bridge",
        Dialect::EventBridge,
        r#"{"source": ["aws.ec2"], "detail": {"state": [{"anything-but": "terminated"}], "cpu": [{"numeric": [">", 0, "<=", 5]}], "tags": {"k": ["env"], "v": [{"prefix": "prod"}]}}}"#,
    ),
];

/// One condition per operator, on a field of `event`.
fn operators() -> Vec<(&'static str, Value)> {
    vec![
        ("literal", json!({"text": "https://example.com/reports/2026/november"})),
        ("$startsWith", json!({"text": {"$startsWith": "https://"}})),
        ("$endsWith", json!({"text": {"$endsWith": "november"}})),
        ("$contains", json!({"text": {"$contains": "2026"}})),
        (
            "$ignoreCaseEquals",
            json!({"text": {"$ignoreCaseEquals": "HTTPS://EXAMPLE.COM/REPORTS/2026/NOVEMBER"}}),
        ),
        ("$ignoreCaseEquals, accents", json!({"city": {"$ignoreCaseEquals": "SÃO PAULO"}})),
        ("$regex", json!({"text": {"$regex": "^https://[a-z.]+/.*/[0-9]{4}/"}})),
        ("$wildcard", json!({"text": {"$wildcard": "https://*/reports/*/nov*"}})),
        ("$cidr", json!({"ip": {"$cidr": "10.0.0.0/8"}})),
        ("$between", json!({"number": {"$between": [1, 100]}})),
        ("$includes", json!({"list": {"$includes": "nine"}})),
        ("$size", json!({"list": {"$size": {"$gt": 5}}})),
        ("$some", json!({"objects": {"$some": {"k": "env", "v": "prod"}}})),
        ("$every", json!({"objects": {"$every": {"k": {"$exists": true}}}})),
        ("$anythingBut", json!({"text": {"$anythingBut": ["a", "b", "c"]}})),
        ("nested", json!({"deep": {"er": {"est": 1}}})),
    ]
}

fn event() -> Value {
    json!({
        "status": "SUCCESS",
        "type": "order.paid",
        "source": "aws.ec2",
        "text": "https://example.com/reports/2026/november",
        "city": "São Paulo",
        "ip": "10.20.30.40",
        "number": 42,
        "list": ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        "objects": [{"k": "team", "v": "a"}, {"k": "cost", "v": "b"}, {"k": "env", "v": "prod"}],
        "deep": {"er": {"est": 1}},
        "data": {"amount": 120, "test": false, "customer": {"country": "AT", "name": "ada"}},
        "detail": {"state": "running", "cpu": 4, "tags": [{"k": "team", "v": "x"}, {"k": "env", "v": "prod-1"}]},
    })
}

fn compile(dialect: Dialect, text: &str) -> Filter {
    FilterOptions::new().dialect(dialect).parse(text).expect("the filters here compile")
}

fn compiling(c: &mut Criterion) {
    let mut group = c.benchmark_group("filter/compile");
    for (name, dialect, text) in FILTERS {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| compile(dialect, black_box(text))));
    }
    group.finish();
}

fn matching(c: &mut Criterion) {
    let event = event();
    let mut group = c.benchmark_group("filter/matches");
    for (name, dialect, text) in FILTERS {
        let filter = compile(dialect, text);
        group.bench_function(name, |b| b.iter(|| filter.matches(black_box(&event))));
    }
    for (name, filter) in operators() {
        let filter = Filter::try_from(&filter).expect("the filters here compile");
        assert!(filter.matches(&event), "{filter} should match: a miss at the first field measures nothing");
        group.bench_function(name, |b| b.iter(|| filter.matches(black_box(&event))));
    }
    group.finish();
}

fn from_bytes(c: &mut Criterion) {
    let event = event().to_string();
    let event = event.as_bytes();
    let mut filters: Vec<_> = FILTERS.map(|(name, dialect, text)| (name, compile(dialect, text))).into();
    for (name, filter) in operators() {
        filters.push((name, Filter::try_from(&filter).expect("the filters here compile")));
    }
    let mut group = c.benchmark_group("filter/matches_slice");
    group.throughput(Throughput::Bytes(event.len() as u64));
    for (name, filter) in &filters {
        group.bench_function(*name, |b| b.iter(|| filter.matches_slice(black_box(event))));
    }
    group.finish();
    let mut group = c.benchmark_group("filter/matches_valid_slice");
    group.throughput(Throughput::Bytes(event.len() as u64));
    for (name, filter) in &filters {
        group.bench_function(*name, |b| b.iter(|| filter.matches_valid_slice(black_box(event))));
    }
    group.finish();
}

fn explaining(c: &mut Criterion) {
    let event = event();
    let mut group = c.benchmark_group("filter/explain");
    for (name, dialect, text) in FILTERS {
        let filter = compile(dialect, text);
        group.bench_function(name, |b| b.iter(|| filter.explain(black_box(&event))));
    }
    group.finish();
}

criterion_group!(benches, compiling, matching, from_bytes, explaining);
criterion_main!(benches);
