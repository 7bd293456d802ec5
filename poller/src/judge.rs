//! What a response means for its poll: the only place where filters, retry rules and hints meet a response.
//!
//! Judging is pure and does not know the poll's history, so it runs wherever the response arrived; what follows from
//! a [`Finding`] is decided by the state machine. The order is the specification's: failure filter, response filter,
//! then, for a response that met neither, the first retry rule that applies and the server's hint.

use std::time::{Duration, SystemTime};

use filter::Filter;
use serde_json::{Map, Value};

use crate::fetch::{FetchError, FetchErrorKind};
use crate::outcome::RecordedResponse;
use crate::spec::{HeadersStrategy, PollSpec, ResponseFilter, Strategy};

/// What one attempt brought, judged.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// The failure filter was met.
    Failed { response: RecordedResponse, explanation: String },
    /// The response filter was met.
    Matched { response: RecordedResponse },
    /// A whole response that met neither.
    Unmatched(Unmatched),
    /// No whole response.
    Error(FetchError),
}

#[derive(Clone, Debug)]
pub(crate) struct Unmatched {
    pub(crate) response: RecordedResponse,
    /// What did not match, on one line.
    pub(crate) note: Box<str>,
    /// What the first retry rule that applies makes of it.
    pub(crate) retry: Option<Retry>,
    /// How long the server asked to be left alone.
    pub(crate) hint: Option<Duration>,
    /// Whether asking again cannot help.
    pub(crate) hopeless: bool,
}

/// A retry rule that applies to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// By the backoff options of the rule with this index.
    Backoff(usize),
    /// When the response's own headers say.
    Headers(Duration),
}

/// Statuses that stay what they are until somebody changes the request or the server.
const HOPELESS: [u16; 5] = [400, 401, 403, 405, 410];

/// Judges a response that arrived at `now`. Linear in its size and the size of the filters.
pub(crate) fn judge(spec: &PollSpec, response: RecordedResponse, now: SystemTime) -> Finding {
    let seen = Seen::new(&response, spec);
    if let Some(filter) = spec.failure_filter()
        && seen.meets(filter)
    {
        let explanation = format!("the failure filter matched: {}", seen.why(filter));
        return Finding::Failed { response, explanation };
    }
    if seen.meets(spec.response_filter()) {
        return Finding::Matched { response };
    }
    let status = response.status();
    let note = seen.miss(spec.response_filter()).into_boxed_str();
    let retry = seen.retry(spec, now);
    let headers = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let hint = retry::hint::from_response(status, headers, now).map(|hint| hint.delay);
    let hopeless = HOPELESS.contains(&status) && !expects(spec, status);
    Finding::Unmatched(Unmatched { response, note, retry, hint, hopeless })
}

/// In full, why `response` does not meet the response filter of `spec`: for a person, some lines long.
pub(crate) fn explain(spec: &PollSpec, response: &RecordedResponse) -> String {
    Seen::new(response, spec).explain(spec.response_filter())
}

/// Whether the spec itself speaks of this status, so that it is part of the plan and not a dead end.
fn expects(spec: &PollSpec, status: u16) -> bool {
    let listed =
        |filter: &ResponseFilter| filter.status.as_ref().is_some_and(|listed| listed.accepts(status));
    listed(spec.response_filter())
        || spec.failure_filter().is_some_and(listed)
        || spec.retry().iter().any(|rule| !rule.statuses.is_all() && rule.statuses.matches(status))
}

/// A response in the forms that filters look at, each made only if some filter needs it.
struct Seen<'a> {
    response: &'a RecordedResponse,
    headers: Option<Value>,
    body: Option<Result<Value, serde_json::Error>>,
}

impl<'a> Seen<'a> {
    fn new(response: &'a RecordedResponse, spec: &PollSpec) -> Self {
        let filters = || spec.failure_filter().into_iter().chain([spec.response_filter()]);
        let needs_headers = filters().any(|filter| filter.headers.is_some());
        let needs_body = filters().any(|filter| filter.body.is_some())
            || spec.retry().iter().any(|rule| rule.body.is_some());
        let headers = || {
            let named = response.headers().iter();
            Value::Object(Map::from_iter(named.map(|(name, value)| (name.clone(), value.as_str().into()))))
        };
        Self {
            response,
            headers: needs_headers.then(headers),
            body: needs_body.then(|| serde_json::from_slice(response.body())),
        }
    }

