//! Judges responses: the only place where filters, retry rules and hints are applied to a response.
//!
//! Judging is pure and independent of the poll's history, so it runs in the worker that received the response; the state
//! machine decides what follows from a [`Judgement`]. The order is that of the specification: failure filter, response
//! filter, then, if neither matched, the first retry rule that applies and the server's hint.
//!
//! Bodies are read as [`Document`]s, as by `poll match`: serde_json alone rounds some floats to a neighbour and reads
//! integers past 2⁶⁴ as floats.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filter::{Document, Explanation, Filter, JsonError};
use retry::strategy::{HeadersStrategy, Strategy};
use serde_json::{Map, Value};

use crate::fetch::{FetchError, FetchErrorKind};
use crate::history::Note;
use crate::job::{PollSpec, ResponseFilter};
use crate::redact::Secrets;
use crate::response::RecordedResponse;

/// The judged result of one attempt.
#[derive(Clone, Debug)]
pub(crate) enum Judgement {
    /// The failure filter matched.
    Failed { response: RecordedResponse, explanation: String },
    /// The response filter matched.
    Matched { response: RecordedResponse },
    /// A complete response that neither filter matched.
    Unmatched(Unmatched),
    /// No complete response.
    Error(FetchError),
}

#[derive(Clone, Debug)]
pub(crate) struct Unmatched {
    pub(crate) response: Arc<UnmatchedResponse>,
    /// The first retry rule that applies.
    pub(crate) retry: Option<Retry>,
    /// The delay that the server asked for.
    pub(crate) hint: Option<Duration>,
    /// Whether another request cannot succeed.
    pub(crate) hopeless: bool,
}

/// A response that neither filter matched. A poll keeps the last one and compares the next to it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnmatchedResponse {
    pub(crate) response: RecordedResponse,
    /// The unmet conditions on one line.
    pub(crate) note: Note,
}

/// A retry rule that applies to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Backoff by the options of the rule with this index.
    Backoff(usize),
    /// After the delay that the headers of the response name.
    Headers(Duration),
}

/// Statuses that repeat until the request or the server is changed.
const HOPELESS: [u16; 5] = [400, 401, 403, 405, 410];

/// Judges a response that arrived at `now`. Linear in its size and the size of the filters.
///
/// Most responses of a running job repeat the one before. A response that equals `previous` in every part that the
/// filters read is not parsed again, and shares its note.
///
/// The judgement never quotes the `secrets` of the request, even if the response echoes them.
pub(crate) fn judge(
    spec: &PollSpec,
    mut response: RecordedResponse,
    secrets: &Secrets,
    previous: Option<&Arc<UnmatchedResponse>>,
    now: SystemTime,
) -> Judgement {
    let view = ResponseView::new(&response, spec);
    let unchanged = previous.filter(|previous| view.equals(&previous.response));
    if unchanged.is_none() {
        if let Some(filter) = spec.failure_filter()
            && view.meets(filter)
        {
            let explanation = format!("the failure filter matched: {}", secrets.hide(&view.why(filter)));
            return Judgement::Failed { response, explanation };
        }
        if view.meets(spec.response_filter()) {
            return Judgement::Matched { response };
        }
    }
    let status = response.status();
    let (note, echoes) = match unchanged {
        Some(previous) => (Arc::clone(&previous.note), previous.response.echoes()),
        None => UnmetConditions::new(&view, spec.response_filter()).redacted(secrets),
    };
    let retry = view.retry(spec, now);
    let hint = retry::hint::from_response(status, response.headers().iter(), now).map(|hint| hint.delay);
    let hopeless = HOPELESS.contains(&status) && !expects(spec, status);
    response.set_echoes(echoes);
    let kept = match unchanged {
        Some(previous) if previous.response == response => Arc::clone(previous),
        _ => Arc::new(UnmatchedResponse { response, note }),
    };
    Judgement::Unmatched(Unmatched { response: kept, retry, hint, hopeless })
}

/// Why the response filter of `spec` does not match `response`, in several lines for a person.
///
/// The text quotes the response; see [`RecordedResponse::echoes`].
pub(crate) fn explain(spec: &PollSpec, response: &RecordedResponse) -> String {
    UnmetConditions::new(&ResponseView::new(response, spec), spec.response_filter()).in_full()
}

