//! What the output streams support: colour, a redrawn line, or plain text only.
//!
//! [`Terminal::detect`] decides once, at the start, from the streams, `--color` and the environment (NO_COLOR, TERM, CI,
//! the locale). No other module reads the environment, so each can be tested with either answer.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use clap::ColorChoice;
use console::{Style, StyledObject, Term};

use super::listing::Listing;
use super::problems::Problems;
use super::{charset, wrap};

/// Whether lines on standard error are wrapped; decided by [`Terminal::detect`].
static WRAPS: OnceLock<bool> = OnceLock::new();

/// Properties of standard output and standard error, and the problems that were printed there. By default, neither is a
/// terminal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terminal {
    /// Standard output is a terminal.
    pub(crate) stdout: bool,
    /// Standard error is a terminal.
    pub(crate) stderr: bool,
    pub(crate) stdout_paint: Paint,
    pub(crate) stderr_paint: Paint,
    /// Standard error is a terminal that can redraw a line.
    pub(crate) live: bool,
    /// The problems that were printed, for output that programs read.
    pub(crate) problems: Problems,
    /// How many problems of items were printed.
    pub(crate) listing: Listing,
}

impl Terminal {
    /// Inspects the streams of this process. Problems are recorded if they are `wanted`.
    pub(crate) fn detect(choice: ColorChoice, problems_wanted: bool) -> Self {
        charset::decide(|name| env::var_os(name));
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let stdout = io::stdout().is_terminal();
        let stderr = io::stderr().is_terminal();
        let paint = |terminal: bool| {
            Paint(match choice {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => terminal && !dumb && !set("NO_COLOR"),
            })
        };
        // CI systems may attach a terminal whose output is stored as a log, where redrawn lines pile up and line ends
        // split messages that people search for.
        let log = set("CI");
        WRAPS.get_or_init(|| stderr && !log);
        Self {
            stdout,
            stderr,
            stdout_paint: paint(stdout),
            stderr_paint: paint(stderr),
            live: stderr && !dumb && !log,
            problems: Problems::new(problems_wanted),
            listing: Listing::default(),
        }
    }
}

/// Whether to colour, and the styles in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    pub(crate) fn good<T>(self, text: T) -> StyledObject<T> {
        self.apply(Style::new().green(), text)
    }

    pub(crate) fn bad<T>(self, text: T) -> StyledObject<T> {
        self.apply(Style::new().bold().red(), text)
    }

    pub(crate) fn caution<T>(self, text: T) -> StyledObject<T> {
        self.apply(Style::new().yellow(), text)
    }

    pub(crate) fn strong<T>(self, text: T) -> StyledObject<T> {
        self.apply(Style::new().bold(), text)
    }

    pub(crate) fn faint<T>(self, text: T) -> StyledObject<T> {
        self.apply(Style::new().dim(), text)
    }

    /// The frame that diagnostics are drawn with.
    pub(crate) fn structure<T>(self, text: T) -> StyledObject<T> {
        self.apply(Style::new().bold().blue().bright(), text)
    }

    fn apply<T>(self, style: Style, text: T) -> StyledObject<T> {
        style.force_styling(self.0).apply_to(text)
    }
}

/// The width of standard error in columns; `None` unless it is a terminal on which lines are wrapped.
pub(crate) fn stderr_width() -> Option<usize> {
    WRAPS.get().copied().unwrap_or(false).then(Term::stderr).and_then(|terminal| width(&terminal))
}

/// The width of standard output in columns; `None` unless it is a terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    Some(Term::stdout()).filter(Term::is_term).and_then(|terminal| width(&terminal))
}

/// Asked anew each time: a person may resize the window.
fn width(terminal: &Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Writes a line to standard error, wrapped at the width of a terminal. Unlike `eprintln!`, it does not panic when the reader has closed the pipe.
pub(crate) fn eprint_line(line: impl fmt::Display) {
    // Formatted into one string first, so that lines of several tasks do not interleave.
    let text = format!("{line}\n");
    let text = charset::for_locale(&text);
    let text = match stderr_width() {
        Some(width) => wrap::wrap(&text, width),
        None => text,
    };
    // A failed write to standard error cannot be reported anywhere; the exit code still carries the result.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_no_escape_sequence_is_written() {
        assert_eq!(Paint(false).bad("x").to_string(), "x");
        assert!(Paint(true).bad("x").to_string().contains("\x1b["));
    }
}
