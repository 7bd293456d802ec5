//! Standard output: results and nothing else.
//!
//! A body is written byte for byte. Only on a terminal is it sanitized and given a line end, since no program parses it
//! there. Each outcome is one line of JSON, even if its body contains line ends.

use std::io::{self, Write as _};

use anyhow::Context as _;
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

/// An object that starts with the key of its poll, and the scope unless it is the default one.
#[derive(Serialize)]
pub(super) struct Keyed<'a, T> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(flatten)]
    rest: T,
}

impl<'a, T: Serialize> Keyed<'a, T> {
    pub(super) fn new(key: &'a PollKey, rest: T) -> Self {
        Self { key: key.key(), scope: Some(key.scope()).filter(|scope| !scope.is_empty()), rest }
    }

    /// Prints `{"key":…,"outcome":"matched",…}` on one line.
    pub(super) fn print(&self, terminal: &Terminal) -> anyhow::Result<()> {
        json(self, terminal)
    }
}

/// Prints a value as JSON on one line.
pub(super) fn json(value: &impl Serialize, terminal: &Terminal) -> anyhow::Result<()> {
    write_line(one_line(value)?, terminal)
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

/// A verbatim body may contain line ends. In JSON they occur only between tokens, where a space is equivalent.
fn one_line(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(value).context("cannot write JSON")?.replace(['\n', '\r'], " "))
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context(CANNOT_WRITE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use poller::Outcome;

    #[test]
    fn an_outcome_is_one_line_and_keeps_the_json_of_its_body() {
        let body = "{\n  \"n\": 1.50,\r\n\"n\": 2}";
        let outcome: Outcome = serde_json::from_str(&format!(
            r#"{{"outcome":"matched","attempts":1,"restarts":0,"startedAt":"2026-01-01T00:00:00Z",
                "endedAt":"2026-01-01T00:00:01Z","counts":{{}},"history":[],
                "response":{{"status":200,"headers":{{}},"body":{body}}}}}"#
        ))
        .unwrap();
        let line = one_line(&Keyed::new(&PollKey::new("", "a\"b"), &outcome)).unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        assert!(line.contains(r#""body":{   "n": 1.50,  "n": 2}"#), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["key"], &value["outcome"]), (&"a\"b".into(), &"matched".into()));
        let scoped = one_line(&Keyed::new(&PollKey::new("run-17", "a"), &outcome)).unwrap();
        assert!(scoped.starts_with(r#"{"key":"a","scope":"run-17","outcome":"#), "{scoped}");
    }
}
