//! The shapes of what the API reads and writes, for its description.
//!
//! They are apart from the types that write JSON, most of which belong to the crate `poller`. Each is closed: a member that
//! is not listed here fails the tests, which hold every response against the description.

#![expect(dead_code, reason = "types that describe, and are never made")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A time in RFC 3339, UTC.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-01-31T12:00:00.25Z"))]
pub(crate) struct Time(String);

/// The state of a poll: `open`, `cancelling` (its cancellation was requested), or its outcome.
#[derive(Deserialize, ToSchema)]
pub(crate) enum State {
    #[serde(rename = "open")]
    Open,
    #[serde(rename = "cancelling")]
    Cancelling,
    #[serde(rename = "matched")]
    Matched,
    #[serde(rename = "failed")]
    Failed,
    #[serde(rename = "timed out")]
    TimedOut,
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// How a poll ended.
#[derive(Deserialize, ToSchema)]
pub(crate) enum OutcomeName {
    #[serde(rename = "matched")]
    Matched,
    #[serde(rename = "failed")]
    Failed,
    #[serde(rename = "timed out")]
    TimedOut,
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// What a spec came to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submitted {
    key: String,
    /// The scope; empty for the default scope.
    scope: String,
    /// `created` if the poll is new; `open` or `finished` if it existed.
    submitted: Submission,
    /// When it ends at the latest.
    deadline: Time,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Submission {
    Created,
    Open,
    Finished,
}

/// A poll that has no outcome yet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pending {
    key: String,
    scope: String,
    state: State,
    deadline: Time,
    /// When its next request is due.
    #[schema(nullable = false)]
    next: Option<Time>,
}

/// The result of a request: a status, or the kind of an error.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AttemptResult {
    Status(u16),
    Error(String),
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Matched,
    Failed,
    Unmatched,
    Error,
}

/// Which rule set the time of the next request.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    Grid,
    Hint,
    Retry(Retry),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    r#try: u32,
    limit: u32,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextRequest {
    at: Time,
    why: Why,
}

/// One request of a poll.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Attempt {
    /// From 1.
    number: u32,
    at: Time,
    duration_in_micros: u64,
    result: AttemptResult,
    /// Present if the request was sent once more because a kept connection had closed.
    #[schema(nullable = false)]
    resent: Option<bool>,
    verdict: Verdict,
    /// What did not match, or the error.
    #[schema(required = true)]
    note: Option<String>,
    #[schema(required = true)]
    next: Option<NextRequest>,
}

/// A response of the job's server. Exactly one of `body` (JSON), `text` and `base64` is there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    #[schema(required = false)]
    body: Value,
    #[schema(nullable = false)]
    text: Option<String>,
    #[schema(nullable = false)]
    base64: Option<String>,
    /// The length of the whole body, if only its beginning is here: of a long response that did not match.
    #[schema(nullable = false)]
    #[serde(rename = "bodyBytes")]
    body_bytes: Option<u64>,
}

/// The forms of an outcome, which differ in their first members. The names of a poll cannot be flattened into a form without
/// further members.
macro_rules! outcomes {
    ($($(#[$doc:meta])+ $form:ident { $($first:ident: $type:ident,)* })+) => {$(
        $(#[$doc])+
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        pub(crate) struct $form {
            $($first: $type,)*
            outcome: OutcomeName,
            /// Why it failed (`failure-filter`, `gave-up`, `unreadable`) or timed out (`deadline`, `hint-past-deadline`, `while-away`).
            #[schema(nullable = false)]
            reason: Option<String>,
            #[schema(nullable = false)]
            explanation: Option<String>,
            attempts: u32,
            restarts: u32,
            started_at: Time,
            ended_at: Time,
            /// Attempts by status and kind of error.
            counts: BTreeMap<String, u32>,
            #[schema(nullable = false)]
            response: Option<JobResponse>,
            history: Vec<Attempt>,
        }
    )+};
}

outcomes! {
    /// How a poll ended, with the response that decided it and its last attempts.
    Outcome {}
    /// An outcome with the name of its poll.
    NamedOutcome { key: String, scope: String, }
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "never made")]
pub(crate) enum SubmittedOrOutcome {
    Submitted(Submitted),
    Outcome(NamedOutcome),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InFlight {
    attempt: u32,
    at: Time,
}

/// An attempt in a list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recent {
    number: u32,
    at: Time,
    result: AttemptResult,
    verdict: Verdict,
}

/// How many conditions of the response filter held at the last response.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Holds {
    held: u32,
    of: u32,
}

/// A poll in a list. `next`, `inFlight`, `recent`, `note` and `holds` are of open polls.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Row {
    key: String,
    scope: String,
    state: State,
    #[schema(required = true)]
    url: Option<String>,
    #[schema(required = true)]
    origin: Option<String>,
    /// The first interval in seconds.
    #[schema(required = true)]
    interval: Option<f64>,
    created_at: Time,
    #[schema(required = true)]
    deadline: Option<Time>,
    restarts: u32,
    #[schema(nullable = false)]
    ended_at: Option<Time>,
    #[schema(nullable = false)]
    attempts: Option<u32>,
    /// What of the poll is damaged in the store.
    #[schema(nullable = false)]
    problem: Option<String>,
    #[schema(nullable = false)]
    next: Option<Time>,
    #[schema(nullable = false)]
    in_flight: Option<InFlight>,
    #[schema(nullable = false)]
    recent: Option<Vec<Recent>>,
    #[schema(nullable = false)]
    note: Option<String>,
    #[schema(nullable = false)]
    holds: Option<Holds>,
}

