//! `poll convert`: translates filters of other dialects to the native one.
//!
//! Each filter is converted or rejected on its own: a rejected one does not stop the others, it only changes the exit
//! code.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::json::{Kind, Node};
use filter::{Code, Conversion, Diagnostic, FilterError, FilterOptions, Span};

use super::output::CANNOT_WRITE;
use super::{print_listed, specs};
use crate::args::ConvertArgs;
use crate::exit::Exit;
use crate::input::{self, Text};
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::Terminal;

pub(super) fn run(args: &ConvertArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut exit = Exit::Success;
    for file in input::files_or_stdin(&args.files).iter() {
        exit = exit.max(convert_file(file, args, terminal)?);
    }
    Ok(exit)
}

fn convert_file(file: &Path, args: &ConvertArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let text = match Text::read(file) {
        Ok(text) => text,
        Err(error) => {
            print_listed(terminal, error);
            return Ok(Exit::Error);
        }
    };
    let mut diagnostics = Diagnostics::new(&text, terminal);
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
                for diagnostic in error.diagnostics() {
                    diagnostics.print(&located(diagnostic, node));
                }
            }
        }
    }
    output.flush().context(CANNOT_WRITE)?;
    Ok(exit)
}

fn convert(node: &Node, args: &ConvertArgs) -> Result<serde_json::Value, FilterError> {
    let filter = FilterOptions::new().dialect(args.from).compile(node)?;
    let conversion = Conversion::new().assume_flat_arrays(args.assume_flat_arrays);
    conversion.assume_no_arrays(args.assume_no_arrays).to_native(&filter)
}

/// A refusal with its place in the file and with the options that allow the conversion. The library knows neither: a
/// filter does not keep the positions of its text.
fn located(diagnostic: &Diagnostic, node: &Node) -> Diagnostic {
    let mut diagnostic = diagnostic.clone();
    if diagnostic.code() == Code::NotConvertible {
        let help = "--assume-flat-arrays, if no event has an array inside an array; \
                    --assume-no-arrays, if these fields are never arrays, for a shorter result";
        diagnostic = diagnostic.with_help(help);
    }
    let span = diagnostic.span().or_else(|| span_at(node, diagnostic.pointer()));
    diagnostic.with_span(span)
}

/// The span at a JSON pointer, or as near to it as the value goes.
fn span_at(mut node: &Node, pointer: &str) -> Option<Span> {
    for token in pointer.split('/').skip(1) {
        let next = match &node.kind {
            Kind::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => node.get(&token.replace("~1", "/").replace("~0", "~")),
        };
        let Some(next) = next else { break };
        node = next;
    }
    node.span
}
