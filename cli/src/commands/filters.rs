//! Reads and compiles the `--filter` of `match` and `explain`.

use filter::{Filter, FilterOptions};

use super::AlreadyReported;
use crate::args::FilterArgs;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::Terminal;

/// Compiles the filter and prints its diagnostics; the error says only that they were printed.
pub(super) fn compile(args: &FilterArgs, terminal: &Terminal) -> anyhow::Result<Filter> {
    let text = args.filter.read("--filter")?;
    let filter = FilterOptions::new().dialect(args.dialect.dialect).parse(text.as_str());
    Diagnostics::new(&text, terminal).print_all(match &filter {
        Ok(filter) => filter.warnings(),
        Err(error) => error.diagnostics(),
    });
    Ok(filter.map_err(|_| AlreadyReported)?)
}
