//! The description of the API, OpenAPI 3.1.
//!
//! ```text
//!  schemas (utoipa, from types) ─┐
//!  calls (a table)               ├─► openapi(): one JSON document, committed as service/openapi.json
//!  the schema of specs (poller)  ┘
//! ```
//!
//! The calls are a table and not an attribute of each handler: the errors, the paths in two forms, the parameters of paths
//! and what keys may do are the same for many, and here each is written once. Tests hold every response against the document
//! and every call of the document against the router.

mod calls;
mod schemas;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use self::calls::{CALLS, Call, Content};
use crate::problem::Kind;

#[derive(OpenApi)]
#[openapi(components(schemas(
    schemas::Submitted,
    schemas::Pending,
    schemas::NamedOutcome,
    schemas::SubmittedOrOutcome,
    schemas::Whole,
    schemas::List,
    schemas::Delivery,
    schemas::Deliveries,
    schemas::BulkCancel,
    schemas::Cancelled,
    schemas::Problem,
    schemas::Checked,
    schemas::ExplainRequest,
    schemas::Explained,
    schemas::MatchRequest,
    schemas::Matches,
    schemas::ConvertRequest,
    schemas::Converted,
)))]
struct Schemas;

/// The description of the API: OpenAPI 3.1 as JSON.
///
/// ```
/// assert_eq!(service::openapi()["openapi"], "3.1.0");
/// ```
#[must_use]
pub fn openapi() -> Value {
    let components = serde_json::to_value(Schemas::openapi().components).unwrap_or_default();
    let mut schemas = match components.get("schemas") {
        Some(Value::Object(schemas)) => schemas.clone(),
        _ => Map::new(),
    };
    add_spec(&mut schemas);
    let mut paths = Map::new();
    for call in CALLS {
        add(&mut paths, call.path, call, "");
        // The default scope has a path of its own, because a path cannot have an empty segment.
        if let Some(rest) = call.path.strip_prefix("/v1/scopes/{scope}/polls/") {
            add(&mut paths, &format!("/v1/polls/{rest}"), call, "InDefaultScope");
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Background polls",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Polls URLs until a JSON filter matches, durably. Errors are problems (RFC 9457) whose `type` is a path of this service.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "tags": [
            {"name": "polls", "description": "One poll, many polls."},
            {"name": "events", "description": "Server-sent events."},
            {"name": "webhooks", "description": "The outcomes that are sent to receivers."},
            {"name": "filters", "description": "What filters and specs mean, without a poll."},
            {"name": "service", "description": "The service itself."},
        ],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of the service. A service without keys answers programs of its own machine.",
            }},
        },
    })
}

/// The schema of specs, whose definitions move to the components.
fn add_spec(schemas: &mut Map<String, Value>) {
    let mut spec = poller::spec_schema(&poller::Limits::default());
    if let Some(whole) = spec.as_object_mut() {
        whole.remove("$schema");
        whole.remove("$id");
        let mut definitions = whole.remove("$defs");
        if let Some(definitions) = definitions.as_mut().and_then(Value::as_object_mut) {
            definitions.remove("filters");
        }
        for (name, mut schema) in
            definitions.iter().filter_map(Value::as_object).flatten().map(|(n, s)| (n, s.clone()))
        {
            point_to_components(&mut schema);
            schemas.insert(format!("Spec.{name}"), schema);
        }
    }
    point_to_components(&mut spec);
    schemas.insert("Spec".to_owned(), spec);
}

/// Rewrites references to definitions of the schema of specs. Its depth is that of the schema, which is ours.
fn point_to_components(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            // Filters have schemas of their own, which are recursive resources: `/v1/schema/{dialect}` has them.
            let is_filter =
                |target: &Value| target.as_str().is_some_and(|target| target.starts_with("urn:filter:"));
            if members.get("$ref").is_some_and(is_filter) {
                members.remove("$ref");
                members.insert(
                    "description".to_owned(),
                    "A filter; /v1/schema/{dialect} has its schema.".into(),
                );
            }
            for (name, value) in members.iter_mut() {
                match value {
                    Value::String(target) if name == "$ref" => {
                        if let Some(definition) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/components/schemas/Spec.{definition}");
                        } else if target == "#" {
                            "#/components/schemas/Spec".clone_into(target);
                        }
                    }
                    value => point_to_components(value),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(point_to_components),
        _ => {}
    }
}

fn add(paths: &mut Map<String, Value>, path: &str, call: &Call, suffix: &str) {
    let mut parameters = Vec::new();
    for (name, description) in [
        ("scope", "The scope of the poll; a slash in it is written %2F."),
        ("key", "The key of the poll; a slash in it is written %2F."),
        ("dialect", "native, trigger-dev, event-bridge or spec."),
        ("name", "The last part of the type of a problem."),
        ("token", "From `callback` of the poll."),
    ] {
        if path.contains(&format!("{{{name}}}")) {
            let schema = match name {
                "dialect" => json!({"enum": ["native", "trigger-dev", "event-bridge", "spec"]}),
                "name" => json!({"enum": Kind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>()}),
                "token" => json!({"type": "string", "minLength": 1}),
                _ => json!({"type": "string", "minLength": 1, "maxLength": 512}),
            };
            parameters.push(json!({
                "name": name, "in": "path", "required": true, "description": description, "schema": schema,
            }));
        }
    }
    for (name, place, description, schema) in call.parameters {
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        parameters.push(json!({"name": name, "in": place, "description": description, "schema": schema}));
    }
    let mut responses = Map::new();
    for (status, description, content) in call.responses {
        let mut response = json!({"description": description});
        if let Some(content) = content.describe() {
            response["content"] = content;
        }
        responses.insert((*status).to_owned(), response);
    }
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "A problem.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }),
    );
    let mut operation = json!({
        "operationId": format!("{}{suffix}", call.id),
        "tags": [call.tag],
        "summary": call.summary,
        "responses": responses,
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(content) = call.body.describe() {
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    if call.public {
        operation["security"] = json!([]);
    }
    let item = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
    item[call.method] = operation;
}

impl Content {
    fn describe(self) -> Option<Value> {
        Some(match self {
            Self::None => return None,
            Self::Json(name) => {
                json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}})
            }
            Self::AnyJson => json!({"application/json": {"schema": {}}}),
            Self::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
            Self::Html => json!({"text/html": {"schema": {"type": "string"}}}),
            Self::Events => json!({"text/event-stream": {"schema": {"type": "string"}}}),
            Self::Any => json!({"*/*": {}}),
        })
    }
}
