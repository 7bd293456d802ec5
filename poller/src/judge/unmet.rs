//! The conditions that a response does not meet, for a note on one line and for a text in full.

use std::borrow::Cow;
use std::cell::OnceCell;

use filter::{Exhausted, Explanation};

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
    /// Headers, body, text: each once it was needed, and if the filter has it.
    parts: [OnceCell<Result<Option<ExplainedPart>, Exhausted>>; 3],
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
        Self { view, filter, parts: [const { OnceCell::new() }; 3] }
    }

    /// The parts of the filter behind the status, in order, each evaluated when the iterator comes to it.
    fn each(&self) -> impl Iterator<Item = Result<&ExplainedPart, Exhausted>> {
        let evaluate = [Self::headers, Self::body, Self::text];
        self.parts.iter().zip(evaluate).filter_map(|(part, evaluate)| {
            let part = part.get_or_init(|| evaluate(self).transpose());
            part.as_ref().map(Option::as_ref).map_err(|exhausted| *exhausted).transpose()
        })
    }

    fn headers(&self) -> Option<Result<ExplainedPart, Exhausted>> {
        let explained = self.filter.headers.as_ref()?.explain_within(self.view.headers(), self.view.effort());
        Some(explained.map(ExplainedPart::Headers))
    }

    fn body(&self) -> Option<Result<ExplainedPart, Exhausted>> {
        let filter = self.filter.body.as_ref()?;
        Some(match self.view.parsed() {
            Ok(body) => filter.explain_document_within(body, self.view.effort()).map(ExplainedPart::Body),
            Err(error) => Ok(ExplainedPart::NotJson(self.view.not_json(error))),
        })
    }

    fn text(&self) -> Option<Result<ExplainedPart, Exhausted>> {
        let explained = self.filter.text.as_ref()?.explain_within(self.view.text(), self.view.effort());
        Some(explained.map(ExplainedPart::Text))
    }

    /// The first unmet part on one line: status, headers, body, text.
    fn note(&self) -> Result<String, Exhausted> {
        let status = self.view.response.status();
        if !self.filter.status.accepts(status) {
            return Ok(format!("HTTP status is {status}, expected {}", self.filter.status));
        }
        for part in self.each() {
            let part = part?;
            match (part, part.summary()) {
                (ExplainedPart::Headers(_), Some(unmet)) => return Ok(format!("header {unmet}")),
                (_, Some(unmet)) => return Ok(unmet),
                (_, None) => {}
            }
        }
        Ok(String::new())
    }

    /// Each part of the filter as data; parts that take too much work, or whose value is known only in its beginning, are left out.
    pub(super) fn parts(&self) -> Vec<ExplainedPart> {
        let response = self.view.response;
        let (actual, accepted) = (response.status(), &self.filter.status);
        let matched = accepted.accepts(actual);
        let status = ExplainedPart::Status { matched, expected: accepted.to_string(), actual };
        let others: Vec<_> = match response.is_cut() {
            true => self.headers().into_iter().filter_map(Result::ok).collect(),
            false => self.each().filter_map(Result::ok).cloned().collect(),
        };
        [status].into_iter().chain(others).collect()
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
        for part in self.each() {
            parts.push(match part? {
                ExplainedPart::Headers(explained) => format!("headers:\n{}", indented(explained)),
                ExplainedPart::Text(explained) => format!("body as text:\n{}", indented(explained)),
                ExplainedPart::Body(explained) => format!("body:\n{}", indented(explained)),
                other => other.summary().unwrap_or_default(),
            });
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

fn indented(explanation: &Explanation) -> String {
    explanation.to_string().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
