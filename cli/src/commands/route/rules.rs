//! Reads rules: a file of JSON Lines, each an id and a filter.
//!
//! A million rules take a second or two, so all cores share the work: threads read and compile chunks of the file, a few chunks
//! ahead of the one that joins them in order. So beside the set there are few filters and little text at a time: all of them would take
//! several times its memory. Diagnostics, and the text around them, are kept and printed at the end, in the order of the file.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::thread;

use filter::json::{self, Kind, Node};
use filter::{
    Code, Diagnostic, Dialect, Filter, FilterOptions, FilterSet, FilterSetBuilder, Limits, Severity, Span,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::id::{IdTable, IdValue, Ids};
use super::listed::list;
use crate::commands::parallel::{self, Event, Lines};
use crate::commands::{AlreadyReported, print_rest, rule_lint};
use crate::input::lines::Chunk;
use crate::input::{self, Text};
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::{Terminal, eprint_line};
use crate::render::{humanize, sanitize};

/// The size of a read: a dozen chunks are compiled ahead of the set. With chunks of 256 KiB, 100,000 rules took 132 MB instead of 80.
const CHUNK: usize = 32 * 1024;

/// The shape of a rule, for messages.
const SHAPE: &str = r#"a rule is {"id": …, "filter": …} on one line"#;

/// How an array of rules becomes a file of them.
const LINES: &str = "write each rule on a line of its own: jq -c '.[]' FILE > rules.jsonl";

/// Compiled rules.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) set: FilterSet<u32>,
    /// The texts of the ids, by the numbers used in `set`.
    pub(super) ids: Ids,
}

