//! Why a response filter matches a response or not, part by part, as data.

use filter::Explanation;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::{Value, json};

/// A part of a response filter and how a response meets it; from [`PollSpec::explain`](crate::PollSpec::explain).
///
/// ```
/// use poller::{PollSpec, RecordedResponse};
///
/// let spec = PollSpec::parse(
///     r#"{"url": "https://api.example.com/job", "responseFilter": {"body": {"status": ["SUCCESS"], "n": [1]}}}"#,
/// )?;
/// let running = RecordedResponse::new(200, [("x", "y")], r#"{"status": "RUNNING", "n": 1}"#);
/// let parts = spec.explain(&running);
/// assert_eq!(parts.iter().map(|part| (part.name(), part.matched())).collect::<Vec<_>>(), [("status", true), ("body", false)]);
/// assert_eq!(parts[1].conditions(), (1, 2), "one of two conditions holds");
/// # Ok::<(), poller::SpecError>(())
/// ```
///
/// In JSON it is an object: `part` is its [name](Self::name); `matched`, `summary` and `conditions` are those of an
/// [`Explanation`]. A body that is not JSON has a `summary` and no `conditions`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExplainedPart {
    /// The status.
    Status {
        /// Whether the filter accepts it.
        matched: bool,
        /// What the filter accepts, in words.
        expected: String,
        /// The status.
        actual: u16,
    },
    /// The headers.
    Headers(Explanation),
    /// The body as JSON.
    Body(Explanation),
    /// The body as JSON, which it is not: what it looks like, in words.
    NotJson(String),
    /// The body as text.
    Text(Explanation),
}

impl ExplainedPart {
    /// `status`, `headers`, `body` or `text`, as in a spec.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Headers(_) => "headers",
            Self::Body(_) | Self::NotJson(_) => "body",
            Self::Text(_) => "text",
        }
    }

    /// Whether the response meets this part.
    #[must_use]
    pub fn matched(&self) -> bool {
        match self {
            Self::Status { matched, .. } => *matched,
            Self::NotJson(_) => false,
            Self::Headers(explanation) | Self::Body(explanation) | Self::Text(explanation) => {
                explanation.matched()
            }
        }
    }

    /// The number of conditions that hold, and of all; a body that is not JSON counts as one.
    #[must_use]
    pub fn conditions(&self) -> (usize, usize) {
        match self {
            Self::Status { matched, .. } => (usize::from(*matched), 1),
            Self::NotJson(_) => (0, 1),
            Self::Headers(explanation) | Self::Body(explanation) | Self::Text(explanation) => {
                let held = explanation.checks().filter(|check| check.held()).count();
                (held, explanation.checks().count())
            }
        }
    }

    /// One line that names the nearest miss; `None` if the part matches.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        match self {
            Self::Status { matched: true, .. } => None,
            Self::Status { expected, actual, .. } => {
                Some(format!("HTTP status is {actual}, expected {expected}"))
            }
            Self::NotJson(summary) => Some(summary.clone()),
            Self::Headers(explanation) | Self::Body(explanation) | Self::Text(explanation) => {
                explanation.summary()
            }
        }
    }
}

impl Serialize for ExplainedPart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("part", self.name())?;
        map.serialize_entry("matched", &self.matched())?;
        map.serialize_entry("summary", &self.summary())?;
        match self {
            Self::Status { matched, expected, actual } => {
                let condition = json!({
                    "path": "status", "expected": expected, "actual": actual.to_string(), "held": matched,
                });
                map.serialize_entry("conditions", &[condition])?;
            }
            Self::NotJson(_) => {}
            Self::Headers(explanation) | Self::Body(explanation) | Self::Text(explanation) => {
                let whole = serde_json::to_value(explanation).unwrap_or_default();
                map.serialize_entry("conditions", whole.get("conditions").unwrap_or(&Value::Null))?;
            }
        }
        map.end()
    }
}
