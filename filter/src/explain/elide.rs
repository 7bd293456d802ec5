//! Values and paths as a person reads them: short, whatever the size of what they stand for.

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::ops::text::Quoted;

/// The most characters that one value or one expectation takes.
const SHOWN: usize = 120;

/// What is written, cut off at [`SHOWN`] characters.
pub(super) fn elided(write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> String {
    let mut short = Short { text: String::new(), left: SHOWN };
    if write(&mut short).is_err() {
        // The only error is that there is no room left.
        short.text.push('…');
    }
    short.text
}

/// Takes so many characters and then refuses, so that whoever writes stops early.
struct Short {
    text: String,
    left: usize,
}

impl fmt::Write for Short {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(character);
        }
        Ok(())
    }
}

/// A value, or that there is none.
pub(super) fn actual(value: Option<&Value>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(value) => elided(|out| write_value(out, value, 2)),
    }
}

/// Writes a value; what is nested deeper than `levels` is only hinted at, so that depth costs nothing.
fn write_value(out: &mut dyn fmt::Write, value: &Value, levels: usize) -> fmt::Result {
    match value {
        Value::String(text) => write!(out, "{}", Quoted(text)),
        Value::Array(items) if items.is_empty() => out.write_str("[]"),
        Value::Object(map) if map.is_empty() => out.write_str("{}"),
        Value::Array(items) if levels == 0 => write!(out, "[{} elements]", items.len()),
        Value::Object(map) if levels == 0 => write!(out, "{{{} fields}}", map.len()),
        Value::Array(items) => {
            if items.len() > 4 {
                write!(out, "{} elements: ", items.len())?;
            }
            for (index, item) in items.iter().enumerate() {
                out.write_str(if index == 0 { "[" } else { ", " })?;
                write_value(out, item, levels - 1)?;
            }
            out.write_str("]")
        }
        Value::Object(map) => {
            for (index, (key, value)) in map.iter().enumerate() {
                out.write_str(if index == 0 { "{" } else { ", " })?;
                write!(out, "{}: ", Quoted(key))?;
                write_value(out, value, levels - 1)?;
            }
            out.write_str("}")
        }
        scalar => write!(out, "{scalar}"),
    }
}

/// `a.b[0]["x y"]`, built while walking down.
#[derive(Clone, Debug, Default)]
pub(super) struct Path(String);

impl Path {
    pub(super) fn field(&self, name: &str) -> Self {
        let mut text = self.0.clone();
        let plain = !name.is_empty()
            && name.len() <= 60
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@'));
        // Writing to a String cannot fail.
        let _ = match (plain, text.is_empty()) {
            (true, true) => write!(text, "{name}"),
            (true, false) => write!(text, ".{name}"),
            (false, _) => write!(text, "[{}]", Quoted(name)),
        };
        Self(text)
    }

    /// An element of an array, by its index if that is known.
    pub(super) fn element(&self, index: Option<usize>) -> Self {
        match index {
            Some(index) => Self(format!("{}[{index}]", self.0)),
            None => Self(format!("{}[…]", self.0)),
        }
    }

    pub(super) fn shown(&self) -> String {
        if self.0.is_empty() { "the event".to_owned() } else { self.0.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Path, actual};

    #[test]
    fn values_stay_short() {
        assert_eq!(actual(None), "missing");
        assert_eq!(actual(Some(&json!(null))), "null");
        assert_eq!(actual(Some(&json!([1, "a", {"b": [1]}]))), r#"[1, "a", {"b": [1 elements]}]"#);
        let long = actual(Some(&json!(vec![1; 1000])));
        assert!(long.starts_with("1000 elements: [1, 1") && long.ends_with('…'), "{long}");
        assert!(actual(Some(&json!({"a": "x".repeat(1000)}))).chars().count() < 130);
    }

    #[test]
    fn paths_quote_what_is_no_plain_name() {
        let path = Path::default().field("a").field("b-c").element(Some(2)).field("x y");
        assert_eq!(path.shown(), r#"a.b-c[2]["x y"]"#);
        assert_eq!(Path::default().field("a.b").shown(), r#"["a.b"]"#);
    }
}
