//! `poll convert`: filters of other dialects, said in the native one.
//!
//! Each filter is converted or refused on its own, so that one that cannot be said does not hold up the rest of a file;
//! the exit code tells that there was one.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use filter::json::Node;
use filter::{Conversion, FilterError, FilterOptions};

use super::output::CANNOT_WRITE;
use super::{specs, tell_error};
use crate::args::ConvertArgs;
use crate::exit::Exit;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::{Terminal, tell};

pub(super) fn run(args: &ConvertArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let standard_input = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &standard_input[..] } else { &args.files[..] };
    let mut exit = Exit::Success;
    for file in files {
        exit = exit.and(convert_file(file, args, terminal)?);
    }
    Ok(exit)
}

fn convert_file(file: &Path, args: &ConvertArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let text = match Text::read(file) {
        Ok(text) => text,
        Err(error) => {
            tell_error(terminal, &error);
            return Ok(Exit::Error);
        }
    };
    let mut diagnostics = Diagnostics::new(&text, terminal.stderr_paint);
    let nodes = match specs::parse(text.as_str()) {
        Ok(nodes) => nodes,
        Err(diagnostic) => {
            tell(diagnostics.render(&diagnostic));
            return Ok(Exit::Negative);
        }
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let mut exit = Exit::Success;
    for node in &nodes {
        match convert(node, args) {
            Ok(native) => writeln!(output, "{native}").context(CANNOT_WRITE)?,
            Err(error) => {
                exit = Exit::Negative;
                error.diagnostics().iter().for_each(|diagnostic| tell(diagnostics.render(diagnostic)));
            }
        }
    }
    output.flush().context(CANNOT_WRITE)?;
    Ok(exit)
}

fn convert(node: &Node, args: &ConvertArgs) -> Result<serde_json::Value, FilterError> {
    let filter = FilterOptions::new().dialect(args.from).compile(node)?;
    Conversion::new().assume_flat_arrays(args.assume_flat_arrays).to_native(&filter)
}