/// Whether the spec names this status, which then is an expected state of the job and not hopeless.
fn expects(spec: &PollSpec, status: u16) -> bool {
    let listed =
        |filter: &ResponseFilter| filter.status.as_ref().is_some_and(|listed| listed.accepts(status));
    listed(spec.response_filter())
        || spec.failure_filter().is_some_and(listed)
        || spec.retry().iter().any(|rule| !rule.statuses.is_all() && rule.statuses.matches(status))
}

/// A response in the forms that filters read, each built only if a filter needs it.
struct ResponseView<'a> {
    response: &'a RecordedResponse,
    looks_at_headers: bool,
    headers: OnceCell<Value>,
    looks_at_body: bool,
    body: OnceCell<Result<Document<'a>, JsonError>>,
}

impl<'a> ResponseView<'a> {
    fn new(response: &'a RecordedResponse, spec: &PollSpec) -> Self {
        let filters = || spec.failure_filter().into_iter().chain([spec.response_filter()]);
        Self {
            response,
            looks_at_headers: filters().any(|filter| filter.headers.is_some()),
            headers: OnceCell::new(),
            looks_at_body: filters().any(|filter| filter.body.is_some()),
            body: OnceCell::new(),
        }
    }

    /// Whether every filter of the spec gives the same answer for `other`.
    fn equals(&self, other: &RecordedResponse) -> bool {
        let (headers, others) = (self.response.headers(), other.headers());
        let same_headers = headers == others;
        // The note names the content type of a body that is not JSON.
        let same_kind = || same_headers || headers.get("content-type") == others.get("content-type");
        self.response.status() == other.status()
            && (!self.looks_at_headers || same_headers)
            && (!self.looks_at_body || (self.response.body() == other.body() && same_kind()))
    }

    fn headers(&self) -> &Value {
        self.headers.get_or_init(|| {
            let named = self.response.headers().iter();
            Value::Object(Map::from_iter(named.map(|(name, value)| (name.to_owned(), value.into()))))
        })
    }

    fn parsed(&self) -> &Result<Document<'a>, JsonError> {
        self.body.get_or_init(|| Document::from_slice(self.response.body()))
    }

    fn body_meets(&self, filter: &Filter) -> bool {
        self.parsed().as_ref().is_ok_and(|body| filter.matches_document(body))
    }

    fn meets(&self, filter: &ResponseFilter) -> bool {
        filter.status.as_ref().is_none_or(|accepted| accepted.accepts(self.response.status()))
            && filter.headers.as_ref().is_none_or(|filter| filter.matches(self.headers()))
            && filter.body.as_ref().is_none_or(|filter| self.body_meets(filter))
    }

    /// The conditions that made `filter` match, on one line.
    fn why(&self, filter: &ResponseFilter) -> String {
        let mut parts = Vec::new();
        if filter.status.is_some() {
            parts.push(format!("HTTP status is {}", self.response.status()));
        }
        let headers = filter.headers.as_ref().map(|filter| ("header ", filter.explain(self.headers())));
        let body = filter.body.as_ref().zip(self.parsed().as_ref().ok());
        let body = body.map(|(filter, body)| ("", filter.explain_document(body)));
        for (prefix, explanation) in headers.into_iter().chain(body) {
            let held = explanation.checks().filter(|check| check.held());
            parts.extend(held.map(|check| format!("{prefix}{} is {}", check.path(), check.actual())));
        }
        if parts.is_empty() { "it accepts every response".to_owned() } else { parts.join(", ") }
    }

    fn not_json(&self, error: &JsonError) -> String {
        if self.response.body().is_empty() {
            return "the body is empty, expected JSON".to_owned();
        }
        match self.response.headers().get("content-type") {
            Some(kind) => format!("the body is not JSON ({kind}): {error}"),
            None => format!("the body is not JSON: {error}"),
        }
    }

    fn retry(&self, spec: &PollSpec, now: SystemTime) -> Option<Retry> {
        spec.retry().iter().enumerate().find_map(|(index, rule)| {
            let applies = rule.statuses.matches(self.response.status())
                && rule.body.as_ref().is_none_or(|filter| self.body_meets(filter));
            match &rule.strategy {
                _ if !applies => None,
                Strategy::Backoff(_) => Some(Retry::Backoff(index)),
                Strategy::Headers(headers) => self.reset(headers, now).map(Retry::Headers),
            }
        })
    }

    /// The time until the rate limit resets, by the clock of the server, if the limit is exhausted.
    fn reset(&self, strategy: &HeadersStrategy, now: SystemTime) -> Option<Duration> {
        let headers = || self.response.headers().iter();
        // Without a readable remaining count the reset alone decides: waiting too long is a smaller mistake than
        // ignoring a rate limit.
        let left = strategy.remaining(headers()).ok().flatten();
        if left.is_some_and(|left| left > 0.0) {
            return None;
        }
        let delay = strategy.reset(headers(), now).ok()??.delay;
        (!delay.is_zero()).then_some(delay)
    }
}

