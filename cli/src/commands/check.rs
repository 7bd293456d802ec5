//! `poll check`: mistakes in filters and specs, before they run.

use filter::json::{Kind as NodeKind, Node};
use filter::{Diagnostic, FilterOptions, Severity};

use super::{specs, tell_error};
use crate::args::{CheckArgs, Kind};
use crate::exit::Exit;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::{Terminal, tell};
use crate::render::{mask, story};

/// Members that only specs have; one of them makes an object a spec even if its `url` is missing or misspelt.
const OF_SPECS: [&str; 6] =
    ["cacheKey", "requestInit", "responseFilter", "failureFilter", "requestTimeout", "giveUp"];

pub(super) fn run(args: &CheckArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut tally = Tally::default();
    for path in &args.files {
        match Text::read(path) {
            Ok(text) => check(&text, args, terminal, &mut tally),
            Err(error) => {
                tally.unreadable += 1;
                tell_error(terminal, &error);
            }
        }
    }
    if !args.quiet {
        tell(tally.in_words(terminal));
    }
    Ok(match (tally.unreadable, tally.errors) {
        (0, 0) => Exit::Success,
        (0, _) => Exit::Negative,
        (_, _) => Exit::Error,
    })
}

fn check(text: &Text, args: &CheckArgs, terminal: &Terminal, tally: &mut Tally) {
    let nodes = match specs::parse(text.as_str()) {
        Ok(nodes) => nodes,
        Err(diagnostic) => {
            tally.errors += 1;
            tell(Diagnostics::new(&mask::by_name(text), terminal.stderr_paint).render(&diagnostic));
            return;
        }
    };
    if nodes.is_empty() {
        tally.errors += 1;
        let empty = Diagnostic::error("empty; expected a filter or a spec");
        tell(Diagnostics::new(text, terminal.stderr_paint).render(&empty));
        return;
    }
    let masked = mask::secrets(text, &nodes);
    let mut diagnostics = Diagnostics::new(&masked, terminal.stderr_paint);
    for node in &nodes {
        let found = match args.kind.unwrap_or_else(|| kind_of(node)) {
            Kind::Spec => {
                tally.specs += 1;
                specs::decode(node, args.unbounded, args.dialect)
                    .map_or_else(|errors| errors, |spec| spec.warnings().to_vec())
            }
            Kind::Filter => {
                tally.filters += 1;
                match FilterOptions::new().dialect(args.dialect).compile(node) {
                    Ok(filter) => {
                        filter.warnings().iter().map(|warning| warning.diagnostic().clone()).collect()
                    }
                    Err(error) => error.diagnostics().to_vec(),
                }
            }
        };
        for diagnostic in found {
            let is_error = diagnostic.severity() == Severity::Error;
            tally.errors += u32::from(is_error);
            tally.warnings += u32::from(!is_error);
            if is_error || !args.quiet {
                tell(diagnostics.render(&diagnostic));
            }
        }
    }
}

/// What `--help` says: a spec has a `url` that is a string, or a member that only specs have.
fn kind_of(node: &Node) -> Kind {
    let has_url = node.get("url").is_some_and(|url| matches!(url.kind, NodeKind::String(_)));
    if has_url || OF_SPECS.iter().any(|name| node.get(name).is_some()) { Kind::Spec } else { Kind::Filter }
}

/// What was found, over all files.
#[derive(Debug, Default)]
struct Tally {
    filters: u32,
    specs: u32,
    errors: u32,
    warnings: u32,
    unreadable: u32,
}

impl Tally {
    /// `checked 2 filters and 1 spec: 1 error, 2 warnings`
    fn in_words(&self, terminal: &Terminal) -> String {
        let paint = terminal.stderr_paint;
        let count = |number, what| (number > 0).then(|| story::count(number, what));
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
