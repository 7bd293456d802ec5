//! Reads specs from files and checks all of them before the first request.
//!
//! All errors of all files are printed. After any error, no poll is started: a half-started batch is harder to clean up
//! than none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;

use filter::json::{self, Kind, Node};
use filter::{Diagnostic, Span};
use poller::{Limits, PollSpec, SpecOptions, redact};

use super::{AlreadyReported, print_error};
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::humanize;
use crate::render::terminal::{Terminal, eprint_line};

/// A poll to run.
pub(super) struct Job {
    pub(super) key: String,
    pub(super) spec: PollSpec,
}

/// All specs of all files.
pub(super) struct Loaded {
    pub(super) jobs: Vec<Job>,
    /// The number of specs; equal specs share one job.
    pub(super) specs: usize,
}

/// The JSON values of a text. The text limit of filters does not apply: a batch of specs may be longer.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, Diagnostic> {
    let limits = filter::Limits::default().with_text_bytes(usize::MAX);
    json::parse_sequence(text, &limits).map_err(|error| error.diagnostic().clone())
}

/// Prints why a text is not JSON, without the secrets that it may contain.
pub(super) fn print_broken(text: &Text, diagnostic: &Diagnostic, terminal: &Terminal) {
    let (redacted, diagnostic) = redact::broken_document(text.as_str(), diagnostic);
    Diagnostics::new(&text.with_text(redacted), terminal.stderr_paint).print(&diagnostic);
}

/// Decodes one spec.
pub(super) fn decode(
    node: &Node,
    limits: Limits,
    dialect: filter::Dialect,
) -> Result<PollSpec, Vec<Diagnostic>> {
    if let Kind::Array(elements) = &node.kind {
        let array = Diagnostic::error(format!(
            "found an array of {}, expected a spec, which is an object",
            humanize::count(elements.len(), "element")
        ));
        // Underlines the opening bracket only, since the array usually spans the whole file.
        let bracket = node.span.map(|span| Span { start: span.start, end: span.start + 1 });
        return Err(vec![
            array
                .with_span(bracket)
                .with_help("write the specs one after the other: jq -c '.[]' FILE | poll run -"),
        ]);
    }
    let options = SpecOptions::new().limits(limits).dialect(dialect);
    options.decode(node, "").map_err(|error| error.diagnostics().to_vec())
}

/// Reads all specs of all files and prints their diagnostics.
pub(super) fn load(
    files: &[PathBuf],
    limits: Limits,
    quiet: bool,
    terminal: &Terminal,
) -> anyhow::Result<Loaded> {
    let mut batch =
        Batch { jobs: Vec::new(), specs: 0, known: HashMap::new(), failed: false, limits, quiet, terminal };
    for file in files {
        match Text::read(file) {
            Ok(text) => batch.add(&text),
            Err(error) => {
                batch.failed = true;
                print_error(terminal, &error);
            }
        }
    }
    let Batch { jobs, specs, failed, .. } = batch;
    if failed { Err(AlreadyReported.into()) } else { Ok(Loaded { jobs, specs }) }
}

struct Batch<'a> {
    jobs: Vec<Job>,
    specs: usize,
    /// By key: the location of the first spec, for messages, and the index of its job.
    known: HashMap<String, (String, usize)>,
    failed: bool,
    limits: Limits,
    quiet: bool,
    terminal: &'a Terminal,
}

impl Batch<'_> {
    fn add(&mut self, text: &Text) {
        let nodes = match parse(text.as_str()) {
            Ok(nodes) => nodes,
            Err(diagnostic) => {
                self.failed = true;
                print_broken(text, &diagnostic, self.terminal);
                return;
            }
        };
        if nodes.is_empty() {
            self.failed = true;
            print_error(self.terminal, &anyhow::anyhow!("{} holds no spec", text.name()));
        }
        let redacted = text.with_text(redact::document(text.as_str(), &nodes));
        let mut diagnostics = Diagnostics::new(&redacted, self.terminal.stderr_paint);
        self.specs += nodes.len();
        for node in &nodes {
            match decode(node, self.limits.clone(), filter::Dialect::default()) {
                Ok(spec) => {
                    if !self.quiet {
                        spec.warnings().iter().for_each(|warning| diagnostics.print(warning));
                    }
                    let line = node.span.map_or(1, |span| diagnostics.line_of(span.start));
                    self.add_job(spec, format!("{}:{line}", text.name()));
                }
                Err(errors) => {
                    self.failed = true;
                    errors.iter().for_each(|error| diagnostics.print(error));
                }
            }
        }
    }

    /// Adds a job. The same spec again joins the job of its key; a different spec is a conflict.
    fn add_job(&mut self, spec: PollSpec, place: String) {
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
                    self.failed = true;
                    print_error(
                        self.terminal,
                        &anyhow::anyhow!(
                            "{place}: this spec has the same key as the one at {first} but differs in {}; \
                             give it a cacheKey of its own",
                            differences.join(", ")
                        ),
                    );
                } else if !self.quiet {
                    eprint_line(format_args!("{place}: the same poll as the one at {first}; it runs once"));
                }
            }
        }
    }
}
