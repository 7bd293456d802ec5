//! Operators and texts of other languages: the help says how to write them here, with the same meaning.

use filter::{Dialect, FilterOptions};
use serde_json::{Value, json};

use super::{fragments, helps};

/// The operators that other languages have, an argument, and what they ask of a value.
type Foreign = (&'static [&'static str], Value, fn(&Value) -> bool);

fn foreign() -> Vec<Foreign> {
    fn number(value: &Value) -> Option<f64> {
        value.as_f64()
    }
    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or("-")
    }
    vec![
        (&["eq", "equals", "equal", "exactly", "==", "="], json!("ab"), |v| v == "ab"),
        (&["ne", "neq", "notEquals", "not", "!=", "<>"], json!("ab"), |v| v != "ab"),
        (&["in", "oneOf", "anyOf"], json!(["ab", "b"]), |v| v == "ab" || v == "b"),
        (&["nin", "notIn"], json!(["ab", "b"]), |v| v != "ab" && v != "b"),
        (&["gt", "greaterThan", "greater", ">"], json!(3), |v| number(v) > Some(3.0)),
        (&["gte", "ge", ">="], json!(3), |v| number(v) >= Some(3.0)),
        (&["lt", "lessThan", "less", "<"], json!(3), |v| number(v).is_some_and(|n| n < 3.0)),
        (&["lte", "le", "<="], json!(3), |v| number(v).is_some_and(|n| n <= 3.0)),
        (&["between", "range"], json!([1, 3]), |v| number(v).is_some_and(|n| (1.0..=3.0).contains(&n))),
        (&["numeric"], json!([">", 1, "<=", 3]), |v| number(v).is_some_and(|n| n > 1.0 && n <= 3.0)),
        (&["startsWith", "beginsWith", "prefix"], json!("a"), |v| text(v).starts_with('a')),
        (&["endsWith", "suffix"], json!("b"), |v| text(v).ends_with('b')),
        (&["contains"], json!("b"), |v| text(v).contains('b')),
        (&["ignoreCaseEquals", "equals-ignore-case"], json!("AB"), |v| text(v).eq_ignore_ascii_case("ab")),
        (&["regex", "regexp", "pattern"], json!("^a.?$"), |v| text(v) == "ab" || text(v) == "a"),
        (&["wildcard", "shellstyle", "glob"], json!("a*"), |v| text(v).starts_with('a')),
        (&["cidr"], json!("10.0.0.0/8"), |v| text(v).starts_with("10.")),
        (&["exists"], json!(true), |_| true),
    ]
}

/// Each operator of another language, wherever it is written: if the help shows a condition, that is equivalent.
#[test]
fn foreign_operators_are_translated_with_their_meaning() {
    let values = [
        json!("ab"),
        json!("a"),
        json!("b"),
        json!("AB"),
        json!("xbx"),
        json!("10.1.2.3"),
        json!(0),
        json!(1),
        json!(2.5),
        json!(3),
        json!(4),
        json!(true),
    ];
    let mut translated = [0; 3];
    for (names, argument, expected) in foreign() {
        for name in names {
            for (dialect, count) in Dialect::ALL.into_iter().zip(&mut translated) {
                let options = FilterOptions::new().dialect(dialect);
                for key in [(*name).to_owned(), format!("${name}"), name.to_uppercase()] {
                    let matcher = json!({ key: argument });
                    for mistaken in [json!({"a": matcher}), json!({"a": [matcher]})] {
                        let helps = helps(&options, &mistaken.to_string());
                        for help in helps.iter().filter(|help| !help.contains("did you mean")) {
                            let [written] = fragments(help).try_into().unwrap_or([Value::Null]);
                            if written.is_null() || help.contains('…') {
                                continue;
                            }
                            let corrected = match (&written, dialect) {
                                (Value::Array(_), _) | (_, Dialect::Native) => json!({"a": written}),
                                _ => json!({"a": [written]}),
                            };
                            let filter = options
                                .from_value(&corrected)
                                .unwrap_or_else(|error| panic!("{mistaken}: {help}: {error}"));
                            for value in &values {
                                let matched = filter.matches(&json!({ "a": value }));
                                assert_eq!(
                                    matched,
                                    expected(value),
                                    "{mistaken}: {help}: {corrected} on {value}"
                                );
                            }
                            *count += 1;
                        }
                    }
                }
            }
        }
    }
    let [native, trigger_dev, event_bridge] = translated;
    assert!(native > 100 && trigger_dev > 60 && event_bridge > 100, "{translated:?}");
}

#[test]
fn texts_in_other_languages_are_recognised() {
    for (text, expected) in [
        (".a.b == 1", "jq"),
        ("select(.a == 1)", "jq"),
        ("a: 1\nb: 2", "YAML"),
        ("---\na: 1", "YAML"),
        ("- a", "YAML"),
        ("type = \"x\"", "expression"),
        ("a.b == 1 && c == 2", "expression"),
        ("$.a[0].b", "expression"),
        ("status in (1, 2)", "expression"),
        ("SELECT * FROM events WHERE a = 1", "SQL"),
    ] {
        let error = filter::Filter::parse(text).unwrap_err();
        let help = error.diagnostics()[0].help().unwrap_or_default();
        assert!(help.contains(expected), "{text}: {help}");
        let fragment = fragments(help).pop().unwrap();
        assert!(filter::Filter::try_from(&fragment).is_ok(), "{help}");
    }
    for (event, expected) in [
        (&b"\x1F\x8B\x08\0"[..], "gzip"),
        (b"\x28\xB5\x2F\xFD", "Zstandard"),
        (b"\xFF\xFE{\0}\0", "UTF-16"),
        (b"\"\xFF\"", "JSON is UTF-8"),
    ] {
        let error = filter::Filter::parse("{}").unwrap().matches_slice(event).unwrap_err();
        assert!(error.diagnostic().help().unwrap().contains(expected), "{error}");
    }
    // Not jq.
    let error = filter::Filter::parse(".5").unwrap_err();
    assert!(error.diagnostics()[0].help().unwrap().contains("digit"));
}
