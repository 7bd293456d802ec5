//! `$ignoreCaseEquals` against Node's `localeCompare(…, "und", {sensitivity: "accent"})`, ICU 78.2.

use filter::Filter;
use serde_json::{Value, json};

#[test]
fn agrees_with_node() {
    let table = include_str!("../../../testdata/collation/node-locale-compare.jsonl");
    let mut wrong = Vec::new();
    for line in table.lines() {
        let (a, b, equal): (String, String, bool) = serde_json::from_str(line).unwrap();
        let answer = |a: &str, b: &str| {
            let filter = Filter::try_from(&json!({"a": {"$ignoreCaseEquals": a}})).unwrap();
            filter.matches(&json!({"a": Value::from(b)}))
        };
        if (answer(&a, &b), answer(&b, &a)) != (equal, equal) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{} pairs:\n{}", wrong.len(), wrong.join("\n"));
    assert!(table.lines().count() > 500);
}
