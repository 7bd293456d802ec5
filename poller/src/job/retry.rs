//! How a poll tries again sooner than its next tick: after a request that took too long, or by status.

use std::time::Duration;

use filter::Filter;
use retry::RetryOptions;
use retry::status::StatusSet;
use retry::strategy::{HeadersStrategy, Strategy};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::millis;

/// The `requestTimeout` of a spec.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RequestTimeout {
    /// From connecting to the last byte of the body.
    pub duration: Duration,
    /// How a request that took longer is tried again; `None`: at the next tick.
    pub retry: Option<RetryOptions>,
}

impl RequestTimeout {
    pub(super) fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("durationInMs".into(), millis(self.duration));
        if let Some(options) = &self.retry {
            members.insert("retry".into(), Value::Object(options_to_members(options)));
        }
        Value::Object(members)
    }
}

/// One member of a spec's `retry`: a status pattern and what to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryRule {
    /// The statuses it is for.
    pub statuses: StatusSet,
    /// What to do.
    pub strategy: Strategy,
    /// If given, it applies only where the JSON body matches.
    pub body: Option<Filter>,
}

impl RetryRule {
    fn to_value(&self) -> Value {
        let mut members = match &self.strategy {
            Strategy::Backoff(options) => {
                let mut members = options_to_members(options);
                members.insert("strategy".into(), "backoff".into());
                members
            }
            Strategy::Headers(HeadersStrategy {
                limit_header,
                remaining_header,
                reset_header,
                reset_format,
                limit: _, // a poll's deadline and `giveUp` bound its tries
            }) => {
                let mut members = Map::new();
                members.insert("strategy".into(), "headers".into());
                for (name, header) in [("limitHeader", limit_header), ("remainingHeader", remaining_header)] {
                    if let Some(header) = header {
                        members.insert(name.into(), header.as_str().into());
                    }
                }
                members.insert("resetHeader".into(), reset_header.as_str().into());
                members.insert("resetFormat".into(), reset_format.name().into());
                members
            }
        };
        if let Some(body) = &self.body {
            members.insert("bodyFilter".into(), body.to_value());
        }
        Value::Object(members)
    }
}

pub(super) fn rules_to_value(rules: &[RetryRule]) -> Value {
    Value::Object(rules.iter().map(|rule| (rule.statuses.to_string(), rule.to_value())).collect())
}

/// The rules as a map in their order, for serializers that keep it.
pub(super) struct InOrder<'a>(pub(super) &'a [RetryRule]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|rule| (rule.statuses.to_string(), rule.to_value())))
    }
}

fn options_to_members(options: &RetryOptions) -> Map<String, Value> {
    Map::from_iter([
        ("limit".to_owned(), json!(options.limit())),
        ("factor".to_owned(), json!(options.factor())),
        ("minTimeoutInMs".to_owned(), millis(options.min_timeout())),
        ("maxTimeoutInMs".to_owned(), millis(options.max_timeout())),
        ("randomize".to_owned(), json!(options.randomize())),
    ])
}
