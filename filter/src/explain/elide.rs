//! Values and paths in the text of an explanation: short, whatever the size of the value.

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::matcher::{Shape, Subject};
use crate::ops::text::Quoted;
use crate::scan::{Cached, Raw};

/// The most characters of one value or one expectation.
const SHOWN: usize = 120;

/// The output of `write`, cut off at [`SHOWN`] characters.
pub(super) fn elided(write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> String {
    let mut short = Short { text: String::new(), left: SHOWN };
    if write(&mut short).is_err() {
        // The only possible error: no room left.
        short.text.push('…');
    }
    short.text
}

/// Accepts `left` more characters, then fails, so that the writer stops early.
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

/// A value, or "missing".
pub(super) fn actual<V: Shown>(value: Option<V>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(value) => elided(|out| value.write(out, 2)),
    }
}

/// A value that an explanation can show.
pub(crate) trait Shown: Subject {
    /// Writes the value; of containers nested deeper than `levels` only the size, so that depth costs nothing.
    fn write(self, out: &mut dyn fmt::Write, levels: usize) -> fmt::Result;

    /// Passes the names of an object's fields until `see` returns false.
    fn names(self, see: &mut dyn FnMut(&str) -> bool);

    /// The place of the value in memory. No other container of the same event is there.
    fn address(self) -> usize;
}

impl Shown for &Value {
    fn write(self, out: &mut dyn fmt::Write, levels: usize) -> fmt::Result {
        match self {
            Value::String(text) => write!(out, "{}", Quoted(text)),
            Value::Array(items) => write_array(out, items.len(), items.iter(), levels),
            Value::Object(map) => write_object::<Self>(out, map.len(), levels, |see| {
                let _ = map.iter().all(|(key, value)| see(key, value));
            }),
            scalar => write!(out, "{scalar}"),
        }
    }

    fn names(self, see: &mut dyn FnMut(&str) -> bool) {
        if let Value::Object(map) = self {
            let _ = map.keys().all(|name| see(name));
        }
    }

    fn address(self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl Shown for Raw<'_> {
    fn write(self, out: &mut dyn fmt::Write, levels: usize) -> fmt::Result {
        match self.shape() {
            Shape::Array(items) => write_array(out, items.clone().count(), items, levels),
            Shape::Object => {
                let mut count = 0;
                self.names(&mut |_| {
                    count += 1;
                    true
                });
                write_object::<Self>(out, count, levels, |see| self.members(|key, value| see(key, value)))
            }
            _ if self.is_string() => write!(out, "{}", Quoted(&self.text())),
            // As it was written; checked bytes are UTF-8.
            _ => out.write_str(std::str::from_utf8(self.source()).unwrap_or_default()),
        }
    }

    fn names(self, see: &mut dyn FnMut(&str) -> bool) {
        self.members(|name, _| see(name));
    }

    fn address(self) -> usize {
        self.source().as_ptr().addr()
    }
}

impl Shown for Cached<'_, '_, '_> {
    fn write(self, out: &mut dyn fmt::Write, levels: usize) -> fmt::Result {
        self.raw().write(out, levels)
    }

    fn names(self, see: &mut dyn FnMut(&str) -> bool) {
        self.raw().names(see);
    }

    fn address(self) -> usize {
        self.raw().address()
    }
}

fn write_array<V: Shown>(
    out: &mut dyn fmt::Write,
    count: usize,
    items: impl Iterator<Item = V>,
    levels: usize,
) -> fmt::Result {
    match count {
        0 => return out.write_str("[]"),
        count if levels == 0 => return write!(out, "[{count} elements]"),
        count if count > 4 => write!(out, "{count} elements: ")?,
        _ => {}
    }
    for (index, item) in items.enumerate() {
        out.write_str(if index == 0 { "[" } else { ", " })?;
        item.write(out, levels - 1)?;
    }
    out.write_str("]")
}

/// `members` passes the members of an object until it gets false.
fn write_object<V: Shown>(
    out: &mut dyn fmt::Write,
    count: usize,
    levels: usize,
    members: impl FnOnce(&mut dyn FnMut(&str, V) -> bool),
) -> fmt::Result {
    match count {
        0 => return out.write_str("{}"),
        count if levels == 0 => return write!(out, "{{{count} fields}}"),
        _ => {}
    }
    let mut separator = "{";
    let mut result = Ok(());
    members(&mut |key, value| {
        result = write!(out, "{separator}{}: ", Quoted(key)).and_then(|()| value.write(out, levels - 1));
        separator = ", ";
        result.is_ok()
    });
    result?;
    out.write_str("}")
}

/// A path such as `a.b[0]["x y"]`, built on the way down.
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

    /// An element of an array, with its index if known.
    pub(super) fn element(&self, index: Option<usize>) -> Self {
        match index {
            Some(index) => Self(format!("{}[{index}]", self.0)),
            None => Self(format!("{}[…]", self.0)),
        }
    }

    /// Whether it is that of the event.
    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
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
        assert_eq!(actual::<&serde_json::Value>(None), "missing");
        assert_eq!(actual(Some(&json!(null))), "null");
        assert_eq!(actual(Some(&json!([1, "a", {"b": [1]}]))), r#"[1, "a", {"b": [1 elements]}]"#);
        let long = actual(Some(&json!(vec![1; 1000])));
        assert!(long.starts_with("1000 elements: [1, 1") && long.ends_with('…'), "{long}");
        assert!(actual(Some(&json!({"a": "x".repeat(1000)}))).chars().count() < 130);
    }

    #[test]
    fn paths_quote_unusual_names() {
        let path = Path::default().field("a").field("b-c").element(Some(2)).field("x y");
        assert_eq!(path.shown(), r#"a.b-c[2]["x y"]"#);
        assert_eq!(Path::default().field("a.b").shown(), r#"["a.b"]"#);
    }
}
