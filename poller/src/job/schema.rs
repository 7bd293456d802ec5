//! The JSON Schema of poll specs, so that editors complete and check them.
//!
//! Written by code, next to the code that reads specs, and committed under `schema/`; tests see to it that the file is up to
//! date and hold it to the corpus. It is laxer than the reader where it has to be: it cannot see a key twice, compare the two
//! ends of a range, or tell that two header names differ only in case.

use filter::Dialect;
use retry::hint::ResetFormat;
use serde_json::{Map, Value, json};

use super::bounds::effective;
use crate::limits::{LONGEST, Limits};

/// The JSON Schema (draft 2020-12) of specs that keep these limits.
///
/// ```
/// use poller::Limits;
///
/// let schema = poller::spec_schema(&Limits::default());
/// assert_eq!(schema["properties"]["interval"]["minimum"], 10.0);
/// ```
#[must_use]
pub fn spec_schema(limits: &Limits) -> Value {
    let filters: Map<String, Value> =
        Dialect::ALL.into_iter().map(|dialect| (dialect.to_string(), filter::schema(dialect))).collect();
    let mut definitions = Map::from_iter([
        ("filters".to_owned(), json!({"$defs": filters})),
        ("text".to_owned(), text()),
        ("retryOptions".to_owned(), object(retry_options(limits), &[])),
    ]);
    for dialect in Dialect::ALL {
        definitions.insert(format!("{dialect}-response"), response_filter(dialect));
        definitions.insert(format!("{dialect}-retry"), retry_rules(dialect, limits));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:poll:spec",
        "title": "A poll",
        "type": "object",
        "required": ["url"],
        "additionalProperties": false,
        "properties": properties(limits),
        "allOf": Dialect::ALL.map(by_dialect),
        "$defs": definitions,
    })
}

fn properties(limits: &Limits) -> Value {
    let url = "^[hH][tT][tT][pP][sS]?://[^/?#@\\\\]+([/?#].*)?$";
    json!({
        "cacheKey": about("names the poll; the same key and spec again is the same poll", json!({
            "type": "string", "minLength": 1, "maxLength": limits.key_len, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$",
        })),
        "url": about("what to ask", json!({"type": "string", "pattern": url})),
        "interval": about("seconds from one request to the next", seconds(&limits.interval)),
        "timeout": about("seconds until the poll ends, whatever has come", seconds(&limits.timeout)),
        "requestInit": about("what is sent", object(json!({
            "method": {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
                "not": {"pattern": "^([cC][oO][nN][nN][eE][cC][tT]|[tT][rR][aA][cC][eE])$"}},
            "headers": {"type": "object", "additionalProperties": {"$ref": "#/$defs/text"}, "propertyNames": {
                "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
                "not": {"pattern": "^([hH][oO][sS][tT]|[cC][oO][nN][tT][eE][nN][tT]-[lL][eE][nN][gG][tT][hH]|[cC][oO][nN][nN][eE][cC][tT][iI][oO][nN]|[tT][rR][aA][nN][sS][fF][eE][rR]-[eE][nN][cC][oO][dD][iI][nN][gG])$"},
            }},
            "body": {"anyOf": [{"$ref": "#/$defs/text"}, object(json!({"base64": {"type": "string",
                "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"}}), &["base64"])]},
        }), &[])),
        "responseFilter": about("the response that means done; any 2xx if left out", json!({"type": "object"})),
        "failureFilter": about("the response that means failed; looked for first", json!({"type": "object"})),
        "requestTimeout": about("how long one request may take", object(json!({
            "durationInMs": {"type": "number", "exclusiveMinimum": 0},
            "retry": {"$ref": "#/$defs/retryOptions"},
        }), &["durationInMs"])),
        "retry": about("how to try again, by status; the first that applies counts", json!({"type": "object"})),
        "giveUp": about("fail after so many attempts in a row that cannot get better", json!({"anyOf": [
            {"type": "boolean"}, object(json!({"after": {"type": "integer", "minimum": 1, "maximum": u32::MAX}}), &[]),
        ]})),
        "dialect": about("how the filters are written", json!({"enum": Dialect::ALL.map(Dialect::name)})),
    })
}

