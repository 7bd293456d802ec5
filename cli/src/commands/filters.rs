//! The filter of `match` and `explain`: read, compiled, its warnings told.

use filter::{Filter, FilterOptions};

use super::AlreadyTold;
use crate::args::FilterArgs;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::{Terminal, tell};

/// Compiles the filter. What is wrong with it is told with source and caret; then the error says only that it was.
pub(super) fn compile(args: &FilterArgs, terminal: &Terminal) -> anyhow::Result<Filter> {
    let text = args.filter.read("--filter")?;
    let mut diagnostics = Diagnostics::new(&text, terminal.stderr_paint);
    match FilterOptions::new().dialect(args.dialect).parse(text.as_str()) {
        Ok(filter) => {
            for warning in filter.warnings() {
                tell(diagnostics.render(warning.diagnostic()));
            }
            Ok(filter)
        }
        Err(error) => {
            for diagnostic in error.diagnostics() {
                tell(diagnostics.render(diagnostic));
            }
            Err(AlreadyTold.into())
        }
    }
}
