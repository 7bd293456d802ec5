//! Reading rules: a file of JSON Lines, each an id and a filter.
//!
//! A million rules take a second or two, so the lines are shared out among all cores: each thread reads and compiles a part of
//! the file, and the parts are put together in order. What is wrong is gathered rather than told at once, so that all of it
//! is told, in the order of the file.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::thread;

use filter::json::{self, Kind, Node};
use filter::{Diagnostic, Dialect, Filter, FilterOptions, FilterSet, Limits, Span};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::id::{Ids, Meaning};
use crate::commands::AlreadyTold;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::story;
use crate::render::terminal::{Terminal, tell};

/// How many warnings are shown: a mistake that a program has made is in every rule that it wrote.
const WARNINGS: usize = 20;

/// What a rule looks like, for messages.
const SHAPE: &str = r#"a rule is {"id": …, "filter": …} on one line"#;

/// Rules that are ready.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) set: FilterSet<u32>,
    /// The ids by the numbers that the set knows them by.
    pub(super) ids: Ids,
}

/// Reads and compiles rules. What is wrong with them is told with source and caret; then the error says only that it was.
pub(super) fn load(path: &Path, dialect: Dialect, terminal: &Terminal) -> anyhow::Result<Rules> {
    let text = Text::read(path)?;
    let parts = read_parts(text.as_str(), dialect);
    let mut judgements = Findings::default();
    let rules = join(text.as_str(), parts, &mut judgements);
    judgements.tell(&text, terminal)?;
    if rules.set.is_empty() {
        tell(format_args!("{}: no rules in {}", terminal.stderr_paint.caution("warning"), text.name()));
    }
    Ok(rules)
}

/// Reads the file in as many parts as there are cores.
fn read_parts(text: &str, dialect: Dialect) -> Vec<Part> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let size = text.len().div_ceil(cores).max(64 * 1024);
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = text.as_bytes().get(start + size..).and_then(|rest| memchr::memchr(b'\n', rest));
        let end = end.map_or(text.len(), |end| start + size + end + 1);
        ranges.push(start..end);
        start = end;
    }
    thread::scope(|scope| {
        let parts: Vec<_> =
            ranges.iter().map(|range| scope.spawn(|| Part::read(text, range.clone(), dialect))).collect();
        let join = |part: thread::ScopedJoinHandle<'_, Part>| {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        parts.into_iter().map(join).collect()
    })
}

/// What one thread has read.
#[derive(Debug, Default)]
struct Part {
    rules: Vec<Rule>,
    judgements: Findings,
    lines: u32,
}

#[derive(Debug)]
struct Rule {
    /// Where the id stands in the text.
    id: Range<usize>,
    meaning: Meaning,
    filter: Filter,
    /// From 1, in its part.
    line: u32,
}

/// A rule that has both its members, once each, and no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'l> {
    #[serde(borrow)]
    id: &'l RawValue,
    #[serde(borrow)]
    filter: &'l RawValue,
}

/// What is wrong, with spans into the whole text.
#[derive(Debug, Default)]
struct Findings {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Part {
    fn read(text: &str, range: Range<usize>, dialect: Dialect) -> Self {
        let options = FilterOptions::new().dialect(dialect);
        let mut part = Self::default();
        let mut start = range.start;
        for line in text[range].split_inclusive('\n') {
            part.lines += 1;
            if !line.trim_ascii().is_empty() && !part.flawless_line(line, start, &options) {
                part.line(line.trim_end_matches(['\n', '\r']), start, &options);
            }
            start += line.len();
        }
        part
    }

    /// Takes a line of which nothing has to be told; whether it was one. Nobody asks what stands where in such a line, so that no
    /// tree is made of it: loading a million rules takes a third less of the processor.
    fn flawless_line(&mut self, line: &str, start: usize, options: &FilterOptions) -> bool {
        // To serde, an array of two would do as well.
        if !line.trim_ascii_start().starts_with('{') {
            return false;
        }
        let Ok(Members { id, filter }) = serde_json::from_str(line) else { return false };
        let Ok(filter) = options.parse(filter.get()) else { return false };
        let id = id.get();
        let meaning = json::parse(id, &Limits::new()).ok().as_ref().and_then(Meaning::of);
        let Some(meaning) = meaning.filter(|_| filter.warnings().is_empty()) else { return false };
        let id_start = start + (id.as_ptr().addr() - line.as_ptr().addr());
        self.rules.push(Rule { id: id_start..id_start + id.len(), meaning, filter, line: self.lines });
        true
    }

