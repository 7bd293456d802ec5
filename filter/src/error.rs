//! The error of a filter that does not compile; it lists everything that is wrong.

use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::json::JsonError;

/// A filter did not compile; [`diagnostics`](Self::diagnostics) lists the reasons in the order of the text.
///
/// ```
/// let error = filter::Filter::parse(r#"{"a": [], "b": {"$gt": "1"}}"#).unwrap_err();
/// assert_eq!(error.diagnostics().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FilterError {
    diagnostics: Vec<Diagnostic>,
    source: Option<Box<JsonError>>,
}

impl FilterError {
    /// `diagnostics` is never empty.
    pub(crate) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        debug_assert!(!diagnostics.is_empty(), "an error without a reason");
        Self { diagnostics, source: None }
    }

    /// The text was not JSON.
    pub(crate) fn not_json(error: JsonError) -> Self {
        Self { diagnostics: vec![error.diagnostic().clone()], source: Some(Box::new(error)) }
    }

    /// The reasons; never empty. Of more than a hundred, the first hundred and the number of the others, as one diagnostic
    /// with the code [`Code::More`](crate::Code::More).
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl fmt::Display for FilterError {
    /// One line per diagnostic.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FilterError {
    /// The [`JsonError`], if the text was not JSON.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}
