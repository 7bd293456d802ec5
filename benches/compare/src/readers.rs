//! Parsers that read the one field of a row's only rule.
//!
//! They show the cost of reading the same bytes without matching, which a set with one rule should be close to.

use serde::Deserialize;
use serde::de::IgnoredAny;
use sonic_rs::{JsonValueTrait as _, PointerTree, pointer};

use crate::args::Args;
use crate::engine::Engine;

/// The rule of SINGLE.
const LOT: &str = "1430022";
/// The rule of LATE.
const X: f64 = -122.42916360922355;

struct Reader<F> {
    name: &'static str,
    /// Whether it compares the field with the rule; some only read.
    answers: bool,
    read: F,
}

impl<F: FnMut(&[u8]) -> bool> Engine for Reader<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn pass(&mut self, events: &[&[u8]]) -> u64 {
        events.iter().map(|event| u64::from((self.read)(event))).sum()
    }

    fn count(&mut self, events: &[&[u8]]) -> Option<Vec<u64>> {
        self.answers.then(|| vec![self.pass(events)])
    }
}

/// The readers to compare with on a row; only rows with one rule have any.
pub(crate) fn of(row: &str, args: &Args) -> Vec<Box<dyn Engine>> {
    let mut readers = match row {
        "SINGLE" => early(),
        "LATE" => late(),
        _ => Vec::new(),
    };
    readers.retain(|reader| args.wants_engine(reader.name()));
    readers
}

fn reader(name: &'static str, read: impl FnMut(&[u8]) -> bool + 'static) -> Box<dyn Engine> {
    Box::new(Reader { name, answers: true, read })
}

fn only_reads(name: &'static str, read: impl FnMut(&[u8]) -> bool + 'static) -> Box<dyn Engine> {
    Box::new(Reader { name, answers: false, read })
}

fn early() -> Vec<Box<dyn Engine>> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        properties: Properties<'a>,
    }
    #[derive(Deserialize)]
    struct Properties<'a> {
        #[serde(rename = "MAPBLKLOT")]
        lot: &'a str,
    }
    const PATH: [&str; 2] = ["properties", "MAPBLKLOT"];

    let mut readers = vec![
        reader("sonic-rs get_unchecked", |event| {
            // SAFETY: the function requires valid JSON, which the events are.
            unsafe { sonic_rs::get_unchecked(event, &PATH) }.is_ok_and(|lot| lot.as_str() == Some(LOT))
        }),
        reader("sonic-rs get", |event| {
            sonic_rs::get(event, &PATH).is_ok_and(|lot| lot.as_str() == Some(LOT))
        }),
        reader("serde_json, struct of one field", |event| {
            serde_json::from_slice::<Event<'_>>(event).is_ok_and(|event| event.properties.lot == LOT)
        }),
        reader("serde_json, Value", |event| {
            serde_json::from_slice::<serde_json::Value>(event)
                .is_ok_and(|event| event["properties"]["MAPBLKLOT"] == LOT)
        }),
    ];
    readers.extend(both());
    readers
}

fn late() -> Vec<Box<dyn Engine>> {
    #[derive(Deserialize)]
    struct Event {
        geometry: Geometry,
    }
    #[derive(Deserialize)]
    struct Geometry {
        #[serde(rename = "firstCoordinates")]
        first: Point,
    }
    #[derive(Deserialize)]
    struct Point {
        x: f64,
    }
    const PATH: [&str; 3] = ["geometry", "firstCoordinates", "x"];

    let mut readers = vec![
        reader("sonic-rs get_unchecked", |event| {
            // SAFETY: the function requires valid JSON, which the events are.
            unsafe { sonic_rs::get_unchecked(event, &PATH) }.is_ok_and(|x| x.as_f64() == Some(X))
        }),
        reader("sonic-rs get", |event| sonic_rs::get(event, &PATH).is_ok_and(|x| x.as_f64() == Some(X))),
        reader("serde_json, struct of one field", |event| {
            serde_json::from_slice::<Event>(event).is_ok_and(|event| event.geometry.first.x == X)
        }),
        reader("serde_json, Value", |event| {
            serde_json::from_slice::<serde_json::Value>(event)
                .is_ok_and(|event| event["geometry"]["firstCoordinates"]["x"] == X)
        }),
    ];
    readers.extend(both());
    readers
}

/// The readers that do not depend on the field of the rule.
fn both() -> Vec<Box<dyn Engine>> {
    let mut seven = PointerTree::new();
    for field in ["MAPBLKLOT", "BLKLOT", "STREET", "ST_TYPE", "ODD_EVEN"] {
        seven.add_path(&pointer!["properties", field]);
    }
    seven.add_path(&pointer!["geometry", "type"]);
    seven.add_path(&pointer!["geometry", "firstCoordinates", "x"]);
    let mut copy = Vec::new();
    let mut buffers = simd_json::Buffers::default();
    vec![
        only_reads("sonic-rs get_many, 7 fields", move |event| {
            sonic_rs::get_many(event, &seven).is_ok_and(|fields| fields.iter().all(Option::is_some))
        }),
        only_reads("serde_json, IgnoredAny", |event| serde_json::from_slice::<IgnoredAny>(event).is_ok()),
        // It modifies its input, so each event is copied first.
        only_reads("simd-json, tape", move |event| {
            copy.clear();
            copy.extend_from_slice(event);
            simd_json::to_tape_with_buffers(&mut copy, &mut buffers).is_ok()
        }),
    ]
}
