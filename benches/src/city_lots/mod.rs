//! Events for benchmarks: 213,068 records of lots in a city, 960 bytes each on average.
//!
//! They have the shape of the San Francisco lots that quamina and event-ruler are measured with, and each rule of
//! [`groups`](crate::groups) matches a fixed number of them. The fields that rules name are generated first, column by column.
//! The text of an event depends only on its row and number, so a sample has the same texts as the whole.

mod lots;
mod outline;
mod streets;

use std::fmt::Write as _;

use crate::rng::Rng;

/// The number of events.
pub const COUNT: usize = 213_068;

const SEED: u64 = 20_240_613;

/// The rows of all events, or of a sample of them.
#[derive(Clone, Debug)]
pub struct CityLots {
    rows: Vec<Row>,
}

/// The generated fields of an event.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    number: usize,
    pub(crate) map_lot: String,
    pub(crate) lot: String,
    pub(crate) street: Option<&'static str>,
    kind: Option<&'static str>,
    pub(crate) side: Option<&'static str>,
    pub(crate) from: u32,
    outline: outline::Outline,
}

impl CityLots {
    /// All events.
    pub fn all() -> Self {
        let mut rng = Rng::new(SEED);
        let map_lots = lots::column(&mut rng, COUNT);
        let streets = streets::streets(&mut rng, COUNT);
        let kinds = streets::kinds(&mut rng, COUNT);
        let numbers = streets::numbers(&mut rng, COUNT);
        let sides = streets::sides(&mut rng, &kinds);
        let outlines = outline::column(&mut rng, COUNT);
        let rows = map_lots
            .into_iter()
            .enumerate()
            .map(|(number, map_lot)| Row {
                number,
                lot: lot(&mut rng, &map_lot),
                map_lot,
                street: streets[number],
                kind: kinds[number],
                side: sides[number],
                from: numbers[number],
                outline: outlines[number],
            })
            .collect();
        Self { rows }
    }

    /// `count` of the events, evenly spread; all events if there are not more.
    pub fn sample(count: usize) -> Self {
        let all = Self::all();
        if count >= COUNT {
            return all;
        }
        let mut rows = all.rows;
        let mut due = 0;
        rows.retain(|row| {
            let take = row.number * count / COUNT >= due && due < count;
            due += usize::from(take);
            take
        });
        Self { rows }
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether these are all events, for which the counts of [`groups`](crate::groups) hold.
    pub fn is_whole(&self) -> bool {
        self.len() == COUNT
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The texts of the events.
    pub fn events(&self) -> Events {
        let mut events =
            Events { text: String::with_capacity(self.len() * 1000), ends: Vec::with_capacity(self.len()) };
        for row in &self.rows {
            row.write(&mut events.text);
            events.text.push('\n');
            events.ends.push(events.text.len());
        }
        events
    }
}

/// The number of the lot itself: mostly the number on the map, sometimes another one of the same block.
fn lot(rng: &mut Rng, map_lot: &str) -> String {
    if rng.chance(0.75) {
        return map_lot.to_owned();
    }
    let (block, _) = block_and_number(map_lot);
    format!("{block}{:03}", rng.within(1, 180))
}

fn block_and_number(map_lot: &str) -> (&str, &str) {
    let block = if map_lot == lots::VACANT { "VACS" } else { &map_lot[..map_lot.len() - 3] };
    (block, &map_lot[map_lot.len() - 3..])
}

impl Row {
    /// Whether its geometry is a `Polygon`.
    pub(crate) fn is_one_piece(&self) -> bool {
        !self.outline.is_multi()
    }

    fn write(&self, text: &mut String) {
        let mut rng = Rng::new(SEED ^ (self.number as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let (block, number) = block_and_number(&self.map_lot);
        let to = if rng.chance(0.93) { self.from } else { self.from + rng.choice(&[2, 4, 8, 10]) };
        write!(
            text,
            concat!(
                r#"{{"type":"Feature","properties":{{"MAPBLKLOT":"{map_lot}","BLKLOT":"{lot}","BLOCK_NUM":"{block}","#,
                r#""LOT_NUM":"{number}","FROM_ST":"{from}","TO_ST":"{to}","STREET":{street},"ST_TYPE":{kind},"#,
                r#""ODD_EVEN":{side}}},"geometry":"#
            ),
            map_lot = self.map_lot,
            lot = self.lot,
            block = block,
            number = number,
            from = self.from,
            to = to,
            street = Quoted(self.street),
            kind = Quoted(self.kind),
            side = Quoted(self.side),
        )
        .expect("invariant: a String takes all that is written");
        self.outline.write(&mut rng, text);
        text.push('}');
    }
}

/// A JSON string without escapes, or null.
struct Quoted(Option<&'static str>);

impl std::fmt::Display for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(text) => write!(f, "\"{text}\""),
            None => f.write_str("null"),
        }
    }
}

/// Events as JSON Lines.
///
/// ```
/// let events = benches::city_lots::CityLots::sample(10).events();
/// assert_eq!(events.iter().count(), 10);
/// assert!(events.iter().all(|event| event.starts_with(br#"{"type":"Feature""#)));
/// ```
#[derive(Clone, Debug)]
pub struct Events {
    text: String,
    /// For each event, the offset after its line feed.
    ends: Vec<usize>,
}

impl Events {
    /// The events without their line feeds.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text.as_bytes()[start..end - 1])
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All events, one per line.
    pub fn text(&self) -> &str {
        &self.text
    }
}
