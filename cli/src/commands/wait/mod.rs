//! `poll wait`: a poll from arguments.
//!
//! The arguments are assembled to the JSON tree of a spec and decoded like one, so that `wait` and `run` reject the same
//! errors with the same messages. The parsed filters keep their spans, so a diagnostic can point into `--until`; values
//! of other arguments have no span, and their diagnostics name the option.

mod filter_target;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use filter::decode::child;
use filter::json::{self, Kind, Member, Node};
use filter::{Diagnostic, Severity};
use poller::{Limits, PollSpec, SpecOptions};
use serde_json::{Value, json};

use self::filter_target::FilterTarget;
use super::drive::{self, EndsAll, Jobs, Plan, Print};
use super::specs::Job;
use super::{AlreadyReported, print_error, print_warning};
use crate::args::{PairArg, TextArg, WaitArgs};
use crate::exit::Exit;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::progress::ProgressReporter;
use crate::render::terminal::Terminal;
use crate::render::{humanize, sanitize};

pub(super) fn run(args: &WaitArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let until = match &args.until_text {
        Some(text) => Some(Condition::contains(text)),
        None => Condition::read(["--until", "--until-body"], [&args.until, &args.until_body], terminal)?,
    };
    let fail_if =
        Condition::read(["--fail-if", "--fail-if-body"], [&args.fail_if, &args.fail_if_body], terminal)?;
    let jobs = jobs(args, until.as_ref(), fail_if.as_ref(), terminal)?;

    let progress = ProgressReporter::new(terminal, args.report.quiet, false);
    let mut until_text = until.as_ref().map_or_else(|| SUCCESS.to_owned(), Condition::describe);
    if let Some(times) = args.consecutive.filter(|times| times.get() > 1) {
        let _ = write!(until_text, ", {times} times in a row");
    }
    progress.message(format_args!("{}, until {until_text}", describe(&jobs, args.any)));
    for condition in [until, fail_if].into_iter().flatten() {
        if let Some(note) = condition.target.ambiguity() {
            progress.message(format_args!("note: {} {note}", condition.text.name()));
        }
    }
    let print = match &jobs[..] {
        [_] if !args.report.json => Print::Body,
        [_] => Print::Outcomes { bodies: true },
        _ => Print::several(args.report.json, terminal),
    };
    let ends_all = match (args.any, args.fail_fast) {
        (true, _) => EndsAll::Match,
        (false, true) => EndsAll::Failure,
        (false, false) => EndsAll::Never,
    };
    let plan = Plan {
        jobs: Some(Jobs::Few(jobs)),
        introduction: None,
        print,
        ends_all,
        report: None,
        limits: args.connect.apply(Limits::unbounded()),
        connect: &args.connect,
        file: None,
        progress,
        terminal,
    };
    super::block_on(drive::drive(plan))
}

/// What is waited for without `--until`.
const SUCCESS: &str = "a response is 2xx, but not 202";

/// `GET https://a.example/ every 10s for 10m at most`, `2 URLs, one of which must match, every 10s for 10m at most`
fn describe(jobs: &[Job], any: bool) -> String {
    match jobs {
        [] => String::new(),
        [job] => super::run::describe(&job.spec),
        [Job { spec, .. }, ..] => {
            let (number, which) = (jobs.len(), if any { "one" } else { "all" });
            let (every, timeout) = (super::run::interval(spec), humanize::duration(spec.timeout()));
            format!("{number} URLs, {which} of which must match, every {every} for {timeout} at most")
        }
    }
}

/// The polls of the URLs. Each is named by its URL without the query, which may contain a token; a URL that is given twice is
/// one poll.
fn jobs(
    args: &WaitArgs,
    until: Option<&Condition>,
    fail_if: Option<&Condition>,
    terminal: &Terminal,
) -> anyhow::Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::with_capacity(args.urls.len());
    let mut failed = false;
    let (mut urls, mut keys) = (HashSet::new(), HashSet::new());
    let request = request(args)?;
    for (index, url) in args.urls.iter().enumerate() {
        if !urls.insert(url) {
            continue;
        }
        // What is wrong with other arguments is wrong for every URL, and is said once.
        let Ok(spec) = spec(args, url, &request, [until, fail_if], index == 0, terminal) else {
            failed = true;
            continue;
        };
        let name = sanitize::excerpt(&super::run::shown_url(&spec.url()), 250);
        let mut key = name.clone();
        while !keys.insert(key.clone()) {
            key = format!("{name} ({})", index + 1);
        }
        jobs.push(Job { key, spec });
    }
    if failed { Err(AlreadyReported.into()) } else { Ok(jobs) }
}

/// The filter of `--until` or `--fail-if`.
struct Condition {
    text: Text,
    node: Node,
    target: FilterTarget,
}

