//! Errors as `application/problem+json` (RFC 9457).
//!
//! The type of a problem is `/problems/NAME`, a relative reference that the service itself answers with a description. Names
//! and statuses are an interface; [`Kind::ALL`] is their only list.

use std::error::Error as _;
use std::fmt::Write as _;

use axum::response::{IntoResponse, Response};
use filter::{Diagnostic, Severity};
use http::{HeaderValue, StatusCode, header};
use poller::store::StoreError;
use poller::{ErrorKind, SpecError};
use serde::Serialize;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $status:ident, $title:literal;)+) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            pub(crate) const ALL: &[Self] = &[$(Self::$kind),+];

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)+ }
            }

            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)+ }
            }

            /// The description for people.
            pub(crate) const fn description(self) -> &'static str {
                match self { $(Self::$kind => concat!($($doc, "\n"),+),)+ }
            }
        }
    };
}

kinds! {
    /// A parameter, header or body of the request is not what this call expects; `detail` says which and what is expected.
    BadRequest = "bad-request", BAD_REQUEST, "the request cannot be understood";
    /// The call needs a key: `Authorization: Bearer KEY`. The key is missing, unknown, or was removed.
    Unauthorized = "unauthorized", UNAUTHORIZED, "no valid key";
    /// The key lacks the right for this call; or, of a service without keys, the request comes from a web page of another
    /// origin, or names a host that is not this machine.
    Forbidden = "forbidden", FORBIDDEN, "not allowed";
    /// There is no such poll, path or page; or the key may not see it.
    NotFound = "not-found", NOT_FOUND, "not found";
    /// The path exists, and has no such method; the header `Allow` lists those it has.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "no such method";
    /// The client took too long to send its request.
    Timeout = "timeout", REQUEST_TIMEOUT, "the request did not arrive in time";
    /// A poll of this key exists with another spec; `fields` lists the members that differ, as JSON pointers.
    Conflict = "conflict", CONFLICT, "the key belongs to another spec";
    /// The poll is open, and the call is for finished polls: cancel it first, or wait.
    Open = "open", CONFLICT, "the poll is open";
    /// The poll has ended, and not with a match: it has no result. Its outcome says why.
    NotMatched = "not-matched", CONFLICT, "the poll did not match";
    /// The body of the request is larger than this call accepts.
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "the body is too large";
    /// The spec has errors; `diagnostics` lists all of them.
    InvalidSpec = "invalid-spec", UNPROCESSABLE_ENTITY, "the spec is invalid";
    /// The filter has errors; `diagnostics` lists all of them.
    InvalidFilter = "invalid-filter", UNPROCESSABLE_ENTITY, "the filter is invalid";
    /// A quota is used up: of the key, or of the whole service. The header `Retry-After` says when to try again.
    Quota = "quota", TOO_MANY_REQUESTS, "a quota is used up";
    /// The store cannot be used, or the service is about to stop. The header `Retry-After` says when to try again.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "the service is not available";
}

/// An error of a call. In a box, because every result of a handler has room for one.
#[derive(Debug)]
pub(crate) struct Problem(Box<Content>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(skip)]
    kind: Kind,
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<DiagnosticView>,
    #[serde(skip)]
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

/// A diagnostic of a spec or filter.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiagnosticView {
    severity: &'static str,
    code: &'static str,
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span: Option<SpanView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

/// Bytes of the text that was sent.
#[derive(Clone, Copy, Debug, Serialize)]
struct SpanView {
    start: usize,
    end: usize,
}

/// Diagnostics as data; `text` is what their spans point into. Linear in the length of the text and of the diagnostics.
pub(crate) fn diagnostics(found: &[Diagnostic], text: Option<&str>) -> Vec<DiagnosticView> {
    let mut lines = text.map(Lines::new);
    found
        .iter()
        .map(|diagnostic| {
            let span = diagnostic.span();
            let place = span.zip(lines.as_mut()).map(|(span, lines)| lines.place(span.start));
            DiagnosticView {
                severity: if diagnostic.severity() == Severity::Error { "error" } else { "warning" },
                code: diagnostic.code().name(),
                pointer: diagnostic.pointer().to_owned(),
                span: span
                    .filter(|_| text.is_some())
                    .map(|span| SpanView { start: span.start, end: span.end }),
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
                message: diagnostic.message().to_owned(),
                help: diagnostic.help().map(str::to_owned),
            }
        })
        .collect()
}

