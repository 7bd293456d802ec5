//! `requestTimeout` and `retry`: how a poll tries again before its next tick, after a request that took too long or by
//! status. The crate `retry` knows the retry options, their bounds and their form; here are the places of its errors.

use std::time::Duration;

use filter::decode::{Field, Place, Problems, child, closest, describe, field, known_members, members};
use filter::json::Kind;
use filter::{Diagnostic, Dialect, Filter};
use http::HeaderName;
use retry::hint::ResetFormat;
use retry::status::{StatusPattern, StatusSet};
use retry::strategy::{HeadersStrategy, Strategy};
use retry::{OptionBounds, OptionValue, PolicyError, RetryOptions};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::read::{Reader, quoted};
use super::schema::{STATUS, TOKEN, given, object};
use super::timing::{LIMITS_HELP, to_micros};
use crate::fetch::FetchErrorKind;
use crate::limits::Limits;

const STRATEGIES: [&str; 2] = ["backoff", "headers"];

/// The `requestTimeout` of a spec.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestTimeout {
    /// From connecting to the last byte of the body.
    pub duration: Duration,
    /// How a request that took longer is retried; `None`: at the next tick.
    pub retry: Option<RetryOptions>,
}

impl RequestTimeout {
    pub(super) fn to_value(&self) -> Value {
        given([("durationInMs", Some(millis(self.duration))), ("retry", self.retry.as_ref().map(to_value))])
    }

    pub(super) fn check(&self, limits: &Limits, problems: &mut Problems) {
        if let Some(options) = &self.retry {
            check(options, "/requestTimeout/retry", limits, problems);
        }
    }
}

/// One member of a spec's `retry`: status patterns or kinds of errors, and what to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryRule {
    /// The statuses it is for.
    pub statuses: StatusSet,
    /// The kinds of errors it is for.
    pub errors: Vec<FetchErrorKind>,
    /// What to do.
    pub strategy: Strategy,
    /// If given, the rule applies only to a JSON body that matches.
    pub body: Option<Filter>,
}

impl RetryRule {
    /// Its name in a spec: `500-599,reset`.
    pub(super) fn name(&self) -> String {
        let statuses = self.statuses.patterns().iter().map(StatusPattern::to_string);
        let errors = self.errors.iter().map(|kind| kind.as_str().to_owned());
        statuses.chain(errors).collect::<Vec<_>>().join(",")
    }

    fn to_value(&self) -> Value {
        let mut value = to_value(&self.strategy);
        if let Some(body) = &self.body {
            value["bodyFilter"] = body.to_value();
        }
        value
    }
}

/// The rules as a map in their order, for serializers that keep it.
pub(super) struct InOrder<'a>(pub(super) &'a [RetryRule]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|rule| (rule.name(), rule.to_value())))
    }
}

pub(super) fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("invariant: options have string keys and finite numbers")
}

/// A number of milliseconds, written whole where it is whole.
pub(super) fn millis(duration: Duration) -> Value {
    match u64::try_from(duration.as_millis()) {
        Ok(millis) if Duration::from_millis(millis) == duration => json!(millis),
        _ => json!(duration.as_secs_f64() * 1e3),
    }
}

fn bounds(limits: &Limits) -> OptionBounds {
    OptionBounds { max_tries: limits.retry_tries, min_delay: limits.retry_delay }
}

/// Checks the options of rules that were read under other limits.
pub(super) fn check_rules(rules: &[RetryRule], limits: &Limits, problems: &mut Problems) {
    for rule in rules {
        if let Strategy::Backoff(options) = &rule.strategy {
            check(options, &child("/retry", &rule.name()), limits, problems);
        }
    }
}

fn check(options: &RetryOptions, pointer: &str, limits: &Limits, problems: &mut Problems) {
    let Value::Object(members) = to_value(options) else { return };
    let members = members.iter().filter_map(|(name, value)| {
        Some((
            name.as_str(),
            value.as_f64().map(OptionValue::Number).or(value.as_bool().map(OptionValue::Bool))?,
        ))
    });
    for error in RetryOptions::from_members(members, &bounds(limits)).err().unwrap_or_default() {
        let pointer = child(pointer, error.field());
        problems.errors.push(
            Diagnostic::error(refusal(error.found(), &error)).with_pointer(pointer).with_help(LIMITS_HELP),
        );
    }
}

fn refusal(found: &str, error: &PolicyError) -> String {
    format!("found {found}, expected {}", error.expected())
}

