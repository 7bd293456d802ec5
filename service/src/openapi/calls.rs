//! The calls of the API, one entry each.

/// One call.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// The name of the operation, for clients that are generated.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Name, place, description, schema; those of the path follow from the path.
    pub(super) parameters: &'static [(&'static str, &'static str, &'static str, &'static str)],
    pub(super) body: Content,
    pub(super) responses: &'static [(&'static str, &'static str, Content)],
    /// Whether it needs no key.
    pub(super) public: bool,
}

/// What a body is.
#[derive(Clone, Copy)]
pub(super) enum Content {
    None,
    /// JSON of this schema.
    Json(&'static str),
    AnyJson,
    Text,
    Html,
    Events,
    Any,
}

const BASE: Call = Call {
    method: "get",
    path: "",
    id: "",
    tag: "polls",
    summary: "",
    parameters: &[],
    body: Content::None,
    responses: &[],
    public: false,
};

const WAIT: (&str, &str, &str, &str) = (
    "wait",
    "query",
    "Wait for the outcome for up to this many seconds, shortened to what the service allows. The header Prefer: wait=N says the same.",
    r#"{"type": "integer", "minimum": 0, "maximum": 4294967295}"#,
);

const LAST_ID: (&str, &str, &str, &str) = (
    "Last-Event-ID",
    "header",
    "The id of the last event that the reader has: the stream goes on behind it, or says what was missed.",
    r#"{"type": "string"}"#,
);

pub(super) const CALLS: &[Call] = &[
    Call {
        method: "put",
        path: "/v1/scopes/{scope}/polls/{key}",
        id: "createPoll",
        summary: "Creates a poll. The same key and spec again is the same poll, open or ended.",
        parameters: &[WAIT],
        body: Content::Json("Spec"),
        responses: &[
            ("201", "The poll is new and stored.", Content::Json("Submitted")),
            (
                "200",
                "The poll existed with this spec; or, with wait, its outcome.",
                Content::Json("SubmittedOrOutcome"),
            ),
            ("202", "With wait: there is no outcome yet.", Content::Json("Pending")),
        ],
        ..BASE
    },
    Call {
        path: "/v1/scopes/{scope}/polls/{key}",
        id: "getPoll",
        summary: "Everything about a poll.",
        responses: &[("200", "The poll.", Content::Json("Whole"))],
        ..BASE
    },
    Call {
        method: "delete",
        path: "/v1/scopes/{scope}/polls/{key}",
        id: "forgetPoll",
        summary: "Removes a finished poll, so that its key is free.",
        responses: &[("204", "It is removed.", Content::None)],
        ..BASE
    },
    Call {
        path: "/v1/scopes/{scope}/polls/{key}/outcome",
        id: "getOutcome",
        summary: "The outcome of a poll, which may be waited for.",
        parameters: &[WAIT],
        responses: &[
            ("200", "The outcome.", Content::Json("NamedOutcome")),
            ("202", "There is none yet; Retry-After says when to ask again.", Content::Json("Pending")),
        ],
        ..BASE
    },
    Call {
        path: "/v1/scopes/{scope}/polls/{key}/result",
        id: "getResult",
        summary: "The body that matched, byte for byte, with its content type.",
        responses: &[
            ("200", "The body.", Content::Any),
            ("202", "There is none yet; Retry-After says when to ask again.", Content::Json("Pending")),
        ],
        ..BASE
    },
    Call {
        path: "/v1/scopes/{scope}/polls/{key}/events",
        id: "watchPoll",
        tag: "events",
        summary: "The events of a poll: those kept, those to come, its outcome.",
        parameters: &[LAST_ID],
        responses: &[
            ("200", "requesting, attempted, retry, held, lagged, outcome.", Content::Events),
            ("204", "The reader has the outcome.", Content::None),
        ],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/scopes/{scope}/polls/{key}/cancel",
        id: "cancelPoll",
        summary: "Cancels a poll; answers with its outcome, which is another one if that was decided first.",
        responses: &[("200", "The outcome.", Content::Json("NamedOutcome"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/scopes/{scope}/polls/{key}/again",
        id: "runPollAgain",
        summary: "Runs the spec of a finished poll anew; its old outcome is removed.",
        responses: &[("201", "The new poll is stored.", Content::Json("Submitted"))],
        ..BASE
    },
    Call {
        path: "/v1/scopes/{scope}/polls/{key}/webhook",
        id: "getWebhook",
        tag: "webhooks",
        summary: "How far the webhook of a poll that has ended has come.",
        responses: &[("200", "The delivery.", Content::Json("Delivery"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/scopes/{scope}/polls/{key}/webhook",
        id: "sendWebhook",
        tag: "webhooks",
        summary: "Sends the webhook of a poll that has ended again, whatever came of it before.",
        responses: &[("202", "It is due now.", Content::Json("Delivery"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/callbacks/{token}",
        id: "callBack",
        tag: "webhooks",
        summary: "Has the poll of this token ask at once, at most once a second. The body is not read.",
        responses: &[("204", "It asks, or has ended.", Content::None)],
        public: true,
        ..BASE
    },
    Call {
        path: "/v1/webhooks",
        id: "listWebhooks",
        tag: "webhooks",
        summary: "Lists the deliveries of webhooks, newest first.",
        parameters: &[
            (
                "state",
                "query",
                "Only deliveries in this state; failing ones are dead, or pending after an attempt that has failed.",
                r#"{"enum": ["pending", "delivered", "dead", "failing"]}"#,
            ),
            (
                "limit",
                "query",
                "At most this many.",
                r#"{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}"#,
            ),
            ("cursor", "query", "Where the page before ended.", r#"{"type": "string"}"#),
        ],
        responses: &[("200", "A page.", Content::Json("Deliveries"))],
        ..BASE
    },
    Call {
        path: "/v1/polls",
        id: "listPolls",
        summary: "Lists polls, newest first.",
        parameters: &[
            (
                "scope",
                "query",
                "Only polls of this scope; empty for the default scope.",
                r#"{"type": "string"}"#,
            ),
            ("state", "query", "Only polls in these states, separated by commas.", r#"{"type": "string"}"#),
            ("outcome", "query", "The same for outcomes.", r#"{"type": "string"}"#),
            ("prefix", "query", "Only polls whose key begins with this.", r#"{"type": "string"}"#),
            (
                "origin",
                "query",
                "Only polls that ask this origin, such as https://api.example.com.",
                r#"{"type": "string"}"#,
            ),
            (
                "since",
                "query",
                "Only polls that were accepted since then.",
                r#"{"type": "string", "format": "date-time"}"#,
            ),
            (
                "limit",
                "query",
                "At most this many.",
                r#"{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}"#,
            ),
            ("cursor", "query", "Where the page before ended.", r#"{"type": "string"}"#),
        ],
        responses: &[("200", "A page.", Content::Json("List"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/cancel",
        id: "cancelPolls",
        summary: "Cancels all open polls that a filter selects, or counts them.",
        body: Content::Json("BulkCancel"),
        responses: &[("200", "How many.", Content::Json("Cancelled"))],
        ..BASE
    },
    Call {
        path: "/v1/events",
        id: "watchPolls",
        tag: "events",
        summary: "The events of all polls from now on.",
        parameters: &[LAST_ID],
        responses: &[(
            "200",
            "opened, requesting, attempted, retry, held, lagged, outcome, forgotten.",
            Content::Events,
        )],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/check",
        id: "check",
        tag: "filters",
        summary: "Checks a filter or spec.",
        parameters: &[
            (
                "kind",
                "query",
                "What the body is; without it, a spec has a url.",
                r#"{"enum": ["filter", "spec"]}"#,
            ),
            (
                "dialect",
                "query",
                "The dialect of filters.",
                r#"{"enum": ["native", "trigger-dev", "event-bridge"]}"#,
            ),
        ],
        body: Content::AnyJson,
        responses: &[("200", "It has no errors.", Content::Json("Checked"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/explain",
        id: "explain",
        tag: "filters",
        summary: "Explains why an event matches a filter or not.",
        body: Content::Json("ExplainRequest"),
        responses: &[("200", "Each condition.", Content::Json("Explained"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/match",
        id: "match",
        tag: "filters",
        summary: "Matches events against a filter.",
        body: Content::Json("MatchRequest"),
        responses: &[("200", "One result for each event.", Content::Json("Matches"))],
        ..BASE
    },
    Call {
        method: "post",
        path: "/v1/convert",
        id: "convert",
        tag: "filters",
        summary: "Translates a filter of another dialect to the native one.",
        body: Content::Json("ConvertRequest"),
        responses: &[("200", "The filter.", Content::Json("Converted"))],
        ..BASE
    },
    Call {
        path: "/v1/schema/{dialect}",
        id: "getSchema",
        tag: "filters",
        summary: "The JSON Schema of filters or specs.",
        responses: &[("200", "The schema.", Content::AnyJson)],
        ..BASE
    },
    Call {
        path: "/healthz",
        id: "isLiving",
        tag: "service",
        summary: "Whether the process answers.",
        responses: &[("200", "It does.", Content::Text)],
        public: true,
        ..BASE
    },
    Call {
        path: "/readyz",
        id: "isReady",
        tag: "service",
        summary: "Whether the store can be used and polls run.",
        responses: &[("200", "They are.", Content::Text)],
        public: true,
        ..BASE
    },
    Call {
        path: "/metrics",
        id: "getMetrics",
        tag: "service",
        summary: "Metrics for Prometheus. With keys, the right admin is needed.",
        responses: &[("200", "The text format of Prometheus.", Content::Text)],
        ..BASE
    },
    Call {
        path: "/openapi.json",
        id: "getDescription",
        tag: "service",
        summary: "This document.",
        responses: &[("200", "OpenAPI 3.1.", Content::AnyJson)],
        public: true,
        ..BASE
    },
    Call {
        path: "/problems/{name}",
        id: "getProblem",
        tag: "service",
        summary: "What a type of problem means.",
        responses: &[("200", "The description.", Content::Text)],
        public: true,
        ..BASE
    },
    Call {
        path: "/",
        id: "getPage",
        tag: "service",
        summary: "The page for people.",
        responses: &[("200", "The page.", Content::Html)],
        public: true,
        ..BASE
    },
];
