//! A response in the forms that filters read.

use std::cell::OnceCell;
use std::time::{Duration, SystemTime};

use filter::{Document, Effort, Exhausted, Explanation, Filter, JsonError};
use retry::strategy::{HeadersStrategy, Strategy};
use serde_json::{Map, Value, json};

use super::body::{self, BodyText};
use super::{Bounds, Retry, UnmatchedResponse};
use crate::job::{PollSpec, ResponseFilter, StatusFilter};
use crate::response::RecordedResponse;

/// A response in the forms that filters read, each built only if a filter needs it.
pub(super) struct ResponseView<'a> {
    pub(super) response: &'a RecordedResponse,
    looks_at_headers: bool,
    headers: OnceCell<Value>,
    looks_at_body: bool,
    body_text: &'a BodyText<'a>,
    body: OnceCell<Result<Document<'a>, JsonError>>,
    /// The body as the member `text` of an object.
    text: OnceCell<Value>,
    digest: OnceCell<u64>,
    pub(super) bounds: &'a Bounds<'a>,
}

impl<'a> ResponseView<'a> {
    pub(super) fn new(
        response: &'a RecordedResponse,
        body_text: &'a BodyText<'a>,
        spec: &PollSpec,
        bounds: &'a Bounds<'a>,
    ) -> Self {
        let filters = || spec.failure_filter().into_iter().chain([spec.response_filter()]);
        Self {
            response,
            looks_at_headers: filters().any(|filter| filter.headers.is_some()),
            headers: OnceCell::new(),
            looks_at_body: filters().any(|filter| filter.body.is_some() || filter.text.is_some()),
            body_text,
            body: OnceCell::new(),
            text: OnceCell::new(),
            digest: OnceCell::new(),
            bounds,
        }
    }

    pub(super) fn effort(&self) -> &Effort {
        self.bounds.effort
    }

    /// The digest of the body.
    pub(super) fn digest(&self) -> u64 {
        *self.digest.get_or_init(|| self.bounds.kept.digest(self.response.body()))
    }

    /// Whether the body is that of `last`, of which only the beginning may be kept.
    pub(super) fn has_body_of(&self, last: &UnmatchedResponse) -> bool {
        let other = &last.response;
        let (length, others) = (self.response.body().len() as u64, other.full_len());
        length == others
            && match last.digest() {
                Some(digest) => digest == self.digest(),
                None => self.response.body() == other.body(),
            }
    }

    /// Whether every filter of the spec gives the same answer for the response of `last`.
    pub(super) fn equals(&self, last: &UnmatchedResponse) -> bool {
        let other = &last.response;
        let (headers, others) = (self.response.headers(), other.headers());
        let same_headers = headers == others;
        // The note names the content type of a body that is not JSON.
        let same_kind = || same_headers || headers.get("content-type") == others.get("content-type");
        self.response.status() == other.status()
            && (!self.looks_at_headers || same_headers)
            && (!self.looks_at_body || (same_kind() && self.has_body_of(last)))
    }

    pub(super) fn headers(&self) -> &Value {
        self.headers.get_or_init(|| {
            let named = self.response.headers().iter();
            Value::Object(Map::from_iter(named.map(|(name, value)| (name.to_owned(), value.into()))))
        })
    }

    pub(super) fn parsed(&self) -> &Result<Document<'a>, JsonError> {
        self.body.get_or_init(|| Document::from_slice(self.body_text.json().as_bytes()))
    }

    pub(super) fn text(&self) -> &Value {
        self.text.get_or_init(|| json!({"text": self.body_text.text()}))
    }

    fn body_meets(&self, filter: &Filter) -> Result<bool, Exhausted> {
        match self.parsed() {
            Ok(body) => filter.matches_document_within(body, self.effort()),
            Err(_) => Ok(false),
        }
    }

    pub(super) fn meets(&self, filter: &ResponseFilter) -> Result<bool, Exhausted> {
        Ok(filter.status.accepts(self.response.status())
            && holds(&filter.headers, |filter| filter.matches_within(self.headers(), self.effort()))?
            && holds(&filter.body, |filter| self.body_meets(filter))?
            && holds(&filter.text, |filter| filter.matches_within(self.text(), self.effort()))?)
    }

    /// The conditions that made `filter` match, on one line.
    pub(super) fn why(&self, filter: &ResponseFilter) -> Result<String, Exhausted> {
        let mut parts = Vec::new();
        if filter.status != StatusFilter::about_the_job() {
            parts.push(format!("HTTP status is {}", self.response.status()));
        }
        let mut add = |prefix: &str, explanation: Explanation| {
            let held = explanation.checks().filter(|check| check.held());
            parts.extend(held.map(|check| format!("{prefix}{} is {}", check.path(), check.actual())));
        };
        if let Some(filter) = &filter.headers {
            add("header ", filter.explain_within(self.headers(), self.effort())?);
        }
        if let Some((filter, body)) = filter.body.as_ref().zip(self.parsed().as_ref().ok()) {
            add("", filter.explain_document_within(body, self.effort())?);
        }
        if let Some(filter) = &filter.text {
            add("", filter.explain_within(self.text(), self.effort())?);
        }
        Ok(if parts.is_empty() { "it accepts every response".to_owned() } else { parts.join(", ") })
    }

    pub(super) fn not_json(&self, error: &JsonError) -> String {
        body::describe(self.body_text, self.response.headers().get("content-type"), error)
    }

    pub(super) fn retry(&self, spec: &PollSpec, now: SystemTime) -> Result<Option<Retry>, Exhausted> {
        for (index, rule) in spec.retry().iter().enumerate() {
            if !rule.statuses.matches(self.response.status())
                || !holds(&rule.body, |filter| self.body_meets(filter))?
            {
                continue;
            }
            let retry = match &rule.strategy {
                Strategy::Backoff(_) => Some(Retry::Backoff(index)),
                Strategy::Headers(headers) => self.reset(headers, now).map(Retry::Headers),
            };
            if retry.is_some() {
                return Ok(retry);
            }
        }
        Ok(None)
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

/// Whether a filter matches; one that is not given does.
fn holds(
    filter: &Option<Filter>,
    matches: impl FnOnce(&Filter) -> Result<bool, Exhausted>,
) -> Result<bool, Exhausted> {
    filter.as_ref().map_or(Ok(true), matches)
}
