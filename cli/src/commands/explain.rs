//! `poll explain`: why each event does or does not match.

use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use filter::Explanation;
use serde::Serialize;

use super::filters;
use super::output::CANNOT_WRITE;
use crate::args::ExplainArgs;
use crate::exit::Exit;
use crate::input;
use crate::input::documents::{Document, Documents};
use crate::render::terminal::{Terminal, tell};
use crate::render::{charset, clean};

/// One event in `--json`.
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
    let mut documents = Documents::new(BufReader::new(input::open(path)?));
    let mut output = BufWriter::new(io::stdout().lock());
    let (mut matched, mut errors) = (false, false);
    while let Some(document) = documents.next_document().with_context(|| format!("cannot read {name}"))? {
        match document {
            Document::Value { line, value } => {
                let explanation = filter.explain(&value);
                matched |= explanation.matched();
                let written = if args.json {
                    let report = Report { file: &name, line, explanation: &explanation };
                    let text =
                        serde_json::to_string(&report).context("cannot write the explanation as JSON")?;
                    // JSON escapes the controls of ASCII, but not those beyond it.
                    let text = if terminal.stdout { clean::line(&text) } else { text.as_str().into() };
                    writeln!(output, "{text}")
                } else {
                    write_for_people(&mut output, &name, line, &explanation, terminal)
                };
                // Events may come slowly; each is answered when it is there.
                written.and_then(|()| output.flush()).context(CANNOT_WRITE)?;
            }
            Document::Invalid { line, column, message } => {
                errors = true;
                tell(format_args!(
                    "{name}:{line}:{column}: {}: not JSON: {}",
                    terminal.stderr_paint.bad("error"),
                    clean::excerpt(&message, 300)
                ));
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
    let text = clean::block(&text);
    // The first line is the judgement, the rest its reasons.
    let mut lines = text.lines();
    let judgement = lines.next().unwrap_or_default();
    write!(output, "{}: ", paint.strong(format_args!("{name}:{line}")))?;
    if explanation.matched() {
        writeln!(output, "{}", paint.good(judgement))?;
    } else {
        writeln!(output, "{}", paint.bad(judgement))?;
    }
    lines.try_for_each(|line| {
        let painted = match line.trim_start().chars().next() {
            Some(mark @ '✓') => line.replacen(mark, &paint.good(mark).to_string(), 1),
            Some(mark @ '✗') => line.replacen(mark, &paint.bad(mark).to_string(), 1),
            _ => line.to_owned(),
        };
        writeln!(output, "{}", charset::spelled(&painted))
    })
}
