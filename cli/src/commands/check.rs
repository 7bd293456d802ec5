//! `poll check`: finds errors in filters, specs and rules before they run.
//!
//! Specs and filters are read in pieces, and specs of one kind are decoded once, as `submit` does: a million specs take the
//! memory of a few thousand. Rules are read whole, since they are compared with each other.

use std::path::Path;

use filter::json::{Kind as NodeKind, Node};
use filter::{Diagnostic, FilterOptions, Severity};
use poller::{SpecOptions, SpecReader, redact};
use serde::Serialize;

use super::route::rules;
use super::variables::{Variables, may_have_variables};
use super::{output, print_listed, print_rest, specs};
use crate::args::{CheckArgs, CheckedKind as Kind, Format};
use crate::exit::Exit;
use crate::input::Text;
use crate::input::pieces::Source;
use crate::render::diagnostics::Diagnostics;
use crate::render::problems::Problem;
use crate::render::terminal::{Terminal, eprint_line};
use crate::render::{annotations, humanize};

/// Members that only specs have. An object with one of them is a spec even if its `url` is missing or misspelt.
const SPEC_MEMBERS: [&str; 6] =
    ["cacheKey", "requestInit", "responseFilter", "failureFilter", "requestTimeout", "giveUp"];

pub(super) fn run(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let options = SpecOptions::new().limits(args.limits.limits()).dialect(args.dialect.dialect);
    let mut checker = Checker {
        args,
        variables: Variables::read(&args.variables, terminal)?,
        specs: SpecReader::new(options),
        terminal,
        summary: Summary::default(),
    };
    for path in &args.files {
        if let Err(error) = checker.check(path) {
            checker.summary.unreadable += 1;
            print_listed(terminal, error);
        }
    }
    let summary = checker.summary;
    print_rest(terminal);
    if !args.quiet {
        eprint_line(summary.describe(terminal));
    }
    match args.format() {
        Format::Text => {}
        Format::Json => {
            let problems = terminal.problems.take();
            output::json(&Report { summary: &summary, problems }, terminal)?;
        }
        Format::Github => {
            for problem in terminal.problems.take() {
                output::text(&annotations::github(&problem))?;
            }
        }
    }
    Ok(Exit::of_search(summary.unreadable > 0, summary.errors == 0))
}

struct Checker<'a> {
    args: &'a CheckArgs,
    variables: Variables,
    specs: SpecReader,
    terminal: &'a Terminal,
    summary: Summary,
}

impl Checker<'_> {
    /// Checks one file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn check(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut source = Source::open(path)?;
        if self.args.kind == Some(Kind::Rules) {
            self.check_rules(&source.whole()?);
            return Ok(());
        }
        let mut is_empty = true;
        let mut pieces = source.pieces()?;
        while let Some(text) = pieces.next_piece()? {
            if is_empty && self.args.kind.is_none() && rules::are_rules(text.as_str()) {
                drop(pieces);
                // Rules are compared with each other.
                self.check_rules(&source.whole()?);
                return Ok(());
            }
            match specs::parse(text.as_str()) {
                Ok(nodes) => {
                    is_empty &= nodes.is_empty();
                    self.check_values(&text, &nodes);
                }
                // The rest of a text that is not JSON is not read.
                Err(diagnostic) => {
                    self.summary.errors += 1;
                    specs::print_broken(&text, &diagnostic, self.terminal);
                    return Ok(());
                }
            }
        }
        if is_empty {
            self.summary.errors += 1;
            let empty = Diagnostic::error("empty; expected a filter or a spec");
            Diagnostics::new(&Text::new(pieces.name, String::new()), self.terminal).print(&empty);
        }
        Ok(())
    }

    /// Checks the values of a piece and prints what is wrong with them.
    fn check_values(&mut self, text: &Text, nodes: &[Node]) {
        let dialect = self.args.dialect.dialect;
        let has_variables = may_have_variables(text.as_str());
        let mut found = Vec::new();
        for node in nodes {
            match self.args.kind.unwrap_or_else(|| kind_of(node)) {
                Kind::Spec => {
                    self.summary.specs += 1;
                    let variables = has_variables.then_some(&self.variables);
                    match specs::decode(node, text, variables, &mut self.specs) {
                        Ok(read) => found.extend_from_slice(read.spec.warnings()),
                        Err(errors) => found.extend(errors),
                    }
                }
                Kind::Filter | Kind::Rules => {
                    self.summary.filters += 1;
                    match FilterOptions::new().dialect(dialect).compile(node) {
                        Ok(filter) => found.extend_from_slice(filter.warnings()),
                        Err(error) => found.extend_from_slice(error.diagnostics()),
                    }
                }
            }
        }
        if found.is_empty() {
            return;
        }
        let redacted = text.with_text(redact::document(text.as_str(), nodes));
        let mut diagnostics = Diagnostics::new(&redacted, self.terminal);
        for diagnostic in found {
            let is_error = diagnostic.severity() == Severity::Error;
            let count = if is_error { &mut self.summary.errors } else { &mut self.summary.warnings };
            *count = count.saturating_add(diagnostic.count());
            if is_error || !self.args.quiet {
                diagnostics.print(&diagnostic);
            }
        }
    }

    /// Checks a file of rules and prints what is wrong with it.
    fn check_rules(&mut self, text: &Text) {
        let checked = rules::check(text, self.args.dialect.dialect);
        let summary = &mut self.summary;
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        summary.rules += number(checked.rules);
        summary.errors += number(checked.errors.len());
        summary.warnings += number(checked.warnings.len());
        let mut diagnostics = Diagnostics::new(text, self.terminal);
        diagnostics.print_all(&checked.errors);
        if !self.args.quiet {
            diagnostics.print_all(&checked.warnings);
        }
    }
}

/// The rule of `--help`: a spec has a `url` that is a string, or a member that only specs have.
fn kind_of(node: &Node) -> Kind {
    let judged = match &node.kind {
        // An error either way; a spec has other advice than a filter.
        NodeKind::Array(elements) => elements.first(),
        _ => Some(node),
    };
    let is_spec = judged.is_some_and(|node| {
        node.get("url").is_some_and(|url| matches!(url.kind, NodeKind::String(_)))
            || SPEC_MEMBERS.iter().any(|name| node.get(name).is_some())
    });
    if is_spec { Kind::Spec } else { Kind::Filter }
}

/// The object of `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    problems: Vec<Problem>,
}

/// Counts over all files.
#[derive(Debug, Default, Serialize)]
struct Summary {
    filters: u32,
    specs: u32,
    rules: u32,
    errors: u32,
    warnings: u32,
    unreadable: u32,
}

impl Summary {
    /// `checked 2 filters and 1 spec: 1 error, 2 warnings`
    fn describe(&self, terminal: &Terminal) -> String {
        let paint = terminal.stderr_paint;
        let counts = |numbers: [(u32, &str); 3]| -> Vec<String> {
            let some = numbers.into_iter().filter(|(number, _)| *number > 0);
            some.map(|(number, noun)| humanize::count(number, noun)).collect()
        };
        let checked = counts([(self.filters, "filter"), (self.specs, "spec"), (self.rules, "rule")]);
        let checked = match checked.split_last() {
            None => "nothing".to_owned(),
            Some((only, [])) => only.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        };
        let found = counts([
            (self.errors, "error"),
            (self.warnings, "warning"),
            (self.unreadable, "unreadable file"),
        ]);
        let found = if found.is_empty() { paint.good("no errors").to_string() } else { found.join(", ") };
        format!("checked {checked}: {found}")
    }
}
