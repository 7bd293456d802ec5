//! The schemas: up to date, accepting valid filters, rejecting invalid ones as far as a schema can.

use std::path::{Path, PathBuf};

use filter::{Dialect, FilterOptions, schema};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::Value;

use crate::generate;

/// Invalid filters that a schema cannot reject.
const BEYOND_A_SCHEMA: [&str; 10] = [
    // A schema sees values, which have no duplicate keys.
    "native-duplicate-key",
    "native-duplicate-operator",
    // A schema does not compile regular expressions.
    "native-regex-invalid",
    "native-regex-look-ahead",
    "native-regex-too-large",
    // A schema does not compare elements with each other.
    "native-between-reversed",
    "event-bridge-numeric-empty-range",
    "event-bridge-numeric-reversed",
    "event-bridge-cidr-address",
    "native-cidr-no-v6-address",
];

fn validator(dialect: Dialect) -> Validator {
    jsonschema::draft202012::new(&schema(dialect)).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The JSON files of a folder of the corpus: name, dialect, text.
fn corpus(folder: &str) -> Vec<(String, Dialect, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join("../testdata/filters").join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let dialect = Dialect::ALL.into_iter().find(|d| name.starts_with(d.name())).unwrap_or_default();
        files.push((name, dialect, std::fs::read_to_string(path).unwrap()));
    }
    assert!(files.len() > 10);
    files
}

/// Run with `UPDATE_SCHEMAS=1` to write the files.
#[test]
fn are_up_to_date() {
    for dialect in Dialect::ALL {
        let path = root().join(format!("schema/{dialect}.schema.json"));
        let generated = format!("{:#}\n", schema(dialect));
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &generated).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == generated,
            "{} is out of date: run this test with UPDATE_SCHEMAS=1",
            path.display()
        );
    }
}

#[test]
fn are_schemas() {
    for dialect in Dialect::ALL {
        assert!(jsonschema::meta::is_valid(&schema(dialect)), "{dialect}");
    }
}

#[test]
fn accept_good_filters() {
    for folder in ["good", "suspicious"] {
        for (name, dialect, text) in corpus(folder) {
            let compiled = FilterOptions::new().dialect(dialect).parse(&text);
            assert!(compiled.is_ok(), "{name}: {compiled:?}");
            // Impossible operators on lengths are warnings, not errors.
            let value: Value = serde_json::from_str(&text).unwrap();
            let validator = validator(dialect);
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
    }
}

#[test]
fn refuse_bad_filters() {
    let bad = corpus("bad");
    for name in BEYOND_A_SCHEMA {
        assert!(bad.iter().any(|(file, ..)| file == name), "{name} is not in the corpus");
    }
    for (name, dialect, text) in bad {
        let Ok(value) = serde_json::from_str(&text) else { continue };
        let accepted = validator(dialect).is_valid(&value);
        assert_eq!(accepted, BEYOND_A_SCHEMA.contains(&&*name), "{name}");
    }
}

#[test]
fn agree_with_event_ruler_on_validity() {
    let validator = validator(Dialect::EventBridge);
    // A schema does not parse bounds and addresses.
    let beyond = ["numeric", "cidr"];
    for (pattern, valid) in crate::corpus::validity() {
        let Ok(value) = serde_json::from_str(&pattern) else { continue };
        let accepted = validator.is_valid(&value);
        let excused = accepted && beyond.iter().any(|operator| pattern.contains(operator));
        assert!(accepted == valid || excused, "{pattern}: schema {accepted}, event-ruler {valid}");
    }
}

proptest! {
    #![proptest_config(generate::config())]

    #[test]
    fn accept_generated_filters(
        native in generate::native::filter(),
        trigger_dev in generate::trigger_dev::filter(),
        event_bridge in generate::event_bridge::pattern(),
    ) {
        thread_local! {
            static VALIDATORS: [Validator; 3] = Dialect::ALL.map(validator);
        }
        VALIDATORS.with(|validators| {
            for (validator, filter) in validators.iter().zip([native, trigger_dev, event_bridge]) {
                prop_assert!(validator.is_valid(&filter), "{}", filter);
            }
            Ok(())
        })?;
    }
}
