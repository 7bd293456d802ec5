//! Templates in specs: `{{NAME}}` in any string of a spec stands for the variable NAME.
//!
//! ```text
//! --variable, --variables-file ─► Variables ─► fill(node) ─► a spec without templates, decoded as any other
//! ```
//!
//! Variables are filled into the parsed tree and not into the text, so a value can neither end a string nor add a member.
//! A string that is nothing but a reference takes the type of the variable: `"timeout": "{{TIMEOUT}}"` with a number from the file
//! is a number. A value is not searched for references again. An unknown name is an error before any request, with
//! its place; `\{{` is a literal `{{`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use filter::json::{self, Kind, Member, Node};
use filter::{Diagnostic, Span};

use super::{AlreadyReported, print_error, print_warning};
use crate::args::{VariablesArgs, is_name, is_of_name};
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::terminal::Terminal;

/// The longest list of known names in an error.
const NAMED: usize = 10;

/// The variables of a command.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, Kind>,
    /// The names given by --variable that no spec has used yet.
    unused: RefCell<BTreeSet<String>>,
}

impl Variables {
    /// Reads the variables of the arguments; --variable wins over the file. Prints what is wrong with them.
    pub(super) fn read(args: &VariablesArgs, terminal: &Terminal) -> anyhow::Result<Self> {
        let mut values = BTreeMap::new();
        if let Some(path) = &args.variables_file {
            let text = Text::read(path)?;
            let is_json = text.as_str().trim_start().starts_with('{');
            let read = if is_json { from_json(&text) } else { from_lines(&text) };
            values = read.map_err(|diagnostic| {
                // Values may be secret, and the place is enough. Each byte of a letter becomes a star, so that places stay.
                let hide = |c: char| if c.is_whitespace() { c.to_string() } else { "*".repeat(c.len_utf8()) };
                let shown = text.with_text(text.as_str().chars().map(hide).collect());
                Diagnostics::new(&shown, terminal).print(&diagnostic);
                AlreadyReported
            })?;
        }
        let mut unused = BTreeSet::new();
        let mut twice = false;
        for (name, value) in &args.variables {
            if !unused.insert(name.clone()) {
                twice = true;
                print_error(terminal, format_args!("--variable {name} is given twice"));
            }
            values.insert(name.clone(), Kind::String(value.clone()));
        }
        if twice { Err(AlreadyReported.into()) } else { Ok(Self { values, unused: RefCell::new(unused) }) }
    }

    /// Warns of variables that no spec has used: their names may be misspelt.
    pub(super) fn warn_of_unused(&self, terminal: &Terminal) {
        for name in self.unused.borrow().iter() {
            print_warning(terminal, format_args!("--variable {name}: no spec has {{{{{name}}}}}"));
        }
    }

    /// Replaces the references in all strings of the value, except keys. Linear in the size of the value and of what is filled in.
    pub(super) fn fill(&self, node: &Node, text: &Text) -> Result<Node, Vec<Diagnostic>> {
        let mut filled = node.clone();
        let mut problems = Vec::new();
        self.fill_node(&mut filled, "", text, &mut problems);
        if problems.is_empty() { Ok(filled) } else { Err(problems) }
    }

    // The parser bounds the depth.
    fn fill_node(&self, node: &mut Node, pointer: &str, text: &Text, problems: &mut Vec<Diagnostic>) {
        match &mut node.kind {
            Kind::Array(elements) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    self.fill_node(element, &format!("{pointer}/{index}"), text, problems);
                }
            }
            Kind::Object(members) => {
                for member in members {
                    let key = member.key.replace('~', "~0").replace('/', "~1");
                    self.fill_node(&mut member.value, &format!("{pointer}/{key}"), text, problems);
                }
            }
            Kind::String(string) => {
                let span = node.span;
                let mut report = |part: &str, message: String, help: String| {
                    let place = span.map(|span| place_in(text.as_str(), span, part));
                    let problem = Diagnostic::error(message).with_pointer(pointer).with_span(place);
                    problems.push(problem.with_help(help));
                };
                if let Some(kind) = self.filled(string, &mut report) {
                    node.kind = kind;
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => {}
        }
    }

