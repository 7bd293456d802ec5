//! Help lines are advice that works: each suggested filter is quoted in the help, compiles, and has the intended meaning.

mod dialects;
mod languages;
mod native;

use filter::{Dialect, FilterOptions};
use serde_json::{Value, json};

/// A filter with a mistake, the suggested part, the filter with the suggestion, events that it matches and does not.
type Case = (Dialect, &'static str, &'static str, &'static str, Vec<Value>, Vec<Value>);

fn cases() -> Vec<Case> {
    native::cases().into_iter().chain(dialects::cases()).collect()
}

/// What the diagnostics of a filter advise.
fn helps(options: &FilterOptions, mistaken: &str) -> Vec<String> {
    let diagnostics = match options.parse(mistaken) {
        Ok(filter) => filter.warnings().to_vec(),
        Err(error) => error.diagnostics().to_vec(),
    };
    diagnostics.iter().filter_map(filter::Diagnostic::help).map(str::to_owned).collect()
}

#[test]
fn suggestions_compile_and_mean_what_was_intended() {
    for (dialect, mistaken, suggested, corrected, matching, other) in cases() {
        let options = FilterOptions::new().dialect(dialect);
        let help = helps(&options, mistaken).concat();
        let compact = |text: &str| text.replace(' ', "");
        assert!(compact(&help).contains(suggested), "{mistaken}: {help}");
        assert!(compact(corrected).contains(suggested), "{corrected}");
        let filter = options.parse(corrected).unwrap_or_else(|error| panic!("{corrected}: {error}"));
        assert!(filter.warnings().is_empty(), "{corrected}: {:?}", filter.warnings());
        matching.iter().for_each(|event| assert!(filter.matches(event), "{corrected} on {event}"));
        other.iter().for_each(|event| assert!(!filter.matches(event), "{corrected} on {event}"));
    }
}

/// The JSON in a text: each array or object that begins behind a space, `:` or the beginning.
fn fragments(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '[']) {
        let mut values = serde_json::Deserializer::from_str(&rest[at..]).into_iter::<Value>();
        let length = match values.next() {
            Some(Ok(value)) => {
                found.push(value);
                values.byte_offset()
            }
            // A scheme such as `{"field": condition}`.
            _ => 1,
        };
        rest = &rest[at + length..];
    }
    found
}

#[test]
fn each_condition_in_a_help_line_compiles() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/filters");
    let mut mistakes: Vec<(Dialect, String)> =
        cases().into_iter().map(|(dialect, mistaken, ..)| (dialect, mistaken.to_owned())).collect();
    for kind in ["bad", "suspicious"] {
        for file in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let dialect = Dialect::ALL.into_iter().find(|d| name.starts_with(d.name())).unwrap_or_default();
            mistakes.push((dialect, std::fs::read_to_string(path).unwrap()));
        }
    }
    let mut judged = 0;
    for (dialect, mistaken) in mistakes {
        let options = FilterOptions::new().dialect(dialect);
        for help in helps(&options, &mistaken) {
            for fragment in fragments(&help) {
                // A filter, the condition on a field, one in a list, or the argument of the operator at hand.
                let places = [
                    fragment.clone(),
                    json!({"field": fragment}),
                    json!({"field": [fragment]}),
                    json!({"field": {"$between": fragment}}),
                    json!({"field": {"$gt": fragment}}),
                ];
                let native = FilterOptions::new();
                let compiles =
                    |place: &Value| options.from_value(place).is_ok() || native.from_value(place).is_ok();
                assert!(places.iter().any(compiles), "{mistaken}: {help}: {fragment}");
                judged += 1;
            }
        }
    }
    assert!(judged > 80, "{judged}");
}

#[test]
fn shortened_values_are_not_suggested() {
    let long = "x".repeat(200);
    for (dialect, filter) in [
        (Dialect::EventBridge, json!({ "a": long })),
        (Dialect::TriggerDev, json!({ "a": long })),
        (Dialect::Native, json!({"a": {"$some": long}})),
    ] {
        let error = FilterOptions::new().dialect(dialect).from_value(&filter).unwrap_err();
        let help = error.diagnostics()[0].help().unwrap();
        assert!(!help.contains('…') && help.contains("in an array"), "{dialect}: {help}");
    }
}
