//! `poll explain`: lists for each event which conditions hold.

use std::borrow::Cow;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::Explanation;
use serde::Serialize;

use super::chunk_output::not_json;
use super::filters;
use super::output::CANNOT_WRITE;
use crate::args::ExplainArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::json_sequence::{Item, JsonSequence};
use crate::render::listing::Listed;
use crate::render::terminal::{Terminal, eprint_line, stdout_width};
use crate::render::{charset, sanitize, wrap};

/// The JSON object of one event with `--json`.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    line: u64,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

pub(super) fn run(args: &ExplainArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let filter = filters::compile(&args.filter, terminal)?;
    let path = args.file.as_deref().unwrap_or(Path::new("-"));
    let name = input::name(path);
    let mut items = JsonSequence::new(BufReader::new(input::open(path, "events")?), args.lines.max_line());
    let mut output = BufWriter::new(io::stdout().lock());
    let (mut matched, mut errors) = (false, false);
    while let Some(item) = items.next_item().with_context(|| format!("cannot read {name}"))? {
        match item {
            Item::Value { line, document } => {
                let explanation = filter.explain_document(&document);
                matched |= explanation.matched();
                let written = if args.json {
                    let report = Report { file: &name, line, explanation: &explanation };
                    let text =
                        serde_json::to_string(&report).context("cannot write the explanation as JSON")?;
                    // JSON escapes ASCII control characters only.
                    let text = if terminal.stdout { sanitize::line(&text) } else { text.as_str().into() };
                    writeln!(output, "{text}")
                } else {
                    write_for_people(&mut output, &name, line, &explanation, terminal)
                };
                // Events may arrive slowly; each result is written at once.
                written.and_then(|()| output.flush()).context(CANNOT_WRITE)?;
            }
            Item::Invalid { line, column, message } => {
                errors = true;
                if terminal.listing.lists(Listed::Error, 1) {
                    eprint_line(not_json(&name, line, column, &message, terminal));
                }
            }
        }
    }
    Ok(match (errors, matched) {
        (true, _) => Exit::Error,
        (false, true) => Exit::Success,
        (false, false) => Exit::Negative,
    })
}

fn write_for_people(
    output: &mut impl io::Write,
    name: &str,
    line: u64,
    explanation: &Explanation,
    terminal: &Terminal,
) -> io::Result<()> {
    let paint = terminal.stdout_paint;
    let text = explanation.to_string();
    let text = sanitize::block(&text);
    // The first line is the result, the others are the conditions.
    let mut lines = text.lines();
    let result = lines.next().unwrap_or_default();
    let width = stdout_width();
    let mut write_line = |line: &str| {
        let line = width.map_or(Cow::Borrowed(line), |width| wrap::wrap(line, width));
        writeln!(output, "{line}")
    };
    let result = if explanation.matched() { paint.good(result) } else { paint.bad(result) };
    write_line(&format!("{}: {result}", paint.strong(format_args!("{name}:{line}"))))?;
    lines.try_for_each(|line| {
        let painted = match line.trim_start().chars().next() {
            Some(mark @ '✓') => line.replacen(mark, &paint.good(mark).to_string(), 1),
            Some(mark @ '✗') => line.replacen(mark, &paint.bad(mark).to_string(), 1),
            _ => line.to_owned(),
        };
        write_line(&charset::for_locale(&painted))
    })
}
