//! The log of a process that runs polls, on standard error: what the library tells to `tracing`, and the messages of the
//! program itself, which have the target `poll`. One line each, of text or of JSON.

use std::io;
use std::sync::OnceLock;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::args::{LogArgs, LogFormat};
use crate::render::sanitize;
use crate::render::terminal::eprint_line;

static ON: OnceLock<()> = OnceLock::new();

/// Begins the log, if it is asked for. Returns whether it is.
pub(super) fn begin(args: LogArgs) -> bool {
    let Some(format) = args.format else { return false };
    // Of libraries below, only what they say through these three.
    let targets = Targets::new().with_targets(["poller", "poll", "service"].map(|name| (name, args.level)));
    let layer = fmt::layer().with_ansi(false);
    let registry = tracing_subscriber::registry();
    let begun = match format {
        LogFormat::Text => registry.with(layer.with_writer(|| Lines).with_filter(targets)).try_init(),
        LogFormat::Json => {
            let layer = layer
                .with_writer(io::stderr)
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false);
            registry.with(layer.with_filter(targets)).try_init()
        }
    };
    // It fails only if there is a log already.
    begun.is_ok() && ON.set(()).is_ok()
}

/// Standard error for lines of text. Messages may quote servers and files, whose text must not look like a line of its own.
struct Lines;

impl io::Write for Lines {
    /// Each event comes in one call, with the end of its line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::Write::write_all(&mut io::stderr(), one_line(event).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut io::stderr())
    }
}

fn one_line(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    format!("{}\n", sanitize::line(text.strip_suffix('\n').unwrap_or(&text)))
}

/// Writes an error to the log; returns whether there is one.
pub(super) fn error(message: &str) -> bool {
    ON.get().map(|()| tracing::error!(target: "poll", "{message}")).is_some()
}

/// Writes what happens to the log, or to standard error.
pub(super) fn info(message: impl std::fmt::Display) {
    match ON.get() {
        Some(()) => tracing::info!(target: "poll", "{message}"),
        None => eprint_line(message),
    }
}

/// Writes a warning to the log; returns whether there is one.
pub(super) fn warning(message: &str) -> bool {
    ON.get().map(|()| tracing::warn!(target: "poll", "{message}")).is_some()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_event_is_one_line_whatever_it_quotes() {
        let event = "2026-01-31T12:00:00Z  WARN poller: it says \"a\r\n2026-01-31T12:00:01Z ERROR b\u{1b}[2J\u{2028}\"\n";
        let line = super::one_line(event.as_bytes());
        assert_eq!(line.matches(['\n', '\r', '\u{1b}', '\u{2028}']).count(), 1, "{line:?}");
        assert!(line.ends_with("\"\n") && line.contains("ERROR b"), "{line:?}");
    }
}
