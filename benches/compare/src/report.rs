//! Measurements and their tables.

use std::fmt::Write as _;

use crate::a_tree;
use crate::engine::Matcher as _;
use crate::ours::{Batches, KnownValid, Validating};
use crate::published;
use crate::quamina_rs::QuaminaRs;

/// All measurements so far, in order of the first measurement of each row and engine.
#[derive(Debug, Default)]
pub(crate) struct Report {
    cells: Vec<Cell>,
}

/// The measurements of one engine on one row.
#[derive(Debug)]
struct Cell {
    row: String,
    engine: &'static str,
    /// The best time in nanoseconds per event.
    best: Option<f64>,
    counts: Option<Counts>,
    weight: Option<Weight>,
}

/// Whether every rule matched the expected number of events.
#[derive(Clone, Debug)]
pub(crate) enum Counts {
    Exact,
    /// The number of rules that do not, and the first of them.
    Differ {
        rules: usize,
        first: usize,
        found: u64,
        expected: u64,
    },
}

/// Time and memory of building, per rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    pub(crate) nanoseconds: f64,
    pub(crate) bytes: Option<f64>,
}

impl Counts {
    pub(crate) fn compare(found: &[u64], expected: &[u64]) -> Self {
        let differ = |at: &usize| found[*at] != expected[*at];
        match (0..expected.len()).find(differ) {
            None => Self::Exact,
            Some(first) => Self::Differ {
                rules: (0..expected.len()).filter(differ).count(),
                first,
                found: found[first],
                expected: expected[first],
            },
        }
    }
}

impl Report {
    pub(crate) fn time(&mut self, row: &str, engine: &'static str, nanoseconds: f64) {
        self.cell(row, engine).best = Some(nanoseconds);
    }

    pub(crate) fn counts(&mut self, row: &str, engine: &'static str, counts: Option<Counts>) {
        self.cell(row, engine).counts = counts;
    }

    pub(crate) fn weight(&mut self, row: &str, engine: &'static str, nanoseconds: f64, bytes: Option<f64>) {
        self.cell(row, engine).weight = Some(Weight { nanoseconds, bytes });
    }

    fn cell(&mut self, row: &str, engine: &'static str) -> &mut Cell {
        let at = self.cells.iter().position(|cell| cell.row == row && cell.engine == engine).unwrap_or_else(
            || {
                self.cells.push(Cell { row: row.to_owned(), engine, best: None, counts: None, weight: None });
                self.cells.len() - 1
            },
        );
        &mut self.cells[at]
    }

