//! What the API says of polls, as JSON. Names are those of what commands print with `--json`.

use std::collections::BTreeMap;

use poller::store::Summary;
use poller::{
    Attempt, AttemptResult, ExplainedPart, JudgementKind, OpenPoll, Outcome, PollKey, PollSpec, Timestamp,
};
use serde::Serialize;
use url::Url;

use crate::polls::webhook::DeliveryView;

/// A value with the name of its poll.
#[derive(Debug, Serialize)]
pub(crate) struct Named<'a, T> {
    key: &'a str,
    scope: &'a str,
    #[serde(flatten)]
    rest: T,
}

impl<'a, T> Named<'a, T> {
    pub(crate) fn new(key: &'a PollKey, rest: T) -> Self {
        Self { key: key.key(), scope: key.scope(), rest }
    }
}

/// The same of an object that is JSON already, without reading it.
pub(crate) fn named_text(key: &PollKey, object: &str) -> String {
    let name = Named::new(key, BTreeMap::<&str, ()>::new());
    let mut text = serde_json::to_string(&name).expect("invariant: strings can be written as JSON");
    text.reserve_exact(object.len());
    let members = object.strip_prefix('{').unwrap_or(object);
    text.pop();
    if members.trim_start() != "}" {
        text.push(',');
    }
    text.push_str(members);
    text
}

/// How a spec was accepted.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Submission {
    Created,
    Open,
    Finished,
}

#[derive(Debug, Serialize)]
pub(crate) struct Submitted {
    pub(crate) submitted: Submission,
    pub(crate) deadline: Timestamp,
}

/// A poll without an outcome, for a request that asked for the outcome.
#[derive(Debug, Serialize)]
pub(crate) struct Pending {
    pub(crate) state: &'static str,
    pub(crate) deadline: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<Timestamp>,
}

/// A request in flight.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct InFlight {
    attempt: u32,
    at: Timestamp,
}

impl InFlight {
    fn of(poll: &OpenPoll) -> Option<Self> {
        poll.requesting.map(|(attempt, at)| Self { attempt, at })
    }
}

/// A poll in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    key: String,
    scope: String,
    state: String,
    url: Option<String>,
    origin: Option<String>,
    interval: Option<f64>,
    created_at: Timestamp,
    deadline: Option<Timestamp>,
    restarts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<InFlight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent: Option<Vec<Recent>>,
    /// What the last attempt says.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<Holds>,
}

/// How many conditions of the response filter held at the last response.
#[derive(Clone, Copy, Debug, Serialize)]
struct Holds {
    held: usize,
    of: usize,
}

/// Larger bodies are not explained in a list, which may have hundreds of polls.
const EXPLAINED_IN_LIST: usize = 16 << 10;

impl Holds {
    fn of(spec: &PollSpec, open: &OpenPoll) -> Option<Self> {
        let last =
            open.last.as_ref().filter(|last| !last.is_cut() && last.body().len() <= EXPLAINED_IN_LIST)?;
        let parts = spec.explain(last);
        let sum = |(held, of), part: &ExplainedPart| {
            let (more, all) = part.conditions();
            (held + more, of + all)
        };
        let (held, of) = parts.iter().fold((0, 0), sum);
        Some(Self { held, of })
    }
}

/// An attempt in a list.
#[derive(Clone, Copy, Debug, Serialize)]
struct Recent {
    number: u32,
    at: Timestamp,
    result: AttemptResult,
    verdict: JudgementKind,
}

