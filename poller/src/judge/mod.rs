//! Judges responses: the only place where filters, retry rules and hints are applied to a response.
//!
//! Judging is pure and independent of the poll's history, so it runs in the worker that received the response; the state
//! machine decides what follows from a [`Judgement`]. The order is that of the specification: failure filter, response
//! filter, then, if neither matched, the first retry rule that applies and the server's hint.
//!
//! Bodies are read as [`filter::Document`]s, as by `poll match`: serde_json alone rounds some floats to a neighbour and
//! reads integers past 2⁶⁴ as floats.

mod body;
mod elsewhere;
mod explained;
mod kept;
mod link;
mod unmet;
mod view;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filter::{Effort, Exhausted};

pub(crate) use self::body::BodyText;
pub use self::explained::ExplainedPart;
use self::kept::Rest;
pub(crate) use self::kept::{EXPLANATION, HEAD, KeptBytes, NOTE, bounded};
use self::unmet::UnmetConditions;
use self::view::ResponseView;
use crate::fetch::{FetchError, FetchErrorKind, Journey};
use crate::history::Note;
use crate::job::{PollSpec, ResponseFilter, StatusFilter};
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

/// The judgement of an attempt, and what was unusual on the way to its response or failure.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) judgement: Judgement,
    pub(crate) journey: Option<Box<Journey>>,
}

impl Judged {
    /// Whether the attempt ended before the time of its request was over.
    pub(crate) fn is_in_time(&self) -> bool {
        !matches!(&self.judgement, Judgement::Error(error) if error.kind() == FetchErrorKind::Timeout)
    }
}

impl From<Judgement> for Judged {
    fn from(judgement: Judgement) -> Self {
        Self { judgement, journey: None }
    }
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
    /// A filter did match, but wants several responses in a row.
    pub(crate) row: Option<Row>,
    /// The URL to ask from now on.
    pub(crate) link: Option<Arc<str>>,
}

impl Unmatched {
    /// A response that is kept whole, as one of several that are wanted in a row. Without a `row`, it never suffices: a page
    /// [elsewhere].
    fn in_row(response: UnmatchedResponse, hint: Option<Duration>, row: Option<Row>) -> Self {
        Self { response: Arc::new(response), retry: None, hint, hopeless: false, row, link: None }
    }
}

/// A filter that wants several responses in a row and matched one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Matched,
    /// With the explanation of the failure.
    Failed(String),
}

/// A response that neither filter matched. A poll keeps the last one and compares the next to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnmatchedResponse {
    pub(crate) response: RecordedResponse,
    /// The unmet conditions on one line.
    pub(crate) note: Note,
    /// Only of a response that is not small.
    rest: Option<Box<Rest>>,
}

/// A response in its place.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) spec: &'a PollSpec,
    /// The URL that was asked.
    pub(crate) asked: &'a str,
    /// Where redirects led: the last URL, without its query.
    pub(crate) landed: Option<&'a str>,
    /// The secrets of the request, which no judgement quotes, even if the response echoes them.
    pub(crate) secrets: &'a Secrets,
    /// The last response of the poll.
    pub(crate) previous: Option<&'a Arc<UnmatchedResponse>>,
    /// The time of its last byte.
    pub(crate) now: SystemTime,
}

/// The bounds of judging one response.
pub(crate) struct Bounds<'a> {
    pub(crate) effort: &'a Effort,
    pub(crate) kept: &'a KeptBytes,
    /// Whether the judgement is wanted even without an explanation, if there is no effort left for one.
    pub(crate) is_last_resort: bool,
}

impl Bounds<'_> {
    fn or_without<T>(&self, explained: Result<T, Exhausted>) -> Result<Option<T>, Exhausted> {
        match explained {
            Err(_) if self.is_last_resort => Ok(None),
            other => other.map(Some),
        }
    }
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