    fn find(&self, row: &str, engine: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row && cell.engine == engine)
    }

    /// Nanoseconds per event.
    pub(crate) fn best(&self, row: &str, engine: &str) -> Option<f64> {
        self.find(row, engine)?.best
    }

    pub(crate) fn weight_of(&self, row: &str, engine: &str) -> Option<Weight> {
        self.find(row, engine)?.weight
    }

    /// The estimated time of event-ruler on this machine, by its published ratio to quamina-rs.
    pub(crate) fn event_ruler(&self, row: &str) -> Option<f64> {
        let (ratio, measured_on) = published::event_ruler(row)?;
        Some(ratio * self.best(measured_on, QuaminaRs::NAME)?)
    }

    /// Whether an engine of ours gave a wrong result.
    pub(crate) fn ours_is_wrong(&self) -> bool {
        let ours = [KnownValid::NAME, Batches::NAME, Validating::NAME];
        self.cells
            .iter()
            .any(|cell| ours.contains(&cell.engine) && matches!(cell.counts, Some(Counts::Differ { .. })))
    }

    pub(crate) fn print_tables(&self) {
        let mut rows: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !rows.contains(&&*cell.row) {
                rows.push(&cell.row);
            }
        }
        let engines = [KnownValid::NAME, Batches::NAME, Validating::NAME, QuaminaRs::NAME];
        let is_engine = |cell: &&Cell| engines.contains(&cell.engine);
        self.print_engines(rows.iter().filter(|row| !row.starts_with("array")));
        for row in ["SINGLE", "LATE"] {
            let readers: Vec<_> =
                self.cells.iter().filter(|cell| cell.row == row && cell.best.is_some()).collect();
            if readers.iter().any(|cell| !is_engine(cell)) {
                print_readers(row, readers);
            }
        }
        self.print_weights(&rows);
        self.print_arrays(&rows);
        self.print_differences();
    }

    fn print_engines<'a>(&self, rows: impl Iterator<Item = &'a &'a str>) {
        let mut table = Table::new([
            "rules",
            "known-valid",
            "in batches",
            "validating",
            "quamina-rs",
            "a-tree",
            "its search alone",
            "event-ruler*",
        ]);
        for row in rows {
            table.row([
                (*row).to_owned(),
                number(self.best(row, KnownValid::NAME)),
                number(self.best(row, Batches::NAME)),
                number(self.best(row, Validating::NAME)),
                number(self.best(row, QuaminaRs::NAME)),
                number(self.best(row, a_tree::NAMES[0])),
                number(self.best(row, a_tree::NAMES[1])),
                number(self.event_ruler(row)),
            ]);
        }
        table.print("Filter sets, ns per event; * from its published ratio to quamina-rs (see published.rs)");
    }

    fn print_weights(&self, rows: &[&str]) {
        let mut table = Table::new([
            "rules",
            "filter, µs/rule",
            "quamina-rs, µs/rule",
            "filter, B/rule",
            "quamina-rs, B/rule",
        ]);
        for row in rows {
            let weights = [KnownValid::NAME, QuaminaRs::NAME].map(|engine| self.weight_of(row, engine));
            if weights.iter().all(Option::is_none) {
                continue;
            }
            let micros = |weight: Option<Weight>| {
                weight.map_or("–".to_owned(), |weight| format!("{:.2}", weight.nanoseconds / 1000.0))
            };
            let bytes = |weight: Option<Weight>| number(weight.and_then(|weight| weight.bytes));
            let [ours, theirs] = weights;
            table.row([(*row).to_owned(), micros(ours), micros(theirs), bytes(ours), bytes(theirs)]);
        }
        table.print("Building from text, and resident memory once the first event is answered (few rules: mostly fixed cost)");
    }

    fn print_arrays(&self, rows: &[&str]) {
        let mut table = Table::new(["elements", "known-valid", "validating", "quamina-rs"]);
        for row in rows.iter().filter(|row| row.starts_with("array")) {
            let micros = |engine| {
                self.best(row, engine)
                    .map_or("–".to_owned(), |nanoseconds| format!("{:.1}", nanoseconds / 1000.0))
            };
            table.row([
                (*row).to_owned(),
                micros(KnownValid::NAME),
                micros(Validating::NAME),
                micros(QuaminaRs::NAME),
            ]);
        }
        table.print("An array of objects, two conditions on it, µs per event");
    }

    fn print_differences(&self) {
        let mut exact = 0;
        for cell in &self.cells {
            match cell.counts {
                Some(Counts::Exact) => exact += 1,
                Some(Counts::Differ { rules, first, found, expected }) => println!(
                    "wrong: {}: {}: {rules} rules match another number of events; rule {first} matches {found}, not {expected}",
                    cell.row, cell.engine
                ),
                None => {}
            }
        }
        println!("{exact} counts are right, each over all its rules.\n");
    }
}

fn print_readers(row: &str, mut cells: Vec<&Cell>) {
    cells.sort_by(|a, b| a.best.partial_cmp(&b.best).unwrap_or(std::cmp::Ordering::Equal));
    let mut table = Table::new([row, "ns per event"]);
    for cell in cells {
        table.row([cell.engine.to_owned(), number(cell.best)]);
    }
    table.print("One field of an event: ours, and what parsers take for it");
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.0}"))
}

/// A table in Markdown whose columns line up.
pub(crate) struct Table<const N: usize> {
    head: [String; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) fn new(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// Prints the table under a title, unless it has no rows.
    pub(crate) fn print(&self, title: &str) {
        if self.rows.is_empty() {
            return;
        }
        let width = |at: usize| {
            let cells = self.rows.iter().chain([&self.head]).map(|row| row[at].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: [usize; N] = std::array::from_fn(width);
        let mut text = format!("{title}\n\n");
        let mut line = |cells: &[String; N]| {
            for (at, cell) in cells.iter().enumerate() {
                // Names are aligned left, numbers right.
                let width = widths[at];
                let _ = if at == 0 {
                    write!(text, "| {cell:<width$} ")
                } else {
                    write!(text, "| {cell:>width$} ")
                };
            }
            text.push_str("|\n");
        };
        line(&self.head);
        line(&std::array::from_fn(|at| {
            let dashes = "-".repeat(widths[at].saturating_sub(1));
            if at == 0 { format!("{dashes}-") } else { format!("{dashes}:") }
        }));
        self.rows.iter().for_each(line);
        println!("{text}");
    }
}
