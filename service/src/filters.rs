//! What `poll check`, `explain`, `match`, `convert` and `schema` do, as calls.
//!
//! Filters and events are taken from the body as the text they are in, because a JSON parser would change floats on the
//! way, and because the places in diagnostics are places in what was sent.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use filter::json::{Kind as JsonKind, Node};
use filter::{Conversion, Dialect, Explanation, Filter, FilterOptions, JsonError};
use http::HeaderMap;
use poller::SpecOptions;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::app::App;
use crate::body;
use crate::parameters::{Parameters, Segment};
use crate::problem::{DiagnosticView, Kind, Problem, diagnostics};

/// Members that only specs have, as `poll check` tells them from filters.
const SPEC_MEMBERS: [&str; 6] =
    ["cacheKey", "requestInit", "responseFilter", "failureFilter", "requestTimeout", "giveUp"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    kind: Option<String>,
    dialect: Option<String>,
}

#[derive(Debug, Serialize)]
struct Checked {
    kind: &'static str,
    diagnostics: Vec<DiagnosticView>,
    value: Value,
}

fn dialect(name: Option<&str>) -> Result<Dialect, Problem> {
    match name {
        None => Ok(Dialect::Native),
        Some(name) => {
            name.parse().map_err(|error: filter::UnknownDialect| Problem::bad_request(error.to_string()))
        }
    }
}

/// Checks the text of a filter or spec.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    Parameters(query): Parameters<Check>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let dialect = dialect(query.dialect.as_deref())?;
    let text = body::text(&headers, body, app.options.max_spec).await?;
    let limits = &app.options.limits;
    let node = filter::json::parse(&text, &limits.filter);
    let is_spec = match query.kind.as_deref() {
        Some("spec") => true,
        Some("filter") => false,
        Some(_) => return Err(Problem::bad_request("kind is neither spec nor filter")),
        None => node.as_ref().is_ok_and(is_spec),
    };
    let (kind, invalid) = if is_spec { ("spec", Kind::InvalidSpec) } else { ("filter", Kind::InvalidFilter) };
    let node = node.map_err(|error| Problem::invalid(invalid, &[error.diagnostic().clone()], Some(&text)))?;
    let checked = if is_spec {
        let options = SpecOptions::new().limits(limits.clone()).dialect(dialect);
        let spec = options.decode(&node, "").map_err(|error| Problem::invalid_spec(&error, &text))?;
        Checked { kind, diagnostics: diagnostics(spec.warnings(), Some(&text)), value: spec.to_value() }
    } else {
        let filter = FilterOptions::new().dialect(dialect).limits(limits.filter.clone()).compile(&node);
        let filter = filter.map_err(|error| Problem::invalid(invalid, error.diagnostics(), Some(&text)))?;
        Checked { kind, diagnostics: diagnostics(filter.warnings(), Some(&text)), value: filter.to_value() }
    };
    Ok(Json(checked).into_response())
}

fn is_spec(node: &Node) -> bool {
    let has_url = node.get("url").is_some_and(|url| matches!(url.kind, JsonKind::String(_)));
    has_url || SPEC_MEMBERS.iter().any(|name| node.get(name).is_some())
}

/// A filter, and the event that it is applied to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explain<'a> {
    #[serde(borrow)]
    filter: &'a RawValue,
    dialect: Option<String>,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// A filter, and the events that it is applied to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match<'a> {
    #[serde(borrow)]
    filter: &'a RawValue,
    dialect: Option<String>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// A filter, and the dialects that it is translated from and to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Convert<'a> {
    #[serde(borrow)]
    filter: &'a RawValue,
    from: String,
    to: Option<String>,
}

/// Reads the body of a call. A member that the call does not know is an error: it would be ignored otherwise.
fn request<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text)
        .map_err(|error| Problem::bad_request(format!("the body is not what this call expects: {error}")))
}

fn compile(app: &App, filter: &RawValue, name: Option<&str>) -> Result<Filter, Problem> {
    let text = filter.get();
    FilterOptions::new()
        .dialect(dialect(name)?)
        .limits(app.options.limits.filter.clone())
        .parse(text)
        .map_err(|error| Problem::invalid(Kind::InvalidFilter, error.diagnostics(), Some(text)))
}

fn not_json(error: &JsonError) -> Problem {
    Problem::bad_request(format!("an event cannot be read: {}", error.diagnostic().message()))
}

#[derive(Debug, Serialize)]
struct Explained {
    text: String,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Explains why an event matches a filter or not.
pub(crate) async fn explain(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = body::text(&headers, body, app.options.max_events).await?;
    let Explain { filter, dialect, event } = request(&text)?;
    let filter = compile(&app, filter, dialect.as_deref())?;
    let explanation = filter.explain_slice(event.get().as_bytes()).map_err(|error| not_json(&error))?;
    Ok(Json(Explained { text: explanation.to_string(), explanation }).into_response())
}

#[derive(Debug, Serialize)]
struct Matches {
    matches: Vec<bool>,
}

/// Matches events against a filter.
pub(crate) async fn matches(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = body::text(&headers, body, app.options.max_events).await?;
    let Match { filter, dialect, events } = request(&text)?;
    let filter = compile(&app, filter, dialect.as_deref())?;
    let matches = events.iter().map(|event| filter.matches_slice(event.get().as_bytes()));
    let matches = matches.collect::<Result<_, _>>().map_err(|error| not_json(&error))?;
    Ok(Json(Matches { matches }).into_response())
}

#[derive(Debug, Serialize)]
struct Converted {
    filter: Value,
}

/// Translates a filter of another dialect to the native one.
pub(crate) async fn convert(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let text = body::text(&headers, body, app.options.max_spec).await?;
    let Convert { filter: foreign, from, to } = request(&text)?;
    if to.is_some_and(|to| to != "native") {
        return Err(Problem::bad_request(
            "to is not native: filters are translated to the native dialect only",
        ));
    }
    let filter = compile(&app, foreign, Some(&from))?;
    let native = Conversion::new()
        .to_native(&filter)
        .map_err(|error| Problem::invalid(Kind::InvalidFilter, error.diagnostics(), Some(foreign.get())))?;
    Ok(Json(Converted { filter: native }).into_response())
}

/// The JSON Schema of a dialect, or of specs.
pub(crate) async fn schema(
    State(app): State<Arc<App>>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    match name.as_str() {
        "spec" => Ok(Json(poller::spec_schema(&app.options.limits))),
        name => match name.parse() {
            Ok(dialect) => Ok(Json(filter::schema(dialect))),
            Err(_) => {
                Err(Problem::not_found("such schema; there are native, trigger-dev, event-bridge and spec"))
            }
        },
    }
}