    fn body(&self) -> Option<&Value> {
        self.body.as_ref()?.as_ref().ok()
    }

    fn meets(&self, filter: &ResponseFilter) -> bool {
        let meets = |filter: &Option<Filter>, value: Option<&Value>| match filter {
            Some(filter) => value.is_some_and(|value| filter.matches(value)),
            None => true,
        };
        filter.status.as_ref().is_none_or(|accepted| accepted.accepts(self.response.status()))
            && meets(&filter.headers, self.headers.as_ref())
            && meets(&filter.body, self.body())
    }

    /// What of `filter` is not met, on one line, the coarsest part first.
    fn miss(&self, filter: &ResponseFilter) -> String {
        if let Some(accepted) = &filter.status
            && !accepted.accepts(self.response.status())
        {
            return format!("HTTP status is {}, expected {accepted}", self.response.status());
        }
        if let (Some(filter), Some(headers)) = (&filter.headers, &self.headers)
            && let Some(miss) = filter.explain(headers).summary()
        {
            return format!("header {miss}");
        }
        match (&filter.body, &self.body) {
            (Some(filter), Some(Ok(body))) => filter.explain(body).summary().unwrap_or_default(),
            (Some(_), Some(Err(error))) => self.not_json(error),
            _ => String::new(),
        }
    }

    /// Each part of `filter` and what was found for it.
    fn explain(&self, filter: &ResponseFilter) -> String {
        let mut parts = Vec::new();
        if let Some(accepted) = &filter.status {
            let held = if accepted.accepts(self.response.status()) { "holds" } else { "does not hold" };
            parts.push(format!("HTTP status {held}: it is {}, expected {accepted}", self.response.status()));
        }
        if let (Some(filter), Some(headers)) = (&filter.headers, &self.headers) {
            parts.push(format!("headers:\n{}", indented(&filter.explain(headers).to_string())));
        }
        match (&filter.body, &self.body) {
            (Some(filter), Some(Ok(body))) => {
                parts.push(format!("body:\n{}", indented(&filter.explain(body).to_string())));
            }
            (Some(_), Some(Err(error))) => parts.push(self.not_json(error)),
            _ => {}
        }
        parts.join("\n")
    }

    /// Which conditions made `filter` hold, on one line.
    fn why(&self, filter: &ResponseFilter) -> String {
        let mut parts = Vec::new();
        if filter.status.is_some() {
            parts.push(format!("HTTP status is {}", self.response.status()));
        }
        let explained = [
            ("header ", filter.headers.as_ref().zip(self.headers.as_ref())),
            ("", filter.body.as_ref().zip(self.body())),
        ];
        for (prefix, pair) in explained {
            let Some((filter, value)) = pair else { continue };
            let explanation = filter.explain(value);
            let held = explanation.checks().filter(|check| check.held());
            parts.extend(held.map(|check| format!("{prefix}{} is {}", check.path(), check.actual())));
        }
        if parts.is_empty() { "it accepts every response".to_owned() } else { parts.join(", ") }
    }

    fn not_json(&self, error: &serde_json::Error) -> String {
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
                && rule
                    .body
                    .as_ref()
                    .is_none_or(|filter| self.body().is_some_and(|body| filter.matches(body)));
            match &rule.strategy {
                _ if !applies => None,
                Strategy::Backoff(_) => Some(Retry::Backoff(index)),
                Strategy::Headers(headers) => self.reset(headers, now).map(Retry::Headers),
            }
        })
    }

    /// How long until the limit resets, where the response says that it is spent; by the server's own clock.
    fn reset(&self, strategy: &HeadersStrategy, now: SystemTime) -> Option<Duration> {
        let header = |name: &str| self.response.headers().get(name).map(String::as_str);
        let left =
            strategy.remaining.as_deref().and_then(header).and_then(|left| left.trim().parse::<f64>().ok());
        if left.is_some_and(|left| left > 0.0) {
            return None;
        }
        let headers = self.response.headers().iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let server_now = retry::hint::server_time(headers, now);
        let delay = strategy.format.parse(header(&strategy.reset)?, server_now).ok()?;
        (!delay.is_zero()).then_some(delay)
    }
}

/// The finding for a request that was cut because its time was over.
pub(crate) fn timed_out(limit: Duration) -> Finding {
    let limit = Duration::from_millis(u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
    Finding::Error(FetchError::new(FetchErrorKind::Timeout, format!("no whole response within {limit:?}")))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
