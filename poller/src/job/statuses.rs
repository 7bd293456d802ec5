//! The statuses that a filter accepts, what a filter accepts that names none, and how both are read and written.

use std::fmt;
use std::str::FromStr;

use filter::Dialect;
use filter::decode::{Place, child, describe};
use filter::json::Kind;
use retry::status::{StatusError, StatusPattern, StatusSet};
use serde_json::{Value, json};

use super::read::Reader;
use super::schema::STATUS;

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
    /// Any 2xx: a `responseFilter` that names no status, so that no error page is taken for a result.
    #[must_use]
    pub fn success() -> Self {
        Self::of_ranges([(200, 299)])
    }

    /// Any 2xx but 202, which says that the work is not done: a spec without a `responseFilter`.
    #[must_use]
    pub fn done() -> Self {
        Self::of_ranges([(200, 201), (203, 299)])
    }

    /// Any but 408, 425, 429 and 5xx, which say nothing about the job: a `failureFilter` that names no status.
    #[must_use]
    pub fn about_the_job() -> Self {
        Self::of_ranges([(100, 407), (409, 424), (426, 428), (430, 499), (600, 999)])
    }

    /// Every status: `"all"`.
    #[must_use]
    pub fn all() -> Self {
        Self { accepted: StatusSet::from_iter([StatusPattern::ALL]) }
    }

    fn of_ranges<const N: usize>(ranges: [(u16, u16); N]) -> Self {
        let patterns = ranges.into_iter().flat_map(|(first, last)| StatusPattern::range(first, last));
        Self { accepted: patterns.collect() }
    }

    /// Whether this status is accepted. Linear in the number of patterns.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        self.accepted.matches(status)
    }

    pub(super) fn is_all(&self) -> bool {
        self.accepted.patterns().iter().any(StatusPattern::is_all)
    }

    pub(super) fn to_value(&self) -> Value {
        let texts = self.accepted.patterns().iter().map(StatusPattern::to_string);
        texts.map(|text| text.parse::<u16>().map_or_else(|_| Value::from(text), Value::from)).collect()
    }
}

impl FromStr for StatusFilter {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        Ok(Self { accepted: text.parse()? })
    }
}

impl fmt::Display for StatusFilter {
    /// As a person lists them: `200, 201 or 3xx`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: [(fn() -> Self, _); 3] = [
            (Self::success, "2xx"),
            (Self::done, "2xx other than 202"),
            (Self::about_the_job, "any but 408, 425, 429 and 5xx"),
        ];
        if let Some((_, name)) = named.iter().find(|(filter, _)| filter() == *self) {
            return f.write_str(name);
        }
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

/// The statuses of redirects, which the client follows.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Whether a pattern is about redirects: of the statuses that it covers, all are 3xx and one is a redirect.
fn names_redirects(pattern: &StatusPattern) -> bool {
    REDIRECTS.iter().any(|status| pattern.matches(*status)) && !pattern.matches(299) && !pattern.matches(400)
}

impl Reader<'_> {
    /// The statuses of a filter; the empty list of the trigger-dev dialect is any status.
    pub(super) fn status_filter(&mut self, place: Place<'_>) -> Option<StatusFilter> {
        let elements = match &place.node.kind {
            Kind::Array(elements) => elements.as_slice(),
            _ => std::slice::from_ref(place.node),
        };
        if elements.is_empty() {
            if self.dialect == Dialect::TriggerDev {
                return Some(StatusFilter::all());
            }
            let help = "write \"all\" to accept any status";
            let message = "found an empty array, expected at least one status";
            return self.refuse_with_help(place, message, help);
        }
        let mut patterns = Vec::with_capacity(elements.len());
        for (index, node) in elements.iter().enumerate() {
            let pointer = match &place.node.kind {
                Kind::Array(_) => child(place.pointer, &index.to_string()),
                _ => place.pointer.to_owned(),
            };
            let element = Place { node, pointer: &pointer };
            let number = element.whole().map(|number| number.to_string());
            let text = number.or_else(|| element.text().map(str::to_owned));
            match text.map(|text| text.parse::<StatusPattern>()) {
                Some(Ok(pattern)) => {
                    self.warn_of_redirects(element, &pattern);
                    patterns.push(pattern);
                }
                _ => self.problems.error(
                    element,
                    format!(
                        "found {}, expected a status (200), a class (\"2xx\"), a range (\"500-599\") or \"all\"",
                        describe(node)
                    ),
                ),
            }
        }
        Some(StatusFilter { accepted: StatusSet::from_iter(patterns) })
    }

    pub(super) fn warn_of_redirects(&mut self, place: Place<'_>, pattern: &StatusPattern) {
        if names_redirects(pattern) {
            self.problems.warn(
                place,
                format!("redirects are followed, so no response has the status {pattern}"),
                "name a status of the page that the redirect leads to, or ask that page directly",
            );
        }
    }
}

/// The schema of the statuses of a filter.
pub(super) fn schema(dialect: Dialect) -> Value {
    let status = json!({"anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 999},
        {"type": "string", "pattern": format!("^{STATUS}$")},
    ]});
    let at_least = u32::from(dialect != Dialect::TriggerDev);
    json!({"anyOf": [status, {"type": "array", "items": status, "minItems": at_least}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_accepts_that_names_no_status() {
        let rejected = |filter: &StatusFilter, statuses: &[u16]| -> Vec<u16> {
            statuses.iter().copied().filter(|status| !filter.accepts(*status)).collect()
        };
        let statuses = [100, 200, 202, 204, 299, 300, 404, 408, 425, 429, 499, 500, 503, 599, 600, 999];
        assert_eq!(rejected(&StatusFilter::success(), &statuses[1..5]), [] as [u16; 0]);
        assert_eq!(rejected(&StatusFilter::done(), &statuses[..6]), [100, 202, 300]);
        assert_eq!(rejected(&StatusFilter::about_the_job(), &statuses), [408, 425, 429, 500, 503, 599]);
        assert_eq!(rejected(&StatusFilter::all(), &statuses), [] as [u16; 0]);
    }

    #[test]
    fn only_patterns_of_3xx_name_redirects() {
        for (text, named) in [
            ("302", true),
            ("3xx", true),
            ("301-308", true),
            ("304", false),
            ("200-399", false),
            ("all", false),
        ] {
            assert_eq!(names_redirects(&text.parse().unwrap()), named, "{text}");
        }
    }
}
