//! Reads specs from files and checks all of them before the first request.
//!
//! ```text
//! files ──► check: every spec of every file is read, every problem printed    nothing happens after an error
//!       └─► jobs: the same files again, in batches of one piece               a million specs in the memory of a few thousand
//! ```
//!
//! All errors of all files are printed. After any error, no poll is started: a half-started batch is harder to clean up
//! than none. Two passes cost less than keeping all specs would: a spec that differs from an earlier one only in its URL and its
//! key is recognised by its text, and only the others are parsed and decoded.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;

use filter::json::{self, Kind, Node};
use filter::{Diagnostic, Span};
use poller::{Limits, PollSpec, SpecOptions, SpecRead, SpecReader, redact};

use super::variables::{Variables, may_have_variables};
use super::{AlreadyReported, print_listed, print_note, print_rest};
use crate::args::VariablesArgs;
use crate::input::Text;
use crate::input::pieces::{Pieces, Source};
use crate::render::diagnostics::Diagnostics;
use crate::render::humanize;
use crate::render::terminal::Terminal;

/// A poll to run.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) key: String,
    pub(super) spec: PollSpec,
}

/// The text limit of filters does not apply: a batch of specs may be longer.
fn sequence_limits() -> filter::Limits {
    filter::Limits::default().with_text_bytes(usize::MAX)
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, Diagnostic> {
    json::parse_sequence(text, &sequence_limits()).map_err(|error| error.diagnostic().clone())
}

/// Prints why a text is not JSON, without the secrets that it may contain.
pub(super) fn print_broken(text: &Text, diagnostic: &Diagnostic, terminal: &Terminal) {
    let (redacted, diagnostic) = redact::broken_document(text.as_str(), diagnostic);
    Diagnostics::new(&text.with_text(redacted), terminal).print(&diagnostic);
}

/// Reports an array where a spec is expected.
fn array(node: &Node) -> Option<Diagnostic> {
    let Kind::Array(elements) = &node.kind else { return None };
    let count = humanize::count(elements.len(), "element");
    let array = Diagnostic::error(format!("found an array of {count}, expected a spec, which is an object"));
    // Underlines the opening bracket only, since the array usually spans the whole file.
    let bracket = node.span.map(|span| Span { start: span.start, end: span.start + 1 });
    let help = "write the specs one after the other: jq -c '.[]' FILE | poll run -";
    Some(array.with_span(bracket).with_help(help))
}

/// Decodes one spec of the text, after its variables are filled in.
pub(super) fn decode(
    node: &Node,
    text: &Text,
    variables: Option<&Variables>,
    specs: &mut SpecReader,
) -> Result<SpecRead, Vec<Diagnostic>> {
    if let Some(array) = array(node) {
        return Err(vec![array]);
    }
    let filled = variables.map(|variables| variables.fill(node, text)).transpose()?;
    let read = specs.decode(filled.as_ref().unwrap_or(node));
    read.map_err(|error| error.diagnostics().to_vec())
}

/// How specs are read.
pub(super) struct Reading<'a> {
    files: &'a [PathBuf],
    variables: Variables,
    options: SpecOptions,
    quiet: bool,
    terminal: &'a Terminal,
    hasher: RandomState,
}

