//! Reads and compiles the `--filter` of `match` and `explain`.

use filter::{Filter, FilterOptions};

use super::AlreadyReported;
use crate::args::FilterArgs;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::Terminal;

/// Compiles the filter and prints its diagnostics; the error says only that they were printed.
pub(super) fn compile(args: &FilterArgs, terminal: &Terminal) -> anyhow::Result<Filter> {
    let text = args.filter.read("--filter")?;
    let mut diagnostics = Diagnostics::new(&text, terminal);
    match FilterOptions::new().dialect(args.dialect.dialect).parse(text.as_str()) {
        Ok(filter) => {
            diagnostics.print_all(filter.warnings());
            Ok(filter)
        }
        Err(error) => {
            diagnostics.print_all(error.diagnostics());
            Err(AlreadyReported.into())
        }
    }
}
