//! Diagnostics of filters and specs in the layout of rustc.
//!
//! ```text
//! error: unknown operator "$startWith"
//!  --> export.json:4:25
//!   |
//! 4 |   "body": {"status": {"$startWith": "SUCC"}}
//!   |                       ^^^^^^^^^^^^
//!   |
//!   = note: at /responseFilter/body/status
//!   = help: did you mean "$startsWith"?
//! ```
//!
//! annotate-snippets draws; this module computes line and column and cuts the source. Generated JSON often has
//! megabytes on one line, so only an excerpt around the error is passed on. The renderer's own truncation would not
//! do: it reads the whole line, and the cost of many errors in one long line would be quadratic.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use filter::{Diagnostic, Severity, Span};

use super::listing::Listed;
use super::problems::{Place, Problem, Range as TextRange};
use super::sanitize;
use super::terminal::{Paint, Terminal, eprint_line, stderr_width};
use crate::input::Text;

/// The longest excerpt of a line, in characters; a longer line is cut around the error. Less on a narrow terminal.
const WIDTH: usize = 100;
/// The columns of the line number and the bar before the source.
const GUTTER: usize = 8;
/// The longest message, in characters; a filter may quote a megabyte.
const MESSAGE: usize = 500;

/// Renders the diagnostics of one text.
pub(crate) struct Diagnostics<'a> {
    text: &'a Text,
    terminal: &'a Terminal,
    paint: Paint,
    renderer: Renderer,
    cursor: Cursor,
    /// The longest excerpt, in characters.
    width: usize,
}

impl<'a> Diagnostics<'a> {
    pub(crate) fn new(text: &'a Text, terminal: &'a Terminal) -> Self {
        let paint = terminal.stderr_paint;
        let renderer = if paint.0 { Renderer::styled() } else { Renderer::plain() };
        Self {
            text,
            terminal,
            paint,
            width: stderr_width().map_or(WIDTH, |columns| columns.saturating_sub(GUTTER).clamp(20, WIDTH)),
            // The excerpts are short already; the renderer must not cut them again.
            renderer: renderer.decor_style(DecorStyle::Ascii).term_width(2 * WIDTH),
            cursor: Cursor::start(text.first_line()),
        }
    }

    /// Prints diagnostics to standard error, as [`print`](Self::print) does.
    pub(crate) fn print_all<'d>(&mut self, diagnostics: impl IntoIterator<Item = &'d Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.print(diagnostic));
    }

    /// Prints one diagnostic to standard error, unless the command has [listed](super::listing) enough of them.
    pub(crate) fn print(&mut self, diagnostic: &Diagnostic) {
        if !self.terminal.listing.lists(diagnostic.severity().into(), diagnostic.count()) {
            return;
        }
        eprint_line(self.render(diagnostic));
        let terminal = self.terminal;
        terminal.problems.record(|| self.problem(diagnostic));
    }

    /// The diagnostic as data.
    fn problem(&mut self, diagnostic: &Diagnostic) -> Problem {
        let range = diagnostic.span().map(|span| {
            let (line, column) = self.place_of(span.start);
            let (end_line, end_column) = self.place_of(span.end.max(span.start));
            TextRange { line, column, end_line, end_column }
        });
        Problem {
            severity: Listed::from(diagnostic.severity()).noun(),
            code: Some(diagnostic.code().name()),
            message: diagnostic.message().to_owned(),
            help: diagnostic.help().map(str::to_owned),
            pointer: diagnostic.pointer().to_owned(),
            place: Some(Place { file: self.text.name().to_owned(), range }),
        }
    }

    /// The report of one diagnostic, followed by an empty line as in rustc's output.
    fn render(&mut self, diagnostic: &Diagnostic) -> String {
        let level = if diagnostic.severity() == Severity::Error { Level::ERROR } else { Level::WARNING };
        let title = sanitize::excerpt(diagnostic.message(), MESSAGE);
        let name = sanitize::line(self.text.name());
        let mut group = Group::with_title(level.primary_title(title));
        let mut place = None;
        if let Some(span) = diagnostic.span() {
            let (source, span) = self.excerpt(span);
            let Cursor { line, column, .. } = self.cursor;
            place = Some((line, column));
            let snippet = Snippet::source(source).line_start(line);
            group = group.element(snippet.annotation(AnnotationKind::Primary.span(span)));
        }
        if !diagnostic.pointer().is_empty() {
            let pointer = sanitize::excerpt(diagnostic.pointer(), MESSAGE);
            group = group.element(Level::NOTE.message(format!("at {pointer}")));
        }
        if let Some(hint) = diagnostic.help() {
            group = group.element(Level::HELP.message(sanitize::excerpt(hint, MESSAGE)));
        }
        let report = self.renderer.render(&[group]);
        // It replaces escape sequences and bidirectional overrides, and leaves C1 and line separators.
        let report = sanitize::rendered(&report);
        // The renderer would count the column within the excerpt. Therefore the line with the location is inserted here,
        // between the title, which is one line, and the source.
        let (gutter, place) = match place {
            Some((line, column)) => (line.to_string().len(), format!(":{line}:{column}")),
            None => (1, String::new()),
        };
        let arrow = self.paint.structure(format!("{:gutter$}--> ", ""));
        match report.split_once('\n') {
            Some((title, rest)) => format!("{title}\n{arrow}{name}{place}\n{rest}\n"),
            None => format!("{report}\n{arrow}{name}\n"),
        }
    }

    /// The line and column of a byte offset, from 1.
    pub(crate) fn place_of(&mut self, offset: usize) -> (usize, usize) {
        let text = self.text.as_str();
        self.cursor.move_to(text, text.floor_char_boundary(offset));
        (self.cursor.line, self.cursor.column)
    }

    /// An excerpt of the first line of `span`, and the span in it. Moves the cursor to the span.
    fn excerpt(&mut self, span: Span) -> (String, Range<usize>) {
        let text = self.text.as_str();
        // A span from another text gives a wrong excerpt, but no panic.
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        self.cursor.move_to(text, start);
        let line_start = self.cursor.line_start;
        // Nothing here reads beyond the excerpt: a line of a megabyte may have an error in every tenth byte.
        let (_, is_long) = first_line(&text[line_start..], self.width);
        let before = text[line_start..start]
            .char_indices()
            .rev()
            .nth(self.width * 2 / 5 - 1)
            .map(|(at, _)| line_start + at);
        let from = match before {
            // A line that fits is shown whole.
            Some(at) if is_long => at,
            _ => line_start,
        };
        let (shown, is_cut) = first_line(&text[from..], self.width);
        let to = from + shown.len();
        let head = if from > line_start { "…" } else { "" };
        let tail = if is_cut { "…" } else { "" };
        let shift = |at: usize| at.clamp(from, to) - from + head.len();
        (format!("{head}{shown}{tail}"), shift(start)..shift(end))
    }
}

