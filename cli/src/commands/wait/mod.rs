//! `poll wait`: a poll from arguments.
//!
//! The arguments are assembled to the JSON tree of a spec and decoded like one, so that `wait` and `run` reject the same
//! errors with the same messages. The parsed filters keep their spans, so a diagnostic can point into `--until`; values
//! of other arguments have no span, and their diagnostics name the option.

mod filter_target;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use filter::Diagnostic;
use filter::json::{self, Kind, Member, Node};
use poller::{Limits, PollSpec, SpecOptions};
use serde_json::Number;

use self::filter_target::FilterTarget;
use super::drive::{self, Plan, Print};
use super::specs::Job;
use super::{AlreadyReported, print_error};
use crate::args::{TextArg, WaitArgs};
use crate::exit::Exit;
use crate::input::Text;
use crate::render::diagnostics::Diagnostics;
use crate::render::progress::ProgressReporter;
use crate::render::sanitize;
use crate::render::terminal::Terminal;

pub(super) fn run(args: &WaitArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let until = Condition::read(["--until", "--until-body"], [&args.until, &args.until_body], terminal)?;
    let fail_if =
        Condition::read(["--fail-if", "--fail-if-body"], [&args.fail_if, &args.fail_if_body], terminal)?;
    let spec = spec(args, until.as_ref(), fail_if.as_ref(), terminal)?;

    let progress = ProgressReporter::new(terminal, args.report.quiet);
    let until_text = until.as_ref().map_or_else(|| "a response is 2xx".to_owned(), Condition::describe);
    progress.message(format_args!("{}, until {until_text}", super::run::describe(&spec)));
    for condition in [until, fail_if].into_iter().flatten() {
        if let Some(note) = condition.target.ambiguity() {
            progress.message(format_args!("note: {} {note}", condition.text.name()));
        }
    }
    let print = if args.report.json { Print::Outcomes } else { Print::Body };
    let key = spec.digest();
    let plan = Plan {
        jobs: Some(vec![Job { key, spec }]),
        introduction: None,
        print,
        limits: args.connect.apply(Limits::unbounded()),
        cacert: args.connect.cacert.as_deref(),
        file: None,
        progress,
        terminal,
    };
    super::block_on(drive::drive(plan))
}

/// The filter of `--until` or `--fail-if`.
struct Condition {
    text: Text,
    node: Node,
    target: FilterTarget,
}

impl Condition {
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
            Diagnostics::new(&text, terminal.stderr_paint).print(error.diagnostic());
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

/// The spec for the arguments; prints its diagnostics.
fn spec(
    args: &WaitArgs,
    until: Option<&Condition>,
    fail_if: Option<&Condition>,
    terminal: &Terminal,
) -> anyhow::Result<PollSpec> {
    let mut members = vec![
        member("url", string(&args.url)),
        member("interval", seconds(args.every)),
        member("timeout", seconds(args.timeout)),
        member("requestInit", request(args)?),
        member("dialect", string(&args.dialect.dialect.to_string())),
    ];
    members.extend(until.map(|until| member("responseFilter", until.in_spec())));
    members.extend(fail_if.map(|fail_if| member("failureFilter", fail_if.in_spec())));

    let options = SpecOptions::new().limits(Limits::unbounded());
    let decoded = options.decode(&object(members), "");
    let diagnostics = match &decoded {
        Ok(spec) if args.report.quiet => &spec.warnings()[..0],
        Ok(spec) => spec.warnings(),
        Err(error) => error.diagnostics(),
    };
    for diagnostic in diagnostics {
        let condition = match diagnostic.pointer() {
            pointer if pointer.starts_with("/responseFilter") => until,
            pointer if pointer.starts_with("/failureFilter") => fail_if,
            _ => None,
        };
        match condition {
            Some(condition) => {
                Diagnostics::new(&condition.text, terminal.stderr_paint).print(diagnostic);
            }
            None => print_error(terminal, &anyhow::anyhow!("{}", by_option(diagnostic, &args.url))),
        }
    }
    decoded.map_err(|_| AlreadyReported.into())
}

/// The message of a diagnostic without a source text, which names the option instead.
fn by_option(diagnostic: &Diagnostic, url: &str) -> String {
    const OPTIONS: [(&str, &str); 6] = [
        ("/url", "URL"),
        ("/interval", "--every"),
        ("/timeout", "--timeout"),
        ("/requestInit/method", "--method"),
        ("/requestInit/headers", "--header"),
        ("/requestInit/body", "--data"),
    ];
    let pointer = diagnostic.pointer();
    let place = OPTIONS
        .iter()
        .find_map(|(prefix, option)| pointer.strip_prefix(prefix).map(|rest| (option, rest)))
        .map_or_else(
            || pointer.to_owned(),
            |(option, rest)| format!("{option} {}", rest.trim_start_matches('/')),
        );
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
    let mut members = vec![member("method", string(method))];
    let mut headers: Vec<Member> = Vec::new();
    for header in &args.headers {
        if headers.iter().any(|present| present.key.eq_ignore_ascii_case(header.name())) {
            anyhow::bail!(
                "--header {} is given twice; give it once, its values separated by commas",
                header.name()
            );
        }
        let value = match header.resolve()? {
            (text, None) => string(&text),
            // A redacted string: its interpolations are never shown.
            (prefix, Some(secret)) => object([
                member("__redactedString", node(Kind::Bool(true))),
                member("strings", node(Kind::Array(vec![string(&prefix), string("")]))),
                member("interpolations", node(Kind::Array(vec![string(&secret)]))),
            ]),
        };
        headers.push(member(header.name(), value));
    }
    members.push(member("headers", object(headers)));
    if let Some(data) = &args.data {
        let body = match String::from_utf8(data.read_bytes("--data")?) {
            Ok(text) => string(&text),
            Err(error) => object([member("base64", string(&BASE64.encode(error.as_bytes())))]),
        };
        members.push(member("body", body));
    }
    Ok(object(members))
}

fn node(kind: Kind) -> Node {
    Node { span: None, kind }
}

fn object(members: impl IntoIterator<Item = Member>) -> Node {
    node(Kind::Object(members.into_iter().collect()))
}

fn member(key: &str, value: Node) -> Member {
    Member { key: key.to_owned(), key_span: None, value }
}

fn string(text: &str) -> Node {
    node(Kind::String(text.to_owned()))
}

fn seconds(duration: std::time::Duration) -> Node {
    let fraction = Number::from_f64(duration.as_secs_f64()).filter(|_| duration.subsec_nanos() > 0);
    node(Kind::Number(fraction.unwrap_or_else(|| Number::from(duration.as_secs()))))
}
