//! The lines that report events: the result of an attempt, why it did not match, when the next request is due.
//!
//! All functions are pure, from events to text; the [parent](super) decides where the text goes. Notes and explanations
//! quote the server, so all of them go through [`sanitize`].

use std::fmt::Write as _;
use std::time::Duration;

use poller::{
    Attempt, AttemptResult, JudgementKind, Next, NextReason, Outcome, OutcomeKind, PollKey, Stats,
    TimeoutReason, Timestamp,
};
use textwrap::core::display_width;

use crate::render::humanize::{count, duration, or_zero};
use crate::render::sanitize;
use crate::render::terminal::Paint;

/// The longest note, in characters.
pub(super) const NOTE: usize = 300;

/// Between the parts of a redrawn line.
pub(super) const SEPARATOR: &str = " · ";

/// As many of the parts as fit into `columns`, but at least the first.
pub(super) fn fitting(parts: &[String], columns: usize) -> String {
    let mut line = parts.first().cloned().unwrap_or_default();
    for part in &parts[1.min(parts.len())..] {
        if display_width(&line) + display_width(SEPARATOR) + display_width(part) > columns {
            break;
        }
        line.push_str(SEPARATOR);
        line.push_str(part);
    }
    line
}

/// `[  20s] #3 200 in 12ms: body.status is "RUNNING", expected "SUCCESS"; next request in 10s`
pub(crate) fn attempt(attempt: &Attempt, started: Timestamp, label: Option<&str>, paint: Paint) -> String {
    let mut line = attempted(attempt, started, label, paint);
    if let Some(next) = &attempt.next {
        let wait = next.at.since(attempt.at + attempt.duration);
        let _ = write!(line, "; {}", paint.faint(next_request(next, wait)));
    }
    line
}

/// `[  20s] #3 200 in 12ms: body.status is "RUNNING", expected "SUCCESS"`
pub(super) fn attempted(attempt: &Attempt, started: Timestamp, label: Option<&str>, paint: Paint) -> String {
    let mut line = prefix(attempt.at.since(started) + attempt.duration, label, paint);
    let _ = write!(line, "#{} {} in {}", attempt.number, result(attempt, paint), duration(attempt.duration));
    if let Some(note) = &attempt.note {
        let _ = write!(line, ": {}", sanitize::excerpt(note, NOTE));
    }
    line
}

/// `[    1m] #7 the same result since #3`
pub(super) fn folded(
    last: &Attempt,
    since: u32,
    started: Timestamp,
    label: Option<&str>,
    paint: Paint,
) -> String {
    let line = prefix(last.at.since(started) + last.duration, label, paint);
    format!("{line}{}", paint.faint(format_args!("#{} the same result since #{since}", last.number)))
}

/// `[  30s] matched: 200 after 4 attempts`
///
/// An explanation of several lines follows, unless there is a label: a poll that is one of several gets one line.
pub(crate) fn outcome(outcome: &Outcome, label: Option<&str>, paint: Paint) -> String {
    let mut line = prefix(outcome.elapsed(), label, paint);
    let attempts = count(outcome.attempts, "attempt");
    let _ = match &outcome.kind {
        OutcomeKind::Matched { response } => {
            write!(line, "{}: {} after {attempts}", paint.good("matched"), response.status())
        }
        OutcomeKind::Cancelled => write!(line, "{} after {attempts}", paint.caution("cancelled")),
        OutcomeKind::TimedOut { .. } if !outcome.counts.is_empty() => {
            write!(line, "{} after {attempts} ({})", paint.bad("timed out"), outcome.counts)
        }
        _ => write!(line, "{} after {attempts}", paint.bad(outcome.name())),
    };
    if let Some(explanation) = outcome.explanation() {
        let last_note = outcome.history.last().and_then(|attempt| attempt.note.as_deref());
        let mut add = |text: &str| line.extend([": ", &sanitize::excerpt(text, NOTE)]);
        match (explanation.split_once('\n'), label.and(last_note)) {
            (None, _) => add(explanation),
            (Some((reason, _)), Some(note)) => {
                // The first line of the explanation has the reason, unless it is the deadline alone.
                if matches!(outcome.kind, OutcomeKind::TimedOut { reason, .. } if reason != TimeoutReason::Deadline)
                {
                    add(reason.trim_end_matches(':'));
                }
                add(note);
            }
            (Some(_), None) => {
                line.push(':');
                indent(&mut line, explanation);
            }
        }
    }
    line
}

