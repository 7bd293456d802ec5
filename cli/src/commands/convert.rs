//! `poll convert`: translates filters of other dialects to the native one.
//!
//! Each filter is converted or rejected on its own: a rejected one does not stop the others, it only changes the exit
//! code.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::json::Node;
use filter::{Conversion, FilterError, FilterOptions};

use super::output::CANNOT_WRITE;
use super::{print_error, specs};
use crate::args::ConvertArgs;
use crate::exit::Exit;
use crate::input::{self, Text};
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::Terminal;

pub(super) fn run(args: &ConvertArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut exit = Exit::Success;
    for file in input::files_or_stdin(&args.files).iter() {
        exit = exit.and(convert_file(file, args, terminal)?);
    }
    Ok(exit)
}

fn convert_file(file: &Path, args: &ConvertArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let text = match Text::read(file) {
        Ok(text) => text,
        Err(error) => {
            print_error(terminal, &error);
            return Ok(Exit::Error);
        }
    };
    let mut diagnostics = Diagnostics::new(&text, terminal.stderr_paint);
    let nodes = match specs::parse(text.as_str()) {
        Ok(nodes) => nodes,
        Err(diagnostic) => {
            diagnostics.print(&diagnostic);
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
                error.diagnostics().iter().for_each(|diagnostic| diagnostics.print(diagnostic));
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
