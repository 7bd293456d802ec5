//! `poll explain`: lists for each event which conditions hold.

use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use filter::Explanation;
use serde::Serialize;

use super::chunk_output::not_json;
use super::{filters, output};
use crate::args::ExplainArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::json_sequence::{Item, JsonSequence};
use crate::render::listing::Listed;
use crate::render::terminal::{Paint, Terminal, eprint_line};
use crate::render::{charset, sanitize};

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
    let (mut matched, mut errors) = (false, false);
    while let Some(item) = items.next_item().with_context(|| format!("cannot read {name}"))? {
        match item {
            Item::Value { line, document } => {
                let explanation = filter.explain_document(&document);
                matched |= explanation.matched();
                // Events may arrive slowly; each result is written at once.
                if args.json {
                    output::json(&Report { file: &name, line, explanation: &explanation }, terminal)?;
                } else {
                    output::text(&for_people(&name, line, &explanation, terminal.stdout_paint))?;
                }
            }
            Item::Invalid { line, column, message } => {
                errors = true;
                if terminal.listing.lists(Listed::Error, 1) {
                    eprint_line(not_json(&name, line, column, &message, terminal));
                }
            }
        }
    }
    Ok(Exit::of_search(errors, matched))
}

fn for_people(name: &str, line: u64, explanation: &Explanation, paint: Paint) -> String {
    let text = explanation.to_string();
    let text = sanitize::block(&text);
    // The first line is the result, the others are the conditions.
    let mut lines = text.lines();
    let result = lines.next().unwrap_or_default();
    let result = if explanation.matched() { paint.good(result) } else { paint.bad(result) };
    let mut shown = format!("{}: {result}", paint.strong(format_args!("{name}:{line}")));
    for line in lines {
        let painted = match line.trim_start().chars().next() {
            Some(mark @ '✓') => line.replacen(mark, &paint.good(mark).to_string(), 1),
            Some(mark @ '✗') => line.replacen(mark, &paint.bad(mark).to_string(), 1),
            _ => line.to_owned(),
        };
        shown.extend(["\n", &charset::for_locale(&painted)]);
    }
    shown
}