impl Condition {
    /// The condition of `--until-text`.
    fn contains(text: &str) -> Self {
        let node = Node::from(&json!({"text": {"$contains": text}}));
        Self { text: Text::new("--until-text", text.to_owned()), node, target: FilterTarget::Response }
    }

    /// The first of the two arguments may be a filter of either kind, the second is always a filter for the body.
    fn read(
        options: [&str; 2],
        arguments: [&Option<TextArg>; 2],
        terminal: &Terminal,
    ) -> anyhow::Result<Option<Self>> {
        let (option, argument) = match (options, arguments) {
            ([option, _], [Some(argument), _]) | ([_, option], [None, Some(argument)]) => (option, argument),
            (_, [None, None]) => return Ok(None),
        };
        let text = argument.read(option)?;
        let node = json::parse(text.as_str(), &filter::Limits::default()).map_err(|error| {
            Diagnostics::new(&text, terminal).print(error.diagnostic());
            AlreadyReported
        })?;
        let target = if arguments[0].is_some() { FilterTarget::guess(&node) } else { FilterTarget::BODY };
        Ok(Some(Self { text, node, target }))
    }

    /// The filter as a member of a spec.
    fn in_spec(&self) -> Node {
        match self.target {
            FilterTarget::Response => self.node.clone(),
            FilterTarget::Body { .. } => object([member("body", self.node.clone())]),
        }
    }

    /// `the body matches {"status":["SUCCESS"]}`
    fn describe(&self) -> String {
        let what = match self.target {
            FilterTarget::Response => "response",
            FilterTarget::Body { .. } => "body",
        };
        let text = self.node.to_value().to_string();
        format!("the {what} matches {}", sanitize::excerpt(&text, 120))
    }
}

/// The filter for the response that is waited for; `None` for the default.
fn response_filter(args: &WaitArgs, until: Option<&Condition>) -> Option<Node> {
    let filter = until.map(Condition::in_spec);
    let Some(times) = args.consecutive else { return filter };
    Some(match filter {
        // A filter that is no object is wrong, and is said to be; a member that stands twice too.
        Some(Node { kind: Kind::Object(members), .. }) => {
            object(members.into_iter().chain([member("consecutive", &json!(times))]))
        }
        Some(other) => other,
        // The default, which has no such member.
        None => Node::from(&json!({"status": ["200-201", "203-299"], "consecutive": times})),
    })
}

/// The spec for the arguments and one URL; prints its diagnostics, all of them or only those of the URL.
fn spec(
    args: &WaitArgs,
    url: &str,
    request: &Node,
    [until, fail_if]: [Option<&Condition>; 2],
    all: bool,
    terminal: &Terminal,
) -> anyhow::Result<PollSpec> {
    let mut members = vec![
        member("url", &json!(url)),
        member("interval", &interval(args)),
        member("timeout", &seconds(args.timeout)),
        member("requestInit", request.clone()),
        member("dialect", &json!(args.dialect.dialect.to_string())),
    ];
    members.extend(response_filter(args, until).map(|filter| member("responseFilter", filter)));
    members.extend(fail_if.map(|fail_if| member("failureFilter", fail_if.in_spec())));
    members.extend(args.request_timeout.map(|timeout| {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        member("requestTimeout", &json!({"durationInMs": millis}))
    }));
    members.extend(args.follow.as_ref().map(|follow| member("follow", follow)));
    members.extend(args.give_up.as_ref().map(|give_up| member("giveUp", give_up)));

    let options = SpecOptions::new().limits(Limits::unbounded());
    let decoded = options.decode(&object(members), "");
    let diagnostics = match &decoded {
        Ok(spec) if args.report.quiet => &spec.warnings()[..0],
        Ok(spec) => spec.warnings(),
        Err(error) => error.diagnostics(),
    };
    let is_literal = |diagnostic: &Diagnostic| {
        let pairs = [("headers", &args.headers), ("query", &args.query)];
        diagnostic.severity() != Severity::Error
            && pairs.into_iter().any(|(member, pairs)| {
                let place = child("/requestInit", member);
                pairs.iter().any(|pair| pair.is_literal && child(&place, &pair.name) == diagnostic.pointer())
            })
    };
    for diagnostic in diagnostics {
        if is_literal(diagnostic) || !(all || diagnostic.pointer() == "/url") {
            continue;
        }
        let condition = match diagnostic.pointer() {
            pointer if pointer.starts_with("/responseFilter") => until,
            pointer if pointer.starts_with("/failureFilter") => fail_if,
            _ => None,
        };
        match (condition, diagnostic.severity()) {
            (Some(condition), _) => Diagnostics::new(&condition.text, terminal).print(diagnostic),
            (None, Severity::Error) => print_error(terminal, by_option(diagnostic, url)),
            (None, _) => print_warning(terminal, by_option(diagnostic, url)),
        }
    }
    decoded.map_err(|_| AlreadyReported.into())
}