/// Judges a response. Linear in its size times the number of conditions, within the bounds.
///
/// Most responses of a running job repeat the one before. A response that equals the previous one in every part that the
/// filters read is not parsed again, and shares its note.
///
/// # Errors
/// If the effort does not suffice.
pub(crate) fn judge(
    context: &Context<'_>,
    mut response: RecordedResponse,
    bounds: &Bounds<'_>,
) -> Result<Judgement, Exhausted> {
    let Context { spec, asked, landed, secrets, previous, now } = *context;
    let body = response.body().clone();
    let text = BodyText::new(&body);
    let view = ResponseView::new(&response, &text, spec, bounds);
    let filter = spec.response_filter();
    let status = response.status();
    let hint = retry::hint::from_response(status, response.headers().iter(), now).map(|hint| hint.delay);
    // A response that matched, but not often enough in a row, says nothing about the next.
    let unchanged = previous.filter(|last| !last.response.is_in_row() && view.equals(last));
    if unchanged.is_none() {
        let failed = match spec.failure_filter() {
            Some(filter) if view.meets(filter)? => Some(filter),
            _ => None,
        };
        let row = match failed {
            Some(filter) => {
                let explanation = match bounds.or_without(view.why(filter))? {
                    Some(why) => {
                        format!("the failure filter matched: {}", secrets.hide(&bounded(why, EXPLANATION)))
                    }
                    None => {
                        "the failure filter matched; to say by which conditions takes too long".to_owned()
                    }
                };
                if filter.consecutive.get() == 1 {
                    return Ok(Judgement::Failed { response, explanation });
                }
                Some(Row::Failed(explanation))
            }
            None if !view.meets(filter)? => None,
            None if elsewhere::is_page(spec, asked, landed, &response) => {
                let kept = UnmatchedResponse::in_row(response, elsewhere::NOTE.into(), bounds.kept);
                return Ok(Judgement::Unmatched(Unmatched::in_row(kept, hint, None)));
            }
            None if filter.consecutive.get() == 1 => return Ok(Judgement::Matched { response }),
            None => Some(Row::Matched),
        };
        if let Some(row) = row {
            let explained = UnmetConditions::new(&view, filter).explained(secrets, false);
            let (note, echoes) = match bounds.or_without(explained)? {
                Some(explained) => (explained.note, explained.echoes),
                // Without having looked for secrets, it is not quoted.
                None => (Note::from(""), true),
            };
            response.echoes = echoes;
            let kept = UnmatchedResponse::in_row(response, note, bounds.kept);
            return Ok(Judgement::Unmatched(Unmatched::in_row(kept, hint, Some(row))));
        }
    }
    let retry = view.retry(spec, now)?;
    // A server that says when to come back is not hopeless.
    let hopeless = HOPELESS.contains(&status) && hint.is_none() && !expects(spec, status);
    let (link, told) = link::of(spec, asked, &view, secrets);
    let is_long = body.len() > HEAD;
    let (note, echoes, in_full) = match unchanged {
        Some(last) => (Arc::clone(&last.note), last.response.echoes, last.explanation().map(Into::into)),
        None => {
            // From the beginning of a body, or within the effort of the engine's own thread, it cannot be built later.
            let unmet = UnmetConditions::new(&view, filter);
            let explained = unmet.explained(secrets, is_long || bounds.is_last_resort);
            let explained = bounds.or_without(explained)?;
            let explained = explained.unwrap_or_else(|| unmet.unexplained());
            (explained.note, explained.echoes, explained.in_full)
        }
    };
    let note = match told {
        Some(told) if !note.ends_with(&told) => format!("{note}; {told}").into(),
        _ => note,
    };
    let digest = is_long.then(|| view.digest());
    response.echoes = echoes;
    let kept = UnmatchedResponse::keep(response, note, digest, in_full, bounds.kept);
    let kept = match unchanged {
        Some(previous) if **previous == kept => Arc::clone(previous),
        _ => Arc::new(kept),
    };
    Ok(Judgement::Unmatched(Unmatched { response: kept, retry, hint, hopeless, row: None, link }))
}