/// The conditions that a response does not meet, evaluated once for the one-line note and the full text.
struct UnmetConditions<'a> {
    view: &'a ResponseView<'a>,
    filter: &'a ResponseFilter,
    headers: OnceCell<Explanation>,
    body: OnceCell<Result<Explanation, String>>,
}

impl<'a> UnmetConditions<'a> {
    const fn new(view: &'a ResponseView<'a>, filter: &'a ResponseFilter) -> Self {
        Self { view, filter, headers: OnceCell::new(), body: OnceCell::new() }
    }

    fn headers(&self, filter: &Filter) -> &Explanation {
        self.headers.get_or_init(|| filter.explain(self.view.headers()))
    }

    fn body(&self, filter: &Filter) -> Result<&Explanation, &String> {
        let explained = || match self.view.parsed() {
            Ok(body) => Ok(filter.explain_document(body)),
            Err(error) => Err(self.view.not_json(error)),
        };
        self.body.get_or_init(explained).as_ref()
    }

    /// The first unmet part on one line: status, then headers, then body.
    fn note(&self) -> String {
        let status = self.view.response.status();
        if let Some(accepted) = &self.filter.status
            && !accepted.accepts(status)
        {
            return format!("HTTP status is {status}, expected {accepted}");
        }
        if let Some(filter) = &self.filter.headers
            && let Some(unmet) = self.headers(filter).summary()
        {
            return format!("header {unmet}");
        }
        match self.filter.body.as_ref().map(|filter| self.body(filter)) {
            Some(Ok(explained)) => explained.summary().unwrap_or_default(),
            Some(Err(not_json)) => not_json.clone(),
            None => String::new(),
        }
    }

    /// Each part of the filter with the value found.
    fn in_full(&self) -> String {
        let status = self.view.response.status();
        let mut parts = Vec::new();
        if let Some(accepted) = &self.filter.status {
            let held = if accepted.accepts(status) { "holds" } else { "does not hold" };
            parts.push(format!("HTTP status {held}: it is {status}, expected {accepted}"));
        }
        if let Some(filter) = &self.filter.headers {
            parts.push(format!("headers:\n{}", indented(&self.headers(filter).to_string())));
        }
        if let Some(filter) = &self.filter.body {
            parts.push(match self.body(filter) {
                Ok(explained) => format!("body:\n{}", indented(&explained.to_string())),
                Err(not_json) => not_json.clone(),
            });
        }
        parts.join("\n")
    }

    /// The redacted note, and whether the note or the full text contains a secret: the full text is built when the poll
    /// ends, when the secrets are no longer at hand.
    fn redacted(&self, secrets: &Secrets) -> (Note, bool) {
        let note = self.note();
        if secrets.is_empty() {
            return (note.into(), false);
        }
        match secrets.hide(&note) {
            Cow::Owned(hidden) => (hidden.into(), true),
            Cow::Borrowed(_) => {
                let echoes = matches!(secrets.hide(&self.in_full()), Cow::Owned(_));
                (note.into(), echoes)
            }
        }
    }
}