/// What filters may be depends on the dialect that the spec names.
fn by_dialect(dialect: Dialect) -> Value {
    let named = json!({"properties": {"dialect": {"const": dialect.name()}}, "required": ["dialect"]});
    let condition = match dialect {
        Dialect::Native => json!({"anyOf": [named, {"not": {"required": ["dialect"]}}]}),
        _ => named,
    };
    let response = json!({"$ref": format!("#/$defs/{dialect}-response")});
    let retry = json!({"$ref": format!("#/$defs/{dialect}-retry")});
    let then = json!({"properties": {"responseFilter": response, "failureFilter": response, "retry": retry}});
    json!({"if": condition, "then": then})
}

fn response_filter(dialect: Dialect) -> Value {
    let filter = json!({"$ref": format!("urn:filter:{dialect}")});
    let status = json!({"anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 999},
        {"type": "string", "pattern": format!("^{STATUS}$")},
    ]});
    let at_least = u32::from(dialect != Dialect::TriggerDev);
    let mut schema = object(
        json!({
            "status": {"anyOf": [status, {"type": "array", "items": status, "minItems": at_least}]},
            "headers": filter,
            "header": about("another name for headers", filter.clone()),
            "body": filter,
        }),
        &[],
    );
    schema["not"] = json!({"required": ["headers", "header"]});
    schema
}

/// A status, a class of them, or a range.
const STATUS: &str =
    "\\s*([1-9][0-9]{2}|[1-9][0-9][xX]|[1-9][xX]{2}|[1-9][0-9]{2}\\s*-\\s*[1-9][0-9]{2}|[aA][lL][lL])\\s*";

fn retry_rules(dialect: Dialect, limits: &Limits) -> Value {
    let filter = json!({"$ref": format!("urn:filter:{dialect}")});
    let mut backoff = retry_options(limits);
    backoff["strategy"] = json!({"const": "backoff"});
    backoff["bodyFilter"] = filter.clone();
    let header = json!({"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"});
    let headers = json!({
        "strategy": {"const": "headers"},
        "limitHeader": header,
        "remainingHeader": header,
        "resetHeader": header,
        "resetFormat": {"enum": ResetFormat::ALL.map(ResetFormat::name)},
        "bodyFilter": filter,
    });
    json!({
        "type": "object",
        "propertyNames": {"pattern": format!("^{STATUS}(,{STATUS})*$")},
        "additionalProperties": {"anyOf": [
            object(backoff, &["strategy"]),
            object(headers, &["strategy", "resetHeader"]),
        ]},
    })
}

fn retry_options(limits: &Limits) -> Value {
    let delay = json!({"type": "number", "minimum": limits.retry_delay.as_secs_f64() * 1000.0});
    json!({
        "limit": about("how many tries one sequence has, the first included", json!({
            "type": "integer", "minimum": 1, "maximum": limits.retry_tries,
        })),
        "factor": {"type": "number", "minimum": 1},
        "minTimeoutInMs": delay,
        "maxTimeoutInMs": delay,
        "randomize": {"type": "boolean"},
    })
}

/// Text as it is, a reference to a secret, or Trigger.dev's redacted string.
fn text() -> Value {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    json!({"anyOf": [
        {"type": "string", "pattern": "^[^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*$"},
        object(json!({"$secret": {"type": "string", "pattern": "^(env:[^=\\u0000]+|file:[^\\u0000]+)$"}}), &["$secret"]),
        object(
            json!({"__redactedString": {"const": true}, "strings": strings, "interpolations": strings}),
            &["__redactedString", "strings", "interpolations"],
        ),
    ]})
}

fn seconds(bounds: &std::ops::RangeInclusive<std::time::Duration>) -> Value {
    let bounds = effective(bounds);
    let mut schema = json!({"type": "number", "minimum": bounds.start().as_secs_f64()});
    if *bounds.end() < LONGEST {
        schema["maximum"] = bounds.end().as_secs_f64().into();
    }
    schema
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A schema with a description, which editors show beside what they complete.
fn about(description: &str, mut schema: Value) -> Value {
    schema["description"] = description.into();
    schema
}
