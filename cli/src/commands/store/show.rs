//! `poll show KEY`: everything the store has about one poll.

use std::fmt::Write as _;

use filter::json::{self, Kind, Member, Node};
use poller::store::{PollRecord, StoreAdmin as _};
use poller::{Attempt, Clock as _, Limits, Outcome, PollKey, PollSpec, SpecOptions, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::super::output::{self, Keyed};
use super::{Opening, clock, no_such_poll, on_store, plain, quoted, shown};
use crate::args::ShowArgs;
use crate::exit::Exit;
use crate::render::progress::lines;
use crate::render::terminal::{Paint, Terminal};
use crate::render::{charset, humanize, sanitize};

pub(in super::super) fn run(args: &ShowArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let file = &args.store.file.path;
    on_store(file, Opening::Reading, async |store| {
        let key = PollKey::new(args.store.scope(), args.key.as_str());
        let Some(record) = store.show(key.clone()).await.map_err(plain)? else {
            return Err(no_such_poll(&key, file));
        };
        if args.json {
            output::json(&Keyed::new(&record.poll.key, whole(&record)), terminal)?;
        } else {
            let page = describe(&record, clock(&store).now(), &quoted(file), terminal.stdout_paint)?;
            output::text(&charset::for_locale(&page))?;
        }
        Ok(Exit::Success)
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    state: &'a str,
    created_at: Timestamp,
    deadline: Timestamp,
    restarts: u32,
    /// The process that runs the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    runner: Option<u32>,
    spec: &'a PollSpec,
    /// The attempts of an open poll; the outcome has those of a finished one.
    #[serde(skip_serializing_if = "<[Attempt]>::is_empty")]
    history: &'a [Attempt],
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a Outcome>,
}

/// As [`state`](poller::store::Summary::state) of a summary.
fn state(record: &PollRecord) -> &str {
    match &record.poll.outcome {
        Some(outcome) => outcome.name(),
        None if record.cancelling => "cancelling",
        None => "open",
    }
}

fn whole(record: &PollRecord) -> Whole<'_> {
    let poll = &record.poll;
    Whole {
        state: state(record),
        created_at: poll.created_at,
        deadline: poll.deadline(),
        restarts: poll.restarts,
        runner: record.runner.and_then(|runner| runner.process),
        spec: &poll.spec,
        history: &record.attempts,
        outcome: poll.outcome.as_deref(),
    }
}

/// The page for people.
fn describe(record: &PollRecord, now: Timestamp, file: &str, paint: Paint) -> anyhow::Result<String> {
    let poll = &record.poll;
    let mut text = format!("{}\n", paint.strong(shown(&poll.key)));
    let mut member = |name: &str, value: &str| {
        let _ = writeln!(text, "  {} {value}", paint.faint(format_args!("{name:<9}")));
    };
    let ago = |at: Timestamp| format!("{at} ({} ago)", humanize::age(now.since(at)));
    let shown_state = match (&poll.outcome, record.runner) {
        (Some(outcome), _) => super::list::painted(outcome.name(), paint),
        (None, Some(runner)) => format!("{}; {runner} runs the file", state(record)),
        (None, None) => format!("{}; no process runs the file: poll run --store {file}", state(record)),
    };
    member("state", &shown_state);
    member("accepted", &ago(poll.created_at));
    match &poll.outcome {
        Some(outcome) => member("ended", &ago(outcome.ended_at)),
        None if poll.deadline() > now => {
            let left = humanize::countdown(poll.deadline().since(now));
            member("deadline", &format!("{} ({left} left)", poll.deadline()));
        }
        None => member("deadline", &format!("{}, passed", ago(poll.deadline()))),
    }
    if poll.restarts > 0 {
        member("restarts", &poll.restarts.to_string());
    }
    if !poll.first_after.is_zero() && poll.outcome.is_none() {
        let first = poll.created_at + poll.first_after;
        member("grid", &format!("begins at {first}, since many polls were spread"));
    }
    let spec = serde_json::to_string_pretty(&Ordered(&unusual(&poll.spec)?))?;
    let _ = write!(
        text,
        "\n{}\n{}\n\n{}",
        paint.faint("spec, without default values"),
        sanitize::block(&spec),
        paint.faint("timeline")
    );
    match &poll.outcome {
        Some(outcome) => {
            attempts(&mut text, poll.created_at, &outcome.history, paint);
            let _ = write!(text, "\n{}", lines::outcome(outcome, None, paint));
            if let Some(response) = outcome.response() {
                let bytes = response.body().len();
                let _ = write!(text, "\nthe response's body has {bytes} bytes; --json prints it");
            }
        }
        None if record.attempts.is_empty() => text.push_str("\nno attempts have been written yet"),
        None => {
            attempts(&mut text, poll.created_at, &record.attempts, paint);
            if record.runner.is_some() {
                let note = "as of a few seconds ago: the runner writes them down in batches";
                let _ = write!(text, "\n{}", paint.faint(note));
            }
        }
    }
    Ok(text)
}

/// The members of a spec that differ from the defaults.
fn unusual(spec: &PollSpec) -> anyhow::Result<Node> {
    let options = SpecOptions::new().limits(Limits::unbounded());
    let mut usual = options.parse(&json!({"url": spec.url_text()}).to_string())?.to_value();
    // It is what a person looks for first.
    usual.as_object_mut().and_then(|members| members.remove("url"));
    let limits = filter::Limits::default().with_text_bytes(usize::MAX);
    let node = json::parse(&serde_json::to_string(spec)?, &limits)?;
    Ok(differing(node, &usual).unwrap_or(Node { span: None, kind: Kind::Object(Vec::new()) }))
}

/// What of a value differs from another one: of objects, the members that do.
fn differing(node: Node, usual: &Value) -> Option<Node> {
    match (node.kind, usual) {
        (Kind::Object(members), Value::Object(usual)) => {
            let differ = members.into_iter().filter_map(|Member { key, key_span, value }| {
                let value = match usual.get(&key) {
                    Some(usual) => differing(value, usual)?,
                    None => value,
                };
                Some(Member { key, key_span, value })
            });
            let members: Vec<Member> = differ.collect();
            (!members.is_empty()).then_some(Node { span: None, kind: Kind::Object(members) })
        }
        (kind, usual) => {
            let node = Node { span: None, kind };
            (node.to_value() != *usual).then_some(node)
        }
    }
}

/// JSON whose members keep their order, which has a meaning among retry rules.
struct Ordered<'n>(&'n Node);

impl Serialize for Ordered<'_> {
    // The parser bounds the depth.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            Kind::Object(members) => {
                serializer.collect_map(members.iter().map(|member| (&member.key, Ordered(&member.value))))
            }
            Kind::Array(elements) => serializer.collect_seq(elements.iter().map(Ordered)),
            _ => self.0.to_value().serialize(serializer),
        }
    }
}

