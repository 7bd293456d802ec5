//! How filters and specs are read, for every command that reads them: the dialect and the limits.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use poller::Limits;

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