/// A page of polls. It may have fewer polls than its limit although others follow.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    polls: Vec<Row>,
    /// The cursor of the next page; null on the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// A part of the response filter, and what the response has in its place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainedPart {
    /// `status`, `headers`, `body` or `text`.
    part: String,
    matched: bool,
    #[schema(required = true)]
    summary: Option<String>,
    /// Absent for a body that is not JSON. Each has `path`, `expected`, `actual`, `held`, perhaps `hint`; or is a group with
    /// `rule`, `held` and `conditions`.
    #[schema(nullable = false)]
    conditions: Option<Vec<BTreeMap<String, Value>>>,
}

/// The last response of an open poll.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Last {
    status: u16,
    headers: BTreeMap<String, String>,
    /// The length of the body.
    bytes: u64,
    /// Its beginning.
    excerpt: String,
    /// Null for a large body.
    #[schema(required = true)]
    explanation: Option<Vec<ExplainedPart>>,
}

/// A whole poll.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Whole {
    key: String,
    scope: String,
    state: State,
    created_at: Time,
    deadline: Time,
    restarts: u32,
    /// With defaults filled in and secrets left out.
    spec: BTreeMap<String, Value>,
    /// The URL that it asks since a response named it.
    #[schema(nullable = false)]
    followed: Option<String>,
    /// The last attempts of an open poll; a finished one has them in its outcome.
    history: Vec<Attempt>,
    #[schema(nullable = false)]
    next: Option<Time>,
    #[schema(nullable = false)]
    in_flight: Option<InFlight>,
    #[schema(nullable = false)]
    held_until: Option<Time>,
    #[schema(nullable = false)]
    last: Option<Last>,
    #[schema(nullable = false)]
    outcome: Option<Outcome>,
    /// Of an open poll: the path of this service where the owner of the job may say that there is something new.
    #[schema(nullable = false)]
    callback: Option<String>,
    /// How far the webhook has come, if the poll has ended and has one.
    #[schema(nullable = false)]
    webhook: Option<Delivery>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryState {
    Pending,
    Delivered,
    Dead,
}

/// One attempt to deliver a webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct DeliveryAttempt {
    at: Time,
    duration_ms: u64,
    /// The status that the receiver answered with.
    #[schema(nullable = false)]
    status: Option<u16>,
    /// Why it failed.
    #[schema(nullable = false)]
    error: Option<String>,
}

/// The webhook of an outcome, and how far it has come.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Delivery {
    key: String,
    scope: String,
    /// The `webhook-id`, the same for all attempts.
    id: String,
    /// The origin that receives it.
    receiver: String,
    /// `pending` until the receiver answers with 2xx; `dead` after 410, or when all attempts have failed.
    state: DeliveryState,
    /// When the poll ended.
    ended_at: Time,
    /// When the next attempt is due.
    #[schema(nullable = false)]
    due: Option<Time>,
    /// The attempts since it was last sent again.
    tries: u32,
    /// The last attempts, oldest first.
    attempts: Vec<DeliveryAttempt>,
}

/// A page of deliveries.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deliveries {
    webhooks: Vec<Delivery>,
    /// The cursor of the next page; null on the last.
    #[schema(required = true)]
    next: Option<String>,
}

/// Which polls to cancel: all members that are given must hold. One must be given, or `all`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct BulkCancel {
    #[schema(nullable = false)]
    scope: Option<String>,
    #[schema(nullable = false)]
    prefix: Option<String>,
    #[schema(nullable = false)]
    origin: Option<String>,
    #[schema(nullable = false)]
    since: Option<Time>,
    #[schema(nullable = false)]
    all: Option<bool>,
    /// Count only.
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Cancelled {
    /// How many were cancelled, or would be.
    polls: u64,
    dry_run: bool,
}

/// Bytes of the text that was sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    start: u64,
    end: u64,
}

/// An error or warning of a spec or filter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Diagnostic {
    /// `error` or `warning`.
    severity: String,
    code: String,
    /// A JSON pointer.
    pointer: String,
    #[schema(nullable = false)]
    span: Option<Span>,
    /// From 1.
    #[schema(nullable = false)]
    line: Option<u64>,
    /// From 1, in characters.
    #[schema(nullable = false)]
    column: Option<u64>,
    message: String,
    #[schema(nullable = false)]
    help: Option<String>,
}

/// An error of a call (RFC 9457). `type` is a path of this service that describes the kind of error.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Of a conflict: the members in which the specs differ, as JSON pointers.
    #[schema(nullable = false)]
    fields: Option<Vec<String>>,
    #[schema(nullable = false)]
    diagnostics: Option<Vec<Diagnostic>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checked {
    /// `filter` or `spec`.
    kind: String,
    /// Warnings.
    diagnostics: Vec<Diagnostic>,
    /// The filter or spec, of a spec with defaults filled in.
    value: Value,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainRequest {
    filter: Value,
    #[schema(nullable = false)]
    dialect: Option<Dialect>,
    event: Value,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explained {
    matched: bool,
    #[schema(required = true)]
    summary: Option<String>,
    conditions: Vec<BTreeMap<String, Value>>,
    /// The explanation for people.
    text: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchRequest {
    filter: Value,
    #[schema(nullable = false)]
    dialect: Option<Dialect>,
    events: Vec<Value>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matches {
    /// Whether the filter matches, in the order of the events.
    matches: Vec<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConvertRequest {
    filter: Value,
    from: Dialect,
    /// `native`, the only one.
    #[schema(nullable = false)]
    to: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Converted {
    filter: Value,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dialect {
    Native,
    TriggerDev,
    EventBridge,
}
