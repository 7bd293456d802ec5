//! Command line arguments.

use benches::city_lots;
use clap::Parser;

/// Compare `filter` with other tools on the same events
#[derive(Debug, Parser)]
#[command(
    after_help = "Rows are named as in the tables: SINGLE, EXACT, …, exact2/1000, mixed/1000, wild/10, array/1000"
)]
pub(crate) struct Args {
    /// Only these rows, by name or by what comes before the slash
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,

    /// Only engines whose name contains this
    #[arg(long, value_name = "PART")]
    engine: Vec<String>,

    /// How many events, evenly spread over the 213,068
    #[arg(long, value_name = "N")]
    events: Option<usize>,

    /// How many passes of each engine
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// A tenth of the events, three passes, at most 100,000 rules
    #[arg(long)]
    quick: bool,

    /// Read events from memory, not from a cache as if just received
    #[arg(long)]
    pub(crate) cold: bool,

    /// Stop a pass after this many seconds and use the time of the events so far
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0)]
    pub(crate) patience: f64,

    /// Build this engine with the rules on standard input and print the time and memory (for internal use)
    #[arg(long, value_name = "ENGINE", hide = true)]
    pub(crate) weigh: Option<String>,
}

impl Args {
    pub(crate) fn events(&self) -> usize {
        self.events.unwrap_or(if self.quick { 20_000 } else { city_lots::COUNT }).max(1)
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 }).max(1)
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        let kind = row.split(['/', '-']).next().unwrap_or(row);
        self.only.is_empty()
            || self.only.iter().any(|only| only.eq_ignore_ascii_case(row) || only.eq_ignore_ascii_case(kind))
    }

    pub(crate) fn wants_engine(&self, name: &str) -> bool {
        self.engine.is_empty() || self.engine.iter().any(|part| name.contains(part.as_str()))
    }

    /// The kinds and numbers of rules.
    pub(crate) fn many(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let most = if self.quick { 100_000 } else { 1_000_000 };
        [
            ("exact2", [1_000, 10_000, 100_000, 1_000_000].as_slice()),
            ("mixed", &[1_000, 10_000, 100_000]),
            ("wild", &[10, 100, 1_000]),
        ]
        .into_iter()
        .flat_map(|(kind, counts)| counts.iter().map(move |count| (kind, *count)))
        .filter(move |(_, count)| *count <= most)
    }
}