/// All specs of all files, of which each is valid.
pub(super) struct Specs<'a> {
    reading: Reading<'a>,
    sources: Vec<Source>,
    /// The number of specs; equal specs share one job.
    pub(super) count: usize,
    /// The positions of specs that another one before repeats.
    repeated: HashSet<usize>,
    /// A hash of each piece of text.
    hashes: Vec<u64>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        files: &'a [PathBuf],
        variables: &VariablesArgs,
        limits: Limits,
        quiet: bool,
        terminal: &'a Terminal,
    ) -> anyhow::Result<Self> {
        let variables = Variables::read(variables, terminal)?;
        let options = SpecOptions::new().limits(limits);
        Ok(Self { files, variables, options, quiet, terminal, hasher: RandomState::new() })
    }

    /// Reads all files and prints what is wrong with them; `check` gets each batch of specs, and an empty one at the end, and returns
    /// whether all that it has looked at can be used.
    pub(super) async fn check(
        self,
        mut check: impl AsyncFnMut(Vec<Job>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Specs<'a>> {
        let mut failed = false;
        let mut sources = Vec::new();
        for file in self.files {
            match Source::open(file) {
                Ok(source) => sources.push(source),
                Err(error) => {
                    failed = true;
                    print_listed(self.terminal, error);
                }
            }
        }
        let mut specs =
            Specs { reading: self, sources, count: 0, repeated: HashSet::new(), hashes: Vec::new() };
        // Of each key a hash, since a million keys would take a hundred megabytes.
        let mut keys: Vec<u64> = Vec::new();
        let mut pass = Pass::new(&specs.reading, specs.reading.quiet);
        for source in &mut specs.sources {
            let name = source.name.clone();
            let before = pass.position;
            let mut pieces = source.pieces()?;
            loop {
                let batch = match pass.next(&mut pieces) {
                    Ok(Some(batch)) => batch,
                    Ok(None) => {
                        if pass.position == before {
                            failed = true;
                            print_listed(specs.reading.terminal, format_args!("{name} holds no spec"));
                        }
                        break;
                    }
                    // The rest of a text that is not JSON is not read.
                    Err(error) => {
                        failed = true;
                        if !error.is::<AlreadyReported>() {
                            print_listed(specs.reading.terminal, error);
                        }
                        break;
                    }
                };
                keys.extend(batch.jobs.iter().map(|job| specs.reading.hasher.hash_one(&job.key)));
                specs.hashes.push(batch.hash);
                failed |= batch.failed;
                failed |= !check(batch.jobs).await?;
            }
        }
        failed |= !check(Vec::new()).await?;
        specs.count = pass.position;
        failed |= !specs.find_repeated(keys)?;
        if failed {
            return Err(AlreadyReported.into());
        }
        print_rest(specs.reading.terminal);
        if !specs.reading.quiet {
            specs.reading.variables.warn_of_unused(specs.reading.terminal);
        }
        Ok(specs)
    }

    /// Says that a spec has the key of an earlier one. The same spec again is the same poll; a different one is an error.
    /// Returns whether they are the same.
    fn explain(&self, (place, spec): (&str, &PollSpec), (first, earlier): (&str, &PollSpec)) -> bool {
        let differences = earlier.differences(spec);
        if !differences.is_empty() {
            let differ = differences.join(", ");
            print_listed(
                self.terminal,
                format_args!(
                    "{place}: this spec has the same key as the one at {first} but differs in {differ}; give it a cacheKey of its \
                     own"
                ),
            );
        } else if !self.quiet {
            let note = format_args!("{place}: the same poll as the one at {first}; it runs once");
            print_note(self.terminal, note);
        }
        differences.is_empty()
    }
}

impl Specs<'_> {
    pub(super) fn jobs_count(&self) -> usize {
        self.count - self.repeated.len()
    }

    pub(super) fn batches(&mut self) -> Batches<'_> {
        Batches {
            pass: Pass::new(&self.reading, true),
            sources: self.sources.iter_mut(),
            pieces: None,
            hashes: self.hashes.iter(),
            repeated: &self.repeated,
        }
    }

    /// Notes and explains each spec whose key an earlier one has; `keys` are the hashes of all keys. Returns whether all are the
    /// same as those. The specs are read once more, because the first pass keeps none.
    fn find_repeated(&mut self, mut keys: Vec<u64>) -> anyhow::Result<bool> {
        keys.sort_unstable();
        // All keys that occur more than once have such a hash, and perhaps a few others.
        let twice: HashSet<u64> =
            keys.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        drop(keys);
        if twice.is_empty() {
            return Ok(true);
        }
        let mut firsts: HashMap<String, (String, PollSpec)> = HashMap::new();
        let mut pass = Pass::new(&self.reading, true);
        let mut same = true;
        for source in &mut self.sources {
            let name = source.name.clone();
            let mut pieces = source.pieces()?;
            // What is wrong with the text was printed by the first pass.
            pass.silent = true;
            while let Ok(Some(batch)) = pass.next(&mut pieces) {
                for (Job { key, spec }, SpecPlace { position, line }) in
                    batch.jobs.into_iter().zip(batch.places)
                {
                    if !twice.contains(&self.reading.hasher.hash_one(&key)) {
                        continue;
                    }
                    let place = format!("{name}:{line}");
                    match firsts.entry(key) {
                        Entry::Vacant(entry) => _ = entry.insert((place, spec)),
                        Entry::Occupied(entry) => {
                            let (first, earlier) = entry.get();
                            same &= self.reading.explain((&place, &spec), (first, earlier));
                            self.repeated.insert(position);
                        }
                    }
                }
            }
        }
        Ok(same)
    }
}

/// The second reading of all specs.
pub(super) struct Batches<'s> {
    pass: Pass<'s>,
    sources: std::slice::IterMut<'s, Source>,
    pieces: Option<Pieces<'s>>,
    hashes: std::slice::Iter<'s, u64>,
    repeated: &'s HashSet<usize>,
}

/// A spec, or what is wrong with it.
type Decoded = Result<SpecRead, Vec<Diagnostic>>;