/// Reads and compiles rules. Prints their diagnostics; the error says only that they were printed.
///
/// `keep_filters`: the set keeps them, to explain matches.
pub(super) fn load(
    path: &Path,
    dialect: Dialect,
    keep_filters: bool,
    terminal: &Terminal,
) -> anyhow::Result<Rules> {
    let name = input::name(path);
    let lines = Lines { path, what: "rules", max_line: usize::MAX, chunk: CHUNK };
    let mut join = Join::new(keep_filters);
    let mut diagnosed = Vec::new();
    let worker = || {
        let name = name.clone();
        move |chunk: Chunk| {
            let text = chunk.into_text(&name)?;
            let part = Part::read(text.as_str(), 0, dialect);
            Ok::<_, anyhow::Error>((text, part))
        }
    };
    parallel::run(lines, worker, |event| {
        if let Event::Result(read) = event {
            let (text, part) = read?;
            let found = join.add(part, text.as_str());
            if !found.is_empty() {
                diagnosed.push((text, found));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    print(&name, &diagnosed, terminal)?;
    let rules = Rules { set: join.set.build(), ids: join.ids.ids };
    if rules.set.is_empty() {
        eprint_line(format_args!("{}: no rules in {name}", terminal.stderr_paint.caution("warning")));
    }
    Ok(rules)
}

/// Prints the errors, or if there are none, the warnings.
fn print(name: &str, diagnosed: &[(Text, Vec<Diagnostic>)], terminal: &Terminal) -> anyhow::Result<()> {
    let errors = diagnosed.iter().flat_map(|(_, found)| found).filter(|found| is_error(found)).count();
    for (text, found) in diagnosed {
        let found = found.iter().filter(|found| errors == 0 || is_error(found));
        Diagnostics::new(text, terminal).print_all(found);
    }
    print_rest(terminal);
    if errors == 0 {
        return Ok(());
    }
    eprint_line(format_args!("{name}: {}, so nothing is routed", humanize::count(errors, "error")));
    Err(AlreadyReported.into())
}

fn is_error(diagnostic: &Diagnostic) -> bool {
    diagnostic.severity() == Severity::Error
}

/// All diagnostics of a file of rules.
pub(in crate::commands) struct Checked {
    pub(in crate::commands) rules: usize,
    pub(in crate::commands) errors: Vec<Diagnostic>,
    pub(in crate::commands) warnings: Vec<Diagnostic>,
}

/// Checks a file of rules: each line, the ids, and rules beside each other.
pub(in crate::commands) fn check(text: &Text, dialect: Dialect) -> Checked {
    let parts = read_parts(text.as_str(), dialect);
    let compared = rule_lint::compare(&beside_each_other(text.as_str(), &parts), dialect);
    let all = parts.iter().map(|part| part.rules.len()).sum();
    let mut join = Join::new(false);
    let found = parts.into_iter().flat_map(|part| join.add(part, text.as_str()));
    let (errors, mut warnings): (Vec<_>, Vec<_>) = found.partition(is_error);
    if compared.compared < all {
        let (all, compared) = (humanize::count(all, "rule"), compared.compared);
        let message = format!(
            "of {all}, the first {compared} were compared with the others: many match the same events"
        );
        warnings.push(Diagnostic::warning(message).with_code(Code::More));
    }
    warnings.extend(compared.warnings);
    // Stable: what is said about the whole file comes first.
    warnings.sort_by_key(|warning| warning.span().map(|span| span.start));
    Checked { rules: all, errors, warnings }
}

/// Whether a text is a file of rules, judged by its first line: an object with an id and a filter.
pub(in crate::commands) fn are_rules(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    Members::read(first).is_some()
}

fn beside_each_other(text: &str, parts: &[Part]) -> Vec<rule_lint::Rule> {
    let mut lines_before = 0;
    let mut rules = Vec::new();
    for part in parts {
        rules.extend(part.rules.iter().map(|rule| rule_lint::Rule {
            id: text[rule.id.clone()].to_owned(),
            span: Span { start: rule.id.start, end: rule.id.end },
            line: lines_before + rule.line,
            filter: rule.filter.clone(),
        }));
        lines_before += part.lines;
    }
    rules
}

/// Reads the file in parallel, one part per core.
fn read_parts(text: &str, dialect: Dialect) -> Vec<Part> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let size = text.len().div_ceil(cores).max(64 * 1024);
    thread::scope(|scope| {
        let mut parts = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let end = text.as_bytes().get(start + size..).and_then(|rest| memchr::memchr(b'\n', rest));
            let end = end.map_or(text.len(), |end| start + size + end + 1);
            parts.push(scope.spawn(move || Part::read(&text[start..end], start, dialect)));
            start = end;
        }
        let joined = parts.into_iter().map(|part| part.join());
        joined.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The rules of a part of the file. Its spans count from the beginning of the text that it is a part of.
#[derive(Debug, Default)]
struct Part {
    rules: Vec<Rule>,
    diagnosed: Vec<Diagnostic>,
    lines: u32,
}

#[derive(Debug)]
struct Rule {
    /// Where the id stands in the text.
    id: Range<usize>,
    value: IdValue,
    filter: Filter,
    /// The line number within the part, from 1.
    line: u32,
}

/// A rule with exactly its two members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'l> {
    #[serde(borrow)]
    id: &'l RawValue,
    #[serde(borrow)]
    filter: &'l RawValue,
}

impl<'l> Members<'l> {
    fn read(line: &'l str) -> Option<Self> {
        // serde would also accept an array of two elements.
        line.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()
    }
}

impl Part {
    /// Reads lines that begin at an offset of a text.
    fn read(lines: &str, mut start: usize, dialect: Dialect) -> Self {
        let options = FilterOptions::new().dialect(dialect);
        let mut part = Self::default();
        for line in lines.split_inclusive('\n') {
            part.lines += 1;
            if !line.trim_ascii().is_empty() && !part.read_valid_line(line, start, &options) {
                part.diagnose_line(line.trim_end_matches(['\n', '\r']), start, &options);
            }
            start += line.len();
        }
        part
    }

    /// Reads a line that yields no diagnostic; returns false for any other line. Without diagnostics, no spans are needed and
    /// no tree of nodes is built: loading a million rules takes a third less processor time.
    fn read_valid_line(&mut self, line: &str, start: usize, options: &FilterOptions) -> bool {
        let Some(Members { id, filter }) = Members::read(line) else { return false };
        let Ok(filter) = options.parse(filter.get()) else { return false };
        let id = id.get();
        let Some(value) = IdValue::read(id).filter(|_| filter.warnings().is_empty()) else { return false };
        let id_start = start + (id.as_ptr().addr() - line.as_ptr().addr());
        self.rules.push(Rule { id: id_start..id_start + id.len(), value, filter, line: self.lines });
        true
    }

    fn diagnose_line(&mut self, line: &str, start: usize, options: &FilterOptions) {
        // The filter has limits of its own; the line adds one level of nesting and the id.
        let limits = Limits::new().with_depth(Limits::new().depth() + 1).with_text_bytes(usize::MAX);
        let node = match json::parse(line, &limits) {
            Ok(node) => node,
            Err(error) => return self.diagnosed.push(not_json(&error, start)),
        };
        let mut errors = Vec::new();
        let (id, filter) = members(&node, &mut errors);
        let filter = filter.map(|filter| options.compile_at(filter, "/filter"));
        match filter {
            Some(Err(error)) => errors.extend_from_slice(error.diagnostics()),
            Some(Ok(filter)) if errors.is_empty() => {
                self.diagnosed.extend(filter.warnings().iter().map(|warning| shifted(warning, start)));
                if let Some((span, value)) = id {
                    let id = start + span.start..start + span.end;
                    self.rules.push(Rule { id, value, filter, line: self.lines });
                }
            }
            Some(Ok(_)) | None => {}
        }
        self.diagnosed.extend(errors.iter().map(|diagnostic| shifted(diagnostic, start)));
    }
}

/// The two members of a rule; adds an error for each missing, unknown or duplicate member.
fn members<'n>(node: &'n Node, errors: &mut Vec<Diagnostic>) -> (Option<(Span, IdValue)>, Option<&'n Node>) {
    let error = |message: String, span| Diagnostic::error(message).with_span(span);
    let Kind::Object(members) = &node.kind else {
        let help = match &node.kind {
            // All rules in one array.
            Kind::Array(rules) if rules.iter().any(|rule| rule.get("filter").is_some()) => LINES,
            _ => SHAPE,
        };
        let message = format!("{}, expected a rule", node.type_name());
        errors.push(error(message, node.span).with_help(help));
        return (None, None);
    };
    let (mut id, mut filter) = (None, None);
    for member in members {
        let known = match &*member.key {
            "id" => &mut id,
            "filter" => &mut filter,
            other => {
                let message = format!("unknown member \"{other}\"");
                errors.push(error(message, member.key_span).with_help(SHAPE));
                continue;
            }
        };
        if known.replace(&member.value).is_some() {
            errors.push(error(format!("\"{}\" is given twice", member.key), member.key_span));
        }
    }
    for (name, missing) in [("id", id.is_none()), ("filter", filter.is_none())] {
        if missing {
            errors.push(error(format!("a rule without \"{name}\""), node.span).with_help(SHAPE));
        }
    }
    let id = id.and_then(|id| {
        let value = id.span.zip(IdValue::of(id));
        if value.is_none() {
            let message = format!("the id is {}, expected a string or a number", id.type_name());
            errors.push(error(message, id.span).with_pointer("/id"));
        }
        value
    });
    (id, filter)
}

/// Joins parts in their order, and finds duplicate ids across them.
struct Join {
    set: FilterSetBuilder<u32>,
    ids: IdTable,
    /// The lines of the rules in the set, by their numbers.
    lines: Vec<u32>,
    /// The number of lines in the parts so far.
    lines_before: u32,
}

impl Join {
    fn new(keep_filters: bool) -> Self {
        let set = FilterSet::builder();
        Self {
            set: if keep_filters { set.keep_filters() } else { set },
            ids: IdTable::default(),
            lines: Vec::new(),
            lines_before: 0,
        }
    }

    /// Adds a part of a text. Returns its diagnostics in the order of the text.
    fn add(&mut self, part: Part, text: &str) -> Vec<Diagnostic> {
        let mut diagnosed = part.diagnosed;
        for rule in part.rules {
            let line = self.lines_before + rule.line;
            let id = &text[rule.id.clone()];
            match self.ids.add(id, &rule.value) {
                Ok(number) => {
                    self.lines.push(line);
                    self.set.extend([(number, rule.filter)]);
                }
                Err(first) => {
                    let first = self.lines[first as usize];
                    let message = format!("the id {id} is given twice, on line {first} and on line {line}");
                    let span = Span { start: rule.id.start, end: rule.id.end };
                    let twice = Diagnostic::error(message).with_pointer("/id").with_span(Some(span));
                    diagnosed.push(twice.with_help("give each rule an id of its own"));
                }
            }
        }
        self.lines_before += part.lines;
        diagnosed.sort_by_key(|diagnostic| diagnostic.span().map(|span| span.start));
        diagnosed
    }
}

impl Rules {
    /// Memory, kinds of indexes, and the rules that are checked against every event.
    pub(super) fn stats(&self) -> String {
        let mut text = self.set.stats().to_string();
        list(&mut text, self.set.unindexed(), |number| self.shown_id(*number));
        text
    }

    /// The id of that number for people.
    pub(super) fn shown_id(&self, number: u32) -> String {
        sanitize::line(self.ids.text(number)).into_owned()
    }
}

/// A line that is not JSON.
fn not_json(error: &filter::JsonError, start: usize) -> Diagnostic {
    let diagnostic = shifted(error.diagnostic(), start);
    // A help text that names a line counts from the start of this line, which would mislead.
    match diagnostic.help() {
        Some(hint) if !hint.contains("line ") => diagnostic,
        _ => diagnostic.with_help(SHAPE),
    }
}

/// The diagnostic of a line, its span moved to the position of the line in the text.
fn shifted(diagnostic: &Diagnostic, start: usize) -> Diagnostic {
    let span = diagnostic.span().map(|span| Span { start: start + span.start, end: start + span.end });
    diagnostic.clone().with_span(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_readers_accept_filters_up_to_the_depth_limit() {
        let options = FilterOptions::new();
        let most = Limits::new().depth();
        for (depth, taken) in [(most, true), (most + 1, false)] {
            let nested = format!("{}[\"x\"]{}", "{\"a\":".repeat(depth - 1), "}".repeat(depth - 1));
            let line = format!("{{\"id\":1,\"filter\":{nested}}}");
            let mut part = Part::default();
            assert_eq!(part.read_valid_line(&line, 0, &options), taken, "{depth}");
            let mut part = Part::default();
            part.diagnose_line(&line, 0, &options);
            assert_eq!((part.rules.len() == 1, part.diagnosed.is_empty()), (taken, taken), "{depth}");
        }
    }
}
