//! Diagnostics of every bad filter in the corpus. Read the snapshots aloud when they change.

use std::fmt::Write as _;

use filter::{Diagnostic, Dialect, FilterOptions};

fn options_for(file: &str) -> FilterOptions {
    let named = Dialect::ALL.into_iter().find(|dialect| file.starts_with(dialect.name()));
    FilterOptions::new().dialect(named.unwrap_or_default())
}

/// Formats a diagnostic as a command-line tool would: the line, a caret under the place, the message, the help.
fn show(text: &str, diagnostic: &Diagnostic) -> String {
    let mut out = format!("{}: {}\n", diagnostic.severity(), diagnostic.message());
    if !diagnostic.pointer().is_empty() {
        writeln!(out, "  at {}", diagnostic.pointer()).unwrap();
    }
    if let Some(span) = diagnostic.span() {
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[span.start..].find('\n').map_or(text.len(), |at| span.start + at);
        let before = text[start..span.start].chars().count();
        let width = text[span.start..span.end.min(end)].chars().count().max(1);
        writeln!(out, "  | {}", &text[start..end].replace('\t', "→")).unwrap();
        writeln!(out, "  | {}{}", " ".repeat(before), "^".repeat(width)).unwrap();
    }
    if let Some(help) = diagnostic.help() {
        writeln!(out, "  help: {help}").unwrap();
    }
    out
}

#[test]
fn bad_filters() {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::glob!("../../../testdata/filters/bad", "*.json", |path| {
            let file = path.file_name().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(path).unwrap();
            let Err(error) = options_for(file).parse(&text) else { panic!("{file} compiles") };
            let shown: Vec<String> = error.diagnostics().iter().map(|one| show(&text, one)).collect();
            insta::assert_snapshot!(shown.join("\n"));
        });
    });
}

#[test]
fn suspicious_filters() {
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::glob!("../../../testdata/filters/suspicious", "*.json", |path| {
            let file = path.file_name().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(path).unwrap();
            let filter = options_for(file).parse(&text).unwrap();
            assert!(!filter.warnings().is_empty(), "{file} has no warnings");
            let shown: Vec<String> = filter
                .warnings()
                .iter()
                .map(|one| format!("{}\n{}", one.code(), show(&text, one)))
                .collect();
            insta::assert_snapshot!(shown.join("\n"));
        });
    });
}