/// Appends the first lines of an explanation, indented.
fn indent(text: &mut String, explanation: &str) {
    const LINES: usize = 40;
    let lines = sanitize::block(explanation);
    for line in lines.lines().take(LINES) {
        let _ = write!(text, "\n  {line}");
    }
    let more = lines.lines().count().saturating_sub(LINES);
    if more > 0 {
        let _ = write!(text, "\n  … and {} more; --json has them all", count(more, "line"));
    }
}

/// `[  10s] export-42: held back until 45s, as the server asked of export-41`
///
/// The line starts with the time of the poll's last attempt: the event does not carry its own time.
pub(crate) fn held_back(
    until: Timestamp,
    of: &PollKey,
    started: Timestamp,
    last: Option<&Attempt>,
    label: Option<&str>,
    paint: Paint,
) -> String {
    let since = last.map_or(Duration::ZERO, |last| last.at.since(started));
    let (prefix, until) = (prefix(since, label, paint), duration(until.since(started)));
    let of = sanitize::excerpt(&of.to_string(), 40);
    format!("{prefix}held back until {until}, as the server asked of {of}")
}

/// `3 polls: 2 matched, 1 timed out`
pub(crate) fn summary(counts: &[(&str, usize)]) -> String {
    let total: usize = counts.iter().map(|(_, number)| number).sum();
    let some = counts.iter().filter(|(_, number)| *number > 0);
    let parts: Vec<_> = some.map(|(name, number)| format!("{number} {name}")).collect();
    let of_what = if parts.is_empty() { "" } else { ": " };
    format!("{}{of_what}{}", count(total, "poll"), parts.join(", "))
}

/// `9876 requests in 23s: half within 12ms, 99% within 80ms; 99% began within 3ms of their time`
///
/// The lateness shows whether concurrency limits or this machine delayed requests.
pub(crate) fn requests(stats: &Stats, elapsed: Duration) -> String {
    let mut line = format!("{} in {}", count(stats.attempts.total(), "request"), duration(elapsed));
    if stats.request_time.count() > 0 {
        let within = |share| duration(stats.request_time.quantile(share));
        let _ = write!(line, ": half within {}, 99% within {}", within(0.5), within(0.99));
    }
    if stats.lateness.count() > 0 {
        let _ = write!(line, "; 99% began within {} of their time", duration(stats.lateness.quantile(0.99)));
    }
    line
}