impl Reader<'_> {
    pub(super) fn request_timeout(&mut self, place: Place<'_>) -> Option<RequestTimeout> {
        let known = ["durationInMs", "retry"];
        let fields = known_members(place, "an object with \"durationInMs\"", &known, &mut self.problems)?;
        let duration = match field(&fields, "durationInMs") {
            Some(given) => self.duration(given.place()),
            None => self.refuse(place, "the member \"durationInMs\" is missing"),
        };
        let retry = field(&fields, "retry").and_then(|given| {
            let expected = "an object of retry options";
            let known = &RetryOptions::MEMBERS;
            let fields = known_members(given.place(), expected, known, &mut self.problems)?;
            self.retry_options(&fields)
        });
        Some(RequestTimeout { duration: duration?, retry })
    }

    fn duration(&mut self, place: Place<'_>) -> Option<Duration> {
        let millis = place.number().and_then(|millis| Duration::try_from_secs_f64(millis / 1e3).ok());
        match millis.map(to_micros) {
            None => self.expected(place, "a number of milliseconds"),
            Some(Duration::ZERO) => self.expected(place, "more than 0 ms"),
            duration => duration,
        }
    }

    /// Reads the members that are retry options.
    fn retry_options(&mut self, fields: &[Field<'_>]) -> Option<RetryOptions> {
        let given = fields.iter().filter(|given| RetryOptions::MEMBERS.contains(&given.name));
        let members = given.map(|given| match given.node.kind {
            Kind::Bool(value) => (given.name, OptionValue::Bool(value)),
            _ => (given.name, given.place().number().map_or(OptionValue::Other(""), OptionValue::Number)),
        });
        let errors = match RetryOptions::from_members(members, &bounds(self.limits())) {
            Ok(options) => return Some(options),
            Err(errors) => errors,
        };
        for error in errors {
            if let Some(given) = field(fields, error.field()) {
                self.problems.error(given.place(), refusal(&describe(given.node), &error));
            }
        }
        None
    }

    pub(super) fn retry_rules(&mut self, place: Place<'_>) -> Option<Vec<RetryRule>> {
        let fields = members(place, "an object of status patterns and strategies", &mut self.problems)?;
        Some(fields.iter().filter_map(|given| self.retry_rule(given)).collect())
    }

    fn retry_rule(&mut self, given: &Field<'_>) -> Option<RetryRule> {
        let place = given.place();
        let causes = self.causes(given);
        let Kind::Object(_) = &place.node.kind else {
            return self.expected(place, "an object with \"strategy\"");
        };
        let Some(node) = place.node.get("strategy") else {
            let help = "\"backoff\" waits by a policy, \"headers\" as long as the response says";
            return self.missing(place, "strategy", help);
        };
        let named = Place { node, pointer: &child(place.pointer, "strategy") };
        let (fields, strategy) = match named.text() {
            Some("backoff") => {
                let known: Vec<&str> =
                    ["strategy", "bodyFilter"].into_iter().chain(RetryOptions::MEMBERS).collect();
                let fields = known_members(place, "an object", &known, &mut self.problems)?;
                let options = self.retry_options(&fields);
                (fields, options.map(Strategy::Backoff))
            }
            Some("headers") => {
                let known = [
                    "strategy",
                    "limitHeader",
                    "remainingHeader",
                    "resetHeader",
                    "resetFormat",
                    "bodyFilter",
                ];
                let fields = known_members(place, "an object", &known, &mut self.problems)?;
                let strategy = self.headers_strategy(place, &fields);
                (fields, strategy.map(Strategy::Headers))
            }
            _ => return self.expected(named, &format!("one of {}", quoted(&STRATEGIES))),
        };
        let body = field(&fields, "bodyFilter").and_then(|given| self.filter(given.place()));
        let (statuses, errors) = causes?;
        let strategy = strategy?;
        if let [kind, ..] = errors[..]
            && (body.is_some() || matches!(strategy, Strategy::Headers(_)))
        {
            let what = if body.is_some() { "\"bodyFilter\"" } else { "the strategy \"headers\"" };
            let message = format!("the error {kind} comes without a response, so {what} cannot be judged");
            let help = "give errors a rule of their own, with the strategy \"backoff\"";
            return self.refuse_with_help(place, message, help);
        }
        Some(RetryRule { statuses, errors, strategy, body })
    }

    /// The statuses and kinds of errors that a rule is named for.
    fn causes(&mut self, given: &Field<'_>) -> Option<(StatusSet, Vec<FetchErrorKind>)> {
        let (mut patterns, mut errors, mut wrong) = (Vec::new(), Vec::new(), false);
        for part in given.name.split(',').map(str::trim) {
            if let Some(kind) = FetchErrorKind::ALL.into_iter().find(|kind| kind.as_str() == part) {
                errors.push(kind);
                continue;
            }
            match part.parse::<StatusPattern>() {
                Ok(pattern) => {
                    self.warn_of_redirects(given.place(), &pattern);
                    patterns.push(pattern);
                }
                Err(error) => {
                    wrong = true;
                    let names = FetchErrorKind::ALL.map(FetchErrorKind::as_str);
                    let help = match closest(part, &names) {
                        Some(name) => format!("did you mean {name:?}?"),
                        None => format!("kinds of errors are {}", names.join(", ")),
                    };
                    let is_word = part.starts_with(|first: char| first.is_ascii_alphabetic());
                    match is_word && !part.contains(|letter: char| letter.is_ascii_digit()) {
                        true => self.problems.error_with_help(given.place(), error.to_string(), help),
                        false => self.problems.error(given.place(), error.to_string()),
                    }
                }
            }
        }
        (!wrong).then(|| (StatusSet::from_iter(patterns), errors))
    }

    fn headers_strategy(&mut self, place: Place<'_>, fields: &[Field<'_>]) -> Option<HeadersStrategy> {
        let [limit_header, remaining_header, reset_header] =
            ["limitHeader", "remainingHeader", "resetHeader"].map(|name| {
                let given = field(fields, name)?.place();
                let name = given.text().and_then(|text| HeaderName::from_bytes(text.as_bytes()).ok());
                let name = name.or_else(|| self.expected(given, "the name of a header"));
                name.map(|name| name.as_str().to_owned())
            });
        if field(fields, "resetHeader").is_none() {
            let help = "name the header that says when to come back, such as \"x-ratelimit-reset\"";
            self.missing::<()>(place, "resetHeader", help);
        }
        let reset_format = field(fields, "resetFormat").and_then(|given| {
            let named =
                ResetFormat::ALL.into_iter().find(|format| given.place().text() == Some(format.name()));
            named.or_else(|| {
                let expected = format!("one of {}", quoted(&ResetFormat::ALL.map(ResetFormat::name)));
                self.expected(given.place(), &expected)
            })
        });
        let reset_format = reset_format.unwrap_or_default();
        let strategy = HeadersStrategy::new(reset_header?);
        Some(HeadersStrategy { limit_header, remaining_header, reset_format, ..strategy })
    }
}

