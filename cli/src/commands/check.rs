//! `poll check`: finds errors in filters and specs before they run.

use filter::json::{Kind as NodeKind, Node};
use filter::{Diagnostic, FilterOptions, Severity};
use poller::redact;

use super::{print_error, specs};
use crate::args::{CheckArgs, Kind};
use crate::exit::Exit;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

/// Members that only specs have. An object with one of them is a spec even if its `url` is missing or misspelt.
const SPEC_MEMBERS: [&str; 6] =
    ["cacheKey", "requestInit", "responseFilter", "failureFilter", "requestTimeout", "giveUp"];

pub(super) fn run(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut summary = Summary::default();
    for path in &args.files {
        match Text::read(path) {
            Ok(text) => check(&text, args, terminal, &mut summary),
            Err(error) => {
                summary.unreadable += 1;
                print_error(terminal, &error);
            }
        }
    }
    if !args.quiet {
        eprint_line(summary.describe(terminal));
    }
    Ok(match (summary.unreadable, summary.errors) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::Negative,
        (_, _) => Exit::Error,
    })
}

fn check(text: &Text, args: &CheckArgs, terminal: &Terminal, summary: &mut Summary) {
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
        Diagnostics::new(text, terminal.stderr_paint).print(&empty);
        return;
    }
    let redacted = text.with_text(redact::document(text.as_str(), &nodes));
    let mut diagnostics = Diagnostics::new(&redacted, terminal.stderr_paint);
    for node in &nodes {
        let found = match args.kind.unwrap_or_else(|| kind_of(node)) {
            Kind::Spec => {
                summary.specs += 1;
                specs::decode(node, args.limits.limits(), args.dialect.dialect)
                    .map_or_else(|errors| errors, |spec| spec.warnings().to_vec())
            }
            Kind::Filter => {
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

/// The rule of `--help`: a spec has a `url` that is a string, or a member that only specs have.
fn kind_of(node: &Node) -> Kind {
    let has_url = node.get("url").is_some_and(|url| matches!(url.kind, NodeKind::String(_)));
    if has_url || SPEC_MEMBERS.iter().any(|name| node.get(name).is_some()) {
        Kind::Spec
    } else {
        Kind::Filter
    }
}

/// Counts over all files.
#[derive(Debug, Default)]
struct Summary {
    filters: u32,
    specs: u32,
    errors: u32,
    warnings: u32,
    unreadable: u32,
}

impl Summary {
    /// `checked 2 filters and 1 spec: 1 error, 2 warnings`
    fn describe(&self, terminal: &Terminal) -> String {
        let paint = terminal.stderr_paint;
        let count = |number, noun| (number > 0).then(|| humanize::count(number, noun));
        let checked: Vec<_> =
            [count(self.filters, "filter"), count(self.specs, "spec")].into_iter().flatten().collect();
        let checked = if checked.is_empty() { "nothing".to_owned() } else { checked.join(" and ") };
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