    fn line(&mut self, line: &str, start: usize, options: &FilterOptions) {
        // The filter has its own limits; the line has an id besides, and an object around both.
        let limits = Limits::new().with_depth(Limits::new().depth() + 1).with_text_bytes(usize::MAX);
        let node = match json::parse(line, &limits) {
            Ok(node) => node,
            Err(error) => return self.judgements.errors.push(not_json(&error, start)),
        };
        let mut wrong = Vec::new();
        let (id, filter) = members(&node, &mut wrong);
        let filter = filter.map(|filter| options.compile_at(filter, "/filter"));
        match filter {
            Some(Err(error)) => wrong.extend_from_slice(error.diagnostics()),
            Some(Ok(filter)) if wrong.is_empty() => {
                for warning in filter.warnings() {
                    self.judgements.warnings.push(shifted(warning.diagnostic(), start));
                }
                if let Some((span, meaning)) = id {
                    let id = start + span.start..start + span.end;
                    self.rules.push(Rule { id, meaning, filter, line: self.lines });
                }
            }
            Some(Ok(_)) | None => {}
        }
        self.judgements.errors.extend(wrong.iter().map(|diagnostic| shifted(diagnostic, start)));
    }
}

/// The two members of a rule; what is missing or too much is added to `wrong`.
fn members<'n>(node: &'n Node, wrong: &mut Vec<Diagnostic>) -> (Option<(Span, Meaning)>, Option<&'n Node>) {
    let Kind::Object(members) = &node.kind else {
        let message = format!("{}, expected a rule", node.type_name());
        wrong.push(Diagnostic::error(message).span(node.span).help(SHAPE));
        return (None, None);
    };
    let (mut id, mut filter) = (None, None);
    for member in members {
        let known = match &*member.key {
            "id" => &mut id,
            "filter" => &mut filter,
            other => {
                let message = format!("unknown member \"{other}\"");
                wrong.push(Diagnostic::error(message).span(member.key_span).help(SHAPE));
                continue;
            }
        };
        if known.replace(&member.value).is_some() {
            wrong.push(Diagnostic::error(format!("\"{}\" is given twice", member.key)).span(member.key_span));
        }
    }
    for (name, missing) in [("id", id.is_none()), ("filter", filter.is_none())] {
        if missing {
            wrong.push(Diagnostic::error(format!("a rule without \"{name}\"")).span(node.span).help(SHAPE));
        }
    }
    let id = id.and_then(|id| {
        let meaning = id.span.zip(Meaning::of(id));
        if meaning.is_none() {
            let message = format!("the id is {}, expected a string or a number", id.type_name());
            wrong.push(Diagnostic::error(message).at("/id").span(id.span));
        }
        meaning
    });
    (id, filter)
}

/// Puts the parts together; looks for ids that are given twice, in whatever parts they are.
fn join(text: &str, parts: Vec<Part>, judgements: &mut Findings) -> Rules {
    let count = parts.iter().map(|part| part.rules.len()).sum();
    let mut lines_of: HashMap<Meaning, u32> = HashMap::with_capacity(count);
    let mut set = FilterSet::builder();
    let mut ids = Ids::default();
    let mut lines_before = 0;
    for part in parts {
        judgements.errors.extend(part.judgements.errors);
        judgements.warnings.extend(part.judgements.warnings);
        for rule in part.rules {
            let line = lines_before + rule.line;
            let id = &text[rule.id.clone()];
            match lines_of.entry(rule.meaning) {
                Entry::Vacant(entry) => {
                    entry.insert(line);
                    set = set.add(ids.push(id), rule.filter);
                }
                Entry::Occupied(entry) => {
                    let first = entry.get();
                    let message = format!("the id {id} is given twice, on line {first} and on line {line}");
                    let span = Span { start: rule.id.start, end: rule.id.end };
                    let help = "give each rule an id of its own";
                    judgements.errors.push(Diagnostic::error(message).at("/id").span(Some(span)).help(help));
                }
            }
        }
        lines_before += part.lines;
    }
    judgements.errors.sort_by_key(|error| error.location().map(|span| span.start));
    Rules { set: set.build(), ids }
}

impl Findings {
    fn tell(&self, text: &Text, terminal: &Terminal) -> anyhow::Result<()> {
        let mut diagnostics = Diagnostics::new(text, terminal.stderr_paint);
        if self.errors.is_empty() {
            for warning in self.warnings.iter().take(WARNINGS) {
                tell(diagnostics.render(warning));
            }
            if self.warnings.len() > WARNINGS {
                tell(format_args!("and {} more warnings", self.warnings.len() - WARNINGS));
            }
            return Ok(());
        }
        for error in &self.errors {
            tell(diagnostics.render(error));
        }
        let count = u32::try_from(self.errors.len()).unwrap_or(u32::MAX);
        tell(format_args!("{}: {}, so nothing is routed", text.name(), story::count(count, "error")));
        Err(AlreadyTold.into())
    }
}

impl Rules {
    /// What the rules take, how they are found, and which are checked against every event.
    pub(super) fn stats(&self) -> String {
        let mut text = self.set.stats().to_string();
        for id in self.set.unindexed() {
            let _ = write!(text, "\n           {}", crate::render::clean::line(self.ids.text(*id)));
        }
        text
    }
}

/// A line that is not JSON.
fn not_json(error: &filter::JsonError, start: usize) -> Diagnostic {
    let diagnostic = shifted(&error.diagnostic(), start);
    // Help that names a line counts lines from the start of this one; whoever is told of line 1 would look there.
    match diagnostic.hint() {
        Some(hint) if !hint.contains("line ") => diagnostic,
        _ => diagnostic.help(SHAPE),
    }
}

/// The same, of a line that begins there in the text.
fn shifted(diagnostic: &Diagnostic, start: usize) -> Diagnostic {
    let span = diagnostic.location().map(|span| Span { start: start + span.start, end: start + span.end });
    diagnostic.clone().span(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_read_a_line_take_filters_as_deep_as_the_limit() {
        let options = FilterOptions::new();
        let most = Limits::new().depth();
        for (depth, taken) in [(most, true), (most + 1, false)] {
            let nested = format!("{}[\"x\"]{}", "{\"a\":".repeat(depth - 1), "}".repeat(depth - 1));
            let line = format!("{{\"id\":1,\"filter\":{nested}}}");
            let mut part = Part::default();
            assert_eq!(part.flawless_line(&line, 0, &options), taken, "{depth}");
            let mut part = Part::default();
            part.line(&line, 0, &options);
            assert_eq!((part.rules.len() == 1, part.judgements.errors.is_empty()), (taken, taken), "{depth}");
        }
    }
}
