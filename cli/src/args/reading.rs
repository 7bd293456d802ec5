//! How filters and specs are read, for every command that reads them: the dialect, the limits, the variables; and whether
//! many polls of one command begin together.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::{Args, ValueEnum};
use poller::Limits;

use super::values;

/// Parses the name of a dialect; clap lists the names and suggests the closest.
pub(super) fn dialect() -> ValueParser {
    PossibleValuesParser::new(["native", "trigger-dev", "event-bridge"])
        .try_map(|name| name.parse::<filter::Dialect>())
        .into()
}

/// The dialect of filters.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DialectArgs {
    /// The dialect of filters: native, trigger-dev or event-bridge
    #[arg(long, default_value = "native", hide_possible_values = true, value_parser = dialect())]
    pub(crate) dialect: filter::Dialect,
}

/// The limit of lines.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LineArgs {
    /// The longest line; longer ones are errors
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = values::size)]
    max_line: u64,
}

impl LineArgs {
    pub(crate) fn max_line(self) -> usize {
        usize::try_from(self.max_line).unwrap_or(usize::MAX)
    }
}

/// The limits for specs.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LimitsArgs {
    /// Lift the limits on interval (10 to 300 s) and timeout (30 to 3600 s)
    #[arg(long)]
    unbounded: bool,
}

impl LimitsArgs {
    pub(crate) fn limits(self) -> Limits {
        if self.unbounded { Limits::unbounded() } else { Limits::default() }
    }
}

/// Whether first requests are spread.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct SpreadArgs {
    /// Spread the first requests of the polls over their interval, and later ones with them: always, never, or auto: for more
    /// than 1000 polls [default: auto]
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "always",
        hide_possible_values = true
    )]
    spread: Option<Spread>,
}

/// When first requests are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spread {
    Auto,
    Always,
    Never,
}

impl SpreadArgs {
    /// The number of polls beyond which they are spread without being told to.
    const MANY: usize = 1000;

    /// Whether this many polls are spread.
    pub(crate) fn spreads(self, polls: usize) -> bool {
        match self.spread.unwrap_or(Spread::Auto) {
            Spread::Auto => polls > Self::MANY,
            Spread::Always => true,
            Spread::Never => false,
        }
    }
}

/// What stands for `{{NAME}}` in specs.
#[derive(Clone, Debug, Args)]
pub(crate) struct VariablesArgs {
    /// Fill in {{NAME}} in the specs with VALUE; may be repeated
    #[arg(long = "variable", value_name = "NAME=VALUE", value_parser = values::variable)]
    pub(crate) variables: Vec<(String, String)>,

    /// Read variables from this file: lines NAME=VALUE, or a JSON object
    #[arg(long, value_name = "FILE")]
    pub(crate) variables_file: Option<PathBuf>,
}
