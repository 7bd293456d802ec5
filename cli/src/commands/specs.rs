//! Specs from files: read, decoded and held against each other before anything is requested.
//!
//! Every mistake of every file is told, not only the first, and none of the polls is begun if there is one: half a
//! batch would be harder to clean up than none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use filter::json::{self, Kind, Node};
use filter::{Diagnostic, Span};
use poller::{Limits, PollSpec, SpecOptions};

use super::{AlreadyTold, tell_error};
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::{Terminal, tell};
use crate::render::{mask, story};

/// A poll to run: its key and what it asks.
pub(super) struct Job {
    pub(super) key: String,
    pub(super) spec: PollSpec,
}

/// All specs of all files.
pub(super) struct Loaded {
    pub(super) jobs: Vec<Job>,
    /// How many specs there were; some may be the same poll.
    pub(super) specs: usize,
}

/// The bounds of a spec from the command line.
pub(super) fn limits(unbounded: bool) -> Limits {
    if unbounded { Limits::unbounded() } else { Limits::default() }
}

/// The JSON values of a text. A batch may be longer than a filter may be; its user's own machine holds it.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Diagnostic> {
    let limits = filter::Limits::default().with_text_bytes(usize::MAX);
    json::parse_sequence(text, &limits).map_err(|error| error.diagnostic())
}

/// Decodes one spec.
pub(super) fn decode(
    node: &Node,
    unbounded: bool,
    dialect: filter::Dialect,
) -> Result<PollSpec, Vec<Diagnostic>> {
    if let Kind::Array(elements) = &node.kind {
        let number = u32::try_from(elements.len()).unwrap_or(u32::MAX);
        let array = Diagnostic::error(format!(
            "found an array of {}, expected a spec, which is an object",
            story::count(number, "element")
        ));
        // Only its opening bracket: the whole array would be the whole file.
        let bracket = node.span.map(|span| Span { start: span.start, end: span.start + 1 });
        return Err(vec![
            array.span(bracket).help("write the specs one after the other: jq -c '.[]' FILE | poll run -"),
        ]);
    }
    let options = SpecOptions::new().limits(limits(unbounded)).dialect(dialect);
    options.decode(node, "").map_err(|error| error.diagnostics().to_vec())
}

/// Reads all specs of all files; tells everything that is wrong with them.
pub(super) fn load(
    files: &[PathBuf],
    unbounded: bool,
    quiet: bool,
    terminal: &Terminal,
) -> anyhow::Result<Loaded> {
    let mut batch =
        Batch { jobs: Vec::new(), specs: 0, known: HashMap::new(), wrong: false, unbounded, quiet, terminal };
    for file in files {
        match Text::read(file) {
            Ok(text) => batch.add(&text),
            Err(error) => {
                batch.wrong = true;
                tell_error(terminal, &error);
            }
        }
    }
    let Batch { jobs, specs, wrong, .. } = batch;
    if wrong { Err(AlreadyTold.into()) } else { Ok(Loaded { jobs, specs }) }
}

struct Batch<'a> {
    jobs: Vec<Job>,
    specs: usize,
    /// By key: where the spec stands, for messages, and which job it became.
    known: HashMap<String, (String, usize)>,
    wrong: bool,
    unbounded: bool,
    quiet: bool,
    terminal: &'a Terminal,
}

impl Batch<'_> {
    fn add(&mut self, text: &Text) {
        let nodes = match parse(text.as_str()) {
            Ok(nodes) => nodes,
            Err(diagnostic) => {
                self.wrong = true;
                tell(Diagnostics::new(&mask::by_name(text), self.terminal.stderr_paint).render(&diagnostic));
                return;
            }
        };
        if nodes.is_empty() {
            self.wrong = true;
            tell_error(self.terminal, &anyhow::anyhow!("{} holds no spec", text.name()));
        }
        let masked = mask::secrets(text, &nodes);
        let mut diagnostics = Diagnostics::new(&masked, self.terminal.stderr_paint);
        self.specs += nodes.len();
        for node in &nodes {
            match decode(node, self.unbounded, filter::Dialect::default()) {
                Ok(spec) => {
                    if !self.quiet {
                        spec.warnings().iter().for_each(|warning| tell(diagnostics.render(warning)));
                    }
                    let line = node.span.map_or(1, |span| diagnostics.line_of(span.start));
                    self.take(spec, format!("{}:{line}", text.name()));
                }
                Err(errors) => {
                    self.wrong = true;
                    errors.iter().for_each(|error| tell(diagnostics.render(error)));
                }
            }
        }
    }

    /// One key is one poll: the same spec again joins it, another is a conflict.
    fn take(&mut self, spec: PollSpec, place: String) {
        let key = spec.cache_key().map_or_else(|| spec.digest(), str::to_owned);
        match self.known.entry(key) {
            Entry::Vacant(entry) => {
                self.jobs.push(Job { key: entry.key().clone(), spec });
                entry.insert((place, self.jobs.len() - 1));
            }
            Entry::Occupied(entry) => {
                let (first, job) = entry.get();
                let differences =
                    self.jobs.get(*job).map(|job| job.spec.differences(&spec)).unwrap_or_default();
                if !differences.is_empty() {
                    self.wrong = true;
                    tell_error(
                        self.terminal,
                        &anyhow::anyhow!(
                            "{place}: this spec has the same key as the one at {first} but differs in {}; \
                             give it a cacheKey of its own",
                            differences.join(", ")
                        ),
                    );
                } else if !self.quiet {
                    tell(format_args!("{place}: the same poll as the one at {first}; it runs once"));
                }
            }
        }
    }
}
