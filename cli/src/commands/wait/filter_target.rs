//! Decides whether the filter of `--until` applies to the whole response or to its body.
//!
//! Both are objects and both commonly have a member `status`: the status code of the response, the state of the job in
//! the body. The form of the value decides: status codes are numbers or patterns such as `"200"`, `"2xx"` and
//! `"500-599"`, states of jobs are words. The rule is documented in `--help`, the decision is printed before the first
//! request, and an ambiguous filter is pointed out.

use filter::json::{Kind, Node};
use poller::StatusFilter;

/// What a filter applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FilterTarget {
    /// The response: all members are parts of one.
    Response,
    /// The body; `ambiguous` names a member that could be a part of the response and another member that could not.
    Body { ambiguous: Option<(String, String)> },
}

impl FilterTarget {
    /// The body, without ambiguity.
    pub(super) const BODY: Self = Self::Body { ambiguous: None };

    pub(super) fn guess(filter: &Node) -> Self {
        let Kind::Object(members) = &filter.kind else { return Self::BODY };
        let is_part = |key: &str, value: &Node| match key {
            "status" => is_status_list(value),
            "headers" | "header" | "body" => matches!(value.kind, Kind::Object(_)),
            "text" => has_operators(value),
            "consecutive" => matches!(value.kind, Kind::Number(_)),
            _ => false,
        };
        let (parts, others): (Vec<_>, Vec<_>) =
            members.iter().partition(|member| is_part(&member.key, &member.value));
        match (parts.first(), others.first()) {
            (_, None) => Self::Response,
            (part, Some(other)) => {
                Self::Body { ambiguous: part.map(|part| (part.key.clone(), other.key.clone())) }
            }
        }
    }

    /// The message about an ambiguous filter.
    pub(super) fn ambiguity(&self) -> Option<String> {
        let Self::Body { ambiguous: Some((part, other)) } = self else { return None };
        Some(format!(
            "is read as a filter for the body: {part:?} could be a part of the response, but {other:?} is none"
        ))
    }
}

/// Whether the value is an object of operators, such as `{"$contains": "ready"}`.
fn has_operators(value: &Node) -> bool {
    let Kind::Object(members) = &value.kind else { return false };
    !members.is_empty() && members.iter().all(|member| member.key.starts_with('$'))
}

/// Whether the value lists status codes or patterns of them.
fn is_status_list(value: &Node) -> bool {
    match &value.kind {
        Kind::Number(_) => true,
        Kind::String(text) => {
            text.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<StatusFilter>().is_ok()
        }
        Kind::Array(elements) => {
            !elements.is_empty()
                && elements
                    .iter()
                    .all(|element| !matches!(element.kind, Kind::Array(_)) && is_status_list(element))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(text: &str) -> FilterTarget {
        FilterTarget::guess(&filter::json::parse(text, &filter::Limits::default()).unwrap())
    }

    #[test]
    fn a_filter_of_response_parts_applies_to_the_response() {
        for text in [
            "{}",
            r#"{"status":[200]}"#,
            r#"{"status":200}"#,
            r#"{"status":["2xx","500-599","404"]}"#,
            r#"{"headers":{"x":["y"]}}"#,
            r#"{"text":{"$contains":"ready"}}"#,
            r#"{"status":[200],"consecutive":3}"#,
            r#"{"header":{"x":["y"]},"body":{}}"#,
            r#"{"status":[200],"body":{"status":["SUCCESS"]}}"#,
        ] {
            assert_eq!(guess(text), FilterTarget::Response, "{text}");
        }
    }

    #[test]
    fn any_other_filter_applies_to_the_body() {
        for text in [
            r#"{"status":["SUCCESS"]}"#,
            r#"{"status":"done"}"#,
            r#"{"status":[]}"#,
            r#"{"status":[200,"SUCCESS"]}"#,
            r#"{"status":{"$gte":200}}"#,
            r#"{"body":["text"]}"#,
            r#"{"text":["ready"]}"#,
            r#"{"text":{}}"#,
            r#"{"text":{"words":{"$gt":1}}}"#,
            r#"{"done":true}"#,
            "[1]",
        ] {
            assert_eq!(guess(text), FilterTarget::BODY, "{text}");
        }
    }

    #[test]
    fn an_ambiguous_filter_is_pointed_out() {
        let target = guess(r#"{"status":[200],"bdy":{"status":["SUCCESS"]}}"#);
        let note = target.ambiguity().unwrap();
        assert!(note.contains("\"status\"") && note.contains("\"bdy\""), "{note}");
        assert_eq!(guess(r#"{"done":true}"#).ambiguity(), None);
    }
}