/// Why and for how long the next request waits.
pub(crate) fn next_request(next: &Next, wait: Duration) -> String {
    let wait = or_zero(wait);
    match next.why {
        NextReason::Retry { r#try, limit } => format!("try {} of {limit} in {wait}", r#try),
        NextReason::Hint => format!("the server asks to wait, next request in {wait}"),
        _ => format!("next request in {wait}"),
    }
}

/// The status or the kind of error, coloured by the judgement.
pub(crate) fn result(attempt: &Attempt, paint: Paint) -> String {
    let text = attempt.result;
    match attempt.judgement {
        JudgementKind::Matched => paint.good(text).to_string(),
        JudgementKind::Failed => paint.bad(text).to_string(),
        JudgementKind::Error => paint.caution(text).to_string(),
        _ if matches!(text, AttemptResult::Status(400..)) => paint.caution(text).to_string(),
        _ => text.to_string(),
    }
}

/// The time since the poll was accepted, and its label.
fn prefix(since_start: Duration, label: Option<&str>, paint: Paint) -> String {
    let mut line = paint.faint(format_args!("[{:>7}]", duration(since_start))).to_string();
    line.push(' ');
    if let Some(label) = label {
        let _ = write!(line, "{}: ", paint.strong(sanitize::excerpt(label, 40)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const PLAIN: Paint = Paint(false);

    fn attempted(note: &str, why: &Value) -> Attempt {
        serde_json::from_value(json!({
            "number": 3, "at": "2026-01-01T00:00:20Z", "durationInMicros": 12_000, "result": {"status": 200},
            "verdict": "unmatched", "note": note, "next": {"at": "2026-01-01T00:00:30Z", "why": why}
        }))
        .unwrap()
    }

    fn start() -> Timestamp {
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap()
    }

    /// An outcome with these members besides the common ones.
    fn ended(particular: Value) -> Outcome {
        let Value::Object(particular) = particular else { panic!("members") };
        let mut outcome = json!({
            "attempts": 3, "restarts": 0, "startedAt": "2026-01-01T00:00:00Z",
            "endedAt": "2026-01-01T00:05:00Z", "counts": {"200": 2, "timeout": 1},
            "history": [attempted("status is \"RUNNING\"", &json!("grid"))]
        });
        outcome.as_object_mut().unwrap().extend(particular);
        serde_json::from_value(outcome).unwrap()
    }

    #[test]
    fn an_attempt_shows_its_result_its_note_and_the_next_request() {
        let line = |why| attempt(&attempted("not yet", &why), start(), None, PLAIN);
        assert_eq!(line(json!("grid")), "[    20s] #3 200 in 12ms: not yet; next request in 10s");
        assert!(line(json!({"retry": {"try": 2, "limit": 5}})).ends_with("; try 2 of 5 in 10s"));
        assert!(line(json!("hint")).ends_with("; the server asks to wait, next request in 10s"));
        let labelled = attempt(&attempted("x", &json!("grid")), start(), Some("export-42"), PLAIN);
        assert!(labelled.starts_with("[    20s] export-42: #3 200"), "{labelled}");
    }

    #[test]
    fn a_note_is_sanitized_and_truncated() {
        let hostile = attempted(&"\u{1b}[2J\n".repeat(1000), &json!("grid"));
        let line = attempt(&hostile, start(), Some("\u{1b}[2J"), PLAIN);
        assert!(!line.contains(['\u{1b}', '\n']) && line.chars().count() < 450, "{line}");
    }

    #[test]
    fn a_narrow_line_has_fewer_parts_and_none_is_cut() {
        let parts = ["#3 200", "next request in 7s", "4m left"].map(str::to_owned);
        assert_eq!(fitting(&parts, 37), "#3 200 · next request in 7s · 4m left");
        assert_eq!(fitting(&parts, 36), "#3 200 · next request in 7s");
        assert_eq!(fitting(&parts, 1), "#3 200");
        assert_eq!(fitting(&[], 80), "");
    }

    #[test]
    fn each_outcome_has_its_line() {
        assert_eq!(
            outcome(&ended(json!({"outcome": "cancelled"})), None, PLAIN),
            "[     5m] cancelled after 3 attempts"
        );
        let failed =
            json!({"outcome": "failed", "reason": "gave-up", "response": null, "explanation": "in vain"});
        assert_eq!(outcome(&ended(failed), None, PLAIN), "[     5m] failed after 3 attempts: in vain");
    }

    #[test]
    fn requests_are_summed_up_without_histograms_too() {
        let mut stats = Stats::default();
        assert_eq!(requests(&stats, Duration::from_secs(2)), "0 requests in 2s");
        stats.attempts.success = 41;
        stats.attempts.error = 1;
        assert_eq!(requests(&stats, Duration::from_secs(90)), "42 requests in 1m 30s");
    }

    #[test]
    fn a_long_explanation_follows_only_without_a_label() {
        let timed_out = |lines: usize| {
            let explanation = format!("body:{}", "\n  ✗ status\u{7}".repeat(lines));
            let kind = json!({"outcome": "timed out", "reason": "deadline", "response": null, "explanation": explanation});
            ended(kind)
        };
        assert_eq!(
            outcome(&timed_out(1), None, PLAIN),
            "[     5m] timed out after 3 attempts (2 × 200, 1 × timeout):\n  body:\n    ✗ status␇"
        );
        let one_of_many = outcome(&timed_out(1), Some("a"), PLAIN);
        assert!(one_of_many.ends_with("1 × timeout): status is \"RUNNING\""), "{one_of_many}");
        assert!(outcome(&timed_out(100), None, PLAIN).ends_with("… and 61 lines more; --json has them all"));
        let away = ended(json!({"outcome": "timed out", "reason": "while-away", "response": null,
            "explanation": "the deadline passed while no process ran the poll:\nbody:\n  ✗ status"}));
        let one_of_many = outcome(&away, Some("a"), PLAIN);
        let reason = "1 × timeout): the deadline passed while no process ran the poll: status is \"RUNNING\"";
        assert!(one_of_many.ends_with(reason), "{one_of_many}");
    }
}
