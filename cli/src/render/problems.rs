//! The errors and warnings of a command as data, beside their text for people.
//!
//! `--json` and the formats of `check` promise machines the same problems that people read on standard error. Every problem
//! is therefore recorded where it is printed, and only there: no second path could drift from the first.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// An error or warning. Its texts are not sanitized, since JSON escapes control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// `error` or `warning`.
    pub(crate) severity: &'static str,
    /// The name of its kind, such as `unknown-operator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// The JSON pointer of the value.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) pointer: String,
    #[serde(flatten)]
    pub(crate) place: Option<Place>,
}

/// A place in a text. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    /// The path of the file, or the name of the argument.
    pub(crate) file: String,
    #[serde(flatten)]
    pub(crate) range: Option<Range>,
}

/// From the first character to behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Range {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
}

impl Problem {
    /// An error without a place.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: "error", code: None, message, help: None, pointer: String::new(), place: None }
    }
}

/// The problems that were printed, if anything will read them; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    /// `None` where nothing reads them: a batch may have a million.
    recorded: Option<Arc<Mutex<Vec<Problem>>>>,
}

impl Problems {
    /// A collection that keeps what is recorded only if it is `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        Self { recorded: wanted.then(Arc::default) }
    }

    /// Keeps a problem that has been printed.
    pub(crate) fn record(&self, problem: impl FnOnce() -> Problem) {
        if let Some(recorded) = &self.recorded {
            let problem = problem();
            recorded.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
        }
    }

    /// All problems so far, in the order in which they were printed; the collection is empty afterwards.
    pub(crate) fn take(&self) -> Vec<Problem> {
        let recorded = self.recorded.as_ref().map(|recorded| recorded.lock());
        recorded
            .map(|recorded| mem::take(&mut *recorded.unwrap_or_else(PoisonError::into_inner)))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_unless_it_is_wanted() {
        let problems = Problems::new(false);
        problems.record(|| panic!("not even made"));
        assert!(problems.take().is_empty());
        let problems = Problems::new(true);
        problems.record(|| Problem::error("no"));
        assert_eq!(problems.take(), [Problem::error("no")]);
        assert!(problems.take().is_empty());
    }

    #[test]
    fn absent_members_are_left_out() {
        let text = |problem| serde_json::to_string(&problem).unwrap();
        assert_eq!(text(Problem::error("no")), r#"{"severity":"error","message":"no"}"#);
        let range = Range { line: 1, column: 2, end_line: 1, end_column: 4 };
        let place = Place { file: "a.json".to_owned(), range: Some(range) };
        assert_eq!(
            text(Problem { place: Some(place), ..Problem::error("no") }),
            r#"{"severity":"error","message":"no","file":"a.json","line":1,"column":2,"endLine":1,"endColumn":4}"#
        );
    }
}