/// The judgement for a request that exceeded its timeout.
pub(crate) fn timed_out(limit: Duration) -> Judgement {
    let limit = Duration::from_millis(u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
    Judgement::Error(FetchError::new(FetchErrorKind::Timeout, format!("no whole response within {limit:?}")))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(judgement: &Judgement) -> &Note {
        match judgement {
            Judgement::Unmatched(unmatched) => &unmatched.response.note,
            other => panic!("{other:?}"),
        }
    }

    fn unmatched(judgement: Judgement) -> Arc<UnmatchedResponse> {
        match judgement {
            Judgement::Unmatched(unmatched) => unmatched.response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_equal_response_is_not_parsed_again() {
        let spec: PollSpec =
            r#"{"url":"https://a.test","responseFilter":{"body":{"status":["SUCCESS"]}}}"#.parse().unwrap();
        let respond = |date: &str, body: &str| RecordedResponse::new(200, [("date", date)], body.to_owned());
        let judge = |response, previous: Option<&Arc<UnmatchedResponse>>| {
            judge(&spec, response, &Secrets::default(), previous, SystemTime::UNIX_EPOCH)
        };

        let first = unmatched(judge(respond("1", r#"{"status":"A"}"#), None));
        let later = judge(respond("2", r#"{"status":"A"}"#), Some(&first));
        assert!(Arc::ptr_eq(note(&later), &first.note));
        let later = unmatched(later);
        assert_eq!(later.response.headers().get("date"), Some("2"), "the last response is kept");
        assert!(Arc::ptr_eq(&unmatched(judge(respond("2", r#"{"status":"A"}"#), Some(&later))), &later));

        let changed = judge(respond("2", r#"{"status":"B"}"#), Some(&later));
        assert_eq!(&**note(&changed), r#"status is "B", expected "SUCCESS""#);
        assert!(matches!(
            judge(respond("2", r#"{"status":"SUCCESS"}"#), Some(&later)),
            Judgement::Matched { .. }
        ));
    }

    #[test]
    fn an_echoed_secret_is_never_quoted() {
        let spec: PollSpec =
            r#"{"url":"https://a.test","responseFilter":{"body":{"status":["SUCCESS"]}}}"#.parse().unwrap();
        let mut secrets = Secrets::default();
        secrets.add("Bearer tell-nobody");
        let judge = |date: &str, body: &str, previous: Option<&Arc<UnmatchedResponse>>| {
            let response = RecordedResponse::new(200, [("date", date)], body.to_owned());
            unmatched(judge(&spec, response, &secrets, previous, SystemTime::UNIX_EPOCH))
        };
        let first = judge("1", r#"{"status":"tell-nobody"}"#, None);
        assert_eq!(
            (&*first.note, first.response.echoes()),
            (r#"status is "[secret]", expected "SUCCESS""#, true)
        );
        let second = judge("2", r#"{"status":"tell-nobody"}"#, Some(&first));
        assert!(
            Arc::ptr_eq(&second.note, &first.note) && second.response.echoes(),
            "the response is not parsed again"
        );
        let again = judge("2", r#"{"status":"tell-nobody"}"#, Some(&second));
        assert!(Arc::ptr_eq(&again, &second), "equal responses are shared");
        let third = judge("3", r#"{"status":"PENDING"}"#, Some(&second));
        assert!(!third.response.echoes() && third.note.contains("PENDING"), "{third:?}");
        let fourth = judge("4", r#"{"status":"PENDING"}"#, Some(&third));
        assert!(Arc::ptr_eq(&fourth.note, &third.note) && !fourth.response.echoes());
    }

    #[test]
    fn numbers_of_bodies_are_read_exactly() {
        let matches = |filter: &str, body: &str| {
            let spec = format!(r#"{{"url":"https://a.test","responseFilter":{{"body":{{"n":{filter}}}}}}}"#);
            let response = RecordedResponse::new(200, [("a", "b")], format!(r#"{{"n":{body}}}"#));
            let spec = spec.parse().unwrap();
            let judgement = judge(&spec, response, &Secrets::default(), None, SystemTime::UNIX_EPOCH);
            matches!(judgement, Judgement::Matched { .. })
        };
        // serde_json reads this float as its neighbour.
        assert!(matches("[37.807807921694092]", "37.807807921694092"));
        assert!(!matches(r#"{"$gt":37.807807921694092}"#, "37.807807921694092"));
        assert!(matches("[18446744073709551616]", "18446744073709551616"));
        assert!(matches(r#"{"$gt":18446744073709551615}"#, "18446744073709551616"));
    }

    #[test]
    fn a_change_of_a_filtered_header_is_noticed() {
        let spec: PollSpec =
            r#"{"url":"https://a.test","responseFilter":{"headers":{"x-state":["done"]}}}"#.parse().unwrap();
        let judge = |state: &str, previous: Option<&Arc<UnmatchedResponse>>| {
            let response = RecordedResponse::new(200, [("x-state", state)], "");
            judge(&spec, response, &Secrets::default(), previous, SystemTime::UNIX_EPOCH)
        };
        let first = unmatched(judge("busy", None));
        assert!(matches!(judge("done", Some(&first)), Judgement::Matched { .. }));
    }
}