/// The effort that the engine's own threads may spend on one response: some milliseconds. Most responses take a thousandth.
pub(crate) const BRIEF: u64 = 2 << 20;

/// The effort that a thread for judging may spend on one response, with its explanation.
pub(crate) const LONG: u64 = 2 << 30;

/// Judges a response without bounds, for simulations.
#[cfg(any(test, feature = "simulate"))]
pub(crate) fn judge_fully(context: &Context<'_>, response: RecordedResponse) -> Judgement {
    static KEPT: std::sync::OnceLock<KeptBytes> = std::sync::OnceLock::new();
    let (effort, kept) = (Effort::new(u64::MAX), KEPT.get_or_init(|| KeptBytes::new(usize::MAX)));
    let bounds = Bounds { effort: &effort, kept, is_last_resort: false };
    judge(context, response, &bounds).unwrap_or_else(|exhausted| too_costly(0, exhausted))
}

/// The judgement for a response that takes too much work.
pub(crate) fn too_costly(length: usize, exhausted: Exhausted) -> Judgement {
    let message = format!("the response of {length} bytes was not judged to its end: {exhausted}");
    Judgement::Error(FetchError::new(FetchErrorKind::TooCostly, message))
}

/// Why the response filter of `spec` does not match the response, in several lines for a person, without secrets. `None` if the
/// response must not be quoted, or takes too much work.
pub(crate) fn explain<'l>(spec: &PollSpec, last: &'l UnmatchedResponse) -> Option<Cow<'l, str>> {
    if let Some(explanation) = last.explanation() {
        return Some(explanation.into());
    }
    let response = &last.response;
    if response.echoes || response.is_cut() {
        return None;
    }
    let text = BodyText::new(response.body());
    let (effort, kept) = (Effort::new(BRIEF), KeptBytes::new(0));
    let bounds = Bounds { effort: &effort, kept: &kept, is_last_resort: false };
    let view = ResponseView::new(response, &text, spec, &bounds);
    UnmetConditions::new(&view, spec.response_filter()).in_full().ok().map(Cow::Owned)
}

impl PollSpec {
    /// Each part of the response filter with what `response` has in its place. Linear in the size of response and filter; parts
    /// that take more effort than one judging may spend are left out. Of a body that [was cut](RecordedResponse::is_cut), nothing is said.
    ///
    /// The parts quote the response. A response that may echo a secret of its request must not be explained to others;
    /// [`OpenPoll::last`](crate::OpenPoll::last) is none.
    #[must_use]
    pub fn explain(&self, response: &RecordedResponse) -> Vec<ExplainedPart> {
        let text = BodyText::new(response.body());
        let (effort, kept) = (Effort::new(LONG), KeptBytes::new(0));
        let bounds = Bounds { effort: &effort, kept: &kept, is_last_resort: false };
        let view = ResponseView::new(response, &text, self, &bounds);
        UnmetConditions::new(&view, self.response_filter()).parts()
    }
}

/// Whether the spec names this status, which then is an expected state of the job and not hopeless.
fn expects(spec: &PollSpec, status: u16) -> bool {
    let listed = |filter: &ResponseFilter| filter.status.accepts(status);
    // A failure filter that names no status accepts most of them without speaking of one.
    let failures = spec.failure_filter().filter(|filter| filter.status != StatusFilter::about_the_job());
    listed(spec.response_filter())
        || failures.is_some_and(listed)
        || spec.retry().iter().any(|rule| !rule.statuses.is_all() && rule.statuses.matches(status))
}

