//! Which responses a filter accepts: by status, headers, body. Each part that is given must hold.

use filter::Filter;
use retry::status::StatusSet;
use serde_json::{Map, Value};

/// A `responseFilter` or `failureFilter`. Without any part it accepts every response.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ResponseFilter {
    /// Which statuses are accepted; `None` for any.
    pub status: Option<StatusFilter>,
    /// What the headers must be like, as an object of lower-cased names and strings.
    pub headers: Option<Filter>,
    /// What the JSON body must be like. A body that is not JSON is not accepted.
    pub body: Option<Filter>,
}

impl ResponseFilter {
    /// Accepts any 2xx: what counts as done when a spec has no `responseFilter`.
    #[must_use]
    pub fn success() -> Self {
        Self { status: Some(StatusFilter::success()), headers: None, body: None }
    }

    pub(super) fn to_value(&self) -> Value {
        let mut members = Map::new();
        if let Some(status) = &self.status {
            members.insert("status".into(), status.to_value());
        }
        if let Some(headers) = &self.headers {
            members.insert("headers".into(), headers.to_value());
        }
        if let Some(body) = &self.body {
            members.insert("body".into(), body.to_value());
        }
        Value::Object(members)
    }
}

/// The statuses a filter accepts: numbers and patterns, any of which may apply.
///
/// ```
/// use poller::StatusFilter;
///
/// let accepted: StatusFilter = "200-203,3xx".parse()?;
/// assert!(accepted.accepts(202) && accepted.accepts(304) && !accepted.accepts(204));
/// # Ok::<(), retry::status::StatusError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusFilter {
    accepted: StatusSet,
}

impl StatusFilter {
    pub(super) fn new(accepted: StatusSet) -> Self {
        Self { accepted }
    }

    /// Any 2xx.
    #[must_use]
    pub fn success() -> Self {
        let accepted = retry::status::StatusPattern::range(200, 299);
        Self { accepted: accepted.into_iter().collect() }
    }

    /// Whether this status is accepted. Linear in the number of patterns.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        self.accepted.matches(status)
    }

    fn to_value(&self) -> Value {
        self.accepted
            .patterns()
            .iter()
            .map(|pattern| {
                let text = pattern.to_string();
                text.parse::<u16>().map_or_else(|_| Value::from(text), Value::from)
            })
            .collect()
    }
}

impl std::str::FromStr for StatusFilter {
    type Err = retry::status::StatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::new)
    }
}

impl std::fmt::Display for StatusFilter {
    /// As a person lists them: `200, 201 or 3xx`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns = self.accepted.patterns();
        for (position, pattern) in patterns.iter().enumerate() {
            let separator = match position {
                0 => "",
                _ if position + 1 == patterns.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{pattern}")?;
        }
        Ok(())
    }
}
