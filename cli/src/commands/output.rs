//! Standard output: results and nothing else.
//!
//! A body is written byte for byte. Only on a terminal is it sanitized and given a line end, since no program parses it
//! there. Each outcome is one line of JSON, even if its body contains line ends.

use std::borrow::Cow;
use std::io::{self, Write as _};

use anyhow::Context as _;
use poller::{Outcome, OutcomeKind, PollKey, RecordedResponse};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::render::terminal::{Terminal, stdout_width};
use crate::render::{sanitize, wrap};

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

/// An object that starts with the key of its poll, and the scope unless it is the default one:
/// `{"key":…,"outcome":"matched",…}`.
#[derive(Serialize)]
pub(super) struct Keyed<'a, T> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(flatten)]
    rest: T,
}

impl<'a, T> Keyed<'a, T> {
    pub(super) fn new(key: &'a PollKey, rest: T) -> Self {
        Self { key: key.key(), scope: Some(key.scope()).filter(|scope| !scope.is_empty()), rest }
    }
}

/// Many lines: written together, because a system call for each would take longer than the line. To be
/// [flushed](Self::flush) whenever a reader may wait for them.
pub(super) struct Lines<'a> {
    terminal: &'a Terminal,
    waiting: Vec<u8>,
}

/// The number of bytes after which lines are written in any case.
const WAITING: usize = 64 << 10;

impl<'a> Lines<'a> {
    pub(super) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, waiting: Vec::new() }
    }

    /// A value as JSON.
    pub(super) fn print(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.line(one_line(value)?)
    }

    /// The key of a poll, unchanged for scripts.
    pub(super) fn key(&mut self, key: &PollKey) -> anyhow::Result<()> {
        self.line(key.key().to_owned())
    }

    /// Text for people and scripts, as [`text`] prints it.
    pub(super) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.waiting.extend_from_slice(wrapped(text).as_bytes());
        self.flush_if_long()
    }

    fn line(&mut self, line: String) -> anyhow::Result<()> {
        self.waiting.extend_from_slice(shown(line, self.terminal).as_bytes());
        self.flush_if_long()
    }

    fn flush_if_long(&mut self) -> anyhow::Result<()> {
        if self.waiting.len() >= WAITING { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let written = write(&self.waiting);
        self.waiting.clear();
        written
    }
}

/// The JSON of an outcome in which the response has the number of bytes of its body instead of the body.
pub(super) fn without_body(outcome: &Outcome) -> anyhow::Result<Map<String, Value>> {
    let mut outcome = outcome.clone();
    let mut bytes = None;
    let mut empty = |response: &mut RecordedResponse| {
        bytes = Some(response.body().len());
        *response = RecordedResponse::new(response.status(), response.headers().iter(), "");
    };
    match &mut outcome.kind {
        OutcomeKind::Matched { response } => empty(response),
        OutcomeKind::Failed { response, .. } | OutcomeKind::TimedOut { response, .. } => {
            response.iter_mut().for_each(empty);
        }
        _ => {}
    }
    let Value::Object(mut members) = serde_json::to_value(&outcome).context("cannot write JSON")? else {
        return Ok(Map::new());
    };
    if let Some(response) = members.get_mut("response").and_then(Value::as_object_mut) {
        response.remove("text");
        response.insert("bytes".to_owned(), bytes.into());
    }
    Ok(members)
}

/// Prints a value as JSON on one line.
pub(super) fn json(value: &impl Serialize, terminal: &Terminal) -> anyhow::Result<()> {
    write(shown(one_line(value)?, terminal).as_bytes())
}

/// Text for people and scripts, wrapped at the width of a terminal; foreign text in it must be sanitized already.
pub(super) fn text(text: &str) -> anyhow::Result<()> {
    write(wrapped(text).as_bytes())
}

fn wrapped(text: &str) -> String {
    let text = stdout_width().map_or(Cow::Borrowed(text), |width| wrap::wrap(text, width));
    format!("{text}\n")
}

/// The line with its end; on a terminal without control characters.
fn shown(mut line: String, terminal: &Terminal) -> String {
    if terminal.stdout {
        line = sanitize::line(&line).into_owned();
    }
    line.push('\n');
    line
}

/// A verbatim body may contain line ends. In JSON they occur only between tokens, where a space is equivalent.
fn one_line(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string(value).context("cannot write JSON")?.replace(['\n', '\r'], " "))
}

pub(super) fn write(bytes: &[u8]) -> anyhow::Result<()> {
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
        let line = one_line(&Keyed::new(&PollKey::new("", "a\"b"), &outcome)).unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        assert!(line.contains(r#""body":{   "n": 1.50,  "n": 2}"#), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["key"], &value["outcome"]), (&"a\"b".into(), &"matched".into()));
        let bare = without_body(&outcome).unwrap();
        assert_eq!(bare["response"], serde_json::json!({"status": 200, "headers": {}, "bytes": body.len()}));
        assert_eq!(bare["outcome"], "matched");
        let scoped = one_line(&Keyed::new(&PollKey::new("run-17", "a"), &outcome)).unwrap();
        assert!(scoped.starts_with(r#"{"key":"a","scope":"run-17","outcome":"#), "{scoped}");
    }
}
