//! Small groups of rules for the [city lots](crate::city_lots), one group per operator, and the number of events that each
//! rule must match.
//!
//! The file `testdata/set/city-lots-groups.jsonl` has them as EventBridge patterns. They are strings there, so that no parser
//! rounds their numbers before the engines read them.

use serde_json::Value;

/// A group of rules.
#[derive(Clone, Debug)]
pub struct Group {
    /// The name of its EventBridge operator.
    pub name: String,
    /// EventBridge patterns.
    pub rules: Vec<String>,
    /// The number of events that each rule matches.
    pub expected: Vec<u64>,
}

/// The parts of the group of thirty rules. The group of thirty-five adds the complex arrays.
const MIX30: [&str; 6] = ["EXACT", "WILDCARD", "PREFIX", "EQUALS_IGNORE_CASE", "ANYTHING_BUT", "NUMERIC"];
const MIX35: &str = "COMPLEX_ARRAYS";

/// All groups: SINGLE and LATE with one rule each, those with five rules, MIX30 and MIX35.
pub fn all() -> Vec<Group> {
    let lines = include_str!("../../testdata/set/city-lots-groups.jsonl").lines();
    let read: Vec<Group> = lines.map(read).collect();
    let find = |name: &str| read.iter().find(|group| group.name == name).expect("invariant: the file has it");

    let mut single = find("EXACT").clone();
    single.name = "SINGLE".into();
    single.rules.truncate(1);
    single.expected.truncate(1);
    let mix30 = join("MIX30", MIX30.iter().map(|name| find(name)));
    let mix35 = join("MIX35", [&mix30, find(MIX35)].into_iter());
    let five = read.iter().filter(|group| group.name != "LATE").cloned();
    [single, find("LATE").clone()].into_iter().chain(five).chain([mix30, mix35]).collect()
}

fn read(line: &str) -> Group {
    let group: Value = serde_json::from_str(line).expect("invariant: each line is JSON");
    let list = |member: &str| group[member].as_array().expect("invariant: an array").iter();
    let text = |value: &Value| value.as_str().expect("invariant: a string").to_owned();
    Group {
        name: text(&group["name"]),
        rules: list("rules").map(text).collect(),
        expected: list("expected").map(|count| count.as_u64().expect("invariant: a count")).collect(),
    }
}

fn join<'a>(name: &str, parts: impl Iterator<Item = &'a Group>) -> Group {
    let mut whole = Group { name: name.into(), rules: Vec::new(), expected: Vec::new() };
    for part in parts {
        whole.rules.extend_from_slice(&part.rules);
        whole.expected.extend_from_slice(&part.expected);
    }
    whole
}
