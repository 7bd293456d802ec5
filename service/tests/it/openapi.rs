//! The description of the API: the committed file is that of the code, calls are as it says, and responses too.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use http::Method;
use serde_json::{Value, json};
use test_support::{Reply, Script};

use crate::client::{Answer, Fixture};

pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(service::openapi)
}

/// The path of the document that a path of a request is one of.
fn template(path: &str) -> Option<&'static str> {
    let segments: Vec<_> = path.split('?').next().unwrap().split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<_> = template.split('/').collect();
        parts.len() == segments.len()
            && parts
                .iter()
                .zip(&segments)
                .all(|(part, segment)| part == segment || (part.starts_with('{') && !segment.is_empty()))
    };
    let paths = document()["paths"].as_object().unwrap();
    // A fixed segment comes before a parameter.
    paths.keys().filter(|path| fits(path)).min_by_key(|path| path.matches('{').count()).map(String::as_str)
}

fn validate(schema: &Value, name: &str, value: &Value) {
    static VALIDATORS: Mutex<Option<HashMap<String, jsonschema::Validator>>> = Mutex::new(None);
    let mut validators = VALIDATORS.lock().unwrap();
    let validator = validators.get_or_insert_default().entry(name.to_owned()).or_insert_with(|| {
        let whole = json!({"allOf": [schema], "components": document()["components"]});
        jsonschema::draft202012::new(&whole).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    let errors: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?} in {value:#}");
}

/// Holds an answer against the document. Paths that it does not have must be answered with a problem.
pub(crate) fn hold(method: &Method, path: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    let kind = answer.headers.get("content-type").map(|kind| kind.to_str().unwrap());
    let operation =
        template(path).map(|template| &document()["paths"][template][method.as_str().to_lowercase()]);
    let Some(operation) = operation.filter(|operation| operation.is_object()) else {
        assert!([400, 401, 403, 404, 405].contains(&status), "{method} {path} is not described: {answer:?}");
        return validate_problem(answer);
    };
    let named = &operation["responses"][status.to_string()];
    if !named.is_object() {
        return validate_problem(answer);
    }
    let Some(content) = named["content"].as_object() else {
        assert!(answer.text.is_empty(), "{answer:?}");
        return;
    };
    let kind = kind.unwrap_or_else(|| panic!("no content type: {answer:?}")).split(';').next().unwrap();
    let content = content.get(kind).or_else(|| content.get("*/*"));
    let content = content.unwrap_or_else(|| panic!("{method} {path}: {kind} is not described"));
    if kind == "application/json" && content["schema"].is_object() {
        validate(&content["schema"], &format!("{} {status}", operation["operationId"]), &answer.json());
    }
}

fn validate_problem(answer: &Answer) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{answer:?}");
    validate(&json!({"$ref": "#/components/schemas/Problem"}), "Problem", &answer.json());
}

#[test]
fn the_committed_description_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let text = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "service/openapi.json is old; run UPDATE_GENERATED=1 cargo test -p service openapi"
    );
}

#[test]
fn every_reference_of_the_description_has_a_target() {
    fn walk(value: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    assert!(document().pointer(target.strip_prefix('#').unwrap()).is_some(), "{target}");
                }
                members.values().for_each(walk);
            }
            Value::Array(elements) => elements.iter().for_each(walk),
            _ => {}
        }
    }
    walk(document());
}

#[tokio::test]
async fn every_call_of_the_description_has_a_handler() {
    let it = Fixture::new(Script::from(Reply::json("{}"))).await;
    for (path, item) in document()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{scope}", "s").replace("{key}", "k").replace("{dialect}", "native");
            let path = path.replace("{name}", "conflict").replace("{token}", "t");
            // Streams of all polls do not end.
            if path == "/v1/events" {
                continue;
            }
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = it.call(method.clone(), &path, "").await;
            let nowhere = answer.text.contains("no such path") || answer.status == 405;
            assert!(!nowhere, "{method} {path}: {answer:?}");
        }
    }
    let served = it.get("/openapi.json").await.expect(200);
    assert_eq!(served.json(), *document());
}
