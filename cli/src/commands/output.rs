//! Standard output: results and nothing else.
//!
//! A body is written byte for byte. Only on a terminal is it sanitized and given a line end, since no program parses it
//! there. Each outcome is one line of JSON, even if its body contains line ends.

use std::io::{self, Write as _};

use anyhow::Context as _;
use poller::Outcome;
use poller::PollKey;
use serde::Serialize;

use crate::render::sanitize;
use crate::render::terminal::Terminal;

/// The message of a failed write. A closed pipe is recognized by the kind of the error, see [`super`].
pub(super) const CANNOT_WRITE: &str = "cannot write to standard output";

/// The body of a response.
pub(super) fn body(body: &[u8], terminal: &Terminal) -> anyhow::Result<()> {
    if !terminal.stdout {
        return write(body);
    }
    let text = String::from_utf8_lossy(body);
    let mut text = sanitize::block(&text).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    write(text.as_bytes())
}

/// `{"key":…,"outcome":"matched",…}` on one line; the scope follows the key where there is one.
pub(super) fn outcome(key: &PollKey, outcome: &Outcome, terminal: &Terminal) -> anyhow::Result<()> {
    let line = outcome_line(key, outcome).context("cannot write the outcome as JSON")?;
    write_line(line, terminal)
}

/// Any value as JSON on one line.
pub(super) fn json(value: &impl Serialize, terminal: &Terminal) -> anyhow::Result<()> {
    let line = serde_json::to_string(value).context("cannot write JSON")?;
    write_line(on_one_line(&line), terminal)
}

/// The key of a poll, unchanged for scripts.
pub(super) fn key(key: &PollKey, terminal: &Terminal) -> anyhow::Result<()> {
    write_line(key.key().to_owned(), terminal)
}

/// Text for people and scripts; foreign text in it must be sanitized already.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    write(format!("{text}\n").as_bytes())
}

fn write_line(mut line: String, terminal: &Terminal) -> anyhow::Result<()> {
    if terminal.stdout {
        line = sanitize::line(&line).into_owned();
    }
    line.push('\n');
    write(line.as_bytes())
}

fn outcome_line(key: &PollKey, outcome: &Outcome) -> serde_json::Result<String> {
    let mut name = format!("\"key\":{}", serde_json::to_string(key.key())?);
    if !key.scope().is_empty() {
        name.push_str(&format!(",\"scope\":{}", serde_json::to_string(key.scope())?));
    }
    Ok(one_line(&name, &serde_json::to_string(outcome)?))
}

/// Inserts the key before the members of the outcome, as text: serde's `flatten` would parse and re-serialize the body.
fn one_line(name: &str, outcome: &str) -> String {
    let members = outcome.strip_prefix('{').unwrap_or("}");
    format!("{{{name},{}", on_one_line(members))
}

/// In JSON, line ends occur only between tokens, where a space is equivalent.
fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context(CANNOT_WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_one_line_and_keeps_the_json_of_its_body() {
        let body = "{\n  \"n\": 1.50,\r\n\"n\": 2}";
        let outcome: Outcome = serde_json::from_str(&format!(
            r#"{{"outcome":"matched","attempts":1,"restarts":0,"startedAt":"2026-01-01T00:00:00Z",
                "endedAt":"2026-01-01T00:00:01Z","counts":{{}},"history":[],
                "response":{{"status":200,"headers":{{}},"body":{body}}}}}"#
        ))
        .unwrap();
        let line = outcome_line(&PollKey::new("", "a\"b"), &outcome).unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        assert!(line.contains(r#""body":{   "n": 1.50,  "n": 2}"#), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["key"], &value["outcome"]), (&"a\"b".into(), &"matched".into()));
        let scoped = outcome_line(&PollKey::new("run-17", "a"), &outcome).unwrap();
        assert!(scoped.starts_with(r#"{"key":"a","scope":"run-17","outcome":"#), "{scoped}");
    }
}