    /// The string with its references replaced; `None` if it has neither references nor escapes. `report` gets the part, the
    /// message and the help of each error.
    fn filled(&self, string: &str, report: &mut impl FnMut(&str, String, String)) -> Option<Kind> {
        if !string.contains("{{") {
            return None;
        }
        let mut filled = String::with_capacity(string.len());
        let mut rest = string;
        while let Some(start) = rest.find("{{") {
            let (before, opening) = rest.split_at(start);
            let before_escape = before.strip_suffix('\\');
            filled.push_str(before_escape.unwrap_or(before));
            let Some((part, name)) = reference(opening).filter(|_| before_escape.is_none()) else {
                // Braces around anything but a name are text: a body may be a template of another language.
                filled.push_str("{{");
                rest = &opening[2..];
                continue;
            };
            self.unused.borrow_mut().remove(name);
            rest = &opening[part.len()..];
            match self.values.get(name) {
                None => report(part, format!("no variable is called {name:?}"), self.known()),
                Some(kind) if part.len() == string.len() => return Some(kind.clone()),
                Some(Kind::String(value)) => filled.push_str(value),
                Some(Kind::Number(value)) => filled.push_str(&value.to_string()),
                Some(Kind::Bool(value)) => filled.push_str(&value.to_string()),
                Some(kind) => {
                    let what = Node { span: None, kind: kind.clone() };
                    let message = format!("the variable {name:?} is {}, expected text", what.type_name());
                    let help = "only a reference that is the whole string can stand for it";
                    report(part, message, help.to_owned());
                }
            }
        }
        filled.push_str(rest);
        Some(Kind::String(filled))
    }

    fn known(&self) -> String {
        let ways = "give it by --variable NAME=VALUE or --variables-file; for literal braces write \\\\{{";
        if self.values.is_empty() {
            return ways.to_owned();
        }
        let mut names: Vec<_> = self.values.keys().take(NAMED).map(String::as_str).collect();
        if names.len() < self.values.len() {
            names.push("…");
        }
        format!("known are {}; {ways}", names.join(", "))
    }
}

/// Whether a text may have a reference in it.
pub(super) fn may_have_variables(text: &str) -> bool {
    // `\u007b` is a brace too.
    text.contains("{{") || text.contains("\\u")
}

/// The reference at the start of a text that starts with `{{`, and its name.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("{{")?;
    let trimmed = inner.trim_start_matches(' ');
    let length = trimmed.find(|c| !is_of_name(c)).filter(|length| *length > 0)?;
    let (name, after) = trimmed.split_at(length);
    let after = after.trim_start_matches(' ').strip_prefix("}}")?;
    Some((&text[..text.len() - after.len()], name))
}

/// The place of `part` in the string at `span`; the whole string if its source has escapes there.
fn place_in(text: &str, span: Span, part: &str) -> Span {
    let found = text.get(span.start..span.end).and_then(|source| source.find(part));
    found.map_or(span, |at| Span { start: span.start + at, end: span.start + at + part.len() })
}

/// Variables of any JSON type.
fn from_json(text: &Text) -> Result<BTreeMap<String, Kind>, Diagnostic> {
    let node = json::parse(text.as_str(), &filter::Limits::default())
        .map_err(|error| Diagnostic::error("not a JSON object").with_span(error.diagnostic().span()))?;
    let Kind::Object(members) = node.kind else { return Err(Diagnostic::error("expected an object")) };
    let mut values = BTreeMap::new();
    for Member { key, key_span, value } in members {
        insert(&mut values, &key, value.kind, key_span)?;
    }
    Ok(values)
}

/// Adds a variable, which must have a name of its own.
fn insert(
    values: &mut BTreeMap<String, Kind>,
    name: &str,
    value: Kind,
    span: Option<Span>,
) -> Result<(), Diagnostic> {
    let wrong = if !is_name(name) {
        "expected a name of letters, digits, `_`, `-` and `.`"
    } else if values.insert(name.to_owned(), value).is_some() {
        "a variable is given twice"
    } else {
        return Ok(());
    };
    Err(Diagnostic::error(wrong).with_span(span))
}