/// The first line of `text`, at most `width` characters of it, and whether it was cut.
fn first_line(text: &str, width: usize) -> (&str, bool) {
    for (count, (at, c)) in text.char_indices().enumerate() {
        if c == '\n' {
            return (text[..at].trim_end_matches('\r'), false);
        }
        if count == width {
            return (&text[..at], true);
        }
    }
    (text, false)
}

/// Computes line and column, continuing from the previous position: diagnostics mostly come in the order of the
/// text, so all of them together cost one pass over it.
struct Cursor {
    offset: usize,
    line_start: usize,
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// The number of the first line of the text.
    first_line: usize,
}

impl Cursor {
    const fn start(first_line: usize) -> Self {
        Self { offset: 0, line_start: 0, line: first_line, column: 1, first_line }
    }

    fn move_to(&mut self, text: &str, offset: usize) {
        if offset < self.offset {
            *self = Self::start(self.first_line);
        }
        for (at, c) in text[self.offset..offset].char_indices() {
            if c == '\n' {
                self.line += 1;
                self.line_start = self.offset + at + 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.offset = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, span: Range<usize>) -> String {
        let text = Text::new("a.json", text.to_owned());
        let diagnostic = Diagnostic::error("no good")
            .with_pointer("/a")
            .with_span(Some(Span { start: span.start, end: span.end }))
            .with_help("make it good");
        Diagnostics::new(&text, &Terminal::default()).render(&diagnostic)
    }

    #[test]
    fn an_error_is_underlined_in_its_line() {
        assert_eq!(
            render("{\n  \"ä\": nope\n}\n", 10..14),
            "error: no good\n --> a.json:2:8\n  |\n2 |   \"ä\": nope\n  |        ^^^^\n  |\n  = note: at /a\n  = help: make it good\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_error() {
        let text = format!("{}HERE{}", "é".repeat(500_000), "ü".repeat(500_000));
        let shown = render(&text, 1_000_000..1_000_004);
        assert!(shown.contains("a.json:1:500001"), "{shown}");
        assert!(shown.contains("…éé") && shown.contains("éHEREü") && shown.contains("üü…"), "{shown}");
        assert!(shown.chars().count() < 600, "{shown}");
        let carets = shown.lines().find(|line| line.contains("^^^^")).unwrap();
        let source = shown.lines().find(|line| line.contains("HERE")).unwrap();
        assert_eq!(carets.chars().position(|c| c == '^'), source.chars().position(|c| c == 'H'), "{shown}");
    }

    #[test]
    fn invalid_spans_do_not_panic() {
        for (start, end) in [(0, 0), (3, 3), (2, 3), (0, 999), (500, 999), (5, 1)] {
            let span = start..end;
            render("a\u{e9}b\nc", span.clone());
            render("", span);
        }
        render("a\r\nb", 1..3);
    }

    #[test]
    fn source_text_is_sanitized() {
        let shown = render("\"\x1b[2J\u{202e}\" x", 10..11);
        assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'), "{shown:?}");
        let shown = render("\"\u{9b}2J\u{2028}\u{feff}\" x", 12..13);
        assert!(!shown.contains(['\u{9b}', '\u{2028}', '\u{feff}']), "{shown:?}");
    }
}