impl Batches<'_> {
    /// The next jobs; `None` at the end.
    ///
    /// # Errors
    /// If a file is not what it was when it was checked.
    pub(super) fn next_batch(&mut self) -> anyhow::Result<Option<Vec<Job>>> {
        loop {
            let Some(pieces) = &mut self.pieces else {
                let Some(source) = self.sources.next() else { return Ok(None) };
                self.pieces = Some(source.pieces()?);
                continue;
            };
            let name = pieces.name;
            let Some(batch) = self.pass.next(pieces)? else {
                self.pieces = None;
                continue;
            };
            anyhow::ensure!(
                self.hashes.next() == Some(&batch.hash),
                "{name} was changed while it was read; what was stored before is stored. Run the command again"
            );
            let repeated = self.repeated;
            let jobs = batch.jobs.into_iter().zip(batch.places);
            let jobs = jobs.filter(|(_, place)| !repeated.contains(&place.position)).map(|(job, _)| job);
            return Ok(Some(jobs.collect()));
        }
    }
}

/// Where a spec stands.
#[derive(Clone, Copy, Debug)]
struct SpecPlace {
    /// The number of specs before it, of all files.
    position: usize,
    /// The line on which it begins, from 1.
    line: usize,
}

/// The specs of one piece.
struct Batch {
    jobs: Vec<Job>,
    /// The place of each job.
    places: Vec<SpecPlace>,
    /// Whether one of the specs is wrong.
    failed: bool,
    /// A hash of the text.
    hash: u64,
}

/// One reading of the specs of all files, in their order.
struct Pass<'r> {
    reading: &'r Reading<'r>,
    specs: SpecReader,
    /// Prints no warnings.
    quiet: bool,
    /// Prints nothing.
    silent: bool,
    /// The number of specs so far.
    position: usize,
}

impl<'r> Pass<'r> {
    fn new(reading: &'r Reading<'r>, quiet: bool) -> Self {
        let specs = SpecReader::new(reading.options.clone());
        Self { reading, specs, quiet, silent: false, position: 0 }
    }

    /// The specs of the next piece; `None` at the end. Prints what is wrong with them.
    ///
    /// # Errors
    /// If the piece cannot be read, or is not JSON; then the rest of the file is not read.
    fn next(&mut self, pieces: &mut Pieces<'_>) -> anyhow::Result<Option<Batch>> {
        let Some(text) = pieces.next_piece()? else { return Ok(None) };
        let hash = self.reading.hasher.hash_one(text.as_str());
        let mut batch = Batch { jobs: Vec::new(), places: Vec::new(), failed: false, hash };
        let mut found = Vec::new();
        let (mut line, mut counted) = (text.first_line(), 0);
        let has_variables = may_have_variables(text.as_str());
        let mut end = 0;
        while let Some((start, read)) = self.next_spec(&text, &mut end, has_variables)? {
            line += memchr::memchr_iter(b'\n', &text.as_str().as_bytes()[counted..start]).count();
            counted = start;
            match read {
                Ok(SpecRead { spec, cache_key, .. }) => {
                    if !self.quiet {
                        found.extend_from_slice(spec.warnings());
                    }
                    let key = cache_key.unwrap_or_else(|| spec.digest());
                    batch.jobs.push(Job { key, spec });
                    batch.places.push(SpecPlace { position: self.position, line });
                }
                Err(errors) => {
                    batch.failed = true;
                    found.extend(errors);
                }
            }
            self.position += 1;
        }
        if !found.is_empty() && !self.silent {
            // Specs that were read without a tree may have secrets, too.
            let nodes = parse(text.as_str()).unwrap_or_default();
            let redacted = text.with_text(redact::document(text.as_str(), &nodes));
            let mut diagnostics = Diagnostics::new(&redacted, self.reading.terminal);
            diagnostics.print_all(&found);
        }
        Ok(Some(batch))
    }

    /// Reads the spec behind the byte at `end`, which is moved behind it. Returns where it begins; `None` at the end.
    ///
    /// # Errors
    /// If it is not JSON, which is printed.
    fn next_spec(
        &mut self,
        text: &Text,
        end: &mut usize,
        has_variables: bool,
    ) -> anyhow::Result<Option<(usize, Decoded)>> {
        let whole = text.as_str();
        let blank = whole[*end..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        let start = *end + blank.count();
        if !has_variables && let Some((read, length)) = self.specs.read_alike(&whole[start..]) {
            *end = start + length;
            return Ok(Some((start, Ok(read))));
        }
        let node = match json::parse_next(whole, start, &sequence_limits()) {
            Ok(Some(node)) => node,
            Ok(None) => return Ok(None),
            Err(error) => {
                if !self.silent {
                    print_broken(text, error.diagnostic(), self.reading.terminal);
                }
                return Err(AlreadyReported.into());
            }
        };
        *end = node.span.map_or(whole.len(), |span| span.end);
        let variables = has_variables.then_some(&self.reading.variables);
        let read = decode(&node, text, variables, &mut self.specs);
        if let Ok(read) = &read
            && !has_variables
        {
            self.specs.remember(&node, whole, read);
        }
        Ok(Some((start, read)))
    }
}
