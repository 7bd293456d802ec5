//! The story of a poll, one line per event: what came back, what it lacked, what happens next.
//!
//! Everything here is a function from events to text; [`live`](super::live) decides where the text goes. Notes and
//! explanations quote the server, so all of them go through [`clean`].

use std::fmt::Write as _;
use std::time::Duration;

use poller::{Attempt, AttemptResult, Conclusion, Next, NextReason, Outcome, Timestamp, Verdict};

use super::clean;
use super::terminal::Paint;
use super::time::short;

/// The longest note on a line.
const NOTE: usize = 300;

/// `[  20s] #3 200 in 12ms: body.status is "RUNNING", expected "SUCCESS"; next request in 10s`
pub(crate) fn attempt(attempt: &Attempt, started: Timestamp, label: Option<&str>, paint: Paint) -> String {
    let mut line = prefix(attempt.at.since(started) + attempt.duration, label, paint);
    let _ = write!(line, "#{} {} in {}", attempt.number, result(attempt, paint), short(attempt.duration));
    if let Some(note) = &attempt.note {
        let _ = write!(line, ": {}", clean::excerpt(note, NOTE));
    }
    if let Some(next) = &attempt.next {
        let wait = next.at.since(attempt.at + attempt.duration);
        let _ = write!(line, "; {}", paint.faint(coming(next, wait)));
    }
    line
}

/// `[  30s] matched: 200 after 4 attempts`
///
/// Why a poll failed or ran out of time may take some lines; they follow, unless there is a label: then the poll is
/// one of several, and gets one line.
pub(crate) fn outcome(outcome: &Outcome, label: Option<&str>, paint: Paint) -> String {
    let mut line = prefix(outcome.elapsed(), label, paint);
    let attempts = count(outcome.attempts, "attempt");
    let _ = match &outcome.conclusion {
        Conclusion::Matched { response } => {
            write!(line, "{}: {} after {attempts}", paint.good("matched"), response.status())
        }
        Conclusion::Cancelled => write!(line, "{} after {attempts}", paint.caution("cancelled")),
        Conclusion::TimedOut { .. } if !outcome.counts.is_empty() => {
            write!(line, "{} after {attempts} ({})", paint.bad("timed out"), outcome.counts)
        }
        _ => write!(line, "{} after {attempts}", paint.bad(outcome.name())),
    };
    if let Some(explanation) = outcome.explanation() {
        let last_note = outcome.history.last().and_then(|attempt| attempt.note.as_deref());
        match (explanation.contains('\n'), label, last_note) {
            (false, ..) => {
                let _ = write!(line, ": {}", clean::excerpt(explanation, NOTE));
            }
            (true, Some(_), Some(note)) => {
                let _ = write!(line, ": {}", clean::excerpt(note, NOTE));
            }
            (true, ..) => {
                line.push(':');
                indent(&mut line, explanation);
            }
        }
    }
    line
}

/// Appends the lines of an explanation, the first of them if they are many.
fn indent(text: &mut String, explanation: &str) {
    const LINES: usize = 40;
    let lines = clean::block(explanation);
    for line in lines.lines().take(LINES) {
        let _ = write!(text, "\n  {line}");
    }
    let more = lines.lines().count().saturating_sub(LINES);
    if more > 0 {
        let _ = write!(
            text,
            "\n  … and {} more; --json has them all",
            count(u32::try_from(more).unwrap_or(u32::MAX), "line")
        );
    }
}

/// `1 attempt`, `2 attempts`.
pub(crate) fn count(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What the next request waits for, and how long.
pub(crate) fn coming(next: &Next, wait: Duration) -> String {
    let wait = short(wait);
    match next.why {
        NextReason::Retry { r#try, limit } => format!("try {} of {limit} in {wait}", r#try),
        NextReason::Hint => format!("the server asks for patience, next request in {wait}"),
        _ => format!("next request in {wait}"),
    }
}

/// The status or the kind of error, coloured by what it means.
pub(crate) fn result(attempt: &Attempt, paint: Paint) -> String {
    let text = attempt.result;
    match attempt.verdict {
        Verdict::Matched => paint.good(text).to_string(),
        Verdict::Failed => paint.bad(text).to_string(),
        Verdict::Error => paint.caution(text).to_string(),
        _ => match text {
            AttemptResult::Status(400..) => paint.caution(text).to_string(),
            _ => text.to_string(),
        },
    }
}

/// When, since the poll began, and which poll.
fn prefix(since_start: Duration, label: Option<&str>, paint: Paint) -> String {
    let mut line = paint.faint(format_args!("[{:>7}]", short(since_start))).to_string();
    line.push(' ');
    if let Some(label) = label {
        let _ = write!(line, "{}: ", paint.strong(clean::excerpt(label, 40)));
    }
    line
}