impl Row {
    /// `open` is the poll in the engine, if it is open and has arrived there.
    pub(crate) fn new(poll: Summary, open: Option<&OpenPoll>) -> Self {
        let state = poll.state().to_owned();
        let recent = |attempt: &Attempt| Recent {
            number: attempt.number,
            at: attempt.at,
            result: attempt.result,
            verdict: attempt.judgement,
        };
        let note = |open: &OpenPoll| open.attempts.last()?.note.as_deref().map(str::to_owned);
        Self {
            state,
            note: open.and_then(note),
            holds: poll.spec.as_ref().zip(open).and_then(|(spec, open)| Holds::of(spec, open)),
            url: poll.spec.as_ref().map(|spec| spec.url_text().to_owned()),
            origin: poll.spec.as_ref().map(|spec| spec.origin().to_owned()),
            interval: poll.spec.as_ref().map(|spec| spec.interval().first().as_secs_f64()),
            key: poll.key.key().to_owned(),
            scope: poll.key.scope().to_owned(),
            created_at: poll.created_at,
            deadline: poll.deadline,
            restarts: poll.restarts,
            ended_at: poll.ended.as_ref().map(|ending| ending.at),
            attempts: poll.ended.as_ref().map(|ending| ending.attempts),
            problem: poll.problem,
            next: open.and_then(|open| open.next),
            in_flight: open.and_then(InFlight::of),
            recent: open.map(|open| open.attempts.iter().map(recent).collect()),
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct List {
    pub(crate) polls: Vec<Row>,
    pub(crate) next: Option<String>,
}

/// A whole poll.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Whole<'a> {
    pub(crate) state: &'a str,
    pub(crate) created_at: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) restarts: u32,
    pub(crate) spec: &'a PollSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) followed: Option<&'a str>,
    /// The attempts of an open poll; the outcome has those of a finished one.
    pub(crate) history: &'a [Attempt],
    #[serde(flatten)]
    pub(crate) open: Option<Open>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<&'a Outcome>,
    /// Where the owner of the job may say that there is something new; of an open poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback: Option<String>,
    /// How far the webhook has come, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<DeliveryView>,
}

/// What only an open poll has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Open {
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<InFlight>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Last>,
}

/// The last response of an open poll.
#[derive(Debug, Serialize)]
struct Last {
    status: u16,
    headers: poller::Headers,
    /// Of the whole body, of which the poll may keep only the beginning.
    bytes: u64,
    excerpt: String,
    explanation: Option<Vec<ExplainedPart>>,
}

/// The longest excerpt of a body in bytes.
const EXCERPT: usize = 4096;

/// Larger bodies are not explained: the explanation reads the body again, on the thread of the request.
const EXPLAINED: usize = 256 << 10;

impl Open {
    pub(crate) fn new(spec: &PollSpec, open: &OpenPoll) -> Self {
        let last = open.last.as_ref().map(|response| {
            let body = response.body();
            let explained = (!response.is_cut() && body.len() <= EXPLAINED).then(|| spec.explain(response));
            Last {
                status: response.status(),
                headers: response.headers().clone(),
                bytes: response.full_len(),
                excerpt: excerpt(body),
                explanation: explained,
            }
        });
        Self { next: open.next, in_flight: InFlight::of(open), held_until: open.held_until, last }
    }
}

/// The beginning of a body as text; bytes that are no text become U+FFFD.
fn excerpt(body: &[u8]) -> String {
    let mut end = body.len().min(EXCERPT);
    // Not in the middle of a character: at most three bytes before.
    while end < body.len() && end > EXCERPT - 4 && body[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    String::from_utf8_lossy(&body[..end]).into_owned()
}

/// Scheme, host and port of a URL that a user gave, in the form of [`PollSpec::origin`].
pub(crate) fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    match url.scheme() {
        "http" | "https" => Some(url.origin().ascii_serialization()),
        "unix" => Some(text.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_does_not_end_inside_a_character() {
        for before in EXCERPT - 5..=EXCERPT {
            let text = format!("{}äöü€😀{}", "x".repeat(before), "y".repeat(100));
            let cut = excerpt(text.as_bytes());
            assert!(text.starts_with(&cut) && cut.len() <= EXCERPT && cut.len() > EXCERPT - 5, "{before}");
        }
        assert_eq!(excerpt(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn an_object_gets_the_name_of_its_poll() {
        let key = PollKey::new("a/\"b", "ü\n");
        let members = BTreeMap::from([("x", 1), ("y", 2)]);
        let named = serde_json::to_string(&Named::new(&key, &members)).unwrap();
        assert_eq!(named_text(&key, r#"{"x":1,"y":2}"#), named);
        assert_eq!(named_text(&key, "{ }"), r#"{"key":"ü\n","scope":"a/\"b" }"#);
    }

    #[test]
    fn an_origin_has_no_path_and_no_default_port() {
        assert_eq!(origin("https://API.example.com:443/a?b").as_deref(), Some("https://api.example.com"));
        assert_eq!(origin("http://127.0.0.1:8080").as_deref(), Some("http://127.0.0.1:8080"));
        assert!(origin("api.example.com").is_none() && origin("ftp://a").is_none());
    }
}
