//! What the JSON Schemas and the written forms of several members have in common.

use serde_json::{Map, Value, json};

/// The pattern of a token of RFC 9110: header names, methods.
pub(super) const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The pattern of a status, a class or a range.
pub(super) const STATUS: &str =
    "\\s*([1-9][0-9]{2}|[1-9][0-9][xX]|[1-9][xX]{2}|[1-9][0-9]{2}\\s*-\\s*[1-9][0-9]{2}|[aA][lL][lL])\\s*";

pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An object of those of these members that are given.
pub(super) fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(Map::from_iter(given))
}

/// A pattern that matches these words in any case; schemas have no flag for that.
pub(super) fn any_case(words: &[&str]) -> String {
    let letter = |letter: char| match letter {
        '-' => "-".to_owned(),
        letter => format!("[{}{}]", letter.to_ascii_lowercase(), letter.to_ascii_uppercase()),
    };
    let words: Vec<String> = words.iter().map(|word| word.chars().map(letter).collect()).collect();
    format!("^({})$", words.join("|"))
}