/// Lines `NAME=VALUE`; blank lines and lines that start with `#` are skipped. A value is everything behind the `=`.
fn from_lines(text: &Text) -> Result<BTreeMap<String, Kind>, Diagnostic> {
    let mut values = BTreeMap::new();
    let mut start = 0;
    for line in text.as_str().split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        let span = Some(Span { start, end: start + content.len() });
        start += line.len();
        if content.trim().is_empty() || content.trim_start().starts_with('#') {
            continue;
        }
        let (name, value) = content.split_once('=').ok_or_else(|| {
            let wrong = Diagnostic::error("expected NAME=VALUE").with_span(span);
            wrong.with_help("or a JSON object of variables, which starts with `{`")
        })?;
        insert(&mut values, name.trim(), Kind::String(value.to_owned()), span)?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let text = Text::new(
            "v.json",
            r#"{"ID": "42", "TIMEOUT": 600, "BIG": 1e3, "ON": true, "LIST": [1], "SELF": "{{ID}}"}"#.into(),
        );
        Variables { values: from_json(&text).unwrap(), unused: RefCell::default() }
    }

    fn fill(source: &str) -> Result<String, Vec<Diagnostic>> {
        let text = Text::new("a.json", source.to_owned());
        let node = json::parse(source, &filter::Limits::default()).unwrap();
        variables().fill(&node, &text).map(|node| node.to_value().to_string())
    }

    #[test]
    fn references_in_strings_are_replaced() {
        for (source, filled) in [
            (r#""a {{ID}} b {{ ID }}""#, r#""a 42 b 42""#),
            (r#""{{TIMEOUT}}""#, "600"),
            (r#""{{ON}}""#, "true"),
            (r#""{{LIST}}""#, "[1]"),
            (r#""{{TIMEOUT}}s {{ON}}""#, r#""600s true""#),
            (r#"{"{{ID}}":["{{ID}}",1,null]}"#, r#"{"{{ID}}":["42",1,null]}"#),
            // A value is not searched again.
            (r#""{{SELF}}{{SELF}}""#, r#""{{ID}}{{ID}}""#),
            // Escapes, and braces that are no references.
            (r#""\\{{ID}}""#, r#""{{ID}}""#),
            (r#""{{}} {{ a b }} {{ID} {{{ID}}} {{""#, r#""{{}} {{ a b }} {{ID} {{{ID}}} {{""#),
            (r#""{{ ID""#, r#""{{ ID""#),
            (r#""plain""#, r#""plain""#),
        ] {
            assert_eq!(fill(source).unwrap(), filled, "{source}");
        }
    }

    #[test]
    fn unknown_names_are_errors_with_their_place() {
        let source = r#"{"url":"http://a/{{ID}}/{{NO}}","b":["{{ALSO}}","\u0041{{LIST}}"]}"#;
        let problems = fill(source).unwrap_err();
        let shown: Vec<_> = problems
            .iter()
            .map(|problem| {
                let span = problem.span().unwrap();
                (problem.pointer(), &source[span.start..span.end])
            })
            .collect();
        assert_eq!(shown, [("/url", "{{NO}}"), ("/b/0", "{{ALSO}}"), ("/b/1", "{{LIST}}")]);
        assert!(problems[0].help().unwrap().contains("known are BIG, ID, LIST"), "{problems:?}");
        assert!(problems[2].message().contains("array"), "{problems:?}");
    }

    #[test]
    fn files_of_lines() {
        let read = |text: &str| from_lines(&Text::new("v", text.to_owned()));
        let values = read("# comment\n\nA=1\n B = x=y \r\nC=").unwrap();
        let text = |value: &str| Some(Kind::String(value.to_owned()));
        assert_eq!(values.get("A").cloned(), text("1"));
        assert_eq!(values.get("B").cloned(), text(" x=y "));
        assert_eq!(values.get("C").cloned(), text(""));
        for wrong in ["A", "A B=1", "=1", "A=1\nA=2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read("A=1\nB\n").unwrap_err().span(), Some(Span { start: 4, end: 5 }));
    }

    #[test]
    fn many_openings_cost_linear_time() {
        let source = format!("\"{}\"", "{{".repeat(200_000));
        assert!(fill(&source).is_ok());
        let source = format!("\"{}\"", "{{ ".repeat(200_000));
        assert!(fill(&source).is_ok());
    }
}
