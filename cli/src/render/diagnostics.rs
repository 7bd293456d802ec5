//! Diagnostics of filters and specs, in the form that rustc made familiar.
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
//! Drawing is annotate-snippets' work. Here the place is found and the source cut to what fits: generated JSON has
//! everything on one line, and a megabyte of it under an error would help nobody. Only the piece around the mistake
//! is handed over, with its true line and column, so the cost does not grow with the line either.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use filter::{Diagnostic, Severity};

use super::clean;
use super::terminal::Paint;
use crate::input::Text;

/// The longest piece of a line that is shown, in characters; a longer line is cut around the mistake.
const WIDTH: usize = 100;
/// How much of a cut line stands before the mistake.
const BEFORE: usize = 40;
/// The longest message; a filter may quote a megabyte.
const MESSAGE: usize = 500;

/// Renders diagnostics that point into one text.
pub(crate) struct Diagnostics<'a> {
    text: &'a Text,
    paint: Paint,
    renderer: Renderer,
    cursor: Cursor,
}

impl<'a> Diagnostics<'a> {
    pub(crate) fn new(text: &'a Text, paint: Paint) -> Self {
        let renderer = if paint.0 { Renderer::styled() } else { Renderer::plain() };
        Self {
            text,
            paint,
            // The pieces are short already; the renderer must not cut them a second time.
            renderer: renderer.decor_style(DecorStyle::Ascii).term_width(2 * WIDTH),
            cursor: Cursor::start(),
        }
    }

    /// The whole report of one diagnostic and, as rustc does it, an empty line that sets it off from the next.
    pub(crate) fn render(&mut self, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity() {
            Severity::Error => Level::ERROR,
            _ => Level::WARNING,
        };
        let title = clean::excerpt(diagnostic.message(), MESSAGE);
        let name = clean::line(self.text.name());
        let mut group = Group::with_title(level.primary_title(title));
        let mut place = None;
        if let Some(span) = diagnostic.location() {
            let piece = self.piece(span.start..span.end);
            place = Some((piece.line, piece.column));
            group = group.element(
                Snippet::source(piece.source)
                    .line_start(piece.line)
                    .annotation(AnnotationKind::Primary.span(piece.span)),
            );
        }
        if !diagnostic.pointer().is_empty() {
            group = group.element(
                Level::NOTE.message(format!("at {}", clean::excerpt(diagnostic.pointer(), MESSAGE))),
            );
        }
        if let Some(hint) = diagnostic.hint() {
            group = group.element(Level::HELP.message(clean::excerpt(hint, MESSAGE)));
        }
        let report = self.renderer.render(&[group]);
        // The renderer would count the column in the piece it was given; so the line that names the place is set here,
        // between the title, which is one line, and the source.
        match (place, report.split_once('\n')) {
            (Some((line, column)), Some((title, source))) => {
                let gutter = line.to_string().len();
                let arrow = self.paint.structure(format!("{:gutter$}--> ", ""));
                format!("{title}\n{arrow}{name}:{line}:{column}\n{source}\n")
            }
            (None, Some((title, rest))) => {
                format!("{title}\n{}{name}\n{rest}\n", self.paint.structure(" --> "))
            }
            (_, None) => format!("{report}\n{}{name}\n", self.paint.structure(" --> ")),
        }
    }

    /// The line of a place, from 1.
    pub(crate) fn line_of(&mut self, offset: usize) -> usize {
        let text = self.text.as_str();
        self.cursor.move_to(text, text.floor_char_boundary(offset));
        self.cursor.line
    }

    /// The part of the first line of `span` that is shown.
    fn piece(&mut self, span: Range<usize>) -> Piece {
        let text = self.text.as_str();
        // Whoever made the span is trusted to mean this text, but not to the point of panicking.
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        self.cursor.move_to(text, start);
        let line_start = self.cursor.line_start;
        // Nothing here looks further than the piece reaches: a file may have a mistake in every tenth byte of a line
        // that is a megabyte long.
        let (_, is_long) = first(&text[line_start..]);
        let before =
            text[line_start..start].char_indices().rev().nth(BEFORE - 1).map(|(at, _)| line_start + at);
        let from = match before {
            // Cut only where it saves something: a line that fits is shown whole.
            Some(at) if is_long => at,
            _ => line_start,
        };
        let (shown, is_cut) = first(&text[from..]);
        let to = from + shown.len();
        let head = if from > line_start { "…" } else { "" };
        let tail = if is_cut { "…" } else { "" };
        let shift = |at: usize| at.clamp(from, to) - from + head.len();
        Piece {
            source: format!("{head}{shown}{tail}"),
            span: shift(start)..shift(end),
            line: self.cursor.line,
            column: self.cursor.column,
        }
    }
}

/// A piece of a line and where in it the mistake is.
struct Piece {
    source: String,
    span: Range<usize>,
    line: usize,
    column: usize,
}

/// As much of the first line of `text` as is shown, and whether that is not all of it.
fn first(text: &str) -> (&str, bool) {
    for (count, (at, c)) in text.char_indices().enumerate() {
        if c == '\n' {
            return (text[..at].trim_end_matches('\r'), false);
        }
        if count == WIDTH {
            return (&text[..at], true);
        }
    }
    (text, false)
}

/// Line and column of a place, found by going on from the last one: diagnostics mostly come in the order of the
/// text, so that many of them cost one pass and not one each.
struct Cursor {
    offset: usize,
    line_start: usize,
    line: usize,
    /// In characters, from 1.
    column: usize,
}

impl Cursor {
    const fn start() -> Self {
        Self { offset: 0, line_start: 0, line: 1, column: 1 }
    }

    fn move_to(&mut self, text: &str, offset: usize) {
        if offset < self.offset {
            *self = Self::start();
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
    use filter::Span;

    fn render(text: &str, span: Range<usize>) -> String {
        let text = Text::new("a.json", text.to_owned());
        let diagnostic = Diagnostic::error("no good")
            .at("/a")
            .span(Some(Span { start: span.start, end: span.end }))
            .help("make it good");
        Diagnostics::new(&text, Paint(false)).render(&diagnostic)
    }

    #[test]
    fn a_mistake_is_shown_where_it_is() {
        assert_eq!(
            render("{\n  \"ä\": nope\n}\n", 10..14),
            "error: no good\n --> a.json:2:8\n  |\n2 |   \"ä\": nope\n  |        ^^^^\n  |\n  = note: at /a\n  = help: make it good\n"
        );
    }

    #[test]
    fn a_huge_line_is_cut_around_the_mistake() {
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
    fn odd_spans_do_not_panic() {
        for (start, end) in [(0, 0), (3, 3), (2, 3), (0, 999), (500, 999), (5, 1)] {
            let span = start..end;
            render("a\u{e9}b\nc", span.clone());
            render("", span);
        }
        render("a\r\nb", 1..3);
    }

    #[test]
    fn a_file_cannot_drive_the_terminal() {
        let shown = render("\"\x1b[2J\u{202e}\" x", 10..11);
        assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'), "{shown:?}");
    }
}
