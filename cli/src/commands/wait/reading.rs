//! Whether FILTER in `--until FILTER` is for the response or for its body.
//!
//! Both are objects, and `status` is a member of both in real life: the status code of the response, the state of the
//! job in the body. What a status code looks like decides: it is a number or `"200"`, `"2xx"`, `"500-599"`, and the
//! states of jobs are not. The rule is in `--help`, the result is told before the first request, and a filter that
//! was read as one for the body although a part of it looks like the other kind is remarked on.

use filter::json::{Kind, Node};
use poller::StatusFilter;

/// What a filter was taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It has the parts `status`, `headers`, `body`.
    Response,
    /// It is held against the body; `despite` names a member that looks like a part of the response, and one that does not.
    Body { despite: Option<(String, String)> },
}

impl Reading {
    /// `--until-body` leaves nothing to guess.
    pub(super) const fn asked_for_body() -> Self {
        Self::Body { despite: None }
    }

    /// What this filter is taken for.
    pub(super) fn of(filter: &Node) -> Self {
        let Kind::Object(members) = &filter.kind else { return Self::asked_for_body() };
        let is_part = |key: &str, value: &Node| match key {
            "status" => is_status_list(value),
            "headers" | "header" | "body" => matches!(value.kind, Kind::Object(_)),
            _ => false,
        };
        let (parts, others): (Vec<_>, Vec<_>) =
            members.iter().partition(|member| is_part(&member.key, &member.value));
        match (parts.first(), others.first()) {
            (_, None) => Self::Response,
            (Some(part), Some(other)) => Self::Body { despite: Some((part.key.clone(), other.key.clone())) },
            (None, Some(_)) => Self::asked_for_body(),
        }
    }

    /// What to say about a doubtful reading.
    pub(super) fn note(&self) -> Option<String> {
        let Self::Body { despite: Some((part, other)) } = self else { return None };
        Some(format!(
            "is read as a filter for the body: {part:?} could be a part of the response, but {other:?} is none"
        ))
    }
}

/// Status codes and patterns of them; the states of jobs are words.
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

    fn read(text: &str) -> Reading {
        Reading::of(&filter::json::parse(text, &filter::Limits::default()).unwrap())
    }

    #[test]
    fn a_filter_with_only_parts_of_a_response_is_for_the_response() {
        for text in [
            "{}",
            r#"{"status":[200]}"#,
            r#"{"status":200}"#,
            r#"{"status":["2xx","500-599","404"]}"#,
            r#"{"headers":{"x":["y"]}}"#,
            r#"{"header":{"x":["y"]},"body":{}}"#,
            r#"{"status":[200],"body":{"status":["SUCCESS"]}}"#,
        ] {
            assert_eq!(read(text), Reading::Response, "{text}");
        }
    }

    #[test]
    fn anything_else_is_for_the_body() {
        for text in [
            r#"{"status":["SUCCESS"]}"#,
            r#"{"status":"done"}"#,
            r#"{"status":[]}"#,
            r#"{"status":[200,"SUCCESS"]}"#,
            r#"{"status":{"$gte":200}}"#,
            r#"{"body":["text"]}"#,
            r#"{"done":true}"#,
            "[1]",
        ] {
            assert_eq!(read(text), Reading::asked_for_body(), "{text}");
        }
    }

    #[test]
    fn a_doubtful_reading_is_remarked_on() {
        let reading = read(r#"{"status":[200],"bdy":{"status":["SUCCESS"]}}"#);
        let note = reading.note().unwrap();
        assert!(note.contains("\"status\"") && note.contains("\"bdy\""), "{note}");
        assert_eq!(read(r#"{"done":true}"#).note(), None);
    }
}
