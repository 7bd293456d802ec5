//! A spec built in code. The builder only collects members; the reader of text checks them, so both ways refuse the same
//! values with the same messages.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use filter::{Dialect, json};
use serde_json::{Map, Value, json};

use super::retry::millis;
use super::timing::seconds;
use super::{PollSpec, SpecError, SpecOptions};
use crate::limits::Limits;

/// Builds a [`PollSpec`]; made by [`PollSpec::builder`].
///
/// ```
/// use poller::PollSpec;
/// use serde_json::json;
/// use std::time::Duration;
///
/// let spec = PollSpec::builder("https://api.example.com/v1/exports/42")
///     .interval(Duration::from_secs(30))
///     .header("accept", "application/json")
///     .response_filter(json!({"status": [200], "body": {"status": ["SUCCESS"]}}))
///     .failure_filter(json!({"body": {"status": ["FAILED"]}}))
///     .build()?;
/// assert_eq!(spec.timeout(), Duration::from_secs(600));
/// # Ok::<(), poller::SpecError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct PollSpecBuilder {
    members: Map<String, Value>,
    /// The `requestInit`; null until a part of it is set.
    request: Value,
    retry: Vec<json::Member>,
    options: SpecOptions,
}

impl PollSpecBuilder {
    pub(super) fn new(url: String) -> Self {
        let members = Map::from_iter([("url".to_owned(), Value::String(url))]);
        Self { members, request: Value::Null, retry: Vec::new(), options: SpecOptions::new() }
    }

    /// Sets a member of the spec by its name, to the value that it has in JSON.
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The time between two ticks; 10 s unless set.
    pub fn interval(self, interval: Duration) -> Self {
        self.member("interval", seconds(interval))
    }

    /// Gaps between ticks that grow from `from` by `factor` up to `to`.
    pub fn growing_interval(self, from: Duration, to: Duration, factor: f64) -> Self {
        self.member("interval", json!({"from": seconds(from), "to": seconds(to), "factor": factor}))
    }

    /// The time from acceptance to deadline; 600 s unless set.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.member("timeout", seconds(timeout))
    }

    /// The request method; GET unless set.
    pub fn method(mut self, method: &str) -> Self {
        self.request["method"] = method.into();
        self
    }

    /// A request header, replacing one of the same name. The value is text, or a reference such as
    /// `json!({"$secret": "env:API_TOKEN"})`.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.request["headers"][name.to_ascii_lowercase()] = value.into();
        self
    }

    /// A parameter that is appended to the URL at sending, replacing one of the same name. The value is as for a header.
    pub fn query(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.request["query"][name] = value.into();
        self
    }

    /// Keeps the cookies that responses set, and sends them with later requests of this poll; false unless set.
    pub fn cookies(mut self, kept: bool) -> Self {
        self.request["cookies"] = kept.into();
        self
    }

    /// The certificates of the request: an object of `cert`, `key`, `cacert`, each a reference such as
    /// `json!({"$secret": "file:/etc/poll/client.pem"})`.
    pub fn tls(mut self, tls: Value) -> Self {
        self.request["tls"] = tls;
        self
    }

    /// A request body of text, or a reference to a secret one.
    pub fn body(mut self, body: impl Into<Value>) -> Self {
        self.request["body"] = body.into();
        self
    }

    /// A request body of bytes.
    pub fn body_bytes(self, body: &[u8]) -> Self {
        self.body(json!({"base64": BASE64.encode(body)}))
    }

    /// The responses that end the poll as matched: an object of `status`, `headers`, `body`, `text`,
    /// `consecutive`. Any 2xx but 202 unless set.
    pub fn response_filter(self, filter: Value) -> Self {
        self.member("responseFilter", filter)
    }

    /// The responses that end the poll as failed: an object of the same members.
    pub fn failure_filter(self, filter: Value) -> Self {
        self.member("failureFilter", filter)
    }

    /// How long one request may take; 30 s unless set.
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.member("requestTimeout", json!({"durationInMs": millis(timeout)}))
    }

    /// Adds a retry rule after those already there: a status pattern (`"429"`, `"500-599"`) or a kind of error (`"reset"`),
    /// several separated by commas, and a strategy, such as
    /// `json!({"strategy": "backoff", "limit": 5})`. The first rule that applies to a response counts.
    pub fn retry(mut self, statuses: &str, strategy: Value) -> Self {
        self.retry.push(member(statuses, json::Node::from(&strategy)));
        self
    }

    /// Fails the poll after this many attempts in a row that cannot get better; 5 unless set, 0 never.
    pub fn give_up_after(self, attempts: u32) -> Self {
        self.member("giveUp", if attempts == 0 { json!(false) } else { json!({"after": attempts}) })
    }

    /// The dialect of the filters; native unless set.
    pub fn dialect(self, dialect: Dialect) -> Self {
        self.member("dialect", dialect.name())
    }

    /// The bounds to check against; the defaults unless set.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options = self.options.limits(limits);
        self
    }

    /// The spec.
    ///
    /// # Errors
    /// Every problem.
    pub fn build(mut self) -> Result<PollSpec, SpecError> {
        if !self.request.is_null() {
            self.members.insert("requestInit".to_owned(), self.request);
        }
        let mut members: Vec<json::Member> =
            self.members.iter().map(|(name, value)| member(name, json::Node::from(value))).collect();
        if !self.retry.is_empty() {
            members.push(member("retry", json::Node { span: None, kind: json::Kind::Object(self.retry) }));
        }
        self.options.decode(&json::Node { span: None, kind: json::Kind::Object(members) }, "")
    }
}

fn member(name: &str, value: json::Node) -> json::Member {
    json::Member { key: name.to_owned(), key_span: None, value }
}