/// The judgement for a request that exceeded its timeout.
pub(crate) fn timed_out(limit: Duration) -> Judgement {
    let limit = Duration::from_millis(u64::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
    Judgement::Error(FetchError::new(FetchErrorKind::Timeout, format!("no whole response within {limit:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(response_filter: &str) -> PollSpec {
        let text = format!(r#"{{"url":"https://a.test","responseFilter":{response_filter}}}"#);
        text.parse().unwrap_or_else(|error| panic!("{response_filter}: {error}"))
    }

    const SUCCESS: &str = r#"{"body":{"status":["SUCCESS"]}}"#;

    fn judge_one(
        spec: &PollSpec,
        response: RecordedResponse,
        secrets: &Secrets,
        previous: Option<&Arc<UnmatchedResponse>>,
    ) -> Judgement {
        let (asked, now) = (spec.url_text(), SystemTime::UNIX_EPOCH);
        judge_fully(&Context { spec, asked, landed: None, secrets, previous, now }, response)
    }

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
    fn a_body_of_any_kind_is_judged_by_conditions_on_the_body_itself() {
        for (filter, matching, other, why) in [
            (
                r#"{"$some":{"state":"done"}}"#,
                r#"[{"state":"new"},{"state":"done"}]"#,
                r#"[{"state":"new"}]"#,
                r#"the event is [{"state": "new"}], expected an array with some element"#,
            ),
            (r#"["done"]"#, r#""done""#, r#""running""#, r#"the event is "running", expected "done""#),
            (r#"{"$gte":100}"#, "100.0", "99", "the event is 99, expected >= 100"),
            (
                r#"{"ready":{"$eq":{"$ref":"/wanted"}}}"#,
                r#"{"ready":2,"wanted":2}"#,
                r#"{"ready":1,"wanted":2}"#,
                "ready is 1, expected 2, the value of /wanted",
            ),
        ] {
            let spec = spec(&format!(r#"{{"body":{filter}}}"#));
            let judge = |body: &str| {
                let response = RecordedResponse::new(200, [("a", "b")], body.to_owned());
                judge_one(&spec, response, &Secrets::default(), None)
            };
            assert!(matches!(judge(matching), Judgement::Matched { .. }), "{filter} on {matching}");
            assert!(note(&judge(other)).starts_with(why), "{filter} on {other}: {}", &**note(&judge(other)));
        }
    }

    #[test]
    fn an_equal_response_is_not_parsed_again() {
        let spec = spec(SUCCESS);
        let respond = |date: &str, body: &str| RecordedResponse::new(200, [("date", date)], body.to_owned());
        let judge = |response, previous: Option<&Arc<UnmatchedResponse>>| {
            judge_one(&spec, response, &Secrets::default(), previous)
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
        let spec = spec(SUCCESS);
        let mut secrets = Secrets::default();
        secrets.add("Bearer tell-nobody");
        let judge = |date: &str, body: &str, previous: Option<&Arc<UnmatchedResponse>>| {
            let response = RecordedResponse::new(200, [("date", date)], body.to_owned());
            unmatched(judge_one(&spec, response, &secrets, previous))
        };
        let first = judge("1", r#"{"status":"tell-nobody"}"#, None);
        assert_eq!(
            (&*first.note, first.response.echoes),
            (r#"status is "[secret]", expected "SUCCESS""#, true)
        );
        let second = judge("2", r#"{"status":"tell-nobody"}"#, Some(&first));
        assert!(
            Arc::ptr_eq(&second.note, &first.note) && second.response.echoes,
            "the response is not parsed again"
        );
        let again = judge("2", r#"{"status":"tell-nobody"}"#, Some(&second));
        assert!(Arc::ptr_eq(&again, &second), "equal responses are shared");
        let third = judge("3", r#"{"status":"PENDING"}"#, Some(&second));
        assert!(!third.response.echoes && third.note.contains("PENDING"), "{third:?}");
        let fourth = judge("4", r#"{"status":"PENDING"}"#, Some(&third));
        assert!(Arc::ptr_eq(&fourth.note, &third.note) && !fourth.response.echoes);
    }

    #[test]
    fn numbers_of_bodies_are_read_exactly() {
        let matches = |filter: &str, body: &str| {
            let spec = spec(&format!(r#"{{"body":{{"n":{filter}}}}}"#));
            let response = RecordedResponse::new(200, [("a", "b")], format!(r#"{{"n":{body}}}"#));
            let judgement = judge_one(&spec, response, &Secrets::default(), None);
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
        let spec = spec(r#"{"headers":{"x-state":["done"]}}"#);
        let judge = |state: &str, previous: Option<&Arc<UnmatchedResponse>>| {
            let response = RecordedResponse::new(200, [("x-state", state)], "");
            judge_one(&spec, response, &Secrets::default(), previous)
        };
        let first = unmatched(judge("busy", None));
        assert!(matches!(judge("done", Some(&first)), Judgement::Matched { .. }));
    }

    #[test]
    fn of_a_long_body_the_beginning_is_kept_and_an_equal_one_is_not_judged_again() {
        let spec = spec(SUCCESS);
        let respond = |end: &str| {
            let body = format!(r#"{{"status":"A","x":"{}{end}"}}"#, "x".repeat(2 * HEAD));
            RecordedResponse::new(200, [("a", "b")], body)
        };
        let first = unmatched(judge_one(&spec, respond("1"), &Secrets::default(), None));
        assert!(first.response.is_cut());
        assert_eq!(first.response.full_len(), respond("1").body().len() as u64);
        let explained = explain(&spec, &first).unwrap();
        assert!(explained.contains(r#"status  is "A"  expected "SUCCESS""#), "{explained}");
        let again = unmatched(judge_one(&spec, respond("1"), &Secrets::default(), Some(&first)));
        assert!(Arc::ptr_eq(&again, &first));

        let (effort, kept) = (Effort::new(u64::MAX), KeptBytes::new(usize::MAX));
        let bounds = Bounds { effort: &effort, kept: &kept, is_last_resort: false };
        let judge = |response, previous: Option<&Arc<UnmatchedResponse>>| {
            let (asked, now, secrets) = (spec.url_text(), SystemTime::UNIX_EPOCH, Secrets::default());
            let context = Context { spec: &spec, asked, landed: None, secrets: &secrets, previous, now };
            unmatched(judge(&context, response, &bounds).unwrap())
        };
        let first = judge(respond("1"), None);
        let spent = effort.spent();
        assert!(Arc::ptr_eq(&judge(respond("1"), Some(&first)), &first));
        assert_eq!(effort.spent(), spent, "it is not parsed again");
        assert!(!Arc::ptr_eq(&judge(respond("2"), Some(&first)), &first), "only its end differs");
    }

    #[test]
    fn a_response_that_takes_too_much_work_is_an_error_or_has_no_explanation() {
        let conditions: Vec<String> =
            (0..100).map(|n| format!(r#"{{"$ignoreCaseEquals":"t{n}"}}"#)).collect();
        let spec = spec(&format!(r#"{{"body":{{"a":[{}]}}}}"#, conditions.join(",")));
        let secrets = Secrets::default();
        let context = Context {
            landed: None,
            spec: &spec,
            asked: spec.url_text(),
            secrets: &secrets,
            previous: None,
            now: SystemTime::UNIX_EPOCH,
        };
        let kept = KeptBytes::new(usize::MAX);
        let judge = |limit, is_last_resort| {
            let effort = Effort::new(limit);
            let body = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
            let response = RecordedResponse::new(200, [("a", "b")], body);
            let bounds = Bounds { effort: &effort, kept: &kept, is_last_resort };
            (judge(&context, response, &bounds), effort.spent())
        };
        let (whole, spent) = judge(u64::MAX, false);
        assert!(note(&whole.unwrap()).starts_with("a is \"xxx"));
        assert!(judge(spent / 2, false).0.is_err(), "without an explanation it is no judgement");
        let without = judge(spent / 2, true).0.unwrap();
        assert!(note(&without).contains("to say why takes too long"), "{}", note(&without));
        assert!(judge(spent / 10, true).0.is_err());
    }
}