/// Lines and columns of a text, both from 1, columns in characters. Remembers the last place, because diagnostics mostly
/// come in the order of the text, and a text may be one long line.
struct Lines<'t> {
    text: &'t str,
    at: usize,
    place: (usize, usize),
}

impl<'t> Lines<'t> {
    const fn new(text: &'t str) -> Self {
        Self { text, at: 0, place: (1, 1) }
    }

    fn place(&mut self, mut offset: usize) -> (usize, usize) {
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        if offset < self.at {
            (self.at, self.place) = (0, (1, 1));
        }
        for letter in self.text.get(self.at..offset).unwrap_or_default().chars() {
            self.place =
                if letter == '\n' { (self.place.0 + 1, 1) } else { (self.place.0, self.place.1 + 1) };
        }
        self.at = offset;
        self.place
    }
}

/// How long a client should wait for a store or service that is away.
const RETRY_AFTER: &str = "5";

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Content {
            kind,
            r#type: format!("/problems/{}", kind.name()),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.into(),
            fields: Vec::new(),
            diagnostics: Vec::new(),
            headers: Vec::new(),
        }))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what}"))
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail).with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// The service ends.
    pub(crate) fn stopping() -> Self {
        Self::unavailable("the service is stopping; its polls go on with its next start")
    }

    pub(crate) fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// The errors of a spec or filter, whose text is `text`.
    pub(crate) fn invalid(kind: Kind, found: &[Diagnostic], text: Option<&str>) -> Self {
        let errors = found.iter().filter(|diagnostic| diagnostic.severity() == Severity::Error);
        let mut detail = String::new();
        for (position, error) in errors.enumerate() {
            if position == 3 {
                detail.push_str("; …");
                break;
            }
            let before = if position == 0 { "" } else { "; " };
            let at =
                if error.pointer().is_empty() { String::new() } else { format!("{}: ", error.pointer()) };
            let _ = write!(detail, "{before}{at}{}", error.message());
        }
        let mut problem = Self::new(kind, detail);
        problem.0.diagnostics = diagnostics(found, text);
        problem
    }

    pub(crate) fn invalid_spec(error: &SpecError, text: &str) -> Self {
        Self::invalid(Kind::InvalidSpec, error.diagnostics(), Some(text))
    }
}

impl From<StoreError> for Problem {
    /// The message names files of this machine, which are for its operator: the log has it.
    fn from(error: StoreError) -> Self {
        tracing::error!(target: "service", %error, "the store failed");
        Self::unavailable("the store cannot be used; the log of the service says why")
    }
}

impl From<poller::Error> for Problem {
    fn from(error: poller::Error) -> Self {
        let message = error.to_string();
        match error.kind() {
            ErrorKind::Spec => match error.source().and_then(|source| source.downcast_ref::<SpecError>()) {
                Some(spec) => Self::invalid(Kind::InvalidSpec, spec.diagnostics(), None),
                None => Self::invalid(Kind::InvalidSpec, &[Diagnostic::error(message)], None),
            },
            ErrorKind::Conflict => {
                let mut problem = Self::new(Kind::Conflict, message);
                problem.0.fields = error.conflicting_fields().to_vec();
                problem
            }
            ErrorKind::Full => Self::new(Kind::Quota, message).with_header(header::RETRY_AFTER, RETRY_AFTER),
            ErrorKind::NotFound => Self::new(Kind::NotFound, message),
            ErrorKind::Shutdown => Self::stopping(),
            ErrorKind::Store => {
                tracing::error!(target: "service", %error, "the store failed");
                Self::unavailable("the store cannot be used; the log of the service says why")
            }
            _ => {
                tracing::error!(target: "service", %error, "a call failed");
                Self::unavailable("the call failed; the log of the service says why")
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (self.0.kind.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.0.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let mut lines = Lines::new("ä\nbc\n\nd");
        assert_eq!(
            [0, 2, 3, 4, 6, 7].map(|at| lines.place(at)),
            [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1)]
        );
        assert_eq!(lines.place(1), (1, 1), "inside a character, its beginning");
        assert_eq!(lines.place(100), (4, 2), "behind the end, the end");
    }

    #[test]
    fn names_are_different_and_fit_paths() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }
}
