//! `poll check`: finds errors in filters, specs and rules before they run.

use filter::json::{Kind as NodeKind, Node};
use filter::{Code, Diagnostic, FilterOptions, Severity};
use poller::redact;
use serde::Serialize;

use super::route::rules;
use super::variables::Variables;
use super::{output, print_error, specs};
use crate::args::{CheckArgs, CheckedKind as Kind, Format};
use crate::exit::Exit;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::problems::Problem;
use crate::render::terminal::{Terminal, eprint_line};
use crate::render::{annotations, humanize};

/// The most errors, and the most warnings, that are printed for a file of rules.
const LISTED: usize = 100;

/// Members that only specs have. An object with one of them is a spec even if its `url` is missing or misspelt.
const SPEC_MEMBERS: [&str; 6] =
    ["cacheKey", "requestInit", "responseFilter", "failureFilter", "requestTimeout", "giveUp"];

pub(super) fn run(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let variables = Variables::read(&args.variables, terminal)?;
    let mut summary = Summary::default();
    for path in &args.files {
        match Text::read(path) {
            Ok(text) => check(&text, args, &variables, terminal, &mut summary),
            Err(error) => {
                summary.unreadable += 1;
                print_error(terminal, &error);
            }
        }
    }
    if !args.quiet {
        eprint_line(summary.describe(terminal));
    }
    match args.format() {
        Format::Text => {}
        Format::Json => {
            let Summary { filters, specs, rules, errors, warnings, unreadable } = summary;
            let problems = terminal.problems.take();
            output::json(
                &Report { filters, specs, rules, errors, warnings, unreadable, problems },
                terminal,
            )?;
        }
        Format::Github => {
            for problem in terminal.problems.take() {
                output::text(&annotations::github(&problem))?;
            }
        }
    }
    Ok(match (summary.unreadable, summary.errors) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::Negative,
        (_, _) => Exit::Error,
    })
}

fn check(text: &Text, args: &CheckArgs, variables: &Variables, terminal: &Terminal, summary: &mut Summary) {
    if args.kind == Some(Kind::Rules) || (args.kind.is_none() && rules::are_rules(text.as_str())) {
        return check_rules(text, args, terminal, summary);
    }
    let nodes = match specs::parse(text.as_str()) {
        Ok(nodes) => nodes,
        Err(diagnostic) => {
            summary.errors += 1;
            specs::print_broken(text, &diagnostic, terminal);
            return;
        }
    };
    if nodes.is_empty() {
        summary.errors += 1;
        let empty = Diagnostic::error("empty; expected a filter or a spec");
        Diagnostics::new(text, terminal).print(&empty);
        return;
    }
    let redacted = text.with_text(redact::document(text.as_str(), &nodes));
    let mut diagnostics = Diagnostics::new(&redacted, terminal);
    for node in &nodes {
        let found = match args.kind.unwrap_or_else(|| kind_of(node)) {
            Kind::Spec => {
                summary.specs += 1;
                specs::decode(node, text, variables, args.limits.limits(), args.dialect.dialect)
                    .map_or_else(|errors| errors, |spec| spec.warnings().to_vec())
            }
            Kind::Filter | Kind::Rules => {
                summary.filters += 1;
                match FilterOptions::new().dialect(args.dialect.dialect).compile(node) {
                    Ok(filter) => filter.warnings().to_vec(),
                    Err(error) => error.diagnostics().to_vec(),
                }
            }
        };
        for diagnostic in found {
            let is_error = diagnostic.severity() == Severity::Error;
            summary.errors += u32::from(is_error);
            summary.warnings += u32::from(!is_error);
            if is_error || !args.quiet {
                diagnostics.print(&diagnostic);
            }
        }
    }
}

/// Prints the first diagnostics of a file of rules, and how many there are: generated rules tend to have the same flaw in
/// every line.
fn check_rules(text: &Text, args: &CheckArgs, terminal: &Terminal, summary: &mut Summary) {
    let checked = rules::check(text, args.dialect.dialect);
    summary.rules += checked.rules;
    summary.errors += u32::try_from(checked.errors.len()).unwrap_or(u32::MAX);
    summary.warnings += u32::try_from(checked.warnings.len()).unwrap_or(u32::MAX);
    let mut diagnostics = Diagnostics::new(text, terminal);
    let mut print = |found: &[Diagnostic], more: fn(String) -> Diagnostic, noun| {
        found.iter().take(LISTED).for_each(|diagnostic| diagnostics.print(diagnostic));
        if let Some(rest) = found.len().checked_sub(LISTED).filter(|rest| *rest > 0) {
            let message = format!("{rest} more {noun}; the first {LISTED} are above");
            diagnostics.print(&more(message).with_code(Code::More));
        }
    };
    print(&checked.errors, Diagnostic::error, "errors");
    if !args.quiet {
        print(&checked.warnings, Diagnostic::warning, "warnings");
    }
}

/// The rule of `--help`: a spec has a `url` that is a string, or a member that only specs have.
fn kind_of(node: &Node) -> Kind {
    if let NodeKind::Array(elements) = &node.kind {
        // An error either way; a spec has other advice than a filter.
        let is_spec = |element: &Node| kind_of_one(element) == Kind::Spec;
        return if elements.first().is_some_and(is_spec) { Kind::Spec } else { Kind::Filter };
    }
    kind_of_one(node)
}

fn kind_of_one(node: &Node) -> Kind {
    let has_url = node.get("url").is_some_and(|url| matches!(url.kind, NodeKind::String(_)));
    if has_url || SPEC_MEMBERS.iter().any(|name| node.get(name).is_some()) {
        Kind::Spec
    } else {
        Kind::Filter
    }
}

/// The object of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    filters: u32,
    specs: u32,
    rules: usize,
    errors: u32,
    warnings: u32,
    unreadable: u32,
    problems: Vec<Problem>,
}

/// Counts over all files.
#[derive(Debug, Default)]
struct Summary {
    filters: u32,
    specs: u32,
    rules: usize,
    errors: u32,
    warnings: u32,
    unreadable: u32,
}

impl Summary {
    /// `checked 2 filters and 1 spec: 1 error, 2 warnings`
    fn describe(&self, terminal: &Terminal) -> String {
        let paint = terminal.stderr_paint;
        let count = |number, noun| (number > 0).then(|| humanize::count(number, noun));
        let rules = u32::try_from(self.rules).unwrap_or(u32::MAX);
        let checked: Vec<_> =
            [count(self.filters, "filter"), count(self.specs, "spec"), count(rules, "rule")]
                .into_iter()
                .flatten()
                .collect();
        let checked = match checked.split_last() {
            None => "nothing".to_owned(),
            Some((only, [])) => only.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
        };
        let found: Vec<_> = [
            count(self.errors, "error"),
            count(self.warnings, "warning"),
            count(self.unreadable, "unreadable file"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let found = if found.is_empty() { paint.good("no errors").to_string() } else { found.join(", ") };
        format!("checked {checked}: {found}")
    }
}