/// The stored attempts, and the number of earlier ones.
fn attempts(text: &mut String, started: Timestamp, attempts: &[Attempt], paint: Paint) {
    let before = attempts.first().map_or(0, |first| first.number.saturating_sub(1));
    if before > 0 {
        let _ = write!(text, "\n… {} before these", humanize::count(before, "attempt"));
    }
    for attempt in attempts {
        let _ = write!(text, "\n{}", lines::attempt(attempt, started, None, paint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_shown_without_its_defaults() {
        let shown = |spec: &str| {
            let spec = SpecOptions::new().limits(Limits::unbounded()).parse(spec).unwrap();
            serde_json::to_value(Ordered(&unusual(&spec).unwrap())).unwrap()
        };
        assert_eq!(shown(r#"{"url":"https://a.test/"}"#), json!({"url": "https://a.test/"}));
        assert_eq!(
            shown(r#"{"url":"https://a.test/","interval":10,"giveUp":{"after":5}}"#),
            json!({"url": "https://a.test/"})
        );
        let spec = json!({
            "url": "https://a.test/", "timeout": 50, "giveUp": false, "requestInit": {"headers": {"accept": "x"}},
            "responseFilter": {"body": {"a": [1]}}
        });
        let mut expected = spec.clone();
        // Statuses follow from the presence of a filter.
        expected["responseFilter"] = shown(&spec.to_string())["responseFilter"].clone();
        assert_eq!(shown(&spec.to_string()), expected);
        assert_eq!(expected["responseFilter"]["body"], json!({"a": [1]}));
        let retry = r#"{"url":"https://a.test/","retry":{"5xx":{"strategy":"backoff"},"503":{"strategy":"backoff"}}}"#;
        let spec = PollSpec::parse(retry).unwrap();
        let text = serde_json::to_string(&Ordered(&unusual(&spec).unwrap())).unwrap();
        assert!(text.find("5xx").or(text.find("500-599")) < text.find("503"), "{text}");
    }

    #[test]
    fn earlier_attempts_are_counted() {
        let attempt = |number: u32| -> Attempt {
            let text = json!({
                "number": number, "at": "2026-01-01T00:00:20Z", "durationInMicros": 12_000,
                "result": {"status": 202}, "verdict": "unmatched", "note": "not yet", "next": null
            });
            serde_json::from_value(text).unwrap()
        };
        let started = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let mut text = String::new();
        attempts(&mut text, started, &[attempt(13), attempt(14)], Paint(false));
        assert_eq!(
            text,
            "\n… 12 attempts before these\n[    20s] #13 202 in 12ms: not yet\n[    20s] #14 202 in 12ms: not yet"
        );
        text.clear();
        attempts(&mut text, started, &[attempt(1)], Paint(false));
        assert!(!text.contains("before"), "{text}");
    }
}