pub(super) fn options_schema(limits: &Limits) -> Value {
    let defaults = RetryOptions::default();
    let delay = |description: &str, default: Duration| {
        json!({
            "description": description,
            "type": "number", "minimum": millis(limits.retry_delay), "default": millis(default),
        })
    };
    json!({
        "limit": {
            "description": "tries of one sequence, the first included",
            "type": "integer", "minimum": 1, "maximum": limits.retry_tries, "default": defaults.limit(),
        },
        "factor": {
            "description": "growth from one delay to the next",
            "type": "number", "minimum": 1, "default": defaults.factor(),
        },
        "minTimeoutInMs": delay("the first delay", defaults.min_timeout()),
        "maxTimeoutInMs": delay("the longest delay", defaults.max_timeout()),
        "randomize": {
            "description": "multiply each delay by a random number from 1 to 2",
            "type": "boolean", "default": defaults.randomize(),
        },
    })
}

pub(super) fn timeout_schema() -> Value {
    let duration = json!({"type": "number", "exclusiveMinimum": 0});
    let retry = json!({"$ref": "#/$defs/retryOptions"});
    object(json!({"durationInMs": duration, "retry": retry}), &["durationInMs"])
}

pub(super) fn rules_schema(dialect: Dialect, limits: &Limits) -> Value {
    let kinds = format!("\\s*({})\\s*", FetchErrorKind::ALL.map(FetchErrorKind::as_str).join("|"));
    let filter = json!({"$ref": format!("urn:filter:{dialect}")});
    let mut backoff = options_schema(limits);
    backoff["strategy"] = json!({"const": "backoff"});
    backoff["bodyFilter"] = filter.clone();
    let header = json!({"type": "string", "pattern": TOKEN});
    let headers = json!({
        "strategy": {"const": "headers"},
        "limitHeader": header,
        "remainingHeader": header,
        "resetHeader": header,
        "resetFormat": {
            "enum": ResetFormat::ALL.map(ResetFormat::name), "default": ResetFormat::default().name(),
        },
        "bodyFilter": filter,
    });
    json!({
        "type": "object",
        "propertyNames": {"pattern": format!("^({STATUS}|{kinds})(,({STATUS}|{kinds}))*$")},
        "additionalProperties": {"anyOf": [
            object(backoff, &["strategy"]),
            object(headers, &["strategy", "resetHeader"]),
        ]},
    })
}
