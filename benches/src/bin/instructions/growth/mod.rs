//! Growth: four times the size may cost at most about five times as much, whatever the operator and wherever the size is.
//!
//! ```text
//!  operators × shapes × steps ──► instructions at a size and at four times the size ──► their quotient
//! ```
//!
//! Counts of instructions, unlike times, are the same on a busy machine, so the limits can be tight. A new way in which filters can
//! be large is one of [`shapes`](SHAPES); [`operators`] come from the language's tables.

mod operators;
mod shapes;

use std::hint::black_box;

use filter::{Document, Filter, FilterOptions, FilterSet, Matches};
use serde_json::Value;

use super::counted;
use operators::Operator;
use shapes::{SHAPES, Shape};

/// The greatest quotient for work that is linear; growing tables is in it.
const LINEAR: f64 = 5.0;

/// The greatest quotient for changes of a set, of which some begin to be found by two conditions together between both sizes.
const CHANGES: f64 = 7.5;

/// The greatest quotient for an event that as many rules match at both sizes.
const CONSTANT: f64 = 1.6;

/// The number of events that one count contains; the first ones find nothing in a cache.
const EVENTS: usize = 2;

/// What is counted; whether it is the matching of an event.
const STEPS: [(&str, bool); 8] = [
    ("compile", false),
    ("insert", false),
    ("match", true),
    ("match, validating", true),
    ("match, parsed", true),
    ("judge", false),
    ("explain", false),
    ("remove and insert", false),
];

/// The name of every shape.
pub(crate) fn shapes() -> impl Iterator<Item = &'static str> {
    SHAPES.iter().map(|shape| shape.name)
}

/// The operators that fit into a shape.
fn fitting(shape: &Shape) -> Result<Vec<Operator>, String> {
    Ok(operators::all()?.into_iter().filter(|operator| (shape.fits)(operator)).collect())
}

/// The smaller and the larger size.
fn sizes(shape: &Shape) -> [usize; 2] {
    [shape.size, 4 * shape.size]
}

fn find(shape: &str) -> Result<&'static Shape, String> {
    SHAPES.iter().find(|other| other.name == shape).ok_or_else(|| format!("there is no shape {shape:?}"))
}

/// Runs all steps of a shape for all operators; each calls [`counted`] once. Prints how many rules match each event.
pub(crate) fn run(shape: &str) -> Result<(), String> {
    let shape = find(shape)?;
    for operator in fitting(shape)? {
        for size in sizes(shape) {
            println!("{}", steps(shape, &operator, size)?);
        }
    }
    Ok(())
}

/// Calls [`counted`] once for each of [`STEPS`], and returns how many rules match the event.
fn steps(shape: &Shape, operator: &Operator, size: usize) -> Result<usize, String> {
    let rules = (shape.rules)(operator, size);
    let event = (shape.event)(operator, size);
    let bytes = event.as_bytes();
    let invalid = |error: &dyn std::fmt::Display| format!("{}, {}: {error}", shape.name, operator.name);
    let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid(&error))?;
    let document = Document::from_slice(bytes).map_err(|error| invalid(&error))?;
    let options = FilterOptions::new().dialect(operator.dialect);

    // What is done once in a process must not hide growth either.
    drop(options.parse(&rules[0]));
    let mut compiled: Result<Vec<Filter>, _> = Ok(Vec::new());
    counted(&mut || compiled = rules.iter().map(|rule| options.parse(rule)).collect());
    let filters = compiled.map_err(|error| invalid(&error))?;
    let mut set = FilterSet::new();
    counted(&mut || {
        for (id, filter) in filters.iter().enumerate() {
            set.insert(id, filter.clone());
        }
    });
    let mut matches = Matches::new();
    // What is found by a count of events once, whatever the size, must not hide their growth.
    set.matches_valid_slice_into(bytes, &mut matches);
    counted(&mut || {
        for _ in 0..EVENTS {
            set.matches_valid_slice_into(black_box(bytes), &mut matches);
        }
    });
    counted(&mut || {
        for _ in 0..EVENTS {
            black_box(set.matches_slice_into(black_box(bytes), &mut matches)).expect("invariant: it is JSON");
        }
    });
    counted(&mut || {
        for _ in 0..EVENTS {
            set.matches_into(black_box(&value), &mut matches);
        }
    });
    let found = matches.len();
    counted(&mut || {
        _ = black_box(filters[0].matches_document(black_box(&document)));
    });
    counted(&mut || {
        _ = black_box(filters[0].explain_slice(bytes).map(|explanation| explanation.to_string()));
    });
    // Few, so that what many share stays shared.
    let ids = (0..filters.len()).filter(|id| id % 4 == 0);
    counted(&mut || {
        for id in ids.clone() {
            set.remove(&id);
        }
        for id in ids.clone() {
            set.insert(id, filters[id].clone());
        }
    });
    Ok(found)
}

/// Prints the quotients above their limits, or all of them, and returns whether there are none above. `printed`: the output of
/// [`run`].
pub(crate) fn judge(shape: &str, counts: &[u64], printed: &str, all: bool) -> Result<bool, String> {
    let shape = find(shape)?;
    let operators = fitting(shape)?;
    let sizes = sizes(shape);
    let expected = operators.len() * sizes.len();
    let found: Vec<usize> = printed.lines().filter_map(|line| line.parse().ok()).collect();
    if counts.len() != expected * STEPS.len() || found.len() != expected {
        let (counts, found) = (counts.len(), found.len());
        return Err(format!(
            "{}: {counts} counts and {found} numbers of matches for {expected} sets",
            shape.name
        ));
    }
    let mut good = true;
    let counts = counts.chunks(sizes.len() * STEPS.len());
    for ((operator, counts), found) in operators.iter().zip(counts).zip(found.chunks(sizes.len())) {
        let (small, large) = counts.split_at(STEPS.len());
        let as_many = shape.same_event && found.iter().all(|count| *count == found[0]);
        for (&(step, matching), (&small, &large)) in STEPS.iter().zip(small.iter().zip(large)) {
            let limit = match step {
                _ if matching && as_many => CONSTANT,
                "insert" | "remove and insert" => CHANGES,
                _ => LINEAR,
            };
            let quotient = large as f64 / small.max(1) as f64;
            if quotient > limit || all {
                let verdict = if quotient > limit { format!("  MORE than {limit}") } else { String::new() };
                println!(
                    "{}, {}, {step}: {small} at {}, {large} at {}: × {quotient:.1}{verdict}",
                    shape.name, operator.name, sizes[0], sizes[1]
                );
            }
            good &= quotient <= limit;
        }
    }
    Ok(good)
}
