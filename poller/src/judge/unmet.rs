//! The conditions that a response does not meet, for a note on one line and for a text in full.

use std::borrow::Cow;
use std::cell::OnceCell;

use filter::{Exhausted, Explanation, Filter};

use super::explained::ExplainedPart;
use super::kept::{EXPLANATION, NOTE, bounded};
use super::view::ResponseView;
use crate::history::Note;
use crate::job::{ResponseFilter, StatusFilter};
use crate::redact::Secrets;

/// The conditions that a response does not meet, evaluated once for the one-line note and the full text.
pub(super) struct UnmetConditions<'a> {
    view: &'a ResponseView<'a>,
    filter: &'a ResponseFilter,
    headers: OnceCell<Result<Explanation, Exhausted>>,
    body: OnceCell<Result<Result<Explanation, String>, Exhausted>>,
    text: OnceCell<Result<Explanation, Exhausted>>,
}

/// The one-line note of a response, and its full explanation as far as it is computed.
pub(super) struct Explained {
    pub(super) note: Note,
    /// Whether the note or the full text contains a secret: the full text is built when the poll ends, when the secrets are
    /// no longer at hand.
    pub(super) echoes: bool,
    /// The full text without secrets, if it was asked for.
    pub(super) in_full: Option<Box<str>>,
}

impl<'a> UnmetConditions<'a> {
    pub(super) const fn new(view: &'a ResponseView<'a>, filter: &'a ResponseFilter) -> Self {
        Self { view, filter, headers: OnceCell::new(), body: OnceCell::new(), text: OnceCell::new() }
    }

    fn headers(&self, filter: &Filter) -> Result<&Explanation, Exhausted> {
        let explained = || filter.explain_within(self.view.headers(), self.view.effort());
        self.headers.get_or_init(explained).as_ref().map_err(|exhausted| *exhausted)
    }

    fn body(&self, filter: &Filter) -> Result<Result<&Explanation, &String>, Exhausted> {
        let explained = || match self.view.parsed() {
            Ok(body) => filter.explain_document_within(body, self.view.effort()).map(Ok),
            Err(error) => Ok(Err(self.view.not_json(error))),
        };
        let explained = self.body.get_or_init(explained).as_ref();
        explained.map(Result::as_ref).map_err(|exhausted| *exhausted)
    }

    fn text(&self, filter: &Filter) -> Result<&Explanation, Exhausted> {
        let explained = || filter.explain_within(self.view.text(), self.view.effort());
        self.text.get_or_init(explained).as_ref().map_err(|exhausted| *exhausted)
    }

    /// The first unmet part on one line: status, headers, body, text.
    fn note(&self) -> Result<String, Exhausted> {
        let status = self.view.response.status();
        if !self.filter.status.accepts(status) {
            return Ok(format!("HTTP status is {status}, expected {}", self.filter.status));
        }
        if let Some(filter) = &self.filter.headers
            && let Some(unmet) = self.headers(filter)?.summary()
        {
            return Ok(format!("header {unmet}"));
        }
        if let Some(filter) = &self.filter.body {
            match self.body(filter)? {
                Err(not_json) => return Ok(not_json.clone()),
                Ok(explained) => {
                    if let Some(unmet) = explained.summary() {
                        return Ok(unmet);
                    }
                }
            }
        }
        let Some(filter) = &self.filter.text else { return Ok(String::new()) };
        Ok(self.text(filter)?.summary().unwrap_or_default())
    }

    /// Each part of the filter as data; parts that take too much work, or whose value is known only in its beginning, are left out.
    pub(super) fn parts(&self) -> Vec<ExplainedPart> {
        let response = self.view.response;
        let (actual, accepted) = (response.status(), &self.filter.status);
        let matched = accepted.accepts(actual);
        let mut parts = vec![ExplainedPart::Status { matched, expected: accepted.to_string(), actual }];
        if let Some(filter) = &self.filter.headers {
            parts.extend(self.headers(filter).ok().cloned().map(ExplainedPart::Headers));
        }
        if response.is_cut() {
            return parts;
        }
        if let Some(filter) = &self.filter.body {
            parts.extend(self.body(filter).ok().map(|body| match body {
                Ok(explained) => ExplainedPart::Body(explained.clone()),
                Err(not_json) => ExplainedPart::NotJson(not_json.clone()),
            }));
        }
        if let Some(filter) = &self.filter.text {
            parts.extend(self.text(filter).ok().cloned().map(ExplainedPart::Text));
        }
        parts
    }

    /// Each part of the filter with the value found. A status that the filter does not name is left out if it holds.
    pub(super) fn in_full(&self) -> Result<String, Exhausted> {
        let status = self.view.response.status();
        let accepted = &self.filter.status;
        let mut parts = Vec::new();
        if !accepted.accepts(status) {
            parts.push(format!("HTTP status does not hold: it is {status}, expected {accepted}"));
        } else if *accepted != StatusFilter::success() {
            parts.push(format!("HTTP status holds: it is {status}, expected {accepted}"));
        }
        if let Some(filter) = &self.filter.headers {
            parts.push(format!("headers:\n{}", indented(&self.headers(filter)?.to_string())));
        }
        if let Some(filter) = &self.filter.body {
            parts.push(match self.body(filter)? {
                Ok(explained) => format!("body:\n{}", indented(&explained.to_string())),
                Err(not_json) => not_json.clone(),
            });
        }
        if let Some(filter) = &self.filter.text {
            parts.push(format!("body as text:\n{}", indented(&self.text(filter)?.to_string())));
        }
        Ok(bounded(parts.join("\n"), EXPLANATION))
    }

    /// The note without secrets, and with `keeps` the full text, too.
    pub(super) fn explained(&self, secrets: &Secrets, keeps: bool) -> Result<Explained, Exhausted> {
        let note = bounded(self.note()?, NOTE);
        if !keeps && secrets.is_empty() {
            return Ok(Explained { note: note.into(), echoes: false, in_full: None });
        }
        let (note, note_echoes) = match secrets.hide(&note) {
            Cow::Owned(hidden) => (hidden.into(), true),
            Cow::Borrowed(_) => (note.into(), false),
        };
        if note_echoes && !keeps {
            return Ok(Explained { note, echoes: true, in_full: None });
        }
        let in_full = self.in_full()?;
        let hidden = secrets.hide(&in_full);
        let echoes = note_echoes || matches!(hidden, Cow::Owned(_));
        Ok(Explained { note, echoes, in_full: keeps.then(|| hidden.into()) })
    }

    /// What is said of a response that takes too much work to explain.
    pub(super) fn unexplained(&self) -> Explained {
        let length = self.view.response.body().len();
        let note =
            format!("the filter does not match, and to say why takes too long on a body of {length} bytes");
        Explained { note: note.as_str().into(), echoes: false, in_full: Some(note.into()) }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