/// The message of a diagnostic without a source text, which names the option instead.
fn by_option(diagnostic: &Diagnostic, url: &str) -> String {
    const OPTIONS: [(&str, &str); 11] = [
        ("/url", "URL"),
        ("/interval/", "--backoff"),
        ("/interval", "--every"),
        ("/timeout", "--timeout"),
        ("/requestTimeout", "--request-timeout"),
        ("/giveUp", "--give-up"),
        ("/follow", "--follow"),
        ("/requestInit/method", "--method"),
        ("/requestInit/headers", "--header"),
        ("/requestInit/query", "--query"),
        ("/requestInit/body", "--data"),
    ];
    let pointer = diagnostic.pointer();
    let place = OPTIONS.iter().find_map(|(prefix, option)| {
        let rest = pointer.strip_prefix(prefix)?;
        Some(format!("{option} {}", rest.trim_start_matches('/')))
    });
    let place = place.unwrap_or_else(|| pointer.to_owned());
    let hint = if pointer == "/url" { url_hint(url) } else { diagnostic.help().map(str::to_owned) };
    let help = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{}: {}{help}", place.trim_end(), diagnostic.message())
}

/// A hint for a rejected URL; the decoder's own hints name members of a spec.
fn url_hint(url: &str) -> Option<String> {
    if url.contains('@') {
        // Without the URL itself: the part before the `@` may be a password.
        return Some("give a user and a password as --header 'authorization: Basic env:NAME'".to_owned());
    }
    let whole = url.contains("://");
    (!whole).then(|| format!("write it whole: http://{0} or https://{0}", sanitize::excerpt(url, 100)))
}

fn request(args: &WaitArgs) -> anyhow::Result<Node> {
    let method = args.method.as_deref().unwrap_or(if args.data.is_some() { "POST" } else { "GET" });
    let headers = pairs(&args.headers, str::eq_ignore_ascii_case, |name| {
        format!("--header {name} is given twice; give it once, its values separated by commas")
    })?;
    let query = pairs(&args.query, str::eq, |name| {
        format!("--query {name} is given twice; write repeated ones into the URL")
    })?;
    let mut members = vec![member("method", &json!(method)), member("headers", object(headers))];
    if !query.is_empty() {
        members.push(member("query", object(query)));
    }
    if args.cookies {
        members.push(member("cookies", &json!(true)));
    }
    if let Some(data) = &args.data {
        let body = match String::from_utf8(data.read_bytes("--data")?) {
            Ok(text) => json!(text),
            Err(error) => json!({"base64": BASE64.encode(error.as_bytes())}),
        };
        members.push(member("body", &body));
    }
    Ok(object(members))
}

/// Headers or parameters as members of a spec, in their order; an error if two have the same name.
fn pairs(
    pairs: &[PairArg],
    is_same: fn(&str, &str) -> bool,
    given_twice: impl Fn(&str) -> String,
) -> anyhow::Result<Vec<Member>> {
    let mut members: Vec<Member> = Vec::new();
    for pair in pairs {
        let is_there = members.iter().any(|present| is_same(&present.key, &pair.name));
        anyhow::ensure!(!is_there, given_twice(&pair.name));
        members.push(member(&pair.name, &value(pair)?));
    }
    Ok(members)
}

/// The value of a header or parameter as a member of a spec.
fn value(pair: &PairArg) -> anyhow::Result<Value> {
    // Read here too, so that a secret that is not there is an error before the first request.
    Ok(match (pair.resolve()?, pair.reference()) {
        (_, Some((prefix, reference))) => json!({"$secret": reference, "prefix": prefix}),
        ((text, None), None) => json!(text),
        // A redacted string: its interpolations are never shown.
        ((prefix, Some(secret)), None) => {
            json!({"__redactedString": true, "strings": [prefix, ""], "interpolations": [secret]})
        }
    })
}

fn object(members: impl IntoIterator<Item = Member>) -> Node {
    Node { span: None, kind: Kind::Object(members.into_iter().collect()) }
}

fn member(key: &str, value: impl Into<Node>) -> Member {
    Member { key: key.to_owned(), key_span: None, value: value.into() }
}

fn interval(args: &WaitArgs) -> Value {
    match args.backoff {
        Some((from, to)) => json!({"from": seconds(from), "to": seconds(to)}),
        None => seconds(args.every()),
    }
}

fn seconds(duration: Duration) -> Value {
    if duration.subsec_nanos() > 0 { json!(duration.as_secs_f64()) } else { json!(duration.as_secs()) }
}
