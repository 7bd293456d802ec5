//! Reading `requestTimeout` and `retry`: retry options, and strategies by status.

use std::time::Duration;

use filter::{Filter, json};
use http::HeaderName;
use retry::RetryOptions;
use retry::hint::ResetFormat;
use retry::status::StatusSet;
use retry::strategy::{HeadersStrategy, Strategy};

use super::super::retry::{RequestTimeout, RetryRule};
use super::{Decoder, quoted, to_micros};
use filter::decode::{Field, Place, child, field, known_members, members};

const RETRY_OPTIONS: [&str; 5] = ["limit", "factor", "minTimeoutInMs", "maxTimeoutInMs", "randomize"];
const STRATEGIES: [&str; 2] = ["backoff", "headers"];

impl Decoder<'_> {
    pub(super) fn request_timeout(&mut self, place: Place<'_>) -> Option<RequestTimeout> {
        let known = ["durationInMs", "retry"];
        let fields = known_members(place, "an object with \"durationInMs\"", &known, &mut self.problems)?;
        let duration = match field(&fields, "durationInMs") {
            Some(given) => self.millis(given.place()).and_then(|duration| {
                if duration.is_zero() {
                    self.problems.expected(given.place(), "more than 0 ms");
                }
                (!duration.is_zero()).then_some(duration)
            }),
            None => {
                self.problems.error(place, "the member \"durationInMs\" is missing");
                None
            }
        };
        let retry = match field(&fields, "retry") {
            Some(given) => {
                let what = "an object of retry options";
                let fields = known_members(given.place(), what, &RETRY_OPTIONS, &mut self.problems)?;
                Some(self.retry_options(given.place(), &fields)?)
            }
            None => None,
        };
        Some(RequestTimeout { duration: duration?, retry })
    }

    fn retry_options(&mut self, place: Place<'_>, fields: &[Field<'_>]) -> Option<RetryOptions> {
        let before = self.problems.errors.len();
        let mut options = RetryOptions::builder();
        for given in fields {
            let place = given.place();
            match given.name {
                "limit" => match place.whole().and_then(|limit| u32::try_from(limit).ok()) {
                    Some(limit) if (1..=self.limits.retry_tries).contains(&limit) => {
                        options = options.limit(limit);
                    }
                    _ => {
                        let expected = match self.limits.retry_tries {
                            u32::MAX => "a whole number from 1".to_owned(),
                            most => format!("a whole number from 1 to {most}"),
                        };
                        self.problems.expected(place, &format!("{expected}: all tries count, the first too"));
                    }
                },
                "factor" => match place.number() {
                    Some(factor) => options = options.factor(factor),
                    None => self.problems.expected(place, "a number of at least 1"),
                },
                "minTimeoutInMs" => {
                    if let Some(delay) = self.retry_delay(place) {
                        options = options.min_timeout(delay);
                    }
                }
                "maxTimeoutInMs" => {
                    if let Some(delay) = self.retry_delay(place) {
                        options = options.max_timeout(delay);
                    }
                }
                "randomize" => match place.node.kind {
                    json::Kind::Bool(randomize) => options = options.randomize(randomize),
                    _ => self.problems.expected(place, "true or false"),
                },
                _ => {}
            }
        }
        match options.build() {
            Ok(options) => (self.problems.errors.len() == before).then_some(options),
            Err(error) => {
                let pointer = child(place.pointer, error.field());
                let node = field(fields, error.field()).map_or(place.node, |given| given.node);
                let message = format!("found {}, expected {}", error.found(), error.expected());
                self.problems.error(Place { node, pointer: &pointer }, message);
                None
            }
        }
    }

    fn retry_delay(&mut self, place: Place<'_>) -> Option<Duration> {
        let shortest = self.limits.retry_delay;
        let delay = self.millis(place)?;
        if delay < shortest {
            self.problems.expected(place, &format!("at least {} ms", shortest.as_millis()));
            return None;
        }
        Some(delay)
    }

    fn millis(&mut self, place: Place<'_>) -> Option<Duration> {
        let duration = place
            .number()
            .and_then(|millis| Duration::try_from_secs_f64(millis / 1000.0).ok())
            .map(to_micros);
        if duration.is_none() {
            self.problems.expected(place, "a number of milliseconds");
        }
        duration
    }

    pub(super) fn retry_rules(&mut self, place: Place<'_>) -> Option<Vec<RetryRule>> {
        let what = "an object of status patterns and strategies";
        let fields = members(place, what, &mut self.problems)?;
        let rules: Vec<Option<RetryRule>> = fields.iter().map(|given| self.retry_rule(given)).collect();
        rules.into_iter().collect()
    }

    fn retry_rule(&mut self, given: &Field<'_>) -> Option<RetryRule> {
        let statuses = match given.name.parse::<StatusSet>() {
            Ok(statuses) => Some(statuses),
            Err(error) => {
                self.problems.error(given.place(), error.to_string());
                None
            }
        };
        let json::Kind::Object(written) = &given.node.kind else {
            self.problems.expected(given.place(), "an object with \"strategy\"");
            return None;
        };
        let strategy = written.iter().find(|member| member.key == "strategy");
        let rule = match strategy.map(|member| &member.value.kind) {
            Some(json::Kind::String(name)) if name == "backoff" => self.backoff_rule(given.place()),
            Some(json::Kind::String(name)) if name == "headers" => self.headers_rule(given.place()),
            Some(_) => {
                let pointer = child(&given.pointer, "strategy");
                let node = strategy.map_or(given.node, |member| &member.value);
                let expected = format!("one of {}", quoted(&STRATEGIES));
                self.problems.expected(Place { node, pointer: &pointer }, &expected);
                None
            }
            None => {
                let help = "\"backoff\" waits by a policy, \"headers\" as long as the response says";
                self.problems.error_with_help(given.place(), "the member \"strategy\" is missing", help);
                None
            }
        };
        let (strategy, body) = rule?;
        Some(RetryRule { statuses: statuses?, strategy, body })
    }

    fn backoff_rule(&mut self, place: Place<'_>) -> Option<(Strategy, Option<Filter>)> {
        let known: Vec<&str> = ["strategy", "bodyFilter"].into_iter().chain(RETRY_OPTIONS).collect();
        let fields = known_members(place, "an object", &known, &mut self.problems)?;
        let options = self.retry_options(place, &fields);
        let body = self.body_filter(&fields);
        Some((Strategy::Backoff(options?), body?))
    }

    fn headers_rule(&mut self, place: Place<'_>) -> Option<(Strategy, Option<Filter>)> {
        let known =
            ["strategy", "limitHeader", "remainingHeader", "resetHeader", "resetFormat", "bodyFilter"];
        let fields = known_members(place, "an object", &known, &mut self.problems)?;
        let mut header = |name: &str| match field(&fields, name) {
            Some(given) => match given.place().text().map(|text| HeaderName::from_bytes(text.as_bytes())) {
                Some(Ok(name)) => Some(Some(name.as_str().to_owned())),
                _ => {
                    self.problems.expected(given.place(), "the name of a header");
                    None
                }
            },
            None => Some(None),
        };
        let (limit, remaining, reset) =
            (header("limitHeader"), header("remainingHeader"), header("resetHeader"));
        if field(&fields, "resetHeader").is_none() {
            let help = "name the header that says when to come back, such as \"x-ratelimit-reset\"";
            self.problems.error_with_help(place, "the member \"resetHeader\" is missing", help);
        }
        let format = match field(&fields, "resetFormat") {
            Some(given) => {
                let named =
                    ResetFormat::ALL.iter().find(|format| given.place().text() == Some(format.name()));
                if named.is_none() {
                    let expected = format!("one of {}", quoted(&ResetFormat::ALL.map(ResetFormat::name)));
                    self.problems.expected(given.place(), &expected);
                }
                named.copied()
            }
            None => Some(ResetFormat::default()),
        };
        let body = self.body_filter(&fields);
        let strategy = HeadersStrategy {
            limit_header: limit?,
            remaining_header: remaining?,
            reset_format: format?,
            ..HeadersStrategy::new(reset??)
        };
        Some((Strategy::Headers(strategy), body?))
    }

    fn body_filter(&mut self, fields: &[Field<'_>]) -> Option<Option<Filter>> {
        match field(fields, "bodyFilter") {
            Some(given) => self.filter(given.place()).map(Some),
            None => Some(None),
        }
    }
}
