//! How a process that runs polls writes its log.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;

const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

/// The log.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LogArgs {
    /// Write a log instead of progress to standard error: lines of text, or of json
    #[arg(long = "log", value_name = "FORMAT", conflicts_with = "quiet", help_heading = "Log")]
    pub(crate) format: Option<LogFormat>,

    /// What to log: error, warn, info (each poll's beginning and end), debug (each request too)
    #[arg(
        long = "log-level",
        value_name = "LEVEL",
        default_value = "info",
        hide_possible_values = true,
        value_parser = PossibleValuesParser::new(LEVELS).try_map(|level| level.parse::<LevelFilter>()),
        requires = "format",
        help_heading = "Log"
    )]
    pub(crate) level: LevelFilter,
}

/// The form of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}
